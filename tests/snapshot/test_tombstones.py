"""A key that was destroyed stays destroyed: whoever was cut off, crashed or came back in whatever order."""

from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from respram.gossip.policy import Policy
from respram.gossip.segment_keys import SegmentKeySharing
from respram.snapshot.keys import HERE, NO_KEY, TOMBSTONES_MAX, SegmentKey, SegmentKeys, id_of, pack, unpack
from respram.wire.messages import Keys

END_MS = 1_000_000
COUNT = 4


class Enclave:
    """Real handovers, linked in pairs; a message is there at once where the link is."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.cut: set[frozenset[int]] = set()
        self.nodes = [self._node(number) for number in range(COUNT)]
        self.made: dict[bytes, int] = {}  # id to owner
        self.destroyed: dict[bytes, set[int]] = {}  # id to the nodes that have heard of it, and did not crash since

    def _node(self, number: int) -> SegmentKeySharing:
        def greeted() -> list[object]:
            return [SimpleNamespace(id=other, same_enclave=True) for other in range(COUNT)
                    if self.linked(number, other)]

        host = SimpleNamespace(
            now=SimpleNamespace(ms=0, wall_ms=0), policy=Policy(direct_peers_max=10, keys_ms=1000),
            at=lambda *_: None, send=lambda other, message: self._deliver(number, other, message),
        )  # fmt: skip
        return SegmentKeySharing(
            cast(Any, host), cast(Any, SimpleNamespace(enclave={})), cast(Any, SimpleNamespace(greeted=greeted))
        )

    def linked(self, one: int, other: int) -> bool:
        return one != other and frozenset((one, other)) not in self.cut

    def _deliver(self, sender: int, receiver: int, message: Keys) -> None:
        for entry in unpack(message.entries):
            if entry.key == NO_KEY and entry.id in self.destroyed:
                self.destroyed[entry.id].add(receiver)
        self.nodes[receiver].receive(
            cast(Any, SimpleNamespace(id=sender, same_enclave=True, peer=SimpleNamespace(number=sender + 1))), message
        )

    def meet(self, one: int, other: int) -> None:
        for here, there in ((one, other), (other, one)):
            self.nodes[here].linked(cast(Any, SimpleNamespace(id=there, same_enclave=True)))

    # -- what happens -------------------------------------------------------------------------------
    def make(self) -> None:
        owner, key = self.rng.randrange(COUNT), self.rng.randbytes(32)
        id = id_of(key)
        entry = SegmentKey(id, END_MS, key)
        self.made[id] = owner
        self.nodes[owner].keys.add(entry)
        self.nodes[owner].share([entry], [])

    def destroy(self) -> None:
        living = [id for id, owner in self.made.items() if id not in self.destroyed and self.nodes[owner].keys.get(id)]
        if living:
            id = self.rng.choice(living)
            owner = self.made[id]
            self.destroyed[id] = {owner}
            self.nodes[owner].keys.drop(id)
            self.nodes[owner].share([], [id])

    def part(self) -> None:
        self.cut.add(frozenset(self.rng.sample(range(COUNT), 2)))

    def heal(self) -> None:
        if self.cut:
            pair = self.rng.choice(sorted(self.cut, key=sorted))
            self.cut.discard(pair)
            self.meet(*pair)

    def crash(self) -> None:
        """It comes back with nothing, and meets whom it can reach."""
        number = self.rng.randrange(COUNT)
        self.nodes[number] = self._node(number)
        for heard in self.destroyed.values():
            heard.discard(number)
        for other in range(COUNT):
            if self.linked(number, other):
                self.meet(number, other)

    def check(self) -> None:
        for id, heard in self.destroyed.items():
            for number in heard:
                assert self.nodes[number].keys.get(id) is None, "who heard that a key is destroyed holds it again"


@pytest.mark.parametrize("seed", range(60))
def test_no_destroyed_key_comes_back_in_any_order_of_cuts_crashes_and_returns(seed: int) -> None:
    enclave = Enclave(Random(seed))
    for _ in range(150):
        enclave.rng.choice(
            (enclave.make, enclave.make, enclave.destroy, enclave.destroy, enclave.part, enclave.heal, enclave.crash)
        )()
        enclave.check()
    while enclave.cut:
        enclave.heal()
    enclave.check()
    known = [id for id, heard in enclave.destroyed.items() if heard]
    assert known, "nothing was destroyed: the run says nothing"
    assert not any(node.keys.get(id) for id in known for node in enclave.nodes), "all met, and one still holds it"


def test_the_case_that_was_found_a_peer_hands_back_what_it_missed() -> None:
    enclave = Enclave(Random(1))
    enclave.make()
    ((id, owner),) = enclave.made.items()
    other = (owner + 1) % COUNT
    for number in range(COUNT):
        if number != other:
            enclave.cut.add(frozenset((other, number)))
    enclave.destroy()
    assert enclave.nodes[other].keys.get(id) is not None and enclave.nodes[owner].keys.get(id) is None
    enclave.nodes[owner] = enclave._node(owner)  # killed, and started again: it knows of nothing
    while enclave.cut:
        enclave.heal()
    for number in range(COUNT):
        if number != owner:
            enclave.meet(owner, number)
    assert all(node.keys.get(id) is None for node in enclave.nodes)


def test_tombstones_end_with_their_buckets_and_are_bounded() -> None:
    keys = SegmentKeys(tombstones_max=3)
    for number in range(10):
        keys.add(SegmentKey(b"%016d" % number, 1_000 + number, b"k" * 32))
        assert keys.drop(b"%016d" % number)
    assert [one.id for one in keys.tombstones()] == [b"%016d" % number for number in (7, 8, 9)] and TOMBSTONES_MAX
    assert not keys.add(SegmentKey(b"%016d" % 9, 1_009, b"k" * 32))
    assert keys.add(SegmentKey(b"%016d" % 1, 1_001, b"k" * 32))
    keys.expire(1_008)
    assert [one.end_ms for one in keys.tombstones()] == [1_009]
    assert unpack(pack(keys.tombstones()))[0].is_tombstone


@pytest.mark.parametrize("first", [1, HERE])
def test_a_tombstone_lasts_until_the_latest_end_that_was_told(first: int) -> None:
    """A peer that hears of a key could bury it everywhere with an end that is near, and give it back a second later."""
    keys, entry = SegmentKeys(), SegmentKey(b"1" * 16, END_MS, b"k" * 32)
    soon = SegmentKey(entry.id, 1_000, NO_KEY)
    assert keys.add(entry, 2) and keys.add(soon, first)
    keys.expire(1_000)
    assert not keys.add(entry, 1), "it was held until the end of its bucket"
    keys = SegmentKeys()
    assert keys.add(soon, 1) and keys.add(SegmentKey(entry.id, END_MS, NO_KEY), 2)
    assert not keys.add(soon, 3) and not keys.add(SegmentKey(entry.id, END_MS, NO_KEY), 3), "no news"
    keys.expire(END_MS - 1)
    assert not keys.add(entry, 1) and [one.end_ms for one in keys.tombstones()] == [END_MS]
    keys.expire(END_MS)
    assert not keys.has_tombstones
