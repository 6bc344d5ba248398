"""Lazy pull: nothing in a converged enclave; else few, bounded, and soon over."""

from respram.gossip.effects import Answered
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Pull, Pulled

from .rig import Bench, member


def unequal(peers: int = 3) -> Bench:
    bench = Bench()
    for number in range(peers):
        bench.meet(number + 1, member(0x200 + number))
        bench.core.neighbours.set_differs(bench.core.neighbours.peers[0x200 + number])
    bench.forget()
    return bench


def pull(bench: Bench, key: bytes) -> bool:
    waits, effects = bench.core.pull(0, key, bench.now)
    bench.take(effects)
    return waits


def test_in_a_converged_enclave_a_miss_sends_nothing() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.forget()
    assert not bench.core.pulls_useful()
    assert not pull(bench, b"k") and not bench.effects


def test_the_record_is_merged_before_who_waits_is_woken() -> None:
    bench = unequal()
    assert pull(bench, b"k")
    asked = [link for link in (1, 2, 3) if bench.sent(Pull, link)]
    assert len(asked) == 2
    record = pack(Record(0, b"k", b"found", EPOCH_MS << 16, 9, EPOCH_MS + 60_000))
    bench.say(asked[0], Pulled(bench.sent(Pull)[0].token, 1, record))
    assert bench.effects[-1] == Answered(0, b"k")
    entry = bench.engine.lookup(0, b"k", EPOCH_MS)
    assert entry is not None and entry.value == b"found"


def test_one_pull_per_key_at_a_time() -> None:
    bench = unequal()
    assert pull(bench, b"k") and pull(bench, b"k")
    assert len(bench.sent(Pull)) == 2


def test_two_nothings_end_the_wait_and_are_remembered_a_while() -> None:
    bench = unequal()
    pull(bench, b"k")
    for link in (1, 2, 3):
        for one in bench.sent(Pull, link):
            assert Answered(0, b"k") not in bench.effects
            bench.say(link, Pulled(one.token, 1, b""))
    assert Answered(0, b"k") in bench.effects
    assert not pull(bench, b"k")
    bench.wait(260)
    assert pull(bench, b"k")


def test_after_25_ms_nil_stands_and_a_late_answer_still_merges() -> None:
    bench = unequal()
    pull(bench, b"k")
    bench.wait(24)
    assert Answered(0, b"k") not in bench.effects
    bench.wait(1)
    assert Answered(0, b"k") in bench.effects
    record = pack(Record(0, b"k", b"late", EPOCH_MS << 16, 9, EPOCH_MS + 60_000))
    link = next(link for link in (1, 2, 3) if bench.sent(Pull, link))
    bench.say(link, Pulled(bench.sent(Pull)[0].token, 1, record))
    assert bench.engine.count(0, EPOCH_MS) == 1


def test_ten_thousand_misses_for_one_absent_key_ask_a_handful_of_times() -> None:
    bench = unequal()
    for number in range(10_000):
        pull(bench, b"absent")
        if number % 10 == 0:
            bench.wait(1)
    assert len(bench.sent(Pull)) <= 2 * (1 + 1000 // (25 + 250) + 1)


def test_a_thousand_pulls_a_second_at_most() -> None:
    bench = unequal()
    assert sum(pull(bench, b"k%d" % number) for number in range(5_000)) == 1_000


def test_whoever_is_asked_answers_with_what_it_has_or_nothing() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.write(b"k", b"mine")
    bench.say(1, Pull(5, 0, b"k"), Pull(6, 0, b"no"), Pull(7, 200, b"k"))
    assert [(one.token, bool(one.payload)) for one in bench.sent(Pulled)] == [(5, True), (6, False), (7, False)]


def test_news_by_a_pull_brings_the_pace_back_as_news_by_a_push_does() -> None:
    """Its own note of the change hid the change from the one that resets the pace: the next round came after 8 s."""
    bench = unequal()
    bench.core.rounds.interval_ms = bench.core.policy.round_ms_max
    assert pull(bench, b"k")
    record = pack(Record(0, b"k", b"found", EPOCH_MS << 16, 9, EPOCH_MS + 60_000))
    link = next(link for link in (1, 2, 3) if bench.sent(Pull, link))
    bench.say(link, Pulled(bench.sent(Pull)[0].token, 1, record))
    assert bench.core.rounds.interval_ms == bench.core.policy.round_ms and bench.core.rounds.soon_ms


def test_a_second_begins_with_a_second_and_gives_a_thousand_pulls_again() -> None:
    bench = unequal()
    bench.wait(1000 - bench.ms % 1000)
    assert sum(pull(bench, b"first%d" % number) for number in range(2_000)) == 1_000
    bench.wait(999)
    assert not pull(bench, b"still the first")
    bench.wait(1)
    assert sum(pull(bench, b"second%d" % number) for number in range(2_000)) == 1_000


def test_only_ready_peers_that_differ_are_asked() -> None:
    bench = Bench()
    for number, ready in enumerate((True, True, False)):
        bench.meet(number + 1, member(0x200 + number, ready=ready))
    peers = bench.core.neighbours.peers
    bench.core.neighbours.set_differs(peers[0x200])
    bench.core.neighbours.set_differs(peers[0x202])
    bench.forget()
    assert pull(bench, b"k")
    assert [len(bench.sent(Pull, link)) for link in (1, 2, 3)] == [1, 0, 0]
    (asked,) = bench.sent(Pull)
    assert (asked.db, asked.key) == (0, b"k")


def test_every_pull_has_a_token_of_its_own_and_an_answer_ends_only_its_own() -> None:
    bench = unequal()
    assert pull(bench, b"one") and pull(bench, b"two") and pull(bench, b"three")
    tokens = {one.token: one.key for one in bench.sent(Pull)}
    assert set(tokens.values()) == {b"one", b"two", b"three"} and len(tokens) == 3
    second = next(token for token, key in tokens.items() if key == b"two")
    for link in (1, 2, 3):
        if any(one.token == second for one in bench.sent(Pull, link)):
            bench.say(link, Pulled(second, 1, b""))
    assert [one for one in bench.effects if isinstance(one, Answered)] == [Answered(0, b"two")]


def test_a_late_answer_is_known_for_as_many_names_as_may_be_asked() -> None:
    bench = unequal()
    bench.core.pulls.names.clear()
    assert pull(bench, b"first")
    bench.wait(25)
    first = bench.sent(Pull)[0].token
    for number in range(bench.core.policy.pulls_max - 1):
        bench.core.pulls.names[-number - 1] = (0, b"%d" % number)
    assert pull(bench, b"last")
    assert first not in bench.core.pulls.names and len(bench.core.pulls.names) == bench.core.policy.pulls_max


def test_far_peers_get_the_longer_patience() -> None:
    bench = unequal()
    policy = bench.core.policy
    for peer in bench.core.neighbours.peers.values():
        peer.rtt_ms = policy.pull_ms
    assert pull(bench, b"k")
    bench.wait(policy.pull_ms)
    assert Answered(0, b"k") not in bench.effects
    bench.wait(policy.pull_ms_max - policy.pull_ms)
    assert Answered(0, b"k") in bench.effects
