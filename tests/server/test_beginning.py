"""Before the peers are there nobody knows, and whoever waits asks again when they are."""

from respram.server.beginning import HOLD_MS, Beginning


class Waiter:
    woken = 0

    def wake(self) -> None:
        self.woken += 1


def test_all_who_wait_are_woken_once_and_the_forgotten_are_not() -> None:
    beginning, one, gone = Beginning(), Waiter(), Waiter()
    assert beginning.state() == b"joining"
    assert beginning.ask(one, [(0, b"k")]) == HOLD_MS and beginning.ask(gone, [(0, b"k")])
    assert not beginning.learnt(one)
    beginning.forget(gone)
    beginning.end()
    beginning.end()
    assert (one.woken, gone.woken) == (1, 0)
