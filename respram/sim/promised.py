"""Visits every state that a few members can reach with gossip/promises.py, and looks for double promises.

    python -m respram.sim.promised --reigns 3 --restarts 1

Simulated runs (histories.py) test likely cases. This search is complete within small bounds: three members, one slot
with one key, stamps from 1 to `stamps`, and given numbers of reigns, decisions and restarts. A frame that was sent may
arrive at any later time, repeatedly, or never, which covers loss, reordering and duplication. A member may be killed at
any time. It then has forgotten everything, and gets its vote back as in gossip/suffrage.py: it has two others bar all
reigns, and compares itself with them. Gossip may bring any record to any member at any time.

A violation is one of these, reported with the steps that lead to it:

    one stamp of the slot is promised to two reigns, by a majority each
    a record that a majority has accepted is not in the past of a later one that a majority has accepted as well
"""
# ruff: noqa: T201 (a command prints)

import argparse
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from respram.gossip.promises import Promises, Reign
from respram.sim.checker import Violation

MEMBERS = 3
MAJORITY = 2
SLOT = 7
STATES_MAX = 5_000_000  # a search that is larger than that is given up, and says so
Stamp = tuple[int, int]  # a number, and the reign in which it was given
NOTHING: Stamp = (0, -1)


class Member(NamedTuple):
    """What one member knows. The numbers of reigns stand for their owners."""

    reign: int = -1  # to which it has promised the slot; -1: to none
    high: int = 0
    floor: int = 0
    votes: bool = True
    boot: int = 0
    holds: Stamp = NOTHING  # its record of the key
    barred: tuple[int, ...] = (-1,) * MEMBERS  # while it has no vote: the last stamp of reigns that are over, by member
    level: int = 0  # with which of these it has compared itself; a bit each


class Ruler(NamedTuple):
    """A reign, as known to the member that decides in it."""

    home: int
    boot: int
    low: int
    asked: int  # up to which stamp it has asked for promises
    given: int = 0  # who has promised so; a bit each
    held: int = 0  # up to which stamp a majority has promised it


class Decision(NamedTuple):
    stamp: Stamp
    base: Stamp  # the record that it was made from
    high: int  # as its ballot says
    accepted: int = 0  # by whom; a bit each


class State(NamedTuple):
    members: tuple[Member, ...]
    rulers: tuple[Ruler, ...] = ()
    decisions: tuple[Decision, ...] = ()
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    stamps: int = 4
    reigns: int = 2
    decisions: int = 2
    restarts: int = 1
    suffrage: bool = True  # False: a member that was started again votes at once


@dataclass(frozen=True, slots=True)
class Searched:
    states: int
    steps: int
    chosen: int  # states in which a majority has accepted something


def search(bounds: Bounds) -> Searched:
    """Visits every state that can be reached. Raises Violation."""
    start = State((Member(),) * MEMBERS)
    came: dict[State, tuple[State, str] | None] = {start: None}
    todo = deque([start])
    steps = chosen = 0
    while todo:
        state = todo.popleft()
        for what, then in _steps(state, bounds):
            steps += 1
            if then in came:
                continue
            came[then] = (state, what)
            wrong = _wrong(then)
            if wrong:
                raise Violation(f"{wrong}: {'; '.join(_way(came, then))}")
            chosen += any(_is_chosen(one) for one in then.decisions)
            todo.append(then)
        if len(came) > STATES_MAX:
            raise Violation(f"more than {STATES_MAX} states: the bounds are too large")
    return Searched(len(came), steps, chosen)


def _way(came: "dict[State, tuple[State, str] | None]", state: State) -> list[str]:
    found: list[str] = []
    while (before := came[state]) is not None:
        state, what = before
        found.append(what)
    return found[::-1]


# -- what can happen next ---------------------------------------------------------------------------------
def _steps(state: State, bounds: Bounds) -> list[tuple[str, State]]:
    found: list[tuple[str, State]] = []
    for number in range(MEMBERS):
        found += _begin(state, number, bounds)
        found += _prepared(state, number)
        found += _accepted(state, number)
        found += _gossip(state, number)
        if state.members[number].votes and state.restarts < bounds.restarts:
            old = state.members[number]
            new = Member(votes=not bounds.suffrage, boot=old.boot + 1)
            then = _with(state, number, new)._replace(restarts=state.restarts + 1)
            found.append((f"{number} is started again", then))
        if not state.members[number].votes:
            found += _suffrage(state, number)
    found += _decide(state, bounds)
    return found


