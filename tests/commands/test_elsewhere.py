"""Commands for another node's keys: checked here, run there (commands/serving.py), answered here; and what cannot go.
"""

from dataclasses import dataclass, field

import pytest

from respram.commands.elsewhere import ABROAD_MEMBERS_MAX, FENCE_AGAIN_MS, rights_of
from respram.commands.peers import Asker, Forwarded
from respram.commands.serving import Served, Serving
from respram.engine.api import Run
from respram.slots import slot_of, unpack_keys
from respram.wire.messages import ALONE, DONE, LATER, LETS_GO, RUN, TOGETHER, Forward

from .rig import NOW, Client, Rig, request
from .test_cluster import FakePeers


@dataclass(slots=True)
class Away:
    """All keys that begin with `away` are decided by another node: a rig of its own."""

    here: Rig
    there: Rig
    serving: Serving
    sent: list[Forwarded] = field(default_factory=list)
    askers: list[tuple[Asker, int]] = field(default_factory=list)
    full: bool = False
    flushes: bool = False
    later: list[object] = field(default_factory=list)

    def is_here(self, slot: int) -> bool:
        return slot not in AWAY

    def home_of(self, slot: int) -> int:
        return 1 if self.is_here(slot) else 2

    def forward(self, asker: Asker, forwarded: Forwarded) -> bool:
        if self.full:
            return False
        self.sent.append(forwarded)
        self.askers.append((asker, 1))
        return True

    def forward_run(self, asker: Asker, run: Run, rights: bytes) -> bool:
        if self.full:
            return False
        (group,) = run.groups
        self.sent.append(
            Forwarded(RUN, asker.session.db, asker.session.proto, b"", rights, group.keys, b"", group.payload)
        )
        self.askers.append((asker, group.commands))
        return True

    def forward_several(self, asker: Asker, together: Forwarded, singles: list[Forwarded]) -> bool:
        if self.full:
            return False
        assert together.commands == b"".join(one.commands for one in singles)
        self.sent.append(together)
        self.askers.append((asker, len(singles)))
        return True

    def answer(self) -> Served:
        """Runs what was sent last, and brings the answer home."""
        one, (asker, commands) = self.sent[-1], self.askers[-1]
        forward = Forward(
            1, 1, one.kind, 0, one.db, one.proto, one.client, one.rights, one.keys, one.watched, b"", one.commands
        )
        done: list[Served] = []
        self.serving.serve(forward, self.there.now_ms, done.append, lambda at_ms, go_on: self.later.append(go_on))
        if done and done[0].outcome == DONE:
            records = self.there.engine.fetch_all(one.db, one.keys, self.there.now_ms)
            if self.flushes and (records.partial or done[0].beyond):  # as in replica.py: what was written goes first
                self.here.engine.merge(self.there.engine.drain(1 << 20), self.here.now_ms)
            for record in records.pieces:
                self.here.engine.merge(record, self.here.now_ms)
            asker.told(done[0].replies, commands)
        return done[0] if done else Served(LATER)


AWAY = {slot_of(b"away%d" % number) for number in range(10)} | {slot_of(b"away")}
AWAY |= {slot_of(b"away:" + name) for name in (b"h", b"s", b"t", b"z", b"out", b"none")}


@pytest.fixture
def away(rig: Rig, other_rig: Rig) -> Away:
    made = Away(rig, other_rig, Serving(other_rig.node))
    rig.node.homes = made
    rig.engine.use_homes(b"".join((b"\1\0" if slot in AWAY else b"\0\0") for slot in range(16_384)))
    return made


@pytest.fixture
def other_rig(rig: Rig) -> Rig:
    return rig.another()


def replies(client: Client, away: Away, *argv: bytes) -> bytes:
    client.line.out.clear()
    assert client(*argv) == b"" and client.conn.session.taken
    away.answer()
    client.rig.engine.resume(client.conn.session)
    return b"".join(client.line.out) + client.raw(b"")


def test_a_decision_is_made_there_and_seen_here(client: Client, away: Away) -> None:
    assert replies(client, away, b"INCR", b"away") == b":1\r\n"
    assert client(b"GET", b"away") == b"$1\r\n1\r\n", "merged before the answer"
    assert away.there.engine.lookup(0, b"away", NOW) is not None
    assert away.sent[0].kind == (RUN if client.rig.hot else ALONE) and unpack_keys(away.sent[0].keys) == [b"away"]


