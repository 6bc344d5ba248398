"""Which scripts are compiled to programs, and which are left to Lua.
What programs do is in tests/commands/test_programs.py.
"""

import pytest

from compat.oracle.families.scripts import LIBRARIES
from respram.program import REGISTERS_MAX, STEPS_MAX
from respram.scripting.compiler import LEVELS_MAX, TEXT_BYTES_MAX, compile_script


def test_names_comments_and_layout_make_no_difference() -> None:
    one = compile_script(b"if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return "
                         b"0 end")
    other = compile_script(
        b"""-- releases
        if redis.call("get",KEYS[1])==ARGV[1]--[[ mine? ]] then
            return redis.call("del",KEYS[1]);
        else
            return 0
        end"""
    )
    assert one is not None and one == other
    assert compile_script(b"local a = 1 return a") == compile_script(b"local longer=1 return longer")


def test_the_scripts_of_libraries_are_compiled() -> None:
    assert [name for name, text, *_ in LIBRARIES if compile_script(text) is None] == ["redis_rate: counter with bounds"]


@pytest.mark.parametrize(
    "text",
    [
        "local t = {} return 1", "return cjson.encode(1)", "x = 1", "return x", "local f = function() end return 1",
        "return redis.call('nosuch')",
        "return redis.call(ARGV[1])", "return redis.call('select', 1)", "return redis.call('eval', 'return 1', 0)",
        "return redis.call('nosuch2', KEYS[1], 1, 'a')",
        "local redis = 1 return redis.call('get', 'k')", "local KEYS = 1 return KEYS[1]", "local a, b = 1 return b",
        "return 1, 2",
        "while true do end", "repeat until true", "for i = 1, 10, 2 do end", "for k, v in pairs(KEYS) do end",
        "return {a = 1}", "return [[long]]",
        "return 0x10", "return 1e3", "return 2^3", "return ('x'):rep(3)", "return KEYS[1].x",
        "return redis.call('time')", "break",
        "return redis.call('get', KEYS[1])[1]", "return redis.call(unpack(ARGV))", "return '\\065'", "return 1 2",
        "local ipairs = 1",
        "return tonumber('10', 16)", "return math.huge", "return redis.error_reply('x')", "return redis.sha1hex('x')",
    ],
)  # fmt: skip
def test_all_else_is_luas(text: str) -> None:
    assert compile_script(text.encode()) is None


def test_a_program_is_bounded() -> None:
    many = " ".join(f"local a{number} = 1" for number in range(REGISTERS_MAX + 1))
    assert compile_script(many.encode()) is None
    assert compile_script(b"redis.call('get', KEYS[1]) " * STEPS_MAX) is None
    assert compile_script(b"return " + b"(" * LEVELS_MAX * 2 + b"1" + b")" * LEVELS_MAX * 2) is None
    assert compile_script(b"if true then " * 1000 + b"end " * 1000) is None
    assert compile_script(b"return 1 " + b" " * TEXT_BYTES_MAX) is None
    assert compile_script(b"return redis.call('mget'" + b", KEYS[1]" * 20 + b")") is None


@pytest.mark.parametrize(
    "text", ["", "return", "return;", "do end", "return {}", "return {1, 2,}", "return not not nil", "return -(-1)"]
)
def test_the_smallest_are_compiled(text: str) -> None:
    assert compile_script(text.encode()) is not None
