"""Queues hot commands for MULTI, which EXEC runs in one go. The twin of native/multi.c."""

from collections import deque

from respram.catalog import Command
from respram.catalog.hot import looks_itself
from respram.engine.api import QUEUED_BYTES_MAX, Session
from respram.engine.pure.keyspace import Keyspace

QUEUED = b"+QUEUED\r\n"


class TransactionQueue:
    __slots__ = ("commands", "count", "work", "bytes")

    def __init__(self) -> None:
        self.commands: deque[list[bytes]] = deque()
        self.count = 0  # commands that were queued, of which some may have run
        self.work = 0  # keys that the queued commands name
        self.bytes = 0  # of the queued arguments

    def add(self, command: Command, argv: list[bytes], keys_max: int, full: bool) -> bool:
        """Queues a command. False: it is for `dispatch`. Arguments other than their number are checked at EXEC."""
        is_one = not looks_itself(command) and (command.has_key or not command.key_specs)
        work = 1 if is_one else len(argv) - 1
        size = sum(map(len, argv))
        if self.work + work > keys_max or self.bytes + size > QUEUED_BYTES_MAX:
            return False
        if not abs(command.arity) <= len(argv) <= command.most or (command.writes and full):
            return False
        self.commands.append(argv)
        self.count += 1
        self.work += work
        self.bytes += size
        return True

    def drop(self) -> int:
        """Returns how many of them had not run."""
        left = len(self.commands)
        self.commands.clear()
        self.count = self.work = self.bytes = 0
        return left


def multi(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """MULTI, if nothing speaks against queueing what follows. EXEC and DISCARD behind it are the feed's own."""
    if not session.multi_keys_max or len(argv) != 1:
        return None
    session.begun = True
    session.hot = False
    session.queue_keys_max = session.multi_keys_max
    return b"+OK\r\n"


def without_multi(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return None
