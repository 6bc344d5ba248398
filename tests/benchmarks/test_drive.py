"""What clients and the kernel print, read strictly."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.drive import check, hear_load, hear_redis_benchmark
from benchmarks.machine import TICKS_PER_S, cpu_s, read_stat_cpu_s, stat_cpu_s
from benchmarks.rows import Row, canonical, own_load, preload, redis_benchmark, spell
from benchmarks.servers import KINDS, BenchError, Server

HEAD = (
    '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms",'
    '"p95_latency_ms","p99_latency_ms","max_latency_ms"\n'
)
LINE = '"SET key:__rand_int__ x,y EX 3600","416666.69","1.770","0.400","1.775","2.639","3.311","4.111"\n'


def load_answer(**changed: Any) -> str:
    times = {"count": 10, "p50_us": 5.0, "p99_us": 9.5, "p999_us": 9.9, "max_us": 10.0, "over_2ms": 0}
    return json.dumps(
        {"requests": 10, "seconds": 0.5, "errors": 0, "misses": 0, "overruns": 0, "times": times} | changed
    )


def test_the_csv_of_redis_benchmark_is_read_in_microseconds() -> None:
    heard = hear_redis_benchmark(HEAD + LINE, 1000)
    assert list(heard) == pytest.approx([1000, 416666.69, 1775, 3311, 4111])


@pytest.mark.parametrize(
    "text",
    ["", HEAD, HEAD + LINE + LINE, "Error from server\n" * 2, HEAD + '"SET"\n', HEAD + LINE.replace("3.311", "x")],
)
def test_anything_else_is_no_result(text: str) -> None:
    with pytest.raises(BenchError):
        hear_redis_benchmark(text, 1000)


def test_the_answer_of_the_load_is_read() -> None:
    assert hear_load(load_answer()) == (10, 20.0, 5.0, 9.5, 10.0)


@pytest.mark.parametrize("name", ["errors", "misses", "overruns"])
def test_a_load_that_was_not_carried_is_no_result(name: str) -> None:
    with pytest.raises(BenchError, match=f"3 {name}"):
        hear_load(load_answer(**{name: 3}))


def test_cpu_time_is_found_behind_any_process_name() -> None:
    fields = ["S", *map(str, range(4, 53))]
    fields[11], fields[12] = "250", "50"  # fields 14 and 15 of the whole line: utime, stime
    assert stat_cpu_s(f"42 (a (b) 7 7 7) {' '.join(fields)}") == 300 / TICKS_PER_S


def test_both_clocks_of_a_process_agree() -> None:
    before = cpu_s(os.getpid())
    while cpu_s(os.getpid()) < before + 0.05:
        pass
    assert cpu_s(os.getpid()) == pytest.approx(read_stat_cpu_s(os.getpid()), abs=3 / TICKS_PER_S)


def test_a_run_counts_only_if_the_server_says_so_too() -> None:
    row, server = Row("get", 1000, 500), Server(KINDS["redis"], 1, 1)
    before = {"misses": 7, "error_replies": 2, "keys": 1000, "total_commands_processed": 10}
    good = before | {"total_commands_processed": 512}
    check(row, server, before, good, 500)
    for changed in ({"misses": 8}, {"error_replies": 3}, {"keys": 999}, {"total_commands_processed": 509}):
        with pytest.raises(BenchError):
            check(row, server, before, good | changed, 500)


def test_commands_say_what_their_row_says() -> None:
    row = Row("set", 5000, 700, pipeline=16, connections=7, value_bytes=100)
    argv = redis_benchmark(row, 7777)
    assert argv[argv.index("-c") + 1 : argv.index("-c") + 8] == ["7", "-n", "700", "-P", "16", "-r", "5000"]
    assert argv[-5:] == ["SET", "key:__rand_int__", "x" * 100, "EX", "3600"]
    load = own_load(row, Path("/x/load"), 7777, True, 4000)
    assert {"--memcache", "--rate", "4000"} < set(load) and "--requests" not in load
    filling = preload(5000, 100, Path("/x/load"), 7777, False)
    assert filling[filling.index("--requests") + 1] == filling[filling.index("--keys") + 1] == "5000"


def test_a_command_is_shown_short() -> None:
    assert spell(redis_benchmark(Row("set", 10, 20), 7)).endswith("--csv SET key:__rand_int__ <64 bytes> EX 3600")
    assert spell(redis_benchmark(Row("mget", 10, 20), 7)).endswith("MGET key:__rand_int__ x100")
    assert spell([str(Path("/somewhere/load")), "--x"]) == "load --x"


def test_the_canonical_rows_are_all_there_and_tell_themselves_apart() -> None:
    titles = [row.title for row in canonical()]
    assert len(set(titles)) == len(titles)
    for words in ("GET", "SET EX"):
        for size in ("100k", "1M"):
            for pipeline in (1, 16, 64):
                assert f"{words}, {size} keys, P={pipeline}" in titles
        for extra in ("1 connection", "500 connections", "half load"):
            assert any(title.startswith(words) and title.endswith(extra) for title in titles)
        for size in ("1 KiB", "16 KiB"):
            assert any(title.startswith(words) and size in title for title in titles)
    assert any(title.startswith("MGET of 100") for title in titles)
