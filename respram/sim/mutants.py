"""Deliberate mistakes that the checker must catch. Each replaces one rule within a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from respram.engine import ids
from respram.engine.pure import digest, family, keyspace, merge, slices
from respram.gossip.bootstrap import Bootstrap
from respram.gossip.doubts import Doubts
from respram.gossip.exchange import Exchange
from respram.gossip.forwarding import AnswerCache, Forwarding
from respram.gossip.homes import Homes
from respram.gossip.majority import Majority
from respram.gossip.promises import Promises, Reign
from respram.gossip.states import READY
from respram.gossip.suffrage import Suffrage
from respram.gossip.takeover import Takeover
from respram.gossip.truths import Truths
from respram.slots import unpack_keys
from respram.wire.messages import ACCEPT, DONE

NAMES = ("no-salt", "key-only", "no-shadow", "unasked", "silence-is-nil", "ready-at-once", "never-stopped", "outlived",
         "headless")
OF_HOMES = ("everybody-home", "runs-again", "unmerged", "unheard", "no-settling", "any-home", "no-takeover")

OF_MAJORITY = ("stores-only", "forgets", "accepts-below", "same-number", "unread", "unrounded")


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """`no-salt`: all filters under one salt. `key-only`: ids without the stamp. `no-shadow`: forget at the deadline.
    `unasked`: a joining node decides by what it has. `silence-is-nil`: it takes no answer for one.
    `never-stopped`: a node that did not run for a while goes on as if it had. `outlived`: a collection that is begun
    anew shows members of the old one that live by a peer's longer head. `headless`: members that are newer than what
    let go of their collection get no head again. `ready-at-once`: a node is ready as soon as
    somebody who is ready is linked.

    Of homes: `everybody-home`: each node decides by itself. `runs-again`: a forward that is sent again is run again.
    `unmerged`: the client is answered without the records. `unheard`: and without the push that should have come before
    the answer. `no-settling`: a home decides at once about slots that it
    has just got. `any-home`: a node runs whatever it is sent. `no-takeover`: after a moment a home decides about new
    slots without asking anybody.

    Of a majority: `stores-only`: a vote stores and says yes, whatever was promised. `forgets`: a member that was
    started again votes at once. `accepts-below`: a promise is kept when another is asked for, and not when something is
    to be accepted. `same-number`: a reign that
    is over goes on under its number. `unread`: what the others hold is not looked at. `unrounded`: a command
    that changes nothing is answered at once."""
    holders: tuple[Any, ...]
    wrong: Any
    if name == "no-salt":
        holders, attribute, wrong = (Exchange,), "salt", lambda *args: 0x5A17
    elif name == "key-only":
        holders, attribute = (digest,), "identity"
        wrong = lambda *args: ids.identity(args[0], args[1], args[2], 0, 0, 0)  # noqa: E731
    elif name == "no-shadow":
        holders, attribute, wrong = (keyspace, merge), "shadow_of", lambda *args: 0
    elif name == "unasked":
        holders, attribute, wrong = (Truths,), "needed", lambda *args: False
    elif name == "silence-is-nil":
        end = Truths._end
        holders, attribute = (Truths,), "_send"
        wrong = lambda truths, token: end(truths, token, known=True)  # noqa: E731
    elif name == "ready-at-once":
        holders, attribute = (Bootstrap,), "_fill"
        wrong = lambda *args: args[0].become_ready("mutant")  # noqa: E731
    elif name == "everybody-home":
        holders, attribute, wrong = (Homes,), "home_of", lambda homes, slot: homes.book.me.number
    elif name == "runs-again":
        holders, attribute, wrong = (Forwarding,), "_cache_of", lambda *args: AnswerCache()
    elif name == "unmerged":
        answered = Forwarding.answered
        holders, attribute = (Forwarding,), "answered"
        wrong = lambda one, link, message: answered(one, link, replace(message, records=b""))  # noqa: E731
    elif name == "unheard":
        believed = Forwarding.answered
        holders, attribute = (Forwarding,), "answered"
        wrong = lambda one, link, message: believed(one, link, replace(message, behind=0))  # noqa: E731
    elif name == "no-settling":
        holders, attribute, wrong = (Homes,), "is_settled", lambda *args: True
    elif name == "any-home":
        holders, attribute, wrong = (Homes,), "is_here", lambda *args: True
    elif name == "no-takeover":
        holders, attribute, wrong = (Takeover,), "begin", lambda one, version: one.homes.taken_over(version)
    elif name == "stores-only":
        holders, attribute, wrong = (Promises,), "give", _stores_only(Promises.give)
    elif name == "forgets":
        turn = Suffrage.turn
        holders, attribute = (Suffrage,), "turn"
        wrong = lambda one: one._begin("mutant") if one.host.state == READY else turn(one)  # noqa: E731
    elif name == "accepts-below":
        holders, attribute, wrong = (Majority,), "asked", _accepts_below(Majority.asked)
    elif name == "same-number":
        holders, attribute, wrong = (Promises,), "give", _same_number(Promises.give)
    elif name == "unread":
        voted = Majority.voted
        holders, attribute = (Majority,), "voted"
        wrong = lambda one, link, vote: voted(one, link, replace(vote, records=b""))  # noqa: E731
    elif name == "unrounded":
        holders, attribute, wrong = (Forwarding,), "_prepare", _unrounded(Forwarding._prepare)
    elif name == "outlived":
        holders, attribute, wrong = (family,), "_outlived", lambda *args: (0, 0)
    elif name == "headless":
        holders, attribute, wrong = (slices,), "begin_behind", lambda *args: None
    elif name == "never-stopped":
        holders, attribute, wrong = (Doubts,), "begin", lambda *args: None
    else:
        raise ValueError(f"no mutant {name}; there are {', '.join(NAMES + OF_HOMES + OF_MAJORITY)}")
    right = getattr(holders[0], attribute)
    for holder in holders:
        setattr(holder, attribute, wrong)
    try:
        yield
    finally:
        for holder in holders:
            setattr(holder, attribute, right)


def _stores_only(right: Any) -> Any:
    def wrong(one: Any, owner: int, low: int, high: int, slots: Any) -> int:
        for slot in slots:
            one.by_slot.pop(slot, None)
        one.floor = 0
        right(one, owner, low, high, slots)
        return 0

    return wrong


def _accepts_below(right: Any) -> Any:
    def wrong(one: Any, link: Any, message: Any) -> None:
        if message.kind == ACCEPT:
            one.take(link.id, message.records, lambda stored: one._vote(link.id, message.number, stored))
        else:
            right(one, link, message)

    return wrong


def _same_number(right: Any) -> Any:
    seen: set[tuple[int, int, int, int]] = set()

    def wrong(one: Any, owner: int, low: int, high: int, slots: Any) -> int:
        for slot in slots:
            if (id(one), slot, owner, low) in seen:
                one.by_slot[slot] = Reign(owner, low, high)
        bound: int = right(one, owner, low, high, slots)
        seen.update((id(one), slot, owner, low) for slot in slots if not bound)
        return bound

    return wrong


def _unrounded(right: Any) -> Any:
    """Of the commands of histories.py: LOOK, where something is there."""

    def wrong(one: Any, who: int, message: Any, otherwise: Any) -> None:
        [key] = unpack_keys(message.keys)
        entry = one.host.store.lookup(message.db, key, one.host.now.wall_ms)
        if message.commands.startswith(b"look") and entry is not None:
            packed = one.host.store.fetch(message.db, key, one.host.now.wall_ms)
            one.served(who, message.number, DONE, entry.value, [packed])
        else:
            right(one, who, message, otherwise)

    return wrong
