"""Sealing, on both engines: what lies and travels is ciphertext, what is asked for is plain, no block is used twice."""

import os
from collections import Counter
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from respram.engine.api import Engine, Session
from respram.engine.pure.seal import Seals
from respram.engine.telling import TELL_NAMES, TELL_VALUES
from respram.record import ADOPTED, SEALED, Record, Seal, pack, unpack
from respram.seal import (
    BLOCK_BYTES,
    KEY_BYTES,
    LONG_BYTES,
    LONG_COUNT_MAX,
    LONG_FIRST,
    LONG_SEALER,
    PAD_BLOCKS,
    RING_BYTES,
    Ring,
    blocks_of,
    run_through,
    xor,
)

from .conftest import ENGINES
from .rig import NOW, SETTINGS, Cold, opened, request

if TYPE_CHECKING:
    from respram.engine.native import NativeEngine

PAD_BYTES = PAD_BLOCKS * BLOCK_BYTES
SIZES = (
    0, 1, 15, 16, 17, 64, 200, 1_023, 1_024, 1_025, 2_047, 2_048, 2_049, LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + 1,
    5_000, PAD_BYTES,
    3 * PAD_BYTES + 41, 300_000,
)  # fmt: skip


def new_ring(made_ms: int = NOW) -> Ring:
    return Ring(bytearray(RING_BYTES), os.urandom(KEY_BYTES), made_ms, by_gcm=hasattr(AESGCM, "encrypt_into"))


class Sealed(NamedTuple):
    engine: Engine
    ring: Ring
    session: Session

    def ask(self, *argv: bytes, now: int = NOW) -> bytes:
        return bytes(self.engine.feed(self.session, request(*argv), now))

    def held(self) -> list[Record]:
        return [record for db in range(16) for packed in self.engine.records(db) for record in unpack(packed)]


LENT = "native-lent"  # as on a machine without libcrypto
WAYS = [*ENGINES, *([LENT] if "native" in ENGINES else [])]


def sealed(name: str, node: int = SETTINGS.node, writes: bool = True, ring: Ring | None = None) -> Sealed:
    engine = ENGINES[name.partition("-")[0]](SETTINGS._replace(node=node))
    ring = new_ring() if ring is None else ring
    if name == LENT:
        cast("NativeEngine", engine).use_seals(ring, writes, lent=True)
    else:
        engine.use_seals(ring, writes)
    session = engine.session(Cold())
    session.hot = session.trusted = True
    return Sealed(engine, ring, session)


@pytest.fixture(params=WAYS)
def one(request: pytest.FixtureRequest) -> Sealed:
    return sealed(request.param)


@pytest.fixture(params=WAYS)
def make(request: pytest.FixtureRequest) -> Callable[..., Sealed]:
    name: str = request.param
    return lambda **options: sealed(name, **options)


def test_values_of_all_sizes_lie_sealed_and_come_back(one: Sealed) -> None:
    values = {b"k%d" % size: os.urandom(size) for size in SIZES}
    for key, value in values.items():
        assert one.ask(b"SET", key, value) == b"+OK\r\n"
    for key, value in values.items():
        entry = one.engine.lookup(0, key, NOW)
        assert entry is not None and entry.value == value and entry.length == len(value)
        assert one.ask(b"GET", key) == b"$%d\r\n%b\r\n" % (len(value), value)
        assert one.ask(b"STRLEN", key) == b":%d\r\n" % len(value)
    assert one.ask(b"MGET", *values, b"none") == b"*%d\r\n" % (len(values) + 1) + b"".join(
        b"$%d\r\n%b\r\n" % (len(value), value) for value in values.values()
    ) + b"$-1\r\n"
    held = one.held()
    assert len(held) == len(SIZES)
    for record in held:
        assert len(record.value or b"") < 16 or record.value != values[record.key]
        assert opened(record, one.ring) == values[record.key]
        is_long = len(values[record.key]) >= LONG_BYTES
        assert record.seal is not None and record.seal.sealer == SETTINGS.node ^ (LONG_SEALER if is_long else 0)
        assert not is_long or record.seal.position & 0xFFFFFFFF == LONG_FIRST


