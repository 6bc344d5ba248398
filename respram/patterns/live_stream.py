"""Live stream: messages in chunks under numbered keys, for any number of readers. Nothing else may live in this file.

    encoder = StreamEncoder(client, "camera-1", ttl_s=10)
    encoder.send(frame_bytes)
    decoder = StreamDecoder(other_client, "camera-1")
    decoder.receive(timeout_s=5)                 # frame_bytes
    encoder.close()                              # receive then raises StreamEnded

A message is written whole or not at all, with the stream's head (the next number) in one MULTI. A reader keeps its own
position; a late reader starts with the oldest live message. `sealer` encrypts chunks.
Not promised: that a slow reader sees everything. It gets ChunkExpired, never a silent gap. The head outlives its chunks
by HEAD_EXTRA_S, so a stream continues its numbering after a pause. When the head is forgotten too, the next message
starts a new life of the stream: a reader of the old life gets StreamRestarted, a kind of ChunkExpired, and continues
after a skip. Several writers of one node take turns; writers on *different* nodes need a stream each.
"""

import secrets
import struct
import time
from dataclasses import dataclass
from typing import Generic

from respram.patterns.effects import Command, Commit, Steps, Watch
from respram.patterns.errors import (
    BadName,
    ChunkExpired,
    Contended,
    StreamEnded,
    StreamRestarted,
    Tampered,
    TimedOut,
    Unreadable,
    ValueTooLarge,
    WrongKey,
)
from respram.patterns.naming import key, level
from respram.patterns.sealing import Sealer
from respram.patterns.steps import CHANGE_PAUSE_S, CHANGE_TRIES_MAX, C, ask_all, hand, operation, pause, stream, ttl_ms

CHUNK_BYTES = 64 * 1024  # of one chunk: small beside the node's limits, large beside its key
# Of one message: a message is one MULTI, which is held in memory whole; for files use FileTransfer.
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
SKIP_MAX = 16 * 1024 * 1024  # the largest number of chunks in one message, since each holds a byte at least
READ_AHEAD = 16  # chunks requested in one round trip: at most a mebibyte
POLL_S = 0.02  # an idle reader checks 50 times a second
LATE_S = 0.1  # a missing chunk may be on its way between nodes this long before it counts as expired
HEAD_EXTRA_S = (
    600.0  # how long the head of an open stream outlives its last chunk: 17 bytes, so that a pause loses no number
)
HEAD = struct.Struct(">QQB")  # number of the next chunk; life of the stream; 1 if it is closed
# First byte of a chunk, inside its seal: it is a whole message, or the first, one of the middle, or the last of one.
WHOLE, FIRST, MIDDLE, LAST = b"L", b"M", b"m", b"l"


@dataclass(frozen=True, slots=True)
class StreamEncoder(Generic[C]):
    client: C
    name: str
    ttl_s: float = 10.0
    chunk_bytes: int = CHUNK_BYTES
    sealer: Sealer | None = None

    @operation
    def send(self, message: bytes) -> Steps[int]:
        """Writes a message; returns its first chunk's number. If it raises ValueTooLarge, StreamEnded or Contended,
        nothing was sent.
        """
        return (yield from self.place(message))[0]

    def place(self, message: bytes, at: int = 0, life: int = 0) -> Steps[tuple[int, int]]:
        """As `send`; returns the number of the first chunk and the life of the stream.

        A writer that knows the stream's position passes it. On a node that lags behind, the message still takes number
        `at`, and a stream unknown to the node continues with `life`. Readers are then told of the chunks that are
        missing before the message.
        """
        return (yield from self._write(cut(message, self.chunk_bytes), at, life))

    @operation
    def close(self) -> Steps[None]:
        """Closes the stream. Messages that were sent can be read until they expire."""
        yield from self.end()

    def end(self, at: int = 0, life: int = 0) -> Steps[None]:
        """As `close`, for a writer that knows the stream's position."""
        yield from self._write([], at, life, closed=1)

    def _write(self, chunks: list[bytes], least: int, known: int, closed: int = 0) -> Steps[tuple[int, int]]:
        expiry = ttl_ms(self.ttl_s)
        for attempt in range(CHANGE_TRIES_MAX):
            found: list[bytes | None] | None = yield Watch((head_key(self.name),))
            if found is not None:
                seq, life, ended = head_of(found[0], self.name)
                life = life or known
                if life == known:
                    seq = max(seq, least)
                life = life or secrets.randbits(64) | 1
                if ended and not closed:
                    raise StreamEnded(f"stream {self.name!r} is closed; nothing was sent: open one with another name")
                writes: list[Command] = []
                for at, chunk in enumerate(chunks, seq):
                    data = self.sealer.seal(chunk, chunk_key(self.name, at)) if self.sealer else chunk
                    writes.append(("SET", chunk_key(self.name, at), data, "PX", expiry))
                # The head comes last and in the same MULTI: it never names a chunk that was not written.
                # A writer with a shorter ttl_s must not shorten the head's life: the numbers would begin anew too
                # early. A closed stream's head ends with its chunks: its name is free again when there is nothing left
                # to read.
                head = HEAD.pack(seq + len(chunks), life, closed)
                head_ms = ttl_ms(self.ttl_s + HEAD_EXTRA_S)
                if closed:
                    # Another writer's chunks may live longer than this one's: the head had HEAD_EXTRA_S more than the
                    # longest.
                    (left_ms,) = yield from ask_all(("PTTL", head_key(self.name)))
                    head_ms = max(expiry, left_ms - ttl_ms(HEAD_EXTRA_S)) if not ended else max(expiry, left_ms)
                if found[0] is None or closed:
                    writes.append(("SET", head_key(self.name), head, "PX", head_ms))
                else:
                    writes.append(("SET", head_key(self.name), head, "KEEPTTL"))
                    writes.append(("PEXPIRE", head_key(self.name), head_ms, "GT"))
                if (yield Commit(tuple(writes))) is not None:
                    return seq, life
            yield from pause(CHANGE_PAUSE_S * attempt)
        raise Contended(
            f"stream {self.name!r} has too many writers at once; nothing was sent: give each its own stream"
        )


