"""Runs `cache.tests` of Django's source distribution for its Redis backend: on the adapter.

On the backend as it is nothing can be learnt from it: every test ends with a clear, which is refused. So the
adapter stands where the suite looks for the backend; nothing of the suite is changed.

Each test is said by name; none is left out but those that the suite itself skips.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from telling import HOST, PORT, say

TESTS = sorted(Path("sources").glob("*/tests"))[0].resolve()
SETTINGS = f"""
import django.core.cache.backends.redis as place
from respram.adapters.django_cache import RespramCache, RespramCacheClient
place.RedisCache, place.RedisCacheClient = RespramCache, RespramCacheClient
DATABASES = {{name: {{"ENGINE": "django.db.backends.sqlite3"}} for name in ("default", "other")}}
SECRET_KEY = "of the matrix"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
BACKEND = "django.core.cache.backends.redis.RedisCache"
CACHES = {{"default": {{"BACKEND": BACKEND, "LOCATION": "redis://{HOST}:{PORT}"}}}}
"""
RESULT = re.compile(r"(ok|FAIL|ERROR|skipped .*|expected failure)$")


def main():
    import django

    say("version", django.get_version())
    Path("matrix_settings.py").write_text(SETTINGS)
    environment = {**os.environ, "PYTHONPATH": f"{Path.cwd()}:{os.environ['RESPRAM_SOURCE']}"}
    words = [sys.executable, "runtests.py", "--settings=matrix_settings", "--parallel=1", "-v", "2", "--noinput"]
    run = subprocess.run(
        [*words, "cache.tests.RedisCacheTests"], cwd=TESTS, env=environment, capture_output=True, text=True
    )
    said, name = {}, ""
    for line in run.stderr.splitlines() + run.stdout.splitlines():
        begun = re.match(r"(test_\w+) \(cache\.tests\.", line)
        name = begun[1] if begun else name
        ended = RESULT.search(line)
        if name and ended and name not in said:
            said[name], name = ended[1], ""
    if len(said) < 30:
        say("fail", "suite", f"expected=the tests got={(run.stderr + run.stdout)[-250:]}")
    for name, result in said.items():
        if result.startswith("skipped"):
            say("skip", name, "skipped by the suite for this backend")
        elif result == "ok":
            say("ok", name)
        else:
            say("fail", name, f"expected=ok got={result}")
    say("done")


main()
