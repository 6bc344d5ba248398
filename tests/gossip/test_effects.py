"""Effects are values: equal when they say the same. (That nobody changes one on its way is for mypy to see.)"""

from random import Random

from respram.gossip.effects import Chance, Dial, Hangup, Merge, Report


def test_effects_are_values() -> None:
    assert Merge(1, 2, b"p") == Merge(1, 2, b"p") != Merge(1, 3, b"p")
    assert len({Dial(b"a"), Dial(b"a"), Hangup(1, "x"), Report("e"), Report("e", "")}) == 3
    Dial(b"a").address = b"b"  # type: ignore[misc]


def test_the_standard_generator_is_a_source_of_chance() -> None:
    chance: Chance = Random(1)
    assert chance.getrandbits(8) < 256 and chance.choice([7]) == 7
