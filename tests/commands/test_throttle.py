"""CL.THROTTLE: a bucket that refills steadily, against a model in exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..engine.conftest import ENGINES
from .rig import Client, Rig


def reply(*numbers: int) -> bytes:
    return b"*5\r\n" + b"".join(b":%d\r\n" % number for number in numbers)


def test_a_burst_goes_through_and_then_the_rate(client: Client) -> None:
    """2 above the first at once, then one every 2 seconds."""
    for left in (2, 1, 0):
        assert client(b"CL.THROTTLE", b"a", b"2", b"30", b"60") == reply(0, 3, left, -1, 2 * (3 - left))
    assert client(b"CL.THROTTLE", b"a", b"2", b"30", b"60") == reply(1, 3, 0, 2, 6)
    client.advance(1_999)
    assert client(b"cl.throttle", b"a", b"2", b"30", b"60") == reply(1, 3, 0, 1, 5)
    client.advance(1)
    assert client(b"cl.throttle", b"a", b"2", b"30", b"60") == reply(0, 3, 0, -1, 6)


def test_a_limiter_lives_until_it_is_full_again(client: Client) -> None:
    client(b"CL.THROTTLE", b"a", b"9", b"10", b"60", b"4")
    assert client(b"PTTL", b"a") == b":24000\r\n" and client(b"TYPE", b"a") == b"+string\r\n"
    client.advance(23_999)
    assert client(b"EXISTS", b"a") == b":1\r\n"
    client.advance(1)
    assert client(b"EXISTS", b"a") == b":0\r\n"
    assert client(b"CL.THROTTLE", b"a", b"9", b"10", b"60") == reply(0, 10, 9, -1, 6)


def test_who_is_refused_writes_nothing(client: Client) -> None:
    client(b"CL.THROTTLE", b"a", b"0", b"1", b"60")
    client.advance(10_000)
    before = client(b"GET", b"a"), client(b"PTTL", b"a")
    assert client(b"CL.THROTTLE", b"a", b"0", b"1", b"60") == reply(1, 1, 0, 50, 50)
    assert (client(b"GET", b"a"), client(b"PTTL", b"a")) == before


def test_a_quantity_of_zero_looks_and_writes_nothing(client: Client) -> None:
    assert client(b"CL.THROTTLE", b"a", b"4", b"5", b"10", b"0") == reply(0, 5, 5, -1, 0) and client(b"EXISTS",
                                                                                                     b"a") == b":0\r\n"
    client(b"CL.THROTTLE", b"a", b"4", b"5", b"10", b"3")
    assert client(b"CL.THROTTLE", b"a", b"4", b"5", b"10", b"0") == reply(0, 5, 2, -1, 6)


def test_what_costs_more_than_the_bucket_holds_is_never_let_through(client: Client) -> None:
    assert client(b"CL.THROTTLE", b"a", b"1", b"1", b"1", b"3") == reply(1, 2, 2, -1, 0) and client(b"EXISTS",
                                                                                                    b"a") == b":0\r\n"
    assert client(b"CL.THROTTLE", b"a", b"1", b"1", b"1", b"2") == reply(0, 2, 0, -1, 2)


NOT_AN_INTEGER = b"-ERR value is not an integer or out of range\r\n"
NEGATIVE = b"-ERR burst and quantity must not be negative\r\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (b"1 1", b"-ERR wrong number of arguments for 'cl.throttle' command\r\n"),
        (b"1 1 1 1 1", b"-ERR wrong number of arguments for 'cl.throttle' command\r\n"),
        (b"x 1 1", NOT_AN_INTEGER), (b"1 1.5 1", NOT_AN_INTEGER), (b"1 1 1 9223372036854775808", NOT_AN_INTEGER),
        (b"-1 1 1", NEGATIVE), (b"1 1 1 -1", NEGATIVE),
        (b"1 0 1", b"-ERR Zero rates are not supported\r\n"), (b"1 1 0", b"-ERR Zero rates are not supported\r\n"),
        (b"1 1000000001 1", b"-ERR Zero rates are not supported\r\n"),
        (b"1 -5 1", b"-ERR Zero rates are not supported\r\n"),
        (b"1 1 9223372036854775807",
         b"-ERR the limit takes more than 2678400000 ms to refill, and no key lives longer\r\n"),
        (b"9223372036854775807 9 9",
         b"-ERR the limit takes more than 2678400000 ms to refill, and no key lives longer\r\n"),
    ],
)  # fmt: skip
def test_a_wrong_limit_is_told_and_writes_nothing(client: Client, words: bytes, error: bytes) -> None:
    assert client(b"CL.THROTTLE", b"a", *words.split(b" ")) == error and client(b"EXISTS", b"a") == b":0\r\n"


def test_a_key_that_holds_something_else_is_an_error_and_survives(client: Client) -> None:
    client(b"SET", b"a", b"text", b"EX", b"50")
    assert client(b"CL.THROTTLE", b"a", b"1", b"1", b"1") == NOT_AN_INTEGER and client(b"GET",
                                                                                       b"a") == b"$4\r\ntext\r\n"


@pytest.mark.parametrize("engine", ENGINES)
@given(
    burst=st.integers(0, 20), count=st.integers(1, 50), period=st.integers(1, 120),
    actions=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 8)), max_size=30),
)  # fmt: skip
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_more_goes_through_than_a_bucket_lets(
    engine: str, burst: int, count: int, period: int, actions: list[tuple[int, int]]
) -> None:
    """The model is a bucket of tokens, filled at the rate. An interval of whole nanoseconds is at most 1 shorter than
    the exact one, so the command may let through a little more than the model, never less; both agree but on that edge.
    """
    client = Rig(ENGINES[engine]).connect()
    tokens, edge = Fraction(burst + 1), Fraction(1, 10**6)
    for after_ms, quantity in actions:
        client.advance(after_ms)
        tokens = min(Fraction(burst + 1), tokens + Fraction(after_ms * count, period * 1000))
        words = (b"%d" % number for number in (burst, count, period, quantity))
        limited, limit, left, retry_s, reset_s = (
            int(line[1:]) for line in client(b"CL.THROTTLE", b"a", *words).split(b"\r\n")[1:-1]
        )
        if limited:
            assert tokens < quantity
        else:
            assert tokens > quantity - edge
            tokens -= quantity
        assert limit == burst + 1 and tokens - 1 <= left <= tokens + edge
        assert (retry_s == -1) == (not limited or quantity > limit)
        assert reset_s == 0 or (reset_s - 1) * count <= (burst + 1 - tokens) * period + count * edge