def _begin(state: State, home: int, bounds: Bounds) -> list[tuple[str, State]]:
    """A new reign: any range of two stamps. (The first is at member 0: one is like the other.)"""
    member, found = state.members[home], []
    if len(state.rulers) == bounds.reigns or not member.votes or (not state.rulers and home):
        return []
    for low in range(1, bounds.stamps + 1):
        if low <= member.holds[0] or any(one.home == home and one.low == low for one in state.rulers):
            continue  # its next stamp is above all that it has seen
        high = min(low + 1, bounds.stamps)
        ruler = Ruler(home, member.boot, low, high)
        begun = state._replace(rulers=(*state.rulers, ruler))
        given = _promise(begun, home, len(state.rulers), high)
        if given is not None:
            found.append((f"{home} begins reign {len(state.rulers)} from {low} to {high}",
                          _give(given, len(state.rulers), home)))  # fmt: skip
    return found


def _prepared(state: State, number: int) -> list[tuple[str, State]]:
    """BALLOT prepare arrives at a member, and its vote at the home, with what it holds."""
    found = []
    for reign, ruler in enumerate(state.rulers):
        if number == ruler.home or not state.members[number].votes:
            continue
        given = _promise(state, number, reign, ruler.asked)
        if given is None:
            continue
        home = given.members[ruler.home]
        if home.boot == ruler.boot:
            newest = max(home.holds, state.members[number].holds)
            given = _give(_with(given, ruler.home, home._replace(holds=newest)), reign, number)
        found.append((f"{number} promises reign {reign}", given))
    return found


def _decide(state: State, bounds: Bounds) -> list[tuple[str, State]]:
    """A home stamps a decision within its promised range."""
    found: list[tuple[str, State]] = []
    if len(state.decisions) == bounds.decisions:
        return found
    for reign, ruler in enumerate(state.rulers):
        member = state.members[ruler.home]
        if member.boot != ruler.boot or not _promises(state, ruler.home).holds(*_name(state, reign), [SLOT]):
            continue
        for clock in range(max(ruler.low, member.holds[0] + 1), ruler.held + 1):
            stamp, high = (clock, reign), min(clock + 1, bounds.stamps)
            decision = Decision(stamp, member.holds, high, 0)
            then = _with(state, ruler.home, member._replace(holds=stamp))
            then = then._replace(decisions=(*then.decisions, decision))
            found.append((f"reign {reign} decides at {clock}", _accept(then, ruler.home, len(state.decisions))))
    return found


def _accepted(state: State, number: int) -> list[tuple[str, State]]:
    """BALLOT accept arrives at a member."""
    found = []
    for place, decision in enumerate(state.decisions):
        if number != state.rulers[decision.stamp[1]].home and state.members[number].votes:
            found.append((f"{number} hears of {decision.stamp}", _accept(state, number, place)))
    return found


def _accept(state: State, number: int, place: int) -> State:
    decision = state.decisions[place]
    given = _promise(state, number, decision.stamp[1], decision.high)
    if given is None:
        return state
    member = given.members[number]
    given = _with(given, number, member._replace(holds=max(member.holds, decision.stamp)))
    ruler = state.rulers[decision.stamp[1]]
    if state.members[ruler.home].boot != ruler.boot:
        return given  # nobody is left who counts the votes, or tells a client
    decisions = list(given.decisions)
    decisions[place] = decision = decision._replace(accepted=decision.accepted | 1 << number)
    given = given._replace(decisions=tuple(decisions))
    if _is_chosen(decision) and ruler.held < decision.high:
        given = _replaced(given, decision.stamp[1], ruler._replace(held=decision.high))
    return given


def _gossip(state: State, number: int) -> list[tuple[str, State]]:
    """A member receives records from others, whatever it has promised."""
    member = state.members[number]
    newer = {one.holds for one in state.members if one.holds > member.holds}
    return [(f"gossip takes {one} to {number}", _with(state, number, member._replace(holds=one))) for one in newer]


