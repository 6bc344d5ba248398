"""`python -m compat.matrix`: runs clients and frameworks as others wrote them against a node, and writes what came of
it.

Each run has two nodes of its own, one open (with TLS beside it) and one with a password, so that no client
meets what another left. A program speaks the lines of `compat/verdict.py`. Each framework runs twice more: on nodes
that may let go, and on redis-server, which says what each check should have come to there. Exit code 0: nothing failed.
1: something did, or with --require something could not be run. 2: wrong arguments.

`compat/RESULTS.md` and the line in the README are written when everything was asked for; a part of the matrix prints
its table only. What each entry came to is kept under `build/compat`: with --kept, an entry that was run before is not
run again, so that all of it can be run in pieces.
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compat import install
from compat.entries import ROOT, Entry, EntryError, Run, entries
from compat.install import PYTHON, NotInstalledError, prepared
from compat.results import Row, page, rows_from, rows_into, summary, table, with_summary
from compat.stages import PASSWORD, TLS, Nodes, Redis, Stage
from compat.tls import issue
from compat.verdict import Verdict, judge, with_load

LINES_MAX = 20_000  # lines of output of one program; more are a fault of the program
TAIL_LINES = 40  # lines shown of a run that failed
LET_GO = ("--let-go", "all")
TIME_UP = "the time of the whole matrix was up"
PEERS = 3  # nodes of the enclave that an entry may ask for
KILL_S = 5.0  # from SIGTERM to SIGKILL


# What this process has started: programs are sessions of their own and would outlive it.
RUNNING: "set[subprocess.Popen[str]]" = set()
STAGES: list[Stage] = []


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    try:
        known = entries()
    except (EntryError, OSError, ValueError) as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 2
    unknown = [name for name in args.names if name not in {entry.name for entry in known}]
    if unknown:
        print(f"matrix: no entry {unknown[0]!r}; there are {', '.join(entry.name for entry in known)}", file=sys.stderr)
        return 2
    chosen = [
        entry for entry in known if (not args.names or entry.name in args.names) and (entry.core or not args.core)
    ]
    if args.list:
        print("\n".join(f"{entry.group}/{entry.name}" for entry in chosen))
        return 0
    issue(TLS)
    began = time.monotonic()
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with ThreadPoolExecutor(args.jobs) as pool:
            work = [pool.submit(_enter, entry, args.engine, began + args.seconds, kept=args.kept) for entry in chosen]
            rows = [row for one in work for row in one.result()]
    finally:
        signal.signal(signal.SIGTERM, before)
    print(table(rows))
    print(summary(rows))
    for row in rows:
        if not row.verdict.missing and not row.verdict.is_good:
            print(f"matrix: {row.line()}")  # once more: of a long output the end is what is read
    if args.results or not args.names and not args.core:
        Path(args.results or ROOT / "RESULTS.md").write_text(page(rows, engine_of(args.engine)))
    if not args.names and not args.core:
        readme = ROOT.parent / "README.md"
        readme.write_text(with_summary(readme.read_text(), summary(rows)))
    lost = [row for row in rows if row.verdict.missing]
    return int(any(not row.verdict.is_good for row in rows if not row.verdict.missing) or args.require and bool(lost))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m compat.matrix", description="real clients and frameworks against respram"
    )
    parser.add_argument("names", nargs="*", help="entries; all when none is named")
    parser.add_argument("--core", action="store_true", help="those that need little to install")
    parser.add_argument("--engine", default="auto", choices=("auto", "native", "pure"))
    parser.add_argument("--jobs", type=int, default=2, help="entries at a time")
    parser.add_argument("--seconds", type=float, default=3600.0, help="no run begins later than this")
    parser.add_argument("--kept", action="store_true", help="what was run before is taken as it was, and not run again")
    parser.add_argument("--require", action="store_true", help="what cannot be run is a failure")
    parser.add_argument("--results", help="where to write the page, whatever was asked for")
    parser.add_argument("--list", action="store_true", help="print the entries, run none")
    return parser.parse_args(argv)


def engine_of(asked: str) -> str:
    """Which one a node takes."""
    if asked != "auto":
        return asked
    return "native" if importlib.util.find_spec("respram.engine.native._native") else "pure"


# -- one entry ------------------------------------------------------------------------------------
def _enter(entry: Entry, engine: str, deadline: float, *, kept: bool = False) -> list[Row]:
    place = install.CACHE / "rows" / f"{entry.group}-{entry.name}.json"
    if kept and place.exists():
        return rows_from(entry, place.read_text())
    rows = _run(entry, engine, deadline)
    if not any(row.verdict.missing == TIME_UP for row in rows):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(rows_into(rows))
    return rows


def _run(entry: Entry, engine: str, deadline: float) -> list[Row]:
    rows = []
    try:
        folder = prepared(entry)
    except NotInstalledError as error:
        return [Row(entry, run, Verdict(missing=str(error)), 0.0) for run in entry.runs]
    for run in entry.runs:
        began = time.monotonic()
        if began > deadline:
            rows.append(Row(entry, run, Verdict(missing=TIME_UP), 0.0))
            continue
        before = os.getloadavg()[0]
        verdict, tail = _perform(entry, run, folder, Nodes(engine_of(engine)))
        verdict = with_load(verdict, max(before, os.getloadavg()[0]), os.cpu_count() or 1)
        given = wanted = None
        if entry.group == "frameworks" and not run.cluster and shutil.which("redis-server"):
            given = _perform(entry, run, folder, Nodes(engine_of(engine), LET_GO))[0]
            wanted = _perform(entry, run, folder, Redis())[0]
        rows.append(Row(entry, run, verdict, time.monotonic() - began, given, wanted))
        print(rows[-1].line(), flush=True)
        if not verdict.missing and not verdict.is_good:
            print("\n".join(f"    | {line}" for line in tail), flush=True)
    return rows


def _perform(entry: Entry, run: Run, folder: Path, stage: Stage) -> tuple[Verdict, list[str]]:
    STAGES.append(stage)
    try:
        stage.open(PEERS if entry.enclave or run.cluster else 0, run.cluster)
        lines, ended = _converse(entry, run, folder, stage)
        return judge(lines, entry.checks_of(run), ended), lines[-TAIL_LINES:]
    except (AssertionError, OSError) as error:  # a node that did not start or stop, or a program that is not installed
        return judge([], entry.checks_of(run), " ".join(str(error).split())), []
    finally:
        with contextlib.suppress(AssertionError):
            stage.close()
        STAGES.remove(stage)


def _converse(entry: Entry, run: Run, folder: Path, stage: Stage) -> tuple[list[str], str]:
    """The lines of the program, and why it ended if not by itself with exit code 0."""
    command = [word.replace("{python}", str(folder / PYTHON)).replace("{folder}", str(folder)) for word in run.command]
    process = subprocess.Popen(
        command, cwd=folder, env=_variables(stage, run), text=True, errors="replace", bufsize=1,
        start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin and process.stdout
    RUNNING.add(process)
    late = threading.Event()

    def be_late() -> None:
        late.set()
        _end(process)

    timer = threading.Timer(entry.seconds, be_late)
    timer.start()
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            answer = stage.obey(line.strip())
            if answer:
                with contextlib.suppress(BrokenPipeError):  # its last lines are still to be read
                    process.stdin.write(f"{answer}\n")
                    process.stdin.flush()
            if line.strip() == "done" or len(lines) > LINES_MAX:
                break
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_S)
    finally:
        timer.cancel()
        _end(process)
        RUNNING.discard(process)
        process.stdout.close()
    if late.is_set():
        return lines, f"no end within {entry.seconds:.0f} s"
    return lines, "" if lines and lines[-1].strip() == "done" else f"exit code {process.returncode}"


def _stop(number: int, _: object) -> None:
    """Ends everything at once: whoever asks for it has no time for a result."""
    for process in list(RUNNING):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for stage in list(STAGES):
        stage.kill()
    os._exit(128 + number)


def _end(process: "subprocess.Popen[str]") -> None:
    """The program and whatever it started, by its own process group: asked first, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_S)


def _variables(stage: Stage, run: Run) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RESPRAM_", "PYTHON", "REDIS"))},
        "RESPRAM_HOST": "127.0.0.1",
        "RESPRAM_PORT": str(stage.port),
        "RESPRAM_SOCKET": stage.socket if run.socket else "",
        "RESPRAM_AUTH_PORT": str(stage.auth_port),
        "RESPRAM_PASSWORD": PASSWORD,
        "RESPRAM_TLS_PORT": str(stage.tls_port),
        "RESPRAM_TLS_CA": str(TLS / "ca.pem"),
        "RESPRAM_ENCLAVE": ",".join(map(str, stage.peer_ports)),
        "RESPRAM_SOURCE": str(ROOT.parent),
        "PYTHONUNBUFFERED": "1",
    }


if __name__ == "__main__":
    sys.exit(main())
