"""Broadcasts through several nodes at once, while viewers come and go and a node is killed in the middle."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from respram.patterns import ChunkExpired, Endpoints, StoreAway, TimedOut
from respram.patterns.fanout import EndpointReader
from tests.live import SOON_S
from tests.patterns.conftest import World
from tests.peers.enclave import Member, enclave, until_ready

ROUNDS = 40
TTL_S = 600.0
LOOK_MS = 100  # one WAIT, then whether the node is still to be waited for

Apart = tuple[World, list[Any]]


def read(world: World, reader: Any, count: int) -> list[bytes]:
    """So many messages. What comes late from another node is waited for, after the word that says so."""
    found: list[bytes] = []
    while len(found) < count:
        try:
            found.append(world(reader.receive(SOON_S)))
        except ChunkExpired:
            continue
    return found


def in_order(found: list[bytes]) -> bool:
    """Each once, and those of one sender in the order in which it sent them."""
    numbers: dict[bytes, list[int]] = {}
    for message in found:
        sender, number = message.split(b":")
        numbers.setdefault(sender, []).append(int(number))
    return all(each == sorted(set(each)) for each in numbers.values())


def test_what_is_broadcast_through_each_node_is_read_once_on_each(apart: Apart) -> None:
    world, clients = apart
    readers = [world(Endpoints(client, TTL_S).register(f"{world.name}:{at}")) for at, client in enumerate(clients)]
    senders = [Endpoints(client, TTL_S) for client in clients]
    for number in range(ROUNDS):
        sent = world.together(*(partial(each.broadcast, b"%d:%d" % (at, number)) for at, each in enumerate(senders)))
        assert all(isinstance(names, list) for names in sent), sent
    for reader in readers:
        found = read(world, reader, ROUNDS * len(clients))
        assert in_order(found) and len(set(found)) == len(found)
        try:
            raise AssertionError(world(reader.receive(0.05)))
        except TimedOut:
            pass


def test_what_is_routed_through_each_node_at_once_is_read_once(apart: Apart) -> None:
    world, clients = apart
    reader = world(Endpoints(clients[1], TTL_S).register(world.name))
    for client in clients:
        world.until(partial(there, world, client))
    routed = []
    for number in range(ROUNDS):
        sent = world.together(
            *(
                partial(Endpoints(each, TTL_S).route, world.name, b"%d:%d" % (at, number))
                for at, each in enumerate(clients)
            )
        )
        # Whoever is told an error may have sent all the same.
        routed += [b"%d:%d" % (at, number) for at, each in enumerate(sent) if each is None]
        assert all(each is None or isinstance(each, StoreAway) for each in sent), sent
    found: list[bytes] = []
    while not set(routed) <= set(found):
        found += read(world, reader, 1)
    assert len(found) == len(set(found)) and len(routed) > ROUNDS


def there(world: World, client: Any) -> bool:
    return world.name in world(Endpoints(client, TTL_S).names())


def connect(member: Member) -> "redis.Redis":
    return redis.Redis(port=member.port, socket_timeout=SOON_S, retry=Retry(NoBackoff(), 0))


def test_a_node_that_is_killed_amid_two_broadcasters_loses_and_doubles_nothing_that_others_held() -> None:
    with enclave(3, engines=("auto",)) as members:
        until_ready(members)
        clients = [connect(member) for member in members]
        viewers = [Endpoints(clients[at], TTL_S).register(f"viewer:{at}") for at in (1, 2)]
        held: list[list[bytes]] = [[], []]  # of each sender: what the others acknowledged
        killed, half = threading.Event(), threading.Event()

        def send(at: int) -> None:
            """Through the first node as long as it is there, or through the second."""
            endpoints, client, name = Endpoints(clients[at], TTL_S), clients[at], at
            for number in range(2 * ROUNDS):
                if number == ROUNDS:
                    half.set()
                message = b"%d:%d" % (name, number)
                try:
                    endpoints.broadcast(message)
                    while not killed.is_set() and client.wait(2, LOOK_MS) < 2:
                        pass
                    held[at].append(message)
                except (StoreAway, redis.ConnectionError):
                    # What was under way may be there. From now on it is another sender: the order is that of a lane.
                    endpoints, client, name = Endpoints(clients[1], TTL_S), clients[1], 2
                    killed.wait(SOON_S)

        with ThreadPoolExecutor(2) as pool:
            sending = [pool.submit(send, at) for at in (0, 1)]
            assert half.wait(SOON_S)
            members[0].kill()
            killed.set()
            for one in sending:
                one.result()
        assert len(held[0]) > ROUNDS / 2 and len(held[1]) > ROUNDS
        for viewer in viewers:
            found = drained(viewer, {*held[0], *held[1]})
            assert in_order(found) and len(set(found)) == len(found)

        members[0].start()
        until_ready(members)
        clients[0].close()
        clients[0] = connect(members[0])
        late = Endpoints(clients[0], TTL_S).register("late")
        for at, client in enumerate(clients):
            Endpoints(client, TTL_S).broadcast(b"%d:%d" % (at, 10 * ROUNDS))
        for viewer in (*viewers, late):
            assert set(drained(viewer, {b"%d:%d" % (at, 10 * ROUNDS) for at in range(3)})) >= {b"0:400"}
        for client in clients:
            client.close()


def drained(viewer: "EndpointReader[redis.Redis]", wanted: set[bytes]) -> list[bytes]:
    """All that there is to read, once what was wanted is among it."""
    found: list[bytes] = []
    while True:
        try:
            found.append(viewer.receive(0.05 if wanted <= set(found) else SOON_S))
        except ChunkExpired:
            viewer.skip_to_oldest()
        except TimedOut:
            assert wanted <= set(found), sorted(wanted - set(found))
            return found


def test_a_viewer_that_comes_and_goes_reads_what_is_sent_while_it_is_there(apart: Apart) -> None:
    world, clients = apart
    endpoints, number = Endpoints(clients[0], TTL_S), 0
    for turn in range(5):
        viewer = world(Endpoints(clients[0], TTL_S).register(f"{world.name}:comes"))
        for _ in range(turn + 1):
            number += 1
            world(endpoints.broadcast(b"0:%d" % number))
        assert [world(viewer.receive(SOON_S)) for _ in range(turn + 1)] == [
            b"0:%d" % each for each in range(number - turn, number + 1)
        ]
        number += 1
        world(endpoints.broadcast(b"0:%d" % number))  # it is not there for this one
