"""Ports for servers that have to be told one: a restarted node, an enclave whose members name each other.

What can do so binds port 0 and says what it got. For the others a port is taken here the same way, by binding port 0,
and kept: the socket stays bound, without listening, until this process ends. The system gives such a port to nobody,
neither to who binds port 0 nor to who connects, and still lets a server bind it that sets SO_REUSEADDR, as all of them
do. Nobody can slip in between choosing and binding, nor while a node is restarted on it. It is bound at every address
of the machine: a connection from another address may use a port that is held at 127.0.0.1 only, and then a node cannot
bind it at 0.0.0.0.
"""

import atexit
import socket
from itertools import takewhile

TRIES_MAX = 10_000  # ports tried before it is said that there is none

_held: dict[int, socket.socket] = {}  # until the process ends


def reserve(*, beside: tuple[int, ...] = ()) -> int:
    """A port on which nobody listens and which nobody else is given. `beside`: so are the ones that many above it."""
    for _ in range(TRIES_MAX):
        port = _take(0)
        if not port:
            continue
        taken = list(takewhile(_take, (port + above for above in beside)))
        if len(taken) == len(beside):
            return port
        for one in (port, *taken):
            _held.pop(one).close()
    raise AssertionError(f"no port among {TRIES_MAX} tried")


@atexit.register
def _give_back() -> None:
    while _held:
        _held.popitem()[1].close()


def _take(port: int) -> int:
    """The port held, or 0."""
    holder = socket.socket()
    try:
        holder.bind(("0.0.0.0", port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except (OSError, OverflowError):
        holder.close()
        return 0
    number: int = holder.getsockname()[1]
    _held[number] = holder
    return number
