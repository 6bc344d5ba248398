"""The address book: every node of the network, of all enclaves, and what is known of it.

An entry is its member's own word: only the member raises `incarnation`, with each change of its role, parent or
readiness, and to deny a rumor that it is suspected or dead. Of two entries the higher incarnation holds, then the worse
status. A node's number is fresh at every boot, so what comes back under an address is a new member.

A liar that could raise an incarnation at will could use the numbers up: then nothing that the member says would outrank
the lie. So hearsay may exceed the known incarnation by INCARNATION_LEAD_MAX, and by one more for each second since; a
higher one is ignored and counted. At that pace the numbers last for 68 years. What a member says of itself, on its own
link, overrides hearsay that is implausibly far ahead.

Packed: u64 number | u32 incarnation | u8 status (bits 0-1), READY (bit 2), CLIENTS (bit 3), weight - 1 (bits 4-6),
VOTELESS (bit 7) | u8 role | u64 parent | u8 bytes of enclave | u8 bytes of address | enclave | address; with CLIENTS,
then u8 bytes | where clients find it: `host:port` or `host:port/port with TLS`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from struct import Struct

from respram.engine.ids import M64, SPREAD, keyed_hash
from respram.errors import PeerError

ALIVE, SUSPECT, DEAD, LEFT = range(4)
STATUS_BITS, READY_BIT, CLIENTS_BIT, VOTELESS_BIT = 3, 4, 8, 128
WEIGHT_SHIFT, WEIGHT_BITS = 4, 7
LEAF, BRANCH, TRUNK, ROOT = range(4)
ROLES = ("leaf", "branch", "trunk", "root")

INCARNATION_MAX = (1 << 31) - 1  # half of the range, which no honest node reaches
INCARNATION_LEAD_MAX = 1_024  # changes of one member that this node may have missed; one more for each second

STRANGERS_MAX = 1_024  # proven members without an entry: the proof arrived before the entry

BUCKETS = 64  # of the book, by number: their sums show the difference of two books without sending them
EVERY_BUCKET = M64

_ENTRY = Struct("<QIBBQBB")
_SUMS = Struct(f"<{BUCKETS}Q")
SUMS_BYTES = _SUMS.size


@dataclass(frozen=True, slots=True)
class Member:
    number: int
    enclave: bytes
    address: bytes
    incarnation: int = 1
    status: int = ALIVE
    ready: bool = False
    role: int = LEAF
    parent: int = 0  # 0: none
    clients: bytes = b""  # address for cluster clients; b"": none is announced
    weight: int = 1  # share of the slots (homes.py)
    votes: bool = True  # False where a majority decides and this member has no vote yet (suffrage.py)

    @property
    def is_alive(self) -> bool:
        """Whether the member counts as alive. Suspected members do, since they can still deny it."""
        return self.status <= SUSPECT


def pack_member(member: Member) -> bytes:
    flags = member.status | (READY_BIT if member.ready else 0) | (CLIENTS_BIT if member.clients else 0)
    flags |= 0 if member.votes else VOTELESS_BIT
    head = _ENTRY.pack(
        member.number, member.incarnation, flags | (member.weight - 1) << WEIGHT_SHIFT, member.role, member.parent,
        len(member.enclave), len(member.address),
    )  # fmt: skip
    packed = head + member.enclave + member.address
    return packed + bytes((len(member.clients),)) + member.clients if member.clients else packed


def unpack_members(payload: bytes) -> Iterator[Member]:
    """Raises PeerError where a length runs past the end or a field cannot be."""
    at = 0
    while at < len(payload):
        if len(payload) - at < _ENTRY.size:
            raise PeerError("member entry cut short")
        number, incarnation, flags, role, parent, enclave_bytes, address_bytes = _ENTRY.unpack_from(payload, at)
        at += _ENTRY.size
        end = at + enclave_bytes + address_bytes
        if end > len(payload):
            raise PeerError("member entry cut short")
        if (
            role > ROOT
            or not number
            or not enclave_bytes
            or not address_bytes
        ):
            raise PeerError("member entry out of range")
        if incarnation > INCARNATION_MAX:
            raise PeerError("incarnation out of range")
        enclave, address = payload[at : at + enclave_bytes], payload[at + enclave_bytes : end]
        at, clients = end, b""
        if flags & CLIENTS_BIT:
            at = end + 1 + (payload[end] if end < len(payload) else 0)
            clients = payload[end + 1 : at]
            if at > len(payload) or not clients:
                raise PeerError("member entry cut short")
        yield Member(
            number, enclave, address, incarnation, flags & STATUS_BITS, bool(flags & READY_BIT), role, parent, clients,
            (flags >> WEIGHT_SHIFT & WEIGHT_BITS) + 1, not flags & VOTELESS_BIT,
        )  # fmt: skip


def outranks(new: Member, old: Member) -> bool:
    return (new.incarnation, new.status) > (old.incarnation, old.status)


class AddressBook:
    """All members but this node, which keeps its own entry in `me`."""

    def __init__(self, me: Member, members_max: int, news_per_message: int) -> None:
        self.me = me
        self.members: dict[int, Member] = {}  # by number, in the order of arrival
        self.ended_ms: dict[int, int] = {}  # when it died or left
        self.sum = 0  # over all members that are alive, with this node: equal books have equal sums
        self.sums = [0] * BUCKETS
        self.at_address: dict[bytes, dict[int, None]] = {}  # members that are alive at an address
        self.alive: dict[int, None] = {}  # other members that are alive, by number
        self.enclave: dict[int, None] = {}  # other members of this node's enclave that are alive
        self.children_of: dict[int, int] = {}  # parent to the number of its children
        self.denied_ms: int | None = None  # when this node last denied that it is suspected or dead
        self.implausible = 0  # entries ignored because their incarnation is too far ahead
        self._known: dict[int, tuple[int, int]] = {}  # number to an accepted incarnation, and when
        # Members of the enclave, by number, that were met or are vouched for (witnesses.py).
        self.proven: dict[int, None] = {}
        self.changes = 0  # counts changes of entries, for caches of what is derived from them
        self._news: dict[int, int] = {}  # number to how often it was told
        self._members_max = members_max
        self._news_per_message = news_per_message
        self._tally(me, 1)

    def __getitem__(self, number: int) -> Member:
        return self.me if number == self.me.number else self.members[number]

    def get(self, number: int) -> Member | None:
        return self.me if number == self.me.number else self.members.get(number)

    def set_me(self, **changes: object) -> None:
        """Changes this node's own entry, under the next incarnation."""
        self._tally(self.me, -1)
        self.me = replace(self.me, incarnation=min(self.me.incarnation + 1, INCARNATION_MAX), **changes)  # type: ignore[arg-type]
        self._tally(self.me, 1)
        self.changes += 1
        self._news[self.me.number] = 0

    def learn(self, member: Member, now_ms: int, own_word: bool = False) -> Member | None:
        """Stores an entry if it is new, and returns the old entry together with the new one.

        None: nothing new, implausible, or no room. A rumor about this node itself is denied by a higher incarnation.
        `own_word`: the member itself says so.
        """
        if member.number == self.me.number:
            if (
                member.incarnation >= self.me.incarnation
                and outranks(member, self.me)
                and self._is_plausible(member, now_ms)
            ):
                self._tally(self.me, -1)
                self.me = replace(self.me, incarnation=member.incarnation)
                self._tally(self.me, 1)
                self.set_me()
                self.denied_ms = now_ms
            return None
        old = self.members.get(member.number)
        was_deceived = own_word and old is not None and old.incarnation > member.incarnation + INCARNATION_LEAD_MAX
        if old is not None and not was_deceived and not outranks(member, old):
            return None
        if own_word:
            self._known.pop(member.number, None)
        if not self._is_plausible(member, now_ms):
            return None
        if old is None and not member.is_alive:
            return None  # a dead member that this node never met
        if old is None and len(self.members) >= self._members_max and not self._makes_room(member, own_word):
            return None
        self._known.setdefault(member.number, (member.incarnation, now_ms))
        self._replace(old, member)
        if member.is_alive:
            self.ended_ms.pop(member.number, None)
        else:
            self.ended_ms.setdefault(member.number, now_ms)
        self._news[member.number] = 0
        return member

    def forget_ended(self, before_ms: int) -> None:
        for number in [number for number, ended_ms in self.ended_ms.items() if ended_ms < before_ms]:
            del self.ended_ms[number]
            self._news.pop(number, None)
            self._known.pop(number, None)
            self.proven.pop(number, None)
            self.changes += 1
            del self.members[number]
        if len(self.proven) > len(self.members) + STRANGERS_MAX:
            self.proven = {number: None for number in self.proven if number in self.members}

    def prove(self, number: int) -> bool:
        """Notes that this member is proven, perhaps before its entry comes. False: no room for one more without an
        entry."""
        if number not in self.members and len(self.proven) >= len(self.members) + self._members_max:
            return False
        self.proven[number] = None
        # A member that is not ready decides nothing.
        self.changes += number in self.members and self.members[number].ready
        return True

    def _makes_room(self, member: Member, own_word: bool) -> bool:
        """Makes room in a full book for a proven member, by removing one known only from hearsay."""
        if not own_word and member.number not in self.proven:
            return False
        unproven = next((number for number in self.enclave if number not in self.proven), None)
        if unproven is None:
            return False
        self._tally(self.members.pop(unproven), -1)
        self._news.pop(unproven, None)
        self._known.pop(unproven, None)
        return True

    def _is_plausible(self, member: Member, now_ms: int) -> bool:
        if member.number == self.me.number:
            self._known.setdefault(member.number, (self.me.incarnation, now_ms))
        believed, since_ms = self._known.get(member.number, (member.incarnation, now_ms))
        if member.incarnation <= believed + INCARNATION_LEAD_MAX + (now_ms - since_ms) // 1000:
            return True
        self.implausible += 1
        return False

    def _replace(self, old: Member | None, new: Member) -> None:
        if old is not None:
            self._tally(old, -1)
        self.members[new.number] = new
        self.changes += 1
        self._tally(new, 1)

    def _tally(self, member: Member, sign: int) -> None:
        if not member.is_alive:
            return
        as_alive = member if member.status == ALIVE else replace(member, status=ALIVE)
        weight = sign * keyed_hash(0, pack_member(as_alive))
        self.sum = (self.sum + weight) & M64
        bucket = bucket_of(member.number)
        self.sums[bucket] = (self.sums[bucket] + weight) & M64
        if member.parent:
            self.children_of[member.parent] = self.children_of.get(member.parent, 0) + sign
        if member.number == self.me.number:
            return
        if sign > 0:
            self.at_address.setdefault(member.address, {})[member.number] = None
        else:
            del self.at_address[member.address][member.number]
            if not self.at_address[member.address]:
                del self.at_address[member.address]
        for book in (self.alive, self.enclave) if member.enclave == self.me.enclave else (self.alive,):
            if sign > 0:
                book[member.number] = None
            else:
                del book[member.number]

    def ready_in_enclave(self) -> bool:
        return any(self.members[number].ready for number in self.enclave)

    # -- telling others ---------------------------------------------------------------------------
    def news(self) -> bytes:
        """The entries learnt last, each sent about 3 log(members) times, those sent least often first."""
        if not self._news:
            return b""
        often = 3 * max(len(self.alive), 2).bit_length()
        told = sorted(self._news, key=lambda number: self._news[number])[: self._news_per_message]
        for number in told:
            self._news[number] += 1
            if self._news[number] >= often:
                del self._news[number]
        return pack_all(self[number] for number in told)

    def differing_buckets(self, sums: bytes) -> int:
        """A bit for each bucket whose sum is another there."""
        theirs = _SUMS.unpack(sums)
        return sum(1 << bucket for bucket in range(BUCKETS) if theirs[bucket] != self.sums[bucket])

    def packed_sums(self) -> bytes:
        return _SUMS.pack(*self.sums)

    def of_buckets(self, buckets: int, known: "dict[int, Member] | None" = None) -> bytes:
        """Entries of some buckets, without those of which the other side has a version that is as new."""
        known = known or {}
        return pack_all(
            member
            for member in (self.me, *self.members.values())
            if buckets >> bucket_of(member.number) & 1
            and (member.number not in known or outranks(member, known[member.number]))
        )


def bucket_of(number: int) -> int:
    return (number * SPREAD & M64) >> 58


def pack_all(members: Iterable[Member]) -> bytes:
    return b"".join(map(pack_member, members))
