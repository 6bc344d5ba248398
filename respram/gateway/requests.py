"""What comes in over HTTP: paths and queries as bytes, numbers, conditions, and bodies within bounds of size and time.
"""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from respram.gateway.answers import Problem, Receive, Scope
from respram.gateway.faults import BadRequest, Busy
from respram.gateway.store import Condition

BODY_S = 60.0  # for a whole body
PIECE_S = 15.0  # for its next piece
WINDOW_S = 2.0  # interval over which the rate of a body is measured
SLOW_BYTES_S = 64 << 10  # a slower body is cut off if others need the memory
QUERY_FIELDS_MAX = 20  # no route has more than four
PREFIX_BYTES_MAX = 4_096  # nodes accept no longer pattern
DIGITS_MAX = 18  # of a number: bounds the time of int()
# One entity tag of a list, with the comma behind it or the list's end: `W/` if it is weak, and the text in quotes.
TAGS = re.compile(r'\s*(W/)?"([!#-~\x80-\xff]*)"\s*(?:,|$)')
TAGS_BYTES_MAX = 8_192  # of a list of entity tags


class Body:
    """A body that is still being read, and how fast it comes: by windows of WINDOW_S, of which the last one counts."""

    def __init__(self, now_s: float) -> None:
        self.taken = 0
        self.pieces: list[bytes] = []
        self.ended = False  # it was cut off to free memory
        self.patience: asyncio.Timeout | None = None
        self._since_s = now_s
        self._in_window = 0
        self._was_slow = False

    def add(self, piece: bytes, now_s: float) -> None:
        if now_s - self._since_s >= WINDOW_S:
            self._was_slow = self._lags(now_s)
            self._since_s, self._in_window = now_s, 0
        self.pieces.append(piece)
        self.taken += len(piece)
        self._in_window += len(piece)

    def is_slow(self, now_s: float) -> bool:
        return self._was_slow or (now_s - self._since_s >= WINDOW_S and self._lags(now_s))

    def _lags(self, now_s: float) -> bool:
        return self._in_window < SLOW_BYTES_S * (now_s - self._since_s)


class Budget:
    """The budget of bytes that all requests may hold together, in bodies and values.

    If there is no room left, bodies that come too slowly are ended, those that hold most first. Otherwise sixteen
    clients that sent all of 16 MB but the last byte would keep everyone else out for a minute.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.left = bytes_max
        self.bodies: set[Body] = set()

    @property
    def taken(self) -> int:
        return self.bytes_max - self.left

    def take(self, count: int) -> None:
        if count > self.left:
            self._make_room(count)
        if count > self.left:
            raise Busy("too many large values are on their way")
        self.left -= count

    def _make_room(self, count: int) -> None:
        now_s = asyncio.get_running_loop().time()
        for body in sorted((one for one in self.bodies if one.is_slow(now_s)), key=lambda one: -one.taken):
            if count <= self.left:
                return
            self.bodies.discard(body)
            self.give(body.taken)
            body.taken, body.ended = 0, True
            body.pieces.clear()
            if body.patience is not None:
                body.patience.reschedule(now_s)  # it waits in `receive`, which then raises a timeout

    def give(self, count: int) -> None:
        self.left += count


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers by name. A header that comes twice has both values, with a comma between them."""
    rows = scope["headers"]
    found: dict[bytes, bytes] = dict(rows)
    if len(found) == len(rows):
        return found
    found.clear()
    for name, value in rows:
        found[name] = b", ".join((found[name], value)) if name in found else value
    return found


def path_of(scope: Scope) -> bytes:
    """The path below the gateway's mount point, still percent-encoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if b"?" in raw:
        raw = raw.partition(b"?")[0]
    root: str = scope.get("root_path", "")
    return raw.removeprefix(root.encode()) if root else raw


def key_of(path: bytes) -> bytes:
    key = unquote_to_bytes(path)
    if not key:
        raise BadRequest("A key has at least one byte: /v1/data/{key}.")
    return key


def query_of(scope: Scope) -> dict[str, bytes]:
    """The query's values by name; of two with one name the last. Values stay bytes, since a prefix may be any bytes."""
    text: bytes = scope.get("query_string", b"")
    if text.count(b"&") >= QUERY_FIELDS_MAX:
        raise BadRequest(f"At most {QUERY_FIELDS_MAX} query parameters are read.")
    pairs = (piece.replace(b"+", b" ").partition(b"=") for piece in text.split(b"&") if piece)
    return {unquote_to_bytes(name).decode("utf-8", "replace"): unquote_to_bytes(value) for name, _, value in pairs}


def number_of(value: bytes, name: str, least: int, most: int) -> int:
    text = value.strip()
    if not text.isdigit() or len(text) > DIGITS_MAX or not least <= int(text) <= most:
        raise BadRequest(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def prefix_of(query: Mapping[str, bytes]) -> bytes:
    prefix = query.get("prefix", b"")
    if len(prefix) > PREFIX_BYTES_MAX:
        raise BadRequest(f"A prefix has at most {PREFIX_BYTES_MAX} bytes.")
    return prefix


def tags_of(value: bytes, *, weak: bool) -> frozenset[str]:
    """The entity tags of a list; none for `*`. Weak tags are left out where they cannot match (RFC 9110, 13.1)."""
    text = value.strip().decode("latin-1")
    if text == "*":
        return frozenset()
    found, at = set(), 0
    while at < len(text):
        one = TAGS.match(text, at)
        if one is None or len(text) > TAGS_BYTES_MAX:
            raise BadRequest('If-Match and If-None-Match must be * or entity tags such as "abc".')
        if weak or not one[1]:
            found.add(one[2])
        at = one.end()
    # A list without a usable tag matches nothing. An empty set would mean `*`, so it gets a tag that no value has.
    return frozenset(found) or frozenset({"\0"})


def condition_of(headers: Mapping[bytes, bytes]) -> Condition | None:
    match, none_match = headers.get(b"if-match"), headers.get(b"if-none-match")
    if match is None and none_match is None:
        return None
    return Condition(
        None if match is None else tags_of(match, weak=False),
        None if none_match is None else tags_of(none_match, weak=True),
    )


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], bytes_max: int, budget: Budget
) -> tuple[bytes, int]:
    """The whole body, and the bytes taken from the budget for it, which the caller gives back."""
    too_large = Problem(413, f"A value has at most {bytes_max} bytes here.", ((b"connection", b"close"),))
    length = headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > DIGITS_MAX or int(length) > bytes_max):
        raise too_large
    clock = asyncio.get_running_loop().time
    end_s = clock() + BODY_S
    body = Body(clock())
    try:
        async with asyncio.timeout_at(min(clock() + PIECE_S, end_s)) as body.patience:
            while True:
                message = await receive()
                if body.ended:
                    raise TimeoutError
                if message["type"] == "http.disconnect":
                    raise Problem(400, "The body ended early.")
                piece = message.get("body", b"")
                if piece:
                    budget.bodies.discard(body)  # it must not be cut off to make room for itself
                    budget.take(len(piece))
                    budget.bodies.add(body)
                    body.add(piece, clock())
                    if body.taken > bytes_max:
                        raise too_large
                if not message.get("more_body", False):
                    pieces = body.pieces
                    return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), body.taken
                body.patience.reschedule(min(clock() + PIECE_S, end_s))
    except TimeoutError:
        budget.give(body.taken)
        raise Problem(408, "The body took too long.", ((b"connection", b"close"),)) from None
    except BaseException:
        budget.give(body.taken)
        raise
    finally:
        budget.bodies.discard(body)
