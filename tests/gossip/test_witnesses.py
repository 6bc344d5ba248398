"""Who is only talked about is nobody: a member counts once it was met, or two peers vouch for it."""

from dataclasses import replace
from struct import pack, unpack

from respram.gossip.members import DEAD, LEFT
from respram.gossip.policy import Policy
from respram.gossip.witnesses import NUMBERS_MAX, SOLE_MS, VOUCHES
from respram.wire.messages import Vouch

from .rig import ME, Bench, hello, member

TALKED_ABOUT = 0x900


def vouch(*numbers: int) -> Vouch:
    return Vouch(pack(f"<{len(numbers)}Q", *numbers))


def told(bench: Bench, link: int) -> list[int]:
    return [number for one in bench.sent(Vouch, link) for number in unpack(f"<{len(one.numbers) // 8}Q", one.numbers)]


def among(*numbers: int, policy: Policy | None = None) -> Bench:
    """A node that is linked to these, who know VOUCH, and has heard of one more."""
    bench = Bench(policy)
    for link, number in enumerate(numbers, 1):
        meet(bench, link, number)
    bench.core.books.learn_member(member(TALKED_ABOUT))
    return bench


def meet(bench: Bench, link: int, number: int) -> None:
    bench.take(bench.core.opened(link, b"", bench.now))
    bench.say(link, hello(member(number), clock_ms=bench.now.wall_ms, capabilities=VOUCHES))


def homes(bench: Bench) -> set[int]:
    """Beside this node."""
    bench.take(bench.core.tick(bench.now))
    return set(bench.core.homes.map.members) - {ME}


def test_who_is_only_talked_about_has_no_slots_until_two_vouch_for_it() -> None:
    bench = among(0x200, 0x300)
    assert TALKED_ABOUT in bench.core.book.enclave and homes(bench) == {0x200, 0x300}
    bench.say(1, vouch(TALKED_ABOUT), vouch(TALKED_ABOUT))  # said twice it is one word
    assert homes(bench) == {0x200, 0x300}
    bench.say(2, vouch(TALKED_ABOUT))
    assert homes(bench) == {0x200, 0x300, TALKED_ABOUT}


def test_who_was_met_has_slots_and_keeps_them_without_a_link() -> None:
    bench = among(0x200, 0x300)
    meet(bench, 3, TALKED_ABOUT)
    assert homes(bench) == {0x200, 0x300, TALKED_ABOUT}
    bench.take(bench.core.closed(3, bench.now))
    assert homes(bench) == {0x200, 0x300, TALKED_ABOUT}


def test_nobody_vouches_for_itself_nor_for_this_node() -> None:
    bench = among(0x200, 0x300)
    bench.say(1, vouch(0x200, ME))
    bench.say(2, vouch(ME))
    assert ME not in bench.core.book.proven and not bench.core.witnesses.heard


def test_word_may_come_before_the_entry_does() -> None:
    bench = among(0x200, 0x300)
    bench.say(1, vouch(0x700))
    bench.say(2, vouch(0x700))
    assert 0x700 not in homes(bench)
    bench.core.books.learn_member(member(0x700))
    assert 0x700 in homes(bench)


def test_a_node_vouches_once_to_each_peer_and_for_nobody_with_one_voice() -> None:
    bench = among(0x200, 0x300)
    bench.wait(1_000)
    assert set(told(bench, 1)) >= {0x300} and TALKED_ABOUT not in told(bench, 1) + told(bench, 2)
    bench.forget()
    bench.say(1, vouch(TALKED_ABOUT))
    bench.wait(1_000)
    assert not bench.sent(Vouch)
    bench.say(2, vouch(TALKED_ABOUT))
    bench.wait(1_000)
    assert told(bench, 1) == told(bench, 2) == [TALKED_ABOUT]


def test_a_new_link_begins_with_all_that_are_proven_and_one_is_told_again_in_time() -> None:
    bench = among(0x200, 0x300)
    bench.say(1, vouch(TALKED_ABOUT))
    bench.say(2, vouch(TALKED_ABOUT))
    meet(bench, 3, 0x400)
    assert set(told(bench, 3)) >= {0x200, 0x300, TALKED_ABOUT}
    bench.wait(1_000)
    bench.forget()
    bench.core.witnesses.remind()
    bench.take(bench.core.tick(bench.now))
    assert len(bench.sent(Vouch)) == 1 and sum((TALKED_ABOUT in told(bench, link)) for link in (1, 2, 3)) == 1


