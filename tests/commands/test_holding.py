"""One client takes all that it may, of everything at once, and then asks for more: it does not get it, and the sum is
that of the page.
"""

import re
import tracemalloc
from pathlib import Path

import pytest

from respram.commands.holding import most_held
from respram.config.limits import Limits
from tests import dear
from tests.commands.rig import Client, Rig
from tests.engine.conftest import ENGINES

PAGE = Path(__file__).parents[2] / "docs/operating.md"
MIB = 1 << 20


def test_the_page_tells_the_sum() -> None:
    told = re.search(r"One client can hold at most (\d+) MiB", PAGE.read_text())
    assert told is not None and int(told[1]) == -(-sum(most_held(Limits()).values()) // MIB)


def fill(client: Client) -> dict[str, bytes]:
    """All of each, and what was answered to the first that was too much."""
    refused: dict[str, bytes] = {}

    def until_refused(what: str, *words: bytes, names: int, size: int) -> None:
        for begin in range(0, 1 << 20, names):
            reply = client(*words, *(b"%0*d" % (size, number) for number in range(begin, begin + names)))
            if reply.startswith(b"-"):
                refused[what] = reply
                return

    client(b"HELLO", b"3")
    until_refused("watched", b"WATCH", names=1_024, size=250)
    until_refused("patterns", b"PSUBSCRIBE", names=1_000, size=20)
    until_refused("subscribed", b"SUBSCRIBE", names=1_000, size=100)
    client(
        b"CLIENT",
        b"TRACKING",
        b"ON",
        b"BCAST",
        *(part for number in range(128) for part in (b"PREFIX", b"%0256d" % number)),
    )
    refused["prefixes"] = client(b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", b"one more")
    client(b"MULTI")
    for _ in range(40):
        reply = client(b"SET", b"k", b"v" * MIB)
        if reply.startswith(b"-"):
            refused["queued"] = reply
            break
    session = client.conn.session
    client.raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\n" + b"x" * (16 * MIB - 10))
    assert session.buffered_bytes > 15 * MIB
    return refused


@pytest.mark.parametrize("engine", dear.first(1, reversed(ENGINES)))
def test_one_client_takes_all_that_it_may_and_no_more(engine: str) -> None:
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    most = most_held(rig.node.limits)
    tracemalloc.start()
    try:
        refused = fill(client)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert set(refused) == {"watched", "patterns", "subscribed", "prefixes", "queued"}
    allowed = sum(most.values()) - most["output"]
    assert allowed // 4 < client.conn.held_bytes + client.conn.session.buffered_bytes <= allowed
    assert taken < allowed, f"{taken >> 20} MiB of {allowed >> 20}"


@pytest.mark.parametrize("engine", ENGINES)
def test_read_keys_are_bounded_by_their_bytes_too_and_whoever_cached_them_is_told(engine: str) -> None:
    rig = Rig(ENGINES[engine])
    reader = rig.connect()
    reader(b"HELLO", b"3")
    reader(b"CLIENT", b"TRACKING", b"ON")
    told = sum(reader(b"GET", b"%d" % number + b"k" * MIB).count(b"invalidate") for number in range(60))
    assert rig.node.tracked_bytes <= 48 * MIB and len(rig.node.tracked) < 50
    assert told == 60 - len(rig.node.tracked)
    reader.close()
    assert (rig.node.tracked_bytes, len(rig.node.tracked)) == (0, 0)
