"""Groups the clients' commands for other homes into frames, and gives the replies back to the clients.

All commands of one turn of the loop for one home leave in one frame. Its replies are split by commands and given to the
clients in the order of their commands. (Where a reply ends is told by its bytes alone, so they can be
split.) If the keys of a frame have different homes by then, each of its commands is sent by itself.
"""

import asyncio
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from respram.commands.elsewhere import NO_QUORUM, NOT_NOW, UNCERTAIN, deputy_of_run
from respram.commands.node import MAJORITY, Conn, Node
from respram.commands.peers import Asker, Forwarded
from respram.commands.reply import Error, encode
from respram.commands.running import count_errors
from respram.engine.api import Engine, Run, Session
from respram.gossip.effects import Decided
from respram.gossip.forwarding import ANSWERED, APART, CLOSED, UNKNOWN, Request
from respram.integers import parse_uint
from respram.replica import Output, Replica, joined
from respram.server.links import now
from respram.slots import pack_keys
from respram.wire.messages import RUN

BATCH_BYTES_MAX = 256 << 10  # of commands in one frame; the run of a single client may exceed it
CRLF = b"\r\n"

Batched = tuple[int, int, int, bytes]  # home by the table, database, protocol, and the client's rights


class Waiting:
    """One client and the commands for several homes that it sent together. The replies of each group are filled in when
    they come."""

    __slots__ = ("asker", "order", "replies", "left", "engine")

    def __init__(self, asker: Asker, order: bytes, groups: int, engine: Engine) -> None:
        self.asker = asker
        self.engine = engine
        self.order = order  # one byte for each command: its group
        self.replies = [b""] * groups
        self.left = groups

    def put(self, group: int, replies: bytes) -> None:
        self.replies[group] = replies
        self.left -= 1
        if not self.left:
            self.asker.told(self.engine.weave_replies(self.order, self.replies), len(self.order))


@dataclass(slots=True)
class Batch:
    """Commands of several clients. The lists of what belongs to a client have one entry each: a batch of 400 commands
    has 25 clients, so objects and calls for each are what it costs.
    """

    db: int
    proto: int
    rights: bytes
    askers: list[Asker] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)  # of the client's commands
    # None: all that the client sent together is here. Otherwise where its replies are put together, and their place
    waits: list[tuple[Waiting, int] | None] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    payload_bytes: int = 0

    @property
    def commands(self) -> int:
        return sum(self.counts)

    def add(
        self, asker: Asker, commands: int, payload: bytes, keys: bytes, place: tuple[Waiting, int] | None = None
    ) -> None:
        self.askers.append(asker)
        self.counts.append(commands)
        self.waits.append(place)
        self.payloads.append(payload)
        self.keys.append(keys)
        self.payload_bytes += len(payload)

    def put(self, replies: bytes, engine: Engine, home: int) -> None:
        """Fills in replies of the member `home` (0: this node). Raises ValueError before any client is told."""
        pieces = engine.cut_replies(replies, self.counts)
        for asker, commands, place, piece in zip(self.askers, self.counts, self.waits, pieces, strict=True):
            if place is None:
                asker.told(piece, commands, home)
            else:
                if home:
                    asker.decided_by(home)
                place[0].put(place[1], piece)

    def close(self) -> None:
        for asker, commands in zip(self.askers, self.counts, strict=True):
            asker.told(b"", commands)


@dataclass(slots=True)
class Apart:
    """A batch whose commands are sent one by one, with the replies so far."""

    batch: Batch
    replies: list[bytes]
    left: int

    def put(self, number: int, reply: bytes, engine: Engine) -> None:
        self.replies[number] = reply
        self.left -= 1
        if not self.left:
            self.batch.put(b"".join(self.replies), engine, 0)


Told = Callable[[str, bytes, int], None]  # outcome, replies, and the other member that decided


