"""The address book: who outranks whom, denial, sums, news, and entries from strangers."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.errors import PeerError
from respram.gossip.members import (
    ALIVE,
    DEAD,
    EVERY_BUCKET,
    INCARNATION_LEAD_MAX,
    INCARNATION_MAX,
    LEFT,
    STRANGERS_MAX,
    SUSPECT,
    AddressBook,
    Member,
    outranks,
    pack_all,
    pack_member,
    unpack_members,
)

from .rig import ME, member

entries = st.builds(
    Member,
    number=st.integers(1, 6),
    enclave=st.sampled_from([b"main", b"other"]),
    address=st.sampled_from([b"a:1", b"b:1"]),
    incarnation=st.integers(1, 4),
    status=st.integers(ALIVE, LEFT),
    ready=st.booleans(),
    role=st.integers(0, 3),
    parent=st.integers(0, 3),
    clients=st.sampled_from([b"", b"a.example:6379", b"[fd00::1]:6379/6380"]),
    weight=st.integers(1, 8),
    votes=st.booleans(),
)


def book() -> AddressBook:
    return AddressBook(member(ME), 100, 16)


@given(st.lists(entries, max_size=20))
def test_an_entry_survives_packing(members: list[Member]) -> None:
    assert list(unpack_members(pack_all(members))) == members


@given(st.binary(max_size=120))
def test_any_bytes_are_entries_or_a_peers_error(data: bytes) -> None:
    try:
        assert pack_all(unpack_members(data)) == data
    except PeerError:
        return


def test_an_entry_without_a_number_or_a_name_is_refused() -> None:
    good = member(5)
    for bad in (replace(good, number=0), replace(good, enclave=b""), replace(good, address=b""), replace(good, role=4)):
        with pytest.raises(PeerError):
            list(unpack_members(pack_member(bad)))
    with pytest.raises(PeerError):
        list(unpack_members(pack_member(good)[:-1]))


@given(st.lists(entries, max_size=25), st.integers(0, 2**32))
def test_counts_and_sums_follow_every_entry(members: list[Member], seed: int) -> None:
    one = book()
    for entry in members:
        one.learn(entry, 5)
    again = book()
    known = list(one.members.values())
    random.Random(seed).shuffle(known)
    for entry in known:
        again.learn(replace(entry, status=ALIVE) if not entry.is_alive else entry, 5)
        again.learn(entry, 5)
    assert (one.sum, one.sums) == (again.sum, again.sums)
    alive = {number: entry for number, entry in one.members.items() if entry.is_alive}
    assert set(one.alive) == set(alive)
    assert set(one.enclave) == {number for number, entry in alive.items() if entry.enclave == b"main"}
    for parent, count in one.children_of.items():
        assert count == sum(entry.parent == parent for entry in alive.values())
    for address, numbers in one.at_address.items():
        assert set(numbers) == {e.number for e in (*alive.values(), one.me) if e.address == address}


def test_a_higher_incarnation_wins_then_the_worse_status() -> None:
    base = member(7)
    assert outranks(replace(base, status=SUSPECT), base)
    assert not outranks(base, replace(base, status=SUSPECT))
    assert outranks(replace(base, incarnation=2), replace(base, status=DEAD))


def test_a_rumor_about_oneself_is_denied() -> None:
    one = book()
    one.learn(replace(one.me, status=DEAD, incarnation=9), 0)
    assert one.me.status == ALIVE and one.me.incarnation == 10
    assert [entry.incarnation for entry in unpack_members(one.news())] == [10]


def test_suspicion_does_not_change_the_sum_and_death_does() -> None:
    one = book()
    one.learn(member(7), 0)
    alone, before = book().sum, one.sum
    one.learn(replace(member(7), status=SUSPECT), 0)
    assert one.sum == before
    one.learn(replace(member(7), status=DEAD), 0)
    assert one.sum == alone
    one.forget_ended(1)
    assert 7 not in one.members


def test_news_is_told_a_few_times_and_ends() -> None:
    one = book()
    for number in range(1, 41):
        one.learn(member(number), 0)
    told: dict[int, int] = {}
    while news := one.news():
        assert len(list(unpack_members(news))) <= 16
        for entry in unpack_members(news):
            told[entry.number] = told.get(entry.number, 0) + 1
    assert set(told) == set(range(1, 41)) and set(told.values()) == {18}


def test_books_find_what_differs_by_bucket() -> None:
    one, other = book(), book()
    for number in range(1, 60):
        one.learn(member(number), 0)
        other.learn(member(number), 0)
    assert one.differing_buckets(other.packed_sums()) == 0
    one.learn(replace(member(9), incarnation=2), 0)
    buckets = one.differing_buckets(other.packed_sums())
    assert buckets.bit_count() == 1
    known = {entry.number: entry for entry in unpack_members(other.of_buckets(buckets))}
    assert [entry.number for entry in unpack_members(one.of_buckets(buckets, known))] == [9]
    assert len(list(unpack_members(one.of_buckets(EVERY_BUCKET)))) == 60


def test_the_book_is_bounded() -> None:
    one = AddressBook(member(ME), 3, 16)
    for number in range(1, 10):
        one.learn(member(number), 0)
    assert len(one.members) == 3


def test_an_incarnation_that_nobody_can_have_reached_is_the_tellers_fault() -> None:
    assert list(unpack_members(pack_member(member(5, incarnation=INCARNATION_MAX))))
    with pytest.raises(PeerError):
        list(unpack_members(pack_member(member(5, incarnation=INCARNATION_MAX + 1))))


def test_behind_the_last_incarnation_there_is_no_other() -> None:
    """One more would be no number that a message can carry: whoever had it could greet nobody any more."""
    one = book()
    one.me = replace(one.me, incarnation=INCARNATION_MAX)
    one.set_me(ready=not one.me.ready)
    assert one.me.incarnation == INCARNATION_MAX
    assert list(unpack_members(pack_member(one.me))) == [one.me]


def test_hearsay_cannot_use_up_the_incarnations_of_a_member() -> None:
    """A liar who goes as far ahead as it may, as often as it may, gains one for each second."""
    victim, witness = book(), book()
    witness.learn(member(7), 0)
    for now_ms in range(0, 100_000, 10):
        for ahead in (INCARNATION_MAX, INCARNATION_LEAD_MAX, 1):
            victim.learn(
                replace(victim.me, incarnation=min(victim.me.incarnation + ahead, INCARNATION_MAX), status=DEAD), now_ms
            )
            known = witness.members[7]
            witness.learn(
                replace(known, incarnation=min(known.incarnation + ahead, INCARNATION_MAX), status=SUSPECT), now_ms
            )
    assert victim.me.incarnation <= 1 + INCARNATION_LEAD_MAX + 101
    assert victim.me.status == ALIVE and victim.implausible > 1000
    assert witness.members[7].incarnation <= 1 + INCARNATION_LEAD_MAX + 100 and witness.implausible > 1000


def test_what_a_member_says_itself_holds_against_hearsay_that_is_implausible() -> None:
    """Who has just come believes whoever speaks first; the member itself sets it right."""
    one = book()
    one.learn(member(7, incarnation=INCARNATION_MAX), 0)
    assert one.learn(member(7, incarnation=5), 1) is None
    assert one.learn(member(7, incarnation=5), 1, own_word=True) and one.members[7].incarnation == 5
    one.learn(member(7, incarnation=INCARNATION_MAX, status=DEAD), 2)
    assert one.members[7] == member(7, incarnation=5)


def test_what_is_refused_or_forgotten_leaves_nothing_behind() -> None:
    one = AddressBook(member(ME), 3, 16)
    for number in range(1, 500):
        one.learn(member(number, status=DEAD), 0)
        one.learn(member(number), 0)
        one.learn(replace(member(1), address=b"a:%d" % number, incarnation=number + 1), 0, own_word=True)
    one.learn(replace(member(1), status=DEAD, incarnation=501), 0)
    one.forget_ended(1)
    assert len(one.at_address) == 2 and len(one._known) == 3


def test_a_denial_keeps_the_sum_of_the_book() -> None:
    one, other = book(), book()
    one.learn(replace(one.me, status=DEAD, incarnation=9), 0)
    other.me = one.me
    assert one.sum == AddressBook(one.me, 100, 16).sum


def test_who_speaks_or_is_vouched_for_finds_room_in_a_full_book_and_pushes_out_nobody_who_is_proven() -> None:
    one = AddressBook(member(ME), 4, 16)
    for number in (0x200, 0x300):
        one.learn(member(number), 0, own_word=True)
        one.prove(number)
    for number in (0x400, 0x500, 0x600):
        one.learn(member(number), 0)
    assert set(one.members) == {0x200, 0x300, 0x400, 0x500}
    assert one.learn(member(0x700), 0, own_word=True)
    one.prove(0x700)
    one.prove(0x800)
    assert one.learn(member(0x800), 0)
    assert set(one.members) == set(one.alive) == set(one.enclave) == {0x200, 0x300, 0x700, 0x800}
    assert one.learn(member(0x900), 0, own_word=True) is None


def test_of_proven_members_without_an_entry_so_many_are_kept() -> None:
    one = AddressBook(member(ME), 2 * STRANGERS_MAX, 16)
    assert [one.prove(number) for number in range(1, 2 * STRANGERS_MAX + 2)] == [True] * 2 * STRANGERS_MAX + [False]
    one.learn(member(0x10), 0)
    one.forget_ended(0)
    assert set(one.proven) == {0x10}
