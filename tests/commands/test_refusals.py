"""What is refused, in which words, and that nothing changes by it."""

import pytest

from respram.catalog import Command, everything, find
from respram.commands.refusals import SUMMARY_LINES_MAX, SUMMARY_MS, reason_of, sum_up
from respram.commands.stats import REFUSAL_KINDS_MAX

from .rig import OK, Client, bulk

LET_GO = [command for command in everything() if command.by_name and command.writes]
REFUSED = [command for command in everything() if command.refused]
RETRIED_PREFIXES = (b"-NOSCRIPT", b"-READONLY", b"-LOADING", b"-MOVED", b"-TRYAGAIN", b"-CLUSTERDOWN", b"-ERR")


def _words(name: bytes, arity: int) -> list[bytes]:
    words = name.upper().split(b"|")
    return words + [b"a"] * (abs(arity) - len(words))


def refusal(name: bytes, reason: bytes = b"delete", right: bytes = b"del") -> bytes:
    return b"-NOPERM '%b' is refused by design: %b\r\n" % (name, reason_of(reason, right))


def test_deletes_are_refused_and_the_key_survives(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"50")
    some = {b"del", b"delex", b"delifeq", b"getdel", b"unlink", b"hdel", b"srem", b"zrem", b"zpopmin", b"zmpop",
            b"rename", b"renamenx"}
    assert some < {command.name for command in LET_GO}
    for command in LET_GO:
        reply = client(*_words(command.name, command.arity))
        assert reply == refusal(command.name, right=command.name)
        assert b"(--let-go %b, or +%b for this user)" % (command.name, command.name) in reply
    others = [one for one in REFUSED if one.refused in (b"emptying", b"renaming", b"persisting")]
    assert len(others) == 6
    for command in others:
        assert client(*_words(command.name, command.arity)) == refusal(command.name, command.refused)
    assert client(b"GET", b"a") == bulk(b"1")
    assert client(b"TTL", b"a") == b":50\r\n"
    assert client(b"DBSIZE") == b":1\r\n"
    assert client.conn.refused_deletes == client.conn.node.stats.refused_deletes == len(LET_GO) + 6


@pytest.mark.parametrize("found", REFUSED, ids=lambda found: found.name.decode())
def test_arity_is_checked_first_and_the_connection_stays(client: Client, found: Command) -> None:
    words = _words(found.name, found.arity)
    if len(words) > 1 + found.name.count(b"|"):
        assert client(*words[:-1]) == b"-ERR wrong number of arguments for '%b' command\r\n" % found.name
    reply = client(*words)
    if found.refused == b"slots":
        assert reply == b"-ERR This instance has cluster support disabled\r\n"
    else:
        assert reply == refusal(found.name, found.refused)
        assert not reply.startswith(RETRIED_PREFIXES)
    assert client(b"PING") == b"+PONG\r\n"
    assert not client.conn.session.closing


def test_the_spelling_of_the_name_does_not_matter(client: Client) -> None:
    for name in (b"DEL", b"del", b"dEl"):
        assert client(name, b"a") == refusal(b"del")
    assert client(b"FlushAll", b"async") == refusal(b"flushall", b"emptying")


def test_scripts_and_other_types_say_what_serves_instead(client: Client) -> None:
    assert b"EVAL" in client(b"FCALL", b"f", b"0")
    assert client(b"FUNCTION", b"LIST").startswith(b"-NOPERM 'function' is refused by design")
    assert client(b"LPUSH", b"l", b"v") == refusal(b"lpush", b"type")
    assert client.conn.node.stats.refused_others == 3
    assert client.conn.refused_deletes == 0


