"""The orderly stop, in real processes: nothing that was acknowledged is lost, whatever else goes on."""

import asyncio
import contextlib
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from respram.config.options import Address
from respram.config.settings import Config
from respram.engine.api import Engine
from respram.record import HASH
from respram.server import clock, stopping
from respram.server.app import App
from tests import timing
from tests.engine.conftest import ENGINES
from tests.engine.rig import SETTINGS, request
from tests.engine.test_families_model import everything
from tests.live import SOON_S, LiveNode, Wire, start
from tests.peers.enclave import Member, enclave, until, until_ready
from tests.ports import reserve
from tests.secrets import secret_of
from tests.timing import in_time
from tests.trials import stops

STOP_S = 6.0  # it promises 5
TRIES_MAX = 5
MEMBERS = 2_000  # more than what is done at once
QUICK_S = 3.0  # where nothing has to be waited for to its bound


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_lone_node_with_snapshots_loses_nothing_that_it_acknowledged(engine: str, tmp_path: Path) -> None:
    count = asyncio.run(stops.alone(3, 9_000, 7, engine, tmp_path))
    assert count.stops == 3 and count.writes >= 9_000
    assert (not count.unclean and not count.lost) or count.left, f"{count} {count.examples}"
    assert not timing.JUDGED or (not count.left and count.slowest_s < STOP_S), "not within the time of a stop"


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_node_with_peers_leaves_nothing_that_it_acknowledged_behind(engine: str) -> None:
    count = asyncio.run(stops.among_peers(3, 9_000, 7, engine))
    assert count.stops == 3 and count.writes >= 9_000
    assert (not count.unclean and not count.lost) or count.left, f"{count} {count.examples}"
    assert not timing.JUDGED or (not count.left and count.slowest_s < STOP_S), "not within the time of a stop"


def ended(node: LiveNode, seconds: float = SOON_S) -> int:
    """Its exit code. (Unlike `stop` this leaves the connections as they are.)"""
    return node.process.wait(seconds)


@contextlib.contextmanager
def lone(*words: str, folder: Path | None = None) -> Iterator[LiveNode]:
    if folder is not None:
        key_file = folder / "snapshot.key"
        key_file.touch(0o600)
        key_file.write_text("k" * 43 + "\n")
        words = (*words, "--snapshot-dir", str(folder / "snapshots"), "--snapshot-key-file", str(key_file))
    node = start(*words, engine="auto", port=reserve())
    try:
        if folder is not None:
            asyncio.run(stops.until_loaded(node.port))
        yield node
    finally:
        node.stop()
        node.log_path.unlink(missing_ok=True)


def connected(node: LiveNode) -> Wire:
    wire = node.connect()
    assert wire.ask(request(b"PING"), 7) == b"+PONG\r\n"
    return wire


def test_a_transaction_that_is_open_is_not_run_and_the_node_does_not_wait_for_it() -> None:
    with lone() as node:
        wire = connected(node)
        assert wire.ask(request(b"MULTI") + request(b"SET", b"a", b"1"), 14) == b"+OK\r\n+QUEUED\r\n"
        began = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        assert wire.rest() == b"" and ended(node) == 0
        in_time(time.monotonic() - began, QUICK_S, "a stop with nothing to wait for")


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_batch_of_many_turns_is_answered_to_its_end(engine: str) -> None:
    node = start(engine=engine)
    try:
        wire = connected(node)
        node.process.send_signal(signal.SIGSTOP)
        wire.sock.sendall(b"PING\r\n" * 9_000)  # one read, and more commands than one turn runs
        node.process.send_signal(signal.SIGTERM)
        node.process.send_signal(signal.SIGCONT)
        assert wire.rest() == b"+PONG\r\n" * 9_000 and ended(node) == 0
    finally:
        node.stop()


def test_who_says_it_twice_gets_one_stop() -> None:
    with lone() as node:
        wire = connected(node)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ProcessLookupError):
                node.process.send_signal(number)
        assert wire.rest() == b"" and ended(node) == 0
        assert node.log().count("event=stopping ") == 1 and "event=bug" not in node.log()


