"""One line per event, `key=value`, to standard error. Never a value of a user's; keys not at all.

A kind of event that repeats gets one line a second: the lines left out are counted in the next one,
so that an attack on a port cannot fill a disk.
"""

import logging
import sys
from collections.abc import Callable

KINDS_MAX = 256  # distinct kinds held back; beyond, the table starts afresh
QUIET_MS = 1000  # at most a line per kind in this time

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
        self._last: dict[str, tuple[int, int]] = {}  # kind: (time of the last line, lines held back)

    def __call__(self, line: str, level: int = logging.INFO) -> None:
        kind = line.partition(" ")[0]
        now_ms = self._now_ms()
        at_ms, held = self._last.get(kind, (-QUIET_MS, 0))
        if now_ms - at_ms < QUIET_MS:
            self._last[kind] = (at_ms, held + 1)
            return
        if len(self._last) >= KINDS_MAX:
            self._last.clear()
        self._last[kind] = (now_ms, 0)
        logger.log(level, "%s%s", line, f" held_back={held}" if held else "")
