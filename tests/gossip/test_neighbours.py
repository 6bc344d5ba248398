"""Links and peers by number: who counts as one, what is dialled, what is forgotten."""

from respram.gossip.effects import Dial, Hangup, Report
from respram.gossip.links import Link, Peer

from .host import Alone
from .rig import member


def test_an_address_is_dialled_once_at_a_time_and_never_this_nodes_own() -> None:
    host = Alone()
    near = host.near()
    near.own_addresses[b"me:1"] = None
    for address in (b"a:1", b"a:1", b"me:1"):
        near.dial(address)
    assert host.effects == [Dial(b"a:1")]
    del near.dialling[b"a:1"]
    near.dial(b"a:1")
    assert host.effects == [Dial(b"a:1")] * 2


def test_pushes_to_a_new_peer_begin_behind_the_last_batch() -> None:
    near = Alone().near()
    near.last_number = lambda: 7
    assert near.peer(5).joined_at == 7
    near.last_number = lambda: 9
    assert near.peer(5).joined_at == 7, "the same peer"


def test_of_two_links_to_a_peer_one_is_greeted_and_only_its_end_is_the_peers() -> None:
    host = Alone()
    near = host.near()
    parted: list[int] = []
    near.on_part = lambda link, peer: parted.append(link.id)
    peer = near.peer(5)
    old, new = Link(1, b"", 0, peer), Link(2, b"", 0, peer)
    near.links = {1: old, 2: new}
    peer.link = new
    assert near.greeted() == [new] and near.link_to(5) is new
    near.drop(old)
    assert parted == []
    near.hangup(new, "some reason")
    assert parted == [2] and not near.links
    assert host.effects == [Report("hangup", "peer=0000000000000005 why=some_reason"), Hangup(2, "some reason")]


def test_a_peer_with_a_link_is_not_forgotten_and_a_forgotten_one_differs_no_more() -> None:
    near = Alone().near()
    peer = near.peer(5)
    near.set_differs(peer)
    near.set_differs(peer)
    assert near.differing == 1
    peer.link = Link(1, b"", 0, peer)
    near.forget(peer)
    assert near.peers == {5: peer}
    peer.link = None
    near.forget(Peer(5))
    assert near.peers == {5: peer}, "another one of that number"
    near.forget(peer)
    assert near.peers == {} and near.differing == 0


def test_peers_of_the_enclave_are_those_that_its_book_has() -> None:
    near = Alone().near()
    for number, enclave in ((1, b"main"), (2, b"other")):
        near.book.learn(member(number, enclave), 0)
        near.peer(number)
    assert [peer.number for peer in near.of_enclave()] == [1]
    assert near.partners() == [] and not near.is_partner(1)
    near.peers[1].redial_at_ms = 5
    assert near.partners() == [1] and near.is_partner(1)
