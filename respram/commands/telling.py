"""Notifies clients of a changed key, and wakes those that wait for it: some at once, the rest in later turns of the
loop. So it is with keyspace events.

One command may change thousands of keys, and thousands of clients may hear of each of them, or wait for it. So a change
costs the loop a bounded time: AT_ONCE clients are told in one turn. For the others it is noted, by client where they
read the key, and by prefix where they hear of all (BCAST), and they are told in slices of SLICE_US. What is noted has a
bound, too: whoever would have more to hear than that is told that all keys may have changed, as Redis says it after
FLUSHALL.
"""

from collections.abc import Iterator
from operator import length_hint

from respram.commands.acl_rights import READ, may_touch
from respram.commands.node import Conn, Node, Tracking
from respram.commands.pubsub import publish
from respram.commands.reply import Push, Reply, encode
from respram.record import ZSET

AT_ONCE = 64  # clients notified in one turn of the loop without a note
SLICE_US = 2_000  # time for notifications in one turn
KEYS_MAX = 1_024  # keys noted for one client or prefix; with more, all keys count as changed
NOTED_BYTES_MAX = 1 << 20  # of all notes together; with more, all keys count as changed
NOTE_BYTES = 150  # overhead of a noted key
WAKES = 32  # clients waiting for one key that are woken in one turn
EVENTS_US = 5_000  # time for keyspace events in one turn
EVENTS_MAX = 32_768  # that wait: as many as the longest command makes
EVENTS_BYTES_MAX = 64 << 20  # of their channels and messages
CHANNEL = b"__redis__:invalidate"  # the channel of a redirected RESP2 connection
ALL = None  # in place of keys

# Notifications shared by clients that may see the same and use the same protocol.
Made = dict[tuple[int, Conn | None, int, bool], bytes]


def note_reader(node: Node, reader: Conn, key: bytes) -> None:
    """Notes for a client that a key it has read has changed."""
    if _is_early(node):
        tell(reader, [key])
        return
    noted = node.untold.setdefault(reader, {})
    if noted is ALL or key in noted:
        return
    if len(noted) >= KEYS_MAX or not _has_room(node, key):
        node.untold[reader] = ALL
    else:
        noted[key] = None


def note_prefix(node: Node, prefix: bytes, key: bytes, author: Conn | None) -> None:
    """Notes for a prefix that a key under it has changed, and which client changed it last."""
    listeners = node.prefixes[prefix]
    noted = node.gathered.get(prefix, {})
    if not noted and len(listeners) + node.told <= AT_ONCE:
        for listener in tuple(listeners):
            if wants(listener, key, author) and _is_early(node):
                tell(listener, [key])
        return
    if noted is not ALL:
        if key not in noted and (len(noted) >= KEYS_MAX or not _has_room(node, key)):
            node.gathered[prefix] = ALL
        else:
            noted[key] = author
            node.gathered[prefix] = noted
    _is_early(node)


def _is_early(node: Node) -> bool:
    """Whether one more client can be told in this turn; the others are told later."""
    node.told += 1
    if node.told == 1:
        node.soon(lambda: _tell_some(node))
    return node.told <= AT_ONCE


def _has_room(node: Node, key: bytes) -> bool:
    if node.noted_bytes > NOTED_BYTES_MAX:
        return False
    node.noted_bytes += len(key) + NOTE_BYTES
    return True


def _tell_some(node: Node) -> None:
    node.told = 0
    if node.telling is None:
        if not (node.untold or node.gathered):
            return
        node.telling = _tellings(node)
    node.told = 1  # another turn follows
    end_us = node.micros() + SLICE_US
    for _ in node.telling:
        if node.micros() > end_us:
            node.soon(lambda: _tell_some(node))
            return
    node.telling, node.told = None, 0


def _tellings(node: Node) -> Iterator[None]:
    """Yields the clients that have to be told, one by one. Those noted meanwhile come last."""
    while node.untold or node.gathered:
        untold, gathered = node.untold, node.gathered
        node.untold, node.gathered, node.noted_bytes = {}, {}, 0
        for reader, keys in untold.items():
            if reader.tracking is not None and not reader.tracking.broadcast:
                tell(reader, keys if keys is ALL else list(keys))
                yield
        for prefix, changed in gathered.items():
            made: Made = {}
            for listener in tuple(node.prefixes.get(prefix, ())):
                _tell_listener(listener, changed, made)
                yield


