"""Pages are taken before the loop writes them: by a thread that only a store of some size has."""

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PURE_ONLY

POPULATE_WRITE = 23


def can_populate() -> bool:
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        try:
            page.madvise(POPULATE_WRITE)
        except (OSError, AttributeError):
            return False
    return True


pytestmark = [
    pytest.mark.skipif(PURE_ONLY, reason="the pure engine has Python's memory"),
    pytest.mark.skipif(not can_populate(), reason="the kernel cannot take pages ahead (Linux has it since 5.14)"),
]

CHILD = """
import os, resource, time
from respram.engine import make
from tests.engine.rig import NOW, SETTINGS

def threads():
    return [open(f"/proc/self/task/{one}/comm").read().strip() for one in os.listdir("/proc/self/task")]

engine = make("native", SETTINGS._replace(outbox_bytes_max=0))
stored = 0

def store(mib):
    global stored
    for _ in range(mib << 10):
        engine.store(0, b"key:%d" % stored, b"v" * 900, NOW + 9_000, False, NOW, b"set")
        stored += 1

store(1)
assert "respram-pages" not in threads(), threads()
store(16)
assert "respram-pages" in threads(), threads()
pages = (1 << 20) // mmap_page
end, best = time.monotonic() + 30, pages
while best > pages // 4 and time.monotonic() < end:
    time.sleep(0.02)  # the thread gives way to everybody: on a busy machine it takes a while to get to it
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    store(1)
    best = min(best, resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)
assert best <= pages // 4, (best, pages)

while engine.expire(NOW + 10_000, 64) >= 64:  # most of it goes back to the system
    pass
assert engine.counters()["records"] == 0
store(16)
assert engine.count(0, NOW) == 16 << 10
if os.fork() == 0:  # the child has no such thread, and does without
    store(16)
    os._exit(0 if engine.count(0, NOW) == 32 << 10 else 1)
assert os.wait()[1] == 0
print("ahead")
"""


def test_a_store_that_grows_finds_its_pages_there() -> None:
    code = f"mmap_page = {mmap.PAGESIZE}\n" + CHILD
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("ahead\n", 0), done.stderr[-2000:]
