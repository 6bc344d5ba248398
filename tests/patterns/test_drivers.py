"""The drivers: every effect, on both kinds of client, with all that can go wrong on the way."""

import asyncio
import inspect
import os
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, assert_type

import pytest
from redis import Redis, exceptions
from redis.asyncio import Redis as AsyncRedis

from respram.patterns import (
    AdvisoryLock,
    Broadcast,
    ContentStore,
    CoordinationToken,
    Counter,
    DataStore,
    DeadDrop,
    HomeAway,
    StoreAway,
    StoreRefused,
    StreamDecoder,
    ValueTooLarge,
    drivers,
)  # fmt: skip
from respram.patterns.effects import Ask, Commit, Receive, Steps, Subscribe, Watch
from respram.patterns.steps import C, ask, ask_all, ask_atomic, call, hand, operation, pause, stream
from tests.live import SOON_S, running
from tests.patterns.conftest import World
from tests.ports import reserve


@dataclass
class Probe(Generic[C]):
    """A pattern that only shows what its driver does."""

    client: C

    @operation
    def run(self, *commands: tuple[bytes | str | int, ...], atomic: bool = False) -> Steps[list[Any]]:
        return (yield from (ask_atomic if atomic else ask_all)(*commands))

    @operation
    def raced(self, key: str, race: Any) -> Steps[tuple[Any, Any]]:
        found = yield Watch((key.encode(),))
        yield from call(race)
        return found, (yield Commit((("SET", key, "mine", "PX", 5000),)))

    @operation
    def there(self, *keys: bytes) -> Steps[Any]:
        return (yield Watch(keys, values=False))

    @stream
    def counted(self, seen: list[str]) -> Steps[None]:
        for number in range(100):
            yield from hand(number)
            seen.append(f"after {number}")

    @operation
    def guarded(self, name: str, function: Any) -> Steps[None]:
        try:
            yield from call(function)
        finally:
            yield from ask("SET", name, "released", "PX", 5000)


def test_the_checker_knows_which_client_gives_an_answer_and_which_a_promise() -> None:
    def blocking(client: "Redis") -> None:
        assert_type(Counter(client, "n").add(), int)
        assert_type(DeadDrop(client, "t", "a", "b").look(), bytes | None)
        assert_type(Broadcast(client, "c").changes(), Iterator[Any])

    def on_asyncio(client: "AsyncRedis") -> None:
        assert_type(Counter(client, "n").add(), Awaitable[int])
        assert_type(DeadDrop(client, "t", "a", "b").look(), Awaitable[bytes | None])
        assert_type(Broadcast(client, "c").changes(), AsyncIterator[Any])

    assert blocking.__name__ != on_asyncio.__name__  # what is tested above, the type checker tests
    assert (Counter.add.__doc__ or "").startswith("Adds and returns")


def test_one_command_or_many_answer_in_order_and_in_bytes(world: World) -> None:
    for client in (world.client, world.another(decode_responses=True)):
        probe, name = Probe(client), world.name + str(id(client))
        assert world(probe.run(("SET", name, b"\xff", "PX", 5000))) == [True]
        assert world(probe.run(("GET", name))) == [b"\xff"]
        assert world(probe.run(("GET", name), ("EXISTS", name), ("GET", "none"))) == [b"\xff", 1, None]
        assert world(probe.run()) == []
    assert world(Probe(world.client).run(("INCRBY", world.name, 2), ("INCRBY", world.name, 3), atomic=True)) == [2, 5]


def test_patterns_work_on_clients_that_decode(world: World) -> None:
    client = world.another(decode_responses=True)
    store = DataStore(client, ttl_s=600, root=world.name)
    world(store.set("a", "ä"))
    assert world(store.get("a")) == "ä" and world(store.list_keys()) == ["a"]
    assert world(Counter(client, world.name).add()) == 1
    assert world(AdvisoryLock(client).guarded(world.name, "a", lambda: 7)) == 7


