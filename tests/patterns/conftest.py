"""A real node, and the two kinds of client on it: every test of a pattern runs on both.

`RESPRAM_TEST_SERVER=redis` runs them against a redis-server instead, as an oracle for what a command does;
`RESPRAM_TEST_ENGINE=native` or `auto` chooses the engine of the node.
Names are new in every test (`world.name`), since nothing can be deleted between two.
"""

import asyncio
import contextlib
import inspect
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.live import SOON_S, running
from tests.peers.enclave import PATIENT, PATIENT_POLICY, enclave, until_ready
from tests.ports import reserve


@contextlib.contextmanager
def redis_server() -> Iterator[int]:
    program = shutil.which("redis-server")
    assert program, "RESPRAM_TEST_SERVER=redis needs a redis-server"
    port = reserve()
    process = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL
    )
    try:
        probe = redis.Redis(port=port, retry=Retry(NoBackoff(), 0))
        end = time.monotonic() + SOON_S
        while time.monotonic() < end:
            with contextlib.suppress(redis.ConnectionError):
                probe.ping()
                break
            time.sleep(0.02)
        probe.close()
        yield port
    finally:
        process.terminate()
        process.wait(SOON_S)


@pytest.fixture(scope="session")
def node_port() -> Iterator[int]:
    if os.environ.get("RESPRAM_TEST_SERVER", "respram") == "redis":
        with redis_server() as port:
            yield port
    else:
        with running(engine=os.environ.get("RESPRAM_TEST_ENGINE", "pure")) as node:
            yield node.port


@pytest.fixture(scope="session")
def enclave_ports() -> Iterator[tuple[int, ...]]:
    """Three nodes that are peers. A native engine that takes no peers yet leaves its place to the pure one."""
    engine = os.environ.get("RESPRAM_TEST_ENGINE", "pure")
    with enclave(
        3, *PATIENT, engines=("pure" if engine == "pure" else "auto",), policy=PATIENT_POLICY
    ) as members:
        until_ready(members)  # a node that still joins sends away who decides
        yield tuple(member.port for member in members)


class World:
    """One client of one kind, and how to run what the patterns return on it."""

    def __init__(self, kind: str, port: int) -> None:
        self.kind, self.port = kind, port
        self.name = f"{kind}-{uuid.uuid4().hex[:12]}"
        self.loop = asyncio.new_event_loop()
        self.clients: list[Any] = []
        self.client = self.another()
        self.raw: Any = redis.Redis(port=port)  # what a test does behind a pattern's back

    def another(self, port: int | None = None, **options: Any) -> Any:
        """A second client of the same kind; without retries, so that a node that is away is noticed at once."""
        client: Any
        if self.kind == "asyncio":
            client = redis.asyncio.Redis(port=port or self.port, retry=AsyncRetry(NoBackoff(), 0), **options)
        else:
            client = redis.Redis(port=port or self.port, retry=Retry(NoBackoff(), 0), **options)
        self.clients.append(client)
        return client

    def __call__(self, outcome: Any) -> Any:
        """What an operation returns, whichever client it ran on."""
        return self.loop.run_until_complete(outcome) if inspect.isawaitable(outcome) else outcome

    def take(self, items: Any, count: int, between: Callable[[], object] = lambda: None) -> list[Any]:
        """The first items of a stream; `between` runs before each but the first."""

        async def taken(stream: AsyncIterator[Any]) -> list[Any]:
            found = []
            async with contextlib.aclosing(stream) as closing:  # type: ignore[type-var]
                async for item in closing:
                    found.append(item)
                    if len(found) == count:
                        break
                    between()
            return found

        if self.kind == "asyncio":
            return self.loop.run_until_complete(asyncio.wait_for(taken(items), SOON_S))
        found = []
        with contextlib.closing(items):
            for item in items:
                found.append(item)
                if len(found) == count:
                    break
                between()
        return found

    def together(self, *operations: Callable[[], Any]) -> list[Any]:
        """Runs operations at the same time: in threads, or as tasks. Exceptions stand among the results."""
        if self.kind == "asyncio":

            async def all_of() -> list[Any]:
                return await asyncio.gather(*(operation() for operation in operations), return_exceptions=True)

            return self.loop.run_until_complete(all_of())

        def one(operation: Callable[[], Any]) -> Any:
            try:
                return operation()
            except Exception as error:
                return error

        with ThreadPoolExecutor(len(operations)) as pool:
            return list(pool.map(one, operations))

    def later(self, seconds: float, operation: Callable[[], Any]) -> Callable[[], Any]:
        """An operation that begins after a while, for `together`."""
        if self.kind == "asyncio":

            async def begin() -> Any:
                await asyncio.sleep(seconds)
                return await operation()

            return begin

        def start() -> Any:
            time.sleep(seconds)
            return operation()

        return start

    def expire(self, *keys: str | bytes) -> None:
        """Ends the life of keys now. Tests that look at a key before its end give it a long one: then no machine is too
        slow.
        """
        for key in keys:
            assert self.raw.pexpire(key, 1), key
        self.until(lambda: not self.raw.exists(*keys))

    def until(self, condition: Callable[[], Any]) -> Any:
        """Waits for what must become true."""
        end = time.monotonic() + SOON_S
        while not (found := self(condition())):
            assert time.monotonic() < end, "it did not become true"
            time.sleep(0.005)
        return found

    def close(self) -> None:
        for client in self.clients:
            self(client.aclose() if self.kind == "asyncio" else client.close())
        self.raw.close()
        self.loop.close()


@pytest.fixture(params=["blocking", "asyncio"])
def world(request: pytest.FixtureRequest, node_port: int) -> Iterator[World]:
    world = World(request.param, node_port)
    yield world
    world.close()


@pytest.fixture(params=["blocking", "asyncio"])
def apart(request: pytest.FixtureRequest, enclave_ports: tuple[int, ...]) -> Iterator[tuple[World, list[Any]]]:
    """A world on an enclave's first node, and a client of each of its nodes."""
    world = World(request.param, enclave_ports[0])
    yield world, [world.another(port=port) for port in enclave_ports]
    world.close()
