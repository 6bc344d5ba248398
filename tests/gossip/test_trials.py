"""Who is known by hearsay only is tried, and given up where nobody answers."""

from respram.gossip.effects import Dial
from respram.gossip.members import HEARSAY_MAX
from respram.gossip.trials import TRIAL_MS, TRIALS_PER_TURN_MAX, WITNESS_MS
from respram.wire.messages import Ping, Pong, Probe, Probed

from .rig import Bench, member

TALKED_ABOUT = 0x900


def small(*numbers: int) -> Bench:
    """An enclave of a few who are linked, and one that they talk about."""
    bench = Bench()
    for link, number in enumerate(numbers, 1):
        bench.meet(link, member(number))
    bench.core.books.learn_member(member(TALKED_ABOUT))
    return bench


def wait(bench: Bench, ms: int, *links: int) -> None:
    """Those who are linked answer what they are asked of themselves."""
    for _ in range(ms // 100):
        bench.wait(100)
        for link in links:
            for ping in bench.sent(Ping, link):
                bench.say(link, Pong(ping.nonce, bench.now.wall_ms, b""))
        probes = bench.sent(Probe)
        bench.effects = [
            one for one in bench.effects if getattr(one, "message", None) in probes or isinstance(one, Dial)
        ]


def test_who_does_not_answer_counts_for_nothing_until_it_speaks() -> None:
    bench = small(0x200, 0x300)
    book = bench.core.book
    assert TALKED_ABOUT in book.enclave
    wait(bench, TRIAL_MS + 3_000, 1, 2)
    assert TALKED_ABOUT in book.vain and TALKED_ABOUT not in book.enclave and TALKED_ABOUT not in book.alive
    assert TALKED_ABOUT not in bench.core.neighbours.partners() and book.members[TALKED_ABOUT].is_alive
    bench.meet(3, member(TALKED_ABOUT))
    assert TALKED_ABOUT in book.enclave and TALKED_ABOUT in book.proven and not book.vain


def test_two_have_to_vouch_for_somebody_who_cannot_be_reached() -> None:
    for answers, counts in (([1, 0], False), ([1, 1], True)):
        bench = small(0x200, 0x300)
        wait(bench, WITNESS_MS + 2_500, 1, 2)
        asked = {link: bench.sent(Probe, link) for link in (1, 2)}
        assert [one.node for link in asked for one in asked[link]] == [TALKED_ABOUT, TALKED_ABOUT]
        for link, answered in zip(asked, answers, strict=True):
            bench.say(link, Probed(asked[link][0].nonce, answered))
            bench.say(link, Probed(asked[link][0].nonce, answered))  # said twice it is one word
        assert (TALKED_ABOUT in bench.core.book.proven) is counts


def test_nobody_vouches_for_itself() -> None:
    bench = small(0x200)
    wait(bench, WITNESS_MS + 2_500, 1)
    probe = bench.sent(Probe)[0]
    bench.core.trials._asked[probe.nonce] = 0x200
    bench.say(1, Probed(probe.nonce, 1))
    assert TALKED_ABOUT not in bench.core.book.proven


def test_so_many_are_tried_in_a_second_and_no_more() -> None:
    bench = Bench()
    for number in range(HEARSAY_MAX):
        bench.core.books.learn_member(member(0x1000 + number))
    bench.wait(1_300)
    dials = [one for one in bench.effects if isinstance(one, Dial)]
    assert TRIALS_PER_TURN_MAX // 2 <= len(dials) <= TRIALS_PER_TURN_MAX + 8
    for _ in range(120):
        bench.wait(1_000)
        bench.core.now = bench.now
        for address in list(bench.core.neighbours.dialling):
            bench.take(bench.core.dial_failed(address, bench.now))
    assert not bench.core.book.enclave and len(bench.core.book.vain) == HEARSAY_MAX


def test_one_that_was_given_up_is_dialled_again() -> None:
    bench = small(0x200)
    wait(bench, TRIAL_MS + 3_000, 1)
    bench.forget()
    for _ in range(30):
        wait(bench, 1_000, 1)
        for address in list(bench.core.neighbours.dialling):
            bench.take(bench.core.dial_failed(address, bench.now))
    assert 2 <= sum(isinstance(one, Dial) for one in bench.effects) <= 30
