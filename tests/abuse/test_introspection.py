"""What a client may ask about the node, its clients, its users and its commands, again and again and in one EXEC, while
thousands of other clients are connected. And what it may ask of one long value.
"""

import threading
import time
from collections.abc import Iterator

import pytest

from respram.server.process import raise_descriptor_limit
from tests.abuse.rig import endure
from tests.engine.conftest import ENGINES
from tests.engine.rig import request
from tests.live import LiveNode, Wire, running

CLIENTS = 4_000  # at the end of the walks over all clients there were 20 ms once a second, and 60 ms for each INFO
USERS, CHANNELS, KEYS = 200, 5_000, 50_000
ASKING_S = 1.0  # for which one client sends its question again and again
ASKED = {
    "info": b"INFO\nINFO everything\nINFO clients\nMEMORY STATS",
    "commands": b"COMMAND DOCS\nCOMMAND\nCOMMAND INFO\nCOMMAND LIST FILTERBY PATTERN *a*b*c*",
    "config": b"CONFIG GET *\nSLOWLOG GET -1\nLATENCY HISTOGRAM",
    "clients": b"CLIENT LIST\nCLIENT INFO\nCLIENT KILL ADDR 1.2.3.4:5",
    "users": b"ACL LIST\nACL USERS\nACL GETUSER u5\nACL CAT\nACL SETUSER u7 +@all ~a*",
    "channels": b"PUBSUB CHANNELS\nPUBSUB CHANNELS *a*b*\nPUBSUB NUMPAT\nPUBSUB SHARDCHANNELS",
    "keys": b"KEYS *\nSCAN 0 COUNT 1000000\nSCAN 0 COUNT 100000 MATCH *none*\nRANDOMKEY\nDBSIZE",
    "cluster": b"CLUSTER SLOTS\nCLUSTER SHARDS\nCLUSTER NODES\nCLUSTER INFO",
}


@pytest.fixture(scope="module", params=list(ENGINES))
def crowded(request: pytest.FixtureRequest) -> Iterator[LiveNode]:
    raise_descriptor_limit(2 * CLIENTS)
    with running("--cluster", "yes", engine=request.param) as node:
        fill(node)
        yield node


def fill(node: LiveNode) -> None:
    wire = node.connect()
    for begin in range(0, KEYS, 1_000):
        pairs = (part for number in range(begin, begin + 1_000) for part in (b"k%d" % number, b"v"))
        wire.ask(request(b"MSET", *pairs), 5)
    for number in range(USERS):
        wire.ask(request(b"ACL", b"SETUSER", b"u%d" % number, b"on", b">p", b"~a%d:*" % number, b"+@all"), 5)
    listener = node.connect()
    listener.sock.sendall(request(b"SUBSCRIBE", *(b"c%d" % number for number in range(CHANNELS))))
    until(listener, b":%d\r\n" % CHANNELS)
    for _ in range(CLIENTS):
        node.connect()


def until(wire: Wire, end: bytes) -> None:
    tail = b""
    while not tail.endswith(end):
        piece = wire.sock.recv(1 << 20)
        assert piece, tail
        tail = tail[-64:] + piece


def drain(wire: Wire) -> None:
    try:
        while wire.sock.recv(1 << 20):
            pass
    except OSError:
        pass


def again_and_again(node: LiveNode, batch: bytes) -> None:
    """One client asks for a second, and reads what it gets."""
    wire = node.connect(ASKING_S)
    reader = threading.Thread(target=drain, args=(wire,), daemon=True)
    reader.start()
    end = time.monotonic() + ASKING_S
    try:
        while time.monotonic() < end:
            wire.sock.sendall(batch)
    except OSError:
        pass  # the node reads no more of it for now, or has closed
    wire.reset()
    reader.join()


@pytest.mark.parametrize("name", ASKED)
def test_questions_about_the_node_hold_nobody_up(crowded: LiveNode, name: str) -> None:
    lines = [request(*line.split()) for line in ASKED[name].split(b"\n")]

    def attack() -> None:
        again_and_again(crowded, b"".join(lines) * 50)
        again_and_again(crowded, b"".join((request(b"MULTI"), *lines * 250, request(b"EXEC"))))

    endure(crowded, attack)


@pytest.mark.parametrize("line", [b"GET long", b"SETRANGE long 5 x"])
def test_a_long_value_that_is_asked_for_again_and_again_holds_nobody_up(node: LiveNode, line: bytes) -> None:
    """16 MiB take 10 to 20 ms. Who had been served before them got its reply behind them, and waited for two."""
    node.connect().ask(request(b"SET", b"long", bytes(16 << 20)), 5)
    asked = request(*line.split()) * 5
    endure(node, lambda: again_and_again(node, asked))


def test_long_values_that_are_combined_again_and_again_hold_nobody_up(node: LiveNode) -> None:
    """As bytes of Python two values of 16 MiB took 55 ms: the values, a copy, the result, and its copy, all of it fresh
    memory.
    """
    wire = node.connect()
    for key in (b"a", b"b"):
        assert wire.ask(request(b"SET", key, bytes(16 << 20)), 5) == b"+OK\r\n"
    endure(node, lambda: again_and_again(node, request(b"BITOP", b"XOR", b"d", b"a", b"b") * 5))


@pytest.mark.parametrize(("verb", "many"), [(b"SUBSCRIBE", 20_000), (b"PSUBSCRIBE", 9_000), (b"SSUBSCRIBE", 20_000)])
def test_who_subscribes_to_as_much_as_one_may_holds_nobody_up(node: LiveNode, verb: bytes, many: int) -> None:
    """One command with 16,000 channels took 49 ms, most of it for the confirmations."""
    names = [b"m%05d" % number for number in range(many)]
    asked = request(verb, *names) + request(verb.replace(b"SUB", b"UNSUB"))
    endure(node, lambda: again_and_again(node, asked))
