"""With whom links are kept."""

from dataclasses import replace

from respram.gossip.effects import Dial
from respram.gossip.members import ROOT

from .rig import Bench, member


def dials(bench: Bench) -> list[bytes]:
    return [one.address for one in bench.effects if isinstance(one, Dial)]


def test_up_to_ten_are_all_dialled_by_the_lower_number_first() -> None:
    bench = Bench()
    for number in (0x50, 0x200, 0x300):
        bench.core.books.learn_member(member(number))
    bench.wait(1_300)
    assert sorted(dials(bench)) == [member(0x200).address, member(0x300).address]
    bench.wait(3_000)
    assert member(0x50).address in dials(bench)


def test_a_failing_dial_is_repeated_with_growing_patience() -> None:
    bench = Bench()
    bench.core.books.learn_member(member(0x200))
    for _ in range(60):
        bench.wait(1_000)
        for address in dials(bench)[-1:]:
            bench.take(bench.core.dial_failed(address, bench.now))
    assert 8 <= len(dials(bench)) <= 25


def test_among_many_about_a_square_root_is_linked() -> None:
    bench = Bench()
    for number in range(400):
        bench.core.books.learn_member(member(0x1000 + number))
        bench.core.book.prove(0x1000 + number)
    assert bench.core.partners.degree() == 20 + 6 + 3
    link = 0
    for _ in range(30):
        bench.wait(1_000)
        for address in dials(bench):
            link += 1
            number = int(address.split(b":")[0].split(b"-")[1])
            bench.meet(link, member(number), dialled=True)
        bench.forget()
        for peer in bench.core.neighbours.peers.values():
            peer.heard_ms = bench.ms
    assert 14 <= len(bench.core.neighbours.greeted()) <= 18


def test_a_third_of_the_partners_lie_outside_the_own_branch() -> None:
    bench = Bench()
    bench.core.book.set_me(parent=0x900)
    for number in range(200):
        inside = number < 190
        bench.core.books.learn_member(member(0x1000 + number, parent=0x900 if inside else 0x901))
    for _ in range(3):
        bench.core.now = bench.now
        bench.core.partners.tend()
    dialled = [int(address.split(b":")[0].split(b"-")[1]) for address in dials_of(bench)]
    outside = sum(number >= 0x1000 + 190 for number in dialled)
    assert len(dialled) >= 10 and outside >= 2  # by chance alone it would be one in twenty


def dials_of(bench: Bench) -> list[bytes]:
    bench.take(bench.core._taken())
    return dials(bench)


def test_one_link_reaches_into_another_enclave() -> None:
    bench = Bench()
    for number in range(3):
        bench.core.books.learn_member(member(0x200 + number, enclave=b"other"))
    bench.wait(1_300)
    assert len(dials(bench)) == 1
    number = int(dials(bench)[0].split(b":")[0].split(b"-")[1])
    bench.meet(1, member(number, enclave=b"other"), dialled=True)
    bench.forget()
    bench.wait(3_000)
    assert not dials(bench)


def test_roots_are_dialled_while_none_is_known_to_live() -> None:
    bench = Bench(roots=[b"root:1"])
    assert dials(bench) == [b"root:1"]
    bench.meet(1, replace(member(0x200, role=ROOT), address=b"root:1"), dialled=True)
    bench.forget()
    bench.core.neighbours.peers[0x200].redial_at_ms = 1 << 40
    bench.wait(4_000)
    assert not dials(bench)


def test_a_link_in_use_is_not_let_go_for_rotation() -> None:
    bench = Bench()
    for number in range(30):
        bench.core.books.learn_member(member(0x1000 + number))
    for number in range(12):
        bench.meet(number + 1, member(0x1000 + number), dialled=True)
    busy = bench.core.neighbours.peers[0x1000].link
    assert busy is not None
    busy.dump_point = 5
    for _ in range(20):
        bench.core.now = bench.now
        bench.core.partners.rotate()
        bench.take(bench.core._taken())
    gone = [link for link, reason in bench.hangups().items() if reason == "rotation"]
    assert gone and 1 not in gone
    assert len(bench.core.neighbours.greeted()) == bench.core.partners.degree() // 2
