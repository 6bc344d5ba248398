"""Shared by the commands of hashes, sets and sorted sets: reading, changing and walking the collection of a key.

A collection is a family of records (docs/decisions/0120): the engine has the head, the members and their deadlines. A
collection that a command begins gets the default TTL, as a string does; clients send EXPIRE behind it. What takes a
member away is letting go, a right that an operator gives by the command's name.
"""

from collections.abc import Iterable, Iterator, Sequence

from respram.commands.access import check_length, glance, room
from respram.commands.deadlines import deadline_for
from respram.commands.node import Conn
from respram.commands.reply import BREATH, Breath, Each, OverrunError, Reply, Some
from respram.commands.texts import INVALID_CURSOR, NOT_AN_INTEGER, SYNTAX, WRONG_TYPE
from respram.engine.api import EXPIRED, STORED_BYTES, Engine, Entry, Member
from respram.engine.telling import TELL_NAMES, TELL_VALUES
from respram.errors import ClientError
from respram.integers import INT64_MAX, UINT64_MAX, parse_int, parse_uint
from respram.record import HASH, SET, ZSET, member_key

KIND_NAMES = {0: b"string", HASH: b"hash", SET: b"set", ZSET: b"zset"}  # as TYPE replies
WALK_MEMBERS = 1_000  # members taken out of the engine at a time
# members that a reply lists in one step, which takes 10 to 25 ms; longer replies are made in several steps
TOLD_AT_ONCE = 8_192
SEEN_SETS = 256  # sets that share a walk's hashes: of a million, each holds 4,000, freed in 0.1 ms
DRAW_BYTES = 2 << 10  # work of drawing one member, which takes 3 us, in bytes, besides reading it
STEP_MEMBERS = 128  # members of one step of a long walk; other clients are served between steps
SCAN_COUNT_DEFAULT = 10
SCAN_COUNT_MAX = 8_192  # members walked by one HSCAN or SSCAN: COUNT is a hint, and must not hold the node
INTEGERS_MAX, PACKED_MAX, PACKED_BYTES_MAX = 512, 128, 64  # Redis's default limits for its compact encodings

OUT_OF_BOUNDS = ClientError.saying(
    b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)
OUT_OF_RANGE = ClientError.saying(b"ERR value is out of range")


def read_collection(conn: Conn, key: bytes, kind: int) -> Entry | None:
    """The collection, for a command that reads: a miss raises `keymiss` and asks the peers."""
    return checked(glance(conn, key), kind)


def current_collection(conn: Conn, key: bytes, kind: int) -> Entry | None:
    """The collection, for a command that will write: a miss is no event."""
    return checked(conn.node.engine.peek(conn.session.db, key, conn.now_ms), kind)


def checked(entry: Entry | None, kind: int) -> Entry | None:
    if entry is not None and entry.kind != kind:
        raise WRONG_TYPE
    return entry


def begin(conn: Conn, key: bytes, kind: int) -> None:
    """Creates a collection under a missing key; its first member has to follow."""
    deadline_ms, implicit = deadline_for(conn, None)
    conn.node.engine.found(conn.session.db, key, kind, deadline_ms, implicit, conn.now_ms)


def member(conn: Conn, key: bytes, name: bytes) -> Member | None:
    return conn.node.engine.member(conn.session.db, key, name, conn.now_ms)


def put_member(conn: Conn, key: bytes, name: bytes, value: bytes, deadline_ms: int | None = None) -> bool:
    """Writes a member, and returns whether it is new."""
    check_length(conn, len(member_key(key, name)) + len(value))
    return conn.node.engine.put_member(conn.session.db, key, name, value, deadline_ms, conn.now_ms)


def own_deadline(before: Member | None) -> int | None:
    """The deadline that a member keeps when only its value changes."""
    return before.deadline_ms if before is not None and before.own else None


def let_go_members(conn: Conn, key: bytes, names: list[bytes], event: bytes) -> int:
    """Lets go of members and returns how many there were. The caller checks the right to it."""
    engine, db = conn.node.engine, conn.session.db
    gone = sum(engine.let_go_member(db, key, name, conn.now_ms) for name in names)
    if gone:
        tell_gone(conn, key, event)
    return gone


def tell_gone(conn: Conn, key: bytes, event: bytes) -> None:
    """Publishes that members were removed, and the key if it was the last one."""
    tell(conn, key, event)
    if conn.node.engine.peek(conn.session.db, key, conn.now_ms) is None:
        tell(conn, key, b"del")


