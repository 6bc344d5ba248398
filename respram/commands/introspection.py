"""COMMAND and its subcommands: the catalog as clients and redis-cli ask for it.

What is refused is not shown, nor what this client's user was not given by name: a client that looks whether it may DEL
should find that it may not.
"""

from collections.abc import Iterator

from respram.catalog import COMMANDS, Argument, Command, KeySpec, find
from respram.catalog.entry import CATEGORIES
from respram.catalog.keys import key_positions
from respram.commands.acl_check import is_unnamed
from respram.commands.node import Conn
from respram.commands.reply import BREATH, Breath, Each, Flags, Reply, Simple, breathing
from respram.commands.texts import SYNTAX, help_of
from respram.errors import ClientError
from respram.glob import glob_match

INVALID_COMMAND = ClientError.saying(b"ERR Invalid command specified")
INVALID_COUNT = ClientError.saying(b"ERR Invalid number of arguments specified for command")
INVALID_ARGUMENTS = ClientError.saying(b"ERR Invalid arguments specified for command")
NO_KEYS = ClientError.saying(b"ERR The command has no key arguments")

HELP = (
    b"COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"(no subcommand)",
    b"    Facts about all commands.",
    b"COUNT",
    b"    How many commands there are.",
    b"DOCS [<command-name> ...]",
    b"    Summary, arguments and history of commands, of all if none is named.",
    b"GETKEYS <full-command>",
    b"    The keys in a full command.",
    b"GETKEYSANDFLAGS <full-command>",
    b"    The same, with what the command does to each key.",
    b"INFO [<command-name> ...]",
    b"    Facts about commands, about all if none is named.",
    b"LIST [FILTERBY (MODULE <module>|ACLCAT <category>|PATTERN <pattern>)]",
    b"    Names of commands; a filter looks at subcommands too.",
    b"HELP",
    b"    Shows this text.",
)


def command_all(conn: Conn, argv: list[bytes]) -> Reply:
    return [_info(command) for command in _served(conn).values()]


def command_count(conn: Conn, argv: list[bytes]) -> Reply:
    return len(_served(conn))


