"""Requests that no client would write: absurd lengths, endless lines, noise, huge batches, line breaks."""

import random
import threading

import pytest

from respram.config.limits import Limits
from tests.abuse.rig import endure, try_to
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode

LIMITS = Limits()
BAD_COUNT = b"-ERR Protocol error: invalid multibulk length\r\n"
BAD_LENGTH = b"-ERR Protocol error: invalid bulk length\r\n"
SEED = 7


@pytest.mark.parametrize(
    ("announced", "answer"),
    [
        (b"*2147483647\r\n", BAD_COUNT),
        (b"*99999999999999999999999\r\n", BAD_COUNT),
        (b"*1\r\n$-5\r\n", BAD_LENGTH),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10737418240\r\n", BAD_LENGTH),  # 10 GB
        (b"*1\r\n$9223372036854775808\r\n", BAD_LENGTH),
    ],
    ids=["args", "many-args", "negative", "10gb", "over-64-bits"],
)
def test_an_absurd_length_is_answered_and_closed(node: LiveNode, announced: bytes, answer: bytes) -> None:
    def attack() -> None:
        for _ in range(100):
            wire = node.connect()
            wire.sock.sendall(announced)
            assert wire.rest() == answer
            wire.close()

    endure(node, attack)


def test_a_negative_count_is_no_command(node: LiveNode) -> None:
    """As in Redis: `*-1` and `*0` are skipped."""
    def attack() -> None:
        wire = node.connect()
        for _ in range(100):
            wire.sock.sendall(b"*-1\r\n*0\r\n*-2147483648\r\n" * 1000)
        assert wire.ask(b"PING\r\n", 7) == b"+PONG\r\n"
        wire.close()

    endure(node, attack)


def test_what_is_announced_and_not_sent_takes_no_memory(node: LiveNode) -> None:
    """200 times the largest value allowed, of which 16 KiB come: 12.5 GiB promised, 3 MiB sent."""
    def attack() -> None:
        wires = [node.connect() for _ in range(200)]
        head = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % LIMITS.bulk_bytes_max
        for wire in wires:
            wire.sock.sendall(head + b"x" * 16_384)
        for wire in wires:
            wire.sock.sendall(b"*%d\r\n" % LIMITS.args_max)
        assert wires[0].sock.getpeername()
        for wire in wires:
            wire.close()

    seen = endure(node, attack)
    assert seen.grown_bytes < 64 << 20


def test_the_most_arguments_announced_a_hundred_times_take_no_memory(node: LiveNode) -> None:
    def attack() -> None:
        wires = [node.connect() for _ in range(100)]
        for wire in wires:
            wire.sock.sendall(b"*%d\r\n$4\r\nMGET\r\n" % LIMITS.args_max)
        for wire in wires:
            wire.close()

    endure(node, attack)


def test_an_endless_inline_line_is_cut_off(node: LiveNode) -> None:
    def attack() -> None:
        for _ in range(20):
            wire = node.connect()
            for _ in range(1000):
                if not try_to(wire, b"a" * 65_536):
                    break
            else:
                raise AssertionError("62 MiB of one line were taken")
            wire.close()

    endure(node, attack)


def test_garbage_on_two_hundred_connections(node: LiveNode) -> None:
    noise = random.Random(SEED)
    def attack() -> None:
        wires = [node.connect() for _ in range(200)]
        for _ in range(5):
            for wire in wires:
                try_to(wire, noise.randbytes(4096))
        for wire in wires:
            wire.close()

    endure(node, attack)
    wire = node.connect()
    assert wire.ask(b"PING\r\n", 7) == b"+PONG\r\n"
    wire.close()


