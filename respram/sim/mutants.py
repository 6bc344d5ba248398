"""Deliberate mistakes, to see that the checker catches them. Each replaces one rule for the length of a `with`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from respram.engine import ids
from respram.engine.pure import digest, keyspace, merge
from respram.gossip.exchange import Exchange

NAMES = ("no-salt", "key-only", "no-shadow")


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """`no-salt`: all filters under one salt. `key-only`: ids without the stamp. `no-shadow`: forget at the deadline."""
    holders: tuple[Any, ...]
    if name == "no-salt":
        holders, attribute, wrong = (Exchange,), "salt", lambda *args: 0x5A17
    elif name == "key-only":
        holders, attribute = (digest,), "identity"
        wrong = lambda *args: ids.identity(args[0], args[1], args[2], 0, 0, 0)  # noqa: E731
    elif name == "no-shadow":
        holders, attribute, wrong = (keyspace, merge), "shadow_of", lambda *args: 0
    else:
        raise ValueError(f"no mutant {name}; there are {', '.join(NAMES)}")
    right = getattr(holders[0], attribute)
    for holder in holders:
        setattr(holder, attribute, wrong)
    try:
        yield
    finally:
        for holder in holders:
            setattr(holder, attribute, right)
