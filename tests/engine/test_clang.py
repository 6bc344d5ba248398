"""The C core compiles with clang as well as with GCC: clang is the compiler of macOS, and stricter about `const`."""

import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "respram" / "engine" / "native"
GENERATED = "_native.c"  # Cython's output, which a checkout need not have
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-unused-function", "-Werror")


@pytest.mark.slow  # 4 s of a core
@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
def test_clang_has_no_complaint_about_the_core() -> None:
    sources = sorted(path for path in NATIVE.glob("*.c") if path.name != GENERATED)
    assert len(sources) > 20
    done = subprocess.run(
        ["clang", "-fsyntax-only", *FLAGS, f"-I{NATIVE}", *map(str, sources)],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
