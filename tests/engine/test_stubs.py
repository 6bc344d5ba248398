"""Stubs: none where nobody else can hold what was overwritten, else counted, and as memory that has a limit."""

import pytest

from respram.engine import make
from respram.engine.api import Engine, Settings
from tests.engine.conftest import ENGINES

NOW = 1_800_000_000_000
DAY_MS = 86_400_000
SETTINGS = Settings(
    node=1, secret=b"0123456789abcdef", default_ttl_ms=3_600_000, max_ttl_ms=31 * DAY_MS, memory_bytes_max=0, bulk_bytes_max=1 << 20,
    args_max=1 << 20, inline_bytes_max=1 << 16, query_bytes_max=1 << 30, clock_offset_ms_max=2_000, feed_commands_max=512,
    feed_reply_bytes_max=1 << 20, outbox_bytes_max=0,
)  # fmt: skip


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shorten(engine: Engine, keys: int) -> None:
    """Day-long values, overwritten for a second, retimed, let go: each would leave a stub."""
    for number in range(keys):
        key = b"session:%d" % number
        engine.store(0, key, b"v" * 100, NOW + DAY_MS, False, NOW, b"set")
        if number % 3 == 0:
            engine.store(0, key, b"w", NOW + 1_000, False, NOW, b"set")
        elif number % 3 == 1:
            engine.retime(0, key, NOW + 1_000, False, NOW, b"expire")
        else:
            assert engine.let_go(0, key, NOW, b"del")
            assert engine.lookup(0, key, NOW) is None


def forget(engine: Engine) -> None:
    for ms in range(0, 3_000, 10):
        while engine.expire(NOW + ms, 1_000) >= 1_000:
            pass


def test_a_node_that_is_alone_keeps_none(name: str) -> None:
    engine = make(name, SETTINGS)
    shorten(engine, 300)
    forget(engine)
    counts = engine.counters()
    assert (counts["stubs"], counts["stub_bytes"], counts["records"]) == (0, 0, 0)
    assert not engine.records(0)


def test_who_can_have_peers_or_keeps_files_remembers_and_says_what_it_costs(name: str) -> None:
    for begin in (lambda engine: engine.track(7), lambda engine: engine.configure(SETTINGS._replace(outbox_bytes_max=1 << 20))):
        engine = make(name, SETTINGS)
        begin(engine)  # type: ignore[no-untyped-call]
        before = engine.used_bytes()
        shorten(engine, 300)
        forget(engine)
        engine.drain(1 << 30)
        counts = engine.counters()
        assert (counts["stubs"], counts["records"]) == (300, 0)
        grown = engine.used_bytes() - before
        assert 0.5 * grown <= counts["stub_bytes"] <= 1.5 * grown, (counts["stub_bytes"], grown)


def test_stubs_count_towards_the_memory_limit(name: str) -> None:
    engine = make(name, SETTINGS)
    engine.track(7)
    shorten(engine, 3_000)
    forget(engine)
    assert engine.counters()["records"] == 0
    engine.configure(SETTINGS._replace(memory_bytes_max=engine.used_bytes() // 2))
    assert engine.full()


def test_what_was_written_before_the_first_peer_came_is_remembered_from_then_on(name: str) -> None:
    engine = make(name, SETTINGS)
    engine.store(0, b"k", b"old", NOW + DAY_MS, False, NOW, b"set")
    engine.track(7, NOW)
    engine.store(0, b"k", b"new", NOW + 1_000, False, NOW, b"set")
    forget(engine)
    assert engine.counters()["stubs"] == 1