def test_an_operator_gets_a_warning_for_the_first_of_each_kind_and_a_sum_each_minute(client: Client) -> None:
    rig = client.rig
    for _ in range(3):
        client(b"DEL", b"secret-key-of-a-user")
    client(b"CLIENT", b"SETNAME", b"django")
    client(b"UNLINK", b"secret-key-of-a-user")
    client.other()(b"FLUSHALL")
    told = [line for line, level in zip(rig.lines, rig.levels, strict=True) if level == 30]
    assert [line.split(" client=")[0] for line in told] == [
        "event=refused_command command=del client_name='' user='default'",
        "event=refused_command command=unlink client_name='django' user='default'",
        "event=refused_command command=flushall client_name='' user='default'",
    ]
    keyed = [line for line, level in zip(rig.lines, rig.levels, strict=True) if level == 10]
    assert len(keyed) == 4 and all(line.endswith("key='secret-key-of-a-'") for line in keyed)
    assert not any("secret" in line for line in told)
    rig.lines.clear()
    rig.levels.clear()
    sum_up(rig.node, rig.now_ms + SUMMARY_MS)
    assert rig.lines == ["event=refused_again command=del client_name='' user='default' times=2"] and rig.levels == [30]
    sum_up(rig.node, rig.now_ms + 2 * SUMMARY_MS)
    assert len(rig.lines) == 1, "nothing was refused since"


def test_many_kinds_are_summed_up_in_few_lines(client: Client) -> None:
    rig = client.rig
    for number in range(SUMMARY_LINES_MAX + 5):
        client(b"CLIENT", b"SETNAME", b"client-%d" % number)
        for _ in range(number + 2):
            client(b"DEL", b"a")
    rig.lines.clear()
    sum_up(rig.node, rig.now_ms + SUMMARY_MS)
    assert len(rig.lines) == SUMMARY_LINES_MAX + 1
    assert "client_name='client-14'" in rig.lines[0] and rig.lines[0].endswith("times=15")
    assert rig.lines[-1] == "event=refused_again command=others times=15"


def test_client_names_are_not_remembered_without_bound(client: Client) -> None:
    refusals = client.conn.node.stats.refusals
    for number in range(REFUSAL_KINDS_MAX + 20):
        client.conn.name = b"client-%d" % number
        client(b"DEL", b"a")
    assert len(refusals.kinds) == REFUSAL_KINDS_MAX + 1
    assert refusals.by_command() == {b"del": REFUSAL_KINDS_MAX + 20}
    assert refusals.by_client_name()[b"(others)"] == 20


def test_info_and_a_table_tell_what_was_refused(client: Client) -> None:
    for _ in range(2):
        client(b"DEL", b"a")
    client(b"CLIENT", b"SETNAME", b"a,b=c")
    client(b"FCALL", b"f", b"0")
    info = client(b"INFO", b"respram")
    assert b"refused_by_command:del=2,fcall=1\r\n" in info
    assert b"refused_by_client_name:unnamed=2,a_b_c=1\r\n" in info
    client(b"HELLO", b"3")
    assert client(b"RESPRAM", b"REFUSED").startswith(
        b"*2\r\n%4\r\n$7\r\ncommand\r\n$3\r\ndel\r\n$11\r\nclient_name\r\n$0\r\n\r\n"
        b"$4\r\nuser\r\n$7\r\ndefault\r\n$5\r\ntimes\r\n:2\r\n"
    )


def test_only_an_administrator_sees_the_refused_commands_of_others(client: Client) -> None:
    client(b"DEL", b"a")
    assert client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"~app:*", b"+@all", b"-@admin") == OK
    app = client.other()
    app(b"AUTH", b"app", b"x")
    assert app(b"RESPRAM", b"REFUSED").startswith(b"-NOPERM") and app(b"RESPRAM", b"STATE") == b"+ready\r\n"


def test_what_is_not_known_is_unknown_and_not_refused(client: Client) -> None:
    assert find(b"nosuch", b"") is None
    assert client(b"NOSUCH", b"a") == b"-ERR unknown command 'NOSUCH', with args beginning with: 'a' \r\n"
    assert client(b"SET", b"a", b"1") == OK