def test_a_pipeline_is_one_exchange(client: Client, away: Away) -> None:
    if not client.rig.hot:
        pytest.skip("a connection without fast paths sends one at a time")
    assert client.raw(request(b"INCR", b"away") * 16 + request(b"GET", b"away")) == b""
    assert len(away.sent) == 1 and away.askers[0][1] == 16
    away.answer()
    client.rig.engine.resume(client.conn.session)
    assert b"".join(client.line.out) == b"".join(b":%d\r\n" % number for number in range(1, 17))
    assert client.raw(b"") == b"$2\r\n16\r\n"


def test_what_is_here_or_blind_does_not_go(client: Client, away: Away) -> None:
    assert client(b"INCR", b"here") == b":1\r\n" and client(b"SET", b"away", b"1") == b"+OK\r\n"
    assert client(b"GET", b"away") == b"$1\r\n1\r\n" and not away.sent


@pytest.mark.parametrize(
    "argv",
    [
        (b"INCRBYFLOAT", b"away", b"1.5"), (b"SET", b"away", b"1", b"IFNE", b"2"),
        (b"MSETNX", b"away", b"1", b"away1", b"2"),
        (b"INCREX", b"away", b"BYINT", b"2"), (b"COPY", b"away", b"away2"), (b"GETSET", b"away", b"x"),
    ],
)  # fmt: skip
def test_cold_commands_go_alone_and_answer_as_they_would_here(
    client: Client, away: Away, argv: tuple[bytes, ...]
) -> None:
    there = away.there.connect()
    expected = there(argv[0], *(arg.replace(b"away", b"twin") for arg in argv[1:]))
    assert replies(client, away, *argv) == expected


def test_the_rights_are_checked_here(client: Client, away: Away) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"~other", b"+@all")
    client(b"AUTH", b"u", b"")
    assert client(b"INCR", b"away").startswith(b"-NOPERM") and not away.sent
    assert client(b"DEL", b"away").startswith(b"-") and not away.sent


def test_who_may_not_delete_ends_no_key_by_way_of_its_home(client: Client, away: Away) -> None:
    ends = (
        (b"EXPIRE", b"away", b"-5"),
        (b"GETEX", b"away", b"EXAT", b"1"),
        (b"SET", b"away", b"2", b"XX", b"EXAT", b"1"),
    )
    client(b"SET", b"away", b"1")
    away.there.connect()(b"SET", b"away", b"1")
    for argv in ends:
        assert b"refused by design" in replies(client, away, *argv)
    assert away.there.engine.lookup(0, b"away", NOW) is not None and {one.rights for one in away.sent} == {b""}
    client(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"~away", b"+@all", b"+del")
    client(b"AUTH", b"u", b"")
    assert replies(client, away, *ends[0]) == b":1\r\n" and away.sent[-1].rights == LETS_GO
    assert away.there.engine.lookup(0, b"away", NOW) is None


def test_both_protocols_and_databases_travel(client: Client, away: Away) -> None:
    client(b"HELLO", b"3")
    client(b"SELECT", b"3")
    assert replies(client, away, b"GETSET", b"away", b"v") == b"_\r\n"
    assert away.there.engine.lookup(3, b"away", NOW) is not None and client(b"GET", b"away") == b"$1\r\nv\r\n"


def test_a_transaction_goes_with_what_it_watched(client: Client, away: Away) -> None:
    client(b"WATCH", b"away")
    client(b"MULTI")
    client(b"INCR", b"away")
    client(b"SET", b"here", b"2")
    assert replies(client, away, b"EXEC") == b"*2\r\n:1\r\n+OK\r\n"
    assert away.sent[-1].kind == TOGETHER and client(b"GET", b"here") == b"$1\r\n2\r\n"
    assert not client.conn.watched and client.conn.queue is None
    client(b"WATCH", b"away")
    away.there.connect()(b"SET", b"away", b"changed")
    client(b"MULTI")
    client(b"INCR", b"away")
    assert replies(client, away, b"EXEC") == b"*-1\r\n"


