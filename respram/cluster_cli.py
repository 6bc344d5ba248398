"""`respram cluster`: an enclave on this machine for trying things out. Nodes on consecutive ports, stopped together.

Each node is a process of its own, as in earnest; their lines come through with the node's number before them. Whatever ends one of
them unasked ends all: half an enclave would only puzzle whoever is looking. What `serve` takes is passed on.
"""

import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import NamedTuple

from respram.config import load
from respram.errors import ConfigError
from respram.options import PORT_MAX, read_whole

NODES_MAX = 16  # on one machine; more is a matter of several
STOP_S = 8.0  # a node promises to stop in 5
LINE_BYTES_MAX = 4096  # of one node's output that are shown as one line

CLUSTER_HELP = """respram cluster: an enclave of several nodes on this machine, until Ctrl-C.

  --nodes COUNT           how many (default 3, at most 16)
  --port PORT             for clients of the first node, the others follow (default 6379)
  --peer-port PORT        for its peers, the others follow (default 16379)

What `respram serve` takes is passed on to each node, but for --join and --advertise. Without a
cluster secret the nodes talk in the clear, on loopback alone.
"""


class Place(NamedTuple):
    port: int
    peer_port: int


def plan_places(flags: Mapping[str, str], variables: Mapping[str, str]) -> list[Place]:
    count = _whole(flags.get("nodes", "3"), "--nodes", NODES_MAX)
    port = _whole(flags.get("port", variables.get("RESPRAM_PORT", "6379")), "--port", PORT_MAX)
    peer_port = _whole(flags.get("peer-port", variables.get("RESPRAM_PEER_PORT", "16379")), "--peer-port", PORT_MAX)
    for first, name in ((port, "--port"), (peer_port, "--peer-port")):
        if first + count - 1 > PORT_MAX:
            raise ConfigError(f"{name} {first} leaves no {count} ports up to {PORT_MAX}; choose a lower one")
    if abs(port - peer_port) < count:
        raise ConfigError(f"--port {port} and --peer-port {peer_port} are too close for {count} nodes; choose ports further apart")
    return [Place(port + number, peer_port + number) for number in range(count)]


def plan(flags: Mapping[str, str], variables: Mapping[str, str]) -> list[list[str]]:
    """The words to start each node with. ConfigError where a setting is wrong, before anything is started."""
    places = plan_places(flags, variables)
    for name in ("join", "advertise"):
        if name in flags:
            raise ConfigError(f"--{name} is not for `respram cluster`: its nodes know each other; use respram serve")
    others = {name: text for name, text in flags.items() if name not in ("nodes", "port", "peer-port")}
    join = ",".join(f"127.0.0.1:{at.peer_port}" for at in places)
    settings = [{**others, "port": str(at.port), "peer-port": str(at.peer_port), "join": join} for at in places]
    folder = flags.get("snapshot-dir", variables.get("RESPRAM_SNAPSHOT_DIR", ""))
    for one in settings:
        if folder:  # a directory belongs to one node
            one["snapshot-dir"] = f"{folder}/{one['port']}"
        load(one, variables)
    return [[word for name, text in one.items() for word in (f"--{name}={text}",)] for one in settings]


def _whole(text: str, name: str, most: int) -> int:
    try:
        return read_whole(text, 1, most)
    except ValueError as error:
        raise ConfigError(f"{name} must be {error}") from None


def run(flags: Mapping[str, str], variables: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Runs the nodes until told to stop: 0; 1 when one of them ended by itself."""
    commands = plan(flags, variables)
    environment = {name: text for name, text in variables.items() if name not in ("RESPRAM_JOIN", "RESPRAM_ADVERTISE")}
    processes: list[subprocess.Popen[bytes]] = []
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with selectors.DefaultSelector() as selector:
            for number, words in enumerate(commands, 1):
                # In this process's group: Ctrl-C reaches each of them, as does whatever ends the group.
                process = subprocess.Popen(
                    [sys.executable, "-m", "respram", "serve", *words], env=environment, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
                processes.append(process)
                assert process.stdout is not None
                selector.register(process.stdout, selectors.EVENT_READ, number)
            say(f"{len(processes)} nodes; Ctrl-C stops them")
            say("talk to any of them: " + ", ".join(f"redis-cli -p {at.port}" for at in plan_places(flags, variables)))
            while not stopping and all(process.poll() is None for process in processes):
                _pass_lines(selector, say, 0.2)
            failed = [number for number, process in enumerate(processes, 1) if process.poll() is not None]
            _stop_all(processes, selector, say)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if failed and not stopping:
        say(f"node {failed[0]} ended by itself, so all were stopped")
        return 1
    return 0


def _stop_all(processes: "list[subprocess.Popen[bytes]]", selector: selectors.BaseSelector, say: Callable[[str], None]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    steps = int(STOP_S / 0.05)
    while selector.get_map() and steps:
        _pass_lines(selector, say, 0.05)
        steps -= 1


def _pass_lines(selector: selectors.BaseSelector, say: Callable[[str], None], seconds: float) -> None:
    """Hands on what the nodes said. A node's lines are short and written at once, so a read ends with a line."""
    for key, _ in selector.select(seconds):
        stream = key.fileobj
        assert not isinstance(stream, int)
        data = getattr(stream, "read1")(LINE_BYTES_MAX)  # noqa: B009 - a pipe's, which the general type lacks
        if not data:
            selector.unregister(stream)
        for line in data.decode("utf-8", "replace").splitlines():
            say(f"node {key.data}: {line}")
