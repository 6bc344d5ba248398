"""A long list stored in bounded pieces. Each piece is a JSON list under a key of its own; the owner's record has their
lengths.

An addition rewrites the last piece and the owner's record in one MULTI, whatever the list's length. The owner keeps
`lengths`, and gives it back to every function here. Between nodes the two records travel one by one: a piece that is
still short of what its owner's record says is waited for, LATE_S at most. No client, no key of an owner and no rule of
a pattern may live here.
"""

import time

from respram.patterns.effects import Command, Steps
from respram.patterns.errors import ContentMissing, TooMany, Unreadable
from respram.patterns.json_values import Json, from_json, to_json
from respram.patterns.steps import ask_all, pause

PIECE_BYTES = 16 * 1024  # a larger piece takes no more items: each addition sends the last piece again
PIECES_MAX = 4096  # pieces of one list, about 64 MiB in total
READ_AHEAD = 64  # pieces in one round trip: about a mebibyte
LATE_S = 0.2  # how long a piece may take to reach a node before it counts as missing
POLL_S = 0.01


def piece_key(base: bytes, number: int) -> bytes:
    return base + b":%d" % number


def last_piece(base: bytes, lengths: list[int], what: str) -> Steps[list[Json]]:
    """The items of the last piece; none of a list that has no pieces. Raises ContentMissing."""
    if not lengths:
        return []
    return (yield from _pieces(base, lengths, len(lengths) - 1, len(lengths), what))[0]


def grown(
    base: bytes, lengths: list[int], last: list[Json], item: Json, ttl_ms: int, what: str
) -> tuple[list[int], list[Json], Command]:
    """Appends one item: the new lengths and last piece, and the command that writes it. Raises TooMany or NotJson."""
    data = to_json([*last, item])
    if lengths and len(data) <= PIECE_BYTES:
        lengths, last = [*lengths[:-1], lengths[-1] + 1], [*last, item]
    else:
        if len(lengths) == PIECES_MAX:
            raise TooMany(f"{what} fills {PIECES_MAX} pieces; nothing was added: begin a new one")
        lengths, last, data = [*lengths, 1], [item], to_json([item])
    return lengths, last, ("SET", piece_key(base, len(lengths) - 1), data, "PX", ttl_ms)


def items(base: bytes, lengths: list[int], what: str, start: int = 0) -> Steps[list[Json]]:
    """Items from number `start` on. Raises ContentMissing when a piece is gone, rather than skip it."""
    first = 0
    while first < len(lengths) and start >= lengths[first]:
        start -= lengths[first]
        first += 1
    found: list[Json] = []
    for at in range(first, len(lengths), READ_AHEAD):
        for piece in (yield from _pieces(base, lengths, at, min(at + READ_AHEAD, len(lengths)), what)):
            found.extend(piece)
    return found[start:]


def lengthened(base: bytes, lengths: list[int], ttl_ms: int) -> tuple[Command, ...]:
    """Commands that lengthen the life of every piece to at least the given time."""
    return tuple(("PEXPIRE", piece_key(base, number), ttl_ms, "GT") for number in range(len(lengths)))


def _pieces(base: bytes, lengths: list[int], first: int, end: int, what: str) -> Steps[list[list[Json]]]:
    until = time.monotonic() + LATE_S
    while True:
        pieces: list[list[Json]] = []
        stored = yield from ask_all(("MGET", *(piece_key(base, number) for number in range(first, end))))
        for number, data in enumerate(stored[0], first):
            piece = from_json(data, f"a piece of {what}") if data is not None else []
            if not isinstance(piece, list):
                raise Unreadable(f"a piece of {what} holds no list: another program wrote to its key")
            if len(piece) < lengths[number]:
                break
            # A piece that arrived before its owner's record may be longer than the record says.
            pieces.append(piece[: lengths[number]])
        if len(pieces) == end - first:
            return pieces
        if time.monotonic() >= until:
            raise ContentMissing(
                f"piece {first + len(pieces) + 1} of {what} is gone: its time was up before the rest's"
            )
        yield from pause(POLL_S)


def lengths_of(found: Json, what: str) -> list[int]:
    """The lengths of the pieces from an owner's record, validated."""
    if (
        not isinstance(found, list)
        or len(found) > PIECES_MAX
        or not all(isinstance(each, int) and each > 0 for each in found)
    ):
        raise Unreadable(f"the record of {what} was not written by this pattern")
    return found
