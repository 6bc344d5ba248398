"""Who was started again votes when it cannot have missed anything; all who are new together begin at once."""

from struct import pack

from respram.gossip.policy import Policy
from respram.stamp import from_ms
from respram.wire.messages import BAR, GIVEN, INQUIRE, LEARNING, SILENT, Ballot, Digest, Same, Vote

from .rig import ME, Bench, member

OTHER, THIRD = 0x200, 0x300
POLICY = Policy(enclave_size=3)


def new(policy: Policy = POLICY) -> Bench:
    bench = Bench(policy)
    bench.meet(1, member(OTHER))
    bench.meet(2, member(THIRD))
    bench.forget()
    bench.wait(POLICY.suffrage_ms)
    return bench


def votes(bench: Bench) -> bool:
    return bench.core.promises.votes


def ballot(bench: Bench, link: int = 1) -> Ballot:
    return bench.sent(Ballot, link)[-1]


def answer(bench: Bench, link: int, outcome: int, bound: int = 0, founders: tuple[int, ...] = ()) -> None:
    listed = b"".join(pack("<Q", one) for one in founders)
    bench.say(link, Vote(ballot(bench, link).number, outcome, bound, listed))


def test_where_all_are_new_each_of_them_votes() -> None:
    bench = new()
    assert ballot(bench).kind == INQUIRE
    answer(bench, 1, SILENT)
    assert not votes(bench), "the third may vote"
    answer(bench, 2, SILENT)
    assert votes(bench) and bench.core.suffrage.founders == (ME, OTHER, THIRD)
    bench.say(1, Ballot(5, INQUIRE, 3, 0, 0, 0, b"", b""))
    [vote] = bench.sent(Vote, 1)
    assert vote == Vote(5, GIVEN, 0, pack("<3Q", ME, OTHER, THIRD))


def test_answers_of_two_rounds_prove_nothing() -> None:
    bench = new()
    answer(bench, 1, SILENT)
    bench.wait(2 * POLICY.suffrage_ms)
    answer(bench, 2, SILENT)
    assert not votes(bench)


def test_one_that_has_met_a_voter_keeps_the_others_from_beginning_anew() -> None:
    bench = new()
    answer(bench, 1, SILENT)
    answer(bench, 2, LEARNING)
    assert not votes(bench)


def test_who_is_on_the_list_of_those_who_were_new_was_there_before_anything_was_decided() -> None:
    bench = new()
    answer(bench, 1, GIVEN, founders=(OTHER, THIRD))
    assert not votes(bench)
    answer(bench, 2, GIVEN, founders=(ME, OTHER, THIRD))
    assert votes(bench)


def test_who_has_met_a_voter_is_not_new_any_more() -> None:
    bench = new()
    bench.say(1, Ballot(5, INQUIRE, 3, 0, 0, 0, b"", b""))
    assert bench.sent(Vote, 1)[-1].outcome == SILENT
    answer(bench, 1, GIVEN)
    bench.say(1, Ballot(6, INQUIRE, 3, 0, 0, 0, b"", b""))
    assert bench.sent(Vote, 1)[-1].outcome == LEARNING


def test_when_nobody_is_left_who_votes_whoever_had_met_one_is_as_good_as_new() -> None:
    bench = new()
    answer(bench, 1, GIVEN)
    answer(bench, 2, LEARNING)
    bench.wait(POLICY.suffrage_ms)
    answer(bench, 1, LEARNING)
    bench.say(1, Ballot(5, INQUIRE, 3, 0, 0, 0, b"", b""))
    assert bench.sent(Vote, 1)[-1].outcome == LEARNING, "the third was not heard in this round"
    answer(bench, 2, SILENT)
    bench.say(1, Ballot(6, INQUIRE, 3, 0, 0, 0, b"", b""))
    assert bench.sent(Vote, 1)[-1].outcome == SILENT and not votes(bench)
    bench.wait(POLICY.suffrage_ms)
    answer(bench, 1, SILENT)
    answer(bench, 2, SILENT)
    assert votes(bench)


def come_back() -> Bench:
    """Both others vote, and have barred what was begun; the last stamp of that is half a second ahead."""
    bench = new()
    answer(bench, 1, GIVEN)
    answer(bench, 2, GIVEN)
    bench.wait(POLICY.suffrage_ms)
    assert ballot(bench).kind == ballot(bench, 2).kind == BAR
    bound = from_ms(bench.now.wall_ms + 500)
    answer(bench, 1, GIVEN, bound)
    answer(bench, 2, GIVEN, bound - 9)
    bench.forget()
    return bench


def go_on(bench: Bench, ms: int) -> list[int]:
    """The others find all digests equal. The cuts of those by which this member gets its vote."""
    cuts: list[int] = []
    for _ in range(ms // 10):
        bench.wait(10)
        round = bench.core.suffrage.comparing
        cuts += [round.cut.stamp] if round is not None else []
        said = [(link, digest.round) for link in (1, 2) for digest in bench.sent(Digest, link)]
        bench.forget()
        for link, number in said:
            bench.say(link, Same(number))
    return cuts


def test_who_comes_back_compares_itself_with_those_who_barred_and_then_votes() -> None:
    bench = come_back()
    bound = max(bench.core.suffrage.barred.values())
    assert not go_on(bench, 400), "what had begun may still be accepted with stamps of this second"
    cuts = go_on(bench, 3_000)
    assert set(cuts) == {bound >> 26}, "all that any of those reigns can have stamped, and nothing that is younger"
    assert bench.core.suffrage.level == {OTHER, THIRD} and not votes(bench)
    go_on(bench, POLICY.suffrage_rest_ms + 500)
    assert votes(bench) and bench.core.promises.floor == bound and bench.core.suffrage.founders == ()


def test_those_who_vote_are_barred_once_enough_of_them_are_there_and_not_before() -> None:
    bench = new()
    answer(bench, 1, GIVEN)
    bench.wait(5_000)
    assert {one.kind for one in bench.sent(Ballot)} == {INQUIRE}


def test_what_was_barred_long_ago_is_barred_again() -> None:
    bench = come_back()
    bench.wait(POLICY.suffrage_patience_ms + 2 * POLICY.suffrage_ms)
    assert not bench.core.suffrage.barred and not bench.core.suffrage.barring and not votes(bench)


def test_one_of_another_size_gets_no_vote_out_of_it() -> None:
    bench = new()
    bench.say(1, Ballot(5, BAR, 5, 0, 0, 0, b"", b""))
    assert bench.sent(Vote, 1)[-1] == Vote(5, LEARNING, 0, b"")


def test_a_vote_that_cannot_be_ends_the_link() -> None:
    bench = new()
    bench.say(1, Vote(ballot(bench).number, GIVEN, 0, b"odd"))
    assert 1 in bench.hangups()


def test_the_only_member_votes_for_itself() -> None:
    bench = Bench(Policy(enclave_size=1))
    bench.wait(2 * POLICY.suffrage_ms)
    assert votes(bench)


def test_where_no_majority_decides_nobody_asks() -> None:
    bench = new(Policy())
    assert not bench.sent(Ballot) and not votes(bench)


def test_one_more_than_there_should_be_gets_no_vote() -> None:
    bench = new()
    bench.meet(3, member(0x400))
    bench.wait(POLICY.suffrage_ms)
    for link in (1, 2):
        answer(bench, link, SILENT)
    bench.wait(3 * POLICY.suffrage_ms)
    assert not votes(bench) and bench.reports("majority_crowded") == ["members=4"]
