"""Progress bars and colours for what takes long: by `rich`, if there is a terminal and the extra is installed.

A bar disappears when the work is done. Without a terminal or rich, a line is written now and then. Quick work shows
nothing. Bars and lines go to standard error, so a command's output can still be piped.
"""

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TextIO

BAR_FIRST_S, BAR_EVERY_S = 0.3, 0.1
LINE_EVERY_S = {True: 2.0, False: 10.0}  # interval on a terminal, and in a file or a pipe

Say = Callable[[str], None]
Style = tuple[str, str]  # the beginning of a line, and the name of its style in rich


class Progress(Protocol):
    """Shows how far some work is. `show` may be called at every step; a total of 0 means that it is unknown."""

    def show(self, what: str, done: int, total: int, unit: str = "") -> None: ...
    def close(self) -> None: ...


def progress(*, lines: bool = True, stream: TextIO | None = None,
             clock: Callable[[], float] = time.monotonic) -> Progress:
    """The best progress display for the stream. Without `lines` nothing is shown where there is no bar."""
    stream = sys.stderr if stream is None else stream
    on_terminal = stream.isatty()
    if on_terminal and has_rich():
        return Bar(stream, clock)
    return Lines(stream, clock, LINE_EVERY_S[on_terminal]) if lines else Silence()


def has_rich() -> bool:
    return importlib.util.find_spec("rich") is not None


def spell(what: str, done: int, total: int, unit: str = "") -> str:
    """`reading: 40% (4 of 10 MB)`."""
    if unit == "bytes":
        done, total, unit = done >> 20, total >> 20, "MB"
    if not total:
        return f"{what}: {done:,} {unit}".rstrip()
    if total == 100 and not unit:
        return f"{what}: {done}%"
    return f"{what}: {min(done * 100 // total, 100)}% ({done:,} of {total:,} {unit}".rstrip() + ")"


class Silence:
    def show(self, what: str, done: int, total: int, unit: str = "") -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    def __init__(self, stream: TextIO, clock: Callable[[], float], every_s: float) -> None:
        self.stream = stream
        self.clock = clock
        self.every_s = every_s
        self.due_s = clock() + every_s

    def show(self, what: str, done: int, total: int, unit: str = "") -> None:
        now_s = self.clock()
        if now_s >= self.due_s:
            self.due_s = now_s + self.every_s
            self.stream.write(f"respram: {spell(what, done, total, unit)}\n")
            self.stream.flush()

    def close(self) -> None:
        pass


class Bar:
    """One bar. `show` draws it, and no thread does, since a node has no thread to spare."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self.stream = stream
        self.clock = clock
        self.due_s = clock() + BAR_FIRST_S
        self.drawn: Any = None
        self.task: Any = None

    def show(self, what: str, done: int, total: int, unit: str = "") -> None:
        now_s = self.clock()
        if now_s < self.due_s:
            return
        self.due_s = now_s + BAR_EVERY_S
        if self.drawn is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Drawn

            self.drawn = Drawn(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rest]}"),
                               console=Console(file=self.stream), auto_refresh=False, transient=True)
            self.drawn.start()
            self.task = self.drawn.add_task("", total=None, rest="")
        _, _, rest = spell(what, done, total, unit).partition(": ")
        self.drawn.update(self.task, description=what, completed=done, total=total or None, rest=rest)
        self.drawn.refresh()

    def close(self) -> None:
        """Removes the bar from the screen. A later `show` draws it again."""
        if self.drawn is not None:
            self.drawn.stop()
            self.drawn = None
        self.due_s = self.clock() + BAR_FIRST_S


def coloured(say: Say, styles: Iterable[Style], stream: TextIO | None = None) -> Say:
    """`say`, in the style of the first prefix that matches the line. Without a terminal or rich, `say` itself."""
    stream = sys.stdout if stream is None else stream
    if not stream.isatty() or not has_rich():
        return say
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    rules = tuple(styles)

    def paint(line: str) -> None:
        style = next((style for prefix, style in rules if line.startswith(prefix)), "")
        console.print(Text(line, style=style), soft_wrap=True)

    return paint


class Terminal:
    """Shows a node's progress to the person at its terminal; `server/showing.py` calls it."""

    def __init__(self) -> None:
        self.progress = progress(lines=False)

    def show(self, what: str, done: int, total: int, unit: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone while the node continues
            self.progress.show(what, done, total, unit)

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            self.progress.close()

    def say(self, line: str) -> None:
        self.clear()
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{line}\n")  # one write, so that a reader gets whole lines
            sys.stderr.flush()
