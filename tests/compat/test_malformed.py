"""Bytes that are no request, to a redis-server and to respram: the same answers, to the byte.

Each input goes over a connection of its own, whole or in pieces cut anywhere, and its end is the end of the connection:
what has been answered by then is compared. One difference is on purpose and left out: Redis takes a count of arguments
up to 2,147,483,647 and waits for them, respram refuses more than 1,048,576 at once.
"""

import contextlib
import os
import random
import shutil
import socket
from collections.abc import Iterator

import pytest

from compat.oracle.servers import Place, redis_server, respram_node
from tests.engine.conftest import NAMES
from tests.live import SOON_S

CASES = 600
GOOD = (
    b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n", b"ECHO 'a b'\r\n", b"\r\n", b"*0\r\n",
)  # fmt: skip
NUMBERS = (
    b"", b"-1", b"-0", b"+1", b"01", b" 1", b"1 ", b"0", b"00", b"1", b"2", b"1_0", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775808", b"2147483648", b"1048576", b"1e3", b"0x10", b"\xb2", b"1\t",
)  # fmt: skip
LONG = (65_530, 65_536, 65_537, 66_000, 70_000)  # around 64 KiB, at which a line that has no end is given up
WHOLE = (
    b"PING\0\r\n", b"PI\0NG\r\nPING\r\n", b"*1\0\r\n$4\r\nPING\r\n", b"*1\r\n\0\r\n", b"*1\r\n$4\0\r\nPING\r\n",
    b"'\0'\r\n",
    b"a" * 70_000, b"PING " + b"a" * 60_000 + b"\r\n", b"*" + b"1" * 70_000, b"*1\r\n$" + b"1" * 70_000,
    b"*1\r\n" + b"x" * 70_000,
    b"*" + b"1" * 65_000 + b"\r\n", b"*1\r\n$" + b"1" * 65_000 + b"\r\n", b"*1\r\n" + b"x" * 65_000 + b"\r\n",
    b"a\0" + b"b" * 70_000 + b"\r\n", b"*1\r\n\r\n", b"*1\r\n\n\r\n", b"*1\rX$4\rYPINGab", b"*1\r\n\xff\r\n",
    b"*1\r\n'\r\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def redis() -> Iterator[Place]:
    if shutil.which("redis-server") is None:
        if os.environ.get("RESPRAM_ALLOW_NO_REDIS"):
            pytest.skip("no redis-server on this machine, and RESPRAM_ALLOW_NO_REDIS allows that")
        pytest.fail("redis-server is missing: install it, or set RESPRAM_ALLOW_NO_REDIS=1")
    with redis_server() as place:
        yield place


@pytest.fixture(scope="module", params=NAMES)
def respram(request: pytest.FixtureRequest) -> Iterator[Place]:
    with respram_node(request.param) as place:
        yield place


def malformed(rng: random.Random) -> bytes:
    number, byte, good = rng.choice(NUMBERS), bytes([rng.randrange(256)]), rng.choice(GOOD)
    at = rng.randrange(len(good))
    match rng.randrange(14):
        case 0:
            return b"*" + number + b"\r\n"
        case 1:
            return b"*1\r\n$" + number + b"\r\n"
        case 2:
            return b"*2\r\n$4\r\nECHO\r\n" + byte + number + b"\r\n"
        case 3:
            return rng.randbytes(rng.randrange(30))
        case 4:
            words = bytes(rng.choice(b"ab '\"\\x0\t\v\f1") for _ in range(rng.randrange(20)))
            return b"ECHO " + words + rng.choice([b"\r\n", b"\n", b"\r\r\n"])
        case 5:
            return b"*1\r" + byte + b"$4\r" + byte + b"PING" + rng.randbytes(2)
        case 6:
            return good[:at] + byte + good[at + 1 :]
        case 7:
            return good[:at] + byte + good[at:]
        case 8:
            return good[:at] + good[at + 1 :]
        case 9:
            return rng.choice([b"*", b"*1\r\n$", b"*1\r\n", b"", b"PING "]) + b"1" * rng.choice(LONG)
        case 10:
            return rng.choice([b"*", b"*1\r\n$", b"*1\r\n", b"PING "]) + b"1" * rng.choice([65_000, 65_529]) + b"\r\n"
        case 11:
            return b'ECHO "\\x' + bytes(rng.choice(b'0123456789abcdefgG"\\') for _ in range(4)) + b'"\r\n'
        case 12:
            return b"%" + number + b"\r\n" + good
        case _:
            return b"*" + number + b"\r\n$" + rng.choice([b"4", b"3", b"5"]) + b"\r\nPING\r\n"


def drawn(seed: int) -> list[bytes]:
    """Something malformed among good requests, whole or in pieces."""
    rng = random.Random(seed)
    data = b"".join(rng.choice(GOOD) for _ in range(rng.randrange(3)))
    for _ in range(rng.randrange(1, 4)):
        data += malformed(rng)
        if b"1" * LONG[0] in data:
            break  # whether what follows ends that line in time, the network decides
        data += rng.choice([b"", rng.choice(GOOD)])
    if rng.random() < 0.5:
        return [data]
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def answered(place: Place, pieces: list[bytes]) -> bytes:
    reply = b""
    with socket.create_connection((place.host, place.port), SOON_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):  # closed because of what came before; the system may then reset it
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(1 << 16):
                reply += data
    return reply


def test_what_is_malformed_is_answered_as_redis_answers_it(redis: Place, respram: Place) -> None:
    inputs = [[one] for one in WHOLE] + [drawn(seed) for seed in range(CASES)]
    texts: set[bytes] = set()
    for pieces in inputs:
        expected = answered(redis, pieces)
        assert answered(respram, pieces) == expected, (b"".join(pieces)[:200], [len(piece) for piece in pieces])
        texts.update(line[22:45] for line in expected.split(b"\r\n") if line.startswith(b"-ERR Protocol error: "))
    assert len({text.split(b"'")[0] for text in texts}) == 7, texts  # each of Redis's texts for who is trusted
