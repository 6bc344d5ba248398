"""SUBSCRIBE and PUBLISH: messages to present subscribers, never stored.

Three registries live on the node: channels, patterns and shard channels (which without a cluster are
channels of their own kind). The engine knows who listens to the first two as well: it answers the plain PUBLISH by
itself. Here a message is encoded once and handed to each listener out of turn. Subscriptions
answer once for each channel, so these handlers return `Raw`.
"""

from collections.abc import Iterator

from respram.commands import patterns
from respram.commands.broadcasts import MANY, WAIT_MS
from respram.commands.node import Conn, Node, Suspend
from respram.commands.reply import BREATH, Breath, Each, Push, Raw, Reply, breathing, encode
from respram.commands.texts import help_of, unknown_subcommand
from respram.engine.api import Patterns
from respram.errors import ClientError

LISTED_AT_ONCE = 512  # channels checked before other clients are served
SUBSCRIPTION_BYTES_MAX = 4 << 20  # of one client's subscriptions: bounds its memory

HELP = (
    b"PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CHANNELS [<pattern>]",
    b"    The channels somebody listens to, those that match <pattern> or all.",
    b"NUMPAT",
    b"    How many patterns are subscribed to.",
    b"NUMSUB [<channel> ...]",
    b"    The number of listeners of each channel, those by pattern not counted.",
    b"SHARDCHANNELS [<pattern>]",
    b"    The shard channels somebody listens to.",
    b"SHARDNUMSUB [<shardchannel> ...]",
    b"    The number of listeners of each shard channel.",
    b"HELP",
    b"    Shows this text.",
)

PATTERN_TOO_LONG = ClientError.saying(b"ERR a pattern may have at most %d bytes" % patterns.PATTERN_BYTES_MAX)
PATTERNS_TOO_DEAR = ClientError.saying(
    b"ERR too many patterns that must be searched for inside channel names, for one client"
)
PATTERNS_TOO_DEAR_HERE = ClientError.saying(b"ERR too many patterns are subscribed to on this node")
TOO_MANY_WAIT = ClientError.saying(
    b"ERR too many messages wait for their listeners; outside of transactions and scripts PUBLISH waits for them"
)
CHANNEL_TOO_LONG = ClientError.saying(
    b"ERR the channel name is too long to match it against the patterns subscribed to on this node"
)

Registry = dict[bytes, dict[Conn, int]]
Listeners = dict[Conn, int]
Way = tuple[Listeners, bytes]  # who listens in one way, and how their frame begins behind the protocol's mark
NOBODY: Listeners = {}


def publish(node: Node, channel: bytes, message: bytes) -> int:
    """Hands a message to the listeners of a channel, then to those by pattern; how many there were."""
    found = node.pattern_index.matching(channel) if node.patterns else []
    named = _bulk(channel)
    ways: list[Way] = [(node.channels.get(channel, NOBODY), b"3\r\n$7\r\nmessage\r\n" + named)]
    for pattern in found:
        ways.append((node.patterns[pattern], b"4\r\n$8\r\npmessage\r\n" + _bulk(pattern) + named))
    return _fan_out(node, ways, message)


def publish_to_shard(node: Node, channel: bytes, message: bytes) -> int:
    way: Way = node.shard_channels.get(channel, NOBODY), b"3\r\n$8\r\nsmessage\r\n" + _bulk(channel)
    return _fan_out(node, [way], message)


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def _fan_out(node: Node, ways: list[Way], message: bytes) -> int:
    """To few at once, to many in slices, behind what waits already."""
    broadcasts = node.broadcasts
    ways = [way for way in ways if way[0]]
    count = sum(len(listeners) for listeners, _ in ways)
    if count >= MANY or broadcasts.waiting and count:
        if broadcasts.is_closed():
            node.stats.messages_dropped += 1
            return 0
        broadcasts.add(ways, _bulk(message))
        # What a client publishes to itself comes in front of its reply, and an event of its read behind that.
        for author in (node.current, node.teller):
            if author is not None and author.subscribed:
                broadcasts.hear(author)
        broadcasts.begin()
        return count
    tail = _bulk(message) if ways else b""
    for listeners, head in ways:
        encoded: dict[int, bytes] = {}
        for listener in tuple(listeners):  # one over its output limit may be closed and removed meanwhile
            proto = listener.session.proto
            if proto not in encoded:
                encoded[proto] = b"".join((b">" if proto == 3 else b"*", head, tail))
            listener.push(encoded[proto])
    return count


def subscribe(conn: Conn, argv: list[bytes]) -> Reply:
    return _subscribe(conn, argv, conn.channels, conn.node.channels)


