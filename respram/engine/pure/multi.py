"""What MULTI keeps: hot commands, to be run by EXEC in one go. The twin of native/multi.c."""

from collections import deque

from respram.catalog import Command
from respram.engine.api import KEPT_BYTES_MAX

QUEUED = b"+QUEUED\r\n"


class Kept:
    __slots__ = ("commands", "work", "bytes")

    def __init__(self) -> None:
        self.commands: deque[list[bytes]] = deque()
        self.work = 0  # keys that they will look up
        self.bytes = 0  # of their arguments

    def add(self, command: Command, argv: list[bytes], keeping: int, full: bool) -> bool:
        """False: it is for `dispatch`. Whether a right number of arguments can be run is seen at EXEC."""
        work = 1 if command.has_key or not command.first_key else len(argv) - 1
        size = sum(map(len, argv))
        if self.work + work > keeping or self.bytes + size > KEPT_BYTES_MAX:
            return False
        if not abs(command.arity) <= len(argv) <= command.most or (command.writes and full):
            return False
        self.commands.append(argv)
        self.work += work
        self.bytes += size
        return True

    def drop(self) -> None:
        self.commands.clear()
        self.work = self.bytes = 0
