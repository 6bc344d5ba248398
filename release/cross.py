"""`make cross`: wheels for Linux systems that this machine is not, compiled by Zig: musl, and aarch64 with either libc.

The wheels that a release publishes come from cibuildwheel, which builds and tries each on a system of its kind. These
show beforehand that the sources compile there, and can be tried under an emulator. Zig brings the C libraries' headers
and compiles for all of them; `pip install ziglang` installs it. Each wheel is of the limited API, so the headers of
the Python at hand serve: both kinds of machine are little-endian with 64-bit longs and pointers. A wheel is checked for
its contents and for the machine in its libraries' ELF headers. It is not run here.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from release.build import DIST, ROOT, ReleaseError, holds_everything, say
from release.matrix import copy_tree

# Platform tag -> Zig's target, and the machine in the ELF header.
TARGETS = {
    "manylinux_2_28_aarch64": ("aarch64-linux-gnu.2.28", 183),
    "musllinux_1_2_aarch64": ("aarch64-linux-musl", 183),
    "musllinux_1_2_x86_64": ("x86_64-linux-musl", 62),
}


def compiler() -> list[str]:
    if found := shutil.which("zig"):
        return [found]
    if find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang"]
    raise ReleaseError(f"Zig is not installed: {sys.executable} -m pip install ziglang")


def machines(made: Path) -> set[int]:
    """The machines that the wheel's libraries are for, from their ELF headers."""
    with zipfile.ZipFile(made) as opened:
        heads = [opened.read(name)[:20] for name in opened.namelist() if name.endswith(".so")]
    return {int.from_bytes(head[18:20], "little") for head in heads if head[:4] == b"\x7fELF"}


def build(tag: str, work: Path, zig: list[str]) -> Path:
    target, machine = TARGETS[tag]
    tree = work / tag
    copy_tree(tree)
    cc = " ".join([*zig, "cc", "-target", target])
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "bdist_wheel", "--plat-name", tag, "--dist-dir", "made"],
        cwd=tree,
        env=os.environ
        | {"CC": cc, "LDSHARED": f"{cc} -shared", "CFLAGS": "", "LDFLAGS": "", "OPT": "", "BASECFLAGS": ""}
        | {"RESPRAM_ABI3": "1", "RESPRAM_REQUIRE_NATIVE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"{tag} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    (made,) = (tree / "made").glob("*.whl")
    holds_everything(made)
    if machines(made) != {machine}:
        raise ReleaseError(f"{made.name} holds libraries for the ELF machines {sorted(machines(made))}, not {machine}")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tags", nargs="*", metavar="TAG", help=f"of {', '.join(TARGETS)}; all if none is given")
    args = parser.parse_args()
    try:
        if unknown := [tag for tag in args.tags if tag not in TARGETS]:
            raise ReleaseError(f"{unknown[0]} is none of {', '.join(TARGETS)}")
        zig = compiler()
        (DIST / "cross").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            for tag in args.tags or TARGETS:
                made = build(tag, Path(folder), zig)
                out = Path(shutil.copy2(made, DIST / "cross" / made.name))
                say(f"{out.relative_to(ROOT)}, {out.stat().st_size // 1024} KiB; it has not been run")
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
