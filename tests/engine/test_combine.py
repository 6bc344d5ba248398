"""Strings that are combined bit by bit: BITOP's work, in the engine."""

import random

import pytest

from respram.engine.api import Engine

SIZES = (0, 1, 7, 16, 63, 64, 1_000, 16_383, 16_384, 16_385, 100_000)


@pytest.mark.parametrize("operation", [b"and", b"or", b"xor"])
def test_each_byte_is_combined_as_far_as_both_go(engine: Engine, operation: bytes) -> None:
    chance = random.Random(5)
    for size in SIZES:
        for other in (size, size // 2, size + 9):
            first, second = chance.randbytes(size), chance.randbytes(other)
            into = bytearray(first)
            engine.combine(operation, into, second)
            pairs = zip(first, second, strict=False)
            wanted = bytes(a & b if operation == b"and" else a | b if operation == b"or" else a ^ b for a, b in pairs)
            assert into == wanted + first[len(wanted) :]


def test_another_operation_is_a_mistake_of_the_caller(engine: Engine) -> None:
    with pytest.raises(ValueError, match="no such operation"):
        engine.combine(b"not", bytearray(b"a"), b"b")
