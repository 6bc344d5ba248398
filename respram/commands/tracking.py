"""CLIENT TRACKING and its relatives: a client switches tracking on and off, and asks for its settings.

What follows from it (who is told of which key, and when) is in `invalidation.py`.
"""

from respram.commands.node import Conn, Node, Tracking
from respram.commands.notify import observe
from respram.commands.reply import OK, Flags, Reply
from respram.commands.texts import NOT_AN_INTEGER, SYNTAX
from respram.errors import ClientError
from respram.integers import parse_int

PREFIXES_MAX = 128  # BCAST prefixes of one client: each change is compared with all of them
PREFIX_BYTES_MAX = 256  # of one prefix: a change looks up the beginning of its key for each length in use

SWITCHED_BROADCAST = ClientError.saying(
    b"ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
    b"and then re-enabling it with a different mode."
)
SWITCHED_OPT = ClientError.saying(
    b"ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
    b"and then re-enabling it with a different mode."
)
NOT_CACHING = ClientError.saying(
    b"ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
)
ONLY_OPTIN = ClientError.saying(b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
ONLY_OPTOUT = ClientError.saying(b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")


def client_tracking(conn: Conn, argv: list[bytes]) -> Reply:
    asked = _parse(conn, argv)
    switch = argv[2].lower()
    if switch == b"off":
        forget_tracking(conn)
        return OK
    if switch != b"on":
        raise SYNTAX
    before = conn.tracking
    _check(before, asked)
    if asked.broadcast:
        old = before.prefixes if before else []
        fresh = asked.prefixes
        _check_prefixes(old, fresh)
        if not fresh and b"" not in old:
            fresh = [b""]  # all keys, whatever prefixes existed: Redis compares only the given ones
        asked.prefixes = old + fresh
        for prefix in fresh:
            _listeners(conn.node, prefix)[conn] = None
    conn.tracking = asked
    conn.node.trackers[conn] = None
    conn.node.readers[conn] = None
    conn.settle()
    observe(conn.node)
    return OK


def _listeners(node: Node, prefix: bytes) -> dict[Conn, None]:
    if prefix not in node.prefixes:
        node.prefixes[prefix] = {}
        node.prefix_lengths[len(prefix)] = node.prefix_lengths.get(len(prefix), 0) + 1
    return node.prefixes[prefix]


def forget_tracking(conn: Conn) -> None:
    """For TRACKING OFF, RESET and a connection that ended. Its entries in the table of read keys stay until the key
    changes, as in Redis: tracking again makes them count again.
    """
    node, wish = conn.node, conn.tracking
    if wish is None:
        return
    for prefix in wish.prefixes:
        listeners = node.prefixes[prefix]
        del listeners[conn]
        if not listeners:
            del node.prefixes[prefix]
            node.prefix_lengths[len(prefix)] -= 1
            if not node.prefix_lengths[len(prefix)]:
                del node.prefix_lengths[len(prefix)]
    conn.tracking = None
    del node.trackers[conn]
    conn.settle()
    observe(node)


def forget_reader(conn: Conn) -> None:
    """For a connection that ended. Its entries are skipped, which costs less than searching for them, and go with the
    last connection that has tracked.
    """
    forget_tracking(conn)
    node = conn.node
    node.readers.pop(conn, None)
    if not node.readers:
        node.tracked.clear()
        node.tracked_bytes = 0


def _parse(conn: Conn, argv: list[bytes]) -> Tracking:
    asked = Tracking()
    words = iter(argv[3:])
    for word in words:
        option = word.lower()
        if option == b"bcast":
            asked.broadcast = True
        elif option == b"optin":
            asked.opt_in = True
        elif option == b"optout":
            asked.opt_out = True
        elif option == b"noloop":
            asked.no_loop = True
        elif option in (b"redirect", b"prefix"):
            value = next(words, None)
            if value is None:
                raise SYNTAX
            if option == b"prefix":
                asked.prefixes.append(value)
            else:
                asked.redirect = _redirect(conn, asked, value)
        else:
            raise SYNTAX
    return asked


def _redirect(conn: Conn, asked: Tracking, value: bytes) -> int:
    if asked.redirect:
        raise ClientError(b"ERR A client can only redirect to a single other client")
    number = parse_int(value)
    if number is None:
        raise NOT_AN_INTEGER
    if number not in conn.node.clients:
        raise ClientError(b"ERR The client ID you want redirect to does not exist")
    return number


def _check(before: Tracking | None, asked: Tracking) -> None:
    """The options against each other and against the mode that is on, in Redis's order."""
    if asked.prefixes and not asked.broadcast:
        raise ClientError(b"ERR PREFIX option requires BCAST mode to be enabled")
    if before is not None and before.broadcast != asked.broadcast:
        raise SWITCHED_BROADCAST
    if asked.broadcast and (asked.opt_in or asked.opt_out):
        raise ClientError(b"ERR OPTIN and OPTOUT are not compatible with BCAST")
    if asked.opt_in and asked.opt_out:
        raise ClientError(b"ERR You can't specify both OPTIN mode and OPTOUT mode")
    if before is not None and ((before.opt_in and asked.opt_out) or (before.opt_out and asked.opt_in)):
        raise SWITCHED_OPT


def _check_prefixes(old: list[bytes], fresh: list[bytes]) -> None:
    if len(old) + len(fresh) > PREFIXES_MAX or any(len(prefix) > PREFIX_BYTES_MAX for prefix in fresh):
        raise ClientError(
            b"ERR too many or too long prefixes: a client may have %d, of %d bytes each"
            % (PREFIXES_MAX, PREFIX_BYTES_MAX)
        )
    for at, prefix in enumerate(fresh):
        for other in sorted(old):
            if _overlap(prefix, other):
                raise ClientError(
                    b"ERR Prefix '%b' overlaps with an existing prefix '%b'. "
                    b"Prefixes for a single client must not overlap." % (prefix, other)
                )
        for other in fresh[at + 1 :]:
            if _overlap(prefix, other):
                raise ClientError(
                    b"ERR Prefix '%b' overlaps with another provided prefix '%b'. "
                    b"Prefixes for a single client must not overlap." % (prefix, other)
                )


def _overlap(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def client_caching(conn: Conn, argv: list[bytes]) -> Reply:
    wish = conn.tracking
    if wish is None:
        raise NOT_CACHING
    answer = argv[2].lower()
    if answer == b"yes":
        if not wish.opt_in:
            raise ONLY_OPTIN
        wish.caching = True
    elif answer == b"no":
        if not wish.opt_out:
            raise ONLY_OPTOUT
        wish.caching = False
    else:
        raise SYNTAX
    conn.settle()
    return OK


def client_trackinginfo(conn: Conn, argv: list[bytes]) -> Reply:
    wish = conn.tracking
    if wish is None:
        return {b"flags": Flags([b"off"]), b"redirect": -1, b"prefixes": []}
    flags: list[Reply] = [b"on"]
    flags += [b"bcast"] if wish.broadcast else []
    if wish.opt_in:
        flags += [b"optin"] + ([b"caching-yes"] if wish.caching else [])
    if wish.opt_out:
        flags += [b"optout"] + ([b"caching-no"] if wish.caching is False else [])
    flags += [b"noloop"] if wish.no_loop else []
    flags += [b"broken_redirect"] if wish.redirect_broken else []
    return {b"flags": Flags(flags), b"redirect": wish.redirect, b"prefixes": [*sorted(wish.prefixes)]}


def client_getredir(conn: Conn, argv: list[bytes]) -> Reply:
    return conn.tracking.redirect if conn.tracking is not None else -1


HANDLERS = {
    b"client|tracking": client_tracking,
    b"client|caching": client_caching,
    b"client|trackinginfo": client_trackinginfo,
    b"client|getredir": client_getredir,
}
