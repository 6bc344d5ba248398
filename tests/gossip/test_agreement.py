"""Settings that must be equal: the smaller holds on both sides, both say so, and no record stays refused."""

from dataclasses import replace

import pytest

from respram.errors import PeerError
from respram.gossip.agreement import cut_to, pack_said, smaller, unpack_said
from respram.gossip.effects import Agreed, Report
from respram.gossip.policy import Policy, Said, Terms
from respram.record import Record, Seal, pack, unpack
from respram.sim.world import EPOCH_MS
from respram.wire import messages as wire

from .rig import Bench, hello, member

HOUR_MS, MIB = 3_600_000, 1 << 20
HERE = Terms(24 * HOUR_MS, 64 * MIB, True)


def said(current: Terms, own: Terms = HERE, near: Terms | None = None) -> bytes:
    return pack_said(Said(current, own, near or own))


def bench() -> Bench:
    return Bench(replace(Policy(), terms=HERE))


def meet(one: Bench, link: int, number: int, terms: Terms, enclave: bytes = b"main") -> None:
    one.take(one.core.opened(link, b"", one.now))
    one.say(link, hello(member(number, enclave), settings=said(terms, terms)))


def warnings(one: Bench) -> list[str]:
    return [
        line.details
        for line in one.effects
        if isinstance(line, Report) and line.event == "unequal_settings" and line.warns
    ]


def test_terms_survive_packing_and_more_of_them_is_passed_over() -> None:
    all_three = Said(HERE, replace(HERE, max_ttl_ms=HOUR_MS), replace(HERE, value_bytes_max=MIB))
    assert unpack_said(pack_said(all_three)) == all_three == unpack_said(pack_said(all_three) + b"later")
    assert unpack_said(pack_said(all_three)[:17]) == Said(HERE, HERE, HERE), "an older node says no more"
    with pytest.raises(PeerError):
        unpack_said(pack_said(all_three)[:16])
    assert (smaller(0, 5), smaller(5, 0), smaller(7, 5)) == (5, 5, 5)


def test_the_size_of_the_enclave_is_said_where_a_majority_decides_and_another_is_warned_of() -> None:
    three = Said(HERE, HERE, HERE, enclave_size=3)
    assert unpack_said(pack_said(three) + b"later") == three
    assert unpack_said(pack_said(three)[:49]) == Said(HERE, HERE, HERE), "an older node says no more"
    one = Bench(replace(Policy(), terms=HERE, enclave_size=3))
    meet(one, 1, 0x200, HERE)
    assert unpack_said(one.sent(wire.Hello, 1)[0].settings).enclave_size == 3
    assert warnings(one) == ["peer=0000000000000200 setting=enclave-size here=3 there=0 now=each_its_own"]
    one.take(one.core.opened(2, b"", one.now))
    one.say(2, hello(member(0x201), settings=pack_said(three)))
    one.say(1, wire.Terms(said(replace(HERE, max_ttl_ms=HOUR_MS))))
    assert sum("enclave-size" in line for line in warnings(one)) == 1, "once for each peer"


def test_who_decides_alone_says_so_and_both_sides_are_warned() -> None:
    alone = Said(HERE, HERE, HERE, alone=True)
    assert unpack_said(pack_said(alone) + b"later") == alone
    assert unpack_said(pack_said(alone)[:53]) == Said(HERE, HERE, HERE), "an older node says no more"
    one = bench()
    meet(one, 1, 0x200, HERE)
    one.say(1, wire.Terms(pack_said(alone)))
    one.say(1, wire.Terms(pack_said(alone)))
    assert warnings(one) == ["peer=0000000000000200 setting=decide here=home there=local now=each_its_own"]
    one.take(one.core.decide(True, one.now))
    assert len(warnings(one)) == 1 and one.sent(wire.Terms, 1)[-1] == wire.Terms(pack_said(alone)), "they are equal now"
    one.take(one.core.decide(False, one.now))
    assert warnings(one)[1:] == ["peers=1 setting=decide here=home there=local now=each_its_own"]
    one.take(one.core.decide(False, one.now))
    assert len(one.sent(wire.Terms, 1)) == 2, "nothing has changed for the others"


def test_equal_settings_are_no_matter() -> None:
    one = bench()
    meet(one, 1, 0x200, HERE)
    assert not warnings(one) and not one.sent(wire.Terms)


