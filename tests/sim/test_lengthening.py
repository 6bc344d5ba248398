"""A decision that lengthens a life, and reaches a minority: what it wrote does not come up when all have decided on.

A home is cut off and lengthens the life of a key; the others decide about the key without it, and that record ends. The
cut ends while what the cut-off home wrote would live on.
"""

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from respram.gossip import majority
from respram.gossip.effects import Serve
from respram.gossip.forwarding import ANSWERED, UNKNOWN, Request
from respram.gossip.policy import Policy
from respram.sim.world import Node, World
from respram.slots import pack_keys, slot_of, unpack_keys
from respram.wire.messages import DONE, LATER, RUN

KEY = b"limit"
STEP_MS = 5
PATIENCE_MS = 60_000
SHORT_MS, LONG_MS = 6_000, 300_000


class Enclave:
    """Three nodes whose majority decides, and a command: this value for so long, if there is one, or if there is none.
    """

    def __init__(self, seed: int) -> None:
        self.world = World(seed, Policy(enclave_size=3))
        self.world.serve = self.serve
        rng = Random(seed)
        for _ in range(3):
            self.world.add(is_root=True, offset_ms=rng.randint(-300, 300))
        for node in self.world.nodes:
            self.world.start(node)
        self.until(lambda: all(node.replica.core.promises.votes for node in self.world.nodes))

    def serve(self, node: Node, serve: Serve) -> None:
        """As a server does: what was written leaves behind the answer."""
        world, now = self.world, self.world.time_of(node)
        if not node.replica.may_run(serve.who, serve.forward.number, now):
            served = node.replica.served(serve.who, serve.forward, LATER, b"", now)
            world.carry(node, served)
            return
        [key] = unpack_keys(serve.forward.keys)
        what, value, life = serve.forward.commands.split()
        there = node.engine.lookup(0, key, now.wall_ms) is not None
        if there == (what == b"xx"):
            node.engine.store(0, key, value, now.wall_ms + int(life), False, now.wall_ms, b"set")
        reply = b"%d" % (there == (what == b"xx"))
        served = node.replica.served(serve.who, serve.forward, DONE, reply, now)
        world.carry(node, served)
        world.touch(node)

    def until(self, done: Callable[[], bool]) -> None:
        end_ms = self.world.now_ms + PATIENCE_MS
        while not done():
            assert self.world.now_ms < end_ms
            self.world.run_until(self.world.now_ms + STEP_MS)

    def decide(self, node: Node, what: bytes, value: bytes, life_ms: int) -> tuple[str, bytes]:
        """Asks again while nothing was done."""
        while True:
            command = b"%b %b %d" % (what, value, life_ms)
            request = Request(RUN, 0, 2, b"", b"", pack_keys([KEY]), b"", command)
            token, outputs = node.replica.forward(request, self.world.time_of(node))
            self.world.carry(node, outputs)
            self.until(partial(node.decided.__contains__, token))
            if node.decided[token] in (ANSWERED, UNKNOWN):
                return node.decided[token], node.replies.get(token, b"")

    def home(self) -> Node:
        numbers = {node.replica.core.me.number: node for node in self.world.nodes}
        return numbers[self.world.nodes[0].replica.core.homes.home_of(slot_of(KEY))]

    def shown(self) -> set[bytes | None]:
        nodes = self.world.nodes
        entries = [node.engine.lookup(0, KEY, self.world.time_of(node).wall_ms) for node in nodes]
        return {None if entry is None else entry.value for entry in entries}

    def cut_off(self, node: Node) -> None:
        others = [other.place for other in self.world.nodes if other is not node]
        self.world.network.cut = {(node.place, one) for one in others} | {(one, node.place) for one in others}


def comes_up(seed: int) -> "set[bytes | None]":
    """What nodes show at the end: nothing, where it is as it should be."""
    enclave = Enclave(seed)
    world, home = enclave.world, enclave.home()
    other = next(node for node in world.nodes if node is not home)
    assert enclave.decide(other, b"nx", b"1", SHORT_MS * 2) == (ANSWERED, b"1")
    assert enclave.decide(home, b"xx", b"2", SHORT_MS * 3) == (ANSWERED, b"1"), "it reigns"
    enclave.cut_off(home)
    assert enclave.decide(home, b"xx", b"lost", LONG_MS)[0] == UNKNOWN
    while enclave.decide(other, b"xx", b"3", SHORT_MS) != (ANSWERED, b"1"):
        pass  # it went to the home that is cut off
    world.run_until(world.now_ms + SHORT_MS * 3)
    assert b"3" not in enclave.shown()
    world.network.cut = set()
    world.run_until(world.now_ms + 20_000)
    shown = enclave.shown()
    assert (enclave.decide(other, b"nx", b"4", SHORT_MS) == (ANSWERED, b"1")) == (shown == {None})
    return shown


@pytest.mark.parametrize("seed", range(4))
def test_what_lived_longer_at_a_home_that_was_cut_off_does_not_come_up(seed: int) -> None:
    assert comes_up(seed) == {None}


def test_where_it_is_made_in_one_step_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(majority, "prolonged", lambda before, after: [])
    assert comes_up(0) == {b"lost"}


@pytest.mark.parametrize("seed", range(4))
def test_a_life_is_lengthened_where_a_majority_is_there(seed: int) -> None:
    enclave = Enclave(seed)
    for value in (b"1", b"2", b"3"):
        for node in enclave.world.nodes:
            what = b"nx" if enclave.shown() == {None} else b"xx"
            assert enclave.decide(node, what, value, SHORT_MS * int(value)) == (ANSWERED, b"1")
            entry = node.engine.lookup(0, KEY, enclave.world.time_of(node).wall_ms)
            assert entry is not None and entry.value == value, "one reads one's own writes"
            assert entry.deadline_ms > enclave.world.time_of(node).wall_ms + SHORT_MS * int(value) - 2_000
            enclave.world.run_until(enclave.world.now_ms + 300)
    enclave.world.run_until(enclave.world.now_ms + 1_500)
    assert enclave.shown() == {b"3"} and len(enclave.world.digests()) == 1
