"""CLIENT and its subcommands, tracking apart."""

import re

import pytest

from respram.commands.connection import CLIENT_NAME_BYTES_MAX

from .rig import NIL, OK, ONE, ZERO, Client, Reference, bulk

FIELDS_7_2 = (
    "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll "
    "omem "
    "tot-mem events cmd user redir resp lib-name lib-ver"
)


@pytest.mark.parametrize(
    "line",
    [
        "CLIENT", "CLIENT GETNAME", "CLIENT SETNAME ab", "CLIENT LIST TYPE foo", "CLIENT LIST TYPE master",
        "CLIENT LIST ID 998 999", "CLIENT LIST ID x", "CLIENT LIST ID", "CLIENT LIST FOO", "CLIENT REPLY FOO",
        "CLIENT REPLY ON", "CLIENT KILL", "CLIENT KILL 1.2.3.4:5", "CLIENT KILL ID 9999", "CLIENT KILL ID x",
        "CLIENT KILL ID x FOO", "CLIENT KILL ID 0", "CLIENT KILL TYPE foo", "CLIENT KILL USER foo",
        "CLIENT KILL USER default SKIPME foo", "CLIENT KILL ADDR 1.2.3.4:5", "CLIENT KILL LADDR 1.2.3.4:5",
        "CLIENT KILL ADDR", "CLIENT KILL FOO x", "CLIENT PAUSE x", "CLIENT PAUSE -1", "CLIENT PAUSE 1 FOO",
        "CLIENT PAUSE 1 ALL x", "CLIENT UNPAUSE", "CLIENT NO-EVICT on",
        "CLIENT NO-EVICT foo", "CLIENT UNBLOCK 99", "CLIENT UNBLOCK x", "CLIENT UNBLOCK 1 FOO",
        "CLIENT UNBLOCK 1 ERROR",
        "CLIENT FOO", "CLIENT ID x", "CLIENT MAINT_NOTIFICATIONS ON",
    ],
)  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, line: str) -> None:
    words = line.encode().split()
    reference(b"RESET")
    assert client(*words) == reference(*words)


def test_names_are_set_shown_and_taken_back(client: Client) -> None:
    assert client(b"CLIENT", b"SETNAME", b"worker-1") == OK
    assert client(b"CLIENT", b"GETNAME") == bulk(b"worker-1")
    refused = b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
    for name in (b"a b", b"a\n", b"\xff", b"\x7f"):
        assert client(b"CLIENT", b"SETNAME", name) == refused
    assert client(b"CLIENT", b"GETNAME") == bulk(b"worker-1")
    assert client(b"CLIENT", b"SETNAME", b"") == OK
    assert client(b"CLIENT", b"GETNAME") == NIL
    assert client(b"CLIENT", b"SETNAME", b"n" * CLIENT_NAME_BYTES_MAX) == OK
    assert client(b"CLIENT", b"SETNAME", b"n" * (CLIENT_NAME_BYTES_MAX + 1)).startswith(b"-ERR Client names may have")


def test_setinfo_comes_in_any_case_and_shows_in_the_list(client: Client) -> None:
    assert client(b"CLIENT", b"SETINFO", b"lib-ver", b"1.2") == OK
    assert client(b"CLIENT", b"SETINFO", b"LIB-NAME", b"redis-py") == OK
    assert client(b"CLIENT", b"INFO").endswith(b"lib-name=redis-py lib-ver=1.2\n\r\n")
    assert client(b"CLIENT", b"SETINFO", b"foo", b"x") == b"-ERR Unrecognized option 'foo'\r\n"
    assert (
        client(b"CLIENT", b"SETINFO", b"Lib-Name", b"a b")
        == b"-ERR Lib-Name cannot contain spaces, newlines or special characters.\r\n"
    )
    assert client(b"CLIENT", b"SETINFO", b"lib-name", b"") == OK
    assert b" lib-name= lib-ver=1.2\n" in client(b"CLIENT", b"INFO")


def test_a_line_has_the_fields_of_redis_in_order(client: Client, reference: Reference) -> None:
    line = client(b"CLIENT", b"INFO").split(b"\r\n")[1].decode()
    names = re.findall(r"([a-z-]+)=", line)
    assert " ".join(names) == FIELDS_7_2
    theirs = reference(b"CLIENT", b"INFO").split(b"\r\n")[1].decode()
    assert names[: len(re.findall(r"([a-z-]+)=", theirs))] == re.findall(r"([a-z-]+)=", theirs)
    assert f"id={client.conn.id} addr=127.0.0.1:" in line and " cmd=client|info user=default " in line


def test_the_list_tells_age_idleness_and_what_a_client_is_doing(client: Client) -> None:
    subscriber, queueing = client.other(), client.other()
    subscriber(b"SUBSCRIBE", b"a", b"b")
    subscriber(b"PSUBSCRIBE", b"p*")
    queueing(b"MULTI")
    queueing(b"GET", b"x")
    client.advance(3500)
    lines = client(b"CLIENT", b"LIST").split(b"\r\n", 1)[1].splitlines()
    assert len(lines) == 4 and lines[3] == b""
    assert b" age=3 idle=0 flags=N " in lines[0]
    assert b" age=3 idle=3 flags=P db=0 sub=2 psub=1 ssub=0 " in lines[1]
    assert b" flags=x " in lines[2] and b" multi=1 " in lines[2]
    assert client(b"CLIENT", b"LIST", b"TYPE", b"PubSub").count(b"\n") == 3
    numbers = (b"%d" % subscriber.conn.id, b"%d" % client.conn.id)
    chosen = client(b"CLIENT", b"LIST", b"ID", *numbers)
    assert [line.split()[0] for line in chosen.splitlines()[1:3]] == [b"id=" + number for number in numbers]


