"""`respram cluster`: what it would start, and that it starts and stops it."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from respram.cli import main
from respram.cluster_cli import plan
from respram.errors import ConfigError
from tests.live import free_port

AT_ONCE = Retry(NoBackoff(), 0)  # whoever is not there is not asked again


def words(**flags: str) -> list[list[str]]:
    return plan({name.replace("_", "-"): text for name, text in flags.items()}, {})


def test_nodes_stand_on_consecutive_ports_and_know_each_other() -> None:
    commands = words()
    assert len(commands) == 3
    for number, command in enumerate(commands):
        assert f"--port={6379 + number}" in command and f"--peer-port={16379 + number}" in command
        assert "--join=127.0.0.1:16379,127.0.0.1:16380,127.0.0.1:16381" in command
    (alone,) = words(nodes="1", port="7000", peer_port="8000", engine="pure", default_ttl="60")
    assert alone == ["--engine=pure", "--default-ttl=60", "--port=7000", "--peer-port=8000", "--join=127.0.0.1:8000"]


@pytest.mark.parametrize(
    ("flags", "phrase"),
    [({"nodes": "0"}, "--nodes must be"), ({"nodes": "17"}, "--nodes must be"), ({"port": "65534"}, "leaves no 3 ports"),
     ({"peer_port": "65535"}, "leaves no 3 ports"), ({"port": "7000", "peer_port": "7002"}, "too close"), ({"join": "a:1"}, "--join is not"),
     ({"advertise": "a:1"}, "--advertise is not"), ({"default_ttl": "x"}, "--default-ttl must be"), ({"bind": "0.0.0.0"}, "without a password")],
)  # fmt: skip
def test_wrong_settings_start_nothing(flags: dict[str, str], phrase: str) -> None:
    with pytest.raises(ConfigError, match=phrase):
        words(**flags)


def test_each_node_keeps_its_snapshots_in_a_directory_of_its_own() -> None:
    for flags, variables in (({"snapshot-dir": "/d"}, {}), ({}, {"RESPRAM_SNAPSHOT_DIR": "/d"})):
        words = plan({"nodes": "2", "port": "7000", **flags}, variables)
        assert [[word for word in one if "snapshot" in word] for one in words] == [["--snapshot-dir=/d/7000"], ["--snapshot-dir=/d/7001"]]


def test_a_secret_is_printed_fresh_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for _ in range(2):
        assert main(["secret"], {}) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] != printed[1] and all(len(one) == 44 and one.endswith("\n") for one in printed)
    assert main(["secret", "x"], {}) == 2
    assert main(["cluster", "--help"], {}) == 0
    assert "--nodes COUNT" in capsys.readouterr().out


def start_cluster(port: int, peer_port: int) -> "subprocess.Popen[bytes]":
    command = ["cluster", "--nodes", "3", "--port", str(port), "--peer-port", str(peer_port), "--engine", "pure"]
    return subprocess.Popen([sys.executable, "-m", "respram", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def ports() -> tuple[int, int]:
    """The first of two runs of three, below the range from which the system gives ports away."""
    first = free_port() % 20_000 + 10_000
    return first, first + 1_000


def answers(port: int, key: str) -> bytes | None:
    with redis.Redis(port=port, socket_timeout=2, retry=AT_ONCE) as client:
        try:
            value = client.get(key)
        except redis.ConnectionError:
            return None
        assert value is None or isinstance(value, bytes)
        return value


def wait_for(process: "subprocess.Popen[bytes]", port: int, key: str) -> None:
    end = time.monotonic() + 15
    while answers(port, key) != b"v":
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_local_enclave_starts_and_ends_as_one(number: int) -> None:
    port, peer_port = ports()
    process = start_cluster(port, peer_port)
    try:
        end = time.monotonic() + 15
        while True:
            try:
                with redis.Redis(port=port, socket_timeout=2, retry=AT_ONCE) as client:
                    client.set("k", "v", ex=60)
                break
            except redis.ConnectionError:
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.05)
        for offset in range(3):
            wait_for(process, port + offset, "k")
        process.send_signal(number)
        output, _ = process.communicate(timeout=12)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its nodes too
        process.wait()
    assert process.returncode == 0, output
    for node in (b"node 1: ", b"node 2: ", b"node 3: "):
        assert output.count(node) > 4
    assert output.count(b"event=stopped") == 3
    assert b"redis-cli -p %d, redis-cli -p %d, redis-cli -p %d\n" % (port, port + 1, port + 2) in output
    assert all(answers(port + offset, "k") is None for offset in range(3))


def test_when_one_node_ends_all_do() -> None:
    port, peer_port = ports()
    process = start_cluster(port, peer_port)
    try:
        end = time.monotonic() + 15
        while True:
            try:
                with redis.Redis(port=port + 1, socket_timeout=2, retry=AT_ONCE) as client:
                    client.ping()  # shutdown itself is content with nobody being there
                    client.shutdown(nosave=True)
                break
            except redis.ConnectionError:
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.05)
        output, _ = process.communicate(timeout=12)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its nodes too
        process.wait()
    assert process.returncode == 1 and b"node 2 ended by itself" in output
