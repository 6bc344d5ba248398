"""The digest of a value on both engines, against what the reference implementation of xxHash (0.8.3) gives."""

from random import Random

import pytest

from respram.engine.api import Engine
from respram.engine.pure.xxh3 import xxh3

# Of as many bytes `(i * 131 + 7) % 256`. The lengths are on both sides of every change of method.
VECTORS = (
    (0, "2d06800538d394c2"), (1, "4c5cca45d0f4811f"), (3, "6e3e2670e61106ac"), (4, "5c4c63133443d03f"),
    (8, "f9fd4dd0b04d78f5"),
    (9, "7c20df9712c26edf"), (16, "86abf6baccea0858"), (17, "b58bf5dc5022d071"), (32, "e3712ed84c04a66e"),
    (33, "a4dee99b093e1f73"),
    (64, "1291d2d4042330dd"), (65, "97c6bf83217e5ec9"), (96, "81296929fc063365"), (97, "f145a45b658ab9dd"),
    (128, "10d17f72c0ccba41"),
    (129, "1648bdc3db49d1a2"), (240, "b6cfaf343fab81e6"), (241, "956cae592c67279e"), (1024, "70bd377d9574f4bb"),
    (1025, "66c4487c41e127a7"), (2048, "8b46caa67dab3a30"), (4000, "eb57ae52f05ce814"),
)  # fmt: skip


@pytest.mark.parametrize(("size", "digest"), VECTORS)
def test_a_digest_is_that_of_the_reference(engine: Engine, size: int, digest: str) -> None:
    assert f"{engine.digest_value(bytes((i * 131 + 7) % 256 for i in range(size))):016x}" == digest


def test_a_digest_is_that_of_redis_documentation(engine: Engine) -> None:
    assert f"{engine.digest_value(b'Hello world'):016x}" == "b6acb9d84a38ff74"


def test_every_length_is_digested_alike(engine: Engine) -> None:
    random = Random(1)
    sizes = [*range(300), *range(1000, 1100), *(random.randrange(1100, 9000) for _ in range(50))]
    for size in sizes:
        data = random.randbytes(size)
        assert engine.digest_value(data) == xxh3(data), size
