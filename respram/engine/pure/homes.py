"""The table of homes by slot, and the commands that other nodes decide. The twin of native/homes.c."""

from array import array
from collections.abc import Iterator

from respram.catalog import Command
from respram.catalog.keys import decides, keys_of
from respram.engine.pure.keyspace import Keyspace
from respram.integers import parse_uint
from respram.record import MARKS
from respram.slots import SLOTS, slot_of, unpack_keys


class Homes:
    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: array[int] | None = None  # None: this node decides about every key

    def use(self, table: bytes | None) -> None:
        if table is not None and len(table) != 2 * SLOTS:
            raise ValueError("a table of homes has 16,384 numbers of 16 bits")
        self.table = None if table is None else array("H", table)

    def home_of(self, command: Command, argv: list[bytes]) -> int:
        """The number of the node that decides about a command; 0: this node, or none has to."""
        if self.table is None or not decides(command, argv):
            return 0
        keys = argv[1:2] if command.has_key else keys_of(command, argv)
        return self.table[slot_of(keys[0])] if keys else 0


def slot_away(keys: bytes, table: bytes) -> int:
    numbers = memoryview(table).cast("H")
    return next((slot for slot in map(slot_of, unpack_keys(keys)) if numbers[slot]), -1)


def waits(keyspace: Keyspace, db: int, keys: list[bytes]) -> bool:
    """(Members of a collection wait under names of their own: of a collection it is said while anything waits.)"""
    outbox = keyspace.outbox
    if outbox.overflowed or not outbox.used_bytes:
        return outbox.overflowed
    return any(
        outbox.has(db, key) or outbox.has(MARKS + db, key) or (row := keyspace.tables[db].get(key)) and row.kind
        for key in keys
    )


def cut_replies(data: bytes, counts: list[int]) -> list[bytes]:
    at, pieces = 0, []
    for count in counts:
        start = at
        for _ in range(count):
            at = _end_of(data, at)
        pieces.append(data[start:at])
    if at != len(data):
        raise ValueError("more than so many replies")
    return pieces


def weave_replies(order: bytes, groups: list[bytes]) -> bytes:
    replies = [_each(group) for group in groups]
    try:
        woven = b"".join([next(replies[number]) for number in order])
    except (StopIteration, IndexError):
        raise ValueError("fewer than so many replies") from None
    if len(woven) != sum(map(len, groups)):
        raise ValueError("more than so many replies")
    return woven


def _each(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = _end_of(data, at)
        yield data[at:end]
        at = end


def _end_of(data: bytes, at: int) -> int:
    """The end of a reply with all that it holds."""
    left = 1
    while left:
        at, inner = _part_end(data, at)
        left += inner - 1
    return at


def _part_end(data: bytes, at: int) -> tuple[int, int]:
    """The end of a line or a bulk, and how many replies it holds."""
    end = data.find(b"\r\n", at) + 2
    if end < 2:
        raise ValueError("a reply is cut short")
    if data[at : at + 1] == b"$" and data[at + 1 : at + 2] != b"-":
        length = parse_uint(data[at + 1 : end - 2])
        if length is None or length + 2 > len(data) - end:
            raise ValueError("a reply is cut short")
        end += length + 2
    elif data[at : at + 1] in (b"*", b"~", b">", b"%") and data[at + 1 : at + 2] != b"-":
        count = parse_uint(data[at + 1 : end - 2])
        if count is None or count > len(data) - end:
            raise ValueError("a reply is cut short")
        return end, 2 * count if data[at : at + 1] == b"%" else count
    return end, 0
