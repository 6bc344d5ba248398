"""CLUSTER as clients of Redis Cluster ask it, on both engines, alone and with others."""

import pytest

from respram.commands.cluster_map import id_of
from respram.config.settings import Config
from respram.slots import SLOTS

from ..engine.conftest import ENGINES
from .rig import Client, Reference, Rig, bulk
from .test_cluster_map import HALF, ME, OTHER, Others, fact

WITHOUT = b"-ERR This instance has cluster support disabled\r\n"
QUESTIONS = [
    "CLUSTER INFO", "CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES", "CLUSTER MYID", "CLUSTER KEYSLOT a",
    "CLUSTER COUNTKEYSINSLOT 1",
    "CLUSTER GETKEYSINSLOT 1 1", "CLUSTER LINKS", "CLUSTER REPLICAS x", "CLUSTER SLAVES x", "CLUSTER HELP", "ASKING",
    "READONLY", "READWRITE",
]  # fmt: skip


@pytest.fixture(params=list(ENGINES))
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(ENGINES[request.param], config=Config(cluster="yes"), number=ME)


@pytest.fixture
def client(rig: Rig) -> Client:
    return rig.connect()


@pytest.fixture
def others(rig: Rig) -> Others:
    rig.node.peers = others = Others(fact(ME), fact(OTHER))
    return others


@pytest.mark.parametrize("line", [*QUESTIONS, "CLUSTER", "CLUSTER nosuch", "CLUSTER KEYSLOT", "CLUSTER SLOTS x",
                                  "CLUSTER MEET a 1",
                                  "CLUSTER ADDSLOTS 1", "CLUSTER FORGET x", "CLUSTER RESET",
                                  "CLUSTER FAILOVER"])  # fmt: skip
def test_without_a_cluster_replies_are_those_of_a_redis_without_one(line: str, reference: Reference) -> None:
    words = line.encode().split()
    assert Rig(next(iter(ENGINES.values()))).connect()(*words) == reference(*words)


def test_what_only_newer_servers_have_is_off_as_well() -> None:
    assert Rig(next(iter(ENGINES.values()))).connect()(b"CLUSTER", b"MYSHARDID") == WITHOUT


def test_slots_are_told_with_their_master_alone(client: Client, others: Others) -> None:
    place = b"*4\r\n%b:6379\r\n%b*0\r\n"
    mine, theirs = (place % (bulk(b"10.0.0.%d" % (number & 15)), bulk(id_of(number))) for number in (ME, OTHER))
    whole = b"*2\r\n*3\r\n:0\r\n:%d\r\n%b*3\r\n:%d\r\n:%d\r\n%b" % (HALF - 1, mine, HALF, SLOTS - 1, theirs)
    assert client(b"CLUSTER", b"SLOTS") == whole
    assert client(b"CLUSTER", b"SLOTS") == whole, "the second time from what was encoded"
    client(b"HELLO", b"3")
    assert client(b"cluster", b"slots") == whole, "there is no map in it"


def test_a_tls_connection_is_told_the_ports_of_tls(client: Client, others: Others) -> None:
    others.known[:] = [fact(ME, b"a:1/11"), fact(OTHER, b"b:2")]
    assert b"$1\r\na\r\n:1\r\n" in client(b"CLUSTER", b"SLOTS")
    client.conn.encrypted = True
    reply = client(b"CLUSTER", b"SLOTS")
    assert b"$1\r\na\r\n:11\r\n" in reply and b"$1\r\nb\r\n:2\r\n" in reply


def test_shards_have_their_slots_and_one_node_each(client: Client, others: Others) -> None:
    others.known[:] = [fact(ME), fact(OTHER, b"b:2/22", ready=False)]
    client(b"HELLO", b"3")
    reply = client(b"CLUSTER", b"SHARDS")
    assert reply.startswith(
        b"*2\r\n%%2\r\n$5\r\nslots\r\n*2\r\n:0\r\n:%d\r\n$5\r\nnodes\r\n*1\r\n%%7\r\n$2\r\nid\r\n" % (SLOTS - 1)
    )
    assert reply.count(b"$6\r\nonline\r\n") == reply.count(b"$7\r\nloading\r\n") == 1
    assert b"$8\r\ntls-port\r\n:22\r\n" in reply and reply.count(b"$6\r\nmaster\r\n") == 2


def test_nodes_are_lines_of_words(client: Client, others: Others) -> None:
    others.known.append(fact(0xCC, status=b"suspect"))
    others.unlinked = (0xCC,)
    lines = client(b"CLUSTER", b"NODES").split(b"\r\n", 1)[1].removesuffix(b"\r\n").split(b"\n")
    assert lines[0] == b"%b 10.0.0.10:6379@16379 myself,master - 0 0 3 connected 0-%d" % (id_of(ME), HALF - 1)
    assert lines[1] == b"%b 10.0.0.11:6379@16379 master - 0 %d 3 connected %d-16383" % (id_of(OTHER),
                                                                                        client.rig.now_ms - 40, HALF)
    assert lines[2] == b"%b 10.0.0.12:6379@16379 master,fail? - 0 %d 3 disconnected" % (id_of(0xCC),
                                                                                        client.rig.now_ms - 40)
    assert lines[3:] == [b""]


