"""Notes of one actor."""

import pytest

from respram.patterns import NotJson, Scratchpad, Unreadable
from tests.patterns.conftest import World


def test_notes_are_found_by_name_and_listed(world: World) -> None:
    pad = Scratchpad(world.client, world.name, ttl_s=600)
    world(pad.note("step:3", {"seen": ["a"]}))
    world(pad.note("step:1", 7))
    assert world(pad.recall("step:3")) == {"seen": ["a"]}
    assert world(pad.recall("step:2", "none")) == "none"
    assert world(pad.notes()) == ["step:1", "step:3"]


def test_another_owner_whose_name_begins_alike_sees_none_of_them(world: World) -> None:
    world(Scratchpad(world.client, world.name, ttl_s=600).note("x", 1))
    assert world(Scratchpad(world.client, world.name[:-1], ttl_s=600).notes()) == []
    assert world(Scratchpad(world.client, world.name + ":x", ttl_s=600).notes()) == []


def test_each_write_begins_the_time_anew_and_keep_does_so_for_all(world: World) -> None:
    pad = Scratchpad(world.client, world.name, ttl_s=600)
    world(Scratchpad(world.client, world.name, ttl_s=300).note("a", 1))
    world(Scratchpad(world.client, world.name, ttl_s=300).note("b", 1))
    world(pad.note("a", 2))
    assert world.raw.pttl(pad.key("a")) > 300_000 >= world.raw.pttl(pad.key("b"))
    assert world(pad.keep()) == 2
    assert world.raw.pttl(pad.key("b")) > 300_000


def test_what_another_program_wrote_is_named_and_not_shown(world: World) -> None:
    pad = Scratchpad(world.client, world.name)
    world.raw.set(pad.key("odd"), b"\xff not json", px=600_000)
    with pytest.raises(Unreadable, match="another program") as caught:
        world(pad.recall("odd"))
    assert "not json" not in str(caught.value)


def test_bytes_are_refused_and_the_old_note_stays(world: World) -> None:
    pad = Scratchpad(world.client, world.name)
    world(pad.note("a", 1))
    with pytest.raises(NotJson, match="base64"):
        world(pad.note("a", {"image": b"\x89PNG"}))
    assert world(pad.recall("a")) == 1
