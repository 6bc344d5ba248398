"""What clients see of the peers: no CLUSTER, RESPRAM's views, WAIT, publications, and misses that ask."""

from dataclasses import dataclass, field, replace

import pytest

from respram.commands import notify
from respram.commands.peers import HomeFacts, MemberFacts, PeerFacts, Waiter

from .rig import NOW, Client, Reference, Rig, bulk


@pytest.mark.parametrize("line", ["CLUSTER", "CLUSTER INFO", "CLUSTER SLOTS", "CLUSTER NODES", "CLUSTER KEYSLOT a",
                                  "ASKING", "READONLY", "READWRITE"])  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, line: str) -> None:
    reference(b"RESET")
    words = line.encode().split()
    assert client(*words) == reference(*words)


@dataclass(slots=True)
class FakePeers:
    """The other nodes as a test wants them."""

    held_by: int = 0
    useful: bool = False
    answers_pulls: bool = True
    number: int = 7
    published: list[tuple[bytes, bytes, bool]] = field(default_factory=list)
    pulled: list[tuple[int, bytes]] = field(default_factory=list)
    noticed: dict[Waiter, tuple[int, int]] = field(default_factory=dict)
    flushes: int = 0
    stranger: bool = False  # one of another enclave is linked as well
    digests: dict[int, tuple[int, int]] = field(default_factory=dict)

    def state(self) -> bytes:
        return b"joining"

    def linked(self) -> list[PeerFacts]:
        row = PeerFacts(0xAB, b"10.0.0.7", 16379, b"default", b"leaf", b"online", 250, 3, 10, 20, 40)
        away = replace(row, number=0xCD, host=b"fd00::7", state=b"unlinked", heard_ms=-1)
        return [row, away, *([replace(row, number=0xEF, enclave=b"blue\r\nrole:forged")] if self.stranger else [])]

    def members(self) -> list[MemberFacts]:
        return [MemberFacts(0xAB, b"10.0.0.7:16379", b"blue", b"leaf", 0xEF, b"alive", True, 4)]

    def home(self, slot: int) -> HomeFacts:
        return HomeFacts(0xAB, b"10.0.0.7:16379", slot == 12182, slot != 12182)

    def map_version(self) -> object:
        return 1

    def ranges(self) -> list[tuple[int, int, int]]:
        return []

    def decide_anew(self) -> None: ...
    def limits_changed(self) -> None: ...
    def beat(self, now_ms: int) -> None: ...
    def expel(self, data: bytes) -> bool:
        return data == b"signed"

    def facts(self) -> list[tuple[str, object]]:
        return [("peer_state", "ready"), ("records_repaired", 5)]

    def digest(self, at_ms: int) -> tuple[int, int] | None:
        return self.digests.get(at_ms)

    def publish(self, channel: bytes, message: bytes, shard: bool) -> None:
        self.published.append((channel, message, shard))

    def last_number(self) -> int:
        return self.number

    def flush(self) -> int:
        self.flushes += 1
        return self.number

    def holders(self, number: int) -> int:
        assert number == self.number
        return self.held_by

    def notice(self, conn: Waiter, number: int, wanted: int) -> None:
        self.noticed[conn] = (number, wanted)

    def pulls_useful(self) -> bool:
        return self.useful

    def pull(self, conn: Waiter, db: int, key: bytes) -> int:
        self.pulled.append((db, key))
        return 50 if self.answers_pulls else 0

    def forget(self, conn: Waiter) -> None:
        self.noticed.pop(conn, None)


@pytest.fixture
def others(rig: Rig) -> FakePeers:
    rig.node.peers = peers = FakePeers()
    rig.engine.spreads = True
    notify.observe(rig.node)
    return peers


