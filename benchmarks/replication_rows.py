"""What is measured of servers that hold the same keys: one function per measure, each from fresh servers to raw
figures.

Lags are looked for by asking the other node again and again, so they are too long by up to one such question (a tenth
of a millisecond). They begin when the write is sent. Nothing is pinned to a processor: several servers run at once
here, and who must wait for whom is part of the figure.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks import machine
from benchmarks.drive import CLIENT_S_MAX, hear_redis_benchmark, run_client
from benchmarks.groups import Asker, Group, group, growing, packed, respram_level, until
from benchmarks.machine import Affinity
from benchmarks.rows import preload
from benchmarks.servers import BenchError, Programs
from benchmarks.witness import Span, Watch, watching
from respram.record import HEADER, SEAL

VALUE_BYTES = 64
KEY_BYTES = 16
RECORD_BYTES = HEADER.size + SEAL.size + KEY_BYTES + VALUE_BYTES  # the size of a sealed record on the wire
TTL_S = 3600
WRITES_PER_S = 10_000
# writes of the background load leave in pulses, so that the client leaves the processors to the servers
PULSE_S = 0.001
LAG_S = 15
LAG_GAP_S = 0.005
LAG_S_MAX = 5.0
QUIET_S = 12  # how long an enclave without writes is watched
SETTLE_S = 2.5  # records younger than a second are in no digest
CHANGED = 1000
CUT_S = 3.0
PROBE_S = 8
PROBE_GAP_S = 0.001
FILL_S_MAX = 300.0

Figures = dict[str, Any]


def key(number: int) -> bytes:
    return b"key:%012d" % number


def fill(made: Group, programs: Programs, where: Affinity, keys: int) -> None:
    run_client(preload(keys, VALUE_BYTES, programs.load, made.servers[0].port, False), where, FILL_S_MAX)
    until(
        lambda: all(asker.ask("DBSIZE") == keys for asker in made.askers),
        f"not all {made.name} servers hold all keys",
        FILL_S_MAX,
        0.2,
    )
    time.sleep(SETTLE_S)
    made.wait_level()


# -- lag ----------------------------------------------------------------------------------------------
def lag(name: str, programs: Programs, where: Affinity, seconds: int = LAG_S) -> Figures:
    """From sending a SET to the first of three until the second answers it, while 10,000 a second are written there."""
    with group(name, 3, programs, where) as made:
        made.askers[0].ask("SET", "warm", "v", "EX", TTL_S)
        time.sleep(1)
        writer, load, reader = made.askers[0], Asker(made.servers[0].port), made.askers[1]
        pulses, sent, started = _pulses(), 0, time.monotonic()
        lags: list[float] = []
        outstanding, next_probe, probe, probe_sent = 0, started + 0.5, 0, 0.0
        load.sock.setblocking(False)
        while (now := time.monotonic()) < started + seconds:
            while sent < (now - started) * WRITES_PER_S:
                load.sock.setblocking(True)
                load.sock.sendall(next(pulses))
                load.sock.setblocking(False)
                sent += 10
                outstanding += 10
            outstanding -= _drain(load)
            if outstanding > WRITES_PER_S:
                raise BenchError(f"{name} does not keep up with {WRITES_PER_S} writes a second")
            if probe_sent:
                if reader.ask("GET", "lag:probe") == b"%d" % probe:
                    lags.append((time.monotonic() - probe_sent) * 1000)
                    probe_sent, next_probe = 0.0, time.monotonic() + LAG_GAP_S
                elif now - probe_sent > LAG_S_MAX:
                    raise BenchError(f"a write did not reach the second {name} server")
            elif now >= next_probe:
                probe, probe_sent = probe + 1, time.monotonic()
                writer.ask("SET", "lag:probe", probe, "EX", TTL_S)
            else:
                time.sleep(0.0002)
        return {
            "lags": len(lags),
            "p50_ms": _share(lags, 0.5),
            "p99_ms": _share(lags, 0.99),
            "max_ms": max(lags),
            "writes": sent,
        }


def _pulses() -> Iterator[bytes]:
    number = 0
    while True:
        yield b"".join(
            packed("SET", key((number + at) * 7919 % 100_000), b"x" * VALUE_BYTES, "EX", TTL_S) for at in range(10)
        )
        number += 10


def _drain(load: Asker) -> int:
    try:
        return load.sock.recv(1 << 16).count(b"+OK")
    except BlockingIOError:
        return 0


def _share(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    if not ordered:
        raise BenchError("nothing was measured")
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


# -- quiet times --------------------------------------------------------------------------------------
def quiet(name: str, programs: Programs, where: Affinity, keys: int, size: int = 2, seconds: int = QUIET_S) -> Figures:
    """What an enclave says while nobody writes: bytes of a comparison, frames and bytes a second, CPU."""
    with group(name, size, programs, where) as made:
        if keys:
            fill(made, programs, where, keys)
        time.sleep(SETTLE_S)
        before, cpu_s, started = [asker.info("replication") for asker in made.askers], made.cpu_s(), time.monotonic()
        time.sleep(seconds)
        after, cpu_s, took_s = [asker.info("replication")
                                for asker in made.askers], made.cpu_s() - cpu_s, time.monotonic() - started
    kinds: dict[str, list[int]] = {}
    for old, new in zip(before, after, strict=True):
        for field, text in new.items():
            if field.startswith("peer_sent_") and "frames=" in text:
                now, then = _traffic(text), _traffic(old.get(field, "frames=0,bytes=0"))
                tally = kinds.setdefault(field.removeprefix("peer_sent_"), [0, 0])
                tally[0] += now[0] - then[0]
                tally[1] += now[1] - then[1]
    digests, sames = kinds.get("digest", [0, 0]), kinds.get("same", [0, 0])
    if kinds.get("buckets", [0])[0] or not digests[0]:
        raise BenchError("the nodes were not level, or compared nothing")
    return {
        "keys": keys, "nodes": size, "seconds": took_s, "exchanges": digests[0],
        "exchange_bytes": (digests[1] + sames[1]) / digests[0],
        "frames_per_s": sum(one[0] for one in kinds.values()) / took_s,
        "bytes_per_s": sum(one[1] for one in kinds.values()) / took_s,
        "cpu_ms_per_s": cpu_s * 1000 / took_s, "kinds": {kind: one for kind, one in kinds.items() if one[0]},
    }  # fmt: skip


def _traffic(text: str) -> tuple[int, int]:
    frames, size = text.split(",")
    return int(frames.removeprefix("frames=")), int(size.removeprefix("bytes="))


# -- after a cut --------------------------------------------------------------------------------------
def healed(name: str, programs: Programs, where: Affinity, keys: int, args: tuple[str, ...] = ()) -> Figures:
    """Two servers of so many keys; the wire between them is cut, 1,000 keys are overwritten on one, the wire is mended.
    """
    with group(name, 2, programs, where, args, wired=True) as made:
        fill(made, programs, where, keys)
        for wire in made.wires:
            wire.cut()
        time.sleep(0.5)
        step = max(keys // CHANGED, 1)
        changed = [key(number * step) for number in range(CHANGED)]
        value = b"y" * VALUE_BYTES
        for name_of in changed:
            made.askers[0].ask("SET", name_of, value, "EX", TTL_S)
        time.sleep(CUT_S)
        if value in _values(made.askers[1], changed):
            raise BenchError("the wire was not cut")
        carried = made.wire_bytes()
        for wire in made.wires:
            wire.mend()
        mended = time.monotonic()
        until(lambda: set(_values(made.askers[1], changed)) == {value}, "the keys did not arrive", look_s=0.01)
        took_s = time.monotonic() - mended
        arrived_bytes = made.wire_bytes() - carried
        until(made.is_level, f"the {name} group is not level")
        level_s = time.monotonic() - mended
        return {
            "keys": keys, "changed": CHANGED, "changed_bytes": CHANGED * RECORD_BYTES, "arrived_s": took_s,
            "arrived_bytes": arrived_bytes,
            "level_s": level_s, "level_bytes": made.wire_bytes() - carried,
        }  # fmt: skip


def _values(asker: Asker, keys: list[bytes]) -> list[bytes | None]:
    try:
        found = asker.ask("MGET", *keys)
    except BenchError as error:
        if "LOADING" in str(error):  # Redis answers so while it loads a dump
            return []
        raise
    assert isinstance(found, list)
    return found


# -- filling up ---------------------------------------------------------------------------------------
def bootstrap(name: str, programs: Programs, where: Affinity, keys: int, args: tuple[str, ...] = ()) -> Figures:
    """A second server joins one of so many keys: bytes, seconds, and what a client of the first feels meanwhile.

    The newcomer gets a processor only where nobody else wants it: elsewhere it would have a machine of its own."""
    with growing(name, 2, programs, where, args) as (made, add):
        fill_one(made, programs, where, keys)
        with watching(programs, where) as watch:
            idle = _probe(made.askers[0], PROBE_S, lambda: False)
            sent, cpu_s = _sent_bytes(name, made.askers[0]), machine.cpu_s(made.servers[0].pid)
            started = time.monotonic()
            add(1)
            os.sched_setscheduler(made.servers[1].pid, os.SCHED_IDLE, os.sched_param(0))
            during = _probe(made.askers[0], int(FILL_S_MAX), _looker(name, made.askers[1], keys))
            took_s = time.monotonic() - started
            received = _sent_bytes(name, made.askers[0]) - sent
            source_cpu_s = machine.cpu_s(made.servers[0].pid) - cpu_s
        return {
            "keys": keys, "record_bytes": keys * RECORD_BYTES, "text_bytes": keys * (KEY_BYTES + VALUE_BYTES),
            "bytes": received, "took_s": took_s,
            "source_cpu_s": source_cpu_s, "unwitnessed": watch.why_not, **_waits(idle, watch, "idle"),
            **_waits(during, watch, "during"),
        }  # fmt: skip


def fill_one(made: Group, programs: Programs, where: Affinity, keys: int) -> None:
    run_client(preload(keys, VALUE_BYTES, programs.load, made.servers[0].port, False), where, FILL_S_MAX)
    if made.name != "redis":
        until(lambda: respram_level(made.askers), "the first node is not ready")
    time.sleep(SETTLE_S)


def _looker(name: str, asker: Asker, keys: int) -> Callable[[], bool]:
    """Whether the newcomer holds everything, asked four times a second: it has better things to do."""
    state = {"next": 0.0}

    def looks() -> bool:
        if time.monotonic() < state["next"]:
            return False
        state["next"] = time.monotonic() + 0.25
        info = asker.info("replication")
        ready = info.get("master_link_status") == "up" if name == "redis" else info.get("peer_state") == "ready"
        return ready and asker.ask("DBSIZE") == keys

    return looks


def _probe(asker: Asker, seconds: int, done: Callable[[], bool]) -> list[Span]:
    """When a GET was sent, every millisecond, and how long it took, until done or so many seconds have passed."""
    waits: list[Span] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done():
        started_ns = time.monotonic_ns()
        asker.ask("GET", key(len(waits) * 7919 % 100_000))
        waits.append((started_ns, time.monotonic_ns() - started_ns))
        time.sleep(PROBE_GAP_S)
    return waits


def _waits(waits: list[Span], watch: Watch, when: str) -> Figures:
    """p50, p99 and the longest in microseconds; `own_`: without what the machine took of each, as far as a witness saw
    it.
    """
    times = [length / 1000 for _, length in waits]
    own = [watch.own_ns(wait) / 1000 for wait in waits]
    return {
        f"p50_{when}_us": _share(times, 0.5), f"p99_{when}_us": _share(times, 0.99), f"max_{when}_us": max(times),
        f"own_p99_{when}_us": _share(own, 0.99), f"machine_{when}_ms": sum(times) / 1000 - sum(own) / 1000,
    }  # fmt: skip


def _sent_bytes(name: str, asker: Asker) -> int:
    if name == "redis":
        return int(asker.info("stats")["total_net_repl_output_bytes"])
    return int(asker.info("replication")["peer_sent_bytes"])


# -- CPU ----------------------------------------------------------------------------------------------
def cpu(name: str, programs: Programs, where: Affinity, pipeline: int, requests: int, turns: int) -> list[Figures]:
    """CPU of all three servers per write, until the last of them has it."""
    found: list[Figures] = []
    with group(name, 3, programs, where) as made:
        for turn in range(turns + 1):
            cpu_by = [machine.cpu_s(server.pid) for server in made.servers]
            argv = [
                "redis-benchmark", "-h", "127.0.0.1", "-p", str(made.servers[0].port), "-c", "50", "-n", str(requests),
                "-P", str(pipeline),
                "-r", "100000", "--csv", "SET", "key:__rand_int__", "x" * VALUE_BYTES, "EX", str(TTL_S),
            ]  # fmt: skip
            heard = hear_redis_benchmark(run_client(argv, where, CLIENT_S_MAX), requests)
            until(lambda: _caught_up(made), f"the {name} servers did not catch up")
            spent = [machine.cpu_s(server.pid) - before for server, before in zip(made.servers, cpu_by, strict=True)]
            if turn:  # the first turn fills the servers
                by = [one / requests * 1e6 for one in spent]
                found.append(
                    {"pipeline": pipeline, "cpu_us": sum(by), "cpu_us_by": by, "rps": heard.rps, "p99_us": heard.p99_us}
                )
    return found


def _caught_up(made: Group) -> bool:
    if made.name == "redis":
        return made.is_level()
    info = made.askers[0].info("replication")
    return info["outbox_waiting_bytes"] == info["replication_queue_bytes"] == info["replication_lag_ms_max"] == "0"
