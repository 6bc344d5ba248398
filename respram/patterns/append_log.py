"""Append-only log on a ContentStore: entries by hash, and their order in one key. Nothing else may live in this file.

    log = AppendLog(store, "audit")
    log.append({"who": "ada", "did": "login"})  # 1: the number of entries now
    log.entries()                                    # [{"who": "ada", ...}]

The list of hashes is stored in pieces. Whatever the log's length, an append is one compare-and-set of the last piece
and of the record that lists the pieces. Entries outlive that record and are kept alive with it, so that the log lives
or expires as a whole. Not promised: more than `entries_max` entries (TooMany; start a new log), nor that simultaneous
appends on two nodes both stay while a third dies or is cut off.
"""

from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns import pieces
from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Command, Commit, Steps, Watch
from respram.patterns.errors import Contended, TooMany
from respram.patterns.json_values import Json, document, from_json, to_json
from respram.patterns.naming import key, level
from respram.patterns.steps import CHANGE_PAUSE_S, CHANGE_TRIES_MAX, C, ask_all, get, operation, pause, ttl_ms

ENTRIES_MAX = 100_000  # 6.7 MB of hashes
TOGETHER_MAX = 1000  # entries whose TTL is extended in one round trip
ENTRIES_LONGER = 1.25  # entries live a quarter longer than the log's record, so that not every append has to extend all


@dataclass(frozen=True, slots=True)
class Index:
    """The log's record: its pieces, and until when every entry is sure to live (the node's clock)."""

    lengths: tuple[int, ...] = ()
    alive_until_ms: int = 0
    begun: tuple[str, ...] = ()  # hashes inside the record itself, as earlier versions stored them

    @property
    def count(self) -> int:
        return len(self.begun) + sum(self.lengths)


@dataclass(frozen=True, slots=True)
class AppendLog(Generic[C]):
    store: ContentStore[C]
    name: str
    entries_max: int = ENTRIES_MAX

    @property
    def client(self) -> C:
        return self.store.client

    @property
    def key(self) -> bytes:
        return key("log", level(self.store.id), level(self.name))

    @operation
    def append(self, entry: Json) -> Steps[int]:
        """Appends and returns the number of entries. Raises TooMany or Contended, and then the log is unchanged."""
        ref: ContentRef = yield from self.store.store.steps(to_json(entry))
        expiry, longer = ttl_ms(self.store.ttl_s), ttl_ms(self.store.ttl_s * ENTRIES_LONGER)
        for attempt in range(CHANGE_TRIES_MAX):
            found: Any = yield Watch((self.key,))
            if found is not None:
                index = self._index(found[0])
                if index.count >= self.entries_max:
                    raise TooMany(
                        f"log {self.name!r} has {self.entries_max} entries; nothing was appended: begin a new log"
                    )
                last = yield from pieces.last_piece(self.key, list(index.lengths), self._what())
                lengths, _, write = pieces.grown(self.key, list(index.lengths), last, ref.hash, longer, self._what())
                (time,) = yield from ask_all(("TIME",))
                now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
                alive_until_ms = index.alive_until_ms
                if alive_until_ms < now_ms + expiry:
                    # Prolonged before the record says so. If the append fails, entries live a little longer, no
                    # more.
                    yield from self._keep(index, longer)
                    alive_until_ms = now_ms + longer
                keep = ("PEXPIRE", self.store.content_key(ref), longer, "GT")
                record: dict[str, Json] = {"pieces": lengths, "alive_until_ms": alive_until_ms}
                if index.begun:
                    record["begun"] = list(index.begun)
                if (yield Commit((write, keep, ("SET", self.key, to_json(record), "PX", expiry)))) is not None:
                    return index.count + 1
            yield from pause(CHANGE_PAUSE_S * attempt)
        raise Contended(f"log {self.name!r} changed under {CHANGE_TRIES_MAX} attempts; nothing was appended")

    @operation
    def entries(self, start: int = 0, count: int | None = None) -> Steps[list[Json]]:
        """Entries in order, each verified. Raises ContentMissing when one is gone: a log with holes is not returned."""
        every: list[str] = yield from self.hashes.steps()
        hashes = every[start : None if count is None else start + count]
        stored = yield from self.store.get_many.steps([ContentRef(each) for each in hashes], f"of log {self.name!r}")
        return [from_json(data, f"an entry of log {self.name!r}") for data in stored]

    @operation
    def hashes(self) -> Steps[list[str]]:
        """Hashes of the entries in order; empty when the log does not exist."""
        index: Index = self._index((yield from get(self.key)))
        listed: list[Json] = yield from pieces.items(self.key, list(index.lengths), self._what())
        return [*index.begun, *(str(each) for each in listed)]

    def _keep(self, index: Index, expiry: int) -> Steps[None]:
        listed: list[Json] = yield from pieces.items(self.key, list(index.lengths), self._what())
        lengthen: list[Command] = list(pieces.lengthened(self.key, list(index.lengths), expiry))
        lengthen += [
            ("PEXPIRE", self.store.content_key(ContentRef(each)), expiry, "GT")
            for each in dict.fromkeys([*index.begun, *listed])
        ]
        for at in range(0, len(lengthen), TOGETHER_MAX):
            yield from ask_all(*lengthen[at : at + TOGETHER_MAX])

    def _index(self, data: bytes | None) -> Index:
        if data is None:
            return Index()
        found = from_json(data, self._what())
        if isinstance(found, list):
            return Index(begun=tuple(str(each) for each in found))
        fields = document(data, self._what(), pieces=list, alive_until_ms=int)
        begun = fields.get("begun", [])
        lengths = pieces.lengths_of(fields["pieces"], self._what())
        return Index(tuple(lengths), fields["alive_until_ms"], tuple(str(each) for each in begun))

    def _what(self) -> str:
        return f"log {self.name!r}"
