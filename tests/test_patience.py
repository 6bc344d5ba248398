"""No test is lost to a machine that has other work: ends of waits are generous, and times are judged by `in_time`
alone.

A wait that is to run out (for what must not come) is shorter than a second, or named: then it is no end of a wait for
what must come.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from tests.live import SOON_S

ROOT = Path(__file__).parent
# Between these a number looks generous on a quiet machine, and is missed on a busy one.
BRIEF_S, GENEROUS_S = 1.0, 100.0
WAITS = {  # calls that give up, and which of their arguments says when
    "settimeout": 0, "join": 0, "wait": 0, "communicate": 1, "wait_for": 1, "create_connection": 1, "timeout": 0,
}  # fmt: skip
KEYWORDS = frozenset({"timeout", "socket_timeout", "socket_connect_timeout", "seconds"})
CLOCKS = frozenset({"monotonic", "perf_counter"})
# Patterns that give up by themselves, and what is tested is that they do.
LIVES = frozenset({"ttl_s", "window_s", "running_s"})
BRIEF_LIFE_S, LONG_LIFE_S = 1.0, 20.0  # of a key: between these it is to outlive a test, and on a busy machine does not
GIVEN = frozenset({"patterns", "sim", "gossip"})
# Programs for a person who looks on, and clocks that are not real.
EXCEPT = frozenset({"abuse/soak.py", "trials/restarts.py", "trials/stops.py", "test_replica.py", "test_patience.py"})


def sources() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*.py")):
        inside = path.relative_to(ROOT)
        if inside.parts[0] not in GIVEN and inside.as_posix() not in EXCEPT:
            yield path


def hasty(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else node.func.id
                if isinstance(node.func, ast.Name)
                else ""
            )
            place = WAITS.get(name)
            ends = [word.value for word in node.keywords if word.arg in KEYWORDS]
            ends += [node.args[place]] if place is not None and len(node.args) == place + 1 else []
            yield from (f"{node.lineno}: {ast.unparse(end)} s is no end for a wait; take tests.live.SOON_S"
                        for end in ends if is_hasty(end))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and reads_clock(node.left):
            if is_hasty(node.right):
                yield f"{node.lineno}: in {ast.unparse(node.right)} s a wait is over; take tests.live.SOON_S"
        elif isinstance(node, ast.Assert) and any(judges(part) for part in ast.walk(node.test)):
            yield f"{node.lineno}: a time is judged; say in_time(took_s, limit_s, what)"


def is_hasty(node: ast.expr) -> bool:
    value = node.value if isinstance(node, ast.Constant) and not isinstance(node.value, bool) else None
    return isinstance(value, int | float) and BRIEF_S <= value < GENEROUS_S


def reads_clock(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr in CLOCKS for one in ast.walk(node))


def judges(node: ast.AST) -> bool:
    """`time.monotonic() - began < 5`: an upper bound, in figures. A lower bound holds on any machine."""
    if not isinstance(node, ast.Compare) or not isinstance(node.left, ast.BinOp) or not reads_clock(node.left):
        return False
    pairs = zip(node.ops, node.comparators, strict=True)
    return any(isinstance(way, ast.Lt | ast.LtE) and isinstance(limit, ast.Constant | ast.Name) for way, limit in pairs)


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_test_has_patience(path: Path) -> None:
    assert list(hasty(ast.parse(path.read_text()))) == []


def brief_lives(tree: ast.AST) -> Iterator[str]:
    words = (word for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords)
    for word in words:
        value = word.value.value if isinstance(word.value, ast.Constant) else None
        if word.arg in LIVES and isinstance(value, int | float) and BRIEF_LIFE_S <= value < LONG_LIFE_S:
            yield f"{word.value.lineno}: a life of {value} s; give it a minute, or none where its end is awaited"


@pytest.mark.parametrize("path", sorted((ROOT / "patterns").glob("*.py")), ids=lambda path: path.name)
def test_what_a_pattern_keeps_outlives_the_test(path: Path) -> None:
    assert list(brief_lives(ast.parse(path.read_text()))) == []


def test_a_brief_life_is_found() -> None:
    text = "Lock(one, ttl_s=5)\nDedup(one, window_s=2.5)\nCache(one, ttl_s=60)\nBeat(one, ttl_s=0.05)"
    assert [found.partition(":")[0] for found in brief_lives(ast.parse(text))] == ["1", "2"]


@pytest.mark.parametrize("line", [
    "sock.settimeout(5)", "process.wait(6)", "subprocess.run(words, timeout=20)", "assert time.monotonic() - began < 5",
    "end = time.monotonic() + 8", "redis.Redis(socket_timeout=10)", "await asyncio.wait_for(reader.read(), 3)",
])  # fmt: skip
def test_haste_is_found(line: str) -> None:
    assert len(list(hasty(ast.parse(f"async def main():\n    {line}")))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "end = time.monotonic() + ATTACK_S", "sock.settimeout(0.05)", "process.wait(SOON_S)",
        "assert time.monotonic() - began > 0.25", "x.join(120)",
    ],
)
def test_patience_is_no_haste(line: str) -> None:
    assert not list(hasty(ast.parse(line)))


@pytest.mark.parametrize("kind", [redis.Redis, redis.asyncio.Redis])
def test_a_client_that_names_no_bound_waits_as_long_as_a_test_does(kind: Any) -> None:
    """redis-py's own 5 s are over while another process has the core; then it sends the command once more."""
    for pool in (kind(port=1).connection_pool, kind.from_url("redis://127.0.0.1:1").connection_pool):
        made = pool.make_connection()
        assert (made.socket_timeout, made.socket_connect_timeout) == (SOON_S, SOON_S)
