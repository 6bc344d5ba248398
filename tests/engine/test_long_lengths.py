"""Lengths beyond 16 bits: the native engine keeps such lengths apart, in front of the key (decision 0247).

Keys, members' names and values cross that bound in both directions, within a block and into another, with and without a
shadow. The pure engine says what has to be there.
"""

from hashlib import sha256
from random import Random

import pytest

from respram.engine.api import Engine, Session
from respram.record import HASH, SET, ZSET, unpack

from .conftest import ENGINES, PURE_ONLY
from .rig import NOW, RING, SETTINGS, Cold, opened, request

BOUND = 65_536  # the first length that 16 bits do not hold
LENGTHS = (0, 1, 40, BOUND - 14, BOUND - 2, BOUND - 1, BOUND, BOUND + 1, BOUND + 13, 2 * BOUND, 2 * BOUND + 5)
NAMES = (b"", b"n", *(b"%6d" % length * (length // 6 + 1) for length in (BOUND - 7, BOUND - 1, BOUND + 7, 2 * BOUND)))
SPACES = (0, 1, *(16 * kind + db for kind in (HASH, SET, ZSET) for db in (0, 1)))
STEPS = 60
IDS_KEY = 99
EMPTY_BYTES_MAX = 64 << 10  # tables, and what a family without members keeps
Short = tuple[int, bytes, str]
State = dict[tuple[int, Short], tuple[Short, int, int, int, int]]


def short(text: bytes | None) -> Short:
    return (-1, b"", "") if text is None else (len(text), text[:12], sha256(text).hexdigest()[:16])


def state(engine: Engine) -> State:
    """What is there, and how long it and what it replaced live: short, for whoever reads a difference."""
    return {
        (one.db, short(one.key)): (short(opened(one)), one.clock, one.deadline_ms, one.shadow_ms, one.kind)
        for space in SPACES
        for packed in engine.records(space)
        for one in unpack(packed)
    }


def strings(found: State) -> State:
    """What a peer has to have whatever else comes; members of a head that has ended may go there at once."""
    return {key: record for key, record in found.items() if key[0] == 0 and record[0][0] >= 0}


def step(engine: Engine, session: Session, rng: Random, now_ms: int) -> bytes:
    """One write, drawn from the same row whatever the engine."""

    def fed(*argv: bytes) -> bytes:
        reply = bytes(engine.feed(session, request(*argv), now_ms))
        engine.forget_reply()
        return reply

    key, value = rng.choice(NAMES), rng.randbytes(1) * rng.choice(LENGTHS)
    life_ms, kind = rng.choice((2_000, 9_000, 90_000)), rng.choice((HASH, SET, ZSET))
    match rng.randrange(9):
        case 0 | 1:
            return fed(b"SET", key, value, b"PX", b"%d" % life_ms)
        case 2:
            return fed(b"APPEND", key, value[: rng.choice((1, 13, BOUND))])
        case 3:
            return fed(b"SETRANGE", key, b"%d" % rng.choice((0, 3, BOUND - 5, BOUND - 4, BOUND + 9)), b"12345")
        case 4:
            return fed(b"PEXPIRE", key, b"%d" % life_ms)
        case 5:
            return b"%d" % engine.let_go(0, key, now_ms, b"del")
        case 6:
            return fed(b"COPY", key, rng.choice(NAMES), b"REPLACE") + fed(b"GET", key)
        case _:
            heap = rng.choice((b"", NAMES[2], NAMES[4])) + b"%d" % kind
            if engine.peek(1, heap, now_ms) is None:
                engine.found(1, heap, kind, now_ms + life_ms, False, now_ms)
            if not rng.randrange(4):
                return b"%d" % engine.let_go_member(1, heap, key, now_ms)
            value = b"\0" * 8 if kind == ZSET else value
            return b"%d" % engine.put_member(1, heap, key, value, now_ms + life_ms, now_ms)


def expire(engine: Engine, now_ms: int) -> None:
    while engine.expire(now_ms, 1000) >= 1000:
        pass


def played(name: str, seed: int, tracked: bool) -> tuple[Engine, list[Short], list[State], int]:
    engine, rng, now_ms = ENGINES[name](SETTINGS._replace(outbox_bytes_max=tracked << 30)), Random(seed), NOW
    engine.use_seals(RING, True)
    session = engine.session(Cold())
    session.trusted = session.hot = True
    replies, states = list[Short](), list[State]()
    for number in range(STEPS):
        if number == STEPS // 3 and tracked:
            engine.track(IDS_KEY, now_ms)
        replies.append(short(step(engine, session, rng, now_ms)))
        if number % 6 == 5:
            states.append(state(engine))
        if number % 10 == 9:
            now_ms += 1_500
            expire(engine, now_ms)
    return engine, replies, [*states, state(engine)], now_ms


def told(name: str, source: Engine, now_ms: int) -> State:
    """A peer's records, once it has been sent all of the source's."""
    peer = ENGINES[name](SETTINGS._replace(node=9, outbox_bytes_max=0))
    peer.use_seals(RING, False)
    for packed in sorted(one for space in SPACES for one in source.records(space)):
        peer.merge(packed, now_ms)
    return state(peer)


@pytest.mark.skipif(PURE_ONLY, reason="there is one engine: nothing to compare")
@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_lengths_around_16_bits_are_the_same_in_both_engines(seed: int, tracked: bool) -> None:
    pure, expected, there, now_ms = played("pure", seed, tracked)
    native, replies, found, _ = played("native", seed, tracked)
    assert replies == expected and found == there
    assert {key[0] >= BOUND for _, key in found[-1]} == {True, False}
    peers = [told(name, source, now_ms) for source in (pure, native) for name in ENGINES]
    assert all(one == peers[0] for one in peers) and strings(peers[0]) == strings(found[-1])
    assert len(strings(found[-1])) > 2


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", list(ENGINES))
def test_what_long_records_took_is_given_back(name: str, seed: int) -> None:
    """Of a block so large only the count tells that it was given back with the length that it was taken with."""
    engine, _, _, now_ms = played(name, seed, False)
    assert engine.used_bytes() > 10 * EMPTY_BYTES_MAX
    expire(engine, now_ms + 40 * 86_400_000)
    assert 0 <= engine.used_bytes() < EMPTY_BYTES_MAX


@pytest.mark.parametrize("shadowed", [False, True])
def test_a_value_crosses_the_bound_in_a_block_that_stays(engine: Engine, shadowed: bool) -> None:
    """One byte more or less, and the lengths move to the front of the key, or back, and the key with them."""
    engine.track(IDS_KEY)
    for length in range(16):  # of the key: the lengths at which a block ends
        for below, above in ((BOUND - 1, BOUND), (BOUND - 2, BOUND), (BOUND - 1, BOUND + 2)):
            key = b"%d" % below + b"k" * length
            if shadowed:
                engine.store(0, key, b"first", NOW + 90_000, False, NOW, b"set")
            for size, letter in ((below, b"a"), (above, b"b"), (below, b"c"), (above, b"d"), (above + 1, b"e")):
                value = letter * (size - 1) + b"."
                engine.store(0, key, value, NOW + 60_000, False, NOW, b"set")
                entry = engine.lookup(0, key, NOW)
                assert entry is not None and entry.value == value
            engine.retime(0, key, NOW + 50_000, False, NOW, b"expire")
            entry = engine.lookup(0, key, NOW)
            assert entry is not None and entry.value == value
