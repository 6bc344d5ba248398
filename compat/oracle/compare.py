"""Two transcripts side by side: which replies are the same, which differ by design, and which differ.

In the whole way each reply is compared within its step. In the other ways a reply belongs to no step that
could be seen, so the n-th reply on a connection is compared with the n-th of the reference.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from compat.oracle.resp import Node, NotReplyError, parse
from compat.oracle.rules import SLACK_MS, Case, rule_for
from compat.oracle.stream import Send, Stream, Walk
from compat.oracle.transcript import NOTHING, Heard, Transcript

ABSENT = b"<nothing more>"
Words = tuple[bytes, ...]


class Pair(NamedTuple):
    step: int
    conn: int
    expected: bytes
    got: bytes
    queued: tuple[Words, ...]  # the commands that an EXEC runs


class Difference(NamedTuple):
    stream: Stream
    way: str
    step: int
    conn: int
    expected: bytes
    got: bytes


@dataclass(slots=True)
class Tally:
    """What became of the replies of a family."""

    compared: int = 0
    equal: int = 0  # steps with byte-identical replies
    by_rule: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def agreed(self) -> int:
        return self.equal + sum(self.by_rule.values())

    @property
    def percent(self) -> float:
        return 100.0 * self.agreed / self.compared if self.compared else 0.0


def compare(stream: Stream, reference: Transcript, other: Transcript, way: str, tally: Tally) -> None:
    """Adds what was compared to the tally."""
    slack_ms = max(SLACK_MS, other.ended_ms - reference.started_ms + 1_000)  # TTL counts whole seconds
    for pair in _pairs(reference, other, stream, way):
        tally.compared += 1
        if pair.expected == pair.got:
            tally.equal += 1
            continue
        rules = _by_design(stream, pair, reference.started_ms, other.started_ms, slack_ms)
        if rules is None:
            tally.differences.append(Difference(stream, way, pair.step, pair.conn, pair.expected, pair.got))
        else:
            tally.by_rule[rules] += 1


def _pairs(reference: Transcript, other: Transcript, stream: Stream, way: str) -> Iterator[Pair]:
    conns = sorted({one.conn for one in reference.heard} | {one.conn for one in other.heard})
    for conn in conns:
        expected, got = reference.of(conn), other.of(conn)
        if way != "whole":  # without waiting for single replies, a missing reply cannot be noticed
            expected = [one for one in expected if one.frame != NOTHING]
        queues = _queues(stream, expected)
        if way != "whole":
            yield from _in_order(conn, expected, got, queues, 0, -1)
            continue
        at = 0
        for step in sorted({one.step for one in expected} | {one.step for one in got}):
            left = [one for one in expected if one.step == step]
            right = [one for one in got if one.step == step]
            yield from _in_order(conn, left, right, queues, at, step)
            at += len(left)


def _in_order(
    conn: int, expected: list[Heard], got: list[Heard], queues: dict[int, tuple[Words, ...]], at: int, step: int
) -> Iterator[Pair]:
    for number in range(max(len(expected), len(got))):
        left = expected[number].frame if number < len(expected) else ABSENT
        right = got[number].frame if number < len(got) else ABSENT
        where = expected[number].step if number < len(expected) else step if step >= 0 else got[number].step
        yield Pair(where, conn, left, right, queues.get(at + number, ()))
        if way_is_lost(left, right) and step < 0:
            return  # the following replies would be compared with the wrong ones


def way_is_lost(left: bytes, right: bytes) -> bool:
    return ABSENT in (left, right)


def _queues(stream: Stream, heard: list[Heard]) -> dict[int, tuple[Words, ...]]:
    """By the number of an EXEC's reply on its connection: the commands that were queued for it."""
    found: dict[int, tuple[Words, ...]] = {}
    queued: list[Words] = []
    for number, one in enumerate(heard):
        words = words_of(stream, one.step)
        if one.frame == b"+QUEUED\r\n":
            queued.append(words)
        elif words[:1] in ((b"exec",), (b"discard",), (b"reset",)):
            found[number] = tuple(queued)
            queued = []
    return found


def words_of(stream: Stream, step: int) -> Words:
    """The command of a step in lower case; what is not known before playing is empty."""
    one = stream.steps[step]
    if isinstance(one, Walk):
        return (b"scan", b"walk")
    if not isinstance(one, Send):
        return ()
    return tuple(word.lower() if isinstance(word, bytes) else b"" for word in one.argv)


def _by_design(stream: Stream, pair: Pair, expected_ms: int, got_ms: int, slack_ms: int) -> str | None:
    step = stream.steps[pair.step]
    if isinstance(step, Send) and step.exact:
        return None
    try:
        expected, got = parse(pair.expected), parse(pair.got)
    except NotReplyError:
        return None
    words = words_of(stream, pair.step)
    if words[:1] == (b"exec",):
        return _exec_by_design(pair, expected, got, expected_ms, got_ms, slack_ms)
    return rule_for(Case(words, expected, got, expected_ms, got_ms, slack_ms))


def _exec_by_design(pair: Pair, expected: Node, got: Node, expected_ms: int, got_ms: int, slack_ms: int) -> str | None:
    """Element by element, each with the rules of its own command; the id of the last that was needed."""
    if not len(expected.items) == len(got.items) == len(pair.queued) or expected.kind != got.kind:
        return None
    needed = None
    for words, left, right in zip(pair.queued, expected.items, got.items, strict=True):
        if left != right:
            needed = rule_for(Case(words, left, right, expected_ms, got_ms, slack_ms))
            if needed is None:
                return None
    return needed
