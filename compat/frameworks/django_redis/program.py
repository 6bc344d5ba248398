"""django-redis as a Django cache."""

from importlib.metadata import version

import django
from django.conf import settings
from telling import HOST, PORT, Refused, check, raises, same, say, true

STORE = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://{HOST}:{PORT}/1"}
settings.configure(SECRET_KEY="of the matrix", CACHES={"default": STORE})
django.setup()

from django.core.cache import cache  # noqa: E402


def stored():
    value = {"a": [1, 2.5, None], "b": b"\x00\xff"}
    cache.set("value", value, 60)
    same(
        (cache.get("value"), cache.get("missing"), "value" in cache, cache.add("value", 1, 60)),
        (value, None, True, False),
    )
    true(50 < cache.ttl("value") <= 60, "60 s", cache.ttl("value"))


def several():
    cache.set_many({"m1": 1, "m2": "two"}, 60)
    same(cache.get_many(["m1", "m2", "m3"]), {"m1": 1, "m2": "two"})
    same(set(cache.keys("m*")), {"m1", "m2"})


def counted():
    cache.set("n", 1, 60)
    same([cache.incr("n"), cache.incr("n", 5), cache.decr("n"), cache.get("n")], [2, 7, 6, 6])


def touched():
    cache.set("touched", 1, 10)
    same(cache.touch("touched", 60), True)
    true(cache.ttl("touched") > 50, "60 s")


def deleted():
    cache.set("gone", 1, 60)
    raises(lambda: cache.delete("gone"), "refused by design")
    raises(cache.clear, "refused by design")
    same(cache.get("gone"), 1)
    raise Refused("delete and clear raise, and the values stay")


say("version", version("django-redis"))
check("get-set", stored)
check("many", several)
check("touch", touched)
check("incr", counted)
check("delete", deleted)
say("done")
