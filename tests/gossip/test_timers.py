"""Moments come in order, equal ones in the order of their setting."""

from respram.gossip.timers import Timers


def test_moments_come_in_order_and_not_before_their_time() -> None:
    timers = Timers()
    for due_ms, name in ((30, "c"), (10, "a"), (10, "b"), (20, "x")):
        timers.at(due_ms, name, due_ms)
    assert timers.next_ms() == 10
    assert timers.due(9) is None
    assert [timers.due(20) for _ in range(4)] == [(10, "a", 10), (10, "b", 10), (20, "x", 20), None]
    assert timers.next_ms() == 30
    assert timers.due(99) == (30, "c", 30)
    assert timers.next_ms() is None
