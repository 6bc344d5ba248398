"""Hot commands beside what watches them: fast paths and `dispatch` answer, tell and refuse alike.

Two nodes run the same commands by two clients, one with fast paths and one without. Beside replies, all that is pushed
to either client is compared: invalidations of tracking and events of keys. Draws are from one seed, so they are the
same, too.
"""

from collections.abc import Callable
from random import Random

import pytest

from respram.config.settings import Config
from tests import dear
from tests.commands.rig import Client, Rig
from tests.commands.test_both_ways import BASE, COMMANDS, LET_GO, LOOKS
from tests.engine.conftest import ENGINES
from tests.engine.rig import RING

ROUNDS, STEPS = dear.first(1, (range(3), range(3, 8))), 150
OK = b"+OK\r\n"
Two = tuple[Client, Client]
Say = Callable[[Client, tuple[bytes, ...]], bytes]


def said(client: Client, argv: tuple[bytes, ...]) -> bytes:
    return client(*argv)


def queued(client: Client, argv: tuple[bytes, ...]) -> bytes:
    """In a transaction, twice: the second sees what the first did."""
    return client(b"MULTI") + client(*argv) + client(*argv) + client(b"EXEC")


def watched(client: Client, argv: tuple[bytes, ...]) -> bytes:
    """As a transaction of a key that the command itself may have changed."""
    return client(b"WATCH", *argv[1:2]) + client(*argv) + client(b"MULTI") + client(b"PING") + client(b"EXEC")


def plain(clients: Two) -> None: ...


def sealed(clients: Two) -> None:
    """One of the two seals; what it answers is the same."""
    if clients[0].rig.hot:
        clients[0].rig.engine.use_seals(RING, True)


def with_events(clients: Two) -> None:
    assert clients[0](b"CONFIG", b"SET", b"notify-keyspace-events", b"KEAmn") == OK
    clients[1](b"HELLO", b"3")
    clients[1](b"PSUBSCRIBE", b"__key*")


def with_ends_alone(clients: Two) -> None:
    """Of all events only those of ends: then writes stay hot."""
    assert clients[0](b"CONFIG", b"SET", b"notify-keyspace-events", b"KEx") == OK
    clients[1](b"HELLO", b"3")
    clients[1](b"PSUBSCRIBE", b"__key*")


def tracking(clients: Two) -> None:
    for client in clients:
        client(b"HELLO", b"3")
        assert client(b"CLIENT", b"TRACKING", b"ON") == OK


def broadcasting(clients: Two) -> None:
    clients[1](b"HELLO", b"3")
    assert clients[1](b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", b"s", b"PREFIX", b"z") == OK


def with_patterns(clients: Two) -> None:
    """Each key with other rights: all, none, to read, to write."""
    rules = (b"resetkeys", b"~h", b"%R~i", b"~s", b"%R~t", b"%W~z", b"~y", b"%R~text", b"~more")
    assert clients[0](b"ACL", b"SETUSER", b"default", *rules) == OK


def without_commands(clients: Two) -> None:
    rules = (b"-spop", b"-srandmember", b"-hscan", b"-zadd", b"-hgetdel", b"-sinter", b"-zpopmin")
    assert clients[0](b"ACL", b"SETUSER", b"default", *rules) == OK


CASES: dict[str, tuple[Callable[[Two], None], Say]] = {
    "sealed": (sealed, said), "events": (with_events, said), "ends": (with_ends_alone, said),
    "tracking": (tracking, said), "broadcast": (broadcasting, said), "patterns": (with_patterns, said),
    "commands": (without_commands, said), "multi": (plain, queued), "watch": (plain, watched),
    "tracking-multi": (tracking, queued), "patterns-multi": (with_patterns, queued), "sealed-multi": (sealed, queued),
}  # fmt: skip


def connected(engine: str, hot: bool) -> Two:
    rig = Rig(ENGINES[engine], hot=hot, config=Config(let_go=(*LET_GO, "hgetdel")))
    return rig.connect(), rig.connect()


@pytest.mark.parametrize("rounds", ROUNDS, ids=str)
@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_fast_path_keeps_to_what_is_beside_it(engine: str, case: str, rounds: range) -> None:
    prepare, say = CASES[case]
    answered = pushed = refused = 0
    for seed in rounds:
        rng = Random(seed)
        fast, slow = connected(engine, True), connected(engine, False)
        before, after = (prepare, plain) if prepare is sealed else (plain, prepare)
        before(fast)
        for make in BASE * 4:
            argv = make(rng)
            assert fast[0](*argv) == slow[0](*argv)
        after(fast)
        after(slow)
        lines: list[tuple[bytes, ...]] = []
        for _ in range(STEPS):
            lines.append(rng.choice(COMMANDS if rng.random() < 0.7 else BASE)(rng))
            actor = rng.choice((0, 0, 1)) if "events" not in case and case != "ends" else 0
            reply = say(fast[actor], lines[-1])
            assert reply == say(slow[actor], lines[-1]), (seed, lines[-5:])
            refused += reply.startswith(b"-NOPERM")
            answered += not reply.startswith(b"-")
            if rng.random() < 0.1:
                milliseconds = rng.choice((1, 60, 3000))
                fast[0].advance(milliseconds)
                slow[0].advance(milliseconds)
            for one, other in zip(fast, slow, strict=True):
                told = one.pushed()
                assert told == other.pushed(), (seed, lines[-5:])
                pushed += bool(told)
        for look in LOOKS:
            assert fast[0](*look) == slow[0](*look), (seed, look)
    assert answered > len(rounds) * STEPS // 10
    assert bool(pushed) == (case in ("events", "ends", "tracking", "broadcast", "tracking-multi"))
    assert refused or case not in ("patterns", "commands")
