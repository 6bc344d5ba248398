"""Runs put together for their homes and taken apart again: every client hears its own replies, in its own order."""

from dataclasses import dataclass, field

import pytest

from respram.commands.peers import Forwarded
from respram.engine import make
from respram.engine.api import Group, Run
from respram.gossip.effects import Decided
from respram.gossip.forwarding import ANSWERED, APART, CLOSED, NOTHING, UNKNOWN, Request
from respram.replica import Output, Write, joined
from respram.server.decisions import BATCH_BYTES_MAX, Decisions, split_commands
from respram.slots import pack_command, pack_keys, unpack_keys
from respram.wire.messages import ALONE, RUN
from tests.engine.rig import SETTINGS


@dataclass(slots=True)
class Session:
    db: int = 0
    proto: int = 2


@dataclass(slots=True)
class Client:
    session: Session = field(default_factory=Session)
    heard: list[tuple[bytes, int]] = field(default_factory=list)

    def told(self, reply: bytes, commands: int, home: int = 0) -> None:
        self.heard.append((reply, commands))


class Policy:
    forwards_max = 8


class Core:
    policy = Policy()


@dataclass(slots=True)
class Replica:
    """Notes what is forwarded; the tokens count from 1."""

    core: Core = field(default_factory=Core)
    sent: list[Request] = field(default_factory=list)
    full: bool = False

    def forward(self, request: Request, now: object) -> tuple[int, list[Output]]:
        if self.full:
            return 0, []
        self.sent.append(request)
        return len(self.sent), []


@dataclass(slots=True)
class Loop:
    todo: list[tuple[object, tuple[object, ...]]] = field(default_factory=list)

    def call_soon(self, call: object, *args: object) -> None:
        self.todo.append((call, args))

    def turn(self) -> None:
        todo, self.todo = self.todo, []
        for call, args in todo:
            call(*args)  # type: ignore[operator]


class Limits:
    error_kinds_max = 10


class Stats:
    def __init__(self) -> None:
        self.errors: dict[bytes, int] = {}


class Node:
    limits = Limits()

    def __init__(self) -> None:
        self.stats = Stats()
        self.decide = b"home"
        self.engine = make("pure", SETTINGS)


class Bench:
    def __init__(self) -> None:
        self.replica, self.loop, self.node = Replica(), Loop(), Node()
        self.decisions = Decisions(self.replica, self.node, self.loop, lambda outputs: None)  # type: ignore[arg-type]

    def ask(self, client: Client, *homes: tuple[int, bytes], order: bytes | None = None) -> bool:
        groups = [Group(home, 1, incr(key), pack_keys([key])) for home, key in homes]
        return self.decisions.forward_run(client, Run(order or bytes(range(len(groups))), groups), b"")  # type: ignore[arg-type]

    def decide(self, token: int, outcome: str, replies: bytes = b"") -> None:
        self.decisions.decided(Decided(token, outcome, replies))


def incr(key: bytes) -> bytes:
    return pack_command([b"INCR", key])


def test_what_all_want_of_one_home_leaves_in_one_frame_and_comes_back_to_each() -> None:
    bench, one, two = Bench(), Client(), Client()
    assert bench.ask(one, (1, b"a")) and bench.ask(two, (1, b"b"))
    assert not bench.replica.sent
    bench.loop.turn()
    (request,) = bench.replica.sent
    assert request.commands == incr(b"a") + incr(b"b") and unpack_keys(request.keys) == [b"a", b"b"]
    bench.decide(1, ANSWERED, b":1\r\n$3\r\na\r\n\r\n")
    assert (one.heard, two.heard) == ([(b":1\r\n", 1)], [(b"$3\r\na\r\n\r\n", 1)])


def test_one_client_hears_of_several_homes_in_its_own_order() -> None:
    bench, client = Bench(), Client()
    groups = [Group(1, 2, incr(b"a") * 2, pack_keys([b"a"])), Group(2, 1, incr(b"b"), pack_keys([b"b"]))]
    bench.decisions.forward_run(client, Run(b"\0\1\0", groups), b"")  # type: ignore[arg-type]
    bench.loop.turn()
    bench.decide(2, ANSWERED, b":7\r\n")
    assert not client.heard
    bench.decide(1, ANSWERED, b":1\r\n:2\r\n")
    assert client.heard == [(b":1\r\n:7\r\n:2\r\n", 3)]


def test_databases_and_protocols_do_not_mix() -> None:
    bench = Bench()
    for session in (Session(0, 2), Session(1, 2), Session(0, 3)):
        bench.ask(Client(session), (1, b"a"))
    bench.loop.turn()
    assert [(one.db, one.proto) for one in bench.replica.sent] == [(0, 2), (1, 2), (0, 3)]


@pytest.mark.parametrize(("outcome", "word"), [(NOTHING, b"-LOADING "), (UNKNOWN, b"-UNCERTAIN ")])
def test_each_command_has_its_error(outcome: str, word: bytes) -> None:
    bench, client = Bench(), Client()
    bench.ask(client, (1, b"a"), (2, b"b"))
    bench.loop.turn()
    bench.decide(1, outcome)
    bench.decide(2, ANSWERED, b":1\r\n")
    ((told, commands),) = client.heard
    assert (
        told.startswith(word)
        and told.endswith(b"\r\n:1\r\n")
        and commands == 2
        and sum(bench.node.stats.errors.values()) == 1
    )


