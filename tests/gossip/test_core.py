"""The heart: effects for messages and ticks, errors that cost one link, an orderly end."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respram.gossip.members import LEFT, unpack_members
from respram.gossip.timers import Timers
from respram.wire.messages import Ack, Bye, Members, Message, Push
from tests import dear

from ..wire.test_codec import anything
from .rig import Bench, member


def test_time_is_asked_for_and_nothing_happens_before_it() -> None:
    bench = Bench()
    due_ms = bench.core.next_deadline()
    assert due_ms is not None and due_ms > 0
    bench.ms = due_ms - 1
    assert bench.take(bench.core.tick(bench.now)) == []


def test_a_job_wants_its_next_slice_at_once() -> None:
    bench = Bench()

    def job() -> Iterator[bool]:
        yield False
        yield False

    bench.core.run(job())
    bench.core.now = bench.now
    assert bench.core.next_deadline() == bench.ms
    bench.core.tick(bench.now)
    bench.core.tick(bench.now)
    assert bench.core.next_deadline() != bench.ms


CONVERSATION = st.lists(st.tuples(st.integers(1, 3), anything), max_size=12)


@pytest.mark.parametrize("examples", dear.first(1, [50, 400]))
def test_any_messages_in_any_order_cost_their_own_link_at_most(examples: int) -> None:
    settings(max_examples=examples, deadline=None)(given(CONVERSATION, st.integers(0, 2**32))(_costs_its_own_link))()


def _costs_its_own_link(said: list[tuple[int, Message]], seed: int) -> None:
    bench = Bench(seed=seed)
    for link in (1, 2, 3, 4):
        bench.meet(link, member(0x200 + link, enclave=b"other" if link == 3 else b"main"))
    for link, message in said:
        bench.say(link, message)
        while bench.core.jobs:
            bench.take(bench.core.tick(bench.now))
        if random.Random(seed).random() < 0.3:
            bench.wait(30)
    assert 4 not in bench.hangups()
    bench.write(b"still here")
    assert bench.sent(Push, 4)


def test_writes_stay_in_their_enclave_and_the_topology_is_everybodys() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.meet(2, member(0x300, enclave=b"other"))
    bench.write(b"k")
    assert bench.sent(Push, 1) and not bench.sent(Push, 2)
    bench.say(2, Members((1 << 64) - 1, b""))
    entries = list(unpack_members(bench.sent(Members, 2)[-1].entries))
    assert {one.enclave for one in entries} == {b"main", b"other"}


def test_who_leaves_says_so_and_nobody_wonders() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.forget()
    bench.take(bench.core.leave(bench.now))
    [left] = [one for said in bench.sent(Members) for one in unpack_members(said.entries)]
    assert left.status == LEFT and bench.sent(Bye)
    other = Bench()
    other.core.book.me = member(0x900)
    other.meet(1, member(0x100))
    other.say(1, *bench.sent(Members), *bench.sent(Bye))
    assert other.core.book.members[0x100].status == LEFT
    assert not other.reports("died") and other.reports("left")


def test_limits_that_are_hit_are_in_the_log_and_not_with_every_frame() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    for ms in (0, 1, 59_998, 1):
        bench.ms += ms
        bench.take(bench.core.merged(1, 0, 0, 3, bench.now))
    assert bench.reports("refusing") == ["records=3 memory=free"] * 2
    bench.take(bench.core.overflowed(bench.now))
    assert len(bench.reports("outbox_full")) == 1


def test_acknowledgements_wait_a_little_for_company() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    for seq in (1, 2, 3):
        bench.say(1, Push(seq, 0, 0x200, seq, 0, 0, b""))
    assert not bench.sent(Ack)
    bench.wait(bench.core.policy.ack_delay_ms)
    assert [one.seq for one in bench.sent(Ack)] == [3]
    bench.say(1, Push(4, 0, 0x200, 4, 0, 0, b"\x01" * 70_000))
    assert [one.seq for one in bench.sent(Ack)] == [3, 4]
    assert bench.sent(Ack)[-1].refused == (4).to_bytes(8, "little")


def test_a_job_that_waits_asks_for_no_tick_and_goes_on_with_an_acknowledgement() -> None:
    """It used to be called again and again until the other side had acknowledged something."""
    bench = Bench()
    done: list[int] = []

    def job() -> Iterator[bool]:
        while len(done) < 2:
            done.append(bench.ms)
            yield True

    bench.core.timers = Timers()
    bench.core.run(job())
    assert done == [0] and not bench.core.jobs
    bench.wait(bench.core.policy.job_wait_ms)
    assert done == [0, 20], "the link may be gone, and nothing will be acknowledged"
    bench.core.wake()
    bench.wait(1)
    assert not bench.core.jobs and not bench.core.waiting
