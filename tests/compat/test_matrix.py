"""The matrix itself: what an entry must say, what a verdict is made of, what the page says of it, and one run for real.
"""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from compat import entries as folder
from compat.entries import CHECKS, Entry, EntryError, Run, entries, read_entry
from compat.install import KINDS, NotInstalledError, copy_files, digest_of, prepared
from compat.matrix import _variables, engine_of, main
from compat.results import (
    MARKERS,
    Row,
    letting_go,
    note,
    page,
    rows_from,
    rows_into,
    summary,
    table,
    unlike,
    with_summary,
)
from compat.stages import TLS, Nodes
from compat.tls import issue
from compat.verdict import BUSY_LOAD, Verdict, judge, with_load
from respram.config.settings import UNIX_PATH_BYTES_MAX
from tests.live import SOON_S

ROOT = Path(__file__).parent.parent.parent
FOUND = entries()
GOOD = 'title = "A client"\nlanguage = "Python"\ninstall = "none"\n[[run]]\ncommand = ["true"]\n'


def entry(group: str = "clients", **more: object) -> Entry:
    facts = {
        "folder": Path("x"),
        "group": group,
        "title": "A client",
        "language": "Python",
        "install": "none",
        "runs": (),
    }
    return Entry(**{**facts, **more})  # type: ignore[arg-type]


# -- the entries ----------------------------------------------------------------------------------
def test_there_are_entries_of_both_kinds_and_a_core_of_them() -> None:
    assert {one.group for one in FOUND} == {"clients", "frameworks"}
    core = {one.name for one in FOUND if one.core}
    assert core >= {"redis_py", "redis_py_5", "node_redis", "ioredis", "hiredis", "redis_cli", "django",
                    "flask_session", "celery", "keyv"}
    assert all(one.install in KINDS for one in FOUND)


@pytest.mark.parametrize("one", FOUND, ids=lambda one: one.name)
def test_an_entry_pins_every_version_and_names_no_host(one: Entry) -> None:
    for path in one.folder.rglob("*"):
        if path.name in ("requirements.txt", "sources.txt"):
            assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in path.read_text().split())
        if path.name == "package.json":
            assert all(
                re.fullmatch(r"[0-9.]+", version) for version in json.loads(path.read_text())["dependencies"].values()
            )
            assert (path.parent / "package-lock.json").exists()
        if path.name in ("package-lock.json", "requirements.txt"):
            assert "resolved" not in path.read_text() and "--index" not in path.read_text()
        if path.name == "go.mod":
            assert (path.parent / "go.sum").exists()
        if path.name == "Cargo.toml":
            pins = re.findall(r"^\w+ = (.+)$", path.read_text().partition("[dependencies]")[2], re.MULTILINE)
            assert pins and all('"=' in pin for pin in pins)
            assert (path.parent / "Cargo.lock").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("title", "tilte"), "tilte"),
        (GOOD.replace('"none"', "3"), "install"),
        (GOOD.replace('language = "Python"\n', ""), "language"),
        ("seconds = 0\n" + GOOD, "seconds"),
        (GOOD + '[[run]]\ncommand = ["false"]\n', "one name"),
        (GOOD + 'socket = "yes"\n', "socket"),
        (GOOD + 'socket = true\ncluster = "yes"\n', "socket"),
    ],
)
def test_an_entry_that_is_wrong_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "entry.toml").write_text(text)
    with pytest.raises(EntryError, match=said):
        read_entry(tmp_path)


def test_clients_of_four_languages_go_by_the_unix_socket_too() -> None:
    found = {one.name for one in FOUND for run in one.runs if run.socket}
    assert found == {"redis_py", "ioredis", "go_redis", "phpredis"}


def test_a_program_is_told_of_the_socket_where_its_run_goes_by_it() -> None:
    stage = Nodes("pure")
    told = [_variables(stage, Run("", (), socket=by))["RESPRAM_SOCKET"] for by in (True, False)]
    assert told == [stage.socket, ""] and 0 < len(stage.socket) < UNIX_PATH_BYTES_MAX
    assert stage.socket != Nodes("pure").socket


def test_the_open_node_answers_by_its_socket_before_and_after_a_restart() -> None:
    issue(TLS)
    stage = Nodes("pure")
    stage.open()
    try:
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(SOON_S)
                sock.connect(stage.socket)
                sock.sendall(b"PING\r\n")
                assert sock.recv(64) == b"+PONG\r\n"
            stage.restart()
    finally:
        stage.close()
    assert not Path(stage.socket).exists()


# -- verdicts -------------------------------------------------------------------------------------
def test_refusals_by_design_are_no_failures_and_no_passes_and_skips_do_not_count() -> None:
    verdict = judge(["version 1.2", "chatter", "ok a", "limit b deletes are refused", "skip c no such thing", "done"])
    assert (verdict.version, verdict.passed, verdict.counted, verdict.word) == ("1.2", 1, 2, "works except")
    assert verdict.is_good
    assert note(verdict) == "by design: b (deletes are refused); left out: c (no such thing)"


