"""Sessions and their streams: met, used, closed, lost; and continued on another node."""

import uuid
from functools import partial
from typing import Any

import pytest
import redis

from respram.patterns import (
    AffinityPool,
    BadName,
    ChunkExpired,
    Sealer,
    SessionClosed,
    SessionTimedOut,
    StoreAway,
    StreamEnded,
    STTNode,
    STTSession,
    TimedOut,
    WrongCredentials,
    new_secret,
    stt_session,
)
from respram.patterns.live_stream import StreamEncoder, chunk_key, head_key
from tests.live import SOON_S, running
from tests.patterns.conftest import World
from tests.ports import reserve

ALIVE_S = 60.0  # far more than a test takes, where a session shall live


def sides(world: World, alive_s: float = ALIVE_S, **options: Any) -> tuple[STTNode[Any], STTNode[Any]]:
    """Two nodes with names of their own."""
    ada, bob = (STTNode(world.another(), f"{world.name}:{name}", 60, alive_s, **options) for name in ("ada", "bob"))
    return ada, bob


def joined(world: World, ada: STTNode[Any], bob: STTNode[Any]) -> tuple[STTSession[Any], STTSession[Any]]:
    sessions = world.together(lambda: ada.connect(None, bob.node_id, SOON_S), lambda: bob.accept(SOON_S))
    assert all(isinstance(each, STTSession) for each in sessions), sessions
    assert sessions[0].session_id == sessions[1].session_id
    return sessions[0], sessions[1]


def test_two_nodes_meet_and_speak_over_streams_of_their_session(world: World) -> None:
    here, there = joined(world, *sides(world))
    client, server = here.open_stream(stream_id=1, max_frame_size=4), there.get_stream(stream_id=1)
    assert client.session.peer_id == there.node.node_id and there.peer_id == here.node.node_id
    world(client.send(b"GET /data"))
    assert world(server.receive(SOON_S)) == b"GET /data"
    world(server.send(b"200"))
    assert world(client.receive(SOON_S)) == b"200"
    other = here.open_stream()
    assert other.stream_id == 2 and here.open_stream(2) is other
    world(other.send(b"beside"))
    assert world(there.get_stream(2).receive(SOON_S)) == b"beside"
    frames = [name for name in world.raw.keys(f"stream:stt%3A{here.session_id.hex()}%3A1%3A*") if b":head" not in name]
    assert len(frames) == 4, "frames of at most four bytes: three for the question, one for the answer"


def test_a_closed_stream_says_so_on_both_sides(world: World) -> None:
    here, there = joined(world, *sides(world))
    mine, theirs = here.open_stream(1), there.open_stream(1)
    assert not mine.is_closed()
    world(mine.send(b"last"))
    world(mine.close())
    assert mine.is_closed() and not theirs.is_closed()
    with pytest.raises(StreamEnded):
        world(mine.send(b"more"))
    assert world(theirs.receive(SOON_S)) == b"last"
    with pytest.raises(StreamEnded):
        world(theirs.receive(SOON_S))
    assert theirs.ended
    world(theirs.send(b"still"))
    assert world(mine.receive(SOON_S)) == b"still"
    with pytest.raises(TimedOut):
        world(mine.receive(0.01))


def test_a_session_that_is_closed_is_closed_for_the_other_side_with_the_reason(world: World) -> None:
    ada, bob = sides(world, alive_s=2.0)
    ada.alive_s = 60.0  # bob hears of the end soon, and does not think ada gone before
    heard: list[tuple[str, bytes, str]] = []
    ada.on_session_closed(lambda session_id, reason: heard.append(("ada", session_id, reason)))
    bob.on_session_closed(lambda session_id, reason: heard.append(("bob", session_id, reason)))
    here, there = joined(world, ada, bob)
    stream = there.open_stream(1)
    world(here.open_stream(1).send(b"before the end"))
    world(here.close())
    world(here.close())
    assert heard == [("ada", here.session_id, "closed")]
    assert world(stream.receive(SOON_S)) == b"before the end"
    with pytest.raises((StreamEnded, SessionClosed)):
        world(stream.receive(SOON_S))
    world(bob.attend(SOON_S, stop=lambda: len(heard) == 2))
    assert heard[1:] == [("bob", here.session_id, "closed")] and not bob.sessions and not ada.sessions
    with pytest.raises(SessionClosed):
        there.open_stream(5)
    with pytest.raises(StreamEnded):
        world(stream.send(b"x"))


