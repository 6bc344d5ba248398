"""The client of transactions: what it sends, and that it neither stops early nor takes an error for an answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.command_rows import BOWL, GET, KEYS, LIMIT, SET, SINGLES, TRANSACTIONS, refills, setup
from benchmarks.commands import REQUESTS, Client, encoded, filled_in, is_whole, page, transaction
from benchmarks.servers import KINDS, BenchError
from benchmarks.turns import Turn as Row
from respram.catalog import COMMANDS
from tests.commands.rig import Rig
from tests.engine.conftest import ENGINES

ANSWER = b"+OK\r\n" + b"+QUEUED\r\n" * 3 + b"*3\r\n:1\r\n$5\r\na\r\nbc\r\n$-1\r\n"


def test_a_transaction_holds_so_many_commands_of_different_keys() -> None:
    data = transaction((SET,), 10, first=7)
    assert data.startswith(b"*1\r\n$5\r\nMULTI\r\n*5\r\n$3\r\nSET\r\n$16\r\nkey:000000000007\r\n$64\r\n")
    assert data.endswith(b"*1\r\n$4\r\nEXEC\r\n") and data.count(b"$3\r\nSET\r\n") == 10
    assert b"key:000000000016" in data
    both = transaction(LIMIT, 2, first=4)
    assert both.count(b"limit:000000000004") == 2 and b"INCR" in both and b"EXPIRE" in both
    assert transaction((GET,), 1, first=99_999).count(b"key:000000099999") == 1


def test_an_answer_is_whole_at_its_last_byte_and_not_before() -> None:
    at = ANSWER.index(b"*3\r\n") + 4
    for size in range(at, len(ANSWER)):
        assert not is_whole(bytearray(ANSWER[:size]), at, 3), size
    assert is_whole(bytearray(ANSWER), at, 3)


@contextmanager
def answering(data: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(1 << 16)
                for byte in data:
                    sock.sendall(bytes([byte]))

        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    "wrong",
    [b"-ERR\r\n" + ANSWER[5:], ANSWER.replace(b":1", b"-NO"), ANSWER[5:-6], ANSWER.replace(b"+QUEUED\r\n", b"", 1)],
)
def test_what_is_no_answer_is_no_result(wrong: bytes) -> None:
    with answering(wrong) as port, Client(port) as client, pytest.raises(BenchError):
        client.run(b"x", 3)


def test_an_answer_in_single_bytes_is_one() -> None:
    with answering(ANSWER) as port, Client(port) as client:
        client.run(b"x", 3)


def test_the_page_has_a_ratio_where_there_are_turns_enough() -> None:
    turns = [Row("EXPIRE, P=1", name, cost) for _ in range(3) for name, cost in (("redis", 2.0), ("native", 1.0))]
    assert "| EXPIRE, P=1 | 2.00 ±0% | 1.00 ±0% | **0.50** (0.50-0.50) | 0.95 |" in page(
        {}, turns, [KINDS["redis"], KINDS["native"]], {"EXPIRE, P=1": 0.95}
    )


def test_a_watched_key_stands_before_the_transaction() -> None:
    assert transaction((SET,), 1, 3, b"absent:%012d").startswith(encoded(b"WATCH", b"absent:000000000003"))
    assert filled_in((b"WATCH", b"few:hash"), 9) == (b"WATCH", b"few:hash")


def test_every_row_has_a_title_of_its_own_and_is_a_command_that_redis_has() -> None:
    titles = [row.title for row in SINGLES] + [row.title for row in TRANSACTIONS]
    assert len(titles) == len(set(titles))
    for row in SINGLES:
        argv = row.instead or row.argv
        command = COMMANDS[argv[0].lower().encode()]
        assert command.takes(len(argv)), row.title
        assert int(command.since.split(b".")[0]) <= 7, row.title  # of Redis


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_no_row_is_answered_with_an_error(engine: str) -> None:
    """Otherwise a run would stop in the midst, after many minutes."""
    client = Rig(ENGINES[engine]).connect()
    for argv in setup(own=True):
        assert not client(*argv).startswith(b"-"), argv
    for row in SINGLES:
        client(b"SELECT", b"%d" % row.db)
        if row.refill:
            assert not client(*refills(row.refill)[0]).startswith(b"-"), row.title
        words = [word.replace("__rand_int__", "000000000007").encode() for word in row.argv]
        reply = client(*words)
        assert not reply.startswith(b"-"), row.title
        assert not row.refill or reply not in (b"$-1\r\n", b"*0\r\n", b"*-1\r\n", b":0\r\n"), row.title


def test_a_refill_is_as_much_as_a_turn_may_take() -> None:
    for row in SINGLES:
        if row.refill and row.refill != "gone":
            assert max(REQUESTS.values()) // row.divisor <= BOWL, row.title
            assert sum(len(argv) for argv in refills(row.refill)) >= BOWL
    assert sum(len(argv) // 2 for argv in refills("gone")) == KEYS
