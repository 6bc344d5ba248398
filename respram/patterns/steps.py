"""Patterns are written once for both clients: a pattern yields effects, and a driver carries them out.

A pattern's method is a generator of effects (the dataclasses below) and gets each effect's outcome back from
its `yield`. `@operation` and `@stream` turn such a method into one that runs on the client its object holds:
at once on `redis.Redis`, as an awaitable or an async iterator on `redis.asyncio.Redis`; the type checker
knows which. `method.steps(...)` is the bare generator, for patterns that are built of others.

Effects, the two decorators and the few steps that nearly every pattern takes may live here; no I/O.
"""

import functools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from respram.patterns import drivers
from respram.patterns.effects import Ask, Call, Command, Commit, Effect, Hand, Pause, Watch
from respram.patterns.effects import Steps as Steps
from respram.patterns.errors import BadTtl, Contended, PatternError, TimedOut

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C", Redis, AsyncRedis)
C_co = TypeVar("C_co", Redis, AsyncRedis, covariant=True)

CHANGE_TRIES_MAX = 64  # lost races after which compare-and-set gives up: by then one key is the bottleneck
CHANGE_PAUSE_S = 0.001  # first pause after a lost race; grows linearly, so that writers get out of step
NEVER = secrets.token_bytes(32)  # no key holds this value
TTL_S_MAX = 31_536_000_000.0  # a thousand years: a larger number of seconds is certainly a mistake


class OnClient(Protocol[C_co]):
    """Any object that holds a client; `@operation` requires nothing else of a pattern."""

    @property
    def client(self) -> C_co: ...


class Operation(Protocol[P, T_co]):
    """An operation of a pattern on a blocking client."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...
    def steps(self, *args: P.args, **kwargs: P.kwargs) -> Steps[T_co]: ...


class AsyncOperation(Protocol[P, T_co]):
    """The same on an asyncio client."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T_co]: ...
    def steps(self, *args: P.args, **kwargs: P.kwargs) -> Steps[T_co]: ...


