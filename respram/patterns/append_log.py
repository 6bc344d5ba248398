"""Append-only log on a ContentStore: entries by hash, and their order in one key. Nothing else may live in this file.

    log = AppendLog(store, "audit")
    log.append({"who": "ada", "did": "login"})       # 1: so many entries now
    log.entries()                                    # [{"who": "ada", ...}]

Appending is a compare-and-set of the list of hashes and keeps every entry of it alive, so that the log
lives or expires as a whole. Not promised: more than `entries_max` entries (TooMany; begin a new log), nor that appends
on two nodes in the same moment both stay.
"""

from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Command, Commit, Steps, Watch
from respram.patterns.errors import Contended, ContentMissing, TooMany, Unreadable
from respram.patterns.json_values import Json, from_json, to_json
from respram.patterns.naming import key, level
from respram.patterns.steps import CHANGE_PAUSE_S, CHANGE_TRIES_MAX, C, ask_all, get, operation, pause, ttl_ms

ENTRIES_MAX = 1000  # each append rewrites 67 bytes of list and touches one key for every entry


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
        """Appends; how many entries there are. Raises TooMany or Contended, and the log is as it was."""
        ref: ContentRef = yield from self.store.store.steps(to_json(entry))
        expiry: int = ttl_ms(self.store.ttl_s)
        for attempt in range(CHANGE_TRIES_MAX):
            found: Any = yield Watch((self.key,))
            if found is not None:
                hashes: list[str] = [*self._hashes(found[0]), ref.hash]
                if len(hashes) > self.entries_max:
                    raise TooMany(
                        f"log {self.name!r} has {self.entries_max} entries; nothing was appended: begin a new log"
                    )
                keys = [self.store.content_key(ContentRef(each)) for each in dict.fromkeys(hashes)]
                lengthen: tuple[Command, ...] = tuple(("PEXPIRE", each, expiry, "GT") for each in keys)
                if (yield Commit((*lengthen, ("SET", self.key, to_json(hashes), "PX", expiry)))) is not None:
                    return len(hashes)
            yield from pause(CHANGE_PAUSE_S * attempt)
        raise Contended(f"log {self.name!r} changed under {CHANGE_TRIES_MAX} attempts; nothing was appended")

    @operation
    def entries(self) -> Steps[list[Json]]:
        """All entries in order, each verified. Raises ContentMissing when one is gone: a log with holes is none."""
        refs = [ContentRef(each) for each in (yield from self.hashes.steps())]
        stored = yield from ask_all(*(("GET", self.store.content_key(ref)) for ref in refs))
        if None in stored:
            raise ContentMissing(
                f"entry {stored.index(None) + 1} of log {self.name!r} is gone: its time was up before the log's"
            )
        pairs = zip(refs, stored, strict=True)
        return [from_json(ref.verified(data), f"an entry of log {self.name!r}") for ref, data in pairs]

    @operation
    def hashes(self) -> Steps[list[str]]:
        """Hashes of the entries in order; empty when there is no such log."""
        return self._hashes((yield from get(self.key)))

    def _hashes(self, data: bytes | None) -> list[str]:
        if data is None:
            return []
        found = from_json(data, f"log {self.name!r}")
        if not isinstance(found, list):
            raise Unreadable(f"the key of log {self.name!r} holds no list: another program wrote to it")
        return [str(each) for each in found]
