"""Runs the whole suite over a package that counts, and prints which lines of Python and of C it never reached.

`make coverage` makes the copy of the tree and starts this in it: the C core there is built with --coverage. Nodes that
tests start as processes of their own are counted too: coverage.py starts with each interpreter, and gcov adds up in
files.
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path.cwd()
LISTED = 25  # files that are named with the lines that no test reaches
CONFIG = """[run]
source = respram
parallel = true
concurrency = thread, greenlet
core = sysmon
patch = subprocess
sigterm = true
"""


def run(arguments: list[str]) -> int:
    (HERE / ".coveragerc").write_text(CONFIG if sys.version_info >= (3, 12) else CONFIG.replace("core = sysmon\n", ""))
    environment = {
        **os.environ,
        "COVERAGE_PROCESS_START": str(HERE / ".coveragerc"),
        "COVERAGE_FILE": str(HERE / ".coverage"),
        "TESTS_FORK": "no",  # it starts with an interpreter
    }
    selected = arguments or ["-m", "not slow"]
    command = [
        sys.executable,
        "-m",
        "coverage",
        "run",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n",
        "3",
        *selected,
    ]
    ended = subprocess.run(command, env=environment, check=False).returncode
    subprocess.run([sys.executable, "-m", "coverage", "combine", "--quiet"], env=environment, check=True)
    subprocess.run(
        [sys.executable, "-m", "coverage", "json", "--quiet", "-o", "coverage.json"], env=environment, check=True
    )
    return ended


def of_python() -> dict[str, tuple[int, int, list[int]]]:
    """File to its lines, those that ran, and those that did not."""
    report = json.loads((HERE / "coverage.json").read_text())
    return {
        name: (one["summary"]["num_statements"], one["summary"]["covered_lines"], one["missing_lines"])
        for name, one in report["files"].items()
    }


def of_c() -> dict[str, tuple[int, int, list[int]]]:
    lines: dict[str, dict[int, int]] = defaultdict(dict)
    for notes in (HERE / "build").rglob("*.gcno"):
        told = subprocess.run(
            ["gcov", "--json-format", "--stdout", str(notes)], capture_output=True, check=False
        ).stdout
        for text in told.splitlines():
            for file in json.loads(text)["files"]:
                if re.search(r"respram/engine/native/\w+\.[ch]$", file["file"]):
                    of_file = lines[Path(file["file"]).name]
                    for line in file["lines"]:
                        number = line["line_number"]
                        of_file[number] = max(of_file.get(number, 0), line["count"])
    return {
        f"respram/engine/native/{name}": (
            len(of),
            sum(map(bool, of.values())),
            sorted(n for n, count in of.items() if not count),
        )
        for name, of in lines.items()
    }


def ranges(numbers: list[int]) -> str:
    out: list[list[int]] = []
    for number in numbers:
        if out and number <= out[-1][1] + 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in out)


def table(title: str, files: dict[str, tuple[int, int, list[int]]]) -> None:
    every, reached = sum(one[0] for one in files.values()), sum(one[1] for one in files.values())
    print(f"\n{title}: {reached} of {every} lines, {100 * reached / max(every, 1):.1f}%")
    for name, (_, _, missing) in sorted(files.items(), key=lambda item: -len(item[1][2]))[:LISTED]:
        if missing:
            print(f"  {len(missing):4} {name}: {ranges(missing)}")


def main() -> int:
    ended = run(sys.argv[1:])
    table("Python", of_python())
    table("C", of_c())
    return ended


if __name__ == "__main__":
    sys.exit(main())
