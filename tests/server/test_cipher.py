"""The faster way through the cipher is the one that took less time."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from respram.engine import own_cipher
from respram.server import cipher


def watch(*took: int) -> Callable[[], int]:
    """A clock by which the looks take so long, one after the other."""
    state = {"now": 0, "reads": 0}

    def micros() -> int:
        if state["reads"] % 2:
            state["now"] += took[state["reads"] // 2]
        state["reads"] += 1
        return state["now"]

    return micros


class Nothing:
    """A cipher that takes no time of its own."""

    def __init__(self, key: bytes, by_gcm: bool) -> None:
        pass

    def run_into(self, sealer: int, position: int, value: bytes, out: bytearray) -> None:
        pass


@pytest.mark.parametrize(
    ("gcm", "ctr", "wins"),
    [
        ((30,) * 5, (50,) * 5, True),
        ((80,) * 5, (50,) * 5, False),
        ((900, 30, 900, 900, 900), (40,) * 5, True),
        ((40,) * 5, (40,) * 5, False),
    ],
)
def test_the_shortest_look_of_each_decides(gcm: tuple[int, ...], ctr: tuple[int, ...], wins: bool) -> None:
    assert cipher.is_gcm_faster(None, watch(*gcm, *ctr)) is wins
    assert cipher.is_gcm_faster(Nothing, watch(*gcm, *ctr)) is wins


def test_a_library_that_cannot_write_in_place_decides_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older:
        def __init__(self, key: bytes) -> None:
            self.key = AESGCM(key)

    monkeypatch.setattr(cipher, "AESGCM", Older)
    assert cipher.is_gcm_faster() is False


def test_this_machine_says_one_or_the_other() -> None:
    assert cipher.is_gcm_faster() in (True, False)
    assert cipher.is_gcm_faster(own_cipher("auto")) in (True, False)
