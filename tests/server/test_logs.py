"""The journal: all lines of an ordinary burst, a bounded number of an attack's."""

import json
import logging

import pytest

from respram.server.logs import LINES_MAX, QUIET_MS, Journal, JsonFormatter


class Clock:
    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("respram"), "propagate", True)
    caplog.set_level(logging.INFO, "respram")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.usefixtures("lines")
def test_all_peers_that_come_at_once_are_named(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(clock)
    for number in range(LINES_MAX):
        journal(f"event=met peer={number}")
    assert said(caplog) == [f"event=met peer={number}" for number in range(LINES_MAX)]


@pytest.mark.usefixtures("lines")
def test_an_attack_gets_a_line_a_second_and_the_rest_is_counted(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(clock)
    for _ in range(1_000):
        journal("event=tls_failed reason=x")
        journal("event=other")
    assert len(said(caplog)) == 2 * LINES_MAX
    for second in range(1, 4):
        for _ in range(100):
            clock.ms += QUIET_MS // 100
            journal("event=tls_failed reason=y")
        assert len(said(caplog)) == 2 * LINES_MAX + second
    assert said(caplog)[2 * LINES_MAX :] == [
        f"event=tls_failed reason=y held_back={1_000 - LINES_MAX + 99}", *["event=tls_failed reason=y held_back=99"] * 2
    ]
    clock.ms += 3_600_000
    for _ in range(100):
        journal("event=tls_failed reason=z")
    assert len(said(caplog)) == 3 * LINES_MAX + 3, "no more is saved up"


@pytest.mark.usefixtures("lines")
def test_a_clock_set_back_does_not_silence_the_log(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(clock)
    for _ in range(100):
        journal("event=met")
    clock.ms -= 3_600_000
    journal("event=met")
    clock.ms += QUIET_MS
    journal("event=met")
    assert said(caplog)[-1] == f"event=met held_back={101 - LINES_MAX}"


@pytest.mark.usefixtures("lines")
def test_kinds_without_end_do_not_fill_memory(clock: Clock) -> None:
    journal = Journal(clock)
    for number in range(10_000):
        journal(f"event={number}")
    assert len(journal._kinds) <= 256


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("event=start pid=17 engine=native", {"event": "start", "pid": 17, "engine": "native"}),
        ("event=unreached why='it\\'s gone' address=h:1", {"event": "unreached", "why": "it's gone", "address": "h:1"}),
        (
            "event=let_go user=default commands=DEL: every client",
            {"event": "let_go", "commands": "DEL:", "user": "default"},
        ),
        (
            "event=level peer=0000000000000123 empty= level=9",
            {"peer": "0000000000000123", "empty": "", "level": "warning"},
        ),
        ('event=odd why="\u2028 \\n"', {"event": "odd", "why": "\u2028 n"}),
        ("no field at all", {}),
    ],
)
def test_a_line_as_json_has_the_line_and_its_fields(line: str, fields: dict[str, str | int]) -> None:
    record = logging.LogRecord("respram", logging.WARNING, "", 0, "%s", (line,), None)
    record.created, record.msecs = 1_000_000_000.25, 250.0
    text = JsonFormatter().format(record)
    told = json.loads(text)
    assert "\n" not in text and text.isascii()
    assert (told["time"], told["level"], told["message"]) == ("2001-09-09T01:46:40.250Z", "warning", line)
    assert {name: told[name] for name in fields} == fields
