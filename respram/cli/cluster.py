"""`respram cluster`: runs an enclave of several nodes on this machine, to try things out.

Each node is a process of its own, on the next port, as in production. The lines of its log are shown with its number in
front. All nodes are stopped together; if one ends by itself, the others are stopped too, since half an enclave would
only be confusing. The options of `serve` are passed on to each node.
"""

import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from itertools import combinations
from types import FrameType
from typing import NamedTuple

from respram.cli.terminal import Progress, progress
from respram.cli.watching import View, check_terminal, url_of
from respram.config.options import PORT_MAX, Address, read_whole
from respram.config.settings import Config, load
from respram.errors import BindError, ConfigError

NODES_MAX = 16  # more nodes need more than one machine
READY_S = 60.0  # after this the held lines are shown, whether the nodes are ready or not
HELD_LINES_MAX = 1_000  # lines held back until the nodes are ready
STOP_S = 8.0  # a node promises to stop within 5 s
LINE_BYTES_MAX = 4096  # longer lines of a node's output are shown in pieces
# SIGHUP means here that the terminal is gone, while a node takes it for a reload
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOPBACK = "127.0.0.1"
EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - where nodes reach one that listens at all addresses

CLUSTER_FLAGS = {"nodes": True, "watch": False}
CLUSTER_HELP = """respram cluster: run an enclave of several nodes on this machine until Ctrl-C.

  --nodes COUNT           how many nodes (default 3, at most 16)
  --port PORT             the first node's port for clients; the other nodes take the next ports (default 6379)
  --peer-port PORT        the first node's port for peers, likewise (default 16379)
  --tls-port PORT         the first node's port for clients over TLS, likewise (default none)
  --watch                 show the enclave in this terminal, like `respram top`, until q is pressed

All options of `respram serve` except --join and --advertise are passed on to each node. Without a
cluster secret the nodes use unencrypted links on loopback.
"""


class Place(NamedTuple):
    """The ports at which one of the nodes listens."""

    port: int
    peer_port: int
    tls_port: int  # 0: no TLS port


class Plan(NamedTuple):
    places: list[Place]
    commands: list[list[str]]  # the command line that starts each node
    hosts: tuple[str, ...]
    peer_hosts: tuple[str, ...]
    urls: list[str]  # given to a program that watches them


def plan(flags: Mapping[str, str], variables: Mapping[str, str]) -> Plan:
    """Raises ConfigError if a setting is wrong, before anything is started."""
    for name in ("join", "advertise"):
        if name in flags:
            raise ConfigError(
                f"--{name} is not an option of `respram cluster`: its nodes know each other; leave it out"
            )
    count = _whole(flags.get("nodes", "3"), "--nodes", NODES_MAX)
    shared = {name: text for name, text in flags.items() if name not in ("nodes", "watch")}
    variables = _without_peers(variables)
    first = load({**shared, "join": str(Address(LOOPBACK, 1))}, variables)
    if first.advertise is not None:
        raise ConfigError("advertise is not a setting of `respram cluster`: take it out of the configuration file")
    places = _places(first, count)
    host = first.peer_hosts[0]
    join = ",".join(str(Address(EVERYWHERE.get(host, host), at.peer_port)) for at in places)
    commands = []
    for at in places:
        one = {**shared, "port": str(at.port), "peer-port": str(at.peer_port), "join": join}
        if at.tls_port:
            one["tls-port"] = str(at.tls_port)
        if first.snapshot_dir:  # two nodes must not share a directory
            one["snapshot-dir"] = f"{first.snapshot_dir}/{at.port}"
        load(one, variables)
        commands.append([f"--{name}={text}" for name, text in one.items()])
    host = EVERYWHERE.get(first.bind[0], first.bind[0])
    return Plan(
        places, commands, first.bind, first.peer_hosts, [url_of(host, at.port, first.requirepass) for at in places]
    )


def _without_peers(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in variables.items() if name not in ("RESPRAM_JOIN", "RESPRAM_ADVERTISE")}


def _places(first: Config, count: int) -> list[Place]:
    """The ports of all nodes, consecutive from those of the first node."""
    named = [("--port", first.port), ("--peer-port", first.peer_port)]
    named += [("--tls-port", first.tls_port)] if first.tls_port else []
    for name, port in named:
        if not port:
            raise ConfigError(f"{name} must be a whole number from 1: the ports of the other nodes follow it")
        if port + count - 1 > PORT_MAX:
            raise ConfigError(f"{name} {port} leaves no {count} ports up to {PORT_MAX}; choose a lower one")
    for (name, port), (other, further) in combinations(named, 2):
        if abs(port - further) < count:
            raise ConfigError(
                f"{name} {port} and {other} {further} are too close for {count} nodes; choose ports further apart"
            )
    return [
        Place(first.port + number, first.peer_port + number, first.tls_port + number if first.tls_port else 0)
        for number in range(count)
    ]


