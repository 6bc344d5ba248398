"""From a stream of bytes to messages: the shape of every frame is checked before hiredis parses it.

hiredis is made for replies: it accepts any announced length, nested arrays and twelve types. A frame here is an array
of 2 to a dozen bulk strings, so its headers are walked first, at a few comparisons per field, and only what has that
shape is fed. Before HELLO a frame may be 4 KiB and nothing but HELLO or REFUSE: strangers cost next to nothing.
"""

import hiredis

from respram.errors import PeerError
from respram.integers import parse_uint
from respram.wire.codec import ARGS_MAX, decode
from respram.wire.messages import Hello, Message, Refuse

STRANGER_FRAME_BYTES_MAX = 4096  # before HELLO, which is smaller
HEADER_CHARS_MAX = 16  # "$" and a length, without its line end


class Frames:
    """One direction of one link. Whole, in pieces or byte by byte: the same messages."""

    __slots__ = (
        "frame_bytes_max",
        "greeted",
        "_reader",
        "_line",
        "_args_left",
        "_body_left",
        "_ending",
        "_frame_bytes",
    )

    def __init__(self, frame_bytes_max: int) -> None:
        self.frame_bytes_max = frame_bytes_max
        self.greeted = False
        self._reader = hiredis.Reader()
        self._line = b""  # a header that has begun
        self._args_left = 0  # bulk strings of this frame whose header is still to come
        self._body_left = 0  # bytes of the present bulk string
        self._ending = False  # its line end is still to come: hiredis does not look at it
        self._frame_bytes = 0

    def push(self, data: bytes) -> list[Message]:
        """The messages that are complete by now. Raises PeerError; after that the stream is lost."""
        self._walk(data)
        self._reader.feed(data)
        messages: list[Message] = []
        while (argv := self._gets()) is not None:
            message = decode(argv)
            if not self.greeted:
                if not isinstance(message, Hello | Refuse):
                    raise PeerError("the first frame must be HELLO")
                self.greeted = True
            messages.append(message)
        return messages

    def _gets(self) -> list[bytes] | None:
        try:
            argv: list[bytes] | bool = self._reader.gets()
        except hiredis.HiredisError:
            raise PeerError("a frame cannot be parsed") from None
        return None if isinstance(argv, bool) else argv

    def _walk(self, data: bytes) -> None:
        """Follows the headers through the data and stops at the first that no frame of ours has."""
        at, end = 0, len(data)
        while at < end:
            if self._body_left:
                step = min(self._body_left, end - at)
                self._body_left -= step
                at += step
                continue
            line_end = data.find(b"\n", at, at + HEADER_CHARS_MAX + 2)
            if line_end < 0:
                self._line += data[at : at + HEADER_CHARS_MAX + 2]
                if len(self._line) > HEADER_CHARS_MAX + 1:
                    raise PeerError("a frame's header is too long")
                return
            self._header(self._line + data[at : line_end + 1])
            self._line = b""
            at = line_end + 1

    def _header(self, line: bytes) -> None:
        if self._ending:
            if line != b"\r\n":
                raise PeerError("a field is not as long as it says")
            self._ending = False
            return
        number = parse_uint(line[1:-2]) if line.endswith(b"\r\n") else None
        kind = line[:1]
        if number is None or kind != (b"$" if self._args_left else b"*"):
            raise PeerError("a frame's header cannot be read")
        if kind == b"*":
            if not 1 <= number <= ARGS_MAX:
                raise PeerError("a frame has too many fields")
            self._args_left = number
            self._frame_bytes = 0
            return
        self._frame_bytes += number
        if self._frame_bytes > (self.frame_bytes_max if self.greeted else STRANGER_FRAME_BYTES_MAX):
            raise PeerError("a frame is too long")
        self._args_left -= 1
        self._body_left = number
        self._ending = True
