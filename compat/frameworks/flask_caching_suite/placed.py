"""A plugin for pytest: the adapter in the backend's place, and the node of this run where the suite looks at port 6360.
"""

import os

import redis
from flask_caching import backends

from respram.adapters.flask_caches import RespramCache

backends.RedisCache = RespramCache
start = redis.Redis.__init__


def placed(self, host="localhost", port=6379, *args, **more):
    start(self, host, int(os.environ["RESPRAM_PORT"]) if port == 6360 else port, *args, **more)


redis.Redis.__init__ = placed


def pytest_collection_finish(session):
    """Where a server listens already the suite starts none; it asks its own function, by port."""
    for plugin in session.config.pluginmanager.get_plugins():
        if hasattr(plugin, "_server_is_running"):
            plugin._server_is_running = lambda port: True
