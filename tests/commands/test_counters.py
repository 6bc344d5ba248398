"""Counting: INCR and its kin, floats to the last digit, INCREX within its bounds and window."""

import pytest

from respram.commands.refusals import reason_of

from .rig import NOW, ONE, Client, Reference, array, bulk

REFUSED = b"-NOPERM 'increx' is refused by design: %b\r\n"
TOP, BOTTOM = b"9223372036854775807", b"-9223372036854775808"
NUMBERS = [
    b"0",
    b"1",
    b"-1",
    b"10",
    TOP,
    BOTTOM,
    b"9223372036854775808",
    b"",
    b"x",
    b" 1",
    b"1 ",
    b"+1",
    b"01",
    b"-0",
    b"1.0",
    b"1_0",
]
FLOATS = [
    b"0", b"0.1", b"0.2", b"3.0e3", b"-1e-3", b"1e17", b"1e-17", b"5e-18", b"1e-400", b"1e400", b"1e4932", b"1e4933",
    b"1e-4960", b"inf", b"-inf", b"nan", b"0x1.8p3", b".5", b"5.", b"1e", b" 1", b"", b"x", TOP, b"-0", b"1_0",
    b"18446744073709551615.5", b"123456789.123456789", b"0.30000000000000004",
]  # fmt: skip


def test_counting_is_as_in_redis(client: Client, reference: Reference) -> None:
    for old in NUMBERS:
        for step in NUMBERS:
            for words in (
                (b"INCRBY", b"a", step),
                (b"DECRBY", b"a", step),
                (b"INCR", b"a"),
                (b"DECR", b"a"),
                (b"GET", b"a"),
            ):
                if words[0] in (b"INCRBY", b"DECRBY"):
                    client(b"SET", b"a", old)
                    reference(b"SET", b"a", old)
                assert client(*words) == reference(*words), (old, words)


def test_floats_are_added_as_in_redis(client: Client, reference: Reference) -> None:
    for old in FLOATS:
        for step in FLOATS:
            client(b"SET", b"a", old)
            reference(b"SET", b"a", old)
            assert client(b"INCRBYFLOAT", b"a", step) == reference(b"INCRBYFLOAT", b"a", step), (old, step)
            assert client(b"GET", b"a") == reference(b"GET", b"a")


def test_floats_add_without_the_noise_of_doubles(client: Client) -> None:
    client(b"SET", b"a", b"0.1")
    assert client(b"INCRBYFLOAT", b"a", b"0.2") == bulk(b"0.3")
    assert client(b"INCRBYFLOAT", b"new", b"5.0e3") == bulk(b"5000")
    assert client(b"TTL", b"new") == b":3600\r\n"


def test_a_counter_that_would_overflow_keeps_its_value(client: Client) -> None:
    client(b"SET", b"a", TOP)
    assert client(b"INCR", b"a") == b"-ERR increment or decrement would overflow\r\n"
    assert client(b"DECRBY", b"a", BOTTOM) == b"-ERR decrement would overflow\r\n"
    assert client(b"GET", b"a") == bulk(TOP)


def test_increx_is_a_limiter_of_fixed_windows(client: Client) -> None:
    words = (b"INCREX", b"calls", b"BYINT", b"1", b"UBOUND", b"3", b"EX", b"60", b"ENX")
    for number in (1, 2, 3):
        assert client(*words) == array(b":%d\r\n" % number, ONE)
        client.advance(1_000)
    assert client(*words) == array(b":3\r\n", b":0\r\n")
    assert client(b"PTTL", b"calls") == b":57000\r\n"  # neither counting nor refusal moved the window
    client.advance(57_000)
    assert client(*words) == array(ONE, ONE)
    assert client(b"PTTL", b"calls") == b":60000\r\n"


@pytest.mark.parametrize(
    ("old", "options", "expected", "stored"),
    [
        (b"5", b"", (6, 1), b"6"),
        (b"5", b"BYINT -10", (-5, -10), b"-5"),
        (b"5", b"UBOUND 5", (5, 0), b"5"),
        (b"5", b"UBOUND 5 SATURATE", (5, 0), b"5"),
        (b"5", b"BYINT 10 UBOUND 7 saturate", (7, 2), b"7"),
        (b"5", b"byint -10 lbound 0", (5, 0), b"5"),
        (b"5", b"BYINT -10 LBOUND 0 SATURATE", (0, -5), b"0"),
        (b"9", b"UBOUND 5 SATURATE", (5, -4), b"5"),
        (TOP, b"", (int(TOP), 0), TOP),
        (TOP, b"SATURATE", (int(TOP), 0), TOP),
    ],
)
def test_increx_stays_within_its_bounds(
    client: Client, old: bytes, options: bytes, expected: tuple[int, int], stored: bytes
) -> None:
    client(b"SET", b"a", old, b"EX", b"50")
    reply = client(b"INCREX", b"a", *(options.split(b" ") if options else ()))
    assert reply == array(b":%d\r\n" % expected[0], b":%d\r\n" % expected[1])
    assert client(b"GET", b"a") == bulk(stored)
    assert client(b"TTL", b"a") == b":50\r\n"


