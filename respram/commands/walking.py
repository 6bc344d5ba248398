"""A walk over all keys of a database in steps, between which others are served: KEYS, and questions about slots.

A table that grows between two steps can show a key twice. A walk therefore remembers hashes of the keys that it has
told, 8 bytes of key each. All walks of a node together remember MARKS_MAX: whoever asks for 10,000 counts at a time
of a million keys would else hold a gigabyte for a few bytes of requests. A walk that may remember no more goes on, and
tells a key twice where a table grows at that moment.
"""

from collections.abc import Callable, Iterator

from respram.commands.node import Conn
from respram.commands.reply import BREATH, Breath

KEYS_AT_ONCE = 256  # keys visited before other clients are served
MARKS_MAX = 500_000  # hashes remembered by all walks of a node: about 40 MB


def walk(conn: Conn, choose: Callable[[list[bytes]], list[bytes]]) -> Iterator[bytes | Breath]:
    """What `choose` keeps of the keys: one that is there all the time comes once, one whose time has come does not."""
    node, db, cursor = conn.node, conn.session.db, 0
    seen: set[int] = set()
    try:
        while True:
            walked = node.engine.scan(db, cursor, KEYS_AT_ONCE, conn.now_ms)
            for key in choose(walked.keys):
                mark = hash(key)
                if mark in seen:
                    continue
                if node.marks_held < MARKS_MAX:
                    node.marks_held += 1
                    seen.add(mark)
                yield key
            cursor = walked.cursor
            if not cursor:
                return
            yield BREATH
    finally:
        node.marks_held -= len(seen)