class Decisions:
    def __init__(
        self, replica: Replica, node: Node, loop: asyncio.AbstractEventLoop, carry: Callable[[list[Output]], None],
    ) -> None:  # fmt: skip
        self.replica = replica
        self.node = node
        self.loop = loop
        self.carry = carry
        self.table: array[int] | None = None  # the engine's table; 0: this node
        self.version = 0  # of the map that it was made from
        self.open: dict[int, Told] = {}  # by token
        self.forwarded = 0
        self._batches: dict[Batched, Batch] = {}
        self._waiting: list[tuple[Request, Told]] = []  # to be sent after the command that asks
        self._called = False

    def is_here(self, slot: int) -> bool:
        return self.table is None or not self.table[slot]

    def home_of(self, slot: int) -> int:
        return self.replica.core.homes.home_of(slot)

    def forward(self, asker: Asker, forwarded: Forwarded) -> bool:
        if self._is_full():
            return False
        self._send_soon(_request(forwarded), lambda outcome, replies, home: self._tell(asker, outcome, replies, home))
        self.forwarded += 1
        return True

    def forward_several(self, asker: Asker, together: Forwarded, singles: list[Forwarded]) -> bool:
        if self._is_full():
            return False
        self._send_soon(
            _request(together, self.version),
            lambda outcome, replies, home: self._tell_several(asker, singles, outcome, replies, home),
        )
        self.forwarded += len(singles)
        return True

    def _tell_several(self, asker: Asker, singles: list[Forwarded], outcome: str, replies: bytes, home: int) -> None:
        if outcome != APART:
            if outcome == ANSWERED and home:
                asker.decided_by(home)
            count = len(singles)
            asker.told(
                replies if outcome == ANSWERED else b"" if outcome == CLOSED else self._error(outcome, count) * count,
                count,
            )
            return
        found, left = [b""] * len(singles), set(range(len(singles)))

        def teller(number: int) -> Told:
            def told(outcome: str, replies: bytes, home: int) -> None:
                if outcome == ANSWERED and home:
                    asker.decided_by(home)
                found[number] = replies if outcome == ANSWERED else self._error(outcome, 1)
                left.remove(number)
                if not left:
                    asker.told(b"".join(found), len(found))

            return told

        for number, one in enumerate(singles):
            self._send_soon(_request(one), teller(number))

    def gather(self, session: Session, run: Run) -> bool:
        """Takes the commands that the engine leaves for other homes, in place of dispatch, whose checks they pass."""
        conn, node = session.owner, self.node
        assert isinstance(conn, Conn)
        if node.busy is not None or node.engine.full():
            return False
        rights, groups = deputy_of_run(conn, run), run.groups
        home, commands, payload, keys = groups[0]
        batch = self._batches.get((home, session.db, session.proto, rights)) if len(groups) == 1 else None
        if batch is not None and batch.payload_bytes + len(payload) < BATCH_BYTES_MAX:  # as nearly always
            batch.add(conn, commands, payload, keys)
            if home:
                self.forwarded += commands
        elif not self.forward_run(conn, run, rights):
            return False
        conn.suspended_until_ms = 0
        node.stats.commands += len(run.order)
        return True

    def forward_run(self, asker: Asker, run: Run, rights: bytes) -> bool:
        if self._is_full():
            return False
        session, batches = asker.session, self._batches
        several = len(run.groups) > 1
        waiting = Waiting(asker, run.order, len(run.groups), self.node.engine) if several else None
        for number, (home, commands, payload, keys) in enumerate(run.groups):
            place = (home, session.db, session.proto, rights)
            batch = batches.get(place)
            if batch is None:
                batch = batches[place] = Batch(session.db, session.proto, rights)
            batch.add(asker, commands, payload, keys, (waiting, number) if waiting is not None else None)
            if home:
                self.forwarded += commands
            if batch.payload_bytes >= BATCH_BYTES_MAX:
                self._close_batch(place)
        if not self._called:
            self._call_soon()
        return True

    def _is_full(self) -> bool:
        return len(self.open) + len(self._waiting) + len(self._batches) >= self.replica.core.policy.forwards_max

    def _close_batch(self, place: Batched) -> None:
        batch = self._batches.pop(place)
        request = Request(
            RUN, batch.db, batch.proto, b"", batch.rights, b"".join(batch.keys), b"", b"".join(batch.payloads),
            version=self.version, touches=False,
        )  # fmt: skip
        self._send_soon(
            request, lambda outcome, replies, home: self._tell_batch(batch, outcome, replies, home, request)
        )

    def _send_soon(self, request: Request, told: Told) -> None:
        self._waiting.append((request, told))
        self._call_soon()

    def _call_soon(self) -> None:
        if not self._called:
            self._called = True
            self.loop.call_soon(self._send_all)

    def _send_all(self) -> None:
        try:
            for place in list(self._batches):
                self._close_batch(place)  # it calls for no other turn, while this one counts as called
        finally:
            self._called = False
        waiting, self._waiting = self._waiting, []
        outputs: list[Output] = []
        for request, told in waiting:
            token, more = self.replica.forward(request, now())
            outputs += more
            if token:
                self.open[token] = told
            else:
                self.loop.call_soon(told, "", b"", 0)
        self.carry(joined(outputs) if len(waiting) > 1 else outputs)

    def decided(self, decided: Decided) -> None:
        self.open.pop(decided.token)(decided.outcome, decided.replies, decided.home)

    # -- what is told to whom -------------------------------------------------------------------------
    def _tell(self, asker: Asker, outcome: str, replies: bytes, home: int) -> None:
        if outcome == ANSWERED and home:
            asker.decided_by(home)
        asker.told(replies if outcome == ANSWERED else b"" if outcome == CLOSED else self._error(outcome, 1), 1)

    def _tell_batch(self, batch: Batch, outcome: str, replies: bytes, home: int, request: Request) -> None:
        if outcome == ANSWERED:
            try:
                batch.put(replies, self.node.engine, home)
            except ValueError:  # a fault of the home: its replies cannot be matched to requests
                batch.close()
        elif outcome == CLOSED:
            batch.close()
        elif outcome == APART:
            self._take_apart(batch, request)
        else:
            batch.put(self._error(outcome, 1) * batch.commands, self.node.engine, 0)

    def _take_apart(self, batch: Batch, request: Request) -> None:
        """(With the full patience again: members have changed, and this happens to a command once.)"""
        commands = split_commands(request.commands)
        apart = Apart(batch, [b""] * len(commands), len(commands))
        for number, (payload, key) in enumerate(commands):
            one = Request(RUN, batch.db, batch.proto, b"", batch.rights, pack_keys([key]), b"", payload, touches=False)
            self._send_soon(one, self._teller(apart, number))

    def _teller(self, apart: Apart, number: int) -> Told:
        def told(outcome: str, replies: bytes, home: int) -> None:
            for asker in apart.batch.askers if outcome == ANSWERED and home else ():
                asker.decided_by(home)
            apart.put(number, replies if outcome == ANSWERED else self._error(outcome, 1), self.node.engine)

        return told

    def _error(self, outcome: str, times: int) -> bytes:
        otherwise = NO_QUORUM if self.node.decide == MAJORITY else NOT_NOW
        error = UNCERTAIN if outcome in (UNKNOWN, CLOSED) else otherwise
        count_errors(self.node, error.text, times)
        return encode(Error(error.text), 2)


def _request(one: Forwarded, version: int = 0) -> Request:
    return Request(one.kind, one.db, one.proto, one.client, one.rights, one.keys, one.watched, one.commands,
                   one.patience_ms, version, one.only, one.copied_to)


def split_commands(data: bytes) -> list[tuple[bytes, bytes]]:
    """Splits what `take_run` has joined into commands, each with its key."""
    found, at = [], 0
    while at < len(data):
        start, end = at, data.index(CRLF, at)
        count = parse_uint(data[at + 1 : end]) or 0
        at, key = end + 2, b""
        for number in range(count):
            end = data.index(CRLF, at)
            length = parse_uint(data[at + 1 : end]) or 0
            if number == 1:
                key = data[end + 2 : end + 2 + length]
            at = end + 2 + length + 2
        found.append((data[start:at], key))
    return found
