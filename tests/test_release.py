"""What `make release` and `make matrix` are made of: finding interpreters, the papers, the smoke test."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import respram
from release import build, cross, interpreters, matrix, papers, smoke
from tests.engine.conftest import PURE_ONLY

ROOT = Path(__file__).parent.parent
ENGINE = "pure" if PURE_ONLY else "native"


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


# -- interpreters ---------------------------------------------------------------------------------
def test_an_interpreter_says_what_it_is() -> None:
    found = interpreters.ask(sys.executable)
    assert found is not None
    assert found.name.removesuffix("t") == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert found.version.startswith(found.name.removesuffix("t"))


@pytest.mark.parametrize(
    "text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho 'python3.12: command not found'\n", "no program at all"]
)
def test_what_answers_to_the_name_alone_is_no_interpreter(text: str, tmp_path: Path) -> None:
    assert interpreters.ask(script(tmp_path / "python3.12", text)) is None
    assert interpreters.ask(str(tmp_path / "nothing")) is None


def test_another_implementation_is_not_taken_for_cpython(tmp_path: Path) -> None:
    said = json.dumps(["pypy", "3.11", False, "3.11.1", "/opt/pypy"])
    assert interpreters.ask(script(tmp_path / "python3.11", f"#!/bin/sh\necho '{said}'\n")) is None


def test_named_interpreters_are_tried_first_and_the_free_threaded_one_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for version, threaded in (("3.14", "true"), ("3.14", "false")):
        said = f'["cpython", "{version}", {threaded}, "{version}.0", "/opt/{version}-{threaded}"]'
        paths.append(script(tmp_path / f"{version}-{threaded}", f"#!/bin/sh\necho '{said}'\n"))
    monkeypatch.setenv("RESPRAM_PYTHONS", ":".join(paths))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    found = interpreters.find()
    assert {name: one.path for name, one in found.items()} == {"3.14": "/opt/3.14-false", "3.14t": "/opt/3.14-true"}
    assert interpreters.missing(found) == ["3.11", "3.12", "3.13"]


# -- the matrix -----------------------------------------------------------------------------------
def test_the_report_names_what_failed_and_what_was_not_there() -> None:
    python = interpreters.Interpreter("3.12", "3.12.1", "/opt/python3.12")
    text = matrix.report([matrix.Outcome(python, False, "1 failed (see build/matrix/3.12.log)", 61.4)], ["3.14"])
    assert text.splitlines() == [
        "matrix: 3.12  (3.12.1) FAILED in 61 s: 1 failed (see build/matrix/3.12.log)",
        "matrix: 3.14  is not on this machine; not tested",
    ]


def test_the_matrix_tests_the_tree_as_git_sees_it(tmp_path: Path) -> None:
    names = matrix.tracked() if (ROOT / ".git").exists() else pytest.skip("no checkout")
    assert "respram/engine/api.py" in names
    assert not [name for name in names if name.endswith(".so") or name.startswith((".venv/", "build/"))]


# -- the papers -----------------------------------------------------------------------------------
def test_sha256sum_accepts_the_checksums(tmp_path: Path) -> None:
    for name in ("b.whl", "a.tar.gz"):
        (tmp_path / name).write_bytes(name.encode())
    text = papers.checksums(tmp_path.iterdir())
    assert [line.split("  ")[1] for line in text.splitlines()] == ["a.tar.gz", "b.whl"]
    (tmp_path / "SHA256SUMS").write_text(text)
    words = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(words, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "b.whl").write_bytes(b"exchanged")
    assert subprocess.run(words, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_the_bill_of_materials_names_the_version_that_it_is_about() -> None:
    """What cyclonedx-py writes for a project with a dynamic version."""
    made = {"metadata": {"component": {"name": "respram", "type": "application"}, "timestamp": "t"}, "components": []}
    bill = papers.with_version(made, "0.2.0")
    assert bill["metadata"]["component"] == {
        "name": "respram", "type": "application", "version": "0.2.0", "purl": "pkg:pypi/respram@0.2.0"
    }  # fmt: skip
    assert bill["metadata"]["timestamp"] == "t" and bill["components"] == []


def test_the_bill_of_materials_has_the_versions_of_the_lock_file() -> None:
    pins = build.pins(ROOT)
    assert {"hiredis", "uvloop", "cryptography", "pybloom-live", "cffi", "setuptools", "cython"} <= set(pins)
    components = [{"name": "pybloom_live", "version": pins["pybloom-live"]}, {"name": "uvloop", "version": "9.9"}]
    bill = {"components": [*components, {"name": "somebody", "version": "1"}]}
    assert papers.not_pinned(bill, pins) == ["uvloop 9.9", "somebody 1"]
    assert papers.not_pinned({"components": components[:1]}, pins) == []


def test_the_provenance_names_every_file_and_all_that_went_in(tmp_path: Path) -> None:
    file = tmp_path / "respram-1.whl"
    file.write_bytes(b"wheel")
    text = papers.provenance(
        [file], ROOT, "c0ffee", {"python": "3.11.7"}, "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
    )
    said = json.loads(text)
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert said["subject"] == [{"name": "respram-1.whl", "digest": {"sha256": papers.sha256(file)}}]
    inputs = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert inputs[0]["digest"] == {"gitCommit": "c0ffee"}
    assert {one["name"] for one in inputs[1:] if "lock" in one["name"]} == {
        path.name for path in ROOT.glob("requirements*.lock")
    }
    assert str(ROOT) not in text and str(tmp_path) not in text


def test_a_wheel_without_its_compiled_parts_is_refused(tmp_path: Path) -> None:
    names = ["respram/__init__.py", "respram/engine/native/_native.abi3.so", "respram/wire/_fields.abi3.so",
             "respram/server/_pump.abi3.so"]
    for left_out, extra in (("", ""), (names[1], ""), (names[2], ""), ("", "tests/test_release.py")):
        path = tmp_path / "respram-1-cp311-abi3-linux_x86_64.whl"
        with zipfile.ZipFile(path, "w") as made:
            for name in [*names, *([extra] if extra else [])]:
                if name != left_out:
                    made.writestr(name, "")
        if left_out or extra:
            with pytest.raises(build.ReleaseError, match=r"lacks|holds"):
                build.holds_everything(path)
        else:
            build.holds_everything(path)


# -- wheels of other machines ---------------------------------------------------------------------
def test_wheels_are_built_for_every_python_that_is_promised_and_required_to_be_native() -> None:
    wheels = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    tags = [f"cp{name.replace('.', '')}-*" for name in interpreters.PROMISED]
    assert wheels["build"] == tags
    assert wheels["environment"] == {"RESPRAM_ABI3": "1", "RESPRAM_REQUIRE_NATIVE": "1"}
    assert wheels["linux"]["archs"] == ["x86_64", "aarch64"] and wheels["macos"]["archs"] == ["x86_64", "arm64"]
    assert "release/smoke.py --engine native" in wheels["test-command"]
    for arch in wheels["linux"]["archs"]:
        assert {f"manylinux-{arch}-image", f"musllinux-{arch}-image"} <= set(wheels)


# -- the smoke test -------------------------------------------------------------------------------
def test_the_smoke_test_passes_on_what_is_installed_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["smoke.py", "--engine", ENGINE, "--version", respram.__version__]
    monkeypatch.setattr(sys, "argv", words)
    assert smoke.main() == 0
    assert f"respram {respram.__version__}" in capsys.readouterr().out


def test_the_smoke_test_fails_on_another_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["smoke.py", "--version", "0.0.1"])
    assert smoke.main() == 1
    assert "instead of 'respram 0.0.1'" in capsys.readouterr().err


def test_the_smoke_test_fails_on_a_missing_engine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "native" if PURE_ONLY else "pure"
    monkeypatch.setattr(sys, "argv", ["smoke.py", "--engine", other])
    assert smoke.main() == 1
    assert f"the log names the engine {other}" in capsys.readouterr().err


# -- wheels for other machines ----------------------------------------------------------------------
def library(machine: int) -> bytes:
    return b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + bytes(44)


def test_a_wheel_tells_for_which_machines_its_libraries_are(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as opened:
        opened.writestr("respram/one.abi3.so", library(183))
        opened.writestr("respram/two.abi3.so", library(62))
        opened.writestr("respram/three.abi3.so", "not a library")
        opened.writestr("respram/four.py", library(40))
    assert cross.machines(wheel) == {183, 62}


def test_every_system_that_is_cross_compiled_is_one_that_cibuildwheel_builds() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    for tag in cross.TARGETS:
        arch = "aarch64" if tag.endswith("aarch64") else "x86_64"
        image = tag.removesuffix(f"_{arch}")
        assert settings[f"{image.partition('_')[0]}-{arch}-image"] == image and arch in settings["linux"]["archs"]


def test_without_zig_or_with_an_unknown_tag_nothing_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["cross", "win_amd64"])
    assert cross.main() == 1 and "win_amd64 is none of" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["cross"])
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(cross, "find_spec", lambda name: None)
    assert cross.main() == 1 and "pip install ziglang" in capsys.readouterr().err
