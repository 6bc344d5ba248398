"""Pages are taken before the loop writes them, by a thread that only a store of some size has; and they go back.

Each of these is a process of its own: threads and resident memory are counted.
"""

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from tests import dear

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

START = """
import os, random, resource, sys, time
from array import array
from pathlib import Path
from respram.engine import make
from tests.engine.rig import NOW, SETTINGS

def threads():
    return [open(f"/proc/self/task/{one}/comm").read().strip() for one in os.listdir("/proc/self/task")]

def has_thread():
    "(The thread takes its name when it first runs, which is late on a busy machine.)"
    end = time.monotonic() + 300
    while "respram-pages" not in threads() and time.monotonic() < end:
        time.sleep(0.02)
    return "respram-pages" in threads()

def statm_mib(place):
    return int(Path("/proc/self/statm").read_text().split()[place]) * resource.getpagesize() / 2**20

def resident_mib():
    return statm_mib(1)

def made():
    return make("native", SETTINGS._replace(outbox_bytes_max=0))

engine, now, stored = made(), NOW, 0

def store(mib):
    global stored
    for _ in range(mib << 10):
        engine.store(0, b"key:%d" % stored, b"v" * 900, now + 9_000, False, now, b"set")
        stored += 1

def let_all_end():
    global now
    now += 10_000
    while engine.expire(now, 64) >= 64:
        pass
    assert engine.counters()["records"] == 0

KEPT_MIB = 8  # 4 of spare slabs, 1 ahead, and what else may come and go
"""

GROWS = """
store(1)
assert "respram-pages" not in threads(), threads()
store(16)
assert has_thread(), threads()
pages = (1 << 20) // resource.getpagesize()
end, best = time.monotonic() + 300, pages
while best > pages // 4 and time.monotonic() < end:
    time.sleep(0.02)  # the thread gives way to everybody: on a busy machine it takes a while to get to it
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    store(1)
    best = min(best, resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)
assert best <= pages // 4, (best, pages)

let_all_end()  # most of it goes back to the system
store(16)
assert engine.count(0, now) == 16 << 10
if os.fork() == 0:  # the child has no such thread, and does without
    store(16)
    os._exit(0 if engine.count(0, now) == 32 << 10 else 1)
assert os.wait()[1] == 0
"""

# One processor for both: while the store grows and ends the thread has no turn, and its requests wait.
OVERTAKEN = """
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
store(1)
let_all_end()
before = resident_mib()
store(40)
assert resident_mib() > before + 30
let_all_end()
most = 0
for _ in range(20):
    time.sleep(0.02)
    most = max(most, resident_mib() - before)
assert most < KEPT_MIB, most
"""

# A filter of system calls, as containers have them: at any other priority the thread would stand in the loop's way.
REFUSED = """
import ctypes, platform, struct
set_scheduler = {"x86_64": 144, "aarch64": 119}.get(platform.machine())
if set_scheduler:
    # EPERM; all else may be
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, set_scheduler), (6, 0, 0, 0x00050001), (6, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(38, 1, 0, 0, 0) == 0, ctypes.get_errno()  # no new privileges
    prctl(22, 2, ctypes.c_char_p(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program))), 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except PermissionError:  # else there are no such filters here
        store(20)
        end = time.monotonic() + 300
        while len(os.listdir("/proc/self/task")) > 1:
            assert time.monotonic() < end
            time.sleep(0.01)
        store(20)
        assert engine.count(0, now) == 40 << 10 and len(threads()) == 1, threads()
"""

# Each wave ends a MiB below the one before, so other slabs are the next that the store would want.
EBBS = """
before = resident_mib()
for height_mib in range(32, 0, -1):
    store(height_mib)
    let_all_end()
    time.sleep(0.01)
assert resident_mib() - before < KEPT_MIB, resident_mib() - before
"""

LEAVES = """
store(20)
before = statm_mib(0)
for _ in range(20):
    engine, stored = made(), 0
    store(20)
assert statm_mib(0) - before < 20, statm_mib(0) - before
"""

# Lives of 1 to 40 s, values of all sizes, and times in which nothing is written: the table and the arena grow and
# shrink, and turn round in the middle of it. What each key holds is known from a number.
TIDES = """
KEYS, LIFE_MS_MAX = 60_000, 40_000
draw = random.Random(7)
ends, numbers = array("q", [0]) * KEYS, array("q", [0]) * KEYS
number = largest = 0

def value_of(number):
    return (b"%d," % number) * (number % 89 if number % 20 else number % 900)

def check(keys):
    for key in keys:
        entry = engine.lookup(0, b"k%d" % key, now)
        assert (entry and entry.value) == (value_of(numbers[key]) if ends[key] > now else None), (key, number)

before = resident_mib()
for tide in range(24):
    for _ in range(draw.choice([0, 300, 3_000, 40_000])):
        key, number = draw.randrange(KEYS), number + 1
        ends[key], numbers[key] = now + draw.randrange(1, LIFE_MS_MAX), number
        engine.store(0, b"k%d" % key, value_of(number), ends[key], False, now, b"set")
        if number % 100 == 0:
            now += draw.randrange(20)
            engine.expire(now, draw.choice([0, 3, 200]))
    now += draw.choice([0, 1_000, 10_000, 30_000])
    engine.expire(now, draw.choice([0, 3_000, 1 << 20]))
    live = sum(end > now for end in ends)
    assert engine.count(0, now) == live
    largest = max(largest, live)
    check(draw.sample(range(KEYS), 1_000))
check(range(KEYS))
assert largest > KEYS // 2, largest
now += LIFE_MS_MAX
let_all_end()
assert resident_mib() - before < KEPT_MIB + 4, resident_mib() - before  # values of more than 4 KiB are the C library's
"""


STORIES = {
    "grows": GROWS, "overtaken": OVERTAKEN, "refused": REFUSED, "ebbs": EBBS, "leaves": LEAVES, "tides": TIDES,
}  # fmt: skip


@pytest.mark.parametrize("story", dear.first(2, STORIES))
def test_pages_come_before_a_store_wants_them_and_go_when_it_ends(story: str) -> None:
    code = START + STORIES[story] + "print('ahead')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=500, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("ahead\n", 0), done.stderr[-2000:]
