"""Flask-Caching on respram: `delete`, `delete_many`, `delete_memoized` and `clear` work.

    CACHE_TYPE = "respram.adapters.flask_caches.RespramCache"  # the CACHE_REDIS_... settings stay as they were

It is the adapter for cachelib, made as Flask-Caching makes its own backend for Redis.
"""

from typing import Any

from flask_caching.backends.rediscache import RedisCache  # type: ignore[import-not-found]

from respram.adapters.cachelib_cache import RespramCache as CachelibCache


class RespramCache(CachelibCache, RedisCache):  # type: ignore[misc]
    """Flask-Caching's own with the deletes replaced."""

    def unlink(self, *keys: str) -> Any:
        return self.delete_many(*keys)
