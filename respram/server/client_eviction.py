"""Bounds the memory of all clients together: unread input, queued commands, waiting replies.

Each client has limits of its own, but ten thousand of them could still exceed the machine's memory. When all together
exceed `maxmemory-clients`, the clients that hold most are closed, the largest first, until the rest is below it; Redis
does the same under this name. A client with CLIENT NO-EVICT is spared. An unfinished command of a closed client is not
executed.

The sum is taken once a second, and whenever `weigh_bytes` of input or unread output have come. So between two sums the
clients can gain no more than that, plus one turn of the loop's reads and the replies in the making.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from respram.commands.node import Conn
from respram.engine.api import Session

SHARE = 8  # clients are measured after an eighth of the limit has arrived
WEIGH_BYTES_MIN = 4 << 20  # or after this much, if an eighth is less
WEIGH_BYTES_MAX = 32 << 20  # all clients together may exceed the limit by this before it is noticed


class Holder(Protocol):
    """A client and what it holds."""

    session: Session
    conn: Conn
    out_bytes: int


T = TypeVar("T", bound=Holder)


def weigh_bytes(bytes_max: int) -> int:
    """After how many bytes of input the sum is taken again. 0: there is no limit."""
    return min(max(bytes_max // SHARE, WEIGH_BYTES_MIN), WEIGH_BYTES_MAX) if bytes_max else 0


def held_bytes(client: Holder) -> int:
    return client.session.buffered_bytes + client.conn.held_bytes + client.out_bytes


def too_many(clients: Iterable[T], bytes_max: int) -> list[tuple[T, int]]:
    """The clients to close, with what each holds."""
    held = [(client, size) for client in clients if (size := held_bytes(client))]
    over = sum(size for _, size in held) - bytes_max
    chosen: list[tuple[T, int]] = []
    if not bytes_max or over <= 0:
        return chosen
    for client, size in sorted(held, key=lambda one: -one[1]):
        if over <= 0:
            break
        if not client.conn.no_evict:
            chosen.append((client, size))
            over -= size
    return chosen
