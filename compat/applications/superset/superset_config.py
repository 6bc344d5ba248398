"""Superset with its sessions, caches and locks in Redis; without RESPRAM_PORT, as while it is laid out, with none of
them.
"""

import os

import redis

HOST, PORT = os.environ.get("RESPRAM_HOST", "127.0.0.1"), int(os.environ.get("RESPRAM_PORT") or 0)
SECRET_KEY = "0123456789abcdef0123456789abcdef"
SQLALCHEMY_DATABASE_URI = f"sqlite:///{os.environ['SUPERSET_HOME']}/superset.db"
PREVENT_UNSAFE_DB_CONNECTIONS = False  # the records that are shown are in an SQLite file
TALISMAN_ENABLED = False
STORE_CACHE_KEYS_IN_METADATA_DB = True


def _cache(prefix, seconds):
    return {
        "CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": HOST, "CACHE_REDIS_PORT": PORT, "CACHE_REDIS_DB": 0,
        "CACHE_KEY_PREFIX": prefix, "CACHE_DEFAULT_TIMEOUT": seconds,
    }  # fmt: skip


if PORT:
    SESSION_SERVER_SIDE = True
    SESSION_TYPE = "redis"
    SESSION_USE_SIGNER = True
    SESSION_REDIS = redis.Redis(HOST, PORT)
    CACHE_CONFIG, DATA_CACHE_CONFIG = _cache("superset_", 300), _cache("superset_", 300)
    FILTER_STATE_CACHE_CONFIG, EXPLORE_FORM_DATA_CACHE_CONFIG = _cache("filter_", 300), _cache("form_", 300)
    DISTRIBUTED_COORDINATION_CONFIG = _cache("locks_", 300)
