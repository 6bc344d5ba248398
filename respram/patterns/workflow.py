"""Step-wise workflow: any agent may advance a job through its named steps. Nothing else may live in this file.

    flow = Workflow(client, "ingest", ("fetch", "process", "validate", "complete"))
    flow.advance("job-1", "agent-a", execute)  # calls execute("fetch", progress) and stores its result
    flow.progress("job-1")                            # Progress(status="in_progress", current_step="fetch", ...)

`current_step` is the step that runs, or the one that ran last; `completed_at` says when each step ended, by the node's
clock. While a step runs, its agent holds an advisory lock on the job, so that two agents do not run it at once.
Guarantees: agents at all nodes take turns while the members of the enclave are stable (docs/peers.md). With `--decide
local` agents at one node do, and those at several nodes with `settle=` (settle.py). Not promised: that a step runs once
while a node dies or is cut off. If an agent dies after the work and before it noted the result, the step runs again. A
job that nobody advances for ttl_s is forgotten completely.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic

from respram.patterns.advisory_lock import AdvisoryLock
from respram.patterns.errors import ClaimLost
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.naming import key, level
from respram.patterns.settle import Settle
from respram.patterns.steps import C, Steps, ask, call, change, get, newest, operation


@dataclass(frozen=True, slots=True)
class Progress:
    status: str  # "pending", "in_progress" or "completed"
    completed: tuple[str, ...]
    results: dict[str, Json]
    next_step: str | None
    current_step: str | None = None  # the current step, or the last one; None before the first
    completed_at: dict[str, str] = field(default_factory=dict)  # step to time: ISO 8601, UTC, by the node's clock

    @property
    def result(self) -> Json:
        """The last step's result, once the workflow is completed."""
        return self.results[self.completed[-1]] if self.status == "completed" else None


@dataclass(frozen=True, slots=True)
class Workflow(Generic[C]):
    client: C
    name: str
    steps: tuple[str, ...]
    ttl_s: float = 3600.0
    step_ttl_s: float = 300.0  # after this, another agent may begin the step again
    settle: Settle | None = None

    def key(self, job: str) -> bytes:
        return key("workflow", level(self.name), level(job))

    @operation
    def progress(self, job: str) -> Steps[Progress]:
        """The job's progress; "pending" when it was never begun or has been forgotten."""
        return self._read((yield from get(self.key(job))), job)

    @operation
    def advance(self, job: str, agent: str, execute: Callable[..., Any]) -> Steps[Progress]:
        """Runs the next step as `execute(step, progress)` and notes what it returns (JSON).

        Raises ResourceLocked while another agent runs this job, ClaimLost when the step took longer than step_ttl_s
        (its result is not noted), and what `execute` raises; the job is then unchanged. A completed job stays so.
        """
        lock = AdvisoryLock(self.client, self.step_ttl_s, self.settle)
        held = yield from lock.acquire.steps(f"workflow:{level(self.name)}:{level(job)}", agent)
        try:
            before = yield from newest(self.key(job))
            now: Progress = self._read(before, job)
            if now.next_step is None:
                return now
            step = now.next_step
            before = yield from self._note(before, job, noted(now, step))
            result = yield from call(execute, step, now)
            seconds, micros = yield from ask("TIME")
            ended = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).replace(microsecond=int(micros))
            done = Progress(
                now.status, (*now.completed, step), {**now.results, step: result}, None, step,
                {**now.completed_at, step: ended.isoformat(timespec="milliseconds")},
            )  # fmt: skip
            return self._read((yield from self._note(before, job, noted(done, step))), job)
        finally:
            if held.claim.sure_s() > 0:
                yield from lock.release.steps(held)

    def _note(self, before: bytes | None, job: str, value: bytes) -> Steps[bytes | None]:
        def edit(found: bytes | None) -> bytes:
            if found != before:
                raise ClaimLost(f"job {job!r} was advanced by another agent meanwhile; this step's result is not noted")
            return value

        return (yield from change(self.key(job), edit, self.ttl_s))

    def _read(self, data: bytes | None, job: str) -> Progress:
        if data is None:
            return Progress("pending", (), {}, self.steps[0])
        fields = document(data, f"job {job!r}", completed=list, results=dict)
        completed = tuple(fields["completed"])
        left = self.steps[len(completed) :]
        # Earlier versions stored neither; the step that was completed last then counts as the one that ran last.
        current = fields.get("current_step", completed[-1] if completed else None)
        status = "in_progress" if left else "completed"
        return Progress(
            status, completed, fields["results"], left[0] if left else None, current, fields.get("completed_at", {})
        )


def noted(progress: Progress, current_step: str) -> bytes:
    return to_json(
        {
            "completed": list(progress.completed), "results": progress.results, "current_step": current_step,
            "completed_at": progress.completed_at,
        }
    )  # fmt: skip
