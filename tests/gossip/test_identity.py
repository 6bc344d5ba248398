"""Numbers that belong to a key, and those that belong to nobody."""

from random import Random

from respram.gossip.effects import Hangup
from respram.gossip.identity import CHECK_BITS, belongs_to_a_key, number_of
from respram.wire.messages import Refuse

from .rig import Bench, hello, member

MINE, OTHERS = number_of(b"my key"), number_of(b"another's key")


def test_a_key_has_one_number_that_tells_it_belongs_to_a_key() -> None:
    numbers = [number_of(b"key %d" % number) for number in range(1_000)]
    assert len(set(numbers)) == 1_000 and all(map(belongs_to_a_key, numbers))
    assert number_of(b"key 0") == numbers[0] and max(numbers) < 1 << 64
    assert not any(belongs_to_a_key(number ^ 1 << bit) for number in numbers[:20] for bit in range(CHECK_BITS))


def test_of_drawn_numbers_hardly_any_belongs_to_a_key() -> None:
    rng = Random(1)
    assert sum(belongs_to_a_key(rng.getrandbits(64)) for _ in range(65_536)) < 20


def test_nobody_says_the_number_of_anothers_key() -> None:
    bench = Bench()
    bench.take(bench.core.opened(1, b"", bench.now, MINE))
    bench.say(1, hello(member(OTHERS)))
    assert [one.reason for one in bench.sent(Refuse, 1)] == [b"that is the number of another's key"]
    assert any(isinstance(one, Hangup) for one in bench.effects) and not bench.core.book.members


def test_the_number_of_ones_own_key_and_one_of_nobodys_are_let_in() -> None:
    for shown, number in ((MINE, MINE), (MINE, 0x200), (0, 0x200)):
        bench = Bench()
        bench.take(bench.core.opened(1, b"", bench.now, shown))
        bench.say(1, hello(member(number)))
        assert not bench.sent(Refuse) and number in bench.core.book.members


def test_without_certificates_there_are_no_keys_to_compare() -> None:
    bench = Bench()
    bench.take(bench.core.opened(1, b"", bench.now))
    bench.say(1, hello(member(OTHERS)))
    assert not bench.sent(Refuse)