# -- RESPRAM --------------------------------------------------------------------------------------
def test_peers_are_listed_as_maps(client: Client, others: FakePeers) -> None:
    client(b"HELLO", b"3")
    reply = client(b"RESPRAM", b"PEERS")
    assert reply.startswith(
        b"*2\r\n%10\r\n$4\r\nnode\r\n$16\r\n00000000000000ab\r\n$7\r\naddress\r\n$14\r\n10.0.0.7:16379\r\n"
    )
    assert (
        b"$15\r\n[fd00::7]:16379\r\n" in reply
        and b"$6\r\nrtt_us\r\n:250\r\n" in reply
        and b"$8\r\nheard_ms\r\n:-1\r\n" in reply
    )


def test_a_list_of_who_is_put_out_is_taken_where_it_is_signed(client: Client, others: FakePeers) -> None:
    assert client(b"RESPRAM", b"EXPEL", b"signed") == b"+OK\r\n"
    assert client(b"RESPRAM", b"EXPEL", b"forged").startswith(b"-ERR the data is not a revocation list")
    assert client(b"RESPRAM", b"EXPEL").startswith(b"-ERR wrong number of arguments")


def test_the_topology_tells_who_hangs_on_whom(client: Client, others: FakePeers) -> None:
    reply = client(b"RESPRAM", b"TOPOLOGY")
    assert reply.startswith(b"*1\r\n$") and reply.count(b"\r\n") == 3, "in RESP2 a line a node"
    for part in (b" parent=00000000000000ef ", b" ready=1 ", b" role=leaf "):
        assert part in reply
    client(b"HELLO", b"3")
    reply = client(b"RESPRAM", b"TOPOLOGY")
    assert reply.startswith(b"*1\r\n%8\r\n")
    for part in (
        b"$6\r\nparent\r\n$16\r\n00000000000000ef\r\n",
        b"$5\r\nready\r\n:1\r\n",
        b"$4\r\nrole\r\n$4\r\nleaf\r\n",
    ):
        assert part in reply


def test_a_digest_is_of_a_moment(client: Client, others: FakePeers) -> None:
    others.digests = {NOW: (12, 0xFEED), NOW - 5_000: (11, 0xF00D)}
    assert client(
        b"RESPRAM", b"DIGEST"
    ) == b"*6\r\n$5\r\nat_ms\r\n:%d\r\n$7\r\nrecords\r\n:12\r\n$6\r\ndigest\r\n$16\r\n%016x\r\n" % (NOW, 0xFEED)
    assert b":11\r\n" in client(b"RESPRAM", b"DIGEST", b"%d" % (NOW - 5_000))
    for moment in (b"x", b"%d" % (NOW - 1), b"%d" % (NOW - 10_001), b"%d" % (NOW + 10_001)):
        assert client(b"RESPRAM", b"DIGEST", moment).startswith(b"-ERR the time must be")
    assert client(b"RESPRAM", b"DIGEST", b"1", b"2").startswith(b"-ERR unknown subcommand")


def test_without_peers_there_is_nothing_to_tell(client: Client) -> None:
    for word in (b"PEERS", b"TOPOLOGY", b"DIGEST"):
        assert (
            client(b"RESPRAM", word)
            == b"-ERR this node has no peers; start it with --join, or let another node join it\r\n"
        )
    assert b"connected_slaves:0\r\n" in client(b"INFO", b"replication")


def test_info_and_role_show_linked_peers_as_replicas(client: Client, others: FakePeers) -> None:
    info = client(b"INFO", b"replication")
    assert b"role:master\r\nconnected_slaves:1\r\nslave0:ip=10.0.0.7,port=16379,state=online,offset=7,lag=0\r\n" in info
    assert b"master_repl_offset:7\r\n" in info and b"peer_state:ready\r\nrecords_repaired:5\r\n" in info
    assert client(b"ROLE") == b"*3\r\n$6\r\nmaster\r\n:7\r\n*1\r\n*3\r\n$8\r\n10.0.0.7\r\n$5\r\n16379\r\n$1\r\n7\r\n"


