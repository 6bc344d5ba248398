"""`make release`: everything that a version consists of and this machine can make, checked and tried, into dist/.

1. The source archive, and from it (not from the checkout) a wheel of the limited API, which serves Python 3.11 and
   all later ones that are not free-threaded; for a free-threaded one, where it is here, a wheel of its own.
   auditwheel gives each the tag of the oldest system that it runs on, abi3audit holds the wheel to the limited API.
2. `twine check --strict`, and cibuildwheel's list of what it would build elsewhere.
3. For each Python of this machine: an empty environment, `pip install` of the file, and the smoke test there, outside
   the checkout.
4. The SBOM (CycloneDX) of such an environment, the statement of provenance, the checksums.

A checkout with changes is refused unless `--dirty` is given: what is built would be no commit's.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import respram
from release import papers
from release.interpreters import ABI3_FROM, Interpreter, find, missing

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
TOOLS = Path(sys.executable).parent
SMOKE = ROOT / "release" / "smoke.py"


class ReleaseError(Exception):
    pass


def call(words: list[str], cwd: Path = ROOT, **variables: str) -> str:
    done = subprocess.run(
        words,
        cwd=cwd,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def tool(name: str) -> str:
    return str(TOOLS / name)


def say(text: str) -> None:
    print(f"release: {text}", flush=True)


def commit(*, dirty: bool) -> tuple[str, str]:
    """Its name and its time: the latter dates the files in the archives, so that a second build is the same."""
    changes = call(["git", "status", "--porcelain"]).strip()
    if changes and not dirty:
        raise ReleaseError(f"the checkout has changes; commit them first, or say --dirty:\n{changes}")
    name, seconds = call(["git", "log", "-1", "--format=%H %ct"]).split()
    return name, seconds


def sdist(work: Path, epoch: str) -> Path:
    call([tool("python"), "-m", "build", "--sdist", "--outdir", str(work)], SOURCE_DATE_EPOCH=epoch)
    (made,) = work.glob("*.tar.gz")
    return made


def wheel(python: Interpreter, archive: Path, work: Path, epoch: str) -> Path:
    """Built from the archive by that interpreter, in an environment of pip's own with the pinned build tools."""
    out = work / f"wheel-{python.name}"
    call(
        [python.path, "-m", "pip", "wheel", "--disable-pip-version-check", "--no-deps", "--wheel-dir", str(out),
         str(archive)],
        cwd=work, RESPRAM_ABI3="1", RESPRAM_REQUIRE_NATIVE="1", PIP_CONSTRAINT=str(_build_constraints(work)),
        SOURCE_DATE_EPOCH=epoch,
    )  # fmt: skip
    (made,) = out.glob("*.whl")
    if sys.platform != "linux":
        return made
    call(
        [tool("auditwheel"), "repair", "--wheel-dir", str(out / "repaired"), str(made)],
        cwd=work,
        PATH=f"{TOOLS}:{os.environ['PATH']}",
    )
    (repaired,) = (out / "repaired").glob("*.whl")
    return repaired


def _build_constraints(work: Path) -> Path:
    """setuptools and Cython as the lock file has them, without hashes, which a constraint may not have."""
    path = work / "build-constraints.txt"
    pinned = pins(ROOT)
    path.write_text("".join(f"{name}=={pinned[name]}\n" for name in ("setuptools", "cython")))
    return path


def holds_everything(made: Path) -> None:
    """A wheel without its compiled parts, or one that brings tests along, must not leave the house."""
    names = zipfile.ZipFile(made).namelist()
    pump = ["respram/server/_pump"] if sys.platform == "linux" else []
    for part in ("respram/engine/native/_native", "respram/wire/_fields", *pump):
        if not any(name.startswith(part) and name.endswith(".so") for name in names):
            raise ReleaseError(f"{made.name} lacks {part}")
    foreign = [name for name in names if not name.startswith(("respram/", "respram-"))]
    if foreign:
        raise ReleaseError(f"{made.name} holds {foreign[:5]}")


