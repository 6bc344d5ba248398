"""Letting go: who may, what it does, and that it answers as Redis does."""

import pytest

from respram.commands.refusals import reason_of

from .rig import NIL, OK, Client, Reference, Rig, array, bulk

RIGHTS = (b"+del", b"+unlink", b"+getdel", b"+delex", b"+delifeq")


@pytest.fixture
def free(client: Client) -> Client:
    """A client of a user to whom every command of letting go was given by name."""
    assert client(b"ACL", b"SETUSER", b"default", *RIGHTS) == OK
    return client


def refused(name: bytes, right: bytes = b"del") -> bytes:
    return b"-NOPERM '%b' is refused by design: %b\r\n" % (name, reason_of(b"delete", right))


STEPS = (
    "SET a 1 EX 100", "SET b 2 EX 100", "SET c 3 EX 100", "DEL a", "GET a", "DEL a", "EXISTS a b", "UNLINK b c nosuch",
    "DBSIZE",
    "SET d x EX 100", "GETDEL d", "GETDEL d", "GET d", "TTL d", "SET e 5 EX 100", "EXPIRE e 0", "GET e", "EXPIRE e 0",
    "SET e 5 EX 100",
    "PEXPIRE e -7", "EXISTS e", "SET e 5 EX 100", "EXPIREAT e 1", "EXISTS e", "SET e 5 EX 100", "PEXPIREAT e 1 GT",
    "EXISTS e",
    "PEXPIREAT e 1 LT", "EXISTS e", "SET e 5 EX 100", "GETEX e EXAT 1", "EXISTS e", "SET f 1 EX 100",
    "BITOP AND f no1 no2", "EXISTS f",
    "BITOP AND f no1 no2", "SET n 9 EX 100", "DEL n n", "INCR n", "DEL", "UNLINK", "GETDEL", "SET m v EX 100", "MULTI",
    "DEL m", "GET m", "EXEC",
)  # fmt: skip


def test_replies_and_counts_are_those_of_redis(free: Client, reference: Reference) -> None:
    reference(b"FLUSHALL")
    for step in STEPS:
        words = step.encode().split()
        assert free(*words) == reference(*words), step


def test_nobody_may_unless_it_was_given_by_name(client: Client) -> None:
    client(b"SET", b"k", b"v", b"EX", b"100")
    client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"~*", b"+@all", b"allcommands", b"+@write", b"+@dangerous",
           b"+@keyspace")
    app = client.other()
    assert app(b"AUTH", b"app", b"any") == OK
    for words in ((b"DEL", b"k"), (b"UNLINK", b"k"), (b"GETDEL", b"k"), (b"DELEX", b"k"), (b"DELIFEQ", b"k", b"v")):
        assert app(*words) == refused(words[0].lower(), words[0].lower())
    timed: tuple[tuple[bytes, ...], ...] = (
        (b"EXPIRE", b"k", b"0"),
        (b"GETEX", b"k", b"PXAT", b"1"),
        (b"SET", b"k", b"w", b"EXAT", b"1"),
    )
    for sent in timed:
        assert app(*sent) == refused(sent[0].lower())
    assert app(b"GET", b"k") == bulk(b"v")
    client(b"ACL", b"SETUSER", b"app", b"+unlink")
    assert app(b"DEL", b"k") == refused(b"del") and app(b"EXPIRE", b"k", b"0") == refused(b"expire")
    assert app(b"UNLINK", b"k") == b":1\r\n" and app(b"GET", b"k") == NIL


@pytest.mark.parametrize("rules", [(b"+del", b"+@all"), (b"+@all", b"+del"), (b"+del", b"allcommands", b"-@read")])
def test_a_rule_about_all_commands_neither_gives_nor_takes_the_right(client: Client, rules: tuple[bytes, ...]) -> None:
    client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"~*", *rules)
    assert b"+@all" in client(b"ACL", b"LIST") and client.conn.node.users[b"app"].by_name == {b"del"}
    app = client.other()
    app(b"AUTH", b"app", b"any")
    assert app(b"DEL", b"k") == b":0\r\n"


@pytest.mark.parametrize("rule", [b"-del", b"-@all", b"-@write", b"-@keyspace", b"nocommands", b"reset"])
def test_the_right_can_be_taken_again(client: Client, rule: bytes) -> None:
    client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"~*", b"+@all", b"+del", rule)
    assert client.conn.node.users[b"app"].by_name == frozenset()


def test_a_user_lets_go_of_its_own_keys_only(client: Client) -> None:
    for key in (b"mine:1", b"mine:2", b"other", b"tmp:1"):
        client(b"SET", key, b"v", b"EX", b"100")
    client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"~mine:*", b"+@all", b"+del", b"(+unlink ~tmp:*)")
    app = client.other()
    app(b"AUTH", b"app", b"any")
    no_key = b"-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"
    assert app(b"DEL", b"mine:1", b"other") == no_key
    assert app(b"DEL", b"mine:1") == b":1\r\n" and app(b"EXPIRE", b"mine:2", b"0") == b":1\r\n"
    assert app(b"UNLINK", b"tmp:1") == b":1\r\n" and app(b"UNLINK", b"mine:1") == no_key
    assert client(b"EXISTS", b"other", b"mine:1", b"mine:2", b"tmp:1") == b":1\r\n"


def test_the_right_survives_the_users_file(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"~*", b"+@all", b"+del", b"+shutdown")
    line = next(line for line in client(b"ACL", b"LIST").split(b"\r\n") if b"user app" in line)
    assert line.endswith(b"+@all +del +shutdown")
    client(b"ACL", b"SETUSER", b"copy", *line.split()[2:])
    assert client.conn.node.users[b"copy"].by_name == {b"del", b"shutdown"}


