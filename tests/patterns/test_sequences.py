"""One step through one node and the next through another, at once: what the first was answered holds for the second.

No two of them race here; there is just no time between them for the news to travel by itself.
"""

import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from respram.patterns import (
    AdvisoryLock,
    Batch,
    BatchProgress,
    Cache,
    ClaimLost,
    ContentStore,
    CoordinationToken,
    Dedup,
    SessionEnded,
    Sessions,
    StateMachine,
    Workflow,
)
from tests.patterns.conftest import World

TURNS = 30

Apart = tuple[World, list[Any]]


def pairs(clients: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    """A new name, and two nodes: each with each, in turn."""
    for number in range(TURNS):
        first = number % 3
        yield uuid.uuid4().hex, clients[first], clients[(first + 1 + number // 3 % 2) % 3]


def test_a_token_that_was_let_go_is_free_on_every_node(apart: Apart) -> None:
    world, clients = apart
    for name, one, two in pairs(clients):
        here, there = CoordinationToken(one, name, 60), CoordinationToken(two, name, 60)
        claim = world(here.claim("a"))
        assert claim is not None and world(there.claim("b")) is None
        claim = world(there.refresh(claim))  # whoever has the claim may come through any node
        world(there.let_go(claim))
        following = world(here.claim("c"))
        assert following is not None
        with pytest.raises(ClaimLost):
            world(there.let_go(claim))
        world(here.let_go(following))
        world(AdvisoryLock(two, 60).release(world(AdvisoryLock(one, 60).acquire(name, "d"))))
        assert world(AdvisoryLock(one, 60).acquire(name, "e"))


def test_an_event_that_was_given_back_is_free_on_every_node(apart: Apart) -> None:
    world, clients = apart
    for name, one, two in pairs(clients):
        with pytest.raises(ZeroDivisionError):
            world(Dedup(one, name, 60).process("1", lambda: 1 // 0))
        assert world(Dedup(two, name, 60).process("1", lambda: "done")).done
        assert not world(Dedup(one, name, 60).process("1", lambda: "done")).done


def test_a_batch_and_a_workflow_go_on_through_another_node(apart: Apart) -> None:
    world, clients = apart
    items = list(range(6))
    for name, one, two in pairs(clients):
        for first, client in ((0, one), (2, two), (4, one)):
            progress = world(Batch(client, name, 2, 60).run(items, lambda item: item * 10))
            assert progress == BatchProgress(first + 2, 6, [first * 10, first * 10 + 10])
        for done, client in enumerate((one, two, one, two), 1):
            flow = Workflow(client, name, ("a", "b", "c", "d"), 60)
            assert len(world(flow.advance("j", "me", lambda step, progress: step)).completed) == done


def test_a_job_is_moved_through_another_node_than_it_was_begun_on(apart: Apart) -> None:
    world, clients = apart
    moves = {"queued": ["running"], "running": ["done"]}
    for name, one, two in pairs(clients):
        world(StateMachine(one, moves, 60).begin(name, "queued"))
        world(StateMachine(two, moves, 60).move(name, "queued", "running"))
        world(StateMachine(one, moves, 60).move(name, "running", "done"))


def test_a_session_is_the_same_on_every_node(apart: Apart) -> None:
    world, clients = apart
    for _, one, two in pairs(clients):
        here, there = Sessions(one, 60), Sessions(two, 60)
        session_id = world(here.create({"user": 42}))
        assert world(there.load(session_id)) == {"user": 42}
        world(there.save(session_id, {"user": 43}))
        assert world(here.load(session_id)) == {"user": 43}
        new = world(there.rotate(session_id))
        assert world(here.load(session_id)) is None and world(here.load(new)) == {"user": 43}
        newest = world(here.rotate(new))
        world(there.end(newest))
        assert world(here.load(newest)) is None
        with pytest.raises(SessionEnded):
            world(here.save(newest, {}))
        with pytest.raises(SessionEnded):
            world(here.rotate(newest))


def test_an_exact_cache_computes_once_for_all_nodes(apart: Apart) -> None:
    world, clients = apart
    for name, one, two in pairs(clients):
        here, there = Cache(one, name, 60, exact=True), Cache(two, name, 60, exact=True)
        assert world(here.aside("a", lambda: "first")).source == "fresh"
        assert world(there.aside("a", lambda: "second")).value == "first"
        world(there.through("a", lambda: "third"))
        assert world(here.aside("a", lambda: "fourth", fresh_s=60)).value in ("first", "third")


def test_content_is_labelled_through_another_node_than_it_was_stored_on(apart: Apart) -> None:
    world, clients = apart
    for name, one, two in pairs(clients):
        here, there = ContentStore(one, name, 60), ContentStore(two, name, 60)
        ref = world(here.store(name.encode()))
        world(there.label("l", ref))
        assert world.until(partial(here.get_content_by_label, "l")) == name.encode()
