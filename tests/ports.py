"""Ports for servers under test: reserved, not asked for and hoped for.

A port that the system gave away and took back can go to any other process before the server binds it, and on a busy
machine it did. A port of this module lies below the range from which the system gives ports away, and is locked by a
file for as long as this process lives, so no other test process takes it either: not between choosing and binding,
and not while a node is restarted on it.
"""

import fcntl
import os
import random
import socket
import tempfile
from itertools import takewhile
from pathlib import Path

LOWEST, HIGHEST = 10_000, 31_999
TRIES_MAX = 10_000  # ports looked at before it is said that there is none
FOLDER = Path(tempfile.gettempdir()) / f"respram-ports-{os.getuid()}"

_held: dict[int, int] = {}  # port to the descriptor of its lock, until the process ends


def reserve(*, beside: tuple[int, ...] = ()) -> int:
    """A port on which nobody listens and which nobody else takes. `beside`: so are the ones that many above it."""
    FOLDER.mkdir(exist_ok=True)
    for _ in range(TRIES_MAX):
        port = random.SystemRandom().randint(LOWEST, HIGHEST - max(beside, default=0))
        wanted = (port, *(port + above for above in beside))
        taken = list(takewhile(_take, wanted))
        if len(taken) == len(wanted):
            return port
        for one in taken:
            os.close(_held.pop(one))
    raise AssertionError(f"no free port among {TRIES_MAX} tried")


def _take(port: int) -> bool:
    if port in _held:
        return False
    lock = os.open(FOLDER / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:  # a server that is no test's
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        os.close(lock)
        return False
    _held[port] = lock
    return True