def test_a_commit_fails_when_a_watched_key_changed_and_the_connection_is_free_again(world: World) -> None:
    other = world.raw
    assert world(Probe(world.client).raced(world.name, lambda: None)) == ([None], [True])
    outcome = world(Probe(world.client).raced(world.name, lambda: other.set(world.name, b"theirs", px=600_000)))
    assert outcome == ([b"mine"], None) and other.get(world.name) == b"theirs"
    assert world(Probe(world.client).run(("PING",))) == [True]


def test_a_watch_without_values_says_what_is_there(world: World) -> None:
    world.raw.set(world.name, b"large", px=600_000)
    assert world(Probe(world.client).there(world.name.encode(), b"none")) == [b"", None]


def test_a_value_over_the_limit_is_refused_before_anything_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "VALUE_BYTES_MAX", 100)
    for atomic in (False, True):
        with pytest.raises(ValueTooLarge, match="101 bytes"):
            world(
                Probe(world.client).run(
                    ("SET", world.name, "small", "PX", 5000), ("SET", "b", b"x" * 101), atomic=atomic
                )
            )
    assert world.raw.get(world.name) is None


def test_a_store_that_is_away_is_named_for_every_kind_of_effect(world: World) -> None:
    client = world.another(port=reserve())
    probe = Probe(client)
    attempts: list[Callable[[], Any]] = [
        lambda: probe.run(("PING",)),
        lambda: probe.run(("PING",), ("PING",)),
        lambda: probe.run(("PING",), atomic=True),
        lambda: probe.raced(world.name, lambda: None),
        lambda: StreamDecoder(client, "s").receive(SOON_S),
    ]
    for attempt in attempts:
        with pytest.raises(StoreAway, match="does not answer"):
            world(attempt())


def test_a_refusal_of_the_node_is_named_alone_among_others_and_in_a_multi(world: World) -> None:
    bad = ("INCR", world.name)
    world.raw.set(world.name, b"secret word", px=600_000)
    for attempt in ((bad,), (("PING",), bad, ("PING",))):
        for atomic in (False, True):
            with pytest.raises(StoreRefused, match="not an integer") as caught:
                world(Probe(world.client).run(*attempt, atomic=atomic))
            assert "secret word" not in str(caught.value)


def test_a_refusal_shows_no_argument(world: World) -> None:
    with pytest.raises(StoreRefused, match="unknown command") as caught:
        world(Probe(world.client).run(("FROBNICATE", "secret word")))
    assert "secret word" not in str(caught.value)


def test_a_refused_write_shows_no_value_though_the_client_library_would(world: World) -> None:
    bad = ("SET", world.name, "secret) word", "PX", "0")
    for attempt in ((bad,), (("PING",), bad)):
        for atomic in (False, True):
            with pytest.raises(StoreRefused, match="invalid expire time in 'set' command") as caught:
                world(Probe(world.client).run(*attempt, atomic=atomic))
            assert "secret" not in "".join(traceback.format_exception(caught.value, limit=0))


@pytest.mark.skipif(
    os.environ.get("RESPRAM_TEST_SERVER") == "redis", reason="only a respram node has majorities"
)
def test_without_a_majority_the_home_is_away_and_nothing_was_done(world: World) -> None:
    with running("--decide", "majority", "--enclave-size", "3") as node:
        client = world.another(port=node.port)
        for attempt in ((("INCR", world.name),), (("PING",), ("INCR", world.name))):
            for atomic in (False, True):
                with pytest.raises(HomeAway, match=r"NOQUORUM .*nothing was done"):
                    world(Probe(client).run(*attempt, atomic=atomic))
        world(client.aclose() if world.kind == "asyncio" else client.close())


