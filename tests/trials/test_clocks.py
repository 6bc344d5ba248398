"""A node whose clock is off, and jumps, tells the time that it has been given."""

import time
from pathlib import Path

import pytest

from tests.engine.conftest import ENGINES
from tests.live import running
from tests.trials.clocks import Clock, compiled

HOUR_MS = 3_600_000


@pytest.mark.parametrize("engine", ENGINES)
def test_a_node_follows_its_own_clock(engine: str, tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock", compiled(tmp_path))
    with running(engine=engine, env=clock.environment) as node:
        wire = node.connect()
        for off_ms in (0, HOUR_MS, -HOUR_MS):
            clock.put(off_ms)
            wire.sock.sendall(b"SET key v PX 1000\r\nPEXPIRETIME key\r\n")
            assert wire.take(6) == b"+OK\r\n:"
            ends_ms = int(wire.take(13))
            assert wire.take(2) == b"\r\n"
            assert abs(ends_ms - 1_000 - time.time() * 1000 - off_ms) < HOUR_MS // 2
