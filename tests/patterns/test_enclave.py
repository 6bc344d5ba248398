"""Patterns on three nodes: what reaches the others, and what two nodes may do at the same moment.

Who decides is the key's home, so of all that race for a key one wins.
"""

import json
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from respram.patterns import (
    Broadcast,
    Change,
    Claim,
    ClaimLost,
    ContentDistribution,
    ContentMissing,
    ContentStore,
    CoordinationToken,
    Counter,
    DeadDrop,
    Dedup,
    Duplex,
    FileTransfer,
    GrowingList,
    Heartbeat,
    PatternError,
    Presence,
    SessionEnded,
    Sessions,
    StateMachine,
    Statistics,
    StreamDecoder,
    StreamEncoder,
    key,
    reference,
)
from tests.live import SOON_S
from tests.patterns.conftest import World
from tests.ports import reserve

RACES = 80  # in each of which exactly one node may win; without homes most of them have two winners
MOVES = {"queued": ["running"], "running": ["done", "failed"]}

Apart = tuple[World, list[Any]]


def agreed(world: World, clients: list[Any], name: bytes) -> bytes | None:
    """What a key holds once all nodes hold the same. A node that wrote has by then seen what outranks its own."""
    end = time.monotonic() + SOON_S
    while True:
        seen = [world(client.get(name)) for client in clients]
        if seen.count(seen[0]) == len(seen):
            found: bytes | None = seen[0]
            return found
        assert time.monotonic() < end, "the nodes do not agree"


# -- what reaches the other nodes -----------------------------------------------------------------
def test_a_dead_drop_is_read_on_every_other_node(apart: Apart) -> None:
    world, clients = apart
    world(DeadDrop(clients[0], world.name, "a", "b").leave(b"the findings", 30))
    for client in clients[1:]:
        assert world(DeadDrop(client, world.name, "a", "b").wait(SOON_S)) == b"the findings"


def test_every_node_reports_the_expiry_of_a_member_that_beat_on_one(apart: Apart) -> None:
    world, clients = apart

    def watched(board: Presence[Any], member: str) -> list[Change]:
        world(board.enable_events())
        world(Heartbeat(clients[0], member, 30, world.name).beat())
        world.until(lambda: board.alive(member))
        name = key("heartbeat", world.name, member)
        # Polling is too seldom here to bring the news: the node's own event does.
        return world.take(board.changes(poll_s=60), 2, between=lambda: world.raw.pexpire(name, 1))

    for member, client in zip(("ada", "bob", "cyd"), clients, strict=True):
        changes = watched(Presence(client, world.name), member)
        assert changes == [Change(member, True, "poll"), Change(member, False, "expired")]


def test_a_broadcast_rolls_back_on_all_nodes(apart: Apart) -> None:
    world, clients = apart
    boards = [Broadcast(client, world.name, "default", 30) for client in clients]
    name = key("broadcast", world.name)
    world(boards[0].announce("dark-mode"))
    assert agreed(world, clients, name) == b'"dark-mode"'
    deadlines = {world(client.execute_command("PEXPIRETIME", name)) for client in clients}
    assert len(deadlines) == 1, "a key ends everywhere in the same millisecond"
    world.expire(name)
    assert agreed(world, clients, name) is None
    assert [world(board.current()) for board in boards] == ["default"] * 3


def test_a_stream_and_its_answer_cross_the_nodes(apart: Apart) -> None:
    world, clients = apart
    encoder = StreamEncoder(clients[0], world.name, 30, chunk_bytes=3)
    sent = [b"first of all", b"", "grüße".encode()]
    for message in sent:
        world(encoder.send(message))
    world(encoder.close())
    for client in clients[1:]:
        assert [world(StreamDecoder(client, world.name).receive(SOON_S))] == sent[:1]
        assert world.take(StreamDecoder(client, world.name).messages(SOON_S), 3) == sent
    ada, bob = Duplex(clients[1], world.name, "ada", "bob", 30), Duplex(clients[2], world.name, "bob", "ada", 30)
    both = world.together(lambda: ada.send(b"hello"), lambda: bob.send(b"well?"))
    assert both == [0, 0]
    assert [world(one.receive(SOON_S)) for one in (ada, bob)] == [b"well?", b"hello"]