def test_without_the_right_a_transaction_runs_the_rest(client: Client) -> None:
    client(b"MULTI")
    client(b"SET", b"a", b"1")
    assert client(b"DEL", b"a") == b"+QUEUED\r\n"
    assert client(b"EXEC") == array(OK, refused(b"del"))
    assert client(b"GET", b"a") == bulk(b"1")


def test_a_watched_key_that_was_let_go_has_changed(free: Client) -> None:
    free(b"SET", b"a", b"1", b"EX", b"100")
    free(b"WATCH", b"a")
    free.other()(b"DEL", b"a")
    free.other()(b"SET", b"a", b"1", b"EX", b"100")
    free(b"MULTI")
    assert free(b"EXEC") == b"*-1\r\n"


def test_listeners_and_trackers_are_told(free: Client) -> None:
    free(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
    free(b"SET", b"a", b"1", b"EX", b"100")
    listener, tracker = free.other(), free.other()
    listener(b"PSUBSCRIBE", b"__keyevent@0__:*")
    tracker(b"HELLO", b"3")
    tracker(b"CLIENT", b"TRACKING", b"ON")
    tracker(b"GET", b"a")
    listener.pushed()
    free(b"UNLINK", b"a")
    assert b"__keyevent@0__:del\r\n$1\r\na\r\n" in listener.pushed()
    assert b"invalidate\r\n*1\r\n$1\r\na\r\n" in tracker.pushed()


def test_what_is_compared_is_let_go_of_only_where_it_matches(free: Client) -> None:
    free(b"SET", b"a", b"1", b"EX", b"100")
    assert free(b"DELIFEQ", b"a", b"2") == b":0\r\n" and free(b"DELIFEQ", b"no", b"2") == b":0\r\n"
    assert free(b"DELIFEQ", b"a", b"1") == b":1\r\n" and free(b"EXISTS", b"a") == b":0\r\n"
    free(b"SET", b"a", b"1", b"EX", b"100")
    assert free(b"DELEX", b"a", b"IFNE", b"1") == b":0\r\n" and free(b"DELEX", b"a", b"ifeq", b"1") == b":1\r\n"
    assert free(b"DELEX", b"a") == b":0\r\n"
    free(b"SET", b"a", b"1", b"EX", b"100")
    assert free(b"DELEX", b"a", b"IFNE", b"2") == b":1\r\n" and free(b"EXISTS", b"a") == b":0\r\n"
    free(b"SET", b"a", b"Hello world", b"EX", b"100")
    digest = b"b6acb9d84a38ff74"
    assert free(b"DELEX", b"a", b"IFDEQ", b"0" * 16) == b":0\r\n" == free(b"DELEX", b"a", b"IFDNE", digest)
    assert free(b"DELEX", b"a", b"ifdeq", digest) == b":1\r\n"
    free(b"SET", b"a", b"1", b"EX", b"100")
    assert free(b"DELEX", b"a", b"IFDNE", digest) == b":1\r\n" and free(b"DELEX", b"a", b"IFDNE", digest) == b":0\r\n"
    for odd in ((b"IFEQ",), (b"NOSUCH", b"1"), (b"IFEQ", b"1", b"2")):
        assert free(b"DELEX", b"a", *odd) == b"-ERR syntax error\r\n"


def test_a_set_whose_time_has_passed_lets_go(free: Client) -> None:
    free(b"SET", b"a", b"1", b"EX", b"100")
    assert free(b"SET", b"a", b"2", b"EXAT", b"1") == OK and free(b"EXISTS", b"a") == b":0\r\n"
    free(b"MSETEX", b"2", b"a", b"1", b"b", b"2", b"EX", b"100")
    assert (
        free(b"MSETEX", b"2", b"a", b"1", b"b", b"2", b"PXAT", b"1") == b":1\r\n"
        and free(b"EXISTS", b"a", b"b") == b":0\r\n"
    )
    free(b"SET", b"n", b"1", b"EX", b"100")
    assert free(b"INCREX", b"n", b"PXAT", b"1") == array(b":2\r\n", b":1\r\n") and free(b"EXISTS", b"n") == b":0\r\n"


def test_a_full_memory_keeps_nobody_from_letting_go(free: Client) -> None:
    free(b"SET", b"a", b"1" * 1000, b"EX", b"100")
    free(b"CONFIG", b"SET", b"maxmemory", b"1")
    assert free(b"SET", b"b", b"1").startswith(b"-OOM") and free(b"DEL", b"a") == b":1\r\n"


@pytest.mark.parametrize(
    "words", [(b"SET", b"k", b"", b"PX", b"1"), (b"PSETEX", b"k", b"1", b""), (b"SET", b"k", b"", b"XX", b"PX", b"1")]
)
def test_an_empty_value_for_a_millisecond_is_never_read(client: Client, rig: Rig, words: tuple[bytes, ...]) -> None:
    """What everybody may do: until the key is let go of, the value that it overwrites would still be read."""
    client(b"SET", b"k", b"v", b"EX", b"100")
    assert client(*words) == OK
    assert client(b"GET", b"k") == NIL and client(b"EXISTS", b"k") == b":0\r\n" and client(b"DBSIZE") == b":0\r\n"
    client(b"SET", b"k", b"", b"PX", b"2")
    assert client(b"GET", b"k") == bulk(b"")
    rig.advance(3)
    assert client(b"GET", b"k") == NIL
