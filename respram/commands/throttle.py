"""CL.THROTTLE: a rate limit that refills steadily (GCRA), on one record, with the reply of redis-cell.

The record holds one number: the *theoretical arrival time* in nanoseconds, which is when the bucket will be full again.
An action moves it on by what the action costs; one that would move it further ahead of now than the bucket is deep is
refused, and writes nothing. So the record is worth nothing once that time has come, and its deadline is exactly then:
an idle limiter takes no memory, and a forgotten record is the same as a full bucket.

It is exact on one node. If several nodes decide at once, each sees its own record and the later write stays: what the
other node let through is not counted.
"""

from respram.commands.access import current
from respram.commands.node import Conn
from respram.commands.reply import Reply
from respram.commands.texts import NOT_AN_INTEGER, wrong_arity
from respram.errors import ClientError
from respram.integers import parse_int

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
ZERO_RATE = ClientError.saying(b"ERR Zero rates are not supported")
NEGATIVE = ClientError.saying(b"ERR burst and quantity must not be negative")
NEVER = -1  # seconds to wait before a retry: the action was allowed, or costs more than the bucket can hold


def throttle(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) > 6:
        raise wrong_arity(b"cl.throttle")
    burst, count, period_s = (_number(word) for word in argv[2:5])
    quantity = _number(argv[5]) if len(argv) == 6 else 1
    if burst < 0 or quantity < 0:
        raise NEGATIVE
    interval_ns = period_s * SECOND_NS // count if count > 0 and period_s > 0 else 0
    if not interval_ns:
        raise ZERO_RATE
    depth_ns, cost_ns, now_ns = interval_ns * (burst + 1), interval_ns * quantity, conn.now_ms * MS_NS
    _check_life(conn, depth_ns)
    full_at_ns = max(_full_at_ns(conn, argv[1]), now_ns)
    late_ns = full_at_ns + cost_ns - depth_ns - now_ns  # by how much the action comes too early
    limited = late_ns > 0
    if not limited and quantity:
        full_at_ns += cost_ns
        deadline_ms = -(-full_at_ns // MS_NS)
        conn.node.engine.store(conn.session.db, argv[1], b"%d" % full_at_ns, deadline_ms, False, conn.now_ms, b"set")
    left_ns = depth_ns - (full_at_ns - now_ns)
    retry_s = _seconds(late_ns) if limited and cost_ns <= depth_ns else NEVER
    return [1 if limited else 0, burst + 1, max(0, left_ns // interval_ns), retry_s, _seconds(full_at_ns - now_ns)]


def _number(word: bytes) -> int:
    number = parse_int(word)
    if number is None:
        raise NOT_AN_INTEGER
    return number


def _check_life(conn: Conn, depth_ns: int) -> None:
    """Refuses a limit whose record would expire before its bucket is full, since it would let too much through."""
    longest_ms = conn.node.settings.max_ttl_ms
    if depth_ns > longest_ms * MS_NS:
        raise ClientError(b"ERR the limit takes more than %d ms to refill, and no key lives longer" % longest_ms)


def _full_at_ns(conn: Conn, key: bytes) -> int:
    entry = current(conn, key)
    return 0 if entry is None else _number(entry.value)


def _seconds(nanoseconds: int) -> int:
    """Seconds, rounded up, so that a client that waits that long is not too early."""
    return -(-nanoseconds // SECOND_NS)


HANDLERS = {b"cl.throttle": throttle}
