"""Seal keys: which one a node seals with, who is told, what is forgotten and wiped."""

import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from respram.errors import PeerError
from respram.seal import (
    DAY_MS,
    FORGET_MS,
    IDLE_MS,
    KEY_BYTES,
    KEYS_MAX,
    OWN_ROOM,
    QUOTA_KEYS,
    RENEW_SPREAD_MS,
    RING_BYTES,
    SPREAD_MS,
    Ring,
    id_of,
    run_through,
    xor,
)

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


def test_all_who_met_seal_with_the_newest_key_in_use_whatever_the_order() -> None:
    rings = [ring(T + made) for made in (30, 10, 20)]
    exported = []
    for one in rings:
        one.take()
        exported.append(one.export())
    for order, one in zip(((0, 1, 2), (2, 0, 1), (1, 2, 0)), rings, strict=True):
        for number in order:
            one.learn(exported[number], T + 40)
    assert len({one.current for one in rings}) == 1
    assert rings[0].current == id_of(exported[0][8:]) and all(len(one) == 3 for one in rings)


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


def test_a_key_in_use_is_kept_when_a_newer_one_comes() -> None:
    young, founder = ring(T - 1), ring(T)
    mine = young.take().id
    founder.take()
    young.learn(founder.export(), T)
    assert young.current == founder.current and young.find(mine) is not None
    assert young.version == 2  # to be told on


def test_what_no_record_needs_is_wiped_after_a_while() -> None:
    memory = bytearray(RING_BYTES)
    young, founder = ring(T - 1, memory), ring(T)
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


def exported(count: int, made_ms: int = T) -> bytes:
    return b"".join(made_ms.to_bytes(8, "little") + os.urandom(KEY_BYTES) for _ in range(count))


def test_what_cannot_be_read_changes_nothing() -> None:
    one = ring(T)
    for broken in (
        b"x" * 41,
        exported(KEYS_MAX + 1),
        exported(2) + bytes(40),
        exported(1) + T.to_bytes(8, "little") + bytes(KEY_BYTES),
    ):
        with pytest.raises(PeerError):
            one.learn(broken, T)
        assert len(one) == 1


def test_no_claim_of_age_wins_for_good() -> None:
    """Neither a key as old as can be nor one from the end of time: the next key that is made honestly is newer."""
    for claimed_ms in (0, 1, T, T + DAY_MS, (1 << 64) - 1):
        one = ring(T - 10)
        honest = one.take().id
        hostile = exported(1, claimed_ms)
        one.learn(hostile, T, teller=7)
        assert one.current == (honest if claimed_ms < T - 10 else id_of(hostile[8:]))
        # the same key again, newer
        one.learn((1 << 64).__sub__(1).to_bytes(8, "little") + hostile[8:], T + 5, teller=7)
        made = ring(T + 20)
        made.take()
        one.learn(made.export(), T + 20, teller=8)
        assert one.current == made.current
        later = ring(T + 30)  # who comes later believes what it is told no more
        later.learn(one.export(), T + 30)
        assert later.current == made.current


def test_a_key_is_made_each_day_and_the_first_one_does_it_for_all() -> None:
    rings = [ring(T - number) for number in range(3)]
    rings[0].take()
    for one in rings[1:]:
        one.learn(rings[0].export(), T)
    assert not any(one.is_due(T + DAY_MS - 1) for one in rings) and all(
        one.is_due(T + DAY_MS + SPREAD_MS) for one in rings
    )
    now_ms = T + DAY_MS + SPREAD_MS
    assert rings[1].make(os.urandom(KEY_BYTES), now_ms)
    assert rings[1].export() == rings[0].export(), "it is told once it is in use"
    rings[1].take()
    for one in (rings[0], rings[2]):
        one.learn(rings[1].export(), now_ms)
    assert len({one.current for one in rings}) == 1 and not any(one.is_due(now_ms) for one in rings)
    unused = ring(T)
    assert not unused.is_due(T + 10 * DAY_MS), "nobody knows it, and nothing is sealed with it"


