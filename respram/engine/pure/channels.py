"""PUBLISH to the listeners of this node. The twin of native/channels.c."""

from collections.abc import Callable

from respram.engine.api import (
    FRAMES_BYTES_MAX,
    LISTENERS_MAX,
    LISTENING_PATTERNS_MAX,
    LISTENING_STEPS_MAX,
    SPREAD_BYTES_MAX,
    Session,
)
from respram.engine.pure.keyspace import Keyspace
from respram.glob import glob_match

FRAME_HEAD_BYTES = 80  # bound of its fixed parts and three lengths


class Channels:
    __slots__ = (
        "deliver", "hear", "spreads", "listeners", "patterns", "pattern_bytes", "heard", "frames", "frames_bytes",
        "spread", "spread_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.deliver: Callable[[Session, bytes], None] | None = None
        self.hear: Callable[[Session], None] | None = None
        self.spreads = False
        self.listeners: dict[bytes, dict[Session, None]] = {}
        self.patterns: dict[bytes, dict[Session, None]] = {}
        self.pattern_bytes = 0
        # each listener's names, and whether they are patterns
        self.heard: dict[Session, dict[tuple[bytes, bool], None]] = {}
        self.frames: dict[Session, list[bytes]] = {}  # published and not yet delivered
        self.frames_bytes = 0
        self.spread: list[tuple[bytes, bytes]] = []
        self.spread_bytes = 0

    def listen(self, session: Session, name: bytes, by_pattern: bool) -> None:
        if by_pattern and name not in self.patterns:
            self.pattern_bytes += len(name)
        (self.patterns if by_pattern else self.listeners).setdefault(name, {})[session] = None
        self.heard.setdefault(session, {})[name, by_pattern] = None

    def unlisten(self, session: Session, name: bytes, by_pattern: bool) -> None:
        names = self.patterns if by_pattern else self.listeners
        listeners = names.get(name, {})
        if session not in listeners:
            return
        del listeners[session], self.heard[session][name, by_pattern]
        if not listeners:
            del names[name]
            self.pattern_bytes -= len(name) if by_pattern else 0
        if not self.heard[session]:
            del self.heard[session]

    def leave(self, session: Session) -> None:
        """Removes a session: nothing is delivered to it any more."""
        for name, by_pattern in list(self.heard.get(session, ())):
            self.unlisten(session, name, by_pattern)
        self.frames_bytes -= sum(map(len, self.frames.pop(session, ())))

    def publish(self, session: Session, argv: list[bytes]) -> bytes | None:
        if len(argv) != 3 or session in self.heard or self.hear is not None:
            return None
        _, name, message = argv
        size = FRAME_HEAD_BYTES + len(name) + len(message)
        if max(len(name), len(message)) > FRAMES_BYTES_MAX:
            return None
        if self.spreads and self.spread_bytes + size > SPREAD_BYTES_MAX:
            return None
        if len(self.patterns) > LISTENING_PATTERNS_MAX or self.pattern_bytes * (len(name) + 1) > LISTENING_STEPS_MAX:
            return None
        tail = b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(name), name, len(message), message)
        found = [(b"3\r\n$7\r\nmessage\r\n" + tail, size, self.listeners.get(name, {}))]
        for pattern, listeners in self.patterns.items():
            if glob_match(pattern, name):
                head = b"4\r\n$8\r\npmessage\r\n$%d\r\n%b\r\n" % (len(pattern), pattern)
                found.append((head + tail, size + len(pattern), listeners))
        if sum(most * len(listeners) for _, most, listeners in found) > FRAMES_BYTES_MAX - self.frames_bytes:
            return None
        if sum(len(listeners) for _, _, listeners in found) > LISTENERS_MAX:
            return None
        for frame, _, listeners in found:
            for listener in listeners:
                self.frames.setdefault(listener, []).append((b">" if listener.proto == 3 else b"*") + frame)
                self.frames_bytes += 1 + len(frame)
        if self.spreads:
            self.spread.append((name, message))
            self.spread_bytes += size
        return b":%d\r\n" % sum(len(listeners) for _, _, listeners in found)

    def hand_over(self) -> None:
        """Delivers all waiting frames."""
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
