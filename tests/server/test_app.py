"""The node as a process: starting, forgetting on time, stopping in order."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from respram import __version__
from respram.config.settings import Config
from respram.server import clock
from respram.server.app import App
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, running, start
from tests.ports import reserve
from tests.timing import in_time


def test_the_first_lines_say_what_runs_and_then_there_is_silence(node: LiveNode) -> None:
    wire = node.connect()
    wire.ask(request(b"SET", b"a-key", b"a-secret-value", b"EX", b"9"), 5)
    wire.ask(request(b"NOSUCH", b"a-secret-value"), 60)
    log = node.log()
    for part in (f"version={__version__}", "engine=", f"127.0.0.1:{node.port}", "enclave=", "default_ttl_s=3600",
                 "max_ttl_s=2678400", "maxmemory_bytes="):  # fmt: skip
        assert part in log, part
    assert "secret" not in log and "a-key" not in log
    assert len(log.splitlines()) <= 5
    wire.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order_after_answering_what_was_received(number: int) -> None:
    live = start()
    wire = live.connect()
    assert wire.ask(request(b"PING"), 7) == b"+PONG\r\n"  # it is accepted: who is not yet is no client
    live.process.send_signal(signal.SIGSTOP)
    wire.sock.sendall(request(b"SET", b"k", b"v") + request(b"GET", b"k"))
    live.process.send_signal(number)
    live.process.send_signal(signal.SIGCONT)
    began = time.monotonic()
    assert wire.rest() == b"+OK\r\n$1\r\nv\r\n"
    assert live.process.wait(SOON_S) == 0
    in_time(time.monotonic() - began, 5, "a stop")
    assert "event=stopped" in live.log()
    live.stop()


def test_shutdown_stops_like_a_signal() -> None:
    live = start("--let-go", "shutdown")
    wire = live.connect()
    wire.sock.sendall(request(b"SHUTDOWN", b"NOSAVE"))
    assert wire.rest() == b""
    assert live.process.wait(SOON_S) == 0
    live.stop()


def test_a_taken_port_is_one_line_and_exit_code_1(node: LiveNode) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "respram", "serve", "--port", str(node.port)],
        capture_output=True,
        timeout=SOON_S,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(node.port).encode() in done.stderr and b"Traceback" not in done.stderr


def test_untouched_keys_are_destroyed_soon_after_their_deadline(node: LiveNode) -> None:
    """Invariant 2: the `expired` event comes when the time comes, not when somebody looks."""
    wire, listener = node.connect(), node.connect()
    wire.ask(request(b"CONFIG", b"SET", b"notify-keyspace-events", b"Ex"), 5)
    listener.ask(request(b"SUBSCRIBE", b"__keyevent@0__:expired"), 50)
    lags: list[float] = []
    count = 200
    deadlines = {}
    for number in range(count):
        key = b"k%03d" % number
        deadlines[key] = time.time() + 1.0 + number * 0.002  # a SET that came too late would be refused
        wire.ask(request(b"SET", key, b"v", b"PXAT", b"%d" % (deadlines[key] * 1000)), 5)
    text = b""
    while len(lags) < count:
        text += listener.sock.recv(4096)
        now = time.time()
        for key in re.findall(rb"\r\n(k\d\d\d)\r\n", text):
            lags.append(now - deadlines[key])
        text = text[text.rfind(b"*") :] if not text.endswith(b"\r\n") else b""
    lags.sort()
    assert lags[0] >= -0.002, "expired before its time"
    in_time(lags[int(count * 0.9)], 0.05, "most keys after their deadline")
    in_time(lags[-1], 0.5, "every key after its deadline")
    wire.ask(request(b"CONFIG", b"SET", b"notify-keyspace-events", b""), 5)
    wire.close()
    listener.close()


def test_a_port_is_free_again_at_once() -> None:
    with running() as first:
        port = first.port
        first.connect().ask(b"PING\r\n", 7)
    again = start(port=port)
    assert again.connect().ask(b"PING\r\n", 7) == b"+PONG\r\n"
    assert again.stop() == 0


def test_a_first_peer_that_comes_while_the_node_starts_is_met_once() -> None:
    """Before the loop's first turn is over: two nodes that are started together."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        app = App(Config(port=0, peer_port=reserve(), engine="pure"), loop)
        app.listen()
        met: list[object] = []
        meet_peers = app._meet_peers

        async def noted() -> None:
            await meet_peers()
            met.append(app.driver)

        app._meet_peers = noted  # type: ignore[method-assign]
        app.meet()
        with socket.create_connection(app.waiting_listeners[0].getsockname()):
            app._grow()  # as the loop would, in the turn in which the meeting begins
            end = clock.now_ms() + SOON_S * 1000
            while len(met) < 1 and clock.now_ms() < end:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
        assert len(met) == 1 and met[0] is app.driver is not None and not app.stopping.done()
        await app.drain()

    asyncio.run(main())
