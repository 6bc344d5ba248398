"""Which arguments of a command are keys, and whether it looks at them before it writes.

For COMMAND GETKEYS, the ACL check, tracking, the slow log, and a node that does not have all keys yet. Pure: catalog
entry and arguments in, positions out.
"""

from respram.catalog.entry import Command, KeySpec
from respram.integers import parse_int

# options of SET that look at the key first
LOOKS = frozenset({b"nx", b"xx", b"get", b"ifeq", b"ifne", b"ifdeq", b"ifdne", b"keepttl"})


def key_positions(command: Command, argv: list[bytes]) -> list[tuple[int, tuple[bytes, ...]]] | None:
    """Position and flags of each key, in order; None when the arguments contradict the command."""
    found: list[tuple[int, tuple[bytes, ...]]] = []
    for spec in command.key_specs:
        positions = _range(spec, len(argv)) if spec.kind == b"range" else _counted(command, spec, argv)
        if positions is None:
            return None
        flags = _set_flags(argv) if command.name == b"set" else spec.flags
        found += [(position, flags) for position in positions]
    return found


def keys_of(command: Command, argv: list[bytes]) -> list[bytes]:
    """The keys themselves, none if the arguments contradict the command."""
    return [argv[position] for position, _ in key_positions(command, argv) or ()]


def decides(command: Command, argv: list[bytes]) -> bool:
    """Whether what is written depends on what was there: a node that is still filling up may decide wrongly."""
    if command.name == b"set":
        return not LOOKS.isdisjoint(word.lower() for word in argv[3:])
    if command.name == b"getex":
        return len(argv) > 2
    return command.shape == b"decides"


def _range(spec: KeySpec, count: int) -> list[int] | None:
    last, step, _ = spec.numbers
    end = count + last if last < 0 else spec.begin + last
    if spec.begin >= count or end >= count:
        return None
    return list(range(spec.begin, end + 1, step))


def _counted(command: Command, spec: KeySpec, argv: list[bytes]) -> list[int] | None:
    index, first, step = spec.numbers
    if spec.begin + index >= len(argv):
        return None
    count = parse_int(argv[spec.begin + index])
    begin = spec.begin + first
    if count == 0 and b"no_mandatory_keys" in command.flags:
        return []
    if count is None or count < 1 or begin + (count - 1) * step >= len(argv):
        return None
    return list(range(begin, begin + count * step, step))


def _set_flags(argv: list[bytes]) -> tuple[bytes, ...]:
    """SET reads only where it is told to, with GET or a comparison: its entry says that its flags vary."""
    words = {word.lower() for word in argv[3:]}
    return (
        (b"RW", b"access", b"update") if words & {b"get", b"ifeq", b"ifne", b"ifdeq", b"ifdne"} else (b"OW", b"update")
    )
