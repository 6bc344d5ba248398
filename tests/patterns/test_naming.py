"""Names: readable, unique, derived, listed."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.patterns import BadName, Listing, TooMany, derived, key, unique
from respram.patterns.naming import KEY_BYTES_MAX, level, unlevel
from tests.patterns.conftest import World


def test_human_readable_keys_have_their_levels_between_colons() -> None:
    assert key("lock", "org-acme", "pipeline", "stage-2") == b"lock:org-acme:pipeline:stage-2"
    assert key("handoff", "task-742", "agent-a→agent-b") == "handoff:task-742:agent-a→agent-b".encode()


def test_empty_and_endless_names_are_refused() -> None:
    for levels in (("",), ("a", ""), ("a" * (KEY_BYTES_MAX + 1),)):
        with pytest.raises(BadName):
            key(*levels)
    with pytest.raises(BadName):
        derived("handoff")
    for make in (lambda: key("\ud800"), lambda: level("\udfff"), lambda: derived("handoff", "\ud800")):
        with pytest.raises(BadName, match="surrogate"):
            make()


def test_unique_keys_are_uuids_and_differ() -> None:
    one, two = unique("scratch"), unique("scratch")
    assert one != two and uuid.UUID(one.decode().removeprefix("scratch:")).version == 4


def test_derived_keys_do_not_depend_on_where_the_parts_are_cut() -> None:
    assert derived("handoff", "ab", "c") != derived("handoff", "a", "bc") != derived("handoff", "abc")
    assert derived("handoff", "ab", "c") == derived("handoff", b"ab", b"c")


@given(st.text())
def test_a_level_survives_whatever_it_contains(text: str) -> None:
    try:
        quoted = level(text)
    except BadName:
        assert any(0xD800 <= ord(each) < 0xE000 for each in text)
        return
    assert ":" not in quoted and unlevel(quoted) == text


@given(st.text(alphabet="ab:%", max_size=4), st.text(alphabet="ab:%", max_size=4))
def test_two_levels_are_never_one_name(one: str, two: str) -> None:
    assert (level(one) == level(two)) == (one == two)


def test_listing_finds_what_begins_so_and_nothing_else(world: World) -> None:
    for name in ("a*[", "a*[b", "axx", "b"):
        world.raw.set(f"{world.name}:{name}", b"", px=600_000)
    listing = Listing(world.client)
    assert world(listing.keys(f"{world.name}:a*[")) == [f"{world.name}:a*[", f"{world.name}:a*[b"]
    assert len(world(listing.keys(f"{world.name}:"))) == 4
    with pytest.raises(TooMany, match="longer prefix"):
        world(Listing(world.client, keys_max=3).keys(f"{world.name}:"))
