"""Letting go: DEL, UNLINK, GETDEL, DELEX, DELIFEQ, RENAME (renaming.py), and the commands that delete by naming a time
that has passed.

Letting go of a key writes a record without a value that ends now and whose shadow covers the replaced record
(`Engine.let_go`). It replicates and merges like any other record, so no older value comes back. A user needs the right
to the command by name. A command with a time in the past (EXPIRE k 0, SET k v EXAT 1, GETEX k PXAT 1) or an empty
result (BITOP) needs the right to DEL.
"""

from respram.commands.access import ask_for_missing, current
from respram.commands.acl_rights import WRITE, may_touch
from respram.commands.comparing import check_operand, holds
from respram.commands.node import Conn
from respram.commands.options import COMPARISONS
from respram.commands.refusals import refuse
from respram.commands.reply import Reply
from respram.commands.texts import SYNTAX

EVENT = b"del"


def let_go(conn: Conn, key: bytes) -> bool:
    """Lets go of a key, and returns whether it existed. The caller checks the right to it."""
    return conn.node.engine.let_go(conn.session.db, key, conn.now_ms, EVENT)


def let_go_or_refuse(conn: Conn, name: bytes, key: bytes) -> bool:
    """Lets go of a key for a command that deletes only in this form; `name` in lower case."""
    if not may_let_go(conn, key):
        refuse(conn, name, b"delete", key=key)
    return let_go(conn, key)


def may_let_go(conn: Conn, key: bytes) -> bool:
    return any(
        b"del" in rights.allowed and (rights.all_keys or may_touch(rights, key, WRITE))
        for rights in conn.account.rights
    )


def delete(conn: Conn, argv: list[bytes]) -> Reply:
    ask_for_missing(conn, argv[1:])
    return sum(let_go(conn, key) for key in argv[1:])


def getdel(conn: Conn, argv: list[bytes]) -> Reply:
    entry = current(conn, argv[1])
    if entry is None:
        return None
    let_go(conn, argv[1])
    return entry.value


def delifeq(conn: Conn, argv: list[bytes]) -> Reply:
    entry = current(conn, argv[1])
    return int(entry is not None and entry.value == argv[2] and let_go(conn, argv[1]))


def delex(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) not in (2, 4):
        raise SYNTAX
    condition = argv[2].lower() if len(argv) == 4 else b""
    if condition and condition not in COMPARISONS:
        raise SYNTAX
    operand = argv[3] if condition else b""
    check_operand(condition, operand)
    entry = current(conn, argv[1])
    if entry is None or not holds(conn, entry, condition, operand):
        return 0
    return int(let_go(conn, argv[1]))


HANDLERS = {
    b"del": delete,
    b"delex": delex,
    b"delifeq": delifeq,
    b"getdel": getdel,
    b"unlink": delete,
}
