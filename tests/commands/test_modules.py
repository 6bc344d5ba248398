"""BF.* and CL.THROTTLE beside what the documents and sources of RedisBloom 8 and redis-cell 0.5 say of them.

Neither runs here, so what they answer is written down. Where respram answers otherwise by design, its answer stands
behind theirs, with the reason.
"""

import pytest

from .rig import OK, Client, bulk

NOT_AN_INTEGER = b"-ERR value is not an integer or out of range\r\n"
SAME = None


def lines(text: str) -> list[bytes]:
    return [line.strip().encode() for line in text.split(";")]


def said(text: str) -> bytes:
    return text.encode() + b"\r\n"


# -- redis-cell ------------------------------------------------------------------------------------------
def five(*numbers: int) -> bytes:
    return b"*5\r\n" + b"".join(b":%d\r\n" % number for number in numbers)


def test_the_example_of_redis_cells_readme(client: Client) -> None:
    assert client(b"CL.THROTTLE", b"user123", b"15", b"30", b"60") == five(0, 16, 15, -1, 2)
    client.advance(60_000)
    assert client(b"CL.THROTTLE", b"user123", b"15", b"30", b"60", b"1") == five(0, 16, 15, -1, 2)


# of its own test of the algorithm: milliseconds since the start, quantity, and then limited, remaining, retry after and
# reset after in milliseconds, which the command rounds up to whole seconds; -1: none
CASES = (
    (0, 6, 1, 5, -1, 0), (0, 1, 0, 4, -1, 1000), (0, 1, 0, 3, -1, 2000), (0, 1, 0, 2, -1, 3000),
    (0, 1, 0, 1, -1, 4000), (0, 1, 0, 0, -1, 5000), (0, 1, 1, 0, 1000, 5000), (3000, 1, 0, 2, -1, 3000),
    (3100, 1, 0, 1, -1, 3900), (4000, 1, 0, 1, -1, 4000), (8000, 1, 0, 4, -1, 1000), (9500, 1, 0, 4, -1, 1000),
    (9500, 0, 0, 4, -1, 1000), (9500, 2, 0, 2, -1, 3000), (9500, 5, 1, 2, 3000, 3000),
)  # fmt: skip


