"""The scripts of one node: their cache, the Lua that runs them, and the one that is running.

**A script that runs for long.** The node has one thread, and a script is a call of Lua that cannot be left and entered
again. So Lua has a greenlet of its own, with a C stack of its own: once a script has run for the slice that its caller
gives it, the hook of `runtime.py` switches back to the caller, who is told that the script is not over (None). From
then on it runs in slices, each by `resume`, and between two of them the node serves others: SCRIPT KILL works, and
peers and expiry go on. In the first slice it is alone, as all commands are; beyond it, what peers write and what
expires can be seen by the script. At `time_max_ms` it is ended, and what it wrote stays: there is nothing that could
take it back.

Where the caller cannot wait (inside EXEC), a script is ended after its first slice.

Redis goes on with a script whose client has hung up. Here nobody would resume it: `abandon` ends it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from respram.program import Program
from respram.scripting.cache import Cache, Cached, digest_of, read_header
from respram.scripting.compiler import compile_script
from respram.scripting.runtime import KILLED, OVERTIME, Host, NoLuaError, Outcome, Runtime

SLICE_US = 10_000  # of a long script, before other clients are served


@dataclass(slots=True)
class Bounds:
    time_max_ms: int
    memory_bytes_max: int
    entries_max: int
    bytes_max: int


@dataclass(slots=True)
class Run:
    """The script that is running."""

    digest: bytes
    host: Host
    started_us: int
    slice_end_us: int
    may_wait: bool
    reason: int = 0  # why it has to end; 0: it need not
    wrote: bool = False  # Redis does not kill a script that has written


class Pupil(Protocol):
    """The engine, as far as it runs compiled scripts."""

    def teach(self, name: bytes, program: Program) -> bool: ...
    def teach_script(self, name: bytes, script: int, digest: bytes) -> bool: ...
    def open_lua(self, path: bytes) -> bytes | None: ...
    def limit_lua(self, bytes_max: int, worn_bytes: int) -> None: ...
    def close_lua(self) -> None: ...
    def unteach(self, name: bytes) -> None: ...


class Scripts:
    def __init__(self, bounds: Bounds, version: bytes, micros: Callable[[], int], pupil: Pupil) -> None:
        """Raises NoLuaError."""
        self.bounds = bounds
        self.pupil = pupil
        self.cache = Cache(bounds.entries_max, bounds.bytes_max, self._unteach)
        self.running: Run | None = None
        self._version = version
        self._micros = micros
        self._generation = 0
        self._runtime = Runtime(bounds.memory_bytes_max, version, inside=pupil)
        self._worker = _Worker()

    # -- the cache --------------------------------------------------------------------------------
    def load(self, text: bytes) -> bytes:
        """Compiles and caches a script, and returns its digest. Raises ClientError (for its first line) and
        CompileError."""
        digest = digest_of(text)
        if digest not in self.cache:
            entry = read_header(text)
            self._compile(entry)
            self._teach(digest, entry)
            self.cache.add(digest, entry)
        return digest

    def _teach(self, digest: bytes, entry: Cached) -> None:
        """Teaches the engine a script, by digest and text: as a program if it compiles to one, else for Lua. One that
        says of itself what it does (`#!lua flags=`) passes checks that only `dispatch` makes.
        """
        if entry.flags is not None:
            return
        entry.program = compile_script(entry.text)
        if entry.program is not None and not (
            self.pupil.teach(digest, entry.program) and self.pupil.teach(entry.text, entry.program)
        ):
            self._unteach(digest, entry)
        self._teach_script(digest, entry)

    def _teach_script(self, digest: bytes, entry: Cached) -> None:
        """Has Lua run it by itself, or, of a program, take over where it declines."""
        handle = self._runtime.keep(entry.made)
        if not self.pupil.teach_script(digest, handle, digest):
            self._runtime.drop(handle)
            return
        entry.handle = handle
        if not self.pupil.teach_script(entry.text, handle, digest):
            self._unteach(digest, entry)

    def _unteach(self, digest: bytes, entry: Cached) -> None:
        if entry.program is None and not entry.handle:
            return
        self.pupil.unteach(digest)
        self.pupil.unteach(entry.text)
        if entry.handle and entry.generation == self._generation:
            self._runtime.drop(entry.handle)
        entry.program, entry.handle = None, 0

    def flush(self) -> None:
        self.cache.clear()
        self._renew()

    def used_bytes(self) -> int:
        return self._runtime.used_bytes()

    def _compile(self, entry: Cached) -> None:
        entry.made = self._runtime.compile(entry.text[entry.body_at :])
        entry.generation = self._generation

    def _renew(self) -> None:
        """The new Lua stands before the old one goes: where there is no memory for both, scripts go on in the old one,
        by way of Python, and the next one that leaves it worn tries again.
        """
        old = self._runtime
        try:
            fresh = Runtime(self.bounds.memory_bytes_max, self._version, inside=self.pupil)
        except (MemoryError, old.error):
            self.pupil.close_lua()
            return
        old.close()
        self._runtime = fresh
        self._generation += 1

    # -- running ----------------------------------------------------------------------------------
    def run(
        self, digest: bytes, entry: Cached, host: Host, keys: list[bytes], arguments: list[bytes], proto: int, *,
        may_wait: bool, slice_us: int
    ) -> Outcome | None:
        """The outcome, or None: it is not over, and `resume` has to be called until it is. After the slice it gives
        way, or, where it may not wait, ends.
        """
        assert self.running is None
        if entry.generation != self._generation:
            self._compile(entry)
            if entry.handle:
                self._teach_script(digest, entry)
        now_us = self._micros()
        self.running = Run(digest, host, now_us, now_us + slice_us, may_wait)
        return self._after(self._worker.enter(self._runtime.run, entry.made, host, keys, arguments, proto))

    def resume(self) -> Outcome | None:
        run = self.running
        assert run is not None
        run.slice_end_us = self._micros() + SLICE_US
        return self._after(self._worker.go_on())

    def kill(self, reason: int = KILLED) -> None:
        assert self.running is not None
        self.running.reason = reason

    def abandon(self) -> None:
        """Ends the script that is waiting to be resumed."""
        self.kill()
        while self.resume() is None:
            pass

    def _after(self, outcome: Outcome | None) -> Outcome | None:
        if self._worker.is_inside:
            return None
        self.running = None
        if self._worker.failure is not None:
            failure, self._worker.failure = self._worker.failure, None
            raise failure
        assert outcome is not None
        if self._runtime.is_worn():
            self._renew()
        return outcome

    def judge(self) -> int:
        """Called by Lua's hook: 0 to continue, or the reason to end the script. It may return much later."""
        run, now_us = self.running, self._micros()
        assert run is not None
        if run.reason or now_us < run.slice_end_us:
            return run.reason
        if now_us - run.started_us >= self.bounds.time_max_ms * 1000 or not run.may_wait:
            run.reason = OVERTIME
            return OVERTIME
        self._worker.leave()
        return run.reason


