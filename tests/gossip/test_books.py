"""The book between nodes: what is learnt is told upwards once, and books that differ are made one."""

import pytest

from respram.errors import PeerError
from respram.gossip.books import Books
from respram.gossip.effects import Send
from respram.gossip.members import DEAD, SUSPECT, Member, pack_all, unpack_members
from respram.wire.messages import Book, Members

from .host import Alone
from .rig import Bench, member


def told(host: Alone) -> tuple[Books, list[str]]:
    near = host.near()
    books = Books(host, near.book, near)
    said: list[str] = []
    books.on_met = lambda one, came_back: said.append(f"met {one.number}{' again' if came_back else ''}")
    books.on_suspected = lambda one: said.append(f"suspected {one.number}")
    books.on_lost = lambda one, own_word: said.append(f"lost {one.number}")
    return books, said


def test_each_change_of_a_member_is_told_once() -> None:
    books, said = told(Alone())
    for status, incarnation in ((0, 1), (0, 1), (SUSPECT, 1), (SUSPECT, 1), (DEAD, 1), (0, 1), (0, 2)):
        books.learn_member(member(5, status=status, incarnation=incarnation))
    assert said == ["met 5", "suspected 5", "lost 5", "met 5 again"]


def test_books_that_differ_are_exchanged_by_bucket_and_not_all_the_time() -> None:
    one, other = Bench(), Bench()
    one.meet(1, member(0x200))
    for number in (0x300, 0x301):
        one.core.books.learn_member(member(number))
    link = one.core.neighbours.links[1]
    one.forget()
    for ms in (2_001, 0, 1, 1_999):
        one.ms += ms
        one.core.now = one.now
        one.core.books.compare(link)
    one.take(one.core.tick(one.now))
    asked = one.sent(Book)
    assert len(asked) == 2
    other.meet(1, member(0x201))
    other.say(1, asked[0])
    [answer] = other.sent(Members)[-1:]
    assert answer.buckets
    one.say(1, answer)
    entries: list[Member] = list(unpack_members(one.sent(Members)[-1].entries))
    assert {0x300, 0x301} <= {entry.number for entry in entries}


def test_sums_of_another_size_are_a_peers_fault() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    with pytest.raises(PeerError):
        bench.core.books.compared(bench.core.neighbours.links[1], Book(b"short"))


def test_what_the_other_side_knows_as_well_is_not_sent_back() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.forget()
    bench.say(1, Members((1 << 64) - 1, pack_all([member(0x200), member(0x400)])))
    [answer] = [one.message for one in bench.effects if isinstance(one, Send) and isinstance(one.message, Members)]
    assert {one.number for one in unpack_members(answer.entries)} == {bench.core.me.number}
