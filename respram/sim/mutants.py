"""Deliberate mistakes, to see that the checker catches them. Each replaces one rule for the length of a `with`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from respram.engine import ids
from respram.engine.pure import digest, family, keyspace, merge
from respram.gossip.bootstrap import Bootstrap
from respram.gossip.doubts import Doubts
from respram.gossip.exchange import Exchange
from respram.gossip.forwarding import Forwarding, Kept
from respram.gossip.homes import Homes
from respram.gossip.takeover import Takeover
from respram.gossip.truths import Truths

NAMES = ("no-salt", "key-only", "no-shadow", "unasked", "silence-is-nil", "ready-at-once", "never-stopped", "outlived")
OF_HOMES = ("everybody-home", "runs-again", "unmerged", "no-settling", "any-home", "no-takeover")


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """`no-salt`: all filters under one salt. `key-only`: ids without the stamp. `no-shadow`: forget at the deadline.
    `unasked`: a joining node decides by what it has. `silence-is-nil`: it takes no answer for one.
    `never-stopped`: a node that did not run for a while goes on as if it had. `outlived`: a collection that is begun
    anew shows members of the old one that live by a peer's longer head. `ready-at-once`: a node is ready as soon as
    somebody who is ready is linked.

    Of homes: `everybody-home`: each node decides by itself. `runs-again`: a forward that is sent again is run again.
    `unmerged`: the client is answered without the records. `no-settling`: a home decides at once about slots that it
    has just got. `any-home`: a node runs whatever it is sent. `no-takeover`: after a moment a home decides about new
    slots without asking anybody."""
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
        holders, attribute, wrong = (Forwarding,), "_kept", lambda *args: Kept()
    elif name == "unmerged":
        answered = Forwarding.answered
        holders, attribute = (Forwarding,), "answered"
        wrong = lambda one, link, message: answered(one, link, replace(message, records=b""))  # noqa: E731
    elif name == "no-settling":
        holders, attribute, wrong = (Homes,), "is_settled", lambda *args: True
    elif name == "any-home":
        holders, attribute, wrong = (Homes,), "is_here", lambda *args: True
    elif name == "no-takeover":
        holders, attribute, wrong = (Takeover,), "begin", lambda one, version: one.homes.taken_over(version)
    elif name == "outlived":
        holders, attribute, wrong = (family,), "_outlived", lambda *args: (0, 0)
    elif name == "never-stopped":
        holders, attribute, wrong = (Doubts,), "begin", lambda *args: None
    else:
        raise ValueError(f"no mutant {name}; there are {', '.join(NAMES + OF_HOMES)}")
    right = getattr(holders[0], attribute)
    for holder in holders:
        setattr(holder, attribute, wrong)
    try:
        yield
    finally:
        for holder in holders:
            setattr(holder, attribute, right)
