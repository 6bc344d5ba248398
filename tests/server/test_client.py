"""One client's socket, against a real process: order, patience, limits, and what others notice of it."""

import asyncio
import contextlib
import gc
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from respram.commands.node import Conn
from respram.commands.pubsub import publish
from respram.config.limits import Limits
from respram.config.settings import Config
from respram.server.app import App
from respram.server.client import FREED_AT_ONCE_BYTES, Client, _free
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, Wire, running
from tests.timing import in_time

PONG = b"+PONG\r\n"
IDLE_S = 1
TRIES_MAX = 20


def test_replies_come_in_order_however_the_bytes_are_cut(node: LiveNode) -> None:
    wire = node.connect()
    batch = request(b"SET", b"k", b"v", b"EX", b"9") + request(b"GET", b"k") + b"PING\r\n" + request(b"STRLEN", b"k")
    expected = b"+OK\r\n$1\r\nv\r\n+PONG\r\n:1\r\n"
    assert wire.ask(batch, len(expected)) == expected
    for at in range(len(batch)):
        wire.sock.send(batch[at : at + 1])
    assert wire.take(len(expected)) == expected
    wire.close()


def until(wire: Wire, end: bytes) -> bytes:
    got = b""
    while end not in got:
        piece = wire.sock.recv(1 << 16)
        assert piece, "closed"
        got += piece
    return got


def test_a_client_that_tracks_is_told_behind_its_own_replies_and_those_before(node: LiveNode) -> None:
    """What was read a moment ago is sent before the news that it changed: else it would be kept for good."""
    reader, writer, watcher = node.connect(), node.connect(), node.connect()
    reader.sock.sendall(request(b"HELLO", b"3") + request(b"CLIENT", b"TRACKING", b"on") + request(b"ECHO", b"ready"))
    until(reader, b"$5\r\nready\r\n")
    push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$2\r\ntk\r\n"
    assert watcher.ask(request(b"WATCH", b"tk"), 5) == b"+OK\r\n"
    own = request(b"SET", b"tk", b"0") + request(b"GET", b"tk") + request(b"SET", b"tk", b"1")
    wanted = b"+OK\r\n$1\r\n0\r\n+OK\r\n" + push
    assert reader.ask(own, len(wanted)) == wanted
    assert watcher.ask(request(b"MULTI") + request(b"EXEC"), 10) == b"+OK\r\n*-1\r\n"
    for number in range(2, 50):
        reader.sock.sendall(request(b"GET", b"tk") * 200)
        first = reader.take(7)
        assert first == b"$1\r\n%d\r\n" % ((number - 1) % 10)
        assert writer.ask(request(b"SET", b"tk", b"%d" % (number % 10)), 5) == b"+OK\r\n"
        reader.sock.sendall(request(b"ECHO", b"done"))
        before, _, after = until(reader, b"$4\r\ndone\r\n").partition(push)
        assert after.endswith(b"$4\r\ndone\r\n") and first not in after
        assert before.count(b"$1\r\n") + after.count(b"$1\r\n") == 199
    for wire in (reader, writer, watcher):
        wire.close()


def test_a_hundred_thousand_commands_in_one_write_are_all_answered(node: LiveNode) -> None:
    wire, bystander = node.connect(), node.connect()
    sender = threading.Thread(target=wire.sock.sendall, args=(request(b"PING") * 100_000,))
    sender.start()
    worst = max(timed_ping(bystander) for _ in range(20))
    assert wire.take(len(PONG) * 100_000) == PONG * 100_000
    sender.join()
    in_time(worst, 0.5, "a bystander beside a batch")
    wire.close()
    bystander.close()


def test_one_byte_every_fifty_ms_is_a_command_in_the_end(node: LiveNode) -> None:
    wire, bystander = node.connect(), node.connect()
    for byte in request(b"PING"):
        wire.sock.send(bytes((byte,)))
        in_time(timed_ping(bystander), 0.5, "a bystander beside a slow client")
        time.sleep(0.05)
    assert wire.take(len(PONG)) == PONG
    wire.close()
    bystander.close()


def test_a_reset_in_the_middle_troubles_nobody(node: LiveNode) -> None:
    bystander = node.connect()
    for _ in range(50):
        wire = node.connect()
        wire.sock.send(request(b"SET", b"k", b"x" * 1000)[:500])
        wire.reset()
    in_time(timed_ping(bystander), 0.5, "a bystander beside resets")
    bystander.close()


