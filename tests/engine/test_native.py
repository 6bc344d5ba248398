"""What only the native engine can get wrong: its table's growth, its wheel's rings, its buffers, its memory."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from respram.engine import make
from respram.engine.api import Engine, Session
from respram.errors import ConfigError
from respram.record import Record, pack, unpack

from .conftest import PURE_ONLY
from .rig import NOW, SETTINGS, Cold, request
from .test_engine import feed, open_session

pytestmark = pytest.mark.skipif(PURE_ONLY, reason="the native engine was left out on purpose")

HOUR_MS = 3_600_000


@pytest.fixture
def native() -> Engine:
    return make("native", SETTINGS._replace(outbox_bytes_max=0))


def test_whoever_names_an_engine_gets_it_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make("native", SETTINGS).name == make("auto", SETTINGS).name == "native"
    assert make("pure", SETTINGS).name == "pure"
    with pytest.raises(ConfigError, match="not one of"):
        make("fast", SETTINGS)
    monkeypatch.setitem(sys.modules, "respram.engine.native", None)
    assert make("auto", SETTINGS).name == "pure"
    with pytest.raises(ConfigError, match="cannot be loaded"):
        make("native", SETTINGS)


def test_settings_that_do_not_fit_the_core_are_refused() -> None:
    for wrong in (
        SETTINGS._replace(secret=b"short"), SETTINGS._replace(max_ttl_ms=1 << 47), SETTINGS._replace(max_ttl_ms=-1),
        SETTINGS._replace(bulk_bytes_max=1 << 32),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"between|bytes are needed"):
            make("native", wrong)
    with pytest.raises(OverflowError):
        make("native", SETTINGS._replace(args_max=-1))


def test_a_table_that_grows_and_shrinks_keeps_every_key_in_sight(native: Engine) -> None:
    count = 60_000
    for number in range(count):
        life_ms = 1_000 if number % 50 else HOUR_MS
        native.store(0, b"key:%d" % number, b"%d" % number, NOW + life_ms, False, NOW, b"set")
        if number % 5_000 == 0:
            assert walked(native, NOW) == number + 1
    assert native.count(0, NOW) == count
    for number in range(0, count, 7):
        entry = native.lookup(0, b"key:%d" % number, NOW)
        assert entry is not None and entry.value == b"%d" % number
    full = native.used_bytes()
    turns = 0
    while native.expire(NOW + 1_100, 64) >= 64:
        turns += 1
        if turns % 100 == 0:
            assert walked(native, NOW + 1_100) == count // 50
    assert turns > 900
    assert native.count(0, NOW + 1_100) == count // 50
    assert all(native.peek(0, b"key:%d" % number, NOW + 1_100) for number in range(0, count, 50))
    assert native.used_bytes() < full / 10


def test_every_key_is_found_at_every_step_of_every_move(native: Engine) -> None:
    keys = [b"%d" % number for number in range(1_600)]
    for number, key in enumerate(keys):
        native.store(0, key, b"v", NOW + HOUR_MS, False, NOW, b"set")
        if number < 800 or number % 7 == 0:
            assert all(native.peek(0, one, NOW) for one in keys[: number + 1]), number


@pytest.mark.parametrize("seed", range(4))
def test_a_table_that_comes_and_goes_holds_what_a_dict_holds_and_ends_small(native: Engine, seed: int) -> None:
    """Tides of random height: beyond 10,240 records the next lines are made ready, and given back where the tide turns.
    """
    rng = random.Random(seed)
    model: dict[bytes, tuple[bytes, int]] = {}
    now, highest = NOW, 0
    for tide in range(7):
        height = (24_000, 11_500, 26_000, 13_000, 40_000, 10_300, 900)[(tide + seed) % 7] + rng.randrange(1_000)
        while len(model) < height:
            key = b"%d" % rng.randrange(1 << 18)
            value, end = b"v" * rng.randrange(70), now + rng.randrange(1, 2_000)
            native.store(0, key, value, end, False, now, b"set")
            model[key] = (value, end)
        highest = max(highest, native.used_bytes())
        rest = rng.choice((0.0, 0.3, 0.6, 0.75, 0.9))
        while len(model) > height * rest:
            now += rng.randrange(1, 300)
            while native.expire(now, rng.randrange(1, 64)):
                for _ in range(rng.choice((0, 0, 0, 1, 3))):  # writes in the midst of it
                    key, end = b"%d" % rng.randrange(1 << 18), now + rng.randrange(1, 900)
                    native.store(0, key, b"late", end, False, now, b"set")
                    model[key] = (b"late", end)
            model = {key: kept for key, kept in model.items() if kept[1] > now}
        for key, (value, end) in model.items():
            entry = native.lookup(0, key, now)
            assert entry is not None and (entry.value, entry.deadline_ms) == (value, end), (tide, key)
        assert native.count(0, now) == walked(native, now) == len(model), tide
    while native.expire(now + 10_000, 64):
        pass
    assert native.counters()["records"] == 0
    assert highest > 2 << 20 and native.used_bytes() < 128 << 10


def walked(engine: Engine, now: int) -> int:
    keys: set[bytes] = set()
    cursor, steps = 0, 0
    while True:
        step = engine.scan(0, cursor, 500, now)
        keys.update(step.keys)
        cursor = step.cursor
        steps += 1
        assert steps < 10_000
        if not cursor:
            return len(keys)


def test_a_walk_over_a_nearly_empty_table_gives_up_a_turn_early_and_still_ends(native: Engine) -> None:
    for number in range(6_000):  # 1,024 lines: the smallest table that shrinks
        native.store(0, b"%d" % number, b"v", NOW + (1 if number % 1_000 else HOUR_MS), False, NOW, b"set")
    first = native.scan(0, 0, 1, NOW + 10)
    assert walked(native, NOW + 10) == 6
    assert len(first.keys) <= 3


def test_time_that_is_set_back_does_not_delay_what_is_due(native: Engine) -> None:
    native.store(0, b"far", b"v", NOW + 4_096 + 100, False, NOW + 4_000, b"set")
    native.store(0, b"near", b"v", NOW + 100, False, NOW, b"set")  # 4,096 ms earlier: the same slot of the ring
    native.expire(NOW + 120, 100)
    assert native.counters()["records"] == 1
    assert native.peek(0, b"far", NOW + 120) is not None
    native.expire(NOW + 4_096 + 120, 100)
    assert native.counters()["records"] == 0


def test_an_overwrite_with_more_time_outlives_the_slot_it_stands_in(native: Engine) -> None:
    for life_ms in (50, 500, 5_000, 500_000, 50_000_000):
        native.store(0, b"k", b"v", NOW + life_ms, False, NOW, b"set")
    for now in range(NOW, NOW + 60_000, 500):
        native.expire(now, 100)
    assert native.peek(0, b"k", NOW + 60_000) is not None
    now = NOW + 49_999_000
    for _ in range(4):
        native.expire(now, 100)
    native.expire(NOW + 49_999_999, 100)
    assert native.counters()["records"] == 1
    native.expire(NOW + 50_000_016, 100)
    assert native.counters()["records"] == 0


def test_a_life_beyond_the_last_ring_comes_to_its_end() -> None:
    years_ms = 20 * 365 * 86_400_000
    engine = make("native", SETTINGS._replace(max_ttl_ms=years_ms))
    ends = [NOW + years_ms - 49 * 86_400_000 * number for number in range(60)]
    for number, end in enumerate(ends):
        engine.store(0, b"%d" % number, b"v", end, False, NOW, b"set")
    for number, end in sorted(enumerate(ends), key=lambda pair: pair[1]):
        while engine.expire(end - 1, 1_000):
            pass
        assert engine.peek(0, b"%d" % number, end - 1) is not None
        while engine.expire(end + 16, 1_000):
            pass
        assert engine.counters()["records"] == number


def test_a_reply_that_is_kept_too_long_raises_instead_of_showing_other_bytes(native: Engine) -> None:
    session = open_session(native)
    kept = native.feed(session, request(b"ECHO", b"hello"), NOW)
    assert bytes(kept) == b"$5\r\nhello\r\n"
    native.feed(session, request(b"PING"), NOW)
    with pytest.raises(ValueError, match="released"):
        bytes(kept)


def test_feed_within_feed_is_refused_and_the_outer_one_goes_on(native: Engine) -> None:
    refusals: list[str] = []

    class Again(Cold):
        def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes:
            try:
                native.feed(session, b"PING\r\n", now_ms)
            except RuntimeError as error:
                refusals.append(str(error))
            return b"+cold\r\n"

    session = open_session(native, Again())
    assert feed(native, session, b"COLD\r\nPING\r\n") == b"+cold\r\n+PONG\r\n"
    assert len(refusals) == 1


def test_a_closed_session_in_mid_batch_is_survived(native: Engine) -> None:
    class Closing(Cold):
        def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes:
            native.close(session)
            return b"+bye\r\n"

    session = native.session(Closing())
    session.hot = session.trusted = True
    assert feed(native, session, request(b"COLD")[:5]) == b""
    assert feed(native, session, request(b"COLD")[5:] + request(b"PING") * 3) == b"+bye\r\n"
    assert session.closing


def test_a_request_of_many_arguments_in_small_reads_is_not_scanned_again_and_again(native: Engine) -> None:
    cold = Cold()
    session = open_session(native, cold)
    count = 200_000
    batch = request(b"MGET", *[b"%d" % number for number in range(count)])
    for at in range(0, len(batch), 500):  # 5,000 reads: seconds, if each began at the front
        reply = feed(native, session, batch[at : at + 500])
    assert reply == b"+cold\r\n"
    assert cold.seen[0][-1] == b"%d" % (count - 1) and len(cold.seen[0]) == count + 1


def test_more_writers_than_numbers_are_refused_and_the_gone_are_forgotten(native: Engine) -> None:
    def versions(first: int, count: int, life_ms: int) -> bytes:
        return b"".join(
            pack(Record(0, b"%d" % node, b"v", NOW << 16, node, NOW + life_ms)) for node in range(first, first + count)
        )

    assert native.merge(versions(1, 70_000, 100), NOW) == (65_535, 0, 70_000 - 65_535, 0, 0)
    while native.expire(NOW + 200, 1_000):
        pass
    assert native.merge(versions(100_000, 1_000, 900), NOW + 200).new == 1_000
    found = {record.node for packed in native.records(0) for record in unpack(packed)}
    assert found == set(range(100_000, 101_000))


NO_MEMORY = """
import resource, sys
from respram.engine import make
from tests.engine.rig import NOW, RING, SETTINGS, request

