"""Families in which connections meet: transactions and what others do to watched keys, messages and subscriptions.

Where Redis goes through a hash table, order is chance: at most one pattern of a connection matches a channel,
and UNSUBSCRIBE without a name is drawn for one subscription only.
"""

from compat.oracle.draw import Draw, send
from compat.oracle.families.keys import copy, exists, expire, mset
from compat.oracle.families.plan import Plan
from compat.oracle.families.strings import (
    append,
    get,
    getex,
    incr,
    incrby,
    life,
    mget,
    plain_set,
    set_command,
    setbit,
    setrange,
    strlen,
)
from compat.oracle.stream import Send, Sleep, Step, Word

WRONG = (  # errors while queueing, which abort the transaction
    (b"NOSUCH",), (b"NOSUCH", b"a", b"b"), (b"GET",), (b"SET", b"k0"), (b"SUBSTR", b"k0"), (b"CLIENT", b"NOSUCH"),
    (b"EXPIRE", b"k0"), (b"WATCH",),
    (b"EXEC", b"x"), (b"MULTI", b"x"), (b"DISCARD", b"x"),
)  # fmt: skip


# -- transactions ---------------------------------------------------------------------------------
def transactions(draw: Draw, proto: int, count: int) -> Plan:
    """Connection 0 has the transactions; 1 and 2 do the same or get in its way."""
    steps: list[Step] = [plain_set(draw) for _ in range(3)]
    while len(steps) < count:
        conn = draw.pick((0, 0, 0, 1))
        steps += draw.pick((transaction, transaction, transaction, watched, watched, loose))(draw, conn)
    steps += [Send(conn, (b"DISCARD",)) for conn in (0, 1)]
    return Plan(tuple(steps))


def command_of(draw: Draw, conn: int) -> Send:
    makers = (plain_set, set_command, get, get, mget, mset, incr, incrby, append, strlen, expire, getex, life, exists,
              copy, setbit, setrange)
    drawn = draw.pick(makers)(draw)
    return Send(conn, drawn.argv)


def transaction(draw: Draw, conn: int) -> list[Step]:
    steps: list[Step] = [send(draw, conn, b"MULTI")]
    for _ in range(draw.number(0, 6)):
        if draw.chance(0.08):
            steps.append(Send(conn, draw.pick(WRONG)))
        elif draw.chance(0.06):
            steps.append(Send(conn, draw.pick(((b"MULTI",), (b"WATCH", b"k0"), (b"UNWATCH",), (b"PING",),
                                               (b"SELECT", b"1"), (b"SELECT", b"99"),
                                               (b"ECHO", b"x"), (b"PUBLISH", b"c", b"m"),
                                               (b"OBJECT", b"ENCODING", b"nokey")))))  # fmt: skip
        else:
            steps.append(command_of(draw, conn))
    if draw.chance(0.2):
        steps.append(command_of(draw, 2))
    steps.append(send(draw, conn, b"DISCARD" if draw.chance(0.12) else b"RESET" if draw.chance(0.04) else b"EXEC"))
    return steps


def watched(draw: Draw, conn: int) -> list[Step]:
    """Between WATCH and EXEC somebody writes, reads, or time passes."""
    steps: list[Step] = []
    keys = [draw.key() for _ in range(draw.number(1, 3))]
    if draw.chance(0.1):
        steps.append(Send(2, (b"SET", keys[0], b"v", b"PX", b"600")))
    steps.append(send(draw, conn, b"WATCH", *keys))
    if len(steps) == 2:
        steps.append(Sleep(670))
    if draw.chance(0.15):
        steps.append(send(draw, conn, b"UNWATCH"))
    other = draw.pick((2, 2, 2, conn))
    for _ in range(draw.number(0, 2)):
        steps.append(command_of(draw, other))
    if draw.chance(0.3):
        steps.append(Send(other, draw.pick(((b"SET", keys[0], b"w"), (b"INCR", keys[0]), (b"GET", keys[0]),
                                            (b"APPEND", keys[0], b""),
                                            (b"EXPIRE", keys[0], b"%d" % draw.ttl_s()),
                                            (b"MSET", keys[0], b"1")))))  # fmt: skip
    if draw.chance(0.1):
        steps += [
            Send(other, (b"SELECT", b"1")),
            Send(other, (b"SET", keys[0], b"elsewhere")),
            Send(other, (b"SELECT", b"0")),
        ]
    return [*steps, *transaction(draw, conn)]


def loose(draw: Draw, conn: int) -> list[Step]:
    return [
        Send(
            conn,
            draw.pick(
                ((b"EXEC",), (b"DISCARD",), (b"UNWATCH",), (b"WATCH", b"k0", b"k1"), (b"SELECT", b"0"), (b"GET", b"k0"))
            ),
        )
    ]


# -- messages -------------------------------------------------------------------------------------
CHANNELS = (b"a1", b"a2", b"b1", b"b2", b"c\r\n1", b"", b"d\xff")
PATTERNS = ((b"a*", b"a[12]", b"a?"), (b"b*", b"b1"), (b"c*", b"c??1"))  # a connection subscribes to one of each group


