"""MULTI and WATCH: queues, aborts, errors among siblings, and stamps that tell who touched a key."""

from dataclasses import replace

import pytest

from respram.commands.refusals import reason_of
from respram.commands.transactions import WATCHED_KEYS_MAX

from .rig import NIL, OK, ONE, ZERO, Client, Rig, array, bulk, request

QUEUED = b"+QUEUED\r\n"
ABORTED = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
REFUSED = b"-NOPERM '%b' is refused by design: " + reason_of(b"delete") + b"\r\n"


def test_what_was_queued_runs_at_exec_in_order(client: Client) -> None:
    assert client(b"MULTI") == OK
    for words in ((b"SET", b"a", b"1"), (b"INCR", b"a"), (b"GET", b"a"), (b"GET", b"no")):
        assert client(*words) == QUEUED
    assert client.other()(b"EXISTS", b"a") == ZERO
    assert client(b"EXEC") == array(OK, b":2\r\n", bulk(b"2"), NIL)
    assert client(b"GET", b"a") == bulk(b"2")
    assert client(b"EXEC") == b"-ERR EXEC without MULTI\r\n"


def test_a_whole_transaction_in_one_batch(client: Client) -> None:
    batch = b"".join(request(*w.split(b" ")) for w in (b"MULTI", b"SET a 1", b"INCR a", b"EXEC", b"GET a"))
    assert client.raw(batch) == OK + QUEUED * 2 + array(OK, b":2\r\n") + bulk(b"2")
    for size in (1, 3, 7):
        pieces = [batch[at : at + size] for at in range(0, len(batch), size)]
        assert b"".join(map(client.raw, pieces)) == OK + QUEUED * 2 + array(OK, b":2\r\n") + bulk(b"2")


def test_an_empty_transaction_is_an_empty_array(client: Client) -> None:
    assert client(b"MULTI") == OK
    assert client(b"EXEC") == b"*0\r\n"


def test_discard_forgets_the_queue_and_what_was_watched(client: Client) -> None:
    client(b"WATCH", b"a")
    client(b"MULTI")
    client(b"SET", b"a", b"1")
    assert client(b"DISCARD") == OK
    assert client(b"GET", b"a") == NIL
    client.other()(b"SET", b"a", b"2")
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"
    assert client(b"DISCARD") == b"-ERR DISCARD without MULTI\r\n"


def test_an_error_at_exec_is_an_element_and_its_siblings_run(client: Client) -> None:
    client(b"SET", b"a", b"x")
    client(b"MULTI")
    for words in ((b"SET", b"b", b"1"), (b"INCR", b"a"), (b"SET", b"c", b"3")):
        client(*words)
    assert client(b"EXEC") == array(OK, b"-ERR value is not an integer or out of range\r\n", OK)
    assert client(b"MGET", b"b", b"c") == array(bulk(b"1"), bulk(b"3"))


def test_what_is_refused_is_refused_at_exec(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"50")
    client(b"MULTI")
    for words in (
        (b"SET", b"b", b"1"),
        (b"DEL", b"a"),
        (b"FLUSHALL",),
        (b"EXPIRE", b"a", b"-1"),
        (b"LPUSH", b"l", b"v"),
    ):
        assert client(*words) == QUEUED
    assert client(b"EXEC") == array(
        OK,
        REFUSED % b"del",
        b"-NOPERM 'flushall' is refused by design: %b\r\n" % reason_of(b"emptying"),
        REFUSED % b"expire",
        b"-NOPERM 'lpush' is refused by design: respram stores strings, hashes, sets and sorted sets\r\n",
    )
    assert client(b"TTL", b"a") == b":50\r\n"
    assert client(b"GET", b"b") == bulk(b"1")
    assert client.conn.refused_deletes == 3


@pytest.mark.parametrize("wrong", [(b"NOSUCH", b"a"), (b"GET",), (b"DEL",), (b"CLIENT", b"NOSUCH")])
def test_an_error_while_queueing_aborts(client: Client, wrong: tuple[bytes, ...]) -> None:
    client(b"MULTI")
    client(b"SET", b"a", b"1")
    assert client(*wrong).startswith(b"-ERR ")
    assert client(b"EXEC") == ABORTED
    assert client(b"EXISTS", b"a") == ZERO
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"


