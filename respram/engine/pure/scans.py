"""Hot commands that walk the keyspace: SCAN, KEYS and RANDOMKEY. The twin of native/scans.c."""

from respram.engine.api import HOT_REPLY_BYTES_MAX, Session
from respram.engine.pure import walk
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.reads import KIND_NAMES, NIL, bulk
from respram.glob import compile_glob, fits
from respram.integers import parse_int

SCAN_COUNT = 10
ALL_KEYS = 1 << 62  # a COUNT that no keys reach, however long they are
SCAN_COUNT_MAX = 1024  # longer walks are left to `dispatch`
SCAN_PATTERN_BYTES_MAX = 256  # longer patterns are left to `dispatch`
SCAN_LOOK_BYTES = 128  # a visited key counts for this many bytes
KEYS_MAX = 8192  # that KEYS walks by in one go; with more, `dispatch` goes in steps


def scan(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """What it looks at may be more than COUNT says. A type that is none has no keys."""
    cursor = parse_int(argv[1]) if 2 <= len(argv) <= 8 and len(argv) % 2 == 0 else None
    if cursor is None or cursor < 0:
        return None
    pattern, count, kind = b"*", SCAN_COUNT, None
    for option, argument in zip(argv[2::2], argv[3::2], strict=True):
        if option.lower() == b"match":
            pattern = argument
        elif option.lower() == b"type":
            kind = argument.lower()
        else:
            number = parse_int(argument) if option.lower() == b"count" else None
            if number is None or not 1 <= number <= SCAN_COUNT_MAX:
                return None
            count = number
    if len(pattern) > SCAN_PATTERN_BYTES_MAX:
        return None
    walked = walk.scan(keyspace, session.db, cursor, count, now_ms)
    found = _matching(walked.keys, pattern)
    if kind is not None:
        rows = ((key, keyspace.row(session.db, key, now_ms)) for key in found)
        found = [key for key, row in rows if row is not None and KIND_NAMES[row.kind] == kind]
    data = b"".join(map(bulk, found))
    if len(data) > HOT_REPLY_BYTES_MAX:
        return None
    keyspace.moved += count * SCAN_LOOK_BYTES + len(data)
    return b"*2\r\n%b*%d\r\n%b" % (bulk(b"%d" % walked.cursor), len(found), data)


def keys(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """KEYS in one go, if the keys are few."""
    live = keyspace.live[session.db]
    if len(argv) != 2 or len(argv[1]) > SCAN_PATTERN_BYTES_MAX or live > KEYS_MAX:
        return None
    found = _matching(walk.scan(keyspace, session.db, 0, ALL_KEYS, now_ms).keys, argv[1])
    data = b"".join(map(bulk, found))
    if len(data) > HOT_REPLY_BYTES_MAX:
        return None
    keyspace.moved += live * SCAN_LOOK_BYTES + len(data)
    return b"*%d\r\n%b" % (len(found), data)


def randomkey(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 1:
        return None
    key = walk.sample(keyspace, session.db, keyspace.draws.below((1 << 64) - 1), now_ms)
    return NIL[session.proto] if key is None else bulk(key)


def _matching(keys: list[bytes], pattern: bytes) -> list[bytes]:
    if pattern == b"*":
        return keys
    glob = compile_glob(pattern)
    return [key for key in keys if fits(glob, key)]
