"""Sums over all clients are exact with few of them, and with many they are made once for all who ask."""

import pytest

from respram.commands.census import EXACT_MAX, SPARED, census
from tests.commands.rig import Rig
from tests.engine.conftest import ENGINES


@pytest.mark.parametrize("engine", list(ENGINES))
def test_the_sums_are_those_of_the_clients(engine: str) -> None:
    rig = Rig(ENGINES[engine])
    clients = [rig.connect() for _ in range(5)]
    clients[0].raw(b"*1\r\n$100\r\nabc")
    clients[1](b"SUBSCRIBE", b"c")
    clients[2](b"PSUBSCRIBE", b"c*")
    clients[3](b"SSUBSCRIBE", b"c")
    clients[4](b"ACL", b"SETUSER", b"default", b"+bzpopmin")
    clients[4](b"BZPOPMIN", b"none", b"0")
    found = census(rig.node)
    assert found.input_bytes >= found.input_bytes_most > 0
    assert (found.subscribed, found.blocked, found.output_bytes) == (3, 1, 0)
    clients[1](b"UNSUBSCRIBE")
    assert census(rig.node).subscribed == 2, "of few clients at once"


def test_many_clients_are_walked_over_once_in_a_while() -> None:
    rig = Rig(ENGINES["pure"])
    clients = [rig.connect() for _ in range(EXACT_MAX + 1)]
    times = iter([0, 1_000, 1_001, 1_000 + SPARED * 1_000, 1_000_000, 1_001_000, 1_001_000]).__next__
    rig.node.micros = times
    assert census(rig.node).subscribed == 0
    clients[0].conn.channels.add(b"c")
    assert census(rig.node).subscribed == 0, "it is not made again so soon"
    assert census(rig.node).subscribed == 1