def test_two_thousand_idle_connections_are_nothing_to_the_others(node: LiveNode) -> None:
    idle: list[socket.socket] = []
    try:
        for _ in range(2000):
            idle.append(socket.create_connection(("127.0.0.1", node.port), SOON_S))
        wire = node.connect()
        in_time(max(timed_ping(wire) for _ in range(50)), 0.5, "a client beside 2,000")
        wire.close()
    finally:
        for one in idle:
            one.close()


def test_a_value_as_large_as_may_be_goes_in_and_out(node: LiveNode) -> None:
    wire = node.connect()
    value = bytes(range(256)) * (Limits().bulk_bytes_max >> 8)
    wire.sock.sendall(request(b"SET", b"big", value, b"PX", b"60000"))
    assert wire.take(5) == b"+OK\r\n"
    head = b"$%d\r\n" % len(value)
    assert wire.ask(request(b"GET", b"big"), len(head) + len(value) + 2) == head + value + b"\r\n"
    wire.sock.sendall(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % (len(value) + 1))
    assert wire.rest() == b"-ERR Protocol error: invalid bulk length\r\n"
    wire.close()


def test_who_is_closed_for_a_value_that_is_too_large_leaves_a_line(node: LiveNode) -> None:
    wire = node.connect()
    wire.sock.sendall(request(b"CLIENT", b"SETNAME", b"uploader"))
    assert wire.take(5) == b"+OK\r\n"
    wire.sock.sendall(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$99999999\r\n")
    assert wire.rest() == b"-ERR Protocol error: invalid bulk length\r\n"
    (line,) = [line for line in node.log().splitlines() if "client_name='uploader'" in line]
    assert " WARNING event=protocol_error " in line and line.endswith("why='invalid bulk length': closed")
    asking = node.connect()
    asking.sock.sendall(request(b"INFO", b"respram"))
    assert b"protocol_errors:0\r\n" not in asking.take(300) + asking.sock.recv(1 << 16)
    asking.close()
    wire.close()


def test_an_http_request_is_closed_without_a_word(node: LiveNode) -> None:
    for text in (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", b"Host: a\r\n\r\n"):
        wire = node.connect()
        wire.sock.sendall(text)
        assert wire.rest() == b""
        wire.close()


def test_a_reader_that_does_not_read_is_closed_not_fed() -> None:
    with running("--output-buffer-limit", "4mb", "--output-soft-limit", "1mb") as live:
        wire, bystander = live.connect(), live.connect()
        wire.ask(request(b"SET", b"k", b"x" * 100_000, b"EX", b"60"), 5)
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.sock.setblocking(False)
        end = time.monotonic() + SOON_S
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < end:
                with contextlib.suppress(BlockingIOError):
                    wire.sock.send(request(b"GET", b"k") * 100)
                in_time(timed_ping(bystander), 1, "a bystander beside one that does not read")
        assert time.monotonic() < end, "never closed"
        assert "event=output_limit" in live.log()
        wire.close()
        bystander.close()


def test_one_client_too_many_is_told_so() -> None:
    with running("--maxclients", "3") as live:
        wires = held(live, 3)
        late = live.connect()
        assert late.rest() == b"-ERR max number of clients reached\r\n"
        wires[0].close()
        for wire in (*wires, late, *held(live, 1)):
            wire.close()


def held(live: LiveNode, count: int) -> list[Wire]:
    """So many clients that are served: who has gone has a place until the node's loop has seen it."""
    end = time.monotonic() + SOON_S
    while True:
        wires = [live.connect() for _ in range(count)]
        found = [wire.ask(b"PING\r\n", 7) for wire in wires]
        if found == [PONG] * count:
            return wires
        assert time.monotonic() < end, found
        for wire in wires:
            wire.close()
        time.sleep(0.02)


def test_an_idle_client_is_closed_and_a_busy_one_is_not() -> None:
    with running("--timeout", str(IDLE_S)) as live:
        assert any(closed_alone(live) for _ in range(TRIES_MAX)), "the machine stood still in each try"


def closed_alone(live: LiveNode) -> bool:
    """Whether the idle one was closed; False where this process got no core for so long that the busy one was idle."""
    idle, busy = live.connect(), live.connect()
    idle.sock.settimeout(0.1)
    end = asked = time.monotonic()
    end += SOON_S
    closed = False
    try:
        while not closed:
            answer, before, asked = busy_ping(busy), asked, time.monotonic()
            if asked - before > IDLE_S / 2:
                return False
            assert answer == PONG and asked < end
            with contextlib.suppress(TimeoutError):
                closed = idle.sock.recv(1) == b""
        return True
    finally:
        idle.close()
        busy.close()


def busy_ping(busy: Wire) -> bytes:
    with contextlib.suppress(ConnectionError):
        return busy.ask(b"PING\r\n", 7)
    return b""


def timed_ping(wire: Wire) -> float:
    began = time.perf_counter()
    assert wire.ask(b"PING\r\n", len(PONG)) == PONG
    return time.perf_counter() - began


def test_a_client_that_is_gone_is_freed_without_the_collector() -> None:
    """The collector comes once in tens of thousands of connections: rings of references would lie about until then."""
    async def main() -> None:
        app = App(Config(port=0, engine="pure"), asyncio.get_running_loop())
        app.listen()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                reader, writer = await asyncio.open_connection(*app.listeners[0].sockets[0].getsockname())
                writer.write(b"CLIENT ID\r\nQUIT\r\n")
                await writer.drain()
                await reader.read()
                writer.close()
            end = time.monotonic() + SOON_S
            while True:
                left = [one for one in gc.get_objects() if isinstance(one, Conn) and one.node is app.node]
                if not left or time.monotonic() > end:
                    break
                await asyncio.sleep(0.01)
        finally:
            gc.enable()
        assert not left, f"{len(left)} of 20 connections are still in memory"
        await app.drain()

    asyncio.run(main())


def test_a_message_behind_the_last_reply_of_a_stop_does_not_reset_the_connection() -> None:
    """It cannot be sent any more. To close for that would be a reset, which may overtake the last reply."""
    async def main() -> None:
        app = App(Config(port=0, engine="pure"), asyncio.get_running_loop())
        app.listen()
        reader, writer = await asyncio.open_connection(*app.listeners[0].sockets[0].getsockname())
        subscribe = request(b"SUBSCRIBE", b"ch")
        writer.write(subscribe)
        answer = b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n"
        assert await reader.readexactly(len(answer)) == answer
        [conn] = app.node.clients.values()
        client = conn.transport
        assert isinstance(client, Client)
        client.mute()
        writer.write(subscribe)  # which nobody reads
        await writer.drain()
        for _ in range(3):
            assert publish(app.node, b"ch", b"late") == 1
            await asyncio.sleep(0.01)
        assert not client.closed and await reader.read() == b""
        writer.close()
        await app.drain()

    asyncio.run(main())


def test_what_nobody_will_read_is_freed_a_slice_at_a_time() -> None:
    class Loop:
        turns = 0

        def call_later(self, delay_s: float, call: Callable[..., None], *args: object) -> None:
            self.turns += 1
            left.append(len(waiting))
            call(*args)

    left: list[int] = []
    loop = Loop()
    waiting = deque(memoryview(bytes(FREED_AT_ONCE_BYTES // 2)) for _ in range(7))
    _free(cast(asyncio.AbstractEventLoop, loop), waiting)
    assert not waiting and left == [5, 3, 1]


def known_to(node: LiveNode) -> Wire | None:
    """Who proves at once who they are; None where this process got no core in time."""
    wire = node.connect()
    with contextlib.suppress(ConnectionError):
        if wire.ask(request(b"AUTH", b"pw"), 5) == b"+OK\r\n":
            return wire
    return None


def test_who_does_not_authenticate_is_closed_in_time_and_who_has_stays() -> None:
    with running("--requirepass", "pw", "--auth-timeout", "1") as node:
        known = next(filter(None, (known_to(node) for _ in range(TRIES_MAX))))
        silent, trying = node.connect(), node.connect()
        began = time.monotonic()
        while time.monotonic() - began < SOON_S:  # to try in vain buys no time
            try:
                trying.sock.sendall(request(b"GET", b"a"))
                if not trying.sock.recv(100):
                    break
            except ConnectionError:
                break
            time.sleep(0.05)
        in_time(time.monotonic() - began, 8, "who never proves who they are")
        assert silent.rest() == b""
        assert known.ask(request(b"PING"), 7) == PONG and "event=auth_timeout client=" in node.log()
    with running("--auth-timeout", "1") as node:  # nobody has to
        silent = node.connect()
        time.sleep(2.5)
        assert silent.ask(request(b"PING"), 7) == PONG
