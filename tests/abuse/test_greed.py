"""What one ordinary client asks for costs no more than its own bytes and what it may hold unread."""

import tracemalloc
from dataclasses import replace

import pytest

from tests.commands.rig import Rig
from tests.engine.conftest import ENGINES


@pytest.mark.parametrize("engine", ENGINES)
def test_a_short_request_for_a_huge_reply_costs_its_client_and_no_memory(engine: str) -> None:
    """An MGET of one value a thousand times, and an EXEC of such, would be gigabytes: the client is closed before they are made."""
    rig = Rig(ENGINES[engine])
    rig.node.limits = replace(rig.node.limits, output_buffer_bytes_max=4 << 20)
    writer = rig.connect()
    writer(b"SET", b"k", b"v" * (1 << 20))
    tracemalloc.start()
    try:
        greedy = rig.connect()
        assert greedy(b"MGET", *[b"k"] * 1000) == b"" and greedy.conn.session.closing
        greedy = rig.connect()
        greedy(b"MULTI")
        greedy(b"TIME")
        for _ in range(50):
            greedy(b"GET", b"k")
        assert greedy(b"EXEC") == b"" and greedy.conn.session.closing
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert rig.node.stats.output_limit_disconnections == 2
    assert writer(b"PING") == b"+PONG\r\n" and writer(b"MGET", b"k", b"k").startswith(b"*2\r\n")
