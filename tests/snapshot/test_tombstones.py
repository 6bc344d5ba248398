"""A key that was destroyed stays destroyed, whoever was cut off, crashed or came back in whatever order; and a key that
its owner did not destroy opens its segment, whatever a hostile member says.
"""

from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from respram.gossip.policy import Policy
from respram.gossip.segment_keys import SegmentKeySharing
from respram.snapshot.keys import (
    MADE_HERE,
    NO_COMMITMENT,
    TOMBSTONES_MAX,
    SegmentKey,
    SegmentKeys,
    Tombstone,
    commitment_to,
    hash_of,
    pack,
    segment_key,
    tombstone_of,
    unpack,
    unpack_tombstones,
)
from respram.wire.messages import Keys

END_MS = 1_000_000
COUNT = 4


def made(number: int, end_ms: int = END_MS) -> tuple[SegmentKey, bytes]:
    """A key with the proof of its owner."""
    key, proof = b"%032d" % number, b"proof %026d" % number
    return segment_key(end_ms, key, commitment_to(proof)), proof


class Enclave:
    """Real handovers, linked in pairs; a message is there at once where the link is. One more node is hostile: it hears
    of every key, and says of it what it can think of.
    """

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.cut: set[frozenset[int]] = set()
        self.nodes = [self._node(number) for number in range(COUNT)]
        self.made: dict[bytes, int] = {}  # id to owner
        self.disks: dict[bytes, bytes] = {}  # id to the proof in the segment's header, which a crash leaves there
        self.held: dict[bytes, set[int]] = {}  # id to the nodes that heard of the key, and did not crash since
        self.destroyed: dict[bytes, set[int]] = {}  # id to the nodes that have heard of it, and did not crash since
        self.heard: list[SegmentKey] = []  # by the hostile member
        self.forged = 0

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
            if entry.id in self.held:
                self.held[entry.id].add(receiver)
        for tombstone in unpack_tombstones(message.dropped):
            if tombstone.id in self.destroyed:
                self.destroyed[tombstone.id].add(receiver)
        self.say(sender, receiver, message)

    def say(self, sender: int, receiver: int, message: Keys) -> None:
        link = SimpleNamespace(id=sender, same_enclave=True, peer=SimpleNamespace(number=sender + 1))
        self.nodes[receiver].receive(cast(Any, link), message)

    def meet(self, one: int, other: int) -> None:
        for here, there in ((one, other), (other, one)):
            self.nodes[here].linked(cast(Any, SimpleNamespace(id=there, same_enclave=True)))

    # -- what happens -------------------------------------------------------------------------------
    def make(self) -> None:
        owner, key, proof = self.rng.randrange(COUNT), self.rng.randbytes(32), self.rng.randbytes(32)
        entry = segment_key(END_MS, key, commitment_to(proof))
        self.made[entry.id], self.disks[entry.id], self.held[entry.id] = owner, proof, {owner}
        self.nodes[owner].keys.add(entry, MADE_HERE)
        self.nodes[owner].share([entry], [])
        self.heard.append(entry)

    def destroy(self) -> None:
        living = [id for id, owner in self.made.items() if id not in self.destroyed and self.nodes[owner].keys.get(id)]
        if living:
            id = self.rng.choice(living)
            owner = self.made[id]
            tombstone = self.nodes[owner].keys.drop(id, self.disks[id])
            assert tombstone is not None
            self.destroyed[id] = {owner}
            self.nodes[owner].share([], [tombstone])

    def forge(self) -> None:
        """All that a member can say of a key without its owner's proof."""
        for entry in self.rng.sample(self.heard, min(3, len(self.heard))):
            key, hashed, rng = bytes(entry.key), hash_of(entry.key), self.rng
            guesses = (rng.randbytes(32), bytes(32), entry.commitment, key, hashed)
            wrong = [tombstone_of(END_MS, hashed, guess) for guess in guesses]
            wrong += [
                tombstone_of(END_MS, rng.choice((key, bytes(32), entry.commitment)), rng.randbytes(32)),
                Tombstone(entry.id, END_MS, hashed, rng.randbytes(32)),  # the id does not travel
            ]
            soon = [
                segment_key(1, key, entry.commitment), segment_key(END_MS - 1, key, entry.commitment),
                segment_key(END_MS, rng.randbytes(32), entry.commitment), segment_key(END_MS, key, rng.randbytes(32)),
                segment_key(END_MS, key, NO_COMMITMENT),
            ]  # fmt: skip
            for receiver in range(COUNT):
                self.say(COUNT, receiver, Keys(pack(soon), pack(wrong)))
                if rng.random() < 0.2:
                    self.say(COUNT, receiver, Keys(pack([entry]), b""))  # it hands back what was destroyed
                self.forged += 1

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
        for heard in (*self.destroyed.values(), *self.held.values()):
            heard.discard(number)
        for other in range(COUNT):
            if self.linked(number, other):
                self.meet(number, other)

    def check(self) -> None:
        for id, heard in self.destroyed.items():
            for number in heard:
                assert self.nodes[number].keys.get(id) is None, "who heard that a key is destroyed holds it again"
        for node in self.nodes:
            assert all(one.end_ms == END_MS for one in node.keys.shared() if one.id in self.made), "another end is told"
        for id, holders in self.held.items():
            for number in holders if id not in self.destroyed else ():
                assert self.nodes[number].keys.get(id) is not None, "a key is gone, and its owner did not destroy it"


