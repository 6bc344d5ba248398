"""HTTP responses: whole bodies, bodies in pieces, and problems after RFC 9457. No cookie is ever set.

A problem says what to change and never repeats what was sent; a node's own error text may quote it, so its first word
alone is shown.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from respram.gateway.faults import BadRequest, Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.watch import Silent

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

PIECE_BYTES = 256 << 10  # of a value handed over at a time: a slow reader does not hold a second copy of it
ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
CHALLENGE = (
    (b"www-authenticate", b'Basic realm="respram", charset="UTF-8"'),
    (b"www-authenticate", b'Bearer realm="respram"'),
)
JSON = (b"content-type", b"application/json")
NO_STORE = (b"cache-control", b"no-store")


class Problem(Exception):
    def __init__(self, status: int, detail: str, headers: Headers = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = tuple(headers)


def problem_of(error: Exception, *, anonymous: bool) -> Problem:
    """The status and the words for what went wrong."""
    match error:
        case Problem():
            return error
        case BadRequest():
            return Problem(400, str(error))
        case WrongLogin():
            return Problem(401, "The node knows no such user, or the password is wrong.", CHALLENGE)
        case Busy():
            return Problem(503, f"Try again later: {error}.", ((b"retry-after", b"1"),))
        case NodesGone():
            fate = " It is unknown whether the request was carried out." if error.sent else ""
            return Problem(503, f"No node answers.{fate}", ((b"retry-after", b"1"),))
        case Silent():
            return Problem(501, "The node publishes no events: start it with --notify-keyspace-events 'K$gx'.")
        case Refusal():
            return _refused(error.word, anonymous=anonymous)
    raise error


def _refused(word: str, *, anonymous: bool) -> Problem:
    if word == "NOAUTH" or (word == "NOPERM" and anonymous):
        return Problem(401, "This needs a login: basic or bearer authorization of an ACL user.", CHALLENGE)
    if word == "NOPERM":
        return Problem(403, "This user may not do that with this key.")
    if word == "OOM":
        return Problem(
            507, "The node's memory for records is full; it frees itself as keys expire.", ((b"retry-after", b"10"),)
        )
    if word in ("LOADING", "BUSY", "TRYAGAIN"):
        return Problem(503, "The node is not ready yet.", ((b"retry-after", b"1"),))
    return Problem(502, f"The node refused the request with {word if word.isalpha() else 'an error'}.")


async def send_problem(send: Send, problem: Problem, *, head: bool = False) -> None:
    title = HTTPStatus(problem.status).phrase
    body = json.dumps(
        {"type": "about:blank", "title": title, "status": problem.status, "detail": str(problem)}
    ).encode()
    headers = [(b"content-type", b"application/problem+json"), NO_STORE, *problem.headers]
    await respond(send, problem.status, headers, body, head=head)


async def send_json(send: Send, content: object, *, head: bool = False) -> None:
    await respond(send, 200, [JSON, NO_STORE], json.dumps(content).encode(), head=head)


async def respond(
    send: Send, status: int, headers: Headers, body: bytes = b"", *, head: bool = False, length: int | None = None
) -> None:
    """A 304 says no length; `length` is that of a body that was not read for a HEAD."""
    size = () if status == 304 else ((b"content-length", b"%d" % (len(body) if length is None else length)),)
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *size, *ALWAYS]})
    if head or len(body) <= PIECE_BYTES:
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    view = memoryview(body)
    for at in range(0, len(body), PIECE_BYTES):
        piece = bytes(view[at : at + PIECE_BYTES])
        await send({"type": "http.response.body", "body": piece, "more_body": at + PIECE_BYTES < len(body)})
