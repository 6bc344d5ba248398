"""What the process keeps to itself. In processes of their own: what is locked and forbidden stays so."""

import os
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from respram.server.guard import may_lock_all
from tests.engine.conftest import PURE_ONLY
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, Wire, running
from tests.ports import reserve
from tests.server.test_tls import Secure, certificate, options

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is asked for is Linux's")
ROOT = Path(__file__).parents[2]

PROBE = """
import ctypes, resource
from respram.server.guard import guard_memory
{before}
guard = guard_memory(9_000)
locked = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmLck")]
print(len(guard.keys), any(guard.keys), guard.keys_locked, guard.all_locked, guard.dumps_off, int(locked[0]) > 0,
      ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
guard.keys[:3] = b"key"
"""


def probe(before: str = "") -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", PROBE.format(before=before)], capture_output=True, text=True, cwd=ROOT, timeout=SOON_S
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_core_dumps_are_off_and_keys_have_pages_of_their_own_that_are_locked() -> None:
    size, dirty, keys_locked, _, dumps_off, any_locked, dumpable = probe()
    assert (size, dirty, dumps_off, dumpable) == ("12288", "False", "True", "0")
    assert keys_locked == any_locked
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] >= 1 << 16:
        assert keys_locked == "True"


def test_where_nothing_may_be_locked_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = "import respram.server.guard as g; g.may_lock_all = lambda: False"
    assert probe(limit)[3] == "False"
    monkeypatch.setattr(resource, "getrlimit", lambda what: (8 << 20, 8 << 20))
    for capabilities, allowed in (
        ("000001ffffffffff", True),
        (f"{1 << 14:016x}", True),
        (f"{~(1 << 14) & 0xFFFF:016x}", False),
    ):
        monkeypatch.setattr(Path, "read_text", lambda path, said=capabilities: f"Name:\tx\nCapEff:\t{said}\n")
        assert may_lock_all() is allowed
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert may_lock_all()


# -- the whole process ------------------------------------------------------------------------------
TAIL = os.urandom(12).hex().encode()
APP = "ACL SETUSER app on nopass ~k* +@all"
HARDENED = {
    "bare": (), "patterns": (APP, "AUTH app x"), "tracking": ("HELLO 3", "CLIENT TRACKING on"),
    "both": (APP, "HELLO 3 AUTH app x", "CLIENT TRACKING on BCAST"),
}  # fmt: skip


def hardened(node: LiveNode, words: tuple[str, ...]) -> Wire:
    """A client that has sent these lines and has got their replies."""
    wire = node.connect()
    for line in words:
        wire.sock.sendall(request(*line.encode().split()))
    until(wire, request(b"ECHO", b"ready"), b"ready")
    return wire


def found_in(pid: int, mark: bytes) -> bool:
    """Whether the mark lies anywhere in what the process can write."""
    return next(places_of(pid, mark), None) is not None


