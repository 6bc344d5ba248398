"""Each pattern that is exact between nodes, raced for on three nodes: 1,000 times, half of them by each kind of client.

tests/patterns/test_enclave.py has the short form of some of them.
"""

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from respram.patterns import (
    AdvisoryLock,
    Batch,
    ChunkExpired,
    Claim,
    ContentStore,
    CoordinationToken,
    Counter,
    Dedup,
    Endpoints,
    GrowingList,
    HomeAway,
    Requester,
    Responder,
    StateMachine,
    Statistics,
    StoreAway,
    Versions,
    Workflow,
)
from respram.patterns.advisory_lock import HeldLock
from respram.patterns.batch import BatchProgress
from tests.live import SOON_S
from tests.patterns.conftest import World

RACES = 500  # by each kind of client
FAILED_MAX = 25  # answers that say: not now
ITEM = [7]

Apart = tuple[World, list[Any]]
pytestmark = pytest.mark.slow


def kinds(found: list[Any]) -> list[str]:
    return sorted(type(one).__name__ for one in found)


def few(failed: list[str]) -> None:
    """A node that got no time of the processor for too long asks the others before it decides again, and says so
    meanwhile. Who is told that had no turn; it is no reason to give two a turn.
    """
    assert len(failed) <= FAILED_MAX, failed


def once(found: list[list[Any]], granted: Callable[[Any], bool]) -> None:
    """In each race one was granted it; where somebody was told an error, perhaps nobody."""
    failed = [[repr(one) for one in each if isinstance(one, StoreAway)] for each in found]
    for each, errors in zip(found, failed, strict=True):
        count = [granted(one) for one in each].count(True)
        assert count == 1 or (count == 0 and errors), each
    few([error for errors in failed for error in errors])


def races(apart: Apart, attempt: Callable[[Any, str], Any]) -> list[list[Any]]:
    """What the clients of all nodes get that do the same thing with one name in the same moment, for each race."""
    world, clients = apart
    found = []
    for _ in range(RACES):
        name = uuid.uuid4().hex
        found.append(world.together(*(lambda each=each, name=name: attempt(each, name) for each in clients)))
    return found


def test_a_token_is_granted_once(apart: Apart) -> None:
    found = races(apart, lambda client, name: CoordinationToken(client, name, 60).claim("me"))
    once(found, lambda one: isinstance(one, Claim))


def test_a_lock_is_held_by_one(apart: Apart) -> None:
    found = races(apart, lambda client, name: AdvisoryLock(client, 60).acquire(name, "me"))
    once(found, lambda one: isinstance(one, HeldLock))
    assert {kind for each in found for kind in kinds(each)} <= {"HeldLock", "ResourceLocked", "StoreAway"}


def test_an_event_is_the_first_once(apart: Apart) -> None:
    once(races(apart, lambda client, name: Dedup(client, "races", 60).first(name)), lambda one: one is True)


def test_a_job_is_moved_once(apart: Apart) -> None:
    world, clients = apart
    moves: dict[str, list[str]] = {"queued": ["running"], "running": []}
    found = []
    for _ in range(RACES):
        name = uuid.uuid4().hex
        begun = world.together(partial(StateMachine(clients[0], moves, 60).begin, name, "queued"))
        if isinstance(begun[0], StoreAway):
            continue
        moved = world.together(
            *(
                lambda each=each, name=name: StateMachine(each, moves, 60).move(name, "queued", "running")
                for each in clients
            )
        )
        found.append(moved)
    assert len(found) >= RACES - FAILED_MAX
    once(found, lambda one: one is None)


def test_a_step_of_a_workflow_runs_once(apart: Apart) -> None:
    executed: list[str] = []

    def attempt(client: Any, name: str) -> Any:
        return Workflow(client, "races", ("only",), 60).advance(
            name, "me", lambda step, progress: executed.append(name)
        )

    found = races(apart, attempt)
    assert {kind for each in found for kind in kinds(each)} <= {"Progress", "ResourceLocked", "StoreAway"}
    assert len(executed) == len(set(executed)) >= RACES - FAILED_MAX


def test_an_item_of_a_batch_is_noted_once(apart: Apart) -> None:
    found = races(apart, lambda client, name: Batch(client, name, 1, 60).run(ITEM, lambda item: item))
    assert {kind for each in found for kind in kinds(each)} <= {"BatchProgress", "Contended", "StoreAway"}
    once(found, lambda one: isinstance(one, BatchProgress) and one.results == ITEM)


