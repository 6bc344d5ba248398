"""BF.*: Bloom filters whose items expire, with the replies of RedisBloom. windows.py defines their records.

A filter is a sorted set underneath, as a HyperLogLog is a string in Redis: TYPE says so. Its parts have the number of
their generation as score, so lanes and parts are found through the order that there is.

It slides: each time a generation begins the key lives on until that generation ends, so a filter that nobody adds to
ends by itself. EXPIRE gives it a fixed end, after which no item prolongs it.
"""

from dataclasses import dataclass, field

from respram.commands import windows
from respram.commands.access import glance
from respram.commands.node import Conn
from respram.commands.reply import OK, Bool, Error, Named, Reply
from respram.commands.sorted_sets import of_its_type
from respram.commands.texts import WRONG_TYPE, invalid_expire, wrong_arity
from respram.commands.windows import ChainLink, Counts, Facts, Lane
from respram.engine.api import Entry
from respram.errors import ClientError
from respram.integers import parse_double, parse_int
from respram.record import ZSET

NOT_FOUND = ClientError.saying(b"ERR not found")
EXISTS = ClientError.saying(b"ERR item exists")
BAD_RATE = ClientError.saying(b"ERR bad error rate")
RATE_RANGE = ClientError.saying(b"ERR error rate must be in the range (0.000000, 1.000000)")
BAD_CAPACITY = ClientError.saying(b"ERR bad capacity")
CAPACITY_RANGE = ClientError.saying(b"ERR capacity must be in the range [1, %d]" % windows.CAPACITY_MAX)
BAD_EXPANSION = ClientError.saying(b"ERR bad expansion")
EXPANSION_RANGE = ClientError.saying(b"ERR expansion must be in the range [0, %d]" % windows.EXPANSION_MAX)
NO_EXPANSION = ClientError.saying(b"ERR no expansion")
NONSCALING = ClientError.saying(b"ERR Nonscaling filters cannot expand")
UNKNOWN = ClientError.saying(b"ERR Unknown argument received")
BAD_GENERATIONS = ClientError.saying(b"ERR generations must be in the range [2, %d]" % windows.GENERATIONS_MAX)
BAD_INFORMATION = ClientError.saying(b"ERR Invalid information value")
FULL = Error(b"ERR non scaling filter is full")
# An item counts for this many bytes of its command's share: it takes 10 to 30 us. So a command has about 1,000 items.
ITEM_BYTES = 30 << 10


@dataclass(slots=True)
class Filter:
    """A filter as one command sees it."""

    facts: Facts
    layout: int
    lanes: dict[int, Lane]  # lanes of all nodes
    implicit: bool  # it has an implicit deadline, which slides
    deadline_ms: int
    links: dict[int, ChainLink] = field(default_factory=dict)
    parts: dict[tuple[int, int, int], int] = field(default_factory=dict)  # bits of the parts read so far
    # of this node's own lane: bits and count of the parts that this command has changed
    changed: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)
    # of the item at hand: its mask in each link, which is the same in all generations
    item: int = -1
    masks: dict[int, int] = field(default_factory=dict)

    def link(self, number: int) -> ChainLink:
        if number not in self.links:
            self.links[number] = self.facts.link(number)
        return self.links[number]

    def mask(self, item: int, link: int) -> int:
        if item != self.item:
            self.item, self.masks = item, {}
        if link not in self.masks:
            self.masks[link] = windows.mask_of(item, self.link(link))
        return self.masks[link]

    def counted(self, generation: int, link: int) -> Counts:
        found = [lane[generation, link] for lane in self.lanes.values() if (generation, link) in lane]
        return Counts(sum(one.put for one in found), sum(one.new for one in found), sum(one.parts for one in found))

    def links_of(self, generation: int) -> int:
        """How many links of a generation hold items."""
        return 1 + max((link for lane in self.lanes.values() for its, link in lane if its == generation), default=-1)


@dataclass(slots=True)
class Wanted:
    """The parameters of a new filter, from BF.RESERVE or BF.INSERT."""

    error: float = 0.01
    capacity: int = 100
    expansion: int = 2
    named_expansion: bool = False
    nonscaling: bool = False
    create: bool = True
    window_ms: int | None = None
    generations: int = 2


