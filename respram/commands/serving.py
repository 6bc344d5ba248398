"""Runs the commands that other nodes forward, in sessions of their own, through fast paths and dispatch.

The forwarding node has checked the rights of its client, and peers are trusted; so the connection of such a session is
a user with all rights but the one to DEL, which is brought along where the client has it: it is asked for where a
command names a time that has passed. Scripts and transactions bring the rules of their user along. What is about keys
is run, and nothing else.

The session may be suspended (a script that runs for long): `later` calls back when it goes on, and meanwhile others are
served by other sessions. So there are never more sessions than forwards at a time, which the core bounds.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from respram.catalog import find
from respram.commands.acl_rights import BY_NAME, BadRule
from respram.commands.acl_user import User, apply, full_user, gather
from respram.commands.blocking import stop_waiting
from respram.commands.dispatch import dispatch
from respram.commands.elsewhere import SCRIPTS, TRAVELS
from respram.commands.node import GONE, Conn, Node
from respram.commands.reply import NIL_ARRAY, encode
from respram.commands.transactions import leave
from respram.engine.api import Session
from respram.frozen import dataclass
from respram.slots import first_key, slot_of
from respram.wire.messages import CLOSES, DONE, FORGOTTEN, LATER, LETS_GO, TOGETHER, Forward

FREE_MAX = 64  # idle sessions kept for the next forwards
RIGHTS_MAX = 64  # users whose rules are cached
MULTI, EXEC = b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nEXEC\r\n"
COPY_WORDS = 3  # the words of a COPY without options
COPIES = re.compile(rb"\$4\r\ncopy\r\n", re.IGNORECASE)
STRANGE = b"-ERR this command cannot be forwarded\r\n"
KEEPS = full_user(by_name=BY_NAME - {b"del"})
FREE = full_user(by_name=BY_NAME)


@dataclass(frozen=True, slots=True)
class Served:
    outcome: int  # one of ANSWER's outcomes
    replies: bytes = b""
    beyond: bool = False  # it may have written more than the keys that were named


Done = Callable[[Served], None]
# Unix time in milliseconds, and the function that is called with it
Later = Callable[[int, Callable[[int], None]], None]


class Waits:
    """The transport of a session that is suspended: it can be woken before its time."""

    def __init__(self, go_on: Callable[[], None]) -> None:
        self.go_on = go_on

    def wake(self) -> None:
        self.go_on()

    def deliver(self, data: bytes) -> None: ...
    def deliver_pieces(self, pieces: list[bytes]) -> bool:
        return False

    def close(self) -> None: ...
    def answer(self, data: bytes) -> None: ...
    def waiting_bytes(self) -> int:
        return 0

    def is_gone(self) -> bool:
        return False


class Serving:
    def __init__(self, node: Node) -> None:
        self.node = node
        self.free: list[Conn] = []
        self.rights: dict[bytes, User] = {}
        self.waiting: dict[Conn, None] = {}  # suspended

    def serve(self, forward: Forward, now_ms: int, done: Done, later: Later) -> None:
        node = self.node
        if node.pause.is_on(now_ms) or node.loading or node.busy is not None:
            done(Served(LATER))
            return
        conn = self.free.pop() if self.free else self._connect(now_ms)
        conn.session.db, conn.session.proto, conn.name = forward.db, forward.proto, forward.client
        conn.account = self._user(forward.rights)
        conn.settle()
        data = forward.commands
        if forward.kind == TOGETHER:
            node.engine.feed(conn.session, MULTI + data, now_ms)
            # on a busy machine a turn ends early, and the remaining commands would be answered before EXEC
            while conn.session.more:
                node.engine.feed(conn.session, b"", now_ms)
            conn.catch_up()
            if conn.queue is None or conn.session.suspended or conn.session.closing:
                self._end(conn, b"", done)
                return
            if COPIES.search(data):  # the engine may run it in EXEC, and tells nobody
                conn.wrote_beyond = True
            conn.watched.update(_unpack_watched(forward.watched))
            data = EXEC
        self._go_on(conn, forward, bytes(node.engine.feed(conn.session, data, now_ms)), now_ms, done, later)

    def _go_on(
        self, conn: Conn, forward: Forward, replies: bytes, now_ms: int, done: Done, later: Later,
    ) -> None:  # fmt: skip
        engine, session = self.node.engine, conn.session
        while session.more and not session.suspended:
            replies += bytes(engine.feed(session, b"", now_ms))
        if session.suspended and not session.closing:

            def again(now_ms: int) -> None:
                if conn.transport is not waits:
                    return  # it was woken before this time and has gone on
                conn.transport = GONE
                self.waiting.pop(conn, None)
                if conn.blocked_until_ms and self._is_elsewhere(forward):
                    # It has done nothing. The node that decides now pops what it sees, and this one would do so too.
                    is_over = now_ms >= conn.blocked_until_ms
                    stop_waiting(conn)
                    engine.close(session)
                    done(Served(DONE, encode(NIL_ARRAY, forward.proto)) if is_over else Served(LATER))
                    return
                engine.resume(session)
                self._go_on(conn, forward, replies + bytes(engine.feed(session, b"", now_ms)), now_ms, done, later)

            conn.transport = waits = Waits(partial(later, 0, again))
            self.waiting[conn] = None
            later(conn.suspended_until_ms, again)
            return
        self._end(conn, replies, done)

    def moved(self) -> None:
        """Homes have changed: pops that wait here for keys of others are to be asked for there."""
        for conn in [conn for conn in self.waiting if conn.blocked_until_ms]:
            conn.wake()

    def _is_elsewhere(self, forward: Forward) -> bool:
        homes = self.node.homes
        return homes is not None and not homes.is_here(slot_of(first_key(forward.keys)))

    def _end(self, conn: Conn, replies: bytes, done: Done) -> None:
        engine, session = self.node.engine, conn.session
        engine.forget_reply()
        clean = not (session.closing or session.suspended or session.buffered_bytes)
        beyond, conn.wrote_beyond = conn.wrote_beyond, False
        conn.catch_up()
        if conn.queue is not None:
            leave(conn)
            clean = False
        if clean and len(self.free) < FREE_MAX:
            self.free.append(conn)
        else:
            engine.close(session)
        done(Served(DONE if clean else CLOSES if session.closing else FORGOTTEN, replies, beyond))

    def _connect(self, now_ms: int) -> Conn:
        session = self.node.engine.session(_dispatch)
        conn = Conn(
            id=0, node=self.node, session=session, address=b"peer", local_address=b"peer", created_ms=now_ms,
            transport=GONE,
            authenticated=True, user=b"peer",
        )  # fmt: skip
        session.owner = conn
        session.decides = True
        return conn

    def _user(self, rules: bytes) -> User:
        if not rules:
            return KEEPS
        if rules == LETS_GO:
            return FREE
        user = self.rights.get(rules)
        if user is None:
            user = User(b"peer", enabled=True)
            for rule in gather(rules.split(b" "))[0]:
                with suppress(BadRule):  # rules that only a newer node knows: unknown rules grant nothing
                    apply(user, rule)
            user.settle()
            while len(self.rights) >= RIGHTS_MAX:
                del self.rights[next(iter(self.rights))]
            self.rights[rules] = user
        return user


def _dispatch(session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """Dispatches a forwarded command; commands of administrators are refused."""
    name = argv[0].lower()
    if name in SCRIPTS or (name == b"copy" and len(argv) > COPY_WORDS):
        conn = session.owner
        assert isinstance(conn, Conn)
        conn.wrote_beyond = True
    command = find(name, argv[1] if len(argv) > 1 else b"")
    if name not in (b"multi", b"exec", b"wait") and name not in TRAVELS and (command is None or not command.key_specs):
        return STRANGE
    return dispatch(session, argv, now_ms)


def _unpack_watched(payload: bytes) -> dict[tuple[int, bytes], tuple[int, int] | None]:
    found: dict[tuple[int, bytes], tuple[int, int] | None] = {}
    at = 0
    while at + 21 <= len(payload):
        clock, node = (int.from_bytes(payload[at + 1 + 8 * word : at + 9 + 8 * word], "little") for word in (0, 1))
        end = at + 21 + int.from_bytes(payload[at + 17 : at + 21], "little")
        found[payload[at], payload[at + 21 : end]] = (clock, node) if clock or node else None
        at = end
    return found
