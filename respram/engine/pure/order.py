"""The order of a sorted set's members: a counting tree. The twin of native/order.c.

A B+ tree of (score, name): leaves hold members, inner nodes for each child its first member and how many stand below
it. So to put, to take out, to find the rank of a member and to go to a rank are a walk from the root down, four nodes
at 10^6 members. A skip list would take as many comparisons and twice the memory, each of its steps a cache miss.

Nodes split in halves when they are full. One that shrinks is joined with a neighbour as soon as both are three quarters
of a node or less, so there is no borrowing, and nodes are about two thirds full after whatever came and went.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from math import inf, nextafter
from typing import TYPE_CHECKING

from respram.engine.pure.family import settled
from respram.engine.pure.record import ORDERS
from respram.engine.ranking import Item
from respram.engine.scores import score_of
from respram.record import ZSET

if TYPE_CHECKING:
    from respram.engine.pure.keyspace import Keyspace

LEAF_MAX = 63  # members of a leaf: 1 KiB in C
INNER_MAX = 72  # children of an inner node: 2 KiB in C
LEAF_BYTES = 600  # of a leaf here, without its members' tuples (measured)
ITEM_BYTES = 96  # of a tuple, its float and its place in a leaf (measured)


class Leaf:
    __slots__ = ("items",)
    height = 0

    def __init__(self, items: list[Item]) -> None:
        self.items = items

    @property
    def first(self) -> Item:
        return self.items[0]

    @property
    def size(self) -> int:
        return len(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def add(self, item: Item) -> "Leaf | None":
        insort(self.items, item)
        if len(self.items) <= LEAF_MAX:
            return None
        half = len(self.items) // 2
        right = Leaf(self.items[half:])
        del self.items[half:]
        return right

    def remove(self, item: Item) -> None:
        at = bisect_left(self.items, item)
        assert self.items[at] == item, "it is not there"
        del self.items[at]

    def place(self, item: Item, after: bool) -> int:
        return bisect_right(self.items, item) if after else bisect_left(self.items, item)

    def absorb(self, right: "Leaf") -> None:
        self.items += right.items

    def upwards(self, start: int) -> Iterator[Item]:
        return iter(self.items[start:])

    def downwards(self, start: int) -> Iterator[Item]:
        return reversed(self.items[: start + 1])


class Inner:
    __slots__ = ("height", "children", "firsts", "sizes")

    def __init__(self, children: "list[Node]") -> None:
        self.height: int = children[0].height + 1
        self.children = children
        self.firsts = [child.first for child in children]
        self.sizes = [child.size for child in children]

    @property
    def first(self) -> Item:
        return self.firsts[0]

    @property
    def size(self) -> int:
        return sum(self.sizes)

    def __len__(self) -> int:
        return len(self.children)

    def _child_of(self, item: Item) -> int:
        return max(0, bisect_right(self.firsts, item) - 1)

    def add(self, item: Item) -> "Inner | None":
        at = self._child_of(item)
        split = self.children[at].add(item)
        self._look_again(at)
        if split is None:
            return None
        self.children.insert(at + 1, split)
        self.firsts.insert(at + 1, split.first)
        self.sizes.insert(at + 1, split.size)
        if len(self.children) <= INNER_MAX:
            return None
        half = len(self.children) // 2
        right = Inner(self.children[half:])
        self._cut(half, len(self.children))
        return right

    def remove(self, item: Item) -> None:
        at = self._child_of(item)
        child = self.children[at]
        child.remove(item)
        if not len(child):
            self._cut(at, at + 1)
            return
        self._look_again(at)
        room = (LEAF_MAX if child.height == 0 else INNER_MAX) * 3 // 4
        for left in (at - 1, at):
            if (
                left >= 0
                and left + 1 < len(self.children)
                and len(self.children[left]) + len(self.children[left + 1]) <= room
            ):
                self.children[left].absorb(self.children[left + 1])  # type: ignore[arg-type]  # siblings are of one kind
                self._cut(left + 1, left + 2)
                self._look_again(left)
                return

    def _look_again(self, at: int) -> None:
        child = self.children[at]
        self.firsts[at], self.sizes[at] = child.first, child.size

    def _cut(self, start: int, stop: int) -> None:
        del self.children[start:stop], self.firsts[start:stop], self.sizes[start:stop]

    def place(self, item: Item, after: bool) -> int:
        at = max(0, (bisect_right if after else bisect_left)(self.firsts, item) - 1)
        return sum(self.sizes[:at]) + self.children[at].place(item, after)

    def absorb(self, right: "Inner") -> None:
        self.children += right.children
        self.firsts += right.firsts
        self.sizes += right.sizes

    def upwards(self, start: int) -> Iterator[Item]:
        for child, size in zip(self.children, self.sizes, strict=True):
            if start < size:
                yield from child.upwards(max(start, 0))
            start -= size

    def downwards(self, start: int) -> Iterator[Item]:
        before = sum(self.sizes)
        for child, size in zip(reversed(self.children), reversed(self.sizes), strict=True):
            before -= size
            if start >= before:
                yield from child.downwards(min(start - before, size - 1))


Node = Leaf | Inner


class Order:
    __slots__ = ("root",)

    def __init__(self) -> None:
        self.root: Node = Leaf([])

    def __len__(self) -> int:
        return self.root.size

    @property
    def used_bytes(self) -> int:
        """The approximate memory of the tree, with its nodes."""
        return LEAF_BYTES + len(self) * ITEM_BYTES

    def add(self, name: bytes, value: bytes) -> None:
        """Adds a member, whose name must not be in the tree."""
        split = self.root.add((score_of(value), name))
        if split is not None:
            self.root = Inner([self.root, split])

    def remove(self, name: bytes, value: bytes) -> None:
        """Removes a member, given the value with which it was added."""
        self.root.remove((score_of(value), name))
        if isinstance(self.root, Inner) and len(self.root) <= 1:
            self.root = self.root.children[0] if len(self.root) else Leaf([])

    def place(self, score: float, name: bytes | None, after: bool) -> int:
        """How many stand before (score, name), or `after`: before or at it. Without a name: the score, whatever the
        name.
        """
        if name is not None:
            return self.root.place((score, name), after)
        if not after:
            return self.root.place((score, b""), False)
        return len(self) if score == inf else self.root.place((nextafter(score, inf), b""), False)

    def from_rank(self, start: int, count: int, downwards: bool) -> list[Item]:
        """At most `count` from a rank on, upwards or downwards. The rank is within it."""
        if not 0 <= start < len(self):
            return []
        walk = self.root.downwards(start) if downwards else self.root.upwards(start)
        return [item for _, item in zip(range(count), walk, strict=False)]


# -- for commands -----------------------------------------------------------------------------------------
def place(
    keyspace: "Keyspace", db: int, key: bytes, score: float, name: bytes | None, after: bool, now_ms: int
) -> int:
    order = _order(keyspace, db, key, now_ms)
    return 0 if order is None else order.place(score, name, after)


def ranked(
    keyspace: "Keyspace", db: int, key: bytes, start: int, count: int, downwards: bool, now_ms: int
) -> list[Item]:
    order = _order(keyspace, db, key, now_ms)
    found = [] if order is None else order.from_rank(start, count, downwards)
    for _ in found:
        keyspace.look()
    return found


def _order(keyspace: "Keyspace", db: int, key: bytes, now_ms: int) -> Order | None:
    head = keyspace.head(db, key, now_ms)
    if head is None or head.kind != ZSET:
        return None
    order = settled(keyspace, head, now_ms).order
    assert isinstance(order, Order)
    return order


ORDERS[ZSET] = Order
