"""From a stream of bytes to messages. The shape of every frame is checked before anything is made of it (fields.py).

Before HELLO a frame may be 4 KiB and nothing but HELLO or REFUSE: strangers cost next to nothing.
"""

from respram.errors import PeerError
from respram.wire.codec import ARGS_MAX, decode
from respram.wire.fields import Splitter
from respram.wire.messages import Hello, Message, Refuse

STRANGER_FRAME_BYTES_MAX = 4096  # of frames before HELLO, and of HELLO, which is smaller

try:
    from respram.wire._fields import NativeSplitter

    SPLITTER: type[Splitter] = NativeSplitter
except ImportError:  # built without a compiler
    SPLITTER = Splitter


class Frames:
    """One direction of one link. Whole, in pieces or byte by byte: the same messages."""

    __slots__ = ("frame_bytes_max", "greeted", "splitter")

    def __init__(self, frame_bytes_max: int) -> None:
        self.frame_bytes_max = frame_bytes_max
        self.greeted = False
        self.splitter = SPLITTER(ARGS_MAX)  # its `body_left`: how many bytes the field that has begun still lacks

    def push(self, data: bytes) -> list[Message]:
        """The messages that are complete by now. Raises PeerError; after that the stream is lost."""
        messages: list[Message] = []
        for argv in self.splitter.push(data, self.frame_bytes_max if self.greeted else STRANGER_FRAME_BYTES_MAX):
            message = decode(argv)
            if not self.greeted:
                if not isinstance(message, Hello | Refuse):
                    raise PeerError("the first frame must be HELLO")
                self.greeted = True
            messages.append(message)
        return messages
