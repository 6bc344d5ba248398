"""Sessions of Starlette and FastAPI, by starsessions, on respram: a session that is cleared is gone on every node.

    from respram.adapters.starlette_sessions import RespramStore    # instead of starsessions.stores.redis.RedisStore
    app.add_middleware(SessionMiddleware, store=RespramStore(connection=redis), lifetime=3600)

starsessions reads an empty value as no session, so only `remove` is replaced. At login call `await store.remove(...)`
for the id before `regenerate_session_id`: starsessions itself leaves the old session alive, on any server.
"""

from starsessions.stores.redis import RedisStore  # type: ignore[import-not-found]

from respram.adapters import LETTING_GO_MS, NOTHING


class RespramStore(RedisStore):  # type: ignore[misc]
    """The arguments are those of the parent."""

    async def remove(self, session_id: str) -> None:
        await self._connection.set(self.prefix(session_id), NOTHING, px=LETTING_GO_MS, xx=True)