@dataclass(slots=True)
class StreamDecoder(Generic[C]):
    """One reader. `position` is its next chunk in the stream's `life`: keep both to continue later, on any node.

    Without a position it starts with the oldest message. A position is valid in its own life only, since chunks of
    another life could be mistaken for those that follow. BadName is raised for one without the other.
    """

    client: C
    name: str
    position: int | None = None
    sealer: Sealer | None = None
    missing_since_s: float | None = None  # monotonic time at which the next chunk was first found missing
    life: int = 0  # the life of the stream that `position` belongs to; 0: unknown
    lone: bool = False  # there is a single writer: its chunks count even if the head does not name them yet

    def __post_init__(self) -> None:
        if self.position and not self.life:
            raise BadName(f"chunk {self.position} of which life of stream {self.name!r}? keep `position` and `life`")

    @operation
    def receive(self, timeout_s: float, poll_s: float = POLL_S) -> Steps[bytes]:
        """The next message. Raises TimedOut, StreamEnded, ChunkExpired (the position is kept), Tampered, WrongKey.

        StreamRestarted is a ChunkExpired: the stream started over, and the unread messages of its old life are gone.
        """
        end = time.monotonic() + timeout_s
        while True:
            if self.position is None:
                self.position, self.life = yield from self._oldest()
            message, missing = yield from self._read(self.position)
            if message is not None:
                self.missing_since_s = None
                return message
            now = time.monotonic()
            if missing is None:
                self.missing_since_s = None
            else:
                self.missing_since_s = self.missing_since_s or now
                if now - self.missing_since_s >= LATE_S:
                    raise (StreamRestarted if self.life == 0 else ChunkExpired)(self.name, missing)
            if now >= end:
                raise TimedOut(
                    f"stream {self.name!r}: nothing within {timeout_s} s; the writer is silent or was never there"
                )
            yield from pause(min(poll_s, max(0.0, end - now)))

    @operation
    def pending(self) -> Steps[int]:
        """The number of chunks from this reader's position on."""
        head, life, _ = yield from self._head()
        if self.position is not None and self.life in (0, life):
            return max(0, head - self.position)
        oldest, _ = yield from self._oldest()
        return max(0, head - oldest)

    @operation
    def skip_to_oldest(self) -> Steps[int]:
        """Continues with the oldest complete message, behind a gap if there is one; returns the new position."""
        # Chunks before a gap were read. They may still live, if a node died before it passed a later chunk on.
        behind = (self.position or 0) if self.missing_since_s is not None else 0
        self.position, self.life = yield from self._oldest(behind)
        self.missing_since_s = None
        return self.position

    @operation
    def skip_unreadable(self) -> Steps[int]:
        """Skips a message that `receive` cannot read (Unreadable, Tampered, WrongKey); returns the new position.

        The chunks of a message expire in the same millisecond, and none of them but the first looks like the first of a
        message. This shows where an unreadable message ends.
        """
        yield from self._head()  # raises Unreadable if the head itself is: then there is nothing to skip to
        first = self.position or 0
        self.position = first + 1
        for at in range(first, first + SKIP_MAX, READ_AHEAD):
            keys: list[bytes] = [chunk_key(self.name, seq) for seq in range(at, at + READ_AHEAD)]
            asked: list[Command] = [("PEXPIRETIME", name) for name in keys]
            found = yield from ask_all(*asked, ("MGET", *keys))
            ends, chunks = found[:-1], found[-1]
            if at == first:
                last = ends[0]
            for seq, (name, end, chunk) in enumerate(zip(keys, ends, chunks, strict=True), at):
                if end != last or end < 0 or (seq > first and self._begins(name, chunk)):
                    self.position = max(seq, first + 1)
                    return self.position
        self.position = first + SKIP_MAX
        return self.position

    @operation
    def skip_to_newest(self) -> Steps[int]:
        """Continues with messages that are sent from now on; returns the new position."""
        self.position, self.life, _ = yield from self._head()
        return self.position

    @stream
    def messages(self, timeout_s: float) -> Steps[None]:
        """Yields each message until the stream is closed. Raises what `receive` raises, except StreamEnded."""
        while True:
            try:
                message = yield from self.receive.steps(timeout_s)
            except StreamEnded:
                return
            yield from hand(message)

    def _begins(self, name: bytes, data: bytes | None) -> bool:
        """Whether this reader can see that a chunk begins a message."""
        try:
            chunk = self.sealer.open(data, name) if self.sealer and data is not None else data
        except (Tampered, WrongKey, Unreadable):
            return False
        return chunk is not None and chunk[:1] in (WHOLE, FIRST)

    def _head(self) -> Steps[tuple[int, int, int]]:
        (found,) = yield from ask_all(("GET", head_key(self.name)))
        return head_of(found, self.name)

    def _oldest(self, behind: int = 0) -> Steps[tuple[int, int]]:
        """The first chunk of the oldest complete message, and its life.

        Chunks expire in order, so a binary search finds it. It lies behind a given position if the life is the same.
        """
        high, life, _ = yield from self._head()
        low = behind if life == self.life else 0
        while low < high:
            middle = (low + high) // 2
            (there,) = yield from ask_all(("EXISTS", chunk_key(self.name, middle)))
            low, high = (low, middle) if there else (middle + 1, high)
        # All chunks of a message have one deadline, so the oldest chunk that is there begins a message.
        return low, life

    def _read(self, first: int) -> Steps[tuple[bytes | None, int | None]]:
        """A complete message from chunk `first` on, or the number of a missing chunk that the head is past."""
        parts: list[bytes] = []
        at = first
        while True:
            wanted: list[bytes] = [chunk_key(self.name, seq) for seq in range(at, at + READ_AHEAD)]
            (found,) = yield from ask_all(("MGET", head_key(self.name), *wanted))
            head, life, ended = head_of(found[0], self.name)
            if life and self.life not in (0, life):
                # The stream was forgotten and started over, its numbers too. Whether the old life went on after this
                # reader's last look nobody knows any more, so it is told even where nothing may have been lost.
                raise StreamRestarted(self.name, first)
            if head < first and found[0] is not None and not self.lone:
                # This node has not heard of the reader's place yet; or, if its life is not known, the place is of a
                # former one.
                return None, None if self.life else first
            self.life = life or self.life
            for data in found[1:]:
                # A chunk that the head does not name is not part of the stream yet, or never will be.
                if data is None or (at >= head and not self.lone):
                    if head > at:
                        return None, at
                    if ended and not parts:
                        raise StreamEnded(f"stream {self.name!r} was closed by its writer; all of it was read")
                    return None, None
                chunk = self.sealer.open(data, chunk_key(self.name, at)) if self.sealer else data
                if chunk[:1] not in ((MIDDLE, LAST) if parts else (WHOLE, FIRST)):
                    raise Unreadable(
                        f"chunk {at} of stream {self.name!r} was not written by StreamEncoder, or is sealed"
                    )
                parts.append(chunk[1:])
                at += 1
                if chunk[:1] in (WHOLE, LAST):
                    self.position = at
                    return b"".join(parts), None


def cut(message: bytes, chunk_bytes: int = CHUNK_BYTES) -> list[bytes]:
    """The chunks of a message. Raises ValueTooLarge."""
    if len(message) > MESSAGE_BYTES_MAX:
        raise ValueTooLarge(
            f"a message of {len(message)} bytes is over {MESSAGE_BYTES_MAX}; nothing was sent: see FileTransfer"
        )
    pieces = [message[at : at + chunk_bytes] for at in range(0, max(1, len(message)), chunk_bytes)]
    if len(pieces) == 1:
        return [WHOLE + pieces[0]]
    return [FIRST + pieces[0], *(MIDDLE + each for each in pieces[1:-1]), LAST + pieces[-1]]


def head_key(name: str) -> bytes:
    return key("stream", level(name), "head")


def chunk_key(name: str, seq: int) -> bytes:
    return key("stream", level(name), str(seq))


def head_of(data: bytes | None, name: str) -> tuple[int, int, int]:
    if data is None:
        return 0, 0, 0
    if len(data) != HEAD.size:
        raise Unreadable(f"the head of stream {name!r} was not written by StreamEncoder")
    seq, life, closed = HEAD.unpack(data)
    return seq, life, closed
