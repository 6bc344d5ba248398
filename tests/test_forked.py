"""A forked node is what `python -m respram serve` makes: its words, its environment, its descriptors, its end."""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.forked import Forked
from tests.live import SOON_S, running, start
from tests.secrets import secret_of


def told(log: str) -> list[str]:
    """The lines of a log without what differs from node to node."""
    return [re.sub(r"pid=\d+|clients=\d+|:\d+", "", line.partition("event=")[2]) for line in log.splitlines()]


@pytest.mark.parametrize("words", [(), ("--seal-memory", "no", "--default-ttl", "7")])
def test_it_says_and_answers_what_one_with_an_interpreter_of_its_own_does(words: tuple[str, ...]) -> None:
    logs = []
    for fork in ("yes", "no"):
        with running(*words, env={"TESTS_FORK": fork, "RESPRAM_REQUIREPASS": "a-word"}) as node:
            assert isinstance(node.process, Forked) is (fork == "yes")
            assert node.connect().ask(b"PING\r\n", 33) == b"-NOAUTH Authentication required.\r"
            assert node.connect().ask(b"AUTH a-word\r\n", 5) == b"+OK\r\n"
            assert node.stop() == 0
            logs.append(told(node.log()))
    assert logs[0] == logs[1] and any("event" not in line and line.startswith("stopped") for line in logs[0])


def test_its_end_is_told_as_popen_tells_it(tmp_path: Path) -> None:
    node = start()
    assert node.process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        node.process.wait(0.01)
    node.process.kill()
    assert node.process.wait(SOON_S) == node.process.poll() == node.process.returncode == -signal.SIGKILL
    node.process.send_signal(signal.SIGTERM)  # nobody else may have that number by now
    node.stop()
    with open(tmp_path / "log", "wb") as log:
        refused = Forked(["serve", "--port", "no-number"], os.environ, log)
        assert refused.wait(SOON_S) == 2
    assert b"--port" in (tmp_path / "log").read_bytes()


def test_it_inherits_nothing_of_its_siblings() -> None:
    """Neither descriptors nor words: what one node is told in secret is in no other's memory."""
    word = "a-word-for-one-node-alone"
    with running(env={"RESPRAM_REQUIREPASS": word}), running() as other:
        # the first is still there, and so is the pipe to say how it ended
        with tempfile.TemporaryFile() as log:
            third = Forked(["serve", "--port", "0", "--peer-port", "0"], os.environ, log)
            third.kill()
            assert third.wait(SOON_S) == -signal.SIGKILL
        held = [os.readlink(f"/proc/{other.process.pid}/fd/{number}") for number in (0, 1, 2)]
        assert held == ["/dev/null", str(other.log_path), str(other.log_path)]
        assert memory_of(other.process.pid).count(word.encode()) == 0


def memory_of(pid: int) -> bytes:
    found = bytearray()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if "rw" in line.split()[1] and "[v" not in line and end - begin < 64 << 20:
                memory.seek(begin)
                found += memory.read(end - begin)
    return bytes(found)


def test_nodes_end_with_the_process_that_asked_for_them() -> None:
    program = "import os; from tests.live import start; print(start().process.pid, flush=True); os._exit(0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=SOON_S)
    descriptor = -1
    try:
        descriptor = os.pidfd_open(int(done.stdout))
    except ProcessLookupError:
        return
    ended = select.poll()
    ended.register(descriptor, select.POLLIN)
    assert ended.poll(SOON_S * 1000)
    os.close(descriptor)


def test_threads_that_ask_first_at_the_same_time_share_the_process_that_forks() -> None:
    program = """
import threading
from pathlib import Path
from tests.live import start

THREADS = 4
together, nodes = threading.Barrier(THREADS), []
def ask():
    together.wait()
    nodes.append(start())
threads = [threading.Thread(target=ask) for _ in range(THREADS)]
for one in threads:
    one.start()
for one in threads:
    one.join()
mothers = {Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()[1] for node in nodes}
print(len(nodes), len(mothers), [node.stop() for node in nodes])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=SOON_S)
    assert done.stdout == "4 1 [0, 0, 0, 0]\n", done.stderr


@pytest.mark.parametrize("given", ["no_such_time=1", "forward_ms=soon"])
def test_times_without_an_option_reach_its_gossip_core(given: str) -> None:
    """Here such as there are not: the node cannot begin with its peers, and whoever has started it learns that."""
    environment = {**os.environ, "TESTS_POLICY": given, "RESPRAM_CLUSTER_SECRET": secret_of("forked")}
    with tempfile.NamedTemporaryFile() as log:
        refused = Forked(["serve", "--port", "0", "--peer-port", "0"], environment, log)  # type: ignore[arg-type]
        assert refused.wait(SOON_S) == 1
        said = Path(log.name).read_text()
        assert "reason=peers_failed" in said or "invalid literal for int() with base 10: 'soon'" in said