def pins(root: Path) -> dict[str, str]:
    """What the lock file of the server and its build names, with versions."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (root / "requirements.lock").read_text(), re.MULTILINE)
    return {papers.normal(name): version for name, version in found}


def install_and_try(python: Interpreter, file: Path, work: Path, constraints: Path | None = None) -> Path:
    """The environment, with the file and what it asks for installed from nothing, after the smoke test. Without
    constraints that is the newest of everything.
    """
    venv = work / f"try-{python.name}-{file.suffix.strip('.')}"
    call([python.path, "-m", "venv", "--clear", str(venv)])
    own = str(venv / "bin" / "python")
    # Built for this interpreter where it is the archive: no variable of the release's own.
    call(
        [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         *(["--constraint", str(constraints)] if constraints is not None else []), str(file)],
        cwd=work,
        RESPRAM_REQUIRE_NATIVE="1",
    )  # fmt: skip
    say(call([own, "-I", str(SMOKE), "--engine", "native", "--version", respram.__version__], cwd=work).strip())
    return venv


def bill_of_materials(venv: Path, epoch: str) -> Path:
    """Of the environment that the file was installed into, at the versions of the lock file, with their licences."""
    path = DIST / f"respram-{respram.__version__}.cdx.json"
    call([str(venv / "bin" / "python"), "-m", "pip", "uninstall", "--quiet", "--yes", "pip", "setuptools"])
    call(
        [
            tool("cyclonedx-py"), "environment", "--pyproject", "pyproject.toml", "--output-reproducible",
            "--output-format", "JSON",
            "--spec-version", "1.6", "--validate", "--output-file", str(path), str(venv / "bin" / "python"),
        ],
        SOURCE_DATE_EPOCH=epoch,
    )  # fmt: skip
    bill = papers.with_version(json.loads(path.read_text()), respram.__version__)
    path.write_text(json.dumps(bill, indent=2) + "\n")
    named = {one["name"].lower() for one in bill["components"]}
    lacking = {"hiredis", "uvloop", "cryptography", "pybloom-live"} - {name.replace("_", "-") for name in named}
    if lacking or bill["metadata"]["component"]["name"] != "respram":
        raise ReleaseError(f"{path.name} lacks {sorted(lacking)}, or is about something else")
    if others := papers.not_pinned(bill, pins(ROOT)):
        raise ReleaseError(f"{path.name} names what requirements.lock does not have: {', '.join(others)}")
    return path


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def release(*, dirty: bool) -> None:
    started = now()
    name, epoch = commit(dirty=dirty)
    found = find()
    if ABI3_FROM not in found:
        raise ReleaseError(f"the wheel is built by Python {ABI3_FROM}, which is not on this machine")
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        archive = sdist(work, epoch)
        say(f"{archive.name} from {name[:12]}{' with changes' if dirty else ''}")
        built = {ABI3_FROM: wheel(found[ABI3_FROM], archive, work, epoch)}
        built |= {one: wheel(found[one], archive, work, epoch) for one in found if one.endswith("t")}
        for made in built.values():
            holds_everything(made)
            say(f"{made.name}, {made.stat().st_size // 1024} KiB")
        say(call([tool("abi3audit"), "--strict", "--summary", str(built[ABI3_FROM])]).strip())
        files = [Path(shutil.copy2(file, DIST / file.name)) for file in (archive, *built.values())]
        call([tool("twine"), "check", "--strict", *map(str, files)])
        planned = call([tool("cibuildwheel"), "--print-build-identifiers", "--platform", "linux"]).split()
        say(f"cibuildwheel builds elsewhere: {' '.join(planned)}")
        locked = work / "locked.txt"
        locked.write_text("".join(f"{name}=={version}\n" for name, version in pins(ROOT).items()))
        tried = {
            one: install_and_try(
                found[one], built.get(one, built[ABI3_FROM]), work, locked if one == ABI3_FROM else None
            )
            for one in found
        }
        install_and_try(found[max(one for one in found if not one.endswith("t"))], archive, work)
        bill = bill_of_materials(tried[ABI3_FROM], epoch)
    builder = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    statement = DIST / f"respram-{respram.__version__}.provenance.json"
    statement.write_text(papers.provenance([*files, bill], ROOT, name, builder, started, now()))
    (DIST / "SHA256SUMS").write_text(papers.checksums([*files, bill, statement]))
    say(f"dist/ is complete; tried on {', '.join(tried)}; not on this machine: {', '.join(missing(found)) or 'none'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dirty", action="store_true", help="build a checkout with changes, for a try")
    args = parser.parse_args()
    try:
        release(dirty=args.dirty)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
