"""Who belongs to a group, without looking at the keys of others: bounded records of names. No client, no pattern's rule here.

A group's names lie in SLOTS records, each a JSON list; a name's slot follows from its CRC-32. A member whose sign of life (a key of
its own) is written again and again looks at its slot in the same round trip, and writes it only when it is not in it: by then it also
takes out the names that have no key any more. Two nodes that change one slot in the same moment lose one of the two names until
its member's next sign of life. Readers take all slots in one round trip, and ask for the keys of the names in a second.
"""

import zlib
from collections.abc import Callable

from respram.patterns.effects import Command, Steps
from respram.patterns.errors import TooMany, Unreadable
from respram.patterns.json_values import from_json, to_json
from respram.patterns.steps import ask_all, change

SLOTS = 64  # 1,000 members are 16 names a slot, about 300 bytes
NAMES_MAX = 2048  # of one slot, 131,072 of a group: each change of a slot rewrites it
KEPT_S = 3600.0  # how long a slot outlives its members, so that it is not written at each sign of life
TOGETHER_MAX = 1000  # keys asked for in one round trip

KeyOf = Callable[[str], bytes]


def slot_key(base: bytes, name: str) -> bytes:
    return base + b":%d" % (zlib.crc32(name.encode()) % SLOTS)


def look(base: bytes, name: str) -> tuple[Command, Command]:
    """Commands that a member sends with its sign of life; `entered` wants their two replies."""
    return ("GET", slot_key(base, name)), ("PTTL", slot_key(base, name))


def entered(base: bytes, name: str, slot: bytes | None, left_ms: int, ttl_s: float, key_of: KeyOf) -> Steps[None]:
    """Sees to it that the name is in its slot. Raises TooMany."""
    there = listed(slot)
    if name in there and left_ms > ttl_s * 1000:
        return
    gone = set(there) - set((yield from alive(there, key_of))) - {name}

    def edit(found: bytes | None) -> bytes:
        every = sorted({*listed(found), name} - gone)
        if len(every) > NAMES_MAX:
            raise TooMany(f"a group has more than {NAMES_MAX} names in one of its {SLOTS} records: make several groups")
        return to_json(every)

    yield from change(slot_key(base, name), edit, max(ttl_s, left_ms / 1000) + KEPT_S)


def reading(base: bytes) -> Command:
    """The command that reads a group; `names` wants its reply."""
    return ("MGET", *(base + b":%d" % number for number in range(SLOTS)))


def names(slots: list[bytes | None]) -> list[str]:
    """All names of a group, whether they live or not."""
    return sorted({name for slot in slots for name in listed(slot)})


def alive(every: list[str], key_of: KeyOf, small: bool = False) -> Steps[list[str]]:
    """Those of the names whose keys are there. `small`: their values are a few bytes, and reading them is one command."""
    found: list[str] = []
    for at in range(0, len(every), TOGETHER_MAX):
        asked = every[at : at + TOGETHER_MAX]
        if small:
            (stored,) = yield from ask_all(("MGET", *map(key_of, asked)))
            there = [value is not None for value in stored]
        else:
            there = yield from ask_all(*(("EXISTS", key_of(name)) for name in asked))
        found += [name for name, count in zip(asked, there, strict=True) if count]
    return found


def members(base: bytes, key_of: KeyOf) -> Steps[list[str]]:
    """The names of a group whose keys are there, with small values, sorted."""
    (slots,) = yield from ask_all(reading(base))
    return (yield from alive(names(slots), key_of, small=True))


def listed(slot: bytes | None) -> list[str]:
    if slot is None:
        return []
    found = from_json(slot, "a group's record of names")
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Unreadable("a group's record of names was not written by this library: another program wrote to its key")
    return found