@pytest.mark.parametrize("seed", range(60))
def test_no_destroyed_key_comes_back_in_any_order_of_cuts_crashes_and_returns(seed: int) -> None:
    enclave = Enclave(Random(seed))
    for _ in range(150):
        enclave.rng.choice(
            [enclave.make] * 2 + [enclave.destroy] * 2 + [enclave.part, enclave.heal, enclave.crash, enclave.forge]
        )()
        enclave.check()
    while enclave.cut:
        enclave.heal()
    for _ in range(3):
        enclave.make()
    enclave.forge()
    enclave.check()
    known = [id for id, heard in enclave.destroyed.items() if heard]
    assert known and enclave.forged, "nothing was destroyed or forged: the run says nothing"
    living = [id for id, holders in enclave.held.items() if holders and id not in enclave.destroyed]
    assert living and all(enclave.nodes[enclave.made[id]].keys.get(id) for id in living), "an owner lacks its key"
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


def test_an_owner_that_restarts_destroys_what_it_finds_on_its_disk_everywhere() -> None:
    enclave = Enclave(Random(2))
    enclave.make()
    ((id, owner),) = enclave.made.items()
    enclave.nodes[owner] = enclave._node(owner)
    for number in range(COUNT):
        if number != owner:
            enclave.meet(owner, number)
    assert enclave.nodes[owner].keys.get(id) is not None, "its peers have given it back"
    enclave.destroy()
    assert all(node.keys.get(id) is None for node in enclave.nodes)


def test_a_tombstone_with_a_wrong_proof_has_another_id_and_so_has_a_key_with_another_end() -> None:
    entry, proof = made(1)
    real = tombstone_of(entry.end_ms, hash_of(entry.key), proof)
    assert real.id == entry.id and len(entry.id) == 16
    assert unpack(pack([entry])) == [entry] and unpack_tombstones(pack([real])) == [real]
    for other in (
        tombstone_of(entry.end_ms + 1, hash_of(entry.key), proof), tombstone_of(entry.end_ms, bytes(32), proof),
        tombstone_of(entry.end_ms, hash_of(entry.key), entry.commitment),
        segment_key(entry.end_ms - 1, entry.key, entry.commitment),
        segment_key(entry.end_ms, entry.key, bytes(31) + b"1"),
    ):  # fmt: skip
        assert other.id != entry.id
    keys = SegmentKeys()
    assert keys.add(entry, 7)
    assert keys.drop(entry.id, b"x" * 32) is None and keys.get(entry.id) is None and not keys.has_tombstones


def test_a_key_that_was_made_here_outlives_even_the_proof_from_a_peer() -> None:
    """Its proof lies on this node's disk, and a member may have read that."""
    keys, (entry, proof) = SegmentKeys(), made(1)
    real = tombstone_of(entry.end_ms, hash_of(entry.key), proof)
    assert keys.add(entry, MADE_HERE) and not keys.bury(real, 7) and keys.get(entry.id) == entry.key
    assert keys.drop(entry.id, proof) == real and not keys.add(entry, 7)


def test_tombstones_end_with_their_buckets_and_are_bounded() -> None:
    keys, all_made = SegmentKeys(tombstones_max=3), [made(number, 1_000 + number) for number in range(10)]
    for entry, proof in all_made:
        keys.add(entry)
        assert keys.drop(entry.id, proof)
    assert [one.id for one in keys.tombstones()] == [entry.id for entry, _ in all_made[7:]] and TOMBSTONES_MAX
    assert not keys.add(all_made[9][0])
    assert keys.add(all_made[1][0])
    keys.expire(1_008)
    assert [one.end_ms for one in keys.tombstones()] == [1_009]
