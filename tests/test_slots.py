"""Slots as Redis Cluster has them: the vector of its specification, and keys that real clusters were asked about."""

import pytest

from respram.slots import SLOTS, common_slot, slot_of


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"123456789", 0x31C3 % SLOTS),  # the specification's own test vector
        (b"foo", 12182), (b"bar", 5061), (b"hello", 866), (b"", 0), (b"somekey", 11058),
        (b"{user1000}.following", 3443), (b"{user1000}.followers", 3443), (b"user1000", 3443),
        (b"foo{hash_tag}", 2515), (b"hash_tag", 2515),
    ],
)  # fmt: skip
def test_a_key_has_the_slot_that_redis_gives_it(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


def test_what_is_no_tag_counts_whole() -> None:
    """The cases of the specification: nothing between, no end, the first of several, nested ones."""
    assert slot_of(b"foo{}{bar}") == _whole(b"foo{}{bar}")
    assert slot_of(b"foo{bar") == _whole(b"foo{bar")
    assert slot_of(b"foo{bar}{zap}") == _whole(b"bar")
    assert slot_of(b"foo{{bar}}zap") == _whole(b"{bar")
    assert slot_of(b"}foo{bar}") == _whole(b"bar")


def test_keys_have_one_slot_in_common_or_none() -> None:
    assert common_slot([b"{a}1", b"{a}2"]) == slot_of(b"a")
    assert common_slot([b"foo", b"bar"]) is None and common_slot([]) is None


def _whole(key: bytes) -> int:
    """CRC16 bit by bit, as the specification describes it."""
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % SLOTS