def test_a_peer_that_falls_silent_is_a_timeout(world: World) -> None:
    ada, bob = sides(world, alive_s=2.0)
    heard: list[str] = []
    ada.on_session_closed(lambda session_id, reason: heard.append(reason))
    here, _ = joined(world, ada, bob)
    with pytest.raises(SessionClosed, match="timeout"):
        world(here.open_stream(1).receive())
    assert heard == ["timeout"]
    # One that was never seen to beat counts as silent too.
    alone = STTSession(ada, "nobody", b"\x01" * 16)
    ada.sessions[alone.session_id] = alone
    assert world(ada.attend(SOON_S, stop=lambda: len(heard) == 2)) == 1 and heard == ["timeout"] * 2


def test_a_peer_may_accept_later_than_a_beat_lasts(world: World) -> None:
    ada, bob = sides(world, alive_s=1.0)
    sessions = world.together(
        lambda: ada.connect(None, bob.node_id, SOON_S), world.later(1.5, lambda: bob.accept(SOON_S))
    )
    assert all(isinstance(each, STTSession) for each in sessions), sessions


def test_nobody_who_accepts_no_node_and_a_wrong_password_are_told_apart(world: World) -> None:
    ada, _ = sides(world)
    with pytest.raises(SessionTimedOut):
        world(ada.connect(None, f"{world.name}:nobody", timeout=0.02))
    with pytest.raises(TimedOut):
        world(ada.accept(timeout=0.02))
    assert not ada.sessions
    with pytest.raises(StoreAway):
        world(STTNode(world.another(port=reserve()), "a").connect(None, "b", SOON_S))
    with running("--requirepass", "correct horse battery") as node:
        wrong = STTNode(world.another(port=node.port, password="wrong"), "a")
        heard: list[str] = []
        wrong.on_session_closed(lambda session_id, reason: heard.append(reason))
        with pytest.raises(WrongCredentials):
            world(wrong.connect(None, "b", SOON_S))
        assert heard == []  # there was no session yet
        begun = STTSession(wrong, "b", b"\x01" * 16)
        assert not world(begun.alive())
        assert heard == ["auth_failure"] and begun.closed == "auth_failure"


def test_sealed_sessions_are_read_by_those_who_have_the_secret(world: World) -> None:
    here, there = joined(world, *sides(world, sealer=Sealer(new_secret())))
    own = Sealer(new_secret())
    world(here.open_stream(1).send(b"by the node's secret"))
    world(here.open_stream(2, sealer=own).send(b"by the stream's"))
    assert world(there.open_stream(1).receive(SOON_S)) == b"by the node's secret"
    assert world(there.open_stream(2, sealer=own).receive(SOON_S)) == b"by the stream's"
    for name in world.raw.keys(f"stream:stt%3A{here.session_id.hex()}*"):
        assert b"secret" not in world.raw.get(name)


def test_an_expired_message_is_told_and_offers_and_numbers_are_checked(world: World) -> None:
    ada, bob = sides(world)
    here, there = joined(world, ada, bob)
    out, back = here.open_stream(1), there.open_stream(1)
    world(out.send(b"one"))
    world(out.send(b"two"))
    world.expire(chunk_key(out._name(), 0))
    with pytest.raises(ChunkExpired):
        world(back.receive(SOON_S))
    world(back.decoder.skip_to_oldest())
    assert world(back.receive(SOON_S)) == b"two"
    for number, size in ((-1, 10), (7, 0)):
        with pytest.raises(BadName):
            here.open_stream(number, size)
    with pytest.raises(BadName):
        STTNode(world.client, "")


