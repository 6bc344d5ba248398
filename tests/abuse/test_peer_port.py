"""The peer port under attack: noise, silence, giants, frames out of place, before HELLO and after it, with TLS and
without.

The bystander is a client on the other port: it must be served as if nothing happened, no record may come of it, and the
memory and the descriptors come back.
"""

import asyncio
import contextlib
import random
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import pytest
import redis

from respram.gossip.members import Member, pack_member
from respram.record import Record, pack
from respram.server.knock import CHARS, SUFFIX
from respram.wire.codec import encode
from respram.wire.messages import VERSION, Filter, Hello, Keys, Message, Ping, Push, Records, Seals
from tests.abuse.rig import endure, open_descriptors
from tests.live import SOON_S, LiveNode, Wire, running
from tests.peers.enclave import until
from tests.ports import reserve
from tests.secrets import secret_of
from tests.timing import in_time

SECRET = secret_of("peer port")
SEED = 17
ATTACK_S = 1.0
KNOCKS_MIN = 50  # by however slow a machine


class Target(NamedTuple):
    node: LiveNode
    peer_port: int

    def knock(self) -> Wire:
        return Wire(socket.create_connection(("127.0.0.1", self.peer_port), SOON_S))

    def info(self, name: str) -> int:
        with redis.Redis(port=self.node.port, socket_timeout=SOON_S) as client:
            return int(client.info("replication")[name])


@contextlib.contextmanager
def target(secret: str) -> Iterator[Target]:
    port = reserve()
    words = ["--peer-port", str(port), "--join", f"127.0.0.1:{reserve()}"]
    with running(*words, engine="auto", env={"RESPRAM_CLUSTER_SECRET": secret}) as node:
        end = time.monotonic() + SOON_S
        while "event=peers" not in node.log():
            assert time.monotonic() < end, node.log()
            time.sleep(0.02)
        yield Target(node, port)


@pytest.fixture(scope="module")
def proven() -> Iterator[Target]:
    with target(SECRET) as one:
        yield one


@pytest.fixture(scope="module")
def unproven() -> Iterator[Target]:
    """Without a secret: on loopback frames are read from anybody, so here the frames themselves are attacked."""
    with target("") as one:
        yield one


def survived(at: Target) -> None:
    with redis.Redis(port=at.node.port, socket_timeout=SOON_S) as client:
        assert client.dbsize() == 0, "a stranger's record was taken"
    end = time.monotonic() + SOON_S
    while open_descriptors(at.node) > 60:
        assert time.monotonic() < end, "descriptors stay open"
        time.sleep(0.05)


def knocking(at: Target, *openings: bytes) -> None:
    """One stranger after another, each with a word or two; some listen for the answer, some tear the line."""
    chance = random.Random(SEED)
    end, count = time.monotonic() + ATTACK_S, 0
    while time.monotonic() < end or count < KNOCKS_MIN:
        count += 1
        wire = at.knock()
        with contextlib.suppress(OSError):
            wire.sock.sendall(chance.choice(openings))
            wire.sock.settimeout(0.01)
            wire.sock.recv(1000)
        wire.reset() if chance.random() < 0.5 else wire.close()


# -- strangers --------------------------------------------------------------------------------------
def test_noise_and_other_protocols(proven: Target) -> None:
    chance = random.Random(SEED)
    hello = bytes.fromhex("16030100c8010000c40303")
    openings = (
        chance.randbytes(3000), b"GET / HTTP/1.1\r\n\r\n", b"*1\r\n$4\r\nPING\r\n", hello + chance.randbytes(190),
        hello + bytes(60_000),
        b"\x16\x03\x01\xff\xff" + bytes(70_000), b"\x15\x03\x03\x00\x02\x02\x28" * 100,
    )  # fmt: skip
    endure(proven.node, lambda: knocking(proven, *openings))
    until(lambda: proven.info("links_garbage") > 10, "garbage is not counted")
    survived(proven)


def test_a_thousand_who_say_nothing(proven: Target) -> None:
    def attack() -> None:
        wires = [proven.knock() for _ in range(1000)]
        time.sleep(ATTACK_S)
        for wire in wires:
            wire.close()

    endure(proven.node, attack)
    until(lambda: proven.info("links_crowded") > 500, "those who had to make room are not counted")
    survived(proven)


def test_half_a_handshake_byte_by_byte(proven: Target) -> None:
    def attack() -> None:
        wires = [proven.knock() for _ in range(50)]
        for byte in bytes.fromhex("16030100c8010000c40303") + bytes(30):
            for wire in wires:
                with contextlib.suppress(OSError):
                    wire.sock.send(bytes((byte,)))
            time.sleep(0.04)
        for wire in wires:
            wire.reset()

    endure(proven.node, attack)
    survived(proven)


CONNECTS_PER_S = 2_000
REACHED = 0.98  # of them, by the test itself: it makes up for what it missed, but not at the end
JOIN_S = 5.0


