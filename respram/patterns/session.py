"""Session continuity: a user's state under a random id, alive as long as the user is. Nothing else may live here.

    sessions = Sessions(client, ttl_s=1800)
    session_id = sessions.create({"user": 42})
    sessions.load(session_id)                     # {"user": 42}, and its time begins anew; None: log in again
    sessions.save(session_id, {"user": 42, "cart": ["book"]})
    session_id = sessions.rotate(session_id)      # at login
    sessions.end(session_id)                      # at logout

Logout and rotation overwrite the old session with an empty value that lives one millisecond, since nothing can be
deleted; an ended session is never written again. Not promised: that a save or a load (it writes a new deadline) on
another node in the same instant as an `end` or a `save` loses: the later stamp wins.
"""

import secrets
from dataclasses import dataclass
from typing import Generic

from respram.patterns.coordination_token import LETTING_GO_S
from respram.patterns.effects import Commit, Watch
from respram.patterns.errors import Contended, SessionEnded
from respram.patterns.json_values import Json, from_json, to_json
from respram.patterns.naming import key, level
from respram.patterns.steps import CHANGE_TRIES_MAX, C, Steps, ask, change, operation, put, ttl_ms

ID_BYTES = 32  # 256 random bits: cannot be guessed


@dataclass(frozen=True, slots=True)
class Sessions(Generic[C]):
    client: C
    ttl_s: float = 1800.0

    def key(self, session_id: str) -> bytes:
        return key("session", level(session_id))

    @operation
    def create(self, data: Json) -> Steps[str]:
        session_id = secrets.token_urlsafe(ID_BYTES)
        yield from put(self.key(session_id), to_json(data), self.ttl_s)
        return session_id

    @operation
    def load(self, session_id: str) -> Steps[Json]:
        """The state, or None when the session ended; a None that was stored reads the same. Its time begins anew."""
        found = yield from ask("GETEX", self.key(session_id), "PX", ttl_ms(self.ttl_s)) if session_id else _nothing()
        if found == b"":
            # The mark of an ended session, in its last millisecond; reading it has prolonged it.
            yield from put(self.key(session_id), b"", LETTING_GO_S)
        return from_json(found, "a session") if found else None

    @operation
    def save(self, session_id: str, data: Json) -> Steps[None]:
        """Overwrites the state of a live session. Raises SessionEnded instead of bringing an ended one back."""
        value = to_json(data)

        def edit(found: bytes | None) -> bytes:
            if not found:
                raise SessionEnded("the session ended in the meantime; nothing was saved: send the user to the login")
            return value

        yield from change(self.key(session_id), edit, self.ttl_s)

    @operation
    def rotate(self, session_id: str) -> Steps[str]:
        """Moves the state to a new id and ends the old one, both or neither. Raises SessionEnded."""
        new = secrets.token_urlsafe(ID_BYTES)
        for _ in range(CHANGE_TRIES_MAX):
            found = yield Watch((self.key(session_id),))
            if found is not None and not found[0]:
                raise SessionEnded("the session ended in the meantime: send the user to the login")
            if found is not None and (
                yield Commit(
                    (
                        ("SET", self.key(new), found[0], "PX", ttl_ms(self.ttl_s)),
                        ("SET", self.key(session_id), b"", "PX", ttl_ms(LETTING_GO_S)),
                    )
                )
            ):
                return new
        raise Contended("the session changed under every attempt to rotate it; it is as it was: try again")

    @operation
    def end(self, session_id: str) -> Steps[None]:
        """Logout. Once it returns, no load or save on this node finds the session."""
        yield from put(self.key(session_id), b"", LETTING_GO_S)


def _nothing() -> Steps[None]:
    return None
    yield  # makes it a generator