def test_nested_multi_and_watch_inside_are_errors_that_do_not_abort(client: Client) -> None:
    client(b"MULTI")
    assert client(b"MULTI") == b"-ERR MULTI calls can not be nested\r\n"
    assert client(b"WATCH", b"a") == b"-ERR WATCH inside MULTI is not allowed\r\n"
    assert client(b"UNWATCH") == QUEUED
    assert client(b"EXEC") == array(OK)


@pytest.mark.parametrize(
    "touch",
    [
        b"SET a 1",
        b"SET a 2",
        b"APPEND a x",
        b"INCR a",
        b"EXPIRE a 10",
        b"GETEX a EX 10",
        b"MSETEX 1 a 1",
        b"COPY b a REPLACE",
    ],
)
def test_a_touched_key_aborts_exec(client: Client, touch: bytes) -> None:
    other = client.other()
    client(b"MSET", b"a", b"1", b"b", b"2")
    client(b"WATCH", b"a")
    assert not other(*touch.split(b" ")).startswith(b"-")
    client(b"MULTI")
    client(b"SET", b"c", b"3")
    assert client(b"EXEC") == b"*-1\r\n"
    assert client(b"EXISTS", b"c") == ZERO
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"  # it is watched no more


def test_in_resp3_an_aborted_exec_is_a_null(client: Client) -> None:
    client(b"HELLO", b"3")
    client(b"WATCH", b"a")
    client(b"SET", b"a", b"1")
    client(b"MULTI")
    assert client(b"EXEC") == b"_\r\n"


def test_what_changes_nothing_does_not_abort(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"50")
    client(b"WATCH", b"a", b"absent")
    other = client.other()
    for words in (
        (b"GET", b"a"),
        (b"SET", b"a", b"2", b"NX"),
        (b"DEL", b"a"),
        (b"EXPIRE", b"a", b"-1"),
        (b"SET", b"b", b"1"),
    ):
        other(*words)
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"


def test_a_watched_key_that_appears_or_expires_aborts(client: Client) -> None:
    client(b"WATCH", b"new")
    client.other()(b"SET", b"new", b"1", b"PX", b"100")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"
    client(b"WATCH", b"new")
    client.advance(100)
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"


def test_a_replicated_write_to_a_watched_key_aborts(client: Client) -> None:
    client(b"SET", b"a", b"1")
    packed = client.rig.engine.drain(1 << 20)
    client(b"WATCH", b"a")
    client.rig.engine.merge(packed, client.rig.now_ms)  # known already: nothing changes
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"
    peer = type(client.rig)(type(client.rig.engine))  # another node of the same kind
    peer.engine.configure(peer.node.settings)
    writer = peer.connect()
    writer.advance(5)
    writer(b"SET", b"a", b"2")
    client(b"WATCH", b"a")
    assert client.rig.engine.merge(peer.engine.drain(1 << 20), client.rig.now_ms).new == 1
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"
    assert client(b"GET", b"a") == bulk(b"2")


def test_keys_are_watched_in_the_database_they_were_named_in(client: Client) -> None:
    client(b"SELECT", b"2")
    client(b"WATCH", b"a")
    client(b"SELECT", b"0")
    client(b"SET", b"a", b"1")
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"
    client(b"SELECT", b"2")
    client(b"WATCH", b"a")
    client(b"SET", b"a", b"1")
    client(b"SELECT", b"0")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"


def test_watching_again_does_not_forget_what_happened_since(client: Client) -> None:
    client(b"WATCH", b"a")
    client.other()(b"SET", b"a", b"1")
    client(b"WATCH", b"a")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"


def test_unwatch_lets_go(client: Client) -> None:
    client(b"WATCH", b"a")
    client(b"SET", b"a", b"1")
    assert client(b"UNWATCH") == OK
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"


