"""aiocache on respram: `delete`, `clear`, `expire(key, 0)`, optimistic locks and red locks work.

    from respram.adapters.aiocache_cache import RespramCache    # instead of aiocache.RedisCache
    {"cache": "respram.adapters.aiocache_cache.RespramCache"}   # in aiocache's configuration

What aiocache does by scripts (compare and set, release of a lock) is `SET ... IFEQ` here. `clear` walks the keys of
the namespace, or of the whole database without one, and lets go of each: the same keys that aiocache would delete, and
every process sees it at once. An empty string is read as missing.
"""

from typing import Any

from aiocache.backends.redis import RedisCache  # type: ignore[import-not-found]

from respram.adapters import LETTING_GO_MS, LONGEST_S, NOTHING

CLEARED_AT_ONCE = 500  # keys of one page of the scan, overwritten in one pipeline
ADD_TRIES_MAX = 5  # two are enough unless others delete the same key at the same time


class RespramCache(RedisCache):  # type: ignore[misc]
    """aiocache's own with the deletes and the scripts replaced; names and arguments are those of its backend."""

    async def _get(self, key: str, encoding: str | None = "utf-8", _conn: Any = None) -> Any:
        value = await super()._get(key, encoding=encoding)
        return value or None

    async def _multi_get(self, keys: list[str], encoding: str | None = "utf-8", _conn: Any = None) -> list[Any]:
        return [value or None for value in await super()._multi_get(keys, encoding=encoding)]

    async def _exists(self, key: str, _conn: Any = None) -> bool:
        return bool(await self.client.strlen(key))

    async def _add(self, key: str, value: Any, ttl: Any = None, _conn: Any = None) -> bool:
        """A key that was let go of within this millisecond still holds nothing, and may end between two questions."""
        for _ in range(ADD_TRIES_MAX):
            if await self.client.execute_command("SET", key, value, "NX", *_life(ttl)):
                return True
            if await self._replaced(key, value, NOTHING, ttl):
                return True
            if await self.client.strlen(key):
                break
        raise ValueError(f"Key {key} already exists, use .set to update the value")

    async def _cas(self, key: str, value: Any, token: Any, ttl: Any = None, _conn: Any = None) -> int:
        return await self._replaced(key, value, token, ttl)

    async def _replaced(self, key: str, value: Any, held: Any, ttl: Any) -> int:
        return int(bool(await self.client.execute_command("SET", key, value, "IFEQ", held, *_life(ttl))))

    async def _increment(self, key: str, delta: int, _conn: Any = None) -> int:
        await self._replaced(key, 0, NOTHING, LONGEST_S)
        counted: int = await super()._increment(key, delta)
        return counted

    async def _expire(self, key: str, ttl: Any, _conn: Any = None) -> bool:
        if isinstance(ttl, float):
            return bool(await self.client.pexpire(key, int(ttl * 1000)))
        return bool(await self.client.expire(key, ttl or LONGEST_S))

    async def _delete(self, key: str, _conn: Any = None) -> int:
        return int(bool(await self.client.set(key, NOTHING, px=LETTING_GO_MS, xx=True, get=True)))

    async def _clear(self, namespace: str | None = None, _conn: Any = None) -> bool:
        cursor = -1
        while cursor != 0:
            match = f"{_literal(namespace)}:*" if namespace else None
            cursor, keys = await self.client.scan(max(cursor, 0), match=match, count=CLEARED_AT_ONCE)
            async with self.client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.set(key, NOTHING, px=LETTING_GO_MS, xx=True)
                await pipe.execute()
        return True

    async def _redlock_release(self, key: str, value: Any) -> int:
        """Only who holds the lock lets go of it."""
        held = await self.client.execute_command("SET", key, NOTHING, "IFEQ", value, "PX", LETTING_GO_MS)
        return int(bool(held))


def _life(ttl: Any) -> tuple[Any, ...]:
    """The TTL as arguments of SET; none without a TTL, and then the node uses its default."""
    if ttl is None:
        return ()
    return ("PX", int(ttl * 1000)) if isinstance(ttl, float) else ("EX", ttl)


def _literal(name: str) -> str:
    """A pattern that matches this name and no other."""
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in name)
