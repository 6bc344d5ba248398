"""Homes: which member decides about a slot, so that no two do.

Every slot has one *home* among the members of the enclave that are proven (witnesses.py), ready and not suspected, as
this node sees them: the one with the highest score. A member's scores are a stream of random-looking numbers, made
from nothing but its own number; so every node computes the same map by itself, and a member that comes or goes moves
its own share and nothing else (rendezvous hashing). A member of weight n draws n streams and counts its best: it gets n
shares.

    scores(member, draw) = SHAKE-128(u64 number | u8 draw, little-endian), read as 1,024 u64, little-endian

Each score is that of a block of 16 slots in a row. Cluster clients are told the map as ranges, and read it anew
whenever a node is lost: with a score for each slot, three nodes had 10,900 ranges, which took redis-py 0.4 s; with
these they have 680, and shares differ by 4% instead of 1%.

The map is a table of 16,384 entries. It follows a change of the members within the call in which this node learns of
it: a newcomer costs 0.5 ms, one who leaves 0.1 ms for each who stays; nothing is computed where a key is looked up.
Views differ while news travel. That is the one window in which two may decide, and it is kept small: a home that gains
slots waits for `settle_ms`, which is longer than news and the former home's last records are usually on their way, and
then has the others say so (takeover.py) before it decides about them.

More than HOMES_MAX members: those with the lowest scores of their own numbers are left out, by everybody alike.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, shake_128
from itertools import chain, repeat

from respram.gossip.effects import Host
from respram.gossip.members import ALIVE, AddressBook, Member
from respram.gossip.timers import SlotsSettle
from respram.slots import SLOTS

HOMES_MAX = 64  # members with slots: each is linked to all others, and 256 slots a member are enough
AWAITED = 0xFFFF  # in the table of slots: owned by this node, and not settled yet
NOBODY = 0  # no member has this number
BLOCK = 16  # slots in a row that share one score
BLOCKS = SLOTS // BLOCK
_SCORE_BYTES = 8


def scores(number: int, draw: int = 0) -> "array[int]":
    """The scores of a member, one for each block of slots."""
    drawn = array("Q", shake_128(number.to_bytes(8, "little") + bytes((draw,))).digest(BLOCKS * _SCORE_BYTES))
    if BIG_ENDIAN:
        drawn.byteswap()
    return drawn


BIG_ENDIAN = array("H", b"\x01\x00")[0] != 1


def rank(number: int) -> int:
    """The order by which members with slots are chosen if there are too many."""
    return int.from_bytes(blake2b(number.to_bytes(8, "little"), digest_size=8).digest(), "little")


class Map:
    """The home of each slot, among members that are added and removed."""

    def __init__(self) -> None:
        self.members: dict[int, int] = {}  # number to weight
        self.owner = array("Q", bytes(SLOTS * 8))  # by slot; NOBODY: no member
        self._owner = array("Q", bytes(BLOCKS * 8))  # by block, as the next one
        self._best = array("Q", bytes(BLOCKS * 8))

    def change(self, wanted: dict[int, int]) -> bool:
        """Sets the members, and returns whether anything has changed."""
        if wanted == self.members:
            return False
        gone = {number for number, weight in self.members.items() if wanted.get(number) != weight}
        stay = {number: weight for number, weight in self.members.items() if number not in gone}
        if gone:
            freed = [block for block, number in enumerate(self._owner) if number in gone]
            for block in freed:
                self._owner[block], self._best[block] = NOBODY, 0
            for number, weight in stay.items():
                self._give(number, weight, freed)
        for number, weight in wanted.items():
            if number not in stay:
                self._give(number, weight, range(BLOCKS))
        self.members = dict(wanted)
        self.owner = array("Q", chain.from_iterable(map(repeat, self._owner, repeat(BLOCK))))
        return True

    def _give(self, number: int, weight: int, blocks: Sequence[int]) -> None:
        """Gives a member those of the blocks in which its score is higher."""
        owner, best = self._owner, self._best
        for draw in range(weight):
            new = scores(number, draw)
            for block in blocks:
                if new[block] > best[block]:
                    owner[block], best[block] = number, new[block]


@dataclass(slots=True, eq=False)
class Homes:
    """The map as this node sees it. `version` grows with each change of it; `on_change` is called then."""

    host: Host
    book: AddressBook
    counts: Callable[[int], bool]  # whether a member is proven rather than only mentioned (witnesses.py)
    map: Map = field(default_factory=Map)
    version: int = 0
    settling: frozenset[int] = frozenset()  # slots that have just moved to this node
    held: bool = False  # no slot of this node settles: it was stopped, and does not know the consequences yet
    on_change: Callable[[], None] = lambda: None
    # Called when slots have waited long enough; `taken_over` follows.
    on_due: Callable[[int], None] = lambda version: None
    _gained: bool = False  # some of the settling slots belonged to other members
    seen: int = -1  # the book's `changes` when the map was made
    _places: tuple[int, bytes] | None = None  # `table` as bytes, and its version

    # -- for whoever asks -----------------------------------------------------------------------------
    def home_of(self, slot: int) -> int:
        """The member that decides about this slot; NOBODY: nobody is ready."""
        return self.map.owner[slot]

    def member_of(self, slot: int) -> Member | None:
        number = self.map.owner[slot]
        return self.book.get(number) if number != NOBODY else None

    def is_here(self, slot: int) -> bool:
        return self.map.owner[slot] == self.book.me.number

    def is_settled(self, slot: int) -> bool:
        """Whether this node may decide about a slot of its own already."""
        return slot not in self.settling

    def slots_here(self) -> int:
        return self.map.owner.count(self.book.me.number)

    def table(self) -> "array[int] | None":
        """For the engine (api.py, `use_homes`): 0 for what is decided here, AWAITED for what will be; None: all is."""
        if self.host.policy.enclave_size:  # no member decides alone, this one included
            numbers = {number: index for index, number in enumerate(self.map.members, 1)}
            numbers[self.book.me.number] = numbers[NOBODY] = AWAITED
            return array("H", map(numbers.__getitem__, self.map.owner))
        if not self.map.members or (not self.settling and set(self.map.members) == {self.book.me.number}):
            return None
        numbers = {number: index for index, number in enumerate(self.map.members, 1)}
        numbers[self.book.me.number] = 0
        found = array("H", map(numbers.__getitem__, self.map.owner))
        for slot in self.settling:
            found[slot] = AWAITED
        return found

    @property
    def places(self) -> bytes | None:
        """The table, made once for each version."""
        if self._places is None or self._places[0] != self.version:
            table = self.table()
            if table is None:
                return None
            self._places = self.version, table.tobytes()
        return self._places[1]

    def ranges(self) -> list[tuple[int, int, int]]:
        """First slot, last slot, member: what CLUSTER SLOTS tells, in order. Slots without a home are left out."""
        found: list[tuple[int, int, int]] = []
        for slot, number in enumerate(self.map.owner):
            if number == NOBODY:
                continue
            if found and found[-1][2] == number and found[-1][1] == slot - 1:
                found[-1] = (found[-1][0], slot, number)
            else:
                found.append((slot, slot, number))
        return found

    # -- for the core ---------------------------------------------------------------------------------
    def refresh(self) -> None:
        """Updates the map after a possible change of the members; costs one comparison if nothing has changed."""
        if self.book.changes != self.seen:
            self.seen = self.book.changes
            self._remake()

    def _remake(self) -> None:
        me = self.book.me.number
        before, had_any = self.map.owner[:], bool(self.map.members)
        if not self.map.change({number: self.book[number].weight for number in self._eligible()}):
            return
        self.version += 1
        gained = {slot for slot, (old, new) in enumerate(zip(before, self.map.owner, strict=True)) if new == me != old}
        settling = gained | self.settling if had_any or self.held else set()
        self.settling = frozenset(slot for slot in settling if self.map.owner[slot] == me)
        self._gained = bool(self.settling) and (self._gained or bool(gained))
        if self.settling:
            self.host.at(self.host.now.ms + self.host.policy.settle_ms, SlotsSettle(self.version))
        self.on_change()

    def hold(self) -> None:
        """Stops all decisions about this node's slots, here and elsewhere, until `release`."""
        self.held = True
        self.settling = frozenset(slot for slot, number in enumerate(self.map.owner) if number == self.book.me.number)
        self.version += 1
        self.on_change()

    def release(self) -> None:
        """What came to this node meanwhile waits its time like anything else."""
        if self.held:
            self.held = False
            self.version += 1
            self.host.at(
                self.host.now.ms + (self.host.policy.settle_ms if self._gained else 0), SlotsSettle(self.version)
            )
            self.on_change()

    def settle(self, version: int) -> None:
        if version == self.version and self.settling and not self.held:
            if self._gained:
                self.on_due(version)
            else:
                self._settle()

    def taken_over(self, version: int) -> None:
        """Notes that all other members have confirmed that they do not decide about these slots, or have had their time
        to."""
        if version == self.version and self.settling and not self.held:
            self._settle()

    def _settle(self) -> None:
        self.settling, self._gained = frozenset(), False
        self.version += 1
        self.on_change()

    def _eligible(self) -> Iterable[int]:
        book = self.book
        mine = [book.me.number] if book.me.ready else []
        others = [
            number
            for number in book.enclave
            if (one := book.members[number]).ready and one.status == ALIVE and self.counts(number)
        ]
        everybody = mine + others
        # Where a majority decides, a member without a vote decides nothing: its slots would wait until it has one.
        everybody = [number for number in everybody if book[number].votes] or everybody
        return everybody if len(everybody) <= HOMES_MAX else sorted(everybody, key=rank)[:HOMES_MAX]