def test_a_connection_cannot_watch_without_bound(client: Client) -> None:
    many = [b"k%d" % number for number in range(WATCHED_KEYS_MAX)]
    assert client(b"WATCH", *many) == OK
    assert client(b"WATCH", b"one more") == b"-ERR too many watched keys\r\n"
    assert len(client.conn.watched) == WATCHED_KEYS_MAX


def test_without_memory_a_queued_write_aborts(client: Client) -> None:
    engine, settings = client.rig.engine, client.conn.node.settings
    client(b"SET", b"a", b"1")
    for words in ((b"MULTI",), (b"SET", b"a", b"2"), (b"GET", b"a")):
        assert client(*words) in (OK, QUEUED)
    engine.configure(settings._replace(memory_bytes_max=1))
    assert engine.full()
    assert client(b"EXEC") == (
        b"-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n"
    )
    client(b"MULTI")
    assert client(b"SET", b"a", b"2") == b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
    assert client(b"EXEC") == ABORTED
    client(b"MULTI")
    client(b"GET", b"a")
    assert client(b"EXEC") == array(bulk(b"1"))


def test_a_queued_hello_changes_the_protocol_of_what_follows(client: Client) -> None:
    client(b"MULTI")
    for words in ((b"GET", b"no"), (b"HELLO", b"3"), (b"GET", b"no")):
        assert client(*words) == QUEUED
    reply = client(b"EXEC")
    assert reply.startswith(b"*3\r\n$-1\r\n%7\r\n") and reply.endswith(b"_\r\n")


def test_fast_paths_rest_while_queueing(client: Client) -> None:
    client(b"MULTI")
    assert not client.conn.session.hot
    client(b"EXEC")
    if client.rig.hot:
        assert client.conn.session.hot
    assert client(b"SET", b"a", b"1") == OK
    assert client(b"INCRBY", b"a", b"0") == ONE


def test_a_command_that_is_not_plain_keeps_its_place_among_those_that_are(client: Client) -> None:
    """The session keeps plain commands itself until another comes, and may find at EXEC that one was not as plain as it
    looked.
    """
    client(b"MULTI")
    for argv in ((b"SET", b"k", b"1"), (b"INCR", b"k"), (b"SET", b"k", b"7", b"GET"), (b"INCR", b"k"), (b"GET", b"k")):
        assert client(*argv) == b"+QUEUED\r\n"
    assert client(b"EXEC") == b"*5\r\n+OK\r\n:2\r\n$1\r\n2\r\n:8\r\n$1\r\n8\r\n"
    client(b"MULTI")
    for argv in ((b"INCR", b"k"), (b"APPEND", b"k", b"0"), (b"INCR", b"k"), (b"GET", b"missing")):
        assert client(*argv) == b"+QUEUED\r\n"
    assert client(b"EXEC") == b"*4\r\n:9\r\n:2\r\n:91\r\n$-1\r\n"


def test_plain_commands_that_were_queued_count_as_others_do(rig: Rig, client: Client) -> None:
    client(b"MULTI")
    client(b"SET", b"k", b"1")
    client(b"GET", b"k")
    assert client.conn.queued == 2 and client.conn.queued_bytes == 5 + 4
    assert b" multi=2 " in client.other()(b"CLIENT", b"LIST")
    client(b"DISCARD")
    assert client.conn.queued == client.conn.queued_bytes == 0
    assert client(b"GET", b"k") == b"$-1\r\n"


def test_a_reply_beyond_the_output_buffer_closes_and_all_has_run(rig: Rig, client: Client) -> None:
    rig.node.limits = replace(rig.node.limits, output_buffer_bytes_max=10_000)
    client.conn.settle()
    client(b"SET", b"k", b"v" * 3_000)
    client(b"MULTI")
    for _ in range(9):
        client(b"GET", b"k")
    client(b"SET", b"after", b"1")
    client(b"INCR", b"k")
    assert client(b"EXEC") == b"", "a part of it would be taken for the replies of other commands"
    assert client.conn.session.closing
    assert client.other()(b"GET", b"after") == b"$1\r\n1\r\n"


