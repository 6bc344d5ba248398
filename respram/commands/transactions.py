"""MULTI EXEC DISCARD WATCH UNWATCH.

Hot commands are queued by the session, until the first that is not; from then on by dispatch. A key is
watched by its stamp: stamps are unique, so a key that carries the same one at EXEC was neither written
nor expired in between, whoever might have done it: a client of this node, a peer, or time. Only a key
that was missing can come and go without a trace: while one is watched, the engine counts its comings.
"""

from respram.catalog import Command, find
from respram.commands.access import overrun, room
from respram.commands.acl_check import check
from respram.commands.elsewhere import is_changed, send_together, stamp_of
from respram.commands.node import MAJORITY, Conn, Suspend
from respram.commands.reply import NIL_ARRAY, NOTHING, OK, Error, OverrunError, Raw, Reply, encode
from respram.commands.running import READS_TOO_MUCH, call, count_error, count_errors, wait_while_paused
from respram.commands.settling import await_together
from respram.commands.truth import await_truth
from respram.engine.api import LOOK_BYTES
from respram.errors import AllowanceError, ClientError

ARG_BYTES = 48  # overhead of an argument
WATCHED_BYTES_MAX = 4 << 20  # of all watched names of one connection
WATCHED_KEYS_MAX = 16_384  # of one connection: EXEC checks each of them without a pause

# A breath of a long reply counts for so many bytes of values: the 400 that one may have are most of what a transaction
# may read, so that 8,192 KEYS are not 8,192 times as long as one.
BREATH_BYTES = 64 << 10
# Processor time for which the commands of a transaction that have no fast path may hold the node, scripts aside, which
# have their own limit. Nothing of it can give way, and others are to be served within 50 ms. The most commands that one
# MULTI may queue (multi-commands-limit) take about 20 ms. Time in which the node had no processor does not count: a
# busy machine would refuse what an idle one serves.
EXEC_US_MAX = 36_000
NO_TIME_US = -1
# A transaction of so few commands is never refused by its time. What it may read bounds it: a value of 16 MiB takes a
# slow machine as long as EXEC_US_MAX.
FEW_COMMANDS = 4
ANY_TIME_US = 1 << 40

NESTED = ClientError.saying(b"ERR MULTI calls can not be nested")
EXEC_ALONE = ClientError.saying(b"ERR EXEC without MULTI")
DISCARD_ALONE = ClientError.saying(b"ERR DISCARD without MULTI")
WATCH_INSIDE = ClientError.saying(b"ERR WATCH inside MULTI is not allowed")
WATCHED_TOO_MANY = ClientError.saying(b"ERR too many watched keys")
TOOK_TOO_LONG = ClientError.saying(b"ERR the transaction has held the node for too long; this command did not run")
ABORTED = ClientError.saying(b"EXECABORT Transaction discarded because of previous errors.")
ABORTED_FULL = ClientError.saying(
    b"EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'."
)


def multi(conn: Conn, argv: list[bytes]) -> Reply:
    if conn.queue is not None:
        raise NESTED
    conn.queue = []
    conn.settle()
    return OK


def discard(conn: Conn, argv: list[bytes]) -> Reply:
    if conn.queue is None:
        raise DISCARD_ALONE
    leave(conn)
    return OK


def watch(conn: Conn, argv: list[bytes]) -> Reply:
    if conn.queue is not None:
        raise WATCH_INSIDE
    size = conn.watched_bytes + sum(map(len, argv[1:]))
    if len(conn.watched) + len(argv) - 1 > WATCHED_KEYS_MAX or size > WATCHED_BYTES_MAX:
        raise WATCHED_TOO_MANY
    conn.watched_bytes = size
    for key in argv[1:]:
        watched = (conn.session.db, key)
        if watched not in conn.watched:
            stamp = conn.watched[watched] = stamp_of(conn, watched)
            if stamp is None:
                conn.node.engine.await_key(conn.session, *watched)
    conn.settle()
    return OK


def unwatch(conn: Conn, argv: list[bytes]) -> Reply:
    conn.forget_watched()
    conn.settle()
    return OK


def exec_command(conn: Conn, argv: list[bytes]) -> Reply:
    """Runs what was queued. An error in it is an element of the answer, and its siblings run."""
    if conn.queue is None:
        raise EXEC_ALONE
    if conn.spoiled:
        leave(conn)
        raise ABORTED
    engine = conn.node.engine
    if conn.session.midway:
        return _exec_queued(conn)
    await_together(conn)
    if conn.session.queued and (
        conn.session.queue_keys_max == 0 or not (engine.hot_reads and engine.hot_writes) or engine.full()
    ):
        take_over(conn)  # something has changed since they were queued: only dispatch can check them now
    elsewhere = conn.node.homes is not None or conn.node.decide == MAJORITY
    if elsewhere and conn.session.queued and (conn.watched or engine.queued_home(conn.session)):
        take_over(conn)  # another node may decide about it
    if conn.session.queued:
        return _exec_queued(conn)
    # No other node can tell: its home finds it missing, though it appeared and ended.
    if conn.session.has_come:
        leave(conn)
        return NIL_ARRAY
    commands, own_bytes = conn.queue, conn.queued_bytes + LOOK_BYTES * conn.queue_args
    wait_while_paused(conn, (command for command, _ in commands))
    try:
        send_together(conn, commands)
    except (ClientError, Suspend):
        leave(conn)
        raise
    if conn.node.truth is not None:
        try:
            await_truth(conn, [(_hot(argv), argv), *commands])
        except ClientError:
            leave(conn)
            raise
    changed = is_changed(conn)
    leave(conn)
    if changed:
        return NIL_ARRAY
    if any(command.grows for command, _ in commands) and conn.node.engine.full():
        raise ABORTED_FULL
    _begin(conn, len(commands))
    try:
        conn.node.engine.allow(own_bytes)
        # Each reply is encoded when it is made: a queued HELLO changes the protocol of the rest.
        replies: list[bytes] = []
        left, is_over = room(conn), False
        for number, queued in enumerate(commands):
            if (reason := _refused(conn)) is not None:
                reply = _rest(conn, reason, len(commands) - number, left)
            else:
                reply = _encoded(conn, *queued, left)
            left -= len(reply)
            is_over = is_over or not reply  # all of it runs, and nobody will read the replies
            if is_over:
                replies.clear()
            else:
                replies.append(reply)
            if reason is not None:
                break
    finally:
        conn.executing = False
    if is_over:
        return NOTHING
    return Raw(b"*%d\r\n%b" % (len(commands), b"".join(replies)))


