"""The rules by which replies may differ: each lets pass what it stands for, and nothing beside it."""

import re
from pathlib import Path

import pytest

from compat.oracle.resp import NotReplyError, cut, parse
from compat.oracle.rules import DEFAULT_TTL_MS, MAX_TTL_MS, RULES, SLACK_MS, Case, documented, rule_for

DOCUMENT = Path(__file__).parents[2] / "compat/differences.md"
NOW_MS = 1_800_000_000_000


def case(command: str, expected: bytes, got: bytes) -> Case:
    return Case(tuple(command.encode().split()), parse(expected), parse(got), NOW_MS, NOW_MS + 5000)


def hello(version: bytes, proto: int, number: int) -> bytes:
    return b"*6\r\n$7\r\nversion\r\n$%d\r\n%b\r\n$5\r\nproto\r\n:%d\r\n$2\r\nid\r\n:%d\r\n" % (len(version), version,
                                                                                               proto, number)


def line(**fields: str) -> bytes:
    known = {"id": "1", "name": "", "flags": "N", "db": "0", "sub": "0", "psub": "0", "multi": "-1", "events": "r",
             "cmd": "client|info",
             "user": "default", "redir": "-1", "resp": "2"}  # fmt: skip
    text = " ".join(f"{name}={value}" for name, value in (known | fields).items()).encode() + b"\n"
    return b"$%d\r\n%b\r\n" % (len(text), text)


def strings(*texts: bytes) -> bytes:
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts)


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


ENTRY = b"*10\r\n$6\r\nobject\r\n:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n%b"
SLOW = b"*1\r\n*6\r\n:1\r\n:%d\r\n:9\r\n%b$1\r\na\r\n$0\r\n\r\n"
SERVER = bulk(
    b"# Server\r\nredis_version:7\r\nredis_mode:standalone\r\nprocess_id:1\r\ntcp_port:1\r\nuptime_in_seconds:1\r\n"
)

