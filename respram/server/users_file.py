"""Reads the file of --aclfile whole, and replaces it by a new one that only its owner can read."""

import os
from pathlib import Path

from respram.commands.acl import FILE_BYTES_MAX


class UsersFile:
    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)

    def write(self, content: bytes) -> None:
        """A crash at any moment leaves the old file or the new one."""
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
