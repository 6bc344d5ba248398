"""Each timer is somebody's, and one that rings for what is gone by then does nobody any harm."""

from dataclasses import fields
from typing import Any, get_args

import pytest

from respram.gossip import timers
from respram.gossip.timers import Timer
from tests.gossip.rig import Bench, member

KINDS: tuple[Any, ...] = get_args(Timer)
GONE = 77  # no link, number or token of anybody


def test_every_class_of_timers_is_among_those_that_ring() -> None:
    there = {one for one in vars(timers).values() if isinstance(one, type) and one.__module__ == timers.__name__}
    assert there - {timers.Now, timers.Timers} == set(KINDS) and len(KINDS) > 20


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_rings_for_what_is_gone_ends_no_link_and_breaks_nothing(kind: Any) -> None:
    bench = Bench()
    bench.meet(1, member(1))
    bench.meet(2, member(2))
    bench.core.alarms.ring(kind(*(GONE for _ in fields(kind))))
    bench.wait(100)
    assert not bench.hangups() and len(bench.core.neighbours.greeted()) == 2
    bench.write(b"k")
    assert bench.core.last_number() == 1


def test_nothing_else_rings() -> None:
    with pytest.raises(AssertionError):
        Bench().core.alarms.ring("a word")  # type: ignore[arg-type]
