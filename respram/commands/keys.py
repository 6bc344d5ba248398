"""Commands about keys of any type: existence, time to live, walking the keyspace, copying.

EXPIRE and its kin with a time that is not in the future let go of the key, for who may DEL; for others they are
refused. Where Redis distinguishes keys without a TTL, a key with an implicit deadline takes their place, so that `INCR`
followed by `EXPIRE NX` opens its window here too.
"""

from respram.commands import notify
from respram.commands.access import ask_for_missing, glance, read_any
from respram.commands.collections import KIND_NAMES, collection_encoding, parse_cursor
from respram.commands.deadlines import deadline_for, ttl_ms_from
from respram.commands.letting_go import let_go_or_refuse
from respram.commands.node import Conn
from respram.commands.reply import Each, Reply, Simple
from respram.commands.texts import (
    DB_RANGE,
    NOT_AN_INTEGER,
    ONE_LINE,
    SAME_OBJECT,
    SYNTAX,
    help_of,
    invalid_expire,
)
from respram.commands.walking import walk
from respram.engine.api import NEW, Entry
from respram.errors import ClientError
from respram.integers import parse_int
from respram.record import DATABASES
from respram.stamp import to_ms

SCAN_COUNT_DEFAULT = 10  # keys, when SCAN has no COUNT
SCAN_COUNT_MAX = 16_384  # keys walked by one SCAN: COUNT is a hint, and must not hold the node
SCAN_LOOK_BYTES = 256  # of values, that a key which SCAN walks by counts for: an EXEC has a share of them
EMBEDDED_BYTES_MAX = 44  # Redis keeps strings up to this length inside their objects
SHARED_INTEGERS = 10_000  # Redis shares one object for each integer from 0 to 9999

NX_WITH_OTHERS = ClientError.saying(b"ERR NX and XX, GT or LT options at the same time are not compatible")
GT_WITH_LT = ClientError.saying(b"ERR GT and LT options at the same time are not compatible")
NOT_A_DATABASE = ClientError.saying(b"ERR value is out of range, value must between -2147483648 and 2147483647")
NO_FREQUENCY = ClientError.saying(
    b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
    b"switching between policies at runtime LRU and LFU data will take some time to adjust."
)

OBJECT_HELP = (
    b"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"ENCODING <key>",
    b"    How Redis would keep the value: int, embstr or raw.",
    b"FREQ <key>",
    b"    An error: how often a key is read is not counted.",
    b"IDLETIME <key>",
    b"    Seconds since the key was written.",
    b"REFCOUNT <key>",
    b"    How often Redis would share the value.",
    b"HELP",
    b"    Shows this text.",
)


def exists(conn: Conn, argv: list[bytes]) -> Reply:
    ask_for_missing(conn, argv[1:])
    return sum(glance(conn, key) is not None for key in argv[1:])


def type_command(conn: Conn, argv: list[bytes]) -> Reply:
    entry = glance(conn, argv[1])
    return Simple(b"none" if entry is None else KIND_NAMES[entry.kind])


def dbsize(conn: Conn, argv: list[bytes]) -> Reply:
    return conn.node.engine.count(conn.session.db, conn.now_ms)


def randomkey(conn: Conn, argv: list[bytes]) -> Reply:
    engine = conn.node.engine
    return engine.sample(conn.session.db, engine.draw((1 << 64) - 1), conn.now_ms)


# -- time to live -------------------------------------------------------------------------------------


def ttl(conn: Conn, argv: list[bytes]) -> Reply:
    entry = glance(conn, argv[1])
    return -2 if entry is None else (entry.deadline_ms - conn.now_ms + 500) // 1000


def pttl(conn: Conn, argv: list[bytes]) -> Reply:
    entry = glance(conn, argv[1])
    return -2 if entry is None else entry.deadline_ms - conn.now_ms


def expiretime(conn: Conn, argv: list[bytes]) -> Reply:
    entry = glance(conn, argv[1])
    return -2 if entry is None else (entry.deadline_ms + 500) // 1000


def pexpiretime(conn: Conn, argv: list[bytes]) -> Reply:
    entry = glance(conn, argv[1])
    return -2 if entry is None else entry.deadline_ms


