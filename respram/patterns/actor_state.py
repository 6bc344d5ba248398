"""An actor's state in a store of its own name, and its move to a new actor. Nothing else may live in this file.

    actors = ActorState(store)
    actors.save("7e3f4a21", b"state")
    ticket = actors.export("7e3f4a21")  # a hash: pass it to the process that starts the successor
    successor = actors.import_from(ticket)           # the new actor's id
    actors.load(successor)                           # b"state"
    actors.history(successor)                        # where it came from

Not promised: that the old actor stops writing, or that a ticket works after the store's ttl_s.
"""

import time
import uuid
from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Steps
from respram.patterns.errors import ContentMissing
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.steps import C, operation

FORMAT = "1.0"


@dataclass(frozen=True, slots=True)
class ActorState(Generic[C]):
    store: ContentStore[C]

    @property
    def client(self) -> C:
        return self.store.client

    @operation
    def save(self, actor_id: str, state: bytes) -> Steps[ContentRef]:
        return (yield from self.store.store_at_label.steps(f"actor:{actor_id}:state", state))

    @operation
    def load(self, actor_id: str) -> Steps[bytes | None]:
        """The state; None when the actor has none, or its state has expired."""
        return (yield from self.store.get_content_by_label.steps(f"actor:{actor_id}:state"))

    @operation
    def export(self, actor_id: str) -> Steps[ContentRef]:
        """A migration package: a small content that names the state as it is now. Raises ContentMissing."""
        ref = yield from self.store.get_by_label.steps(f"actor:{actor_id}:state")
        if ref is None:
            raise ContentMissing(f"actor {actor_id!r} has no state to export: its time is up, or it never saved one")
        now_ms = time.time_ns() // 1_000_000
        package = {"actor_id": actor_id, "state_ref": ref.hash, "timestamp": now_ms, "version": FORMAT}
        yield from self.store.touch.steps(ref)
        return (yield from self.store.store_at_label.steps(f"migration:{actor_id}:{now_ms}", to_json(package)))

    @operation
    def import_from(self, package: ContentRef, actor_id: str | None = None) -> Steps[str]:
        """Gives the exported state to an actor and returns its id; without an id the actor is new.

        Nothing is written if a part of the export has expired.
        """
        fields = document((yield from self.store.get.steps(package)), "the migration package", state_ref=str)
        state = ContentRef(fields["state_ref"])
        yield from self.store.get.steps(state)
        new_id = actor_id or str(uuid.uuid4())
        yield from self.store.label.steps(f"actor:{new_id}:migration-history", package)
        yield from self.store.label.steps(f"actor:{new_id}:state", state)
        return new_id

    @operation
    def history(self, actor_id: str) -> Steps[dict[str, Json] | None]:
        """The migration package that the actor came from, or None."""
        found = yield from self.store.get_content_by_label.steps(f"actor:{actor_id}:migration-history")
        return document(found, "the migration package", actor_id=str, timestamp=int) if found else None
