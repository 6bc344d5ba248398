"""Homes in the engine: what another node decides about leaves the fast path, and leaves it in one piece."""

from array import array

import pytest

from respram.engine.api import RUN_BYTES_MAX, RUN_COMMANDS_MAX, RUN_GROUPS_MAX, Engine, Group, Run, Session
from respram.record import SET
from respram.slots import SLOTS, pack_command, pack_keys, slot_of, unpack_keys

from .rig import NOW, request


class Taking:
    """As `dispatch` of a node that forwards."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.seen: list[list[bytes]] = []
        self.runs: list[Run] = []
        self.refuses = False

    def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        self.seen.append(argv)
        assert not session.retried
        run = self.engine.take_run(session)
        if run is None or self.refuses:
            return b"+cold\r\n"
        self.runs.append(run)
        return None


def made(engine: Engine, **homes: int) -> tuple[Taking, Session]:
    taking = Taking(engine)
    session = engine.session(taking)
    session.hot = session.trusted = True
    table = array("H", bytes(2 * SLOTS))
    for key, home in homes.items():
        table[slot_of(key.encode())] = home
    engine.use_homes(table.tobytes())
    return taking, session


def fed(engine: Engine, session: Session, *commands: bytes) -> bytes:
    return bytes(engine.feed(session, b"".join(request(*line.split()) for line in commands), NOW))


def test_what_is_decided_elsewhere_is_taken_with_all_that_follows_it(engine: Engine) -> None:
    taking, session = made(engine, a=1, b=1, c=2)
    assert fed(engine, session, b"SET a 1", b"INCR a", b"SET b 1 nx", b"incr a", b"INCR c", b"INCR d",
               b"GET a") == b"+OK\r\n"
    assert session.suspended and session.taken
    one = request(b"INCR", b"a") + request(b"SET", b"b", b"1", b"nx") + request(b"incr", b"a")
    here, there = Group(0, 1, request(b"INCR", b"d"), pack_keys([b"d"])), Group(2, 1, request(b"INCR", b"c"),
                                                                                pack_keys([b"c"]))
    assert taking.runs == [Run(b"\0\0\0\1\2", [Group(1, 3, one, pack_keys([b"a", b"b"])), there, here])]
    assert fed(engine, session, b"PING") == b"", "nothing overtakes what is away"
    engine.resume(session)
    assert not session.retried and not session.taken
    assert fed(engine, session) == b"$1\r\n1\r\n+PONG\r\n" and len(taking.seen) == 1


def test_any_cut_of_the_input_comes_to_the_same(engine: Engine) -> None:
    data = request(b"INCR", b"a") + request(b"INCR", b"a") + request(b"GET", b"a")
    for cut in range(1, len(data)):
        taking, session = made(engine, a=1)
        out = bytes(engine.feed(session, data[:cut], NOW)) + bytes(engine.feed(session, data[cut:], NOW))
        while session.suspended:
            engine.resume(session)
            out += bytes(engine.feed(session, b"", NOW))
        assert b"".join(run.groups[0].payload for run in taking.runs) == request(b"INCR",
                                                                                 b"a") * 2 and out == b"$-1\r\n"


def test_what_needs_no_decision_stays(engine: Engine) -> None:
    taking, session = made(engine, a=1)
    assert fed(engine, session, b"SET a 1", b"SET a 2 EX 10", b"SETEX a 9 3", b"GET a", b"GETEX a", b"MSET a 4",
               b"TTL a").startswith(b"+OK\r\n")
    assert not taking.seen and not session.suspended


@pytest.mark.parametrize(
    "line",
    [b"SET a 1 NX", b"SET a 1 xx", b"SET a 1 GET", b"SET a 1 KEEPTTL", b"SET a 1 IFEQ 0", b"SETNX a 1", b"GETSET a 1",
     b"INCRBY a 2", b"APPEND a x",
     b"SETRANGE a 0 x", b"SETBIT a 1 1", b"EXPIRE a 10", b"PEXPIREAT a 9999999999999", b"GETEX a EX 10", b"DECR a"],
)  # fmt: skip
def test_what_looks_before_it_writes_goes(engine: Engine, line: bytes) -> None:
    taking, session = made(engine, a=3)
    assert fed(engine, session, line) == b"" and [run.groups[0].home for run in taking.runs] == [3]


def test_a_session_that_serves_others_decides_whatever_the_table_says(engine: Engine) -> None:
    taking, session = made(engine, a=1)
    session.decides = True
    assert fed(engine, session, b"INCR a", b"SET a 1 NX") == b":1\r\n$-1\r\n" and not taking.seen


def test_without_a_table_all_is_decided_here(engine: Engine) -> None:
    taking, session = made(engine, a=1)
    engine.use_homes(None)
    assert fed(engine, session, b"INCR a") == b":1\r\n" and not taking.seen
    with pytest.raises(ValueError, match="16,384"):
        engine.use_homes(b"\0" * 7)


def test_what_cannot_be_sent_is_answered_and_the_rest_is_dispatched_by_itself(engine: Engine) -> None:
    taking, session = made(engine, a=1)
    taking.refuses = True
    assert (
        fed(engine, session, b"INCR a", b"INCR a", b"PING") == b"+cold\r\n+cold\r\n+PONG\r\n" and len(taking.seen) == 2
    )


def test_only_what_the_user_may_and_what_has_the_right_arity_travels_in_company(engine: Engine) -> None:
    taking, session = made(engine, a=1)
    assert fed(engine, session, b"INCR a", b"INCR a b") == b"" and len(taking.runs[-1].order) == 1
    engine.resume(session)
    assert fed(engine, session) == b"+cold\r\n"
    session.permitted = 0
    assert fed(engine, session, b"INCR a") == b"+cold\r\n" and len(taking.runs) == 1


def test_a_command_of_several_keys_travels_alone(engine: Engine) -> None:
    taking, session = made(engine, a=1)
    assert fed(engine, session, b"MSETNX a 1 b 2") == b"+cold\r\n" and taking.seen == [
        [b"MSETNX", b"a", b"1", b"b", b"2"]
    ]


def test_a_command_may_be_taken_by_itself(engine: Engine) -> None:
    def dispatch(session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        engine.take(session)
        return None

    session = engine.session(dispatch)
    session.hot = session.trusted = True
    assert fed(engine, session, b"FOO", b"PING") == b"" and session.taken
    engine.resume(session)
    assert fed(engine, session) == b"+PONG\r\n"


def test_a_run_is_bounded(engine: Engine) -> None:
    taking, session = made(engine, a=1)
    fed(engine, session, *[b"INCR a"] * (RUN_COMMANDS_MAX + 30))
    assert len(taking.runs[0].order) == RUN_COMMANDS_MAX
    taking, session = made(engine, a=1)
    long = b"x" * (RUN_BYTES_MAX // 3)
    fed(engine, session, *[b"APPEND a " + long] * 5)
    assert len(taking.runs[0].order) == 2
    taking, session = made(engine, a=1)
    fed(engine, session, b"APPEND a " + b"x" * (2 * RUN_BYTES_MAX), b"INCR a")
    assert len(taking.runs[0].order) == 1


def test_the_engine_finds_the_slot_of_any_key(engine: Engine) -> None:
    """Each key in a table in which its slot alone is elsewhere, and in one in which all others are."""
    tagged = (b"{ab}cd", b"x" * 8 + b"{0123456789}", b"{}0123456", b"{0", b"}{abc}")
    for key in (b"a", b"12345678", b"123456789", bytes(range(65, 90)), b"k" * 100, *tagged):
        table = array("H", bytes(2 * SLOTS))
        table[slot_of(key)] = 9
        taking, session = made(engine)
        engine.use_homes(table.tobytes())
        assert fed(engine, session, b"INCR " + key) == b"" and taking.runs[0].groups[0].home == 9, key
        engine.use_homes(array("H", (9 - home for home in table)).tobytes())
        assert not _elsewhere(engine, key), key


def _elsewhere(engine: Engine, key: bytes) -> bool:
    taking = Taking(engine)
    session = engine.session(taking)
    session.hot = session.trusted = True
    fed(engine, session, b"INCR " + key)
    return bool(taking.runs)


def test_a_run_goes_to_so_many_homes_and_begins_elsewhere(engine: Engine) -> None:
    homes = {f"k{number}": number for number in range(RUN_GROUPS_MAX + 4)}
    taking, session = made(engine, **homes)
    assert fed(engine, session, *(b"INCR k%d" % number for number in range(RUN_GROUPS_MAX + 4))) == b":1\r\n"
    assert [group.home for group in taking.runs[0].groups] == list(range(1, RUN_GROUPS_MAX + 1))


def test_what_is_kept_in_multi_knows_its_home(engine: Engine) -> None:
    _, session = made(engine, a=1, b=2)
    session.hot, session.queue_keys_max = False, 100
    fed(engine, session, b"SET b 1", b"GET b")
    assert engine.queued_home(session) == 0
    fed(engine, session, b"INCR a", b"INCR b")
    assert engine.queued_home(session) == 1
    engine.use_homes(None)
    assert engine.queued_home(session) == 0


def test_keys_and_commands_are_packed_and_read_back() -> None:
    assert unpack_keys(pack_keys([b"a", b"", b"bc"])) == [b"a", b"", b"bc"]
    for cut in (b"\1", b"\5\0\0\0a"):
        with pytest.raises(ValueError, match="cut short"):
            unpack_keys(cut)
    assert pack_command([b"INCR", b""]) == request(b"INCR", b"")


def test_what_only_its_home_keeps_from_a_fast_path_is_gathered_without_dispatch(engine: Engine) -> None:
    taking, session = made(engine, a=1, b=2)
    gathered: list[Run] = []
    takes = True

    def gather(asked: Session, run: Run) -> bool:
        assert asked is session
        gathered.append(run)
        return takes

    engine.gather = gather
    assert fed(engine, session, b"INCR c", b"INCR a", b"INCR b", b"GET a") == b":1\r\n"
    assert session.suspended and session.taken and not taking.seen
    assert [(group.home, group.payload) for group in gathered[0].groups] == [
        (1, request(b"INCR", b"a")),
        (2, request(b"INCR", b"b")),
    ]
    engine.resume(session)
    assert fed(engine, session) == b"$-1\r\n"
    takes = False
    assert (
        fed(engine, session, b"INCR a", b"PING") == b"" and len(gathered) == 2 and taking.seen == [[b"INCR", b"a"]]
    ), "dispatch sent it on"
    assert taking.runs[-1].groups == [Group(1, 1, request(b"INCR", b"a"), pack_keys([b"a"]))]


@pytest.mark.parametrize("state", ["reads", "writes", "decides", "cold", "none"])
def test_dispatch_is_asked_where_more_than_the_home_stands_in_the_way(engine: Engine, state: str) -> None:
    taking, session = made(engine, a=1)
    engine.gather = None if state == "none" else lambda session, run: pytest.fail("it was gathered")
    engine.hot_reads, engine.hot_writes = state != "reads", state != "writes"
    session.decides, session.hot = state == "decides", state != "cold"
    fed(engine, session, b"INCR a")
    assert len(taking.seen) == (state != "decides")


def test_what_raises_while_it_is_gathered_leaves_the_engine_usable(engine: Engine) -> None:
    _, session = made(engine, a=1)

    def gather(session: Session, run: Run) -> bool:
        raise KeyError("gather")

    engine.gather = gather
    with pytest.raises(KeyError):
        fed(engine, session, b"INCR a")
    engine.gather = None
    _, other = made(engine, a=1)
    assert fed(engine, other, b"INCR b") == b":1\r\n"


def test_the_first_key_that_is_away_is_found(engine: Engine) -> None:
    table = array("H", bytes(2 * SLOTS))
    table[slot_of(b"away")] = 3
    names = [b"a", b"", b"{x}y", b"away", b"b"]
    assert engine.slot_away(pack_keys(names), table.tobytes()) == slot_of(b"away")
    assert engine.slot_away(pack_keys(names[:3]), table.tobytes()) == engine.slot_away(b"", table.tobytes()) == -1
    for cut in range(1, len(pack_keys([b"ab"]))):
        with pytest.raises(ValueError, match="cut short"):
            engine.slot_away(pack_keys([b"ab"])[:cut], table.tobytes())


def test_replies_are_cut(engine: Engine) -> None:
    lines = b":1\r\n+OK\r\n-ERR x\r\n_\r\n"
    assert engine.cut_replies(lines, [1, 0, 2, 1]) == [b":1\r\n", b"", b"+OK\r\n-ERR x\r\n", b"_\r\n"]
    bulks = b"$-1\r\n$0\r\n\r\n$4\r\n\r\n$1\r\n:1\r\n"
    assert engine.cut_replies(bulks, [1, 1, 1, 1]) == [b"$-1\r\n", b"$0\r\n\r\n", b"$4\r\n\r\n$1\r\n", b":1\r\n"]
    assert engine.weave_replies(b"\0\1\0\2",
                                [b":1\r\n$2\r\n\r\n\r\n", b"_\r\n", b":9\r\n"]) == b":1\r\n_\r\n$2\r\n\r\n\r\n:9\r\n"
    nested = [b"*2\r\n:1\r\n*2\r\n$2\r\n\r\n\r\n*-1\r\n", b"%1\r\n+a\r\n~1\r\n_\r\n", b"*0\r\n"]
    assert engine.cut_replies(b"".join(nested), [1, 1, 1]) == nested
    assert engine.weave_replies(b"\1\0\1", [nested[1], nested[0] + nested[2]]) == b"".join(nested)
    for data, count in (
        (b"*2\r\n:1\r\n", 1), (b"*9\r\n:1\r\n", 1), (b"*x\r\n:1\r\n", 1), (b"%1\r\n:1\r\n", 1), (b"*1\r\n", 1),
        (b":1\r\n", 2), (b":1\r\n:2\r\n", 1), (b":1\r\n:2", 2), (b":1\r\n:2\r", 2), (b"$1\r\na\r\n:2\r\n", 1),
        (b"$1\r\na\r\n", 2),
        (b"$3\r\na\r\n", 1), (b"$x\r\na\r\n", 1),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r".*"):
            engine.cut_replies(data, [count])
        with pytest.raises(ValueError, match=r".*"):
            engine.weave_replies(bytes(count), [data])
    with pytest.raises(ValueError, match="fewer"):
        engine.weave_replies(b"\1", [b":1\r\n"])


def test_it_is_known_whether_a_write_of_a_key_waits_for_the_peers(engine: Engine) -> None:
    assert not engine.waits(0, pack_keys([b"a"]))
    engine.store(0, b"a", b"v", NOW + 60_000, False, NOW, b"set")
    assert engine.waits(0, pack_keys([b"a"])) and engine.waits(0, pack_keys([b"x", b"a"]))
    assert not engine.waits(0, pack_keys([b"x", b"y"])) and not engine.waits(1, pack_keys([b"a"]))
    assert not engine.waits(0, b"")
    while engine.drain(1 << 16):
        pass
    assert not engine.waits(0, pack_keys([b"a", b"x"]))
    assert not engine.waits(0, pack_keys([b"all"]))
    engine.found(0, b"all", SET, NOW + 60_000, False, NOW)
    while engine.drain(1 << 16):
        pass
    engine.put_member(0, b"all", b"one", b"", None, NOW)
    assert engine.waits(0, pack_keys([b"all"])), "a member waits under a name of its own"
    for cut in range(1, len(pack_keys([b"ab"]))):
        with pytest.raises(ValueError, match="cut short"):
            engine.waits(0, pack_keys([b"ab"])[:cut])


def test_a_key_that_was_dropped_from_an_outbox_that_was_full_counts_as_waiting(engine: Engine) -> None:
    for number in range(1_100):
        engine.store(0, b"%d" % number, b"x" * 1000, NOW + 500, False, NOW, b"set")
    assert engine.waits(0, pack_keys([b"0"])) and engine.outbox_overflowed()
    assert not engine.waits(0, pack_keys([b"0"]))