@pytest.mark.parametrize(
    ("lines", "ended", "failed"),
    [
        (["ok a", "fail b expected=1 got=2", "done"], "", ["b"]),
        (["ok a"], "", ["end"]),
        (["ok a", "done"], "exit code 1", ["end"]),
        (["ok a", "ok a", "done"], "", ["a"]),
        ([], "", ["end"]),
    ],
)
def test_what_failed_or_did_not_end_is_no_pass(lines: list[str], ended: str, failed: list[str]) -> None:
    verdict = judge(lines, (), ended)
    assert [check.name for check in verdict.named("fail")] == failed
    assert not verdict.is_good and verdict.word == "fails"


def test_what_is_of_no_use_here_says_so_and_counts_for_no_framework() -> None:
    lines = ["limit count a script", "ok get", "cannot it counts by scripts", "done"]
    verdict = judge(lines)
    assert (verdict.word, note(verdict)) == ("cannot", "it counts by scripts; by design: count (a script)")
    assert judge(["fail a expected=1 got=2", *lines]).word == "fails"
    frame = entry(group="frameworks")
    assert "0 frameworks and suites" in summary([Row(frame, Run("", ()), verdict, 1.0)])
    rows = [Row(frame, Run("a", ()), verdict, 1.0), Row(frame, Run("b", ()), judge(["ok a", "done"]), 1.0)]
    assert "1 frameworks and suites" in summary(rows)


def test_a_check_that_is_not_named_has_failed() -> None:
    verdict = judge([*(f"ok {name}" for name in CHECKS if name != "watch"), "done"], CHECKS)
    assert [check.name for check in verdict.named("fail")] == ["watch"]


def test_figures_of_a_busy_machine_say_so_and_all_else_is_as_it_was() -> None:
    timed, plain = judge(["ok failover", "figure failover_ms=7", "done"]), judge(["ok get", "done"])
    busy = with_load(timed, BUSY_LOAD * 2, 2)
    assert busy.figures == ("failover_ms=7", "on a busy machine: load 8, 2 processors")
    assert busy.checks == timed.checks and busy.word == "works"
    assert with_load(timed, BUSY_LOAD * 2 - 0.1, 2) == timed and with_load(plain, 100.0, 2) == plain


def test_a_run_without_one_check_proves_nothing() -> None:
    assert not judge(["skip a nothing there", "done"]).is_good


# -- the page -------------------------------------------------------------------------------------
def test_what_was_not_run_is_said_and_not_counted() -> None:
    rows = [
        Row(entry(), Run("sync", ()), judge(["version 1", "ok a", "ok b", "done"]), 1.0),
        Row(entry(title="Other|client"), Run("", ()), judge(["fail a expected=1 got=x|y", "done"]), 1.0),
        Row(entry(group="frameworks", title="Frame"), Run("", ()), Verdict(missing="no php on this machine"), 0.0),
    ]
    said = summary(rows)
    assert said.startswith("2 runs of unmodified clients and frameworks in 1 languages: 1 pass every check, and 0 pass")
    assert "that respram refuses, 1 fail for another reason; 1 not run. A refusal can break" in said
    assert ": 0 of 3 checks met one" in said
    text = page(rows, "native")
    assert "| A client (sync) | 1 | Python | 2/2 | works |  |  |" in text
    assert "no php on this machine" in text and "a: `expected=1 got=x/y`" in text
    assert "Engine: native." in text and text.count("\n## ") == 3
    assert len(table(rows).splitlines()) == 5


def test_what_may_let_go_is_held_against_redis_check_by_check() -> None:
    """A failure that redis-server has as well is none of the node's; what varies from run to run is no difference."""
    frame, plain = entry(group="frameworks", title="Frame"), judge(["limit clear a delete", "ok get", "done"])
    wanted = judge(["version 1", "fail clear expected=refused got=OK in 17 ms", "ok get", "done"])
    same = judge(["version 1", "fail clear expected=refused got=OK in 3 ms", "ok get", "done"])
    other = judge(["fail clear expected=refused got=NOPERM", "done"])
    rows = [Row(frame, Run(name, ()), plain, 1.0, given, wanted) for name, given in (("a", same), ("b", other))]
    assert [letting_go(row) for row in rows] == ["as Redis", "0 of 2 as Redis"]
    assert [check.name for check in unlike(rows[1])] == ["clear", "get"]
    assert not unlike(Row(frame, Run("c", ()), plain, 1.0, judge(["ok clear", "ok get", "done"]), wanted))
    text = table(rows)
    assert "| Frame (a) |  | Python | 1/2 | works except | as Redis | by design: clear (a delete) |" in text
    assert "other than Redis: clear (expected=refused got=NOPERM), get (not reached)" in text
    assert (
        "1 of 2 runs of frameworks and suites behave as on Redis in every check; 2 of their 4 checks differ"
        in summary(rows)
    )
    assert "as on Redis" not in summary([Row(frame, Run("", ()), plain, 1.0)])


