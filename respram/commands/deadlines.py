"""Turns a client's TTL into an absolute deadline. This is the only place that applies the TTL policy.

Every record has a deadline. A write that names none gets the node's default TTL, and its record is
marked implicit; a TTL beyond the node's maximum is cut to it. Both are counted, so that INFO can
tell an operator how often clients asked for something else than they got.
"""

from respram.commands.node import WARNING, Conn, Node
from respram.commands.texts import NOT_AN_INTEGER, invalid_expire, shown
from respram.errors import ClientError
from respram.integers import parse_int

INT64_MAX = (1 << 63) - 1
DEFAULTED_NAMES_MAX = 1_000  # client names that are counted apart


def deadline_for(conn: Conn, ttl_ms: int | None) -> tuple[int, bool]:
    """Deadline in Unix milliseconds, and whether it is implicit; None: the client named no TTL.

    `ttl_ms` must be positive: a time that is not in the future is the caller's to refuse.
    """
    settings, stats = conn.node.settings, conn.node.stats
    if ttl_ms is None:
        stats.ttl_defaulted += 1
        conn.defaulted += 1
        return conn.now_ms + min(settings.default_ttl_ms, settings.max_ttl_ms), True
    assert ttl_ms > 0, ttl_ms
    if ttl_ms > settings.max_ttl_ms:
        stats.ttl_cut += 1
        ttl_ms = settings.max_ttl_ms
    return conn.now_ms + ttl_ms, False


def expiry_argument(conn: Conn, name: bytes, number: bytes, *, seconds: bool, absolute: bool) -> int:
    """The TTL in milliseconds that an EX, PX, EXAT or PXAT argument means.

    Zero, negative numbers and overflows are Redis's own error. The answer can be zero or less all
    the same: an absolute time that has passed, which Redis takes as a delete.
    """
    value = parse_int(number)
    if value is None:
        raise NOT_AN_INTEGER
    if value <= 0:
        raise invalid_expire(name)
    return ttl_ms_from(conn, value, seconds=seconds, absolute=absolute, overflow=invalid_expire(name))


def ttl_ms_from(conn: Conn, value: int, *, seconds: bool, absolute: bool, overflow: ClientError) -> int:
    """Unit and origin removed; `overflow` is raised where Redis's 64-bit arithmetic would wrap."""
    value_ms = value * 1000 if seconds else value
    if not -INT64_MAX - 1 <= value_ms <= INT64_MAX:
        raise overflow
    if absolute:
        return value_ms - conn.now_ms
    if value_ms > INT64_MAX - conn.now_ms:
        raise overflow
    return value_ms


# -- who names no TTL ---------------------------------------------------------------------------------
# An application that stores its settings here loses them after an hour, and nothing fails until then. So the log
# reports it, once for each client name.
def count_defaulted(conn: Conn) -> None:
    """Adds what this client wrote without a TTL since it was counted last; the first line of its name goes to the log.
    """
    total = conn.defaulted + conn.session.defaulted
    new, conn.defaulted_counted = total - conn.defaulted_counted, total
    if not new:
        return
    names = conn.node.stats.defaulted_by_name
    name = conn.name if conn.name in names or len(names) < DEFAULTED_NAMES_MAX else b"(others)"
    if name not in names:
        conn.node.log(
            f"event=ttl_defaulted client_name={shown(name)} user={shown(conn.user)} writes={new} "
            f"ttl_s={conn.node.settings.default_ttl_ms // 1000}: without a TTL they got the default",
            WARNING,
        )
    names[name] = names.get(name, 0) + new


def count_all_defaulted(node: Node) -> None:
    for conn in node.clients.values():
        count_defaulted(conn)
