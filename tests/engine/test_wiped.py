"""Invariant 3: what is over is not in the process's memory any more, and was there before; sealed, it never is.

A process of its own serves one engine over pipes, so that this one may know the values; its whole
memory is then read through /proc and searched. The child takes its input with `readinto` into one
buffer, as the server does, and makes no object of a value. Native only: Python's own objects cannot
be overwritten, which is why the pure engine promises less.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.live import SOON_S

from .conftest import PURE_ONLY
from .rig import NOW, request

pytestmark = [
    pytest.mark.skipif(PURE_ONLY, reason="the pure engine cannot overwrite Python's objects"),
    pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no /proc to read memory from"),
]

CHILD = """
import os, struct, sys
from respram.engine import make
from respram.seal import KEY_BYTES, RING_BYTES, Ring
from tests.engine.rig import NOW, SETTINGS

engine = make("native", SETTINGS)
if sys.argv[1] != "plain":
    engine.use_seals(Ring(bytearray(RING_BYTES), os.urandom(KEY_BYTES), NOW, by_gcm=sys.argv[1] == "gcm"), True)

def dispatch(session, argv, now):  # KEEP and RUN stand for MULTI and EXEC
    session.hot, session.queue_keys_max = argv[0] in (b"RUN", b"DROP"), 100 * (argv[0] == b"KEEP")
    if argv[0] == b"RUN":
        assert engine.run_queued(session, now, 1 << 30) is None
        session.drop_queued()
    if argv[0] == b"DROP":
        engine.let_go(0, argv[1], now, b"del")
    return b"+cold\\r\\n"

session = engine.session(dispatch)
session.hot = session.trusted = True
buffer = memoryview(bytearray(1 << 18))
while len(head := os.read(0, 16)) == 16:
    now, size = struct.unpack("<QQ", head)
    got = 0
    while got < size:
        got += os.readv(0, [buffer[got:size]])
    reply = engine.feed(session, buffer[:size], now)
    total = len(reply)
    os.write(1, struct.pack("<Q", total))
    sent = 0
    while sent < total:
        sent += os.write(1, reply[sent:])
    del reply
    engine.forget_reply()
    while engine.expire(now, 64) >= 64:
        pass
