"""What ships: the metadata, the lock files, the Makefile's promises, the image, and the reference of options."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import respram
from release.interpreters import PROMISED
from respram.config.limits import Limits, bound_of
from respram.config.options import OPTIONS
from respram.server.peer import TOLD
from tests.reference import limits_table, options_table

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = tuple(f"requirements{name}.lock" for name in ("", "-dev", "-docs", "-release", "-quality", "-image"))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=;\[ ]", line)[0].lower() for line in requirements}


def locked(lock: str) -> dict[str, str]:
    """Name to version of what a lock file pins."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", (ROOT / lock).read_text(), re.MULTILINE))


# -- the package ----------------------------------------------------------------------------------
def test_the_server_needs_four_packages_and_the_extras_bring_the_rest() -> None:
    assert names(PROJECT["dependencies"]) == {"hiredis", "uvloop", "cryptography", "pybloom-live"}
    assert names(PROJECT["optional-dependencies"]["patterns"]) == {"redis"}
    assert all(re.search(r">=\d", line) for line in PROJECT["dependencies"])


def test_the_licence_is_named_and_travels() -> None:
    assert (PROJECT["license"], PROJECT["license-files"]) == ("Apache-2.0", ["LICENSE"])
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_opens_with_this_version() -> None:
    versions = re.findall(
        r"^## \[([^\]]+)\] - (unreleased|\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert versions[0][0] == respram.__version__
    assert all(date != "unreleased" for _, date in versions[1:])


def test_every_python_that_is_promised_is_in_every_list() -> None:
    """tests/test_release.py has the wheels, tests/test_workflows.py the workflow."""
    assert PROJECT["requires-python"] == f">={PROMISED[0]}"
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert named == [name for name in PROMISED if not name.endswith("t")]


def test_every_adapter_has_an_extra_that_asks_for_its_framework() -> None:
    """And the page on migrating names each of the extras."""
    adapters = {path.stem for path in (ROOT / "respram" / "adapters").glob("[a-z]*.py")} - {"overwrite_delete"}
    frameworks = {
        "aiocache_cache": "aiocache", "cachelib_cache": "cachelib",
        "django_cache": "django", "django_sessions": "django",
        "flask_caches": "flask-caching", "flask_sessions": "flask-session", "starlette_sessions": "starsessions",
    }  # fmt: skip
    assert set(frameworks) == adapters
    page = (ROOT / "docs" / "migrating.md").read_text()
    for name in frameworks.values():
        assert {name, "redis"} <= names(PROJECT["optional-dependencies"][name])
        assert f"| `{name}` |" in page


def test_the_version_is_said_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", respram.__version__)
    assert "version" in PROJECT["dynamic"]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_pins_versions_and_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert pins and all(re.match(r"[a-z0-9._-]+==[^ ]+( ; .+)? \\$", line) for line in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text and "--index" not in text


def test_the_lock_files_agree_and_cover_what_is_needed() -> None:
    serving, developing, documenting, releasing, judging, shipping = (locked(lock) for lock in LOCKS)
    extras = PROJECT["optional-dependencies"]
    assert serving.items() <= developing.items()
    assert names(PROJECT["dependencies"]) | {"setuptools", "cython"} <= set(serving)
    assert (names(extras["dev"]) - {"respram"}) | names(extras["patterns"]) | names(extras["gateway"]) <= set(
        developing
    )
    assert names(extras["docs"]) <= set(documenting) and names(extras["release"]) <= set(releasing)
    assert names(extras["quality"]) <= set(judging)
    assert serving.items() <= shipping.items() <= developing.items()
    assert names(extras["gateway"]) | names(extras["metrics"]) | names(extras["scripts"]) <= set(shipping)
    for lock in (documenting, releasing, judging):  # they are installed beside the tests' packages
        assert not {name for name in set(lock) & set(developing) if lock[name] != developing[name]}


def copy_of_the_sources(target: Path) -> Path:
    """What git would give a newcomer, without what was built here."""
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.o", "build", "*.egg-info")
    for name in ("respram", "docs"):
        shutil.copytree(ROOT / name, target / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "Makefile", *LOCKS):
        shutil.copy(ROOT / name, target / name)
    return target


BUILD = "import setuptools.build_meta as b, sys; getattr(b, sys.argv[1])(sys.argv[2])"


def build(kind: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    (folder / "dist").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", "dist"],
        cwd=folder, env=os.environ | variables, capture_output=True,
        text=True, timeout=500, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_source_archive_holds_every_source_of_both_engines(tmp_path: Path) -> None:
    folder = copy_of_the_sources(tmp_path)
    done = build("sdist", folder)
    assert done.returncode == 0, done.stderr[-2000:]
    (archive,) = (folder / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        packed = {name.partition("/")[2] for name in opened.getnames()}
    wanted = {
        path.relative_to(folder).as_posix() for path in (folder / "respram").rglob("*")
        if path.suffix in (".py", ".c", ".h", ".pyx", ".pxd", ".pxi", ".pyi") and path.name != "_native.c"
    }  # fmt: skip
    assert "respram/engine/pure/engine.py" in wanted
    assert wanted | {"setup.py", "pyproject.toml", "README.md", "respram/py.typed", *LOCKS} <= packed


@pytest.mark.slow
def test_without_a_compiler_the_package_builds_with_the_pure_engine_alone(tmp_path: Path) -> None:
    folder = copy_of_the_sources(tmp_path)
    done = build("wheel", folder, CC="/nowhere/cc", RESPRAM_REQUIRE_NATIVE="")
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        packed = opened.namelist()
        entries = next(name for name in packed if name.endswith("entry_points.txt"))
        assert "respram = respram.cli.main:entry" in opened.read(entries).decode()
    assert "respram/engine/pure/engine.py" in packed
    assert not [name for name in packed if name.endswith(".so") or name.startswith("tests")]


@pytest.mark.slow
def test_without_a_compiler_a_required_native_engine_is_an_error(tmp_path: Path) -> None:
    done = build("wheel", copy_of_the_sources(tmp_path), CC="/nowhere/cc", RESPRAM_REQUIRE_NATIVE="1")
    assert done.returncode != 0
    assert "/nowhere/cc" in done.stderr or "the native engine cannot be built" in done.stderr


# -- the two commands -----------------------------------------------------------------------------
def make_in(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    shutil.copy(ROOT / "Makefile", folder / "Makefile")
    (folder / "respram").mkdir(exist_ok=True)
    for name in (*LOCKS, "setup.py", "pyproject.toml", "respram/__init__.py"):
        (folder / name).touch()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *words], cwd=folder, env=env, capture_output=True, text=True, timeout=500, check=False
    )


def interpreter(folder: Path, version: tuple[int, int], *, has_venv: bool) -> Path:
    """This very Python, pretending to be of another version, or to lack what a bare package leaves out."""
    file = folder / "python"
    hidden = "" if has_venv else "sys.modules['ensurepip'] = None\n"
    file.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"sys.version_info = ({version[0]}, {version[1]}, 0)\n{hidden}exec(sys.argv[2])\n"
    )
    file.chmod(0o755)
    return file


def test_a_machine_with_an_old_python_gets_one_clear_line(tmp_path: Path) -> None:
    done = make_in(tmp_path, "serve", f"PYTHON={interpreter(tmp_path, (3, 10), has_venv=True)}")
    assert done.returncode != 0
    assert "respram needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_machine_without_the_venv_module_is_told_what_to_install(tmp_path: Path) -> None:
    done = make_in(tmp_path, "test", f"PYTHON={interpreter(tmp_path, (3, 12), has_venv=False)}")
    assert done.returncode != 0
    assert "apt install python3-venv" in done.stderr


def test_make_alone_lists_the_targets(tmp_path: Path) -> None:
    done = make_in(tmp_path)
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert {"serve", "test", "lint", "types", "unit", "build", "clean", "help"} <= listed


# -- the image and the check ----------------------------------------------------------------------
def test_the_image_is_small_unprivileged_healthy_and_never_without_the_native_engine() -> None:
    text = (ROOT / "Dockerfile").read_text()
    head, first, second = re.split(r"(?m)^FROM ", text)
    assert "AS build" in first and "RESPRAM_REQUIRE_NATIVE=1" in first and "--require-hashes" in first
    assert re.search(r"^ARG BASE=python:3\.12-slim-bookworm@sha256:[0-9a-f]{64}$", head, re.MULTILINE)
    assert first.startswith("${BASE} AS build\n") and second.startswith("${BASE}\n"), "both stages have one base"
    snapshot = re.search(r"^ARG DEBIAN_SNAPSHOT=(20\d{6}T\d{6}Z)$", first, re.MULTILINE)
    assert snapshot and "$DEBIAN_SNAPSHOT" in first.partition("apt-get install")[0]
    assert "apt-get" not in second
    assert "gcc" not in second and "pip" not in second
    assert "RESPRAM_ENGINE=native" in second
    assert "-r requirements-image.lock" in first
    owner, volume = second.index("-o 10001 -g 10001 /data"), second.index("\nVOLUME /data\n")
    assert owner < volume, "what is made behind it is not on the volume"
    assert not re.search(r"--platform=|x86_64|aarch64", first + second), "the file is for both architectures"
    assert re.search(r"^USER 10001$", second, re.MULTILINE)
    assert re.search(r'^HEALTHCHECK .*CMD \["respram", "ping"\]$', second, re.MULTILINE)
    copied = {word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", first, re.MULTILINE) for word in line.split()}
    assert copied and all((ROOT / name).exists() for name in copied)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert "org.opencontainers.image.licenses=Apache-2.0" in second


def test_the_check_runs_make_test_and_is_bash_that_parses() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script.read_text() and "make test" in script.read_text()
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


# -- the documents --------------------------------------------------------------------------------
def test_the_reference_of_options_and_limits_is_what_the_tables_say() -> None:
    """`python -m tests.reference` writes it anew."""
    text = (ROOT / "docs/operating.md").read_text()
    assert options_table() in text and limits_table() in text
    assert options_table().count("\n") > len(OPTIONS)
    assert all(f"`{name}`" in limits_table() for name in Limits.__dataclass_fields__)
    assert all(bound_of(one).why in limits_table() for one in Limits.__dataclass_fields__.values())


def test_every_line_of_the_log_is_explained() -> None:
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("operating.md", "peers.md"))
    source = "\n".join(path.read_text() for path in (ROOT / "respram").rglob("*.py"))
    events = set(re.findall(r"event=([a-z_]+[a-z])\b(?!_?[{%])", source)) | set(
        re.findall(r'[rR]eport\(\s*"([a-z_]+)"', source)
    )
    events |= {
        "died",
        "left",
        *(f"link_{fault}" for fault in TOLD),
        *(f"snapshot_{fault}" for fault in ("corrupt", "stale", "foreign")),
    }
    assert len(events) > 40
    assert sorted(event for event in events if f"`{event}`" not in pages and f"`event={event}`" not in pages) == []


def test_the_readme_has_the_two_commands_and_a_first_session() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make serve" in text and "make test" in text and "redis-cli" in text
    linked = re.findall(r"\]\((?!http)([^)#]+)", text)
    assert linked and all((ROOT / path).exists() for path in linked)
