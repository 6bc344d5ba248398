"""What is JSON, what is refused, and with which advice."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.patterns import NotJson, Unreadable
from respram.patterns.json_values import document, from_json, to_json

FLAT = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(FLAT, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(JSON)
def test_what_is_json_comes_back(value: object) -> None:
    try:
        data = to_json(value)
    except NotJson:
        assert any(0xD800 <= ord(char) <= 0xDFFF for char in repr_text(value))  # a lone surrogate, and nothing else
        return
    assert from_json(data, "it") == value


def repr_text(value: object) -> str:
    if isinstance(value, dict):
        return "".join(map(repr_text, [*value.keys(), *value.values()]))
    return "".join(map(repr_text, value)) if isinstance(value, list) else value if isinstance(value, str) else ""


@pytest.mark.parametrize("value", [b"x", {"a": [bytearray(b"x")]}, memoryview(b"x")])
def test_bytes_are_refused_with_the_advice_what_to_do_instead(value: object) -> None:
    with pytest.raises(NotJson, match=r"base64.*mime_type.*ContentStore"):
        to_json(value)


@pytest.mark.parametrize("value", [{1, 2}, object(), math.nan, math.inf, {(1, 2): 3}, "\ud800"])
def test_what_json_has_no_form_for_is_refused(value: object) -> None:
    with pytest.raises(NotJson):
        to_json(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    knot: list[object] = []
    knot.append(knot)
    with pytest.raises(NotJson):
        to_json(knot)


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[" * 100_000])
def test_what_is_not_json_is_named_and_not_shown(data: bytes) -> None:
    with pytest.raises(Unreadable, match="note 'x'"):
        from_json(data, "note 'x'")


@pytest.mark.parametrize("data", [b"[]", b"7", b'{"other":1}', b'{"state":7}', b'{"state":null}'])
def test_a_document_of_another_shape_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="another program"):
        document(data, "job", state=str)
