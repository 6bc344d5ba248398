"""A member that tells live nodes of 1,800 others that there are not: they decide, link and restart as ever."""

import contextlib
import socket
import time
from random import Random

import pytest
import redis

from respram.gossip.agreement import pack_said
from respram.gossip.members import ROLES, pack_all, pack_member
from respram.gossip.members import Member as Entry
from respram.gossip.policy import Said, Terms
from respram.wire.codec import encode
from respram.wire.messages import VERSION, Hello, Members, Vouch
from tests.live import SOON_S

from .enclave import Member, enclave, until, until_ready

INVENTED = 1_800
KEYS = 40
PATIENCE_S = 3 * SOON_S  # beside a liar a joiner may take a minute, on a quiet machine


def lie(members: list[Member], rng: Random) -> list[socket.socket]:
    """A node that comes, and has much to tell."""
    standing = []
    for member in members:
        me = Entry(rng.getrandbits(64) | 1, b"default", b"127.0.9.9:%d" % rng.randrange(1, 65_536), ready=False)
        hello = Hello(
            VERSION,
            b"respram",
            me.number,
            me.enclave,
            me.address,
            time.time_ns() // 1_000_000,
            0,
            pack_member(me),
            pack_said(Said(Terms(), Terms(), Terms())),
        )
        invented = [
            Entry(rng.getrandbits(64) | 1, b"default",
                  b"127.0.%d.%d:%d" % (rng.randrange(10, 250), rng.randrange(1, 255), rng.randrange(1, 65_536)),
                  rng.randrange(1, 9), 0, True, rng.randrange(len(ROLES)), me.number)
            for _ in range(INVENTED)
        ]  # fmt: skip
        sock = socket.create_connection(("127.0.0.1", member.peer_port), SOON_S)
        sock.sendall(encode(hello))
        assert sock.recv(1)  # before it has answered a frame must be short
        sock.sendall(
            b"".join(encode(Members(0, pack_all(invented[at : at + 300]))) for at in range(0, INVENTED, 300))
            + encode(Vouch(b"".join(one.number.to_bytes(8, "little") for one in invented)))
        )
        standing.append(sock)
    return standing


def heard(members: list[Member]) -> bool:
    return all(len(member.client.execute_command("RESPRAM", "TOPOLOGY")) > 100 for member in members)


@pytest.mark.timeout(600)
def test_members_that_are_not_there_decide_nothing_and_hold_up_nobody() -> None:
    rng = Random(7)
    with enclave(3, secret="") as members, contextlib.ExitStack() as open_:
        until_ready(members)
        until(lambda: all(member.info()["homes_members"] == 3 for member in members), "homes do not settle")
        for sock in lie(members, rng):
            open_.enter_context(sock)
        until(lambda: heard(members), "nobody has listened")
        for member in members:  # (one that a busy machine stopped for a while joins again)
            for number in range(KEYS):
                until_granted(member, b"%d-%d" % (member.port, number))
        until(
            lambda: all(member.info()["homes_members"] == 3 for member in members),
            "somebody has slots that is not there",
            PATIENCE_S,
        )
        members[2].stop()
        members[2].start()
        for sock in lie(members, rng):
            open_.enter_context(sock)
        until(
            lambda: all(member.info()["peer_state"] == "ready" for member in members),
            "not all nodes are ready",
            PATIENCE_S,
        )
        until_linked_to_real(members)
        until(
            lambda: all(member.info()["homes_members"] == 3 for member in members),
            "a node that is there has no slots",
            PATIENCE_S,
        )
        for member in members:
            until_granted(member, b"again-%d" % member.port)


def until_granted(member: Member, key: bytes) -> None:
    def granted() -> bool:
        try:
            return bool(member.client.set(key, b"v", nx=True, ex=600))
        except redis.exceptions.BusyLoadingError:
            return False
        except redis.exceptions.ResponseError as error:  # its home got no processor for seconds
            if not str(error).startswith("UNCERTAIN "):
                raise
            return member.client.get(key) is not None

    until(granted, "a home that is not there is asked", PATIENCE_S)


def until_linked_to_real(members: list[Member]) -> None:
    addresses = {b"127.0.0.1:%d" % member.peer_port for member in members}

    def linked() -> bool:
        return all(
            {bytes(row[b"address"]) for row in member.client.execute_command("RESPRAM", "PEERS")}
            >= addresses - {b"127.0.0.1:%d" % member.peer_port}
            for member in members
        )

    until(linked, "not all who are there are linked", PATIENCE_S)