def test_a_smaller_limit_is_taken_over_and_told_on_and_both_sides_warn() -> None:
    one = bench()
    meet(one, 1, 0x200, HERE)
    meet(one, 2, 0x201, replace(HERE, max_ttl_ms=HOUR_MS))
    assert warnings(one) == [f"peer=0000000000000201 setting=max-ttl here={24 * HOUR_MS} there={HOUR_MS} now={HOUR_MS}"]
    agreed = replace(HERE, max_ttl_ms=HOUR_MS)
    assert [effect for effect in one.effects if isinstance(effect, Agreed)] == [Agreed(agreed)]
    assert one.sent(wire.Terms, 1) == one.sent(wire.Terms, 2) == [wire.Terms(said(agreed, near=agreed))]
    meet(one, 3, 0x202, agreed)
    assert len(warnings(one)) == 1, "that is what holds here by now"
    assert unpack_said(one.sent(wire.Hello, 3)[0].settings) == Said(agreed, HERE, agreed)


def test_a_greater_limit_there_is_said_and_changes_nothing_here() -> None:
    one = bench()
    meet(one, 1, 0x200, Terms(48 * HOUR_MS, 512 * MIB, False))
    assert [line.split()[1] for line in warnings(one)] == [
        "setting=max-ttl",
        "setting=proto-max-bulk-len",
        "setting=seal-memory",
    ]
    assert one.core.agreement.current == HERE
    one.say(1, wire.Terms(said(HERE)))
    assert len(warnings(one)) == 3, "it has taken over what holds here"


def test_other_enclaves_may_do_as_they_like() -> None:
    one = bench()
    meet(one, 1, 0x200, Terms(HOUR_MS, MIB, False), enclave=b"other")
    assert not warnings(one) and one.core.agreement.current == HERE


def test_what_lives_too_long_is_cut_and_what_is_too_large_leaves_a_stub() -> None:
    one = bench()
    meet(one, 1, 0x200, replace(HERE, max_ttl_ms=HOUR_MS, value_bytes_max=1_000))
    meet(one, 2, 0x201, HERE)
    long_ms = EPOCH_MS + 24 * HOUR_MS
    records = [
        Record(0, b"short", b"v", EPOCH_MS << 16, 9, EPOCH_MS + 60_000),
        Record(0, b"long", b"v", EPOCH_MS << 16, 9, long_ms, implicit=True, seal=Seal(5, 9, 7)),
        Record(3, b"large", b"v" * 2_000, EPOCH_MS << 16, 9, EPOCH_MS + 60_000),
        Record(0, b"k" * 2_000, b"v", EPOCH_MS << 16, 9, EPOCH_MS + 60_000),
        Record(0, b"future", b"v", EPOCH_MS + 60_000 << 16, 9, long_ms),
    ]
    one.core.now = one.now
    payload = b"".join(one.core.agreement.cut(b"".join(map(pack, records))))
    long, large, key = unpack(payload)
    assert (key.key, key.value, key.shadow_ms) == (b"k" * 2_000, None, EPOCH_MS + 60_000), (
        "a stub may be as large as its key"
    )
    assert long == replace(records[1], node=long.node, deadline_ms=EPOCH_MS + HOUR_MS, shadow_ms=long_ms)
    assert long.node > 9, "any write of the next clock wins over the cut, whose ever it is"
    assert long.seal == Seal(5, 9, 7), "its value lies as it was sealed"
    assert (large.value, large.db, large.deadline_ms, large.shadow_ms) == (None, 3, EPOCH_MS, EPOCH_MS + 60_000)
    assert one.core.agreement.cut(b"\xff" * 10) == []
    assert bench().core.agreement.cut(payload) == [], "these limits allow all of it"


def test_what_a_peer_with_equal_settings_kept_of_earlier_ones_is_cut_all_the_same() -> None:
    """Its operator had lowered the limit before this node came: HELLO brought nothing unequal, and it was refused for
    ever.
    """
    one = bench()
    meet(one, 1, 0x200, HERE)
    record = Record(0, b"long", b"v", EPOCH_MS << 16, 9, EPOCH_MS + 48 * HOUR_MS)
    one.core.now = one.now
    [cut] = one.core.agreement.cut(pack(record))
    assert [made.deadline_ms for made in unpack(cut)] == [EPOCH_MS + 24 * HOUR_MS]


