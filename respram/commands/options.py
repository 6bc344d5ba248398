"""The options that SET, GETEX and MSETEX share: conditions and times to live, in any order and case.

Parsing only: what a number means, and whether its time has passed, is for deadlines.py. Redis allows
an option to be said twice, the last one counting, and forbids two different ones of a kind.
"""

from dataclasses import dataclass

from respram.commands.texts import SYNTAX

UNITS = frozenset({b"ex", b"px", b"exat", b"pxat"})
COMPARISONS = frozenset({b"ifeq", b"ifne", b"ifdeq", b"ifdne"})  # each is followed by a value or a digest
SET_WORDS = UNITS | COMPARISONS | {b"nx", b"xx", b"get", b"keepttl"}
MSETEX_WORDS = UNITS | {b"nx", b"xx", b"keepttl"}
GETEX_WORDS = UNITS | {b"persist"}


@dataclass(slots=True)
class Options:
    nx: bool = False
    xx: bool = False
    get: bool = False
    keep: bool = False
    persist: bool = False
    comparison: bytes = b""  # one of COMPARISONS
    operand: bytes = b""  # the word after it
    unit: bytes | None = None  # one of UNITS
    number: bytes = b""  # the word after the unit

    @property
    def timed(self) -> bool:
        return self.keep or self.persist or self.unit is not None


def parse_options(words: list[bytes], allowed: frozenset[bytes]) -> Options:
    options = Options()
    at = 0
    while at < len(words):
        word = words[at].lower()
        if word not in allowed:
            raise SYNTAX
        if word in UNITS or word in COMPARISONS:
            if at + 1 == len(words):
                raise SYNTAX
            _with_argument(options, word, words[at + 1])
            at += 2
        else:
            _without_argument(options, word)
            at += 1
    return options


def _with_argument(options: Options, word: bytes, argument: bytes) -> None:
    if word in COMPARISONS:
        if options.nx or options.xx or options.comparison not in (b"", word):
            raise SYNTAX
        options.comparison, options.operand = word, argument
    else:
        if options.timed and options.unit != word:
            raise SYNTAX
        options.unit, options.number = word, argument


def _without_argument(options: Options, word: bytes) -> None:
    if word == b"get":
        options.get = True
    elif word == b"nx":
        if options.xx or options.comparison:
            raise SYNTAX
        options.nx = True
    elif word == b"xx":
        if options.nx or options.comparison:
            raise SYNTAX
        options.xx = True
    else:
        if options.unit is not None:
            raise SYNTAX
        options.keep = options.keep or word == b"keepttl"
        options.persist = options.persist or word == b"persist"
