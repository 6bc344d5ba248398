"""ACL: shows the users and changes them while the node runs.

A user may be removed although no key can: nothing that is stored goes with it. All rules of one ACL SETUSER, and
all lines of a users file, are taken or none. The file itself is the server's business (`node.users_file`).
"""

from respram.catalog import find
from respram.catalog.entry import CATEGORIES
from respram.commands.acl_check import denial
from respram.commands.acl_rights import NAMES, BadRule, Rights, channels_of, commands_of, keys_of, may_listen
from respram.commands.acl_user import DEFAULT, NAME_BYTES_MAX, User, apply, describe, flags_of, gather
from respram.commands.node import Conn, Node
from respram.commands.reply import OK, Double, Reply
from respram.commands.texts import NOT_AN_INTEGER, ONE_LINE, help_of, unknown_subcommand
from respram.config.settings import exposed
from respram.errors import ClientError
from respram.integers import parse_int

USERS_MAX = 10_000  # limits memory if the file belongs to another program
FILE_BYTES_MAX = 16 << 20  # of the users file
GENPASS_BITS = 256
GENPASS_BITS_MAX = 4096  # as in Redis
LOG_SHOWN = 10
SHOWN_BYTES_MAX = 128  # of a rejected rule, in its error text
SECRET_MARKS = b"><#!"  # rules that may hold a password: never repeated, not even to the client that sent them

BAD_NAME = ClientError.saying(b"ERR Usernames can't contain spaces or null characters")
TOO_MANY_USERS = ClientError.saying(b"ERR a node may have at most %d users" % USERS_MAX)
KEEP_DEFAULT = ClientError.saying(b"ERR The 'default' user cannot be removed")
BAD_BITS = ClientError.saying(
    b"ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to %d"
    % GENPASS_BITS_MAX
)
NO_FILE = ClientError.saying(
    b"ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the "
    b"ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in "
    b"order to store users in the Redis configuration."
)
OPEN_DEFAULT = b"a node that listens beyond loopback needs a password for its default user, or 'off', or --unprotected"

HELP = (
    b"ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CAT [<category>]",
    b"    The categories of commands, or the commands of one.",
    b"DELUSER <username> [<username> ...]",
    b"    Removes users and closes their connections.",
    b"DRYRUN <username> <command> [<arg> ...]",
    b"    Whether the user might run the command, without running it.",
    b"GETUSER <username>",
    b"    What a user may do.",
    b"GENPASS [<bits>]",
    b"    A random password, of 256 bits if not told otherwise.",
    b"LIST",
    b"    All users in the form of the users file.",
    b"LOAD",
    b"    Reads the users file anew.",
    b"LOG [<count> | RESET]",
    b"    Who was not let in, or not let do, lately.",
    b"SAVE",
    b"    Writes the users file.",
    b"SETUSER <username> [<rule> ...]",
    b"    Makes or changes a user.",
    b"USERS",
    b"    The names of all users.",
    b"WHOAMI",
    b"    The name of the user of this connection.",
    b"HELP",
    b"    Shows this text.",
)


# -- looking ------------------------------------------------------------------------------------
def acl_whoami(conn: Conn, argv: list[bytes]) -> Reply:
    return conn.user


def acl_users(conn: Conn, argv: list[bytes]) -> Reply:
    return list[Reply](sorted(conn.node.users))


def acl_list(conn: Conn, argv: list[bytes]) -> Reply:
    return [describe(conn.node.users[name]) for name in sorted(conn.node.users)]


def acl_getuser(conn: Conn, argv: list[bytes]) -> Reply:
    user = conn.node.users.get(argv[2])
    if user is None:
        return None
    return {
        b"flags": list(flags_of(user)),
        b"passwords": list(user.passwords),
        **_spell(user.root),
        b"selectors": list[Reply](_spell(rights) for rights in user.selectors),
    }


def _spell(rights: Rights) -> dict[bytes, Reply]:
    return {b"commands": commands_of(rights), b"keys": keys_of(rights), b"channels": channels_of(rights)}