def test_a_file_sent_to_one_node_is_fetched_from_another(apart: Apart, tmp_path: Path) -> None:
    world, clients = apart
    data = bytes(range(256)) * 4096  # 1 MiB in 16 chunks
    (tmp_path / "a").write_bytes(data)
    send, fetch = (FileTransfer(ContentStore(client, world.name, 30), 65_536) for client in clients[:2])
    ticket = world(send.send(tmp_path / "a"))
    world.until(lambda: fetch.store.exists(ticket))  # sent last, so what it names is there or on its way

    def fetched() -> Any:
        return fetch.receive(ticket, tmp_path / "b")

    end = time.monotonic() + SOON_S
    while True:
        try:
            assert world(fetched()) == len(data)
            break
        except ContentMissing:
            assert time.monotonic() < end
    assert (tmp_path / "b").read_bytes() == data


def test_a_label_is_read_at_once_on_the_other_nodes(apart: Apart) -> None:
    world, clients = apart
    stores = [ContentStore(client, world.name, 60) for client in clients]
    for number in range(RACES):
        label, content = f"label:{number}", b"%d" % number
        world(stores[0].store_at_label(label, content))
        for other in stores[1:]:
            assert world(other.get_content_by_label(label, SOON_S)) == content
    assert world(stores[1].get_by_label("never", 0)) is None


def test_content_comes_from_whichever_node_has_it_whole(apart: Apart, node_port: int) -> None:
    world, clients = apart
    away, harmed = world.another(port=reserve()), world.another(port=node_port)
    ref = world(ContentDistribution((clients[0],), world.name, 30).publish(b"a chapter"))
    name = ContentDistribution((clients[0],), world.name).key(ref)
    world(harmed.set(name, b"forged", px=30_000))
    assert agreed(world, clients, name) == b"a chapter"
    for client in clients:
        assert world(ContentDistribution((away, harmed, client), world.name).retrieve(ref)) == b"a chapter"
    with pytest.raises(ContentMissing, match=r"1 is away.*2 has something else"):
        world(ContentDistribution((away, harmed), world.name).retrieve(ref))
    with pytest.raises(ContentMissing, match=r"3 does not have it"):
        world(ContentDistribution(tuple(clients), world.name).retrieve(reference(b"never published")))
    # An enclave holds every copy on every node: three copies are three acknowledgements, none fails.
    assert world(ContentDistribution((away, *clients), world.name, 30).publish(b"another", copies=3)) == reference(
        b"another"
    )


# -- races on two nodes: the key's home decides ------------------------------------------------------
def test_of_two_claims_of_a_token_on_two_nodes_one_is_granted(apart: Apart) -> None:
    world, clients = apart
    for _ in range(RACES):
        name = uuid.uuid4().hex
        tokens = [CoordinationToken(client, name, 30) for client in clients]
        claims = world.together(*(lambda each=each: each.claim("me") for each in tokens))
        assert [isinstance(one, Claim) for one in claims].count(True) == 1
    (token, claim), *_ = [(token, one) for token, one in zip(tokens, claims, strict=True) if isinstance(one, Claim)]
    assert agreed(world, clients, token.key) == claim.proof
    assert world(token.refresh(claim)).sure_s() > 0


def test_fencing_numbers_grow_whichever_node_is_asked(apart: Apart) -> None:
    """The holder's own node may be behind the home; the number comes from the home."""
    world, clients = apart
    drawn = []
    for turn in range(12):
        tokens = [CoordinationToken(client, world.name, ttl_s=600) for client in clients]
        claim = world(tokens[turn % 3].claim("w"))
        drawn += [world(token.fence(claim)) for token in tokens]
        world(tokens[(turn + 1) % 3].let_go(claim))
        with pytest.raises(ClaimLost):
            world(tokens[(turn + 2) % 3].fence(claim))
    assert drawn == sorted(set(drawn))


def test_a_token_that_the_nodes_have_spoken_of_is_granted_by_none(apart: Apart) -> None:
    world, clients = apart
    token = CoordinationToken(clients[0], world.name, 30)
    claim = world(token.claim("me"))
    assert agreed(world, clients, token.key) == claim.proof
    for client in clients:
        assert world(CoordinationToken(client, world.name, 30).claim("another")) is None


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda client, name: Counter(client, name, 300), lambda found: int(found)),
        (lambda client, name: GrowingList(client, name, 300), lambda found: found.count(b"1")),
        (lambda client, name: Statistics(client, name, 300), lambda found: json.loads(found)["count"]),
    ],
    ids=["counter", "list", "statistics"],
)
def test_additions_on_all_nodes_at_once_all_count(
    apart: Apart, make: Callable[..., Any], count: Callable[[bytes], int]
) -> None:
    world, clients = apart

    def add(one: Any) -> Any:
        return one.append(1) if isinstance(one, GrowingList) else one.add(1)

    ones = [make(client, world.name) for client in clients]
    failed: list[Exception] = []
    for _ in range(RACES):
        outcomes = world.together(*(lambda each=each: add(each) for each in ones))
        failed += [one for one in outcomes if isinstance(one, Exception)]
    found = agreed(world, clients, ones[0].key)
    # An addition that failed may have been counted: where a home does not answer in time, nobody knows.
    assert found is not None and RACES * len(clients) - len(failed) <= count(found) <= RACES * len(clients), failed
    assert len(failed) < RACES and all(isinstance(one, PatternError | redis.RedisError) for one in failed), failed


