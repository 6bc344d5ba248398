"""`/v1/data`: values over HTTP as REPRAM has them, with the conditions and the caching of HTTP itself.

What a cache is told is the truth: `max-age` counts from when the key was written, as `Age` does, so what remains of it
is never more than the key's own life. Caches between (`private` for who logs in) may keep a value until it is forgotten
here, and no longer.
"""

import time
import uuid
from email.utils import formatdate
from functools import lru_cache

from respram.gateway.answers import Problem, Receive, Send, respond
from respram.gateway.faults import BadRequest
from respram.gateway.names import quoted
from respram.gateway.requests import Budget, condition_of, number_of, read_body, tags_of
from respram.gateway.store import Record, Store, tag_of
from respram.gateway.target import Login

TTL_S_MAX = 10**9  # what a node can parse; it limits the TTL to its own maximum
QUORUMS = {b"majority": True, b"none": False}
DATA_METHODS = "GET, HEAD, PUT"
NO_DELETE = (
    "Nothing is deleted here: every key is forgotten when its time to live is over. "
    "Write it again with a short ?ttl= to end it sooner."
)
BYTES = (b"content-type", b"application/octet-stream")
# A stored page must not run with this site's rights.
SANDBOX = (b"content-security-policy", b"sandbox; default-src 'none'")


async def read(store: Store, login: Login | None, key: bytes, headers: dict[bytes, bytes], send: Send, budget: Budget,
               *, head: bool) -> None:
    conditional = b"if-none-match" in headers or b"if-match" in headers
    record = await (store.facts(login, key) if head and not conditional else store.fetch(login, key))
    if record is None:
        raise Problem(404, "The key does not exist, or its TTL has ended.")
    fields = [BYTES, SANDBOX, *life_headers(record, private=login is not None)]
    if head and not conditional:
        await respond(send, 200, fields, head=True, length=record.length)
        return
    budget.take(record.length)
    try:
        own = await tag_of(record.value)
        fields.append((b"etag", b'"%b"' % own.encode()))
        if b"if-match" in headers:
            wanted = tags_of(headers[b"if-match"], weak=False)
            if wanted and own not in wanted:
                raise Problem(412, "The value has changed in the meantime.")
        if b"if-none-match" in headers:
            known = tags_of(headers[b"if-none-match"], weak=True)
            if not known or own in known:
                await respond(send, 304, fields)
                return
        await respond(send, 200, fields, record.value, head=head)
    finally:
        budget.give(record.length)


@lru_cache(4096)
def spell_moment(at_s: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s)).encode()


@lru_cache(4096)
def spell_expires(at_s: int) -> bytes:
    return formatdate(at_s, usegmt=True).encode()


def life_headers(record: Record, *, private: bool) -> list[tuple[bytes, bytes]]:
    now_s = int(time.time())
    remaining_s = record.remaining_s
    scope = b"private, " if private else b""
    # Counted from the time of writing, as Age is: caches subtract one from the other.
    fresh = b"%bmax-age=%d, must-revalidate" % (scope, record.age_s + remaining_s) if remaining_s else b"no-store"
    remaining = b"%d" % remaining_s
    return [
        (b"x-created-at", spell_moment(now_s - record.age_s)),
        (b"x-original-ttl", b"%d" % record.original_s),
        (b"x-remaining-ttl", remaining),
        (b"x-ttl-remaining", remaining),
        (b"expires", spell_expires(now_s + remaining_s)),
        (b"age", b"%d" % record.age_s),
        (b"cache-control", fresh),
    ]


async def write(
    store: Store, login: Login | None, key: bytes, headers: dict[bytes, bytes], query: dict[str, bytes],
    receive: Receive, send: Send,
    bytes_max: int, budget: Budget,
) -> None:  # fmt: skip
    if b"content-range" in headers:
        raise BadRequest("A value can only be written whole.")
    ttl_s = _ttl(headers, query)
    condition = condition_of(headers)
    quorum = _quorum(query)
    value, taken = await read_body(receive, headers, bytes_max, budget)
    try:
        stored = await store.put(login, key, value, ttl_s, condition, quorum)
        own = await tag_of(value)
    finally:
        budget.give(taken)
    if not stored.written:
        raise Problem(412, "The condition does not hold for the present value.")
    status = 202 if not stored.confirmed and quorum is not False else 200 if stored.replaced else 201
    body = b"Accepted (quorum pending)" if status == 202 else b"OK"
    remaining_s = b"%d" % (max(stored.remaining_ms, 0) // 1000)
    fields = [
        (b"content-type", b"text/plain; charset=utf-8"), (b"etag", b'"%b"' % own.encode()),
        (b"x-remaining-ttl", remaining_s),
        (b"x-ttl-remaining", remaining_s), (b"cache-control", b"no-store"),
    ]  # fmt: skip
    await respond(send, status, fields, body)


async def create(
    store: Store, login: Login | None, headers: dict[bytes, bytes], query: dict[str, bytes], receive: Receive,
    send: Send,
    bytes_max: int, budget: Budget, root: str,
) -> None:  # fmt: skip
    """A key that nobody had: a random UUID, told in the body and in Location."""
    ttl_s = _ttl(headers, query)
    quorum = _quorum(query)
    value, taken = await read_body(receive, headers, bytes_max, budget)
    key = str(uuid.uuid4())
    try:
        stored = await store.put(login, key.encode(), value, ttl_s, None, quorum)
    finally:
        budget.give(taken)
    status = 202 if not stored.confirmed and quorum is not False else 201
    body = b'{"key": "%b", "ttl_seconds": %d}' % (key.encode(), -(-max(stored.remaining_ms, 0) // 1000))
    location = f"{root}/v1/data/{quoted(key.encode())}".encode()
    await respond(
        send,
        status,
        [(b"content-type", b"application/json"), (b"location", location), (b"cache-control", b"no-store")],
        body,
    )


def _ttl(headers: dict[bytes, bytes], query: dict[str, bytes]) -> int | None:
    """The query's word counts before the header's, as in REPRAM."""
    text = query.get("ttl", headers.get(b"x-ttl"))
    return None if text is None else number_of(text, "A time to live (?ttl= or X-TTL, in seconds)", 1, TTL_S_MAX)


def _quorum(query: dict[str, bytes]) -> bool | None:
    word = query.get("quorum")
    if word is None:
        return None
    if word not in QUORUMS:
        raise BadRequest("?quorum= must be majority or none.")
    return QUORUMS[word]