def test_a_transaction_goes_with_the_collections_that_it_watched(client: Client, away: Away) -> None:
    """Versions of collections are each node's own; what travels tells of all members."""

    def know() -> None:
        client.rig.engine.merge(away.there.engine.fetch(0, b"away", NOW), NOW)
        client(b"WATCH", b"away", b"here")
        client(b"MULTI")
        client(b"HINCRBY", b"away", b"f", b"1")

    def change(*argv: bytes) -> None:
        assert there(*argv)[:1] == b":"

    there = away.there.connect()
    change(b"HSET", b"away", b"f", b"1", b"g", b"x")
    know()
    assert replies(client, away, b"EXEC") == b"*1\r\n:2\r\n" and away.sent[-1].watched
    for changes in ((b"HSET", b"away", b"g", b"y"), (), (b"PEXPIRE", b"away", b"99999")):
        know()
        if changes:
            change(*changes)
        else:
            assert away.there.engine.let_go_member(0, b"away", b"g", NOW)
        assert replies(client, away, b"EXEC") == b"*-1\r\n"
    assert client.rig.engine.let_go_member(0, b"away", b"g", NOW)  # this node hears of it too
    know()
    assert replies(client, away, b"EXEC") == b"*1\r\n:3\r\n"
    know()
    client.rig.engine.put_member(0, b"away", b"f", b"9", None, NOW)  # a change that this node knows of
    before = len(away.sent)
    assert client(b"EXEC") == b"*-1\r\n" and len(away.sent) == before
    change(b"HSET", b"away", *(b"%d" % number for number in range(2 * ABROAD_MEMBERS_MAX)))
    know()
    assert b"too large" in client(b"EXEC") and len(away.sent) == before


def test_a_key_that_came_and_went_since_it_was_watched_has_changed(client: Client, away: Away) -> None:
    """Missing here when it was watched, then here, and let go of at its home, where it is missing again."""
    client(b"WATCH", b"away")
    away.there.connect()(b"SET", b"away", b"v")
    client.rig.engine.merge(away.there.engine.fetch(0, b"away", NOW), NOW)
    assert client(b"GET", b"away") == b"$1\r\nv\r\n"
    client(b"MULTI")
    client(b"SET", b"away", b"w", b"PX", b"1000")
    assert client(b"EXEC") == b"*-1\r\n" and not away.sent


def test_a_transaction_of_plain_writes_stays_and_so_does_one_about_the_connection(client: Client, away: Away) -> None:
    client(b"MULTI")
    client(b"SET", b"away", b"1")
    assert client(b"EXEC") == b"*1\r\n+OK\r\n"
    client(b"MULTI")
    client(b"INCR", b"away")
    client(b"SELECT", b"1")
    assert client(b"EXEC").startswith(b"*2\r\n:2\r\n") and not away.sent


def test_a_kept_transaction_that_is_decided_here_stays_fast(client: Client, away: Away) -> None:
    client(b"MULTI")
    client(b"INCR", b"here")
    client(b"INCR", b"away")
    assert client(b"EXEC") == b"*2\r\n:1\r\n:1\r\n" and not away.sent, "the first that decides says where"


def test_scripts_go_with_their_text_and_their_users_rights(client: Client, away: Away) -> None:
    assert replies(client, away, b"EVAL", b"return redis.call('INCR', KEYS[1])", b"1", b"away") == b":1\r\n"
    digest = client(b"SCRIPT", b"LOAD", b"return redis.call('INCRBY', KEYS[1], 5)").split(b"\r\n")[1]
    assert replies(client, away, b"EVALSHA", digest, b"1", b"away") == b":6\r\n"
    client(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"~*", b"+eval", b"+get")
    client(b"AUTH", b"u", b"")
    assert b"can't run this command" in replies(
        client, away, b"EVAL", b"return redis.call('INCR', KEYS[1])", b"1", b"away"
    )
    assert client(b"EVALSHA", b"0" * 40, b"1", b"away").startswith(b"-NOPERM")
    assert b"#" not in rights_of(client.conn.account), "no password travels"


def test_an_unknown_digest_is_said_here(client: Client, away: Away) -> None:
    assert client(b"EVALSHA", b"0" * 40, b"1", b"away").startswith(b"-NOSCRIPT") and not away.sent


def test_who_cannot_be_asked_is_said_at_once_and_nothing_is_done(client: Client, away: Away) -> None:
    away.full = True
    assert client(b"INCR", b"away").startswith(b"-LOADING ") and client(b"INCRBYFLOAT", b"away", b"1").startswith(
        b"-LOADING "
    )
    client(b"MULTI")
    client(b"INCR", b"away")
    assert client(b"EXEC").startswith(b"-LOADING ") and client.conn.queue is None
    assert client(b"GET", b"away") == b"$-1\r\n"


