"""The texts of scripts, shared by all nodes of an enclave, so that EVALSHA works at each of them.

A text is a record like any other: under its digest, in a space of its own that no client can select (`record.SCRIPTS`),
with a deadline. So it travels, is repaired, and comes to a node that joins, as keys do, without a message of its own.
Each node compiles what it is asked for, and looks at the digest again: a peer cannot put another script in its place.

A text is written anew when a client sends it, or Lua runs it, in the second half of its life. SCRIPT FLUSH lets go of
all of them; what other nodes have compiled already stays with them, until somebody flushes there.
"""

from respram.commands.node import Conn, Suspend
from respram.record import SCRIPTS
from respram.scripting.cache import Cached, digest_of

LIFE_MS = 7 * 24 * 3_600_000  # life of a text, unless the node's longest TTL is shorter
TEXT_BYTES_MAX = 16 << 10  # longer texts are not shared: the store is for keys
SHARED_MS = 1_000  # interval between checks of a text that runs here
SHARED_MAX = 1_000  # texts shared in an enclave, approximately; further ones are not shared
SCANNED = 100  # texts of one step of a scan
EVENT = b"script"  # not published to anybody: see notify.py


def share(conn: Conn, digest: bytes, entry: Cached) -> None:
    """For each script that runs; whether it is there is looked at once in SHARED_MS."""
    if conn.now_ms >= entry.shared_until_ms or entry.shared_until_ms > conn.now_ms + SHARED_MS:
        entry.shared_until_ms = conn.now_ms + SHARED_MS
        share_text(conn, digest, entry.text)


def share_text(conn: Conn, digest: bytes, text: bytes) -> None:
    node, now_ms = conn.node, conn.now_ms
    if node.peers is None or len(text) > TEXT_BYTES_MAX:
        return
    life_ms = min(LIFE_MS, node.settings.max_ttl_ms)
    there = node.engine.peek(SCRIPTS, digest, now_ms)
    if there is not None and there.deadline_ms - now_ms > life_ms // 2:
        return
    if node.engine.full() or (there is None and node.engine.count(SCRIPTS, now_ms) >= SHARED_MAX):
        return
    node.engine.store(SCRIPTS, digest, text, now_ms + life_ms, False, now_ms, EVENT)


def find_shared(conn: Conn, digest: bytes) -> bytes | None:
    """The text, if somebody of the enclave was sent it. Suspends where a peer may know more."""
    peers, session, now_ms = conn.node.peers, conn.session, conn.now_ms
    if peers is None:
        return None
    entry = conn.node.engine.lookup(SCRIPTS, digest, now_ms)
    if entry is not None:
        return entry.value if digest_of(entry.value) == digest else None
    if not conn.executing and peers.pulls_useful():
        if not session.retried:
            conn.pulled.clear()
        if (SCRIPTS, digest) not in conn.pulled:
            conn.pulled.add((SCRIPTS, digest))
            patience_ms = peers.pull(conn, SCRIPTS, digest)
            if patience_ms:
                raise Suspend(now_ms + patience_ms)
    return None


def is_shared(conn: Conn, digest: bytes) -> bool:
    return conn.node.peers is not None and conn.node.engine.peek(SCRIPTS, digest, conn.now_ms) is not None


def forget_shared(conn: Conn) -> None:
    engine, now_ms, cursor = conn.node.engine, conn.now_ms, 0
    while conn.node.peers is not None:
        found = engine.scan(SCRIPTS, cursor, SCANNED, now_ms)
        for digest in found.keys:
            engine.let_go(SCRIPTS, digest, now_ms, EVENT)
        cursor = found.cursor
        if not cursor:
            return