def test_after_somebody_is_out_nothing_is_sealed_with_what_it_knew() -> None:
    one, out = ring(T), ring(T)
    out.take()
    one.take()
    one.learn(out.export() + exported(1, (1 << 64) - 1), T + 1, teller=7)
    known = set(one._keys)
    one.renew_by(T + 2)
    assert not one.is_due(T + 1) and one.is_due(T + 2 + RENEW_SPREAD_MS)
    one.learn(exported(1, T + 1), T + 3, teller=8)  # from a neighbour that has not renewed: it may have told anybody
    assert one.is_due(T + 2 + RENEW_SPREAD_MS)
    assert (
        one.make(os.urandom(KEY_BYTES), T + 3) and one.current not in known and not one.is_due(T + 2 + RENEW_SPREAD_MS)
    )
    mine = one.current
    one.learn(exported(1, T + 1), T + 4, teller=8)
    assert one.current == mine, "an own key that nobody can know gives way to no key from before"
    newer = exported(1, T + 5)
    one.learn(newer, T + 6, teller=8)
    assert one.current == id_of(newer[8:]) and one.find(mine) is None


def test_who_tells_of_too_many_keys_leaves_room_for_others_and_for_own() -> None:
    one = ring(T)
    one.take()
    for _ in range(QUOTA_KEYS + 10):
        one.learn(exported(1), T, teller=7)
    assert len(one) == QUOTA_KEYS + 1 and one.refused == 10
    for teller in range(100, 100 + KEYS_MAX):
        one.learn(exported(1), T, teller)
    assert len(one) == KEYS_MAX - OWN_ROOM and one.refused > 10
    needed = set(list(one._keys)[:200])
    one.forget(needed, T + IDLE_MS)
    honest = exported(300, T + 1)
    assert one.learn(honest, T + IDLE_MS + 1, teller=9) == 300, "what nothing needs gives way"
    assert needed <= set(one._keys) and all(
        one.find(id_of(honest[at + 8 : at + 40])) for at in range(0, len(honest), 40)
    )
    for number in range(OWN_ROOM):
        one.renew_by(T + IDLE_MS + number)
        assert one.make(os.urandom(KEY_BYTES), T + IDLE_MS + number)
        one.take()
    one.renew_by(T + DAY_MS)
    assert not one.make(os.urandom(KEY_BYTES), T + DAY_MS)
    one.take()
    places = [key.at for key in one._keys.values()]
    assert len(places) == len(set(places)) == KEYS_MAX


def test_an_honest_neighbour_that_passes_on_a_crowd_of_keys_is_still_understood() -> None:
    """It tells the key that it seals with first; and where its quota is used up, keys that nothing needed give way to
    it.
    """
    honest, there = ring(T + 5), ring(T)
    own = honest.take().id
    honest.learn(exported(QUOTA_KEYS), T, teller=7)
    honest.learn(exported(200), T, teller=8)
    assert honest.current == own and id_of(honest.export()[8:40]) == own
    there.learn(honest.export(), T + 5, teller=9)
    assert there.find(own) is not None and there.current == own
    honest.renew_by(T + 10)
    assert honest.make(os.urandom(KEY_BYTES), T + 10)
    honest.take()
    there.learn(honest.export(), T + 11, teller=9)
    assert there.find(honest.current) is None, "its quota is used up"
    there.learn(honest.export(), T + IDLE_MS + 11, teller=9)
    assert there.find(honest.current) is not None


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
    known = (
        Cipher(AES(bytes(one.key)), CTR(bytes.fromhex("010203040506070800000000000000fe")))
        .encryptor()
        .update(bytes(80))
    )
    assert run_through(one, 0x0102030405060708, 0xFE, bytes(80)) == known
    assert run_through(one, 0x0102030405060708, 0x100, bytes(45)) == known[32:77]  # whatever it was used for before
    assert run_through(one, 0x0102030405060708, 0xFE, xor(b"value", known)) == b"value"
    assert xor(xor(b"value", known), known) == b"value" and xor(b"", b"abc") == b""
