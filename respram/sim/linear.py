"""Checks a history of one key for linearizability: could one sequential register have given these replies?

A history is *linearizable* if each operation can be given a moment between its beginning and its end, so that all
answers are those of a single register that is asked in that order. An operation with an unknown outcome may take
effect at any moment after it began, or never. The search is that of Wing and Gong, with memoisation of visited states
(Lowe 2017): the operations that are done, and the value that the register then holds.

    INCR        one more than there was; the answer is the new number
    TAKE v      v, if there was nothing (SET NX); the answer is 1 or 0
    SWAP v      v (SET with GET); the answer is what was there
    LOOK v      v, if there was nothing (SET NX with GET); the answer is what was there
"""

from collections.abc import Iterable
from dataclasses import dataclass

INCR, TAKE, SWAP, LOOK = "incr", "take", "swap", "look"
STEPS_MAX = 200_000  # of one search: with thousands of operations without an outcome it would not end

Held = int | None


class Undecided(Exception):
    """The search has been given up."""


@dataclass(frozen=True, slots=True)
class Operation:
    began: int
    ended: int | None  # None: the outcome is unknown
    what: str
    value: int = 0
    answer: Held = None


def apply(operation: Operation, held: Held) -> tuple[Held, Held]:
    """Applies an operation to the register: the new value, and the answer."""
    if operation.what == INCR:
        number = (held or 0) + 1
        return number, number
    if operation.what == TAKE:
        return (operation.value, 1) if held is None else (held, 0)
    if operation.what == LOOK:
        return operation.value if held is None else held, held
    assert operation.what == SWAP
    return operation.value, held


def is_linear(history: Iterable[Operation]) -> bool:
    """Whether a key's history is linearizable, from an empty key. Raises Undecided.

    Two operations that touch in one moment count as concurrent."""
    operations = sorted(history, key=lambda one: one.began)
    must = sum(1 << place for place, one in enumerate(operations) if one.ended is not None)
    seen: set[tuple[int, Held]] = {(0, None)}
    tried: list[tuple[int, Held]] = [(0, None)]
    while tried:
        done, held = tried.pop()
        if done & must == must:
            return True
        if len(seen) > STEPS_MAX:
            raise Undecided(f"{len(operations)} operations")
        found: list[tuple[int, Held]] = []
        for place in _next(operations, done):
            one = operations[place]
            then, answer = apply(one, held)
            if one.ended is not None and answer != one.answer:
                continue
            state = (done | 1 << place, then)
            if state not in seen:
                seen.add(state)
                found.append(state)
        found.sort(key=lambda state: (state[0] & must).bit_count())  # operations without an outcome are tried last
        tried += found
    return False


def _next(operations: list[Operation], done: int) -> Iterable[int]:
    """The operations that may come next: no pending operation ended before they began."""
    end: int | None = None
    for place, one in enumerate(operations):
        if done >> place & 1:
            continue
        if end is not None and one.began > end:
            return
        if one.ended is not None and (end is None or one.ended < end):
            end = one.ended
        yield place


def longest_linear(history: Iterable[Operation]) -> int:
    """The length of the longest linearizable prefix, in order of the operations' ends."""
    ended = sorted((one for one in history if one.ended is not None), key=lambda one: one.ended or 0)
    unknown = [one for one in history if one.ended is None]
    low, high = 0, len(ended)
    while low < high:
        middle = (low + high + 1) // 2
        last = ended[middle - 1].ended or 0
        behind = [Operation(one.began, None, one.what, one.value) for one in ended[middle:] if one.began <= last]
        if is_linear([*ended[:middle], *behind, *unknown]):
            low = middle
        else:
            high = middle - 1
    return low