def pubsub(draw: Draw, proto: int, count: int) -> Plan:
    if draw.chance(0.35):
        return notifications(draw, count)
    steps: list[Step] = []
    channels: dict[int, set[bytes]] = {0: set(), 1: set(), 3: set()}
    patterns: dict[int, dict[int, bytes]] = {0: {}, 1: {}, 3: {}}
    while len(steps) < count:
        conn = draw.pick((0, 0, 1))
        how = draw.number(0, 15)
        if how < 3:
            steps += subscribe(draw, conn, channels[conn])
        elif how < 5:
            steps += psubscribe(draw, conn, patterns[conn])
        elif how < 7:
            steps += unsubscribe(draw, conn, channels[conn], patterns[conn])
        elif how < 11:
            steps.append(send(draw, 2, b"PUBLISH", draw.pick(CHANNELS), draw.value()))
        elif how < 13:
            steps.append(while_subscribed(draw, conn))
        elif how == 13:
            steps += shards(draw, 3)
        else:
            steps.append(about_channels(draw))
    return Plan(tuple(steps))


def subscribe(draw: Draw, conn: int, own: set[bytes]) -> list[Step]:
    names = draw.some(CHANNELS, 1, 3)
    own.update(names)
    return [send(draw, conn, b"SUBSCRIBE", *names)]


def psubscribe(draw: Draw, conn: int, own: dict[int, bytes]) -> list[Step]:
    group = draw.number(0, len(PATTERNS) - 1)
    if group in own:
        return []
    own[group] = draw.pick(PATTERNS[group])
    return [send(draw, conn, b"PSUBSCRIBE", own[group])]


def unsubscribe(draw: Draw, conn: int, channels: set[bytes], patterns: dict[int, bytes]) -> list[Step]:
    if draw.chance(0.5):
        if draw.chance(0.3) and len(channels) <= 1:
            channels.clear()
            return [send(draw, conn, b"UNSUBSCRIBE")]
        names = draw.some(CHANNELS, 1, 2)
        channels.difference_update(names)
        return [send(draw, conn, b"UNSUBSCRIBE", *names)]
    if len(patterns) <= 1 and draw.chance(0.5):
        patterns.clear()
        return [send(draw, conn, b"PUNSUBSCRIBE")]
    group = draw.number(0, len(PATTERNS) - 1)
    return [send(draw, conn, b"PUNSUBSCRIBE", patterns.pop(group, b"never*"))]


def while_subscribed(draw: Draw, conn: int) -> Send:
    """Some of these are refused on a subscribed connection in RESP2, and none in RESP3."""
    words = draw.pick((
        (b"PING",), (b"PING", b"x"), (b"GET", b"k0"), (b"SET", b"k0", b"v"), (b"MULTI", b"x"), (b"EXEC",),
        (b"DISCARD",), (b"NOSUCH",), (b"GET",),
        (b"ECHO", b"x"), (b"CLIENT", b"GETNAME"), (b"PUBLISH", b"a1", b"self"), (b"SELECT", b"0"), (b"HELLO", b"9"),
        (b"PING", b"x", b"y"),
        (b"SUBSCRIBE",), (b"UNWATCH",), (b"COMMAND", b"COUNT", b"x"),
    ))  # fmt: skip
    return Send(conn, (draw.case(words[0]), *words[1:]))


def shards(draw: Draw, conn: int) -> list[Step]:
    """Shard channels without a cluster: a kind of their own, one at a time here."""
    name = draw.pick((b"s1", b"s2"))
    return [
        send(draw, conn, b"SSUBSCRIBE", name), send(draw, 2, b"SPUBLISH", name, draw.value()),
        send(draw, 2, b"PUBLISH", name, b"no"),
        send(draw, 2, b"PUBSUB", b"SHARDNUMSUB", b"s1", b"s2"), send(draw, 2, b"PUBSUB", b"SHARDCHANNELS"),
        send(draw, conn, b"SUNSUBSCRIBE", *((name,) if draw.chance(0.6) else ())), send(draw, conn, b"SUNSUBSCRIBE"),
    ]  # fmt: skip


def about_channels(draw: Draw) -> Send:
    words = draw.pick((
        (b"CHANNELS",), (b"CHANNELS", b"a*"), (b"channels", b"nothing"), (b"CHANNELS", b"a", b"b"), (b"NUMSUB",),
        (b"NUMSUB", b"a1", b"b1", b"a1"),
        (b"NUMPAT",), (b"numpat",), (b"NUMPAT", b"x"), (b"NOSUCH",), (b"SHARDNUMSUB",),
    ))  # fmt: skip
    return send(draw, 2, b"PUBSUB", *words)


# -- keyspace notifications -----------------------------------------------------------------------
CLASSES = (b"KEA", b"AKE", b"Kg$", b"E$", b"KEx$", b"Kn", b"KEAm", b"KEAn", b"Em", b"KEg", b"A", b"K", b"")


def notifications(draw: Draw, count: int) -> Plan:
    """Connection 1 hears of what 0 does, through one pattern, so that the order is that of the events."""
    pattern = draw.pick((b"__key*", b"__keyspace@0__:*", b"__keyevent@*__:*", b"__keyevent@0__:set"))
    steps: list[Step] = [send(draw, 1, b"PSUBSCRIBE", pattern)]
    makers = (plain_set, set_command, set_command, get, getex, incr, incrby, append, setrange, setbit, copy, mset, mget,
              expire, exists, life)
    for _ in range(count - 6):
        steps.append(draw.pick(makers)(draw))
    if draw.chance(0.4):
        steps += [Send(0, (b"SET", b"gone", b"v", b"PX", b"150")), Sleep(450), Send(0, (b"GET", b"gone"))]
    moves: tuple[tuple[Word, ...], ...] = (
        (b"SELECT", b"3"),
        (b"SET", b"k0", b"v"),
        (b"COPY", b"k0", b"k1", b"DB", b"4"),
    )
    steps += [Send(0, words) for words in moves]
    return Plan(tuple(steps), ((b"notify-keyspace-events", draw.pick(CLASSES)),))
