"""The command table: every command that is served or refused, found by name.

COMMAND and its kin answer from it, dispatch checks arity and flags against it, and
`python -m respram.catalog.page` prints docs/commands.md from it. Which function serves a command is
said in `respram/commands/`.

Facts only, as COMMAND INFO and COMMAND DOCS tell them. Where a command is the one that Redis 7.0 has,
its entry tells what Redis tells, so that clients which compare find nothing to stumble over.
"""

from respram.catalog.acl import ENTRIES as ACL
from respram.catalog.cluster import ENTRIES as CLUSTER
from respram.catalog.connection import ENTRIES as CONNECTION
from respram.catalog.entry import Argument, Command, KeySpec, parse_entries
from respram.catalog.hashes import ENTRIES as HASHES
from respram.catalog.keyspace import ENTRIES as KEYSPACE
from respram.catalog.letting_go import ENTRIES as LETTING_GO
from respram.catalog.modules import ENTRIES as MODULES
from respram.catalog.pubsub import ENTRIES as PUBSUB
from respram.catalog.refused import REFUSED
from respram.catalog.scripting import ENTRIES as SCRIPTING
from respram.catalog.server import ENTRIES as SERVER
from respram.catalog.sets import ENTRIES as SETS
from respram.catalog.sorted_sets import ENTRIES as SORTED_SETS

__all__ = ["COMMANDS", "Argument", "Command", "KeySpec", "everything", "find"]


def find(name: bytes, sub: bytes) -> Command | None:
    """Finds a command by its name in lower case, or the subcommand of a container by `sub`. None: there is none of that
    name.

    With `sub` empty, and of a command without subcommands, the command itself: then `sub` may be any argument, and a
    long one is not looked at.
    """
    command = _TOP.get(name)
    if command is None or not command.subcommands or not sub:
        return command
    return _SUBCOMMANDS.get((name, sub.lower()))


def everything() -> list[Command]:
    """All commands and subcommands, the refused ones too."""
    return [*_TOP.values(), *_SUBCOMMANDS.values()]


def _refused() -> dict[bytes, Command]:
    found: dict[bytes, Command] = {}
    for reason, text in REFUSED.items():
        words = text.encode().split()
        for name, arity in zip(words[::2], words[1::2], strict=True):
            assert name not in found, f"refused twice: {name.decode()}"
            found[name] = Command(name=name, arity=int(arity), refused=reason.encode())
    return found


# The served commands, containers with their subcommands inside: the view of COMMAND.
COMMANDS: dict[bytes, Command] = {
    name: command
    for entries in (KEYSPACE, HASHES, SETS, SORTED_SETS, MODULES, LETTING_GO, SCRIPTING,
                    CONNECTION, PUBSUB, ACL, SERVER, CLUSTER)
    for name, command in parse_entries(entries).items()
}
_REFUSED = _refused()
assert not COMMANDS.keys() & _REFUSED.keys(), "both served and refused"
_TOP = COMMANDS | {name: command for name, command in _REFUSED.items() if b"|" not in name}
_SUBCOMMANDS: dict[tuple[bytes, bytes], Command] = {}
for _command in (*(sub for top in COMMANDS.values() for sub in top.subcommands), *_REFUSED.values()):
    if b"|" in _command.name:
        _container, _, _sub = _command.name.partition(b"|")
        _SUBCOMMANDS[_container, _sub] = _command
