"""What respram refuses by design, each with its reason. A refused command changes nothing at all.

The prefix is NOPERM: a widespread PHP client throws on any prefix but ERR, and with ERR it let two
frameworks report a delete that had not happened. Prefixes on which clients retry or fail over
(NOSCRIPT, READONLY, LOADING, MOVED...) would be worse.

An application that swallows the error still shows: refusals are counted by command and by client name (INFO, RESPRAM
REFUSED), the first of each kind is a WARNING in the log, and once a minute the log sums up those that followed.
"""

from functools import partial
from typing import NoReturn

from respram.catalog import Command, everything
from respram.commands.deadlines import count_all_defaulted
from respram.commands.node import DEBUG, WARNING, Conn, Node
from respram.commands.reply import Reply
from respram.commands.stats import Kind
from respram.commands.texts import NO_CLUSTER, shown
from respram.errors import ClientError

LOGGED_KEY_BYTES_MAX = 16  # of a key in a log line, at level debug only
SUMMARY_MS = 60_000  # interval of the log's summaries of repeated refusals
SUMMARY_LINES_MAX = 10  # kinds of refusals named in one summary; the others are one number

REASONS = {
    b"delete": b"keys leave when their TTL ends; overwrite with a shorter TTL, or ask the operator for the right to "
    b"let go (%b)",
    b"emptying": b"no command empties or swaps a database; keys leave when their TTL ends",
    b"renaming": b"a key cannot move to another database; use COPY with DB, and give the old key a shorter TTL",
    b"persisting": b"every key has a TTL",
    b"stopping": b"a node is stopped by a signal; an operator may give a user the right (+shutdown)",
    b"script": b"respram keeps no functions; EVAL and EVALSHA run scripts",
    b"lua": b"scripts need Lua, which is not installed here (pip install 'respram[scripts]'); or use SET with NX or "
            b"IFEQ, "
    b"INCREX, or WATCH with MULTI and EXEC",
    b"type": b"respram stores strings, hashes, sets and sorted sets",
    b"bits": b"respram reads and writes bits with SETBIT, GETBIT, BITCOUNT, BITPOS and BITOP only",
    b"comparing": b"its time grows with the product of two lengths; compare in the client",
    b"watching": b"no client may watch the commands of others; INFO and SLOWLOG show the state of the node",
    b"debugging": b"no client may inspect or change the inside of a node; INFO and MEMORY show its state",
    b"saving": b"respram writes no dump; with --snapshot-dir it writes encrypted snapshots by itself",
    b"dumping": b"respram does not serialize values; copy a key with GET, PTTL and SET",
    b"filters": b"a filter has another layout than RedisBloom's, and its items expire; copy it with COPY",
    b"following": b"there is no master and no replica; nodes of one enclave find each other by --join",
    b"modules": b"respram loads no modules",
    b"slots": b"slots are assigned automatically, and nodes find each other by --join",
}
DELETING = frozenset({b"delete", b"emptying", b"renaming", b"persisting"})  # kinds that INFO counts as refused_deletes


def reason_of(reason: bytes, right: bytes = b"del") -> bytes:
    """The sentence with the reason; `right` is the command whose right would be needed."""
    sentence = REASONS[reason]
    return sentence % (b"--let-go %b, or +%b for this user" % (right, right)) if reason == b"delete" else sentence


def refuse(conn: Conn, name: bytes, reason: bytes, right: bytes = b"del", key: bytes | None = None) -> NoReturn:
    """Counts and logs a refusal, and raises its error; `name` in lower case."""
    stats = conn.node.stats
    if reason in DELETING:
        conn.refused_deletes += 1
        stats.refused_deletes += 1
    else:
        stats.refused_others += 1
    kind = Kind(name, conn.name, conn.user)
    if stats.refusals.count(kind):
        conn.node.log(
            f"event=refused_command {_spelt(kind)} client={conn.id} address={conn.address.decode()} "
            f"reason={reason.decode()}",
            WARNING,
        )
    if key is not None:
        conn.node.log(
            f"event=refused_key command={name.decode()} client={conn.id} key={shown(key, LOGGED_KEY_BYTES_MAX)}", DEBUG
        )
    raise ClientError(b"NOPERM '%b' is refused by design: %b" % (name, reason_of(reason, right)))


def refuse_unnamed(conn: Conn, command: Command, argv: list[bytes]) -> NoReturn:
    """Refuses a command that needs a right by name, for a user without that right."""
    reason = b"delete" if command.writes else b"stopping"
    refuse(conn, command.name, reason, command.name, argv[1] if command.key_specs else None)


def sum_up(node: Node, now_ms: int) -> None:
    """Logs once a minute what was refused again, and which clients began to omit TTLs. Called about once a second."""
    refusals = node.stats.refusals
    if now_ms < refusals.summed_up_ms + SUMMARY_MS:
        return
    refusals.summed_up_ms = now_ms
    count_all_defaulted(node)
    if not refusals.again:
        return
    again = sorted(refusals.again.items(), key=lambda item: -item[1])
    refusals.again = {}
    for kind, times in again[:SUMMARY_LINES_MAX]:
        node.log(f"event=refused_again {_spelt(kind)} times={times}", WARNING)
    rest = sum(times for _, times in again[SUMMARY_LINES_MAX:])
    if rest:
        node.log(f"event=refused_again command=others times={rest}", WARNING)


def _spelt(kind: Kind) -> str:
    command = kind.command.decode("ascii", "backslashreplace")
    return (
        f"command={command} client_name={shown(kind.client_name)} "
        f"user={shown(kind.user)}"
    )


def _refuse(name: bytes, reason: bytes, conn: Conn, argv: list[bytes]) -> Reply:
    if reason == b"slots" and conn.node.config.cluster == "no":
        raise NO_CLUSTER
    refuse(conn, name, reason)


def refused_command(conn: Conn, argv: list[bytes]) -> Reply:
    """RESPRAM REFUSED: what was refused, by command, client name and user; most often first."""
    kinds = sorted(conn.node.stats.refusals.kinds.items(), key=lambda item: (-item[1], item[0]))
    return [
        {b"command": kind.command, b"client_name": kind.client_name, b"user": kind.user, b"times": times}
        for kind, times in kinds
    ]


HANDLERS = {
    b"respram|refused": refused_command,
    **{command.name: partial(_refuse, command.name, command.refused) for command in everything() if command.refused},
}