def test_replies_that_nobody_wants_are_not_sent(client: Client, away: Away) -> None:
    client(b"CLIENT", b"REPLY", b"OFF")
    assert replies(client, away, b"INCR", b"away") == b""
    client(b"CLIENT", b"REPLY", b"ON")
    client(b"CLIENT", b"REPLY", b"SKIP")
    assert replies(client, away, b"INCR", b"away") == b""
    assert replies(client, away, b"INCR", b"away") == b":3\r\n"


def test_a_command_that_is_too_long_for_a_frame_is_refused(client: Client, away: Away) -> None:
    rig = client.rig
    rig.node.settings = rig.node.settings._replace(bulk_bytes_max=1)
    assert client(b"INCRBYFLOAT", b"away" + b"x" * 100, b"1")  # another slot: whatever it answers, it is no forward
    long = request(b"MSETNX", b"away", b"x" * 70_000)
    assert client.raw(long).startswith(b"-ERR the command is too long") and not away.sent


def test_errors_and_kinds(client: Client, away: Away) -> None:
    client(b"SET", b"away", b"text")
    away.there.connect()(b"SET", b"away", b"text")
    assert replies(client, away, b"INCR", b"away") == b"-ERR value is not an integer or out of range\r\n"
    assert replies(client, away, b"EXPIRE", b"away", b"10", b"XX", b"NX").startswith(b"-ERR")
    assert {one.kind for one in away.sent} <= {RUN, ALONE}


BOTH = (b"MSETNX", b"away", b"1", b"away1", b"2")


def in_company(client: Client, away: Away, *commands: tuple[bytes, ...]) -> bytes:
    client.line.out.clear()
    assert client.raw(b"".join(request(*argv) for argv in commands)) == b"" and client.conn.session.taken
    away.answer()
    client.rig.engine.resume(client.conn.session)
    return b"".join(client.line.out) + client.raw(b"")


def test_commands_without_a_fast_path_go_in_company_too(client: Client, away: Away) -> None:
    copy = (b"COPY", b"away", b"away2")
    assert in_company(client, away, BOTH, BOTH, copy, (b"INCR", b"away1"),
                      (b"GET", b"away1")) == b":1\r\n:0\r\n:1\r\n:3\r\n$1\r\n3\r\n"
    (sent,) = away.sent
    assert sent.kind == RUN and unpack_keys(sent.keys) == [b"away", b"away1", b"away2"] and away.askers[0][1] == 4
    assert client(b"GET", b"away2") == b"$1\r\n1\r\n", "merged before the answer"


def test_scripts_go_in_company_with_scripts(client: Client, away: Away) -> None:
    script = (b"EVAL", b"return redis.call('incr', KEYS[1]) + 0 * #cjson.encode({})", b"1", b"away")
    assert in_company(client, away, script, script, BOTH) == b":1\r\n:2\r\n"
    assert away.askers[0][1] == 2 and away.sent[0].rights == rights_of(client.conn.account)
    assert away.sent[1].kind == ALONE, "the other kind is sent by itself"


@pytest.mark.parametrize(
    "second",
    [(b"GET", b"away"), (b"MSETNX", b"here", b"1"), (b"MSETNX", b"away", b"1", b"here", b"1"), (b"MSETNX", b"away"),
     (b"NONE", b"away"),
     (b"DEL", b"away"), (b"EVAL", b"return 1", b"1", b"away"), (b"MULTI",), (b"PING",), (b"CLIENT", b"REPLY", b"OFF")],
)  # fmt: skip
def test_what_is_of_another_kind_ends_the_company(client: Client, away: Away, second: tuple[bytes, ...]) -> None:
    assert client.raw(request(*BOTH) + request(*second)) == b""
    assert len(away.sent) == 1 and away.sent[0].kind == ALONE and away.askers[0][1] == 1


def test_whose_rights_are_bounded_sends_one_at_a_time(client: Client, away: Away) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"~away*", b"+@all")
    client(b"AUTH", b"u", b"")
    assert client.raw(request(*BOTH) * 2) == b"" and away.askers == [(client.conn, 1)]


