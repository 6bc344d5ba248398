"""Statements of what was there, signed and chained, while the data goes."""

from pathlib import Path
from typing import Any

import pytest

from respram.patterns import (
    Anchors,
    ContentMissing,
    ContentStore,
    Snapshots,
    StoreRefused,
    Tampered,
    Unreadable,
    anchoring,
    new_signing_key,
    public_key,
    verified,
)
from tests.patterns.conftest import World


def taken(world: World, path: Path, key: bytes, count: int = 3) -> Snapshots:  # type: ignore[type-arg]
    snapshots = Snapshots(ContentStore(world.client, world.name, 60), "game")
    anchors = Anchors(world.client, key, path)
    for number in range(count):
        moment = world(snapshots.take({"level": number}, 1_000 * (number + 1)))
        world(anchors.of_snapshot(snapshots, moment))
    return snapshots


def test_a_snapshot_is_forgotten_and_its_statement_is_kept(world: World, tmp_path: Path) -> None:
    key, path = new_signing_key(), tmp_path / "anchors.jsonl"
    snapshots = taken(world, path, key)
    labels = [snapshots.store.label_key(f"game:{moment}") for moment in (1000, 2000, 3000)]
    world.expire(*labels)
    first, second, third = verified(path, public_key(key))
    assert second.what == "snapshot game:2000" and second.counts == {"bytes": 11}
    assert (first.from_ms, first.until_ms, second.from_ms, second.until_ms) == (1000, 1000, 1000, 2000)
    assert second.covers(b'{"level":1}') and not second.covers(b'{"level":2}') and third.covers(b'{"level":2}')
    assert b"level" not in path.read_bytes()
    with pytest.raises(ContentMissing):
        world(Anchors(world.client, key, path).of_snapshot(snapshots, 1000))
    assert len(verified(path, public_key(key))) == 3


def test_what_was_changed_taken_out_or_signed_by_another_is_noticed(world: World, tmp_path: Path) -> None:
    key, path = new_signing_key(), tmp_path / "anchors.jsonl"
    taken(world, path, key)
    whole = path.read_bytes().splitlines(keepends=True)
    changed = whole[1].replace(b'"bytes":11', b'"bytes":12')
    assert changed != whole[1]
    for damaged in ([whole[0], changed, whole[2]], [whole[0], whole[2]], [whole[1], whole[0], whole[2]], whole[1:]):
        path.write_bytes(b"".join(damaged))
        with pytest.raises(Tampered):
            verified(path, public_key(key))
    path.write_bytes(b"".join(whole))
    with pytest.raises(Tampered):
        verified(path, public_key(new_signing_key()))
    for cut in (whole[2][:-1], whole[2][:20], b"x" * 5000 + b"\n"):
        path.write_bytes(whole[0] + cut)
        with pytest.raises(Unreadable):
            verified(path, public_key(key))
    assert "signing_key" not in repr(Anchors(world.client, key, path))


def test_a_statement_has_a_bounded_length(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "LINE_BYTES_MAX", 100)
    with pytest.raises(Unreadable):
        taken(world, tmp_path / "anchors.jsonl", new_signing_key(), 1)
    assert not (tmp_path / "anchors.jsonl").exists()


def test_the_records_of_a_node_are_anchored_by_their_digest(apart: tuple[World, list[Any]], tmp_path: Path) -> None:
    world, clients = apart
    key, path = new_signing_key(), tmp_path / "anchors.jsonl"
    said = world(Anchors(clients[1], key, path).of_node())
    assert said.what == "node" and said.counts["records"] >= 0 and len(said.digest) == 16
    assert verified(path, public_key(key)) == [said]


def test_a_node_without_peers_has_no_digest(world: World, tmp_path: Path) -> None:
    try:
        world(Anchors(world.client, new_signing_key(), tmp_path / "a").of_node())
    except StoreRefused:
        assert not (tmp_path / "a").exists()