class operation(Generic[P, T]):  # noqa: N801 (used as a decorator, like property)
    """Decorates a generator method whose return value is the result."""

    def __init__(self, function: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self.function = function
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    @overload
    def __get__(self, owner: None, kind: object = None) -> "operation[P, T]": ...
    @overload
    def __get__(self, owner: OnClient[Redis], kind: object = None) -> Operation[P, T]: ...
    @overload
    def __get__(self, owner: OnClient[AsyncRedis], kind: object = None) -> AsyncOperation[P, T]: ...
    def __get__(self, owner: Any, kind: object = None) -> Any:
        return self if owner is None else _Bound(self.function, owner, drivers.run, drivers.run_async)


class stream(Generic[P, T]):  # noqa: N801
    """Decorates a generator method that hands out items by `yield Hand(item)`, one at a time, on demand."""

    def __init__(self, function: Callable[Concatenate[Any, P], Generator[Effect, Any, T]]) -> None:
        self.function = function
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    @overload
    def __get__(self, owner: OnClient[Redis], kind: object = None) -> Callable[P, Iterator[Any]]: ...
    @overload
    def __get__(self, owner: OnClient[AsyncRedis], kind: object = None) -> Callable[P, AsyncIterator[Any]]: ...
    def __get__(self, owner: Any, kind: object = None) -> Any:
        return self if owner is None else _Bound(self.function, owner, drivers.iterate, drivers.iterate_async)


class _Bound:
    """A decorated method and its object."""

    __slots__ = ("function", "owner", "run", "run_async")

    def __init__(self, function: Any, owner: Any, run: Any, run_async: Any) -> None:
        self.function, self.owner, self.run, self.run_async = function, owner, run, run_async

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        client = self.owner.client
        run = self.run_async if isinstance(client, AsyncRedis) else self.run
        return run(client, self.function(self.owner, *args, **kwargs))

    def steps(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.function(self.owner, *args, **kwargs)


def ask(*command: bytes | str | int) -> Steps[Any]:
    """Sends one command; returns its reply."""
    replies = yield Ask((command,))
    return replies[0]


def ask_all(*commands: Command) -> Steps[list[Any]]:
    """Sends several commands in one round trip, not atomically; returns their replies in order."""
    return (yield Ask(commands)) if commands else []


def ask_whole(*commands: Command) -> Steps[list[Any]]:
    """As `ask_all`, but a cancellation meanwhile takes effect only once the node has answered."""
    replies: list[Any] = yield Ask(commands, whole=True)
    return replies


def ask_atomic(*commands: Command) -> Steps[list[Any]]:
    """Sends several commands as one atomic transaction; returns their replies in order."""
    replies: list[Any] = yield Ask(commands, atomic=True)
    return replies


def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Steps[Any]:
    """Calls the user's function, plain or async; async functions need the asyncio client."""
    return (yield Call(function, args, kwargs))


def hand(item: object) -> Steps[None]:
    """Yields one item to the iterating caller."""
    yield Hand(item)


def pause(seconds: float) -> Steps[None]:
    yield Pause(seconds)


def ttl_ms(ttl_s: float) -> int:
    """Seconds to the whole milliseconds of PX; never rounded down to none."""
    if not 0 < ttl_s <= TTL_S_MAX:  # false for NaN too
        raise BadTtl("ttl_s must be a positive number of seconds: every key has a time to live, and none is for ever")
    return max(1, round(ttl_s * 1000))


def get(key: bytes) -> Steps[bytes | None]:
    """GET."""
    found: bytes | None = yield from ask("GET", key)
    return found


def exists(key: bytes) -> Steps[bool]:
    """EXISTS of one key."""
    found: int = yield from ask("EXISTS", key)
    return found == 1


def put(key: bytes, value: bytes, ttl_s: float) -> Steps[None]:
    """SET with its TTL."""
    yield from ask("SET", key, value, "PX", ttl_ms(ttl_s))


def at_home(key: bytes, *commands: Command) -> Steps[list[Any]]:
    """Runs commands on one key atomically at the key's home; returns their replies in order.

    The replies reflect every earlier write to the key through any node, while the members of the enclave are stable
    (with `--decide local`: through this node). If the home is another node, this costs a round trip between two nodes.
    A comparison that is never true turns the commands into a decision, which the home makes.
    """
    *replies, _ = yield from ask_atomic(*commands, ("SET", key, b"", "IFEQ", NEVER))
    return replies


def newest(key: bytes) -> Steps[bytes | None]:
    """The key's value at its home."""
    replies: list[bytes | None] = yield from at_home(key, ("GET", key))
    return replies[0]


def newest_here(key: bytes) -> Steps[bytes | None]:
    """The key's value at its home, once this node has it too; earlier writes have arrived here by then."""
    found = yield from newest(key)
    for attempt in range(CHANGE_TRIES_MAX):
        if (yield from get(key)) == found:
            break
        yield Pause(CHANGE_PAUSE_S * attempt)
        found = yield from newest(key)
    return found


def change(key: bytes, edit: Callable[[bytes | None], bytes | None], ttl_s: float) -> Steps[bytes | None]:
    """Compare-and-set by WATCH and MULTI: `edit` gets the value (None: missing) and returns the new one.

    None from `edit`, or a PatternError that it raises, leaves the key unchanged. `edit` may run several times, and must
    have no side effects. When it declines, the value is checked at the key's home first, since a write through another
    node may still be on its way to this one.
    No update is lost among the clients of all nodes while the members of the enclave are stable (with `--decide local`:
    of one node). While a node dies or is cut off the later stamp wins, and one update can be lost. Raises Contended
    after CHANGE_TRIES_MAX lost races. When the connection breaks at the EXEC, the new value may have been written
    already, and `edit` is applied to it once more.
    """
    expiry = ttl_ms(ttl_s)
    for attempt in range(CHANGE_TRIES_MAX):
        found = yield Watch((key,))
        if found is not None:
            new, refusal = edited(edit, found[0])
            if new is None:
                if (yield from newest(key)) == found[0]:
                    if refusal is not None:
                        raise refusal
                    return None
            elif (yield Commit((("SET", key, new, "PX", expiry),))) is not None:
                return new
        yield Pause(CHANGE_PAUSE_S * attempt)
    raise Contended(f"key {key[:80]!r} changed under {CHANGE_TRIES_MAX} attempts; nothing was written: try again later")


def edited(edit: Callable[[bytes | None], bytes | None], found: bytes | None) -> tuple[bytes | None, Exception | None]:
    """The edited value, or the exception by which the edit refuses."""
    try:
        return edit(found), None
    except PatternError as error:
        return None, error


def wait_until(check: Callable[[], Steps[T | None]], timeout_s: float, poll_s: float, what: str) -> Steps[T]:
    """Polls until `check` finds something that is not None. Raises TimedOut."""
    end = time.monotonic() + timeout_s
    while True:
        found = yield from check()
        if found is not None:
            return found
        left = end - time.monotonic()
        if left <= 0:
            raise TimedOut(f"{what} did not come within {timeout_s} s; it may still come, or its time was up before")
        yield Pause(min(poll_s, left))
