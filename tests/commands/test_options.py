"""The options of SET, GETEX and MSETEX as words: which go together, which do not."""

from itertools import product

import pytest

from respram.commands.options import COMPARISONS, GETEX_WORDS, MSETEX_WORDS, SET_WORDS, Options, parse_options
from respram.errors import ClientError

WITH_ARGUMENT = {b"ex", b"px", b"exat", b"pxat", *COMPARISONS}
TIMES = {b"ex", b"px", b"exat", b"pxat", b"keepttl", b"persist"}
CONDITIONS = {b"nx", b"xx", *COMPARISONS}


def test_no_words_no_options() -> None:
    assert parse_options([], SET_WORDS) == Options()


@pytest.mark.parametrize("allowed", [SET_WORDS, GETEX_WORDS, MSETEX_WORDS])
def test_two_of_a_kind_exclude_each_other_and_others_go_together(allowed: frozenset[bytes]) -> None:
    for first, second in product(sorted(allowed), repeat=2):
        words = [
            part for word in (first, second) for part in ([word.upper(), b"5"] if word in WITH_ARGUMENT else [word])
        ]
        clash = first != second and any({first, second} <= kind for kind in (TIMES, CONDITIONS))
        if clash:
            with pytest.raises(ClientError):
                parse_options(words, allowed)
        else:
            assert parse_options(words, allowed) != Options()


def test_of_an_option_said_twice_the_last_counts() -> None:
    options = parse_options([b"EX", b"1", b"ex", b"2", b"NX", b"nx"], SET_WORDS)
    assert (options.unit, options.number, options.nx) == (b"ex", b"2", True)


def test_a_word_that_is_not_allowed_or_lacks_its_argument_is_a_syntax_error() -> None:
    for words, allowed in (
        ([b"get"], GETEX_WORDS),
        ([b"persist"], SET_WORDS),
        ([b"ifeq", b"x"], MSETEX_WORDS),
        ([b"ex"], SET_WORDS),
        ([b"ifeq"], SET_WORDS),
        ([b"nosuch"], SET_WORDS),
    ):
        with pytest.raises(ClientError):
            parse_options(words, allowed)


def test_an_argument_may_look_like_an_option() -> None:
    options = parse_options([b"IFEQ", b"GET", b"EX", b"NX"], SET_WORDS)
    assert (options.operand, options.number, options.get, options.nx) == (b"GET", b"NX", False, False)