def test_increx_counts_in_floats(client: Client) -> None:
    client(b"SET", b"a", b"1.5")
    assert client(b"INCREX", b"a", b"BYFLOAT", b"0.25") == array(bulk(b"1.75"), bulk(b"0.25"))
    assert client(b"INCREX", b"a", b"BYFLOAT", b"5", b"UBOUND", b"2") == array(bulk(b"1.75"), bulk(b"0"))
    assert client(b"INCREX", b"a", b"BYFLOAT", b"5", b"UBOUND", b"2", b"SATURATE") == array(bulk(b"2"), bulk(b"0.25"))
    client(b"HELLO", b"3")
    assert client(b"INCREX", b"a", b"BYFLOAT", b"0.1") == array(b",2.1\r\n", b",0.1\r\n")
    assert client(b"INCREX", b"a", b"BYINT", b"1") == b"-ERR value is not an integer or out of range\r\n"


def test_increx_sets_keeps_and_renews_its_window(client: Client) -> None:
    client(b"INCREX", b"a")
    assert client(b"TTL", b"a") == b":3600\r\n"
    client(b"INCREX", b"a", b"EX", b"10", b"ENX")  # the default TTL is none of its own
    assert client(b"TTL", b"a") == b":10\r\n"
    client(b"INCREX", b"a", b"EX", b"20", b"ENX")
    assert client(b"TTL", b"a") == b":10\r\n"
    client(b"INCREX", b"a", b"EX", b"20")
    assert client(b"TTL", b"a") == b":20\r\n"
    client(b"INCREX", b"a", b"PXAT", b"%d" % (NOW + 7))
    assert client(b"PTTL", b"a") == b":7\r\n"
    assert client(b"GET", b"a") == bulk(b"5")


@pytest.mark.parametrize(
    ("options", "reply"),
    [
        (b"FOO", b"-ERR syntax error\r\n"),
        (b"BYINT", b"-ERR syntax error\r\n"),
        (b"BYINT 1 BYFLOAT 1", b"-ERR syntax error\r\n"),
        (b"EX 1 PX 1", b"-ERR syntax error\r\n"),
        (b"PERSIST EX 1", b"-ERR syntax error\r\n"),
        (b"BYINT x", b"-ERR value is not an integer or out of range\r\n"),
        (b"LBOUND 1.5", b"-ERR value is not an integer or out of range\r\n"),
        (b"BYFLOAT x", b"-ERR value is not a valid float\r\n"),
        (b"BYFLOAT inf", b"-ERR increment would produce NaN or Infinity\r\n"),
        (b"LBOUND 5 UBOUND 4", b"-ERR LBOUND must be less than or equal to UBOUND\r\n"),
        (b"ENX", b"-ERR ENX requires one of EX, PX, EXAT or PXAT\r\n"),
        (b"PERSIST ENX", b"-ERR ENX requires one of EX, PX, EXAT or PXAT\r\n"),
        (b"EX 0", b"-ERR invalid expire time in 'increx' command\r\n"),
        (b"EX x", b"-ERR value is not an integer or out of range\r\n"),
        (b"PERSIST", REFUSED % reason_of(b"persisting")),
        (b"PXAT 1", REFUSED % reason_of(b"delete")),
        (b"BYINT %b UBOUND %b LBOUND -5 SATURATE" % (BOTTOM, TOP), b"*2\r\n:-5\r\n:-7\r\n"),
    ],
)
def test_a_wrong_increx_is_told_and_changes_nothing(client: Client, options: bytes, reply: bytes) -> None:
    client(b"SET", b"a", b"2", b"EX", b"50")
    assert client(b"INCREX", b"a", *options.split(b" ")) == reply
    assert client(b"TTL", b"a") == b":50\r\n"
    if reply.startswith(b"-"):
        assert client(b"GET", b"a") == bulk(b"2")


def test_an_applied_step_beyond_64_bits_is_an_overflow(client: Client) -> None:
    client(b"SET", b"a", TOP)
    assert client(b"INCREX", b"a", b"UBOUND", b"-2", b"SATURATE") == b"-ERR increment or decrement would overflow\r\n"
    assert client(b"GET", b"a") == bulk(TOP)


def test_increx_counts_only_what_is_missing_or_only_what_is_there(client: Client) -> None:
    assert (
        client(b"INCREX", b"a", b"XX", b"EX", b"50") == b"*2\r\n$-1\r\n:0\r\n" and client(b"EXISTS", b"a") == b":0\r\n"
    )
    assert client(b"INCREX", b"a", b"XX", b"BYFLOAT", b"1.5") == b"*2\r\n$-1\r\n$1\r\n0\r\n"
    assert client(b"INCREX", b"a", b"nx", b"BYINT", b"5", b"EX", b"50") == b"*2\r\n:5\r\n:5\r\n"
    assert client(b"INCREX", b"a", b"NX", b"EX", b"90") == b"*2\r\n:5\r\n:0\r\n" and client(b"TTL", b"a") == b":50\r\n"
    assert client(b"INCREX", b"a", b"XX") == b"*2\r\n:6\r\n:1\r\n"
    assert client(b"INCREX", b"a", b"XX", b"NX") == b"-ERR syntax error\r\n"
    client(b"HELLO", b"3")
    assert client(b"INCREX", b"b", b"XX", b"BYFLOAT", b"1") == b"*2\r\n_\r\n,0\r\n"