def expire(conn: Conn, argv: list[bytes]) -> Reply:
    return _expire(conn, argv, seconds=True, absolute=False)


def pexpire(conn: Conn, argv: list[bytes]) -> Reply:
    return _expire(conn, argv, seconds=False, absolute=False)


def expireat(conn: Conn, argv: list[bytes]) -> Reply:
    return _expire(conn, argv, seconds=True, absolute=True)


def pexpireat(conn: Conn, argv: list[bytes]) -> Reply:
    return _expire(conn, argv, seconds=False, absolute=True)


def _expire(conn: Conn, argv: list[bytes], *, seconds: bool, absolute: bool) -> Reply:
    name, key = argv[0].lower(), argv[1]
    conditions = _conditions(argv[3:])
    value = parse_int(argv[2])
    if value is None:
        raise NOT_AN_INTEGER
    ttl_ms = ttl_ms_from(conn, value, seconds=seconds, absolute=absolute, overflow=invalid_expire(name))
    engine, db = conn.node.engine, conn.session.db
    entry = engine.peek(db, key, conn.now_ms)
    if entry is None or not _allowed(entry, conditions, conn.now_ms + ttl_ms):
        return 0
    if ttl_ms <= 0:
        return int(let_go_or_refuse(conn, name, key))
    deadline_ms, implicit = deadline_for(conn, ttl_ms)
    return int(engine.retime(db, key, deadline_ms, implicit, conn.now_ms, b"expire"))


def _conditions(words: list[bytes]) -> set[bytes]:
    conditions: set[bytes] = set()
    for word in words:
        condition = word.lower()
        if condition not in (b"nx", b"xx", b"gt", b"lt"):
            raise ClientError(b"ERR Unsupported option %b" % word.translate(ONE_LINE))
        conditions.add(condition)
    if b"nx" in conditions and len(conditions) > 1:
        raise NX_WITH_OTHERS
    if b"gt" in conditions and b"lt" in conditions:
        raise GT_WITH_LT
    return conditions


def _allowed(entry: Entry, conditions: set[bytes], deadline_ms: int) -> bool:
    """Whether the conditions allow the new deadline. An implicit deadline counts as none, that is infinite."""
    if b"nx" in conditions:
        return entry.implicit
    if b"xx" in conditions and entry.implicit:
        return False
    if b"gt" in conditions:
        return not entry.implicit and deadline_ms > entry.deadline_ms
    if b"lt" in conditions:
        return entry.implicit or deadline_ms < entry.deadline_ms
    return True


# -- walking the keyspace -----------------------------------------------------------------------------


def scan(conn: Conn, argv: list[bytes]) -> Reply:
    cursor = parse_cursor(argv[1])
    count, pattern, kind = SCAN_COUNT_DEFAULT, b"*", None
    words = argv[2:]
    while words:
        option = words[0].lower()
        if len(words) < 2 or option not in (b"count", b"match", b"type"):
            raise SYNTAX
        if option == b"count":
            number = parse_int(words[1])
            if number is None:
                raise NOT_AN_INTEGER
            if number < 1:
                raise SYNTAX
            count = min(number, SCAN_COUNT_MAX)
        elif option == b"match":
            pattern = words[1]
        else:
            kind = words[1].lower()
        words = words[2:]
    walked = conn.node.engine.scan(conn.session.db, cursor, count, conn.now_ms)
    conn.node.engine.spend(SCAN_LOOK_BYTES * len(walked.keys))
    found = _matching(conn, walked.keys, pattern)
    return [b"%d" % walked.cursor, list(found if kind is None else _of_kind(conn, found, kind))]


def _of_kind(conn: Conn, found: list[bytes], kind: bytes) -> list[bytes]:
    entries = [(key, conn.node.engine.peek(conn.session.db, key, conn.now_ms)) for key in found]
    return [key for key, entry in entries if entry is not None and KIND_NAMES[entry.kind] == kind]


def keys(conn: Conn, argv: list[bytes]) -> Reply:
    return Each(walk(conn, lambda found: _matching(conn, found, argv[1])))


