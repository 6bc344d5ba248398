"""The cipher of the native engine: the machine's libcrypto and `cryptography` make the same bytes, whichever way is
taken.
"""

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respram import engine as engines
from respram.engine.api import Engine
from respram.seal import BLOCK_BYTES, KEY_BYTES, LONG_FIRST, RING_BYTES, Ring, run_through

from .conftest import PURE_ONLY
from .rig import NOW, SETTINGS, request

pytestmark = pytest.mark.skipif(PURE_ONLY, reason="the native engine was not built")
U64 = st.integers(0, 2**64 - 1)
POSITIONS = st.one_of(
    st.integers(0, 2**63 - 2**32), st.integers(0, 2**31 - 1).map(lambda count: count << 32 | LONG_FIRST)
)


def ring_of(key: bytes) -> Ring:
    return Ring(bytearray(RING_BYTES), key, NOW)


def skip_without_library() -> None:
    if engines.own_cipher("native") is None:
        pytest.skip("there is no libcrypto here that can be used")


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), U64, POSITIONS, st.binary(max_size=300), st.integers(1, 80),
       st.booleans())
def test_libcrypto_and_cryptography_agree_to_the_bit(
    key: bytes, sealer: int, position: int, piece: bytes, times: int, by_gcm: bool
) -> None:
    skip_without_library()
    from respram.engine.native import Cipher

    value, cipher, known = piece * times, Cipher(key, by_gcm), ring_of(key).take()
    wanted = run_through(known, sealer, position, value)
    assert cipher.run(sealer, position, value) == wanted
    assert cipher.run(sealer, position, wanted) == value
    out = bytearray(len(value) + 3)
    cipher.run_into(sealer, position, value, out)
    assert out == wanted + bytes(3)
    counters = b"".join(
        (sealer << 64 | position + number).to_bytes(BLOCK_BYTES, "big")
        for number in range((len(value) + BLOCK_BYTES - 1) // BLOCK_BYTES)
    )
    keystream = bytearray(len(counters) + BLOCK_BYTES)
    known.encrypt(counters, keystream)
    assert cipher.blocks(counters) == keystream[: len(counters)]
    assert bytes(one ^ two for one, two in zip(value, keystream, strict=False)) == wanted


def test_a_cipher_takes_what_fits_and_nothing_else() -> None:
    skip_without_library()
    from respram.engine.native import Cipher

    cipher = Cipher(os.urandom(KEY_BYTES), False)
    for wrong in (
        lambda: Cipher(b"short", False), lambda: cipher.blocks(bytes(BLOCK_BYTES + 1)),
        lambda: cipher.run_into(1, 2, b"abc", bytearray(2)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"32 bytes|whole blocks|no room"):
            wrong()
    assert cipher.blocks(b"") == b"" and cipher.run(1, 2, b"") == b""


@pytest.mark.parametrize("lent", [False, True])
def test_an_engine_says_whose_cipher_it_uses(lent: bool) -> None:
    from respram.engine.native import NativeEngine, library

    engine: Engine = NativeEngine(SETTINGS)
    assert engine.cipher == "cryptography"
    engine.use_seals(ring_of(os.urandom(KEY_BYTES)), True, lent)  # type: ignore[call-arg]
    known = library()
    assert engine.cipher == (known if known is not None and not lent else "cryptography")
    pure = engines.make("pure", SETTINGS)
    pure.use_seals(ring_of(os.urandom(KEY_BYTES)), True)
    assert pure.cipher == "cryptography" and engines.own_cipher("pure") is None


def turns_of_another_thread(work: Callable[[], object]) -> int:
    """How often another thread got the interpreter's lock meanwhile. It takes the lock from nobody within an hour, so
    it gets it only where it is let go of."""
    over, counted, before = threading.Event(), [0], sys.getswitchinterval()

    def count() -> None:
        while not over.is_set():
            counted[0] += 1
            time.sleep(0)

    other = threading.Thread(target=count)
    sys.setswitchinterval(3600)
    try:
        other.start()
        time.sleep(0)
        begun = counted[0]
        work()
        return counted[0] - begun
    finally:
        sys.setswitchinterval(before)
        over.set()
        other.join()


@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no lock here")
@pytest.mark.parametrize("size", [100, 2_048, 16_384, 1 << 20])
def test_no_command_lets_go_of_the_interpreters_lock_while_it_seals(size: int) -> None:
    """A busy thread gives it back after 5 ms, and the client whose value it is would wait so long."""
    skip_without_library()
    engine = engines.make("native", SETTINGS)
    engine.use_seals(ring_of(os.urandom(KEY_BYTES)), True)
    session = engine.session(lambda *_: b"+cold\r\n")
    session.hot = session.trusted = True
    value = os.urandom(size)
    put, get = request(b"SET", b"k", value), request(b"GET", b"k")

    def work() -> None:
        for _ in range(100):
            assert bytes(engine.feed(session, put, NOW)) == b"+OK\r\n"
            assert bytes(engine.feed(session, get, NOW)) == b"$%d\r\n%b\r\n" % (size, value)

    long = bytes(1 << 20)
    while not turns_of_another_thread(lambda: [hashlib.sha256(long) for _ in range(20)]):
        pass  # that lets go of it: the other thread is seen
    assert turns_of_another_thread(work) == 0


def test_another_ring_another_keystream_and_many_keys_at_once() -> None:
    """More keys than the core makes room for at first, each of them of another writer."""
    made: dict[bytes, tuple[bytes, Callable[[], bytes]]] = {}
    reader = engines.make("native", SETTINGS)
    ring = ring_of(os.urandom(KEY_BYTES))
    reader.use_seals(ring, True)
    session = reader.session(lambda *_: b"+cold\r\n")
    session.hot = session.trusted = True
    for number in range(40):
        writer, own = engines.make("native", SETTINGS._replace(node=number + 100)), ring_of(os.urandom(KEY_BYTES))
        writer.use_seals(own, True)
        value = os.urandom(1 + number * 331)
        writer.store(0, b"k%d" % number, value, NOW + 60_000, False, NOW, b"set")
        ring.learn(own.export(), NOW)
        assert reader.merge(writer.drain(1 << 20), NOW).new == 1
        made[b"k%d" % number] = value, own.export
    for key, (value, _) in made.items():
        entry = reader.lookup(0, key, NOW)
        assert entry is not None and entry.value == value
        assert bytes(
            reader.feed(session, b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key), NOW)
        ) == b"$%d\r\n%b\r\n" % (len(value), value)
