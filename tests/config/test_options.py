"""The rows of the option table and their readers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.config.limits import GIB, KIB, MIB, configurable
from respram.config.options import AUTO, BY_NAME, OPTIONS, Option, read_memory, read_size, read_whole, spell_size


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_says_what_it_is_and_reads_its_own_default(option: Option) -> None:
    assert option.why.endswith(".")
    assert option.unit
    assert (not option.metavar) == (option.unit == "yes or no")
    if option.default:
        option.read(option.default)


def test_names_are_unique_and_every_configurable_limit_is_among_them() -> None:
    assert len(BY_NAME) == len(OPTIONS)
    assert {option.name: option.field for option in OPTIONS if option.of_limits} == configurable()


def test_only_the_passwords_of_clients_and_of_the_cluster_are_secrets() -> None:
    assert [option.name for option in OPTIONS if option.secret] == ["cluster-secret", "requirepass"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1", 1), ("7b", 7), ("1k", 1000), ("1kb", KIB), ("2M", 2_000_000), ("2Mb", 2 * MIB), ("3g", 3 * 10**9),
     (" 3GB ", 3 * GIB)],
)  # fmt: skip
def test_a_size_has_the_units_of_redis(text: str, size: int) -> None:
    assert read_size(text, 0, 1 << 60) == size


@pytest.mark.parametrize("text", ["", "mb", "1tb", "1.5gb", "-1", "1 gb", "1_000", "\u0663", "9" * 19, "1bk"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        read_size(text, 0, 1 << 60)


@given(st.integers(0, 1 << 40))
def test_a_size_that_is_spelt_is_read_back(size: int) -> None:
    assert read_size(spell_size(size), 0, 1 << 60) == size


@given(st.text(max_size=12))
def test_no_text_breaks_a_reader_and_none_is_quoted_by_it(text: str) -> None:
    mark = "\x07q7Zp"  # no complaint has it of itself, as it might have a word or a number
    for option in OPTIONS:
        for given_text in (text, text + mark, mark + text):
            assert mark not in complaint_of(option, given_text)


def complaint_of(option: Option, text: str) -> str:
    try:
        option.read(text)
    except ValueError as error:
        return str(error)
    return ""


def test_memory_may_be_automatic_or_without_limit() -> None:
    assert (read_memory("auto"), read_memory("0"), read_memory("1mb")) == (AUTO, 0, MIB)


def test_a_number_must_be_whole_and_within_its_range() -> None:
    assert read_whole(" 5 ", 5, 5) == 5
    with pytest.raises(ValueError, match="from 5 to 5"):
        read_whole("6", 5, 5)
