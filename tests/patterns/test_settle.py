"""Claims that are answered once the other nodes have them: real races on three nodes, none of them won twice."""

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from respram.patterns import (
    AdvisoryLock,
    BadTransition,
    Batch,
    Claim,
    ContentStore,
    CoordinationToken,
    Counter,
    Dedup,
    GrowingList,
    HomeAway,
    Requester,
    ResourceLocked,
    Responder,
    Settle,
    StateMachine,
    Statistics,
    Unsettled,
    Versions,
    Workflow,
)
from tests import dear
from tests.live import SOON_S
from tests.patterns.conftest import World
from tests.ports import reserve

TOGETHER = 8  # races under way at the same time

Apart = tuple[World, list[Any]]


@pytest.fixture
def three(apart: Apart) -> Apart:
    """A world and a client of each node, whose patience is longer than that of a WAIT on it."""
    world, clients = apart
    ports = [client.connection_pool.connection_kwargs["port"] for client in clients]
    patience: dict[str, Any] = {"socket_timeout": 4 * SOON_S, "socket_connect_timeout": SOON_S, "max_connections": 1000}
    patient = [world.another(port=port, **patience) for port in ports]
    for client in patient:
        # A node that is still joining answers LOADING to a claim, since it cannot know the key.
        world.until(partial(ready, world, client))
        # Each node has met the other two, and they answer it: an enclave that has just begun may not have yet.
        world(client.set(f"met:{uuid.uuid4()}", b"", px=60_000))
        assert world(client.wait(2, int(SOON_S * 1000))) == 2
    return world, patient


def ready(world: World, client: Any) -> bool:
    return bool(world(client.execute_command("RESPRAM", "STATE")) == b"ready")


def settles(clients: list[Any], pause_s: float = 0.02) -> list[Settle]:
    """For a pattern on each of the clients: the other two nodes hold what it claims, and are asked."""
    others = [tuple(client for client in clients if client is not own) for own in clients]
    return [Settle(2, SOON_S, each, pause_s) for each in others]


def raced(world: World, count: int, race: Callable[[str, int], Any]) -> list[list[Any]]:
    """Runs `race(name, node)` for two of the nodes at once, `count` times; the two answers of each race."""
    pairs = [(uuid.uuid4().hex, number % 3, (number + 1) % 3) for number in range(count)]
    if world.kind == "asyncio":

        async def every() -> list[list[Any]]:
            free = asyncio.Semaphore(TOGETHER)

            async def one(name: str, first: int, second: int) -> list[Any]:
                async with free:
                    return list(await asyncio.gather(race(name, first), race(name, second), return_exceptions=True))

            return list(await asyncio.gather(*(one(*pair) for pair in pairs)))

        return world.loop.run_until_complete(every())

    def guarded(name: str, node: int) -> Any:
        try:
            return race(name, node)
        except Exception as error:
            return error

    with ThreadPoolExecutor(2 * TOGETHER) as pool:
        futures = [(pool.submit(guarded, name, one), pool.submit(guarded, name, two)) for name, one, two in pairs]
        return [[each.result() for each in pair] for pair in futures]


def told(pair: list[Any]) -> list[Any]:
    """The answers of a race. A node that gets no processor for seconds is taken for lost: its keys' askers are told to
    ask again, which is no answer.
    """
    return [each for each in pair if not isinstance(each, HomeAway)]


@pytest.mark.parametrize("times", dear.first(1, [100, 500]))  # by each kind of client
def test_no_token_is_granted_twice_in_races_of_two_nodes(three: Apart, times: int) -> None:
    world, clients = three
    settle = settles(clients)

    def claim(name: str, node: int) -> Any:
        return CoordinationToken(clients[node], name, 60, settle[node]).claim("me")

    races = raced(world, times, claim)
    assert [each for pair in races for each in told(pair) if isinstance(each, Exception)] == []
    granted = [sum(isinstance(each, Claim) for each in pair) for pair in races]
    assert max(granted) == 1, "two said yes"
    assert granted.count(1) > len(races) // 2, "mostly one of the two is granted it"


def test_no_event_is_the_first_twice(three: Apart) -> None:
    world, clients = three
    settle = settles(clients)
    first = raced(world, 200, lambda name, node: Dedup(clients[node], "orders", 60, 60, settle[node]).first(name))
    races = list(map(told, first))
    assert not [each for pair in races for each in pair if not isinstance(each, bool)]
    assert max(map(sum, races)) == 1 and sum(map(sum, races)) > 100


