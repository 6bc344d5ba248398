"""DataStore: JSON values with metadata under text keys, in namespaces. Nothing else may live in this file.

    store = DataStore(client, ttl_s=3600)
    store.set("project:alpha:status", "active", metadata={"by": "ci"})
    store.get("project:alpha:status", default="unknown")
    store.list_keys(prefix="project:alpha:")
    branch = store.use_namespace("repo:respram:main")
    store.list_namespaces()

A key of a namespace is `data:<namespace>:<key>` on the node, both parts with their colons written as %3A, so that no
two (namespace, key) share a name. Not promised: that anything is there after its ttl_s; that get-then-set
loses no update (accumulate.py has what does not); that listings are a snapshot.
"""

import datetime
from dataclasses import dataclass, replace
from typing import Generic

from respram.patterns.coordination_token import LETTING_GO_S
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.naming import KEYS_MAX, key, level, scan, unlevel
from respram.patterns.steps import C, Steps, ask, ask_all, exists, get, operation, put, ttl_ms

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Entry:
    value: Json
    metadata: dict[str, Json]
    set_at: str  # ISO 8601, by the clock of the client that wrote it
    remaining_s: float


@dataclass(frozen=True, slots=True)
class DataStore(Generic[C]):
    client: C
    ttl_s: float = 3600.0
    namespace: str = DEFAULT_NAMESPACE
    root: str = "data"
    keys_max: int = KEYS_MAX

    def use_namespace(self, namespace: str) -> "DataStore[C]":
        """The same store, another namespace; there is nothing to create."""
        key(level(namespace))  # raises BadName here rather than at the first use
        return replace(self, namespace=namespace)

    def key(self, name: str) -> bytes:
        """The name on the node, for those who want to use other commands on it."""
        return self._prefix() + key(level(name))

    @operation
    def get(self, name: str, default: Json = None) -> Steps[Json]:
        """The value, or `default` when there is none, or its time is up."""
        found = yield from get(self.key(name))
        return default if not found else decoded(found, name)[0]

    @operation
    def entry(self, name: str) -> Steps[Entry | None]:
        """The value with all that is known of it."""
        found, left_ms = yield from ask_all(("GET", self.key(name)), ("PTTL", self.key(name)))
        return Entry(*decoded(found, name), max(0, left_ms) / 1000) if found else None

    @operation
    def set(
        self, name: str, value: Json, metadata: dict[str, Json] | None = None, ttl_s: float | None = None
    ) -> Steps[None]:
        """Writes the value; the time begins anew. Raises NotJson for bytes and the like, before anything is sent."""
        yield from put(self.key(name), encoded(value, metadata), self.ttl_s if ttl_s is None else ttl_s)

    @operation
    def has(self, name: str) -> Steps[bool]:
        return (yield from exists(self.key(name)))

    @operation
    def keep(self, name: str, ttl_s: float | None = None) -> Steps[bool]:
        """Begins the time anew without writing; False when there was nothing left to keep."""
        kept = yield from ask("PEXPIRE", self.key(name), ttl_ms(self.ttl_s if ttl_s is None else ttl_s))
        return bool(kept)

    @operation
    def let_go(self, name: str) -> Steps[None]:
        """What a delete is elsewhere: the value is overwritten by nothing, and the key is gone a millisecond later."""
        yield from put(self.key(name), b"", LETTING_GO_S)

    @operation
    def list_keys(self, prefix: str = "") -> Steps[list[str]]:
        """Names in this namespace that begin with `prefix`, sorted."""
        here = self._prefix()
        names = yield from scan(here + level(prefix).encode(), self.keys_max)
        return sorted(unlevel(name[len(here) :]) for name in names)

    @operation
    def list_namespaces(self) -> Steps[list[str]]:
        """Namespaces in which at least one key lives, sorted."""
        here = key(self.root) + b":"
        names = yield from scan(here, self.keys_max)
        return sorted({unlevel(name[len(here) :].split(b":")[0]) for name in names})

    def _prefix(self) -> bytes:
        return key(self.root, level(self.namespace)) + b":"


def encoded(value: Json, metadata: dict[str, Json] | None = None) -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return to_json({"value": value, "metadata": metadata or {}, "set_at": now})


def decoded(data: bytes, name: str) -> tuple[Json, dict[str, Json], str]:
    fields = document(data, f"key {name!r}", value=object, metadata=dict, set_at=str)
    return fields["value"], fields["metadata"], fields["set_at"]
