"""Each example program is run as a newcomer would run it, as a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import redis

from tests.live import SOON_S

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN_S = SOON_S


def heed_interrupts() -> None:
    """Who is started in the background may have been told to ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def program(name: str, *args: str, port: int) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--port", str(port), *args]
    pipe = subprocess.PIPE
    # From a checkout the package need not be installed to be found.
    env = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env, preexec_fn=heed_interrupts
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=RUN_S)
        except (subprocess.TimeoutExpired, ValueError):
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def output(process: "subprocess.Popen[str]", typed: str = "") -> list[str]:
    out, err = process.communicate(typed, timeout=RUN_S)
    assert process.returncode == 0, err
    return out.splitlines()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_worker_pool_finishes_every_job_though_a_worker_dies(node_port: int) -> None:
    with program("worker_pool", "--jobs", "5", "--workers", "3", port=node_port) as pool:
        lines = output(pool)
    done = sorted(each for each in lines if " by " in each)
    assert [each.split(" by ")[0] for each in done] == [f"job-{number}" for number in range(5)]
    assert not any(each.endswith("worker-0") for each in done)
    assert lines[0] == "worker-0 dies with job-0"


def test_the_presence_board_reports_who_comes_and_who_goes(node_port: int) -> None:
    common = ("--ttl", "0.6", "--group", uuid.uuid4().hex)
    with program("presence_board", *common, "board", port=node_port) as board:
        with program("presence_board", *common, "beat", "ada", port=node_port):
            assert line(board) == "+ ada (poll)"
        assert line(board).startswith("- ada")


def test_the_web_app_logs_in_counts_and_logs_out(node_port: int) -> None:
    with program("web_sessions", "--http", "0", "--idle", "30", port=node_port) as app:
        url = line(app)
        jar = CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

        def page(path: str = "", data: bytes | None = None) -> str:
            with browser.open(url + path, data, timeout=SOON_S) as reply:
                return str(reply.read().decode())

        assert "log in" in page()
        assert "&lt;ada&gt;, visit 1" in page("login", b"user=%3Cada%3E")
        assert "visit 2" in page()
        (cookie,) = jar
        assert "log in" in page("logout", b"")
        stolen = urllib.request.Request(url, headers={"Cookie": f"session={cookie.value}"})  # noqa: S310 (our own loopback)
        with urllib.request.urlopen(stolen, timeout=SOON_S) as reply:  # noqa: S310
            assert b"log in" in reply.read()


def test_the_consumer_handles_each_event_once(node_port: int) -> None:
    topic = uuid.uuid4().hex
    with program("dedup_consumer", "--topic", topic, port=node_port) as first:
        lines = output(first, "1 pay\n2 ship\n1 pay\n\n3 fail\n")
    assert lines == ["handled 1 pay", "handled 2 ship", "skipped 1", "failed 3: this event fails the first time"]
    time.sleep(0.02)  # a failed event is given back within a millisecond
    with program("dedup_consumer", "--topic", topic, port=node_port) as second:
        assert output(second, "2 ship\n3 again\n4 pack\n") == ["skipped 2", "handled 3 again", "handled 4 pack"]


def test_the_relay_carries_lines_that_the_node_cannot_read(node_port: int) -> None:
    with program("encrypted_relay", "secret", port=node_port) as mint:
        (secret,) = output(mint)
    client = redis.Redis(port=node_port)
    before = set(client.keys("stream:*"))
    with (
        program("encrypted_relay", "receive", secret, port=node_port) as receiver,
        program("encrypted_relay", "send", secret, port=node_port) as sender,
    ):
        assert output(sender, "the papers\nare under the stone\n") == []
        assert output(receiver) == ["the papers", "are under the stone"]
    keys = set(client.keys("stream:*")) - before
    assert len(keys) == 3 and not any(b"papers" in (client.get(key) or b"") for key in keys)
    client.close()
    with program("encrypted_relay", "receive", "short", port=node_port) as wrong:
        _, err = wrong.communicate(timeout=RUN_S)
        assert wrong.returncode == 1 and "secret" in err and "Traceback" not in err
