"""A node that did not run for a while is asked at the moment at which it goes on: others have decided in its place."""

import contextlib
import os
import signal
import socket
import time

import pytest
import redis

from tests.engine.conftest import ENGINES
from tests.live import SOON_S
from tests.peers.enclave import enclave, until, until_ready

STOP_S = 1.2  # a node notices 1.0 s; with a link that stands it takes 1.5 s at least to be suspected
TRIES_MAX = 20
KEYS = [f"counter:{number}" for number in range(30)]


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_node_that_was_stopped_decides_nothing_by_what_it_held(engine: str) -> None:
    """SIGSTOP for as long as the others need to take its slots over. What clients sent it meanwhile is answered first
    of all when it goes on; 7 of 30 counters went back by five.
    """
    with enclave(3, engines=(engine,)) as members:
        until_ready(members)
        asked, stopped, _ = members
        for key in KEYS:
            asked.client.set(key, 1_000, ex=3_000)
        assert asked.client.execute_command("WAIT", 2, 50_000) == 2
        pid = stopped.client.info("server")["process_id"]
        with socket.create_connection(("127.0.0.1", stopped.port), SOON_S) as waiting:
            waiting.sendall(b"PING\r\n")
            assert waiting.recv(100) == b"+PONG\r\n"
            os.kill(pid, signal.SIGSTOP)
            try:
                waiting.sendall(b"".join(b"INCR %b\r\n" % key.encode() for key in KEYS))
                counted = {key: _counted(asked.client, key) for key in KEYS}
                assert asked.client.execute_command("WAIT", 1, 50_000) >= 1
            finally:
                os.kill(pid, signal.SIGCONT)
            with waiting.makefile("rb") as replies:
                answers = [replies.readline() for _ in KEYS]
        wrong = [
            (key, answer)
            for key, answer in zip(KEYS, answers, strict=True)
            if answer[:1] == b":" and int(answer[1:]) <= counted[key]
        ]
        assert not wrong, wrong[:3]
        until_ready(members)
        assert any("event=stopped" in line and " WARNING " in line for line in stopped.log().splitlines())


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_node_that_nobody_had_suspected_goes_on_when_all_others_have_said_so(engine: str) -> None:
    """It is stopped for longer than it may be, and mostly for less than it takes to be suspected: that depends on the
    machine, so it is tried again. Whatever came of it, each counter counts on."""
    with enclave(3, engines=(engine,)) as members:
        until_ready(members)
        asked, stopped, _ = members
        for key in KEYS:
            asked.client.set(key, 1_000, ex=3_000)
        assert asked.client.execute_command("WAIT", 2, 150_000) == 2
        for tries in range(1, TRIES_MAX + 1):
            stopped.freeze()
            time.sleep(STOP_S)
            stopped.thaw()
            for key in KEYS:
                assert _counted(stopped.client, key) == 1_000 + tries
            until_ready(members)
            if "why=nobody_had_suspected_it" in stopped.log():
                break
        assert "why=nobody_had_suspected_it" in stopped.log(), stopped.log()


def _counted(client: "redis.Redis", key: str) -> int:
    """As soon as somebody decides about it."""
    found: list[int] = []

    def count() -> bool:
        with contextlib.suppress(redis.RedisError):
            found.append(int(client.incr(key)))
        return bool(found)

    until(count, "nobody takes its slots over")
    return found[-1]
