"""The rows of the table that both engines have a handler for, and their header for the C engine.

`python -m respram.catalog.hot > respram/engine/native/commands.h` writes it; a test compares the two. The order of the
rows is that of the catalog; the engines number them from 1 on.
"""

import sys
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from respram.catalog import COMMANDS, Command

HOT: tuple[Command, ...] = tuple(command for command in COMMANDS.values() if command.hot)
EVERY = (1 << len(HOT) + 1) - 2  # a bit for each number
HOT_NAMES = frozenset(command.name for command in HOT)

COLLECTIONS = (b"hash", b"set", b"sorted-set")  # groups whose handlers check the collection's head themselves
# other such commands, whose effect does not depend on the key's type
OF_ANY_KIND = frozenset({
    b"exists", b"touch", b"type", b"ttl", b"pttl", b"expiretime", b"pexpiretime", b"expire", b"pexpire", b"expireat",
    b"pexpireat", b"del", b"unlink", b"watch", b"copy",
})  # fmt: skip
# Commands of one collection that name a member: the argument that is the first. Its memory is fetched ahead.
FIRST_MEMBER = {
    **dict.fromkeys((
        b"hset", b"hmset", b"hsetnx", b"hget", b"hmget", b"hexists", b"hstrlen", b"hdel", b"hincrby", b"hincrbyfloat",
        b"sadd", b"srem", b"sismember", b"smismember", b"zscore", b"zmscore", b"zrank", b"zrevrank", b"zrem",
    ), 2),
    b"zadd": 3, b"zincrby": 3,
}  # fmt: skip
READ, WRITE = 1, 2  # as acl_rights.py has them
CHANGES = (b"insert", b"update", b"delete")  # flags of a key specification

SLOTS_BITS = 11  # of the perfect hash: it needs many more slots than rows to be found quickly
NAME_BYTES_MAX = 16  # of a hot command: two 64-bit words hold it
MULTIPLIERS = 1_000_000  # multipliers that are tried until one has no collision
ODD = 0x9E3779B97F4A7C15
M64 = (1 << 64) - 1

HEADER = """\
/* The command table as the engine reads it. Made by `python -m respram.catalog.hot` from respram/catalog/.
 *
 * ROW(name, bytes of the name, two words that cover them, arguments at least, at most, first key, last, step, rights
 * that each key needs, kind of the collection and argument of the first member that it names, shape). The handler of a
 * row is `hot_` and its name. A name is found by a perfect hash over the two words; see hot.c.
 */
#ifndef RESPRAM_COMMANDS_H
#define RESPRAM_COMMANDS_H

#define COMMANDS(ROW) \\
%s

#define NAME_MULTIPLIER UINT64_C(0x%016x)
#define NAME_SLOTS_BITS %d
#define NAME_SLOTS \\
%s

#endif
"""


def permitted(names: AbstractSet[bytes]) -> int:
    """These commands as bits by their numbers."""
    return sum(1 << number for number, command in enumerate(HOT, 1) if command.name in names)


def looks_itself(command: Command) -> bool:
    """Whether its handler knows what to do with a collection: others are for `dispatch` where they meet one."""
    return command.group in COLLECTIONS or command.name in OF_ANY_KIND


def needs(command: Command) -> int:
    """The rights to each of its keys that a command may need, whatever its arguments: bits of READ and WRITE, none
    where it only looks whether a key is there. Where the rights are fewer, whoever knows the arguments is asked.
    """
    flags = {flag for spec in command.key_specs for flag in spec.flags}
    return READ * (b"access" in flags) | WRITE * (not flags.isdisjoint(CHANGES))


def words_of(name: bytes) -> tuple[int, int]:
    """A name of 3 to 16 bytes as two words of 64 bits that overlap; the C engine reads them the same way."""
    if len(name) < 4:
        return int.from_bytes(name, "little"), 0
    if len(name) < 8:
        return int.from_bytes(name[:4], "little") | int.from_bytes(name[-4:], "little") << 32, 0
    return int.from_bytes(name[:8], "little"), int.from_bytes(name[-8:], "little")


def slot_of(words: tuple[int, int], multiplier: int) -> int:
    return ((words[0] ^ words[1] * ODD & M64) * multiplier & M64) >> 64 - SLOTS_BITS


def multiplier_for(names: Iterable[bytes]) -> int:
    """The first multiplier under which no two names share a slot."""
    found = [words_of(name) for name in names]
    for number in range(1, MULTIPLIERS):
        multiplier = number * ODD & M64 | 1
        if len({slot_of(words, multiplier) for words in found}) == len(found):
            return multiplier
    raise AssertionError("no perfect hash: give it more slots")


def header() -> str:
    for command in HOT:
        assert 3 <= len(command.name) <= NAME_BYTES_MAX and command.name.isalpha(), (
            f"not a name for the engine: {command.name!r}"
        )
    multiplier = multiplier_for(HOT_NAMES)
    slots = [0] * (1 << SLOTS_BITS)
    for number, command in enumerate(HOT, 1):
        slots[slot_of(words_of(command.name), multiplier)] = number
    rows = " \\\n".join(map(_row, HOT))
    return HEADER % (rows, multiplier, SLOTS_BITS, " \\\n".join(_lines(slots)))


def _row(command: Command) -> str:
    name = command.name.decode()
    most = "SIZE_MAX" if command.most == sys.maxsize else str(command.most)
    shape = ["SHAPE_" + command.shape.decode().upper()]
    shape += ["SHAPE_ASKS"] if command.asks else []
    shape += ["SHAPE_GROWS"] if command.grows else []
    if command.first_key and not command.counts_keys:
        shape.append("SHAPE_KEY" if command.has_key else "SHAPE_KEYS")
    shape += ["SHAPE_MEMBERS"] if looks_itself(command) else []
    words = ", ".join(f"UINT64_C(0x{word:016x})" for word in words_of(command.name))
    first = -1 if command.counts_keys else command.first_key
    member = FIRST_MEMBER.get(command.name, 0)
    kind = COLLECTIONS.index(command.group) + 1 if member else 0  # HASH, SET or ZSET of record.py
    keys = f"{first}, {command.last_key}, {command.key_step}, {needs(command)}, {kind}, {member}"
    head = f"    ROW({name}, {len(name)}, {words}, {abs(command.arity)}, {most}, {keys},"
    return f"{head} \\\n        {' | '.join(shape)})"


def _lines(slots: list[int]) -> Iterator[str]:
    for at in range(0, len(slots), 32):
        yield "    " + " ".join(f"{number}," for number in slots[at : at + 32])


if __name__ == "__main__":
    sys.stdout.write(header())
