"""One line per event, `key=value`, to standard error. Never a value of a user's; keys not at all.

A kind of event that repeats gets ten lines a second: the lines left out are counted in the next one,
so that an attack on a port cannot fill a disk, and all peers of an enclave that come or go at once are named.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass

KINDS_MAX = 256  # distinct kinds held back; beyond, the table starts afresh
QUIET_MS = 1000  # in so long a time
LINES_MAX = 10  # at most so many lines of one kind: as many as a node has peers to which it pushes

ERROR = logging.ERROR

logger = logging.getLogger("respram")


def set_up(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class Journal:
    """What the rooms without logging are given as `log`: a line in, throttled by its `event=`."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._kinds: dict[str, _Kind] = {}

    def __call__(self, line: str, level: int = logging.INFO) -> None:
        name = line.partition(" ")[0]
        now_ms = self._now_ms()
        kind = self._kinds.get(name)
        if kind is None:
            if len(self._kinds) >= KINDS_MAX:
                self._kinds.clear()
            kind = self._kinds[name] = _Kind(now_ms)
        elif not 0 <= now_ms - kind.since_ms < QUIET_MS:  # a clock set back begins anew, too
            kind.since_ms, kind.lines = now_ms, 0
        if kind.lines >= LINES_MAX:
            kind.held += 1
            return
        kind.lines += 1
        held, kind.held = kind.held, 0
        logger.log(level, "%s%s", line, f" held_back={held}" if held else "")


@dataclass(slots=True)
class _Kind:
    since_ms: int
    lines: int = 0  # since then
    held: int = 0  # since the last line