"""

MARK = b"MARK-%d-%s-"
TAIL = os.urandom(16).hex().encode()


class Child:
    """An engine in a process of its own."""

    def __init__(self, kind: str = "plain") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def feed(self, data: bytes, now: int = NOW) -> bytes:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(now.to_bytes(8, "little") + len(data).to_bytes(8, "little"))
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view) or 0 :]
        size = int.from_bytes(self.process.stdout.read(8) or b"", "little")
        reply = b""
        while len(reply) < size:
            reply += self.process.stdout.read(size - len(reply)) or b""
        return reply

    def memory(self) -> Iterator[bytes]:
        """All that the process can write: heap, stacks, mappings. A piece overlaps the one before it."""
        pid = self.process.pid
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for line in maps:
                area, mode = line.split()[:2]
                if not mode.startswith("rw"):
                    continue
                start, end = (int(number, 16) for number in area.split("-"))
                for at in range(start, end, 1 << 20):
                    try:
                        memory.seek(at)
                        yield memory.read(min((1 << 20) + 256, end - at))
                    except OSError:  # pages that are there in name only
                        continue

    def holds(self, mark: bytes) -> bool:
        return any(mark in piece for piece in self.memory())

    def forgets(self, mark: bytes) -> bool:
        """Without another call: it may not have come back from sending its reply yet."""
        end = time.monotonic() + SOON_S
        while self.holds(mark):
            if time.monotonic() > end:
                return False
        return True

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child()
    try:
        yield child
    finally:
        child.close()


@pytest.fixture(params=["ctr", "gcm"] if hasattr(AESGCM, "encrypt_into") else ["ctr"])
def sealed_child(request: pytest.FixtureRequest) -> Iterator[Child]:
    child = Child(request.param)
    try:
        yield child
    finally:
        child.close()


def mark(number: int) -> bytes:
    return MARK % (number, TAIL)


def quiet(child: Child, now: int) -> None:
    """Two more calls: a reply is wiped by the call that follows it."""
    for _ in range(2):
        assert child.feed(request(b"PING"), now) == b"+PONG\r\n"


def test_what_a_transaction_kept_is_gone_with_what_it_stored(child: Child) -> None:
    assert child.feed(request(b"KEEP")) == b"+cold\r\n"
    values = [mark(number) * 50 for number in range(40)]  # the memory for what is kept grows several times
    for number, value in enumerate(values):
        assert child.feed(request(b"SET", b"k%d" % number, value, b"PX", b"500")) == b"+QUEUED\r\n"
    assert child.holds(mark(3)) and child.holds(mark(39))
    assert child.feed(request(b"RUN")) == b"+OK\r\n" * 40 + b"+cold\r\n"
    quiet(child, NOW)
    assert child.feed(request(b"GET", b"k3")).count(mark(3)) == 50
    quiet(child, NOW + 600)
    assert not [number for number in range(40) if child.holds(mark(number))]


def test_a_value_is_found_before_its_end_and_not_after(child: Child) -> None:
    sizes = [40, 1_000, 5_000, 100_000]
    for number, size in enumerate(sizes):
        value = mark(number) * (size // len(mark(number)) + 1)
        assert child.feed(request(b"SET", b"k%d" % number, value, b"PX", b"500")) == b"+OK\r\n"
        assert mark(number) in child.feed(request(b"GET", b"k%d" % number))
    quiet(child, NOW)
    for number in range(len(sizes)):
        assert child.holds(mark(number)), sizes[number]
    quiet(child, NOW + 600)
    for number in range(len(sizes)):
        assert not child.holds(mark(number)), sizes[number]


def test_an_overwritten_value_is_gone_at_once(child: Child) -> None:
    child.feed(request(b"SET", b"same", mark(1) + b"x" * 60, b"EX", b"60"))
    child.feed(request(b"SET", b"long", mark(2) + b"x" * 900, b"EX", b"60"))
    child.feed(request(b"SET", b"short", mark(3), b"EX", b"60"))
    child.feed(request(b"SET", b"life", mark(4) + b"x" * 60, b"EX", b"60"))
    tail = b"x" * (968 - len(mark(9))) + mark(9)  # its block has room for a value some bytes shorter too
    child.feed(request(b"SET", b"tail", tail, b"EX", b"60"))
    quiet(child, NOW)
    assert all(child.holds(mark(number)) for number in (1, 2, 3, 4, 9))
    child.feed(request(b"SET", b"tail", b"y" * (968 - len(mark(9))), b"EX", b"60"))
    child.feed(request(b"SET", b"same", b"y" * 100, b"EX", b"60"))
    child.feed(request(b"SET", b"long", b"y", b"EX", b"60"))
    child.feed(request(b"SET", b"short", b"y" * 3_000, b"EX", b"60"))
    child.feed(request(b"SET", b"life", b"y", b"PX", b"5"))
    quiet(child, NOW)
    assert not any(child.holds(mark(number)) for number in (1, 2, 3, 4, 9))


def test_a_value_that_was_let_go_is_gone_at_once(child: Child) -> None:
    sizes = [1, 40, 1_000, 5_000, 100_000]
    for number, size in enumerate(sizes):
        child.feed(request(b"SET", b"k%d" % number, mark(number) + b"x" * size, b"EX", b"600"))
    quiet(child, NOW)
    assert all(child.holds(mark(number)) for number in range(len(sizes)))
    for number in range(len(sizes)):
        child.feed(request(b"DROP", b"k%d" % number))
    quiet(child, NOW)
    assert not any(child.holds(mark(number)) for number in range(len(sizes)))


def test_what_was_cut_off_and_what_was_large_is_wiped_from_the_buffers(child: Child) -> None:
    piece = request(b"SET", b"cut", mark(5) + b"x" * 3_000, b"PX", b"500")
    assert child.feed(piece[:700]) == b""
    assert child.holds(mark(5))
    assert child.feed(piece[700:]) == b"+OK\r\n"
    value = mark(6) * 6_000
    large = request(b"SET", b"large", value, b"PX", b"500")
    for at in range(0, len(large), 50_000):
        child.feed(large[at : at + 50_000])
    assert child.feed(request(b"GET", b"large") * 3).count(mark(6)) == 18_000
    quiet(child, NOW)
    assert child.holds(mark(5)) and child.holds(mark(6))
    quiet(child, NOW + 600)
    assert not child.holds(mark(5)) and not child.holds(mark(6))


def test_an_echo_and_a_quoted_word_leave_nothing(child: Child) -> None:
    assert mark(7) in child.feed(request(b"ECHO", mark(7)))
    assert mark(8) in child.feed(b'ECHO "' + mark(8) + b'"\r\n')
    assert child.forgets(mark(7)) and child.forgets(mark(8))


def test_a_sealed_value_is_never_found_though_it_is_served(sealed_child: Child) -> None:
    child = sealed_child
    sizes = [40, 1_000, 5_000, 16_384, 100_000]
    values = [mark(number) * (size // len(mark(number)) + 1) for number, size in enumerate(sizes)]
    for number, value in enumerate(values):
        assert child.feed(request(b"SET", b"k%d" % number, value, b"PX", b"500")) == b"+OK\r\n"
    assert child.feed(request(b"SETEX", b"again", b"60", mark(5))) == b"+OK\r\n"
    assert child.feed(request(b"INCRBY", b"n", b"7654321987654321")) == b":7654321987654321\r\n"
    assert child.feed(request(b"INCR", b"n")) == b":7654321987654322\r\n"
    for number, value in enumerate(values):
        assert child.feed(request(b"GET", b"k%d" % number)) == b"$%d\r\n%b\r\n" % (len(value), value)
    asked = b"".join(request(b"GET", b"k%d" % number) for number in range(len(sizes)))
    assert child.feed(asked + request(b"MGET", b"k0", b"again", b"n")).endswith(
        mark(5) + b"\r\n$16\r\n7654321987654322\r\n"
    )
    for number in range(6):
        assert child.forgets(mark(number)), number
    assert not child.holds(b"765432198765432")
    assert child.feed(request(b"STRLEN", b"k4")) == b":%d\r\n" % len(values[4])