def _exec_queued(conn: Conn) -> Reply:
    """Runs the commands that the session has queued. The engine runs them, and hands back those that are not hot."""
    session, engine = conn.session, conn.node.engine
    if not session.midway and is_changed(conn):
        leave(conn)
        return NIL_ARRAY
    _begin(conn, session.queued)
    try:
        if not session.midway:  # otherwise the engine has begun it
            engine.allow(session.queued_bytes + LOOK_BYTES * session.queued_work)
            engine.say(b"*%d\r\n" % session.queued)
        session.midway = False
        while (argv := engine.run_queued(session, conn.now_ms, conn.node.limits.output_buffer_bytes_max)) is not None:
            if (reason := _refused(conn)) is not None:
                engine.say(_rest(conn, reason, 1 + session.drop_queued(), room(conn)))
                break
            engine.say(_encoded(conn, _hot(argv), argv, room(conn)))
    finally:
        conn.executing = False
        leave(conn)
    return Raw(b"")


def _begin(conn: Conn, count: int) -> None:
    conn.executing, conn.scripts_us, conn.exec_short = True, 0, False
    conn.exec_end_us = conn.node.worked_us() + (EXEC_US_MAX if count > FEW_COMMANDS else ANY_TIME_US)


def take_over(conn: Conn) -> None:
    """Moves the commands that the session has queued into this queue."""
    assert conn.queue is not None
    for argv in conn.session.take_queued():
        conn.queue.append((_hot(argv), argv))
        conn.queue_bytes += queued_size(argv)
        conn.queue_args += len(argv)


def queued_size(argv: list[bytes]) -> int:
    """The bytes that a queued command counts for: short arguments take more than their length."""
    return sum(map(len, argv)) + ARG_BYTES * len(argv)


def _hot(argv: list[bytes]) -> Command:
    """The catalog's entry of a command that a session has queued."""
    command = find(argv[0].lower(), b"")
    assert command is not None
    return command


def leave(conn: Conn) -> None:
    """Forgets the queue and what was watched; for EXEC, DISCARD, RESET."""
    conn.session.drop_queued()
    conn.queue = None
    conn.queue_bytes = conn.queue_args = 0
    conn.spoiled = False
    conn.forget_watched()
    conn.settle()


def _refused(conn: Conn) -> type[ClientError] | None:
    """Why this and all further commands of the transaction are not run."""
    if conn.node.worked_us() > conn.exec_end_us:
        return TOOK_TOO_LONG
    return READS_TOO_MUCH if conn.node.engine.spent() else None


def _rest(conn: Conn, reason: type[ClientError], count: int, bytes_max: int) -> bytes:
    """The replies of all commands that are left, made at once: one by one they took as long as what was run."""
    count_errors(conn.node, reason.text, count)
    reply = encode(Error(reason.text), conn.session.proto)
    if len(reply) * count > bytes_max:
        overrun(conn)
        return b""
    return reply * count


def _element(conn: Conn, command: Command, argv: list[bytes]) -> Reply:
    try:
        left_us = conn.exec_end_us - conn.node.worked_us()
        if left_us < len(argv):  # an argument takes a microsecond
            raise TOOK_TOO_LONG
        conn.exec_short |= conn.node.engine.allow_at_most(left_us * LOOK_BYTES)
        check(conn, command, argv)
        return call(conn, command, argv)
    except ClientError as error:
        text = error.text
        if conn.exec_short and text == READS_TOO_MUCH.text:
            text = TOOK_TOO_LONG.text
            conn.exec_end_us = NO_TIME_US
        count_error(conn, text)
        return Error(text)


def _encoded(conn: Conn, command: Command, argv: list[bytes], bytes_max: int) -> bytes:
    """The reply as bytes; b"" if it was too long, and its client is closed."""
    try:
        reply = _element(conn, command, argv)
        return encode(reply, conn.session.proto, bytes_max, lambda: _breathe(conn)) or b"$-1\r\n"
    except ClientError as error:  # raised while the reply was being made
        return encode(Error(error.text), conn.session.proto)
    except AllowanceError:
        return encode(Error(READS_TOO_MUCH.text), conn.session.proto)
    except OverrunError:
        overrun(conn)
        return b""


def _breathe(conn: Conn) -> None:
    """Where others would be served, if this were no transaction."""
    if conn.node.worked_us() > conn.exec_end_us:
        raise TOOK_TOO_LONG
    conn.node.engine.spend(BREATH_BYTES)


HANDLERS = {
    b"discard": discard,
    b"exec": exec_command,
    b"multi": multi,
    b"unwatch": unwatch,
    b"watch": watch,
}
