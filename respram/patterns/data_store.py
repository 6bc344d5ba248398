"""DataStore: JSON values with metadata under text keys, in namespaces. Nothing else may live in this file.

    store = DataStore(client, ttl_s=3600)
    store.set("project:alpha:status", "active", metadata={"by": "ci"})
    store.get("project:alpha:status", default="unknown")
    store.list_keys(prefix="project:alpha:")
    branch = store.use_namespace("repo:respram:main")
    store.list_namespaces()

A key is `data:<namespace>:<key>` on the node: the namespace with its colons written as %3A, the key with its colons as
they are, so that no two (namespace, key) share a name, and keys can be listed by their own prefixes
(`data:default:project:alpha:`). With `root=""` a key of the default namespace is its own name, `project:alpha:status`,
beside the node's other keys. A roster lists the namespaces (roster.py). Not promised: that anything outlives its
ttl_s; that get-then-set loses no update (accumulate.py has operations that lose none); that listings are a snapshot.
"""

import datetime
from dataclasses import dataclass, replace
from typing import Generic

from respram.patterns import roster
from respram.patterns.coordination_token import LETTING_GO_S
from respram.patterns.effects import Command
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.naming import KEYS_MAX, key, level, levels, scan, unlevel
from respram.patterns.naming import encoded as encoded_name
from respram.patterns.steps import C, Steps, ask, ask_all, operation, ttl_ms

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
        """The same store in another namespace; a namespace need not be created."""
        key(level(namespace))  # raises BadName here rather than at the first use
        return replace(self, namespace=namespace)

    def key(self, name: str) -> bytes:
        """The key's full name on the node, for use with other commands."""
        return self._prefix() + key(levels(name))

    def keys(self, name: str) -> tuple[bytes, ...]:
        """The keys that may hold the name: its own, and that of earlier versions, read for one version more."""
        earlier = self._prefix() + key(level(name))
        return (self.key(name),) if earlier == self.key(name) else (self.key(name), earlier)

    @operation
    def get(self, name: str, default: Json = None) -> Steps[Json]:
        """The value, or `default` when there is none or it has expired."""
        (stored,) = yield from ask_all(("MGET", *self.keys(name)))
        found = first_of(stored)
        return default if not found else decoded(found, name)[0]

    @operation
    def entry(self, name: str) -> Steps[Entry | None]:
        """The value with its metadata."""
        for each in self.keys(name):
            found, left_ms = yield from ask_all(("GET", each), ("PTTL", each))
            if found is not None:
                return Entry(*decoded(found, name), max(0, left_ms) / 1000) if found else None
        return None

    @operation
    def set(
        self, name: str, value: Json, metadata: dict[str, Json] | None = None, ttl_s: float | None = None
    ) -> Steps[None]:
        """Writes the value and restarts its TTL. Raises NotJson for bytes and the like, before anything is sent."""
        lasting_s = self.ttl_s if ttl_s is None else ttl_s
        writing: Command = ("SET", self.key(name), encoded(value, metadata), "PX", ttl_ms(lasting_s))
        yield from self._noted(lasting_s, writing, *self._over(name))

    @operation
    def has(self, name: str) -> Steps[bool]:
        there: int = yield from ask("EXISTS", *self.keys(name))
        return there > 0

    @operation
    def keep(self, name: str, ttl_s: float | None = None) -> Steps[bool]:
        """Restarts the TTL without writing; False when the key no longer exists."""
        lasting_s = self.ttl_s if ttl_s is None else ttl_s
        renewed = yield from ask_all(*(("PEXPIRE", each, ttl_ms(lasting_s)) for each in self.keys(name)))
        if any(renewed):
            yield from self._noted(lasting_s)
        return any(renewed)

    @operation
    def let_go(self, name: str) -> Steps[None]:
        """The equivalent of a delete: overwrites the value with an empty one that expires a millisecond later."""
        yield from ask_all(("SET", self.key(name), b"", "PX", ttl_ms(LETTING_GO_S)), *self._over(name))

    delete = let_go  # the name in the API's description

    @operation
    def list_keys(self, prefix: str = "") -> Steps[list[str]]:
        """Names in this namespace that begin with `prefix`, sorted."""
        here = self._prefix()
        names = set((yield from scan(here + levels(prefix).encode(), self.keys_max)))
        if level(prefix) != levels(prefix):
            names |= set((yield from scan(here + level(prefix).encode(), self.keys_max)))
        return sorted({unlevel(name[len(here) :]) for name in names})

    @operation
    def list_namespaces(self, scan_keys: bool = False) -> Steps[list[str]]:
        """Namespaces that contain a live key, sorted.

        With `scan_keys` every key of the node is scanned too, which finds the keys of other programs and of earlier
        versions.
        """
        found = set((yield from roster.members(self._roster())))
        if scan_keys and self.root:
            here = key(self.root) + b":"
            names = yield from scan(here, self.keys_max)
            found |= {unlevel(name[len(here) :].split(b":")[0]) for name in names}
        return sorted(found)

    @operation
    def noted(self) -> Steps[None]:
        """Keeps the namespace listed for ttl_s, for callers that write its keys by other commands."""
        yield from self._noted(self.ttl_s)

    def _noted(self, ttl_s: float, *commands: Command) -> Steps[None]:
        """Runs the commands and enters the namespace in its roster for as long, in one round trip."""
        yield from ask_all(*commands, *roster.staying(self._roster(), self.namespace, ttl_s))

    def _over(self, name: str) -> tuple[Command, ...]:
        """Commands that end an earlier version's value, which would reappear once the new one expires."""
        return tuple(("SET", each, b"", "XX", "PX", ttl_ms(LETTING_GO_S)) for each in self.keys(name)[1:])

    def _roster(self) -> bytes:
        return b"roster:namespace:" + encoded_name(self.root)

    def _prefix(self) -> bytes:
        if not self.root:
            return b"" if self.namespace == DEFAULT_NAMESPACE else key("namespace", level(self.namespace)) + b":"
        return key(self.root, level(self.namespace)) + b":"


def first_of(stored: list[bytes | None]) -> bytes | None:
    return next((each for each in stored if each is not None), None)


def encoded(value: Json, metadata: dict[str, Json] | None = None) -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return to_json({"value": value, "metadata": metadata or {}, "set_at": now})


def decoded(data: bytes, name: str) -> tuple[Json, dict[str, Json], str]:
    fields = document(data, f"key {name!r}", value=object, metadata=dict, set_at=str)
    return fields["value"], fields["metadata"], fields["set_at"]
