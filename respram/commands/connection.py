"""Commands of a connection about itself: HELLO, AUTH, SELECT, PING, ECHO, QUIT, RESET.

A connection begins as the user `default`. A change of state that the fast paths depend on ends with
`conn.settle()`.
"""

from respram.commands.acl_check import note_denied
from respram.commands.acl_user import DEFAULT as USER
from respram.commands.acl_user import NO_SECRET, User
from respram.commands.auth_throttle import note_failure, note_success, wait_for_slot
from respram.commands.blocking import forget_blocked
from respram.commands.deadlines import count_defaulted
from respram.commands.node import WARNING, Conn
from respram.commands.notify import observe
from respram.commands.pubsub import forget_subscriptions
from respram.commands.reply import OK, Reply, Simple
from respram.commands.scripts import abandon
from respram.commands.texts import DB_RANGE, NOT_AN_INTEGER, ONE_LINE, REDIS_VERSION, SYNTAX, shown, wrong_arity
from respram.commands.tracking import forget_reader, forget_tracking
from respram.commands.transactions import leave
from respram.errors import ClientError
from respram.integers import parse_int
from respram.record import DATABASES

NOBODY = User(b"", passwords=[NO_SECRET])  # takes the place of an unknown user, so that the reply takes as long
CLIENT_NAME_BYTES_MAX = 1024  # of CLIENT SETNAME and SETINFO: it is repeated in each line of CLIENT LIST
INT32_MAX = (1 << 31) - 1

WRONG_PASSWORD = ClientError.saying(b"WRONGPASS invalid username-password pair or user is disabled.")
NO_PASSWORD = ClientError.saying(
    b"ERR AUTH <password> called without any password configured for the default user. "
    b"Are you sure your configuration is correct?"
)
HELLO_NOAUTH = ClientError.saying(
    b"NOAUTH HELLO must be called with the client already authenticated, otherwise the "
    b"HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
    b"RESP protocol version at the same time"
)
BAD_PROTOCOL = ClientError.saying(b"ERR Protocol version is not an integer or out of range")
NO_PROTOCOL = ClientError.saying(b"NOPROTO unsupported protocol version")
BAD_NAME = ClientError.saying(b"ERR Client names cannot contain spaces, newlines or special characters.")

NOT_32_BITS = ClientError.saying(
    b"ERR value is out of range, value must between %d and %d" % (-INT32_MAX - 1, INT32_MAX)
)


def hello(conn: Conn, argv: list[bytes]) -> Reply:
    """HELLO: everything is checked before anything is changed, and authentication comes before the rest."""
    proto = 0
    if len(argv) > 1:
        number = parse_int(argv[1])
        if number is None:
            raise BAD_PROTOCOL
        if number not in (2, 3):
            raise NO_PROTOCOL
        proto = number
    credentials, name = _hello_options(argv)
    if credentials is not None:
        authenticate(conn, *credentials)
    if not conn.authenticated:
        raise HELLO_NOAUTH
    if name is not None:
        conn.name = name
    if proto:
        conn.session.proto = proto
        conn.settle()
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION,
        b"proto": conn.session.proto,
        b"id": conn.id,
        b"mode": b"standalone" if conn.node.config.cluster == "no" else b"cluster",
        b"role": b"master",
        b"modules": [],
    }


def _hello_options(argv: list[bytes]) -> tuple[tuple[bytes, bytes] | None, bytes | None]:
    """(user, password) of AUTH and the name of SETNAME, where they are given."""
    credentials, name = None, None
    at = 2
    while at < len(argv):
        option, more = argv[at].lower(), len(argv) - 1 - at
        if option == b"auth" and more >= 2:
            credentials = argv[at + 1], argv[at + 2]
            at += 3
        elif option == b"setname" and more:
            name = checked_name(argv[at + 1])
            at += 2
        else:
            raise ClientError(b"ERR Syntax error in HELLO option '%b'" % argv[at][:128].translate(ONE_LINE))
    return credentials, name


def checked_name(name: bytes) -> bytes:
    """The name, if it fits into a line of CLIENT LIST."""
    if not is_printable(name):
        raise BAD_NAME
    if len(name) > CLIENT_NAME_BYTES_MAX:
        raise ClientError(b"ERR Client names may have at most %d bytes" % CLIENT_NAME_BYTES_MAX)
    return name


