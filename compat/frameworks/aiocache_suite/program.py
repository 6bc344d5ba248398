"""aiocache's own acceptance tests for Redis, on the adapter; and what its own backend says to a delete.

On the backend as it is the suite tells nothing: every test ends with a delete, which is refused.
"""

import asyncio
from importlib.metadata import version
from pathlib import Path

import suite
from aiocache import Cache
from telling import HOST, PORT, Refused, check_soon, raises_soon, same, say


async def unadapted():
    async with Cache(Cache.REDIS, endpoint=HOST, port=PORT, namespace="plain") as cache:
        same(
            [await cache.set("a", {"b": 1}, ttl=60), await cache.get("a"), await cache.increment("n", 2)],
            [True, {"b": 1}, 2],
        )
        await raises_soon(cache.delete("a"), "refused by design")
        await raises_soon(cache.clear(), "refused by design")
        same(await cache.get("a"), {"b": 1})
    raise Refused("its own backend raises at delete and clear, and the values stay")


say("version", version("aiocache"))
asyncio.run(check_soon("its-own-backend", unadapted))
tests = next(Path("sources").glob("*/tests"))
words = ["-p", "cleaning", "-p", "placed", "-m", "redis", "-k", "redis", "tests/acceptance", "-o", "addopts="]
suite.run(tests.parent, words, 100)
say("done")
