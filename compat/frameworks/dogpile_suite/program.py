"""dogpile.cache's own tests of its Redis backend, with deletes as overwrites; and what happens to a delete without."""

from importlib.metadata import version
from pathlib import Path

import suite
from dogpile.cache import make_region
from telling import HOST, PORT, Refused, check, raises, same, say


def deleted():
    region = make_region().configure("dogpile.cache.redis", expiration_time=60, arguments={"host": HOST, "port": PORT})
    region.set("a", 1)
    raises(lambda: region.delete("a"), "refused by design")
    same([region.get("a"), region.get_or_create("made", lambda: 7)], [1, 7])
    region.invalidate()
    same(region.get_or_create("a", lambda: 2), 2)
    raise Refused("delete raises, and the value stays; invalidate works")


say("version", version("dogpile.cache"))
check("delete", deleted)
tests = next(Path("sources").glob("*/tests"))
words = ["-p", "placed", "cache/test_redis_backend.py", "-o", "addopts=", "-o", "python_classes=*Test"]
suite.run(tests, words, 40, DOGPILE_REDIS_PORT=str(PORT))
say("done")
