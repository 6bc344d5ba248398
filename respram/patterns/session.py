"""Session continuity: a user's state under a random id, alive as long as the user is. Nothing else may live here.

    sessions = Sessions(client, ttl_s=1800)
    session_id = sessions.create({"user": 42})
    sessions.load(session_id)  # {"user": 42}, with a new TTL; None: log in again
    sessions.save(session_id, {"user": 42, "cart": ["book"]})
    session_id = sessions.rotate(session_id)      # at login
    sessions.end(session_id)                      # at logout

Logout and rotation overwrite the old session with an empty value that lives one millisecond, since nothing can be
deleted; an ended session is never written again. Guarantees: each of these is done at the session's home, so what
returned through one node holds through every other, while the members of the enclave are stable (docs/peers.md); with
`--decide local` it holds through the same node. Not promised: that a session that was ended while a node died or was
cut off stays so (the later stamp wins; a load writes a new deadline).
"""

import secrets
from dataclasses import dataclass
from typing import Generic

from respram.patterns.errors import Contended, SessionEnded
from respram.patterns.json_values import Json, from_json, to_json
from respram.patterns.naming import key, level
from respram.patterns.settle import LETTING_GO_S, let_go
from respram.patterns.steps import CHANGE_TRIES_MAX, C, Steps, at_home, change, newest, operation, ttl_ms

ID_BYTES = 32  # 256 random bits, which cannot be guessed


@dataclass(frozen=True, slots=True)
class Sessions(Generic[C]):
    client: C
    ttl_s: float = 1800.0

    def key(self, session_id: str) -> bytes:
        return key("session", level(session_id))

    @operation
    def create(self, data: Json) -> Steps[str]:
        session_id = secrets.token_urlsafe(ID_BYTES)
        yield from self._begin(session_id, to_json(data))
        return session_id

    @operation
    def load(self, session_id: str) -> Steps[Json]:
        """The state, or None when the session ended (a stored None reads the same). Restarts the session's TTL."""
        if not session_id:
            return None
        name = self.key(session_id)
        (found,) = yield from at_home(name, ("GETEX", name, "PX", ttl_ms(self.ttl_s)))
        if found == b"":
            # The tombstone of an ended session in its last millisecond; this read has prolonged it.
            yield from self.end.steps(session_id)
        return from_json(found, "a session") if found else None

    @operation
    def save(self, session_id: str, data: Json) -> Steps[None]:
        """Overwrites the state of a live session. Raises SessionEnded instead of reviving an ended one."""
        value = to_json(data)

        def edit(found: bytes | None) -> bytes:
            if not found:
                raise SessionEnded("the session ended in the meantime; nothing was saved: send the user to the login")
            return value

        yield from change(self.key(session_id), edit, self.ttl_s)

    @operation
    def rotate(self, session_id: str) -> Steps[str]:
        """Moves the state to a new id and ends the old one. Raises SessionEnded."""
        new = secrets.token_urlsafe(ID_BYTES)
        for _ in range(CHANGE_TRIES_MAX):
            found = yield from newest(self.key(session_id))
            if not found:
                raise SessionEnded("the session ended in the meantime: send the user to the login")
            # The new session is written first, each at its own home: nobody knows the new id before the old one ended.
            yield from self._begin(new, found)
            if (yield from let_go(self.key(session_id), found)):
                return new
        raise Contended("the session changed under every attempt to rotate it; it is as it was: try again")

    @operation
    def end(self, session_id: str) -> Steps[None]:
        """Logout. Once it returns, no load or save finds the session, through any node."""
        name = self.key(session_id)
        yield from at_home(name, ("SET", name, b"", "PX", ttl_ms(LETTING_GO_S)))

    def _begin(self, session_id: str, value: bytes) -> Steps[None]:
        name = self.key(session_id)
        yield from at_home(name, ("SET", name, value, "PX", ttl_ms(self.ttl_s)))
