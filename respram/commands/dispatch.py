"""From argv to reply bytes: the checks that every command passes, in Redis's order.

1. is it known, is its arity right; 2. may this connection run anything before AUTH; 3. is there
memory for it; 4. is it allowed in subscribed mode; 5. has the node read its snapshot; 6. is it to be queued in MULTI;
7. is the node paused. Then the handler runs, timed for the slow log, and what it returns or raises is encoded.
"""

from respram.catalog import Command, find
from respram.commands import acl_check, handlers
from respram.commands.access import overrun, room
from respram.commands.blocking import stop_waiting
from respram.commands.elsewhere import send_elsewhere
from respram.commands.invalidation import spend_caching
from respram.commands.node import MAJORITY, Conn, Suspend
from respram.commands.redirects import redirect
from respram.commands.reply import Each, Error, OverrunError, Raw, Reply, Simple, Writer, Writing, encode
from respram.commands.running import OOM, call, count_error, wait_for_script, wait_while_paused
from respram.commands.settling import await_further, await_settled
from respram.commands.transactions import leave, queued_size, take_over
from respram.commands.truth import await_truth
from respram.engine.api import Session
from respram.errors import ClientError

# the first word is what clients know and retry
LOADING = ClientError.saying(b"LOADING Redis is loading the dataset in memory")
NOAUTH = ClientError.saying(b"NOAUTH Authentication required.")
RUNS_IN_MULTI = frozenset({b"exec", b"discard", b"multi", b"watch", b"quit", b"reset"})
RUNS_SUBSCRIBED = frozenset(
    {
        b"ping",
        b"subscribe",
        b"unsubscribe",
        b"psubscribe",
        b"punsubscribe",
        b"ssubscribe",
        b"sunsubscribe",
        b"quit",
        b"reset",
    }
)
RUNS_PAUSED = frozenset({b"client", b"exec"})  # EXEC is checked by the commands that it queued, in its handler
PIECEWISE_BYTES = 1 << 20  # a longer reply that was made in slices leaves in pieces: to join 60 MB stops all for 100 ms
SLICE_US = 500  # time spent on a reply that is made in pieces, before others are served
UNKNOWN_ARGS_BYTES = 128  # bytes of the arguments in Redis's `unknown command` text
ABORTED_FOR = b"EXECABORT Transaction discarded because of: %b"
HTTP_WORDS = frozenset({b"post", b"host:"})

handlers.fill()


