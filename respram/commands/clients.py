"""CLIENT: lists the connections, and changes settings of the own connection and of others.

CLIENT TRACKING and its kin are in `tracking.py`.
"""

from collections.abc import Callable, Iterable

from respram.commands.blocking import COMMANDS
from respram.commands.client_line import describe
from respram.commands.connection import CLIENT_NAME_BYTES_MAX, checked_name, is_printable
from respram.commands.deadlines import INT64_MAX
from respram.commands.node import Conn
from respram.commands.notify import end_pause, observe
from respram.commands.reply import OK, Each, Reply, Verbatim, breathing
from respram.commands.texts import NOT_AN_INTEGER, ONE_LINE, SYNTAX, help_of, unknown_subcommand
from respram.errors import ClientError
from respram.integers import parse_int

WAITING = COMMANDS | {b"wait"}
TYPES = frozenset({b"normal", b"master", b"replica", b"pubsub"})
NO_SUCH_CLIENT = ClientError.saying(b"ERR No such client")
BAD_CLIENT_ID = ClientError.saying(b"ERR Invalid client ID")
BAD_KILL_ID = ClientError.saying(b"ERR client-id should be greater than 0")

HELP = (
    b"CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CACHING (YES|NO)",
    b"    Whether the keys of the next command are tracked, in OPTIN and OPTOUT mode.",
    b"GETNAME",
    b"    The name of this connection.",
    b"GETREDIR",
    b"    The id of the client that gets the invalidations, 0: this one, -1: tracking is off.",
    b"ID",
    b"    The id of this connection.",
    b"INFO",
    b"    This connection, as CLIENT LIST shows it.",
    b"KILL <ip:port> | <option> <value> [<option> <value> [...]]",
    b"    Closes connections. Options: ADDR, LADDR, ID, TYPE (NORMAL|PUBSUB), USER, SKIPME (YES|NO).",
    b"LIST [TYPE (NORMAL|PUBSUB) | ID <id> [...]]",
    b"    The connections, one a line.",
    b"NO-EVICT (ON|OFF)",
    b"    Taken note of; no client is closed for lack of memory.",
    b"NO-TOUCH (ON|OFF)",
    b"    Taken note of; reading a key never prolongs its life.",
    b"PAUSE <timeout> [WRITE|ALL]",
    b"    Holds back writes or all commands for <timeout> milliseconds.",
    b"REPLY (ON|OFF|SKIP)",
    b"    Whether replies are sent on this connection; SKIP: not that of the next command.",
    b"SETINFO (LIB-NAME <name> | LIB-VER <version>)",
    b"    Which library speaks on this connection.",
    b"SETNAME <name>",
    b"    Names this connection.",
    b"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
    b"    Invalidation messages for clients that cache.",
    b"TRACKINGINFO",
    b"    How this connection is tracking.",
    b"UNBLOCK <id> [TIMEOUT|ERROR]",
    b"    Ends the waiting of a client that is blocked in WAIT or a pop.",
    b"UNPAUSE",
    b"    Ends a pause.",
    b"HELP",
    b"    Shows this text.",
)


def client_id(conn: Conn, argv: list[bytes]) -> Reply:
    return conn.id


def client_getname(conn: Conn, argv: list[bytes]) -> Reply:
    return conn.name or None


def client_setname(conn: Conn, argv: list[bytes]) -> Reply:
    conn.name = checked_name(argv[2])
    return OK


def client_setinfo(conn: Conn, argv: list[bytes]) -> Reply:
    option, shown, text = argv[2].lower(), argv[2][:128].translate(ONE_LINE), argv[3]
    if option not in (b"lib-name", b"lib-ver"):
        raise ClientError(b"ERR Unrecognized option '%b'" % shown)
    if not is_printable(text):
        raise ClientError(b"ERR %b cannot contain spaces, newlines or special characters." % shown)
    if len(text) > CLIENT_NAME_BYTES_MAX:
        raise ClientError(b"ERR %b may have at most %d bytes" % (shown, CLIENT_NAME_BYTES_MAX))
    if option == b"lib-name":
        conn.lib_name = text
    else:
        conn.lib_version = text
    return OK


# -- who is there -------------------------------------------------------------------------------
def client_info(conn: Conn, argv: list[bytes]) -> Reply:
    return Verbatim(describe(conn, conn.now_ms))


def client_list(conn: Conn, argv: list[bytes]) -> Reply:
    chosen: Iterable[Conn] = list(conn.node.clients.values())
    if len(argv) == 4 and argv[2].lower() == b"type":
        wanted = _client_type(argv[3])
        chosen = (other for other in chosen if type_of(other) == wanted)
    elif len(argv) > 3 and argv[2].lower() == b"id":
        numbers = [_client_id(text) for text in argv[3:]]
        chosen = (conn.node.clients[number] for number in numbers if number in conn.node.clients)
    elif len(argv) != 2:
        raise SYNTAX
    return Each(breathing(describe(other, conn.now_ms) for other in chosen), b"=")


def _client_id(text: bytes) -> int:
    number = parse_int(text)
    if number is None:
        raise BAD_CLIENT_ID
    return number


def _client_type(text: bytes) -> bytes:
    name = b"replica" if text.lower() == b"slave" else text.lower()
    if name not in TYPES:
        raise ClientError(b"ERR Unknown client type '%b'" % text[:128].translate(ONE_LINE))
    return name


