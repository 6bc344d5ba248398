"""What is refused, in which words, and that nothing changes by it."""

import pytest

from respram.catalog import Command, everything, find
from respram.commands.refusals import REASONS, REFUSAL_NAMES_MAX

from .rig import OK, Client, bulk

DELETE = b"-NOPERM '%b' is refused by design: keys leave when their TTL ends; overwrite with a shorter TTL to let go earlier\r\n"
REFUSED = [command for command in everything() if command.refused]
RETRIED_PREFIXES = (b"-NOSCRIPT", b"-READONLY", b"-LOADING", b"-MOVED", b"-TRYAGAIN", b"-CLUSTERDOWN", b"-ERR")


def _words(name: bytes, arity: int) -> list[bytes]:
    words = name.upper().split(b"|")
    return words + [b"a"] * (abs(arity) - len(words))


def test_deletes_are_refused_and_the_key_survives(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"50")
    deletes = [command for command in REFUSED if command.refused == b"delete"]
    assert len(deletes) == 15
    for command in deletes:
        assert client(*_words(command.name, command.arity)) == DELETE % command.name
    assert client(b"GET", b"a") == bulk(b"1")
    assert client(b"TTL", b"a") == b":50\r\n"
    assert client(b"DBSIZE") == b":1\r\n"
    assert client.conn.refused_deletes == client.conn.node.stats.refused_deletes == 15


@pytest.mark.parametrize("found", REFUSED, ids=lambda found: found.name.decode())
def test_arity_is_checked_first_and_the_connection_stays(client: Client, found: Command) -> None:
    words = _words(found.name, found.arity)
    if len(words) > 1 + found.name.count(b"|"):
        assert client(*words[:-1]) == b"-ERR wrong number of arguments for '%b' command\r\n" % found.name
    reply = client(*words)
    if found.refused == b"cluster":
        assert reply == b"-ERR This instance has cluster support disabled\r\n"
    else:
        assert reply == b"-NOPERM '%b' is refused by design: %b\r\n" % (found.name, REASONS[found.refused])
        assert not reply.startswith(RETRIED_PREFIXES)
    assert client(b"PING") == b"+PONG\r\n"
    assert not client.conn.session.closing


def test_the_spelling_of_the_name_does_not_matter(client: Client) -> None:
    for name in (b"DEL", b"del", b"dEl"):
        assert client(name, b"a") == DELETE % b"del"
    assert client(b"FlushAll", b"async") == DELETE % b"flushall"


def test_scripts_and_other_types_say_what_serves_instead(client: Client) -> None:
    assert b"IFEQ" in client(b"EVAL", b"return 1", b"0")
    assert client(b"EVALSHA", b"f" * 40, b"0").startswith(b"-NOPERM 'evalsha' is refused by design")
    assert client(b"HSET", b"h", b"f", b"v") == b"-NOPERM 'hset' is refused by design: respram stores strings only\r\n"
    assert client.conn.node.stats.refused_others == 3
    assert client.conn.refused_deletes == 0


def test_an_operator_gets_one_line_for_each_client_name(client: Client) -> None:
    for _ in range(3):
        client(b"DEL", b"secret-key")
    client(b"CLIENT", b"SETNAME", b"django")
    client(b"UNLINK", b"secret-key")
    other = client.other()
    other(b"FLUSHALL")
    lines = [line for line in client.rig.lines if "refused_delete" in line]
    assert len(lines) == 2
    assert "client_name='django'" in lines[1] and "command=unlink" in lines[1]
    assert not any("secret-key" in line for line in lines)


def test_names_are_not_remembered_without_bound(client: Client) -> None:
    client.conn.node.refusals_logged.update(b"%d" % number for number in range(REFUSAL_NAMES_MAX))
    client(b"DEL", b"a")
    assert len(client.conn.node.refusals_logged) == REFUSAL_NAMES_MAX
    assert not client.rig.lines


def test_what_is_not_known_is_unknown_and_not_refused(client: Client) -> None:
    assert find(b"nosuch", b"") is None
    assert client(b"NOSUCH", b"a") == b"-ERR unknown command 'NOSUCH', with args beginning with: 'a' \r\n"
    assert client(b"SET", b"a", b"1") == OK
