"""What the numbers say, read back with Prometheus's own parser; and what looking at them costs."""

import contextlib
import time
import urllib.request

import pytest
import redis
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import respram
from respram.config.settings import Config
from respram.engine.api import LATE_BOUNDS_MS, LATE_MS, Engine
from respram.server import clock
from respram.server.metrics import look, spell
from tests import timing
from tests.engine.conftest import ENGINES, engine
from tests.live import SOON_S
from tests.server.nodes import make_node

__all__ = ["engine"]  # the fixture

KEYS = 100_000
LOOK_S_MAX = 0.005


def samples(port: int) -> dict[str, float]:
    """By name and labels; the parser refuses what is no OpenMetrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SOON_S) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for one in family.samples:
            found[one.name + "".join(f",{name}={value}" for name, value in sorted(one.labels.items()))] = one.value
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_numbers_tell_what_happened(engine: str) -> None:
    with respram.Server(engine=engine, metrics_port=0) as server, server.client() as client:
        client.set("a", "x" * 100, px=50)
        client.set("b", "y", ex=60)
        assert client.get("b") and client.get("none") is None
        with pytest.raises(Exception, match="refused by design"):
            client.delete("b")
        end = time.monotonic() + SOON_S
        while client.exists("a") or client.info("stats")["expired_keys"] != 1:
            assert time.monotonic() < end
        found = samples(server.metrics_port)
        assert found["respram_commands_total,command=set"] == 2 and found["respram_commands_total,command=get"] >= 2
        assert (
            found["respram_keys"] == 1
            and found["respram_keyspace_hits_total"] >= 1
            and found["respram_keyspace_misses_total"] >= 1
        )
        assert found["respram_refusals_total,command=del"] == 1 and found["respram_errors_total,word=NOPERM"] == 1
        assert found["respram_forgotten_values_total"] == 1 and found["respram_forgotten_bytes_total"] == 100
        assert found["respram_expiry_lag_seconds_count"] == found["respram_expiry_lag_seconds_bucket,le=+Inf"] == 1
        if timing.JUDGED:
            assert found["respram_expiry_lag_seconds_bucket,le=5.0"] == 1, "less than five seconds late"
        assert found["respram_command_duration_seconds_count,command=info"] >= 1
        assert found["respram_ready"] == 1 and found["respram_clients"] >= 1
        assert found["respram_memory_bytes,purpose=resident"] > found["respram_memory_bytes,purpose=records"] > 0


def test_peers_have_their_lag_in_seconds() -> None:
    with respram.Enclave(2, engine="pure", metrics_port=0) as nodes:
        found = samples(nodes[0].metrics_port)
        lags = [name for name in found if name.startswith("respram_peer_lag_seconds,peer=")]
        assert len(lags) == 1 and 0 <= found[lags[0]] < SOON_S and found["respram_enclave_members"] == 2
        assert found["respram_majority_size"] == found["respram_majority_votes"] == 0


def test_decisions_by_a_majority_are_counted() -> None:
    with respram.Enclave(2, engine="pure", metrics_port=0, decide="majority", enclave_size=2) as nodes:
        end = time.monotonic() + SOON_S
        while not all(samples(node.metrics_port)["respram_majority_votes"] for node in nodes):
            assert time.monotonic() < end
        with nodes[0].client() as client:
            while True:  # on a busy machine a home may be away for a moment
                with contextlib.suppress(redis.exceptions.RedisError):
                    client.set("a", 1, xx=True)
                    break
                assert time.monotonic() < end
        found = samples(nodes[0].metrics_port)
        assert found["respram_majority_size"] == 2
        assert sum(samples(node.metrics_port)["respram_majority_decided_total"] for node in nodes) >= 1
        assert all(f"respram_majority_{name}_total" in found for name in ("short", "lost", "deposed"))


@pytest.mark.parametrize("engine", ENGINES)
def test_looking_costs_the_loop_no_more_with_many_keys(engine: str) -> None:
    """5 ms is the bound that was asked for at a million keys; nothing that is looked at grows with them. It is time of
    this thread: another process may have the core.
    """
    node = make_node(Config(engine=engine), 1, None, lambda line: None)
    now_ms = clock.now_ms()
    for number in range(KEYS):
        node.engine.store(0, b"%d" % number, b"v", now_ms + 60_000, False, now_ms, b"set")
    best = min(_timed(lambda: look(node, now_ms)) for _ in range(20))
    assert best < LOOK_S_MAX
    assert b"respram_keys 100000.0\n" in spell(look(node, now_ms))


def _timed(call: object) -> float:
    assert callable(call)
    began = time.thread_time()
    call()
    return time.thread_time() - began


def test_lateness_is_counted_by_its_bounds_alike_in_both_engines(engine: Engine) -> None:
    now_ms = 1_700_000_000_000
    for number, late_ms in enumerate((0, 1, 2, 15, 99, 100, 101, 700, 9000)):
        engine.store(0, b"k%d" % number, b"x" * 10, now_ms + 1000, False, now_ms, b"set")
        end_ms = now_ms + 1000 + late_ms
        before = engine.counters()["expired"]
        engine.expire(end_ms, 100)
        for step in range(64):  # a slot of the wheel has to pass whole
            if engine.counters()["expired"] > before:
                break
            engine.expire(end_ms + step, 100)
        assert engine.counters()["expired"] == before + 1
        now_ms = end_ms + 100
    counts = engine.counters()
    late = [counts[f"late_{number}"] for number in range(len(LATE_BOUNDS_MS) + 1)]
    assert sum(late) == counts["expired"] == 9 and counts["wiped_bytes"] == 90
    assert late[-1] == 1 and late[LATE_BOUNDS_MS.index(1000)] == 1 and late[LATE_BOUNDS_MS.index(200)] >= 1
    assert counts["late_last_by_ms"] >= 9000 > LATE_MS and counts["late_last_at_ms"] >= counts["late_last_by_ms"]
    assert counts["late_sum_ms"] >= 0 + 1 + 2 + 15 + 99 + 100 + 101 + 700 + 9000
