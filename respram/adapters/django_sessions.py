"""Django's sessions on respram: after `logout` and at the rotation at `login` the old cookie is worthless.

    SESSION_ENGINE = "respram.adapters.django_sessions"

It is Django's own cache engine, and refuses to start on a cache that cannot let go of a session: Django's
own Redis backend would answer a logout with an error and leave the session alive. For sessions that are in
the database too, set `django.contrib.sessions.backends.cached_db` and the cache backend of this package.
"""

from django.conf import settings  # type: ignore[import-not-found]
from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore  # type: ignore[import-not-found]
from django.core.cache import caches  # type: ignore[import-not-found]
from django.core.exceptions import ImproperlyConfigured  # type: ignore[import-not-found]

from respram.adapters.django_cache import RespramCache


class SessionStore(CacheSessionStore):  # type: ignore[misc]
    """Django makes one for each request; the first thing it does is to look at its cache."""

    def __init__(self, session_key: str | None = None) -> None:
        if not isinstance(caches[settings.SESSION_CACHE_ALIAS], RespramCache):
            raise ImproperlyConfigured(
                f"CACHES[{settings.SESSION_CACHE_ALIAS!r}] must have the BACKEND "
                "respram.adapters.django_cache.RespramCache, "
                "for sessions to end at logout"
            )
        super().__init__(session_key)