PRINTABLE = bytes(range(33, 127))


def is_printable(text: bytes) -> bool:
    """Whether there is no blank and nothing beyond ASCII in it."""
    return not text.translate(None, PRINTABLE)


def auth(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise SYNTAX
    if len(argv) == 2:
        if conn.node.users[USER].nopass:
            raise NO_PASSWORD
        authenticate(conn, USER, argv[1])
    else:
        authenticate(conn, argv[1], argv[2])
    return OK


def authenticate(conn: Conn, user: bytes, password: bytes) -> None:
    """A user without a password takes any, as Redis has it. A failure changes nothing."""
    waited = wait_for_slot(conn)
    account = conn.node.users.get(user, NOBODY)
    right = account.knows(password) or account.nopass
    if not (right and account.enabled):
        conn.node.stats.auth_failures += 1
        note_failure(conn, waited=waited)
        note_denied(conn, b"auth", b"AUTH", user)
        raise WRONG_PASSWORD
    if waited:
        note_success(conn)
    conn.user, conn.account = user, account
    conn.authenticated = True
    conn.settle()


def select(conn: Conn, argv: list[bytes]) -> Reply:
    number = parse_int(argv[1])
    if number is None:
        raise NOT_AN_INTEGER
    if not -INT32_MAX - 1 <= number <= INT32_MAX:
        raise NOT_32_BITS
    if not 0 <= number < DATABASES:
        raise DB_RANGE
    conn.session.db = number
    return OK


def ping(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) > 2:
        raise wrong_arity(b"ping")
    if conn.subscribed and conn.session.proto == 2:
        return [b"pong", argv[1] if len(argv) == 2 else b""]
    return argv[1] if len(argv) == 2 else Simple(b"PONG")


def echo(conn: Conn, argv: list[bytes]) -> Reply:
    return argv[1]


def quit_command(conn: Conn, argv: list[bytes]) -> Reply:
    conn.session.closing = True
    return OK


def reset(conn: Conn, argv: list[bytes]) -> Reply:
    """The connection as it was when it came in; only its id stays, and what library speaks on it."""
    forget_tracking(conn)
    forget_subscriptions(conn)
    leave(conn)
    conn.silent, conn.skip = False, 0
    conn.reads_anywhere = conn.asking = False
    conn.no_evict = conn.no_touch = False
    conn.name = b""
    conn.user, conn.account = USER, conn.node.users[USER]
    conn.session.db, conn.session.proto = 0, 2
    conn.authenticated = conn.account.open
    conn.settle()
    return Simple(b"RESET")


# -- its first and last moment, as the node's registries see it ------------------------------------------
def greet(conn: Conn) -> None:
    conn.node.clients[conn.id] = conn
    conn.account = conn.node.users[conn.user]
    conn.authenticated = conn.account.open
    conn.settle()


def note_fault(conn: Conn, fault: bytes) -> None:
    """Its input broke the protocol, or a limit: it is closed after the error, and an operator should know why."""
    stats = conn.node.stats
    if fault:
        stats.protocol_errors += 1
    else:
        stats.query_limit_disconnections += 1
    why = fault.decode("ascii", "backslashreplace") or "too much unread input"
    conn.node.log(
        f"event=protocol_error client={conn.id} address={conn.address.decode()} client_name={shown(conn.name)} "
        f"why={why!r}: closed",
        WARNING,
    )


def forget(conn: Conn) -> None:
    """Removes the connection from all registries of listeners."""
    conn.node.clients.pop(conn.id, None)
    count_defaulted(conn)
    if conn.node.busy is conn:
        abandon(conn)
    forget_subscriptions(conn)
    forget_reader(conn)
    if conn.node.peers is not None:
        conn.node.peers.forget(conn)
    if conn.node.truth is not None:
        conn.node.truth.forget(conn)
    conn.forget_watched()
    forget_blocked(conn)
    conn.writing = None  # its walk refers to the connection: the circle would keep both until the next collection
    observe(conn.node)


HANDLERS = {
    b"hello": hello,
    b"auth": auth,
    b"select": select,
    b"ping": ping,
    b"echo": echo,
    b"quit": quit_command,
    b"reset": reset,
}
