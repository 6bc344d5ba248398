"""Keyspace notifications, and the switches that take observed commands off the fast path.

A change reaches the clients that want to know of it through one door: the engine's observer. It is
installed only while somebody listens. `observe` decides that, and which fast paths the engine may
take, from the node's whole state; whoever changes such state (CONFIG SET, CLIENT TRACKING, CLIENT
PAUSE) calls it afterwards. A forgotten call is a lost event, so there is this one function only.
"""

from respram.commands.invalidation import invalidate, see
from respram.commands.node import Node
from respram.commands.telling import tell_event, wake_waiting
from respram.engine.api import EXPIRED, NEW, SEEN
from respram.record import DATABASES

# In the order in which Redis prints them; the last three do not belong to `A`.
EVENT_LETTERS = b"g$lshzxetdnKEm"
BIT_OF = {letter: 1 << position for position, letter in enumerate(EVENT_LETTERS)}
KEYSPACE, KEYEVENT = BIT_OF[ord("K")], BIT_OF[ord("E")]
GENERIC, STRING, EXPIRY = BIT_OF[ord("g")], BIT_OF[ord("$")], BIT_OF[ord("x")]
HASHES, SETS, ZSETS = BIT_OF[ord("h")], BIT_OF[ord("s")], BIT_OF[ord("z")]
FRESH, MISS = BIT_OF[ord("n")], BIT_OF[ord("m")]
ALL_LETTERS = b"g$lshzxetd"  # the classes that `A` stands for
ALL_CLASSES = sum(BIT_OF[letter] for letter in ALL_LETTERS)
OUTGOING = KEYSPACE | KEYEVENT

# Every name that is not here is an event of strings: `set`, `append`, `incrby`, `setrange`...
CLASS_OF = {
    b"expire": GENERIC,
    b"copy_to": GENERIC,
    b"rename_from": GENERIC,
    b"rename_to": GENERIC,
    EXPIRED: EXPIRY,
    NEW: FRESH,
    b"keymiss": MISS,
    b"del": GENERIC,
    **dict.fromkeys((b"hset", b"hdel", b"hincrby", b"hincrbyfloat", b"hexpire", b"hexpired"), HASHES),
    **dict.fromkeys((b"sadd", b"srem", b"spop", b"sexpired", b"sinterstore", b"sunionstore", b"sdiffstore"), SETS),
    **dict.fromkeys(
        (b"zadd", b"zincr", b"zrem", b"zexpired", b"zrangestore", b"zunionstore", b"zinterstore", b"zdiffstore"), ZSETS
    ),
    **dict.fromkeys((b"zpopmin", b"zpopmax", b"zremrangebyrank", b"zremrangebyscore", b"zremrangebylex"), ZSETS),
}

FAST_TIMED_US = 1000  # with a slow log threshold below this, hot commands are timed too


def parse_classes(letters: bytes) -> int | None:
    """The flags behind CONFIG SET notify-keyspace-events; None when a letter is unknown."""
    flags = 0
    for letter in letters:
        if letter == ord("A"):
            flags |= ALL_CLASSES
        elif letter in BIT_OF:
            flags |= BIT_OF[letter]
        else:
            return None
    return flags


def format_classes(flags: int) -> bytes:
    """The flags as Redis prints them: `A` for all that it stands for, K, E and m last."""
    whole = flags & ALL_CLASSES == ALL_CLASSES
    shown = b"A" if whole else b""
    for letter in EVENT_LETTERS:
        # Redis 7 leaves `n` out when it prints `A`, although it is set.
        hidden = whole and (letter in ALL_LETTERS or letter == ord("n"))
        if flags & BIT_OF[letter] and not hidden:
            shown += bytes((letter,))
    return shown


def event(node: Node, name: bytes, db: int, key: bytes) -> None:
    """Tells the subscribers of keyspace channels what happened to a key, if they asked for it."""
    flags = node.event_flags
    if not flags & CLASS_OF.get(name, STRING):
        return
    if flags & KEYSPACE:
        tell_event(node, b"__keyspace@%d__:%b" % (db, key), name)
    if flags & KEYEVENT:
        tell_event(node, b"__keyevent@%d__:%b" % (db, name), key)


def miss(node: Node, db: int, key: bytes) -> None:
    """To be called by a read that found nothing, for class `m`."""
    if node.event_flags & MISS:
        event(node, b"keymiss", db, key)


def observe(node: Node) -> None:
    """Sets the engine's observer and switches to what the node's state demands.

    `expired` alone does not need the writes to leave the fast path: destruction calls the observer
    anyway. A miss or a slow command is seen by `commands/` only, so these two switch reads off.
    """
    flags = node.event_flags if node.event_flags & OUTGOING else 0
    listening = bool(flags or node.trackers or node.tracked or node.blocked)
    now_ms = node.wall_us() // 1000
    timed = 0 <= node.limits.slow_threshold_us < FAST_TIMED_US
    writes_seen = bool(flags & ~(OUTGOING | EXPIRY | MISS))
    misses_seen = bool(flags & MISS) or (node.peers is not None and node.peers.pulls_useful())

    def seen(name: bytes, db: int, key: bytes) -> None:
        if db >= DATABASES:
            return  # not a client's key: see record.py
        if name == SEEN:
            see(node, key)
            return
        if name == NEW and node.blocked:
            wake_waiting(node, db, key)
        if (node.trackers or node.tracked) and name != NEW:
            invalidate(node, key)
            if not (node.trackers or node.tracked):
                observe(node)
        event(node, name, db, key)

    node.engine.observer = seen if listening else None
    off = node.truth is not None or node.busy is not None  # dispatch has to check each command
    node.engine.hot_writes = not (off or writes_seen or timed or node.pause.is_on(now_ms))
    node.engine.hot_reads = not (off or misses_seen or timed or node.pause.holds_reads(now_ms))


def end_pause(node: Node) -> None:
    """Lets the fast paths come back after CLIENT PAUSE; for UNPAUSE and for when its time is over."""
    node.pause.end()
    observe(node)
