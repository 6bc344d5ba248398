"""Deliberate mistakes, to see that the checker catches them. Each replaces one rule for the length of a `with`."""

from collections.abc import Iterator
from contextlib import contextmanager

from respram.engine import ids
from respram.engine.pure import digests, keyspace
from respram.gossip.exchange import Exchange

NAMES = ("no-salt", "key-only", "no-shadow")


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """`no-salt`: all filters under one salt. `key-only`: ids without the stamp. `no-shadow`: forget at the deadline."""
    if name == "no-salt":
        holder, attribute, wrong = Exchange, "salt", lambda self: 0x5A17
    elif name == "key-only":
        holder, attribute = digests, "identity"  # type: ignore[assignment]
        wrong = lambda ids_key, db, key, clock, node, shadow_ms: ids.identity(ids_key, db, key, 0, 0, 0)  # type: ignore[misc,assignment] # noqa: E731
    elif name == "no-shadow":
        holder, attribute = keyspace, "shadow_of"  # type: ignore[assignment]
        wrong = lambda *args: 0  # noqa: E731
    else:
        raise ValueError(f"no mutant {name}; there are {', '.join(NAMES)}")
    right = getattr(holder, attribute)
    setattr(holder, attribute, wrong)
    try:
        yield
    finally:
        setattr(holder, attribute, right)
