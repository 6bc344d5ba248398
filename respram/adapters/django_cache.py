"""Django's cache on respram: `delete`, `delete_many`, `touch(key, 0)`, `set(key, value, 0)` and `clear` work.

    CACHES = {"default": {
        "BACKEND": "respram.adapters.django_cache.RespramCache", "LOCATION": "redis://127.0.0.1:6379",
    }}

Sessions, DRF throttles and everything else that uses Django's cache work on top of it. Options are those of
Django's own Redis backend. `timeout=None` lives as long as the node lets anything live (--max-ttl).

`clear` names a new generation: other processes see it within GENERATION_SEEN_S, and until then read what
they read before. It clears what this KEY_PREFIX and database hold, not what others keep beside it.
"""

from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient  # type: ignore[import-not-found]

from respram.adapters import LONGEST_S
from respram.adapters.overwrite_delete import Generation, add, let_go


class RespramCacheClient(RedisCacheClient):  # type: ignore[misc]
    """Django's client with every delete turned into an overwrite; names and arguments are Django's."""

    def add(self, key: str, value: Any, timeout: int | None) -> bool:
        client = self.get_client(key, write=True)
        life = timeout if timeout else LONGEST_S if timeout is None else 1
        added = add(client, key, self._serializer.dumps(value), life)
        if added and timeout == 0:
            let_go(client, key)
        return added

    def get(self, key: str, default: Any) -> Any:
        value = self.get_client(key).get(key)
        return default if not value else self._serializer.loads(value)

    def set(self, key: str, value: Any, timeout: int | None) -> None:
        client = self.get_client(key, write=True)
        if timeout == 0:
            let_go(client, key)
        else:
            client.set(key, self._serializer.dumps(value), ex=timeout or LONGEST_S)

    def touch(self, key: str, timeout: int | None) -> bool:
        client = self.get_client(key, write=True)
        if timeout == 0:
            return let_go(client, key)
        return bool(client.getex(key, ex=timeout or LONGEST_S))

    def delete(self, key: str) -> bool:
        return let_go(self.get_client(key, write=True), key)

    def get_many(self, keys: Any) -> dict[str, Any]:
        found = zip(keys, self.get_client(None).mget(keys), strict=True)
        return {key: self._serializer.loads(value) for key, value in found if value}

    def has_key(self, key: str) -> bool:
        return bool(self.get_client(key).strlen(key))

    def incr(self, key: str, delta: int) -> Any:
        client = self.get_client(key, write=True)
        if not client.strlen(key):
            raise ValueError(f"Key '{key}' not found.")
        return client.incr(key, delta)

    def set_many(self, data: dict[str, Any], timeout: int | None) -> None:
        with self.get_client(None, write=True).pipeline(transaction=False) as pipeline:
            for key, value in data.items():
                if timeout == 0:
                    let_go(pipeline, key)
                else:
                    pipeline.set(key, self._serializer.dumps(value), ex=timeout or LONGEST_S)
            pipeline.execute()

    def delete_many(self, keys: list[str]) -> None:
        with self.get_client(None, write=True).pipeline(transaction=False) as pipeline:
            for key in keys:
                let_go(pipeline, key)
            pipeline.execute()


class RespramCache(RedisCache):  # type: ignore[misc]
    """Django's Redis backend with a generation in every key's name."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = RespramCacheClient
        self._generation_key = f"{self.key_prefix}:respram:generation"
        # Django makes a backend for each thread and alias; all of them see at once what one of them has cleared.
        self._seen = _GENERATIONS.setdefault((tuple(self._servers), self._generation_key), Generation())

    def make_and_validate_key(self, key: Any, version: int | None = None) -> str:
        name: str = super().make_and_validate_key(key, version=version)
        generation = self._seen.current(self._cache.get_client(None, write=True), self._generation_key)
        return f"{generation}:{name}" if generation else name

    def clear(self) -> bool:
        self._seen.begin(self._cache.get_client(None, write=True), self._generation_key)
        return True


_GENERATIONS: dict[tuple[tuple[str, ...], str], Generation] = {}
