"""Whether the user of a connection may run a command, on these keys and channels; and the log of who might not.

Asked by dispatch, by EXEC and by ACL DRYRUN. A user with all rights is never asked for.
"""

from typing import NamedTuple

from respram.catalog import Command
from respram.catalog.keys import key_positions
from respram.commands.acl_rights import READ, WRITE, Rights, may_listen, may_touch
from respram.commands.acl_user import User
from respram.commands.client_line import describe
from respram.commands.node import Conn
from respram.commands.refusals import refuse_unnamed
from respram.commands.stats import Denied
from respram.errors import ClientError

# end; 0: all arguments
LISTENING = {b"publish": 2, b"spublish": 2, b"subscribe": 0, b"ssubscribe": 0, b"psubscribe": 0}
GROUP_MS = 60_000  # equal denials within this time share one log entry
OBJECT_BYTES_MAX = 256  # of a key or name in the log

NO_COMMAND = b"NOPERM this user has no permissions to run the '%b' command"
NO_KEY = ClientError.saying(b"NOPERM this user has no permissions to access one of the keys used as arguments")
NO_CHANNEL = ClientError.saying(b"NOPERM this user has no permissions to access one of the channels used as arguments")
CHANGED = (
    b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
    b"This command is no longer allowed for the following reason: %b"
)
REASONS = {
    b"command": b"no permission to execute the command or subcommand",
    b"key": b"no permission to touch the specified keys",
    b"channel": b"no permission to access one of the channels used as arguments to the command",
}


class Denial(NamedTuple):
    reason: bytes  # `command`, `key` or `channel`
    object: bytes  # its name
    at: int = 0  # its index among the arguments

    @property
    def progress(self) -> tuple[int, int]:
        return list(REASONS).index(self.reason), self.at


def denial(user: User, command: Command, argv: list[bytes]) -> Denial | None:
    """Why a command is denied: the obstacle of the set of rights that got furthest. None if one set allows all of it.
    """
    stopped = []
    for rights in user.rights:
        found = _denial(rights, command, argv)
        if found is None:
            return None
        stopped.append(found)
    return max(stopped, key=lambda one: one.progress)


def _denial(rights: Rights, command: Command, argv: list[bytes]) -> Denial | None:
    if command.name not in rights.allowed and b"no_auth" not in command.flags:
        return Denial(b"command", command.name)
    if command.key_specs and not rights.all_keys:
        positions = key_positions(command, argv)
        if positions is None:  # without known key positions, no key can be permitted
            return Denial(b"key", b"")
        for position, flags in positions:
            if b"not_key" not in flags and not may_touch(rights, argv[position], _mode(flags)):
                return Denial(b"key", argv[position], position)
    if command.name in LISTENING and not rights.all_channels:
        for position, channel in enumerate(argv[1 : LISTENING[command.name] or len(argv)], 1):
            if not may_listen(rights, channel, literal=command.name == b"psubscribe"):
                return Denial(b"channel", channel, position)
    return None


def _mode(flags: tuple[bytes, ...]) -> int:
    """A command that only looks whether a key is there (EXISTS, TYPE) needs any right to it, as in Redis."""
    reads = READ if b"access" in flags else 0
    return reads | (WRITE if {b"insert", b"update", b"delete"}.intersection(flags) else 0)


def is_unnamed(conn: Conn, command: Command) -> bool:
    """Whether the command has to be given by name, and was not given to this user."""
    return command.by_name and command.name not in conn.account.by_name


def check(conn: Conn, command: Command, argv: list[bytes]) -> None:
    """Raises the error for the client if its user may not run the command."""
    if is_unnamed(conn, command):
        refuse_unnamed(conn, command, argv)
    if conn.account.unrestricted:
        return
    found = denial(conn.account, command, argv)
    if found is None:
        return
    if not conn.executing:
        conn.last_command = command.name  # the name that the log's reader would look for
    note_denied(conn, found.reason, found.object, conn.user)
    if conn.executing:
        raise ClientError(CHANGED % REASONS[found.reason])
    if found.reason == b"command":
        raise ClientError(NO_COMMAND % command.name)
    raise NO_KEY if found.reason == b"key" else NO_CHANNEL


def note_denied(conn: Conn, reason: bytes, what: bytes, user: bytes, *, in_script: bool = False) -> None:
    """Counts a denial and adds it to ACL LOG. `reason` is one of Denial's, or `auth`."""
    node = conn.node
    denied = node.stats.denied
    denied[reason] = denied.get(reason, 0) + 1
    context = b"lua" if in_script else b"multi" if conn.queue is not None or conn.executing else b"toplevel"
    what, user = what[:OBJECT_BYTES_MAX], user[:OBJECT_BYTES_MAX]
    for entry in node.acl_log:
        same = (entry.reason, entry.context, entry.object, entry.user) == (reason, context, what, user)
        if same and conn.now_ms - entry.updated_ms < GROUP_MS:
            entry.count += 1
            entry.updated_ms = conn.now_ms
            entry.client = describe(conn, conn.now_ms).rstrip(b"\n")
            node.acl_log.remove(entry)
            node.acl_log.appendleft(entry)
            return
    client = describe(conn, conn.now_ms).rstrip(b"\n")
    node.acl_log.appendleft(Denied(node.acl_log_id, reason, context, what, user, conn.now_ms, conn.now_ms, client))
    node.acl_log_id += 1
    while len(node.acl_log) > node.limits.acl_entries_max:
        node.acl_log.pop()
