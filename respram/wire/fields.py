"""From a stream of bytes to frames, and from a frame's fields to values and back. `_fields.pyx` is the fast twin.

hiredis is made for replies: it accepts any announced length, nested arrays and twelve types. A frame here is an array
of 2 to a dozen bulk strings, so its headers are walked first, at a few comparisons per field, and only what has that
shape is fed. Nothing here knows a message.
"""

import hiredis

from respram.errors import PeerError
from respram.integers import parse_uint

HEADER_CHARS_MAX = 16  # "$" and a length, without the line end

Kinds = tuple[tuple[bool, int], ...]  # of each field: whether it is a number, and its largest value or most bytes


class Splitter:
    """One direction of one link. Whole, in pieces or byte by byte: the same frames."""

    __slots__ = ("args_max", "_reader", "_line", "_args_left", "body_left", "_ending", "_frame_bytes")

    def __init__(self, args_max: int) -> None:
        self.args_max = args_max
        self._reader = hiredis.Reader()
        self._line = b""  # an incomplete header
        self._args_left = 0  # bulk strings of this frame whose header has not come
        self.body_left = 0  # bytes that the current bulk string lacks
        self._ending = False  # its line end has not come; it is checked here, because hiredis does not check it
        self._frame_bytes = 0

    def push(self, data: bytes, frame_bytes_max: int) -> list[list[bytes]]:
        """The frames that are complete by now. Raises PeerError; after that the stream is lost."""
        self._walk(data, frame_bytes_max)
        self._reader.feed(data)
        done: list[list[bytes]] = []
        while (argv := self._gets()) is not None:
            done.append(argv)
        return done

    def _gets(self) -> list[bytes] | None:
        try:
            argv: list[bytes] | bool = self._reader.gets()
        except hiredis.HiredisError:
            raise PeerError("a frame cannot be parsed") from None
        return None if isinstance(argv, bool) else argv

    def _walk(self, data: bytes, frame_bytes_max: int) -> None:
        """Follows the headers through the data and stops at the first that no frame of ours has."""
        at, end = 0, len(data)
        while at < end:
            if self.body_left:
                step = min(self.body_left, end - at)
                self.body_left -= step
                at += step
                continue
            line_end = data.find(b"\n", at, at + HEADER_CHARS_MAX + 2)
            if line_end < 0:
                self._line += data[at : at + HEADER_CHARS_MAX + 2]
                if len(self._line) > HEADER_CHARS_MAX + 1:
                    raise PeerError("a frame's header is too long")
                self._begin(self._line[:1])
                return
            self._header(self._line + data[at : line_end + 1], frame_bytes_max)
            self._line = b""
            at = line_end + 1

    def _begin(self, kind: bytes) -> None:
        """What a header or the end of a field begins with, before the rest has come."""
        if self._ending:
            if kind != b"\r":
                raise PeerError("a field is not as long as it says")
        elif kind != (b"$" if self._args_left else b"*"):
            raise PeerError("a frame's header cannot be read")

    def _header(self, line: bytes, frame_bytes_max: int) -> None:
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
            if not 1 <= number <= self.args_max:
                raise PeerError("a frame has too many fields")
            self._args_left = number
            self._frame_bytes = 0
            return
        self._frame_bytes += number
        if self._frame_bytes > frame_bytes_max:
            raise PeerError("a frame is too long")
        self._args_left -= 1
        self.body_left = number
        self._ending = True


def read_fields(argv: list[bytes], kinds: Kinds) -> list[int | bytes] | int:
    """The values of the fields behind the word, as many as there are kinds; or which field is none of its kind."""
    values: list[int | bytes] = []
    for at, (is_number, most) in enumerate(kinds):
        data = argv[at + 1]
        if is_number:
            number = parse_uint(data)
            if number is None or number > most:
                return at
            values.append(number)
        elif len(data) > most:
            return at
        else:
            values.append(data)
    return values


def pack_fields(head: bytes, values: tuple[int | bytes, ...]) -> bytes:
    """A frame: what it begins with, and its fields."""
    texts = (value if isinstance(value, bytes) else b"%d" % value for value in values)
    return head + b"".join([b"$%d\r\n%b\r\n" % (len(text), text) for text in texts])
