"""Frames of user-defined types over a stream, each type with its handler. Nothing else may live in this file.

    MY_HANDSHAKE = 0x80
    FrameSender(encoder).send(MY_HANDSHAKE, payload)
    dispatcher = FrameDispatcher(decoder)
    dispatcher.register_handler(MY_HANDSHAKE, handle)
    dispatcher.dispatch_next(timeout_s=5)  # calls handle(payload) and returns its result

Types 0x80 to 0xFF are the user's; lower ones are reserved for this library. Not promised: more than the stream does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import BadName, Unreadable
from respram.patterns.live_stream import StreamDecoder, StreamEncoder
from respram.patterns.steps import C, call, operation

TYPE_MIN, TYPE_MAX = 0x80, 0xFF


@dataclass(frozen=True, slots=True)
class FrameSender(Generic[C]):
    encoder: StreamEncoder[C]

    @property
    def client(self) -> C:
        return self.encoder.client

    @operation
    def send(self, frame_type: int, payload: bytes) -> Steps[None]:
        yield from self.encoder.send.steps(bytes((checked_type(frame_type),)) + payload)


@dataclass(frozen=True, slots=True)
class FrameDispatcher(Generic[C]):
    decoder: StreamDecoder[C]
    handlers: dict[int, Callable[[bytes], Any]] = field(default_factory=dict)

    @property
    def client(self) -> C:
        return self.decoder.client

    def register_handler(self, frame_type: int, handler: Callable[[bytes], Any]) -> None:
        """Registers the one handler of a type, plain or async; a second registration is an error."""
        if checked_type(frame_type) in self.handlers:
            raise BadName(f"frame type {frame_type:#04x} has a handler already")
        self.handlers[frame_type] = handler

    @operation
    def dispatch(self, frame_type: int, payload: bytes) -> Steps[Any]:
        """Calls the type's handler and returns its result. Raises Unreadable when there is no handler."""
        if frame_type not in self.handlers:
            raise Unreadable(f"no handler is registered for frame type {frame_type:#04x}; the frame was skipped")
        return (yield from call(self.handlers[frame_type], payload))

    @operation
    def dispatch_next(self, timeout_s: float) -> Steps[Any]:
        """Reads one frame and dispatches it. Raises what the stream's `receive` raises."""
        frame = yield from self.decoder.receive.steps(timeout_s)
        if not frame:
            raise Unreadable("a message without a frame type: it was not sent by FrameSender; it was skipped")
        return (yield from self.dispatch.steps(frame[0], frame[1:]))


def checked_type(frame_type: int) -> int:
    if not TYPE_MIN <= frame_type <= TYPE_MAX:
        raise BadName(f"frame type {frame_type:#04x}: a user's types are {TYPE_MIN:#04x} to {TYPE_MAX:#04x}")
    return frame_type