def check_ports(planned: Plan) -> None:
    """Raises BindError with all ports that are taken, since half an enclave would only be confusing."""
    taken = []
    for number, at in enumerate(planned.places, 1):
        asked = [(host, port) for host in planned.hosts for port in (at.port, at.tls_port) if port]
        asked += [(host, at.peer_port) for host in planned.peer_hosts]
        for host, port in asked:
            try:
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((host, port))
                    probe.listen()
            except OSError as error:
                taken.append(f"{Address(host, port)} of node {number} ({error.strerror or error})")
    if taken:
        raise BindError(
            f"cannot listen on {', '.join(taken)}; choose other ports with --port, --peer-port or --tls-port"
        )


def _whole(text: str, name: str, most: int) -> int:
    try:
        return read_whole(text, 1, most)
    except ValueError as error:
        raise ConfigError(f"{name} must be {error}") from None


def run(flags: Mapping[str, str], variables: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Runs the nodes until told to stop: 0; 1 when one of them ended by itself, or the view over them failed."""
    planned = plan(flags, variables)
    if "watch" in flags:
        check_terminal()
    check_ports(planned)
    environment = _without_peers(variables)
    view = View(planned.urls, environment, say)
    processes: list[subprocess.Popen[bytes]] = []
    stopping = False
    shown = progress(lines=False)

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    def tell(line: str) -> None:
        nonlocal stopping
        try:
            shown.close()
            view.tell(line)
        except OSError:  # the reader of a pipe such as `| head` is gone: stop the nodes too
            stopping = True

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        with selectors.DefaultSelector() as selector:
            for number, words in enumerate(planned.commands, 1):
                # In this process's group, so that Ctrl-C and other signals to the group reach every node.
                process = subprocess.Popen(
                    [sys.executable, "-m", "respram", "serve", *words], env=environment, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
                processes.append(process)
                assert process.stdout is not None
                selector.register(process.stdout, selectors.EVENT_READ, number)
            beginning = Beginning(
                len(processes), f"{len(processes)} nodes ready: redis-cli -p {planned.places[0].port}", tell
            )
            end_s = time.monotonic() + READY_S
            while (
                not stopping
                and not view.ended
                and not _nobody_reads()
                and all(process.poll() is None for process in processes)
            ):
                if not beginning.is_over:
                    shown.show("starting nodes", len(processes) - len(beginning.left), len(processes), "ready")
                _pass_lines(selector, beginning, 0.2)
                if time.monotonic() > end_s:
                    beginning.give_up()
                if "watch" in flags and view.process is None and beginning.is_over:
                    view.start()
            beginning.give_up()
            stopping = stopping or view.ended or _nobody_reads()
            ends = [process.poll() for process in processes]
            failed = [number for number, code in enumerate(ends, 1) if code is not None]
            view.stop(failed=bool(failed) and not stopping)
            _stop_all(processes, selector, tell, shown)
    finally:
        shown.close()
        view.stop(failed=False)
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if failed and not stopping:
        tell(f"node {failed[0]} {_end_of(ends[failed[0] - 1])}, so all were stopped")
        return 1
    return view.code


def _nobody_reads() -> bool:
    """Whether the reader of standard output is gone, as after `| head`. Without this check, nodes that print nothing
    would never stop.
    """
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no poll() on this system, or no file descriptor
        return False


class Beginning:
    """Holds back the nodes' lines until all nodes are ready. Then it discards them and prints one line. If the nodes do
    not become ready, it prints the lines.
    """

    def __init__(self, nodes: int, line: str, say: Callable[[str], None]) -> None:
        self.left = set(range(1, nodes + 1))
        self.line = line
        self.say = say
        self.held: list[str] | None = []  # None: the nodes have started, and lines are shown at once

    @property
    def is_over(self) -> bool:
        return self.held is None

    def __call__(self, line: str) -> None:
        if self.held is None:
            self.say(line)
            return
        self.held.append(line)
        del self.held[:-HELD_LINES_MAX]
        name, _, said = line.partition(": ")
        if " event=ready " in said:
            self.left.discard(int(name.removeprefix("node ")))
        if not self.left:
            self.held = None
            self.say(self.line)

    def give_up(self) -> None:
        """Prints the held lines. Some node did not log that it is ready: it has ended, or its log level is higher."""
        held, self.held = self.held, None
        for line in held or ():
            self.say(line)


def _end_of(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended by itself with exit code {code}"


def _stop_all(
    processes: "list[subprocess.Popen[bytes]]", selector: selectors.BaseSelector, say: Callable[[str], None],
    shown: Progress,
) -> None:  # fmt: skip
    for process in processes:
        if process.poll() is None:
            process.terminate()
    steps = int(STOP_S / 0.05)
    while selector.get_map() and steps:
        shown.show("stopping nodes", len(processes) - len(selector.get_map()), len(processes), "stopped")
        _pass_lines(selector, say, 0.05)
        steps -= 1


def _pass_lines(selector: selectors.BaseSelector, say: Callable[[str], None], seconds: float) -> None:
    """Passes the nodes' output on, line by line. A node writes a line at once; only a very long one comes in pieces."""
    for key, _ in selector.select(seconds):
        stream = key.fileobj
        assert not isinstance(stream, int)
        data = getattr(stream, "read1")(LINE_BYTES_MAX)  # noqa: B009 - a pipe's, which the general type lacks
        if not data:
            selector.unregister(stream)
        for line in data.decode("utf-8", "replace").splitlines():
            say(f"node {key.data}: {line}")
