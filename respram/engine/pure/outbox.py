"""The keys that were written here and not yet handed to the peers, each once, up to a bound.

Keyed by key, so that a key written a thousand times between two drains travels once. What does not
fit is dropped, all of it, and said: anti-entropy repairs the rest, and is the guarantee anyway.
"""

KEY_BYTES = 160  # of an entry of the dict and its tuple


class Outbox:
    __slots__ = ("bytes_max", "used_bytes", "overflowed", "_keys")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used_bytes = 0
        self.overflowed = False
        self._keys: dict[tuple[int, bytes], int] = {}

    def add(self, db: int, key: bytes, record_bytes: int) -> None:
        entry = (db, key)
        known_bytes = self._keys.get(entry, 0)
        size = record_bytes + KEY_BYTES
        self._keys[entry] = size
        self.used_bytes += size - known_bytes
        if self.used_bytes > self.bytes_max:
            self._keys.clear()
            self.used_bytes = 0
            self.overflowed = True

    def has(self, db: int, key: bytes) -> bool:
        return (db, key) in self._keys

    def take(self) -> tuple[int, bytes] | None:
        """The key that has waited longest."""
        for entry in self._keys:
            self.used_bytes -= self._keys.pop(entry)
            return entry
        return None
