"""Live nodes whose wall clocks are off, each by its own file, which may be changed while the node runs (clocks.c)."""

import mmap
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("clocks.c")
_OFFSET = struct.Struct("<q")


def compiled(folder: Path) -> Path:
    library = folder / "clocks.so"
    command = ["cc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


@dataclass(slots=True)
class Clock:
    path: Path
    library: Path

    def __post_init__(self) -> None:
        self.path.write_bytes(_OFFSET.pack(0))

    @property
    def environment(self) -> dict[str, str]:
        """Of a node that is to have this clock. It has to be a process of its own: a forked one has its clock already.
        """
        return {"LD_PRELOAD": str(self.library), "CLOCK_OFFSET_FILE": str(self.path), "TESTS_FORK": "no"}

    def put(self, off_ms: int) -> None:
        with self.path.open("r+b") as file, mmap.mmap(file.fileno(), _OFFSET.size) as memory:
            memory[:] = _OFFSET.pack(off_ms * 1_000_000)