PASSES = [  # the rule, a command, what Redis said, what respram said
    ("clock", "ttl k", b":100\r\n", b":99\r\n"),
    ("clock", "pttl k", b":100000\r\n", b":98000\r\n"),
    ("clock", "expiretime k", b":%d\r\n" % (NOW_MS // 1000 + 100), b":%d\r\n" % (NOW_MS // 1000 + 105)),
    ("clock", "time", strings(b"1800000000", b"1"), strings(b"1800000005", b"2")),
    ("clock", "object idletime k", b":0\r\n", b":1\r\n"),
    ("default-ttl", "ttl k", b":-1\r\n", b":3600\r\n"),
    ("default-ttl", "pexpiretime k", b":-1\r\n", b":%d\r\n" % (NOW_MS + 5000 + DEFAULT_TTL_MS)),
    ("max-ttl", "pttl k", b":%d\r\n" % (MAX_TTL_MS * 3), b":%d\r\n" % MAX_TTL_MS),
    ("iteration-order", "keys *", strings(b"a", b"b"), strings(b"b", b"a")),
    ("iteration-order", "scan 0", b"*2\r\n$1\r\n0\r\n" + strings(b"a", b"b"),
     b"*2\r\n$1\r\n0\r\n" + strings(b"b", b"a")),
    ("iteration-order", "config get a b", strings(b"a", b"1", b"b", b"2"), strings(b"b", b"2", b"a", b"1")),
    ("iteration-order", "command info object", b"*1\r\n" + ENTRY % strings(b"a", b"b"),
     b"*1\r\n" + ENTRY % strings(b"b", b"a")),
    ("iteration-order", "command docs x", b"%1\r\n+x\r\n%1\r\n+subcommands\r\n%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n",
     b"%1\r\n+x\r\n%1\r\n+subcommands\r\n%2\r\n+b\r\n:2\r\n+a\r\n:1\r\n"),
    ("identity", "client id", b":7\r\n", b":9\r\n"),
    ("identity", "hello", hello(b"7.0.15", 2, 3), hello(b"7.2.4", 2, 9)),
    ("identity", "client trackinginfo", b"%1\r\n+redirect\r\n:5\r\n", b"%1\r\n+redirect\r\n:6\r\n"),
    ("client-lines", "client info", line(id="4"), line(id="5", **{"lib-name": ""})),
    ("newer-texts", "hello 3", b"-NOAUTH otherwise the HELLO AUTH x\r\n",
     b"-NOAUTH otherwise the HELLO <proto> AUTH x\r\n"),
    ("newer-commands", "command list", strings(b"get", b"del"), strings(b"get", b"increx")),
    ("newer-commands", "command docs set", b"%1\r\n+set\r\n%2\r\n+since\r\n+1\r\n+history\r\n*0\r\n",
     b"%1\r\n+set\r\n%2\r\n+since\r\n+1\r\n+history\r\n*1\r\n+x\r\n"),
    ("own-limits", "config set timeout -1", b"-ERR x - argument must be between 0 and 9 inclusive\r\n",
     b"-ERR x - argument must be between 0 and 5 inclusive\r\n"),
    ("refused-containers", "script nosuch", b"-ERR unknown subcommand 'nosuch'. Try SCRIPT HELP.\r\n",
     b"-NOPERM 'script' is refused by design: why\r\n"),
    ("help-texts", "client help", b"*4\r\n+CLIENT x\r\n+a\r\n+HELP\r\n+b\r\n",
     b"*5\r\n+CLIENT x\r\n+z\r\n+y\r\n+HELP\r\n+c\r\n"),
    ("object-encoding", "object encoding k", bulk(b"raw"), bulk(b"embstr")),
    ("object-encoding", "object refcount k", b":1\r\n", b":2147483647\r\n"),
    ("own-numbers", "memory usage k", b":56\r\n", b":99\r\n"),
    ("own-numbers", "info server", SERVER, SERVER.replace(b"tcp_port:1", b"tcp_port:2")),
    ("own-numbers", "memory doctor", bulk(b"Hi Sam"), bulk(b"fine")),
    ("slow-log-words", "slowlog get", SLOW % (1, strings(b"set", b"k", b"secret")),
     SLOW % (2, strings(b"set", b"k", b"(6 bytes)"))),
]  # fmt: skip

FAILS = [
    ("clock", "ttl k", b":100\r\n", b":%d\r\n" % (100 - SLACK_MS // 1000 - 1)),
    ("clock", "ttl k", b":100\r\n", b":-2\r\n"),
    ("clock", "pexpiretime k", b":%d\r\n" % (NOW_MS + 90_000), b":%d\r\n" % (NOW_MS + 90_001)),
    ("clock", "time", strings(b"1800000000", b"1"), strings(b"1800000009", b"2")),
    ("clock", "time", strings(b"1800000000", b"1"), strings(b"1800000005", b"x")),
    ("clock", "object idletime k", b":0\r\n", b":9\r\n"),
    ("default-ttl", "ttl k", b":-1\r\n", b":3000\r\n"),
    ("default-ttl", "ttl k", b":-1\r\n", b":-2\r\n"),
    ("default-ttl", "get k", b":-1\r\n", b":3600\r\n"),
    ("max-ttl", "pttl k", b":%d\r\n" % (MAX_TTL_MS - 9000), b":%d\r\n" % MAX_TTL_MS),
    ("max-ttl", "pttl k", b":%d\r\n" % (MAX_TTL_MS * 3), b":%d\r\n" % (MAX_TTL_MS // 2)),
    ("iteration-order", "keys *", strings(b"a", b"b"), strings(b"b", b"c")),
    ("iteration-order", "keys *", strings(b"a", b"b"), strings(b"a", b"b", b"b")),
    ("iteration-order", "mget a b", strings(b"a", b"b"), strings(b"b", b"a")),
    ("iteration-order", "scan 0", b"*2\r\n$1\r\n0\r\n" + strings(b"a"), b"*2\r\n$1\r\n5\r\n" + strings(b"a")),
    ("iteration-order", "config get a b", strings(b"a", b"1", b"b", b"2"), strings(b"a", b"2", b"b", b"1")),
    ("iteration-order", "command info object", b"*1\r\n" + ENTRY % strings(b"a", b"b"),
    b"*1\r\n" + ENTRY.replace(b":-2", b":-3") % strings(b"b", b"a")),
    ("iteration-order", "command docs x", b"%1\r\n+x\r\n%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n",
     b"%1\r\n+x\r\n%2\r\n+b\r\n:2\r\n+a\r\n:1\r\n"),
    ("identity", "client id", b":7\r\n", b":0\r\n"),
    ("identity", "client id", b":7\r\n", b"$1\r\n7\r\n"),
    ("identity", "hello", hello(b"7.0.15", 2, 3), hello(b"7.2.4", 3, 9)),
    ("identity", "hello", hello(b"7.0.15", 2, 3), hello(b"6.2.4", 2, 9)),
    ("identity", "client trackinginfo", b"%1\r\n+redirect\r\n:5\r\n", b"%1\r\n+redirect\r\n:-1\r\n"),
    ("client-lines", "client info", line(), line(db="3")),
    ("client-lines", "client info", line(), line(cmd="get")),
    ("client-lines", "client info", line(), line(extra="1")),
    ("newer-texts", "hello 3", b"-NOAUTH otherwise the HELLO AUTH x\r\n",
     b"-NOAUTH otherwise the HELLO <proto> AUTH y\r\n"),
    ("newer-commands", "command list", strings(b"get", b"del"), strings(b"get", b"invented")),
    ("newer-commands", "command docs get", b"%1\r\n+get\r\n%1\r\n+history\r\n*0\r\n",
     b"%1\r\n+get\r\n%1\r\n+history\r\n*1\r\n+x\r\n"),
    ("own-limits", "config set timeout x", b"-ERR x - argument couldn't be parsed into an integer\r\n",
     b"-ERR x - argument must be between 0 and 5 inclusive\r\n"),
    ("refused-containers", "script nosuch", b"-ERR unknown subcommand 'nosuch'. Try SCRIPT HELP.\r\n",
     b"-ERR unknown command\r\n"),
    ("refused-containers", "script load x", b"$1\r\nx\r\n", b"-NOPERM 'script' is refused by design: why\r\n"),
    ("help-texts", "client help", b"*4\r\n+CLIENT x\r\n+a\r\n+HELP\r\n+b\r\n",
     b"*4\r\n+CLIENT y\r\n+a\r\n+HELP\r\n+b\r\n"),
    ("help-texts", "client help", b"*4\r\n+CLIENT x\r\n+a\r\n+HELP\r\n+b\r\n",
     b"*4\r\n+CLIENT x\r\n+a\r\n+HELP\r\n$1\r\nb\r\n"),
    ("object-encoding", "object encoding k", bulk(b"raw"), bulk(b"listpack")),
    ("object-encoding", "object refcount k", b":1\r\n", b":2\r\n"),
    ("own-numbers", "memory usage k", b":56\r\n", b":0\r\n"),
    ("own-numbers", "info server", SERVER, SERVER.replace(b"process_id", b"process_iq")),
    ("own-numbers", "memory doctor", b"=10\r\ntxt:Hi Sam\r\n", bulk(b"fine")),
    ("slow-log-words", "slowlog get", SLOW % (1, strings(b"set", b"k")), SLOW % (2, strings(b"get", b"k"))),
    ("slow-log-words", "slowlog get", SLOW % (1, strings(b"set", b"k")), b"*0\r\n"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "command", "expected", "got"), PASSES)
def test_a_rule_lets_its_own_difference_pass(rule: str, command: str, expected: bytes, got: bytes) -> None:
    assert expected != got
    assert rule_for(case(command, expected, got)) == rule


@pytest.mark.parametrize(("rule", "command", "expected", "got"), FAILS)
def test_no_rule_lets_anything_else_pass(rule: str, command: str, expected: bytes, got: bytes) -> None:
    assert expected != got
    assert rule_for(case(command, expected, got)) is None


def test_every_rule_has_a_case_that_passes_and_one_that_fails() -> None:
    ids = {rule.id for rule in RULES}
    assert ids == {one[0] for one in PASSES} == {one[0] for one in FAILS}


def test_every_difference_by_design_has_its_section_and_every_section_its_difference() -> None:
    sections = re.findall(r"^## (.+)$", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(sections) == documented()
    for text in DOCUMENT.read_text().split("\n## ")[1:]:
        assert len(text.split("\n", 1)[1].strip()) > 80, f"no reason is given for {text.splitlines()[0]}"


def test_replies_are_cut_wherever_the_bytes_are_cut() -> None:
    replies = [
        b"+OK\r\n",
        b"$3\r\na\r\n\r\n",
        b"*2\r\n:1\r\n*1\r\n$-1\r\n",
        b"%1\r\n+a\r\n~1\r\n,1.5\r\n",
        b"_\r\n",
        b"=5\r\ntxt:x\r\n",
        b"*-1\r\n",
        b">1\r\n+m\r\n",
    ]
    data = b"".join(replies)
    assert cut(data) == (replies, b"")
    for at in range(len(data)):
        frames, rest = cut(data[:at])
        more, empty = cut(rest + data[at:])
        assert (frames + more, empty) == (replies, b"")


@pytest.mark.parametrize("data", [b"hello\r\n", b"$x\r\n", b"$1\r\nabc\r\n", b"*1\r\n?\r\n", b"\r\n"])
def test_what_is_no_reply_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NotReplyError):
        cut(data)


def test_two_slow_playings_may_lie_further_apart_in_time_and_no_further() -> None:
    words, expected = (b"ttl", b"k"), parse(b":2000012\r\n")
    slow = Case(words, expected, parse(b":2000009\r\n"), NOW_MS, NOW_MS + 3_000, 4_000)
    assert rule_for(slow) == "clock"
    assert rule_for(slow._replace(slack_ms=SLACK_MS)) is None
    assert rule_for(slow._replace(got=parse(b":2000007\r\n"))) is None