def test_homes_that_have_parted_are_asked_one_by_one() -> None:
    bench, one, two = Bench(), Client(), Client()
    bench.ask(one, (1, b"a"))
    bench.ask(two, (1, b"b"))
    bench.loop.turn()
    bench.decide(1, APART)
    bench.loop.turn()
    assert [request.commands for request in bench.replica.sent[1:]] == [incr(b"a"), incr(b"b")]
    bench.decide(3, NOTHING)
    assert not one.heard and not two.heard
    bench.decide(2, ANSWERED, b":1\r\n")
    assert one.heard == [(b":1\r\n", 1)] and two.heard[0][0].startswith(b"-LOADING")


def several(*keys: bytes) -> tuple[Forwarded, list[Forwarded]]:
    singles = [Forwarded(ALONE, 0, 2, b"", b"", pack_keys([key]), b"", incr(key)) for key in keys]
    return Forwarded(RUN, 0, 2, b"", b"", pack_keys(keys), b"", b"".join(map(incr, keys))), singles


@pytest.mark.parametrize(
    ("outcome", "replies", "told"),
    [
        (ANSWERED, b":1\r\n*1\r\n+x\r\n", b":1\r\n*1\r\n+x\r\n"),
        (CLOSED, b":1\r\n", b""),
        (NOTHING, b"", b"-LOADING"),
        (UNKNOWN, b"", b"-UNCERTAIN"),
    ],
)
def test_commands_of_one_client_are_answered_in_one_piece(outcome: str, replies: bytes, told: bytes) -> None:
    bench, client = Bench(), Client()
    bench.decisions.forward_several(client, *several(b"a", b"b"))  # type: ignore[arg-type]
    bench.loop.turn()
    (request,) = bench.replica.sent
    assert (request.kind, unpack_keys(request.keys), request.commands) == (RUN, [b"a", b"b"], incr(b"a") + incr(b"b"))
    bench.decide(1, outcome, replies)
    ((reply, commands),) = client.heard
    assert commands == 2 and (reply == told if told[:1] != b"-" else reply.count(told) == reply.count(b"\r\n") == 2)
    assert sum(bench.node.stats.errors.values()) == 2 * (told[:1] == b"-")


def test_commands_of_one_client_whose_homes_have_parted_are_asked_for_one_by_one() -> None:
    bench, client = Bench(), Client()
    bench.decisions.forward_several(client, *several(b"a", b"b"))  # type: ignore[arg-type]
    bench.loop.turn()
    bench.decide(1, APART)
    bench.loop.turn()
    assert [(request.kind, request.commands) for request in bench.replica.sent[1:]] == [
        (ALONE, incr(b"a")),
        (ALONE, incr(b"b")),
    ]
    bench.decide(3, ANSWERED, b"*1\r\n+x\r\n")
    assert not client.heard
    bench.decide(2, NOTHING)
    ((reply, commands),) = client.heard
    assert commands == 2 and reply.startswith(b"-LOADING") and reply.endswith(b"*1\r\n+x\r\n")


def test_who_must_be_closed_is_and_replies_that_cannot_be_cut_are_given_to_nobody() -> None:
    for outcome, replies in ((CLOSED, b""), (ANSWERED, b":1\r\n")):
        bench, one, two = Bench(), Client(), Client()
        bench.ask(one, (1, b"a"))
        bench.ask(two, (1, b"b"))
        bench.loop.turn()
        bench.decide(1, outcome, replies)
        assert one.heard == two.heard == [(b"", 1)]


def test_clients_are_told_where_there_are_too_many() -> None:
    bench, clients = Bench(), [Client(Session(number)) for number in range(12)]
    taken = [bench.ask(client, (1, b"a")) for client in clients]
    assert taken == [True] * 8 + [False] * 4
    bench.replica.full = True
    bench.loop.turn()
    bench.loop.turn()
    assert all(client.heard[0][0].startswith(b"-LOADING") for client in clients[:8])


def test_a_frame_is_bounded() -> None:
    bench = Bench()
    long = Group(1, 1, b"x" * BATCH_BYTES_MAX, pack_keys([b"a"]))
    for _ in range(2):
        bench.decisions.forward_run(Client(), Run(b"\0", [long]), b"")  # type: ignore[arg-type]
    bench.loop.turn()
    assert len(bench.replica.sent) == 2


def test_commands_are_cut() -> None:
    long = pack_command([b"SET", b"\r\nk", b"$1\r\n", b"NX"])
    assert split_commands(long + incr(b"a")) == [(long, b"\r\nk"), (incr(b"a"), b"a")]


def test_writes_to_one_link_are_joined_and_nothing_overtakes() -> None:
    outputs: list[Output] = [Write(1, b"a"), Write(2, b"b"), Write(1, b"c")]
    assert joined(outputs) == [Write(1, b"ac"), Write(2, b"b")]
    decided = Decided(1, ANSWERED, b"")
    assert joined([Write(1, b"a"), decided, Write(1, b"b")]) == [Write(1, b"a"), decided, Write(1, b"b")]
