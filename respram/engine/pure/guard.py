"""A user's key patterns, checked for fast commands. The twin of native/guard.c.

A session with a guard has its fast commands asked for each of their keys. What the guard does not allow is not refused
here: it is for `dispatch`, which has the user's selectors, the texts and the log. So a guard may say no where it would
take long.
"""

from collections.abc import Mapping

from respram.catalog import Command
from respram.catalog.hot import needs
from respram.glob import glob_match, glob_steps

GUARD_STEPS_MAX = 65_536  # comparisons for one key: about 50 us in the native engine


class Guard:
    __slots__ = ("patterns",)

    def __init__(self, patterns: Mapping[bytes, int]) -> None:
        self.patterns = tuple(patterns.items())

    def allows(self, command: Command, argv: list[bytes]) -> bool:
        if command.counts_keys or not command.first_key:  # the dispatcher finds its keys, if any
            return not command.key_specs
        modes = needs(command)
        last = command.last_key if command.last_key >= 0 else len(argv) + command.last_key
        return all(self._allows_key(key, modes) for key in argv[command.first_key : last + 1 : command.key_step])

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
