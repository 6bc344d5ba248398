"""Key patterns in the engines: both match as glob.py does, and neither looks for long."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from respram.catalog.hot import HOT, READ, WRITE, needs
from respram.engine import make
from respram.engine.api import Engine
from respram.engine.pure.guard import GUARD_STEPS_MAX
from respram.glob import GLOB_BYTES_MAX, glob_match, glob_steps
from tests import dear

from .conftest import ENGINES, PURE_ONLY
from .rig import NOW, SETTINGS, Cold, request

PIECES = [b"a", b"b", b"c", b"-", b"*", b"**", b"?", b"[", b"]", b"^", b"\\", b"[a-c]", b"[^b]", b"[c-a]", b"[\\]]",
          b"\xff", b"[\x01-\xfe]"]
PATTERN = st.lists(st.sampled_from(PIECES), max_size=9).map(b"".join)
TEXT = st.lists(st.sampled_from([b"a", b"b", b"c", b"-", b"]", b"*", b"\\", b"\x00", b"\xff"]),
                max_size=9).map(b"".join)


@pytest.mark.skipif(PURE_ONLY, reason="the native engine was not built")
@dear.sampled(400, 2_000, PATTERN, TEXT)
def test_the_native_engine_matches_as_the_other_does(pattern: bytes, text: bytes) -> None:
    from respram.engine.native import matches

    assert matches(pattern, text) == (glob_match(pattern, text), glob_steps(pattern, len(text)))


@pytest.mark.skipif(PURE_ONLY, reason="the native engine was not built")
def test_patterns_too_long_match_nothing_in_either() -> None:
    from respram.engine.native import matches

    for pattern, text in ((b"a" * GLOB_BYTES_MAX, b"a" * GLOB_BYTES_MAX), (b"a" * (GLOB_BYTES_MAX + 1),) * 2,
                          (b"*" * 20_000, b"x"), (b"x", b"")):
        assert matches(pattern, text) == (glob_match(pattern, text), glob_steps(pattern, len(text)))


def guarded(engine: Engine, patterns: dict[bytes, int]) -> Callable[..., bytes]:
    session = engine.session(Cold())
    session.hot = session.trusted = True
    session.guard = engine.guard(patterns)
    return lambda *argv: bytes(engine.feed(session, request(*argv), NOW))


def test_every_key_is_asked_for_with_the_rights_that_the_command_needs(engine: Engine) -> None:
    ask = guarded(engine, {b"rw:*": READ | WRITE, b"r:*": READ, b"w:*": WRITE, b"both": READ, b"bot?": WRITE})
    for fast in ((b"SET", b"rw:1", b"v"), (b"GET", b"r:1"), (b"MGET", b"r:1", b"rw:1"),
                 (b"EXISTS", b"w:1", b"r:1", b"rw:"),
                 (b"SETEX", b"w:1", b"9", b"v"), (b"MSET", b"w:1", b"r:1", b"rw:1", b"no"), (b"PING",), (b"DBSIZE",),
                 (b"GET", b"both")):  # fmt: skip
        assert ask(*fast) != b"+cold\r\n", fast
    for cold in ((b"SET", b"w:1", b"v"), (b"SET", b"r:1", b"v"), (b"GET", b"w:1"), (b"MGET", b"r:1", b"w:1"),
                 (b"MGET", b"r:1", b"other"),
                 (b"EXISTS", b"r:1", b"other"), (b"MSET", b"w:1", b"1", b"r:1", b"2"), (b"GET", b""),
                 (b"INCR", b"both")):  # fmt: skip
        assert ask(*cold) == b"+cold\r\n", cold


SOME = PATTERN | st.sampled_from([b"a*", b"ab*", b"*", b"b*", b"\\a*"])


@dear.sampled(
    60, 400, st.dictionaries(SOME, st.integers(0, READ | WRITE), max_size=4), st.lists(TEXT, min_size=1, max_size=3)
)
def test_a_guard_allows_what_its_patterns_match(patterns: dict[bytes, int], keys: list[bytes]) -> None:
    for name in ENGINES:
        ask = guarded(make(name, SETTINGS), patterns)
        for modes, words in ((READ, [b"MGET", *keys]), (WRITE, [b"MSET", *(w for key in keys for w in (key, b"v"))]),
                             (READ, [b"GET", keys[0]]), (0, [b"EXISTS", *keys])):
            asked = keys[:1] if words[0] == b"GET" else keys
            allowed = all(
                any(have & modes == modes and glob_match(pattern, key) for pattern, have in patterns.items())
                for key in asked
            )
            assert (ask(*words) != b"+cold\r\n") is allowed, (name, words, patterns)


def test_a_command_whose_keys_are_counted_is_left_to_the_commands(engine: Engine) -> None:
    counted = [command.name for command in HOT if command.key_specs and not command.first_key]
    ask = guarded(engine, {b"*": READ | WRITE, b"a*": READ | WRITE})
    for name in set(counted) - {b"eval", b"evalsha"}:
        assert ask(name, b"return 1", b"1", b"a") == b"+cold\r\n"


def test_a_search_that_takes_long_is_left_to_the_commands(engine: Engine) -> None:
    key = b"a" * 2_000
    assert guarded(engine, {b"*a*a*b": READ, b"a*": READ})(b"GET", key) == b"$-1\r\n"
    ask = guarded(engine, {b"*a*" + b"?" * 100 + b"*b": READ, b"a*": READ})
    assert glob_steps(b"*a*" + b"?" * 100 + b"*b", len(key)) > GUARD_STEPS_MAX
    assert ask(b"GET", key) == b"+cold\r\n" and ask(b"GET", b"a" * 200) == b"$-1\r\n"
    many = guarded(engine, {b"%d" % number * 20: READ for number in range(10, 1_000)} | {b"a*": READ})
    assert many(b"GET", b"a") == b"$-1\r\n"
    assert (
        guarded(engine, {b"%d" % number * 60: READ for number in range(10, 1_000)} | {b"a*": READ})(b"GET", b"a")
        == b"+cold\r\n"
    )
    assert guarded(engine, {})(b"GET", b"a") == b"+cold\r\n"


def test_a_session_keeps_its_guard_and_can_have_another(engine: Engine) -> None:
    session = engine.session(Cold())
    session.hot = session.trusted = True
    for pattern, wanted in ((b"k", b"$-1\r\n"), (b"x", b"+cold\r\n")) * 50:
        session.guard = engine.guard({pattern: READ})
        assert bytes(engine.feed(session, request(b"GET", b"k"), NOW)) == wanted
    session.guard = None
    assert bytes(engine.feed(session, request(b"GET", b"k"), NOW)) == b"$-1\r\n"


def test_what_a_fast_command_needs_is_in_the_table() -> None:
    needed = {command.name: needs(command) for command in HOT}
    assert (
        needed[b"get"] == READ
        and needed[b"set"] == READ | WRITE
        and needed[b"setex"] == WRITE
        and needed[b"exists"] == 0
    )
    assert needed[b"expire"] == WRITE and needed[b"incr"] == READ | WRITE and needed[b"ping"] == 0
    assert make("pure", SETTINGS).guard({}) is not None
