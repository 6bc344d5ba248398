"""RENAME and RENAMENX, given by name as all that lets go (decision 0082): the value comes under the new name with its
life, and then the old one is let go of. In this order: who hears of one write alone sees the value twice, and never
loses it.
"""

from respram.commands import notify
from respram.commands.access import ask_for_missing
from respram.commands.keys import put_copy
from respram.commands.node import Conn
from respram.commands.reply import OK, Reply
from respram.engine.api import NEW
from respram.errors import ClientError

NO_SUCH_KEY = ClientError.saying(b"ERR no such key")


def rename(conn: Conn, argv: list[bytes]) -> Reply:
    _rename(conn, argv[1], argv[2], replace=True)
    return OK


def renamenx(conn: Conn, argv: list[bytes]) -> Reply:
    return int(_rename(conn, argv[1], argv[2], replace=False))


def _rename(conn: Conn, source: bytes, target: bytes, replace: bool) -> bool:
    ask_for_missing(conn, [source] if replace else [source, target])
    engine, db, now_ms = conn.node.engine, conn.session.db, conn.now_ms
    entry = engine.lookup(db, source, now_ms)
    if entry is None:
        raise NO_SUCH_KEY
    if source == target:
        return False
    if engine.peek(db, target, now_ms) is not None:
        if not replace:
            return False
        if not entry.kind:
            notify.event(conn.node, NEW, db, target)  # Redis deletes the target before it writes it
    put_copy(conn, source, entry, db, target, b"rename_to")
    engine.let_go(db, source, now_ms, b"rename_from")
    return True


HANDLERS = {
    b"rename": rename,
    b"renamenx": renamenx,
}