def tell(conn: Conn, key: bytes, event: bytes) -> None:
    assert event != EXPIRED
    conn.node.engine.tell(event, conn.session.db, key)


def members(conn: Conn, key: bytes) -> list[Member]:
    """All members, in the order in which they came as long as none went. OverrunError where they are more than the
    client may hold unread."""
    engine, db = conn.node.engine, conn.session.db
    found: list[Member] = []
    cursor, left = 0, room(conn)
    while True:
        walked = engine.members(db, key, cursor, WALK_MEMBERS, conn.now_ms)
        found += walked.members
        left -= sum(len(one.name) + len(one.value) for one in walked.members)
        cursor = walked.cursor
        if left < 0:
            raise OverrunError
        if not cursor:
            found.reverse()
            return found


def is_long(conn: Conn, entry: Entry) -> bool:
    """Whether its members are told in steps. (Transactions and scripts cannot be interrupted; they have a limit
    instead.)
    """
    return entry.length > TOLD_AT_ONCE and not conn.executing


def told(conn: Conn, key: bytes, entry: Entry, kind: bytes, parts: int) -> Reply:
    """The `parts` of each member, as an `Each` of this kind where they are many: who is there all the while is told
    once.
    """
    if is_long(conn, entry):
        return Each(pieces(conn, [key], parts), kind)
    found = members(conn, key)
    if parts == TELL_NAMES | TELL_VALUES:
        return [part for one in found for part in (one.name, one.value)]
    return [one.name if parts == TELL_NAMES else one.value for one in found]


def pieces(
    conn: Conn, keys: Iterable[bytes], parts: int, others: Sequence[bytes] = (), among: bool = True
) -> Iterator[Some | Breath]:
    """The members of collections in steps, between which other clients may write: no name twice. With `others`, those
    that are in all of these sets, or in none.
    """
    engine, db, compared = conn.node.engine, conn.session.db, list(others)
    told, of_each = engine.begin_telling(), 2 if parts == TELL_NAMES | TELL_VALUES else 1
    for key in keys:
        cursor = 0
        while True:
            piece = engine.tell_members(told, db, key, cursor, parts, compared, among, conn.now_ms)
            if piece.members:
                yield Some(piece.members * of_each, piece.encoded)
            yield BREATH
            cursor = piece.cursor
            if not cursor:
                break
    while told.forget():
        yield BREATH


def walked(conn: Conn, key: bytes) -> Iterator[Member | Breath]:
    """Walks over the members in steps, between which other clients may write."""
    engine, db, cursor = conn.node.engine, conn.session.db, 0
    seen = Seen()  # a walk can meet a member twice if it moves into a hole
    while True:
        step = engine.members(db, key, cursor, STEP_MEMBERS, conn.now_ms)
        for one in step.members:
            if seen.is_new(one.name):
                yield one
        cursor = step.cursor
        yield BREATH
        if not cursor:
            break
    yield from seen.forget()


class Seen:
    """What a walk here has told; engine/telling.py has the same for walks of the engine. Hashes of names, which take
    less than names; in small sets, which are freed one after the other.
    """

    def __init__(self) -> None:
        self.sets: list[set[int]] = [set() for _ in range(SEEN_SETS)]

    def is_new(self, name: bytes) -> bool:
        mark = hash(name)
        marks = self.sets[mark % SEEN_SETS]
        if mark in marks:
            return False
        marks.add(mark)
        return True

    def forget(self) -> Iterator[Breath]:
        for marks in self.sets:
            marks.clear()
            yield BREATH


def replace(conn: Conn, key: bytes, kind: int, names: dict[bytes, bytes], event: bytes) -> None:
    """Replaces the key by a collection of these members. AllowanceError, before anything has changed, if they are more
    than a command may store.
    """
    engine, db = conn.node.engine, conn.session.db
    engine.spend(STORED_BYTES * len(names))
    engine.let_go(db, key, conn.now_ms, b"")
    if names:
        begin(conn, key, kind)
        for name, value in names.items():
            put_member(conn, key, name, value)
        tell(conn, key, event)


