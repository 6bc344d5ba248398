"""Plants small faults in the C core, one at a time, and counts those that the tests do not notice.

    python -m tests.mutants.native --files table.c merge.c --most 200 --seed 1

Each mutant is one changed place: a comparison, an operator, a constant, a condition or a statement. It is compiled into
a copy of the package in build/mutants, the tests of the engine run against it until the first one fails, and what
survives is printed with its line. A mutant that does not compile does not count. One that hangs or crashes the
interpreter counts as noticed.
"""

import argparse
import os
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = Path("respram/engine/native")
TESTS = ["tests/engine", "tests/test_replica.py"]
# An endless loop takes all of this. It is time of a core: on a machine with other work, tests that take 30 s of a core
# may need ten minutes, and a mutant that outlives them is not to count as noticed.
CPU_S = 240
PATIENCE_S = 3_600  # for who waits for ever and takes no core

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
        return f"{self.file}:{line}: {whole!r}: {source[self.begin : self.end].strip()!r} -> {self.text!r}"


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


class Bench:
    """A copy of the package whose C core can be built anew in a second: one file is compiled, all objects are linked.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        if place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True)
        for name in ("respram", "tests"):
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, place / name)
        self.environment = {**os.environ, "RESPRAM_REQUIRE_NATIVE": "1", "PYTHONPATH": str(place)}
        self.environment.pop("PYTEST_ADDOPTS", None)
        build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", "--force"]
        subprocess.run(build, cwd=place, env=self.environment, check=True, capture_output=True)
        (self.library,) = (place / CORE).glob("_native*.so")
        self.objects = sorted(str(path) for path in (place / "build").rglob("*.o") if path.parts[-2] == "native")
        compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
        flags = shlex.split(sysconfig.get_config_var("CFLAGS") or "")
        own = [
            "-std=c11",
            "-O1",
            "-fPIC",
            "-fvisibility=hidden",
            "-fno-strict-aliasing",
            "-D_GNU_SOURCE",
            "-pthread",
            "-w",
        ]
        self.compile = [*compiler, *flags, *own, f"-I{place / CORE}", f"-I{sysconfig.get_path('include')}"]
        self.link = [*compiler, "-shared", "-pthread"]

    def build(self, file: str, source: str) -> bool:
        (self.place / CORE / file).write_text(source)
        (replaced,) = (path for path in self.objects if Path(path).name == Path(file).stem + ".o")
        made = subprocess.run(
            [*self.compile, "-c", str(self.place / CORE / file), "-o", replaced], capture_output=True, check=False
        )
        if made.returncode:
            return False
        self.library.unlink()  # a mapped library must not change under whoever has it
        return (
            subprocess.run(
                [*self.link, *self.objects, "-o", str(self.library)], capture_output=True, check=False
            ).returncode
            == 0
        )

    def passes(self, tests: list[str]) -> bool:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-k",
            "not pure",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            *tests,
        ]
        try:
            return (
                subprocess.run(
                    command, cwd=self.place, env=self.environment, capture_output=True, check=False, timeout=PATIENCE_S,
                    preexec_fn=partial(resource.setrlimit, resource.RLIMIT_CPU, (CPU_S, CPU_S)),
                ).returncode
                == 0
            )
        except subprocess.TimeoutExpired:
            return False


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--files", nargs="+", default=["table.c", "merge.c"])
    asked.add_argument("--tests", nargs="+", default=TESTS)
    asked.add_argument("--most", type=int, default=200, help="mutants at most, chosen by chance (default 200)")
    asked.add_argument("--seed", type=int, default=1)
    arguments = asked.parse_args()

    bench = Bench(ROOT / "build" / "mutants" / "native")
    if not bench.passes(arguments.tests):
        print("mutants: the tests fail without any fault planted", file=sys.stderr)
        return 1
    sources = {file: (ROOT / CORE / file).read_text() for file in arguments.files}
    every = [mutant for file, source in sources.items() for mutant in mutants(file, source)]
    chosen = random.Random(arguments.seed).sample(every, min(arguments.most, len(every)))
    counts = {file: [0, 0] for file in sources}
    for mutant in chosen:
        source = sources[mutant.file]
        if bench.build(mutant.file, mutant.apply(source)):
            survived = bench.passes(arguments.tests)
            counts[mutant.file][survived] += 1
            if survived:
                print(f"survived: {mutant.describe(source)}", flush=True)
        if not bench.build(mutant.file, source):
            raise RuntimeError(f"{mutant.file} no longer compiles")
    for file, (noticed, alive) in counts.items():
        print(
            f"{file}: {noticed} noticed, {alive} survived, of {sum(mutant.file == file for mutant in every)} possible"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
