"""The two drivers run a pattern's effects on a redis-py client; they are the only part that does I/O.

The blocking and the asyncio driver are the same text except for `await`; a change goes into both. Whatever an effect
raises, including a cancellation or an interrupt, is raised in the pattern at its `yield`, so that its `finally` can
still release what it holds. Code that does no I/O (checking commands, translating errors) is shared, at the end.
"""

import asyncio
import contextlib
import inspect
import queue
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import redis.exceptions
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from respram.patterns.effects import (
    Ask,
    AskAny,
    Block,
    Call,
    Command,
    Commit,
    Effect,
    Hand,
    Pause,
    Receive,
    Steps,
    Subscribe,
    Use,
    Watch,
)
from respram.patterns.errors import HomeAway, StoreAway, StoreRefused, ValueTooLarge, WrongCredentials

T = TypeVar("T")

# A node takes 16 MiB in one argument unless told otherwise, and closes the connection on more. So it is checked here,
# for all commands of an effect before the first is sent.
VALUE_BYTES_MAX = 16 * 1024 * 1024

TOGETHER_MAX = 16  # nodes that one AskAny asks at a time

CANCELS_MAX = 10  # attempts to cancel a question that is no longer needed
CANCEL_S = 0.01  # the time limit of each attempt

ANSWER_S = 2.0  # how long a cancelled task waits for a reply: a node refuses within 1.5 s

Good = Callable[[list[Any]], bool]

# Beginning of the error that too few members are reachable to decide; nothing was done.
NO_QUORUM = "NOQUORUM no majority"
UNCERTAIN = "UNCERTAIN"  # beginning of the error that a key's home was lost before it answered

LARGE_BYTES = 1024 * 1024  # the smallest size limit of a node: for values below it, size is not the cause

RAW = {"NEVER_DECODE": True}  # replies stay bytes, even on clients with decode_responses=True
AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)


def run(client: Redis, steps: Steps[T]) -> T:
    """Runs all the steps on a blocking client; returns the generator's result."""
    driver = Driver(client)
    outcome: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                effect = steps.throw(failure) if failure else steps.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            outcome, failure = None, None
            try:
                outcome = driver.perform(effect)
            except BaseException as error:
                failure = readable(error, effect)
    finally:
        steps.close()
        driver.close()


def iterate(client: Redis, steps: Steps[object]) -> Iterator[Any]:
    """Iterates on a blocking client: each item runs the steps up to the next `Hand`."""
    driver = Driver(client)
    outcome: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                effect = steps.throw(failure) if failure else steps.send(outcome)
            except StopIteration:
                return
            outcome, failure = None, None
            if isinstance(effect, Hand):
                yield effect.item
                continue
            try:
                outcome = driver.perform(effect)
            except BaseException as error:
                failure = readable(error, effect)
    finally:
        steps.close()
        driver.close()


async def run_async(client: AsyncRedis, steps: Steps[T]) -> T:
    """As `run`, on an asyncio client."""
    driver = AsyncDriver(client)
    outcome: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                effect = steps.throw(failure) if failure else steps.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            outcome, failure = None, None
            try:
                outcome = await driver.perform(effect)
            except BaseException as error:
                failure = readable(error, effect)
    finally:
        steps.close()
        await driver.close()


async def iterate_async(client: AsyncRedis, steps: Steps[object]) -> AsyncIterator[Any]:
    """As `iterate`, on an asyncio client."""
    driver = AsyncDriver(client)
    outcome: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                effect = steps.throw(failure) if failure else steps.send(outcome)
            except StopIteration:
                return
            outcome, failure = None, None
            if isinstance(effect, Hand):
                yield effect.item
                continue
            try:
                outcome = await driver.perform(effect)
            except BaseException as error:
                failure = readable(error, effect)
    finally:
        steps.close()
        await driver.close()


