"""Whoever knows the secret comes in, but not under the number of a node that made its own."""

import socket
import time

import pytest

from respram.gossip.agreement import pack_said
from respram.gossip.identity import belongs_to_a_key
from respram.gossip.members import Member as Entry
from respram.gossip.members import pack_member
from respram.gossip.policy import Said, Terms
from respram.server.secret import Trust, trust_by_secret
from respram.wire.codec import encode
from respram.wire.messages import VERSION, Hello
from tests.live import SOON_S
from tests.peers.enclave import SECRET, Member, enclave, until, until_ready

LET_IN = (b"MEMBERS", b"SEALS", b"PING", b"DIGEST")  # is said to a peer alone


def greeted(member: Member, trust: Trust, number: int) -> bytes:
    """What a node answers to a HELLO with this number, up to its end or its first frames."""
    me = Entry(number, b"default", b"127.0.9.9:7000")
    hello = Hello(
        VERSION, b"respram", number, me.enclave, me.address, time.time_ns() // 1_000_000, 0, pack_member(me),
        pack_said(Said(Terms(), Terms(), Terms())),
    )  # fmt: skip
    heard = b""
    with (
        socket.create_connection(("127.0.0.1", member.peer_port), SOON_S) as sock,
        trust.dialling.wrap_socket(sock) as link,
    ):
        link.sendall(encode(hello))
        while b"REFUSE" not in heard and b"MEMBERS" not in heard and (piece := link.recv(1 << 16)):
            heard += piece
    return heard


@pytest.mark.timeout(300)
def test_a_number_goes_with_the_key_that_it_was_made_from_and_with_no_other() -> None:
    with enclave(3) as members:
        until_ready(members)
        numbers = {int(row[b"node"], 16) for row in members[0].client.execute_command("RESPRAM", "TOPOLOGY")}
        assert len(numbers) == 3 and all(map(belongs_to_a_key, numbers))
        linked = {int(row[b"node"], 16) for row in members[0].client.execute_command("RESPRAM", "PEERS")}
        (mine,) = numbers - linked
        trust = trust_by_secret((SECRET,))
        for number in linked:
            assert b"number of another's key" in greeted(members[0], trust, number)
        members[0].stop()
        until(lambda: members[1].info()["enclave_peers_linked"] == 1, "the first is still there")
        assert b"number of another's key" in greeted(members[1], trust, mine)
        assert b"REFUSE" not in greeted(members[1], trust, trust.number)
        assert b"REFUSE" not in greeted(members[1], trust_by_secret((SECRET,)), 0x123)
