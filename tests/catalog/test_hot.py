"""The one table: both engines, the header for C and the catalog say the same of every hot command."""

from pathlib import Path

import pytest

from respram.catalog import COMMANDS, everything
from respram.catalog.hot import HOT, HOT_NAMES, SLOTS_BITS, header, slot_of, words_of
from respram.catalog.keys import decides
from respram.engine.api import Engine
from respram.engine.pure.hot import HANDLERS
from tests.engine.conftest import ENGINES
from tests.engine.rig import SETTINGS

COMMANDS_H = Path(__file__).parent.parent.parent / "respram" / "engine" / "native" / "commands.h"


def test_the_header_for_c_is_made_from_the_catalog() -> None:
    assert COMMANDS_H.read_text() == header(), "run: python -m respram.catalog.hot > respram/engine/native/commands.h"


def test_the_pure_engine_has_a_handler_for_each_hot_row_and_no_other() -> None:
    assert HANDLERS.keys() == HOT_NAMES


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_counts_each_hot_row(name: str) -> None:
    engine: Engine = ENGINES[name](SETTINGS)
    counted = [counter.removeprefix("hot_").encode() for counter in engine.counters() if counter.startswith("hot_")]
    assert counted == [command.name for command in HOT]


def test_every_command_with_keys_has_a_shape_that_agrees_with_its_flags() -> None:
    told = {b"watch", b"ssubscribe", b"sunsubscribe", b"spublish"}  # they name keys or channels, and touch no value
    for command in everything():
        if command.refused or command.name in told:
            continue
        assert bool(command.shape) or not command.first_key, command.name
        if command.name in (b"eval", b"evalsha"):
            continue  # what is written is written by the commands of a script
        assert command.writes == (command.shape in (b"writes", b"decides")) or not command.shape, command.name
        if command.shape == b"reads":
            assert b"readonly" in command.flags and command.asks, command.name


def test_a_command_that_may_look_before_it_writes_says_so() -> None:
    assert decides(COMMANDS[b"incr"], [b"INCR", b"n"]) and decides(COMMANDS[b"setnx"], [b"SETNX", b"k", b"v"])
    assert not decides(COMMANDS[b"setex"], [b"SETEX", b"k", b"1", b"v"]) and not decides(
        COMMANDS[b"get"], [b"GET", b"k"]
    )
    setting = COMMANDS[b"set"]
    assert not decides(setting, [b"SET", b"nx", b"xx"]) and not decides(setting, [b"SET", b"k", b"v", b"EX", b"9"])
    for word in (b"NX", b"xx", b"GET", b"KeepTTL"):
        assert decides(setting, [b"SET", b"k", b"v", word])
    assert decides(setting, [b"SET", b"k", b"v", b"IFEQ", b"w"])


def test_words_cover_a_name_of_any_length() -> None:
    assert words_of(b"get") == (0x746567, 0)
    assert words_of(b"ping") == (0x676E6970676E6970, 0)
    assert words_of(b"incrbyfloat") == (int.from_bytes(b"incrbyfl", "little"), int.from_bytes(b"rbyfloat", "little"))
    assert 0 <= slot_of(words_of(b"incrbyfloat"), 0xFFFFFFFFFFFFFFFF) < 1 << SLOTS_BITS


@pytest.mark.parametrize("name", ENGINES)
def test_no_other_name_is_taken_for_a_hot_one(name: str) -> None:
    """Names beside a hot one in length, in a letter, or in a bit: the perfect hash must not take them."""
    engine = ENGINES[name](SETTINGS)
    seen: list[bytes] = []

    def dispatch(session: object, argv: list[bytes], now_ms: int) -> bytes:
        seen.append(argv[0])
        return b""

    session = engine.session(dispatch)
    session.hot = session.trusted = True
    others = []
    for hot in HOT_NAMES:
        others += [hot + b"x", hot[:-1], hot[1:], hot + hot, hot[::-1]]
        others += [
            hot[:at] + bytes((hot[at] ^ bit,)) + hot[at + 1 :] for at in range(len(hot)) for bit in (1, 0x40, 0x80)
        ]
    strange = [
        other
        for other in others
        if other and other.lower() not in HOT_NAMES and b"\r" not in other and b"\n" not in other
    ]
    assert len(strange) > 300
    for other in strange:
        engine.feed(session, b"*1\r\n$%d\r\n%b\r\n" % (len(other), other), 1_000)
    assert seen == strange