def test_a_wait_that_nobody_can_answer_delays_the_stop_within_its_bound_and_what_is_behind_it_is_not_run(
    tmp_path: Path,
) -> None:
    with enclave(2, each=lambda number: ("--snapshot-dir", str(tmp_path / str(number)))) as members:
        until_ready(members)
        one, two = members
        assert one.node is not None
        two.freeze()
        wire = connected(one.node)
        wire.sock.sendall(
            request(b"SET", b"before", b"1") + request(b"WAIT", b"1", b"0") + request(b"SET", b"behind", b"1")
        )
        assert wire.take(5) == b"+OK\r\n"
        began = time.monotonic()
        one.node.process.send_signal(signal.SIGTERM)
        assert wire.rest() == b"", "neither WAIT nor what is behind it was answered"
        assert ended(one.node) == 0
        in_time(time.monotonic() - began, STOP_S, "a stop")
        assert "event=stopping_left what=writes peers=1" in one.log()
        two.thaw()
        until(lambda: seen(two, "before") == b"1", "what lay in the socket is lost")
        until(lambda: seen(two, "behind") is None, "what was not run is there")


def seen(member: Member, key: str) -> object:
    """It was stopped, and says LOADING until it is sure that nobody is there who knows more."""
    try:
        return member.client.get(key)
    except redis.exceptions.BusyLoadingError:
        return b"LOADING"


def test_a_wait_is_answered_when_the_peers_have_acknowledged() -> None:
    with enclave(2) as members:
        until_ready(members)
        one, two = members
        assert one.node is not None
        wire = connected(one.node)
        two.freeze()
        wire.sock.sendall(request(b"SET", b"a", b"1") + request(b"WAIT", b"1", b"0") + request(b"SET", b"b", b"2"))
        assert wire.take(5) == b"+OK\r\n"
        one.node.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)  # it has come to WAIT by then
        two.thaw()
        assert wire.rest() == b":1\r\n+OK\r\n" and ended(one.node) == 0
        assert two.client.mget("a", "b") == [b"1", b"2"], "what stood behind WAIT was acknowledged"


def test_what_a_pause_holds_back_is_neither_run_nor_waited_for() -> None:
    with lone() as node:
        wire, other = connected(node), connected(node)
        assert other.ask(request(b"CLIENT", b"PAUSE", b"60000", b"WRITE"), 5) == b"+OK\r\n"
        wire.sock.sendall(request(b"SET", b"a", b"1"))
        began = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        assert wire.rest() == b"" and ended(node) == 0
        in_time(time.monotonic() - began, QUICK_S, "a stop with nothing to wait for")


@pytest.mark.timing
def test_a_client_that_reads_late_gets_all_its_replies_and_then_the_end() -> None:
    assert any(read_late() for _ in range(TRIES_MAX)), "the machine stood still in each try"


def read_late() -> bool:
    """False where this machine was too slow for the time that the node has, and the node said so."""
    with lone() as node:
        wire = connected(node)
        wire.ask(request(b"SET", b"big", b"x" * 1_000_000), 5)
        wire.sock.sendall(request(b"GET", b"big") * 12)  # more than the sockets take between them
        until(lambda: b"qbuf=0" in _client_list(node), "the requests were not read")
        node.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        got = wire.rest()
        assert ended(node) == 0
        whole = len(got) == 12 * (1_000_000 + 12)
        assert whole or "event=stopping_left what=requests" in node.log()
        return whole


def _client_list(node: LiveNode) -> bytes:
    with contextlib.closing(node.connect()) as wire:
        return _reply(wire, request(b"CLIENT", b"LIST"))


def _reply(wire: Wire, data: bytes) -> bytes:
    """One bulk reply."""
    wire.sock.sendall(data)
    return wire.take(int(_line(wire)[1:]) + 2)


def _line(wire: Wire) -> bytes:
    got = b""
    while not got.endswith(b"\r\n"):
        got += wire.take(1)
    return got[:-2]


