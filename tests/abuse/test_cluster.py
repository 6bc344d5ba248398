"""What cluster clients may ask: short questions whose answers are long, or about all keys that there are."""

from collections.abc import Iterator

import pytest

from respram.slots import slot_of
from tests.abuse.rig import endure
from tests.engine.conftest import ENGINES
from tests.engine.rig import request
from tests.live import LiveNode, Wire, running

KEYS = 60_000  # in one slot
SLOT = b"%d" % slot_of(b"{a}")
ASKED = {
    "count": [request(b"CLUSTER", b"COUNTKEYSINSLOT", SLOT)] * 4,
    "keys": [request(b"CLUSTER", b"GETKEYSINSLOT", SLOT, b"9223372036854775807")] * 2,
    "none": [request(b"CLUSTER", b"GETKEYSINSLOT", b"%d" % slot_of(b"{b}"), b"2147483647")] * 4,
    "map": [request(b"CLUSTER", word) for word in (b"SLOTS", b"SHARDS", b"NODES", b"INFO", b"LINKS")] * 400,
}


@pytest.fixture(scope="module", params=list(ENGINES))
def cluster(request: pytest.FixtureRequest) -> Iterator[LiveNode]:
    with running("--cluster", "yes", engine=request.param) as node:
        wire = node.connect()
        for begin in range(0, KEYS, 1_000):
            wire.ask(many(begin), 5)
        yield node


def many(begin: int) -> bytes:
    pairs = (part for number in range(begin, begin + 1_000) for part in (b"{a}%d" % number, b"v"))
    return request(b"MSET", *pairs)


@pytest.mark.parametrize("name", ASKED)
def test_questions_about_slots_hold_nobody_up(cluster: LiveNode, name: str) -> None:
    def attack() -> None:
        wires = [cluster.connect() for _ in range(20)]
        for wire in wires:
            wire.sock.sendall(b"".join(ASKED[name]))
            wire.sock.sendall(request(b"ECHO", b"the-end"))
        for wire in wires:
            until_end(wire)
            wire.close()

    endure(cluster, attack)


def until_end(wire: Wire) -> None:
    """Every question was answered, or its client closed."""
    last = b""
    while b"the-end" not in last:
        piece = wire.sock.recv(1 << 20)
        if not piece:
            return
        last = last[-10:] + piece