@pytest.mark.parametrize("thousands", [250, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_million_commands_in_multi_are_refused_at_the_limit(node: LiveNode, thousands: int) -> None:
    """EXEC cannot be interrupted, so what it may hold is what the others can wait for."""

    def attack() -> None:
        wire = node.connect()
        wire.ask(b"MULTI\r\n", 5)
        told = threading.Thread(target=drain, args=(wire.sock, b"-EXECABORT"))
        told.start()
        command = request(b"SET", b"k", b"v", b"EX", b"60")
        for _ in range(thousands):
            wire.sock.sendall(command * 1000)
        wire.sock.sendall(b"EXEC\r\n")
        told.join(SOON_S)
        assert not told.is_alive()
        wire.close()

    endure(node, attack)


def test_the_largest_transaction_allowed_holds_nobody_up(node: LiveNode) -> None:
    def attack() -> None:
        wire = node.connect()
        plain = request(b"SET", b"k", b"v", b"EX", b"60")
        wire.ask(plain, 5)
        kinds = [(LIMITS.multi_commands_max, request(b"EXPIRE", b"k", b"60"), b":1\r\n")]
        if "engine=native" in node.log():  # the pure engine takes 4 us for each
            kinds.append((LIMITS.multi_keys_max, plain, b"+OK\r\n"))
        for count, command, reply in kinds:
            for _ in range(3):
                wire.ask(b"MULTI\r\n", 5)
                assert wire.ask(command * count, 9 * count) == b"+QUEUED\r\n" * count
                answer = b"*%d\r\n" % count + reply * count
                assert wire.ask(b"EXEC\r\n", len(answer)) == answer
        wire.close()

    endure(node, attack)


DEAR = (
    b"COMMAND DOCS", b"INFO everything", b"MEMORY STATS", b"SLOWLOG GET -1", b"CONFIG GET *", b"SINTERCARD 2 s s",
    b"ZUNIONSTORE d 2 z z2", b"BF.MADD f a b c d e f g h i j",
)  # fmt: skip


def test_the_dearest_transactions_hold_nobody_up(node: LiveNode) -> None:
    """Of each kind as many as one MULTI takes were up to 550 ms in one piece."""
    wire = node.connect()
    for number in range(2):
        names = [b"%d-%d" % (number, member) for member in range(2_000)]
        assert wire.ask(request(b"SADD", b"s", *names), 7) == b":2000\r\n"
        pairs = [part for name in names for part in (b"1", name)]
        assert wire.ask(request(b"ZADD", b"z%d" % number if number else b"z", *pairs), 7) == b":2000\r\n"

    is_pure = "engine=pure" in node.log()  # it takes 15 us for a member that is stored

    def attack() -> None:
        for line in DEAR:
            if is_pure and line.startswith(b"ZUNIONSTORE"):
                continue
            count = min(LIMITS.multi_commands_max, LIMITS.multi_args_max // len(line.split()))
            for _ in range(3):
                batch = request(b"MULTI") + request(*line.split()) * count + request(b"EXEC")
                told = threading.Thread(target=drain, args=(wire.sock, b"the end of it\r\n"))
                told.start()
                wire.sock.sendall(batch + request(b"ECHO", b"the end of it"))
                told.join(SOON_S)
                assert not told.is_alive()

    endure(node, attack)


def test_ten_thousand_keys_in_one_mget(node: LiveNode) -> None:
    def attack() -> None:
        wire = node.connect()
        batch = request(b"MGET", *(b"key:%d" % number for number in range(10_000)))
        answer = b"*10000\r\n" + b"$-1\r\n" * 10_000
        for _ in range(50):
            assert wire.ask(batch, len(answer)) == answer
        wire.close()

    endure(node, attack)


def test_a_line_break_forges_neither_a_reply_nor_a_log_line(node: LiveNode) -> None:
    forged = b"x\r\n+FORGED\r\n2026-01-01 00:00:00,000 INFO event=forged"
    attempts = (
        (forged,), (b"CLIENT", forged), (b"CLIENT", b"SETNAME", forged), (b"CLIENT", b"SETINFO", b"LIB-NAME", forged),
        (b"CONFIG", b"SET", forged, b"1"), (b"CONFIG", b"SET", b"maxmemory", forged),
        (b"HELLO", b"3", b"SETNAME", forged),
        (b"HELLO", b"3", forged), (b"CLIENT", b"KILL", b"TYPE", forged), (b"GET", b"k", forged), (b"DEL", forged),
        (b"SET", b"k", b"v", forged), (b"COMMAND", b"GETKEYS", forged), (b"INFO", forged), (b"SLOWLOG", forged),
    )  # fmt: skip
    def attack() -> None:
        for _ in range(50):
            wire = node.connect()
            for words in attempts:
                wire.sock.sendall(request(*words) + b"PING\r\n")
            answer = b""
            while answer.count(b"+PONG\r\n") < len(attempts):
                answer += wire.sock.recv(65_536)
            wire.close()
        lines = [line for line in answer.split(b"\r\n") if line.startswith(b"+")]
        assert set(lines) == {b"+PONG"}, lines

    endure(node, attack)
    assert not any(
        line.startswith("2026-01-01") or "event=forged" in line.split(" ")[:4] for line in node.log().splitlines()
    )


def drain(sock: object, until: bytes) -> None:
    tail = b""
    while until not in tail:
        piece = sock.recv(1 << 16)  # type: ignore[attr-defined]
        if not piece:
            return
        tail = tail[-64:] + piece
