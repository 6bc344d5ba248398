"""The append-only log: order, rivals, bounds, holes."""

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
)
from tests.patterns.conftest import World


def log(world: World, ttl_s: float = 5, **options: int) -> AppendLog:  # type: ignore[type-arg]
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
    world(log(world, 1).append("old"))
    world(log(world, 5).append("new"))
    for each in world(log(world).hashes()):
        assert world.raw.pttl(log(world).store.content_key(ContentRef(each))) > 4000


def test_a_full_log_refuses_and_stays_as_it_was(world: World) -> None:
    world(log(world).append(1))
    with pytest.raises(TooMany):
        world(log(world, entries_max=1).append(2))
    assert world(log(world).entries()) == [1]


def test_a_missing_or_changed_entry_makes_no_shorter_log(world: World) -> None:
    for entry in ("one", "two"):
        world(log(world).append(entry))
    key = log(world).store.content_key(ContentRef(world(log(world).hashes())[1]))
    world.raw.set(key, b'"2wo"', px=5000)
    with pytest.raises(ContentCorrupt):
        world(log(world).entries())
    world.raw.set(key, b"x", px=1)
    world.until(lambda: not world.raw.exists(key))
    with pytest.raises(ContentMissing, match="entry 2"):
        world(log(world).entries())
    world.raw.set(log(world).key, b"{}", px=5000)
    with pytest.raises(Unreadable):
        world(log(world).append("three"))


def test_a_race_that_is_always_lost_ends_with_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_log, "CHANGE_TRIES_MAX", 0)
    with pytest.raises(Contended):
        world(log(world).append(1))
    assert world(log(world).entries()) == []
