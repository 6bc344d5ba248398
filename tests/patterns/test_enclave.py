"""Patterns on three nodes: what reaches the others, and that what the pages do not promise is indeed not so.

Replication takes milliseconds; what two nodes do within them neither can know of the other. Such a race is run until it
happens: each attempt has a new name, and most attempts are enough.
"""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respram.patterns import (
    BadTransition,
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

ATTEMPTS_MAX = 500  # of a race; one to three are what it takes
MOVES = {"queued": ["running"], "running": ["done", "failed"]}

Apart = tuple[World, list[Any]]


def race(attempt: Callable[[str], Any]) -> Any:
    """Repeats an attempt, each time with a new name, until it answers with something true."""
    for _ in range(ATTEMPTS_MAX):
        if found := attempt(uuid.uuid4().hex):
            return found
    raise AssertionError(f"two nodes never did it at the same time in {ATTEMPTS_MAX} attempts")


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


# -- what the pages do not promise ----------------------------------------------------------------
def test_two_nodes_may_grant_a_token_and_the_loser_learns_it_at_its_refresh(apart: Apart) -> None:
    world, clients = apart

    def attempt(name: str) -> Any:
        tokens = [CoordinationToken(client, name, 30) for client in clients[:2]]
        claims = world.together(*(lambda each=each: each.claim("me") for each in tokens))
        return list(zip(tokens, claims, strict=True)) if all(isinstance(one, Claim) for one in claims) else None

    granted = race(attempt)
    winner = agreed(world, clients, granted[0][0].key)
    for token, claim in granted:
        if claim.proof == winner:
            assert world(token.refresh(claim)).sure_s() > 0
        else:
            with pytest.raises(ClaimLost):
                world(token.refresh(claim))
            with pytest.raises(ClaimLost):
                world(token.let_go(claim))
    assert world(CoordinationToken(clients[2], granted[0][0].name).held()).holder == "me"


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
        (lambda client, name: Counter(client, name, 30), lambda found: int(found)),
        (lambda client, name: GrowingList(client, name, 30), lambda found: found.count(b"1")),
        (lambda client, name: Statistics(client, name, 30), lambda found: int(b'"count":2' in found) + 1),
    ],
    ids=["counter", "list", "statistics"],
)
def test_additions_on_two_nodes_at_once_may_lose_one_and_later_ones_do_not(
    apart: Apart, make: Callable[..., Any], count: Callable[[bytes], int]
) -> None:
    world, clients = apart

    def add(one: Any) -> Any:
        return one.append(1) if isinstance(one, GrowingList) else one.add(1)

    def attempt(name: str) -> Any:
        ones = [make(client, name) for client in clients]
        world.together(*(lambda each=each: add(each) for each in ones[:2]))
        found = agreed(world, clients, ones[0].key)
        assert found is not None
        return ones if count(found) == 1 else None

    ones = race(attempt)
    # One was lost. Once the nodes agree, an addition elsewhere goes on from what they agree on.
    world(add(ones[2]))
    found = agreed(world, clients, ones[0].key)
    assert found is not None and count(found) == 2


def test_two_nodes_may_take_two_moves_of_a_job_and_one_of_them_stays(apart: Apart) -> None:
    world, clients = apart

    def attempt(name: str) -> Any:
        machines = [StateMachine(client, MOVES, 30) for client in clients]
        world(machines[0].begin(name, "running"))
        agreed(world, clients, key("state", name))
        moved = world.together(
            lambda: machines[0].move(name, "running", "done"), lambda: machines[1].move(name, "running", "failed")
        )
        assert all(one is None or isinstance(one, BadTransition) for one in moved)
        return (machines, name) if moved == [None, None] else None

    machines, name = race(attempt)
    agreed(world, clients, key("state", name))
    states = {world(machine.state(name)).name for machine in machines}
    assert len(states) == 1 and states <= {"done", "failed"}


def test_two_nodes_may_both_call_an_event_the_first_and_never_again(apart: Apart) -> None:
    world, clients = apart

    def attempt(name: str) -> Any:
        seen = [Dedup(client, "orders", 30) for client in clients]
        first = world.together(*(lambda each=each: each.first(name) for each in seen[:2]))
        return (seen, name) if first == [True, True] else None

    seen, name = race(attempt)
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
def test_a_save_or_load_on_another_node_may_outlive_the_end_of_a_session(apart: Apart, use: str) -> None:
    world, clients = apart
    edges = [Sessions(client, 30) for client in clients]

    def attempt(name: str) -> Any:
        session_id = world(edges[0].create({"user": name}))
        agreed(world, clients, edges[0].key(session_id))
        # A save takes three round trips and a load one: whichever is longer begins first.
        if use == "save":
            world.together(lambda: edges[1].save(session_id, {"user": name}), lambda: edges[0].end(session_id))
        else:
            world.together(lambda: edges[0].end(session_id), lambda: edges[1].load(session_id))
        return (session_id, name) if agreed(world, clients, edges[0].key(session_id)) else None

    session_id, name = race(attempt)
    assert world(edges[2].load(session_id)) == {"user": name}


def test_a_load_on_another_node_may_undo_a_save_of_the_same_instant(apart: Apart) -> None:
    world, clients = apart
    edges = [Sessions(client, 30) for client in clients]

    def attempt(name: str) -> Any:
        session_id = world(edges[0].create("old"))
        agreed(world, clients, edges[0].key(session_id))
        # The save takes three round trips: loads at several moments, so that one meets its end.
        loads = [
            world.later(late_s, lambda: edges[1].load(session_id)) for late_s in (0.0005, 0.001, 0.0015, 0.002, 0.003)
        ]
        saved, *_ = world.together(lambda: edges[0].save(session_id, "new"), *loads)
        assert saved is None
        return agreed(world, clients, edges[0].key(session_id)) == b'"old"'

    race(attempt)