class Flood:
    """Connections that say one word, or nothing, as many a second as are asked for, from one address or from many."""

    def __init__(self, peer_port: int, addresses: list[str], word: bytes = b"") -> None:
        self.peer_port, self.addresses, self.word = peer_port, addresses, word
        self.count = 0
        self.per_s = 1.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        kept: deque[socket.socket] = deque()
        begun = time.monotonic()
        while not self.over.is_set():
            # (A busy machine never makes so many: it is asked again whether it is over.)
            while not self.over.is_set() and self.count < (time.monotonic() - begun) * CONNECTS_PER_S:
                sock = socket.socket()
                sock.setblocking(False)
                with contextlib.suppress(OSError):
                    sock.bind((self.addresses[self.count % len(self.addresses)], 0))
                    sock.connect_ex(("127.0.0.1", self.peer_port))
                    self.count += 1
                    sock.send(self.word)
                kept.append(sock)
                if len(kept) > 400:
                    gone = kept.popleft()
                    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    gone.close()
            time.sleep(0.002)
        self.per_s = max(self.count / (time.monotonic() - begun), 1.0)
        for sock in kept:
            sock.close()

    def __enter__(self) -> "Flood":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def joining_s(log: str) -> float:
    """From the moment at which a node begins to look for its peers until it has met one. How long its process takes to
    start is no matter of the peer port: on a busy machine that was 10 s, and joining 1.3.
    """
    moments = [
        datetime.fromisoformat(line[:23].replace(",", "."))
        for line in log.splitlines() if "event=peers " in line or "event=met " in line
    ]  # fmt: skip
    return (moments[1] - moments[0]).total_seconds()


@contextlib.contextmanager
def far_away(peer_port: int, one_way_s: float) -> Iterator[int]:
    """The port of a way to a peer on which everything takes so long."""
    loop = asyncio.new_event_loop()
    writers: list[asyncio.StreamWriter] = []

    async def end() -> None:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(one_way_s * 3)  # for what is under way

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                loop.call_later(one_way_s, writer.write, piece)
        loop.call_later(one_way_s, writer.close)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(one_way_s)
        there, to_there = await asyncio.open_connection("127.0.0.1", peer_port, local_addr=("127.0.8.8", 0))
        writers.extend((writer, to_there))
        await asyncio.gather(pass_on(reader, to_there), pass_on(there, writer))

    server = loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize("addresses", [1, 200])
def test_thousands_of_connects_a_second_keep_no_joiner_out(proven: Target, addresses: int) -> None:
    """One that is 100 ms away, there and back."""
    def attack() -> None:
        with Flood(proven.peer_port, MANY[:addresses]) as flood, far_away(proven.peer_port, 0.05) as way:
            time.sleep(0.5)
            words = ["--peer-port", str(reserve()), "--join", f"127.0.0.1:{way}"]
            with running(*words, engine="auto", env={"RESPRAM_CLUSTER_SECRET": SECRET}) as joiner:
                until(lambda: proven.info("enclave_peers_linked") == 1, "the joiner was kept out")
                until(lambda: "event=met" in joiner.log(), "the joiner does not know it")
                in_time(joining_s(joiner.log()), JOIN_S, "a joiner under connects")
        assert flood.count > 500, "it was no attack"
        in_time(CONNECTS_PER_S / flood.per_s, 1 / REACHED, "connects that the test made, of those that it is to make")

    seen = endure(proven.node, attack)
    in_time(seen.ping_ms, 20, "a bystander under connects")
    survived(proven)


MANY = [f"127.0.{7 + number // 100}.{1 + number % 100}" for number in range(200)]
OWN = ["127.0.0.1"]  # the joiner's, and that of a member


def whole_hello() -> bytes:
    """The beginning of a handshake with TLS, as anybody can make it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version, context.check_hostname = ssl.TLSVersion.TLSv1_3, False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="a" * CHARS + SUFFIX.decode()).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("addresses", "share"), [(OWN, 1.0), (OWN, 0.5), (MANY, 1.0), (MANY, 0.5)],
    ids=["own-whole", "own-half", "many-whole", "many-half"],
)  # fmt: skip
def test_thousands_of_beginnings_of_handshakes_keep_no_joiner_out(
    proven: Target, addresses: list[str], share: float
) -> None:
    """From the joiner's own address, too. Three joiners one after the other, since luck could let in one."""
    hello = whole_hello()
    word = hello[: int(len(hello) * share)]

    def attack() -> None:
        with Flood(proven.peer_port, addresses, word) as flood:
            time.sleep(0.5)
            for _ in range(3):
                words = ["--peer-port", str(reserve()), "--join", f"127.0.0.1:{proven.peer_port}"]
                with running(*words, engine="auto", env={"RESPRAM_CLUSTER_SECRET": SECRET}) as joiner:
                    until(lambda log=joiner.log: "event=met" in log(), "the joiner was kept out")  # type: ignore[misc]
                    in_time(joining_s(joiner.log()), JOIN_S, "a joiner under beginnings of handshakes")
        assert flood.count > 500, "it was no attack"
        in_time(CONNECTS_PER_S / flood.per_s, 1 / REACHED, "connects that the test made, of those that it is to make")

    seen = endure(proven.node, attack)
    in_time(seen.ping_ms, 20, "a bystander under beginnings of handshakes")
    survived(proven)


