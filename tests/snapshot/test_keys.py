"""Keys of segments: kept, told, destroyed; and the ring file, which opens for its secret and its enclave alone."""

import pytest

from respram.errors import PeerError
from respram.snapshot import keys
from respram.snapshot.keys import (
    SegmentKey,
    SegmentKeys,
    commitment_to,
    lock_ring,
    pack,
    segment_key,
    unlock_ring,
    unpack,
)

SECRET, OWNER, SALT = "a" * 43, b"o" * 16, b"s" * 32
PROOF = b"p" * 32
ONE, TWO = segment_key(1_000, b"k" * 32, commitment_to(PROOF)), segment_key(2_000, b"l" * 32, commitment_to(b"q" * 32))


def ring(*entries: SegmentKey) -> SegmentKeys:
    made = SegmentKeys()
    for entry in entries:
        assert made.add(entry)
    return made


def test_a_key_is_overwritten_when_it_goes() -> None:
    held = ring(ONE, TWO)
    first, second = held.get(ONE.id), held.get(TWO.id)
    assert first == ONE.key and second == TWO.key
    assert held.drop(ONE.id, PROOF) and not held.drop(ONE.id, PROOF)
    assert held.expire(1_999) == 0 and held.expire(2_000) == 1
    assert first == bytes(32) and second == bytes(32) and len(held) == 0 and held.get(ONE.id) is None


def test_a_key_is_news_once_and_room_is_bounded() -> None:
    held = SegmentKeys(keys_max=1)
    assert held.add(ONE) and not held.add(ONE) and held.refused == 0
    assert not held.add(TWO) and held.refused == 1 and len(held) == 1


def test_somebody_with_many_names_takes_the_room_of_nobody_who_tells_of_few() -> None:
    """Whoever knows the secret can join under many names, each of which has a quota of its own."""
    held = SegmentKeys(keys_max=400)
    numbers = iter(range(1 << 20))

    def told(teller: int, count: int) -> list[SegmentKey]:
        made = [SegmentKey(b"%016d" % next(numbers), 1_000, b"k" * 32) for _ in range(count)]
        return [one for one in made if held.add(one, teller)]

    before = told(1, 3)
    for name in range(100, 120):
        told(name, 1_000)
    assert len(held) == 400 and held.refused > 19_000
    after = told(2, 3)
    assert len(before) == len(after) == 3 and all(held.get(one.id) for one in before + after)
    assert len(held) == 400 and held.refused == 20_006 - 400, "each that found no room, or went for another, is counted"


def test_entries_travel() -> None:
    held = ring(ONE, TWO)
    assert unpack(pack(held.shared())) == [ONE, TWO] and list(held.entries([TWO.id, b"x" * 16])) == [TWO]
    for broken in (pack([ONE])[:-1], b"x", pack([ONE] * (keys.KEYS_MAX + 1))):
        with pytest.raises(PeerError):
            unpack(broken)
        with pytest.raises(PeerError):
            keys.unpack_tombstones(broken)


def test_a_ring_file_of_an_earlier_version_is_read_and_its_keys_stay_here() -> None:
    key = b"k" * 32
    old_id = keys.hash_of(key)[:16]
    entry = keys._EARLIER_ENTRY.pack(old_id, 1_000, key)
    plain = keys._SIZE.pack(len(entry)) + entry + b"more"
    sealed = keys._cipher(SECRET, SALT).encrypt(bytes(12), plain, keys.EARLIER_RING_MAGIC + OWNER)
    entries, extra = unlock_ring(SECRET, OWNER, keys.EARLIER_RING_MAGIC + SALT + sealed)
    assert entries == [SegmentKey(old_id, 1_000, key)] and extra == b"more"
    assert unlock_ring(SECRET, OWNER, lock_ring(SECRET, SALT, OWNER, entries))[0] == entries, "written anew"
    held = ring(*entries)
    assert held.get(old_id) == bytearray(key) and not list(held.shared()), "no peer could tell who destroys it"
    assert held.drop(old_id, b"") is None and held.get(old_id) is None and not held.has_tombstones


def test_a_ring_file_gives_back_what_was_put_in() -> None:
    content = lock_ring(SECRET, SALT, OWNER, [ONE, TWO], b"more")
    assert unlock_ring(SECRET, OWNER, content) == ([ONE, TWO], b"more")
    assert bytes(ONE.key) not in content
    assert content != lock_ring(SECRET, b"t" * 32, OWNER, [ONE, TWO], b"more")


def test_a_ring_file_of_others_or_a_damaged_one_stays_shut() -> None:
    content = lock_ring(SECRET, SALT, OWNER, [ONE])
    for secret, owner, data in (
        ("b" * 43, OWNER, content),
        (SECRET, b"p" * 16, content),
        (SECRET, OWNER, content[:-1]),
        (SECRET, OWNER, content[:60] + bytes([content[60] ^ 1]) + content[61:]),
        (SECRET, OWNER, content[:20]),
        (SECRET, OWNER, b"something else"),
    ):
        with pytest.raises(ValueError, match=r"not a ring|another key or damaged"):
            unlock_ring(secret, owner, data)
