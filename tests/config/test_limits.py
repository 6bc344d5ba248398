"""The table of bounds: complete, named with units, explained."""

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from respram import record
from respram.config.limits import GIB, KIB, MIB, Limits, bound_of, configurable, of_policy
from respram.engine.pure import scanner
from respram.gossip.policy import Policy

UNITS = ("_max", "_s", "_ms", "_us", "_percent")
COUNTS = ("backlog", "databases")  # whose names are their unit
# Limits that an engine holds as constants, since no setting moves them.
HELD = {
    "databases": record.DATABASES,
    "untrusted_args_max": scanner.UNTRUSTED_ARGS_MAX,
    "untrusted_bulk_bytes_max": scanner.UNTRUSTED_BULK_BYTES_MAX,
}
TABLES = ("limits.py", "options.py")


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
    assert (limits.clients_max, limits.bulk_bytes_max, limits.args_max) == (10_000, 64 * MIB, 1_048_576)
    assert (limits.inline_bytes_max, limits.query_buffer_bytes_max) == (64 * KIB, GIB)
    assert (limits.untrusted_args_max, limits.untrusted_bulk_bytes_max) == (10, 16 * KIB)
    assert (limits.idle_timeout_s, limits.databases) == (0, 16)


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


def test_every_limit_is_held_somewhere() -> None:
    """A bound that only stands in the table protects nobody."""
    package = Path(record.__file__).parent
    text = "\n".join(path.read_text() for path in package.rglob("*.py") if path.name not in TABLES)
    used = set(re.findall(r"[a-z_]+", text))
    told = {one.name for one in fields(Limits) if bound_of(one).policy}  # to the gossip core, under its own names
    assert [one.name for one in fields(Limits) if one.name not in used | set(HELD) | told] == []
    assert {name: getattr(Limits(), name) for name in HELD} == HELD
