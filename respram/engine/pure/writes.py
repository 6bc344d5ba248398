"""Hot commands that write whole values and deadlines. The twin of native/writes.c."""

from dataclasses import dataclass

from respram.engine.api import HOT_ARGS_MAX, HOT_BYTES_MAX, Session
from respram.engine.pure.comparing import holds, is_comparison
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.reads import NIL, OK, bulk, old_value
from respram.engine.pure.record import Row
from respram.integers import INT64_MAX, INT64_MIN, parse_int

UNITS = {b"EX": (1000, False), b"PX": (1, False), b"EXAT": (1000, True), b"PXAT": (1, True)}
CONDITIONS = {b"NX", b"XX", b"GT", b"LT"}


@dataclass(slots=True)
class Options:
    """The options of SET, each given once."""

    ttl_ms: int | None = None
    condition: bytes = b""  # NX or XX
    keeps: bool = False
    gets: bool = False
    comparison: bytes = b""  # one of COMPARISONS
    operand: bytes = b""  # the word after it

    @property
    def looks(self) -> bool:
        return bool(self.condition) or self.keeps or self.gets or bool(self.comparison)


def set_(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """SET key value, with its options in any order."""
    options = _options(keyspace, argv, now_ms) if len(argv) >= 3 else None
    if options is None or (options.ttl_ms == 1 and not argv[2]):
        return None  # the empty value with PX 1 is how any user lets go of a key: see commands/strings.py
    if options.looks:
        return _set_looking(keyspace, session, argv, options, now_ms)
    return _store(keyspace, session, argv[1], argv[2], options.ttl_ms, now_ms)


def _options(keyspace: Keyspace, argv: list[bytes], now_ms: int, at: int = 3) -> Options | None:
    """Reads the options of SET. None: an odd form, a mistake, or a time that has passed."""
    options = Options()
    while at < len(argv):
        word, has_next = argv[at].upper(), at + 1 < len(argv)
        timed = options.keeps or options.ttl_ms is not None
        conditional = bool(options.condition or options.comparison)
        if word in (b"NX", b"XX") and not conditional:
            options.condition = word
        elif word in UNITS and not timed and has_next:
            at += 1
            options.ttl_ms = life_ms(keyspace, word, argv[at], now_ms)
            if options.ttl_ms is None:
                return None
        elif word == b"GET" and not options.gets:
            options.gets = True
        elif word == b"KEEPTTL" and not timed:
            options.keeps = True
        elif not conditional and has_next and is_comparison(word, argv[at + 1]):
            at += 1
            options.comparison, options.operand = word, argv[at]
        else:
            return None
        at += 1
    return options


def _set_looking(
    keyspace: Keyspace, session: Session, argv: list[bytes], options: Options, now_ms: int
) -> bytes | None:
    """SET with an option that looks at what is there first."""
    key, value = argv[1], argv[2]
    if (
        keyspace.full()
        or (options.gets and not keyspace.hot_reads)
        or len(value) > HOT_BYTES_MAX
        or len(key) > HOT_BYTES_MAX
    ):
        return None
    row = keyspace.row(session.db, key, now_ms)
    matches = not options.comparison or holds(keyspace, row, options.comparison, options.operand)
    if matches is None:
        return None
    answer = old_value(keyspace, session, row) if options.gets else b""
    writes = (
        matches
        and not (options.condition == b"NX" and row is not None)
        and not (options.condition == b"XX" and row is None)
    )
    if writes:
        if options.keeps and row is not None:
            keyspace.store(session.db, key, value, row.deadline_ms, row.implicit, now_ms, b"set")
        else:
            _put(keyspace, session, key, value, options.ttl_ms, now_ms)
    return answer or (OK if writes else NIL[session.proto])


def setex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _set_with(keyspace, session, argv, 1000, now_ms)


def psetex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _set_with(keyspace, session, argv, 1, now_ms)


def setnx(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """SETNX: writes the value if the key is missing."""
    if len(argv) != 3 or keyspace.full():
        return None
    there = keyspace.row(session.db, argv[1], now_ms) is not None
    if not there and _store(keyspace, session, argv[1], argv[2], None, now_ms) is None:
        return None
    keyspace.hits += there
    keyspace.misses += not there
    return b":0\r\n" if there else b":1\r\n"


def getset(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 3 or keyspace.full() or len(argv[1]) > HOT_BYTES_MAX or len(argv[2]) > HOT_BYTES_MAX:
        return None
    answer = old_value(keyspace, session, keyspace.row(session.db, argv[1], now_ms))
    _put(keyspace, session, argv[1], argv[2], None, now_ms)
    return answer


def mset(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if not _may_store_pairs(keyspace, argv):
        return None
    for key, value in zip(argv[1::2], argv[2::2], strict=True):
        _put(keyspace, session, key, value, None, now_ms)
    return OK


def msetnx(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """MSETNX: writes all keys if none of them exists."""
    if not _may_store_pairs(keyspace, argv):
        return None
    if any(keyspace.row(session.db, key, now_ms) is not None for key in argv[1::2]):
        return b":0\r\n"
    for key, value in zip(argv[1::2], argv[2::2], strict=True):
        _put(keyspace, session, key, value, None, now_ms)
    return b":1\r\n"


def _may_store_pairs(keyspace: Keyspace, argv: list[bytes]) -> bool:
    return (
        3 <= len(argv) <= HOT_ARGS_MAX
        and len(argv) % 2 == 1
        and not keyspace.full()
        and sum(map(len, argv[1:])) <= HOT_BYTES_MAX
    )


def msetex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """MSETEX: writes all keys or none. 1: all were written; 0: the condition failed for one of them."""
    count = parse_int(argv[1]) if 4 <= len(argv) <= HOT_ARGS_MAX else None
    if count is None or not 1 <= count <= (len(argv) - 2) // 2 or keyspace.full():
        return None
    end = 2 + 2 * count
    options = _options(keyspace, argv, now_ms, end)
    names, values = argv[2:end:2], argv[3:end:2]
    if options is None or options.gets or options.comparison or sum(map(len, argv[1:])) > HOT_BYTES_MAX:
        return None
    rows = [keyspace.row(session.db, key, now_ms) for key in names]
    if (options.ttl_ms == 1 and b"" in values) or any(row is not None and row.kind for row in rows):
        return None  # with an empty value, this is how any user lets go of a key: see commands/strings.py
    there = sum(row is not None for row in rows)
    if (options.condition == b"NX" and there) or (options.condition == b"XX" and there < count):
        return b":0\r\n"
    for key, value in zip(names, values, strict=True):
        row = keyspace.row(session.db, key, now_ms) if options.keeps else None
        if row is not None:
            keyspace.store(session.db, key, value, row.deadline_ms, row.implicit, now_ms, b"set")
        else:
            _put(keyspace, session, key, value, options.ttl_ms, now_ms)
    return b":1\r\n"


def expire(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _retime(keyspace, session, argv, 1000, 0, now_ms)


def pexpire(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _retime(keyspace, session, argv, 1, 0, now_ms)


def expireat(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _retime(keyspace, session, argv, 1000, now_ms, now_ms)


def pexpireat(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _retime(keyspace, session, argv, 1, now_ms, now_ms)


def _retime(
    keyspace: Keyspace, session: Session, argv: list[bytes], unit_ms: int, from_ms: int, now_ms: int
) -> bytes | None:
    """EXPIRE and its relatives: the same value under a new deadline."""
    conditions = {word.upper() for word in argv[3:]}
    odd = conditions - CONDITIONS or (b"NX" in conditions and len(conditions) > 1) or {b"GT", b"LT"} <= conditions
    number = parse_int(argv[2]) if len(argv) >= 3 and not odd else None
    if number is None or not INT64_MIN <= number * unit_ms <= INT64_MAX:
        return None
    ttl_ms = number * unit_ms - from_ms
    if not 0 < ttl_ms <= keyspace.settings.max_ttl_ms:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    if row is None or not _is_allowed(row, conditions, now_ms + ttl_ms):
        return b":0\r\n"
    keyspace.retime(session.db, argv[1], now_ms + ttl_ms, False, now_ms, b"expire")
    return b":1\r\n"


def _is_allowed(row: Row, conditions: set[bytes], deadline_ms: int) -> bool:
    """Whether the condition allows the new deadline. An implicit deadline counts as none: as infinite."""
    if b"NX" in conditions:
        return row.implicit
    if b"XX" in conditions and row.implicit:
        return False
    if b"GT" in conditions:
        return not row.implicit and deadline_ms > row.deadline_ms
    if b"LT" in conditions:
        return row.implicit or deadline_ms < row.deadline_ms
    return True


def getex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """GETEX key [EX s | PX ms | EXAT s | PXAT ms]."""
    if len(argv) not in (2, 4):
        return None
    ttl_ms = life_ms(keyspace, argv[2].upper(), argv[3], now_ms) if len(argv) == 4 else None
    if ttl_ms is None and len(argv) == 4:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    if row is None:
        return NIL[session.proto]
    value = keyspace.opened(row)
    if ttl_ms is not None:
        keyspace.retime(session.db, argv[1], now_ms + ttl_ms, False, now_ms, b"expire")
    return bulk(value)


def life_ms(keyspace: Keyspace, unit: bytes, digits: bytes, now_ms: int) -> int | None:
    """A time to live that needs neither an error nor cutting."""
    number = parse_int(digits)
    if number is None or unit not in UNITS:
        return None
    unit_ms, absolute = UNITS[unit]
    ttl_ms = number * unit_ms - (now_ms if absolute else 0)
    return ttl_ms if 0 < ttl_ms <= keyspace.settings.max_ttl_ms else None


def _set_with(keyspace: Keyspace, session: Session, argv: list[bytes], unit_ms: int, now_ms: int) -> bytes | None:
    ttl_ms = life_ms(keyspace, b"EX" if unit_ms == 1000 else b"PX", argv[2], now_ms) if len(argv) == 4 else None
    return None if ttl_ms is None else _store(keyspace, session, argv[1], argv[3], ttl_ms, now_ms)


def _store(
    keyspace: Keyspace, session: Session, key: bytes, value: bytes, ttl_ms: int | None, now_ms: int
) -> bytes | None:
    if keyspace.full() or len(value) > HOT_BYTES_MAX or len(key) > HOT_BYTES_MAX:
        return None
    if ttl_ms == 1 and not value:
        return None  # with an empty value, this is how any user lets go of a key: see commands/strings.py
    _put(keyspace, session, key, value, ttl_ms, now_ms)
    return OK


def _put(keyspace: Keyspace, session: Session, key: bytes, value: bytes, ttl_ms: int | None, now_ms: int) -> None:
    if ttl_ms is None:
        keyspace.defaulted += 1
        keyspace.store(session.db, key, value, now_ms + keyspace.settings.default_ttl_ms, True, now_ms, b"set")
    else:
        keyspace.store(session.db, key, value, now_ms + ttl_ms, False, now_ms, b"set")


def delete(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """DEL and UNLINK of one key, for a user with the right by name."""
    if len(argv) != 2:
        return None
    found = keyspace.let_go(session.db, argv[1], now_ms, b"del")
    return b":%d\r\n" % found
