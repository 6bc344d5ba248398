"""Which client caches which key, and how it is told that the key changed.

Two ways, as in Redis. By default the node remembers which client read which key, in a table bounded
by `tracking-table-max-keys`, and tells each once. With BCAST it remembers nothing: a client hears of
every change under its prefixes. Keys are told without their database, so a client may hear of a key
it did not read, never the other way round. An entry names a connection by its id, and stays until the
key changes: a client that switches tracking off and on again is told of what it read before. This file
finds the clients that a change concerns; `telling.py` decides which are told at once and which later.

A client that changes a key itself finds the push behind its own command's reply: a push before it
would make it drop the value it is about to store.
"""

from respram.catalog import Command, find
from respram.catalog.keys import keys_of
from respram.commands.node import Conn, Node
from respram.commands.telling import note_prefix, note_reader, tell, wants

# of the table of read keys; when it is full, the oldest entries are invalidated
TRACKED_BYTES_MAX = 48 << 20
TRACKED_KEY_BYTES = 350  # overhead of a tracked key: its entry, and the dict of its readers


def remember(conn: Conn, command: Command, argv: list[bytes]) -> None:
    """After a command of a tracking client ran: notes the keys it read."""
    wish = conn.tracking
    if wish is None:
        return
    wanted = wish.caching is True if wish.opt_in else wish.caching is not False
    reads = b"readonly" in command.flags and b"noscript" not in command.flags  # a script reads by its commands
    if wanted and not wish.broadcast and reads and command.key_specs:
        for key in keys_of(command, argv):
            _note(conn.node, key, conn)
        trim(conn.node)


def spend_caching(conn: Conn, argv: list[bytes]) -> None:
    """Ends CLIENT CACHING, which applies to the next command or transaction, even if that fails or is refused. Only
    another CLIENT command leaves it in force, as in Redis."""
    wish = conn.tracking
    if wish is None or wish.caching is None or conn.queue is not None:
        return
    if argv[0].lower() == b"client" and len(argv) > 1 and find(b"client", argv[1]) is not None:
        return
    wish.caching = None
    conn.settle()


def see(node: Node, key: bytes) -> None:
    """Notes a key that a fast path has read for a tracking connection."""
    reader = node.teller
    if reader is not None and reader.session.tracks:
        _note(node, key, reader)
        trim(node)


def _note(node: Node, key: bytes, reader: Conn) -> None:
    readers = node.tracked.get(key)
    if readers is None:
        readers = node.tracked[key] = {}
        node.tracked_bytes += len(key) + TRACKED_KEY_BYTES
    readers[reader.id] = None


def trim(node: Node) -> None:
    """Forgets the keys read longest ago; whoever cached one is told to drop it."""
    while len(node.tracked) > node.limits.tracked_keys_max or (node.tracked_bytes > TRACKED_BYTES_MAX and node.tracked):
        _tell_readers(node, next(iter(node.tracked)), author=None)


def invalidate(node: Node, key: bytes) -> None:
    """A key changed, expired, or was merged: tells whoever may have cached it."""
    author = node.current or node.teller
    _tell_readers(node, key, author)
    for length in tuple(node.prefix_lengths):  # so that the cost of a change does not grow with the number of prefixes
        if length <= len(key) and (prefix := key[:length]) in node.prefixes:
            note_prefix(node, prefix, key, author)


def _tell_readers(node: Node, key: bytes, author: Conn | None) -> None:
    readers = node.tracked.pop(key, None)
    if readers is None:
        return
    node.tracked_bytes -= len(key) + TRACKED_KEY_BYTES
    for number in readers:
        reader = node.clients.get(number)
        if reader is None or reader.tracking is None or reader.tracking.broadcast or not wants(reader, key, author):
            continue
        if reader is author:
            tell(reader, [key])  # after its reply
        else:
            note_reader(node, reader, key)
