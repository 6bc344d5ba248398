"""Export and import, and packages that were damaged."""

import pytest

from respram.patterns import ContentStore, ContentSync, Unreadable
from respram.patterns.content_sync import LENGTH, MAGIC
from tests.patterns.conftest import World


def filled(world: World) -> ContentStore:  # type: ignore[type-arg]
    store = ContentStore(world.client, world.name, 5)
    for label, content in (("app:a", b"1"), ("app:b", b"1"), ("app:c", bytes(range(256))), ("app:d", b""), ("z", b"9")):
        world(store.store_at_label(label, content))
    return store


def test_what_the_pattern_names_arrives_in_the_other_store(world: World) -> None:
    package = world(ContentSync(filled(world)).export_labels("app:"))
    other = ContentStore(world.another(), world.name + "-other", 5)
    assert world(ContentSync(other).import_package(package)) == ["app:a", "app:b", "app:c", "app:d"]
    assert world(other.get_content_by_label("app:c")) == bytes(range(256))
    assert world(other.get_content_by_label("app:d")) == b""
    assert world(other.get_by_label("app:a")) == world(other.get_by_label("app:b"))
    assert world(other.list_labels()) == ["app:a", "app:b", "app:c", "app:d"]
    assert len(world.raw.keys(f"content:{world.name}-other:*")) == 3


def test_a_package_that_was_cut_or_changed_writes_nothing(world: World) -> None:
    package = world(ContentSync(filled(world)).export_labels("app:"))
    other = ContentStore(world.another(), world.name + "-other", 5)
    cuts = [package[:length] for length in range(0, len(package), 9)]
    # Past the list of labels: there, one changed letter makes another label, which no hash forbids.
    begin = package.index(b"}}") + 2
    changed = [package[:at] + bytes((package[at] ^ 1,)) + package[at + 1 :] for at in range(begin, len(package), 7)]
    assert len(cuts) > 10 and len(changed) > 10
    for damaged in [b"hello", *cuts, *changed]:
        with pytest.raises(Unreadable):
            world(ContentSync(other).import_package(damaged))
    assert world(other.list_labels()) == [] == world.raw.keys(f"content:{world.name}-other:*")


def test_a_label_whose_content_expired_is_left_out(world: World) -> None:
    store = filled(world)
    world.raw.set(store.label_key("app:a"), "0" * 64, px=5000)
    other = ContentStore(world.another(), world.name + "-other", 5)
    package = world(ContentSync(store).export_labels("app:"))
    assert "app:a" not in world(ContentSync(other).import_package(package))


@pytest.mark.parametrize("labels", [b'{"labels":{"a":7}}', b'{"labels":{"a":"short"}}', b'{"labels":[]}', b"{}", b"?"])
def test_a_package_whose_list_of_labels_is_damaged_is_named(world: World, labels: bytes) -> None:
    with pytest.raises(Unreadable):
        world(ContentSync(filled(world)).import_package(MAGIC + LENGTH.pack(len(labels)) + labels))
