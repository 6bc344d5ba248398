"""Export and import, and packages that were damaged."""

import io
from typing import Any

import pytest

from respram.patterns import ContentStore, ContentSync, Unreadable, ValueTooLarge, reference
from respram.patterns.content_sync import CONTENT, LABELS, LENGTH, MAGIC, MAGIC_1
from respram.patterns.json_values import to_json
from tests.patterns.conftest import World


def filled(world: World) -> ContentStore:  # type: ignore[type-arg]
    store = ContentStore(world.client, world.name, 30)
    for label, content in (("app:a", b"1"), ("app:b", b"1"), ("app:c", bytes(range(256))), ("app:d", b""), ("z", b"9")):
        world(store.store_at_label(label, content))
    return store


def test_what_the_pattern_names_arrives_in_the_other_store(world: World) -> None:
    package = world(ContentSync(filled(world)).export_labels("app:"))
    other = ContentStore(world.another(), world.name + "-other", 30)
    assert world(ContentSync(other).import_package(package)) == ["app:a", "app:b", "app:c", "app:d"]
    assert world(other.get_content_by_label("app:c")) == bytes(range(256))
    assert world(other.get_content_by_label("app:d")) == b""
    assert world(other.get_by_label("app:a")) == world(other.get_by_label("app:b"))
    assert world(other.list_labels()) == ["app:a", "app:b", "app:c", "app:d"]
    assert len(world.raw.keys(f"content:{world.name}-other:*")) == 3


def test_a_package_that_was_cut_or_changed_writes_nothing(world: World) -> None:
    package = world(ContentSync(filled(world)).export_labels("app:"))
    other = ContentStore(world.another(), world.name + "-other", 30)
    cuts = [package[:length] for length in range(0, len(package), 9)]
    # Before the list of labels: there, one changed letter makes another label, which no hash forbids.
    end = package.index(b'{"labels"')
    changed = [package[:at] + bytes((package[at] ^ 1,)) + package[at + 1 :] for at in range(0, end, 7)]
    assert len(cuts) > 10 and len(changed) > 10
    for damaged in [b"hello", *cuts, *changed]:
        for use in (ContentSync(other).import_package, importing(ContentSync(other))):
            with pytest.raises((Unreadable, ValueTooLarge)):
                world(use(damaged))
    assert world(other.list_labels()) == []


def test_a_package_that_is_bytes_writes_nothing_when_it_is_damaged(world: World) -> None:
    package = world(ContentSync(filled(world)).export_labels("app:"))
    other = ContentStore(world.another(), world.name + "-other", 30)
    with pytest.raises(Unreadable):
        world(ContentSync(other).import_package(package[:-1]))
    assert world.raw.keys(f"content:{world.name}-other:*") == []


def importing(sync: ContentSync, count: int = 3) -> Any:  # type: ignore[type-arg]
    """An import from a stream that gives `count` bytes at a time."""

    def run(package: bytes) -> Any:
        file = io.BytesIO(package)
        return sync.import_stream(lambda wanted: file.read(min(count, wanted)))

    return run


def test_a_package_in_parts_is_the_package_and_is_read_in_whatever_pieces_it_comes(world: World) -> None:
    sync = ContentSync(filled(world))
    whole = world(sync.export_labels("app:"))
    parts = world.take(sync.export_parts("app:"), 8)
    assert b"".join(parts) == whole and whole.startswith(MAGIC)
    for count in (1, 7, len(whole)):
        other = ContentStore(world.another(), f"{world.name}-{count}", 30)
        assert world(importing(ContentSync(other), count)(whole)) == ["app:a", "app:b", "app:c", "app:d"]
        assert world(other.get_content_by_label("app:c")) == bytes(range(256))


def test_a_stream_of_an_asyncio_reader_is_awaited(world: World) -> None:
    package = io.BytesIO(world(ContentSync(filled(world)).export_labels("app:")))

    async def read(count: int) -> bytes:
        return package.read(count)

    other = ContentSync(ContentStore(world.another(), world.name + "-other", 30))
    if world.kind == "asyncio":
        assert len(world(other.import_stream(read))) == 4
    else:
        assert len(world(other.import_stream(package.read))) == 4


def test_a_package_of_an_earlier_version_is_read(world: World) -> None:
    ref = reference(b"old")
    parts = [to_json({"labels": {"app:old": ref.hash}}), b"old"]
    package = MAGIC_1 + b"".join(LENGTH.pack(len(each)) + each for each in parts)
    other = ContentStore(world.client, world.name, 30)
    assert world(ContentSync(other).import_package(package)) == ["app:old"]
    assert world(other.get_content_by_label("app:old")) == b"old"
    with pytest.raises(Unreadable):
        world(ContentSync(other).import_package(package[:-1]))


def test_a_part_that_announces_more_than_a_node_takes_is_refused_at_once(world: World) -> None:
    other = ContentSync(ContentStore(world.client, world.name, 30))
    with pytest.raises(ValueTooLarge):
        world(other.import_package(MAGIC + CONTENT + LENGTH.pack(1 << 40)))


def test_a_label_whose_content_expired_is_left_out(world: World) -> None:
    store = filled(world)
    world.raw.set(store.label_key("app:a"), "0" * 64, px=600_000)
    other = ContentStore(world.another(), world.name + "-other", 30)
    package = world(ContentSync(store).export_labels("app:"))
    assert "app:a" not in world(ContentSync(other).import_package(package))


@pytest.mark.parametrize("labels", [b'{"labels":{"a":7}}', b'{"labels":{"a":"short"}}', b'{"labels":[]}', b"{}", b"?"])
def test_a_package_whose_list_of_labels_is_damaged_is_named(world: World, labels: bytes) -> None:
    with pytest.raises(Unreadable):
        world(ContentSync(filled(world)).import_package(MAGIC + LABELS + LENGTH.pack(len(labels)) + labels))
