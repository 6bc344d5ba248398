"""Who must not come in, and who may come in a little: garbage, other clusters, other networks, other enclaves."""

import random
import socket
import time

from tests.abuse.rig import check_log
from tests.live import SOON_S
from tests.peers.enclave import SECRET, USUAL, Member, enclave, until, until_equal, until_ready
from tests.ports import reserve
from tests.secrets import secret_of

OTHER_SECRET = secret_of("another")


def joiner(members: list[Member], *args: str, secret: str = SECRET) -> Member:
    member = Member(reserve(), reserve(), f"127.0.0.1:{members[0].peer_port}", USUAL, args, secret)
    member.start()
    return member


def test_garbage_on_the_peer_port_hurts_nobody_and_is_counted() -> None:
    draw = random.Random(seed := random.randrange(1 << 32))
    with enclave(2) as members:
        until_ready(members)
        for _ in range(150):
            with socket.create_connection(("127.0.0.1", members[0].peer_port), SOON_S) as sock:
                opening = draw.choice((b"*1\r\n$4\r\nPING\r\n", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", b""))
                sock.sendall(opening + draw.randbytes(draw.randrange(200)))
        until(
            lambda: members[0].info()["links_garbage"] or members[0].info()["links_silent"],
            f"nothing was counted, seed {seed}",
        )
        members[1].client.set("k", "v", ex=100)
        until(lambda: members[0].client.get("k") == b"v", "the peers must not notice")
        assert members[0].node is not None
        check_log(members[0].node)


def test_strangers_who_say_nothing_do_not_keep_peers_out() -> None:
    with enclave(2) as members:
        until_ready(members)
        silent = [socket.create_connection(("127.0.0.1", members[0].peer_port), SOON_S) for _ in range(400)]
        newcomer = joiner(members)
        try:
            until(lambda: newcomer.info()["enclave_peers_linked"] == 2, "a peer found no room")
            assert members[0].info()["links_crowded"]
        finally:
            newcomer.stop()
            for sock in silent:
                sock.close()


def test_another_cluster_is_turned_away_and_told_why() -> None:
    with enclave(2) as members:
        until_ready(members)
        members[0].client.set("k", "v", ex=100)
        stranger = joiner(members, secret=OTHER_SECRET)
        try:
            until(lambda: "event=link_untrusted" in stranger.log(), "the stranger was not told")
            until(lambda: "event=link_untrusted" in members[0].log(), "the operator was not told")
            assert stranger.client.dbsize() == 0 and stranger.info()["network_members"] == 1
            assert members[0].info()["network_members"] == 2
            assert OTHER_SECRET not in stranger.log() + members[0].log()
        finally:
            stranger.stop()


def test_two_networks_meet_and_part() -> None:
    with enclave(2) as members:
        until_ready(members)
        stranger = joiner(members, "--network", "green")
        try:
            for one in (stranger, members[0]):
                until(lambda one=one: "another_network" in one.log(), "one side was not told why")  # type: ignore[misc]
            assert members[0].info()["network_members"] == 2
        finally:
            stranger.stop()


def test_a_rotated_secret_lets_both_sides_in() -> None:
    with enclave(2) as members:
        until_ready(members)
        members[0].client.set("k", "v", ex=100)
        bridge = joiner(members, secret=f"{SECRET}\n{OTHER_SECRET}")
        try:
            until(lambda: bridge.client.get("k") == b"v", "the old secret must still do")
        finally:
            bridge.stop()


def test_enclaves_share_topology_and_no_data() -> None:
    with enclave(2) as members:
        until_ready(members)
        other = joiner(members, "--enclave", "blue", "--join-wait", "1")  # nobody else is in that enclave
        try:
            until(lambda: other.info()["network_members"] == 3, "the topology did not reach the other enclave")
            until(lambda: members[1].info()["network_members"] == 3, "nor did it come back")
            until(lambda: other.info()["peer_state"] == "ready", "it did not become the first of its enclave")
            members[0].client.set("k", "v", ex=100)
            other.client.set("blue", "v", ex=100)
            time.sleep(1.5)
            assert other.client.get("k") is None and members[0].client.get("blue") is None
            assert other.info()["enclave_members"] == 1
            rows = other.client.execute_command("RESPRAM", "TOPOLOGY")
            assert sorted(row[b"enclave"] for row in rows) == [b"blue", b"default", b"default"]
            assert until_equal(members, 1) == 1
        finally:
            other.stop()


def test_without_a_secret_peers_meet_on_this_machine() -> None:
    with enclave(2, secret="") as members:
        until_ready(members)
        members[0].client.set("k", "v", ex=100)
        until(lambda: members[1].client.get("k") == b"v", "the record did not arrive")
        assert "proof=none" in members[0].log() and f"listen=127.0.0.1:{members[0].peer_port}" in members[0].log()
        for noise in (b"garbage\r\n", b"*2\r\n$4\r\nPUSH\r\n$1\r\n1\r\n", b"*1000000\r\n"):
            with socket.create_connection(("127.0.0.1", members[0].peer_port), SOON_S) as sock:
                sock.sendall(noise)
                sock.settimeout(SOON_S)
                seen = b""
                while piece := sock.recv(4096):
                    seen += piece
                assert b"k" not in seen.split(b"default")[0]
        assert members[0].client.ping()