def test_rows_are_kept_between_two_runs_as_they_were() -> None:
    frame, plain = (
        entry(group="frameworks", runs=(Run("a", ()),)),
        judge(["version 1", "limit clear a delete", "ok get", "done"]),
    )
    rows = [Row(frame, Run("a", ()), plain, 1.5, judge(["ok get", "figure ms=3", "done"]), None)]
    assert rows_from(frame, rows_into(rows)) == rows
    assert rows_from(entry(group="frameworks", runs=(Run("b", ()),)), rows_into(rows)) == []


def test_the_summary_stands_between_the_markers_of_the_readme_and_nowhere_else() -> None:
    begin, end = MARKERS
    text = f"above\n{begin}\nan older one\n{end}\nbelow\n"
    assert with_summary(text, "1 of 1") == f"above\n{begin}\n1 of 1\n{end}\nbelow\n"
    assert with_summary("no markers\n", "1 of 1") == "no markers\n"
    assert (ROOT / "README.md").read_text().count(begin) == 1


# -- installing -----------------------------------------------------------------------------------
def test_what_the_machine_lacks_is_the_reason_for_not_running() -> None:
    with pytest.raises(NotInstalledError, match=r"no no-such-program on this machine \(Debian: such-a-package\)"):
        prepared(entry(needs=("no-such-program",), debian=("such-a-package",)))
    with pytest.raises(NotInstalledError, match="conjure is no way to install"):
        prepared(entry(install="conjure"))


def test_the_files_of_the_source_come_first_and_its_own_replace_them(tmp_path: Path) -> None:
    first, own, target = (tmp_path / name for name in ("first", "own", "target"))
    for place, name, text in ((first, "program", "1"), (first, "pins", "1"), (own, "pins", "2")):
        place.mkdir(exist_ok=True)
        (place / name).write_text(text)
    copied = copy_files(entry(folder=own, source=first), target)
    assert {(path.name, path.read_text()) for path in copied} >= {("program", "1"), ("pins", "2")}
    before = digest_of(copied, target)
    (own / "pins").write_text("3")
    assert digest_of(copy_files(entry(folder=own, source=first), target), target) != before


# -- for real -------------------------------------------------------------------------------------
PROGRAM = """
from telling import PORT, HOST, check, restart, same, say
import socket

def ask(line):
    with socket.create_connection((HOST, PORT)) as wire:
        wire.sendall(line)
        return wire.recv(100)

say("version", "1")
check("ping", lambda: same(ask(b"PING\\r\\n"), b"+PONG\\r\\n"))
check("set", lambda: same(ask(b"SET a 1\\r\\n"), b"+OK\\r\\n"))
restart()
check("forgotten", lambda: same(ask(b"GET a\\r\\n"), ANSWER))
say("done")
"""


@pytest.mark.parametrize(("answer", "code"), [("b'$-1\\r\\n'", 0), ("b'$1\\r\\n1\\r\\n'", 1)])
def test_a_program_gets_nodes_of_its_own_and_a_restart(
    answer: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "clients" / "small"
    place.mkdir(parents=True)
    (place / "entry.toml").write_text(
        'title = "small"\nlanguage = "Python"\ninstall = "none"\nfree = true\nseconds = 300\n[[run]]\ncommand = '
        f'["{sys.executable}", "p.py"]\n'
    )
    (place / "p.py").write_text(PROGRAM.replace("ANSWER", answer))
    monkeypatch.setattr("compat.install.CACHE", tmp_path / "cache")
    monkeypatch.setattr("compat.matrix.entries", lambda: folder.entries(tmp_path))
    results = tmp_path / "RESULTS.md"
    assert main(["small", "--engine", "pure", "--results", str(results)]) == code
    assert ("| small | 1 | Python | 3/3 | works |  |  |" in results.read_text()) == (code == 0)
    assert ("expected=b'$1" in capsys.readouterr().out) == (code == 1)


def test_a_program_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "clients" / "stuck"
    place.mkdir(parents=True)
    (place / "entry.toml").write_text(
        'title = "stuck"\nlanguage = "C"\ninstall = "none"\nfree = true\nseconds = 1\n[[run]]\ncommand = ["sleep", '
        '"60"]\n'
    )
    monkeypatch.setattr("compat.install.CACHE", tmp_path / "cache")
    monkeypatch.setattr("compat.matrix.entries", lambda: folder.entries(tmp_path))
    assert main(["stuck", "--engine", "pure"]) == 1
    assert "no end within 1 s" in capsys.readouterr().out


def test_the_engine_of_the_page_is_the_one_that_a_node_takes() -> None:
    assert engine_of("pure") == "pure"
    built = (
        subprocess.run(
            [sys.executable, "-c", "import respram.engine.native._native"], capture_output=True, check=False
        ).returncode
        == 0
    )
    assert engine_of("auto") == ("native" if built else "pure")


def test_the_wrapper_in_the_documentation_is_the_one_that_is_tested() -> None:
    code = (ROOT / "compat" / "shared" / "letting_go.mjs").read_text()
    assert code in (ROOT / "docs" / "migrating.md").read_text()


def test_the_names_on_the_command_line_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-client"]) == 2
    assert "no-such-client" in capsys.readouterr().err
    assert main(["--core", "--list"]) == 0
    assert "clients/redis_py" in capsys.readouterr().out
