"""Files: progress, resume, damage."""

from pathlib import Path

import pytest

from respram.patterns import (
    ContentCorrupt,
    ContentMissing,
    ContentRef,
    ContentStore,
    FileTransfer,
    Unreadable,
    bar,
    reference,
)
from respram.patterns.json_values import from_json
from tests.patterns.conftest import World

DATA = bytes(range(256)) * 41 + b"end"


def transfer(world: World) -> FileTransfer:  # type: ignore[type-arg]
    return FileTransfer(ContentStore(world.another(), world.name, 600), chunk_bytes=1000)


@pytest.mark.parametrize("data", [DATA, b"", b"x" * 2000], ids=["odd", "empty", "even"])
def test_a_file_arrives_whole_and_its_progress_is_told(world: World, tmp_path: Path, data: bytes) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(data)
    sent: list[tuple[int, int]] = []
    got: list[tuple[int, int]] = []
    ticket = world(transfer(world).send(source, lambda *at: sent.append(at)))
    assert world(transfer(world).receive(ContentRef(ticket.hash), target, lambda *at: got.append(at))) == len(data)
    assert target.read_bytes() == data and not (tmp_path / "b.part").exists()
    assert sent == got and (not data or sent[-1] == (len(data), len(data)))


def test_a_receive_that_broke_off_goes_on_where_it_stopped(world: World, tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(DATA)
    ticket = world(transfer(world).send(source))

    def stop(done: int, total: int) -> None:
        if done >= 4000:
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        world(transfer(world).receive(ticket, target, stop))
    assert not target.exists()
    seen: list[int] = []
    world(transfer(world).receive(ticket, target, lambda done, total: seen.append(done)))
    assert seen[:2] == [4000, 5000] and target.read_bytes() == DATA


def test_a_partial_file_that_is_not_a_beginning_of_it_is_not_believed(world: World, tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(DATA)
    ticket = world(transfer(world).send(source))
    for strange in (DATA[:1000] + b"?" * 50_000, DATA[:1500], DATA, DATA + b"more"):
        (tmp_path / "b.part").write_bytes(strange)
        world(transfer(world).receive(ticket, target))
        assert target.read_bytes() == DATA


def test_what_a_longer_file_left_behind_does_not_stay_at_the_end(world: World, tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(DATA[:2000])  # whole chunks: the last one is full, and more may follow it
    ticket = world(transfer(world).send(source))
    (tmp_path / "b.part").write_bytes(DATA)
    assert world(transfer(world).receive(ticket, target)) == 2000
    assert target.read_bytes() == DATA[:2000]


def test_a_chunk_that_expired_during_a_slow_send_is_sent_again(world: World, tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(DATA)
    first = transfer(world).store.content_key(reference(DATA[:1000]))

    def expire(done: int, total: int) -> None:
        if done == total:
            world.expire(first)

    ticket = world(transfer(world).send(source, expire))
    assert world(transfer(world).receive(ticket, target)) == len(DATA)

    def change(done: int, total: int) -> None:
        expire(done, total)
        if done == total:
            source.write_bytes(b"other" + DATA[5:])

    with pytest.raises(ContentCorrupt, match="changed while it was sent"):
        world(transfer(world).send(source, change))


def test_a_strange_ticket_is_named_and_writes_nothing(world: World, tmp_path: Path) -> None:
    store = transfer(world).store
    for strange in (
        b'{"bytes":1,"chunk_bytes":0,"chunks":[]}',
        b'{"bytes":1,"chunk_bytes":9,"chunks":[7]}',
        b"\xff",
        b"[]",
    ):
        with pytest.raises(Unreadable):
            world(transfer(world).receive(world(store.store(strange)), tmp_path / "b"))
    assert not list(tmp_path.iterdir())


def test_sending_again_sends_only_what_is_missing(world: World, tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(DATA)
    ticket = world(transfer(world).send(source))
    store = transfer(world).store
    chunks = from_json(world.raw.get(store.content_key(ticket)), "ticket")["chunks"]
    world.raw.set(store.content_key(ContentRef(chunks[3])), b"x", px=1)
    world.until(lambda: not world.raw.exists(store.content_key(ContentRef(chunks[3]))))
    with pytest.raises(ContentMissing):
        world(transfer(world).receive(ticket, tmp_path / "b"))
    assert (tmp_path / "b.part").stat().st_size == 3000
    assert world(transfer(world).send(source)) == ticket
    assert world(transfer(world).receive(ticket, tmp_path / "b")) == len(DATA)


def test_a_ticket_that_lies_about_the_size_makes_no_file(world: World, tmp_path: Path) -> None:
    store = transfer(world).store
    chunk = world(store.store(b"abc"))
    lie = b'{"bytes":4,"chunk_bytes":1000,"chunks":["%s"]}' % chunk.hash.encode()
    with pytest.raises(ContentCorrupt):
        world(transfer(world).receive(world(store.store(lie)), tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def test_the_bar_is_empty_half_and_full() -> None:
    assert [bar(done, 10, 4) for done in (0, 5, 10)] == ["[....]   0.0 %", "[##..]  50.0 %", "[####] 100.0 %"]
    assert bar(0, 0, 4) == "[####] 100.0 %"


def test_a_slow_send_ends_with_every_chunk_at_its_full_time(world: World, tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(DATA)
    first = transfer(world).store.content_key(reference(DATA[:1000]))
    world(transfer(world).send(source, lambda done, total: world.raw.pexpire(first, 1000)))
    assert world.raw.pttl(first) > 300_000
