"""A plugin for pytest: the backend finds the node of this run instead of port 6360, and is the adapter if asked for."""

import os

import cachelib

if os.environ["MATRIX_KIND"] == "adapted":
    from respram.adapters.cachelib_cache import RespramCache

    cachelib.RedisCache = RespramCache
start = cachelib.RedisCache.__init__


def placed(self, *args, port=6360, **more):
    start(self, *args, port=int(os.environ["RESPRAM_PORT"]) if port == 6360 else port, **more)


cachelib.RedisCache.__init__ = placed