def test_nodes_that_cut_one_record_give_it_stamps_of_their_own_before_any_of_the_next_clock() -> None:
    """They may give it different ends, and ids carry none: under one stamp they would differ for ever."""
    now_ms, terms = EPOCH_MS, Terms(HOUR_MS, MIB, True)
    for writer in (1, 1 << 63, (1 << 64) - (1 << 16)):
        record = Record(0, b"k", b"v", now_ms << 16, writer, now_ms + 48 * HOUR_MS)
        cutters = range(1 << 40, (1 << 40) + 1_000)
        stamps = {made.stamp for me in cutters for made in cut_to(terms, pack(record), me, now_ms, 0)}
        assert len(stamps) == 1_000
        assert record.stamp < min(stamps) and max(stamps) < (record.clock + 1, 1 << 33)


def test_limits_that_are_not_said_cut_nothing() -> None:
    one = Bench(Policy())
    one.core.now = one.now
    assert one.core.agreement.cut(pack(Record(0, b"k", b"v", EPOCH_MS << 16, 9, EPOCH_MS + HOUR_MS))) == []


def test_a_limit_that_the_operator_changes_is_told_and_holds_as_far_as_the_peers_allow() -> None:
    one = bench()
    meet(one, 1, 0x200, HERE)
    meet(one, 2, 0x300, Terms(2 * HOUR_MS, MIB, True), enclave=b"other")
    one.take(one.core.choose(HOUR_MS, HERE.value_bytes_max, one.now))
    lower = replace(HERE, max_ttl_ms=HOUR_MS)
    assert one.sent(wire.Terms, 1) == [wire.Terms(said(lower, lower))] and not one.sent(wire.Terms, 2)
    assert one.core.agreement.current == lower and not warnings(one)
    one.say(1, wire.Terms(said(lower, near=lower)))  # it has taken it over
    one.take(one.core.choose(HERE.max_ttl_ms, HERE.value_bytes_max, one.now))
    assert one.core.agreement.current == HERE and not warnings(one), "its own operator has given it no less"
    assert one.sent(wire.Terms, 1)[1:] == [wire.Terms(said(HERE))]
    one.take(one.core.choose(48 * HOUR_MS, HERE.value_bytes_max, one.now))
    assert warnings(one) == [f"setting=max-ttl here={48 * HOUR_MS} peers={24 * HOUR_MS} now={24 * HOUR_MS}"]
    assert one.core.agreement.current == HERE
    assert [effect for effect in one.effects if isinstance(effect, Agreed)][-1] == Agreed(HERE)
    more = replace(HERE, max_ttl_ms=48 * HOUR_MS)
    assert one.sent(wire.Terms, 1)[2:] == [wire.Terms(said(HERE, more, HERE))], "the other's operator may follow"
    one.take(one.core.choose(48 * HOUR_MS, HERE.value_bytes_max, one.now))
    assert len(one.sent(wire.Terms, 1)) == 3, "nothing has changed for the others"


def test_the_limit_of_a_node_that_is_gone_binds_nobody_who_comes_later() -> None:
    """Each restarted node took it over from the others, so that only stopping all of them at once could end it."""
    left = replace(HERE, max_ttl_ms=HOUR_MS)
    one = bench()
    one.take(one.core.opened(1, b"", one.now))
    one.say(1, hello(member(0x200), settings=said(left)))  # it has taken this over, from whom is not there
    assert one.core.agreement.current == HERE
    assert warnings(one) == [
        f"peer=0000000000000200 setting=max-ttl here={24 * HOUR_MS} there={HOUR_MS} now={24 * HOUR_MS}"
    ]
    one.say(1, wire.Terms(said(left)))
    assert one.core.agreement.current == HERE, "that is no news"


def test_the_limit_of_a_node_that_a_peer_is_linked_to_binds_who_comes_later() -> None:
    less = replace(HERE, max_ttl_ms=HOUR_MS)
    one = bench()
    one.take(one.core.opened(1, b"", one.now))
    one.say(1, hello(member(0x200), settings=said(less, near=less)))
    assert one.core.agreement.current == less


def test_the_limit_of_a_peer_that_has_gone_is_told_to_nobody_and_the_operator_may_lift_it() -> None:
    less = replace(HERE, max_ttl_ms=HOUR_MS)
    one = bench()
    meet(one, 1, 0x200, less)
    one.take(one.core.closed(1, one.now))
    meet(one, 2, 0x201, HERE)
    assert unpack_said(one.sent(wire.Hello, 2)[0].settings) == Said(less, HERE, HERE)
    one.take(one.core.choose(HERE.max_ttl_ms, HERE.value_bytes_max, one.now))
    assert one.core.agreement.current == HERE
