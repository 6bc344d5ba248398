"""Numbers that belong to a key, and those that belong to nobody."""

from random import Random

from respram.gossip.effects import Hangup
from respram.gossip.identity import CHECK_BITS, belongs_to, belongs_to_a_key, name_of, number_of, number_of_start
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


def test_a_name_has_a_number_for_each_start_that_tells_whose_it_is() -> None:
    rng = Random(2)
    names = [name_of(b"node %d" % number) for number in range(1_000)]
    assert len(set(names)) == 1_000 and all(0 < name < 1 << 28 for name in names)
    starts = {number_of_start(name, rng.getrandbits(24)): name for name in names for _ in range(3)}
    assert len(starts) == 3_000 and max(starts) < 1 << 64
    assert all(belongs_to(number) == name for number, name in starts.items())
    assert sum(belongs_to(rng.getrandbits(64)) != 0 for _ in range(40_960)) < 40, "one in 4,096 of those that are drawn"


def test_nobody_says_a_number_of_anothers_name() -> None:
    mine, others = name_of(b"me"), name_of(b"another")
    for number, named, is_refused in (
        (number_of_start(others, 5), mine, True),
        (number_of_start(mine, 5), mine, False),
        (number_of_start(others, 5), 0, False),
        (0x200, mine, False),
    ):
        bench = Bench()
        bench.take(bench.core.opened(1, b"", bench.now, MINE, named))
        bench.say(1, hello(member(number)))
        refused = [one.reason for one in bench.sent(Refuse, 1)]
        assert refused == [b"that is the number of another's certificate"] * is_refused


def test_who_proves_the_name_takes_its_own_silent_link_at_once() -> None:
    mine = name_of(b"me")
    number = number_of_start(mine, 5)
    bench = Bench()
    bench.take(bench.core.opened(1, b"", bench.now, MINE, mine))
    bench.say(1, hello(member(number)))
    bench.wait(2_500)
    bench.take(bench.core.opened(2, b"", bench.now, OTHERS, mine))  # renewed meanwhile, with another key
    bench.say(2, hello(member(number), clock_ms=bench.now.wall_ms))
    link = bench.core.neighbours.link_to(number)
    assert link is not None and link.id == 2
