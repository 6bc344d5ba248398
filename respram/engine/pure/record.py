"""A record as the pure engine keeps it: a mutable row, one per key, that the wheel can hold."""

from typing import TYPE_CHECKING

from respram.record import Seal

if TYPE_CHECKING:
    from respram.engine.pure.family import Family


class Row:
    __slots__ = (
        "db", "key", "value", "clock", "node", "deadline_ms", "shadow_ms", "implicit", "due_ms", "level", "id",
        "seal", "kind", "family", "place",
    )  # fmt: skip

    db: int
    key: bytes
    value: bytes | None  # None: a stub. Touched by Keyspace.read and Keyspace._write alone.
    seal: Seal | None  # how the value is sealed
    clock: int
    node: int
    deadline_ms: int
    shadow_ms: int
    implicit: bool
    due_ms: int  # where the wheel has it
    level: int
    kind: int  # of the head of a collection; else 0
    family: "Family | None"  # of a member with a value
    place: int  # among its members
    id: int  # see ids.py; kept by the digests, where peers are
