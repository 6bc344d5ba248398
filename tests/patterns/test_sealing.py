"""Authenticated encryption: every changed byte is noticed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respram.patterns import Sealer, Tampered, Unreadable, WrongKey, new_secret
from respram.patterns.sealing import ALGORITHMS, SEALED_EXTRA_BYTES

SECRET = new_secret()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(plain=st.binary(max_size=300), context=st.binary(max_size=20))
@settings(max_examples=20)
def test_what_is_sealed_is_opened_and_shows_nothing(algorithm: str, plain: bytes, context: bytes) -> None:
    sealer = Sealer(SECRET, algorithm)
    sealed = sealer.seal(plain, context)
    assert sealer.open(sealed, context) == plain
    assert len(sealed) == len(plain) + SEALED_EXTRA_BYTES
    assert len(plain) < 4 or plain not in sealed


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_single_changed_byte_is_noticed(algorithm: str) -> None:
    sealer = Sealer(SECRET, algorithm)
    sealed = sealer.seal(b"the papers")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises((Tampered, WrongKey, Unreadable)):
            sealer.open(bytes(changed))
    for length in range(len(sealed)):
        with pytest.raises((Tampered, WrongKey, Unreadable)):
            sealer.open(sealed[:length])


def test_a_wrong_secret_a_changed_text_and_another_purpose_are_told_apart() -> None:
    sealed = Sealer(SECRET).seal(b"x", b"purpose")
    with pytest.raises(WrongKey, match="compare the secrets"):
        Sealer(new_secret()).open(sealed, b"purpose")
    with pytest.raises(Tampered):
        Sealer(SECRET).open(sealed[:-1] + bytes((sealed[-1] ^ 1,)), b"purpose")
    with pytest.raises(Tampered):
        Sealer(SECRET).open(sealed, b"other")


def test_two_payloads_under_one_secret_share_no_byte_that_is_not_fixed() -> None:
    one, two = Sealer(SECRET).seal(b"same"), Sealer(SECRET).seal(b"same")
    assert one[0] == two[0] and one[1:17] != two[1:17] and one[17:25] != two[17:25] and one[25:] != two[25:]


@pytest.mark.parametrize("secret", [b"short", "short", "", "ä" * 50])
def test_a_weak_or_broken_secret_is_refused_and_not_shown(secret: str | bytes) -> None:
    with pytest.raises(WrongKey) as caught:
        Sealer(secret)
    assert "short" not in str(caught.value)
    assert SECRET not in repr(Sealer(SECRET))


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(Unreadable, match="rot13"):
        Sealer(SECRET, "rot13")