class _Worker:
    """A greenlet that runs one call after the other, each of which may be left and gone on with. It is kept, because to
    make one costs 9 us, and to enter one 0.5 us."""

    def __init__(self) -> None:
        try:
            from greenlet import getcurrent, greenlet
        except ImportError:
            raise NoLuaError from None
        self.is_inside = False  # a call has begun and not ended
        self.failure: BaseException | None = None
        self._outside = getcurrent()
        self._greenlet = greenlet(self._serve)
        self._current = getcurrent
        self._begun = False

    def enter(self, call: Callable[..., Outcome], *arguments: object) -> Outcome | None:
        """Runs until the call returns or is suspended; its result, or None if it was suspended or failed."""
        self._outside = self._current()
        self.is_inside = True
        outcome: Outcome | None = self._greenlet.switch(call, arguments)
        return outcome

    def go_on(self) -> Outcome | None:
        self._outside = self._current()
        outcome: Outcome | None = self._greenlet.switch(None)
        return outcome

    def leave(self) -> None:
        """Called inside: returns to the caller of `enter`, until `go_on`."""
        self._outside.switch(None)

    def _serve(self, call: Callable[..., Outcome], arguments: tuple[object, ...]) -> None:
        while True:
            outcome: Outcome | None = None
            try:
                outcome = call(*arguments)
            except BaseException as error:
                self.failure = error
            self.is_inside = False
            del call, arguments
            call, arguments = self._outside.switch(outcome)