def dispatch(session, argv, now_ms):
    try:
        engine.store(0, argv[1], argv[2], now_ms + 9_000, False, now_ms, b"set")
    except MemoryError:
        return b"-OOM\\r\\n"
    return b"+late\\r\\n"

engine = make("native", SETTINGS._replace(outbox_bytes_max=0))
session = engine.session(dispatch)
session.hot = session.trusted = True
if sys.argv[2] == "sealed":
    engine.use_seals(RING, True)
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20), resource.RLIM_INFINITY))
size = int(sys.argv[1])
value, refused, stored = b"x" * size, 0, 0
while refused < 50:
    try:
        command = request(b"SET", b"key:%d" % (stored + refused), value)
    except MemoryError:  # this script's own
        refused += 1
        continue
    reply = bytes(engine.feed(session, command, NOW))
    assert reply[:4] in (b"+OK\\r", b"-OOM", b"+lat"), reply
    if reply[:4] == b"-OOM":
        refused += 1
    else:
        stored += 1
assert stored * (size + 60) > 20 << 20, stored
assert engine.count(0, NOW) == stored == engine.counters()["records"]
assert bytes(engine.feed(session, request(b"STRLEN", b"key:0"), NOW)) == b":%d\\r\\n" % size
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for number in (0, 1, stored // 2, stored - 1):
    answer = bytes(engine.feed(session, request(b"GET", b"key:%d" % number), NOW))
    assert answer == b"$%d\\r\\n%b\\r\\n" % (size, value), number
while engine.expire(NOW + 10_000_000, 64) >= 64:
    pass
assert engine.counters()["records"] == 0
assert bytes(engine.feed(session, request(b"SET", b"again", value), NOW + 10_000_000)) == b"+OK\\r\\n"
print("survived")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to know the size of the process")
@pytest.mark.parametrize(("size", "kind"), [(10, "plain"), (700, "sealed"), (20_000, "plain"), (20_000, "sealed")])
def test_without_memory_writes_get_an_error_and_nothing_is_lost(size: int, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_MEMORY, str(size), kind], capture_output=True, text=True, timeout=500,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("survived\n", 0), done.stderr[-2000:]
