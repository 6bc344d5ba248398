"""Command lines: what is chosen, what is refused, where a try goes."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import canonical, commands, expiry_lag, memory, options, scaling, stalls
from benchmarks.servers import ROOT, BenchError, bounded
from tests.live import SOON_S

SCRIPTS = (canonical, commands, memory, stalls, expiry_lag, scaling)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.__name__)
def test_every_script_explains_itself(script: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(["--help"])  # type: ignore[attr-defined]
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("--servers", "--quick", "--turns", "--seconds-max"))


@pytest.mark.parametrize(
    ("script", "argv", "words"),
    [
        (canonical, ["--servers", "redis,reddis"], "there is no server 'reddis'"),
        (canonical, ["--rows", "nothing such"], "no row has such a title"),
        (canonical, ["--rows", "("], "no regular expression"),
        (canonical, ["--turns", "0"], "no whole number above 0"),
        (canonical, ["--seconds-max", "x"], "no whole number above 0"),
        (memory, ["--servers", "floor"], "none of these servers holds keys"),
        (memory, ["--keys", "-1"], "no whole number above 0"),
        (stalls, ["--phases", "grow,shrink"], "--phases takes"),
        (expiry_lag, ["--servers", "floor"], "none of these servers publishes"),
        (scaling, ["--axes", "depth"], "--axes takes"),
    ],
)
def test_a_wrong_word_is_told(script: object, argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(argv)  # type: ignore[attr-defined]
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_try_never_lands_where_results_lie() -> None:
    given, _, _ = canonical.parse(["--quick", "--servers", "floor"])
    assert options.out_path(given, "canonical", True).name == "try"
    given, _, _ = canonical.parse(["--servers", "floor"])
    assert options.out_path(given, "canonical", True).name == "try"
    given, _, _ = canonical.parse([])
    assert options.out_path(given, "canonical", False).name == "try"
    assert options.out_path(given, "canonical", True) == options.RESULTS / "canonical"
    given, _, _ = canonical.parse(["--servers", "floor", "--quick", "--out", "elsewhere/x"])
    assert options.out_path(given, "canonical", True) == Path("elsewhere/x")


def test_a_measurement_that_takes_too_long_is_given_up() -> None:
    def busy() -> None:
        with bounded(1):
            time.sleep(300)
            raise AssertionError("it went on")

    with pytest.raises(BenchError, match="given up"):
        busy()


def test_what_was_measured_is_saved_once_and_says_whether_it_is_whole() -> None:
    saved: list[bool] = []
    with options.saving(saved.append):
        pass
    assert saved == [True]

    def broken() -> None:
        with options.saving(saved.append):
            raise BenchError("too slow")

    with pytest.raises(BenchError, match="too slow"):
        broken()
    assert saved == [True, False]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("name", ["floor", "load"])
def test_the_c_programs_compile_without_a_warning_and_refuse_nonsense(name: str, tmp_path: Path) -> None:
    program = tmp_path / name
    command = [
        "cc",
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-O2",
        "-o",
        str(program),
        str(ROOT / "benchmarks" / f"{name}.c"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SOON_S)
    assert done.returncode == 0, done.stderr
    for argv in ([], ["65536"], ["--port", "x", "--op", "get"]):
        assert subprocess.run([str(program), *argv], capture_output=True, check=False, timeout=SOON_S).returncode == 2


def test_scripts_run_as_modules_from_the_root() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.canonical", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=SOON_S,
    )
    assert "MGET of 100, 100k keys, P=1" in done.stdout.splitlines()
