"""Long values and slow bodies take turns: who asks for little neither waits behind them nor is kept out by them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis

from respram.gateway import agents as agents_file
from respram.gateway import requests as requests_file
from respram.gateway import store as store_file
from respram.gateway.answers import Message, Problem
from respram.gateway.faults import Busy
from respram.gateway.link import NodeLink, Reply
from respram.gateway.nodes import Nodes
from respram.gateway.requests import Budget, read_body
from respram.gateway.store import LONG_AT_ONCE, LONG_BYTES, Condition, Store, tag
from respram.gateway.target import read_url
from tests.live import SOON_S, LiveNode

LONG = b"v" * (LONG_BYTES + 5)


def with_store(node: LiveNode, use: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        nodes = Nodes([read_url(f"redis://127.0.0.1:{node.port}")])
        try:
            await asyncio.wait_for(use(Store(nodes, True, 5.0)), SOON_S)
        finally:
            nodes.close()
            await settled()

    asyncio.run(main())


def test_a_long_value_never_crosses_the_link_that_others_share(
    node: LiveNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 readers of 16 MB each kept a GET of five bytes waiting for 10 s."""
    heard: list[tuple[NodeLink, int]] = []
    take = NodeLink._take

    def listening(self: NodeLink, reply: Reply) -> None:
        pieces = reply if isinstance(reply, list) else [reply]
        heard.append((self, max([len(one) for one in pieces if isinstance(one, bytes)], default=0)))
        take(self, reply)

    monkeypatch.setattr(NodeLink, "_take", listening)
    sent: list[tuple[NodeLink, int]] = []
    packed = NodeLink.packed

    def sending(self: NodeLink, data: bytes, count: int, patience_s: float = 0.0) -> "asyncio.Future[list[Reply]]":
        sent.append((self, len(data)))
        return packed(self, data, count, patience_s)

    monkeypatch.setattr(NodeLink, "packed", sending)

    async def use(store: Store) -> None:
        at_once, most = 0, 0
        own = store.nodes.own

        @contextlib.asynccontextmanager
        async def counted(login: None = None, *, beyond: int = 0) -> AsyncIterator[NodeLink]:
            nonlocal at_once, most
            async with own(login, beyond=beyond) as link:
                at_once += 1
                most = max(most, at_once)
                yield link
                at_once -= 1

        monkeypatch.setattr(store.nodes, "own", counted)
        await store.put(None, b"turns:long", LONG, 60, None, False)
        await store.put(None, b"turns:short", b"short", 60, None, False)
        await store.put(None, b"turns:edge", LONG[: LONG_BYTES - 1], 60, None, False)
        assert (await store.put(None, b"turns:long", LONG, 60, Condition(frozenset({tag(LONG)})), False)).written
        readers = [asyncio.create_task(store.fetch(None, b"turns:long")) for _ in range(60)]
        for key, value in ((b"turns:short", b"short"), (b"turns:edge", LONG[: LONG_BYTES - 1])):
            record = await store.fetch(None, key)
            assert record is not None and record.value == value
        for reader in readers:
            record = await reader
            assert record is not None and record.value == LONG and record.length == len(LONG)
            assert 0 < record.remaining_ms <= 60_000
        assert await store.fetch(None, b"turns:nothing") is None
        assert 0 < most <= LONG_AT_ONCE
        shared = await store.nodes.link()
        assert max(size for link, size in heard if link is shared) <= LONG_BYTES
        assert max(size for link, size in sent if link is shared) <= LONG_BYTES + 1_024
        assert max(size for link, size in heard if link is not shared) == len(LONG)

    with_store(node, use)


def test_only_so_many_wait_for_their_turn(node: LiveNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_file, "LONG_WAITING_MAX", 10)

    async def use(store: Store) -> None:
        await store.put(None, b"turns:many", LONG, 60, None, False)
        for _ in range(LONG_AT_ONCE):
            await store._long.acquire()
        asked = [asyncio.create_task(store.fetch(None, b"turns:many")) for _ in range(30)]
        while sum(one.done() for one in asked) < 20:
            await asyncio.sleep(0.01)
        for _ in range(LONG_AT_ONCE):
            store._long.release()
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(one, Busy) for one in done) == 20
        assert sum(one is not None and not isinstance(one, BaseException) for one in done) == 10
        assert (await store.fetch(None, b"turns:many")) is not None, "who was told to come again may"

    with_store(node, use)


READS = ("+get", "+pttl", "+object|idletime", "+multi", "+exec")


