"""What respram refuses by design, each with its reason. A refused command changes nothing at all.

The prefix is NOPERM: a widespread PHP client throws on any prefix but ERR, and with ERR it let two
frameworks report a delete that had not happened. Prefixes on which clients retry or fail over
(NOSCRIPT, READONLY, LOADING, MOVED...) would be worse. Refusals are counted, and an operator gets one
line for each client name, not for each command.
"""

from functools import partial
from typing import NoReturn

from respram.catalog import everything
from respram.commands.node import Conn
from respram.commands.reply import Reply
from respram.commands.texts import NO_CLUSTER
from respram.errors import ClientError

REFUSAL_NAMES_MAX = 1_000  # client names remembered as logged; beyond them nothing is logged any more
LOGGED_NAME_BYTES_MAX = 64  # of a client name in a log line

REASONS = {
    b"delete": b"keys leave when their TTL ends; overwrite with a shorter TTL to let go earlier",
    b"script": b"respram runs no scripts; use SET with NX or IFEQ, INCREX, or WATCH with MULTI and EXEC",
    b"type": b"respram stores strings only",
    b"bits": b"respram reads and writes bits with SETBIT, GETBIT, BITCOUNT, BITPOS and BITOP only",
    b"comparing": b"it would hold the node for the product of two lengths; compare in the client",
    b"watching": b"nobody watches over others' shoulders; INFO and SLOWLOG tell how the node is doing",
    b"debugging": b"nobody reaches into a running node; INFO and MEMORY tell how it is doing",
    b"saving": b"respram writes no dump; with --snapshot-dir it keeps encrypted segments by itself",
    b"dumping": b"values leave through reading only; use GET and PTTL",
    b"following": b"there is no master and no replica; nodes of one enclave find each other by --join",
    b"modules": b"respram loads no modules",
}


def refuse_delete(conn: Conn, name: bytes) -> NoReturn:
    """For a command that would have deleted a key; `name` in lower case. Counts, logs and raises."""
    conn.refused_deletes += 1
    conn.node.stats.refused_deletes += 1
    _log_once(conn, name)
    raise _refusal(name, b"delete")


def _refusal(name: bytes, reason: bytes) -> ClientError:
    return ClientError(b"NOPERM '%b' is refused by design: %b" % (name, REASONS[reason]))


def _refuse(name: bytes, reason: bytes, conn: Conn, argv: list[bytes]) -> Reply:
    if reason == b"delete":
        refuse_delete(conn, name)
    if reason == b"cluster":
        raise NO_CLUSTER
    conn.node.stats.refused_others += 1
    raise _refusal(name, reason)


def _log_once(conn: Conn, name: bytes) -> None:
    logged = conn.node.refusals_logged
    if conn.name in logged or len(logged) >= REFUSAL_NAMES_MAX:
        return
    logged.add(conn.name)
    shown = conn.name[:LOGGED_NAME_BYTES_MAX].decode("ascii", "backslashreplace")
    conn.node.log(
        f"event=refused_delete command={name.decode()} client={conn.id} "
        f"address={conn.address.decode()} client_name={shown!r}"
    )


HANDLERS = {
    command.name: partial(_refuse, command.name, command.refused) for command in everything() if command.refused
}