def test_rights_that_change_between_multi_and_exec_are_heeded(rig: Rig, client: Client) -> None:
    client(b"ACL", b"SETUSER", b"ann", b"on", b">long-enough-for-ann-2026", b"~*", b"+@all")
    ann = client.other()
    assert ann(b"AUTH", b"ann", b"long-enough-for-ann-2026") == b"+OK\r\n"
    ann(b"MULTI")
    assert ann(b"SET", b"k", b"1") == b"+QUEUED\r\n"
    client(b"ACL", b"SETUSER", b"ann", b"-set")
    answer = ann(b"EXEC")
    assert answer.startswith(b"*1\r\n-NOPERM"), answer
    assert client(b"GET", b"k") == b"$-1\r\n"


def _by_the_engine(client: Client, name: str) -> int:
    return client.rig.engine.counters()[f"hot_{name}"]


def test_the_engine_answers_multi_and_exec_by_itself(client: Client) -> None:
    hot = int(client.rig.hot)
    assert client(b"MULTI") == OK
    assert client(b"INCR", b"a") == QUEUED
    assert client(b"EXEC") == array(ONE)
    assert client(b"MULTI") == OK
    assert client(b"INCR", b"a") == QUEUED
    assert client(b"DISCARD") == OK
    assert client(b"GET", b"a") == bulk(b"1")
    assert [_by_the_engine(client, name) for name in ("multi", "exec", "discard")] == [2 * hot, hot, hot]
    assert client.conn.queue is None and not client.conn.session.begun


def test_an_exec_that_comes_to_a_command_for_dispatch_goes_on_there(client: Client) -> None:
    client(b"SET", b"a", b"x")
    before = client.rig.node.stats.by_command
    for words in ((b"MULTI",), (b"SET", b"b", b"1"), (b"INCR", b"a"), (b"INCR", b"b"), (b"APPEND", b"a", b"")):
        client(*words)
    assert client(b"EXEC") == array(OK, b"-ERR value is not an integer or out of range\r\n", b":2\r\n", ONE)
    assert before[b"exec"].calls == 1 and _by_the_engine(client, "exec") == 0
    assert client(b"EXEC") == b"-ERR EXEC without MULTI\r\n"
    assert client(b"GET", b"b") == bulk(b"2")


def test_whoever_looks_at_the_connection_meanwhile_finds_its_multi(client: Client) -> None:
    client(b"MULTI")
    client(b"SET", b"a", b"1")
    client.conn.settle()  # as when its user's rights change
    assert client.conn.queue == []
    assert client(b"SET", b"b", b"2") == QUEUED
    assert client(b"NOSUCH").startswith(b"-ERR unknown")
    assert client(b"EXEC") == ABORTED
    assert client(b"EXISTS", b"a", b"b") == ZERO


def test_a_switch_that_is_turned_off_meanwhile_gives_exec_to_dispatch(client: Client) -> None:
    client(b"MULTI")
    client(b"SET", b"a", b"1")
    client.rig.engine.hot_writes = False
    assert client(b"EXEC") == array(OK)
    assert _by_the_engine(client, "exec") == 0
    client.rig.engine.hot_writes = True
    assert client(b"GET", b"a") == bulk(b"1")


def test_what_is_watched_is_asked_for_and_then_no_more(client: Client) -> None:
    other = client.other()
    client(b"SET", b"a", b"1")
    client(b"WATCH", b"a")
    other(b"SET", b"a", b"2")
    client(b"MULTI")
    client(b"INCR", b"a")
    assert client(b"EXEC") == b"*-1\r\n"
    client(b"MULTI")
    client(b"INCR", b"a")
    assert client(b"EXEC") == array(b":3\r\n")
    assert _by_the_engine(client, "exec") == 2 * client.rig.hot


def test_an_exec_whose_replies_are_too_many_closes_its_client(client: Client) -> None:
    client(b"SET", b"a", b"x" * 1000)
    client.conn.session.exec_bytes_max = 2500
    client(b"MULTI")
    for _ in range(3):
        client(b"GET", b"a")
    client(b"INCR", b"n")
    if client.rig.hot:
        assert client(b"EXEC") == b"" and client.conn.session.closing
    assert client.other()(b"GET", b"n") == (bulk(b"1") if client.rig.hot else NIL)