def _tell_listener(
    listener: Conn, changed: "dict[bytes, Conn | None] | None", made: Made
) -> None:
    """All keys of a prefix in one push, which is made once for all who may know the same."""
    wish, account = listener.tracking, listener.account
    if wish is None or not wish.broadcast:
        return
    if changed is ALL:
        tell(listener, ALL)
        return
    alone = listener if wish.no_loop and listener in changed.values() else None
    target = _target(listener, wish)
    if target is None:
        return
    name = 0 if account.unrestricted else id(account), alone, target.session.proto, bool(wish.redirect)
    if name not in made:
        keys = [key for key, author in changed.items() if wants(listener, key, author)]
        made[name] = _said(keys, target, wish) if keys else b""
    if made[name]:
        target.push(made[name], after_reply=True)


def tell(reader: Conn, keys: list[bytes] | None) -> None:
    """Sends the invalidation now. None: all keys may have changed."""
    wish = reader.tracking
    if wish is None:
        return
    target = _target(reader, wish)
    if target is not None and (said := _said(keys, target, wish)):
        target.push(said, after_reply=True)


def _said(keys: list[bytes] | None, target: Conn, wish: Tracking) -> bytes:
    """The invalidation as bytes; b"" if the other side cannot receive it."""
    told: Reply = None if keys is None else [*keys]
    if target.session.proto == 3:
        return encode(Push([b"invalidate", told]), 3)
    if wish.redirect and target.subscribed:
        return encode(Push([b"message", CHANNEL, told]), 2)
    return b""


def _target(reader: Conn, wish: Tracking) -> Conn | None:
    if not wish.redirect:
        return reader
    target = reader.node.clients.get(wish.redirect)
    if target is None:
        _tell_broken(reader, wish)
    return target


def _tell_broken(reader: Conn, wish: Tracking) -> None:
    """The connection that invalidations go to has gone: its owner must stop trusting its cache."""
    wish.redirect_broken = True
    if reader.session.proto == 3:
        reader.push(encode(Push([b"tracking-redir-broken", wish.redirect]), 3), after_reply=True)


def wants(listener: Conn, key: bytes, author: Conn | None) -> bool:
    """A client with BCAST hears of keys that it never read: of those only that its user may read. Redis tells it all
    names.
    """
    wish, account = listener.tracking, listener.account
    if wish is None or (wish.no_loop and listener is author):
        return False
    return account.unrestricted or any(rights.all_keys or may_touch(rights, key, READ) for rights in account.rights)


# -- keyspace events ----------------------------------------------------------------------------------
def tell_event(node: Node, channel: bytes, message: bytes) -> None:
    """Publishes an event, in its order: now, if its turn has time for it, or in a later one.

    With many patterns an event takes half a millisecond, and one MSET makes 32,768 of them. What more a transaction or
    script makes is paid by itself: for each event that is noted the oldest is published.
    """
    # A queue that is full holds nothing back: PUBLISH in the same transaction goes through, and would overtake.
    is_closed = node.broadcasts.is_closed()
    if not node.events_us:
        node.events_us = 1
        node.soon(lambda: _tell_events(node))
    if not node.events and node.events_us < EVENTS_US and not is_closed:
        began_us = node.micros()
        publish(node, channel, message)
        node.events_us += max(node.micros() - began_us, 1)
        return
    node.events.append((channel, message))
    node.events_bytes += len(channel) + len(message)
    while len(node.events) > EVENTS_MAX or node.events_bytes > EVENTS_BYTES_MAX:
        _tell_oldest(node)


def _tell_events(node: Node) -> None:
    node.events_us = 0
    if not node.events:
        return
    node.events_us = EVENTS_US  # what comes in this turn waits behind these
    end_us = node.micros() + EVENTS_US
    while node.events and not node.broadcasts.is_closed():
        _tell_oldest(node)
        if node.micros() > end_us:
            break
    node.soon(lambda: _tell_events(node))


def _tell_oldest(node: Node) -> None:
    channel, message = node.events.popleft()
    node.events_bytes -= len(channel) + len(message)
    publish(node, channel, message)


# -- who waits for a key ------------------------------------------------------------------------------
def wake_waiting(node: Node, db: int, key: bytes) -> None:
    """Wakes the clients that wait for a key, the longest waiting first, some in each turn while the key exists."""
    waiting = iter(tuple(node.blocked.get((db, key), ())))
    is_first = (db, key) not in node.ripe
    node.ripe[db, key] = waiting
    if is_first:
        _wake_some(node, db, key, sure=True)


def _wake_some(node: Node, db: int, key: bytes, sure: bool = False) -> None:
    waiting = node.ripe.get((db, key))
    if waiting is None:
        return
    entry = None if sure else node.engine.peek(db, key, node.wall_us() // 1000)
    if sure or entry is not None and entry.kind == ZSET:
        still = node.blocked.get((db, key), {})
        for _, conn in zip(range(WAKES), waiting, strict=False):
            if conn in still:
                conn.wake()
        if length_hint(waiting):
            node.soon(lambda: _wake_some(node, db, key))
            return
    del node.ripe[db, key]
