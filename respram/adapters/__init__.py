"""Adapters: frameworks whose delete matters, above all sessions, on a server that refuses deletes.

    django_cache       a cache backend for Django; its sessions work on top of it
    django_sessions    a session engine for Django that insists on that backend
    flask_sessions     Flask-Session
    cachelib_cache     cachelib
    flask_caches       Flask-Caching
    aiocache_cache     aiocache
    starlette_sessions sessions of Starlette and FastAPI, by starsessions
    overwrite_delete   what the blocking ones share

Each is the framework's own class with the deletes replaced: the value is overwritten with nothing (no
bytes at all) that lives for LETTING_GO_MS, and reading takes nothing for missing. The overwrite reaches
every node like any write, and no older value can come back after it. Clearing everything changes the
generation that is part of every key's name; what bore the old name is never read again and leaves when
its time is up. Each file here imports its framework, which is for the application to install.
"""

NOTHING = b""  # the value of a deleted key during its last millisecond
LETTING_GO_MS = 1
LONGEST_S = 10 * 365 * 86_400  # for lives without an end: the node cuts them to its --max-ttl
GENERATION_SEEN_S = 1.0  # the longest time until a process notices that another one has cleared the cache
GENERATION_BYTES = 8  # random bytes in the name of a generation, so that no two clears agree on one