def dispatch(session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """Runs a command that the engine does not answer itself. None suspends the session."""
    conn = session.owner
    assert isinstance(conn, Conn)
    conn.now_ms = conn.last_active_ms = now_ms
    conn.catch_up()
    node = conn.node
    node.current = conn
    try:
        if conn.writing is None:
            encoded = _encoded(conn, _admit(conn, argv))
        else:
            await_further(conn, argv)
            encoded = _write_on(conn, conn.writing)
    except ClientError as error:
        count_error(conn, error.text)
        if conn.blocked_until_ms or conn.wait_state is not None:
            stop_waiting(conn)
        encoded = encode(Error(error.text), session.proto)
    except OverrunError:
        conn.writing, encoded = None, b""
        overrun(conn)
    except Suspend as wait:
        conn.suspended_until_ms = wait.until_ms
        if conn.pushes_before:  # by a script that gives way: what comes before it goes on is not to overtake them
            node.engine.say(conn.take_pushes())
        return None
    finally:
        node.current = None
    if conn.tracking is not None:
        spend_caching(conn, argv)
    if conn.silent or conn.skip:
        encoded = _muffle(conn, encoded)
    if conn.pushes_before or conn.pushes_after:
        encoded = b"".join((*conn.pushes_before, encoded, *conn.pushes_after))
        conn.drop_pushes()
    return encoded


def _encoded(conn: Conn, reply: Reply) -> bytes:
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if type(reply) is int:
        return b":%d\r\n" % reply
    if isinstance(reply, Each):
        conn.writing = Writing(Writer(conn.session.proto, room(conn)), reply)
        return _write_on(conn, conn.writing)
    return encode(reply, conn.session.proto, room(conn))


def _write_on(conn: Conn, writing: Writing) -> bytes:
    """Writes a long reply for a slice of time; then other clients are served."""
    micros = conn.node.micros
    end_us = micros() + SLICE_US
    if not writing.go_on(lambda: micros() > end_us):
        raise Suspend(conn.now_ms)
    conn.writing = None
    if writing.slices and writing.writer.size > PIECEWISE_BYTES and not (conn.silent or conn.skip):
        pieces = [*conn.pushes_before, *writing.writer.parts]
        if conn.transport.deliver_pieces(pieces):
            conn.take_pushes()
            return b""
    return writing.writer.whole()


def _admit(conn: Conn, argv: list[bytes]) -> Reply:
    """All the checks, then the call; raises the error for the client."""
    name = argv[0].lower()
    if conn.was_held:  # before it did anything: it has not asked peers for a key, for instance
        conn.was_held = conn.session.retried = False
    if conn.node.peers is not None:
        conn.node.peers.beat(conn.now_ms)
    if name in HTTP_WORDS:
        conn.session.closing = True
        conn.node.log(f"event=http_request client={conn.id} address={conn.address.decode()}: closed")
        return Raw(b"")
    if conn.node.busy is conn:
        # Its script has begun. If anything refused it now, nobody would resume it, and all others would be told BUSY.
        return call(conn, _known(name, argv), argv)
    try:
        command = _known(name, argv)
        _allowed(conn, command, name, argv)
    except ClientError as error:
        if name == b"exec":
            leave(conn)
            raise ClientError(ABORTED_FOR % error.text.removeprefix(b"ERR ")) from None
        if conn.queue is not None:
            conn.spoiled = True
        raise
    if conn.hint_due or conn.node.strict:
        redirect(conn, command, argv)
    if conn.queue is not None and name not in RUNS_IN_MULTI:
        return _enqueue(conn, command, argv)
    if name not in RUNS_PAUSED:
        wait_while_paused(conn, (command,))
        if conn.node.homes is not None or conn.node.decide == MAJORITY:
            send_elsewhere(conn, command, argv)
        await_settled(conn, (command, argv))
        if conn.node.truth is not None:
            await_truth(conn, ((command, argv),))
    return call(conn, command, argv)


def _known(name: bytes, argv: list[bytes]) -> Command:
    command = find(name, argv[1] if len(argv) > 1 else b"")
    if command is None or (command.subcommands and len(argv) > 1):  # a container without a subcommand: argv[1] is empty
        parent = find(name, b"")
        if parent is not None:
            spelt = _c_string(argv[1])[:UNKNOWN_ARGS_BYTES]
            raise ClientError(b"ERR unknown subcommand '%b'. Try %b HELP." % (_one_line(spelt), name.upper()))
        raise ClientError(_unknown(argv))
    if not (command.arity == len(argv) or (command.arity < 0 and len(argv) >= -command.arity)):
        raise ClientError(b"ERR wrong number of arguments for '%b' command" % command.name)
    return command


def _allowed(conn: Conn, command: Command, name: bytes, argv: list[bytes]) -> None:
    if not conn.authenticated and b"no_auth" not in command.flags:
        raise NOAUTH
    if conn.queue is None or not acl_check.is_unnamed(conn, command):  # refused by design, so decided at EXEC
        acl_check.check(conn, command, argv)
    if command.grows and conn.node.engine.full():
        raise OOM
    if conn.node.busy is not None and b"allow_busy" not in command.flags:
        wait_for_script(conn)
    if conn.subscribed and conn.session.proto == 2 and name not in RUNS_SUBSCRIBED:
        raise ClientError(
            b"ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
            b"are allowed in this context" % command.name
        )
    if conn.node.loading and b"loading" not in command.flags:
        raise LOADING


def _enqueue(conn: Conn, command: Command, argv: list[bytes]) -> Reply:
    assert conn.queue is not None
    limits = conn.node.limits
    size = queued_size(argv)
    if (
        conn.queued >= limits.multi_commands_max
        or conn.queued_bytes + size > limits.multi_bytes_max
        or conn.queue_args + len(argv) > limits.multi_args_max
    ):
        conn.spoiled = True
        raise ClientError(b"ERR too many commands or bytes queued in MULTI")
    if b"no_multi" in command.flags:
        conn.spoiled = True
        raise ClientError(b"ERR Command not allowed inside a transaction")
    take_over(conn)
    conn.queue.append((command, argv))
    conn.queue_bytes += size
    conn.queue_args += len(argv)
    conn.session.queue_keys_max = 0
    return Simple(b"QUEUED")


def _muffle(conn: Conn, encoded: bytes) -> bytes:
    """CLIENT REPLY OFF and SKIP: the command ran, its reply is dropped."""
    if conn.silent:
        return b""
    conn.skip -= 1
    if not conn.skip:
        conn.settle()
    return b""


def _unknown(argv: list[bytes]) -> bytes:
    shown = b""
    for arg in argv[1:]:
        if len(shown) >= UNKNOWN_ARGS_BYTES:
            break
        shown += b"'%b' " % _c_string(arg)[: UNKNOWN_ARGS_BYTES - len(shown)]
    name = _c_string(argv[0])[:UNKNOWN_ARGS_BYTES]
    return b"ERR unknown command '%b', with args beginning with: %b" % (_one_line(name), _one_line(shown))


def _c_string(text: bytes) -> bytes:
    """A text as Redis prints it: up to the first NUL."""
    return text.split(b"\0", 1)[0]


def _one_line(text: bytes) -> bytes:
    return text.translate(_BLANKS)


_BLANKS = bytes(32 if byte in (10, 13) else byte for byte in range(256))
