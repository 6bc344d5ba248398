"""The oracle on real servers: it finds nothing between two Redis, every fault of a faulty server, and nothing in
respram.

Here the streams are few, so that it takes seconds; `make oracle` plays many.
"""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compat.oracle import __main__ as command_line
from compat.oracle import transcript
from compat.oracle.compare import Tally
from compat.oracle.contest import Row, contend, hold
from compat.oracle.families import FAMILIES, SEVERAL, stream_of
from compat.oracle.servers import Place, ServerError, redis_server, respram_node
from compat.oracle.shrink import shrink
from compat.oracle.stream import Raw, Send, Sleep, Step, Stream, command_count, show_step
from compat.oracle.transcript import CLOSED, NOTHING, Transcript, play, watching
from tests import dear
from tests.engine.conftest import NAMES
from tests.live import SOON_S

SEED = 20_240_607
COMMANDS = 95  # of each family: three streams or four
SECONDS = 300.0  # never reached: the commands are counted


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


@contextmanager
def faulty(behind: Place, spoil: Callable[[bytes], bytes]) -> Iterator[Place]:
    """A Redis whose replies go through `spoil` on their way."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stopped = threading.Event()

    def carry(source: socket.socket, target: socket.socket, change: Callable[[bytes], bytes]) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(change(data))
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def serve() -> None:
        threads, sockets = [], []
        while not stopped.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            server = socket.create_connection((behind.host, behind.port))
            sockets += [client, server]
            for pair in ((client, server, bytes), (server, client, spoil)):
                thread = threading.Thread(target=carry, args=pair)
                thread.start()
                threads.append(thread)
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in threads:
            thread.join(SOON_S)
        for one in sockets:
            one.close()

    server_thread = threading.Thread(target=serve)
    server_thread.start()
    try:
        yield Place("a faulty redis", "127.0.0.1", listener.getsockname()[1], is_redis=True)
    finally:
        stopped.set()
        server_thread.join(SOON_S)
        listener.close()


def told(rows: list[Row]) -> str:
    return "\n" + command_line.report(rows, SEED, 0)


def test_two_redis_differ_in_nothing(redis: Place) -> None:
    mirrored = [name for name, family in FAMILIES.items() if family.mirrored]
    with redis_server(name="redis again") as again:
        rows = hold(redis, again, SEED, 60 * len(mirrored), mirrored, SECONDS)
    assert [row.family for row in rows if row.tally.differences] == [], told(rows)
    assert all(row.streams >= 2 and row.tally.compared > row.commands for row in rows)


@pytest.mark.parametrize("commands", dear.first(1, [COMMANDS // 3, COMMANDS]))
def test_respram_differs_from_redis_by_design_only(redis: Place, respram: Place, commands: int) -> None:
    rows = hold(redis, respram, SEED, commands * len(FAMILIES), list(FAMILIES), 2 * SECONDS)
    assert [row.family for row in rows if row.tally.differences] == [], told(rows)
    assert len(rows) == len(FAMILIES) and all(row.tally.compared > 0 for row in rows)
    # Were no rule needed, this would not be respram; were most replies let pass by rules, nothing would be compared.
    assert sum(row.tally.by_rule["default-ttl"] for row in rows) > 0
    assert sum(row.tally.equal for row in rows) > 0.8 * sum(row.tally.compared for row in rows)


FAULTS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("strings-set", lambda data: data.replace(b"-ERR syntax error", b"-ERR Syntax error")),
    ("strings-get", lambda data: data.replace(b"$-1\r\n", b"*-1\r\n")),
    ("counters", lambda data: data.replace(b"-ERR value is not a valid float", b"-ERR value is not a valid floa7")),
    ("scan", lambda data: data.replace(b"$5\r\nhello", b"$5\r\nhullo")),
    ("pubsub", lambda data: data.replace(b"unsubscribe\r\n", b"unsubscrybe\r\n")),
    ("arity", lambda data: data.replace(b"wrong number of arguments", b"wrong number of argumentz")),
)


@pytest.mark.parametrize(("family", "spoil"), dear.first(3, FAULTS), ids=[family for family, _ in FAULTS])
def test_a_single_wrong_byte_is_found_and_shrunk_to_what_shows_it(
    redis: Place, family: str, spoil: Callable[[bytes], bytes]
) -> None:
    with faulty(redis, spoil) as other, redis_server() as reference:
        rows = hold(reference, other, SEED, 150, [family], SECONDS)
    row = rows[0]
    assert row.tally.differences and row.tally.percent < 100
    assert row.replay is not None
    assert command_count(row.replay.stream) <= 4, told(rows)
    assert row.replay.difference.expected != row.replay.difference.got
    assert f"{family} stream" in told(rows) and "expected" in told(rows)


def test_a_reply_that_never_comes_and_a_connection_that_ends_are_heard(
    redis: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "REPLY_S", 3.0)
    steps = (Send(0, (b"ECHO", b"here")), Send(0, (b"ECHO", b"lost")), Send(0, (b"ECHO", b"here")), Send(1, (b"QUIT",)))
    stream = Stream("connection", 0, 2, steps)
    with faulty(redis, lambda data: data.replace(b"$4\r\nlost\r\n", b"")) as other, watching(other) as server:
        heard = play(server, stream, "whole", 0).heard
    assert [one.frame for one in heard] == [b"$4\r\nhere\r\n", NOTHING, b"$4\r\nhere\r\n", b"+OK\r\n", CLOSED]


def test_replies_that_only_one_way_of_sending_spoils_are_found(redis: Place) -> None:
    """Two replies in one packet are told apart from one: this server swaps two errors that come together."""
    steps = (Send(0, (b"GET",)), Send(0, (b"NOSUCH",)), Send(0, (b"GET",)))
    wrong = b"-ERR wrong number of arguments for 'get' command\r\n"
    unknown = b"-ERR unknown command 'NOSUCH', with args beginning with: \r\n"
    tally = Tally()
    with (
        faulty(redis, lambda data: data.replace(wrong + unknown, unknown + wrong)) as other,
        watching(redis) as left,
        watching(other) as right,
    ):
        contend(left, right, Stream("connection", 0, 2, steps), tally)
    # (Split, the pieces may come together all the same.)
    ways = {one.way for one in tally.differences}
    assert "glued" in ways and "whole" not in ways


def test_a_stream_follows_from_its_seed_and_is_never_empty() -> None:
    for family in FAMILIES:
        for number in range(4):
            stream = stream_of(family, SEED, number)
            assert stream == stream_of(family, SEED, number)
            assert stream.steps != stream_of(family, SEED + 1, number).steps
            assert command_count(stream) >= 10, family
        assert {stream_of(family, SEED, number).proto for number in range(2)} == {2, 3}


def test_shrinking_keeps_what_fails_and_drops_the_rest() -> None:
    steps: tuple[Step, ...] = tuple(Send(0, (b"%d" % number,)) for number in range(100))
    both = {steps[17], steps[83]}
    small = shrink(Stream("scan", 0, 2, steps), lambda candidate: both <= set(candidate.steps))
    assert set(small.steps) == both
    assert shrink(small, lambda candidate: False) == small


def test_deletes_are_drawn_for_nobody_but_the_refusals_and_who_may_let_go() -> None:
    """Else Redis would lose a key that respram keeps, and everything behind would differ."""
    deletes = {b"del", b"unlink", b"getdel", b"flushall", b"flushdb", b"persist", b"rename", b"renamenx", b"move",
               b"swapdb", b"restore"}
    seen = 0
    for family, entry in FAMILIES.items():
        # in `arity` they have the wrong number of arguments
        if entry.mirrored and family not in ("arity", "letting-go", "hashes", "sets"):
            for number in range(30):
                for step in stream_of(family, SEED, number).steps:
                    if isinstance(step, Send):
                        name = step.argv[0]
                        assert isinstance(name, bytes) and name.lower() not in deletes, show_step(step)
                        seen += 1
    assert seen > 5000


def test_the_command_line_says_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command_line.main(["--families", "nosuch"]) == 2
    assert "no family 'nosuch'" in capsys.readouterr().err
    assert command_line.main(["--redis", str(tmp_path / "none")]) == 2
    assert "install redis-server" in capsys.readouterr().err


def test_the_command_line_prints_a_row_per_family_and_writes_the_report(
    redis: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = tmp_path / "report.txt"
    assert (
        command_line.main(
            ["--itself", "--seed", "5", "--commands", "60", "--families", "bits,newer", "--report", str(report)]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert "seed 5" in shown and "not played" in shown
    assert [line.split()[-1] for line in shown.splitlines() if line.startswith("bits")] == ["100"]
    assert "bits" in report.read_text()
    with faulty(redis, lambda data: data.replace(b":0\r\n", b":00\r\n")) as other:
        address = f"{other.host}:{other.port}"
        # (A place given by address is taken for respram, which is cleaned without FLUSHALL: so is a Redis, by and by.)
        assert command_line.main(["--respram", address, "--seed", "5", "--commands", "30", "--families", "bits"]) == 1
    assert "got ':00\\r\\n'" in capsys.readouterr().out


def test_a_server_that_is_not_there_is_named() -> None:
    with (
        pytest.raises(ServerError, match=r"nobody at 127\.0\.0\.1:1"),
        watching(Place("nobody", "127.0.0.1", 1, is_redis=True)),
    ):
        pass


def test_a_transcript_tells_connections_apart(redis: Place) -> None:
    steps: tuple[Step, ...] = (
        Send(1, (b"SUBSCRIBE", b"c")),
        Send(0, (b"PUBLISH", b"c", b"m")),
        Sleep(1),
        Raw(0, b"PING\r\n"),
    )
    with watching(redis) as server:
        whole = play(server, Stream("pubsub", 0, 2, steps), "whole", 0)
        glued = play(server, Stream("pubsub", 0, 2, steps), "glued", 0, whole)
    assert [one.frame for one in whole.of(0)] == [b":1\r\n", b"+PONG\r\n"] == [one.frame for one in glued.of(0)]
    assert [(one.step, one.frame[-7:]) for one in whole.of(1)] == [(0, b"c\r\n:1\r\n"), (1, b"$1\r\nm\r\n")]
    assert Transcript(0).of(1) == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", NAMES)
def test_one_of_three_nodes_answers_as_one_alone(redis: Place, engine: str) -> None:
    with respram_node(engine, nodes=3) as one_of_three:
        rows = hold(redis, one_of_three, SEED, 60 * len(SEVERAL), SEVERAL, SECONDS)
    assert {row.family for row in rows} == set(SEVERAL) and all(row.streams for row in rows)
    assert not [(row.family, row.tally.differences[:3]) for row in rows if row.tally.differences]