def test_the_number_of_streams_and_sessions_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stt_session, "STREAMS_MAX", 2)
    monkeypatch.setattr(stt_session, "SESSIONS_MAX", 1)
    ada, bob = sides(world)
    here, _ = joined(world, ada, bob)
    here.open_stream()
    here.open_stream()
    with pytest.raises(BadName):
        here.open_stream()
    with pytest.raises(SessionClosed):
        world(ada.connect(None, "another", SOON_S))


def test_a_session_goes_on_through_another_node_of_the_enclave(apart: tuple[World, list[Any]]) -> None:
    world, clients = apart
    dead = world.another(port=reserve())
    pool: AffinityPool[Any] = AffinityPool({"dead": dead, "two": clients[1], "three": clients[2]})
    ada: STTNode[Any] = STTNode(pool, f"{world.name}:ada", 60, ALIVE_S)
    bob = STTNode(clients[0], f"{world.name}:bob", 60, ALIVE_S)
    here, there = joined_anyhow(world, ada, bob, "dead")
    assert here.moves >= 1 and pool.node_of(bob.node_id) != "dead"
    out, back = here.open_stream(1), there.open_stream(1)
    world(out.send(b"through the second"))
    assert world(back.receive(SOON_S)) == b"through the second"
    # The node that it moved to is lost as well: what the last one has not heard of is sent again.
    node = pool.node_of(bob.node_id)
    pool.clients = {**pool.clients, node: dead}
    world(out.send(b"through the third"))
    assert world(back.receive(SOON_S)) == b"through the third" and here.moves >= 2
    world(back.send(b"and back"))
    assert world(out.receive(SOON_S)) == b"and back"


def joined_anyhow(world: World, ada: STTNode[Any], bob: STTNode[Any], prefer: str) -> tuple[Any, Any]:
    sessions = world.together(lambda: ada.connect(prefer, bob.node_id, SOON_S), lambda: bob.accept(SOON_S))
    assert all(isinstance(each, STTSession) for each in sessions), sessions
    return sessions[0], sessions[1]


def test_a_writer_sends_again_what_the_next_node_has_not_heard_of(world: World) -> None:
    """Two databases stand for two nodes that do not know each other: nothing of the first is on the second."""
    first, second = world.another(db=11), world.another(db=12)
    pool: AffinityPool[Any] = AffinityPool({"first": first, "second": second})
    ada: STTNode[Any] = STTNode(pool, "ada", 60, ALIVE_S)
    session = STTSession(ada, "bob", world.name.encode()[:16], "first")
    out = session.open_stream(1)
    for number in range(3):
        world(out.send(b"%d" % number))
    pool.clients = {"first": world.another(port=reserve()), "second": second}
    world(out.send(b"3"))
    reader = STTSession(STTNode(second, "bob", 60, ALIVE_S), "ada", session.session_id)
    assert [world(reader.open_stream(1).receive(SOON_S)) for _ in range(4)] == [b"0", b"1", b"2", b"3"]


def test_only_so_much_is_kept_to_be_sent_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stt_session, "RESENDABLE_MAX", 3)
    monkeypatch.setattr(stt_session, "RESENDABLE_BYTES_MAX", 10)
    out = STTSession(STTNode(world.client, "ada", 60, ALIVE_S), "bob", world.name.encode()[-16:]).open_stream(1)
    for message in (b"1", b"2", b"3", b"4"):
        world(out.send(message))
    assert [message for _, message in out.resendable] == [b"2", b"3", b"4"]
    world(out.send(b"x" * 9))
    assert [message for _, message in out.resendable] == [b"4", b"x" * 9]


