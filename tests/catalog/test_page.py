"""The command table: complete, found by name, and telling what a real server tells."""

import re
from pathlib import Path

import pytest

from respram.catalog import COMMANDS, everything, find
from respram.catalog.entry import parse_entries
from respram.catalog.page import page

PAGE = Path(__file__).parent.parent.parent / "docs" / "commands.md"
# In the order in which backends need them; a command that falls out of the catalog falls out here.
NEEDED = """
    set get multi exec discard watch unwatch mget setex psetex setnx mset msetnx exists scan keys expire pexpire
    expireat pexpireat incr decr incrby decrby ttl pttl info getex publish subscribe unsubscribe psubscribe
    punsubscribe pubsub command config dbsize type strlen memory time slowlog latency role wait module append
    getrange substr setrange getset incrbyfloat expiretime pexpiretime touch object randomkey copy setbit getbit
    bitcount bitpos bitop client hello auth select ping echo quit reset shutdown msetex increx
"""


def test_what_clients_need_is_served() -> None:
    assert not set(NEEDED.encode().split()) - COMMANDS.keys()


def test_find_knows_containers_subcommands_and_plain_commands() -> None:
    client_id = find(b"client", b"id")
    assert client_id is not None and client_id.name == b"client|id"
    assert find(b"client", b"nosuch") is None
    container = find(b"client", b"")
    assert container is not None and container.name == b"client"
    plain = find(b"get", b"anything")
    assert plain is not None and plain.name == b"get"
    assert find(b"nosuch", b"") is None


def test_refused_commands_are_found_but_not_listed() -> None:
    for name in (b"move", b"flushall", b"fcall", b"lpush", b"monitor"):
        command = find(name, b"")
        assert command is not None and command.refused
        assert name not in COMMANDS
    loading = find(b"module", b"load")
    assert loading is not None and loading.refused == b"modules"


def test_writing_commands_say_so() -> None:
    growing = {name for name, command in COMMANDS.items() if command.grows}
    assert {b"set", b"append", b"incr", b"setbit", b"msetex", b"copy"} <= growing
    assert not {b"get", b"expire", b"ttl", b"publish"} & growing
    assert all(command.writes for command in COMMANDS.values() if command.grows)


def test_arity_counts_the_name() -> None:
    get, setting = COMMANDS[b"get"], COMMANDS[b"set"]
    assert get.takes(2) and not get.takes(1) and not get.takes(3)
    assert setting.takes(3) and setting.takes(9) and not setting.takes(2)


def test_an_entry_is_read_from_its_notation() -> None:
    text = """
try -3 write,fast string 1.2.3 string 1/2/1
  is Tries something
    that takes two lines
  costs O(1)
  tip careful
  keys 1 range 1 1 0 RW,access with a note
  since 1.2.4 Added `X`.
  args key:key#0 mode:oneof?@1.2.4( on:=ON off:=OFF!2.0 ) rest:string=REST+
try|sub 2 - - 1.2.3 string -
  is A subcommand
"""
    entry = parse_entries(text)[b"try"]
    assert (entry.arity, entry.first_key, entry.last_key, entry.key_step) == (-3, 1, 2, 1)
    assert entry.categories == (b"@write", b"@string", b"@fast")
    assert entry.summary == b"Tries something that takes two lines"
    assert entry.key_specs[0].flags == (b"RW", b"access") and entry.key_specs[0].notes == b"with a note"
    assert entry.history == ((b"1.2.4", b"Added `X`."),)
    key, mode, rest = entry.arguments
    assert key.key_spec == 0 and mode.flags == (b"optional",) and mode.since == b"1.2.4"
    assert [inner.token for inner in mode.inner] == [b"ON", b"OFF"] and mode.inner[1].deprecated == b"2.0"
    assert rest.token == b"REST" and rest.flags == (b"multiple_token",)
    assert [sub.name for sub in entry.subcommands] == [b"try|sub"]


@pytest.mark.parametrize("arguments", ["x:oneof( a:=A", "a:=A )", "nocolon"])
def test_a_broken_entry_is_not_swallowed(arguments: str) -> None:
    with pytest.raises(AssertionError):
        parse_entries(f"try 1 - - 1.0.0 string -\n  is It\n  args {arguments}\n")


def test_the_page_of_commands_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m respram.catalog.page > docs/commands.md"


def test_the_page_names_every_command() -> None:
    text = page()
    for command in everything():
        if not command.subcommands:
            name = command.name.decode().upper().replace("|", " ")
            assert re.search(rf"`{re.escape(name)}[` ]", text), name
