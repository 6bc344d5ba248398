"""PUBLISH in the engine: who gets what, in which order, and when it is for `dispatch`; both engines."""

from dataclasses import dataclass, field

import pytest
from hypothesis import event
from hypothesis import strategies as st

from respram.engine.api import (
    FRAMES_BYTES_MAX,
    LISTENERS_MAX,
    LISTENING_PATTERNS_MAX,
    SPREAD_BYTES_MAX,
    Engine,
    Session,
)
from tests import dear

from .conftest import ENGINES, PURE_ONLY
from .rig import NOW, SETTINGS, request

CHANNELS = [b"a", b"b", b"", b"\x00\xff\r\n", b"long" * 30]
SESSIONS = 4


@dataclass
class Side:
    """An engine and some sessions. What `dispatch` is asked and what is delivered stand in one list."""

    name: str
    seen: list[object] = field(default_factory=list)
    delivered: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine: Engine = ENGINES[self.name](SETTINGS)
        self.sessions = [self.connect(number) for number in range(SESSIONS)]
        self.engine.deliver = self.deliver

    def connect(self, number: int) -> Session:
        session = self.engine.session(self.dispatch)
        session.owner = number
        session.hot = session.trusted = True
        session.multi_keys_max = 100
        return session

    def deliver(self, session: Session, frames: bytes) -> None:
        assert isinstance(session.owner, int)
        self.delivered[session.owner] = self.delivered.get(session.owner, b"") + frames

    def dispatch(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        self.seen.append((list(argv), dict(self.delivered)))
        if argv[0] == b"LISTEN":
            self.engine.listen(session, argv[1])
        elif argv[0] == b"UNLISTEN":
            self.engine.unlisten(session, argv[1])
        elif argv[0] == b"RESP":
            session.proto = int(argv[1] == b"3") + 2
        elif argv[0] == b"QUIT":
            session.closing = True
        elif argv[0] == b"PLISTEN":
            self.engine.listen(session, argv[1], by_pattern=True)
        elif argv[0] == b"PUNLISTEN":
            self.engine.unlisten(session, argv[1], by_pattern=True)
        elif argv[0] == b"SPREAD":
            self.engine.spreads = not self.engine.spreads
        elif argv[0] == b"PAUSE":
            self.engine.hot_writes = not self.engine.hot_writes
        return b"+cold\r\n"

    def take(self, number: int, *commands: tuple[bytes, ...]) -> bytes:
        session = self.sessions[number]
        reply = bytes(self.engine.feed(session, b"".join(request(*argv) for argv in commands), NOW))
        self.seen.append((number, reply, dict(sorted(self.delivered.items())), self.engine.take_published()))
        self.delivered.clear()
        if session.closing:
            self.engine.close(session)
            self.sessions[number] = self.connect(number)
        return reply


@pytest.fixture(params=list(ENGINES))
def side(request: pytest.FixtureRequest) -> Side:
    return Side(request.param)


channel = st.sampled_from(CHANNELS)
command = st.one_of(
    st.tuples(st.just(b"PUBLISH"), channel, st.sampled_from([b"m", b"", b"\r\n" * 40])),
    st.tuples(st.sampled_from([b"publish", b"PUBLISH"]), channel, st.just(b"other")),
    st.tuples(st.sampled_from([b"LISTEN", b"LISTEN", b"UNLISTEN"]), channel),
    st.tuples(st.just(b"RESP"), st.sampled_from([b"2", b"3"])),
    st.tuples(st.sampled_from([b"PLISTEN", b"PUNLISTEN"]), st.sampled_from([b"*", b"a", b"[ab]", b"l*g*", b"?", b""])),
    st.tuples(st.sampled_from(b"QUIT SPREAD PAUSE TIME MULTI EXEC PUBLISH PING".split())),
)


@pytest.mark.skipif(PURE_ONLY, reason="there is one engine: nothing to compare")
@dear.sampled(
    80, 300,
    st.lists(st.tuples(st.integers(0, SESSIONS - 1), st.lists(command, min_size=1, max_size=4)), max_size=25),
)
def test_both_engines_deliver_the_same(plan: list[tuple[int, list[tuple[bytes, ...]]]]) -> None:
    sides = [Side(name) for name in ENGINES]
    for number, commands in plan:
        for one in sides:
            one.take(number, *commands)
        assert sides[0].seen == sides[1].seen
    for found in ("message", "+QUEUED"):
        if any(found.encode() in repr(row).encode() for row in sides[1].seen):
            event(found)


def test_a_message_goes_to_each_listener_in_its_protocol_and_is_counted(side: Side) -> None:
    side.take(1, (b"LISTEN", b"news"), (b"LISTEN", b"news"), (b"LISTEN", b"more"))
    side.take(2, (b"RESP", b"3"), (b"LISTEN", b"news"))
    said = side.take(0, (b"PUBLISH", b"news", b"hello"), (b"PUBLISH", b"more", b""), (b"PUBLISH", b"nobody", b"x"))
    frame, empty = (
        b"3\r\n$7\r\nmessage\r\n$4\r\n" + rest for rest in (b"news\r\n$5\r\nhello\r\n", b"more\r\n$0\r\n\r\n")
    )
    assert said == b":2\r\n:1\r\n:0\r\n"
    assert side.seen[-1] == (0, said, {1: b"*" + frame + b"*" + empty, 2: b">" + frame}, [])
    side.take(1, (b"UNLISTEN", b"news"))
    side.engine.close(side.sessions[2])
    assert side.take(0, (b"PUBLISH", b"news", b"x"), (b"PUBLISH", b"more", b"x")) == b":0\r\n:1\r\n"


def test_what_is_published_is_delivered_before_dispatch_is_called(side: Side) -> None:
    side.take(1, (b"LISTEN", b"c"))
    side.take(0, (b"PUBLISH", b"c", b"1"), (b"TIME",))
    asked = [row for row in side.seen if row[0] == [b"TIME"]]  # type: ignore[index]
    assert len(asked) == 1 and b"$1\r\n1\r\n" in asked[0][1][1]  # type: ignore[index]


def test_a_publisher_that_listens_is_for_dispatch(side: Side) -> None:
    side.take(0, (b"LISTEN", b"c"))
    assert side.take(0, (b"PUBLISH", b"c", b"m")) == b"+cold\r\n"
    side.take(0, (b"UNLISTEN", b"c"))
    assert side.take(0, (b"PUBLISH", b"c", b"m")) == b":0\r\n"


def test_more_than_may_wait_is_for_dispatch_and_what_waited_comes_first(side: Side) -> None:
    side.take(1, (b"LISTEN", b"c"))
    half = b"x" * (FRAMES_BYTES_MAX // 2)
    assert side.take(0, (b"PUBLISH", b"c", half), (b"PUBLISH", b"c", half)) == b":1\r\n+cold\r\n"
    asked = [row for row in side.seen if row[0] == [b"PUBLISH", b"c", half]]  # type: ignore[index]
    assert len(asked[0][1][1]) > len(half)  # type: ignore[index]
    assert side.take(0, (b"PUBLISH", b"c", b"y" * FRAMES_BYTES_MAX)) == b"+cold\r\n"


def test_a_message_to_more_than_so_many_is_for_dispatch(side: Side) -> None:
    crowd = [side.connect(number) for number in range(LISTENERS_MAX)]
    for number, session in enumerate(crowd):
        side.engine.listen(session, b"*" if number % 3 == 0 else b"c", by_pattern=number % 3 == 0)
    assert side.take(0, (b"PUBLISH", b"c", b"m")) == b":%d\r\n" % LISTENERS_MAX
    side.engine.listen(side.sessions[1], b"c*", by_pattern=True)
    assert side.take(0, (b"PUBLISH", b"c", b"m")) == b"+cold\r\n"


def test_while_messages_wait_each_session_hears_them_before_it_is_fed_and_publish_is_for_dispatch(side: Side) -> None:
    side.take(1, (b"LISTEN", b"c"))
    heard: list[object] = []
    side.engine.hear = lambda session: heard.append(session.owner)
    assert side.take(0, (b"PUBLISH", b"c", b"m")) == b"+cold\r\n" and heard == [0]
    assert side.take(1, (b"SET", b"k", b"v")) == b"+OK\r\n" and heard == [0, 1]
    side.engine.feed(side.sessions[2], b"", NOW)
    assert heard == [0, 1, 2]

    def hear(session: Session) -> None:
        session.closing = True

    side.engine.hear = hear
    assert side.take(3, (b"SET", b"k", b"w")) == b"", "it was closed by what it was sent"
    side.engine.hear = None
    assert side.take(0, (b"GET", b"k")) == b"$1\r\nv\r\n"
    assert side.take(0, (b"PUBLISH", b"c", b"m")) == b":1\r\n" and heard == [0, 1, 2]


def test_what_the_peers_have_not_been_told_is_bounded(side: Side) -> None:
    side.engine.spreads = True
    half = b"x" * (SPREAD_BYTES_MAX // 2)
    said = side.take(0, (b"PUBLISH", b"c", b"m"), (b"PUBLISH", b"c", half), (b"PUBLISH", b"c", half))
    assert said == b":0\r\n:0\r\n+cold\r\n"
    assert side.seen[-1][3] == [(b"c", b"m"), (b"c", half)]  # type: ignore[index]
    assert not side.engine.published()


def test_crowds_of_listeners_come_and_go(side: Side) -> None:
    names = [b"c%d" % number for number in range(500)]
    crowd = [side.connect(number) for number in range(200)]
    for number, session in enumerate(crowd):
        for name in names[number % 7 :: 7]:
            side.engine.listen(session, name)
    counted = [int(side.take(0, (b"PUBLISH", name, b"m"))[1:-2]) for name in names]
    assert counted == [len(range(place % 7, 200, 7)) for place in range(500)]
    for session in crowd[::2]:
        for name in names:
            side.engine.unlisten(session, name)
    for session in crowd[1::2]:
        side.engine.close(session)
    assert [side.take(0, (b"PUBLISH", name, b"m")) for name in names] == [b":0\r\n"] * 500


def test_an_engine_that_is_gone_is_forgotten_by_its_listeners(side: Side) -> None:
    listener = side.sessions[1]
    side.engine.listen(listener, b"c")
    name = side.name
    side.sessions.clear()
    del side.engine
    other = ENGINES[name](SETTINGS)
    other.close(listener)
    assert listener.closing


def test_who_listens_by_pattern_gets_it_too(side: Side) -> None:
    side.take(1, (b"LISTEN", b"news"), (b"PLISTEN", b"n*"), (b"PLISTEN", b"ne?s"), (b"PLISTEN", b"x*"))
    side.take(2, (b"RESP", b"3"), (b"PLISTEN", b"n*"))
    assert side.take(0, (b"PUBLISH", b"news", b"m"), (b"PUBLISH", b"none", b"m")) == b":4\r\n:2\r\n"
    told = side.seen[-1][2]  # type: ignore[index]
    tail = b"\r\n$4\r\nnews\r\n$1\r\nm\r\n"
    assert told[1].startswith(b"*3\r\n$7\r\nmessage" + tail + b"*4\r\n$8\r\npmessage\r\n$2\r\nn*" + tail)
    assert b"*4\r\n$8\r\npmessage\r\n$4\r\nne?s" + tail in told[1] and told[1].count(b"pmessage") == 3
    assert told[2].startswith(b">4\r\n$8\r\npmessage\r\n$2\r\nn*" + tail)
    assert side.take(1, (b"PUBLISH", b"none", b"m")) == b"+cold\r\n", "it would hear itself"
    side.take(1, (b"PUNLISTEN", b"n*"))
    side.engine.close(side.sessions[2])
    assert side.take(0, (b"PUBLISH", b"news", b"m")) == b":2\r\n"


def test_many_patterns_and_long_ones_are_for_dispatch(side: Side) -> None:
    for number in range(LISTENING_PATTERNS_MAX):
        side.take(1, (b"PLISTEN", b"p%d*" % number))
    assert side.take(0, (b"PUBLISH", b"p1", b"m")) == b":1\r\n"
    side.take(2, (b"PLISTEN", b"one more"))
    assert side.take(0, (b"PUBLISH", b"p1", b"m")) == b"+cold\r\n"
    side.take(2, (b"PUNLISTEN", b"one more"))
    assert side.take(0, (b"PUBLISH", b"p1", b"m"), (b"PUBLISH", b"p" * 4096, b"m")) == b":1\r\n+cold\r\n"
