"""Commands that wait for a key: BZPOPMIN, BZPOPMAX and BZMPOP, until a sorted set is there or their time is up.

A waiting command is suspended on the node of its client, and woken when one of its keys appears, by a write or by a
record from a peer. Then it runs again as if it were new. If another node decides about the key, the command is sent
there with the remaining time, and waits there if another client was first. A woken command checks that its client is
still connected, since a member popped for a lost client would be lost. (While it waits at another node there is no such
check: decision 0124.)
"""

from collections.abc import Sequence
from math import ceil

from respram.commands.node import Conn, Suspend
from respram.commands.notify import observe
from respram.commands.reply import NIL_ARRAY, Reply
from respram.commands.texts import UNBLOCKED
from respram.errors import ClientError
from respram.integers import INT64_MAX, parse_float, parse_ratio
from respram.record import ZSET

KEYS_MAX = 1_024  # keys that one client waits for: all are checked whenever it is woken
WAIT_MS_MAX = 3_600_000  # limit of an infinite wait at another node, and interval between checks of a wait at this one
COMMANDS = frozenset({b"bzpopmin", b"bzpopmax", b"bzmpop"})

NOT_A_TIMEOUT = ClientError.saying(b"ERR timeout is not a float or out of range")
NEGATIVE = ClientError.saying(b"ERR timeout is negative")
TOO_MANY_KEYS = ClientError.saying(b"ERR a client may wait for at most %d keys" % KEYS_MAX)


def parse_timeout(word: bytes) -> int:
    """Milliseconds; 0: no end. Redis reads a long double, so it takes what no double holds, and then finds it too
    large.
    """
    seconds = parse_float(word)
    if seconds is None:
        raise NOT_A_TIMEOUT
    ratio = parse_ratio(word)
    milliseconds = None if ratio is None else ceil(ratio * 1000)
    if milliseconds is None or not 0 <= milliseconds <= INT64_MAX:
        raise NEGATIVE  # Redis says so of infinity too
    return milliseconds


def wait_for(conn: Conn, keys: Sequence[bytes], timeout_ms: int) -> Reply:
    """Suspends a handler that found nothing. Answers nil if the time is up or the command may not wait."""
    if conn.executing:
        return NIL_ARRAY
    if len(keys) > KEYS_MAX:
        raise TOO_MANY_KEYS
    if not conn.blocked_until_ms:
        conn.unblocked = b""
        conn.blocked_until_ms = conn.now_ms + (timeout_ms or INT64_MAX // 2)
        for key in keys:
            watched = conn.session.db, key
            conn.blocked_on.append(watched)
            conn.node.blocked.setdefault(watched, {})[conn] = None
        observe(conn.node)
    if conn.now_ms < conn.blocked_until_ms and not conn.unblocked:
        raise Suspend(min(conn.blocked_until_ms, conn.now_ms + WAIT_MS_MAX))
    unblocked = conn.unblocked
    forget_blocked(conn)
    if unblocked == b"error":
        raise UNBLOCKED
    return NIL_ARRAY


def first_there(conn: Conn, keys: Sequence[bytes]) -> bool:
    """Whether one of the keys holds a sorted set, as far as this node knows."""
    if conn.blocked_until_ms and conn.transport.is_gone():
        return False
    engine, db = conn.node.engine, conn.session.db
    entries = (engine.peek(db, key, conn.now_ms) for key in keys)
    return any(entry is not None and (entry.kind == ZSET or not conn.blocked_until_ms) for entry in entries)


def sent_on(conn: Conn, argv: list[bytes]) -> tuple[list[bytes], int]:
    """The command with its remaining time, and that time, to be sent to another node. It stops waiting here."""
    place = 1 if argv[0].lower() == b"bzmpop" else len(argv) - 1
    left_ms = parse_timeout(argv[place])
    if conn.blocked_until_ms:
        left_ms = max(conn.blocked_until_ms - conn.now_ms, 1)
        forget_blocked(conn)
    left_ms = min(left_ms or WAIT_MS_MAX, WAIT_MS_MAX)
    return [*argv[:place], b"%d.%03d" % divmod(left_ms, 1000), *argv[place + 1 :]], left_ms


def forget_blocked(conn: Conn) -> None:
    """Removes a client from the list of those that wait."""
    if not conn.blocked_until_ms:
        return
    conn.blocked_until_ms, conn.unblocked = 0, b""
    for watched in conn.blocked_on:
        waiting = conn.node.blocked.get(watched)
        if waiting is not None:
            waiting.pop(conn, None)
            if not waiting:
                del conn.node.blocked[watched]
    conn.blocked_on.clear()
    observe(conn.node)


def stop_waiting(conn: Conn) -> None:
    """Clears what a command that waited leaves when it is refused in the end: the next would take it for its own."""
    forget_blocked(conn)
    if conn.wait_state is not None:
        conn.wait_state, conn.fences = None, []
        if conn.node.peers is not None:
            conn.node.peers.forget(conn)
