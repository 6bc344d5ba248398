"""`python -m compat.applications`: does what an application's users do, logging out and unlocking included, on three
servers.

redis-server proves the program: every check must pass there. Then a node as it comes, and one whose default user may
let go (`--let-go`). The page compat/APPLICATIONS.md is written when all was asked for; a part prints its table only. An
entry is a folder here with an `entry.toml` as `compat/entries.py` describes it, and a program that speaks the lines of
`compat/verdict.py`. It finds its server in RESPRAM_HOST and RESPRAM_PORT. Nothing that is installed is kept in the
tree.

Exit code 0: every program passed on redis-server. 1: one did not. 2: wrong arguments.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from compat.entries import ROOT, Entry, Run, read_entry
from compat.install import PYTHON, NotInstalledError, prepared
from compat.matrix import engine_of
from compat.reference import redis_server
from compat.verdict import Verdict, judge
from tests.live import start

FOLDER = Path(__file__).parent
PAGE = ROOT / "APPLICATIONS.md"
LET_GO = "all"
SERVERS = ("Redis", "as it comes", "with --let-go")
HEAD = "| application | version | Redis | as it comes | with `--let-go` | what differs |"
HEAD_LINES = 2  # lines of the table's head
REASON_CHARS = 110  # of a failure's reason, as shown on the page
Row = tuple[Entry, Run, dict[str, Verdict]]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m compat.applications", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("names", nargs="*", help="entries; all when none is named")
    parser.add_argument(
        "--into-page", action="store_true", help="put the rows of the named entries into the page, beside the others'"
    )
    parser.add_argument("--seconds", type=float, default=3600.0, help="no program begins later than this")
    args = parser.parse_args(argv)
    known = [read_entry(path.parent) for path in sorted(FOLDER.glob("*/entry.toml"))]
    unknown = [name for name in args.names if name not in {entry.name for entry in known}]
    if unknown or shutil.which("redis-server") is None:
        print(
            f"applications: {'no entry ' + unknown[0] if unknown else 'no redis-server on this machine'}",
            file=sys.stderr,
        )
        return 2
    began = time.monotonic()
    rows = [
        row
        for entry in known
        if not args.names or entry.name in args.names
        for row in enter(entry, began + args.seconds)
    ]
    print(table(rows))
    if not args.names:
        PAGE.write_text(page(table(rows).splitlines()[HEAD_LINES:]))
    elif args.into_page:
        PAGE.write_text(page(merged(PAGE.read_text(), table(rows).splitlines()[HEAD_LINES:])))
    proven = [verdicts[SERVERS[0]] for _, _, verdicts in rows]
    return int(any(not verdict.is_good for verdict in proven if not verdict.missing))


def enter(entry: Entry, deadline: float) -> list[Row]:
    try:
        folder = prepared(entry)
    except NotInstalledError as error:
        return [(entry, run, dict.fromkeys(SERVERS, Verdict(missing=str(error)))) for run in entry.runs]
    rows = []
    for run in entry.runs:
        verdicts: dict[str, Verdict] = {}
        for server in SERVERS:
            if time.monotonic() > deadline:
                verdicts[server] = Verdict(missing="the time was up")
                continue
            with serving(server) as port:
                lines, ended = perform(entry, run, folder, port)
            verdicts[server] = judge(lines, (), ended)
            print(f"{name_of(entry, run)} | {server}: {verdicts[server].word}", flush=True)
            if server == SERVERS[0] and not verdicts[server].is_good:
                print("\n".join(f"    | {line}" for line in lines[-30:]), flush=True)
        rows.append((entry, run, verdicts))
    return rows


@contextlib.contextmanager
def serving(server: str) -> Iterator[int]:
    """A server of its own for each run; where it listens."""
    if server != SERVERS[0]:
        node = start(*(("--let-go", LET_GO) if server == SERVERS[2] else ()), engine=engine_of("auto"))
        try:
            yield node.port
        finally:
            node.stop()
            node.log_path.unlink(missing_ok=True)
        return
    reference = redis_server()
    try:
        yield reference.port
    finally:
        reference.stop()


def perform(entry: Entry, run: Run, folder: Path, port: int) -> tuple[list[str], str]:
    """The lines of the program, and why it ended if not by itself with exit code 0."""
    command = [word.replace("{python}", str(folder / PYTHON)).replace("{folder}", str(folder)) for word in run.command]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RESPRAM_", "PYTHON", "REDIS"))}
    env |= {"RESPRAM_HOST": "127.0.0.1", "RESPRAM_PORT": str(port), "RESPRAM_AUTH_PORT": "0", "RESPRAM_PASSWORD": ""}
    env |= {"RESPRAM_TLS_PORT": "", "RESPRAM_TLS_CA": "", "RESPRAM_ENCLAVE": "", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=folder, env=env, text=True, errors="replace", start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    late = ""
    try:
        out, _ = process.communicate(timeout=entry.seconds)
    except subprocess.TimeoutExpired:
        late = f"no end within {entry.seconds:.0f} s"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        out, _ = process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)  # the processes that it started
    lines = out.splitlines()
    return lines, late or ("" if lines and lines[-1].strip() == "done" else f"exit code {process.returncode}")


# -- the page ---------------------------------------------------------------------------------------
def name_of(entry: Entry, run: Run) -> str:
    return f"{entry.title} {run.name}".strip()


def cell(verdict: Verdict) -> str:
    if verdict.missing:
        return "not run"
    return "works" if verdict.is_good else f"{verdict.passed} of {verdict.counted}"


def differs(verdict: Verdict) -> str:
    failed = [f"{check.name}: {check.reason}" for check in verdict.named("fail")]
    text = verdict.missing or (failed[0] if failed else "")
    return text[:REASON_CHARS].replace("|", "\\|")


def table(rows: list[Row]) -> str:
    lines = [HEAD, "|---|---|---|---|---|---|"]
    for entry, run, verdicts in rows:
        first, plain, given = (verdicts[server] for server in SERVERS)
        said = differs(given) or (f"as it comes: {differs(plain)}" if differs(plain) else "")
        lines.append(
            f"| {name_of(entry, run)} | {first.version} | {cell(first)} | {cell(plain)} | {cell(given)} | {said} |"
        )
    return "\n".join(lines)


def cells(line: str) -> list[str]:
    return [one.strip() for one in line.strip("| ").split(" | ")]


def merged(before: str, lines: list[str]) -> list[str]:
    """The lines of a page's table with some of them replaced or added, by the names of the applications."""
    known = {cells(line)[0]: line for line in before.splitlines() if line.startswith("| ")}
    known.pop(cells(HEAD)[0], None)
    return list((known | {cells(line)[0]: line for line in lines}).values())


def page(lines: list[str]) -> str:
    ran = [found for found in map(cells, lines) if found[2] != "not run"]
    plain = sum(found[3] == "works" for found in ran)
    given = sum(found[4] == "works" for found in ran)
    lines = [HEAD, "|---|---|---|---|---|---|", *sorted(lines, key=str.lower)]
    return (
        "# Real applications, unmodified\n\n"
        "Written by `make applications`. Each does what its users do, logging out, deleting, unlocking and expiring "
        "included, through "
        f"nothing but its Redis address. Of {len(ran)} that ran, {plain} work on a node as it comes and {given} where "
        "the right to let go is "
        f"given (`--let-go {LET_GO}`). `n of m`: so many of its checks pass.\n\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
