"""Linked structures of immutable nodes on a ContentStore; here the list. Nothing else may live in this file.

    todo = LinkedList(store, "list")
    todo.push("Node 3"); todo.push("Node 2"); todo.push("Node 1")
    todo.values()                                # ["Node 1", "Node 2", "Node 3"]
    todo.keep()  # extends the TTL of the head, and of all nodes behind it

A node holds a value and the hash of the next; the label `<name>:head` holds the first.
Not promised: that the tail lives as long as the head, unless someone calls `keep` in time; a list whose
tail expired raises ContentMissing rather than look shorter than it was.
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentRef, ContentStore, pointed
from respram.patterns.effects import Commit, Steps, Watch
from respram.patterns.errors import Contended, TooMany
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.steps import CHANGE_TRIES_MAX, C, get, operation, ttl_ms

NODES_MAX = 10_000  # nodes followed from one head: each takes a round trip


@dataclass(frozen=True, slots=True)
class LinkedList(Generic[C]):
    store: ContentStore[C]
    name: str
    nodes_max: int = NODES_MAX

    @property
    def client(self) -> C:
        return self.store.client

    @property
    def head(self) -> str:
        return f"{self.name}:head"

    @operation
    def push(self, value: Json) -> Steps[ContentRef]:
        """Puts a value in front and returns the new head. The node is stored before the label moves."""
        head, expiry = self.store.label_key(self.head), ttl_ms(self.store.ttl_s)
        for _ in range(CHANGE_TRIES_MAX):
            before: bytes | None = yield from get(head)
            following = pointed(before, self.head).hash if before else None
            ref: ContentRef = yield from self.store.store.steps(to_json({"value": value, "next": following}))
            if (yield Watch((head,))) == [before] and (yield Commit((("SET", head, ref.hash.encode(), "PX", expiry),))):
                return ref
        raise Contended(f"the head of {self.name!r} moved under every attempt; the list is as others left it")

    @operation
    def values(self) -> Steps[list[Json]]:
        """The values from the head on. Raises ContentMissing when a node's time is up, TooMany beyond nodes_max."""
        return [value for _, value in (yield from self._walk())]

    @operation
    def keep(self) -> Steps[int]:
        """Restarts the TTL of the head and of every node; returns how many nodes there are."""
        nodes = yield from self._walk()
        for ref, _ in reversed(nodes):
            yield from self.store.touch.steps(ref)
        yield from self.store.touch_label.steps(self.head)
        return len(nodes)

    def _walk(self) -> Steps[list[tuple[ContentRef, Json]]]:
        nodes: list[tuple[ContentRef, Json]] = []
        ref = yield from self.store.get_by_label.steps(self.head, 0)
        while ref is not None:
            if len(nodes) == self.nodes_max:
                raise TooMany(f"list {self.name!r} has more than {self.nodes_max} nodes")
            node = document(
                (yield from self.store.get.steps(ref)), f"node {ref.hash[:12]}", value=object, next=str | None
            )
            nodes.append((ref, node["value"]))
            ref = ContentRef(node["next"]) if node["next"] else None
        return nodes
