"""Flask-Session on respram: a session that is cleared, or regenerated at login, is gone on every node.

    from respram.adapters.flask_sessions import Session    # instead of flask_session.Session
    Session(app)                                           # with SESSION_TYPE = "redis", as before

Flask-Session reads an empty value as no session, so only its delete is replaced.
"""

from typing import Any

import flask_session  # type: ignore[import-not-found]
from flask_session.redis import RedisSessionInterface  # type: ignore[import-not-found]

from respram.adapters import LETTING_GO_MS, NOTHING


class RespramSessionInterface(RedisSessionInterface):  # type: ignore[misc]
    """For those who set `app.session_interface` themselves; the arguments are those of the parent."""

    def _delete_session(self, store_id: str) -> None:
        self.client.set(store_id, NOTHING, px=LETTING_GO_MS, xx=True)


class Session(flask_session.Session):  # type: ignore[misc]
    """Flask-Session's own, which makes the interface above where it would have made one for Redis."""

    def _get_interface(self, app: Any) -> Any:
        interface = super()._get_interface(app)
        if type(interface) is not RedisSessionInterface:
            raise ValueError(
                f"SESSION_TYPE must be redis for sessions on respram, not {app.config.get('SESSION_TYPE')!r}"
            )
        interface.__class__ = RespramSessionInterface
        return interface
