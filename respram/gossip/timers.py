"""The timers of the core: a heap of moments, each with an object that says what is due. The caller needs one timer.

A timer that may outlive its reason carries the reason: a verdict the suspicion that it ends, a round the moment that it
was promised for. The handler compares it.
"""

from heapq import heappop, heappush
from typing import NamedTuple

from respram.frozen import dataclass


class Now(NamedTuple):
    """The two times of a node. A step of the wall clock must not stop a timer, so timers go by the other."""

    ms: int  # monotonic clock
    wall_ms: int  # Unix time: for stamps, deadlines and cuts


# -- of a link ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class GreetingDue:
    """A HELLO must have come."""

    link: int


@dataclass(frozen=True, slots=True)
class AckDue:
    link: int


@dataclass(frozen=True, slots=True)
class ResendDue:
    link: int


@dataclass(frozen=True, slots=True)
class QuestionDue:
    """The peer behind a doubted link must have answered by now."""

    link: int
    asked_ms: int
    due_ms: int


# -- of one moment ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class JobsDue:
    """Jobs that wait for a peer check whether it is still there."""


@dataclass(frozen=True, slots=True)
class HurriedRoundDue:
    """A round of comparison before the pace's next. Only the one promised last counts."""

    due_ms: int


@dataclass(frozen=True, slots=True)
class PingUnanswered:
    nonce: int


@dataclass(frozen=True, slots=True)
class EndedDial:
    """A member whose link has ended is dialled again: is its process gone?"""

    number: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """A member that has not denied this suspicion is dead."""

    number: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class PullExpired:
    token: int


@dataclass(frozen=True, slots=True)
class TruthTurn:
    """A question about a key is asked again, or its time is up."""

    token: int


@dataclass(frozen=True, slots=True)
class DoubtDue:
    """Members that were asked after a stop must have answered. Only the asking that began last counts."""

    began_ms: int


@dataclass(frozen=True, slots=True)
class SlotsSettle:
    """New slots of this node have waited for `settle_ms`. Only the last change counts."""

    version: int


@dataclass(frozen=True, slots=True)
class TakeoverTurn:
    """Members that have not confirmed a takeover are asked again."""

    version: int


@dataclass(frozen=True, slots=True)
class ForwardsTurn:
    """Forwards without an answer are checked."""


@dataclass(frozen=True, slots=True)
class BallotsTurn:
    """Ballots that not enough members have answered are looked at."""


@dataclass(frozen=True, slots=True)
class AnnounceDue:
    pass


@dataclass(frozen=True, slots=True)
class WantDue:
    pass


@dataclass(frozen=True, slots=True)
class VouchDue:
    """Peers are told of newly proven members."""


@dataclass(frozen=True, slots=True)
class KeysExpire:
    """Keys of snapshot segments whose bucket has ended."""


@dataclass(frozen=True, slots=True)
class FindParent:
    pass


# -- that come again ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ProbeTurn:
    pass


@dataclass(frozen=True, slots=True)
class RoundTurn:
    pass


@dataclass(frozen=True, slots=True)
class PartnersTurn:
    pass


@dataclass(frozen=True, slots=True)
class RotateTurn:
    pass


@dataclass(frozen=True, slots=True)
class RootsTurn:
    pass


@dataclass(frozen=True, slots=True)
class JoinTurn:
    pass


@dataclass(frozen=True, slots=True)
class WindowTurn:
    pass


@dataclass(frozen=True, slots=True)
class TreeTurn:
    pass


@dataclass(frozen=True, slots=True)
class RebalanceTurn:
    pass


@dataclass(frozen=True, slots=True)
class SuffrageTurn:
    """A member that does not vote yet looks whether it may."""


Timer = (
    GreetingDue | AckDue | ResendDue | JobsDue | HurriedRoundDue | PingUnanswered | EndedDial | Verdict | QuestionDue
    | PullExpired | TruthTurn | SlotsSettle | TakeoverTurn | VouchDue | DoubtDue | AnnounceDue | ForwardsTurn | WantDue
    | KeysExpire | FindParent
    | ProbeTurn | RoundTurn | PartnersTurn | RotateTurn | RootsTurn | JoinTurn | WindowTurn | TreeTurn | RebalanceTurn
    | BallotsTurn | SuffrageTurn
)  # fmt: skip


class Timers:
    __slots__ = ("_heap", "_ties")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._ties = 0  # timers for the same moment run in the order in which they were set

    def at(self, due_ms: int, timer: Timer) -> None:
        self._ties += 1
        heappush(self._heap, (due_ms, self._ties, timer))

    def due(self, now_ms: int) -> tuple[int, Timer] | None:
        """The next timer that is due: its moment and its object."""
        if not self._heap or self._heap[0][0] > now_ms:
            return None
        due_ms, _, timer = heappop(self._heap)
        return due_ms, timer

    def next_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None
