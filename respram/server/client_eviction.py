"""What all clients together may have in the node's memory: unread input, queued commands, replies that wait.

Each client has limits of its own, and ten thousand of them together could still have more than the machine. Beyond
`maxmemory-clients` those that hold most are closed, the largest first, until the rest is below it; Redis does the same
under this name. Who asked for CLIENT NO-EVICT is spared. Nothing of a closed client's unfinished command is executed.

It is looked at once a second, and after so much input or unread output as `weigh_bytes` says, however fast it comes: so
between two looks the clients can gain no more than that, one turn of the loop's reads, and what is being answered.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from respram.commands.node import Conn
from respram.engine.api import Session

SHARE = 8  # a look after an eighth of the limit has come in
WEIGH_BYTES_MIN = 4 << 20  # or after this much, where an eighth is less
WEIGH_BYTES_MAX = 32 << 20  # by so much all clients together may pass the limit before it is seen


class Holder(Protocol):
    """A client, as it is seen here."""

    session: Session
    conn: Conn
    out_bytes: int


T = TypeVar("T", bound=Holder)


def weigh_bytes(bytes_max: int) -> int:
    """After how much input to look again. 0: there is no limit."""
    return min(max(bytes_max // SHARE, WEIGH_BYTES_MIN), WEIGH_BYTES_MAX) if bytes_max else 0


def held_bytes(client: Holder) -> int:
    return client.session.buffered_bytes + client.conn.held_bytes + client.out_bytes


def too_many(clients: Iterable[T], bytes_max: int) -> list[tuple[T, int]]:
    """Those to close, with what each holds."""
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
