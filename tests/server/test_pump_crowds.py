"""Both pumps when more clients wait than a turn has time for: who is served first."""

import time

import pytest

from respram.engine.api import Session
from respram.server import pump
from respram.server.pump import TURN_US
from tests.engine.rig import Cold, request
from tests.server.test_pump import Bench, bench

__all__ = ["bench"]


def test_who_has_cheap_reads_behind_it_waits_for_no_crowd_of_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four hundred connections that sent one command of 15 ms each held up a PING for 6 s.

    The portable pump gets a clock of its own: beside other work a PING may take it more than the 0.5 ms from which on a
    client owes something. The native pump has the processor's.
    """
    worked_us = 0.0
    monkeypatch.setattr(pump, "worked_us", lambda: int(worked_us))

    class Slow(Cold):
        def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
            nonlocal worked_us
            worked_us += 1.2 * TURN_US
            end = time.thread_time() + 1.2 * TURN_US / 1e6
            while time.thread_time() < end:
                pass
            return super().__call__(session, argv, now_ms)

    bystander, _ = bench.connect()
    others = [bench.connect()[0] for _ in range(60)]
    for _ in range(20):
        assert bench.exchange(bystander, request(b"PING"), 7) == b"+PONG\r\n"
    bench.cold.__class__ = Slow
    for _ in range(3):
        bench.cold.seen.clear()
        for theirs in others:
            theirs.sendall(request(b"SLOW"))
        assert bench.exchange(bystander, request(b"PING"), 7) == b"+PONG\r\n"
        assert len(bench.cold.seen) < 20
        bench.turn(lambda: len(bench.cold.seen) == len(others))
