"""The directory of snapshots: what is in it, and every write, sync, rename and removal.
All of it blocks, and runs in a thread.

A segment is written to `NAME.part`, synced, and renamed; then the directory is synced. So a file under its final name
is whole, whenever the power fails. A name says bucket and key, for the operator; what counts is the header. Files that
do not look like ours are never touched.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from respram.snapshot.buckets import Bucket
from respram.snapshot.segment import FRAME_HEAD, HEADER_BYTES_MAX, Header, Opener, Unreadable, read_header, size_of

FILES_MAX = 100_000  # files of a directory that are read; a node never writes so many
RING = "keys.ring"
OURS = re.compile(r"[0-9]{2}-[0-9]{1,20}-[0-9a-f]{32}\.segment")
PART = ".part"


class Found(NamedTuple):
    path: Path
    header: Header
    size: int


def name_of(bucket: Bucket, key_id: bytes) -> str:
    return f"{bucket.shift}-{bucket.number}-{key_id.hex()}.segment"


def claim(folder: Path) -> int:
    """Makes the directory, for its owner alone, and keeps other processes out for as long as this one lives. OSError,
    also where others could put files in the place of ours.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise PermissionError(
            errno.EPERM, f"it belongs to user {found.st_uid}, and this node runs as user {os.geteuid()}"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(found.st_mode)
        raise PermissionError(
            errno.EPERM,
            f"others may write in it (mode {mode:04o}); chmod 700 it, or name a directory in it that is not there yet",
        )
    handle = _open(folder / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def release(handle: int) -> None:
    os.close(handle)


def look(folder: Path, owner: bytes) -> tuple[list[Found], list[tuple[str, str]]]:
    """Segments with a header that can be read, and the names of the others with the reason. Leftovers are removed."""
    found: list[Found] = []
    bad: list[tuple[str, str]] = []
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for _, entry in zip(range(FILES_MAX), entries, strict=False)
            if entry.is_file(follow_symlinks=False)
        )
    for name in names:
        path = folder / name
        if name.endswith(PART) and (OURS.fullmatch(name.removesuffix(PART)) or name == RING + PART):
            remove([path])
        elif name.endswith(".segment"):
            try:
                with open(path, "rb", opener=_open) as file:
                    found.append(
                        Found(path, read_header(file.read(HEADER_BYTES_MAX), owner), os.fstat(file.fileno()).st_size)
                    )
            except (Unreadable, OSError) as error:
                bad.append((name, str(error) if isinstance(error, Unreadable) else "unreadable"))
    return found, bad


def read(found: Found, key: bytes, frame_bytes_max: int) -> Iterator[bytes]:
    """The packed records of each frame. Unreadable where it breaks off: what came before is good."""
    opener = Opener(found.header, key)
    with open(found.path, "rb", opener=_open) as file:
        file.seek(found.header.size)
        last = False
        while not last:
            head = file.read(FRAME_HEAD.size)
            size = size_of(head)
            if size > frame_bytes_max:
                raise Unreadable("corrupt")
            if size > found.size:
                raise Unreadable("truncated")
            records, last = opener.records(head, file.read(size))
            yield records
        if file.read(1):
            raise Unreadable("corrupt")


def append(pieces: Iterable[tuple[Path, bytes]]) -> None:
    for path, data in pieces:
        handle = _open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            _write(handle, data)
        finally:
            os.close(handle)


def sync(paths: Iterable[Path]) -> int:
    """The contents reach the disk; how many bytes they are."""
    size = 0
    for path in paths:
        handle = _open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            size += os.fstat(handle).st_size
        finally:
            os.close(handle)
    return size


def rename(folder: Path, parts: Iterable[Path]) -> None:
    """Renames `NAME.part` to NAME, durably."""
    for path in parts:
        path.rename(path.with_name(path.name.removesuffix(PART)))
    sync([folder])


def replace(path: Path, content: bytes) -> None:
    """Replaces a file's content, all or nothing."""
    part = path.with_name(path.name + PART)
    remove([part])
    append([(part, content)])
    sync([part])
    rename(path.parent, [part])


def remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # it is gone already, or its key will be destroyed soon
            path.unlink()


def read_ring(folder: Path, bytes_max: int) -> bytes:
    """The content of the ring file; b"" if there is none."""
    with contextlib.suppress(FileNotFoundError), open(folder / RING, "rb", opener=_open) as file:
        return file.read(bytes_max + 1)
    return b""


def _open(path: str | Path, flags: int) -> int:
    """Opens a file, but never through a link, which may lead anywhere, and no pipe, which would be waited for."""
    handle = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    mode = os.fstat(handle).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.close(handle)
        raise OSError(errno.EINVAL, "Not a regular file")
    return handle


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
