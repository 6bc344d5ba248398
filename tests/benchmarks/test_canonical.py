"""One row in earnest: servers are started, driven in turns, ended; what is written holds what was measured."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.servers import ROOT
from tests.live import SOON_S

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("redis-server", "redis-benchmark", "cc")),
    reason="needs redis and a C compiler",
)


def test_one_quick_row_end_to_end(tmp_path: Path) -> None:
    out = tmp_path / "found"
    command = [
        sys.executable, "-m", "benchmarks.canonical", "--quick", "--no-plot", "--no-pin", "--turns", "3", "--servers",
        "redis,pure,floor",
        "--rows", "^GET, 10k keys, P=16, 16 KiB values$", "--out", str(out), "--seconds-max", "500",
    ]  # fmt: skip
    readme = (ROOT / "README.md").read_bytes()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=550)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.with_suffix(".json").read_text())
    (row,) = found["rows"]
    assert [(run["server"], run["turn"]) for run in row["runs"]] == [
        ("redis", 0), ("pure", 0), ("floor", 0), ("pure", 1), ("floor", 1), ("redis", 1), ("floor", 2), ("redis", 2),
        ("pure", 2),
    ]  # fmt: skip
    assert all(run["cpu_s"] > 0 and run["requests"] == 6000 and run["rps"] > 0 for run in row["runs"])
    page = out.with_suffix(".md").read_text()
    assert "| GET, 10k keys, P=16, 16 KiB values |" in page and "-n 6000 -P 16 -r 10000" in page
    assert (ROOT / "README.md").read_bytes() == readme


ORPHAN = """
import time
from benchmarks import machine
from benchmarks.servers import KINDS, bounded, compiled, serving
with bounded(300), compiled() as programs, serving(KINDS["floor"], programs, machine.affinity(False)) as server:
    print(server.pid, programs.floor, flush=True)
    time.sleep(250)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_the_one_who_measures(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as bench:
        assert bench.stdout is not None
        pid, floor = bench.stdout.readline().split()
        assert alive(int(pid))
        bench.send_signal(how)
        bench.wait(SOON_S)
    end = time.monotonic() + SOON_S
    while alive(int(pid)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not alive(int(pid))
    folder = Path(floor).parent
    assert folder.exists() == (how is signal.SIGKILL)  # which leaves no chance to clean up
    shutil.rmtree(folder, ignore_errors=True)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
