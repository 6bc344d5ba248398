"""Builds the native engine, where its sources and a C compiler are; all else stands in pyproject.toml.

The extension is optional: without a compiler the package installs with the pure engine alone, which
`respram serve` says when it starts. A production image must not get that silently: with
RESPRAM_REQUIRE_NATIVE=1 in the environment, whatever keeps the extension from being built ends the
installation.

RESPRAM_ABI3=1 builds against the limited API of Python 3.11: one wheel for that version and all later ones. A build for
the interpreter at hand is the default, since it asks nothing of whoever changes the binding. Free-threaded
interpreters have no limited API and ignore the variable.
"""

import os
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("respram/engine/native")
BINDING = NATIVE / "_native.pyx"
GENERATED = "_native.c"  # Cython's output from the binding; never a source

FLAGS = [
    "-std=c11",
    "-O3",
    "-g",  # symbols, so that a profile of a running node names functions; no cost at run time
    "-fvisibility=hidden",
    "-fno-strict-aliasing",
    "-fno-semantic-interposition",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wno-unused-function",
    "-Werror=incompatible-pointer-types",  # an error in GCC 14: older compilers should find it too
    "-D_GNU_SOURCE",
    "-pthread",  # for the thread of native/prefault.c
    "-U_FORTIFY_SOURCE",  # some interpreters define it themselves
    "-D_FORTIFY_SOURCE=2",
    "-fstack-protector-strong",
]

# Older glibcs keep these functions beside libc.
LINKED = ["-pthread", "-ldl"] if sys.platform == "linux" else ["-pthread"]

ABI3 = os.environ.get("RESPRAM_ABI3") == "1" and not sysconfig.get_config_var("Py_GIL_DISABLED")
LIMITED = [
    "-DPy_LIMITED_API=0x030B0000",
    "-DCYTHON_LIMITED_API=1",
    # The bindings use two macros outside the limited API; these are the functions inside it.
    "-DPyBytes_AS_STRING=PyBytes_AsString",
    "-DPyBytes_GET_SIZE=PyBytes_Size",
    # Other uses outside it must fail the build, not the first import.
    "-Werror=implicit-function-declaration",
]


def extensions() -> list[Extension]:
    required = os.environ.get("RESPRAM_REQUIRE_NATIVE") == "1"
    if not BINDING.exists():
        return _missing("its sources are not here", required)
    try:
        from Cython.Build import cythonize
    except ImportError:
        return _missing("Cython is not installed", required)
    if sys.platform not in ("linux", "darwin"):
        return _missing(f"it is not built for {sys.platform}", required)
    sources = sorted(str(path) for path in NATIVE.glob("*.c") if path.name != GENERATED)
    flags = FLAGS + LIMITED * ABI3 + os.environ.get("RESPRAM_CFLAGS", "").split()
    linked = os.environ.get("RESPRAM_LDFLAGS", "").split()
    extension = Extension(
        "respram.engine.native._native",
        [str(BINDING), *sources],
        include_dirs=[str(NATIVE)],
        depends=sorted(str(path) for path in [*NATIVE.glob("*.h"), *NATIVE.glob("*.px[di]")]),
        extra_compile_args=flags,
        extra_link_args=LINKED + linked,
    )
    pump = []
    if sys.platform == "linux":  # it uses epoll
        parts = [str(NATIVE / "raw.pxd"), *sorted(str(path) for path in Path("respram/server").glob("*.pxi"))]
        pump = [
            Extension(
                "respram.server._pump",
                ["respram/server/_pump.pyx"],
                depends=parts,
                extra_compile_args=flags,
                extra_link_args=linked,
            )
        ]
    fields = Extension(
        "respram.wire._fields", ["respram/wire/_fields.pyx"], extra_compile_args=flags, extra_link_args=linked
    )
    # Generated files go to build/, so that the source folder holds only sources.
    made = cythonize(
        [extension, fields, *pump],
        build_dir="build/cython",
        language_level=3,
        quiet=True,
        compiler_directives={"embedsignature": True},
    )
    for one in made:
        one.py_limited_api = ABI3
        one.optional = not required  # set afterwards, because Cython creates new objects and drops it
    return made


def _missing(reason: str, required: bool) -> list[Extension]:
    if required:
        sys.exit(f"RESPRAM_REQUIRE_NATIVE=1, and the native engine cannot be built: {reason}")
    print(f"respram: without the native engine: {reason}", file=sys.stderr)
    return []


setup(ext_modules=extensions(), options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {})
