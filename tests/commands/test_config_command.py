"""CONFIG GET, SET, RESETSTAT and REWRITE."""

import pytest

from .rig import NIL, OK, Client, Reference, Rig, array, bulk


def get(client: Client, name: bytes) -> bytes:
    """The value of one parameter."""
    reply = client(b"CONFIG", b"GET", name)
    assert reply.startswith(b"*2\r\n" + bulk(name)), reply
    return reply.split(b"\r\n", 3)[3].split(b"\r\n", 1)[1][:-2]


@pytest.mark.parametrize(
    "line",
    [
        "CONFIG", "CONFIG GET", "CONFIG GET nosuch", "CONFIG GET save", "CONFIG GET appendonly", "CONFIG GET TIMEOUT",
        "CONFIG GET databases", "CONFIG GET maxmemory-polic?", "CONFIG GET nosuch*", "CONFIG GET maxclients",
        "CONFIG GET slowlog-max-len", "CONFIG GET slowlog-log-slower-than", "CONFIG GET tracking-table-max-keys",
        "CONFIG GET timeout Timeout", "CONFIG SET foo bar", "CONFIG SET maxmemory", "CONFIG SET maxmemory foo",
        "CONFIG SET maxmemory 0 maxmemory 0", "CONFIG SET maxmemory 0 foo bar", "CONFIG SET timeout x",
        "CONFIG SET databases 4", "CONFIG SET appendonly maybe", "CONFIG SET notify-keyspace-events Q",
        "CONFIG SET client-output-buffer-limit foo", "CONFIG SET CLIENT-OUTPUT-BUFFER-LIMIT normal",
        "CONFIG RESETSTAT", "CONFIG RESETSTAT x", "CONFIG FOO", "CONFIG SET timeout 1.5", "CONFIG SET timeout 7 foo",
    ],
)  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, line: str) -> None:
    reference(b"RESET")
    words = line.encode().split()
    assert client(*words) == reference(*words)


def test_a_name_comes_back_as_it_was_spelt_and_once(client: Client) -> None:
    assert client(b"CONFIG", b"GET", b"MaxMemory-Policy", b"maxmemory-polic*") == array(
        bulk(b"MaxMemory-Policy"), bulk(b"noeviction")
    )
    client(b"HELLO", b"3")
    assert client(b"CONFIG", b"GET", b"save", b"appendonly") == (
        b"%2\r\n" + bulk(b"save") + bulk(b"") + bulk(b"appendonly") + bulk(b"no")
    )
    assert client(b"CONFIG", b"GET", b"nosuch") == b"%0\r\n"


def test_the_star_shows_all_that_exporters_read(client: Client) -> None:
    client(b"HELLO", b"3")
    shown = client(b"CONFIG", b"GET", b"*")
    for name in (b"maxmemory", b"maxclients", b"timeout", b"save", b"requirepass", b"default-ttl", b"max-ttl",
                 b"enclave",
                 b"client-output-buffer-limit", b"proto-max-bulk-len", b"latency-monitor-threshold"):  # fmt: skip
        assert bulk(name) in shown


def test_several_are_set_together_or_none(client: Client) -> None:
    failed = client(b"CONFIG", b"SET", b"timeout", b"5", b"maxmemory", b"1mb", b"slowlog-max-len", b"-1")
    assert failed.startswith(
        b"-ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - argument must be"
    )
    assert get(client, b"timeout") == b"0" and get(client, b"slowlog-max-len") == b"128"
    assert client.rig.node.limits.idle_timeout_s == 0
    assert client(b"CONFIG", b"SET", b"timeout", b"5", b"slowlog-max-len", b"7") == OK
    assert client.rig.node.limits.idle_timeout_s == 5 and get(client, b"slowlog-max-len") == b"7"


