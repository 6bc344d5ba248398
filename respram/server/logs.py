"""One line per event, `key=value`, to standard error. Never a value of a user's; keys not at all.

A kind of event that repeats gets a line a second, and may save up ten: so all peers of an enclave that come or go at
once are named, and an attack on a port cannot fill a disk. The lines left out are counted in the next one.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

KINDS_MAX = 256  # distinct kinds that are tracked; with more, the table is cleared
QUIET_MS = 1000  # one line of each kind per interval
LINES_MAX = 10  # lines that may be saved up: as many as a node has direct peers

INFO, WARNING, ERROR = logging.INFO, logging.WARNING, logging.ERROR

logger = logging.getLogger("respram")


# A field of a line: `name=word`, or with a text quoted as in Python.
FIELD = re.compile(r"""(?:^|(?<= ))([a-z_]+)=("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\S*)""")
QUOTED = re.compile(r"\\(.)")


class JsonFormatter(logging.Formatter):
    """A line as one JSON object: when, how grave, the whole line, and each of its fields under its name."""

    def format(self, record: logging.LogRecord) -> str:
        line = record.getMessage()
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, str | int] = {
            "time": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": line,
        }
        for name, text in FIELD.findall(line):
            told.setdefault(name, read_field(text))
        return json.dumps(told)


def read_field(text: str) -> str | int:
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return QUOTED.sub(r"\1", text[1:-1])
    plain = text.isascii() and text.isdecimal() and len(text) < 16 and (text == "0" or text[0] != "0")
    return int(text) if plain else text


class _Errors:
    """Standard error as it is at that moment: a bar on the terminal puts itself between (cli/terminal.py)."""

    @staticmethod
    def write(text: str) -> int:
        return sys.stderr.write(text)

    @staticmethod
    def flush() -> None:
        sys.stderr.flush()


def set_up(level: str, style: str = "text") -> None:
    handler = logging.StreamHandler(_Errors())
    handler.setFormatter(
        JsonFormatter() if style == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class Journal:
    """What the rooms without logging are given as `log`: a line in, throttled by its `event=`."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._kinds: dict[str, _Kind] = {}

    def __call__(self, line: str, level: int = logging.INFO, /) -> None:
        name = line.partition(" ")[0]
        now_ms = self._now_ms()
        kind = self._kinds.get(name)
        if kind is None:
            if len(self._kinds) >= KINDS_MAX:
                self._kinds.clear()
            kind = self._kinds[name] = _Kind(now_ms)
        earned, rest_ms = divmod(max(now_ms - kind.since_ms, 0), QUIET_MS)
        kind.since_ms, kind.lines = now_ms - rest_ms, min(kind.lines + earned, LINES_MAX)
        if not kind.lines:
            kind.held += 1
            return
        kind.lines -= 1
        held, kind.held = kind.held, 0
        logger.log(level, "%s%s", line, f" held_back={held}" if held else "")


@dataclass(slots=True)
class _Kind:
    since_ms: int  # when the last line was granted
    lines: int = LINES_MAX  # lines that may be written at once
    held: int = 0  # lines suppressed since the last one
