"""The witnesses of the machine: what they tell, and what is taken off a wait for it."""

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.drive import run_load
from benchmarks.machine import FIRST, Affinity, affinity, precedence
from benchmarks.servers import KINDS, Programs, compiled, serving
from benchmarks.witness import Span, Watch, united, watching
from tests.live import SOON_S

SPANS = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=20)


@given(SPANS, st.tuples(st.integers(0, 300), st.integers(1, 100)))
def test_what_is_left_of_a_wait_is_the_moments_in_no_gap(spans: list[Span], wait: Span) -> None:
    watch = Watch(gaps=united(spans))
    gone = {moment for start, length in spans for moment in range(start, start + length)}
    assert watch.own_ns(wait) == len(set(range(wait[0], wait[0] + wait[1])) - gone)
    assert watch.total_ns == len(gone)
    assert all(a[0] + a[1] < b[0] for a, b in zip(watch.gaps, watch.gaps[1:], strict=False))


def test_processors_that_are_shared_have_no_witness() -> None:
    programs = Programs(Path("floor"), Path("load"), Path("witness"))
    with watching(programs, Affinity(frozenset({0, 1, 2}), frozenset({0, 1, 2}))) as watch:
        assert "no processor each" in watch.why_not


def test_where_nothing_may_take_precedence_the_page_can_say_so(tmp_path: Path) -> None:
    refused = tmp_path / "witness"
    refused.write_text("#!/bin/sh\necho 'witness: Operation not permitted' >&2\nexit 3\n")
    refused.chmod(0o755)
    programs = Programs(Path("floor"), Path("load"), refused)
    with watching(programs, Affinity(frozenset({0}), frozenset({1}))) as watch:
        assert "Operation not permitted" in watch.why_not


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a processor each for server and client")
@pytest.mark.timing
def test_a_server_that_stops_is_not_excused() -> None:
    where = affinity(True)
    with compiled() as programs, serving(KINDS["floor"], programs, where) as server, watching(programs, where) as watch:
        if watch.why_not:
            pytest.skip(watch.why_not)
        threading.Timer(0.3, os.kill, (server.pid, signal.SIGSTOP)).start()
        threading.Timer(0.6, os.kill, (server.pid, signal.SIGCONT)).start()
        argv = [str(programs.load), "--port", str(server.port), "--op", "idle", "--probe", "--seconds", "1"]
        began_ns = time.monotonic_ns()
        found = run_load(argv, where)
    start, length = max(found["waits"], key=lambda wait: wait[1])
    assert length > 250_000_000
    assert began_ns <= start <= time.monotonic_ns()
    # The machine may have been away for a part of it, on a bad day; it was not away for all.
    assert watch.own_ns((start, length)) > 100_000_000


def test_what_takes_precedence_hands_it_on_and_gives_it_back() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, before)
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    except OSError:
        pytest.skip("nothing may take precedence here")
    os.setpriority(os.PRIO_PROCESS, 0, before)
    with precedence():
        child = subprocess.run(["nice"], capture_output=True, text=True, timeout=SOON_S, check=True)
    assert int(child.stdout) == FIRST
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
