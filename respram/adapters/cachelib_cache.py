"""cachelib on respram: `delete`, `delete_many` and `clear` work.

    from respram.adapters.cachelib_cache import RespramCache    # instead of cachelib.redis.RedisCache

Arguments are those of cachelib's RedisCache. What it keeps for ever lives as long as the node lets anything live
(--max-ttl). `clear` names a new generation for this key prefix: other processes see it within GENERATION_SEEN_S.
"""

from typing import Any

from cachelib.redis import RedisCache  # type: ignore[import-not-found]

from respram.adapters import LONGEST_S, NOTHING
from respram.adapters.overwrite_delete import Generation, add, let_go


class RespramCache(RedisCache):  # type: ignore[misc]
    """cachelib's own with the deletes replaced; it never writes an empty value itself."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self._generations: tuple[str, Generation] = ("", Generation())  # generation of the prefix that was used last
        super().__init__(*args, **more)

    def _get_prefix(self) -> str:
        prefix: str = super()._get_prefix()
        name = self._generation(prefix).current(self._write_client, _generation_key(prefix))
        return f"{prefix}{name}:" if name else prefix

    def _generation(self, prefix: str) -> Generation:
        if self._generations[0] != prefix:
            self._generations = (prefix, Generation())
        return self._generations[1]

    def _life(self, timeout: Any) -> int:
        life: int = self._normalize_timeout(timeout)
        return LONGEST_S if life == -1 else life

    def get(self, key: str) -> Any:
        return self.serializer.loads(self._read_client.get(f"{self._get_prefix()}{key}") or None)

    def get_many(self, *keys: str) -> list[Any]:
        prefix = self._get_prefix()
        return [
            self.serializer.loads(value or None) for value in self._read_client.mget([f"{prefix}{key}" for key in keys])
        ]

    def set(self, key: str, value: Any, timeout: Any = None) -> Any:
        return self._write_client.set(
            f"{self._get_prefix()}{key}", self.serializer.dumps(value), ex=self._life(timeout)
        )

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        return add(self._write_client, f"{self._get_prefix()}{key}", self.serializer.dumps(value), self._life(timeout))

    def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[str]:
        prefix, pipe = self._get_prefix(), self._write_client.pipeline(transaction=False)
        for key, value in mapping.items():
            pipe.set(f"{prefix}{key}", self.serializer.dumps(value), ex=self._life(timeout))
        return [key for key, was_set in zip(mapping, pipe.execute(), strict=True) if was_set]

    def delete(self, key: str) -> bool:
        return let_go(self._write_client, f"{self._get_prefix()}{key}")

    def delete_many(self, *keys: str) -> list[str]:
        prefix, pipe = self._get_prefix(), self._write_client.pipeline(transaction=False)
        for key in keys:
            let_go(pipe, f"{prefix}{key}")
        pipe.execute()
        return list(keys)

    def has(self, key: str) -> bool:
        return bool(self._read_client.strlen(f"{self._get_prefix()}{key}"))

    def clear(self) -> bool:
        prefix: str = super()._get_prefix()
        self._generation(prefix).begin(self._write_client, _generation_key(prefix))
        return True

    def inc(self, key: str, delta: int = 1) -> int:
        """Increments a counter. One that was let go of within this millisecond begins at nothing, not at an error."""
        name, pipe = f"{self._get_prefix()}{key}", self._write_client.pipeline(transaction=False)
        pipe.execute_command("SET", name, 0, "IFEQ", NOTHING, "EX", LONGEST_S)
        pipe.incrby(name, delta)
        counted: int = pipe.execute()[1]
        return counted

    def dec(self, key: str, delta: int = 1) -> int:
        return self.inc(key, -delta)


def _generation_key(prefix: str) -> str:
    return f"{prefix}respram:generation"