def test_info_has_a_line_for_each_peer_whatever_it_calls_itself(client: Client, others: FakePeers) -> None:
    others.stranger = True
    info = client(b"INFO", b"replication")
    first = (
        b"node=00000000000000ab,address=10.0.0.7:16379,enclave=default,role=leaf,state=online,"
        b"rtt_us=250,lag_ms=3,queue_bytes=10,heard_ms=40"
    )
    assert (
        b"\r\npeer0:"
        + first
        + b"\r\npeer1:node=00000000000000cd,address=[fd00::7]:16379,enclave=default,role=leaf,state=unlinked,"
        in info
    )
    assert b"\r\npeer2:node=00000000000000ef," in info and b"\r\nrole:forged" not in info
    assert b"connected_slaves:1\r\n" in info, "nodes of another enclave get no records"
    assert client(b"ROLE").count(b"10.0.0.7") == 1


def test_the_state_is_one_word(client: Client, rig: Rig) -> None:
    assert client(b"RESPRAM", b"STATE") == b"+ready\r\n"
    rig.node.peers = FakePeers()
    assert client(b"RESPRAM", b"STATE") == b"+joining\r\n"


# -- WAIT -----------------------------------------------------------------------------------------
def test_wait_answers_at_once_when_enough_peers_have_it(client: Client, others: FakePeers) -> None:
    others.held_by = 2
    assert client(b"WAIT", b"2", b"1000") == b":2\r\n"
    assert client(b"WAIT", b"0", b"0") == b":2\r\n"
    assert others.flushes == 2 and not others.noticed


def test_wait_suspends_until_enough_peers_have_it(client: Client, others: FakePeers) -> None:
    assert client(b"WAIT", b"2", b"1000") == b""
    assert client.conn.session.suspended and client.conn.suspended_until_ms == NOW + 1000
    assert others.noticed == {client.conn: (7, 2)}
    others.held_by = 1
    assert client.wake() == b"" and client.conn.session.suspended, "one of two is not enough"
    others.held_by = 2
    assert client.wake() == b":2\r\n"
    assert others.flushes == 1 and not others.noticed, "the number is that of the first call"
    assert client.conn.wait_state is None


def test_wait_tells_how_many_there_were_when_its_time_is_up(client: Client, others: FakePeers) -> None:
    others.held_by = 1
    assert client(b"WAIT", b"5", b"300") == b""
    client.advance(299)
    assert client.wake() == b""
    client.advance(1)
    assert client.wake() == b":1\r\n"
    assert client(b"WAIT", b"5", b"0") == b"" and client.conn.suspended_until_ms == NOW + 300 + 3_600_000


