"""Caching: a computed or fetched result is reused until its TTL ends. Nothing else may live in this file.

    cache = Cache(client, "pages", ttl_s=600)
    cache.aside("https://example.org/", fetch)               # Cached(value, source="cache" or "fresh")
    cache.through("report.txt", analyse)                     # computes always, stores always
    cache.aside("rates", fetch_rates, fresh_s=60)            # TTL-checked: older than a minute counts as missing

Guarantees: a result that was stored through one node is found through another some milliseconds later; until then the
other node's callers compute it again. With `exact=True` it is found at once, while the members of the enclave are
stable (docs/peers.md): results are written at the key's home, and a miss asks there before it computes. Each of the two
costs a round trip between nodes. Not promised: that the function runs once. Callers that miss at the same moment all
call it; the last result stays. When the node is away, StoreAway is raised, and the caller decides whether to compute
without a cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.data_store import decoded, encoded
from respram.patterns.json_values import Json
from respram.patterns.naming import key, level
from respram.patterns.steps import C, Steps, ask, ask_all, at_home, call, newest, operation, put, ttl_ms


@dataclass(frozen=True, slots=True)
class Cached:
    value: Json
    source: str  # "cache" or "fresh"
    age_s: float  # how long ago it was stored


@dataclass(frozen=True, slots=True)
class Cache(Generic[C]):
    client: C
    name: str
    ttl_s: float = 600.0
    exact: bool = False  # write at the key's home, and check there before computing

    def key(self, name: str) -> bytes:
        return key("cache", level(self.name), level(name))

    @operation
    def look(self, name: str) -> Steps[Cached | None]:
        """The cached value, whatever its age; nothing is computed."""
        found, now = yield from ask_all(("GET", self.key(name)), ("TIME",))
        return cached(found, now, name)

    @operation
    def aside(
        self, name: str, load: Callable[..., Any], /, *args: Any, fresh_s: float | None = None, **kwargs: Any
    ) -> Steps[Cached]:
        """The cached value, if it is there and no older than `fresh_s`; else calls `load` and stores its result.

        A cached None, False or 0 counts as cached. If `load` raises, nothing is stored and the exception passes on.
        """
        found: Cached | None = yield from self.look.steps(name)
        if self.exact and not usable(found, fresh_s):
            (now,) = yield from ask_all(("TIME",))
            found = cached((yield from newest(self.key(name))), now, name)
        if found is not None and usable(found, fresh_s):
            return found
        return (yield from self.through.steps(name, load, *args, **kwargs))

    @operation
    def through(self, name: str, compute: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Steps[Cached]:
        """Calls `compute` and stores its result."""
        value = yield from call(compute, *args, **kwargs)
        now = yield from ask("TIME")
        stored = encoded(value, {"stored_s": seconds(now)})
        if self.exact:
            yield from at_home(self.key(name), ("SET", self.key(name), stored, "PX", ttl_ms(self.ttl_s)))
        else:
            yield from put(self.key(name), stored, self.ttl_s)
        return Cached(value, "fresh", 0.0)


def cached(found: bytes | None, now: tuple[int, int], name: str) -> Cached | None:
    if found is None:
        return None
    value, metadata, _ = decoded(found, name)
    # Measured by the node's clock, which all readers and writers share.
    return Cached(value, "cache", max(0.0, seconds(now) - metadata.get("stored_s", 0.0)))


def usable(found: Cached | None, fresh_s: float | None) -> bool:
    return found is not None and (fresh_s is None or found.age_s < fresh_s)


def seconds(time: tuple[int, int]) -> float:
    """The reply of TIME, seconds and microseconds, as one number."""
    return int(time[0]) + int(time[1]) / 1_000_000
