"""What is shown of what takes long: to a terminal as it goes, to the log now and then."""

import asyncio

from respram.server import showing
from respram.server.showing import Showing, Step


class Screen:
    def __init__(self) -> None:
        self.said: list[str] = []

    def show(self, what: str, done: int, total: int, unit: str) -> None:
        self.said.append(f"{what} {done} of {total} {unit}".rstrip())

    def clear(self) -> None:
        self.said.append("")

    def say(self, line: str) -> None:
        self.said.append(line)


class Loop:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.s = 0.0
        self.timers: list[tuple[float, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.s

    def call_later(self, delay_s: float, call: object) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.s + delay_s, call, (), self)  # type: ignore[arg-type]
        self.timers.append((self.s + delay_s, handle))
        return handle

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def pass_by(self, seconds: float) -> None:
        end_s = self.s + seconds
        while self.timers and self.timers[0][0] <= end_s:
            self.s, handle = self.timers.pop(0)
            if not handle.cancelled():
                handle._run()
        self.s = end_s


def made(steps: list[Step | None], screen: Screen | None) -> tuple[Showing, Loop, list[str]]:
    loop, lines = Loop(), list[str]()

    def log(line: str, level: int = 0) -> None:
        lines.append(line)

    one = Showing(loop, log, lambda: steps.pop(0) if len(steps) > 1 else steps[0], screen)  # type: ignore[arg-type]
    return one, loop, lines


def test_a_terminal_is_shown_each_look_and_told_the_end_once() -> None:
    screen = Screen()
    shown, loop, lines = made([Step("reading", 1, 4, "bytes"), Step("reading", 3, 4, "bytes"), None], screen)
    shown.begin(lambda: screen.say("ready"))
    loop.pass_by(1)
    assert screen.said == ["", "reading 1 of 4 bytes", "reading 3 of 4 bytes", "", "ready"] and lines == []
    loop.pass_by(100)
    assert screen.said[-1] == "ready" and not [one for one in loop.timers if not one[1].cancelled()]


def test_the_log_has_a_line_for_what_lasts_and_none_where_nothing_moves() -> None:
    steps: list[Step | None] = [Step("reading snapshots", number, 9, "bytes") for number in (0, 2, 4)]
    shown, loop, lines = made([*steps, Step("looking for peers", 0, 0, "")], None)
    shown.begin()
    loop.pass_by(showing.LOG_EVERY_S * 20)
    assert lines == [
        "event=progress what=reading_snapshots done=2 of=9 unit=bytes",
        "event=progress what=reading_snapshots done=4 of=9 unit=bytes",
        "event=progress what=looking_for_peers done=0 of=0 unit=none",
    ]


def test_who_ends_it_hears_nothing_more() -> None:
    screen, told = Screen(), list[str]()
    shown, loop, _ = made([Step("reading", 0, 1, "")], screen)
    shown.begin(lambda: told.append("ready"))
    loop.pass_by(1)
    shown.end()
    seen = len(screen.said)
    loop.pass_by(60)
    assert len(screen.said) == seen and told == []