def psubscribe(conn: Conn, argv: list[bytes]) -> Reply:
    return _subscribe(conn, argv, conn.patterns, conn.node.patterns)


def ssubscribe(conn: Conn, argv: list[bytes]) -> Reply:
    return _subscribe(conn, argv, conn.shard_channels, conn.node.shard_channels)


def _subscribe(conn: Conn, argv: list[bytes], own: set[bytes], registry: Registry) -> Reply:
    word = argv[0].lower()
    _check_room(conn, argv[1:], own)
    index = conn.node.pattern_index if registry is conn.node.patterns else None
    replies = []
    for name in argv[1:]:
        own.add(name)
        if index is not None and name not in registry:
            index.add(name)
        if registry is not conn.node.shard_channels:
            conn.node.engine.listen(conn.session, name, registry is conn.node.patterns)
        registry.setdefault(name, {})[conn] = conn.node.broadcasts.last
        replies.append(_confirmation(conn, word, name, own))
    conn.settle()
    return _answer(conn, replies)


def _check_room(conn: Conn, names: list[bytes], own: set[bytes]) -> None:
    """Checks the limits before anything is changed: a refused SUBSCRIBE subscribes to nothing."""
    fresh = set(names) - own
    size = sum(map(len, fresh))
    count_max = conn.node.limits.subscriptions_max
    if own is conn.patterns:
        size += sum(map(patterns.held_bytes, fresh))
    if (
        _subscriptions(conn) + len(conn.shard_channels) + len(fresh) > count_max
        or conn.subscription_bytes + size > SUBSCRIPTION_BYTES_MAX
    ):
        raise ClientError(
            b"ERR too many subscriptions: a client may have %d, of %d bytes together"
            % (count_max, SUBSCRIPTION_BYTES_MAX)
        )
    if own is conn.patterns:
        _check_patterns(conn, fresh)
    conn.subscription_bytes += size


def _check_patterns(conn: Conn, fresh: set[bytes]) -> None:
    node, index = conn.node, conn.node.pattern_index
    if any(len(pattern) > patterns.PATTERN_BYTES_MAX for pattern in fresh):
        raise PATTERN_TOO_LONG
    if len(conn.patterns) + len(fresh) > node.limits.patterns_max:
        raise ClientError(b"ERR too many patterns: a client may have %d" % node.limits.patterns_max)
    new = [pattern for pattern in fresh if pattern not in node.patterns]
    cost = sum(map(patterns.searches, fresh))
    if conn.searches + cost > patterns.CLIENT_SEARCHES_MAX:
        raise PATTERNS_TOO_DEAR
    if (
        index.count + len(new) > patterns.NODE_PATTERNS_MAX
        or index.searches + sum(map(patterns.searches, new)) > patterns.SEARCHES_MAX
    ):
        raise PATTERNS_TOO_DEAR_HERE
    conn.searches += cost


def unsubscribe(conn: Conn, argv: list[bytes]) -> Reply:
    return _unsubscribe(conn, argv, conn.channels, conn.node.channels)


def punsubscribe(conn: Conn, argv: list[bytes]) -> Reply:
    return _unsubscribe(conn, argv, conn.patterns, conn.node.patterns)


def sunsubscribe(conn: Conn, argv: list[bytes]) -> Reply:
    return _unsubscribe(conn, argv, conn.shard_channels, conn.node.shard_channels)


def _unsubscribe(conn: Conn, argv: list[bytes], own: set[bytes], registry: Registry) -> Reply:
    """Answers once for each channel named, or for each subscribed; with a nil one when there are none."""
    word = argv[0].lower()
    replies = []
    for name in argv[1:] or sorted(own):
        _leave(conn, name, own, registry)
        replies.append(_confirmation(conn, word, name, own))
    if not replies:
        replies.append(_confirmation(conn, word, None, own))
    conn.settle()
    return _answer(conn, replies)


def _leave(conn: Conn, name: bytes, own: set[bytes], registry: Registry) -> None:
    if name not in own:
        return
    own.remove(name)
    conn.subscription_bytes -= len(name)
    if registry is conn.node.patterns:
        conn.subscription_bytes -= patterns.held_bytes(name)
        conn.searches -= patterns.searches(name)
    if registry is not conn.node.shard_channels:
        conn.node.engine.unlisten(conn.session, name, registry is conn.node.patterns)
    listeners = registry[name]
    del listeners[conn]
    if not listeners:
        del registry[name]
        if registry is conn.node.patterns:
            conn.node.pattern_index.remove(name)


def _subscriptions(conn: Conn) -> int:
    return len(conn.channels) + len(conn.patterns)


