"""What other nodes forward is run here, with what they may and no more, and sessions are used again."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from respram.commands.serving import FREE_MAX, Served, Serving
from respram.slots import pack_keys
from respram.wire.messages import ALONE, DONE, LATER, LETS_GO, RUN, TOGETHER, Forward

from .rig import Rig, request


def served(
    serving: Serving, rig: Rig, *commands: tuple[bytes, ...], keys: tuple[bytes, ...] = (b"k",), kind: int = RUN,
    rights: bytes = b""
) -> Served:
    payload = b"".join(request(*command) for command in commands)
    forward = Forward(1, 1, kind, 0, 0, 2, b"web", rights, pack_keys(keys), b"", b"", payload)
    done: list[Served] = []
    serving.serve(forward, rig.now_ms, done.append, lambda at_ms, go_on: None)
    return done[0] if done else Served(LATER)


def test_replies_and_what_the_keys_hold_come_back(rig: Rig) -> None:
    found = served(Serving(rig.node), rig, (b"INCR", b"k"), (b"APPEND", b"k", b"1"), (b"SET", b"other", b"1", b"NX"),
                   keys=(b"k", b"other", b"none"))
    assert (found.outcome, found.replies) == (DONE, b":1\r\n:2\r\n+OK\r\n")
    assert not found.beyond and rig.node.engine.lookup(0, b"k", rig.now_ms) is not None


@pytest.mark.parametrize("kind", [RUN, ALONE, TOGETHER])
def test_it_is_said_that_more_was_written_than_the_records_tell(rig: Rig, kind: int) -> None:
    serving, rights = Serving(rig.node), b"~* &* +@all" if kind == TOGETHER else b""

    def partial(*words: bytes) -> bool:
        return served(serving, rig, words, keys=(b"k", b"l"), kind=kind, rights=rights).beyond

    rig.connect()(b"SET", b"k", b"1")
    assert partial(b"COPY", b"k", b"l") is (kind == TOGETHER), "in EXEC every COPY counts as one that goes elsewhere"
    assert partial(b"COPY", b"k", b"k", b"DB", b"2")
    assert partial(b"EVAL", b"return 1", b"1", b"k"), "a script may write what it does not name"
    assert not partial(b"INCR", b"k"), "the session does not keep it"


@dataclass(slots=True)
class Homes:
    """Of all keys: here or elsewhere."""

    here: bool = True

    def is_here(self, slot: int) -> bool:
        return self.here


@pytest.mark.parametrize("end", ["a member comes", "it is told", "its time is up"])
def test_a_pop_that_waits_where_its_key_has_its_home_no_more_takes_nothing(rig: Rig, end: str) -> None:
    """Another node decides by then, and pops what it sees: the member would be given to two."""
    serving, done, later = Serving(rig.node), list[Served](), list[Callable[[int], None]]()
    homes = rig.node.homes = Homes()  # type: ignore[assignment]
    forward = Forward(1, 1, ALONE, 0, 0, 2, b"", b"", pack_keys([b"q"]), b"", b"", request(b"BZPOPMIN", b"q", b"5"))
    serving.serve(forward, rig.now_ms, done.append, lambda at_ms, go_on: later.append(go_on))
    assert not done and len(later) == 1
    serving.moved()
    later[-1](rig.now_ms)
    assert not done and len(later) == 3, "the home is here, and it waits on"
    homes.here = False
    if end == "it is told":
        serving.moved()
    else:
        rig.advance(5_000 if end == "its time is up" else 10)
        assert served(serving, rig, (b"ZADD", b"q", b"1", b"m"), keys=(b"q",)).replies == b":1\r\n"
    assert not done
    later[-1](rig.now_ms)
    assert done == [Served(DONE, b"*-1\r\n") if end == "its time is up" else Served(LATER)]
    for go_on in later:
        go_on(rig.now_ms)
    assert len(done) == 1 and not rig.node.blocked
    left = b":0\r\n" if end == "it is told" else b":1\r\n"
    assert served(serving, rig, (b"ZCARD", b"q"), keys=(b"q",)).replies == left


def test_it_decides_whatever_its_own_table_says(rig: Rig) -> None:
    rig.engine.use_homes(b"\1\0" * 16_384)
    assert served(Serving(rig.node), rig, (b"INCR", b"k")).replies == b":1\r\n"


def test_what_lets_go_may_where_its_client_may(rig: Rig) -> None:
    serving = Serving(rig.node)
    assert served(serving, rig, (b"SET", b"k", b"1"), (b"DEL", b"k"), rights=LETS_GO).replies == b"+OK\r\n:1\r\n"
    assert served(serving, rig, (b"SET", b"k", b"1"),
                  (b"GETDEL", b"k")).replies == b"+OK\r\n$1\r\n1\r\n", "its name was checked already"


ENDING = [
    (b"EXPIRE", b"k", b"-5"), (b"PEXPIREAT", b"k", b"1"), (b"GETEX", b"k", b"EXAT", b"1"),
    (b"SET", b"k", b"v", b"XX", b"EXAT", b"1"),
    (b"HEXPIRE", b"h", b"0", b"FIELDS", b"1", b"f"), (b"HGETEX", b"h", b"EXAT", b"1", b"FIELDS", b"1", b"f"),
    (b"BITOP", b"AND", b"k", b"none", b"none"), (b"ZUNIONSTORE", b"k", b"1", b"none"), (b"SINTERSTORE", b"k", b"none"),
]  # fmt: skip


@pytest.mark.parametrize("words", ENDING, ids=lambda words: words[0].decode())
@pytest.mark.parametrize("kind", [RUN, ALONE, TOGETHER])
def test_what_ends_a_key_by_its_arguments_may_where_its_client_may_let_go(
    rig: Rig, words: tuple[bytes, ...], kind: int
) -> None:
    serving, client = Serving(rig.node), rig.connect()
    client(b"SET", b"k", b"1")
    client(b"HSET", b"h", b"f", b"1")
    rights = b"~* &* +@all" if kind == TOGETHER else b""
    found = served(serving, rig, words, kind=kind, rights=rights)
    assert b"-NOPERM" in found.replies and b"refused by design" in found.replies
    assert (client(b"EXISTS", b"k"), client(b"HEXISTS", b"h", b"f")) == (b":1\r\n", b":1\r\n")
    found = served(serving, rig, words, kind=kind, rights=b"~* &* +@all +del" if kind == TOGETHER else LETS_GO)
    assert b"-NOPERM" not in found.replies
    assert b":0\r\n" in (client(b"EXISTS", b"k"), client(b"HEXISTS", b"h", b"f"))


def test_nothing_but_what_is_about_keys_is_run(rig: Rig) -> None:
    serving = Serving(rig.node)
    for words in (
        (b"CONFIG", b"SET", b"maxclients", b"1"),
        (b"SHUTDOWN",),
        (b"ACL", b"SETUSER", b"x"),
        (b"CLIENT", b"KILL", b"ID", b"1"),
        (b"NO",),
    ):
        assert served(serving, rig, words).replies == b"-ERR this command cannot be forwarded\r\n"


def test_rules_bind_scripts_and_transactions(rig: Rig) -> None:
    serving = Serving(rig.node)
    found = served(serving, rig, (b"GET", b"k"), (b"INCR", b"k"), kind=TOGETHER, rights=b"~* +get +multi +exec")
    assert found.replies.startswith(b"-EXECABORT") or b"NOPERM" in found.replies
    assert rig.engine.lookup(0, b"k", rig.now_ms) is None
    assert served(serving, rig, (b"INCR", b"k"), kind=TOGETHER).replies == b"*1\r\n:1\r\n", "the session is clean again"


def test_while_paused_loading_or_busy_nothing_is_run(rig: Rig) -> None:
    serving = Serving(rig.node)
    rig.node.pause.begin(rig.now_ms, rig.now_ms + 1_000, writes_only=True)
    assert served(serving, rig, (b"INCR", b"k")).outcome == LATER
    rig.node.pause.end()
    rig.node.loading = True
    assert served(serving, rig, (b"INCR", b"k")).outcome == LATER
    rig.node.loading = False
    assert served(serving, rig, (b"INCR", b"k")).replies == b":1\r\n"


def test_sessions_are_used_again_and_few_are_kept(rig: Rig) -> None:
    serving = Serving(rig.node)
    for _ in range(FREE_MAX + 5):
        served(serving, rig, (b"INCR", b"k"))
    assert len(serving.free) == 1


def test_a_transaction_longer_than_a_turn_of_the_engine_answers_with_its_results_alone(rig: Rig) -> None:
    serving = Serving(rig.node)
    count = 1_000
    found = served(serving, rig, *[(b"INCR", b"long")] * count, kind=TOGETHER)
    assert found.outcome == DONE and found.replies.startswith(b"*%d\r\n:1\r\n" % count)
    assert found.replies.count(b"\r\n") == count + 1
