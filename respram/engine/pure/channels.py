"""PUBLISH to the listeners of this node. The twin of native/channels.c."""

from collections.abc import Callable

from respram.engine.api import FRAMES_BYTES_MAX, SPREAD_BYTES_MAX, Session
from respram.engine.pure.keyspace import Keyspace

FRAME_HEAD_BYTES = 80  # more than its fixed parts and two lengths take


class Channels:
    __slots__ = (
        "deliver", "spreads", "by_pattern", "listeners", "heard", "frames", "frames_bytes", "spread", "spread_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.deliver: Callable[[Session, bytes], None] | None = None
        self.spreads = False
        self.by_pattern = False
        self.listeners: dict[bytes, dict[Session, None]] = {}
        self.heard: dict[Session, dict[bytes, None]] = {}  # the channels of each listener
        self.frames: dict[Session, list[bytes]] = {}  # published, and not delivered yet
        self.frames_bytes = 0
        self.spread: list[tuple[bytes, bytes]] = []
        self.spread_bytes = 0

    def listen(self, session: Session, name: bytes) -> None:
        self.listeners.setdefault(name, {})[session] = None
        self.heard.setdefault(session, {})[name] = None

    def unlisten(self, session: Session, name: bytes) -> None:
        listeners = self.listeners.get(name, {})
        if session not in listeners:
            return
        del listeners[session], self.heard[session][name]
        if not listeners:
            del self.listeners[name]
        if not self.heard[session]:
            del self.heard[session]

    def leave(self, session: Session) -> None:
        """For good: nothing is delivered to it any more."""
        for name in list(self.heard.get(session, ())):
            self.unlisten(session, name)
        self.frames_bytes -= sum(map(len, self.frames.pop(session, ())))

    def publish(self, session: Session, argv: list[bytes]) -> bytes | None:
        if len(argv) != 3 or self.by_pattern or session in self.heard:
            return None
        _, name, message = argv
        size = FRAME_HEAD_BYTES + len(name) + len(message)
        if max(len(name), len(message)) > FRAMES_BYTES_MAX:
            return None
        if self.spreads and self.spread_bytes + size > SPREAD_BYTES_MAX:
            return None
        listeners = self.listeners.get(name, {})
        if len(listeners) * size > FRAMES_BYTES_MAX - self.frames_bytes:
            return None
        frame = b"3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(name), name, len(message), message)
        for listener in listeners:
            self.frames.setdefault(listener, []).append((b">" if listener.proto == 3 else b"*") + frame)
            self.frames_bytes += 1 + len(frame)
        if self.spreads:
            self.spread.append((name, message))
            self.spread_bytes += size
        return b":%d\r\n" % len(listeners)

    def hand_over(self) -> None:
        """Delivers all that waits."""
        while self.frames:
            session, frames = self.frames.popitem()
            data = b"".join(frames)
            self.frames_bytes -= len(data)
            if self.deliver is not None:
                self.deliver(session, data)

    def take_published(self) -> list[tuple[bytes, bytes]]:
        taken, self.spread, self.spread_bytes = self.spread, [], 0
        return taken


def publish(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return keyspace.publish(session, argv)