@pytest.mark.parametrize("rights", [READS, ("+@read", "+@fast", "+@transaction")])
def test_whoever_may_get_and_not_getrange_reads_as_before(
    node: LiveNode, direct: "redis.Redis", rights: tuple[str, ...]
) -> None:
    words = (*rights, "-getrange", "+acl|whoami", "+select", "+client|setname")
    assert direct.execute_command("ACL", "SETUSER", "turner", "reset", "on", ">word", "~*", *words)
    try:
        assert direct.set("turns:plain", "v", ex=60)

        async def main() -> None:
            nodes = Nodes([read_url(f"redis://turner:word@127.0.0.1:{node.port}")])
            record = await asyncio.wait_for(Store(nodes, True, 5.0).fetch(None, b"turns:plain"), SOON_S)
            nodes.close()
            await settled()
            assert record is not None and record.value == b"v"

        asyncio.run(main())
    finally:
        direct.execute_command("ACL", "DELUSER", "turner")


# -- bodies ---------------------------------------------------------------------------------------
class Clock:
    """The loop's time, ahead of it by as much as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self.ahead_s)


class Sender:
    def __init__(self) -> None:
        self.pieces: asyncio.Queue[Message] = asyncio.Queue()

    def send(self, piece: bytes, *, more: bool = True) -> None:
        self.pieces.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    async def receive(self) -> Message:
        return await self.pieces.get()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_bodies_that_are_held_open_make_room_for_those_that_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the last byte of a body at once, and then a byte now and then: that kept everybody else out."""
    monkeypatch.setattr(requests_file, "PIECE_S", 10_000.0)
    monkeypatch.setattr(requests_file, "BODY_S", 10_000.0)

    async def main() -> None:
        clock, budget = Clock(monkeypatch), Budget(1 << 20)
        holders = [Sender() for _ in range(4)]
        held = [asyncio.create_task(read_body(one.receive, {}, 1 << 20, budget)) for one in holders]
        for one in holders:
            one.send(b"x" * (256 << 10))
        await settled()
        assert budget.left == 0
        honest = Sender()
        honest.send(b"y" * 1_000, more=False)
        with pytest.raises(Busy):  # nobody can be called slow yet
            await read_body(honest.receive, {}, 1 << 20, budget)
        for _ in range(30):  # drips, which are no pace
            clock.ahead_s += 0.5
            for one in holders[1:]:
                one.send(b"")
            await settled()
        honest.send(b"y" * 1_000, more=False)
        body, taken = await read_body(honest.receive, {}, 1 << 20, budget)
        assert body == b"y" * 1_000 and taken == 1_000
        await settled()
        ended = [one for one in held if one.done()]
        assert len(ended) == 1, "no more of them than there is need for"
        with pytest.raises(Problem) as told:
            await ended[0]
        assert told.value.status == 408
        budget.give(taken)
        for one in holders:
            one.send(b"", more=False)
        await settled()
        for other in held:
            if other is not ended[0]:
                budget.give((await other)[1])
        assert budget.left == budget.bytes_max and not budget.bodies

    asyncio.run(main())


def test_a_body_that_comes_steadily_is_not_taken_for_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        clock, budget = Clock(monkeypatch), Budget(1 << 20)
        steady = Sender()
        reading = asyncio.create_task(read_body(steady.receive, {}, 4 << 20, budget))
        for _ in range(5):
            steady.send(b"x" * (200 << 10))
            await settled()
            clock.ahead_s += 1.0
        other = Sender()
        other.send(b"y" * (512 << 10), more=False)
        with pytest.raises(Busy):
            await read_body(other.receive, {}, 1 << 20, budget)
        steady.send(b"", more=False)
        body, taken = await reading
        assert taken == len(body) == 1_000 << 10
        budget.give(taken)
        assert budget.left == budget.bytes_max

    asyncio.run(main())


def test_a_long_call_of_an_agent_is_over_soon_and_gives_its_bytes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that watches for five minutes, with 24 MB of text in it that nobody reads, held --max-bodies as long."""
    pytest.importorskip("mcp")
    monkeypatch.setattr(agents_file, "LONG_CALL_S", 0.05)

    async def main() -> None:
        agents = agents_file.Agents.__new__(agents_file.Agents)
        budget = Budget(1 << 20)
        waits = asyncio.Event()

        async def app(scope: object, receive: object, send: object) -> None:
            await waits.wait()

        agents._budget = budget
        agents._app = app  # type: ignore[assignment]
        agents._running = asyncio.create_task(asyncio.sleep(0))
        agents._started = waits
        waits.set()
        await settled()
        waits = asyncio.Event()
        sender = Sender()
        sender.send(b'{"x": "' + b"x" * (512 << 10) + b'"}', more=False)

        async def nowhere(message: Message) -> None:
            raise AssertionError(message)

        with pytest.raises(Problem) as told:
            await asyncio.wait_for(agents({"method": "POST", "headers": []}, sender.receive, nowhere), SOON_S)
        assert told.value.status == 408 and budget.left == budget.bytes_max
        sender.send(b"{}", more=False)  # a short one may wait
        call = asyncio.create_task(agents({"method": "POST", "headers": []}, sender.receive, nowhere))
        await asyncio.sleep(0.2)
        assert not call.done()
        waits.set()
        await call
        assert budget.left == budget.bytes_max

    asyncio.run(main())