def test_no_two_versions_have_one_number(apart: Apart) -> None:
    found = races(
        apart, lambda client, name: Versions(ContentStore(client, name, ttl_s=60), "document").publish(b"content")
    )
    assert {kind for each in found for kind in kinds(each)} <= {"int", "StoreAway"}
    for each in found:
        numbers = [one for one in each if isinstance(one, int)]
        assert len(numbers) == len(set(numbers)), each
    few([repr(one) for each in found for one in each if isinstance(one, StoreAway)])


@pytest.mark.parametrize("make", [Counter, Statistics, GrowingList], ids=["counter", "statistics", "list"])
def test_every_addition_counts(apart: Apart, make: Any) -> None:
    world, clients = apart
    ones = [make(client, world.name, 600) for client in clients]
    failed: list[str] = []
    for _ in range(RACES):
        added = world.together(
            *(lambda each=each: (each.append if make is GrowingList else each.add)(1) for each in ones)
        )
        failed += [repr(one) for one in added if isinstance(one, Exception)]

    def counted() -> int:
        if make is GrowingList:
            return len(world(ones[0].items()))
        return int(world(ones[0].value())) if make is Counter else int(world(ones[0].summary()).count)

    sure = RACES * len(clients) - len(failed)  # one that was told an error may have been done
    world.until(lambda: sure <= counted() <= sure + len(failed))
    few(failed)


def test_a_request_is_handled_once(apart: Apart) -> None:
    world, clients = apart
    handled: list[bytes] = []
    done: list[bool] = []

    responders = [Responder(client, world.name, 600) for client in clients]

    def handler(request: bytes) -> bytes:
        handled.append(request)
        return request

    def asking() -> Any:
        requester = Requester(world.another(port=clients[0].connection_pool.connection_kwargs["port"]), world.name, 600)

        async def in_turn() -> None:
            try:
                for number in range(RACES):
                    assert await requester.call(b"%d" % number, SOON_S) == b"%d" % number
            finally:
                done.append(True)

        if world.kind == "asyncio":
            return in_turn()
        try:
            for number in range(RACES):
                assert requester.call(b"%d" % number, SOON_S) == b"%d" % number
        finally:
            done.append(True)
        return None

    found = world.together(
        asking, *(lambda each=each: each.serve(handler, lambda: bool(done), poll_s=0.02) for each in responders)
    )
    assert found[0] is None, found
    assert sorted(map(int, handled)) == list(range(RACES))


def test_names_that_are_entered_at_once_all_stay(apart: Apart) -> None:
    world, clients = apart
    for round_ in range(RACES // 10):
        world.together(
            *(
                lambda each=each, at=at, round_=round_: Endpoints(each, 600).keep(f"{world.name}:{round_}:{at}")
                for at, each in enumerate(clients)
            )
        )
    def there(endpoints: Any) -> bool:
        return wanted <= set(world(endpoints.names()))

    wanted = {f"{world.name}:{round_}:{at}" for round_ in range(RACES // 10) for at in range(len(clients))}
    for client in clients:
        world.until(partial(there, Endpoints(client, 600)))


def test_what_all_broadcast_at_once_is_read_once_at_every_node(apart: Apart) -> None:
    world, clients = apart
    readers = [world(Endpoints(each, 600).register(f"{world.name}:{at}")) for at, each in enumerate(clients)]
    senders = [Endpoints(each, 600) for each in clients]
    failed: list[str] = []
    for number in range(RACES):
        sent = world.together(
            *(partial(each.broadcast, b"%d:%d" % (at, number)) for at, each in enumerate(senders))
        )
        failed += [repr(one) for one in sent if not isinstance(one, list)]
    assert failed == [], "nobody decides, so nobody is told to come later"
    wanted = {b"%d:%d" % (at, number) for at in range(len(clients)) for number in range(RACES)}
    end = time.monotonic() + SOON_S
    for reader in readers:
        found: list[bytes] = []
        while len(found) < len(wanted):
            try:
                found.append(world(reader.receive(SOON_S)))
            except ChunkExpired:  # a chunk that comes after its head: the word, and the place is kept
                continue
            except HomeAway:  # the node got no core for a while, and asks its peers what it has missed
                assert time.monotonic() < end, "the node does not answer"
        assert len(found) == len(set(found)) and set(found) == wanted