# -- the filter of a key ---------------------------------------------------------------------------------
def _opened(conn: Conn, key: bytes, entry: Entry | None) -> Filter | None:
    if of_its_type(entry) is None or entry is None:
        return None
    engine, db, now_ms = conn.node.engine, conn.session.db, conn.now_ms
    made = engine.member(db, key, windows.FACTS_NAME, now_ms)
    facts = windows.unpacked(made.value) if made is not None else None
    if facts is None:
        raise WRONG_TYPE
    first = engine.place(db, key, windows.LANE_SCORE, None, False, now_ms)
    count = engine.place(db, key, windows.LANE_SCORE, None, True, now_ms) - first
    lanes: dict[int, Lane] = {}
    for _, name in engine.ranked(db, key, first, count, False, now_ms):
        number, member = windows.lane_of(name), engine.member(db, key, name, now_ms)
        if number is not None and member is not None:
            lanes[number] = windows.lane_from(member.value)
    return Filter(facts, facts.layout, lanes, entry.implicit, entry.deadline_ms)


def _read(conn: Conn, key: bytes) -> Filter | None:
    return _opened(conn, key, glance(conn, key))


def _to_be_written(conn: Conn, key: bytes) -> Filter | None:
    return _opened(conn, key, conn.node.engine.peek(conn.session.db, key, conn.now_ms))


