"""Moments come in order, equal ones in the order of their setting."""

from respram.gossip.timers import AckDue, JobsDue, Timers, Verdict


def test_moments_come_in_order_and_not_before_their_time() -> None:
    timers = Timers()
    first, again, later, last = AckDue(1), JobsDue(), Verdict(7, 2), AckDue(2)
    for due_ms, timer in ((30, last), (10, first), (10, again), (20, later)):
        timers.at(due_ms, timer)
    assert timers.next_ms() == 10
    assert timers.due(9) is None
    assert [timers.due(20) for _ in range(4)] == [(10, first), (10, again), (20, later), None]
    assert timers.next_ms() == 30
    assert timers.due(99) == (30, last)
    assert timers.next_ms() is None
