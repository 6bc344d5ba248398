"""Which node decides: a table of slots, and the commands that are decided elsewhere. The twin of native/homes.c."""

from array import array

from respram.catalog import Command
from respram.catalog.keys import decides, keys_of
from respram.slots import SLOTS, slot_of


class Homes:
    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: array[int] | None = None  # None: all is decided here

    def use(self, table: bytes | None) -> None:
        if table is not None and len(table) != 2 * SLOTS:
            raise ValueError("a table of homes has 16,384 numbers of 16 bits")
        self.table = None if table is None else array("H", table)

    def home_of(self, command: Command, argv: list[bytes]) -> int:
        """The number of who decides; 0: this node, or nobody need."""
        if self.table is None or not decides(command, argv):
            return 0
        keys = argv[1:2] if command.has_key else keys_of(command, argv)
        return self.table[slot_of(keys[0])] if keys else 0