@pytest.mark.skipif(
    os.environ.get("RESPRAM_TEST_SERVER") == "redis", reason="these limits are options of a respram node"
)
def test_a_node_with_lower_limits_is_asked_for_less_or_says_so(world: World) -> None:
    with running(
        "--max-ttl", "600", "--default-ttl", "60", "--proto-max-bulk-len", "1mb", "--maxmemory", "64mb"
    ) as node:
        client = world.another(port=node.port)
        claim = world(CoordinationToken(client, world.name, ttl_s=6000).claim("w"))
        assert 0 < claim.sure_s() <= 600
        with pytest.raises((ValueTooLarge, StoreAway), match=r"200\d\d\d\d bytes .*proto-max-bulk-len"):
            world(DeadDrop(client, world.name, "a", "b").leave(bytes(2_000_000), ttl_s=60))
        world(client.aclose() if world.kind == "asyncio" else client.close())
        client = world.another(port=node.port)  # the node closed the other connection
        assert world(DeadDrop(client, world.name, "a", "b").look()) is None
        store = ContentStore(client, world.name, 300)  # long: on a slow machine, too, all of it is there at once

        def fill() -> None:
            for number in range(100):
                world(store.store(bytes((number,)) * 1_000_000))

        with pytest.raises(StoreRefused, match="maxmemory"):
            fill()
        world(client.aclose() if world.kind == "asyncio" else client.close())


def test_the_caller_s_function_may_be_async_on_asyncio_only(world: World) -> None:
    async def work() -> int:
        return 7

    locked = AdvisoryLock(world.client)
    if world.kind == "asyncio":
        assert world(locked.guarded(world.name, "a", work)) == 7
    else:
        with pytest.raises(TypeError, match=r"redis\.asyncio"):
            locked.guarded(world.name, "a", work)


def test_a_stream_goes_no_further_than_it_is_asked_to(world: World) -> None:
    seen: list[str] = []
    assert world.take(Probe(world.client).counted(seen), 3) == [0, 1, 2]
    assert seen == ["after 0", "after 1"]


def test_an_interrupted_or_cancelled_pattern_still_releases_what_it_holds(world: World) -> None:
    if world.kind == "blocking":

        def interrupt() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Probe(world.client).guarded(world.name, interrupt)
    else:

        async def cancelled() -> None:
            task = asyncio.ensure_future(Probe(world.client).guarded(world.name, lambda: asyncio.sleep(60)))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        world(cancelled())
    assert world.raw.get(world.name) == b"released"


def test_listening_ends_with_the_operation(world: World) -> None:
    @dataclass
    class Ear(Generic[C]):
        client: C

        @operation
        def hear(self, channel: bytes) -> Steps[Any]:
            yield Subscribe((channel,))
            world.raw.publish(channel, b"\x00\xff")
            heard = yield Receive(SOON_S)
            yield from pause(0)
            return heard, (yield Receive(0.01))

    channel = world.name.encode()
    assert world(Ear(world.client).hear(channel)) == ((channel, b"\x00\xff"), None)
    world.until(lambda: dict(world.raw.pubsub_numsub(channel)).get(channel) == 0)


def test_the_two_drivers_handle_the_same_effects() -> None:
    def cases(kind: type) -> list[str]:
        return [line.strip() for line in inspect.getsource(kind).splitlines() if line.strip().startswith("case ")]

    assert cases(drivers.Driver) == cases(drivers.AsyncDriver) and len(cases(drivers.AsyncDriver)) == 10


def test_a_pause_takes_its_time(world: World) -> None:
    begun = time.monotonic()
    world(Broadcast(world.client, world.name, ttl_s=600).announce(1))
    assert world.take(Broadcast(world.client, world.name).changes(0.05), 2, lambda: end(world))[1] is None
    assert time.monotonic() - begun >= 0.05


def end(world: World) -> None:
    world.raw.set(f"broadcast:{world.name}", b"null", px=600_000)


def test_a_node_that_is_still_joining_is_told_from_one_that_does_not_answer() -> None:
    loading = exceptions.BusyLoadingError("the node is joining its peers, and cannot know this key yet")
    named = drivers.readable(loading, Ask((("SET", b"k", b"secret", "NX"),)))
    assert isinstance(named, StoreAway) and "joining" in str(named) and "secret" not in str(named)


def test_a_cancelled_task_waits_for_an_answer_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "ANSWER_S", 0.01)
    ended: list[str] = []

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("asking")

    async def cancelled() -> bool:
        task = asyncio.ensure_future(drivers.answered(never()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        return task.cancelled()

    assert asyncio.run(cancelled()) and ended == ["asking"]