GIANT = b"*8\r\n$4\r\nPUSH\r\n" + b"$1\r\n1\r\n" * 6 + b"$2000000000\r\n"


# -- frames, where they are read from anybody on this machine -----------------------------------------
def greeting(number: int, enclave: bytes = b"default") -> bytes:
    address = b"127.0.0.1:%d" % (20_000 + number % 20_000)
    member = Member(number, enclave, address)
    return encode(Hello(VERSION, b"respram", number, enclave, address, time.time_ns() // 1_000_000, 0,
                        pack_member(member), bytes(17)))


def payload(key: bytes, life_ms: int = -60_000) -> bytes:
    """A record that has expired, unless told otherwise."""
    now_ms = time.time_ns() // 1_000_000
    return pack(Record(0, key, b"v" * 100, (now_ms - 1000) << 16, 99, now_ms + life_ms))


def push(seq: int, data: bytes, origin: int = 99) -> bytes:
    return encode(Push(seq, 0, origin, seq, 0, 0, data))


def test_frames_before_hello(unproven: Target) -> None:
    openings = (
        push(1, payload(b"k", 60_000)), encode(Keys(bytes(72), b"")), encode(Seals(1, bytes(40))),
        b"*2\r\n$5\r\nHELLO\r\n$999999999\r\n",
        b"*2\r\n$5\r\nHELLO\r\n$4000000\r\n" + bytes(200_000), b"*2147483647\r\n", b"*-1\r\n",
        b"*2\r\n$99999999999999\r\n",
        b"*1\r\n" * 1000, b"$" * 5000, greeting(5)[:-7],
    )  # fmt: skip
    endure(unproven.node, lambda: knocking(unproven, *openings))
    survived(unproven)


def test_frames_that_no_peer_sends_after_hello(unproven: Target) -> None:
    chance = random.Random(SEED)
    wrong: list[Message] = [
        Push(1, 1 << 40, 9, 1, 1, 0, b"x" * 1000), Push(1, 0, 9, 1, 1, 7, b"x" * 1000), Keys(b"x" * 73, b""),
        Keys(bytes(72 * 70_000), b""), Keys(b"", bytes(72 * 70_000)),
        Seals(1, b"y" * 41), Records(1, 0, 5, 9, b"z" * 5000), Filter(1, 0, 1, 0, b"?" * 40, 3, 2, b"!" * 2000),
        Filter(1, 0, 1, 0, bytes(17), 0, 1, b"\xff" * 48),
    ]  # fmt: skip
    tails = [*map(encode, wrong), chance.randbytes(5000), GIANT]

    def attack() -> None:
        end, number = time.monotonic() + ATTACK_S, 1000
        while time.monotonic() < end or number < 1000 + KNOCKS_MIN:
            number += 1
            wire = unproven.knock()
            with contextlib.suppress(OSError):
                wire.sock.sendall(greeting(number) + tails[number % len(tails)])
                wire.sock.settimeout(0.02)
                while wire.sock.recv(65_536):
                    pass
            wire.close()

    endure(unproven.node, attack)
    survived(unproven)


def test_frames_that_are_replayed_and_records_that_are_broken(unproven: Target) -> None:
    """A peer that repeats itself thousands of times: duplicates are acknowledged and dropped, expired and broken
    records counted.
    """
    def attack() -> None:
        with contextlib.closing(unproven.knock()) as wire:
            wire.sock.sendall(greeting(7_777))
            end, seq = time.monotonic() + ATTACK_S, 0
            wire.sock.settimeout(SOON_S)
            while time.monotonic() < end or not seq:
                seq += 1
                frame = push(seq, payload(b"dead-%d" % seq) * 20 + (b"\xff" * 50 if seq % 2 else b""))
                with contextlib.suppress(OSError):
                    wire.sock.sendall(frame * 20 + frame)
                    wire.sock.recv(1 << 16)

    before = unproven.info("payloads_malformed")
    endure(unproven.node, attack)
    assert unproven.info("payloads_malformed") > before
    survived(unproven)


def test_a_peer_that_sends_as_fast_as_it_can_and_reads_nothing(unproven: Target) -> None:
    """Small frames, each of which wants an answer. The node hangs up when too much waits to be read, or when what it
    reads at last was sent long ago.
    """
    def attack() -> None:
        sent, end = 0, time.monotonic() + ATTACK_S
        while time.monotonic() < end or sent <= 1 << 20:
            with contextlib.closing(unproven.knock()) as wire, contextlib.suppress(ConnectionError):
                wire.sock.sendall(greeting(8_888))
                wire.sock.setblocking(False)
                left = memoryview(b"")
                while time.monotonic() < end or sent <= 1 << 20:
                    left = left or memoryview(encode(Ping(1, time.time_ns() // 1_000_000, b"")) * 1000)
                    try:
                        count = wire.sock.send(left)
                    except BlockingIOError:
                        time.sleep(0.001)
                    else:
                        sent, left = sent + count, left[count:]

    endure(unproven.node, attack)
    survived(unproven)
