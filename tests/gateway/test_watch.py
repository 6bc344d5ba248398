"""Feeds of events: shared, bounded, mended when a node ends, silent about what one may not read."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from respram.gateway import watch as watch_file
from respram.gateway.faults import Busy, Refusal
from respram.gateway.nodes import Nodes
from respram.gateway.target import Login, read_url
from respram.gateway.watch import EVENTS_MAX, Event, Hub, Silent, Watcher
from tests.gateway.faces import EVENTS
from tests.live import SOON_S, LiveNode, running, start


def with_hub(use: Callable[[Hub], Awaitable[None]], *ports: int) -> None:
    async def main() -> None:
        nodes = Nodes([read_url(f"redis://127.0.0.1:{port}") for port in ports])
        hub = Hub(nodes)
        await use(hub)
        hub.close()
        nodes.close()
        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_slow_watcher_is_told_how_many_it_missed() -> None:
    async def main() -> None:
        watcher = Watcher(b"")
        for _ in range(EVENTS_MAX + 5):
            watcher.tell(Event("set", b"k", 1))
        events = await watcher.next(0.01)
        assert len(events) == EVENTS_MAX + 1 and events[-1] == Event("lost", b"", 0, 5)
        assert await watcher.next(0.01) == []

    asyncio.run(main())


def test_watchers_share_one_subscription_and_leave_nothing_behind(node: LiveNode) -> None:
    async def use(hub: Hub) -> None:
        link = await hub.nodes.link()
        async with (
            hub.watch(None, b"share:") as one,
            hub.watch(None, b"share:") as other,
            hub.watch(None, b"else:") as third,
        ):
            assert await link.call(b"PUBSUB", b"NUMPAT") == 2
            await link.call(b"SET", b"share:1", b"x", b"EX", b"90")
            for watcher in (one, other):
                (event,) = await watcher.next(SOON_S)
                assert (event.name, event.key) == ("set", b"share:1") and 80_000 < event.ttl_ms <= 90_000
            assert await third.next(0.05) == []
        assert hub.count == 0 and not hub._feeds
        await asyncio.sleep(0.1)
        assert await link.call(b"PUBSUB", b"NUMPAT") == 0

    with_hub(use, node.port)


def test_watchers_are_bounded(node: LiveNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_file, "WATCHERS_MAX", 1)

    async def use(hub: Hub) -> None:
        async with hub.watch(None, b""):
            with pytest.raises(Busy):
                async with hub.watch(None, b""):
                    pass

    with_hub(use, node.port)


def test_a_node_without_events_says_so() -> None:
    async def use(hub: Hub) -> None:
        with pytest.raises(Silent):
            async with hub.watch(None, b""):
                pass
        assert hub.count == 0 and not hub._feeds

    with running() as node:
        with_hub(use, node.port)


def test_names_that_one_may_not_read_stay_hidden() -> None:
    async def use(hub: Hub) -> None:
        link = await hub.nodes.link()
        await link.call(b"ACL", b"SETUSER", b"app", b"on", b">w", b"~app:*", b"&__keyspace@0__:*", b"+@all")
        await link.call(b"ACL", b"SETUSER", b"deaf", b"on", b">w", b"~*", b"+@all", b"resetchannels")
        async with hub.watch(Login(b"app", b"w"), b"") as watcher:
            await link.batch([(b"SET", b"other:1", b"x"), (b"SET", b"app:1", b"x"), (b"SET", b"other:2", b"x")])
            assert [event.key for event in await watcher.next(SOON_S)] == [b"app:1"]
            assert await watcher.next(0.1) == []
        with pytest.raises(Refusal) as refused:
            async with hub.watch(Login(b"deaf", b"w"), b""):
                pass
        assert refused.value.word == "NOPERM"

    with running(*EVENTS) as node:
        with_hub(use, node.port)


def test_when_its_node_ends_a_feed_goes_on_with_the_next_and_says_that_something_is_lost() -> None:
    first = start(*EVENTS)

    with running(*EVENTS) as second:

        async def use(hub: Hub) -> None:
            async with hub.watch(None, b"m:") as watcher:
                await asyncio.to_thread(first.stop)
                assert [event.name for event in await watcher.next(SOON_S)] == ["lost"]
                for _ in range(100):
                    link = await hub.nodes.link()
                    await link.call(b"SET", b"m:1", b"x", b"EX", b"90")
                    if events := await watcher.next(0.1):
                        break
                assert [event.key for event in events if event.name == "set"][:1] == [b"m:1"]

        try:
            with_hub(use, first.port, second.port)
        finally:
            first.stop()