def _make(conn: Conn, key: bytes, wanted: Wanted) -> Filter:
    settings = conn.node.settings
    window_ms = wanted.window_ms if wanted.window_ms is not None else min(settings.default_ttl_ms, settings.max_ttl_ms)
    span_ms = max(-(-window_ms // (wanted.generations - 1)), windows.SPAN_MS_LEAST)
    if span_ms * wanted.generations > settings.max_ttl_ms:
        raise invalid_expire(b"bf.reserve")
    facts = Facts(
        max(min(wanted.error, windows.ERROR_CAP), windows.ERROR_LEAST), wanted.capacity,
        0 if wanted.nonscaling else wanted.expansion, wanted.generations, span_ms,
    )  # fmt: skip
    engine, db, now_ms = conn.node.engine, conn.session.db, conn.now_ms
    deadline_ms = facts.ends_ms(facts.generation(now_ms))
    engine.found(db, key, ZSET, deadline_ms, True, now_ms)
    engine.put_member(db, key, windows.FACTS_NAME, facts.packed(), None, now_ms)
    engine.tell(b"bf.reserve", db, key)
    return Filter(facts, facts.layout, {}, True, deadline_ms)


# -- looking and putting ---------------------------------------------------------------------------------
def _bits(conn: Conn, key: bytes, found: Filter, generation: int, link: int, part: int) -> int:
    """All lanes of a part together, read once in a command."""
    place = generation, link, part
    if place not in found.parts:
        engine, shape, bits = conn.node.engine, found.link(link), 0
        for number, lane in found.lanes.items():
            if (generation, link) in lane:
                name = windows.part_name(generation, link, part, found.layout, number)
                member = engine.member(conn.session.db, key, name, conn.now_ms)
                if member is not None:
                    bits |= windows.part_bits(member.value, shape)
        found.parts[place] = bits
    return found.parts[place]


def _holds(conn: Conn, key: bytes, found: Filter, item: int, generation: int) -> bool:
    for number in range(min(found.links_of(generation), found.facts.links_max)):
        link = found.link(number)
        mask = found.mask(item, number)
        if _bits(conn, key, found, generation, number, windows.part_of(item, link)) & mask == mask:
            return True
    return False


def _add(conn: Conn, key: bytes, found: Filter, item: int) -> bool | None:
    """Whether the item was new; None: the filter is full, and does not grow. An item that an older generation holds is
    put into the newest too: it is remembered for the window from now on.
    """
    *older, newest = found.facts.living(conn.now_ms)
    if _holds(conn, key, found, item, newest):
        return False
    is_new = not any(_holds(conn, key, found, item, generation) for generation in older)
    number = max(found.links_of(newest) - 1, 0)
    while found.counted(newest, number).put >= found.link(number).items:
        number += 1
        if number >= found.facts.links_max:
            return None
    _put(conn, key, found, item, newest, number, is_new)
    return is_new


def _put(conn: Conn, key: bytes, found: Filter, item: int, generation: int, number: int, is_new: bool) -> None:
    """Notes it: `_write` puts what a command has changed, once."""
    link, own = found.link(number), conn.node.number
    place, mask = (generation, number, windows.part_of(item, link)), found.mask(item, number)
    is_first = False
    if place not in found.changed:
        name = windows.part_name(*place, found.layout, own)
        before = conn.node.engine.member(conn.session.db, key, name, conn.now_ms)
        is_first = before is None
        found.changed[place] = (
            (windows.part_bits(before.value, link), windows.part_count(before.value)) if before is not None else (0, 0)
        )
    bits, count = found.changed[place]
    found.changed[place] = bits | mask, count + 1
    found.parts[place] = _bits(conn, key, found, *place) | mask
    lane = found.lanes.setdefault(own, {})
    put, new, parts = lane.get((generation, number), Counts())
    lane[generation, number] = Counts(put + 1, new + is_new, parts + is_first)


def _write(conn: Conn, key: bytes, found: Filter) -> None:
    """The parts that a command has changed, each of which has many of its items, then this node's lane."""
    engine, db, now_ms, own = conn.node.engine, conn.session.db, conn.now_ms, conn.node.number
    ends_ms = 0
    for (generation, number, part), (bits, count) in found.changed.items():
        ends_ms = found.facts.ends_ms(generation)
        _prolong(conn, key, found, ends_ms)
        name = windows.part_name(generation, number, part, found.layout, own)
        packed = windows.part_packed(generation, found.link(number), bits, count)
        engine.put_member(db, key, name, packed, ends_ms, now_ms)
    if found.changed:
        living = found.facts.living(now_ms)
        kept = {place: counts for place, counts in found.lanes[own].items() if place[0] in living}
        engine.put_member(db, key, windows.lane_name(own), windows.lane_packed(kept), ends_ms, now_ms)


def _prolong(conn: Conn, key: bytes, found: Filter, until_ms: int) -> None:
    if found.implicit and found.deadline_ms < until_ms:
        conn.node.engine.retime(conn.session.db, key, until_ms, True, conn.now_ms, b"expire")
        found.deadline_ms = until_ms


def _item(conn: Conn, word: bytes) -> int:
    return conn.node.engine.digest_value(word)


# -- commands --------------------------------------------------------------------------------------------
def reserve(conn: Conn, argv: list[bytes]) -> Reply:
    wanted = Wanted(error=_rate(argv[2], BAD_RATE), capacity=_capacity(argv[3], BAD_CAPACITY))
    at = 4
    while at < len(argv):
        at += _option(wanted, argv, at, b"bf.reserve")
    if wanted.named_expansion and wanted.nonscaling and wanted.expansion:
        raise NONSCALING
    if _to_be_written(conn, argv[1]) is not None:
        raise EXISTS
    _make(conn, argv[1], wanted)
    return OK


def insert(conn: Conn, argv: list[bytes]) -> Reply:
    wanted, at = Wanted(), 2
    while at < len(argv) and argv[at].lower() != b"items":
        word = argv[at].lower()
        if word in (b"error", b"capacity") and at + 1 == len(argv):
            raise wrong_arity(b"bf.insert")
        if word == b"error":
            wanted.error = _rate(argv[at + 1], BAD_RATE)
            at += 2
        elif word == b"capacity":
            wanted.capacity = _capacity(argv[at + 1], BAD_CAPACITY)
            at += 2
        elif word == b"nocreate":
            wanted.create = False
            at += 1
        else:
            at += _option(wanted, argv, at, b"bf.insert")
    if at + 1 >= len(argv):
        raise wrong_arity(b"bf.insert")
    return _insert(conn, argv[1], argv[at + 1 :], wanted)


def _option(wanted: Wanted, argv: list[bytes], at: int, name: bytes) -> int:
    """One of those that both commands take; how many words it has."""
    word = argv[at].lower()
    if word == b"nonscaling":
        wanted.nonscaling = True
        return 1
    if word not in (b"expansion", b"ex", b"px", b"generations"):
        raise UNKNOWN
    if at + 1 == len(argv):
        raise NO_EXPANSION if word == b"expansion" else wrong_arity(name)
    number = parse_int(argv[at + 1])
    if word == b"expansion":
        if number is None:
            raise BAD_EXPANSION
        if not 0 <= number <= windows.EXPANSION_MAX:
            raise EXPANSION_RANGE
        wanted.expansion, wanted.named_expansion = number, True
    elif word == b"generations":
        if number is None or not 2 <= number <= windows.GENERATIONS_MAX:
            raise BAD_GENERATIONS
        wanted.generations = number
    else:
        if number is None or number <= 0:
            raise invalid_expire(name)
        wanted.window_ms = number * (1000 if word == b"ex" else 1)
    return 2


def _rate(word: bytes, error: type[ClientError]) -> float:
    rate = parse_double(word)
    if rate is None:
        raise error
    if not 0.0 < rate < 1.0:
        raise RATE_RANGE
    return rate


def _capacity(word: bytes, error: type[ClientError]) -> int:
    capacity = parse_int(word)
    if capacity is None:
        raise error
    if not 1 <= capacity <= windows.CAPACITY_MAX:
        raise CAPACITY_RANGE
    return capacity


def add(conn: Conn, argv: list[bytes]) -> Reply:
    replies = _insert(conn, argv[1], argv[2:], Wanted())
    return replies[0]


def madd(conn: Conn, argv: list[bytes]) -> Reply:
    return _insert(conn, argv[1], argv[2:], Wanted())


def _insert(conn: Conn, key: bytes, items: list[bytes], wanted: Wanted) -> list[Reply]:
    """One reply an item, up to the first that finds no room."""
    found = _to_be_written(conn, key)
    if found is None:
        if not wanted.create:
            raise NOT_FOUND
        found = _make(conn, key, wanted)
    conn.node.engine.spend(ITEM_BYTES * len(items))
    replies: list[Reply] = []
    try:
        for word in items:
            is_new = _add(conn, key, found, _item(conn, word))
            replies.append(FULL if is_new is None else Bool(is_new))
            if is_new is None:
                break
    finally:  # what was added before the command was refused the rest stays
        _write(conn, key, found)
    if replies != [FULL]:
        conn.node.engine.tell(b"bf.add", conn.session.db, key)
    return replies


def exists(conn: Conn, argv: list[bytes]) -> Reply:
    return _exist(conn, argv[1], argv[2:])[0]


def mexists(conn: Conn, argv: list[bytes]) -> Reply:
    return _exist(conn, argv[1], argv[2:])


def _exist(conn: Conn, key: bytes, words: list[bytes]) -> list[Reply]:
    found = _read(conn, key)
    if found is None:
        return [Bool(False) for _ in words]
    conn.node.engine.spend(ITEM_BYTES * len(words))
    living = found.facts.living(conn.now_ms)
    return [
        Bool(any(_holds(conn, key, found, item, generation) for generation in living))
        for item in (_item(conn, word) for word in words)
    ]


def card(conn: Conn, argv: list[bytes]) -> Reply:
    found = _read(conn, argv[1])
    return 0 if found is None else _items(conn, found)


def _items(conn: Conn, found: Filter) -> int:
    """Of the oldest generation that anybody put something into all, of each later one those that were new then."""
    total, is_first = 0, True
    for generation in found.facts.living(conn.now_ms):
        counts = [found.counted(generation, link) for link in range(found.links_of(generation))]
        total += sum(one.put if is_first else one.new for one in counts)
        is_first = is_first and not counts
    return total


def info(conn: Conn, argv: list[bytes]) -> Reply:
    found = _read(conn, argv[1])
    if found is None:
        raise NOT_FOUND
    links = [
        (generation, link)
        for generation in found.facts.living(conn.now_ms)
        for link in range(found.links_of(generation))
    ]
    newest = found.facts.generation(conn.now_ms)
    facts: dict[bytes, Reply] = {
        b"Capacity": sum(found.link(link).items for link in range(max(found.links_of(newest), 1))),
        b"Size": sum(found.counted(*place).parts * found.link(place[1]).part_bytes for place in links),
        b"Number of filters": max(len(links), 1),
        b"Number of items inserted": _items(conn, found),
        b"Expansion rate": found.facts.expansion or None,
    }
    names = dict(zip((b"capacity", b"size", b"filters", b"items", b"expansion"), facts, strict=True))
    if len(argv) == 3:
        name = names.get(argv[2].lower())
        if name is None:
            raise BAD_INFORMATION
        return Named({name: facts[name]}) if conn.reply_proto == 3 else [facts[name]]
    return Named(facts)


HANDLERS = {
    b"bf.add": add,
    b"bf.card": card,
    b"bf.exists": exists,
    b"bf.info": info,
    b"bf.insert": insert,
    b"bf.madd": madd,
    b"bf.mexists": mexists,
    b"bf.reserve": reserve,
}
