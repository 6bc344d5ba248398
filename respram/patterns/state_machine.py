"""State machine with staleness: a job's state in one key that its workers must keep fresh. Nothing else may live here.

    jobs = StateMachine(client, {"queued": ["in_progress"], "in_progress": ["complete", "failed"]}, ttl_s=600)
    jobs.begin("job-9f3a", "queued") jobs.move("job-9f3a", "queued", "in_progress")
    jobs.state("job-9f3a")  # State("in_progress", 599.9); None: never begun, or expired

Every move restarts the TTL. When a worker dies its job's state expires, which is the sign of its death.
Guarantees: moves through all nodes take turns, while the members of the enclave are stable (docs/peers.md); with
`--decide local` the moves through one node do, and those through several nodes with `settle=` (settle.py).
Not promised: a history; nor that two nodes never accept two moves at once while a node dies or is cut off (the later
stamp wins).
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Generic

from respram.patterns.coordination_token import CoordinationToken
from respram.patterns.errors import BadTransition, Contended
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.naming import STATE, key
from respram.patterns.settle import Settle, claimed
from respram.patterns.steps import CHANGE_TRIES_MAX, C, Steps, ask_all, change, operation, pause

MOVING_S = 5.0  # the longest time for which a settled move holds a job
TURN_S = 0.01  # first pause of a caller that waits for the job


@dataclass(frozen=True, slots=True)
class State:
    name: str
    fresh_s: float  # remaining time for which it counts
    detail: Json = None


@dataclass(frozen=True, slots=True)
class StateMachine(Generic[C]):
    client: C
    moves: Mapping[str, Collection[str]]  # state to the states that may follow
    ttl_s: float = 600.0
    settle: Settle | None = None

    @operation
    def begin(self, job: str, state: str, detail: Json = None) -> Steps[None]:
        """Begins a job. Raises BadTransition if it exists. A command that a client library sent twice is recognised."""
        self._known(state)
        mine = to_json({"state": state, "detail": detail, "nonce": uuid.uuid4().hex})
        ours, _ = yield from claimed(key(STATE, job), mine, self.ttl_s, self.settle)
        if not ours:
            raise BadTransition(f"job {job!r} exists already; move it, or wait until it is stale")

    @operation
    def move(self, job: str, old: str, new: str, detail: Json = None) -> Steps[None]:
        """Moves a job from `old` to `new`. A move to the same state is always allowed, as a sign of life.

        Raises BadTransition, and the job is unchanged.
        """
        self._known(new)
        if new != old and new not in self.moves.get(old, ()):
            raise BadTransition(f"no move leads from {old!r} to {new!r}")

        def edit(found: bytes | None) -> bytes:
            if found is None:
                raise BadTransition(f"job {job!r} is stale or was never begun: its last worker let its time run out")
            if (now := document(found, f"job {job!r}", state=str)["state"]) != old:
                raise BadTransition(f"job {job!r} is in {now!r}, not in {old!r}")
            return to_json({"state": new, "detail": detail})

        if self.settle is None:
            yield from change(key(STATE, job), edit, self.ttl_s)
            return
        # Between nodes moves take turns: whoever holds the job's turn has seen what the one before wrote, since that
        # left first.
        turn: CoordinationToken[C] = CoordinationToken(self.client, f"{STATE}:{job}", MOVING_S, self.settle)
        for attempt in range(CHANGE_TRIES_MAX):
            if (claim := (yield from turn.claim.steps("move"))) is not None:
                break
            yield from pause(TURN_S * (attempt + 1))
        else:
            raise Contended(f"job {job!r} is being moved all the time; nothing was moved: try again")
        try:
            yield from change(key(STATE, job), edit, self.ttl_s)
        finally:
            yield from turn.let_go.steps(claim)

    @operation
    def state(self, job: str) -> Steps[State | None]:
        """The state, or None when the job is stale or was never begun; the two look the same."""
        found, left_ms = yield from ask_all(("GET", key(STATE, job)), ("PTTL", key(STATE, job)))
        if found is None or left_ms < 0:
            return None
        fields = document(found, f"job {job!r}", state=str, detail=object)
        return State(fields["state"], left_ms / 1000, fields["detail"])

    def _known(self, state: str) -> None:
        if state not in self.moves and not any(state in after for after in self.moves.values()):
            raise BadTransition(f"{state!r} is not a state of this machine")
