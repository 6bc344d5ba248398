"""Nodes inside other programs: there when the block begins, gone when it ends, whatever ends it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
import redis.asyncio

import respram
from respram.errors import BindError, ConfigError
from respram.server import clock
from tests.engine.conftest import ENGINES
from tests.live import SOON_S
from tests.timing import in_time

BOTH = pytest.mark.parametrize("engine", ENGINES)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(SOON_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@BOTH
def test_a_server_is_there_for_the_block(engine: str) -> None:
    with respram.Server(engine=engine, default_ttl=60) as server, server.client() as client:
        assert server.is_running and server.engine == engine and server.url == f"redis://127.0.0.1:{server.port}"
        client.set("a", "b")
        assert client.get("a") == b"b" and 50 < client.ttl("a") <= 60
    assert not server.is_running and not is_open(server.port)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much of a core a process had")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_is_there_in_a_third_of_a_second_of_a_core(engine: str) -> None:
    took = []
    for _ in range(3):
        with respram.Server(engine=engine) as server:
            assert server._process is not None
            took.append(int(Path(f"/proc/{server._process.pid}/schedstat").read_text().split()[0]) / 1e9)
    in_time(min(took), 0.3, "from its first instruction to the port that it says")


def test_two_servers_do_not_meet() -> None:
    with (
        respram.Server(engine="pure") as one,
        respram.Server(engine="pure") as other,
        one.client() as client,
        other.client() as further,
    ):
        client.set("a", "b")
        assert further.get("a") is None and one.port != other.port


def test_a_password_stands_in_the_url() -> None:
    with respram.Server(engine="pure", requirepass="p/@ :x") as server, server.client() as client:
        assert client.ping()
        with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_what_is_wrong_is_told_before_anything_starts() -> None:
    with pytest.raises(ConfigError):
        respram.Server(default_ttl=0).start()
    with pytest.raises(ConfigError):
        respram.Server(no_such_option=1).start()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError):
        respram.Server(engine="pure", port=taken.getsockname()[1]).start()


def test_time_is_moved_on_without_waiting_for_it() -> None:
    with (
        respram.Server(engine="pure", notify_keyspace_events="Ex") as server,
        server.client() as client,
        client.pubsub() as events,
    ):
        events.subscribe("__keyevent@0__:expired")
        assert events.get_message(timeout=SOON_S)
        client.set("a", "b", ex=3600)
        client.set("later", "b", ex=7200)
        server.advance(3599)
        assert client.get("a") == b"b" and client.ttl("a") == 1
        server.advance(1.5)
        assert client.get("a") is None and client.info("stats")["expired_keys"] == 1, "destroyed, not only hidden"
        message = events.get_message(timeout=SOON_S)
        assert message is not None and message["data"] == b"a"
        assert client.get("later") == b"b"
        with pytest.raises(ValueError, match="backwards"):
            server.advance(-1)


@pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine here")
def test_the_native_engine_lives_in_real_time() -> None:
    with respram.Server(engine="native") as server, pytest.raises(RuntimeError, match="pure"):
        server.advance(1)


def test_a_server_ends_with_its_parent_however_that_ends() -> None:
    program = (
        "import respram, time\nserver = respram.Server(engine='pure')\nserver.start()\n"
        "print(server.port, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    assert is_open(port)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + SOON_S
    while is_open(port):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_server_that_was_killed_is_stopped_without_complaint() -> None:
    server = respram.Server(engine="pure")
    server.start()
    server.kill()
    assert not server.is_running
    with pytest.raises((RuntimeError, BrokenPipeError)):
        server.advance(1)
    server.stop()
    with pytest.raises(RuntimeError, match="already"):
        server.start()


@BOTH
@pytest.mark.parametrize("in_loop", [True, False])
def test_the_asynchronous_twin(engine: str, in_loop: bool) -> None:
    async def main() -> None:
        for _ in range(2):
            async with respram.AsyncServer(in_loop=in_loop, engine=engine) as server:
                client = redis.asyncio.Redis.from_url(server.url)
                await client.set("a", "b", ex=60)
                assert await client.get("a") == b"b"
                if engine == "pure":
                    await server.advance(61)
                    assert await client.get("a") is None
                await client.aclose()
            assert not is_open(server.port)
        before = len(asyncio.all_tasks())
        await asyncio.sleep(1.2)  # longer than a sweep: nothing of the node goes on in a loop that is not its own
        assert len(asyncio.all_tasks()) <= before
        timers = [one for one in asyncio.get_running_loop()._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
        assert not [one for one in timers if "App." in repr(one)]

    asyncio.run(main())


def test_a_clock_that_was_put_ahead_goes_back_with_the_last_node_in_the_loop() -> None:
    """A node of the native engine that came next took the system's time for a key and the clock's for its end: it was
    gone at once.
    """

    async def main() -> None:
        async with respram.AsyncServer(in_loop=True, engine="pure") as lasting:
            async with respram.AsyncServer(in_loop=True, engine="pure") as brief:
                await brief.advance(61)
            assert clock.advanced_ms() == 61_000, "one node still lives in it"
            await lasting.advance(1)
        assert clock.advanced_ms() == 0

    asyncio.run(main())


@BOTH
def test_an_enclave_holds_the_same_keys(engine: str) -> None:
    with respram.Enclave(3, engine=engine) as nodes, nodes[0].client() as first, nodes[2].client() as last:
        first.set("a", "b", ex=600)
        assert first.execute_command("WAIT", 2, 5000) == 2 and last.get("a") == b"b"
        if engine == "pure":
            for node in nodes:
                node.advance(601)
            # that was no stop of the process: nobody has to ask the others what happened meanwhile
            for client in (first, last):
                assert client.execute_command("RESPRAM", "STATE") == b"ready"
            assert first.get("a") is None and last.get("a") is None
    assert not [node for node in nodes if node.is_running]


def test_an_attribute_that_is_none_is_said_so() -> None:
    with pytest.raises(AttributeError):
        _ = respram.Nothing  # type: ignore[attr-defined]