def acl_cat(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        return list[Reply](CATEGORIES)
    if len(argv) > 3:
        raise unknown_subcommand(b"acl", argv[1])
    wanted = argv[2].lower()
    if wanted not in CATEGORIES:
        raise ClientError(b"ERR Unknown category '%b'" % argv[2][:128].translate(ONE_LINE))
    return [name for name, categories in NAMES.items() if b"@" + wanted in categories]


def acl_dryrun(conn: Conn, argv: list[bytes]) -> Reply:
    user = conn.node.users.get(argv[2])
    if user is None:
        raise ClientError(b"ERR User '%b' not found" % argv[2][:128].translate(ONE_LINE))
    words = argv[3:]
    command = find(words[0].lower(), words[1] if len(words) > 1 else b"")
    if command is None:
        raise ClientError(b"ERR Command '%b' not found" % words[0][:128].translate(ONE_LINE))
    if not command.takes(len(words)):
        raise ClientError(b"ERR wrong number of arguments for '%b' command" % command.name)
    found = denial(user, command, words)
    if found is None:
        return OK
    if found.reason == b"command":
        return b"This user has no permissions to run the '%b' command" % found.object
    return b"This user has no permissions to access the '%b' %b" % (found.object, found.reason)


def acl_genpass(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise unknown_subcommand(b"acl", argv[1])
    bits = parse_int(argv[2]) if len(argv) == 3 else GENPASS_BITS
    if bits is None:
        raise NOT_AN_INTEGER
    if not 0 < bits <= GENPASS_BITS_MAX:
        raise BAD_BITS
    digits = b"".join(b"%016x" % conn.node.draw() for _ in range(bits // 64 + 1))
    return digits[: (bits + 3) // 4]


def acl_log(conn: Conn, argv: list[bytes]) -> Reply:
    log = conn.node.acl_log
    if len(argv) > 3:
        raise unknown_subcommand(b"acl", argv[1])
    if len(argv) == 3 and argv[2].lower() == b"reset":
        log.clear()
        return OK
    count = parse_int(argv[2]) if len(argv) == 3 else LOG_SHOWN
    if count is None:
        raise NOT_AN_INTEGER
    return [
        {
            b"count": entry.count,
            b"reason": entry.reason,
            b"context": entry.context,
            b"object": entry.object,
            b"username": entry.user,
            b"age-seconds": Double(b"%d.%03d" % divmod(max(conn.now_ms - entry.created_ms, 0), 1000)),
            b"client-info": entry.client,
            b"entry-id": entry.id,
            b"timestamp-created": entry.created_ms,
            b"timestamp-last-updated": entry.updated_ms,
        }
        for entry in list(log)[: max(count, 0)]
    ]


# -- changing -----------------------------------------------------------------------------------
def acl_setuser(conn: Conn, argv: list[bytes]) -> Reply:
    node, name = conn.node, argv[2]
    _check_name(name)
    known = node.users.get(name)
    if known is None and len(node.users) >= USERS_MAX:
        raise TOO_MANY_USERS
    user = User(name) if known is None else known.copy()
    rules, unfinished = gather(argv[3:])
    if unfinished:
        raise ClientError(b"ERR Unmatched parenthesis in acl selector starting at '%b'." % _shown(unfinished))
    for rule in rules:
        try:
            apply(user, rule)
        except BadRule as bad:
            raise ClientError(b"ERR Error in ACL SETUSER modifier '%b': %b" % (_shown(rule), bad.reason)) from None
    if too_open(node, user):
        raise ClientError(b"ERR " + OPEN_DEFAULT)
    user.settle()
    _take_over(node, {**node.users, name: user}, conn)
    return OK


def _check_name(name: bytes) -> None:
    if not name or len(name) > NAME_BYTES_MAX or any(byte <= 32 for byte in name):
        raise BAD_NAME


def _shown(rule: bytes) -> bytes:
    shown = rule[:SHOWN_BYTES_MAX]
    if any(word[:1] in SECRET_MARKS for word in shown.lstrip(b"(").split()):
        return rule[:1] + b"..."
    return shown.translate(ONE_LINE)


def too_open(node: Node, user: User) -> bool:
    """Whether everyone on the network could connect."""
    return user.name == DEFAULT and user.open and not node.config.unprotected and bool(exposed(node.config.bind))


def acl_deluser(conn: Conn, argv: list[bytes]) -> Reply:
    node = conn.node
    if DEFAULT in argv[2:]:
        raise KEEP_DEFAULT
    gone = set(argv[2:]) & node.users.keys()
    _take_over(node, {name: user for name, user in node.users.items() if name not in gone}, conn)
    return len(gone)


def _take_over(node: Node, users: dict[bytes, User], by: Conn | None) -> None:
    """Installs the new users, and applies them to connected clients. It cannot fail."""
    node.users = users
    default = users[DEFAULT]
    for other in list(node.clients.values()):
        user = users.get(other.user)
        if user is other.account and (other.authenticated or user is not default or not default.open):
            continue  # nothing has changed for it
        if user is None or _hears_too_much(other, user):
            if other is by:
                other.session.closing = True  # closes after the reply
            else:
                other.transport.close()
            continue
        other.account = user
        if user is default and default.open:
            other.authenticated = True
        other.settle()


def _hears_too_much(conn: Conn, user: User) -> bool:
    """Whether the client is subscribed to a channel that its user may no longer read."""

    def may(name: bytes, literal: bool) -> bool:
        return any(may_listen(rights, name, literal) for rights in user.rights)

    names = conn.channels | conn.shard_channels
    return not (all(may(name, False) for name in names) and all(may(pattern, True) for pattern in conn.patterns))


# -- the users file -----------------------------------------------------------------------------
def acl_save(conn: Conn, argv: list[bytes]) -> Reply:
    file = conn.node.users_file
    if file is None:
        raise NO_FILE
    lines = b"".join(describe(conn.node.users[name]) + b"\n" for name in sorted(conn.node.users))
    try:
        file.write(lines)
    except OSError as error:
        reason = (error.strerror or "unknown").encode()
        raise ClientError(b"ERR There was an error trying to save the ACLs: " + reason) from None
    return OK


def acl_load(conn: Conn, argv: list[bytes]) -> Reply:
    load(conn.node, conn)
    return OK


def load(node: Node, by: Conn | None) -> None:
    """Takes over the users file, for ACL LOAD and for the start. ClientError says what is wrong with it."""
    file = node.users_file
    if file is None:
        raise NO_FILE
    try:
        content = file.read()
    except OSError as error:
        raise ClientError(b"ERR the users file cannot be read: " + (error.strerror or "unknown").encode()) from None
    if len(content) > FILE_BYTES_MAX:
        raise ClientError(b"ERR the users file is longer than %d bytes" % FILE_BYTES_MAX)
    users, complaints = parse_file(content)
    if DEFAULT not in users:  # then requirepass decides
        users[DEFAULT] = node.default_user()
    if too_open(node, users[DEFAULT]):
        complaints.append(OPEN_DEFAULT)
    if complaints:
        raise ClientError(
            b"ERR " + b". ".join(complaints[:3])
            + b". WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
        )  # fmt: skip
    # An unchanged user keeps its connections; those of a changed user are checked again.
    _take_over(node, users, by)


def parse_file(content: bytes) -> tuple[dict[bytes, User], list[bytes]]:
    """Users by name, and what is wrong with which line. No line is quoted: there are hashes in it."""
    users: dict[bytes, User] = {}
    complaints = []
    for number, line in enumerate(content.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) < 2 or words[0] != b"user":
            complaints.append(b"line %d should start with user <username>" % number)
            continue
        user = User(words[1])
        try:
            _check_name(user.name)
            if user.name in users:
                raise BadRule(b"the user appears twice")
            rules, unfinished = gather(words[2:])
            if unfinished:
                raise BadRule(b"Unmatched parenthesis in selector definition")
            for rule in rules:
                apply(user, rule)
        except (BadRule, ClientError) as bad:
            reason = bad.reason if isinstance(bad, BadRule) else BAD_NAME.text
            complaints.append(b"line %d: %b" % (number, reason))
            continue
        user.settle()
        users[user.name] = user
    if len(users) > USERS_MAX:
        complaints.append(TOO_MANY_USERS.text)
    return users, complaints


HANDLERS = {
    b"acl|cat": acl_cat,
    b"acl|deluser": acl_deluser,
    b"acl|dryrun": acl_dryrun,
    b"acl|genpass": acl_genpass,
    b"acl|getuser": acl_getuser,
    b"acl|help": help_of(HELP),
    b"acl|list": acl_list,
    b"acl|load": acl_load,
    b"acl|log": acl_log,
    b"acl|save": acl_save,
    b"acl|setuser": acl_setuser,
    b"acl|users": acl_users,
    b"acl|whoami": acl_whoami,
}