class Driver:
    """One run on a blocking client: it holds the connections for WATCH and for SUBSCRIBE."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.watching: Any = None
        self.listening: Any = None

    def perform(self, effect: Effect) -> Any:
        match effect:
            case Ask(commands, elsewhere, atomic, whole):
                check_sizes(commands)
                client: Any = elsewhere or self.client
                del whole  # a blocking call cannot be cancelled
                if len(commands) == 1 and not atomic:
                    return [client.execute_command(*commands[0], **RAW)]
                with client.pipeline(transaction=atomic) as pipe:
                    return checked(queued(pipe, commands, {} if atomic else RAW).execute(raise_on_error=False))
            case AskAny(commands, clients, good):
                check_sizes(commands)
                return self.ask_any(effect, commands, clients, good)
            case Use(client):
                self.unwatch()
                self.client = client
                return None
            case Watch(keys, values):
                self.unwatch()
                self.watching = self.client.pipeline(transaction=True)
                try:
                    self.watching.watch(*keys)
                    if values:
                        return self.watching.execute_command("MGET", *keys, **RAW)
                    return [b"" if self.watching.execute_command("EXISTS", each) else None for each in keys]
                except redis.exceptions.WatchError:
                    return self.unwatch()
            case Commit(commands):
                check_sizes(commands)
                pipe = self.watching
                assert pipe is not None, "a Commit belongs to a Watch"
                try:
                    pipe.multi()
                    return checked(queued(pipe, commands, {}).execute(raise_on_error=False))
                except redis.exceptions.WatchError:
                    return None
                finally:
                    self.unwatch()
            case Pause(seconds):
                return time.sleep(seconds)
            case Call(function, args, kwargs):
                result = function(*args, **kwargs)
                if inspect.iscoroutine(result):
                    result.close()
                    raise TypeError("an async function was given to a blocking client; use redis.asyncio.Redis")
                return result
            case Block(function, args):
                return function(*args)
            case Subscribe(channels):
                client = self.client
                self.listening = client.pubsub()
                self.listening.subscribe(*channels)
                for _ in channels:
                    self.listening.get_message(timeout=5.0)
                return None
            case Receive(timeout_s):
                return message(self.listening.get_message(timeout=timeout_s))
        raise AssertionError(f"{type(effect).__name__} in an operation that is no stream")

    def ask_any(self, effect: Effect, commands: tuple[Command, ...], clients: tuple[Any, ...], good: Good) -> list[Any]:
        outcomes: list[Any] = [None] * len(clients)
        answers: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()

        def ask(number: int) -> None:
            try:
                with clients[number].pipeline(transaction=False) as pipe:
                    replies = checked(queued(pipe, commands, RAW).execute(raise_on_error=False))
                answers.put((number, replies))
            except Exception as error:
                answers.put((number, readable(error, effect)))

        def begin(number: int) -> None:
            # A daemon thread: a caller that has a good answer does not wait for a node that never answers.
            threading.Thread(target=ask, args=(number,), daemon=True).start()

        begun = min(len(clients), TOGETHER_MAX)
        for number in range(begun):
            begin(number)
        for _ in clients:
            number, outcomes[number] = answers.get()
            if not isinstance(outcomes[number], Exception) and good(outcomes[number]):
                break
            if begun < len(clients):
                begin(begun)
                begun += 1
        return outcomes

    def unwatch(self) -> None:
        pipe, self.watching = self.watching, None
        if pipe is not None:
            pipe.reset()

    def close(self) -> None:
        self.unwatch()
        if self.listening is not None:
            self.listening.close()


class AsyncDriver:
    """One run on an asyncio client."""

    def __init__(self, client: AsyncRedis) -> None:
        self.client = client
        self.watching: Any = None
        self.listening: Any = None

    async def perform(self, effect: Effect) -> Any:
        match effect:
            case Ask(commands, elsewhere, atomic, whole):
                check_sizes(commands)
                asking = self.ask(commands, elsewhere or self.client, atomic)
                return await (answered(asking) if whole else asking)
            case AskAny(commands, clients, good):
                check_sizes(commands)
                return await self.ask_any(effect, commands, clients, good)
            case Use(client):
                await self.unwatch()
                self.client = client
                return None
            case Watch(keys, values):
                await self.unwatch()
                self.watching = self.client.pipeline(transaction=True)
                try:
                    await self.watching.watch(*keys)
                    if values:
                        return await self.watching.execute_command("MGET", *keys, **RAW)
                    return [b"" if await self.watching.execute_command("EXISTS", each) else None for each in keys]
                except redis.exceptions.WatchError:
                    return await self.unwatch()
            case Commit(commands):
                check_sizes(commands)
                pipe = self.watching
                assert pipe is not None, "a Commit belongs to a Watch"
                try:
                    pipe.multi()
                    return checked(await queued(pipe, commands, {}).execute(raise_on_error=False))
                except redis.exceptions.WatchError:
                    return None
                finally:
                    await self.unwatch()
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Call(function, args, kwargs):
                result = function(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result
            case Block(function, args):
                return await asyncio.to_thread(function, *args)
            case Subscribe(channels):
                self.listening = self.client.pubsub()
                await self.listening.subscribe(*channels)
                for _ in channels:
                    await self.listening.get_message(timeout=5.0)
                return None
            case Receive(timeout_s):
                return message(await self.listening.get_message(timeout=timeout_s))
        raise AssertionError(f"{type(effect).__name__} in an operation that is no stream")

    async def ask(self, commands: tuple[Command, ...], client: Any, atomic: bool) -> list[Any]:
        if len(commands) == 1 and not atomic:
            return [await client.execute_command(*commands[0], **RAW)]
        async with client.pipeline(transaction=atomic) as pipe:
            return checked(await queued(pipe, commands, {} if atomic else RAW).execute(raise_on_error=False))

    async def ask_any(
        self, effect: Effect, commands: tuple[Command, ...], clients: tuple[Any, ...], good: Good
    ) -> list[Any]:
        outcomes: list[Any] = [None] * len(clients)
        free = asyncio.Semaphore(TOGETHER_MAX)

        async def ask(number: int) -> int:
            async with free:
                try:
                    async with clients[number].pipeline(transaction=False) as pipe:
                        outcomes[number] = checked(await queued(pipe, commands, RAW).execute(raise_on_error=False))
                except Exception as error:
                    outcomes[number] = readable(error, effect)
            return number

        tasks = [asyncio.ensure_future(ask(number)) for number in range(len(clients))]
        try:
            for each in asyncio.as_completed(tasks):
                number = await each
                if not isinstance(outcomes[number], BaseException) and good(outcomes[number]):
                    break
        finally:
            await ended(tasks)
        return outcomes

    async def unwatch(self) -> None:
        pipe, self.watching = self.watching, None
        if pipe is not None:
            await pipe.reset()

    async def close(self) -> None:
        await self.unwatch()
        if self.listening is not None:
            await self.listening.aclose()


async def answered(asking: Coroutine[Any, Any, T]) -> T:
    """Awaits to the end even if the waiting task is cancelled; the cancellation is raised afterwards.

    A command that was sent cannot be recalled. If its connection were dropped at once, the node could run it after the
    command that undoes it.
    """
    task = asyncio.ensure_future(asking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        end = time.monotonic() + ANSWER_S
        while not task.done() and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(asyncio.CancelledError):  # a repeated cancellation; it is raised below
                await asyncio.wait((task,), timeout=left)
        await ended([task])
        if task.done() and not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not warn about it
        raise


async def ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels the tasks and waits for a bounded time, since a task may be waiting for a node that never answers."""
    for _ in range(CANCELS_MAX):
        # redis-py loses a cancellation that arrives while it connects, so it may have to be repeated.
        left = [task for task in tasks if not task.done()]
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CANCEL_S)