def _suffrage(state: State, number: int) -> list[tuple[str, State]]:
    member, found = state.members[number], []
    for other in range(MEMBERS):
        voter = state.members[other]
        if other == number:
            continue
        if voter.votes and not member.level:  # BAR may be answered again and again
            promises = _promises(state, other)
            bound = promises.bar()
            barred = (*member.barred[:other], bound, *member.barred[other + 1 :])
            then = _with(_with_promises(state, other, promises), number, member._replace(barred=barred))
            found.append((f"{other} bars for {number}", then))
        if sum(bound >= 0 for bound in member.barred) >= MEMBERS - MAJORITY + 1 and member.barred[other] >= 0:
            end = max(member.barred)
            holds = max(member.holds, voter.holds) if voter.holds[0] <= end else member.holds
            then = _with(state, number, member._replace(holds=holds, level=member.level | 1 << other))
            found.append((f"{number} compares itself with {other}", then))
    if member.level.bit_count() >= MEMBERS - MAJORITY + 1:
        voting = member._replace(votes=True, floor=max(member.floor, *member.barred), barred=(-1,) * MEMBERS, level=0)
        found.append((f"{number} votes again", _with(state, number, voting)))
    return found


# -- promises, as the functions know them -----------------------------------------------------------------
def _name(state: State, reign: int) -> tuple[int, int]:
    """Owner and low. A restarted member has another number."""
    ruler = state.rulers[reign]
    return 1 + ruler.home + MEMBERS * ruler.boot, ruler.low


def _promises(state: State, number: int) -> Promises:
    member = state.members[number]
    promises = Promises(floor=member.floor, votes=member.votes)
    if member.reign >= 0:
        promises.by_slot[SLOT] = Reign(*_name(state, member.reign), member.high)
    return promises


def _with_promises(state: State, number: int, promises: Promises) -> State:
    held, reign = promises.by_slot.get(SLOT), -1
    if held is not None:
        named = (_name(state, one) == (held.owner, held.low) for one in range(len(state.rulers)))
        reign = list(named).index(True)
    member = state.members[number]._replace(reign=reign, high=0 if held is None else held.high, floor=promises.floor)
    return _with(state, number, member)


def _promise(state: State, number: int, reign: int, high: int) -> State | None:
    """The member's state after a promise; None: it refuses."""
    promises = _promises(state, number)
    owner, low = _name(state, reign)
    return None if promises.give(owner, low, high, [SLOT]) else _with_promises(state, number, promises)


def _give(state: State, reign: int, number: int) -> State:
    ruler = state.rulers[reign]
    given = ruler.given | 1 << number
    held = max(ruler.held, ruler.asked) if given.bit_count() >= MAJORITY else ruler.held
    return _replaced(state, reign, ruler._replace(given=given, held=held))


def _with(state: State, number: int, member: Member) -> State:
    members = state.members
    return state._replace(members=(*members[:number], member, *members[number + 1 :]))


def _replaced(state: State, reign: int, ruler: Ruler) -> State:
    return state._replace(rulers=(*state.rulers[:reign], ruler, *state.rulers[reign + 1 :]))


# -- what may not be --------------------------------------------------------------------------------------
def _is_chosen(decision: Decision) -> bool:
    return decision.accepted.bit_count() >= MAJORITY


def _wrong(state: State) -> str:
    held = [one for one in state.rulers if one.held]
    for place, one in enumerate(held):
        for other in held[place + 1 :]:
            if one.low <= other.held and other.low <= one.held:
                return f"stamp {max(one.low, other.low)} is promised twice"
    base = {one.stamp: one.base for one in state.decisions}
    chosen = sorted(one.stamp for one in state.decisions if _is_chosen(one))
    for earlier, later in pairwise(chosen):
        past = later
        while past > earlier:
            past = base[past]
        if past != earlier:
            return f"{earlier} is lost behind {later}"
    return ""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m respram.sim.promised", description="Look at every state that three members can reach."
    )
    for name in ("stamps", "reigns", "decisions", "restarts"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Bounds(), name))
    asked = parser.parse_args(argv)
    try:
        print(search(Bounds(asked.stamps, asked.reigns, asked.decisions, asked.restarts)))
    except Violation as wrong:
        print(wrong)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
