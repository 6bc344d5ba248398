"""`respram cluster`: what it would start, and that it starts and stops it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from respram.cli.cluster import plan
from respram.cli.main import main
from respram.errors import ConfigError
from tests import dear
from tests.live import SOON_S
from tests.ports import reserve
from tests.secrets import secret_of

AT_ONCE = Retry(NoBackoff(), 0)  # whoever is not there is not asked again


def words(**flags: str) -> list[list[str]]:
    return plan({name.replace("_", "-"): text for name, text in flags.items()}, {}).commands


def test_nodes_stand_on_consecutive_ports_and_know_each_other() -> None:
    commands = words()
    assert len(commands) == 3
    for number, command in enumerate(commands):
        assert f"--port={6379 + number}" in command and f"--peer-port={16379 + number}" in command
        assert "--join=127.0.0.1:16379,127.0.0.1:16380,127.0.0.1:16381" in command
    (alone,) = words(nodes="1", port="7000", peer_port="8000", engine="pure", default_ttl="60")
    assert sorted(alone) == ["--default-ttl=60", "--engine=pure", "--join=127.0.0.1:8000", "--peer-port=8000",
                             "--port=7000"]


@pytest.mark.parametrize(
    ("flags", "phrase"),
    [({"nodes": "0"}, "--nodes must be"), ({"nodes": "17"}, "--nodes must be"),
     ({"port": "65534"}, "leaves no 3 ports"),
     ({"peer_port": "65535"}, "leaves no 3 ports"), ({"port": "7000", "peer_port": "7002"}, "too close"),
     ({"join": "a:1"}, "--join is not"),
     ({"port": "0"}, "--port must be"), ({"peer_port": "0"}, "--peer-port must be"),
     ({"advertise": "a:1"}, "--advertise is not"), ({"default_ttl": "x"}, "--default-ttl must be"),
     ({"bind": "0.0.0.0"}, "without a password")],
)  # fmt: skip
def test_wrong_settings_start_nothing(flags: dict[str, str], phrase: str) -> None:
    with pytest.raises(ConfigError, match=phrase):
        words(**flags)


def test_each_node_keeps_its_snapshots_in_a_directory_of_its_own() -> None:
    for flags, variables in (({"snapshot-dir": "/d"}, {}), ({}, {"RESPRAM_SNAPSHOT_DIR": "/d"})):
        words = plan({"nodes": "2", "port": "7000", **flags}, variables).commands
        assert [[word for word in one if "snapshot" in word] for one in words] == [
            ["--snapshot-dir=/d/7000"],
            ["--snapshot-dir=/d/7001"],
        ]


def test_ports_may_come_from_a_file_and_those_of_tls_are_apart(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).write_text("")
    file = tmp_path / "respram.toml"
    ports = "port = 7000\npeer_port = 8000\ntls_port = 9000\n"
    file.write_text(ports + f'tls_cert = "{tmp_path}/cert"\ntls_key = "{tmp_path}/key"\ntls_auth_clients = false\n')
    commands = words(config=str(file), nodes="2")
    for number, command in enumerate(commands):
        assert {f"--port={7000 + number}", f"--peer-port={8000 + number}", f"--tls-port={9000 + number}"} < set(command)
    with pytest.raises(ConfigError, match="--port 7000 and --tls-port 7001 are too close"):
        words(config=str(file), tls_port="7001")
    file.write_text('advertise = "10.0.0.1:7"\n')
    with pytest.raises(ConfigError, match="take it out of the configuration file"):
        words(config=str(file))


@pytest.mark.parametrize(("host", "joined"), [("::1", "[::1]"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")])
def test_nodes_join_where_they_listen(host: str, joined: str) -> None:
    secret = {"RESPRAM_CLUSTER_SECRET": secret_of("cluster")}
    commands = plan({"nodes": "2", "peer-bind": host, "peer-port": "8000"}, secret).commands
    assert all(f"--join={joined}:8000,{joined}:8001" in command for command in commands)


def test_taken_ports_are_all_named_in_one_line_and_nothing_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    port, peer_port = ports()
    with socket.create_server(("127.0.0.1", port + 1)), socket.create_server(("127.0.0.1", peer_port + 2)):
        assert main(["cluster", "--port", str(port), "--peer-port", str(peer_port)], {}) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert f"127.0.0.1:{port + 1} of node 2" in said.err and f"127.0.0.1:{peer_port + 2} of node 3" in said.err
    assert "choose other ports" in said.err


def test_a_secret_is_printed_fresh_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for _ in range(2):
        assert main(["secret"], {}) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] != printed[1] and all(
        len(one) == 54 and one.startswith("rs1_") and one.endswith("\n") for one in printed
    )
    assert main(["secret", "x"], {}) == 2
    assert main(["cluster", "--help"], {}) == 0
    assert "--nodes COUNT" in capsys.readouterr().out


def start_cluster(port: int, peer_port: int) -> "subprocess.Popen[bytes]":
    command = ["cluster", "--nodes", "3", "--port", str(port), "--peer-port", str(peer_port), "--engine", "pure"]
    return subprocess.Popen(
        [sys.executable, "-m", "respram", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def ports() -> tuple[int, int]:
    """The first of two runs of three."""
    first = reserve(beside=(1, 2, 1_000, 1_001, 1_002))
    return first, first + 1_000


def answers(port: int, key: str) -> bytes | None:
    with redis.Redis(port=port, socket_timeout=SOON_S, retry=AT_ONCE) as client:
        try:
            value = client.get(key)
        except redis.ConnectionError:
            return None
        assert value is None or isinstance(value, bytes)
        return value


def wait_for(process: "subprocess.Popen[bytes]", port: int, key: str) -> None:
    end = time.monotonic() + SOON_S
    while answers(port, key) != b"v":
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)


@pytest.mark.parametrize("number", dear.first(1, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
def test_a_local_enclave_starts_and_ends_as_one(number: int) -> None:
    port, peer_port = ports()
    process = start_cluster(port, peer_port)
    try:
        end = time.monotonic() + SOON_S
        while True:
            try:
                with redis.Redis(port=port, socket_timeout=SOON_S, retry=AT_ONCE) as client:
                    client.set("k", "v", ex=60)
                break
            except redis.ConnectionError:
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.05)
        for offset in range(3):
            wait_for(process, port + offset, "k")
        assert process.stdout is not None
        assert process.stdout.readline() == b"3 nodes ready: redis-cli -p %d\n" % port, "quiet before it"
        process.send_signal(number)
        output, _ = process.communicate(timeout=SOON_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its nodes too
        process.wait()
    assert process.returncode == 0, output
    for node in (b"node 1: ", b"node 2: ", b"node 3: "):
        assert node in output
    assert output.count(b"INFO event=stopped") == 3
    assert all(answers(port + offset, "k") is None for offset in range(3))


@pytest.mark.parametrize(
    ("number", "end_it", "told"),
    [
        (
            2,
            lambda client: os.kill(client.info("server")["process_id"], signal.SIGTERM),
            b"node 2 ended by itself with exit code 0",
        ),
        (
            3,
            lambda client: os.kill(client.info("server")["process_id"], signal.SIGKILL),
            b"node 3 was ended by SIGKILL, so all were stopped",
        ),
    ],
)
def test_when_one_node_ends_all_do_and_how_it_ended_is_told(
    number: int, end_it: Callable[[redis.Redis], object], told: bytes
) -> None:
    port, peer_port = ports()
    process = start_cluster(port, peer_port)
    try:
        end = time.monotonic() + SOON_S
        while True:
            try:
                with redis.Redis(port=port + number - 1, socket_timeout=SOON_S, retry=AT_ONCE) as client:
                    client.ping()
                    end_it(client)
                break
            except redis.ConnectionError:
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.05)
        output, _ = process.communicate(timeout=SOON_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its nodes too
        process.wait()
    assert process.returncode == 1 and told in output


def test_nodes_do_not_stay_behind_when_nobody_listens_to_them() -> None:
    port, peer_port = ports()
    process = start_cluster(port, peer_port)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()  # as `| head` does
        assert process.wait(SOON_S) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its nodes too
        process.wait()
    assert all(answers(port + offset, "k") is None for offset in range(3))
