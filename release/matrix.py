"""Runs the tests on every Python that respram promises and this machine has: `make matrix` (ARGS="tests/engine -k
expire").

Each gets an environment and a copy of the tree of its own in build/matrix, with the locked packages, and builds the
native engine there. What is missing is named: a result that does not name a version says nothing about it. `--require
3.12,3.13` makes the absence of those a failure, as in CI.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from release.interpreters import PROMISED, Interpreter, find, missing

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "matrix"
# Tests that hold a node to times of a few ms belong to a quiet machine, and to one version.
TESTS = (
    "-m", "not slow", "--ignore=tests/abuse", "--ignore=tests/peers", "--ignore=tests/benchmarks/test_load.py", "tests",
)  # fmt: skip


class Outcome(NamedTuple):
    python: Interpreter
    passed: bool
    last: str  # last line of pytest's output, or of the step that failed
    seconds: float


def tracked() -> list[str]:
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def copy_tree(target: Path) -> None:
    """The working tree as git sees it, without what was built here."""
    shutil.rmtree(target, ignore_errors=True)
    for name in tracked():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)


def run_in(folder: Path, log: Path, words: list[str]) -> bool:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "VIRTUAL_ENV"))}
    with log.open("ab") as file:
        file.write(f"$ {' '.join(words)}\n".encode())
        file.flush()
        done = subprocess.run(
            words,
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
            env=env | {"RESPRAM_REQUIRE_NATIVE": "1"},
        )
    return done.returncode == 0


def steps(python: Interpreter, venv: Path, arguments: list[str], workers: str) -> list[list[str]]:
    own = str(venv / "bin" / "python")
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [
        [python.path, "-m", "venv", "--clear", str(venv)],
        [*pip, "--require-hashes", "-r", "requirements.lock"],
        [*pip, "--require-hashes", "-r", "requirements-dev.lock"],
        [*pip, "--no-build-isolation", "--no-deps", "-e", "."],
        [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", workers, *(arguments or TESTS)],
    ]


def test_on(python: Interpreter, arguments: list[str], workers: str) -> Outcome:
    began = time.monotonic()
    folder, log = WORK / python.name, WORK / f"{python.name}.log"
    folder.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    copy_tree(folder / "tree")
    for words in steps(python, folder / "venv", arguments, workers):
        if not run_in(folder / "tree", log, words):
            break
    else:
        return Outcome(python, True, _last_line(log), time.monotonic() - began)
    return Outcome(python, False, f"{_last_line(log)} (see {log.relative_to(ROOT)})", time.monotonic() - began)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip("= ") if lines else "nothing was printed"


def report(outcomes: list[Outcome], absent: list[str]) -> str:
    lines = [
        f"matrix: {one.python.name:5} ({one.python.version}) {'passed' if one.passed else 'FAILED'} "
        f"in {one.seconds:.0f} s: {one.last}"
        for one in outcomes
    ]
    return "\n".join(lines + [f"matrix: {name:5} is not on this machine; not tested" for name in absent])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="versions, separated by commas")
    parser.add_argument("--require", default="", help="versions whose absence is a failure")
    parser.add_argument("--workers", default="auto")
    args, arguments = parser.parse_known_args()
    found = find()
    wanted = [name for name in PROMISED if not args.only or name in args.only.split(",")]
    required = {name for name in args.require.split(",") if name}
    absent = [name for name in missing(found) if name in wanted]
    outcomes = []
    for name in wanted:
        if name in found:
            print(f"matrix: {name} ({found[name].version})", flush=True)
            outcomes.append(test_on(found[name], arguments, args.workers))
    print(report(outcomes, absent))
    if not outcomes:
        print("matrix: none of the promised versions is here", file=sys.stderr)
    return int(not outcomes or not all(one.passed for one in outcomes) or bool(required & set(absent)))


if __name__ == "__main__":
    sys.exit(main())
