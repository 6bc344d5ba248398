"""A real cluster client on live nodes: it sends keys home, and goes on when a node is killed, comes back, stops or is
another's.
"""

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster

from tests.engine.conftest import ENGINES
from tests.live import SOON_S
from tests.ports import reserve

from .enclave import Member, enclave, until, until_linked, until_ready

KEYS = [f"key-{number}" for number in range(200)]


def connect(*members: Member) -> "RedisCluster":
    return RedisCluster(
        startup_nodes=[ClusterNode("127.0.0.1", member.port) for member in members], socket_timeout=SOON_S
    )


def forwarded(members: list[Member]) -> int:
    return sum(int(str(member.info()["forwarded_commands"])) for member in members if member.node is not None)


def masters(member: Member) -> dict[int, int]:
    """Port to number of slots, as this node tells it."""
    found: dict[int, int] = {}
    for first, last, (_, port, *_rest) in member.client.execute_command("CLUSTER SLOTS"):
        found[port] = found.get(port, 0) + last - first + 1
    return found


def until_served(client: "RedisCluster") -> None:
    """All keys, in one go."""

    def all_answer() -> bool:
        try:
            for key in KEYS:
                client.incr(key)
        except (redis.RedisError, redis.exceptions.RedisClusterException):
            return False
        return True

    until(all_answer, "not all keys are served", SOON_S)


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "mode"), list(zip(ENGINES, ("yes", "strict"), strict=False)))
def test_a_client_finds_every_home_and_goes_on_when_nodes_come_and_go(engine: str, mode: str) -> None:
    with enclave(3, "--cluster", mode, engines=(engine,)) as members:
        until_ready(members)
        until(lambda: all(len(masters(member)) == 3 for member in members), "a node knows fewer masters")
        client = connect(members[0])

        def goes_home() -> bool:
            """A client that knew no homes would have two of three forwarded. Slots that have just come wait for a
            moment, which counts as well.
            """
            before = forwarded(members)
            until_served(client)
            return forwarded(members) - before <= len(KEYS) // 10

        until(goes_home, "commands do not come to their homes")
        assert (
            masters(members[0]) == masters(members[1]) == masters(members[2])
            and sum(masters(members[0]).values()) == 16_384
        )

        members[1].kill()
        until_served(client)
        until(lambda: set(masters(members[0])) == {members[0].port, members[2].port}, "the dead one is a master still")
        members[1].start()
        until_linked(members)
        until_ready(members)
        until(lambda: all(len(masters(member)) == 3 for member in members), "who came back is no master")
        members[2].stop()
        until_served(client)
        members[2].start()
        until_linked(members)
        until_ready(members)
        until_served(client)
        assert all(int(client.get(key) or 0) >= 4 for key in KEYS), "counted at least once each time"
        client.close()


def test_who_is_no_cluster_client_is_served_by_any_node() -> None:
    with enclave(3, "--cluster", "yes") as members:
        until_ready(members)
        for member in members:
            client = member.client
            client.execute_command("CLUSTER", "SLOTS")  # by whatever looks
        for member in members:
            with member.connect() as client:
                for key in KEYS[:50]:
                    client.set(key, member.port)
                    assert client.get(key) == b"%d" % member.port
                assert client.mset({"a": 1, "b": 2}) and client.mget("a", "b") == [b"1", b"2"]


def test_addresses_are_those_that_each_node_was_told_to_announce() -> None:
    said = [
        ("--cluster-announce", f"node-{number}.example:7000", "--cluster-announce-tls-port", "7001")
        for number in range(2)
    ]
    with enclave(2, "--cluster", "yes", each=lambda number: said[number]) as members:
        until_ready(members)

        def hosts(member: Member) -> set[tuple[bytes, int]]:
            return {(place[0], place[1]) for _, _, place in member.client.execute_command("CLUSTER SLOTS")}

        expected = {(b"node-0.example", 7000), (b"node-1.example", 7000)}
        until(lambda: all(hosts(member) == expected for member in members), "other addresses are told")


def test_a_node_without_the_option_is_stood_in_for() -> None:
    with enclave(3, each=lambda number: ("--cluster", "yes") if number else ()) as members:
        until_ready(members)
        until(
            lambda: all(set(masters(member)) == {members[1].port, members[2].port} for member in members[1:]),
            "another is shown",
        )
        with pytest.raises(redis.ResponseError, match="cluster support disabled"):
            members[0].client.execute_command("CLUSTER", "SLOTS")
        client = connect(members[1])
        until_served(client)
        client.close()


def test_a_lone_node_is_a_cluster_until_and_after_the_first_peer_comes() -> None:
    alone = Member(reserve(), reserve(), "", "native" if "native" in ENGINES else "pure", ("--cluster", "yes"), "")
    peer = Member(reserve(), reserve(), f"127.0.0.1:{alone.peer_port}", alone.engine, ("--cluster", "yes"), "")
    alone.start(wait=False)
    try:
        client = connect(alone)
        until_served(client)
        assert masters(alone) == {alone.port: 16_384}
        peer.start()
        until_ready([alone, peer])
        until(
            lambda: set(masters(alone)) == set(masters(peer)) == {alone.port, peer.port}, "they do not know each other"
        )
        until_served(client)
        client.close()
    finally:
        peer.stop()
        alone.stop()
