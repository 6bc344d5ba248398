"""The append-only log: order, rivals, bounds, holes."""

import json
from typing import Any

import pytest

from respram.patterns import (
    AppendLog,
    Contended,
    ContentCorrupt,
    ContentMissing,
    ContentRef,
    ContentStore,
    TooMany,
    Unreadable,
    append_log,
    pieces,
)
from respram.patterns.effects import Watch
from tests.patterns.conftest import World


def log(world: World, ttl_s: float = 30, **options: int) -> AppendLog:  # type: ignore[type-arg]
    return AppendLog(ContentStore(world.another(), world.name, ttl_s), "audit", **options)


def test_entries_are_read_in_the_order_in_which_they_were_appended(world: World) -> None:
    assert world(log(world).entries()) == []
    for count, entry in enumerate(({"n": 1}, "two", {"n": 1}), 1):
        assert world(log(world).append(entry)) == count
    assert world(log(world).entries()) == [{"n": 1}, "two", {"n": 1}]
    assert len(set(world(log(world).hashes()))) == 2


def test_appends_at_once_are_all_in_the_log(world: World) -> None:
    logs = [log(world) for _ in range(6)]
    counts = world.together(*(lambda each=each, at=at: each.append(at) for at, each in enumerate(logs)))
    assert sorted(counts) == [1, 2, 3, 4, 5, 6] and sorted(world(logs[0].entries())) == [0, 1, 2, 3, 4, 5]


def test_an_append_keeps_every_entry_before_it_alive(world: World) -> None:
    for ttl_s, entry in ((20, "old"), (60, "new"), (60, "newest")):
        world(log(world, ttl_s).append(entry))
    own = world.raw.pttl(log(world).key)
    assert 50_000 < own <= 60_000
    keys = [log(world).store.content_key(ContentRef(each)) for each in world(log(world).hashes())]
    for key in (*keys, pieces.piece_key(log(world).key, 0)):
        assert world.raw.pttl(key) >= world.raw.pttl(log(world).key), "an entry outlives the record that names it"


def test_a_log_of_thousands_is_appended_to_at_the_price_of_a_piece(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 300)
    for number in range(25):
        world(log(world, 3600).append(number))
    assert world(log(world).entries()) == list(range(25))
    assert world(log(world).entries(20, 3)) == [20, 21, 22] and world(log(world).entries(24)) == [24]
    keep = log(world, 3600)
    steps = keep.append.steps("one more")
    sent = spent(world, steps)
    assert sent < 2500, "one piece, one record and one entry, not 26"


def spent(world: World, steps: Any) -> int:
    """Bytes that an operation sends, run by hand on the blocking client."""
    raw: Any = world.raw
    total, outcome = 0, None
    while True:
        try:
            effect = steps.send(outcome)
        except StopIteration:
            return total
        if isinstance(effect, Watch):
            outcome = [raw.get(each) for each in effect.keys]
        else:
            outcome = [raw.execute_command(*each) for each in getattr(effect, "commands", ())]
            for command in getattr(effect, "commands", ()):
                total += sum(len(str(part)) if isinstance(part, int) else len(part) for part in command)


def test_a_log_of_an_earlier_version_is_gone_on_with(world: World) -> None:
    store = log(world).store
    old = [world(store.store(b"1")).hash, world(store.store(b'"two"')).hash]
    world.raw.set(log(world).key, json.dumps(old), px=30_000)
    assert world(log(world).entries()) == [1, "two"]
    assert world(log(world).append("three")) == 3 and world(log(world).append("four")) == 4
    assert world(log(world).entries()) == [1, "two", "three", "four"]


def test_a_full_log_refuses_and_stays_as_it_was(world: World) -> None:
    world(log(world).append(1))
    with pytest.raises(TooMany):
        world(log(world, entries_max=1).append(2))
    assert world(log(world).entries()) == [1]


def test_a_missing_or_changed_entry_makes_no_shorter_log(world: World) -> None:
    for entry in ("one", "two"):
        world(log(world).append(entry))
    key = log(world).store.content_key(ContentRef(world(log(world).hashes())[1]))
    world.raw.set(key, b'"2wo"', px=600_000)
    with pytest.raises(ContentCorrupt):
        world(log(world).entries())
    world.raw.set(key, b"x", px=1)
    world.until(lambda: not world.raw.exists(key))
    with pytest.raises(ContentMissing, match="entry 2"):
        world(log(world).entries())
    world.raw.set(log(world).key, b"{}", px=600_000)
    with pytest.raises(Unreadable):
        world(log(world).append("three"))


def test_a_race_that_is_always_lost_ends_with_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_log, "CHANGE_TRIES_MAX", 0)
    with pytest.raises(Contended):
        world(log(world).append(1))
    assert world(log(world).entries()) == []
