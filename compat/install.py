"""Brings an entry's dependencies into a folder of its own under `build/compat`, once for each set of versions.

The files of the entry are copied there and the programs run there, so that no checkout is littered. What
is installed is remembered by a digest of the files that name versions; a changed program alone installs
nothing anew, except where it is compiled. The package managers run as they are set up on the machine.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compat.entries import ROOT, Entry

PORTS = ROOT.parent / "tests" / "ports.py"  # with this a program reserves ports for the servers that it starts
CACHE = ROOT.parent / "build" / "compat"  # build/ is not under version control
INSTALL_S = 600.0
OUTPUT_CHARS_MAX = 600  # the end of the output of a failed installation


class NotInstalledError(Exception):
    """Why an entry cannot be run on this machine."""


@dataclass(frozen=True, slots=True)
class Kind:
    needs: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]
    pins: tuple[str, ...] = ()  # the files that name versions; empty: every file, because all are compiled


PYTHON = "env/bin/python"
KINDS = {
    "none": Kind((), ()),
    "venv": Kind(
        (),
        (
            (sys.executable, "-m", "venv", "--clear", "env"),
            (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r",
             "requirements.txt"),
            (PYTHON, "unpack_sources.py"),
        ),
        ("requirements.txt", "sources.txt"),
    ),
    "npm": Kind(
        ("node", "npm"),
        (("npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"),),
        ("package.json", "package-lock.json"),
    ),
    "go": Kind(("go",), (("go", "build", "-o", "program", "."),)),
    "cargo": Kind(("cargo",), (("cargo", "build", "--quiet", "--locked"),)),
    "maven": Kind(("mvn", "java"), (("mvn", "-q", "-B", "-DskipTests", "package"),)),
    "make": Kind(("make", "cc"), (("make", "--quiet"),)),
}


def prepared(entry: Entry) -> Path:
    """The folder to run in. Raises NotInstalledError with the reason, in one line."""
    if entry.install not in KINDS:
        raise NotInstalledError(f"{entry.install} is no way to install; there are {', '.join(KINDS)}")
    kind = KINDS[entry.install]
    absent = [name for name in (*kind.needs, *entry.needs) if not present(name)]
    if absent:
        packages = f" (Debian: {' '.join(entry.debian)})" if entry.debian else ""
        raise NotInstalledError(f"no {', '.join(absent)} on this machine{packages}")
    folder = CACHE / entry.group / entry.name
    copied = copy_files(entry, folder)
    digest = digest_of([path for path in copied if not kind.pins or path.name in kind.pins], folder)
    stamp = folder / ".installed"
    with _alone(folder):
        if not stamp.exists() or stamp.read_text() != digest:
            stamp.unlink(missing_ok=True)
            for step in kind.steps:
                _do(step, folder)
            stamp.write_text(digest)
    return folder


def present(need: str) -> bool:
    """A program on the PATH, or a file by its full name."""
    return Path(need).exists() if need.startswith("/") else shutil.which(need) is not None


def copy_files(entry: Entry, target: Path) -> list[Path]:
    """The shared files, those of the source entry, then its own; each newer one replaces the one before."""
    files = {PORTS: PORTS.name}
    for source in filter(None, (ROOT / "shared", entry.source, entry.folder)):
        files |= {path: path.relative_to(source).as_posix() for path in sorted(source.rglob("*"))}
    copied: dict[str, Path] = {}
    for path, name in files.items():
        if path.is_file() and "__pycache__" not in path.parts:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists() or place.read_bytes() != path.read_bytes():
                shutil.copyfile(path, place)
            copied[name] = place
    return list(copied.values())


def digest_of(paths: list[Path], folder: Path) -> str:
    found = hashlib.sha256(sys.version.encode())
    for path in sorted(paths):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two runs of the matrix at once must not install over each other."""
    import fcntl

    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _do(step: tuple[str, ...], folder: Path) -> None:
    command = [str(folder / step[0]) if "/" in step[0] and not step[0].startswith("/") else step[0], *step[1:]]
    try:
        result = subprocess.run(
            command, cwd=folder, timeout=INSTALL_S, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", env={**os.environ, "PYTHONPATH": ""}, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{step[0]} took longer than {INSTALL_S:.0f} s") from None
    if result.returncode:
        said = " ".join(result.stdout.split())[-OUTPUT_CHARS_MAX:]
        raise NotInstalledError(f"{' '.join(step[:3])} failed: {said}")
