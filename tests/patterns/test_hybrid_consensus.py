"""docs/patterns/hybrid-consensus.md: its commands are run one after the other in a shell, and answer as the page says.

Numbers differ from run to run, so they are compared by kind: none, some; a node's number; an address. Everything else
must be the page's to the letter.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import reserve

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/patterns/hybrid-consensus.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGE_S = 600.0  # for all of it; 20 are usual, and a busy machine is no failure
PORT = 6379  # the first node's on the page; the others follow, peers are 10,000 above
MARK = "-- command"


def transcript(page: str) -> list[tuple[str, str]]:
    """Each command of the page with the output printed below it."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(BLOCK.findall(page)).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in found]


def moved(text: str, by: int) -> str:
    """The text with the page's ports `by` higher."""
    return re.sub(r"\b(1?)(63(?:79|8\d))\b", lambda match: str(int(match[0]) + by), text)


def kind(output: str) -> str:
    """What must be alike in two runs. A number alone on its line stays; elsewhere any but nothing becomes N."""
    output = re.sub(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])", "NODE", output)
    output = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", output)
    # a busy machine may have repaired one while the node joined, or all before the dump brought them
    output = re.sub(r"(?<=records_repaired:)\d+|(?<=bootstrap_records:)\d+", "SOME", output)
    output = re.sub(r"(?<=records=)\d+(?= bytes=)|(?<= bytes=)\d+", "SOME", output)
    lines = (
        line if line.isdigit() else re.sub(r"(?<![\w.])(?!0\b)\d[\d.]*s?\b", "N", line) for line in output.splitlines()
    )
    return "\n".join(lines)


def performed(commands: list[str], folder: Path) -> list[str]:
    """The output of each command, all in one bash, with the page's names for program and checkout."""
    by = reserve(beside=(1, 2, 3, 10_000, 10_001, 10_002, 10_003)) - PORT  # peers are 10,000 higher
    programs = folder / "bin"
    programs.mkdir()
    for name, words in (("respram", "-m respram "), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (programs / name).chmod(0o755)
    script: list[str] = []
    for command in commands:
        script += [f"echo '{MARK}'", moved(command, by)]
    # What `respram cluster` takes where its command names no ports.
    ports = {"RESPRAM_PORT": str(PORT + by), "RESPRAM_PEER_PORT": str(PORT + 10_000 + by)}
    path = f"{programs}:{os.environ['PATH']}"
    (folder / "page.sh").write_text("\n".join(script) + "\n")
    (folder / "tests").symlink_to(ROOT / "tests")
    with subprocess.Popen(
        ["bash", "page.sh"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **ports}, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=PAGE_S)
        finally:
            # The nodes that a page in trouble leaves behind; where all went well there is nobody.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return [moved_back(part, by).strip("\n") for part in output.split(MARK + "\n")[1:]]


def moved_back(output: str, by: int) -> str:
    def back(match: "re.Match[str]") -> str:
        number = int(match[0]) - by
        return str(number) if number % 10_000 in range(PORT, PORT + 4) else match[0]

    return re.sub(r"\b\d{5}\b", back, output)


@pytest.mark.slow
@pytest.mark.timeout(2 * PAGE_S)
def test_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    if shutil.which("redis-cli") is None:
        if os.environ.get("RESPRAM_ALLOW_NO_REDIS"):
            pytest.skip("no redis-cli on this machine")
        pytest.fail("redis-cli is missing: install redis-tools, or set RESPRAM_ALLOW_NO_REDIS=1")
    told = transcript(PAGE.read_text())
    outputs = performed([command for command, _ in told], tmp_path)
    assert len(outputs) == len(told) > 30
    for (command, expected), output in zip(told, outputs, strict=True):
        assert kind(output) == kind(expected), command


def test_numbers_are_compared_by_whether_there_are_any() -> None:
    assert kind("pulls_found:2") == kind("pulls_found:31") != kind("pulls_found:0")
    assert kind("parent=00af3c00deadbeef at 127.0.0.1:16379") == "parent=NODE at ADDRESS"
    assert kind("why=level_with_00af3c00deadbeef took_ms=12") == "why=level_with_NODE took_ms=N"
    assert kind("records:0") == "records:0" and kind("100006") == "100006" != kind("100001")
    assert moved("6379 16382 100000", 10) == "6389 16392 100000"


def test_the_page_opens_with_its_commands_and_covers_every_part_of_the_document() -> None:
    page = PAGE.read_text()
    assert re.match(r"# [^\n]+\n\n```console\n", page) and "Not promised" in page
    for part in ("Bootstrap sync", "Bloom filter sync", "lazy pull", "Rebalance", "Self-healing", "failure of a parent",
                 "Partitions", "recovery", "time bucket", "DNS", "snapshot"):  # fmt: skip
        assert part in page, part
