"""Sessions: kept, rotated, ended for good."""

import pytest

from respram.patterns import Contended, SessionEnded, Sessions, session
from tests.patterns.conftest import World


def test_any_edge_reads_the_session_and_reading_keeps_it(world: World) -> None:
    short, long = Sessions(world.client, ttl_s=300), Sessions(world.another(), ttl_s=600)
    session_id = world(short.create({"user": 42}))
    assert world(long.load(session_id)) == {"user": 42}
    assert world.raw.pttl(long.key(session_id)) > 300_000
    world(short.save(session_id, {"user": 42, "cart": ["book"]}))
    assert world(long.load(session_id)) == {"user": 42, "cart": ["book"]}


def test_a_user_who_goes_away_is_forgotten(world: World) -> None:
    sessions = Sessions(world.client, ttl_s=60)
    session_id = world(sessions.create({"user": 42}))
    world.expire(sessions.key(session_id))
    assert world(sessions.load(session_id)) is None
    assert world(sessions.load("")) is None


def test_an_ended_session_is_neither_loaded_nor_brought_back_by_a_late_save(world: World) -> None:
    sessions = Sessions(world.client, ttl_s=600)
    session_id = world(sessions.create({"user": 42}))
    world(sessions.end(session_id))
    assert world(sessions.load(session_id)) is None
    with pytest.raises(SessionEnded):
        world(sessions.save(session_id, {"user": 42}))
    with pytest.raises(SessionEnded):
        world(sessions.rotate(session_id))
    assert world(sessions.load(session_id)) is None


def test_rotation_moves_the_state_and_ends_the_old_id(world: World) -> None:
    sessions = Sessions(world.client, ttl_s=600)
    old = world(sessions.create({"user": 42}))
    new = world(sessions.rotate(old))
    assert new != old and world(sessions.load(new)) == {"user": 42}
    assert world.raw.pttl(sessions.key(old)) <= 1


def test_asking_for_an_ended_session_does_not_keep_its_mark(world: World) -> None:
    sessions = Sessions(world.client, ttl_s=600)
    world.raw.set(sessions.key("ended"), b"", px=600_000)
    assert world(sessions.load("ended")) is None
    assert world.raw.pttl(sessions.key("ended")) <= 1


def test_saves_and_rotations_at_once_leave_one_live_session(world: World) -> None:
    sessions = Sessions(world.client, ttl_s=600)
    old = world(sessions.create({"n": 0}))
    rotations = [lambda: sessions.rotate(old) for _ in range(5)]
    outcomes = world.together(*rotations)
    winners = [one for one in outcomes if isinstance(one, str)]
    assert len(winners) == 1 and world(sessions.load(winners[0])) == {"n": 0}
    assert all(isinstance(one, str | SessionEnded) for one in outcomes)


def test_a_rotation_that_always_loses_leaves_the_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(world.client, ttl_s=600)
    old = world(sessions.create({"n": 0}))
    monkeypatch.setattr(session, "CHANGE_TRIES_MAX", 0)
    with pytest.raises(Contended):
        world(sessions.rotate(old))
    assert world(sessions.load(old)) == {"n": 0}
