"""What a forward brings along: what waits here, what other homes decided, and who went from a collection."""

from dataclasses import replace

from respram.gossip.forwarding import Request
from respram.record import SET, unpack
from respram.slots import pack_keys
from respram.wire.messages import ALONE, DONE, LATER, RUN, Answer, Forward

from .rig import ME, Bench
from .test_forwarding import INCR, OTHER, THIRD, ask, key_of, pair


def test_writes_that_wait_here_travel_along() -> None:
    bench = pair()
    key = key_of(bench, OTHER)
    bench.write(key, b"5")
    ask(bench, key)
    assert not bench.sent(Forward)[-1].records, "the push is on its way before it"
    peer = bench.core.neighbours.peers[OTHER]
    peer.lagging_ms = 0
    ask(bench, key)
    assert b"5" in bench.sent(Forward)[-1].records


def test_of_several_keys_what_other_homes_decided_travels_along() -> None:
    bench = pair(OTHER, THIRD)
    first, second, mine = key_of(bench, OTHER), key_of(bench, THIRD), key_of(bench, ME)
    for key in (first, second, mine):
        bench.write(key, key + b" here")
    ask(bench, first, second, mine, kind=ALONE)
    records = bench.sent(Forward)[-1].records
    assert second + b" here" in records and mine + b" here" in records and first + b" here" not in records
    ask(bench, second)
    assert not bench.sent(Forward)[-1].records, "its own home decides"
    bench.say(1, Answer(1, DONE, OTHER, b":1\r\n", b""))
    ask(bench, second)
    assert second + b" here" in bench.sent(Forward)[-1].records, "its home may not know yet what another decided"
    bench.wait(bench.core.policy.forward_stray_ms + 10)
    ask(bench, second)
    assert not bench.sent(Forward)[-1].records
    assert not bench.core.forwarding.strays


def test_what_a_forward_brings_along_is_bounded() -> None:
    bench = pair(OTHER, THIRD)
    bench.core.policy = replace(bench.core.policy, forward_records_bytes_max=200, forward_strays_max=1)
    away = [key_of(bench, THIRD, skip) for skip in range(3)]
    for key in away:
        bench.write(key, b"x" * 80)
    ask(bench, key_of(bench, OTHER), *away, kind=ALONE)
    assert 80 < len(bench.sent(Forward)[-1].records) <= 200
    bench.say(1, Answer(1, DONE, OTHER, b":1\r\n", b""))
    assert list(bench.core.forwarding.strays) == [away[-1]]


def collection(bench: Bench, key: bytes, members: int) -> None:
    now_ms = bench.now.wall_ms
    bench.engine.found(0, key, SET, now_ms + 60_000, False, now_ms)
    for number in range(members):
        bench.engine.put_member(0, key, b"member %d" % number, b"", None, now_ms)


def gone(bench: Bench, key: bytes, *numbers: int) -> None:
    for number in numbers:
        assert bench.engine.let_go_member(0, key, b"member %d" % number, bench.now.wall_ms)
    bench.engine.drain(1 << 30)


def along(bench: Bench, place: int = -1) -> int:
    """How many members that went the last forward tells of."""
    return sum(one.value is None for one in unpack(bench.sent(Forward)[place].records))


def test_which_members_went_travels_along_until_the_home_has_run_what_it_came_with() -> None:
    bench = pair(OTHER, THIRD)
    home, key = key_of(bench, OTHER), key_of(bench, THIRD)
    collection(bench, key, 5)
    ask(bench, home, key, kind=ALONE)
    assert along(bench) == 0
    gone(bench, key, 1, 2)
    for _ in range(2):
        ask(bench, home, key, kind=ALONE)
        assert along(bench) == 2, "the first may be lost, or refused"
    bench.say(1, Answer(2, LATER, OTHER, b"", b""))
    ask(bench, home, key, kind=ALONE)
    assert along(bench) == 2, "it has merged nothing"
    gone(bench, key, 3)
    ask(bench, home, key, kind=ALONE)
    assert along(bench) == 3
    bench.say(1, Answer(3, DONE, OTHER, b":1\r\n", b""))
    ask(bench, home, key, kind=ALONE)
    assert along(bench) == 1, "it knows two of them"
    bench.say(1, Answer(bench.sent(Forward)[-1].number, DONE, OTHER, b":1\r\n", b""))
    ask(bench, home, key, kind=ALONE)
    assert along(bench) == 0 and len(list(unpack(bench.sent(Forward)[-1].records))) == 3
    bench.wait(310)
    assert bench.sent(Forward)[-1].again and along(bench) == 0
    ask(bench, key)
    assert along(bench) == 3, "another home has decided about it, and its own may not have heard"


def test_who_went_from_a_collection_that_is_too_large_travels_along_all_the_same() -> None:
    bench = pair(OTHER, THIRD)
    home, large, small = key_of(bench, OTHER), key_of(bench, THIRD), key_of(bench, THIRD, 1)
    bench.core.policy = replace(bench.core.policy, forward_records_bytes_max=500)
    collection(bench, large, 50)
    collection(bench, small, 3)
    gone(bench, large, 1, 2)
    gone(bench, small, 1)
    ask(bench, home, large, small, kind=ALONE)
    assert along(bench) == 3 == len(list(unpack(bench.sent(Forward)[-1].records)))
    gone(bench, large, *range(3, 20))
    ask(bench, home, large, small, kind=ALONE)
    assert along(bench) == 1, "and what does not fit does not, and is not taken for known"
    bench.say(1, Answer(2, DONE, OTHER, b":1\r\n", b""))
    assert bench.core.forwarding.told == {(OTHER, 0, small): bench.engine.departed(0, small, 0, 0).cursor}


def test_what_is_known_of_who_was_told_is_bounded() -> None:
    bench = pair(OTHER, THIRD)
    bench.core.policy = replace(bench.core.policy, forward_strays_max=2)
    home, keys = key_of(bench, OTHER), [key_of(bench, THIRD, skip) for skip in range(4)]
    for key in keys:
        collection(bench, key, 2)
        gone(bench, key, 0)
    for number, key in enumerate([*keys, keys[2]], 1):
        ask(bench, home, key, kind=ALONE)
        bench.say(1, Answer(number, DONE, OTHER, b":1\r\n", b""))
    assert [key for _, _, key in bench.core.forwarding.told] == [keys[2], keys[3]]


def test_so_does_what_a_copy_finds_in_another_database() -> None:
    bench = pair(OTHER, THIRD)
    home, key = key_of(bench, OTHER), key_of(bench, THIRD)
    bench.write(home, b"of the home", db=3)
    for db in (0, 3, 4):
        bench.write(key, b"in %d" % db, db=db)
    request = Request(ALONE, 0, 2, b"", b"", pack_keys([home, key]), b"", b"COPY", copied_to=(3,))
    bench.take(bench.core.forward(request, bench.now)[1])
    assert [one.value for one in unpack(bench.sent(Forward)[-1].records)] == [b"in 0", b"in 3"]
    bench.say(1, Answer(1, DONE, OTHER, b":1\r\n", b""))
    bench.take(bench.core.forward(Request(RUN, 3, 2, b"", b"", pack_keys([key]), b"", INCR), bench.now)[1])
    assert [one.value for one in unpack(bench.sent(Forward)[-1].records)] == [b"in 3"], "its own home may not know yet"
