"""The table of bounds: complete, named with units, explained."""

import ast
import re
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from respram import record
from respram.config.limits import KIB, MIB, Limits, bound_of, configurable, of_policy
from respram.engine.pure import scanner
from respram.gossip.policy import Policy

UNITS = ("_max", "_s", "_ms", "_us", "_percent")
COUNTS = ("backlog",)  # whose names are their unit
TABLES = ("limits.py", "options.py")
PACKAGE = Path(record.__file__).parent


class Source(NamedTuple):
    path: Path
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


@pytest.mark.parametrize("limit", fields(Limits), ids=lambda one: one.name)
def test_every_limit_has_a_unit_a_reason_and_a_default_within_its_own_bounds(limit: object) -> None:
    (one,) = [field for field in fields(Limits) if field is limit]
    said = bound_of(one)
    assert one.name.endswith(UNITS) or one.name in COUNTS
    assert said.why.endswith(".")
    assert len(said.why) > 15
    assert one.type is int
    assert said.least <= getattr(Limits(), one.name) <= said.most


def test_the_limits_that_clients_know_are_those_of_redis_and_of_the_issue() -> None:
    limits = Limits()
    assert (limits.clients_max, limits.bulk_bytes_max, limits.args_max) == (10_000, 16 * MIB, 32_768)
    assert (limits.inline_bytes_max, limits.query_buffer_bytes_max) == (64 * KIB, 32 * MIB)
    assert (scanner.UNTRUSTED_ARGS_MAX, scanner.UNTRUSTED_BULK_BYTES_MAX) == (10, 16 * KIB)
    assert (limits.idle_timeout_s, record.DATABASES) == (0, 16)


def test_no_option_moves_two_limits() -> None:
    options = [bound_of(one).option for one in fields(Limits) if bound_of(one).option]
    assert len(set(options)) == len(options) == len(configurable())


def test_the_soft_output_limits_are_below_the_hard_ones() -> None:
    limits = Limits()
    assert limits.output_soft_bytes_max < limits.output_buffer_bytes_max
    assert limits.pubsub_output_soft_bytes_max < limits.pubsub_output_bytes_max
    assert limits.feed_reply_bytes_max < limits.output_soft_bytes_max


def test_what_the_gossip_core_is_told_is_what_it_would_do_untold() -> None:
    told = of_policy(Limits())
    assert told == {name: getattr(Policy(), name) for name in told}
    assert len(told) == sum(bool(bound_of(one).policy) for one in fields(Limits)) > 15


def test_limits_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().clients_max = 1  # type: ignore[misc]


def test_every_limit_is_read_by_what_it_limits() -> None:
    """A bound that only stands in the table protects nobody."""
    read = {name for source in sources() for name in attributes(source.tree)}
    told = {one.name for one in fields(Limits) if bound_of(one).policy}  # to the gossip core, under its own names
    assert [one.name for one in fields(Limits) if one.name not in read | told] == []


def attributes(tree: ast.Module) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def sources() -> list[Source]:
    return [Source(path, path.read_text()) for path in sorted(PACKAGE.rglob("*.py")) if path.name not in TABLES]


def test_every_bound_beside_the_table_says_what_for() -> None:
    found = [one for source in sources() for one in bounds(source.text)]
    assert len(found) > 60
    assert [name for name, reason in found if not reason] == []
    assert list(bounds("A_MAX = 1\nB_MAX: int = 2  # of it\n# of that\nC_MAX = 3\n")) == [
        ("A_MAX", False),
        ("B_MAX", True),
        ("C_MAX", True),
    ]


def bounds(text: str) -> Iterator[tuple[str, bool]]:
    """Constants of a module named `..._MAX`, and whether there is a comment on the line or above it."""
    lines = ["", *text.splitlines()]
    for before, line in pairwise(lines):
        named = re.match(r"([A-Z][A-Z0-9_]*_MAX)\b[^=]*=", line)
        if named and not re.fullmatch(r"U?INT(32|64)_MAX", named[1]):
            yield named[1], "#" in line or before.startswith("#")
