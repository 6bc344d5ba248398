"""Seal keys between nodes: before the records, to the own enclave alone, asked for when they are missing."""

import os
from collections import deque
from random import Random

import pytest

from respram.engine import make
from respram.gossip.core import Core
from respram.gossip.effects import Hangup, Report, Send
from respram.gossip.members import Member
from respram.gossip.policy import Policy
from respram.gossip.seals import ASK_MS
from respram.gossip.timers import Now
from respram.replica import Output, Replica, Write
from respram.seal import KEY_BYTES, RING_BYTES, Ring
from respram.sim.world import EPOCH_MS, IDS_KEY, settings
from respram.wire.codec import decode, encode
from respram.wire.messages import Push, Seals

from .rig import Bench, member

OTHER = 0x200


def new_ring(made_ms: int = EPOCH_MS) -> Ring:
    return Ring(bytearray(RING_BYTES), os.urandom(KEY_BYTES), made_ms)


def bench_with(ring: Ring) -> Bench:
    bench = Bench(Policy(), seed=1)
    bench.core.seals.keyring = ring
    return bench


def sent(bench: Bench) -> list[Seals]:
    return bench.sent(Seals)


def test_a_neighbour_of_the_enclave_is_told_of_keys_in_use_at_once_and_others_never() -> None:
    ring = new_ring()
    bench = bench_with(ring)
    bench.meet(1, member(OTHER))
    assert sent(bench) == []  # none is in use
    ring.take()
    bench.meet(2, member(OTHER + 1))
    assert [one.keys for one in sent(bench)] == [ring.export()] * 2  # the one who was there, the one who came
    bench.forget()
    bench.meet(3, member(OTHER + 2, enclave=b"elsewhere"))
    assert sent(bench) == []
    bench.say(3, Seals(0, new_ring().export()))
    assert any(isinstance(one, Hangup) for one in bench.effects)


def test_a_key_goes_out_before_the_first_record_that_is_sealed_with_it() -> None:
    ring = new_ring()
    bench = bench_with(ring)
    bench.meet(1, member(OTHER))
    bench.forget()
    ring.take()
    bench.take(bench.core.wrote(b"records", bench.now))
    kinds = [type(one.message) for one in bench.effects if isinstance(one, Send)]
    assert kinds.index(Seals) < kinds.index(Push)
    bench.forget()
    bench.take(bench.core.wrote(b"more", bench.now))
    assert sent(bench) == []


def test_what_is_learnt_is_told_on_and_what_is_known_is_not() -> None:
    ring, foreign = new_ring(), new_ring()
    foreign.take()
    bench = bench_with(ring)
    bench.meet(1, member(OTHER))
    bench.meet(2, member(OTHER + 1))
    bench.forget()
    bench.say(1, Seals(0, foreign.export()))
    assert [one.keys for one in sent(bench)] == [foreign.export()] * 2
    assert any(isinstance(one, Report) and one.event == "seal_keys" for one in bench.effects)
    bench.forget()
    bench.say(2, Seals(0, foreign.export()))
    assert bench.effects == []


def test_who_asks_is_answered_and_who_misses_keys_asks_now_and_then() -> None:
    ring = new_ring()
    ring.take()
    bench = bench_with(ring)
    bench.meet(1, member(OTHER))
    bench.forget()
    bench.say(1, Seals(1, b""))
    assert sent(bench) == [Seals(0, ring.export())]
    bench.forget()
    for _ in range(5):
        bench.take(bench.core.lacks_keys(1, bench.now))
    assert sent(bench) == [Seals(1, ring.export())]
    bench.ms += ASK_MS
    bench.take(bench.core.lacks_keys(1, bench.now))
    assert len(sent(bench)) == 2


def test_keys_that_cannot_be_read_end_the_link() -> None:
    bench = bench_with(new_ring())
    bench.meet(1, member(OTHER))
    bench.say(1, Seals(0, b"x" * 39))
    assert any(isinstance(one, Hangup) for one in bench.effects)


def test_the_message_survives_the_wire_and_shows_no_key() -> None:
    ring = new_ring()
    ring.take()
    message = Seals(1, ring.export())
    assert decode([b"SEALS", b"1", message.keys]) == message and message.keys in encode(message)
    assert repr(message) == "Seals(asks=1)"


def test_a_node_without_keys_passes_them_over() -> None:
    bench = Bench(Policy(), seed=1)
    bench.meet(1, member(OTHER))
    bench.forget()
    bench.say(1, Seals(1, new_ring().export()))
    assert bench.effects == []