def test_values_are_combined_piece_by_piece_wherever_they_end(one: Sealed) -> None:
    """BITOP opens 64 KiB at a time of all sources but the first."""
    sizes = (0, 1, LONG_BYTES - 1, LONG_BYTES, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 200_001)
    values = {b"k%d" % size: os.urandom(size) for size in sizes}
    for key, value in values.items():
        one.ask(b"SET", key, value)
    for first, *others in ((6, 7), (7, 6), (7, 2, 5), (5, 4), (0, 7), (3, 3), (7, 1, 0, 3), (6, 6, 6)):
        names = [b"k%d" % sizes[place] for place in (first, *others)]
        longest = max(len(values[name]) for name in names)
        for operation, combined in ((b"AND", int.__and__), (b"OR", int.__or__), (b"XOR", int.__xor__)):
            wanted = reduce(combined, (int.from_bytes(values[name].ljust(longest, b"\0")) for name in names))
            assert one.ask(b"BITOP", operation, b"to", *names) == b":%d\r\n" % longest
            got = one.ask(b"GET", b"to")
            assert got == b"$%d\r\n%b\r\n" % (longest, wanted.to_bytes(longest)), (operation, names)
    assert one.ask(b"BITOP", b"NOT", b"to", b"k200001") == b":200001\r\n"
    assert one.ask(b"GET", b"to") == b"$200001\r\n%b\r\n" % bytes(255 - byte for byte in values[b"k200001"])


def test_a_pipeline_is_opened_in_one_go_whatever_is_between(one: Sealed) -> None:
    wanted = []
    sent = []
    for number in range(300):
        value = b"v%d" % number * (number % 40)
        sent += [request(b"SET", b"k", value), request(b"GET", b"k"), request(b"NOSUCH"), request(b"INCR", b"n"),
                 request(b"GET", b"missing"), request(b"MGET", b"k", b"n", b"k")]  # fmt: skip
        n = b"%d" % (number + 1)
        bulk = b"$%d\r\n%b\r\n" % (len(value), value)
        wanted.append(b"+OK\r\n" + bulk + b"+cold\r\n:" + n + b"\r\n$-1\r\n*3\r\n" + bulk
                      + b"$%d\r\n%b\r\n" % (len(n), n) + bulk)  # fmt: skip
    answer = bytes(one.engine.feed(one.session, b"".join(sent), NOW))
    while one.session.more:
        answer += bytes(one.engine.feed(one.session, b"", NOW))
    assert answer == b"".join(wanted)


def test_the_same_value_under_a_new_deadline_stays_as_it_lies(one: Sealed) -> None:
    one.ask(b"SET", b"k", b"value of some length", b"PX", b"5000")
    (before,) = one.held()
    assert one.engine.retime(0, b"k", NOW + 9_000, False, NOW + 1, b"expire")
    (after,) = one.held()
    assert (after.value, after.seal) == (before.value, before.seal) and after.clock > before.clock
    assert one.ask(b"GET", b"k", now=NOW + 6_000) == b"$20\r\nvalue of some length\r\n"


def test_records_travel_as_they_lie_and_open_where_the_key_is(make: Callable[..., Sealed]) -> None:
    here, there = make(node=1), make(node=2)
    for size in SIZES:
        here.ask(b"SET", b"k%d" % size, b"x" * size, b"PX", b"9000")
    payload = here.engine.drain(1 << 30)
    assert b"x" * 16 not in payload
    assert there.engine.merge(payload, NOW) == (0, 0, len(SIZES), 0, len(SIZES))
    assert there.held() == []
    there.ring.learn(here.ring.export(), NOW)
    assert there.engine.merge(payload, NOW) == (len(SIZES), 0, 0, 0, 0)
    assert sorted(there.engine.records(0)) == sorted(here.engine.records(0))
    for size in SIZES:
        assert there.ask(b"GET", b"k%d" % size) == b"$%d\r\n%b\r\n" % (size, b"x" * size)
    assert there.engine.seal_keys() == {here.ring.current}


@pytest.mark.parametrize("position", [0, LONG_FIRST, 77, 5 << 32 | LONG_FIRST, 5 << 32 | 1, (1 << 63) - 2])
def test_long_values_open_wherever_their_blocks_are(one: Sealed, position: int) -> None:
    """A boot that has sealed 2**31 long values goes on like with all others; and another version may place them
    otherwise.
    """
    key, value = one.ring.take(), os.urandom(LONG_BYTES + 33)
    seal = Seal(key.id, 9, position)
    packed = pack(Record(0, b"k", run_through(key, 9, position, value), NOW << 16, 7, NOW + 50_000, seal=seal))
    assert one.engine.merge(packed, NOW).new == 1
    assert one.engine.records(0) == [packed]
    assert one.ask(b"GET", b"k") == b"$%d\r\n%b\r\n" % (len(value), value)
    entry = one.engine.lookup(0, b"k", NOW)
    assert entry is not None and entry.value == value


