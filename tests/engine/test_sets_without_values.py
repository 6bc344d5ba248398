"""A member of a set has no value: its record has no place for one, whatever a peer or a caller says (decision 0245)."""

from respram.engine import make
from respram.engine.api import Engine
from respram.record import HASH, SET, Record, Seal, member_key, pack, unpack
from respram.stamp import from_ms

from .rig import NOW, SETTINGS

MEMBERS, NAME_BYTES = 20_000, 14
BLOCK_BYTES_MAX = 56  # of a member of such a name, with the number of its family and its place
PLACE_BYTES = 6
TABLE_BYTES_MAX = 14  # its slot in a table of 4,096 lines
LATER = NOW + 60_000


def test_a_member_of_a_set_takes_no_room_for_a_value() -> None:
    engine = make("native", SETTINGS._replace(outbox_bytes_max=0))
    before = engine.used_bytes()
    engine.found(0, b"c", SET, LATER, False, NOW)
    for number in range(MEMBERS):
        engine.put_member(0, b"c", b"%0*d" % (NAME_BYTES, number), b"", None, NOW)
    assert (engine.used_bytes() - before) / MEMBERS < BLOCK_BYTES_MAX + PLACE_BYTES + TABLE_BYTES_MAX


def test_a_caller_gives_a_member_of_a_set_no_value(engine: Engine) -> None:
    engine.found(0, b"c", SET, LATER, False, NOW)
    engine.put_member(0, b"c", b"name", b"a value", None, NOW)
    (member,) = engine.members(0, b"c", 0, 10, NOW).members
    assert (member.name, member.value) == (b"name", b"")
    (record,) = (one for packed in engine.records(16 * SET) for one in unpack(packed))
    assert (record.value, record.seal) == (b"", None)


def test_what_a_peer_says_of_a_value_of_a_sets_member_is_not_kept(engine: Engine) -> None:
    clock = from_ms(NOW)
    unknown = Seal(99, 5, 7)  # an older peer seals the empty value of such a member
    for number, seal in enumerate((None, unknown, unknown._replace(sealer=6))):
        key = member_key(b"c", b"%d" % number)
        engine.merge(pack(Record(16 * SET, key, b"a value", clock + number, 5, LATER, seal=seal)), NOW)
    engine.merge(pack(Record(0, b"c", b"", clock + 9, 5, LATER, kind=SET)), NOW)
    found = engine.members(0, b"c", 0, 10, NOW).members
    assert sorted((one.name, one.value) for one in found) == [(b"0", b""), (b"1", b""), (b"2", b"")]
    assert all(one.seal is None for packed in engine.records(16 * SET) for one in unpack(packed))


def test_such_members_keep_name_and_shadow_as_they_come_and_go(engine: Engine) -> None:
    """A shadow stands before the name: it comes and goes in the shorter record too, of names of all lengths."""
    for kind in (SET, HASH):
        key = b"%d" % kind
        engine.found(0, key, kind, LATER, False, NOW)
        names = [b"n" * length for length in range(40)]
        for name in names:
            engine.put_member(0, key, name, b"", LATER, NOW)
        for name in names:
            engine.put_member(0, key, name, b"", NOW + 1_000, NOW + 1)  # shorter: a shadow where there are peers
        assert {one.name for one in engine.members(0, key, 0, 100, NOW + 2).members} == set(names)
        for name in names:
            engine.put_member(0, key, name, b"", LATER, NOW + 3)
        assert {one.name for one in engine.members(0, key, 0, 100, NOW + 2_000).members} == set(names)
        for name in names:
            assert engine.let_go_member(0, key, name, NOW + 2_001)
        assert not engine.members(0, key, 0, 100, NOW + 2_002).members
    while engine.expire(NOW + 10_000_000, 1_000):
        pass
    assert engine.counters()["records"] == engine.counters()["stubs"] == 0
