"""How a filter is laid out in records: generations, links, parts and lanes. Arithmetic and bytes only.

A filter remembers an item for a window of time. Time is cut into spans; what is added in a span goes into the
generation of that span, and a generation ends as a whole, so many spans after it began. So nothing has to be taken out
of a filter, and an item is remembered for at least the window and at most one span longer.

    generation   of one span, numbered by time: the same on every node
    link         of a generation: when it is full another one, larger by the expansion, takes what comes next
    part         of a link: some 512 items, which their hash chooses, in one record
    lane         of a part: the record of one node (of one boot of it)

**Nodes merge by OR, without a merge rule for it.** No two nodes write the same record: each has lanes of its own, and
whoever reads takes all lanes of a part together. So two nodes that add at once, or through a cut, end with both their
items.

**A record is small**, since each added item writes one again and sends it to the peers: at an error rate of 1% a part
has 700 bytes. A part is laid out as pybloom-live writes a filter to a file, behind the eight bytes of its score.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log
from struct import Struct
from typing import NamedTuple

from respram.engine.filters import mix, positions
from respram.engine.scores import SCORE, with_score

PART_ITEMS = 512  # average items of a part, in a link of several parts
PART_ROOM = 68  # plus three standard deviations: hardly any of thousands of parts gets more
CAPACITY_MAX = 4 << 20  # items of a generation's first link: 6 MiB at 1%
LINKS_MAX = 8  # links of one generation
EXPANSION_MAX = 32_768  # as in RedisBloom; a link never has more than CAPACITY_MAX items
ERROR_CAP = 0.25  # as in RedisBloom; higher rates count as this one
ERROR_LEAST = 1e-7
# Each link has this fraction of the previous link's error rate, so that their sum stays within the filter's.
TIGHTENING = 0.5
GENERATIONS_MAX = 16  # each generation is asked about each item
SPAN_MS_LEAST = 100
CACHED_MAX = 256  # cached shapes of links
SALT = 0x72657370  # of the positions: an arbitrary number, the same on every node

PART_HEAD = Struct("<dQQQQ")  # error rate, slices, bits per slice, capacity, count: the layout of pybloom-live
BITS_AT = SCORE.size + PART_HEAD.size
FACTS = Struct("<dQIIQ")  # error rate, capacity, expansion, generations, span in milliseconds
FACTS_NAME = b"f"
LANE_NAME = Struct("<cQ")
PART_NAME = Struct("<cQBIQQ")  # generation, link, part, layout, lane
COUNTS = Struct("<QBIII")  # generation, link, items added, items new to the filter, parts made
FACTS_SCORE, LANE_SCORE = -1.0, 0.0  # scores of these two; a part's score is the number of its generation


class ChainLink(NamedTuple):
    parts: int
    items: int  # capacity of the link
    room: int  # items that a part has room for
    error: float
    slices: int
    width: int  # bits of one slice

    @property
    def part_bytes(self) -> int:
        return BITS_AT + (self.slices * self.width + 7) // 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What a filter was made with."""

    error: float = 0.01
    capacity: int = 100
    expansion: int = 2  # 0: the filter does not grow
    generations: int = 2
    span_ms: int = 3_600_000

    def packed(self) -> bytes:
        return with_score(
            FACTS_SCORE, FACTS.pack(self.error, self.capacity, self.expansion, self.generations, self.span_ms)
        )

    @property
    def layout(self) -> int:
        """Parts of filters that were made differently have different names: they are nothing to each other."""
        return _layout(self)

    def generation(self, now_ms: int) -> int:
        return now_ms // self.span_ms

    def ends_ms(self, generation: int) -> int:
        return (generation + self.generations) * self.span_ms

    def living(self, now_ms: int) -> range:
        """The living generations, the newest last."""
        newest = self.generation(now_ms)
        return range(max(0, newest - self.generations + 1), newest + 1)

    def link(self, number: int) -> ChainLink:
        return _link(self, number)

    @property
    def links_max(self) -> int:
        return LINKS_MAX if self.expansion else 1


