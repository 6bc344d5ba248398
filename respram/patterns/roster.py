"""A roster: the members of a group as the fields of one hash, found without a scan. No client, no pattern's rule here.

A name is a field with a time to live of its own, so it leaves by itself when nobody enters it again. Two nodes that
enter two names in the same moment write two records, and both stay. The hash lives as long as the longest of its names.
If a sign of life is a key that is written every second, its writer looks first (`look`), and enters its name again
only when little of the name's time is left. Readers then ask for the keys of the names in a second round trip. They ask
for a dead member as long as its name lives: NAME_LIVES of its signs of life, and no longer than NAME_S_MAX. If the
name itself is the sign of life (`entering`, `staying`), one round trip lists the live members.
"""

from collections.abc import Callable

from respram.patterns.effects import Command, Steps
from respram.patterns.errors import TooMany
from respram.patterns.naming import KEYS_MAX, encoded
from respram.patterns.steps import ask_all, ttl_ms

NAME_LIVES = 10  # a name outlives this many signs of life, so it is written at every 40th
NAME_S_MAX = 3600.0  # the upper bound of that
GROUP = 50  # keys of one EXISTS
TOGETHER_MAX = 1000  # keys of one round trip

KeyOf = Callable[[str], bytes]


def look(base: bytes, name: str) -> Command:
    """The command that a member sends with its sign of life; `entered` wants its reply."""
    return ("HPTTL", base, "FIELDS", 1, encoded(name))


def entered(base: bytes, name: str, reply: list[int], ttl_s: float) -> Steps[None]:
    """Ensures that the name stays in the group for longer than ttl_s."""
    if reply[0] <= ttl_ms(ttl_s):
        yield from ask_all(*entering(base, name, ttl_s + min(NAME_S_MAX, NAME_LIVES * ttl_s)))


def entering(base: bytes, name: str, ttl_s: float) -> tuple[Command, ...]:
    """Commands that keep the name in the group for ttl_s from now."""
    lasting_ms = ttl_ms(ttl_s)
    return (
        ("HSETEX", base, "PX", lasting_ms, "FIELDS", 1, encoded(name), b""),
        *lasting(base, lasting_ms),
    )


def staying(base: bytes, name: str, ttl_s: float) -> tuple[Command, ...]:
    """As `entering`, for a name that others may have entered for longer: its time is never made shorter."""
    lasting_ms, field = ttl_ms(ttl_s), encoded(name)
    return (
        ("HSETEX", base, "FNX", "PX", lasting_ms, "FIELDS", 1, field, b""),
        ("HPEXPIRE", base, lasting_ms, "GT", "FIELDS", 1, field),
        *lasting(base, lasting_ms),
    )


def lasting(base: bytes, lasting_ms: int) -> tuple[Command, ...]:
    """Commands that keep the hash as long as its longest name: NX replaces a new hash's default TTL, GT would not."""
    return ("PEXPIRE", base, lasting_ms, "NX"), ("PEXPIRE", base, lasting_ms, "GT")


def reading(base: bytes) -> Command:
    """The command that reads a group; `names` wants its reply."""
    return ("HKEYS", base)


def names(fields: list[bytes]) -> list[str]:
    """All names of a group, sorted. Raises TooMany."""
    if len(fields) > KEYS_MAX:
        raise TooMany(f"a group has more than {KEYS_MAX} names: make several groups")
    return sorted(field.decode(errors="backslashreplace") for field in fields)


def members(base: bytes) -> Steps[list[str]]:
    """The names of a group, sorted. Raises TooMany."""
    (fields,) = yield from ask_all(reading(base))
    return names(fields)


def alive(every: list[str], key_of: KeyOf) -> Steps[list[str]]:
    """Those of the names whose keys are there."""
    found: list[str] = []
    for at in range(0, len(every), TOGETHER_MAX):
        asked = every[at : at + TOGETHER_MAX]
        groups = [asked[start : start + GROUP] for start in range(0, len(asked), GROUP)]
        asking: list[Command] = [("EXISTS", *(key_of(name) for name in group)) for group in groups]
        counts = yield from ask_all(*asking)
        # Usually all of a group is alive, or, after many left together, none of it.
        mixed = [name for group, count in zip(groups, counts, strict=True) if 0 < count < len(group) for name in group]
        there = yield from ask_all(*(("EXISTS", key_of(name)) for name in mixed))
        gone = {name for name, count in zip(mixed, there, strict=True) if not count}
        for group, count in zip(groups, counts, strict=True):
            found += [name for name in group if count and name not in gone]
    return found