def _matching(conn: Conn, keys: list[bytes], pattern: bytes) -> list[bytes]:
    if pattern == b"*":
        return keys
    chosen = conn.node.engine.patterns()
    chosen.add(pattern)
    return chosen.keep(keys)


# -- copying and looking inside -----------------------------------------------------------------------


def copy(conn: Conn, argv: list[bytes]) -> Reply:
    """The copy lives exactly as long as its source, and carries its mark."""
    source, target = argv[1], argv[2]
    target_db, replace, words = conn.session.db, False, argv[3:]
    while words:
        option = words[0].lower()
        if option == b"replace":
            replace, words = True, words[1:]
        elif option == b"db" and len(words) > 1:
            target_db, words = _database(words[1]), words[2:]
        else:
            raise SYNTAX
    if source == target and target_db == conn.session.db:
        raise SAME_OBJECT
    entry = read_any(conn, source)
    if entry is None:
        return 0
    engine = conn.node.engine
    if engine.peek(target_db, target, conn.now_ms) is not None:
        if not replace:
            return 0
        if not entry.kind:
            notify.event(conn.node, NEW, target_db, target)  # Redis deletes the target before it writes it
    put_copy(conn, source, entry, target_db, target, b"copy_to")
    return 1


def put_copy(conn: Conn, source: bytes, entry: Entry, target_db: int, target: bytes, event: bytes) -> None:
    """Members have the deadlines that they had. What was under the target is let go of: its members would show
    otherwise.
    """
    engine, now_ms = conn.node.engine, conn.now_ms
    if not entry.kind:
        engine.store(target_db, target, entry.value, entry.deadline_ms, entry.implicit, now_ms, event)
        return
    engine.copy_collection(conn.session.db, source, target_db, target, now_ms)
    engine.tell(event, target_db, target)


def _database(text: bytes) -> int:
    number = parse_int(text)
    if number is None:
        raise NOT_AN_INTEGER
    if not -(1 << 31) <= number < 1 << 31:
        raise NOT_A_DATABASE
    if not 0 <= number < DATABASES:
        raise DB_RANGE
    return number


def object_encoding(conn: Conn, argv: list[bytes]) -> Reply:
    """What Redis would say of a freshly SET value; here all values are kept alike."""
    entry = _inspect(conn, argv[2])
    if entry is None:
        return None
    if entry.kind:
        return collection_encoding(conn, argv[2], entry)
    if parse_int(entry.value) is not None:
        return b"int"
    return b"embstr" if entry.length <= EMBEDDED_BYTES_MAX else b"raw"


def object_refcount(conn: Conn, argv: list[bytes]) -> Reply:
    """Redis shares small integers, and says so by the largest count there is."""
    entry = _inspect(conn, argv[2])
    if entry is None:
        return None
    number = None if entry.kind else parse_int(entry.value)
    return (1 << 31) - 1 if number is not None and 0 <= number < SHARED_INTEGERS else 1


def object_idletime(conn: Conn, argv: list[bytes]) -> Reply:
    """Seconds since the last write: reading leaves no trace in a record."""
    entry = _inspect(conn, argv[2])
    return None if entry is None else max(0, conn.now_ms - to_ms(entry.clock)) // 1000


def object_freq(conn: Conn, argv: list[bytes]) -> Reply:
    if _inspect(conn, argv[2]) is None:
        return None
    raise NO_FREQUENCY


def _inspect(conn: Conn, key: bytes) -> Entry | None:
    return conn.node.engine.lookup(conn.session.db, key, conn.now_ms)


HANDLERS = {
    b"copy": copy,
    b"dbsize": dbsize,
    b"exists": exists,
    b"expire": expire,
    b"expireat": expireat,
    b"expiretime": expiretime,
    b"keys": keys,
    b"object|encoding": object_encoding,
    b"object|freq": object_freq,
    b"object|help": help_of(OBJECT_HELP),
    b"object|idletime": object_idletime,
    b"object|refcount": object_refcount,
    b"pexpire": pexpire,
    b"pexpireat": pexpireat,
    b"pexpiretime": pexpiretime,
    b"pttl": pttl,
    b"randomkey": randomkey,
    b"scan": scan,
    b"touch": exists,
    b"ttl": ttl,
    b"type": type_command,
}
