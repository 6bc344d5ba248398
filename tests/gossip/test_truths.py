"""Truth while joining: only who is ready knows, silence is no answer, and it ends in time whatever happens."""

import pytest

from respram.gossip.effects import Learnt, Send
from respram.gossip.states import ALONE, READY
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Bye, Pull, Pulled

from .rig import Bench, member

ROOT = b"root:7000"


def joiner(*ready: bool) -> Bench:
    """With a link to so many peers."""
    bench = Bench(roots=[ROOT])
    for number, is_ready in enumerate(ready):
        bench.meet(number + 1, member(0x200 + number, ready=is_ready))
    bench.forget()
    return bench


def ask(bench: Bench, key: bytes = b"k") -> int:
    token, effects = bench.core.ask(0, key, bench.now)
    bench.take(effects)
    return token


def asked(bench: Bench) -> list[int]:
    return [one.link for one in bench.effects if isinstance(one, Send) and isinstance(one.message, Pull)]


def learnt(bench: Bench) -> list[Learnt]:
    return [one for one in bench.effects if isinstance(one, Learnt)]


def packed(value: bytes, clock_ms: int = EPOCH_MS) -> bytes:
    return pack(Record(0, b"k", value, clock_ms << 16, 9, EPOCH_MS + 60_000))


def test_all_who_were_asked_have_their_say_and_the_newest_is_merged_first() -> None:
    bench = joiner(True, True, True)
    token = ask(bench)
    assert sorted(asked(bench)) == [1, 2, 3]
    bench.say(1, Pulled(token, 1, packed(b"old")))
    bench.say(2, Pulled(token, 1, b""))
    assert not learnt(bench)
    bench.say(3, Pulled(token, 1, packed(b"new", EPOCH_MS + 1)))
    assert bench.effects[-1] == Learnt(token, True)
    entry = bench.engine.lookup(0, b"k", EPOCH_MS)
    assert entry is not None and entry.value == b"new"


def test_a_slow_peer_is_waited_for_a_little_once_another_has_answered() -> None:
    bench = joiner(True, True)
    token = ask(bench)
    bench.say(1, Pulled(token, 1, b""))
    bench.wait(24)
    assert not learnt(bench)
    bench.wait(2)
    assert learnt(bench) == [Learnt(token, True)]
    bench.say(2, Pulled(token, 1, packed(b"late")))
    assert len(learnt(bench)) == 1


def test_who_fills_up_itself_is_not_asked_and_is_not_believed() -> None:
    bench = joiner(True, False)
    token = ask(bench)
    assert asked(bench) == [1]
    bench.say(2, Pulled(token, 1, b""))
    assert not learnt(bench), "nobody asked it"
    bench.say(1, Pulled(token, 0, b""))  # it says that it cannot know
    assert not learnt(bench)
    bench.forget()
    bench.wait(60)
    assert asked(bench) == [1], "asked again"
    bench.say(1, Pulled(token, 1, b""))
    assert learnt(bench) == [Learnt(token, True)]


def test_a_node_that_fills_up_says_that_it_does_not_know() -> None:
    bench = joiner(False)
    bench.say(1, Pull(7, 0, b"k"))
    assert bench.sent(Pulled) == [Pulled(7, 0, b"")]
    ready = Bench()
    ready.meet(1, member(0x200))
    ready.say(1, Pull(7, 0, b"k"))
    assert ready.sent(Pulled) == [Pulled(7, 1, b"")]


@pytest.mark.parametrize("how", ["closed", "bye"])
def test_a_source_that_dies_in_the_middle_is_replaced_at_once(how: str) -> None:
    bench = joiner(True)
    token = ask(bench)
    bench.meet(2, member(0x300))
    if how == "closed":
        bench.take(bench.core.closed(1, bench.now))
    else:
        bench.say(1, Bye())
    bench.wait(1)
    assert asked(bench) == [1, 2]
    bench.say(2, Pulled(token, 1, b""))
    assert learnt(bench) == [Learnt(token, True)]


def test_silence_is_no_answer_and_ends_in_time() -> None:
    bench = joiner(True)
    token = ask(bench)
    bench.wait(1_490)
    assert not learnt(bench) and 3 <= len(asked(bench)) <= 8
    bench.wait(20)
    assert learnt(bench) == [Learnt(token, False)]
    assert not bench.core.truths.open


def test_who_has_no_link_yet_asks_as_soon_as_it_has() -> None:
    bench = joiner()
    token = ask(bench)
    bench.wait(100)
    bench.meet(1, member(0x200))
    bench.wait(300)
    assert asked(bench)
    bench.say(1, Pulled(token, 1, b""))
    assert learnt(bench) == [Learnt(token, True)]


def test_when_it_turns_out_that_nobody_is_there_nobody_waits() -> None:
    bench = joiner()
    bench.wait(2_500)
    token = ask(bench)
    bench.wait(1_000)
    assert bench.core.state == ALONE and learnt(bench) == [Learnt(token, False)]
    assert not ask(bench)


def test_when_this_node_is_ready_it_knows_itself() -> None:
    bench = joiner(True)
    token = ask(bench)
    bench.core.now = bench.now
    bench.core.boot.become_ready("test")
    bench.take(bench.core.tick(bench.now))
    assert learnt(bench) == [Learnt(token, True)]
    assert bench.core.state == READY and not bench.core.unsure()


def test_questions_are_bounded() -> None:
    bench = joiner(True)
    tokens = [ask(bench, b"k%d" % number) for number in range(bench.core.policy.pulls_max + 5)]
    assert tokens[-6] and tokens[-5:] == [0] * 5
    bench.wait(2_100)
    assert not bench.core.truths.open and len(learnt(bench)) == bench.core.policy.pulls_max