def queued(pipe: Any, commands: tuple[Command, ...], options: dict[str, bool]) -> Any:
    """The pipeline with the commands queued.

    A MULTI takes no RAW: redis-py reads its replies with the options of EXEC, not of the commands.
    """
    for command in commands:
        pipe.execute_command(*command, **options)
    return pipe


def checked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def check_sizes(commands: tuple[Command, ...]) -> None:
    for command in commands:
        for argument in command:
            if isinstance(argument, bytes | str) and len(argument) > VALUE_BYTES_MAX:
                raise ValueTooLarge(
                    f"a value of {len(argument)} bytes is over the limit of {VALUE_BYTES_MAX}; nothing was written:"
                    " send it in pieces (FileTransfer, StreamEncoder)"
                )


def message(received: Any) -> tuple[bytes, bytes] | None:
    """A subscriber's message as bytes; None for silence and for confirmations."""
    if not received or received["type"] != "message":
        return None
    channel, data = (
        each.encode() if isinstance(each, str) else each for each in (received["channel"], received["data"])
    )
    return channel, data


def readable(error: BaseException, effect: Effect) -> BaseException:
    """Translates redis-py's exceptions to this package's; the user's own pass unchanged."""
    if isinstance(effect, Call | Block):
        return error
    size = largest(effect)
    named: Exception
    if isinstance(error, redis.exceptions.AuthenticationError):
        named = WrongCredentials(f"the node wants other credentials: {said(error)}")
    elif isinstance(error, redis.exceptions.ResponseError) and "invalid bulk length" in str(error):
        named = ValueTooLarge(f"the node takes no value of {size} bytes (its proto-max-bulk-len); nothing was written")
    elif isinstance(error, redis.exceptions.ResponseError) and str(error).startswith(UNCERTAIN):
        named = HomeAway(f"{said(error)}: look before it is done again")
    elif isinstance(error, redis.exceptions.ResponseError) and str(error).startswith(NO_QUORUM):
        named = HomeAway(f"{said(error)}: ask another node, or try again (Retry)")
    elif isinstance(error, redis.exceptions.ResponseError):
        named = StoreRefused(f"the node refused: {said(error)}")
    elif isinstance(error, redis.exceptions.BusyLoadingError):
        named = HomeAway(f"the node cannot answer this yet: {said(error)}: ask another, or try again (Retry)")
    elif isinstance(error, AWAY):
        named = StoreAway(
            "the node does not answer; what was under way may or may not have been done: check address and port,"
            " or try again (Retry)"
            + (f"; if it is there, {size} bytes may be over its proto-max-bulk-len" if size > LARGE_BYTES else "")
        )
    else:
        return error
    # Not chained: redis-py puts the beginning of a failed command, including values, into its exception.
    named.__suppress_context__ = True
    return named


def said(error: Exception) -> str:
    """The node's error text without the command that redis-py prepends or the arguments that a node repeats."""
    words = re.sub(r"^Command # \d+ \(.*?\) of pipeline caused error: ", "", str(error), flags=re.DOTALL)
    return words.split(", with args")[0]


def largest(effect: Effect) -> int:
    if not isinstance(effect, Ask | AskAny | Commit):
        return 0
    return max(
        (len(part) for command in effect.commands for part in command if isinstance(part, bytes | str)), default=0
    )
