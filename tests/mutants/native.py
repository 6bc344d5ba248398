"""Plants small faults in the C core, one at a time, and counts those that the tests do not detect.

    python -m tests.mutants.native --files table.c merge.c --most 200 --seed 1 --processes 2
    python -m tests.mutants.native --files merge.c --most 999 --from build/mutants/native.tsv

Each mutant is one changed place: a comparison, an operator, a constant, a condition or a statement. It is compiled into
a copy of the package in build/mutants, and the tests of the engine run against it until the first one fails. A mutant
that does not compile does not count, nor does one that a compiler translates into the same code. One that hangs or
crashes the interpreter counts as detected.

The tests are collected once and run in a fork for each mutant. Those that cost little come first, and those that have
detected most. Each result is a line of --results at once, so
that a run which was broken off goes on with --from. With --survivors only what survived there is run again: after a
test was written, or with dearer tests.
"""

import argparse
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.first import BEGUN

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = Path("respram/engine/native")
PLACE = Path("build/mutants")
TESTS = ["tests/engine", "tests/test_replica.py"]
FLAGS = "-std=c11 -O2 -g0 -fPIC -fvisibility=hidden -fno-strict-aliasing -D_GNU_SOURCE -pthread -w"
PYTEST = "pytest -q -x -p no:cacheprovider -p no:xdist -p tests.mutants.first --tb no --timeout 0 -k 'not pure'"
# An endless loop takes this many times the time of a core that the tests take without a fault, and a little more. It is
# time of a core, since a mutant that outlives a busy hour is not to count as detected.
CPU_TIMES = 4
CPU_S = 10
MEASURED_S_MAX = 3_600  # of a core, for all tests without a fault
DETECTED, SURVIVED, SAME_CODE, NOT_COMPILED = "detected", "survived", "same code", "not compiled"

# What is changed into what. A place is changed only outside of comments, strings and preprocessor lines.
SWAPS = (
    (r"(?<![<>=!-])<(?![<=])", "<="),
    (r"<=", "<"),
    (r"(?<![<>=!-])>(?![>=])", ">="),
    (r"(?<!>)>=", ">"),
    (r"==", "!="),
    (r"!=", "=="),
    (r"&&", "||"),
    (r"\|\|", "&&"),
    (r"(?<=\s)\+(?=\s)", "-"),
    (r"(?<=\s)-(?=\s)", "+"),
    (r"(?<=[\s(])\*(?=\s)", "+"),
    (r"\+=", "-="),
    (r"-=", "+="),
    (r"(?<=[\s(])!(?=[\w(])", ""),
    (r"(?<![\w.])0(?=[;,)\s])", "1"),
    (r"(?<![\w.])1(?=[;,)\s])", "0"),
    (r"\bcontinue;", "break;"),
    (r"\bbreak;", ";"),
)
# A call or an assignment that stands alone on its line.
STATEMENT = re.compile(r"^\s+(?!return\b|goto\b|else\b|[A-Za-z_]\w* \*?\w+ =)[A-Za-z_*(][^{}]*;\s*$")
HIDDEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|^\s*#[^\n]*", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    file: str
    begin: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        return source[: self.begin] + self.text + source[self.end :]

    def describe(self, source: str) -> str:
        line = source.count("\n", 0, self.begin) + 1
        start = source.rfind("\n", 0, self.begin) + 1
        whole = source[start : source.find("\n", self.begin)].strip()
        return (
            f"{self.file}:{line}:{self.begin - start}: {whole!r}: {source[self.begin : self.end].strip()!r} -> "
            f"{self.text!r}"
        )


def mutants(file: str, source: str) -> Iterator[Mutant]:
    plain = HIDDEN.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), source)
    for pattern, text in SWAPS:
        for found in re.finditer(pattern, plain):
            yield Mutant(file, found.start(), found.end(), text)
    at = 0
    for line in plain.splitlines(keepends=True):
        if STATEMENT.match(line):
            indent = len(line) - len(line.lstrip())
            yield Mutant(file, at + indent, at + len(line.rstrip()), ";")
        at += len(line)


@dataclass(frozen=True, slots=True)
class Result:
    outcome: str
    seconds: float
    test: str  # which detected it
    mutant: str


class Order:
    """Of the tests, for all benches: by price, and by how many faults each has detected."""

    def __init__(self, price_max_s: float) -> None:
        self.price_max_s = price_max_s
        self.prices: dict[str, float] = {}
        self.detected: Counter[str] = Counter()

    def ranks(self) -> dict[str, float]:
        return {
            test: price / (1 + self.detected[test]) for test, price in self.prices.items() if price <= self.price_max_s
        }


