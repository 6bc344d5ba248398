"""What the tests of commands share: a node in virtual time, clients of it, and a real server to compare."""

import socket
import time
from collections.abc import Callable
from itertools import count

from respram.commands import notify
from respram.commands.connection import forget, greet
from respram.commands.dispatch import dispatch
from respram.commands.node import Conn, Node
from respram.config.settings import Config
from respram.engine.api import Engine, Settings

NOW = 1_800_000_000_000  # where virtual time begins, Unix milliseconds
NODE_NUMBER = 0x1122334455667788
FEEDS_MAX = 10_000  # calls of feed for one batch: more means that it never ends


class Rig:
    """One node. Time stands still until a test moves it."""

    def __init__(
        self,
        make: Callable[[Settings], Engine],
        *,
        hot: bool = True,
        config: Config | None = None,
        number: int = NODE_NUMBER,
    ) -> None:
        self.make = make
        self.now_ms = NOW
        self.hot = hot
        self.draws = count(0x9E3779B97F4A7C15, 0x9E3779B97F4A7C15)
        self.ticks = count(0, 7)
        self.lines: list[str] = []
        self.levels: list[int] = []
        self.stops: list[str] = []
        self.config = config or Config()
        settings = self.config.engine_settings(number, b"0123456789abcdef", 5, outbox_bytes_max=1 << 20)
        self.node = Node(
            config=self.config,
            limits=self.config.limits,
            engine=make(settings),
            settings=settings,
            number=number,
            run_id=b"a" * 40,
            started_ms=NOW,
            pid=4242,
            micros=lambda: next(self.ticks),
            worked_us=lambda: 0,
            wall_us=lambda: self.now_ms * 1000,
            draw=lambda: next(self.draws) & (1 << 64) - 1,
            usage=dict,
            stop=self.stops.append,
            log=self.log,
        )
        notify.observe(self.node)

    def log(self, line: str, level: int = 20, /) -> None:
        self.lines.append(line)
        self.levels.append(level)

    def another(self) -> "Rig":
        """A second node of the same kind."""
        return Rig(self.make, hot=self.hot, config=self.config, number=NODE_NUMBER + 1)

    @property
    def engine(self) -> Engine:
        return self.node.engine

    def connect(self) -> "Client":
        return Client(self)

    def advance(self, ms: int) -> None:
        """Moves time and destroys what is due, as the server's timer does."""
        self.now_ms += ms
        while self.engine.expire(self.now_ms, 1000) >= 1000:
            pass


class Line:
    """A connection's transport: what was delivered, and what was done to it."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.pieces: list[bytes] = []  # of the reply of a command that was suspended
        self.closed = False
        self.woken = 0

    def deliver(self, data: bytes) -> None:
        self.out.append(data)

    def deliver_pieces(self, pieces: list[bytes]) -> bool:
        self.pieces += pieces
        return True

    def close(self) -> None:
        self.closed = True

    def wake(self) -> None:
        self.woken += 1

    def answer(self, data: bytes) -> None:
        self.out.append(data)

    def waiting_bytes(self) -> int:
        return 0

    def is_gone(self) -> bool:
        return self.closed


class Client:
    """A connection. Called with a command it answers with the raw reply."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.line = Line()
        node = rig.node
        number = node.next_client_id
        node.next_client_id += 1
        self.conn = Conn(
            id=number,
            node=node,
            session=node.engine.session(dispatch),
            address=b"127.0.0.1:%d" % (50_000 + number),
            local_address=b"127.0.0.1:6379",
            created_ms=rig.now_ms,
            transport=self.line,
            fd=number,
        )
        self.conn.session.owner = self.conn
        greet(self.conn)

    def __call__(self, *argv: bytes) -> bytes:
        return self.raw(request(*argv))

    def raw(self, data: bytes) -> bytes:
        """All that is answered to these bytes. A suspended command ends the answer: see `wake`."""
        reply = b""
        session, engine = self.conn.session, self.rig.engine
        for _ in range(FEEDS_MAX):
            if not self.rig.hot:
                session.hot = False
            fed = bytes(engine.feed(session, data, self.rig.now_ms))
            reply += b"".join(self.line.pieces) + fed
            self.line.pieces.clear()
            data = b""
            if not session.more or session.suspended or session.closing:
                return reply
        raise AssertionError("feed never came to an end")

    def wake(self) -> bytes:
        """What a suspended command answers once it is resumed."""
        self.rig.engine.resume(self.conn.session)
        return self.raw(b"")

    def pushed(self) -> bytes:
        """What was delivered out of turn since the last call."""
        data = b"".join(self.line.out)
        self.line.out.clear()
        return data

    def other(self) -> "Client":
        return Client(self.rig)

    def at(self, now_ms: int) -> None:
        self.rig.advance(now_ms - self.rig.now_ms)

    def advance(self, ms: int) -> None:
        self.rig.advance(ms)

    def close(self) -> None:
        forget(self.conn)
        self.rig.engine.close(self.conn.session)



class Reference:
    """A real redis-server: called with a command it answers with the raw reply."""

    def __init__(self, port: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.stream = self.socket.makefile("rb")

    def __call__(self, *argv: bytes) -> bytes:
        self.socket.sendall(request(*argv))
        return self._reply()

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def _reply(self) -> bytes:
        line = self.stream.readline()
        mark, size = line[:1], line[1:-2]
        if mark in (b"$", b"="):
            return line + (self.stream.read(int(size) + 2) if size != b"-1" else b"")
        if mark in (b"*", b"~", b">", b"%"):
            pieces = int(size) * (2 if mark == b"%" else 1)
            return line + b"".join(self._reply() for _ in range(pieces))
        return line


def request(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def array(*items: bytes) -> bytes:
    """An array of replies that are already encoded."""
    return b"*%d\r\n" % len(items) + b"".join(items)


OK, NIL, ONE, ZERO = b"+OK\r\n", b"$-1\r\n", b":1\r\n", b":0\r\n"
