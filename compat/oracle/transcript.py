"""One stream, played to one server in one of three ways; what was heard is the transcript.

`whole`: each command is one write, and everything it caused anywhere is heard before the next. `split`: the
bytes go out in random pieces, some of one byte, and the server is made to see the cuts. `glued`: as many
commands as fit into a write. Between connections there is an order in each way: a connection's turn ends when
its replies are there.

How it is known that a command caused no more: `barrier`. A server that answers two PINGs, one after the other,
on another connection has been through its loop and has sent what the command before them made.
"""

import contextlib
import itertools
import random
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from compat.oracle.resp import NotReplyError, cut, encode, parse
from compat.oracle.servers import Place, ServerError
from compat.oracle.stream import Raw, Send, Sleep, Step, Stream, Surroundings, Walk, connections, name_of, wire

WAYS = ("whole", "split", "glued")
REPLY_S = 30.0  # the longest wait for a reply that is due; a missing reply is a finding
CLOSE_S = 10.0  # the longest wait for the server to close after a protocol error or QUIT
STEADY_S = 0.25  # without an expiry for this long, the remaining keys stay until their deadlines
ADMIN_S = 60.0
WALK_STEPS_MAX = 10_000  # SCAN calls of one walk; a cursor that never returns to 0 is a finding
GLUED_COMMANDS_MAX = 60
SEEN_CUTS_MAX = 60  # pieces of one write after which the player waits for the server, so that it sees the split
CLEAN_ROUNDS_MAX = 400
CLOSED = b"<closed>"  # recorded when the server closes a connection
NOTHING = b"<no reply>"
JUNK = b"<not RESP>"

# What a stream may have changed, and is set back behind it. A command is slow after ten seconds, that is never:
# what a busy machine holds up must not stand in one slow log and not in the other.
DEFAULTS = (
    (b"notify-keyspace-events", b""), (b"requirepass", b""), (b"slowlog-log-slower-than", b"10000000"),
    (b"slowlog-max-len", b"128"), (b"timeout", b"0"), (b"maxmemory", b"0"), (b"tracking-table-max-keys", b"1000000"),
    (b"tcp-keepalive", b"300"),
)  # fmt: skip


class Heard(NamedTuple):
    step: int  # the step during which it arrived; exact in the whole way only
    conn: int
    frame: bytes


@dataclass(slots=True)
class Transcript:
    started_ms: int
    heard: list[Heard] = field(default_factory=list)
    ended_ms: int = 0

    def of(self, conn: int) -> list[Heard]:
        return [one for one in self.heard if one.conn == conn]


class Line:
    """One connection: bytes out, frames in."""

    def __init__(self, place: Place, source: str | None = None) -> None:
        try:
            self.sock = socket.create_connection((place.host, place.port), ADMIN_S, source and (source, 0))
        except OSError as error:
            raise ServerError(f"{place.name} at {place.host}:{place.port}: {error.strerror or error}") from None
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.closed = False

    def send(self, data: bytes) -> None:
        """A server that has closed meanwhile is noticed by the next read."""
        if not self.closed:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.sock.sendall(data)

    def read(self, wait_s: float) -> list[bytes]:
        """The frames that came, after waiting so long for the first byte."""
        got = bytearray()
        while not self.closed and select.select([self.sock], [], [], 0 if got else wait_s)[0]:
            try:
                piece = self.sock.recv(1 << 20)
            except ConnectionResetError:
                piece = b""
            self.closed = not piece
            got += piece
        try:
            frames, self.pending = cut(self.pending + got)
        except NotReplyError:
            frames, self.pending = [JUNK + self.pending + bytes(got)], b""
        if self.closed and not self.sock.fileno() < 0:
            frames += [self.pending] if self.pending else []
            frames.append(CLOSED)
            self.pending = b""
            self.sock.close()
        return frames

    def ask(self, *argv: bytes) -> bytes:
        """For the admin connection: one command, one reply."""
        self.send(encode(argv))
        end = time.monotonic() + ADMIN_S
        while time.monotonic() < end and not self.closed:
            frames = self.read(0.2)
            if frames:
                return frames[0]
        raise ServerError(f"no answer to {argv[0].decode()} on the admin connection")


