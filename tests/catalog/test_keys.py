"""Which arguments are keys, for every kind of key specification."""

from hypothesis import given
from hypothesis import strategies as st

from respram.catalog import COMMANDS
from respram.catalog.keys import key_positions, keys_of


def _keys(text: bytes) -> list[bytes]:
    words = text.split(b" ")
    return keys_of(COMMANDS[words[0].lower()], words)


def test_keys_are_found_by_range_step_and_count() -> None:
    assert _keys(b"GET a") == [b"a"]
    assert _keys(b"MGET a b c") == [b"a", b"b", b"c"]
    assert _keys(b"MSET a 1 b 2") == [b"a", b"b"]
    assert _keys(b"BITOP AND d a b") == [b"d", b"a", b"b"]
    assert _keys(b"COPY a b REPLACE") == [b"a", b"b"]
    assert _keys(b"MSETEX 2 a 1 b 2 EX 10") == [b"a", b"b"]
    assert _keys(b"PING") == []


def test_arguments_that_contradict_their_command_have_no_keys() -> None:
    for text in (b"GET", b"BITOP AND d", b"MSETEX 3 a 1 b 2", b"MSETEX 0 a 1", b"MSETEX x a 1", b"MSETEX"):
        assert _keys(text) == [], text


def test_set_reads_only_where_it_is_told_to() -> None:
    def flags(text: bytes) -> tuple[bytes, ...]:
        found = key_positions(COMMANDS[b"set"], text.split(b" "))
        assert found is not None
        return found[0][1]

    assert flags(b"SET a b NX") == (b"OW", b"update")
    assert flags(b"SET a b get") == flags(b"SET a b IFEQ c") == (b"RW", b"access", b"update")


@given(
    st.sampled_from(sorted(COMMANDS)), st.lists(st.sampled_from([b"1", b"2", b"-1", b"99999999999", b"a"]), max_size=6)
)
def test_no_arguments_whatever_lead_out_of_bounds(name: bytes, words: list[bytes]) -> None:
    argv = [name, *words]
    assert all(0 < position < len(argv) for position, _ in key_positions(COMMANDS[name], argv) or ())