def test_the_cases_of_redis_cells_own_test(client: Client) -> None:
    """A limit of 5, one a second."""
    at = 0
    for after_ms, quantity, limited, left, retry_ms, reset_ms in CASES:
        client.advance(after_ms - at)
        at = after_ms
        wanted = five(limited, 5, left, -1 if retry_ms < 0 else -(-retry_ms // 1000), -(-reset_ms // 1000))
        assert client(b"CL.THROTTLE", b"foo", b"4", b"1", b"1", b"%d" % quantity) == wanted, (after_ms, quantity)


@pytest.mark.parametrize(
    ("line", "theirs", "ours"),
    [
        # with Redis's words for a wrong number of arguments and for what is no integer
        ("CL.THROTTLE k 1 1",
         "-Cell error: Usage: cl.throttle <key> <max_burst> <count per period> <period> [<quantity>]",
         "-ERR wrong number of arguments for 'cl.throttle' command"),
        ("CL.THROTTLE k x 1 1", "-Cell error: Couldn't parse as integer: x",
         "-ERR value is not an integer or out of range"),
        ("CL.THROTTLE k 1 1 0", "-Cell error: Zero rates are not supported", "-ERR Zero rates are not supported"),
        # a negative quantity gives tokens back there, and a negative burst is a bucket that lets nothing through
        ("CL.THROTTLE k 1 1 1 -1", "*5", "-ERR burst and quantity must not be negative"),
        ("CL.THROTTLE k -1 1 1", "*5", "-ERR burst and quantity must not be negative"),
    ],
)  # fmt: skip
def test_wrong_words_of_cl_throttle(client: Client, line: str, theirs: str, ours: str) -> None:
    assert theirs != ours and client(*line.encode().split()) == said(ours)


# -- RedisBloom ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "theirs", "ours"),
    [
        ("BF.ADD f item1; BF.EXISTS f item1; BF.EXISTS f item2", ":1 :1 :0", SAME),
        ("BF.MADD f item1 item2 item2", "*3 :1 :1 :0", SAME),
        ("BF.MADD f a b; BF.MEXISTS f a b c", "*2 :1 :1 *3 :1 :1 :0", SAME),
        ("BF.EXISTS none a; BF.MEXISTS none a b; BF.CARD none; BF.INFO none",
         ":0 *2 :0 :0 :0 -ERR not found", SAME),
        ("BF.ADD f a; BF.CARD f", ":1 :1", SAME),
        ("BF.RESERVE f 0.01 1000; BF.RESERVE f 0.01 1000", "+OK -ERR item exists", SAME),
        ("BF.RESERVE f 0.01 1000 EXPANSION 2; BF.INFO f EXPANSION", "+OK *1 :2", SAME),
        ("BF.RESERVE f 0.01 1000 NONSCALING; BF.INFO f EXPANSION", "+OK *1 $-1", SAME),
        ("BF.RESERVE f 0.01 1000 EXPANSION 0; BF.INFO f EXPANSION", "+OK *1 $-1", SAME),
        ("BF.RESERVE f 0.01 1000 NONSCALING EXPANSION 0; BF.INFO f EXPANSION", "+OK *1 $-1", SAME),
        ("BF.INSERT f EXPANSION 0 ITEMS a; BF.INFO f EXPANSION", "*1 :1 *1 $-1", SAME),
        ("BF.INSERT f NONSCALING EXPANSION 2 ITEMS a; BF.INFO f EXPANSION", "*1 :1 *1 $-1", SAME),
        ("BF.INSERT f ITEMS foo bar baz; BF.CARD f", "*3 :1 :1 :1 :3", SAME),
        ("BF.INSERT f CAPACITY 10000 ITEMS hello; BF.INFO f CAPACITY", "*1 :1 *1 :10000", SAME),
        ("BF.INSERT f NOCREATE ITEMS foo bar", "-ERR not found", SAME),
        # the documents call it an error, the source does not
        ("BF.INSERT f NOCREATE CAPACITY 10 ITEMS foo", "-ERR not found", SAME),
        ("BF.ADD f a; BF.INSERT f CAPACITY 10000 ERROR 0.1 ITEMS b; BF.INFO f CAPACITY", ":1 *1 :1 *1 :100", SAME),
        ("BF.INSERT f items items", "*1 :1", SAME),
        ("BF.RESERVE f 0.01 2 NONSCALING; BF.MADD f a b c d", "+OK *3 :1 :1 -ERR non scaling filter is full", SAME),
        ("BF.RESERVE f x 10", "-ERR bad error rate", SAME),
        ("BF.RESERVE f 1 10", "-ERR error rate must be in the range (0.000000, 1.000000)", SAME),
        ("BF.RESERVE f 0.5 10; BF.INFO f CAPACITY", "+OK *1 :10", SAME),
        ("BF.RESERVE f 0.1 x", "-ERR bad capacity", SAME),
        ("BF.RESERVE f 0.1 10 EXPANSION", "-ERR no expansion", SAME),
        ("BF.RESERVE f 0.1 10 EXPANSION x", "-ERR bad expansion", SAME),
        ("BF.RESERVE f 0.1 10 EXPANSION 32769", "-ERR expansion must be in the range [0, 32768]", SAME),
        ("BF.RESERVE f 0.1", "-ERR wrong number of arguments for 'bf.reserve' command", SAME),
        ("BF.INSERT f ITEMS", "-ERR wrong number of arguments for 'bf.insert' command", SAME),
        ("BF.INSERT f CAPACITY 10", "-ERR wrong number of arguments for 'bf.insert' command", SAME),
        ("BF.ADD f a b", "-ERR wrong number of arguments for 'bf.add' command", SAME),
        ("BF.EXISTS f", "-ERR wrong number of arguments for 'bf.exists' command", SAME),
        ("SET f v; BF.ADD f a; BF.CARD f; BF.INFO f; BF.RESERVE f 0.1 10",
         "+OK" + " -WRONGTYPE Operation against a key holding the wrong kind of value" * 4, SAME),
        # its documents promise an error, and its source answers 0
        ("SET f v; BF.EXISTS f a", "+OK :0", "+OK -WRONGTYPE Operation against a key holding the wrong kind of value"),
        # a filter has at most 4,194,304 items in its first link here
        ("BF.RESERVE f 0.1 0", "-ERR capacity must be in the range [1, 1073741824]",
         "-ERR capacity must be in the range [1, 4194304]"),
        # every error has a code here, and says as much as BF.RESERVE's
        ("BF.RESERVE f 0.1 10 NONSCALING EXPANSION 2", "-Nonscaling filters cannot expand",
         "-ERR Nonscaling filters cannot expand"),
        ("BF.INSERT f ERROR x ITEMS a", "-Bad error rate", "-ERR bad error rate"),
        ("BF.INSERT f ERROR 1 ITEMS a", "-Bad error rate",
         "-ERR error rate must be in the range (0.000000, 1.000000)"),
        ("BF.INSERT f CAPACITY x ITEMS a", "-Bad capacity", "-ERR bad capacity"),
        ("BF.INSERT f EXPANSION x ITEMS a", "-Bad expansion", "-ERR bad expansion"),
        ("BF.INSERT f FOO ITEMS a", "-Unknown argument received", "-ERR Unknown argument received"),
        ("BF.ADD f a; BF.INFO f x", ":1 -Invalid information value", ":1 -ERR Invalid information value"),
        # a word that BF.RESERVE does not know is a mistake, and it has more words here
        ("BF.RESERVE f 0.1 10 FOO", "+OK", "-ERR Unknown argument received"),
    ],
)  # fmt: skip
def test_replies_of_redisbloom(client: Client, text: str, theirs: str, ours: str | None) -> None:
    replies = b" ".join(client(*line.split()).replace(b"\r\n", b" ").strip() for line in lines(text))
    assert replies.decode() == (theirs if ours is SAME else ours)


def test_the_information_of_a_filter_is_named_by_simple_strings(client: Client) -> None:
    client(b"BF.ADD", b"f", b"item")
    names = (b"+Capacity", b"+Size", b"+Number of filters", b"+Number of items inserted", b"+Expansion rate")
    assert tuple(client(b"BF.INFO", b"f").split(b"\r\n")[1:-1:2]) == names
    client(b"HELLO", b"3")
    reply = client(b"BF.INFO", b"f").split(b"\r\n")
    assert reply[0] == b"%5" and tuple(reply[1:-1:2]) == names


def test_a_filter_is_not_dumped_or_loaded_by_chunks(client: Client) -> None:
    """The layout is another, and its items have an age; COPY, peers and snapshots hold a filter."""
    client(b"BF.ADD", b"f", b"item")
    why = b"-NOPERM '%b' is refused by design: a filter has another layout than RedisBloom's, and its items expire; " \
          b"copy it with COPY\r\n"  # fmt: skip
    assert client(b"BF.SCANDUMP", b"f", b"0") == why % b"bf.scandump"
    assert client(b"BF.LOADCHUNK", b"f", b"1", b"data") == why % b"bf.loadchunk"
    assert client(b"COPY", b"f", b"g") == b":1\r\n" and client(b"BF.EXISTS", b"g", b"item") == b":1\r\n"
    assert client(b"BF.ADD", b"g", b"other") == b":1\r\n" and client(b"BF.EXISTS", b"f", b"other") == b":0\r\n"
    assert client(b"SET", b"s", b"v") == OK and client(b"GET", b"s") == bulk(b"v")
