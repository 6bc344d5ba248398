"""The map that cluster clients are told: a home is a master where it can be reached, and this node stands in where it
cannot.
"""

import pytest

from respram.commands.cluster_map import NOBODY, ClusterMap, Place, id_of, map_for
from respram.commands.peers import MemberFacts, PeerFacts
from respram.config.options import Address
from respram.config.settings import Config
from respram.slots import SLOTS

from ..engine.conftest import ENGINES
from .rig import Rig
from .test_cluster import FakePeers

ME, OTHER, THIRD = 0xAA, 0xBB, 0xCC
HALF = SLOTS // 2


def fact(
    number: int,
    clients: bytes = b"10.0.0.%d:6379",
    status: bytes = b"alive",
    enclave: bytes = b"default",
    ready: bool = True,
) -> MemberFacts:
    where = clients % (number & 15) if b"%" in clients else clients
    return MemberFacts(number, b"10.0.0.%d:16379" % (number & 15), enclave, b"leaf", 0, status, ready, 3, where)


class Others(FakePeers):
    """Two halves: the lower is this node's, the upper OTHER's."""

    def __init__(
        self, *members: MemberFacts, unlinked: tuple[int, ...] = (), halves: tuple[int, int] = (ME, OTHER)
    ) -> None:
        super().__init__()
        self.known, self.unlinked, self.halves, self.version = list(members), unlinked, halves, 1

    def members(self) -> list[MemberFacts]:
        return list(self.known)

    def linked(self) -> list[PeerFacts]:
        return [
            PeerFacts(one.number, b"h", 1, one.enclave, b"leaf",
                      b"unlinked" if one.number in self.unlinked else b"online", 1, 0, 10, 20, 40)
            for one in self.known[1:]
        ]

    def map_version(self) -> object:
        return self.version

    def ranges(self) -> list[tuple[int, int, int]]:
        low, high = self.halves
        return [(0, HALF - 1, low), (HALF, SLOTS - 1, high)]


def rig_of(others: FakePeers | None, cluster: str = "yes", **settings: object) -> Rig:
    rig = Rig(next(iter(ENGINES.values())), config=Config(cluster=cluster, **settings))  # type: ignore[arg-type]
    rig.node.peers = others
    return rig


def mapped(others: Others) -> ClusterMap:
    return map_for(rig_of(others).connect().conn)


def test_each_home_is_the_master_of_its_slots() -> None:
    found = mapped(Others(fact(ME), fact(THIRD), fact(OTHER)))
    assert found.ranges == [(0, HALF - 1, ME), (HALF, SLOTS - 1, OTHER)]
    assert [found.owner_of(slot) for slot in (0, HALF - 1, HALF, SLOTS - 1)] == [ME, ME, OTHER, OTHER]
    assert list(found.places) == [ME, OTHER, THIRD] and found.slots_of(THIRD) == []
    assert found.places[OTHER] == Place(OTHER, b"10.0.0.11", 6379, 0, 16379, b"alive", True, True, 3)


@pytest.mark.parametrize(
    "others",
    [
        Others(fact(ME), fact(OTHER), unlinked=(OTHER,)),
        Others(fact(ME), fact(OTHER, status=b"dead")),
        Others(fact(ME), fact(OTHER, clients=b"")),
        Others(fact(ME), fact(OTHER, ready=False)),
        Others(fact(ME), fact(OTHER, enclave=b"blue")),
    ],
    ids=["cut off", "dead", "not for cluster clients", "joining", "of another enclave"],
)
def test_this_node_stands_in_for_a_home_that_no_client_could_reach(others: Others) -> None:
    assert mapped(others).ranges == [(0, SLOTS - 1, ME)]


def test_a_node_that_joins_stands_in_for_nobody() -> None:
    others = Others(fact(ME, ready=False), fact(OTHER), fact(THIRD), unlinked=(THIRD,), halves=(OTHER, THIRD))
    assert mapped(others).ranges == [(0, SLOTS - 1, OTHER)]
    nobody = mapped(Others(fact(ME, ready=False), fact(OTHER), unlinked=(OTHER,)))
    assert nobody.ranges == [] and nobody.owner_of(0) == nobody.owner_of(SLOTS - 1) == NOBODY


def test_who_left_or_is_of_another_enclave_is_not_shown() -> None:
    others = Others(fact(ME), fact(OTHER, status=b"left"), fact(THIRD, enclave=b"blue"))
    assert list(mapped(others).places) == [ME]


def test_what_peers_say_of_themselves_is_read_with_care() -> None:
    places = mapped(
        Others(fact(ME, b"[fd00::1]:7000/7001"), fact(OTHER, b"no address\r\n"), fact(THIRD, b"a.example:1/x"))
    ).places
    assert (places[ME].host, places[ME].port, places[ME].tls_port) == (b"fd00::1", 7000, 7001)
    assert (places[OTHER].host, places[OTHER].port) == (b"", 0)
    assert (places[THIRD].host, places[THIRD].tls_port) == (b"a.example", 0)


def test_a_home_at_no_address_is_stood_in_for() -> None:
    assert mapped(Others(fact(ME), fact(OTHER, b"no address"))).ranges == [(0, SLOTS - 1, ME)]


def test_the_map_is_made_once_for_each_version() -> None:
    others = Others(fact(ME), fact(OTHER))
    conn = rig_of(others).connect().conn
    first = map_for(conn)
    others.known.append(fact(THIRD))
    assert map_for(conn) is first
    others.version += 1
    assert THIRD in map_for(conn).places


def test_a_node_alone_has_all_slots_and_is_found_where_its_client_found_it() -> None:
    rig = rig_of(None)
    found = map_for(rig.connect().conn)
    assert found.ranges == [(0, SLOTS - 1, rig.node.number)]
    assert [(one.host, one.port) for one in found.places.values()] == [(b"127.0.0.1", 6379)]
    told = rig_of(None, cluster_announce=Address("cache.example", 7000), cluster_announce_tls_port=7001)
    conn = told.connect().conn
    (place,) = map_for(conn).places.values()
    assert (place.host, place.port_for(conn)) == (b"cache.example", 7000)
    conn.encrypted = True
    assert place.port_for(conn) == 7001


def test_a_unix_socket_has_no_port_to_tell_of() -> None:
    rig = rig_of(None)
    rig.node.client_ports = (7000, 0)
    conn = rig.connect().conn
    conn.local_address = b"/run/respram.sock:0"
    (place,) = map_for(conn).places.values()
    assert (place.host, place.port) == (b"127.0.0.1", 7000)


def test_a_node_that_has_not_begun_with_its_peers_has_no_slots() -> None:
    rig = rig_of(None)
    rig.node.truth = object()  # type: ignore[assignment]
    assert map_for(rig.connect().conn).ranges == []


def test_an_id_is_forty_digits() -> None:
    assert id_of(0xAB) == b"0" * 38 + b"ab"