def test_one_whose_reply_is_to_be_dropped_goes_alone(client: Client, away: Away) -> None:
    client(b"CLIENT", b"REPLY", b"SKIP")
    assert in_company(client, away, BOTH, BOTH) == b"" and away.askers[0][1] == 1 and len(away.sent) == 2
    away.answer()
    assert b"".join(client.line.out) == b":0\r\n"


def test_a_company_that_cannot_be_sent_is_told_one_by_one(client: Client, away: Away) -> None:
    away.full = True
    assert client.raw(request(*BOTH) * 2 + request(b"PING")).count(b"-LOADING") == 2
    away.full = False
    assert in_company(client, away, BOTH, BOTH) == b":1\r\n:0\r\n"


def test_a_script_that_has_begun_is_not_sent_to_a_new_home(
    rig: Rig, away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node was silent until others were told of it, and a peer has become its home: it would run twice."""
    pytest.importorskip("lupa")
    client, other = rig.connect(), rig.connect()
    client(b"CONFIG", b"SET", b"lua-time-limit", b"1")
    client(b"CONFIG", b"SET", b"script-time-max", b"1000")
    text = b"redis.call('INCR', KEYS[1]) while true do end"
    assert client(b"EVAL", text, b"1", b"mine") == b""
    assert rig.node.busy is client.conn and client.conn.session.suspended
    monkeypatch.setattr(Away, "is_here", lambda self, slot: False)
    rig.engine.use_homes(b"\1\0" * 16_384)
    rig.node.truth = object()  # type: ignore[assignment]  # nobody may be asked in the midst of it
    for _ in range(3):
        assert client.wake() == b""
    assert not away.sent and rig.node.busy is client.conn
    assert other(b"SCRIPT", b"KILL").startswith(b"-UNKILLABLE")


OF_COLLECTIONS = (
    "HSET away:h f 5", "HSETNX away:h g 1", "HINCRBY away:h f 3", "HINCRBYFLOAT away:h f 0.5", "HDEL away:h g",
    "HEXPIRE away:h 100 FIELDS 1 f", "SADD away:s a b c", "SREM away:s c", "SMOVE away:s away:t b",
    "ZADD away:z 3 a 4 b", "ZINCRBY away:z 2 a", "ZREM away:z none", "SUNIONSTORE away:out away:s away:t",
    "ZUNIONSTORE away:out 2 away:z away:s WEIGHTS 2 1", "ZINTERSTORE away:out 2 away:z away:s AGGREGATE MAX",
    "ZDIFFSTORE away:out 1 away:z", "ZRANGESTORE away:out away:z 0 -1 REV", "ZMPOP 2 away:none away:z MIN",
    "ZPOPMAX away:z", "ZREMRANGEBYRANK away:out 0 0", "SPOP away:t",
)  # fmt: skip


@pytest.mark.parametrize("how", ["alone", "exec", "script"])
def test_what_decides_about_a_collection_goes_home_with_all_of_it(client: Client, away: Away, how: str) -> None:
    """Made there from the first command on; what this node hears of it is what it answers."""
    away.flushes = True
    rights = (b"+hdel", b"+srem", b"+smove", b"+zrem", b"+zmpop", b"+zpopmax", b"+zremrangebyrank", b"+spop", b"+del")
    twin = away.here.another().connect()
    for one in (client, twin):
        one(b"ACL", b"SETUSER", b"default", *rights)
    script = b"return redis.call(unpack(ARGV))"
    if how == "script":
        pytest.importorskip("lupa")
    for line in OF_COLLECTIONS:
        argv = tuple(line.encode().split())
        keys = tuple(word for word in argv if word.startswith(b"away:"))
        if how == "alone":
            said, expected = replies(client, away, *argv), twin(*argv)
        elif how == "script":
            call = (b"EVAL", script, b"%d" % len(keys), *keys, *argv)
            said, expected = replies(client, away, *call), twin(*call)
        else:
            for one in (client, twin):
                one(b"MULTI")
                assert one(*argv) == b"+QUEUED\r\n", line
            said, expected = replies(client, away, b"EXEC"), twin(b"EXEC")
        assert said == expected and not said.startswith(b"-"), (line, said, expected)
    for look in ("HGETALL away:h", "SMEMBERS away:s", "ZRANGE away:out 0 -1 WITHSCORES", "EXISTS away:z away:t"):
        assert client(*look.encode().split()) == twin(*look.encode().split()), look
    assert len(away.sent) == len(OF_COLLECTIONS)


# -- WAIT behind a decision -----------------------------------------------------------------------------
@pytest.fixture
def waiting(client: Client, away: Away) -> Client:
    """It waits until two nodes hold what node 2 decided for it, for a second."""
    client.rig.node.peers = FakePeers(held_by=2)
    client.conn.decided_by(2)
    assert client(b"WAIT", b"2", b"1000") == b"" and len(away.sent) == 1
    return client


def answer_wait(waiting: Client, away: Away, reply: bytes) -> bytes:
    woken = waiting.line.woken
    away.askers[-1][0].told(reply, 1)
    assert waiting.line.woken == woken + 1
    return waiting.wake()


@pytest.mark.parametrize("error", [b"-LOADING the node cannot be asked now\r\n", b"-UNCERTAIN it was lost\r\n", b"?"])
def test_wait_asks_again_where_a_home_answers_with_an_error(waiting: Client, away: Away, error: bytes) -> None:
    for number in range(3):
        assert answer_wait(waiting, away, error) == b"", "there is time left"
        assert len(away.sent) == number + 1, "not at once"
        assert waiting.conn.suspended_until_ms == waiting.rig.now_ms + FENCE_AGAIN_MS
        waiting.advance(FENCE_AGAIN_MS)
        assert waiting.wake() == b"" and len(away.sent) == number + 2
        left_ms = b"%d" % (1000 - (number + 1) * FENCE_AGAIN_MS)
        assert away.sent[-1].commands == request(b"WAIT", b"2", left_ms) and away.sent[-1].only == 2
    assert answer_wait(waiting, away, b":2\r\n") == b":2\r\n"
    assert not waiting.conn.fences and waiting.conn.decided_at == {2: 2}


def test_wait_asks_nobody_again_when_its_time_is_up(waiting: Client, away: Away) -> None:
    assert answer_wait(waiting, away, b"-LOADING\r\n") == b""
    waiting.advance(1000)
    assert waiting.wake() == b":0\r\n" and len(away.sent) == 1


def test_wait_goes_on_where_too_many_forwards_are_open(waiting: Client, away: Away) -> None:
    assert answer_wait(waiting, away, b"-LOADING\r\n") == b""
    away.full = True
    waiting.advance(FENCE_AGAIN_MS)
    assert waiting.wake() == b"" and waiting.conn.suspended_until_ms == waiting.rig.now_ms + FENCE_AGAIN_MS
    away.full = False
    waiting.advance(FENCE_AGAIN_MS)
    assert waiting.wake() == b"" and len(away.sent) == 2
    assert answer_wait(waiting, away, b":2\r\n") == b":2\r\n"


def test_wait_waits_no_longer_for_a_home_that_is_gone(
    waiting: Client, away: Away, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert answer_wait(waiting, away, b"-UNCERTAIN it was lost\r\n") == b""
    monkeypatch.setattr(Away, "home_of", lambda self, slot: 1)
    waiting.advance(FENCE_AGAIN_MS)
    assert waiting.wake() == b":0\r\n" and not waiting.conn.decided_at


def test_it_is_said_which_other_databases_are_copied_into(client: Client, away: Away) -> None:
    """What lies there under the same name decides, too."""
    client(b"SET", b"away", b"v")
    for text, others in (
        (b"COPY away away1 DB 7", [7]), (b"COPY away away1 DB 0", []), (b"COPY away away1 DB x", []),
        (b"COPY away db REPLACE", []), (b"INCR away", []), (b"COPY away away1 REPLACE DB 3", [3]),
    ):  # fmt: skip
        client(*text.split())
        assert list(away.sent[-1].copied_to) == others
        away.answer()
        client.wake()
    for text in (b"MULTI", b"INCR away", b"COPY away away1 replace db 2", b"EXEC"):
        client(*text.split())
    assert away.sent[-1].copied_to == (2,)
    away.answer()
    client.wake()
    client.raw(request(b"COPY", b"away", b"away1", b"db", b"1") + request(b"COPY", b"away", b"away2", b"db", b"2"))
    assert sorted(away.sent[-1].copied_to) == ([1, 2] if len(away.sent[-1].commands) > 60 else [1])
