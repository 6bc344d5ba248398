"""Ten minutes of clients that come, work, misbehave and go: memory, descriptors and clients must not grow.

`make soak`, or `python -m tests.abuse.soak [--minutes M] [--engine E]`. The first fifth is for warming up; from then on
the lows of each fifth are compared, since a leak raises the lows and a peak does not.
"""

import argparse
import contextlib
import random
import re
import socket
import sys
import time
from dataclasses import dataclass

from tests.abuse.rig import check_log, open_descriptors, rss_bytes
from tests.engine.rig import request
from tests.live import LiveNode, Wire, running

PARTS = 5
GROWN_BYTES_MAX = 32 << 20  # of the lows, from the second part to the last
GROWN_DESCRIPTORS_MAX = 10
KEYS, VALUE_BYTES = 20_000, 200
CLIENTS_MAX = 200


@dataclass(slots=True)
class Low:
    rss: int = 1 << 62
    descriptors: int = 1 << 62


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=10)
    asked.add_argument("--engine", default="native")
    asked.add_argument("--seed", type=int, default=int(time.time()))
    given = asked.parse_args()
    sys.stdout.write(f"seed={given.seed} engine={given.engine} minutes={given.minutes}\n")
    with running(engine=given.engine) as node:
        lows = [churn(node, random.Random(given.seed + part), given.minutes * 60 / PARTS) for part in range(PARTS)]
        check_log(node)
    for part, low in enumerate(lows):
        sys.stdout.write(f"part {part}: rss_low_mib={low.rss / (1 << 20):.1f} descriptors_low={low.descriptors}\n")
    assert lows[-1].rss - lows[1].rss < GROWN_BYTES_MAX, "memory grows"
    assert lows[-1].descriptors - lows[1].descriptors < GROWN_DESCRIPTORS_MAX, "descriptors grow"
    return 0


def churn(node: LiveNode, chance: random.Random, seconds: float) -> Low:
    """One part; at its end all clients are gone, and so must be their traces."""
    low = Low()
    wires: list[Wire] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if len(wires) < CLIENTS_MAX and chance.random() < 0.3:
            wires.append(Wire(socket.create_connection(("127.0.0.1", node.port), 10)))
        if not wires:
            continue
        wire = wires[chance.randrange(len(wires))]
        if not act(wire, chance):
            wires.remove(wire)
    for wire in wires:
        wire.close()
    for _ in range(20):
        time.sleep(0.05)
        low.rss = min(low.rss, rss_bytes(node))
        low.descriptors = min(low.descriptors, open_descriptors(node))
    wire = node.connect()
    wire.sock.sendall(b"INFO clients\r\n")
    told = re.search(rb"connected_clients:(\d+)", wire.sock.recv(4096))
    assert told is not None and told[1] == b"1", "clients that left are still counted"
    wire.close()
    node.wires.clear()
    return low


def act(wire: Wire, chance: random.Random) -> bool:
    """One thing that a client does; False when it is gone afterwards."""
    key = b"key:%d" % chance.randrange(KEYS)
    draw = chance.random()
    with contextlib.suppress(ConnectionError, BrokenPipeError):
        if draw < 0.6:
            batch = request(b"SET", key, b"x" * chance.randrange(VALUE_BYTES), b"PX", b"%d" % chance.randrange(1, 20_000))
            wire.sock.sendall(batch * chance.randrange(1, 50) + b"ECHO end-of-batch\r\n")
            until(wire, b"end-of-batch\r\n")
            return True
        if draw < 0.8:
            wire.sock.sendall(b"MULTI\r\n" + request(b"GET", key) * 20 + b"EXEC\r\nSUBSCRIBE c\r\nUNSUBSCRIBE c\r\nECHO end-of-batch\r\n")
            until(wire, b"end-of-batch\r\n")
            return True
        if draw < 0.9:
            wire.sock.sendall(chance.randbytes(chance.randrange(1, 3000)))
        elif draw < 0.95:
            wire.sock.sendall(request(b"SET", key, b"x" * 50_000)[: chance.randrange(50_000)])
        else:
            wire.sock.sendall(request(b"MGET", *[b"key:%d" % number for number in range(2000)]) * 20)
        wire.reset()
        return False
    wire.close()
    return False


def until(wire: Wire, end: bytes) -> None:
    tail = b""
    while not tail.endswith(end):
        piece = wire.sock.recv(1 << 16)
        if not piece:
            raise ConnectionResetError
        tail = tail[-64:] + piece


if __name__ == "__main__":
    sys.exit(main())