def places_of(pid: int, mark: bytes) -> Iterator[int]:
    """The addresses of what the process can write at which the mark lies."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            area, mode = line.split()[:2]
            if not mode.startswith("rw"):
                continue
            start, end = (int(number, 16) for number in area.split("-"))
            for at in range(start, end, 1 << 20):
                try:
                    memory.seek(at)
                    piece = memory.read(min((1 << 20) + len(mark) - 1, end - at))
                except OSError:  # pages that are there in name only
                    continue
                found = piece.find(mark)
                while found >= 0:
                    yield at + found
                    found = piece.find(mark, found + 1)


def until(wire: Wire, sent: bytes, end: bytes) -> bytes:
    wire.sock.sendall(sent)
    got = b""
    while end not in got:
        piece = wire.sock.recv(1 << 16)
        assert piece, "closed"
        got += piece
    return got


@pytest.mark.skipif(os.geteuid() != 0 or PURE_ONLY,
                    reason="only root may look into a process without dumps; native only")
@pytest.mark.parametrize(
    ("sealed", "words"),
    [
        ("yes", HARDENED["bare"]), ("no", HARDENED["bare"]), ("yes", HARDENED["patterns"]),
        ("yes", HARDENED["tracking"]), ("yes", HARDENED["both"]),
    ],
    ids=["sealed", "plain", "patterns", "tracking", "both"],
)  # fmt: skip
def test_no_value_lies_in_the_memory_of_a_serving_node(sealed: str, words: tuple[str, ...]) -> None:
    """Nor where a user has key patterns, or caches what it reads: what is recommended must not cost the wiping."""
    mark = b"MARK-%b-" % TAIL
    value = mark * 20
    with running("--seal-memory", sealed, engine="native") as node:
        wire = hardened(node, words)
        for number in range(50):
            until(wire, request(b"SET", b"k%d" % number, value, b"EX", b"100"), b"+OK\r\n")
        assert mark in until(wire, request(b"GET", b"k7"), value)
        time.sleep(0.05)  # the reply is wiped behind its sending, and here it has come already
        assert found_in(node.process.pid, mark) is (sealed == "no")
        assert f"event=memory sealed={sealed}" in node.log()


LIFE_MS = 2_000
READ = b"return redis.call('get', KEYS[1])"


@pytest.mark.skipif(os.geteuid() != 0 or PURE_ONLY,
                    reason="only root may look into a process without dumps; native only")
@pytest.mark.parametrize("sealed", ["yes", "no"])
@pytest.mark.parametrize("words", HARDENED.values(), ids=HARDENED)
def test_no_copy_of_a_value_is_left_after_its_deadline(sealed: str, words: tuple[str, ...]) -> None:
    """Written and read by every fast way there is, through the rights that SECURITY.md recommends. Without sealing
    nothing but the wiping is between the memory and the value.
    """
    mark = b"MARK-%b-%b-" % (TAIL[:-4], os.urandom(4).hex().encode())
    value = mark * 20
    with running("--seal-memory", sealed, engine="native") as node:
        wire = hardened(node, words)
        # The first run of a script compiles it, in Python; those that follow are the engine's.
        until(wire, request(b"SET", b"kw", b"another") + request(b"EVAL", READ, b"1", b"kw"), b"another")
        life = b"%d" % LIFE_MS
        for number in range(20):
            key = b"k%d" % number
            until(wire, request(b"SET", key, value, b"PX", life), b"+OK\r\n")
            until(wire, request(b"HSETEX", b"kh", b"PX", life, b"FIELDS", b"1", key, value), b":1\r\n")
            many = request(b"MULTI") + request(b"SET", b"km", value, b"PX", life) + request(b"GET", b"km")
            assert mark in until(wire, many + request(b"EXEC"), value)
        for asked in (
            [b"GET", b"k7"], [b"MGET", b"k7", b"k8"], [b"HGET", b"kh", b"k7"], [b"HMGET", b"kh", b"k7", b"k8"],
            [b"HGETALL", b"kh"], [b"GETRANGE", b"k7", b"0", b"-1"], [b"EVAL", READ, b"1", b"k7"],
        ):  # fmt: skip
            assert mark in until(wire, request(*asked), value)
        until(wire, request(b"ECHO", b"a-reply-behind-the-values"), b"a-reply-behind-the-values")
        if sealed == "no":
            assert found_in(node.process.pid, mark), "as long as it lives"
        time.sleep(LIFE_MS / 1000)
        until(wire, request(b"EXISTS", *(b"k%d" % number for number in range(20)), b"kh", b"km"), b":0\r\n")
        time.sleep(0.1)  # a record is destroyed within 8 ms of its deadline, and the timer may be late
        assert not found_in(node.process.pid, mark)


RECORDS_MAX = 50  # requests until OpenSSL has taken the same buffer again
TLS_ROOM_BYTES = 17 << 10  # a record of TLS, 16 KiB at most, with what is around it
TLS_BUFFERS_MAX = 4  # one in most runs, two in some; the values of this test take 60 records


@pytest.mark.skipif(os.geteuid() != 0 or PURE_ONLY,
                    reason="only root may look into a process without dumps; native only")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_behind_tls_a_few_records_that_came_are_all_that_is_left_of_a_value(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    """OpenSSL decrypts each record where it was read to, and frees that buffer without wiping it. It mostly gets the
    same one for the next record. Replies are encrypted where they were copied to, so nothing is left of them.
    """
    port = reserve()
    certificate(tmp_path, "server", certificate(tmp_path, "ca"))
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    context.minimum_version = context.maximum_version = version
    mark = b"MARK-%b-%b-" % (TAIL[:-4], os.urandom(4).hex().encode())
    value = mark * 2_000
    with running(*options(tmp_path, port), engine="native") as node:
        wire = Secure(node, port, tmp_path).connect(context=context)
        for number in range(20):
            until(wire, request(b"SET", b"k%d" % number, value, b"PX", b"%d" % LIFE_MS), b"+OK\r\n")
        whole = request(b"SET", b"k7", value, b"PX", b"%d" % LIFE_MS)
        half = len(whole) // 2
        wire.sock.sendall(whole[:half])
        end = time.monotonic() + SOON_S
        while not found_in(node.process.pid, mark):
            assert time.monotonic() < end, "half of a request is kept as it came: the scan finds what is there"
        until(wire, whole[half:], b"+OK\r\n")
        for asked in ([b"GET", b"k7"], [b"MGET", b"k7", b"k8"], [b"GETRANGE", b"k7", b"0", b"-1"]):
            until(wire, request(*asked), value)
        time.sleep(LIFE_MS / 1000)
        until(wire, request(b"EXISTS", *(b"k%d" % number for number in range(20))), b":0\r\n")
        time.sleep(0.1)
        assert buffers_of(list(places_of(node.process.pid, mark))) <= TLS_BUFFERS_MAX
        for _ in range(RECORDS_MAX):
            until(wire, request(b"ECHO", b"x" * (64 << 10)), b"x" * (64 << 10))
            left = list(places_of(node.process.pid, mark))
            if len(left) * len(mark) < TLS_ROOM_BYTES // 4:
                break
        else:
            assert buffers_of(left) == 1, "the next records have overwritten all but a part of one"


def buffers_of(places: list[int]) -> int:
    """How many buffers of one record it takes to hold them all."""
    count, end = 0, 0
    for place in sorted(places):
        if place >= end:
            count, end = count + 1, place + TLS_ROOM_BYTES
    return count
