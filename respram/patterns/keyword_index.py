"""Keyword index and search over short-lived documents. Nothing else may live in this file.

    index = KeywordIndex(client, "articles", ttl_s=3600)
    index.add("doc-1", {"content": "Keys leave when their time is up"})
    index.search("keys time")            # [Found("doc-1", {...})]: documents that contain every word

A document is stored first and indexed after, so that a search never names what was not stored; a document
that expired is left out, and out of the index at the next addition to its word.
Not promised: that two nodes adding to one word at the same moment both succeed while a third dies or is cut off; that
all words are indexed when `add` is cut off (add again: it is idempotent). No ranking, no stemming: words are runs of
letters and digits.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from respram.patterns.data_store import DataStore, decoded, encoded, first_of
from respram.patterns.effects import Command
from respram.patterns.errors import TooMany
from respram.patterns.json_values import Json
from respram.patterns.steps import C, Steps, ask_all, change, operation

WORDS_MAX = 1000  # indexed words of one document: each takes one compare-and-set
POSTINGS_MAX = 10_000  # documents of one word: each addition rewrites the list


def words(text: str) -> list[str]:
    # Normalised to one form: a separate accent character would otherwise end the word.
    return sorted(set(re.findall(r"\w+", unicodedata.normalize("NFKC", text.casefold()))))


@dataclass(frozen=True, slots=True)
class Found:
    doc_id: str
    document: Json


@dataclass(frozen=True, slots=True)
class KeywordIndex(Generic[C]):
    client: C
    name: str
    ttl_s: float = 3600.0
    keywords: Callable[[str], list[str]] = words

    @property
    def documents(self) -> DataStore[C]:
        return DataStore(self.client, self.ttl_s, f"documents:{self.name}")

    @property
    def postings(self) -> DataStore[C]:
        return DataStore(self.client, self.ttl_s, f"keywords:{self.name}")

    @operation
    def add(self, doc_id: str, document: dict[str, Json], content: str = "content") -> Steps[list[str]]:
        """Stores the document, indexes its field `content` and returns the words. Raises TooMany before any write."""
        found = self.keywords(document[content])
        if len(found) > WORDS_MAX:
            raise TooMany(
                f"document {doc_id!r} has {len(found)} words, the limit is {WORDS_MAX}: index a summary instead"
            )
        yield from self.documents.set.steps(doc_id, document)
        yield from self.postings.noted.steps()
        for word in found:
            yield from self._post(word, doc_id)
        return found

    @operation
    def search(self, query: str) -> Steps[list[Found]]:
        """The documents that contain every word of the query, by id. An empty query finds nothing."""
        matching: set[str] | None = None
        for word in self.keywords(query):
            posted = set((yield from self.postings.get.steps(word, [])))
            matching = posted if matching is None else matching & posted
        ids: list[str] = sorted(matching or ())
        asked = [self._stored("MGET", doc_id) for doc_id in ids]
        stored = yield from ask_all(*asked)
        pairs = zip(ids, map(first_of, stored), strict=True)
        return [Found(doc_id, decoded(data, doc_id)[0]) for doc_id, data in pairs if data]

    def _stored(self, command: str, doc_id: str) -> Command:
        return (command, *self.documents.keys(doc_id))

    def _post(self, word: str, doc_id: str) -> Steps[None]:
        known: list[str] = yield from self.postings.get.steps(word, [])
        asked = [self._stored("EXISTS", posted) for posted in known]
        there = yield from ask_all(*asked)
        expired: set[str] = {each for each, count in zip(known, there, strict=True) if not count} - {doc_id}

        def edit(found: bytes | None) -> bytes:
            posted: list[str] = decoded(found, word)[0] if found else []
            # What another client posted since `known` was read is not in `expired`, and stays.
            every = list(dict.fromkeys([*(each for each in posted if each not in expired), doc_id]))
            if len(every) > POSTINGS_MAX:
                raise TooMany(
                    f"more than {POSTINGS_MAX} documents contain one word: leave such words out of `keywords`"
                )
            return encoded(every)

        yield from change(self.postings.key(word), edit, self.ttl_s)
