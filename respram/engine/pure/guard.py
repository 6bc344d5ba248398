"""A user's key patterns, checked for fast commands. The twin of native/guard.c.

A session with a guard has its fast commands asked for each of their keys. What the guard does not allow is not refused
here: it is for `dispatch`, which has the user's selectors, the texts and the log. So a guard may say no where it would
take long.
"""

from collections.abc import Mapping

from respram.catalog import Command
from respram.catalog.hot import READ, WRITE, needs
from respram.catalog.keys import keys_of
from respram.glob import GLOB_BYTES_MAX, glob_match, glob_steps

GUARD_STEPS_MAX = 65_536  # comparisons for one key: about 50 us in the native engine
SPECIAL = frozenset(b"*?[\\")
PROGRAMS = frozenset({b"eval", b"evalsha"})  # each command inside is asked for again


class Guard:
    __slots__ = ("beginnings", "patterns")

    def __init__(self, patterns: Mapping[bytes, int]) -> None:
        self.patterns = tuple(patterns.items())
        # by what a command needs of its keys: nearly all patterns are a beginning with a star behind it, and all of
        # these are compared at once
        self.beginnings: dict[bytes, tuple[int, tuple[bytes, ...] | None]] = {}

    def allows(self, command: Command, argv: list[bytes]) -> bool:
        if command.name in PROGRAMS:  # it may write all of its keys
            keys = keys_of(command, argv)
            return len(argv) > 2 and (bool(keys) or argv[2] == b"0") and all(
                self._allows_key(key, READ | WRITE) for key in keys
            )
        if command.counts_keys or not command.first_key:  # the dispatcher finds its keys, if any
            return not command.key_specs
        found = self.beginnings.get(command.name)
        if found is None:
            modes = needs(command)
            found = self.beginnings[command.name] = modes, self._beginnings(modes)
        modes, beginnings = found
        last = command.last_key if command.last_key >= 0 else len(argv) + command.last_key
        keys = argv[command.first_key : last + 1 : command.key_step]
        if beginnings is None:
            return all(self._allows_key(key, modes) for key in keys)
        if b"" in keys:  # no star matches an empty text, as in Redis
            return False
        return keys[0].startswith(beginnings) if len(keys) == 1 else all(key.startswith(beginnings) for key in keys)

    def _beginnings(self, modes: int) -> tuple[bytes, ...] | None:
        """None: some pattern is another kind, or all of them together take too long for one key."""
        fit = [pattern for pattern, have in self.patterns if have & modes == modes]
        plain = all(
            pattern.endswith(b"*") and len(pattern) <= GLOB_BYTES_MAX and SPECIAL.isdisjoint(pattern[:-1])
            for pattern in fit
        )
        if not plain or sum(glob_steps(pattern, 0) for pattern in fit) > GUARD_STEPS_MAX:
            return None
        return tuple(pattern[:-1] for pattern in fit)

    def _allows_key(self, key: bytes, modes: int) -> bool:
        steps = 0
        for pattern, have in self.patterns:
            if have & modes != modes:
                continue
            steps += glob_steps(pattern, len(key))
            if steps > GUARD_STEPS_MAX:
                return False
            if glob_match(pattern, key):
                return True
        return False
