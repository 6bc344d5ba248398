"""`respram check`: what of a workload on Redis would be refused here, from INFO and from captures of MONITOR."""

import pytest

from respram.cli.workload import (
    DEFAULT_TTL,
    LET_GO,
    LINE_BYTES_MAX,
    NAMES_MAX,
    REFUSED,
    SERVED,
    UNKNOWN,
    is_clean,
    of_capture,
    of_info,
    report,
)


def line(*words: str, at: float = 1_700_000_000.5) -> bytes:
    return f"{at:.6f} [0 127.0.0.1:5000] ".encode() + b" ".join(b'"' + word.encode() + b'"' for word in words) + b"\n"


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (("get", "k"), SERVED),
        (("SET", "k", "v", "ex", "10", "NX"), SERVED),
        (("set", "k", "v", "KEEPTTL"), SERVED),
        (("set", "k", "v"), DEFAULT_TTL),
        (("set", "k", "EXAT", "PX", "1"), SERVED),
        (("set", "k", "EX"), DEFAULT_TTL),  # a value that looks like an option
        (("setnx", "k", "v"), DEFAULT_TTL),
        (("MSET", "a", "1", "b", "2"), DEFAULT_TTL),
        (("del", "k"), LET_GO),
        (("UNLINK", "k", "l"), LET_GO),
        (("flushall",), REFUSED),
        (("getex", "k", "persist"), REFUSED),
        (("getex", "k", "EX", "5"), SERVED),
        (("expire", "k", "0"), LET_GO),
        (("expire", "k", "-1"), LET_GO),
        (("expire", "k", "1"), SERVED),
        (("expireat", "k", "1700000000"), LET_GO),
        (("expireat", "k", "1700000001"), SERVED),
        (("pexpireat", "k", "1700000000500"), LET_GO),
        (("pexpireat", "k", "1700000000501"), SERVED),
        (("set", "k", "v", "exat", "1699999999"), LET_GO),
        (("set", "k", "v", "PXAT", "1700000000600"), SERVED),
        (("lpush", "l", "v"), REFUSED),
        (("eval", "return 1", "0"), SERVED),
        (("fcall", "f", "0"), REFUSED),
        (("cluster", "info"), SERVED),
        (("client", "setname", "x"), SERVED),
        (("json.set", "k", ".", "1"), UNKNOWN),
    ],
)
def test_each_command_is_judged_by_its_name_and_its_arguments(words: tuple[str, ...], verdict: str) -> None:
    found = of_capture([line(*words)])
    assert [one for _, one, _ in found.calls] == [verdict]
    assert found.lines_unread == 0
    assert is_clean(found) == (verdict in (SERVED, DEFAULT_TTL))


def test_escapes_of_monitor_are_undone_and_lines_of_others_are_counted() -> None:
    capture = [
        b"OK\n",
        b'1.000000 [0 lua] "s\\x65t" "k\\"\\\\\\n" "v" "E\\x58" "5"\n',
        b"# a comment\n",
        b"\n",
        b'1.0 [0 x] "get\n',
    ]
    found = of_capture(capture)
    assert dict(found.calls) == {("set", SERVED, ""): 1}
    assert found.lines_unread == 2


def test_a_line_that_is_too_long_is_counted_once_however_it_is_cut() -> None:
    long = line("set", "k", "x" * (LINE_BYTES_MAX + 10))
    pieces = [long[: LINE_BYTES_MAX + 1], long[LINE_BYTES_MAX + 1 :], line("get", "k")]
    found = of_capture(pieces)
    assert found.lines_unread == 1
    assert dict(found.calls) == {("get", SERVED, ""): 1}


def test_the_number_of_names_is_bounded() -> None:
    found = of_capture(line(f"made-up-{number}") for number in range(NAMES_MAX + 50))
    assert len(found.calls) == NAMES_MAX + 1
    assert found.total(UNKNOWN) == NAMES_MAX + 50


def test_info_is_counted_by_name_with_keys_that_have_no_ttl() -> None:
    text = (
        "# Commandstats\r\ncmdstat_get:calls=10,usec=5,usec_per_call=0.5\r\ncmdstat_del:calls=3,usec=1\r\n"
        "cmdstat_client|setname:calls=2,usec=1\r\ncmdstat_lpush:calls=5,usec=1\r\n# "
        "Keyspace\r\ndb0:keys=10,expires=4,avg_ttl=1\r\n"
        "db3:keys=5,expires=5,avg_ttl=1\r\n"
    )
    found = of_info(text)
    assert (found.total(SERVED), found.total(LET_GO), found.total(REFUSED), found.eternal_keys) == (12, 3, 5, 6)
    shown = report(found)
    assert "20 commands: 12 served" in shown and "5 refused (25.00 %)" in shown
    assert "keys without a TTL today: 6;" in shown
    assert "--let-go del   or, for one user: ACL SETUSER <name> +del\n" in shown
    assert shown.index("lpush") < shown.index("del ")  # the most frequent first


def test_scripts_are_counted_and_told_how_they_run() -> None:
    short = b'1700000000.000001 [0 127.0.0.1:1] "eval" "return redis.call(\'get\', KEYS[1])" "1" "k"\n'
    long = b'1700000000.000001 [0 127.0.0.1:1] "EVAL" "return cjson.encode({1})" "0"\n'
    found = report(of_capture([short, short, long, b'1700000000.000001 [0 lua] "get" "k"\n']))
    assert "3 calls of scripts: pip install 'respram[scripts]'" in found
    assert "of 2 different scripts 1 run without Lua" in found
    assert "2 calls of scripts: Lua is installed here" in report(of_capture([short, long]), has_lua=True)
    by_name = report(of_info("cmdstat_evalsha:calls=5,usec=1\r\n"))
    assert "5 calls of scripts" in by_name and "different scripts" not in by_name