def test_more_than_one_read_can_take_is_answered_up_to_some_command_and_all_of_that_is_there(tmp_path: Path) -> None:
    with lone(folder=tmp_path) as node:
        wire = connected(node)
        node.process.send_signal(signal.SIGSTOP)
        wire.sock.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 100_000:
                wire.sock.sendall(request(b"SET", b"k%06d" % sent, b"v"))
                sent += 1
        wire.sock.settimeout(SOON_S)
        node.process.send_signal(signal.SIGTERM)
        node.process.send_signal(signal.SIGCONT)
        answered = wire.rest()
        assert ended(node) == 0 and answered == b"+OK\r\n" * (len(answered) // 5) and len(answered) >= 5_000
    with lone(folder=tmp_path) as node:
        wire = connected(node)
        wire.sock.sendall(request(b"DBSIZE"))
        assert int(_line(wire)[1:]) >= len(answered) // 5


def test_tls_clients_are_stopped_the_same_way(tmp_path: Path) -> None:
    certificate, key = tmp_path / "node.crt", tmp_path / "node.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-days", "2",
         "-subj", "/CN=localhost"], check=True, capture_output=True,
    )  # fmt: skip
    port = reserve()
    with lone(
        "--tls-port", str(port), "--tls-cert", str(certificate), "--tls-key", str(key), "--tls-auth-clients", "no"
    ) as node:
        context = ssl.create_default_context(cafile=str(certificate))
        context.check_hostname = False
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), SOON_S)) as sock:
            sock.sendall(request(b"PING"))
            assert sock.recv(64) == b"+PONG\r\n"
            node.process.send_signal(signal.SIGSTOP)
            sock.sendall(request(b"SET", b"k", b"v") + request(b"GET", b"k"))
            node.process.send_signal(signal.SIGTERM)
            node.process.send_signal(signal.SIGCONT)
            got = b""
            while piece := sock.recv(1 << 12):
                got += piece
            assert got == b"+OK\r\n$1\r\nv\r\n", "the end comes with TLS's own goodbye"
        assert ended(node) == 0 and "event=tls_failed" not in node.log()


def test_a_disk_that_takes_nothing_at_the_stop_is_said_and_the_earlier_snapshot_is_still_there(tmp_path: Path) -> None:
    with lone("--snapshot-interval", "1", folder=tmp_path) as node:
        wire = connected(node)
        wire.ask(request(b"SET", b"early", b"1", b"EX", b"900"), 5)
        until(
            lambda: b"snapshot_records:1" in _reply(wire, request(b"INFO", b"persistence")), "no snapshot was written"
        )
        _, hard = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (16_384, hard))
        wire.ask(request(b"SET", b"late", b"x" * 100_000, b"EX", b"900"), 5)
        node.process.send_signal(signal.SIGTERM)
        assert ended(node) == 1
        assert "WARNING event=snapshot_failed why=file_too_large" in node.log() and "event=stopped" in node.log()
    with lone(folder=tmp_path) as node:
        wire = connected(node)
        assert wire.ask(request(b"GET", b"early"), 7) == b"$1\r\n1\r\n"


def lengthened_behind_others(engine: Engine, now_ms: int) -> None:
    """EXPIRE was answered: members get their longer life a few at a time, here behind others that are wiped."""
    for key in (b"h", b"other"):
        engine.found(0, key, HASH, now_ms + 600_000, False, now_ms)
        for number in range(MEMBERS):
            engine.put_member(0, key, b"f%d" % number, b"v", None, now_ms)
    engine.let_go(0, b"other", now_ms, b"")
    engine.retime(0, b"h", now_ms + 900_000, False, now_ms, b"")


def spared_by_an_end_elsewhere(engine: Engine, now_ms: int) -> None:
    """A peer's mark was acknowledged: it clears all of the older collection, and what was put here is written again."""
    writer, end_ms = ENGINES["pure"](SETTINGS._replace(node=8)), now_ms - 10_000
    writer.track(7, end_ms - 1_000)
    writer.found(0, b"h", HASH, end_ms, False, end_ms - 1_000)
    writer.put_member(0, b"h", b"old", b"v", now_ms + 900_000, end_ms - 1_000)
    engine.merge(everything(writer, end_ms - 1_000), end_ms - 1_000)
    engine.let_go(0, b"h", end_ms - 999, b"")
    engine.found(0, b"h", HASH, now_ms + 900_000, False, end_ms - 995)
    for number in range(MEMBERS):
        engine.put_member(0, b"h", b"f%d" % number, b"v", None, end_ms - 995)
    while writer.expire(end_ms + 100, 1 << 12):
        pass
    engine.merge(everything(writer, end_ms + 100), end_ms + 100)


def at_a_copy(engine: Engine, now_ms: int) -> int:
    """How many members live to the end at whoever merges all that the engine holds: a snapshot, or a peer."""
    copy, late_ms = ENGINES["pure"](SETTINGS._replace(node=9)), clock.now_ms()  # it takes nothing from the future
    copy.merge(everything(engine, late_ms), late_ms)
    while copy.expire(late_ms, 1 << 12):
        pass
    found = copy.members(0, b"h", 0, MEMBERS, late_ms).members
    return sum(member.deadline_ms == now_ms + 900_000 for member in found)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("begin", [lengthened_behind_others, spared_by_an_end_elsewhere])