def test_no_lock_is_held_twice_and_no_job_moved_twice_or_begun_twice(three: Apart) -> None:
    world, clients = three
    settle = settles(clients)
    moves = {"queued": ["running"], "running": ["done", "failed"]}
    machines = [StateMachine(client, moves, 60, each) for client, each in zip(clients, settle, strict=True)]
    locked = raced(world, 30, lambda name, node: AdvisoryLock(clients[node], 60, settle[node]).acquire(name, "me"))
    begun = raced(world, 30, lambda name, node: machines[node].begin(name, "queued"))
    assert all(sum(isinstance(each, ResourceLocked | HomeAway) for each in pair) >= 1 for pair in locked)
    assert all(sum(isinstance(each, BadTransition | HomeAway) for each in pair) >= 1 for pair in begun)
    for _ in range(6):
        job = uuid.uuid4().hex
        world(machines[0].begin(job, "running"))
        moved = world.together(
            partial(machines[0].move, job, "running", "done"), partial(machines[1].move, job, "running", "failed")
        )
        assert [type(each) for each in moved].count(BadTransition) == 1 and None in moved, moved


def test_responders_of_several_nodes_handle_each_request_once(three: Apart) -> None:
    world, clients = three
    handled: list[bytes] = []

    def handle(request: bytes) -> bytes:
        handled.append(request)
        return request

    settle = settles(clients)
    responders = [Responder(clients[node], world.name, 60, settle[node]) for node in (1, 2)]
    calls = [
        lambda number=number: Requester(clients[0], world.name, 60).call(b"%d" % number, SOON_S) for number in range(5)
    ]
    serving = [partial(each.serve, handle, lambda: len(handled) >= 5, poll_s=0.01) for each in responders]
    answers = world.together(*calls, *serving)
    assert answers[:5] == [b"%d" % number for number in range(5)]
    assert sorted(handled) == [b"%d" % number for number in range(5)] and sum(answers[5:]) == 5


def test_publishers_on_several_nodes_share_no_number_and_runs_of_a_batch_and_a_workflow_take_turns(
    apart: Apart,
) -> None:
    world, clients = apart
    settle = settles(clients)
    documents = [
        Versions(ContentStore(client, world.name, 60), "d", each) for client, each in zip(clients, settle, strict=True)
    ]
    numbers = world.together(*(lambda each=each: each.publish(b"x") for each in documents))
    assert len(set(numbers)) == 3, numbers
    batches = [Batch(client, world.name, 2, 60, each) for client, each in zip(clients, settle, strict=True)]
    runs = world.together(*(lambda each=each: each.run([1, 2, 3, 4], str) for each in batches))
    assert sum(isinstance(each, ResourceLocked) for each in runs) >= 2, runs
    flows = [
        Workflow(client, world.name, ("a", "b"), 60, settle=each) for client, each in zip(clients, settle, strict=True)
    ]
    done = world.together(*(lambda each=each: each.advance("j", "me", lambda step, now: step) for each in flows))
    assert sum(isinstance(each, ResourceLocked) for each in done) >= 2, done


@pytest.mark.parametrize("kind", [Counter, GrowingList, Statistics])
def test_writers_with_parts_of_their_own_lose_no_addition(three: Apart, kind: Any) -> None:
    world, clients = three
    ones = [kind(client, world.name, 60, part=number) for number, client in enumerate(clients)]

    def whole(one: Any) -> Any:
        if isinstance(one, Counter):
            return one.value()
        return one.items() if isinstance(one, GrowingList) else one.summary()

    def size(found: Any) -> int:
        return found if isinstance(found, int) else len(found) if isinstance(found, list) else found.count

    for _ in range(20):
        outcomes = world.together(
            *(lambda each=each: each.append(1) if kind is GrowingList else each.add(1) for each in ones)
        )
        assert not [each for each in outcomes if isinstance(each, Exception)]
    for one in ones:
        world.until(partial(counted, world, whole, size, one))


def counted(world: World, whole: Callable[[Any], Any], size: Callable[[Any], int], one: Any) -> bool:
    return size(world(whole(one))) == 60


def test_nodes_that_do_not_take_the_claim_leave_nothing_standing(three: Apart) -> None:
    world, clients = three
    with pytest.raises(Unsettled, match="of 5 other nodes"):
        world(CoordinationToken(clients[0], world.name, 60, Settle(5, 0.2)).claim("me"))
    world.until(lambda: not world.raw.exists(f"lock:{world.name}"))
    away = Settle(2, SOON_S, (clients[1], world.another(port=reserve())))
    with pytest.raises(Unsettled, match="does not answer"):
        world(CoordinationToken(clients[0], world.name, 60, away).claim("me"))
    world.until(lambda: not world.raw.exists(f"lock:{world.name}"))
    for wrong in ((0, ()), (2, (clients[1],))):
        with pytest.raises(ValueError, match="settle"):
            Settle(wrong[0], 1, wrong[1])


def test_without_clients_it_is_read_again_on_its_own_node(three: Apart) -> None:
    world, clients = three
    settle = Settle(2, SOON_S)
    assert isinstance(world(CoordinationToken(clients[0], world.name, 60, settle).claim("me")), Claim)
    assert world(CoordinationToken(clients[1], world.name, 60, settle).claim("me")) is None
