"""The record's own arithmetic: how long it is remembered, and how a payload is cut into parts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from respram.record import Record, pack, shadow_of, slices, split

TIMES = st.integers(0, 1 << 20)


@given(TIMES, TIMES, TIMES, TIMES)
def test_a_record_is_remembered_until_the_last_of_what_it_replaced_has_ended(
    deadline_ms: int, own_ms: int, replaced_deadline_ms: int, replaced_shadow_ms: int
) -> None:
    shadow_ms = shadow_of(deadline_ms, own_ms, replaced_deadline_ms, replaced_shadow_ms)
    ends = {own_ms, replaced_deadline_ms, replaced_shadow_ms}
    assert max(shadow_ms, deadline_ms) == max(deadline_ms, *ends)
    assert shadow_ms == 0 or shadow_ms > deadline_ms


def test_a_shadow_that_a_record_brought_is_not_cut_short_by_what_it_replaces() -> None:
    assert shadow_of(100, 500, 300, 0) == 500
    assert shadow_of(100, 0, 100, 100) == 0


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(1, 400))
def test_a_payload_is_cut_between_records_and_no_part_could_have_taken_the_next_record_too(
    sizes: list[int], bytes_max: int
) -> None:
    records = [pack(Record(0, b"k%d" % at, b"v" * size, 1, 1, 1)) for at, size in enumerate(sizes)]
    payload = b"".join(records)
    parts = split(payload, bytes_max)
    assert b"".join(parts) == payload and all(parts)
    for part, following in pairwise(parts):
        _, _, first = next(iter(slices(following)))
        assert len(part) + first > bytes_max
    for part in parts:
        assert len(part) <= bytes_max or sum(1 for _ in slices(part)) == 1


def test_what_fits_exactly_stays_whole() -> None:
    one = pack(Record(0, b"k", b"v", 1, 1, 1))
    assert split(one * 3, 3 * len(one)) == [one * 3]
    assert split(one * 3, 2 * len(one)) == [one * 2, one]
    assert split(b"", 10) == []
