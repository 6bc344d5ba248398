"""A member that knows the secret says of another member that it lives elsewhere, in MEMBERS and in the news of its
PINGs: the other one keeps its links and its place.
"""

import contextlib
import socket
import time
from dataclasses import replace
from functools import partial

from respram.gossip.agreement import pack_said
from respram.gossip.members import INCARNATION_LEAD_MAX, Member, pack_member, unpack_members
from respram.gossip.policy import Said, Terms
from respram.server.secret import Trust, trust_by_secret
from respram.wire.codec import encode
from respram.wire.messages import VERSION, Hello, Members, Ping
from tests.abuse.fuzz_peers import connections, standing_links
from tests.live import SOON_S
from tests.peers.enclave import PATIENT, SECRET, enclave, until, until_ready
from tests.peers.enclave import Member as Place

ROUNDS = 200
ELSEWHERE = b"127.0.9.9:7000"  # where nobody listens


def say(peer_port: int, trust: Trust, about: int) -> int:
    """Speaks ill of a member as long as the link stands, at most so many times; how often it was heard."""
    me = Member(trust.number, b"default", b"127.0.9.8:7000")
    said = pack_said(Said(Terms(), Terms(), Terms()))
    count = 0
    with (
        socket.create_connection(("127.0.0.1", peer_port), SOON_S) as sock,
        trust.dialling.wrap_socket(sock) as link,
        contextlib.suppress(OSError),
    ):
        hello = Hello(VERSION, b"respram", me.number, me.enclave, me.address, now_ms(), 0, pack_member(me), said)
        link.sendall(encode(hello))
        heard = b""
        while b"MEMBERS" not in heard and b"REFUSE" not in heard and (piece := link.recv(1 << 16)):
            heard += piece
        assert b"REFUSE" not in heard, heard
        for number in range(1, ROUNDS + 1):
            entry = Member(about, b"default", ELSEWHERE, incarnation=1 + number * (INCARNATION_LEAD_MAX - 1) // ROUNDS)
            entries = pack_member(entry) + pack_member(replace(entry, status=number % 4))
            assert list(unpack_members(entries))
            link.sendall(encode(Members(0, entries)) + encode(Ping(number, now_ms(), pack_member(entry))))
            link.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                if not link.recv(1 << 16):
                    break
            link.settimeout(SOON_S)
            count = number
    return count


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_nobody_moves_another_member_to_an_address_of_its_own() -> None:
    with enclave(3, *PATIENT) as members:
        until_ready(members)
        rows = members[0].client.execute_command("RESPRAM", "TOPOLOGY")
        places = {int(row[b"node"], 16): bytes(row[b"address"]) for row in rows}
        linked = {int(row[b"node"], 16) for row in members[0].client.execute_command("RESPRAM", "PEERS")}
        victim = sorted(linked)[0]
        ports = {member.peer_port for member in members}
        standing = standing_links(ports, 3)
        trust = trust_by_secret((SECRET,))
        for member in members:
            assert say(member.peer_port, trust, victim) > ROUNDS // 4

        def agreed() -> bool:
            for member in members:
                rows = member.client.execute_command("RESPRAM", "TOPOLOGY")
                said = {int(row[b"node"], 16): bytes(row[b"address"]) for row in rows}
                if any(said.get(number) != place for number, place in places.items()):
                    return False
            return True

        until(agreed, "a member is thought to live elsewhere")
        assert standing <= connections(ports), "a link of the honest was lost"
        for number, member in enumerate(members):
            key = b"after-%d" % number
            until(partial(member.client.set, key, b"v", ex=60), "not served")
            for other in members:
                until(partial(arrived, other, key), "it does not arrive")


def arrived(member: Place, key: bytes) -> bool:
    return bool(member.client.get(key) == b"v")
