"""The pages say what is true: each example is run as it stands, twice, and on three nodes; and the map leaves out no
pattern.
"""

import itertools
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.client

import respram.patterns
from respram.patterns import HomeAway
from tests.live import SOON_S

ROOT = Path(__file__).parents[2]
# One page is of the nodes, not of a pattern: its commands are run by test_hybrid_consensus.py.
OF_THE_NODES = "hybrid-consensus"
PAGES = sorted(page for page in (ROOT / "docs" / "patterns").glob("*.md") if page.stem != OF_THE_NODES)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ON_THREE = re.compile(r"^```python on three nodes\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
NO_PATTERN = {
    "__init__",
    "drivers",
    "effects",
    "errors",
    "json_values",
    "lanes",
    "pieces",
    "roster",
    "settle",
    "sealing",
    "steps",
}  # what patterns are made of


def test_a_page_that_says_what_holds_by_each_node_says_it_of_a_majority_too() -> None:
    pages = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
    local = {name for name, text in pages.items() if "--decide local" in text}
    assert len(local) > 8 and not {name for name in local if "--decide majority" not in pages[name]}


def sources() -> list[str]:
    return sorted(path.stem for path in (ROOT / "respram" / "patterns").glob("*.py") if path.stem not in NO_PATTERN)


def made_for(ports: tuple[int, ...], database: int) -> Any:
    """A stand-in for the module redis, whose clients go to the nodes in turn and wait for the others after each
    command.
    """
    turn = itertools.count()
    waiting: dict[int, Any] = {port: redis.Redis(port=port) for port in ports}

    def told() -> None:
        """(What was decided for a client was written at the keys' homes: all are asked.)"""
        for port in ports if len(ports) > 1 else ():
            assert waiting[port].execute_command("WAIT", len(ports) - 1, int(SOON_S * 1000)) == len(ports) - 1

    class Pipeline(redis.client.Pipeline):
        def execute(self, raise_on_error: bool = True) -> Any:
            try:
                return super().execute(raise_on_error)
            finally:
                told()

    class Client(redis.Redis):
        def __init__(self, port: int | None = None) -> None:
            super().__init__(port=port or ports[next(turn) % len(ports)], db=database)

        def execute_command(self, *args: Any, **options: Any) -> Any:
            reply = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            told()
            return reply

        def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
            return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    def awaited() -> "redis.asyncio.Redis":
        return redis.asyncio.Redis(port=ports[next(turn) % len(ports)], db=database)

    return types.SimpleNamespace(Redis=Client, asyncio=types.SimpleNamespace(Redis=awaited))


TRIES = 4  # at a decision that nobody could make: on a busy machine a node is taken for lost


def performed(block: str, page: Path, stand_in: Any) -> None:
    """The block as it stands, as often as it is called: but for the module redis that it imports."""
    assert re.findall(r"redis\.(?:asyncio\.)?Redis\(", block), (
        "a reader has no client but the one that the example makes"
    )
    here = re.sub(r"^import redis(\.asyncio)?$", "", block, flags=re.MULTILINE)
    assert here != block
    for left in reversed(range(TRIES)):
        try:
            exec(compile(here, page.name, "exec"), {"redis": stand_in})  # noqa: S102
        except HomeAway:  # nothing was done, and whoever uses the library tries again
            if not left:
                raise
        else:
            return


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_of_a_page_runs_as_it_stands_and_again(
    page: Path, node_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(page.read_text())
    assert blocks, "a page without an example"
    for _ in range(2):
        for block in blocks:
            performed(block, page, made_for((node_port,), 9))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_of_a_page_runs_on_three_nodes_with_a_client_on_each(
    page: Path, enclave_ports: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    for block in BLOCK.findall(text):
        performed(block, page, made_for(enclave_ports, 9))
    # Examples that need three nodes name their ports, 6379 to 6381.
    for block in ON_THREE.findall(text):
        here = re.sub(r"63(79|80|81)", lambda match: str(enclave_ports[int(match[0]) - 6379]), block)
        for _ in range(2):
            performed(here, page, made_for(enclave_ports, 9))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_opens_with_its_example_and_says_what_is_not_promised(page: Path) -> None:
    text = page.read_text()
    assert re.match(r"# [^\n]+\n\n```python\n", text)
    if page.stem != "README":
        assert "Not promised" in " ".join(text.split())
    for target in LINK.findall(text):
        assert (page.parent / target).exists(), f"{target} is not there"


def test_every_pattern_has_a_page_a_test_and_a_place_on_the_map() -> None:
    lines = [line for line in (ROOT / "docs/patterns/README.md").read_text().splitlines() if ".py](" in line]
    rows = [line for line in lines if "respram/patterns/" in line]
    assert all(f"[{OF_THE_NODES}]" in line for line in lines if line not in rows)
    found = {re.search(r"\[(\w+)\.py\]", row)[1] for row in rows}  # type: ignore[index]
    assert found == set(sources())
    assert {page.stem for page in PAGES} - {"README", "coverage", "formats"} == {
        name.replace("_", "-") for name in sources()
    }
    for name in sources():
        assert (ROOT / f"tests/patterns/test_{name}.py").exists()
    for row in rows:
        assert len({match.replace("-", "_") for match in re.findall(r"\[(?:test_)?([\w-]+?)(?:\.py)?\]", row)}) == 1, (
            row
        )


# The headings of the four documents, in their words. Whatever is named there has its row on the map.
NAMED = {
    "REPRAM usage patterns": (
        "Dead drop", "Scratchpad", "Coordination token", "Heartbeat / presence", "State machine", "Circuit breaker",
        "Ephemeral broadcast", "Secure relay", "Session continuity", "Distributed deduplication", "Ephemeral pub/sub",
        "Namespace prefixes", "UUID keys", "Deterministic keys", "Human-readable keys", "Prefix listing for discovery",
        "Avoiding collisions",
    ),
    "Agent Data Store patterns": (
        "Cache-aside (lazy loading)", "Write-through cache", "Cache with TTL check", "Running counter",
        "Append to list",
        "Aggregate statistics", "Hierarchical keys", "Dynamic namespaces", "Namespace discovery", "State machine",
        "Batch processing", "Lock (advisory)", "Index", "Not: large binary data", "Not: real-time coordination",
        "Not: sensitive credentials",
    ),
    "Theater store patterns": (
        "1 Creating and managing stores", "2 Content storage and retrieval", "3 Content tagging with labels",
        "4 Actor-specific storage", "5 Versioned content", "6 Content deduplication",
        "7 Shared resources between actors",
        "8 Content-based data structures", "9 Cached computation results", "10 Snapshot and restore",
        "11 Content-based messaging", "12 Dependency injection for actors", "13 Append-only logs",
        "14 Actor migration and state transfer", "15 Content synchronization",
    ),
    "STT usage patterns": (
        "1 Live video streaming", "2 IoT sensor storage (hash-addressed)", "3 Multi-endpoint fanout",
        "4 Custom binary protocol", "Request-response", "Publish-subscribe", "Bidirectional streaming",
        "File transfer with progress", "Multiplexed application", "Retry and reconnection", "Keep-alive monitoring",
        "Content distribution", "Session/Stream API", "Agnostic primitives", "Adaptive priority",
        "Probabilistic delivery",
        "Session continuity", "Affinity pooling",
    ),
    "REPRAM hybrid consensus and sync": (
        "1 Bootstrap sync", "2 Bloom filter sync", "3 Lazy pull consensus", "4 Periodic hierarchical rebalance",
        "5 Self-healing checks", "Parent failure", "Partitioning", "Graceful recovery", "Snapshot anchoring",
    ),
}  # fmt: skip


@pytest.mark.parametrize("document", NAMED)
def test_the_map_leaves_out_no_name_of_a_document_and_adds_none(document: str) -> None:
    sections = (ROOT / "docs/patterns/README.md").read_text().split("\n## ")
    (section,) = (each for each in sections if each.startswith(document + "\n"))
    rows = re.findall(r"^\| (.+?) \| \[", section, re.MULTILINE)
    assert len(rows) == len(NAMED[document])
    for row, name in zip(rows, NAMED[document], strict=True):
        assert row.startswith(name), (row, name)


def test_every_name_of_the_package_is_there_and_every_class_is_told_of() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for name in respram.patterns.__all__:
        part = getattr(respram.patterns, name)
        if hasattr(part, "client") or any(hasattr(part, attribute) for attribute in ("seal", "__wrapped__")):
            assert re.search(rf"\b{name}\b", text), f"no page tells of {name}"


def test_the_package_brings_nothing_else_of_respram_with_it() -> None:
    script = "import sys, respram.patterns; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    ours = [name for name in done.stdout.split() if name.split(".")[0] == "respram"]
    assert "respram.patterns.drivers" in ours
    assert [name for name in ours if not name.startswith("respram.patterns")] == ["respram"]
