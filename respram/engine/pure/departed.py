"""Members that lately went while their collection went on, by the key of their collection. The twin of
native/departed.c, which says what for.
"""

from collections import deque
from typing import Protocol

from respram.engine.pure.record import Row
from respram.engine.replication import DEPARTED_MAX, Found
from respram.record import DATABASES, is_member, key_of

Key = tuple[int, bytes]  # database, and key of a collection


class Departed:
    __slots__ = ("count", "keys", "stubs")

    def __init__(self) -> None:
        self.count = 0  # of all that were noted; the last has this number
        self.keys: deque[Key] = deque()  # of the last DEPARTED_MAX
        self.stubs: dict[Key, deque[tuple[int, Row]]] = {}  # of these, with their numbers

    def add(self, key: Key, stub: Row) -> None:
        if len(self.keys) == DEPARTED_MAX:
            first = self.keys.popleft()
            self.stubs[first].popleft()
            if not self.stubs[first]:
                del self.stubs[first]
        self.count += 1
        self.keys.append(key)
        self.stubs.setdefault(key, deque()).append((self.count, stub))


class Store(Protocol):
    """The part of the keyspace that this file uses."""

    departed: Departed
    stubs: dict[bytes, Row]

    @property
    def digests(self) -> object: ...
    def packed(self, row: Row) -> bytes: ...


def note(keyspace: Store, space: int, member: bytes, stub: Row) -> None:
    """A member's value is gone, and this stub is there instead. (What a mark says of all members is not noted.)"""
    if is_member(space) and keyspace.digests is not None:
        keyspace.departed.add((space % DATABASES, key_of(member)), stub)


def departed(keyspace: Store, db: int, key: bytes, since: int, now_ms: int) -> Found:
    found = []
    for number, stub in reversed(keyspace.departed.stubs.get((db, key), ())):
        if number <= since:
            break
        if keyspace.stubs.get(stub.key) is stub and max(stub.deadline_ms, stub.shadow_ms) > now_ms:
            found.append(keyspace.packed(stub))
    return Found(b"".join(found), keyspace.departed.count)