class Bench:
    """A copy of the package whose C core is built anew in a second: one file is compiled, all objects are linked."""

    def __init__(self, place: Path, tests: list[str], order: Order) -> None:
        self.place = place
        self.tests = tests
        self.order = order
        self.cpu_s = MEASURED_S_MAX
        if place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True)
        for name in ("respram", "tests"):
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, place / name)
        self.told = place / "told.txt"
        self.environment = {**os.environ, "RESPRAM_REQUIRE_NATIVE": "1", "PYTHONPATH": str(place)}
        self.environment.pop("PYTEST_ADDOPTS", None)
        build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", "--force"]
        subprocess.run(build, cwd=place, env=self.environment, check=True, capture_output=True)
        (self.library,) = (place / CORE).glob("_native*.so")
        self.objects = {
            path.stem: str(path) for path in (place / "build").rglob("*.o") if path.parts[-2] == "native"
        }
        compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
        flags = shlex.split(sysconfig.get_config_var("CFLAGS") or "")
        own = shlex.split(FLAGS)
        self.compile = [*compiler, *flags, *own, f"-I{place / CORE}", f"-I{sysconfig.get_path('include')}"]
        self.link = [*compiler, "-shared", "-pthread"]
        self.codes: dict[str, bytes] = {}  # of the files without a fault
        self.start()

    def compiled(self, file: str, source: str) -> bytes | None:
        """The object of a source; none: it does not compile. It takes the place of the file's."""
        (self.place / CORE / file).write_text(source)
        written = Path(self.objects[Path(file).stem])
        made = subprocess.run(
            [*self.compile, "-c", str(self.place / CORE / file), "-o", str(written)], capture_output=True, check=False
        )
        return written.read_bytes() if not made.returncode else None

    def linked(self) -> bool:
        self.library.unlink(missing_ok=True)  # a mapped library must not change under whoever has it
        link = [*self.link, *self.objects.values(), "-o", str(self.library)]
        return subprocess.run(link, capture_output=True, check=False).returncode == 0

    def start(self) -> None:
        """pytest, which collects the tests and waits for faults."""
        asked, self.asked = os.pipe()
        ended, said = os.pipe()
        self.ended = os.fdopen(ended)
        told = os.open(self.told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        environment = {**self.environment, "MUTANTS_FDS": f"{asked} {said} {told}"}
        subprocess.Popen(
            [sys.executable, "-m", *shlex.split(PYTEST), *self.tests],
            cwd=self.place, env=environment, stdin=subprocess.DEVNULL, stdout=(self.place / "pytest.txt").open("w"),
            pass_fds=(asked, said, told),
        )
        for file in (asked, said, told):
            os.close(file)

    def passes(self) -> bool:
        self.told.write_text("")
        os.write(self.asked, f"{json.dumps([self.order.ranks(), self.cpu_s])}\n".encode())
        status = self.ended.readline()
        if not status:
            raise RuntimeError(f"the tests cannot be collected: see {self.place / 'pytest.txt'}")
        return int(status) == 0

    def last_begun(self) -> str:
        begun = [line.partition("\t")[2] for line in self.told.read_text().splitlines() if line.startswith(BEGUN)]
        return begun[-1] if begun else "none: it does not start"

    def measure(self) -> bool:
        """What the tests cost without a fault; false: they fail."""
        if not self.passes():
            return False
        for line in self.told.read_text().splitlines():
            seconds, _, test = line.partition("\t")
            if seconds != BEGUN:
                self.order.prices[test] = float(seconds) + 0.001
        self.cpu_s = int(sum(self.order.prices[test] for test in self.order.ranks()) * CPU_TIMES) + CPU_S
        return True

    def run(self, mutant: Mutant, source: str) -> Result:
        began = time.monotonic()
        if mutant.file not in self.codes:
            self.codes[mutant.file] = self.compiled(mutant.file, source) or b""
        described, test = mutant.describe(source), ""
        code = self.compiled(mutant.file, mutant.apply(source))
        if code is None or code == self.codes[mutant.file]:
            outcome = NOT_COMPILED if code is None else SAME_CODE
        elif not self.linked():
            outcome = NOT_COMPILED
        elif self.passes():
            outcome = SURVIVED
        else:
            outcome, test = DETECTED, self.last_begun()
            self.order.detected[test] += 1
        # the next mutant may be of another file
        (self.place / CORE / mutant.file).write_text(source)
        Path(self.objects[Path(mutant.file).stem]).write_bytes(self.codes[mutant.file])
        return Result(outcome, time.monotonic() - began, test, described)


def read(file: Path) -> dict[str, Result]:
    """The results of a run, the last of each mutant."""
    results = {}
    for line in file.read_text().splitlines():
        outcome, seconds, test, mutant = line.split("\t", 3)
        results[mutant] = Result(outcome, float(seconds), test, mutant)
    return results


class Run:
    """Mutants on some benches at once, each result a line of the file and of the output."""

    def __init__(self, benches: list[Bench], results: Path, count: int) -> None:
        self.benches: SimpleQueue[Bench] = SimpleQueue()
        for bench in benches:
            self.benches.put(bench)
        self.results = results
        self.count = count
        self.counts: Counter[str] = Counter()
        self.began = time.monotonic()
        self.lock = threading.Lock()

    def one(self, mutant: Mutant, source: str) -> None:
        bench = self.benches.get()
        try:
            result = bench.run(mutant, source)
        finally:
            self.benches.put(bench)
        with self.lock:
            self.tell(result)

    def tell(self, result: Result) -> None:
        with self.results.open("a") as file:
            file.write(f"{result.outcome}\t{result.seconds:.1f}\t{result.test}\t{result.mutant}\n")
        self.counts[result.outcome] += 1
        done = sum(self.counts.values())
        if result.outcome == SURVIVED:
            print(f"survived: {result.mutant}", flush=True)
        print(
            f"{done}/{self.count} detected {self.counts[DETECTED]}, survived {self.counts[SURVIVED]}, "
            f"{(time.monotonic() - self.began) / done:.1f} s each",
            flush=True,
        )


def wanted(arguments: argparse.Namespace, sources: dict[str, str]) -> list[Mutant]:
    every = [mutant for file, source in sources.items() for mutant in mutants(file, source)]
    print(f"{len(every)} mutants are possible in {', '.join(sources)}", flush=True)
    chosen = random.Random(arguments.seed).sample(every, min(arguments.most, len(every)))
    known = read(arguments.since) if arguments.since else {}
    told = {mutant: known.get(mutant.describe(sources[mutant.file])) for mutant in chosen}
    if arguments.survivors:
        return [mutant for mutant, result in told.items() if result and result.outcome == SURVIVED]
    return [mutant for mutant, result in told.items() if not result]


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--files", nargs="+", default=["table.c", "merge.c"])
    asked.add_argument("--tests", nargs="+", default=TESTS)
    asked.add_argument("--most", type=int, default=200, help="mutants at most, chosen by chance (default 200)")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--price", type=float, default=MEASURED_S_MAX, help="leave out tests that take more seconds")
    asked.add_argument("--processes", type=int, default=1)
    asked.add_argument("--results", type=Path, default=ROOT / PLACE / "native.tsv")
    asked.add_argument("--from", dest="since", type=Path, help="results: what is in them is not run again")
    asked.add_argument("--survivors", action="store_true", help="run again what survived there, and nothing else")
    arguments = asked.parse_args()
    if arguments.survivors and not arguments.since:
        asked.error("--survivors needs --from")

    order = Order(arguments.price)
    if arguments.since:
        order.detected.update(result.test for result in read(arguments.since).values() if result.outcome == DETECTED)
    benches = [
        Bench(ROOT / PLACE / f"native-{number}", arguments.tests, order) for number in range(arguments.processes)
    ]
    if not all(bench.measure() for bench in benches):
        print("mutants: the tests fail without any fault planted", file=sys.stderr)
        return 1
    sources = {file: (ROOT / CORE / file).read_text() for file in arguments.files}
    chosen = wanted(arguments, sources)
    if not arguments.since:
        arguments.results.write_text("")
    elif arguments.since.resolve() != arguments.results.resolve():
        shutil.copy(arguments.since, arguments.results)
    run = Run(benches, arguments.results, len(chosen))
    with ThreadPoolExecutor(arguments.processes) as pool:
        for _ in pool.map(lambda mutant: run.one(mutant, sources[mutant.file]), chosen):
            pass
    every = read(arguments.results).values()
    for file in sources:
        counts = Counter(result.outcome for result in every if result.mutant.startswith(f"{file}:"))
        print(f"{file}: " + ", ".join(f"{counts[what]} {what}" for what in (DETECTED, SURVIVED, SAME_CODE)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