def test_behind_the_last_count_long_values_take_blocks_like_all_others() -> None:
    seals = Seals(new_ring(), 5, writes=True)
    seals.long_count = LONG_COUNT_MAX - 1
    found = [seals.seal(bytes(LONG_BYTES))[1] for _ in range(3)]
    assert [(one.sealer, one.position) for one in found] == [
        (5 ^ LONG_SEALER, LONG_COUNT_MAX - 1 << 32 | LONG_FIRST), (5, 0), (5, LONG_BYTES // BLOCK_BYTES),
    ]  # fmt: skip


def test_who_does_not_seal_can_open_and_what_comes_plain_is_sealed_on_arrival(make: Callable[..., Sealed]) -> None:
    sealing, plain = make(node=1), make(node=2, writes=False)
    plain.ask(b"SET", b"plain", b"a value in plain", b"PX", b"9000")
    sealing.ask(b"SET", b"sealed", b"a value, sealed.", b"PX", b"9000")
    plain.ring.learn(sealing.ring.export(), NOW)
    from_plain, from_sealing = plain.engine.drain(1 << 20), sealing.engine.drain(1 << 20)
    assert b"a value in plain" in from_plain and b"a value, sealed." not in from_sealing
    assert sealing.engine.merge(from_plain, NOW).new == plain.engine.merge(from_sealing, NOW).new == 1
    for one in (sealing, plain):
        assert one.ask(b"MGET", b"plain", b"sealed") == b"*2\r\n$16\r\na value in plain\r\n$16\r\na value, sealed.\r\n"
    adopted = next(record for record in sealing.held() if record.key == b"plain")
    assert adopted.node == 2 and adopted.seal is not None and adopted.seal.sealer == 1
    assert opened(adopted, sealing.ring) == b"a value in plain"
    assert pack(adopted)[0] & (SEALED | ADOPTED) == SEALED | ADOPTED
    third = make(node=3)
    third.ring.learn(sealing.ring.export(), NOW)
    assert third.engine.merge(pack(adopted), NOW).new == 1
    assert third.ask(b"GET", b"plain") == b"$16\r\na value in plain\r\n" and third.held() == [adopted]


def test_an_engine_without_keys_refuses_what_is_sealed(engine: Engine) -> None:
    record = pack(Record(0, b"k", b"cipher", NOW << 16, 9, NOW + 5_000, 0, False, Seal(7, 9, 0)))
    assert engine.merge(record, NOW) == (0, 0, 1, 0, 1)
    assert engine.seal_keys() == set() and engine.lookup(0, b"k", NOW) is None


def test_headers_that_contradict_themselves_are_malformed(one: Sealed) -> None:
    good = pack(Record(0, b"k", b"cipher", NOW << 16, 9, NOW + 5_000, 0, False, Seal(7, 5, 3)))
    assert good[0] == SEALED | ADOPTED
    adopted_alone = bytes([ADOPTED]) + good[1:]
    sealed_stub = pack(Record(0, b"k", None, NOW << 16, 9, NOW, NOW + 5_000))
    sealed_stub = bytes([sealed_stub[0] | SEALED]) + sealed_stub[1:] + bytes(16)
    far = pack(Record(0, b"k", b"cipher", NOW << 16, 9, NOW + 5_000, 0, False, Seal(7, 9, 1 << 63)))
    for bad in (adopted_alone, sealed_stub, far):
        assert one.engine.merge(bad, NOW) == (0, 0, 0, 1, 0)
    for end in range(34, len(good)):
        assert one.engine.merge(good[:end], NOW).malformed == 1


def test_a_key_that_the_ring_forgot_is_let_go_of_and_can_come_again(make: Callable[..., Sealed]) -> None:
    here, there = make(node=1), make(node=2)
    here.ask(b"SET", b"k", b"v" * 40, b"PX", b"1000")
    payload, exported = here.engine.drain(1 << 20), here.ring.export()
    there.ask(b"SET", b"own", b"v", b"EX", b"3000")
    own = there.ring.current
    there.ring.learn(exported, NOW)
    if there.ring.current == own:  # of two keys made in one millisecond the ids decide
        foreign = here.ring.current
    else:
        foreign = own
    there.engine.merge(payload, NOW)
    assert there.engine.seal_keys() == {own, here.ring.current}
    there.engine.expire(NOW + 3_000, 1_000)
    if foreign == here.ring.current:
        assert there.engine.seal_keys() == {own}
        there.ring.forget(there.engine.seal_keys(), NOW)
        assert there.ring.forget(there.engine.seal_keys(), NOW + 10_000_000) == 1
        there.engine.seal_keys()
        again = pack(Record(0, b"k", b"c" * 8, NOW + 5_000 << 16, 1, NOW + 50_000, 0, False, Seal(foreign, 1, 0)))
        assert there.engine.merge(again, NOW + 5_000).strange == 1
        there.ring.learn(exported, NOW)
        assert there.engine.merge(again, NOW + 5_000).new == 1


def test_behind_a_change_of_keys_nothing_is_sealed_with_the_old_one(one: Sealed) -> None:
    one.ask(b"SET", b"before", b"v" * 40)
    old = one.ring.current
    one.ring.renew_by(NOW + 1)
    assert one.ring.make(os.urandom(KEY_BYTES), NOW + 1) and one.ring.current != old
    one.engine.leave_pad()
    one.ask(b"SET", b"behind", b"w" * 40)
    one.ask(b"SET", b"long", b"x" * LONG_BYTES)
    keys = {record.key: record.seal.key for record in one.held() if record.seal is not None}
    assert keys == {b"before": old, b"behind": one.ring.current, b"long": one.ring.current}
    assert one.ask(b"MGET", b"before",
                   b"behind").endswith(b"$40\r\n" + b"v" * 40 + b"\r\n$40\r\n" + b"w" * 40 + b"\r\n")
    while one.engine.expire(NOW + 5_000_000_000, 100):
        pass
    assert one.engine.seal_keys() == {one.ring.current}


def test_sealing_begins_before_the_first_record(engine: Engine) -> None:
    engine.store(0, b"k", b"v", NOW + 1_000, False, NOW, b"set")
    with pytest.raises(AssertionError):
        engine.use_seals(new_ring(), True)


# -- no block twice ---------------------------------------------------------------------------------
VALUES = st.sampled_from([0, 1, 16, 17, 100, 1_500, 2_048, 5_000, LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + 5,
                          2 * PAD_BYTES + 5])
STEPS = st.lists(st.one_of(
    st.tuples(st.just("set"), st.integers(0, 5), VALUES), st.tuples(st.just("incr"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("retime"), st.integers(0, 5), st.integers(1, 5_000)),
    st.tuples(st.just("learn"), st.just(0), st.just(0)),
    st.tuples(st.just("plain"), st.integers(0, 5), VALUES), st.tuples(st.just("back"), st.just(0), st.just(0)),
), min_size=1, max_size=40)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_no_counter_block_is_used_twice_and_both_engines_make_the_same_ciphertext(
    steps: list[tuple[str, int, int]],
) -> None:
    secret = os.urandom(KEY_BYTES)
    ways = {False, hasattr(AESGCM, "encrypt_into")}
    both = [sealed(name, ring=Ring(bytearray(RING_BYTES), secret, NOW, by_gcm)) for name in WAYS for by_gcm in ways]
    used: Counter[tuple[int, int]] = Counter()
    seen: dict[tuple[int, int], bytes] = {}
    now, newer = NOW, 0
    for number, (what, which, size) in enumerate(steps):
        value = os.urandom(size)
        newer += what == "learn"
        exported = (NOW + newer).to_bytes(8, "little") + os.urandom(KEY_BYTES)
        now += -3_000 if what == "back" else 1
        plain = pack(Record(0, b"k%d" % which, value, now + 1 << 16, 1 + number, NOW + 50_000))
        for one in both:
            match what:
                case "set":
                    one.ask(b"SET", b"k%d" % which, value, b"PX", b"9000", now=now)
                case "incr":
                    one.ask(b"INCR", b"n%d" % which, now=now)
                case "retime":
                    one.engine.retime(0, b"k%d" % which, now + size, False, now, b"expire")
                case "learn":
                    one.ring.learn(exported, NOW + newer)
                    if newer % 2:
                        one.engine.leave_pad()
                case "plain":
                    one.engine.merge(plain, now)
                case "back":
                    one.engine.restamp(now)
        held = [sorted(one.engine.records(0)) for one in both]
        assert all(state == held[0] for state in held)
        for record in both[0].held():
            if record.seal is None or record.value is None:
                continue
            for block in range(blocks_of(len(record.value))):
                # The same ciphertext may move on to a new stamp; another under the same block is the fault.
                place = (record.seal.sealer, record.seal.position + block)
                piece = record.value[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]
                if seen.setdefault(place, piece) != piece:
                    used[place] += 1
    assert not used


def test_the_test_above_would_notice(one: Sealed) -> None:
    """Two nodes of one number are what must never be: they use the same blocks."""
    other = sealed(one.engine.name, ring=one.ring)
    one.ask(b"SET", b"k", b"a" * 32)
    other.ask(b"SET", b"k", b"b" * 32)
    (mine,), (theirs,) = one.held(), other.held()
    assert mine.seal == theirs.seal and mine.value and theirs.value
    assert xor(mine.value, theirs.value) == xor(b"a" * 32, b"b" * 32)


def test_a_long_reply_in_slices_tells_values_in_plain(one: Sealed) -> None:
    values = {b"f%d" % number: b"a value, sealed, %d" % number * (1 + number % 40) for number in range(300)}
    for name, value in values.items():
        assert one.ask(b"HSET", b"h", name, value) == b":1\r\n"
    told, found, cursor = one.engine.begin_telling(), b"", 0
    while not found or cursor:
        cursor, _, encoded = one.engine.tell_members(told, 0, b"h", cursor, TELL_NAMES | TELL_VALUES, [], True, NOW)
        found += encoded
    assert len(found) > sum(map(len, values.values()))
    for name, value in values.items():
        assert b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(name), name, len(value), value) in found