def _confirmation(conn: Conn, word: bytes, name: bytes | None, own: set[bytes]) -> bytes:
    count = len(own) if own is conn.shard_channels else _subscriptions(conn)
    if name is None:
        return encode(Push([word, None, count]), conn.session.proto)
    # As `encode` has it. One command can have 20,000 names, and `encode` took most of its time.
    mark = b">" if conn.session.proto == 3 else b"*"
    return b"%b3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n:%d\r\n" % (mark, len(word), word, len(name), name, count)


def _answer(conn: Conn, replies: list[bytes]) -> Reply:
    """CLIENT REPLY OFF and SKIP silence replies, but these are pushes: they are sent all the same."""
    encoded = b"".join(replies)
    if conn.silent or conn.skip:
        conn.push(encoded)
    return Raw(encoded)


def forget_subscriptions(conn: Conn) -> None:
    """For RESET and for a connection that ended."""
    node = conn.node
    for own, registry in (
        (conn.channels, node.channels),
        (conn.patterns, node.patterns),
        (conn.shard_channels, node.shard_channels),
    ):
        for name in list(own):
            _leave(conn, name, own, registry)


def _wait_for_room(conn: Conn) -> None:
    """Raises Suspend when too many messages wait to be handed over, or an error where a command may not wait."""
    broadcasts = conn.node.broadcasts
    broadcasts.publishers.pop(conn, None)  # it may have been resumed by its timer
    if not broadcasts.is_full():
        return
    if not conn.executing:
        conn.was_held = True
        broadcasts.publishers[conn] = None
        raise Suspend(conn.now_ms + WAIT_MS)
    if broadcasts.is_closed():
        raise TOO_MANY_WAIT


def publish_command(conn: Conn, argv: list[bytes]) -> Reply:
    """Counts the listeners here. Those on other nodes hear of it too, behind what was written before."""
    if conn.node.pattern_index.is_too_long(argv[1]):
        raise CHANNEL_TOO_LONG
    _wait_for_room(conn)
    if conn.node.peers is not None:
        conn.node.peers.publish(argv[1], argv[2], shard=False)
    return publish(conn.node, argv[1], argv[2])


def spublish(conn: Conn, argv: list[bytes]) -> Reply:
    _wait_for_room(conn)
    if conn.node.peers is not None:
        conn.node.peers.publish(argv[1], argv[2], shard=True)
    return publish_to_shard(conn.node, argv[1], argv[2])


def pubsub_channels(conn: Conn, argv: list[bytes]) -> Reply:
    return _active(conn, conn.node.channels, argv)


def pubsub_shardchannels(conn: Conn, argv: list[bytes]) -> Reply:
    return _active(conn, conn.node.shard_channels, argv)


def _active(conn: Conn, registry: Registry, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise unknown_subcommand(b"pubsub", argv[1])
    # Without a pattern all channels are listed, including the one with an empty name, which `*` does not match.
    chosen = None
    if len(argv) == 3:
        chosen = conn.node.engine.patterns()
        chosen.add(argv[2])
    return Each(_listed(list(registry), chosen))


def _listed(channels: list[bytes], chosen: Patterns | None) -> Iterator[Reply | Breath]:
    for begin in range(0, len(channels), LISTED_AT_ONCE):
        some = channels[begin : begin + LISTED_AT_ONCE]
        yield from some if chosen is None else chosen.keep(some)
        yield BREATH


def pubsub_numsub(conn: Conn, argv: list[bytes]) -> Reply:
    return _numbers(conn.node.channels, argv)


def pubsub_shardnumsub(conn: Conn, argv: list[bytes]) -> Reply:
    return _numbers(conn.node.shard_channels, argv)


def _numbers(registry: Registry, argv: list[bytes]) -> Reply:
    parts = (part for channel in argv[2:] for part in (channel, len(registry.get(channel, ()))))
    return Each(breathing(parts, LISTED_AT_ONCE))


def pubsub_numpat(conn: Conn, argv: list[bytes]) -> Reply:
    return len(conn.node.patterns)


HANDLERS = {
    b"subscribe": subscribe,
    b"unsubscribe": unsubscribe,
    b"psubscribe": psubscribe,
    b"punsubscribe": punsubscribe,
    b"ssubscribe": ssubscribe,
    b"sunsubscribe": sunsubscribe,
    b"publish": publish_command,
    b"spublish": spublish,
    b"pubsub|channels": pubsub_channels,
    b"pubsub|numsub": pubsub_numsub,
    b"pubsub|numpat": pubsub_numpat,
    b"pubsub|shardchannels": pubsub_shardchannels,
    b"pubsub|shardnumsub": pubsub_shardnumsub,
    b"pubsub|help": help_of(HELP),
}
