"""Return statements keep the frame of the function that they end."""

import pytest

from respram.scripting.tails import keep_tails

KEPT = b"return __redis__all(1, "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"return redis.call('get', KEYS[1])", KEPT + b"redis.call('get', KEYS[1]))"),
        (b"if x then return f(1) else return g{2} end return (h 'x')",
         b"if x then " + KEPT + b"f(1)) else " + KEPT + b"g{2}) end " + KEPT + b"(h 'x'))"),
        (b"return f(function() return g() end)", KEPT + b"f(function() " + KEPT + b"g()) end))"),
        (b"return -- a note\n f(x) -- another\n", KEPT + b"-- a note\n f(x)) -- another\n"),
        (b"return f [==[ return g() ]] ]==] end", KEPT + b"f [==[ return g() ]] ]==]) end"),
        (b"repeat return f() until g()", b"repeat " + KEPT + b"f()) until g()"),
        (b"return x:y(1);", KEPT + b"x:y(1));"),
        (b"return f[1](a, b)", KEPT + b"f[1](a, b))"),
    ],
)  # fmt: skip
def test_a_call_at_the_end_is_no_tail_call_any_more(text: bytes, expected: bytes) -> None:
    assert keep_tails(text) == expected


@pytest.mark.parametrize(
    "text",
    [b"return 1", b"return {f()}", b"return f(), 2", b"return x", b"return x:y(1)[2]", b"return",
     b"local s = 'return f()'",
     b"-- return f()\nlocal x", b"--[[ return f() ]] local x", b"return [[ return f() ]]"],
)  # fmt: skip
def test_what_is_no_call_alone_stays_as_it_is(text: bytes) -> None:
    assert keep_tails(text) == text


@pytest.mark.parametrize(
    "text", [b"return f(", b"return 'x", b"return [[x", b"]] return )", b"end end return", b"\0return f()\xff"]
)
def test_what_is_no_lua_breaks_nothing(text: bytes) -> None:
    assert isinstance(keep_tails(text), bytes)
