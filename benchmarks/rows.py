"""The rows of the canonical comparison, as data, and the command that drives each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Op = Literal["get", "set", "mget"]
MGET_KEYS = 100
TTL_S = 3600
HALF_LOAD_S = 2  # one turn: about 100k requests, so 1,000 above the 99th percentile


@dataclass(frozen=True, slots=True)
class Row:
    op: Op
    keys: int
    requests: int  # requests of one turn, all connections together
    pipeline: int = 1
    connections: int = 50
    value_bytes: int = 64
    half_load: bool = False  # send at a fixed rate, half of Redis's maximum; `requests` is for measuring that maximum
    target: float | None = None  # wanted ratio of CPU per command to Redis's

    @property
    def dataset(self) -> tuple[int, int]:
        """What must be there before it: rows that share this share their servers."""
        return self.keys, self.value_bytes

    @property
    def title(self) -> str:
        word = {"get": "GET", "set": "SET EX", "mget": f"MGET of {MGET_KEYS}"}[self.op]
        size = "" if self.value_bytes == 64 else f", {size_name(self.value_bytes)} values"
        connections = "" if self.connections == 50 else f", {self.connections} connection{'s'[: self.connections > 1]}"
        load = ", half load" if self.half_load else ""
        return f"{word}, {count_name(self.keys)} keys, P={self.pipeline}{size}{connections}{load}"


def count_name(count: int) -> str:
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit and count % (unit // 10) == 0:
            return f"{count / unit:g}{letter}"
    return str(count)


def size_name(count: int) -> str:
    return f"{count // 1024} KiB" if count >= 1024 and count % 1024 == 0 else f"{count} B"


def canonical() -> list[Row]:
    targets = {1: 0.95, 16: 0.6, 64: 0.4}
    requests = {1: 60_000, 16: 400_000, 64: 800_000}
    ops: tuple[Op, ...] = ("get", "set")
    rows = [
        Row(op, keys, requests[pipeline], pipeline=pipeline, target=targets[pipeline])
        for keys in (100_000, 1_000_000) for op in ops for pipeline in (1, 16, 64)
    ]  # fmt: skip
    rows += [Row(op, 100_000, 25_000, connections=1, target=0.95) for op in ops]
    rows += [Row(op, 100_000, 120_000, connections=500, target=0.95) for op in ops]
    rows += [Row("mget", 100_000, 12_000, target=1.0)]
    for value_bytes, keys, count in ((1024, 100_000, 300_000), (16 * 1024, 10_000, 60_000)):
        rows += [Row(op, keys, count, pipeline=16, value_bytes=value_bytes, target=1.0) for op in ops]
    rows += [Row(op, 100_000, 80_000, half_load=True) for op in ops]
    return rows


def redis_benchmark(row: Row, port: int) -> list[str]:
    command = {
        "get": ["GET", "key:__rand_int__"],
        "set": ["SET", "key:__rand_int__", "x" * row.value_bytes, "EX", str(TTL_S)],
        "mget": ["MGET", *["key:__rand_int__"] * MGET_KEYS],
    }[row.op]
    return [
        "redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-c", str(row.connections), "-n", str(row.requests),
        "-P", str(row.pipeline), "-r", str(row.keys), "--csv", *command,
    ]  # fmt: skip


def own_load(row: Row, load: Path, port: int, memcache: bool, rate: int = 0) -> list[str]:
    length = ["--rate", str(rate), "--seconds", str(HALF_LOAD_S)] if rate else ["--requests", str(row.requests)]
    return [
        str(load), "--port", str(port), "--op", row.op, "--keys", str(row.keys), "--value-bytes", str(row.value_bytes),
        "--connections", str(row.connections), "--pipeline", str(row.pipeline), *length,
        *(["--memcache"] if memcache else []),
    ]  # fmt: skip


def preload(keys: int, value_bytes: int, load: Path, port: int, memcache: bool, first: int = 0) -> list[str]:
    """Every key once, in order."""
    return [
        str(load), "--port", str(port), "--op", "set", "--keys", str(keys), "--first", str(first), "--requests",
        str(keys),
        "--sequential", "--value-bytes", str(value_bytes), "--connections", "4", "--pipeline", "50",
        *(["--memcache"] if memcache else []),
    ]  # fmt: skip


def spell(argv: list[str]) -> str:
    """A command to show: values by their size, repetitions by their number, programs by their name."""
    words = [Path(argv[0]).name, *argv[1:]]
    shown: list[str] = []
    for word in words:
        text = f"<{len(word)} bytes>" if len(word) > 40 else word or "''"
        if shown and (shown[-1] == text or shown[-1].startswith(f"{text} x")) and not text.isdigit():
            shown[-1] = f"{text} x{int(shown[-1].rpartition('x')[2]) + 1 if shown[-1] != text else 2}"
        else:
            shown.append(text)
    return " ".join(shown)
