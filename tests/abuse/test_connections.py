"""Connections that nobody means well with: too many, too slow, never reading, torn off, of another protocol."""

import contextlib
import random
import resource
import selectors
import socket
import threading
import time

from tests.abuse.rig import endure, open_descriptors, try_to
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, Wire

HALF = request(b"SET", b"k", b"x" * 1000)[:500]
SEED = 11
ATTACK_S = 1.5


def test_two_thousand_connections_with_half_a_command(node: LiveNode) -> None:
    def attack() -> None:
        wires = [Wire(socket.create_connection(("127.0.0.1", node.port), SOON_S)) for _ in range(2000)]
        for wire in wires:
            wire.sock.sendall(HALF)
        time.sleep(1)
        for wire in wires:
            wire.close()

    endure(node, attack)


def test_slowloris(node: LiveNode) -> None:
    """300 clients, each sends a byte every 50 ms; and each is answered in the end."""
    def attack() -> None:
        wires = [node.connect() for _ in range(300)]
        for byte in request(b"PING"):
            for wire in wires:
                wire.sock.send(bytes((byte,)))
            time.sleep(0.05)
        assert [wire.take(7) for wire in wires] == [b"+PONG\r\n"] * 300
        for wire in wires:
            wire.close()

    endure(node, attack)


def test_pipeliners_that_never_read(node: LiveNode) -> None:
    """Their replies are kept up to the limit and their requests no longer read; then they leave."""
    def attack() -> None:
        first = node.connect()
        first.ask(request(b"SET", b"big", b"x" * 100_000, b"EX", b"600"), 5)
        wires = [node.connect() for _ in range(3)]
        for wire in wires:
            wire.sock.setblocking(False)
        end = time.monotonic() + ATTACK_S
        closed: set[int] = set()
        while time.monotonic() < end and len(closed) < len(wires):
            for number, wire in enumerate(wires):
                try:
                    wire.sock.send(request(b"GET", b"big") * 50)
                except BlockingIOError:
                    time.sleep(0.001)
                except ConnectionError:
                    closed.add(number)
        for wire in wires:
            wire.close()

    endure(node, attack)


def test_messages_to_thousands_of_subscribers(node: LiveNode) -> None:
    """They are one client's for all that the node knows, and read as fast as they can."""
    allowed = min(resource.getrlimit(resource.RLIMIT_NOFILE)) - 1_000  # both have as many descriptors
    count = min(9_000 if "engine=native" in node.log() else 1_000, allowed)
    over = threading.Event()

    def read(wires: list[Wire]) -> None:
        with selectors.DefaultSelector() as ready:
            for wire in wires:
                wire.sock.setblocking(False)
                ready.register(wire.sock, selectors.EVENT_READ)
            while not over.is_set():
                for key, _ in ready.select(0.1):
                    with contextlib.suppress(BlockingIOError):
                        assert key.fileobj.recv(1 << 16)  # type: ignore[union-attr]

    def attack() -> None:
        wires = [node.connect() for _ in range(count)]
        for wire in wires:
            wire.sock.sendall(request(b"SUBSCRIBE", b"news"))
            wire.take(len(b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"))
        reader = threading.Thread(target=read, args=(wires,))
        reader.start()
        publisher, answers = node.connect(), b":%d\r\n" % count * 20
        end = time.monotonic() + ATTACK_S
        try:
            while time.monotonic() < end:
                assert publisher.ask(request(b"PUBLISH", b"news", b"x" * 20) * 20, len(answers)) == answers
        finally:
            over.set()
            reader.join()
            for wire in wires:
                wire.reset()

    endure(node, attack)


def test_hundreds_who_ask_for_one_dear_thing_each_at_one_time(node: LiveNode) -> None:
    """What a command costs is known when it has run, and each of these has its first."""
    members = 20_000 if "engine=native" in node.log() else 2_000
    wire = node.connect()
    answer = b":%d\r\n" % members
    assert wire.ask(request(b"SADD", b"many", *(b"m%d" % number for number in range(members))), len(answer)) == answer

    def attack() -> None:
        wires = [node.connect() for _ in range(200)]
        assert [wire.ask(b"PING\r\n", 7) for wire in wires] == [b"+PONG\r\n"] * 200
        for wire in wires:
            wire.sock.sendall(request(b"SUNIONSTORE", b"union", b"many", b"many"))
        for wire in wires:
            assert wire.take(len(answer)) == answer
            wire.close()

    endure(node, attack)


def test_a_storm_of_resets(node: LiveNode) -> None:
    chance = random.Random(SEED)
    def attack() -> None:
        end = time.monotonic() + ATTACK_S
        count = 0
        while time.monotonic() < end or count < 500:
            wire = Wire(socket.create_connection(("127.0.0.1", node.port), SOON_S))
            try_to(wire, HALF[: chance.randrange(len(HALF))] if chance.random() < 0.5 else b"PING\r\n" * 20)
            wire.reset()
            count += 1

    endure(node, attack)
    assert descriptors(node) < 100


def test_a_browser_and_a_web_server(node: LiveNode) -> None:
    get = b"GET / HTTP/1.1\r\nHost: localhost:6379\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"
    post = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nSET k stolen\r\nCONFIG SET requirepass x\r\n"
    def attack() -> None:
        end, count = time.monotonic() + ATTACK_S, 0
        while time.monotonic() < end or count < 100:
            count += 1
            for text in (get, post):
                wire = Wire(socket.create_connection(("127.0.0.1", node.port), SOON_S))
                wire.sock.sendall(text)
                assert b"+OK" not in wire.rest()
                wire.close()

    endure(node, attack)
    assert "event=http_request" in node.log(), "it is told"


def test_tls_on_the_plain_port(node: LiveNode) -> None:
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(random.Random(SEED).randbytes(190))
    def attack() -> None:
        for _ in range(300):
            wire = Wire(socket.create_connection(("127.0.0.1", node.port), SOON_S))
            wire.sock.sendall(hello)
            with contextlib.suppress(TimeoutError):
                wire.sock.settimeout(0.005)
                wire.sock.recv(100)
            wire.close()

    endure(node, attack)


def test_clients_that_connect_and_say_nothing(node: LiveNode) -> None:
    def attack() -> None:
        for _ in range(5):
            wires = [socket.create_connection(("127.0.0.1", node.port), SOON_S) for _ in range(1000)]
            for wire in wires:
                wire.close()

    endure(node, attack)
    assert descriptors(node) < 100


def descriptors(node: LiveNode) -> int:
    """Open ones of the process, once it has had the time to close those of the last attackers."""
    end = time.monotonic() + SOON_S
    while (count := open_descriptors(node)) > 50 and time.monotonic() < end:
        time.sleep(0.05)
    return count
