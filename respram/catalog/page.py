"""Generates docs/commands.md from the catalog: `python -m respram.catalog.page > docs/commands.md`.

The text that is not in the catalog is here. A test compares the file with the output.
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
    b"script": "respram has no functions; EVAL and EVALSHA run scripts",
    b"type": "respram stores strings, hashes, sets and sorted sets",
    b"bits": "Use SETBIT, GETBIT, BITCOUNT, BITPOS and BITOP instead",
    b"comparing": "Its time grows with the product of two lengths, so the client has to do it",
    b"watching": "No client may see the commands of others",
    b"debugging": "No client may change the inner state of a running node",
    b"saving": "No command writes data to a disk; with `--snapshot-dir` the node does so by itself",
    b"dumping": "Values are only written and read, not exported or imported",
    b"filters": "A filter has another layout here, and its items expire; COPY copies it",
    b"following": "There is no master and no replica",
    b"modules": "There are no modules",
    b"slots": "Slots are assigned automatically, and nodes find each other by `--join`",
}
INTRODUCTION = """\
# Commands

<!-- Made by `python -m respram.catalog.page > docs/commands.md`. Change the catalog, not this file. -->

Replies and error texts are those of Redis wherever Redis has the same concept. Four things are different for every
command:

- **Every key has a deadline.** A write without a TTL gets the node's default TTL, and the key's deadline is marked
  *implicit*. TTL, PTTL and EXPIRETIME answer the real deadline. EXPIRE with `NX`, `XX`, `GT` or `LT` treats an implicit
  deadline as none. A TTL above `--max-ttl` is cut to it.
- **No user can delete, unless an operator gave the right to let go.** Without it a command that would delete is refused
  with `NOPERM`, inside MULTI too, and the key survives: DEL and its relatives, EXPIRE with a time that is not in the
  future, SET with a past `EXAT`, BITOP with an empty result over an existing key. See [Letting go](#letting-go).
- **Every user can overwrite a key with a shorter TTL.** After `SET key "" PX 1` an existing key reads as missing at
  once.
- **A command that changes part of a value** (APPEND, SETRANGE, SETBIT, INCR...) keeps the deadline and its mark.
"""
TABLE = "| command | since | what it does |\n|---|---|---|\n"
LETTING_GO = """\
## Letting go

A user may run these commands only if an operator gave the right *by name*: to a user (`ACL SETUSER app +del +unlink`,
or a line of the users file), or to the default user (`--let-go del,unlink`). `+@all`, `+@write` and `allcommands` do
not include them. Letting go of a key writes a record without a value. The key then reads as missing, on this node at
once and on the others as soon as the write has reached them. The bytes of the value are wiped. An older value does not
come back, not even after a cut or a restart. The event is `del` on this node and `expired` on the others. A command
that deletes by naming a time in the past needs the right to `DEL`.
"""
NOTES = """\
## Notes

- **INCREX** counts within bounds and a window, in one step; a limiter of 100 calls a minute is `INCREX calls:42 UBOUND
  100 EX 60 ENX`. It answers with the new value and the step that was applied. A result outside `LBOUND` and `UBOUND` is
  not written: the answer is the present value, and 0. With `SATURATE` the value stops at the bound instead. `ENX` sets
  the TTL only if the key has none of its own (it is new, or its deadline is implicit). With `BYFLOAT` both numbers are
  doubles. `NX` counts only if the key is missing, `XX` only if it exists; otherwise the answer is the present value
  (nil for a missing key), and 0.
- **SET ... IFEQ value** writes only if the key holds exactly that value, **IFNE** only if it does not. The answer
  is nil if nothing was written. Both replace scripts that compare and set. `IFDEQ` and `IFDNE` take a digest instead of
  the value, as **DIGEST** returns it: XXH3-64, 16 hexadecimal digits. A missing key equals no value. The digest is no
  proof of a value: somebody who chooses two values can make their digests equal.
- **CL.THROTTLE** is a rate limit as in redis-cell. **BF.ADD** and its relatives are filters as in RedisBloom, but with
  items that expire: [filters.md](filters.md).
- **ZUNIONSTORE**, **ZRANGESTORE** and their relatives overwrite the key, as SET does. An empty result deletes the key,
  which needs the right to DEL.
- **EVAL** and its relatives run Lua 5.1 as Redis does, if lupa is installed (`pip install 'respram[scripts]'`):
  [scripts.md](scripts.md).
- **MSETEX** writes all of its keys (1) or none (0).
- **SCAN** walks at most 65,536 keys in one call, whatever `COUNT` says.
- **OBJECT ENCODING** and **REFCOUNT** answer as Redis would for a freshly SET value. **IDLETIME** answers the seconds
  since the last write.
- **WAIT** counts the peers that hold everything that was written on this node before it; `WAIT n 0` gives up after an
  hour.
- **PUBLISH** and **SPUBLISH** reach the subscribers on all nodes of the enclave. They answer with the number of
  subscribers on the node that ran the command.
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
    parts.append("Next: [patterns](patterns/README.md).\n")
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