def type_of(conn: Conn) -> bytes:
    return b"pubsub" if conn.subscribed else b"normal"


# -- what is done to others ---------------------------------------------------------------------
def client_kill(conn: Conn, argv: list[bytes]) -> Reply:
    old_form = len(argv) == 3
    if old_form:
        chosen = [other for other in conn.node.clients.values() if other.address == argv[2]]
    else:
        matches, skip_me = _kill_filters(conn, argv)
        chosen = [
            other
            for other in conn.node.clients.values()
            if all(match(other) for match in matches) and not (skip_me and other is conn)
        ]
    for other in chosen:
        if other is conn:
            conn.session.closing = True  # closes after the reply
        else:
            other.transport.close()
    if not old_form:
        return len(chosen)
    if not chosen:
        raise NO_SUCH_CLIENT
    return OK


def _kill_filters(conn: Conn, argv: list[bytes]) -> tuple[list[Callable[[Conn], bool]], bool]:
    """The conditions of CLIENT KILL, and whether the caller is spared."""
    matches: list[Callable[[Conn], bool]] = []
    skip_me = True
    for option, value in zip(argv[2::2], argv[3::2], strict=False):
        word = option.lower()
        if word == b"id":
            number = parse_int(value)
            if number is None or number <= 0:
                raise BAD_KILL_ID
            matches.append(lambda other, number=number: other.id == number)  # type: ignore[misc]
        elif word == b"type":
            kind = _client_type(value)
            matches.append(lambda other, kind=kind: type_of(other) == kind)  # type: ignore[misc]
        elif word == b"addr":
            matches.append(lambda other, value=value: other.address == value)  # type: ignore[misc]
        elif word == b"laddr":
            matches.append(lambda other, value=value: other.local_address == value)  # type: ignore[misc]
        elif word == b"user":
            if value not in conn.node.users:
                raise ClientError(b"ERR No such user '%b'" % value[:128].translate(ONE_LINE))
            matches.append(lambda other, value=value: other.user == value and other.authenticated)  # type: ignore[misc]
        elif word == b"skipme" and value.lower() in (b"yes", b"no"):
            skip_me = value.lower() == b"yes"
        else:
            raise SYNTAX
    if len(argv) % 2:
        raise SYNTAX
    return matches, skip_me


def client_pause(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) > 4:
        raise unknown_subcommand(b"client", argv[1])
    mode = argv[3].lower() if len(argv) == 4 else b"all"
    if mode not in (b"all", b"write"):
        raise ClientError(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
    timeout_ms = parse_int(argv[2])
    if timeout_ms is None:
        raise ClientError(b"ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise ClientError(b"ERR timeout is negative")
    if timeout_ms > INT64_MAX - conn.now_ms:
        raise ClientError(b"ERR timeout is out of range")
    conn.node.pause.begin(conn.now_ms, conn.now_ms + timeout_ms, writes_only=mode == b"write")
    observe(conn.node)
    return OK


def client_unpause(conn: Conn, argv: list[bytes]) -> Reply:
    end_pause(conn.node)
    for other in list(conn.node.clients.values()):
        if other.session.suspended and other.last_command not in WAITING:
            other.wake()
    return OK


def client_unblock(conn: Conn, argv: list[bytes]) -> Reply:
    """WAIT and the pops that wait are the only commands that block; a client that a pause holds back is not blocked."""
    if len(argv) > 4:
        raise unknown_subcommand(b"client", argv[1])
    reason = argv[3].lower() if len(argv) == 4 else b"timeout"
    if reason not in (b"timeout", b"error"):
        raise ClientError(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    number = parse_int(argv[2])
    if number is None:
        raise NOT_AN_INTEGER
    other = conn.node.clients.get(number)
    if other is None or not other.session.suspended or other.last_command not in WAITING:
        return 0
    other.unblocked = reason
    other.wake()
    return 1


# -- about itself -------------------------------------------------------------------------------
def client_reply(conn: Conn, argv: list[bytes]) -> Reply:
    mode = argv[2].lower()
    if mode == b"on":
        conn.silent, conn.skip = False, 0
    elif mode == b"off":
        conn.silent = True
    elif mode == b"skip":
        if not conn.silent:
            conn.skip = 2  # skips this command's own reply and the next one's
    else:
        raise SYNTAX
    conn.settle()
    return OK


def client_no_evict(conn: Conn, argv: list[bytes]) -> Reply:
    conn.no_evict = _is_on(argv[2])
    return OK


def client_no_touch(conn: Conn, argv: list[bytes]) -> Reply:
    conn.no_touch = _is_on(argv[2])
    return OK


def _is_on(word: bytes) -> bool:
    if word.lower() not in (b"on", b"off"):
        raise SYNTAX
    return word.lower() == b"on"


HANDLERS = {
    b"client|id": client_id,
    b"client|getname": client_getname,
    b"client|setname": client_setname,
    b"client|setinfo": client_setinfo,
    b"client|info": client_info,
    b"client|list": client_list,
    b"client|kill": client_kill,
    b"client|pause": client_pause,
    b"client|unpause": client_unpause,
    b"client|unblock": client_unblock,
    b"client|reply": client_reply,
    b"client|no-evict": client_no_evict,
    b"client|no-touch": client_no_touch,
    b"client|help": help_of(HELP),
}
