"""What every attack is held to: the bystander is served, the memory comes back, the log stays short.

`endure(node, attack)` runs the attack beside the prober (see `prober.py`) and then checks the three promises. The
attack itself says what the attackers must have been told. How long the bystander waited is judged with `--timed` alone
(see `tests/timing.py`); otherwise it has to be answered, all of its PINGs. What is judged is the node's own share: a
delay without the time in which the node or the prober waited for a core (see `prober.py`). A late bystander alone gets
the attack another chance, twice.
"""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from respram.server.logs import LINES_MAX
from tests import timing
from tests.live import SOON_S, LiveNode, Wire

# Of a bystander, p99, beyond what the machine itself took in the same seconds. The pure engine is a
# reference and no production engine: it has to survive, and to answer.
PING_MS_MAX = {"native": 50.0, "pure": 1000.0}
CHANCES = 3
MEMORY_BYTES_MAX = 64 << 20  # by which the process may be larger after an attack than before
MEMORY_S = SOON_S  # in which it has to have come back
AFTER_S = 0.5  # for which the bystander is watched when the attack is over
SAMPLES_MIN = 50  # below this a p99 means nothing
LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ \w+ (event=\S+)", re.MULTILINE)


@dataclass(slots=True)
class Seen:
    node_ms: list[float] = field(default_factory=list)
    echo_ms: list[float] = field(default_factory=list)
    node_own_ms: list[float] = field(default_factory=list)  # the same delays without what each waited for a core
    echo_own_ms: list[float] = field(default_factory=list)
    grown_bytes: int = 0

    @property
    def ping_ms(self) -> float:
        """What a bystander waited because of the node."""
        return p99(self.node_own_ms) - p99(self.echo_own_ms)

    def __str__(self) -> str:
        return (
            f"ping_p99_ms={self.ping_ms:.1f} longest_ms={max(self.node_own_ms):.1f} "
            f"on_the_clock_p99_ms={p99(self.node_ms):.1f} echo_p99_ms={p99(self.echo_ms):.1f}"
        )


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def endure(node: LiveNode, attack: Callable[[], None], password: str = "") -> Seen:
    complaints = []
    for _ in range(CHANCES):
        before = rss_bytes(node)
        seen = watched(node, attack, password)
        seen.grown_bytes = settled_growth(node, before)
        assert seen.grown_bytes < MEMORY_BYTES_MAX, f"{seen.grown_bytes >> 20} MiB did not come back"
        check_log(node)
        engine = re.search(r"event=start .*engine=(\w+)", node.log())
        assert engine is not None
        if not timing.JUDGED or seen.ping_ms < PING_MS_MAX[engine[1]]:
            timing.note(f"{seen} grown_mib={seen.grown_bytes >> 20}")
            return seen
        complaints.append(str(seen))
    raise AssertionError(f"a bystander's PING, {CHANCES} times: {'; '.join(complaints)}")


def watched(node: LiveNode, attack: Callable[[], None], password: str) -> Seen:
    words = [sys.executable, "-m", "tests.abuse.prober", str(node.port), str(node.process.pid)]
    words += [password] if password else []
    root = Path(__file__).parents[2]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as prober:
        assert prober.stdin is not None and prober.stdout is not None
        try:
            assert prober.stdout.readline() == "ready\n"
            attack()
            time.sleep(AFTER_S)
            prober.stdin.close()
            measured = json.loads(prober.stdout.readline())
        finally:
            prober.kill()
    assert node.process.poll() is None, f"the node died:\n{node.log()[-2000:]}"
    seen = Seen(measured["node"], measured["echo"], measured["node_own"], measured["echo_own"])
    assert len(seen.node_ms) >= (SAMPLES_MIN if timing.JUDGED else 1), "the attack was over before anybody could notice"
    return seen


def rss_bytes(node: LiveNode) -> int:
    pages = int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1])
    return pages * 4096


def open_descriptors(node: LiveNode) -> int:
    """By the node's own word: the kernel shows them to root alone once core dumps are off."""
    wire = node.connect()
    wire.sock.sendall(b"INFO respram\r\n")
    answer = b""
    while (found := re.search(rb"open_descriptors:(\d+)\r", answer)) is None:
        piece = wire.sock.recv(4096)
        assert piece, answer
        answer += piece
    wire.close()
    return int(found[1])


def settled_growth(node: LiveNode, before: int) -> int:
    """By how much the process has grown, once it has had its time to give back."""
    end = time.monotonic() + MEMORY_S
    while (grown := rss_bytes(node) - before) >= MEMORY_BYTES_MAX and time.monotonic() < end:
        time.sleep(0.1)
    return grown


def check_log(node: LiveNode) -> None:
    """A line a second for each kind of event, after what it may save up, and never a bug."""
    log = node.log()
    assert "event=bug" not in log and "Traceback" not in log, log[-2000:]
    found = Counter(LINE.findall(log))
    for kind in {kind for _, kind in found}:
        seconds = sorted(second for second, one in found if one == kind)
        took_s = (datetime.fromisoformat(seconds[-1]) - datetime.fromisoformat(seconds[0])).total_seconds()
        lines = sum(count for (_, one), count in found.items() if one == kind)
        assert lines <= LINES_MAX + took_s + 1, f"more than a line a second: {kind}, {lines} in {took_s} s"


def try_to(wire: Wire, data: bytes) -> bool:
    """Sends, unless the node has closed; whether it was taken."""
    try:
        wire.sock.sendall(data)
    except (ConnectionError, TimeoutError):
        return False
    return True