def test_maxmemory_takes_effect_on_the_engine(client: Client) -> None:
    client(b"SET", b"a", b"x" * 1000)
    assert client(b"CONFIG", b"SET", b"maxmemory", b"1kb") == OK
    assert client(b"SET", b"b", b"1") == b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
    assert client(b"CONFIG", b"SET", b"maxmemory", b"1GB") == OK
    assert get(client, b"maxmemory") == b"%d" % (1 << 30)
    assert client(b"SET", b"b", b"1") == OK


def test_the_ttl_policy_takes_effect_on_the_next_write(client: Client) -> None:
    assert client(b"CONFIG", b"SET", b"default-ttl", b"60", b"max-ttl", b"120") == OK
    client(b"SET", b"a", b"1")
    client(b"SET", b"b", b"1", b"EX", b"500")
    assert (client(b"TTL", b"a"), client(b"TTL", b"b")) == (b":60\r\n", b":120\r\n")
    text = (
        b"-ERR CONFIG SET failed (possibly related to argument 'max-ttl') - "
        b"default-ttl must not be longer than max-ttl\r\n"
    )
    assert client(b"CONFIG", b"SET", b"max-ttl", b"59") == text
    assert client(b"CONFIG", b"SET", b"max-ttl", b"0").startswith(b"-ERR CONFIG SET failed")


def test_longer_values_are_refused_after_the_limit_is_lowered(client: Client) -> None:
    assert client(b"CONFIG", b"SET", b"proto-max-bulk-len", b"1mb") == OK
    assert b"invalid bulk length" in client.raw(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")


def test_a_password_guards_those_who_come_later(client: Client) -> None:
    assert client(b"CONFIG", b"SET", b"requirepass", b"secret") == OK
    assert client(b"GET", b"a") == NIL
    later = client.other()
    assert later(b"GET", b"a") == b"-NOAUTH Authentication required.\r\n"
    assert client(b"CONFIG", b"SET", b"requirepass", b"") == OK
    assert later(b"GET", b"a") == NIL


def test_an_exposed_node_keeps_its_password(rig: Rig) -> None:
    client = rig.connect()
    object.__setattr__(rig.config, "bind", ("0.0.0.0",))
    rig.node.password = b"secret"
    assert b"must be started with --unprotected" in client(b"CONFIG", b"SET", b"requirepass", b"")
    assert rig.node.password == b"secret"
    object.__setattr__(rig.config, "unprotected", True)
    assert client(b"CONFIG", b"SET", b"requirepass", b"") == OK


def test_resetstat_zeroes_counters_and_keeps_gauges(client: Client) -> None:
    client(b"SET", b"a", b"1")
    client(b"GET", b"a")
    client(b"DEL", b"a")
    assert b"keyspace_hits:1\r\n" in client(b"INFO", b"stats")
    assert client(b"CONFIG", b"RESETSTAT") == OK
    text = client(b"INFO", b"everything")
    assert b"keyspace_hits:0\r\n" in text and b"\r\nrefused_deletes:0\r\n" in text and b"\r\nrecords:1\r\n" in text
    assert b"cmdstat_get" not in text and b"total_error_replies:0\r\n" in text


def test_rewrite_is_refused_with_its_reason(client: Client) -> None:
    assert client(b"CONFIG", b"REWRITE").startswith(b"-NOPERM 'config|rewrite' is refused by design: ")


def test_a_password_that_goes_lets_in_only_those_whom_the_account_lets_in(client: Client) -> None:
    """`default` is off: that its password goes is no word of welcome for who waits unauthenticated."""
    assert client(b"ACL", b"SETUSER", b"admin", b"on", b">pw", b"~*", b"&*", b"+@all") == OK
    assert client(b"AUTH", b"admin", b"pw") == OK
    assert client(b"ACL", b"SETUSER", b"default", b"off") == OK
    waiting = client.other()
    assert client(b"CONFIG", b"SET", b"requirepass", b"secret") == OK
    assert client(b"CONFIG", b"SET", b"requirepass", b"") == OK
    assert waiting(b"GET", b"a").startswith(b"-NOAUTH")
    assert client(b"ACL", b"SETUSER", b"default", b"on") == OK
    assert waiting(b"GET", b"a") == NIL
