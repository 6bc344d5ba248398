"""File transfer with progress and resume, by content-addressed chunks. Nothing else may live in this file.

    transfer = FileTransfer(ContentStore(client, "files", ttl_s=600))
    ticket = transfer.send("video.mp4", progress=show)  # a hash: pass it to the other side
    FileTransfer(ContentStore(other_client, "files")).receive(ticket, "copy.mp4", progress=show)

A chunk that the store has is not sent again, so sending again resumes a send that broke off. A receive keeps verified
chunks in `<name>.part` and continues from there; the file gets its name when it is complete.
Not promised: that chunks wait longer than ttl_s (ContentMissing; send again), or that a file that changes while it
is sent arrives as it was at any moment.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Block, Steps
from respram.patterns.errors import ContentCorrupt, Unreadable
from respram.patterns.json_values import document, to_json
from respram.patterns.steps import C, call, operation

CHUNK_BYTES = 1024 * 1024  # a node returns this much in about a millisecond
BAR_COLUMNS = 30

Progress = Callable[[int, int], Any]  # bytes done, and bytes in total


def bar(done: int, total: int, columns: int = BAR_COLUMNS) -> str:
    """A progress bar as text: `[#####.....]  50.0 %`."""
    share = done / total if total else 1.0
    filled = int(share * columns)
    return f"[{'#' * filled}{'.' * (columns - filled)}] {share * 100:5.1f} %"


@dataclass(frozen=True, slots=True)
class FileTransfer(Generic[C]):
    store: ContentStore[C]
    chunk_bytes: int = CHUNK_BYTES

    @property
    def client(self) -> C:
        return self.store.client

    @operation
    def send(self, path: str | os.PathLike[str], progress: Progress | None = None) -> Steps[ContentRef]:
        """Stores the missing chunks, then the list of chunks; returns the list's reference, the ticket."""
        source = Path(path)
        total: int = (yield Block(source.stat)).st_size
        hashes: list[str] = []
        done = 0
        while True:
            chunk: bytes = yield Block(read_at, (source, done, self.chunk_bytes))
            if not chunk:
                break
            ref: ContentRef = yield from self.store.store.steps(chunk)
            hashes.append(ref.hash)
            done += len(chunk)
            if progress:
                yield from call(progress, done, max(total, done))
        listing = {"name": source.name, "bytes": done, "chunk_bytes": self.chunk_bytes, "chunks": hashes}
        # A long transfer may outlive its first chunks. All get the full time again; those that are gone are sent again.
        for number, each in enumerate(hashes):
            if not (yield from self.store.touch.steps(ContentRef(each))):
                chunk = yield Block(read_at, (source, number * self.chunk_bytes, self.chunk_bytes))
                if (yield from self.store.store.steps(chunk)).hash != each:
                    raise ContentCorrupt(
                        f"{source.name!r} changed while it was sent; there is no ticket: send it again"
                    )
        return (yield from self.store.store.steps(to_json(listing)))

    @operation
    def receive(self, ticket: ContentRef, path: str | os.PathLike[str], progress: Progress | None = None) -> Steps[int]:
        """Writes the file and returns its size. Raises ContentMissing or ContentCorrupt; verified chunks are kept."""
        target = Path(path)
        part = target.with_name(target.name + ".part")
        data: bytes = yield from self.store.get.steps(ticket)
        listing = document(data, "the ticket", bytes=int, chunk_bytes=int, chunks=list)
        if listing["chunk_bytes"] < 1 or not all(isinstance(each, str) for each in listing["chunks"]):
            raise Unreadable("this is no ticket of a file: ask the sender for the reference that send() gave")
        chunks = [ContentRef(each) for each in listing["chunks"]]
        have: int = yield Block(verified_chunks, (part, chunks, listing["chunk_bytes"]))
        done: int = min(have * listing["chunk_bytes"], listing["bytes"])
        if have and progress:
            yield from call(progress, done, listing["bytes"])
        for ref in chunks[have:]:
            chunk: bytes = yield from self.store.get.steps(ref)
            yield Block(write_at, (part, done, chunk))
            done += len(chunk)
            if progress:
                yield from call(progress, done, listing["bytes"])
        if done != listing["bytes"]:
            raise ContentCorrupt(
                f"the ticket announces {listing['bytes']} bytes, its chunks have {done}: ask for a new ticket"
            )
        # Cut what an earlier, longer file of this name left behind the end.
        yield Block(write_at, (part, done, b""))
        yield Block(part.replace, (target,))
        return done


def read_at(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)


def write_at(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(offset)
        file.truncate()
        file.write(data)


def verified_chunks(part: Path, chunks: list[ContentRef], chunk_bytes: int) -> int:
    """How many complete chunks at the beginning of a partial file match their hashes."""
    if not part.exists():
        return 0
    with part.open("rb") as file:
        for number, ref in enumerate(chunks):
            if hashlib.sha256(file.read(chunk_bytes)).hexdigest() != ref.hash:
                return number
    return len(chunks)
