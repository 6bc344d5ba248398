"""A promise holds until a reign comes that begins above the one that was promised; what is barred is over."""

from respram.gossip.promises import Promises

ONE, OTHER = 0x100, 0x200


def test_a_reign_that_begins_above_the_end_of_another_takes_its_slots() -> None:
    promises = Promises()
    assert promises.give(ONE, 10, 20, [1, 2]) == 0
    assert promises.give(OTHER, 20, 40, [2, 3]) == 20, "of its last stamp nobody knows whether it was used"
    assert not promises.holds(OTHER, 20, [3]), "all of them or none"
    assert promises.give(OTHER, 21, 40, [2, 3]) == 0
    assert promises.holds(ONE, 10, [1]) and not promises.holds(ONE, 10, [1, 2]) and promises.holds(OTHER, 21, [2, 3])


def test_the_same_reign_may_be_made_longer_and_never_shorter() -> None:
    promises = Promises()
    promises.give(ONE, 10, 20, [1])
    assert promises.give(ONE, 10, 30, [1]) == 0 and promises.give(ONE, 10, 25, [1]) == 0
    assert promises.give(OTHER, 30, 40, [1]) == 30


def test_a_later_reign_of_the_same_member_is_another_one() -> None:
    promises = Promises()
    promises.give(ONE, 10, 20, [1])
    assert promises.give(ONE, 15, 30, [1]) == 20
    assert promises.give(ONE, 21, 30, [1]) == 0 and not promises.holds(ONE, 10, [1])
    assert promises.give(ONE, 10, 50, [1]) == 30, "a frame that comes late gets no promise back"


def test_after_a_bar_no_reign_from_before_is_heard() -> None:
    promises = Promises()
    promises.give(ONE, 10, 20, [1])
    promises.give(OTHER, 10, 35, [2])
    assert promises.bar() == 35 and not promises.holds(ONE, 10, [1])
    assert promises.give(ONE, 10, 40, [1]) == 35 and promises.give(ONE, 35, 40, [7]) == 35
    assert promises.give(ONE, 36, 40, [1]) == 0
    assert promises.bar() == 40 and Promises().bar() == 0
