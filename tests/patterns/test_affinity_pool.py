"""Which node a peer goes through."""

from collections import Counter

import pytest
import redis

from respram.patterns import AffinityPool, BadName, StoreAway, affinity_pool

NODES = ("a:1", "b:2", "c:3")


def pool(clock: list[float]) -> AffinityPool[redis.Redis]:
    clients = {node: redis.Redis(port=number) for number, node in enumerate(NODES, 1)}
    return AffinityPool(clients, clock=lambda: clock[0])


def test_peers_spread_evenly_and_everybody_who_knows_the_nodes_chooses_alike() -> None:
    one, two = pool([0.0]), AffinityPool({node: redis.Redis() for node in reversed(NODES)})
    peers = [f"peer-{number}" for number in range(600)]
    placed = Counter(one.node_of(peer) for peer in peers)
    assert set(placed) == set(NODES) and min(placed.values()) > 140
    assert [one.node_of(peer) for peer in peers] == [two.node_of(peer) for peer in peers]
    assert one.client_of("bob") is one.clients[one.node_of("bob")] is one.client_of("bob")


def test_only_the_peers_of_a_node_that_went_move_and_they_stay_where_they_went() -> None:
    clock = [0.0]
    one = pool(clock)
    before = {peer: one.node_of(peer) for peer in (f"peer-{number}" for number in range(90))}
    one.away("b:2")
    after = {peer: one.node_of(peer) for peer in before}
    assert all((before[peer] == after[peer]) == (before[peer] != "b:2") for peer in before)
    clock[0] = 60.0
    assert {peer: one.node_of(peer) for peer in before} == after, "moving back would cost a resumption"
    assert {one.node_of(f"new-{number}") for number in range(60)} == set(NODES), "newcomers use it again"


def test_a_preference_counts_for_a_newcomer_and_all_away_is_said() -> None:
    clock = [0.0]
    one = pool(clock)
    best = one.order_of("bob")
    assert one.node_of("bob", prefer=best[2]) == best[2] and one.node_of("bob") == best[2]
    for node in NODES:
        one.away(node)
    with pytest.raises(StoreAway, match="3 nodes"):
        one.node_of("bob")
    clock[0] = affinity_pool.AWAY_S + 1
    assert one.node_of("bob") == best[2]
    with pytest.raises(BadName):
        AffinityPool[redis.Redis]({})


def test_the_number_of_places_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affinity_pool, "PEERS_MAX", 3)
    one = pool([0.0])
    for number in range(10):
        one.node_of(f"peer-{number}")
    assert list(one.places) == ["peer-7", "peer-8", "peer-9"]
