"""Seal keys: which one a node seals with, who is told, what is forgotten and wiped."""

import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from respram.errors import PeerError
from respram.seal import FORGET_MS, KEY_BYTES, KEYS_MAX, RING_BYTES, Ring, id_of, run_through, xor

T = 1_800_000_000_000


def ring(made_ms: int, memory: bytearray | None = None) -> Ring:
    return Ring(bytearray(RING_BYTES) if memory is None else memory, os.urandom(KEY_BYTES), made_ms)


def test_a_key_is_told_once_it_is_in_use_and_not_before() -> None:
    one = ring(T)
    assert one.export() == b"" and one.version == 0 and one.find(one.current) is None
    taken = one.take()
    assert taken.id == one.current == id_of(taken.key) and one.version == 1
    other = ring(T)
    assert other.learn(one.export(), T) == 1 and other.learn(one.export(), T) == 0
    found = other.find(taken.id)
    assert found is not None and bytes(found.key) == bytes(taken.key)


def test_all_who_met_seal_with_the_oldest_key_in_use_whatever_the_order() -> None:
    rings = [ring(T + made) for made in (30, 10, 20)]
    exported = []
    for one in rings:
        one.take()
        exported.append(one.export())
    for order, one in zip(((0, 1, 2), (2, 0, 1), (1, 2, 0)), rings, strict=True):
        for number in order:
            one.learn(exported[number], T)
    assert len({one.current for one in rings}) == 1
    assert rings[0].current == id_of(exported[1][8:]) and all(len(one) == 3 for one in rings)


def test_a_new_node_gives_up_its_own_key_for_an_older_or_younger_one_in_use() -> None:
    for made_ms in (T - 5, T + 5):
        memory = bytearray(RING_BYTES)
        young = ring(T, memory)
        own = young.current
        founder = ring(made_ms)
        founder.take()
        young.learn(founder.export(), T)
        assert young.current == founder.current and young.find(own) is None and len(young) == 1
        assert sum(map(bool, memory)) <= KEY_BYTES  # its place is wiped


def test_a_key_in_use_is_kept_when_an_older_one_comes() -> None:
    young, founder = ring(T), ring(T - 1)
    mine = young.take().id
    founder.take()
    young.learn(founder.export(), T)
    assert young.current == founder.current and young.find(mine) is not None
    assert young.version == 2  # to be told on


def test_what_no_record_needs_is_wiped_after_a_while() -> None:
    memory = bytearray(RING_BYTES)
    young, founder = ring(T, memory), ring(T - 1)
    mine = young.take().id
    founder.take()
    young.learn(founder.export(), T)
    assert young.forget({mine}, T) == 0
    assert young.forget(set(), T + FORGET_MS - 1) == 0
    assert young.forget({mine}, T + FORGET_MS - 1) == 0  # somebody needs it again
    assert young.forget(set(), T + FORGET_MS) == 0
    assert young.forget(set(), T + 2 * FORGET_MS) == 1
    assert young.find(mine) is None and young.find(founder.current) is not None
    assert memory.count(0) >= RING_BYTES - KEY_BYTES
    young.learn(founder.export() + ring_export(T + 9), T)
    assert len(young) == 2


def ring_export(made_ms: int) -> bytes:
    one = ring(made_ms)
    one.take()
    return one.export()


def test_export_can_be_narrowed() -> None:
    one = ring(T)
    one.take()
    one.learn(ring_export(T + 1), T)
    assert len(one.export()) == 80 and len(one.export({one.current})) == 40


def test_what_cannot_be_read_or_is_too_much_is_refused_and_changes_nothing() -> None:
    one = ring(T)
    with pytest.raises(PeerError):
        one.learn(b"x" * 41, T)
    assert len(one) == 1
    one.take()
    for _ in range(KEYS_MAX - 1):
        one.learn(ring_export(T + 1), T)
    assert one.learn(ring_export(T + 1), T) == 0 and one.refused == 1
    assert len(one) == KEYS_MAX and one.find(one.current) is one.take()


def test_nothing_is_left_of_the_keys_at_the_end() -> None:
    memory = bytearray(RING_BYTES)
    one = ring(T, memory)
    one.learn(ring_export(T + 1), T)
    assert any(memory)
    one.wipe()
    assert not any(memory)


def test_a_key_never_shows_in_words() -> None:
    one = ring(T)
    assert bytes(one.take().key).hex() not in repr(one.take()) and repr(bytes(one.take().key)) not in repr(one.take())


def test_keystream_is_aes_256_ctr_over_sealer_and_position() -> None:
    one = ring(T).take()
    known = Cipher(AES(bytes(one.key)), CTR(bytes.fromhex("0102030405060708" "00000000000000fe"))).encryptor().update(bytes(80))
    assert run_through(one, 0x0102030405060708, 0xFE, bytes(80)) == known
    assert run_through(one, 0x0102030405060708, 0x100, bytes(45)) == known[32:77]  # whatever it was used for before
    assert run_through(one, 0x0102030405060708, 0xFE, xor(b"value", known)) == b"value"
    assert xor(xor(b"value", known), known) == b"value" and xor(b"", b"abc") == b""
