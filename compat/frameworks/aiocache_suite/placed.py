"""A plugin for pytest: the adapter stands where the suite looks for the backend, and finds the node of this run."""

import os

import aiocache
import aiocache.factory
from aiocache.backends import redis as place

from respram.adapters.aiocache_cache import RespramCache

place.RedisCache = aiocache.RedisCache = aiocache.factory.AIOCACHE_CACHES["redis"] = aiocache.Cache.REDIS = RespramCache
start = place.RedisBackend.__init__


def placed(self, endpoint="127.0.0.1", port=None, **more):
    start(self, endpoint, port or int(os.environ["RESPRAM_PORT"]), **more)


place.RedisBackend.__init__ = placed
