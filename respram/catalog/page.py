"""docs/commands.md, made from the catalog: `python -m respram.catalog.page > docs/commands.md`.

What the catalog cannot know is said in the few sentences here. A test compares the file with the page.
"""

import sys
from collections.abc import Iterable

from respram.catalog import COMMANDS, Argument, Command, everything

GROUPS = {
    b"string": "Strings",
    b"bitmap": "Strings as bitmaps",
    b"hash": "Hashes",
    b"set": "Sets",
    b"sorted-set": "Sorted sets",
    b"module": "Rate limits and filters",
    b"generic": "Keys",
    b"transactions": "Transactions",
    b"pubsub": "Publish and subscribe",
    b"scripting": "Scripts",
    b"connection": "Connection",
    b"server": "Server",
    b"cluster": "Cluster",
}
REASONS = {
    b"emptying": "No command empties or swaps a database",
    b"renaming": "A key keeps its name and its database",
    b"persisting": "Every key has a TTL",
    b"script": "respram keeps no functions; EVAL and EVALSHA run scripts",
    b"type": "respram stores strings, hashes, sets and sorted sets",
    b"bits": "SETBIT, GETBIT, BITCOUNT, BITPOS and BITOP serve instead",
    b"comparing": "The work is the product of two lengths: for the client to do",
    b"watching": "Nobody watches over others' shoulders",
    b"debugging": "Nobody reaches into a running node",
    b"saving": "No command writes data to a disk; with `--snapshot-dir` the node does it by itself",
    b"dumping": "Values come and leave through writing and reading only",
    b"following": "There is no master and no replica",
    b"modules": "There are no modules",
    b"slots": "Slots have their homes by themselves, and nodes find each other by `--join`",
}
INTRODUCTION = """\
# Commands

<!-- Made by `python -m respram.catalog.page > docs/commands.md`. Change the catalog, not this file. -->

Replies and error texts are those of Redis wherever Redis has the same notion. What is different for
every command:

- **Every key has a deadline.** A write that names none gets the node's default TTL, and the key's
  deadline is marked *implicit*. TTL, PTTL and EXPIRETIME tell the truth; EXPIRE with `NX`, `XX`, `GT` or
  `LT` treats an implicit deadline as none. A TTL beyond `--max-ttl` is cut to it.
- **Nothing deletes, unless an operator gave the right to let go.** Without it a command that would delete is refused
  with `NOPERM`, inside MULTI too, and the key survives: DEL and its kin, EXPIRE with a time that is not in the future,
  SET with a past `EXAT`, BITOP with an empty result over an existing key. See [Letting go](#letting-go).
- **Everybody can overwrite with a shorter TTL.** `SET key "" PX 1` reads as missing at once, where there is such a key.
- A command that changes part of a value (APPEND, SETRANGE, SETBIT, INCR...) keeps deadline and mark.
"""
TABLE = "| command | since | what it does |\n|---|---|---|\n"
LETTING_GO = """\
## Letting go

Nobody may run these commands unless an operator gave them *by name*: to a user (`ACL SETUSER app +del +unlink`, or a
line of the users file), or to the default user (`--let-go del,unlink`). `+@all`, `+@write` and `allcommands` do not
include them. To let go of a key is one write of a record without a value: the key reads as missing at once on this node
and, as soon as the write has reached them, on all others; the value's bytes are wiped; an older value does not come
back, after a cut or a restart either. The event is `del` here and `expired` on the other nodes. A command that deletes
by naming a time that has passed needs the right to `DEL`.
"""
NOTES = """\
## Notes

- **INCREX** counts within bounds and a window, in one step; a limiter of 100 calls a minute is `INCREX calls:42 UBOUND
  100 EX 60 ENX`. It answers with the new value and the step that was applied. A result beyond `LBOUND` or `UBOUND` is
  not written: the answer is the value as it is, and 0. With `SATURATE` it stops at the bound instead. `ENX` sets the
  TTL only where the key has none of its own (it is new, or its deadline is implicit). With `BYFLOAT` both numbers are
  doubles. `NX` counts only where the key is missing, `XX` only where it is there: else the answer is the value as it is
  (nil for a missing key), and 0.
- **SET ... IFEQ value** writes only if the key holds exactly that value, **IFNE** only if it does not, and the answer
  is nil if nothing was written. They take the place of the scripts that compare and set. `IFDEQ` and `IFDNE` take a
  digest instead of the value, as **DIGEST** tells it: XXH3-64, 16 hexadecimal digits. A missing key equals nothing. The
  digest is for recognizing a value, and no proof of it: who chooses two values can make their digests equal.
- **CL.THROTTLE** is a rate limit as redis-cell has it, **BF.ADD** and its kin are filters as RedisBloom has them, whose
  items end: [filters.md](filters.md).
- **ZUNIONSTORE**, **ZRANGESTORE** and their kin write over what was there, as SET does. A result of nothing lets go of
  the key, for who may DEL.
- **EVAL** and its kin run Lua 5.1 as Redis does, where lupa is installed (`pip install 'respram[scripts]'`):
  [scripts.md](scripts.md).
- **MSETEX** writes all of its keys or none: 1 or 0.
- **SCAN** walks at most 65,536 keys in one call, whatever `COUNT` says.
- **OBJECT ENCODING** and **REFCOUNT** answer what Redis would say of a freshly SET value, **IDLETIME** the seconds
  since the last write.
- **WAIT** counts the peers that hold all that was written on this node before it; `WAIT n 0` gives up after an hour.
- **PUBLISH** and **SPUBLISH** reach the subscribers on all nodes of the enclave and count those on their own.
"""


def page() -> str:
    parts = [INTRODUCTION]
    for group, title in GROUPS.items():
        members = sorted((c for c in COMMANDS.values() if c.group == group and not c.by_name), key=lambda c: c.name)
        parts.append(f"## {title}\n\n{TABLE}{_rows(members)}")
    parts.append(f"{LETTING_GO}\n{TABLE}{_rows(c for c in COMMANDS.values() if c.by_name)}")
    parts.append(NOTES)
    parts.append("## Refused\n\nArity is checked first; the connection stays open.\n")
    parts.append("| reason | commands |\n|---|---|\n" + "".join(_refused_rows()))
    return "\n".join(parts)


def _rows(commands: Iterable[Command]) -> str:
    rows = ""
    for command in commands:
        for one in command.subcommands or (command,):
            rows += f"| {_code(_usage(one))} | {one.since.decode()} | {_cell(one.summary)} |\n"
    return rows


def _refused_rows() -> Iterable[str]:
    for reason, sentence in REASONS.items():
        names = [_spoken(c.name) for c in everything() if c.refused == reason]
        assert names, f"nothing is refused for {reason.decode()}"
        yield f"| {sentence} | {' '.join(f'`{name}`' for name in names)} |\n"


def _spoken(name: bytes) -> str:
    return name.decode().upper().replace("|", " ")


def _usage(command: Command) -> str:
    return " ".join([_spoken(command.name), *map(_argument, command.arguments)])


def _argument(argument: Argument) -> str:
    token = argument.token.decode()
    if argument.type == b"pure-token":
        text = token
    else:
        text = argument.name.decode()
        if argument.inner:
            between = " | " if argument.type == b"oneof" else " "
            text = between.join(map(_argument, argument.inner))
        text = f"{token} {text}" if token else text
    if b"multiple" in argument.flags:
        text += f" [{text} ...]"
    if b"optional" in argument.flags:
        return f"[{text}]"
    return f"<{text}>" if argument.type == b"oneof" else text


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _cell(text: bytes) -> str:
    return text.decode().replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