@lru_cache(maxsize=CACHED_MAX)
def _link(facts: Facts, number: int) -> ChainLink:
    """The error rates of all links and all generations together are at most the filter's."""
    items = min(facts.capacity * max(facts.expansion, 1) ** number, CAPACITY_MAX)
    error = facts.error / facts.generations * (TIGHTENING ** (number + 1) if facts.expansion else 1.0)
    parts = 1 if items <= PART_ITEMS else ceil(items / PART_ITEMS)
    room = items if parts == 1 else PART_ITEMS + PART_ROOM
    slices = ceil(log(1.0 / error, 2))
    return ChainLink(parts, items, room, error, slices, ceil(room * -log(error) / (slices * log(2) ** 2)))


@lru_cache(maxsize=CACHED_MAX)
def _layout(facts: Facts) -> int:
    return mix(hash_of(FACTS.pack(facts.error, facts.capacity, facts.expansion, facts.generations, facts.span_ms)))


def unpacked(value: bytes) -> Facts | None:
    """The facts of a filter. None: the value is none of a filter, since a peer may have sent anything."""
    if len(value) != SCORE.size + FACTS.size:
        return None
    facts = Facts(*FACTS.unpack_from(value, SCORE.size))
    sound = (
        ERROR_LEAST <= facts.error <= ERROR_CAP
        and 1 <= facts.capacity <= CAPACITY_MAX
        and facts.expansion <= EXPANSION_MAX
        and 2 <= facts.generations <= GENERATIONS_MAX
        and facts.span_ms >= SPAN_MS_LEAST
    )
    return facts if sound else None


def hash_of(data: bytes) -> int:
    """The hash of the few bytes that describe a layout."""
    total = len(data)
    for at in range(0, len(data), 8):
        total = mix(total ^ int.from_bytes(data[at : at + 8], "little"))
    return total


def part_of(item: int, link: ChainLink) -> int:
    """The part of an item, chosen by other bits than the positions inside the part."""
    return mix(item + 1 & (1 << 64) - 1) * link.parts >> 64


def mask_of(item: int, link: ChainLink) -> int:
    mask = bytearray(link.part_bytes - BITS_AT)
    for place in positions(item, SALT, link.slices, link.width):
        mask[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(mask, "little")


def part_name(generation: int, link: int, part: int, layout: int, lane: int) -> bytes:
    return PART_NAME.pack(b"p", generation, link, part, layout, lane)


def lane_name(lane: int) -> bytes:
    return LANE_NAME.pack(b"l", lane)


def lane_of(name: bytes) -> int | None:
    return LANE_NAME.unpack(name)[1] if len(name) == LANE_NAME.size and name[:1] == b"l" else None


class Counts(NamedTuple):
    put: int = 0
    new: int = 0
    parts: int = 0


Lane = dict[tuple[int, int], Counts]  # by generation and link


def lane_from(value: bytes) -> Lane:
    """What a lane has put where; b"" and nonsense: nothing."""
    body = value[SCORE.size :]
    if len(body) % COUNTS.size:
        return {}
    return {(generation, link): Counts(*counts) for generation, link, *counts in COUNTS.iter_unpack(body)}


def lane_packed(lane: Lane) -> bytes:
    return with_score(LANE_SCORE, b"".join(COUNTS.pack(*place, *counts) for place, counts in sorted(lane.items())))


def part_bits(value: bytes, link: ChainLink) -> int:
    """The bits of a part as one integer; 0 if the value is no part of this link."""
    return int.from_bytes(value[BITS_AT:], "little") if len(value) == link.part_bytes else 0


def part_packed(generation: int, link: ChainLink, bits: int, count: int) -> bytes:
    head = PART_HEAD.pack(link.error, link.slices, link.width, link.room, min(count, link.room))
    return with_score(generation + 0.0, head + bits.to_bytes(link.part_bytes - BITS_AT, "little"))


def part_count(value: bytes) -> int:
    count: int = PART_HEAD.unpack_from(value, SCORE.size)[4]
    return count