def test_info_tells_whether_all_slots_are_served(client: Client, others: Others) -> None:
    reply = client(b"CLUSTER", b"INFO")
    for line in (b"cluster_state:ok", b"cluster_slots_assigned:16384", b"cluster_slots_ok:16384",
                 b"cluster_known_nodes:2", b"cluster_size:2",
                 b"cluster_current_epoch:3"):  # fmt: skip
        assert line + b"\r\n" in reply
    others.known[:], others.version = [fact(ME, ready=False)], 2
    reply = client(b"CLUSTER", b"INFO")
    assert b"cluster_state:fail\r\ncluster_slots_assigned:0\r\n" in reply


def test_other_commands_know_of_the_cluster(client: Client) -> None:
    assert b"cluster_enabled:1\r\n" in client(b"INFO", b"cluster") and b"redis_mode:cluster\r\n" in client(b"INFO",
                                                                                                           b"server")
    assert b"$4\r\nmode\r\n$7\r\ncluster\r\n" in client(b"HELLO", b"2")
    assert client(b"CONFIG", b"GET", b"cluster-enabled").endswith(b"$3\r\nyes\r\n")


def test_a_node_alone_is_a_cluster_of_one(client: Client) -> None:
    assert client(b"CLUSTER", b"MYID") == client(b"CLUSTER", b"MYSHARDID") == bulk(id_of(ME))
    assert b"cluster_state:ok" in client(b"CLUSTER", b"INFO")
    assert b":0\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:6379\r\n" in client(b"CLUSTER", b"SLOTS")
    assert client(b"CLUSTER", b"LINKS") == b"*0\r\n"


def test_links_are_those_to_members_of_the_cluster(client: Client, others: Others) -> None:
    others.known.append(fact(0xCC))
    others.unlinked = (0xCC,)
    client(b"HELLO", b"3")
    reply = client(b"CLUSTER", b"LINKS")
    assert reply.startswith(b"*1\r\n%5\r\n$9\r\ndirection\r\n$2\r\nto\r\n$4\r\nnode\r\n"
                            + bulk(id_of(OTHER))) and b":30\r\n" in reply


def test_nobody_is_a_replica(client: Client, others: Others) -> None:
    assert client(b"CLUSTER", b"REPLICAS", id_of(OTHER)) == client(b"CLUSTER", b"SLAVES", id_of(OTHER)) == b"*0\r\n"
    assert client(b"CLUSTER", b"REPLICAS", b"no\r\nbody") == b"-ERR Unknown node no??body\r\n"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("CLUSTER KEYSLOT foo", b":12182\r\n"), ("CLUSTER KEYSLOT {user1000}.following", b":3443\r\n"),
        ("CLUSTER COUNTKEYSINSLOT 16384", b"-ERR Invalid slot\r\n"),
        ("CLUSTER COUNTKEYSINSLOT -1", b"-ERR Invalid slot\r\n"),
        ("CLUSTER COUNTKEYSINSLOT x", b"-ERR value is not an integer or out of range\r\n"),
        ("CLUSTER GETKEYSINSLOT 1 x", b"-ERR value is not an integer or out of range\r\n"),
        ("CLUSTER GETKEYSINSLOT 1 -1", b"-ERR Invalid slot or number of keys\r\n"),
        ("CLUSTER GETKEYSINSLOT 1 0", b"*0\r\n"),
        ("CLUSTER nosuch", b"-ERR unknown subcommand 'nosuch'. Try CLUSTER HELP.\r\n"),
        ("READONLY", b"+OK\r\n"), ("READWRITE", b"+OK\r\n"), ("ASKING", b"+OK\r\n"),
    ],
)  # fmt: skip
def test_small_answers(client: Client, line: str, reply: bytes) -> None:
    assert client(*line.encode().split()) == reply


def test_slots_and_members_are_not_given_by_clients(client: Client) -> None:
    for words in ((b"ADDSLOTS", b"1"), (b"MEET", b"10.0.0.1", b"1"), (b"RESET",), (b"SETSLOT", b"1", b"STABLE")):
        assert client(b"CLUSTER", *words).startswith(
            b"-NOPERM 'cluster|%b' is refused by design: slots are assigned automatically" % words[0].lower()
        )


def test_keys_are_found_by_their_slot(client: Client) -> None:
    client(b"MSET", *(word for number in range(3_000) for word in (b"k%d" % number, b"v")))
    for key in (b"{tag}1", b"{tag}2", b"{tag}3"):
        client(b"SET", key, b"v", b"EX", b"10")
    slot = client(b"CLUSTER", b"KEYSLOT", b"tag")[1:-2]
    there = int(finished(client, b"CLUSTER", b"COUNTKEYSINSLOT", slot)[1:-2])
    every = finished(client, b"CLUSTER", b"GETKEYSINSLOT", slot, b"100")
    assert (
        there >= 3
        and every.startswith(b"*%d\r\n" % there)
        and all(bulk(b"{tag}%d" % number) in every for number in (1, 2, 3))
    )
    assert finished(client, b"CLUSTER", b"GETKEYSINSLOT", slot, b"2").startswith(b"*2\r\n")
    client.rig.advance(10_001)
    assert finished(client, b"CLUSTER", b"COUNTKEYSINSLOT", slot) == b":%d\r\n" % (there - 3)


def finished(client: Client, *argv: bytes) -> bytes:
    """A reply that may be made in several slices."""
    reply = client(*argv)
    for _ in range(1_000):
        if reply:
            return reply
        reply = client.wake()
    raise AssertionError("no reply")
