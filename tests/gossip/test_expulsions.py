"""Lists of who is put out: taken where they are signed, told on once, the newest of each authority; and nothing grows.
"""

from respram.gossip.effects import Expelled
from respram.gossip.expulsions import LIST_BYTES_MAX, LISTS_MAX
from respram.wire.messages import Expulsions

from .rig import Bench, member


def packed(*lists: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4, "little") + one for one in lists)


def read(data: bytes) -> tuple[bytes, int] | None:
    """A list in these tests: `authority number`, and whatever follows; a forged one is signed by nobody."""
    authority, number, *_ = data.split()
    return None if authority == b"forged" else (authority, int(number))


def stand() -> Bench:
    bench = Bench()
    bench.core.expulsions.read = read
    for number in (1, 2):
        bench.meet(number, member(number))
    bench.meet(3, member(3, enclave=b"elsewhere"))
    bench.forget()
    return bench


def held(bench: Bench) -> list[tuple[bytes, ...]]:
    return [one.lists for one in bench.effects if isinstance(one, Expelled)]


def test_a_list_holds_at_once_and_is_told_to_all_but_its_teller_once() -> None:
    bench = stand()
    for _ in range(3):
        bench.say(1, Expulsions(packed(b"ca 1")))
    assert held(bench) == [(b"ca 1",)]
    assert [bench.sent(Expulsions, link) for link in (1, 2, 3)] == [
        [],
        [Expulsions(packed(b"ca 1"))],
        [Expulsions(packed(b"ca 1"))],
    ]
    bench.forget()
    bench.meet(4, member(4))
    assert bench.sent(Expulsions, 4) == [Expulsions(packed(b"ca 1"))], "a new link begins with it"


def test_of_two_lists_the_newer_holds_and_an_old_one_brings_nobody_back() -> None:
    bench = stand()
    for text, good in (
        (b"ca 2 two", True),
        (b"ca 1 one", True),
        (b"other 1", True),
        (b"forged 9", False),
        (b"ca 3", True),
        (b"", False),
    ):
        taken, effects = bench.core.expel(text, bench.now)
        bench.take(effects)
        assert taken is good, text
    assert held(bench) == [(b"ca 2 two",), (b"ca 2 two", b"other 1"), (b"ca 3", b"other 1")]


def test_a_forged_list_and_one_too_many_change_nothing_and_cost_no_link() -> None:
    bench = stand()
    bench.say(1, Expulsions(packed(b"forged 1", b"ca 1 " + bytes(LIST_BYTES_MAX))))
    assert not held(bench) and not bench.hangups() and bench.core.expulsions.refused == 2
    for number in range(LISTS_MAX + 3):
        bench.say(1, Expulsions(packed(b"ca%d 1" % number)))
    assert len(bench.core.expulsions.lists) == LISTS_MAX and not bench.hangups()


def test_what_cannot_be_read_costs_the_link() -> None:
    for broken in (b"x", packed(b"ca 1")[:-1], packed(*[b"ca 1"] * (LISTS_MAX + 1))):
        bench = stand()
        bench.say(1, Expulsions(broken))
        assert 1 in bench.hangups()