def command_info(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        return command_all(conn, argv)
    found = (_named(conn, name) for name in argv[2:])
    return Each(breathing(None if command is None else _info(command) for command in found))


def command_docs(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        return {name: _docs(command) for name, command in _served(conn).items()}
    return Each(_some_docs(conn, argv[2:]), b"%")


def _some_docs(conn: Conn, names: list[bytes]) -> Iterator[Reply | Breath]:
    told: set[bytes] = set()
    for name in names:
        command = _named(conn, name)
        if command is not None and command.name not in told:
            told.add(command.name)
            yield command.name
            yield _docs(command)
        yield BREATH


def command_list(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        return list(_served(conn))
    if len(argv) != 5 or argv[2].lower() != b"filterby":
        raise SYNTAX
    kind, wanted = argv[3].lower(), argv[4].lower()
    if kind == b"module":
        return []
    if kind == b"aclcat":
        if wanted not in CATEGORIES:
            return []
        return [command.name for command in _flat(conn) if b"@" + wanted in command.categories]
    if kind == b"pattern":
        return [command.name for command in _flat(conn) if glob_match(wanted, command.name)]
    raise SYNTAX


def command_getkeys(conn: Conn, argv: list[bytes]) -> Reply:
    words = argv[2:]
    return [words[position] for position, _ in _keys(conn, words)]


def command_getkeysandflags(conn: Conn, argv: list[bytes]) -> Reply:
    words = argv[2:]
    return [[words[position], Flags([Simple(flag) for flag in flags])] for position, flags in _keys(conn, words)]


def _keys(conn: Conn, words: list[bytes]) -> list[tuple[int, tuple[bytes, ...]]]:
    command = find(words[0].lower(), words[1] if len(words) > 1 else b"")
    if command is None or command.refused or is_unnamed(conn, command):
        raise INVALID_COMMAND
    if all(b"not_key" in spec.flags for spec in command.key_specs):  # for example channels of SPUBLISH
        raise NO_KEYS
    if not command.takes(len(words)):
        raise INVALID_COUNT
    found = key_positions(command, words)
    if found is None:
        raise INVALID_ARGUMENTS
    return found


def _named(conn: Conn, name: bytes) -> Command | None:
    """A served command by `get`, `client` or `client|id`, in any case."""
    top, bar, sub = name.lower().partition(b"|")
    command = find(top, sub)
    if command is None or command.refused or is_unnamed(conn, command) or (bar and b"|" not in command.name):
        return None
    return command


def _served(conn: Conn) -> dict[bytes, Command]:
    return {name: command for name, command in COMMANDS.items() if not is_unnamed(conn, command)}


def _flat(conn: Conn) -> Iterator[Command]:
    for command in _served(conn).values():
        yield command
        yield from command.subcommands


# -- COMMAND INFO -------------------------------------------------------------------------------------


def _info(command: Command) -> Reply:
    return [
        command.name,
        command.arity,
        _flags(command.flags),
        command.first_key,
        command.last_key,
        command.key_step,
        _flags(command.categories),
        Flags(list(command.tips)),
        Flags([_key_spec(spec) for spec in command.key_specs]),
        _subcommands(command),
    ]


def _subcommands(command: Command) -> Reply:
    """An empty set where there are none, else an array: so Redis has it."""
    if not command.subcommands:
        return Flags([])
    return [_info(sub) for sub in command.subcommands]


def _flags(names: tuple[bytes, ...]) -> Flags:
    return Flags([Simple(name) for name in names])


def _key_spec(spec: KeySpec) -> Reply:
    names = (b"lastkey", b"keystep", b"limit")
    if spec.kind == b"keynum":
        names = (b"keynumidx", b"firstkey", b"keystep")
    numbers: dict[bytes, Reply] = dict(zip(names, spec.numbers, strict=True))
    facts: dict[bytes, Reply] = {}
    if spec.notes:
        facts[b"notes"] = spec.notes
    facts[b"flags"] = _flags(spec.flags)
    facts[b"begin_search"] = {b"type": b"index", b"spec": {b"index": spec.begin}}
    facts[b"find_keys"] = {b"type": spec.kind, b"spec": numbers}
    return facts


# -- COMMAND DOCS -------------------------------------------------------------------------------------


def _docs(command: Command) -> Reply:
    facts: dict[bytes, Reply] = {
        b"summary": command.summary,
        b"since": command.since,
        b"group": command.group,
    }
    if command.complexity:
        facts[b"complexity"] = command.complexity
    if command.doc_flags:
        facts[b"doc_flags"] = _flags(command.doc_flags)
    if command.deprecated:
        facts[b"deprecated_since"] = command.deprecated
    if command.instead:
        facts[b"replaced_by"] = command.instead
    if command.history:
        facts[b"history"] = Flags([[version, change] for version, change in command.history])
    if command.arguments:
        facts[b"arguments"] = [_argument(argument) for argument in command.arguments]
    if command.subcommands:
        facts[b"subcommands"] = {sub.name: _docs(sub) for sub in command.subcommands}
    return facts


def _argument(argument: Argument) -> Reply:
    facts: dict[bytes, Reply] = {b"name": argument.name, b"type": argument.type}
    if argument.key_spec >= 0:
        facts[b"key_spec_index"] = argument.key_spec
    if argument.token:
        facts[b"token"] = argument.token
    if argument.since:
        facts[b"since"] = argument.since
    if argument.deprecated:
        facts[b"deprecated_since"] = argument.deprecated
    if argument.flags:
        facts[b"flags"] = _flags(argument.flags)
    if argument.inner:
        facts[b"arguments"] = [_argument(inner) for inner in argument.inner]
    return facts


HANDLERS = {
    b"command": command_all,
    b"command|count": command_count,
    b"command|docs": command_docs,
    b"command|getkeys": command_getkeys,
    b"command|getkeysandflags": command_getkeysandflags,
    b"command|help": help_of(HELP),
    b"command|info": command_info,
    b"command|list": command_list,
}