def test_unblock_ends_a_wait_both_ways(client: Client, others: FakePeers) -> None:
    for reason, reply in ((b"TIMEOUT", b":0\r\n"), (b"ERROR", b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")):
        assert client(b"WAIT", b"1", b"0") == b""
        assert client.other()(b"CLIENT", b"UNBLOCK", b"%d" % client.conn.id, reason) == b":1\r\n"
        assert client.wake() == reply
        assert not others.noticed


def test_wait_never_suspends_a_transaction(client: Client, others: FakePeers) -> None:
    client(b"MULTI")
    client(b"SET", b"k", b"v")
    client(b"WAIT", b"3", b"0")
    assert client(b"EXEC") == b"*2\r\n+OK\r\n:0\r\n"


def test_whoever_leaves_is_waited_for_no_more(client: Client, others: FakePeers) -> None:
    other = client.other()
    other(b"WAIT", b"3", b"0")
    assert other.conn in others.noticed
    other.close()
    assert not others.noticed


# -- publications and pulls -----------------------------------------------------------------------
def test_publications_go_to_the_other_nodes_and_count_the_listeners_here(client: Client, others: FakePeers) -> None:
    listener = client.other()
    listener(b"SUBSCRIBE", b"news")
    assert client(b"PUBLISH", b"news", b"x") == b":1\r\n"
    assert client(b"SPUBLISH", b"shard", b"y") == b":0\r\n"
    # by the engine itself
    told = [(channel, message, False) for channel, message in client.rig.engine.take_published()]
    assert told + others.published == [(b"news", b"x", False), (b"shard", b"y", True)]
    assert bool(told) == client.rig.hot and not client.rig.engine.published()


@pytest.mark.parametrize("command", ["GET k", "EXISTS k", "TTL k", "STRLEN k", "GETEX k EX 5", "COPY k l"])
def test_a_miss_asks_the_peers_once_and_then_stands(rig: Rig, client: Client, others: FakePeers, command: str) -> None:
    words = command.encode().split()
    alone = client(*words)
    assert not others.pulled, "while nobody may know more nobody is asked"
    others.useful = True
    notify.observe(rig.node)
    assert client(*words) == b"" and client.conn.session.suspended and client.conn.suspended_until_ms == NOW + 50
    assert client.wake() == alone
    assert others.pulled == [(0, b"k")]
    assert client(*words) == b"", "the next command asks again; who caches is the peers' business"
    client.wake()
    assert len(others.pulled) == 2


def test_a_pulled_key_is_found(rig: Rig, client: Client, others: FakePeers) -> None:
    others.useful = True
    notify.observe(rig.node)
    assert client(b"GET", b"k") == b""
    rig.engine.store(0, b"k", b"v", NOW + 1000, False, NOW, b"set")
    assert client.wake() == b"$1\r\nv\r\n"
    assert client(b"GET", b"k") == b"$1\r\nv\r\n" and len(others.pulled) == 1


@pytest.mark.parametrize(
    ("word", "answer"), [(b"MGET", b"*4\r\n$-1\r\n$4\r\nhere\r\n$4\r\nlate\r\n$-1\r\n"), (b"EXISTS", b":2\r\n")]
)
def test_many_missing_keys_wait_together(
    rig: Rig, client: Client, others: FakePeers, word: bytes, answer: bytes
) -> None:
    client(b"SET", b"b", b"here")
    others.useful = True
    notify.observe(rig.node)
    assert client(word, b"a", b"b", b"c", b"a") == b""
    assert others.pulled == [(0, b"a"), (0, b"c")]
    rig.engine.store(0, b"c", b"late", NOW + 1000, False, NOW, b"set")
    assert client.wake() == answer
    assert len(others.pulled) == 2


def test_home_tells_the_slot_of_a_key_and_who_decides_about_it(rig: Rig) -> None:
    client = rig.connect()
    assert client(b"RESPRAM", b"HOME", b"foo") == bulk(
        b"slot=12182 node=%016x address= here=1 settled=1" % rig.node.number
    )
    rig.node.peers = FakePeers()
    moving, away = (
        b"slot=12182 node=%016x address=%b here=1 settled=0",
        b"slot=5061 node=%016x address=%b here=0 settled=1",
    )
    assert client(b"RESPRAM", b"HOME", b"foo") == bulk(moving % (0xAB, b"10.0.0.7:16379"))
    assert client(b"RESPRAM", b"HOME", b"bar") == bulk(away % (0xAB, b"10.0.0.7:16379"))


def test_where_nobody_can_be_asked_nil_stands_at_once(rig: Rig, client: Client, others: FakePeers) -> None:
    others.useful, others.answers_pulls = True, False
    notify.observe(rig.node)
    assert client(b"GET", b"k") == b"$-1\r\n"
    assert client(b"MGET", b"k") == b"*1\r\n$-1\r\n"
    others.answers_pulls = True
    others.pulled.clear()
    client(b"MULTI")
    client(b"GET", b"k")
    assert client(b"EXEC") == b"*1\r\n$-1\r\n" and not others.pulled, "a transaction is one moment"