# -- nodes that die ---------------------------------------------------------------------------------
def test_only_the_node_that_failed_counts_as_away(world: World) -> None:
    """Two calls of one session fail on the same node at once; the second must not condemn the next node."""
    pool: AffinityPool[Any] = AffinityPool(
        {"first": world.another(port=reserve()), "second": world.another(), "third": world.another()}
    )
    ada: STTNode[Any] = STTNode(pool, "ada", 60, ALIVE_S)
    session = STTSession(ada, "bob", world.name.encode()[-16:], "first")
    streams = [session.open_stream(number) for number in range(1, 9)]
    assert world.together(*(lambda each=each: each.send(b"x") for each in streams)) == [0] * 8
    assert set(pool.away_until_s) == {"first"}


class Failing:
    """A client whose node dies after so many more commands."""

    def __init__(self, client: Any, left: int) -> None:
        self.client, self.left = client, left

    def __getattr__(self, name: str) -> Any:
        if name in ("execute_command", "pipeline"):
            self.left -= 1
            if self.left < 0:
                raise redis.exceptions.ConnectionError
        return getattr(self.client, name)


@pytest.mark.parametrize("left", range(9))
def test_no_message_is_lost_though_a_second_node_fails_while_the_first_is_made_up_for(
    world: World, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Databases stand for nodes: the second dies in the middle of what is sent again, the third has heard nothing."""
    first, second, third = (world.another(db=number) for number in (11, 12, 13))
    pool: AffinityPool[Any] = AffinityPool({"first": first, "second": second, "third": third})
    ada: STTNode[Any] = STTNode(pool, "ada", 60, ALIVE_S)
    session = STTSession(ada, "bob", uuid.uuid4().bytes, "first")
    out = session.open_stream(1)
    for number in range(3):
        world(out.send(b"%d" % number))
    pool.clients = {"first": world.another(port=reserve()), "second": Failing(second, left), "third": third}
    monkeypatch.setattr(AffinityPool, "order_of", lambda pool, name: list(pool.clients))
    world(out.send(b"3"))
    reached: dict[str, Any] = {"second": second, "third": third}
    bob: STTNode[Any] = STTNode(reached[session.place or ""], "bob", 60, ALIVE_S)
    reader = STTSession(bob, "ada", session.session_id).open_stream(1)
    assert [world(reader.receive(SOON_S)) for _ in range(4)] == [b"0", b"1", b"2", b"3"]


def test_what_cannot_be_sent_again_is_told_and_a_reader_that_has_moved_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stt_session, "RESENDABLE_MAX", 2)
    first, second = world.another(db=11), world.another(db=12)
    pool: AffinityPool[Any] = AffinityPool({"first": first, "second": second})
    ada: STTNode[Any] = STTNode(pool, "ada", 60, ALIVE_S)
    session = STTSession(ada, "bob", uuid.uuid4().bytes, "first")
    out = session.open_stream(1)
    for number in range(5):
        world(out.send(b"%d" % number))
    read: AffinityPool[Any] = AffinityPool({"first": first, "second": second})
    bob: STTNode[Any] = STTNode(read, "bob", 60, ALIVE_S)
    there = STTSession(bob, "ada", session.session_id, "first").open_stream(1)
    alone: STTNode[Any] = STTNode(second, "bob", 60, ALIVE_S)
    late = STTSession(alone, "ada", session.session_id).open_stream(1)
    assert [world(there.receive(SOON_S)) for _ in range(4)] == [b"0", b"1", b"2", b"3"]
    left: dict[str, Any] = {"first": world.another(port=reserve()), "second": second}
    pool.clients, read.clients = left, left
    world(out.send(b"5"))
    assert [world(there.receive(SOON_S)) for _ in range(2)] == [b"4", b"5"], "by position, nothing twice"
    with pytest.raises(ChunkExpired):
        world(late.receive(SOON_S))
    world(late.decoder.skip_to_oldest())
    assert [world(late.receive(SOON_S)) for _ in range(3)] == [b"3", b"4", b"5"]


def test_a_session_is_accepted_and_closed_through_another_node(world: World) -> None:
    name = f"{world.name}:ada"
    dead = world.another(port=reserve())
    pool: AffinityPool[Any] = AffinityPool({"dead": dead, "alive": world.another()})
    pool.places[name] = "dead"
    ada: STTNode[Any] = STTNode(pool, name, 60, ALIVE_S)
    heard: list[str] = []
    ada.on_session_closed(lambda session_id, reason: heard.append(reason))
    bob = STTNode(world.another(), f"{world.name}:bob", 60, ALIVE_S)
    _, here = joined(world, bob, ada)
    world(here.open_stream(1).send(b"x"))
    pool.away_until_s.clear()
    pool.places[bob.node_id] = "dead"
    assert world(here.close()) and heard == ["closed"] and not ada.sessions
    # Where no node is left it is closed all the same, and says that nobody was told.
    _, here = joined(world, bob, ada)
    here.open_stream(1)
    pool.clients = {"dead": dead, "alive": dead}
    pool.away("alive")
    assert not world(here.close()) and heard == ["closed"] * 2 and not ada.sessions


def test_a_stream_that_meets_no_node_or_a_wrong_password_ends_the_session_with_the_reason(world: World) -> None:
    heard: list[str] = []
    with running("--requirepass", "correct horse battery") as node:
        for reason, client, kind in (
            ("auth_failure", world.another(port=node.port, password="wrong"), WrongCredentials),
            ("store away", world.another(port=reserve()), StoreAway),
        ):
            for call in ("send", "receive", "close"):
                ada = STTNode(client, "ada", 60, ALIVE_S)
                ada.on_session_closed(lambda session_id, reason: heard.append(reason))
                session = STTSession(ada, "bob", b"\x01" * 16)
                ada.sessions[session.session_id] = session
                stream = session.open_stream(1)
                calls = {"send": partial(stream.send, b"x"), "receive": partial(stream.receive, 1)}
                with pytest.raises(kind):
                    world(calls.get(call, stream.close)())
                assert heard.pop() == reason and session.closed == reason and not ada.sessions
    assert not heard


def test_every_handler_is_called_though_one_raises_and_no_session_goes_without_its_beat(world: World) -> None:
    ada, _ = sides(world)
    heard: list[bytes] = []
    ada.on_session_closed(lambda session_id, reason: 1 // 0)
    ada.on_session_closed(lambda session_id, reason: heard.append(session_id))
    for number in range(3):
        session = STTSession(ada, f"nobody-{number}", bytes((number,)) * 16, begun_s=-ALIVE_S)
        ada.sessions[session.session_id] = session
    with pytest.raises(ZeroDivisionError):
        world(ada.attend(SOON_S))
    assert sorted(heard) == [bytes((number,)) * 16 for number in range(3)] and not ada.sessions


def test_messages_among_the_offers_that_are_none_are_passed_over(world: World) -> None:
    ada, bob = sides(world)
    offers = StreamEncoder(world.client, stt_session.offers_name(bob.node_id), 60, chunk_bytes=20)
    offer = b'{"session":"zz","from":"x"}'
    for message in (b"no json", offer, offer.replace(b"zz", b"01"), offer.replace(b'"x"', b'"\\ud800"'), b"[" * 5000):
        world(offers.send(message))
    world(StreamEncoder(world.client, offers.name, 60, sealer=Sealer(new_secret())).send(b"sealed"))
    seq = world(offers.send(b"overwritten"))
    world.raw.set(chunk_key(offers.name, seq), b"by another program", px=60_000)
    joined(world, ada, bob)
    assert bob.passed_over == 7
    world.raw.set(head_key(offers.name), b"no head", px=60_000)
    with pytest.raises(TimedOut, match="no peer connected within"):
        world(bob.accept(0.05))


def test_a_silent_peer_is_said_with_the_time_that_was_asked_for(world: World) -> None:
    here, _ = joined(world, *sides(world, alive_s=60.0))
    with pytest.raises(TimedOut, match=r"within 0\.7 s"):
        world(here.open_stream(1).receive(0.7))
