"""What a user with some rights is told, compared with a real server, and what is kept of it."""

import pytest

from .rig import NIL, OK, Client, Reference, Rig, bulk

RULES = (
    b"on", b">pw", b"~k*", b"%R~r*", b"%W~w*", b"&c*", b"+@all", b"-info", b"-config", b"-client|kill", b"-@scripting"
)  # fmt: skip
SPOKEN = [
    b"GET other", b"GET k1", b"GET r1", b"SET r1 x", b"SETEX w1 9 x", b"GET w1", b"SETEX k2 9 x", b"APPEND w1 x",
    b"EXISTS w1",
    b"TYPE r1", b"STRLEN w1", b"MGET k1 other", b"MGET k1 r1", b"MSET k1 1 w2 2", b"MSET k1 1 r2 2", b"COPY r1 w1",
    b"COPY w1 r1",
    b"INFO", b"CONFIG GET x", b"CLIENT KILL 1", b"CLIENT", b"PUBLISH d x", b"PUBLISH c1 x", b"SUBSCRIBE d",
    b"PSUBSCRIBE c1*",
    b"SET w1 x GET", b"BITOP AND r1 k1", b"GET", b"SPUBLISH d x", b"SSUBSCRIBE d", b"EXPIRE r1 9",
    b"GETEX r1", b"TTL w1", b"ACL WHOAMI", b"ACL DRYRUN u get other", b"ACL DRYRUN u get k", b"ACL DRYRUN u info",
    b"ACL DRYRUN u publish d x", b"ACL DRYRUN u nosuch", b"ACL DRYRUN u get", b"ACL DRYRUN nobody get k",
    b"ACL DRYRUN u client|kill x", b"ACL DRYRUN u mget k o", b"TOUCH other", b"PING", b"SELECT 0",
]  # fmt: skip


@pytest.fixture
def user(client: Client) -> Client:
    assert client(b"ACL", b"SETUSER", b"u", *RULES) == OK
    other = client.other()
    assert other(b"AUTH", b"u", b"pw") == OK
    return other


def test_the_answers_are_those_of_a_real_server(user: Client, reference: Reference) -> None:
    reference(b"ACL", b"SETUSER", b"u", b"reset", *RULES)
    reference(b"AUTH", b"u", b"pw")
    try:
        for line in SPOKEN:
            words = line.split(b" ")
            assert user(*words) == reference(*words), line
    finally:
        reference(b"AUTH", b"default", b"")
        reference(b"ACL", b"DELUSER", b"u")


def test_a_denied_command_changes_nothing_and_spoils_a_transaction(user: Client, client: Client) -> None:
    assert user(b"SET", b"other", b"x").startswith(b"-NOPERM")
    assert client(b"GET", b"other") == NIL
    assert user(b"MULTI") == OK
    assert user(b"SET", b"k", b"x") == b"+QUEUED\r\n"
    assert user(b"GET", b"other").startswith(b"-NOPERM")
    assert user(b"EXEC") == b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    assert client(b"GET", b"k") == NIL


def test_a_right_lost_between_multi_and_exec_is_lost(user: Client, client: Client) -> None:
    user(b"MULTI")
    user(b"SET", b"k1", b"x")
    user(b"PING")
    assert client(b"ACL", b"SETUSER", b"u", b"-set") == OK
    assert user(b"EXEC") == (
        b"*2\r\n-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
        b"command "
        b"is no longer allowed for the following reason: no permission to execute the command or "
        b"subcommand\r\n+PONG\r\n"
    )
    assert client(b"GET", b"k1") == NIL


def test_a_refusal_by_design_comes_after_the_question_of_rights(user: Client, client: Client) -> None:
    assert b"refused by design" in user(b"FLUSHALL")
    client(b"ACL", b"SETUSER", b"u", b"-flushall")
    assert user(b"FLUSHALL") == b"-NOPERM this user has no permissions to run the 'flushall' command\r\n"


def test_a_user_of_all_keys_has_fast_paths_for_the_commands_it_may_run(user: Client, client: Client) -> None:
    assert user.conn.session.guard is not None
    client(b"ACL", b"SETUSER", b"u", b"resetkeys", b"~*")
    session = user.conn.session
    user.conn.settle()
    assert session.guard is None and session.hot and session.permitted == user.conn.account.permitted
    client(b"ACL", b"SETUSER", b"u", b"-append", b"+get", b"+set")
    user(b"SET", b"k", b"v")
    assert user(b"APPEND", b"k", b"w") == b"-NOPERM this user has no permissions to run the 'append' command\r\n"
    assert user(b"GET", b"k") == b"$1\r\nv\r\n"
    assert client.conn.account.unrestricted


def test_a_user_with_key_patterns_has_fast_paths_for_the_keys_it_may_touch(
    rig: Rig, user: Client, client: Client
) -> None:
    """What is beyond its own patterns, a selector's too, is for the commands; new patterns hold from the next command
    on.
    """
    client(b"ACL", b"SETUSER", b"u", b"(+get ~shared:*)")

    def fast() -> int:
        return sum(count for name, count in rig.engine.counters().items() if name.startswith("hot_"))

    before = fast()
    assert user(b"SET", b"k1", b"v") == OK and user(b"GET", b"k1") == bulk(b"v") and user(b"EXISTS", b"w9") == b":0\r\n"
    assert user(b"MSET", b"k1", b"v", b"k2", b"w") == OK
    assert fast() - before == 4 * rig.hot
    before = fast()
    assert user(b"GET", b"shared:1") == NIL
    assert user(b"MGET", b"k1", b"shared:1").startswith(b"-NOPERM") and user(b"SET", b"r1", b"v").startswith(b"-NOPERM")
    assert fast() == before
    user(b"MULTI")
    assert user(b"SET", b"k3", b"v") == b"+QUEUED\r\n"
    client(b"ACL", b"SETUSER", b"u", b"resetkeys", b"~q*")
    assert b"-NOPERM ACLs rules changed" in user(b"EXEC")
    assert user(b"GET", b"k1").startswith(b"-NOPERM") and user(b"SET", b"q1", b"v") == OK
    assert client(b"GET", b"k3") == NIL


def test_the_log_groups_what_is_alike(user: Client, client: Client) -> None:
    for _ in range(3):
        user(b"GET", b"other")
    user(b"INFO")
    client.other()(b"AUTH", b"u", b"wrong")
    log = client(b"ACL", b"LOG")
    assert log.startswith(b"*3\r\n")
    assert log.index(bulk(b"auth")) < log.index(bulk(b"command")) < log.index(bulk(b"key"))
    assert bulk(b"count") + b":3\r\n" + bulk(b"reason") + bulk(b"key") in log
    assert b"wrong" not in log and b"cmd=info user=u" in log and b"cmd=get user=u" in log
    assert client(b"ACL", b"LOG", b"1").startswith(b"*1\r\n")
    assert client(b"ACL", b"LOG", b"RESET") == OK and client(b"ACL", b"LOG") == b"*0\r\n"
    info = client(b"INFO", b"stats")
    assert b"acl_access_denied_key:3\r\n" in info and b"acl_access_denied_cmd:1\r\n" in info


def test_the_log_is_bounded(rig: Rig) -> None:
    admin, user = rig.connect(), rig.connect()
    admin(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"+@all", b"~k")
    user(b"AUTH", b"u", b"x")
    for number in range(300):
        user(b"GET", b"o%d" % number)
    assert len(rig.node.acl_log) == rig.node.limits.acl_entries_max == 128
