"""Which Pythons this machine has, of those that respram promises to run on.

Looked for on the PATH (`python3.12`), under pyenv's folder, and in RESPRAM_PYTHONS: paths, separated by colons. Each
candidate is run and asked what it is: a pyenv shim may answer to a name and still have nothing behind it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROMISED = ("3.11", "3.12", "3.13", "3.14", "3.14t")
# The oldest version: one limited-API wheel serves it and all later ones, except free-threaded builds.
ABI3_FROM = "3.11"

QUESTION = (
    "import json, sys, sysconfig, ensurepip, venv; "
    "print(json.dumps([sys.implementation.name, '%d.%d' % sys.version_info[:2], "
    "bool(sysconfig.get_config_var('Py_GIL_DISABLED')), sys.version.split()[0], sys.executable]))"
)


class Interpreter(NamedTuple):
    name: str  # one of PROMISED
    version: str
    path: str


def ask(path: str) -> Interpreter | None:
    """What stands behind the path; None unless it is a CPython that can make environments."""
    try:
        done = subprocess.run([path, "-I", "-c", QUESTION], capture_output=True, text=True, timeout=60, check=False)
        kind, version, threaded, whole, executable = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Interpreter(version + "t" * threaded, whole, executable) if kind == "cpython" else None


def candidates(name: str) -> Iterator[str]:
    given = [path for path in os.environ.get("RESPRAM_PYTHONS", "").split(":") if path]
    yield from given
    if found := shutil.which(f"python{name}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    wanted = name.removesuffix("t")
    for folder in sorted(pyenv.glob(f"{wanted}.*"), reverse=True):
        yield str(folder / "bin" / f"python{name}")


def find() -> dict[str, Interpreter]:
    """The first that runs of each promised version; what is not there is not in it."""
    found: dict[str, Interpreter] = {}
    for name in PROMISED:
        for path in candidates(name):
            one = ask(path)
            if one is not None and one.name == name:
                found[name] = one
                break
    return found


def missing(found: dict[str, Interpreter]) -> list[str]:
    return [name for name in PROMISED if name not in found]