def test_a_stop_finishes_what_was_left_to_slices(begin: Callable[[Engine, int], None], name: str) -> None:
    engine, now_ms = ENGINES[name](SETTINGS), clock.now_ms()
    engine.track(7, now_ms)
    begin(engine, now_ms)

    async def finish(seconds: float) -> list[str]:
        lines: list[str] = []
        await stopping.finish(engine, asyncio.get_running_loop().time() + seconds, lines.append)
        return lines

    assert asyncio.run(finish(-1.0)) == ["event=stopping_left what=members"] and at_a_copy(engine, now_ms) < MEMBERS
    assert asyncio.run(finish(SOON_S)) == [] and at_a_copy(engine, now_ms) == MEMBERS


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("begin", [lengthened_behind_others, spared_by_an_end_elsewhere])
def test_slices_are_finished_before_the_last_drain_and_snapshot(
    begin: Callable[[Engine, int], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms, save, saved = clock.now_ms(), stopping.save, list[int]()

    async def main() -> None:
        config = Config(
            port=0, peer_port=reserve(), engine=name, seal_memory=False, join=(Address("127.0.0.1", reserve()),),
            cluster_secret=secret_of("slices"),
        )  # fmt: skip
        app = App(config, asyncio.get_running_loop())

        async def noted(*args: Any) -> bool:
            saved.append(at_a_copy(app.node.engine, now_ms))
            return await save(*args)

        monkeypatch.setattr(stopping, "FINISH_S", SOON_S)
        monkeypatch.setattr(stopping, "save", noted)
        begin(app.node.engine, now_ms)
        assert at_a_copy(app.node.engine, now_ms) < MEMBERS, "nothing is left to slices"
        await app.drain()

    asyncio.run(main())
    assert saved == [MEMBERS]


def test_a_node_that_is_stopped_while_it_joins_hands_over_what_it_acknowledged() -> None:
    with enclave(2) as members:
        until_ready(members)
        one, two = members
        for number in range(5):
            one.stop()
            _start_at_once(one)
            assert one.node is not None
            wire = one.node.connect()
            wire.sock.sendall(b"".join(request(b"SET", b"j%d:%d" % (number, at), b"v") for at in range(50)))
            time.sleep(0.01 * number)
            one.node.process.send_signal(signal.SIGTERM)
            acknowledged = wire.rest().split(b"\r\n").count(b"+OK")
            assert ended(one.node) == 0
            missing = [at for at in range(acknowledged) if two.client.get(f"j{number}:{at}") is None]
            assert not missing or "event=stopping_left" in one.log(), (number, acknowledged, missing, one.log())


def test_a_node_that_is_stopped_as_soon_as_it_can_be_reached_ends_in_order() -> None:
    """Its port is open a moment before it serves, and a signal that nobody has asked for yet would kill it."""
    for _ in range(6):
        port = reserve()
        words = [sys.executable, "-m", "respram", "serve", "--port", str(port), "--peer-port", "0", "--engine", "pure"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + SOON_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                process.send_signal(signal.SIGTERM)
                break
        assert process.wait(SOON_S) == 0


def _start_at_once(member: Member) -> None:
    """As `Member.start`, without waiting for more than a connection."""
    words = ["--peer-port", str(member.peer_port), "--join", member.join]
    member.node = start(*words, engine=member.engine, env={"RESPRAM_CLUSTER_SECRET": member.secret}, port=member.port)


def test_a_value_that_is_too_large_after_the_restart_costs_none_that_is_not(tmp_path: Path) -> None:
    """The frame of its segment was taken for corrupt, and all that stood behind it was lost."""
    with lone(folder=tmp_path) as node:
        with redis.Redis(port=node.port, socket_timeout=SOON_S) as client:
            client.set("large", b"v" * (9 << 20), ex=3600)
            for number in range(500):
                client.set(f"small:{number}", number, ex=3600)
        assert node.stop() == 0
    with lone("--proto-max-bulk-len", "1mb", folder=tmp_path) as node:
        with redis.Redis(port=node.port, socket_timeout=SOON_S) as client:
            assert [client.get(f"small:{number}") for number in range(500)] == [b"%d" % at for at in range(500)]
            assert client.get("large") is None and client.dbsize() == 500
        assert "corrupt" not in node.log()