def test_a_peer_that_does_not_know_the_word_is_not_told() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    meet(bench, 2, 0x300)
    bench.wait(1_000)
    assert not bench.sent(Vouch, 1) and bench.sent(Vouch, 2)


def test_the_only_peer_is_believed_after_a_while_and_no_longer_than_it_is_the_only_one() -> None:
    bench = among(0x200)
    bench.say(1, vouch(TALKED_ABOUT))
    assert TALKED_ABOUT not in homes(bench)
    bench.core.now = bench.now
    bench.ms += SOLE_MS
    bench.core.now = bench.now
    bench.core.witnesses.tend()
    assert TALKED_ABOUT in homes(bench) and TALKED_ABOUT not in bench.core.book.proven
    meet(bench, 2, 0x300)
    bench.core.witnesses.tend()
    assert TALKED_ABOUT not in homes(bench)


def test_who_ended_is_forgotten_with_its_entry() -> None:
    bench = among(0x200, 0x300)
    meet(bench, 3, TALKED_ABOUT)
    book = bench.core.book
    book.learn(replace(book[TALKED_ABOUT], status=LEFT), bench.ms)
    assert TALKED_ABOUT in book.proven
    book.forget_ended(bench.ms + 1)
    assert TALKED_ABOUT not in book.proven


def test_one_that_was_thought_dead_counts_again_at_once() -> None:
    bench = among(0x200, 0x300)
    bench.say(1, vouch(TALKED_ABOUT))
    bench.say(2, vouch(TALKED_ABOUT))
    book = bench.core.book
    bench.core.books.learn_member(replace(book[TALKED_ABOUT], status=DEAD))
    assert TALKED_ABOUT not in homes(bench)
    bench.core.books.learn_member(replace(member(TALKED_ABOUT), incarnation=2))
    assert TALKED_ABOUT in homes(bench)


def test_what_one_voice_says_is_bounded_and_pushes_out_nobody_elses() -> None:
    bench = among(0x200, 0x300, policy=Policy(members_max=100))
    bench.say(2, vouch(0x700))
    bench.say(1, vouch(*range(0x10000, 0x10000 + 1_000)))
    witnesses = bench.core.witnesses
    assert len(witnesses.heard) == 100 and witnesses.heard[0x700] == 0x300
    assert sum(map(len, witnesses.heard_from.values())) == 100


def test_two_who_lie_together_fill_no_more_than_there_is_room_for() -> None:
    bench = among(0x200, 0x300, policy=Policy(members_max=100))
    for start in range(0x10000, 0x10000 + 1_000, 50):
        for link in (1, 2):
            bench.say(link, vouch(*range(start, start + 50)))
    book = bench.core.book
    assert len(book.proven) <= len(book.members) + 100


def test_what_cannot_be_read_ends_the_link() -> None:
    for numbers in (b"1234567", bytes(8 * NUMBERS_MAX + 8)):
        bench = among(0x200, 0x300)
        bench.say(1, Vouch(numbers))
        assert bench.hangups() == {1: "VOUCH cannot be read"}


def test_another_enclave_has_no_voice() -> None:
    bench = among(0x200, 0x300)
    bench.take(bench.core.opened(3, b"", bench.now))
    bench.say(3, hello(member(0x400, b"other"), clock_ms=bench.now.wall_ms, capabilities=VOUCHES))
    assert 0x400 not in bench.core.book.proven and not bench.sent(Vouch, 3)
    bench.say(3, vouch(TALKED_ABOUT))
    assert bench.hangups() == {3: "VOUCH from another enclave"}


def test_the_proven_are_dialled_among_thousands_who_are_not() -> None:
    """Of a network that is proven to be of few, few links are wanted: a liar does not choose how many."""
    bench = among(*range(0x200, 0x20C))
    before = bench.core.partners.degree()
    for number in range(1_800):
        bench.core.books.learn_member(member(0x10000 + number))
    assert bench.core.partners.degree() <= before + 8
    bench.take(bench.core.closed(1, bench.now))
    bench.core.neighbours.dialling.clear()
    for _ in range(60):
        bench.wait(1_000)
        if member(0x200).address in bench.core.neighbours.dialling:
            return
        for address in list(bench.core.neighbours.dialling):
            bench.take(bench.core.dial_failed(address, bench.now))
    raise AssertionError("a proven member without a link is not dialled")
