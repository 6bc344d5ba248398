"""The registry of missing keys that somebody watches: they alone can come and go without a trace.

A key that exists is watched by its stamp, which no later state repeats. A missing one has none, so its
coming is told to whoever watches it, and what is noted then equals no stamp.
"""

from respram.commands.conn import Conn, Watched
from respram.commands.node import Node

CHANGED = (0, 0)  # no stamp: clocks begin at 1


def await_key(conn: Conn, watched: Watched) -> None:
    conn.node.awaited.setdefault(watched, {})[conn] = None


def appeared(node: Node, db: int, key: bytes) -> None:
    """A key is new that was missing when it was watched: it has changed, whatever becomes of it."""
    for conn in node.awaited.pop((db, key), ()):
        conn.watched[db, key] = CHANGED


def forget_watched(conn: Conn) -> None:
    for watched in conn.watched:
        waiting = conn.node.awaited.get(watched)
        if waiting is not None:
            waiting.pop(conn, None)
            if not waiting:
                del conn.node.awaited[watched]
    conn.watched.clear()
