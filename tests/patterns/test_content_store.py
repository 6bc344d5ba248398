"""Content by hash and labels: what is kept, what moves, what is refused."""

import hashlib

import pytest

from respram.patterns import (
    BadName,
    Contended,
    ContentCorrupt,
    ContentMissing,
    ContentRef,
    ContentStore,
    Unreadable,
    content_store,
    reference,
)
from tests.patterns.conftest import World

DATA = b"Important information"


def store(world: World, ttl_s: float = 600) -> ContentStore:  # type: ignore[type-arg]
    return ContentStore(world.another(), world.name, ttl_s)


def test_content_is_found_by_its_hash_by_all_who_know_the_store(world: World) -> None:
    ref = world(store(world).store(DATA))
    assert ref.hash == hashlib.sha256(DATA).hexdigest()
    assert world(store(world).get(ref)) == DATA and world(store(world).exists(ref))
    other = ContentStore(world.client)
    assert other.id != ContentStore(world.client).id
    with pytest.raises(ContentMissing):
        world(other.get(ref))


def test_the_same_bytes_are_stored_once_and_their_life_is_never_shortened(world: World) -> None:
    long, short = store(world, 600), store(world, 300)
    ref = world(long.store(DATA))
    assert world(short.store(DATA)) == ref
    assert world(short.store_at_label("l", DATA)) == ref
    assert world.raw.pttl(long.content_key(ref)) > 300_000
    other = world(short.store(b"2"))
    world(long.store(b"2"))
    assert world.raw.pttl(long.content_key(other)) > 300_000
    assert len(world.raw.keys(f"content:{world.name}:*")) == 2


def test_labels_name_content_and_move(world: World) -> None:
    contents = store(world)
    assert world(contents.get_by_label("app:config")) is None
    assert world(contents.get_content_by_label("app:config")) is None
    first = world(contents.store_at_label("app:config", b"1"))
    assert world(contents.get_content_by_label("app:config")) == b"1"
    second = world(contents.store(b"2"))
    world(contents.replace_at_label("app:config", second))
    assert world(contents.get_by_label("app:config")) == second != first
    world(contents.replace_content_at_label("app:config", b"3"))
    assert world(contents.get_content_by_label("app:config")) == b"3"
    assert world(contents.get(first)) == b"1"
    world(contents.label("app:other", first))
    world(contents.label("else", first))
    assert world(contents.list_labels("app:")) == ["app:config", "app:other"]


def test_a_label_keeps_what_it_points_to_alive(world: World) -> None:
    contents, brief = store(world, 600), store(world, 300)
    ref = world(brief.store(DATA))
    world(contents.label("l", ref))
    assert world.raw.pttl(contents.content_key(ref)) > 300_000
    ref = world(brief.store_at_label("m", b"2"))
    assert world(contents.touch_label("m"))
    for key in (contents.content_key(ref), contents.label_key("m")):
        assert world.raw.pttl(key) > 300_000
    assert not world(contents.touch_label("never"))
    assert not world(contents.touch(reference(b"never")))


def test_no_label_is_made_for_content_that_is_not_there(world: World) -> None:
    contents = store(world)
    world(contents.store_at_label("l", b"1"))
    with pytest.raises(ContentMissing, match="not moved"):
        world(contents.label("l", reference(b"never")))
    assert world(contents.get_content_by_label("l")) == b"1"


def test_content_that_expired_is_missing_and_not_empty(world: World) -> None:
    contents = store(world, 60)
    ref = world(contents.store_at_label("l", DATA))
    world.expire(contents.content_key(ref))
    with pytest.raises(ContentMissing):
        world(contents.get(ref))
    with pytest.raises(ContentMissing):
        world(contents.get_content_by_label("l"))


def test_content_that_is_not_what_its_hash_says_is_refused(world: World) -> None:
    contents = store(world)
    ref = world(contents.store(DATA))
    world.raw.set(contents.content_key(ref), b"forged", px=600_000)
    with pytest.raises(ContentCorrupt):
        world(contents.get(ref))
    world.raw.set(contents.label_key("l"), b"\xffno hash", px=600_000)
    with pytest.raises(Unreadable):
        world(contents.get_by_label("l"))
    for text in ("", "abc", ref.hash.upper(), ref.hash + "\n"):
        with pytest.raises(BadName):
            ContentRef(text)


def test_a_label_that_cannot_be_moved_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = world(store(world).store(DATA))
    monkeypatch.setattr(content_store, "CHANGE_TRIES_MAX", 0)
    with pytest.raises(Contended):
        world(store(world).label("l", ref))
    assert world(store(world).get_by_label("l")) is None