def test_of_two_moves_of_a_job_on_two_nodes_one_is_taken(apart: Apart) -> None:
    world, clients = apart
    machines = [StateMachine(client, MOVES, 30) for client in clients]

    def attempt(name: str) -> None:
        world(machines[0].begin(name, "running"))
        agreed(world, clients, key("state", name))
        moved = world.together(
            lambda: machines[0].move(name, "running", "done"), lambda: machines[1].move(name, "running", "failed")
        )
        assert sorted(type(one).__name__ for one in moved) == ["BadTransition", "NoneType"]
        agreed(world, clients, key("state", name))
        states = {world(machine.state(name)).name for machine in machines}
        assert states == {"done" if moved[0] is None else "failed"}

    for _ in range(RACES):
        attempt(uuid.uuid4().hex)


def test_of_all_nodes_one_calls_an_event_the_first(apart: Apart) -> None:
    world, clients = apart
    seen = [Dedup(client, "orders", 30) for client in clients]
    for _ in range(RACES):
        name = uuid.uuid4().hex
        first = world.together(*(lambda each=each, name=name: each.first(name) for each in seen))
        assert sorted(first) == [False, False, True]
    agreed(world, clients, seen[0].key(name))
    assert [world(one.first(name)) for one in seen] == [False] * 3


def test_a_session_that_ended_is_over_on_every_node_that_heard_of_it(apart: Apart) -> None:
    world, clients = apart
    edges = [Sessions(client, 30) for client in clients]
    session_id = world(edges[0].create({"user": 42}))
    agreed(world, clients, edges[0].key(session_id))
    for edge in edges:
        assert world(edge.load(session_id)) == {"user": 42}
    # Loading is a write as well: until all have heard of the last one, it could still outrank the end.
    deadlines = {0}
    while len(deadlines) != 1 or 0 in deadlines:
        deadlines = {world(client.execute_command("PEXPIRETIME", edges[0].key(session_id))) for client in clients}
    world(edges[1].end(session_id))
    assert agreed(world, clients, edges[0].key(session_id)) is None
    for edge in edges:
        with pytest.raises(SessionEnded):
            world(edge.save(session_id, {"user": 42}))
        assert world(edge.load(session_id)) is None


@pytest.mark.parametrize("use", ["save", "load"])
def test_no_save_or_load_on_another_node_outlives_the_end_of_a_session(apart: Apart, use: str) -> None:
    world, clients = apart
    edges = [Sessions(client, 30) for client in clients]
    for number in range(RACES // 2):
        session_id = world(edges[0].create({"user": number}))
        using = partial(edges[1].load, session_id)
        if use == "save":
            using = partial(edges[1].save, session_id, {"user": number})
        ended, used = world.together(partial(edges[0].end, session_id), using)
        assert ended is None and (used in (None, {"user": number}) or isinstance(used, SessionEnded)), used
        assert [world(edge.load(session_id)) for edge in edges] == [None] * 3
        assert agreed(world, clients, edges[0].key(session_id)) is None


def test_a_load_on_another_node_does_not_undo_a_save_of_the_same_instant(apart: Apart) -> None:
    world, clients = apart
    edges = [Sessions(client, 30) for client in clients]

    def attempt() -> None:
        session_id = world(edges[0].create("old"))
        agreed(world, clients, edges[0].key(session_id))
        # The save takes three round trips: loads at several moments, so that one meets its end.
        loads = [
            world.later(late_s, lambda: edges[1].load(session_id)) for late_s in (0.0005, 0.001, 0.0015, 0.002, 0.003)
        ]
        saved, *_ = world.together(lambda: edges[0].save(session_id, "new"), *loads)
        assert saved is None
        assert agreed(world, clients, edges[0].key(session_id)) == b'"new"'

    for _ in range(RACES // 4):
        attempt()
