"""A collection under another key, in one engine and from it to another, sealed or not."""

import pytest

from respram.engine.api import Engine
from respram.record import HASH, SET, ZSET

from .conftest import ENGINES
from .rig import NOW, RING, SETTINGS

LATER = NOW + 60_000
VALUES = (b"", b"v", b"v" * 40, b"long" * 4_000)


def fill(engine: Engine, kind: int) -> None:
    engine.found(0, b"from", kind, LATER, False, NOW)
    for number, value in enumerate(VALUES):
        own_ms = LATER + 5 if number == 2 else None
        engine.put_member(0, b"from", b"m%d" % number, b"\0" * 8 if kind == ZSET else value, own_ms, NOW)


def shown(engine: Engine, db: int, key: bytes) -> list[tuple[bytes, bytes, int, bool]]:
    found = engine.members(db, key, 0, 100, NOW).members
    return [(one.name, one.value, one.deadline_ms, one.own) for one in found]


@pytest.mark.parametrize("kind", [HASH, SET, ZSET])
def test_a_copy_is_what_its_source_is_here_and_at_a_peer(engine: Engine, kind: int) -> None:
    fill(engine, kind)
    before = shown(engine, 0, b"from")
    engine.copy_collection(0, b"from", 7, b"to", NOW)
    assert shown(engine, 7, b"to") == before == shown(engine, 0, b"from") and len(before) == len(VALUES)
    for make in ENGINES.values():
        peer = make(SETTINGS._replace(node=9))
        peer.use_seals(RING, False)
        for space in (0, 7, 16 * kind, 16 * kind + 7):
            for packed in engine.records(space):
                peer.merge(packed, NOW)
        assert sorted(shown(peer, 7, b"to")) == sorted(before)


def test_a_copy_covers_what_it_replaces(engine: Engine) -> None:
    """The old collection's members are as old as its end, and do not come back with a peer's."""
    fill(engine, HASH)
    engine.found(0, b"to", HASH, LATER, False, NOW)
    engine.put_member(0, b"to", b"old", b"v", None, NOW)
    packed = [one for space in (0, 16 * HASH) for one in engine.records(space)]
    engine.copy_collection(0, b"from", 0, b"to", NOW + 1)
    for one in packed:
        engine.merge(one, NOW + 2)
    assert shown(engine, 0, b"to") == shown(engine, 0, b"from")
