"""All clients together: who is closed when they hold too much, and that a flood of half commands ends there."""

import contextlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis

from respram.server.client_eviction import WEIGH_BYTES_MAX, WEIGH_BYTES_MIN, Holder, held_bytes, too_many, weigh_bytes
from tests.abuse.rig import rss_bytes, try_to
from tests.engine.conftest import ENGINES
from tests.live import SOON_S, running

MIB = 1 << 20


@dataclass
class Fake:
    """A client of so many bytes: input, queue, output."""

    name: str
    sizes: tuple[int, int, int]
    no_evict: bool = False
    out_bytes: int = 0
    session: Any = field(default=None)
    conn: Any = field(default=None)

    def __post_init__(self) -> None:
        self.session = SimpleNamespace(buffered_bytes=self.sizes[0])
        self.conn = SimpleNamespace(held_bytes=self.sizes[1], no_evict=self.no_evict)
        self.out_bytes = self.sizes[2]


def chosen(bytes_max: int, *clients: Fake) -> list[str]:
    return [client.name for client, _ in too_many(cast(list[Any], clients), bytes_max)]


def test_the_largest_go_first_and_no_more_than_have_to() -> None:
    small, middle, large = Fake("small", (1, 1, 1)), Fake("middle", (0, 0, 40)), Fake("large", (10, 50, 0))
    assert held_bytes(cast(Holder, small)) == 3
    assert chosen(103, small, middle, large) == [] and chosen(102, small, middle, large) == ["large"]
    assert chosen(42, small, middle, large) == ["large", "middle"] and chosen(1, small, middle, large) == [
        "large",
        "middle",
        "small",
    ]
    assert chosen(0, small, middle, large) == [], "0 is no limit"


def test_who_asked_not_to_be_evicted_is_spared() -> None:
    assert chosen(10, Fake("spared", (90, 0, 0), no_evict=True), Fake("other", (20, 0, 0))) == ["other"]


def test_looks_come_often_enough_and_not_for_every_byte() -> None:
    assert weigh_bytes(0) == 0 and weigh_bytes(MIB) == WEIGH_BYTES_MIN and weigh_bytes(1 << 30) == WEIGH_BYTES_MAX


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_flood_of_half_commands_is_cut_and_a_bystander_served(engine: str) -> None:
    """40 clients announce 16 MB each and send 8: 320 MB, of which a node with a limit of 32 keeps no more than that."""
    with (
        running("--maxmemory-clients", "32mb", engine=engine) as node,
        redis.Redis(port=node.port, socket_timeout=SOON_S) as bystander,
    ):
        bystander.set("k", "v", ex=600)
        before, grown = rss_bytes(node), 0
        attackers = [node.connect() for _ in range(40)]
        for wire in attackers:
            try_to(wire, b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$16000000\r\n")
        for _ in range(8):
            for wire in attackers:
                try_to(wire, b"x" * MIB)
            grown = max(grown, rss_bytes(node) - before)
            assert bystander.get("k") == b"v"
        assert bystander.info("stats")["evicted_clients"] > 5 and grown < 200 * MIB, grown >> 20
        log = node.log()
        assert "event=clients_limit" in log and log.count("event=clients_limit") < 20
        for wire in attackers:
            with contextlib.suppress(OSError):
                wire.close()