# -- whole replicas -----------------------------------------------------------------------------------
class Enclave:
    """Replicas with engines of any kind, in a line: each has a link to the next."""

    def __init__(self, *kinds: tuple[str, bool]) -> None:
        self.ms = 0
        self.rings = [new_ring(EPOCH_MS - number) for number, _ in enumerate(kinds)]
        self.replicas = [self._replica(number, *kind) for number, kind in enumerate(kinds)]
        self.todo: deque[tuple[int, int, bytes]] = deque()
        self.wire: list[bytes] = []
        for left in range(len(kinds) - 1):
            self.link(left, left + 1)

    def _replica(self, number: int, engine_name: str, seals: bool) -> Replica:
        engine = make(engine_name, settings(number + 1, 0))
        engine.track(IDS_KEY)
        engine.use_seals(self.rings[number], seals)
        me = Member(number + 1, b"main", b"host-%d:1" % number)
        replica = Replica(engine, Core(me, Policy(), engine, Random(number), keyring=self.rings[number]), 16 << 20)
        replica.start(self.now())
        return replica

    def now(self) -> Now:
        return Now(self.ms, EPOCH_MS + self.ms)

    def link(self, one: int, other: int) -> None:
        """A link has the number of the replica at its other end."""
        self.carry(one, self.replicas[one].opened(other, b"host-%d:1" % other, self.now()))
        self.carry(other, self.replicas[other].opened(one, b"", self.now()))
        self.settle()

    def carry(self, end: int, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Write):
                self.wire.append(output.data)
                self.todo.append((end, output.link, output.data))

    def settle(self, for_ms: int = 0) -> None:
        for _ in range(for_ms + 1):
            while self.todo:
                sender, receiver, data = self.todo.popleft()
                self.carry(receiver, self.replicas[receiver].received(sender, data, self.now()))
            for number, replica in enumerate(self.replicas):
                due_ms = replica.next_deadline()
                if due_ms is not None and due_ms <= self.ms:
                    self.carry(number, replica.tick(self.now()))
            self.ms += bool(for_ms)

    def write(self, number: int, key: bytes, value: bytes) -> None:
        now = self.now()
        self.replicas[number].engine.store(0, key, value, now.wall_ms + 60_000, False, now.wall_ms, b"set")
        self.carry(number, self.replicas[number].wrote(now))

    def read(self, number: int, key: bytes) -> bytes | None:
        entry = self.replicas[number].engine.lookup(0, key, self.now().wall_ms)
        return entry and entry.value


MIXED = (("pure", True), ("native", True), ("pure", False))


@pytest.mark.parametrize("kinds", [MIXED, MIXED[::-1], (("native", True),) * 3], ids=("mixed", "reversed", "native"))
def test_a_mixed_enclave_reads_everything_and_agrees(kinds: tuple[tuple[str, bool], ...]) -> None:
    enclave = Enclave(*kinds)
    for number in range(3):
        for count in range(10):
            enclave.write(number, b"k%d-%d" % (number, count), b"MARK-%d-%d" % (number, count))
    enclave.settle(8_000)
    for number in range(3):
        for writer in range(3):
            for count in range(10):
                assert enclave.read(number, b"k%d-%d" % (writer, count)) == b"MARK-%d-%d" % (writer, count)
    assert len({replica.digest(enclave.now()) for replica in enclave.replicas}) == 1
    assert len({ring.current for ring in enclave.rings}) == 1
    for number in range(3):
        plain = any(b"MARK-%d-" % number in data for data in enclave.wire)
        assert plain is not kinds[number][1]
    assert all(replica.refused_records == 0 for replica in enclave.replicas)


def test_two_halves_with_keys_of_their_own_meet_and_seal_alike_from_then_on() -> None:
    enclave = Enclave(("native", True))
    other = Enclave(("pure", True))
    enclave.write(0, b"one", b"from one")
    other.write(0, b"two", b"from two")
    keys = {enclave.rings[0].current, other.rings[0].current}
    assert len(keys) == 2
    joined = Enclave(("native", True), ("pure", True))
    joined.write(0, b"one", b"from one")
    joined.write(1, b"two", b"from two")
    joined.settle(50)
    assert len(joined.rings[0]) == len(joined.rings[1]) == 2 and joined.rings[0].current == joined.rings[1].current
    assert joined.read(1, b"one") == b"from one" and joined.read(0, b"two") == b"from two"


def test_a_forgotten_key_is_asked_for_and_the_record_comes_again() -> None:
    enclave = Enclave(("pure", True), ("native", True))
    forgetful = enclave.rings[1]
    enclave.write(0, b"first", b"v")
    enclave.settle(50)
    key = enclave.rings[0].current
    assert forgetful.find(key) is not None
    newer = new_ring(EPOCH_MS + 1)
    newer.take()
    # it rules from now on, but node 0 has a pad of the first key left
    enclave.rings[0].learn(newer.export(), EPOCH_MS + 50)
    enclave.settle(3_000)
    assert forgetful.current == newer.current != key
    enclave.replicas[1].engine.expire(EPOCH_MS + 100_000, 1_000)
    assert forgetful.forget(set(), EPOCH_MS + 10_000_000) == 1
    enclave.replicas[1].engine.seal_keys()
    enclave.write(0, b"second", b"w")
    enclave.settle(10_000)
    assert enclave.replicas[1].refused_records > 0
    assert enclave.read(1, b"second") == b"w" and forgetful.find(key) is not None


def test_the_pieces_above_are_not_sealed_by_accident() -> None:
    """Without keys the markers are on the wire: so their absence means something."""
    enclave = Enclave(("pure", False), ("pure", False))
    enclave.write(0, b"k", b"MARK-plain")
    enclave.settle(50)
    assert any(b"MARK-plain" in data for data in enclave.wire)
    assert not any(b"SEALS" in data for data in enclave.wire)
