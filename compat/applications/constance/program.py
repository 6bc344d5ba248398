"""django-constance with its settings in the node: read, changed, and still there without a time to live."""

from importlib.metadata import version

from django.conf import settings
from telling import HOST, PORT, check, same, say, true

settings.configure(
    INSTALLED_APPS=["constance"], CONSTANCE_CONFIG={"GREETING": ("Hello", "what is said"), "LIMIT": (5, "how many")},
    CONSTANCE_REDIS_CONNECTION={"host": HOST, "port": PORT, "db": 0},
    CONSTANCE_BACKEND="constance.backends.redisd.RedisBackend",
)  # fmt: skip
import django  # noqa: E402

django.setup()
import redis  # noqa: E402
from constance import config  # noqa: E402

say("version", version("django-constance"))
check("default", lambda: same(config.GREETING, "Hello"))
check("change", lambda: setattr(config, "GREETING", "Good day"))
check("changed", lambda: same(config.GREETING, "Good day"))
node = redis.Redis(HOST, PORT)
check("kept-for-ever", lambda: true(all(node.ttl(key) == -1 for key in node.scan_iter()), "no time to live"))
say("done")