def collection_encoding(conn: Conn, key: bytes, entry: Entry) -> bytes:
    """What Redis would say; here all collections are kept alike."""
    if (
        entry.kind == SET
        and entry.length <= INTEGERS_MAX
        and all(parse_int(one.name) is not None for one in members(conn, key))
    ):
        return b"intset"
    packed = (
        entry.kind != SET
        and entry.length <= PACKED_MAX
        and all(len(one.name) <= PACKED_BYTES_MAX and len(one.value) <= PACKED_BYTES_MAX for one in members(conn, key))
    )
    return b"listpack" if packed else b"skiplist" if entry.kind == ZSET else b"hashtable"


# -- HSCAN and its kin ----------------------------------------------------------------------------------
def scan_members(conn: Conn, argv: list[bytes], kind: int) -> tuple[bytes, list[Member]]:
    cursor = parse_cursor(argv[2])
    count, pattern, words = SCAN_COUNT_DEFAULT, b"*", argv[3:]
    entry = read_collection(conn, argv[1], kind)
    while entry is not None and words:
        option = words[0].lower()
        if option == b"novalues" and kind == HASH:  # a word of HSCAN, which checks it itself
            words = words[1:]
            continue
        if len(words) < 2 or option not in (b"count", b"match"):
            raise SYNTAX
        if option == b"count":
            number = parse_int(words[1])
            if number is None:
                raise NOT_AN_INTEGER
            if number < 1:
                raise SYNTAX
            count = min(number, SCAN_COUNT_MAX)
        else:
            pattern = words[1]
        words = words[2:]
    if entry is None:
        return b"0", []
    walked = conn.node.engine.members(conn.session.db, argv[1], cursor, count, conn.now_ms)
    if pattern == b"*":
        return b"%d" % walked.cursor, walked.members
    chosen = conn.node.engine.patterns()
    chosen.add(pattern)
    kept = set(chosen.keep([one.name for one in walked.members]))
    return b"%d" % walked.cursor, [one for one in walked.members if one.name in kept]


def parse_cursor(text: bytes) -> int:
    """Reads a cursor as C's `strtoul` does, which Redis uses here: signs wrap round, an empty text is zero."""
    if not text:
        return 0
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    value = parse_uint(digits.lstrip(b"0") or b"0") if digits.isdigit() else None
    if value is None:
        raise INVALID_CURSOR
    return -value & UINT64_MAX if text[:1] == b"-" else value


# -- HRANDFIELD and its kin -------------------------------------------------------------------------------
def drawn(conn: Conn, key: bytes, count: int) -> list[Member]:
    """Draws this many different members, or with a negative count, this many with repetition. All of them are told in
    the order of their places."""
    engine, db = conn.node.engine, conn.session.db
    entry = engine.peek(db, key, conn.now_ms)
    if entry is None or not count:
        return []
    if count >= entry.length:
        return members(conn, key)
    if count * 3 > entry.length:  # a look at all costs less
        every = members(conn, key)
        return [every[place] for place in _different(engine, entry.length, count)]
    engine.spend(min(abs(count), 1 << 40) * DRAW_BYTES)
    same = (engine.draw(entry.length) for _ in range(-count))
    found: list[Member] = []
    left = room(conn)
    for place in same if count < 0 else _different(engine, entry.length, count):
        if left < 0:
            raise OverrunError
        one = engine.member_at(db, key, place, conn.now_ms)
        assert one is not None
        found.append(one)
        left -= len(one.name) + len(one.value)
    return found


def _different(engine: Engine, size: int, count: int) -> list[int]:
    """Different numbers below `size`, by Floyd's method: one draw for each, whatever their share of all."""
    chosen: dict[int, None] = {}
    for last in range(size - count, size):
        place = engine.draw(last + 1)
        chosen[last if place in chosen else place] = None
    return list(chosen)


def drawn_one(conn: Conn, key: bytes, kind: int) -> Member | None:
    """One member of a collection, for a command that reads."""
    return next(iter(drawn(conn, key, 1)), None) if read_collection(conn, key, kind) is not None else None


def draw_count(text: bytes, pairs: bool = False) -> int:
    """Reads the count of a draw, within Redis's bounds."""
    number = parse_int(text)
    if number is None:
        raise NOT_AN_INTEGER
    if number < -INT64_MAX:
        raise OUT_OF_BOUNDS
    if pairs and not -(INT64_MAX // 2) <= number <= INT64_MAX // 2:
        raise OUT_OF_RANGE
    return number
