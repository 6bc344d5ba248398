"""Key names by one convention: a prefix that says what the key is for, then levels, with a colon before each.

    lock = key("lock", "org-acme", "pipeline-ingest", "stage-2")     # b"lock:org-acme:pipeline-ingest:stage-2"
    drop = derived("handoff", "task-742", "agent-a", "agent-b")      # both sides compute the same key
    note = unique("scratch")                                         # b"scratch:550e8400-..."
    live = Listing(client).keys("heartbeat:")                        # all keys with this prefix

Not promised: that two users of one node choose different names. Give derived keys enough context.
"""

import hashlib
import uuid
from dataclasses import dataclass
from typing import Generic
from urllib.parse import quote_from_bytes, unquote_to_bytes

from respram.patterns.errors import BadName, TooMany
from respram.patterns.steps import C, Steps, ask, operation

HANDOFF, SCRATCH, LOCK, HEARTBEAT, STATE, BROADCAST = "handoff", "scratch", "lock", "heartbeat", "state", "broadcast"

KEY_BYTES_MAX = 4096  # of a name; what needs more belongs into the value
KEYS_MAX = 100_000  # keys of one listing, which the caller gets as one list
SCAN_COUNT = 1000  # keys visited in one SCAN step: under a millisecond of the node's time


def key(prefix: str, *levels: str) -> bytes:
    """A readable key: the levels joined by colons. A level that contains colons counts as several."""
    for each in (prefix, *levels):
        if not each:
            raise BadName("every level of a key must be a text of at least one character")
    return sized(encoded(":".join((prefix, *levels))))


def encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadName("a name with half of a surrogate pair cannot be written as UTF-8") from None


def sized(name: bytes) -> bytes:
    if not name or len(name) > KEY_BYTES_MAX:
        raise BadName(f"a key of {len(name)} bytes: it must have between 1 and {KEY_BYTES_MAX}")
    return name


def level(text: str) -> str:
    """Encodes any text as one level: colons and unprintable bytes become %XX. `unlevel` is its inverse."""
    return quote_from_bytes(encoded(text), safe="/@+,=!$&'()*;.-_~ ")


def levels(text: str) -> str:
    """As `level`, but colons stay: for a text with levels of its own at the end of a key."""
    return quote_from_bytes(encoded(text), safe=":/@+,=!$&'()*;.-_~ ")


def unlevel(quoted: str | bytes) -> str:
    # Another program's name may not be UTF-8; a listing shows it rather than fail as a whole.
    return unquote_to_bytes(quoted).decode(errors="backslashreplace")


def unique(prefix: str) -> bytes:
    """A key that nobody else has: a random UUID below the prefix."""
    return key(prefix, str(uuid.uuid4()))


def derived(prefix: str, *context: str | bytes) -> bytes:
    """A key that everybody with the same context derives: SHA-256 over the parts, each prefixed by its length.

    Without the lengths ("ab", "c") and ("a", "bc") would share one key.
    """
    if not context:
        raise BadName("a derived key needs at least one part of shared context")
    digest = hashlib.sha256()
    for part in context:
        data = encoded(part) if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return key(prefix, digest.hexdigest())


def glob_escaped(prefix: bytes) -> bytes:
    """The prefix as a SCAN pattern that matches only itself."""
    return b"".join(b"\\" + bytes((byte,)) if byte in b"*?[]\\^" else bytes((byte,)) for byte in prefix)


def scan(prefix: bytes, keys_max: int = KEYS_MAX) -> Steps[list[bytes]]:
    """All keys below a prefix, sorted, each once. SCAN visits every key of the node. Raises TooMany."""
    found: set[bytes] = set()
    cursor: int | bytes = 0
    while True:
        cursor, page = yield from ask("SCAN", cursor, "MATCH", glob_escaped(prefix) + b"*", "COUNT", SCAN_COUNT)
        found.update(page)
        if len(found) > keys_max:
            raise TooMany(f"more than {keys_max} keys begin with {prefix[:80]!r}; use a longer prefix")
        if int(cursor) == 0:
            return sorted(found)


@dataclass(frozen=True, slots=True)
class Listing(Generic[C]):
    """Discovery by prefix."""

    client: C
    keys_max: int = KEYS_MAX

    @operation
    def keys(self, prefix: str) -> Steps[list[str]]:
        """Names of the live keys that begin with `prefix`, sorted. Bytes that are no UTF-8 become `\\xNN`."""
        return [name.decode(errors="backslashreplace") for name in (yield from scan(encoded(prefix), self.keys_max))]
