"""Collections while a node stops: no member that was acknowledged is lost."""

import asyncio
import contextlib
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.engine.conftest import ENGINES
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, start
from tests.peers.enclave import enclave, until_ready
from tests.ports import reserve
from tests.trials import stops

MEMBERS = 20_000  # that a writer would write, and is stopped before
AT_ONCE = 20  # in one packet
LEAST = 500  # acknowledged to each writer before the signal
LOOKED_UP = 1_000  # members that are asked for at once
READERS = {b"HSET": "HMGET", b"SADD": "SMISMEMBER", b"ZADD": "ZMSCORE"}
NEW = b":1\r\n"
KINDS = (b"HSET", b"SADD", b"ZADD")


@dataclass(slots=True)
class Writer:
    """Adds `m:0`, `m:1` ... to one collection, in order. Each is new, so `:1` acknowledges it."""

    kind: bytes
    key: bytes
    acknowledged: int = 0

    def write(self, node: LiveNode) -> None:
        wire = node.connect()
        with contextlib.suppress(ConnectionError):
            for first in range(0, MEMBERS, AT_ONCE):
                wire.sock.sendall(b"".join(self.line(number) for number in range(first, first + AT_ONCE)))
                got = wire.take(AT_ONCE * len(NEW))
                whole = next(count for count in range(AT_ONCE, -1, -1) if got.startswith(NEW * count))
                self.acknowledged += whole
                if whole < AT_ONCE:  # the node ends, or says that it cannot decide now: what is behind counts no more
                    break
        wire.close()

    def line(self, number: int) -> bytes:
        name = b"m:%d" % number
        parts = {b"HSET": (name, b"v%d" % number), b"SADD": (name,), b"ZADD": (b"%d" % number, name)}
        return request(self.kind, self.key, *parts[self.kind])

    def missing(self, client: "redis.Redis") -> list[int]:
        lost: list[int] = []
        for first in range(0, self.acknowledged, LOOKED_UP):
            numbers = range(first, min(first + LOOKED_UP, self.acknowledged))
            names = [b"m:%d" % number for number in numbers]
            found = client.execute_command(READERS[self.kind], self.key, *names)
            wanted: list[object] = [
                {b"HSET": b"v%d" % number, b"SADD": 1, b"ZADD": float(number)}[self.kind] for number in numbers
            ]
            lost += [number for number, value, want in zip(numbers, found, wanted, strict=True) if value != want]
        return lost


def begun(node: LiveNode, name: bytes) -> tuple[list[Writer], list[threading.Thread]]:
    writers = [Writer(kind, b"%b:%b" % (name, kind)) for kind in KINDS]
    threads = [threading.Thread(target=writer.write, args=(node,)) for writer in writers]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SOON_S
    while any(writer.acknowledged < LEAST for writer in writers) and time.monotonic() < end:
        time.sleep(0.005)
    return writers, threads


def stopped_under_load(node: LiveNode, name: bytes) -> list[Writer]:
    writers, threads = begun(node, name)
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(SOON_S) == 0
    for thread in threads:
        thread.join(SOON_S)
    assert all(writer.acknowledged >= LEAST for writer in writers), writers
    assert any(writer.acknowledged < MEMBERS for writer in writers), "nobody was writing any more"
    return writers


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_stop_loses_no_member_whatever_collection_is_written_to(engine: str, tmp_path: Path) -> None:
    key_file = tmp_path / "snapshot.key"
    key_file.touch(0o600)
    key_file.write_text(stops.KEY + "\n")
    words = ("--snapshot-dir", str(tmp_path / "snapshots"), "--snapshot-key-file", str(key_file))
    port, writers = reserve(), list[Writer]()
    for number in range(3):
        node = start(*words, engine=engine, port=port)
        try:
            asyncio.run(stops.until_loaded(port))
            with redis.Redis(port=port) as client:
                for writer in writers:
                    assert not writer.missing(client), (number, writer)
            if number < 2:
                writers += stopped_under_load(node, b"s%d" % number)
        finally:
            node.stop()
            node.log_path.unlink(missing_ok=True)


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_peer_has_every_member_when_the_node_that_took_it_has_stopped(engine: str) -> None:
    with enclave(2, engines=(engine,)) as members:
        until_ready(members)
        one, two = members
        assert one.node is not None
        for writer in stopped_under_load(one.node, b"p"):
            assert not writer.missing(two.client), writer
