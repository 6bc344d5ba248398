"""COMMAND: each shared command tells what a real server tells, byte for byte; what is refused is not shown."""

import pytest

from respram.catalog import COMMANDS, Command

from .rig import Client, Reference, array, bulk, request

# Their documentation differs because they do.
OWN_DOCS = {b"hscan", b"rename", b"renamenx", b"set", b"shutdown", b"del", b"getdel", b"unlink"}
# These are not in Redis 7.0.
NEWER = {
    b"bf.add", b"bf.card", b"bf.exists", b"bf.info", b"bf.insert", b"bf.madd", b"bf.mexists", b"bf.reserve",
    b"cl.throttle", b"delex", b"delifeq", b"digest", b"msetex", b"increx", b"client|setinfo", b"client|no-touch",
    b"hexpire", b"hexpireat", b"hexpiretime", b"hpexpire", b"hpexpireat", b"hpexpiretime", b"hpttl", b"httl", b"hgetex",
    b"hsetex",
    b"hgetdel",
}  # fmt: skip


def _shared() -> list[Command]:
    found: list[Command] = []
    for command in COMMANDS.values():
        if command.group != b"cluster" and not command.name.startswith(b"respram"):
            found += command.subcommands or (command,)
    return [command for command in found if command.name not in NEWER]


GIVEN = (b"+del", b"+unlink", b"+getdel", b"+shutdown", b"+hdel", b"+srem", b"+spop", b"+smove")


@pytest.mark.parametrize("hello", [b"2", b"3"])
def test_facts_of_shared_commands_equal_those_of_redis(client: Client, reference: Reference, hello: bytes) -> None:
    client(b"HELLO", hello)
    reference(b"HELLO", hello)
    shared = _shared()
    client(b"ACL", b"SETUSER", b"default", *(b"+" + command.name for command in shared if command.by_name))
    assert len(shared) > 100
    for command in shared:
        words = (b"COMMAND", b"INFO", command.name)
        assert client(*words) == reference(*words), command.name
        if command.name not in OWN_DOCS:
            words = (b"COMMAND", b"DOCS", command.name)
            assert client(*words) == reference(*words), command.name


@pytest.mark.parametrize(
    "words",
    [
        b"GET a",
        b"MSET a 1 b 2",
        b"MSET a 1 b",
        b"BITOP AND d a b",
        b"BITOP AND d",
        b"OBJECT ENCODING a",
        b"OBJECT NOSUCH a",
        b"NOSUCH a",
        b"SET a b",
        b"SET a b GET",
        b"COPY a b REPLACE",
        b"PING x",
        b"PING",
        b"MEMORY USAGE k",
        b"WATCH a b c",
        b"CLIENT ID",
        b"SCAN 0",
    ],
)
def test_keys_are_found_as_in_redis(client: Client, reference: Reference, words: bytes) -> None:
    for subcommand in (b"GETKEYS", b"GETKEYSANDFLAGS"):
        argv = (b"COMMAND", subcommand, *words.split(b" "))
        assert client(*argv) == reference(*argv)


def test_keys_of_newer_commands_are_found(client: Client) -> None:
    assert client(b"COMMAND", b"GETKEYS", b"MSETEX", b"2", b"a", b"1", b"b", b"2", b"EX", b"9") == array(
        bulk(b"a"), bulk(b"b")
    )
    invalid = b"-ERR Invalid arguments specified for command\r\n"
    for count in (b"0", b"-1", b"x", b"3", b"9223372036854775807"):
        assert client(b"COMMAND", b"GETKEYS", b"MSETEX", count, b"a", b"1", b"b", b"2") == invalid
    reading = client(b"COMMAND", b"GETKEYSANDFLAGS", b"SET", b"a", b"b", b"IFEQ", b"c")
    assert b"+RW\r\n" in reading and b"+access\r\n" in reading


def test_what_is_refused_is_not_shown(client: Client) -> None:
    assert client(b"COMMAND", b"INFO", b"del", b"get")[:9] == b"*2\r\n$-1\r\n"
    assert client(b"COMMAND", b"DOCS", b"flushall") == b"*0\r\n"
    assert client(b"COMMAND", b"GETKEYS", b"DEL", b"a") == b"-ERR Invalid command specified\r\n"
    assert b"\r\nlpush\r\n" not in client(b"COMMAND", b"LIST")


def test_what_a_user_was_given_by_name_is_shown_to_it(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"default", b"+del")
    assert client(b"COMMAND", b"GETKEYS", b"DEL", b"a", b"b") == array(bulk(b"a"), bulk(b"b"))
    assert b"\r\ndel\r\n" in client(b"COMMAND", b"LIST") and b"\r\nunlink\r\n" not in client(b"COMMAND", b"LIST")


def test_counting_listing_and_telling_all_agree(client: Client) -> None:
    count = int(client(b"COMMAND", b"COUNT")[1:-2])
    assert count == len([command for command in COMMANDS.values() if not command.by_name]) < len(COMMANDS)
    for reply in (client(b"COMMAND"), client(b"COMMAND", b"INFO"), client(b"COMMAND", b"LIST")):
        assert reply.startswith(b"*%d\r\n" % count)
    assert client(b"COMMAND", b"DOCS").startswith(b"*%d\r\n" % (2 * count))


def test_lists_are_filtered(client: Client, reference: Reference) -> None:
    def names(reply: bytes) -> list[bytes]:
        return sorted(reply.split(b"\r\n")[2::2])

    category = (b"COMMAND", b"LIST", b"FILTERBY", b"ACLCAT", b"transaction")
    assert (
        names(client(*category)) == names(reference(*category)) == [b"discard", b"exec", b"multi", b"unwatch", b"watch"]
    )
    assert names(client(b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", b"OBJECT*")) == names(
        reference(b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", b"OBJECT*")
    )
    for odd in (
        (b"ACLCAT", b"nosuch"),
        (b"ACLCAT", b"@transaction"),
        (b"MODULE", b"x"),
        (b"NOSUCH", b"x"),
        (b"MODULE",),
    ):
        words = (b"COMMAND", b"LIST", b"FILTERBY", *odd)
        assert client(*words) == reference(*words)


def test_unknown_subcommands_and_wrong_counts_are_told_as_in_redis(client: Client, reference: Reference) -> None:
    for words in ((b"FOO",), (b"COUNT", b"1"), (b"GETKEYS",), (b"GETKEYS", b"GET"), (b"GETKEYSANDFLAGS",)):
        assert client(b"COMMAND", *words) == reference(b"COMMAND", *words)


def test_one_batch_is_answered_in_order(client: Client) -> None:
    batch = request(b"COMMAND", b"COUNT") + request(b"GET", b"a") + request(b"COMMAND", b"INFO", b"nosuch")
    assert client.raw(batch) == b":%d\r\n$-1\r\n*1\r\n$-1\r\n" % len(
        [one for one in COMMANDS.values() if not one.by_name]
    )


def test_help_is_a_list_of_lines(client: Client) -> None:
    assert client(b"COMMAND", b"HELP").startswith(b"*17\r\n+COMMAND <subcommand>")