def test_the_list_is_verbatim_text_in_resp3(client: Client) -> None:
    client(b"HELLO", b"3")
    assert client(b"CLIENT", b"LIST").startswith(b"=") and b"\r\ntxt:id=" in client(b"CLIENT", b"INFO")


def test_kill_spares_the_caller_unless_told_otherwise(client: Client) -> None:
    first, second = client.other(), client.other()
    assert client(b"CLIENT", b"KILL", b"TYPE", b"normal") == b":2\r\n"
    assert first.line.closed and second.line.closed and not client.conn.session.closing
    assert client(b"CLIENT", b"KILL", b"ID", b"%d" % client.conn.id, b"SKIPME", b"no") == ONE
    assert client.conn.session.closing and not client.line.closed  # its reply must get out first


def test_kill_by_address_answers_ok_in_the_old_form(client: Client) -> None:
    other = client.other()
    assert client(b"CLIENT", b"KILL", other.conn.address) == OK
    assert other.line.closed
    subscriber = client.other()
    subscriber(b"SUBSCRIBE", b"a")
    assert client(b"CLIENT", b"KILL", b"TYPE", b"pubsub", b"ADDR", other.conn.address) == ZERO
    assert client(b"CLIENT", b"KILL", b"TYPE", b"pubsub", b"LADDR", b"127.0.0.1:6379") == ONE
    assert subscriber.line.closed


def test_a_second_pause_neither_shortens_nor_loosens_the_first(client: Client) -> None:
    node = client.rig.node
    client(b"CLIENT", b"PAUSE", b"1000", b"ALL")
    client(b"CLIENT", b"PAUSE", b"10", b"WRITE")
    assert node.pause.until_ms == client.rig.now_ms + 1000 and not node.pause.writes_only
    client.advance(1001)
    client(b"CLIENT", b"PAUSE", b"10", b"WRITE")
    assert node.pause.writes_only


def test_a_pause_beyond_time_itself_is_refused(client: Client) -> None:
    text = b"-ERR timeout is out of range\r\n"
    assert client(b"CLIENT", b"PAUSE", b"9223372036854775807") == text
    assert client(b"GET", b"a") == NIL


def test_reply_off_skip_and_on(client: Client) -> None:
    assert client(b"CLIENT", b"REPLY", b"SKIP") == b""
    assert client(b"SET", b"a", b"1") == b""
    assert client(b"GET", b"a") == bulk(b"1")
    assert client(b"CLIENT", b"REPLY", b"OFF") == b""
    assert client(b"SET", b"a", b"2") == b""
    assert client(b"NOSUCH") == b""
    assert client(b"CLIENT", b"REPLY", b"SKIP") == b""
    assert client(b"CLIENT", b"REPLY", b"ON") == OK
    assert client(b"GET", b"a") == bulk(b"2")
    pipelined = b"CLIENT REPLY SKIP\r\nPING\r\nECHO x\r\n"
    assert client.raw(pipelined) == bulk(b"x")


def test_unblock_ends_the_wait_of_another_client_only(client: Client) -> None:
    other = client.other()
    number = b"%d" % other.conn.id
    assert client(b"CLIENT", b"UNBLOCK", number) == ZERO
    client(b"CLIENT", b"PAUSE", b"50")
    other(b"GET", b"a")
    assert other.conn.session.suspended
    assert client(b"CLIENT", b"UNBLOCK", number) == ZERO  # a pause is no blocking command
    other.conn.last_command = b"wait"
    assert client(b"CLIENT", b"UNBLOCK", number, b"ERROR") == ONE
    assert other.line.woken == 1 and other.conn.unblocked == b"error"


def test_switches_are_noted_and_shown(client: Client) -> None:
    assert client(b"CLIENT", b"NO-TOUCH", b"on") == OK
    assert client(b"CLIENT", b"NO-EVICT", b"ON") == OK
    assert b" flags=eT " in client(b"CLIENT", b"INFO")
    assert client(b"CLIENT", b"NO-TOUCH", b"off") == OK
    assert b" flags=e " in client(b"CLIENT", b"INFO")
    assert client(b"CLIENT", b"NO-TOUCH", b"x") == b"-ERR syntax error\r\n"


def test_ids_grow_and_help_is_an_array_of_lines(client: Client) -> None:
    assert client(b"CLIENT", b"ID") == b":%d\r\n" % client.conn.id
    assert client.other().conn.id == client.conn.id + 1
    assert client(b"CLIENT", b"HELP").count(b"\r\n+") > 10


def test_a_batch_of_a_handshake_is_answered_one_by_one(client: Client) -> None:
    batch = b"CLIENT SETINFO LIB-NAME x\r\nCLIENT SETNAME y\r\nCLIENT NOSUCH\r\nCLIENT GETNAME\r\n"
    replies = client.raw(batch)
    assert replies == OK + OK + b"-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n" + bulk(b"y")