class Server:
    """A place, and the connection by which it is observed and cleaned."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.admin = Line(place)
        self._sources = itertools.count(time.time_ns())

    def connect(self) -> Line:
        """From an address that nobody came from before: who failed to say a password waits longer each time,
        by address. (Linux has a whole network of them on the loopback; elsewhere there is one.)"""
        number = next(self._sources)
        if sys.platform != "linux" or not self.place.host.startswith("127."):
            return Line(self.place)
        return Line(self.place, f"127.{1 + (number >> 16) % 200}.{(number >> 8) % 256}.{1 + number % 250}")

    def pulse(self) -> None:
        if self.admin.ask(b"PING") != b"+PONG\r\n":
            raise ServerError(f"{self.place.name}: the admin connection does not get its PONG")

    def barrier(self) -> None:
        self.pulse()
        self.pulse()

    def clean(self) -> None:
        """No keys in any database. Where there is no delete, every key is let go by a short deadline."""
        if self.place.is_redis:
            self.admin.ask(b"FLUSHALL")
            return
        for _ in range(CLEAN_ROUNDS_MAX):
            counted = [line for line in parse(self.admin.ask(b"INFO",
                b"keyspace")).text.split(b"\r\n") if line[:2] == b"db"]  # type: ignore[union-attr]
            if not counted:
                self.admin.ask(b"SELECT", b"0")
                return
            for line in counted:
                self.admin.ask(b"SELECT", line[2 : line.index(b":")])
                for key in parse(self.admin.ask(b"KEYS", b"*")).items:
                    self.admin.ask(b"SET", key.text or b"", b"", b"PX", b"1")
            time.sleep(0.002)
        raise ServerError(f"{self.place.name}: keys outlive their deadline")

    def settle(self) -> None:
        """Waits until what was let go is destroyed and told: else it would be told of the next stream's keys.

        The head of a collection that was emptied stays until its deadline. So a count that no longer falls is as good
        as none.
        """
        if self.place.is_redis:
            return
        end, least, since = time.monotonic() + ADMIN_S, sys.maxsize, 0.0
        while (now := time.monotonic()) < end:
            info = self.admin.ask(b"INFO", b"respram")
            left = int(info.partition(b"\r\nrecords:")[2].partition(b"\r\n")[0])
            if left < least:
                least, since = left, now
            if not left or now - since > STEADY_S:
                return
            time.sleep(0.002)
        raise ServerError(f"{self.place.name}: records are not destroyed after their deadline")

    def configure(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        for name, value in pairs:
            reply = self.admin.ask(b"CONFIG", b"SET", name, value)
            if reply != b"+OK\r\n":
                raise ServerError(
                    f"{self.place.name}: CONFIG SET {name.decode()} {value.decode()}: "
                    f"{reply.decode(errors='replace').strip()}"
                )

    def reset(self) -> None:
        self.configure(DEFAULTS)
        self.admin.ask(b"SLOWLOG", b"RESET")

    def close(self) -> None:
        self.admin.sock.close()


@contextlib.contextmanager
def watching(place: Place) -> Iterator[Server]:
    server = Server(place)
    try:
        server.reset()
        yield server
    finally:
        server.close()


def play(server: Server, stream: Stream, way: str, base_ms: int, reference: Transcript | None = None) -> Transcript:
    """Plays a stream from a clean start. The reference tells how many replies the other ways wait for."""
    assert (reference is None) == (way == "whole"), way
    server.clean()
    said = {name_of(step) for step in stream.steps if isinstance(step, Send)}
    changes = bool(stream.config) or any(name[0] == b"config" for name in said)
    if stream.config or (b"client", b"tracking") in said:
        server.settle()
    if stream.config:
        server.configure(stream.config)
    player = _Player(server, stream, base_ms)
    try:
        if reference is None:
            player.play_whole()
        else:
            player.play_segments(way, reference)
        player.transcript.ended_ms = time.time_ns() // 1_000_000
        return player.transcript
    finally:
        player.hang_up()
        if changes:
            server.reset()


class _Player:
    """The connections of one playing."""

    def __init__(self, server: Server, stream: Stream, base_ms: int) -> None:
        self.server, self.stream = server, stream
        self.lines: list[Line] = []
        ids, addresses = {}, {}
        password = dict(stream.config).get(b"requirepass")
        for conn in range(connections(stream)):
            line = server.connect()
            self.lines.append(line)
            host, port = line.sock.getsockname()[:2]
            addresses[conn] = f"{host}:{port}".encode()
            if password:
                # Before AUTH the id cannot be asked for, and the families with a password do not need it.
                ids[conn] = b"0"
            else:
                ids[conn] = line.ask(b"CLIENT", b"ID")[1:-2]
                if stream.proto == 3:
                    line.ask(b"HELLO", b"3")
        self.around = Surroundings(base_ms, ids, addresses)
        self.transcript = Transcript(time.time_ns() // 1_000_000)
        # Chance that belongs to the way, not to the stream: the same cuts for every server and every replay.
        self.rng = random.Random(f"{stream.family} {stream.number}")

    def hang_up(self) -> None:
        for line in self.lines:
            line.sock.close()
        self.server.barrier()

    def hear(self, step: int, wait_s: float = 0.0, only: int | None = None) -> int:
        """Takes down what has come; how many frames."""
        count = 0
        for conn, line in enumerate(self.lines):
            if only is None or conn == only:
                for frame in line.read(wait_s if only is not None else 0.0):
                    self.transcript.heard.append(Heard(step, conn, frame))
                    count += 1
        return count

    # -- whole ------------------------------------------------------------------------------------
    def play_whole(self) -> None:
        for number, step in enumerate(self.stream.steps):
            if isinstance(step, Sleep):
                self._sleep(number, step)
            elif isinstance(step, Walk):
                self._walk(number, step)
            elif not self.lines[step.conn].closed:
                self.lines[step.conn].send(wire(step, self.around))
                self._settle(number, step)

    def _settle(self, number: int, step: Send | Raw) -> None:
        """Until all that the step causes is heard."""
        conn, before = step.conn, len(self.transcript.heard)
        self.server.barrier()
        self.hear(number)
        said = [one.frame for one in self.transcript.heard[before:] if one.conn == conn]
        if not step.silent and not said:
            if not self.hear(number, REPLY_S, only=conn):
                self.transcript.heard.append(Heard(number, conn, NOTHING))
            said = [self.transcript.heard[-1].frame]
        if not self.lines[conn].closed and (_ends(step) or any(b"Protocol error" in frame for frame in said)):
            self.hear(number, CLOSE_S, only=conn)
        end = time.monotonic() + REPLY_S  # a long reply may arrive in parts
        while self.lines[conn].pending and time.monotonic() < end:
            self.hear(number, 0.05, only=conn)

    def _sleep(self, number: int, step: Sleep) -> None:
        time.sleep(step.ms / 1000)
        self.server.barrier()
        self.hear(number)

    def _walk(self, number: int, step: Walk) -> None:
        """Its frame is made here: what a walk returns in which step is nobody's promise."""
        line, cursor, seen = self.lines[step.conn], b"0", set[bytes]()
        for _ in range(WALK_STEPS_MAX):
            if line.closed:
                break
            reply = parse(line.ask(b"SCAN", cursor, *step.options))
            if len(reply.items) != 2:
                self.transcript.heard.append(Heard(number, step.conn, reply.raw))
                return
            cursor = reply.items[0].text or b""
            seen.update(item.raw for item in reply.items[1].items)
            if cursor == b"0":
                self.transcript.heard.append(Heard(number, step.conn, b"~%d\r\n" % len(seen) + b"".join(sorted(seen))))
                return
        self.transcript.heard.append(Heard(number, step.conn, NOTHING))

    # -- split and glued --------------------------------------------------------------------------
    def play_segments(self, way: str, reference: Transcript) -> None:
        for numbers in self._segments(way):
            number, step = numbers[-1], self.stream.steps[numbers[-1]]
            if isinstance(step, Sleep):
                self._sleep(number, step)
            elif isinstance(step, Walk):
                self._walk(number, step)
            else:
                line = self.lines[step.conn]
                data = b"".join(
                    wire(one, self.around)
                    for one in map(self.stream.steps.__getitem__, numbers)
                    if not isinstance(one, Sleep | Walk)
                )
                if way == "split":
                    self._send_pieces(line, data)
                else:
                    line.send(data)
                self._await_replies(numbers, reference)

    def _segments(self, way: str) -> Iterator[list[int]]:
        """Runs of steps on one connection that go out as one."""
        most = self.rng.randint(2, GLUED_COMMANDS_MAX) if way == "glued" else self.rng.randint(1, 8)
        run: list[int] = []
        for number, step in enumerate(self.stream.steps):
            alone = isinstance(step, Sleep | Walk)
            if run and (alone or len(run) >= most or self._conn(run[-1]) != self._conn(number)):
                yield run
                run = []
            run.append(number)
            if alone:
                yield run
                run = []
        if run:
            yield run

    def _conn(self, number: int) -> int:
        step: Step = self.stream.steps[number]
        return -1 if isinstance(step, Sleep) else step.conn

    def _send_pieces(self, line: Line, data: bytes) -> None:
        at, seen, small = 0, 0, self.rng.random() < 0.4
        while at < len(data):
            size = 1 if small and len(data) < 400 else self.rng.choice((1, 1, 2, 3, 7, 16, 50, 1000, 20_000))
            line.send(data[at : at + size])
            at += size
            if seen < SEEN_CUTS_MAX and self.rng.random() < 0.4:
                seen += 1
                self.server.pulse()

    def _await_replies(self, numbers: list[int], reference: Transcript) -> None:
        """As many as the reference heard in these steps, then whatever else there is."""
        inside = set(numbers)
        due: dict[int, int] = {}
        for one in reference.heard:
            if one.step in inside:
                due[one.conn] = due.get(one.conn, 0) + 1
        end = time.monotonic() + REPLY_S
        for conn, count in due.items():
            got = 0
            while (
                got < count
                and time.monotonic() < end
                and not (self.lines[conn].closed and self.lines[conn].sock.fileno() < 0)
            ):
                got += self.hear(numbers[-1], max(0.0, min(0.2, end - time.monotonic())), only=conn)
        self.server.barrier()
        self.hear(numbers[-1])


def _ends(step: Send | Raw) -> bool:
    return isinstance(step, Send) and isinstance(step.argv[0], bytes) and step.argv[0].lower() == b"quit"
