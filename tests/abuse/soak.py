"""Ten minutes of clients that come, work, misbehave and go, and of peers that are killed, stopped and come back:
memory, descriptors and tasks of the node that stays must not grow.

`make soak`, or `python -m tests.abuse.soak [--minutes M] [--engine E]`. The node is one of three; the others keep
snapshots and are restarted all the time, by SIGKILL or SIGTERM. The first fifth is for warming up; from then on the
lows of each fifth are compared, since a leak raises the lows and a peak does not. At the end all three must be equal.
"""

import argparse
import contextlib
import random
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

import redis

from tests.abuse.rig import check_log, open_descriptors, rss_bytes
from tests.engine.rig import request
from tests.live import LiveNode, Wire
from tests.peers.enclave import Member, enclave, until_equal, until_linked
from tests.peers.enclave import until as until_so

PARTS = 5
GROWN_BYTES_MAX = 32 << 20  # of the lows, from the second part to the last
GROWN_DESCRIPTORS_MAX = 10
GROWN_TASKS_MAX = 5
RESTART_S = 5.0  # between two restarts of peers
KEYS, VALUE_BYTES = 20_000, 200
CLIENTS_MAX = 200


@dataclass(slots=True)
class Low:
    rss: int = 1 << 62
    descriptors: int = 1 << 62
    tasks: int = 1 << 62  # of the loop
    acts: int = 0  # things that clients did


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=10)
    asked.add_argument("--engine", default="native")
    asked.add_argument("--seed", type=int, default=int(time.time()))
    given = asked.parse_args()
    sys.stdout.write(f"seed={given.seed} engine={given.engine} minutes={given.minutes}\n")
    with (
        tempfile.TemporaryDirectory() as folder,
        enclave(
            3,
            engines=(given.engine,),
            each=lambda number: ("--snapshot-dir", f"{folder}/{number}", "--snapshot-interval", "5") if number else (),
        ) as members,
    ):
        node = members[0].node
        assert node is not None
        restarts = Restarts(members[1:], random.Random(given.seed))
        restarts.start()
        try:
            lows = [churn(node, random.Random(given.seed + part), given.minutes * 60 / PARTS) for part in range(PARTS)]
        finally:
            restarts.over.set()
            restarts.join()
        assert restarts.fault is None, restarts.fault
        check_log(node)
        until_linked(members, 60)
        records = until_equal(members, 1, 60)
    for part, low in enumerate(lows):
        sys.stdout.write(
            f"part {part}: rss_low_mib={low.rss / (1 << 20):.1f} descriptors_low={low.descriptors} "
            f"tasks_low={low.tasks} acts={low.acts}\n"
        )
    sys.stdout.write(
        f"restarts killed={restarts.killed} stopped={restarts.stopped} restored_records={restarts.restored} "
        f"equal_records={records}\n"
    )
    assert lows[-1].rss - lows[1].rss < GROWN_BYTES_MAX, "memory grows"
    assert lows[-1].descriptors - lows[1].descriptors < GROWN_DESCRIPTORS_MAX, "descriptors grow"
    assert lows[-1].tasks - lows[1].tasks < GROWN_TASKS_MAX, "tasks grow"
    assert restarts.killed and restarts.stopped and restarts.restored, "the peers were spared"
    return 0


class Restarts(threading.Thread):
    """Ends one of the peers, starts it anew, waits until it is ready, and takes the next."""

    def __init__(self, members: list[Member], chance: random.Random) -> None:
        super().__init__()
        self.members, self.chance = members, chance
        self.over = threading.Event()
        self.killed = self.stopped = self.restored = 0
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.wait(RESTART_S):
                self._restart(self.chance.choice(self.members))
        except Exception as fault:
            self.fault = fault

    def _restart(self, member: Member) -> None:
        assert member.node is not None
        log = member.log()
        assert "event=bug" not in log and "Traceback" not in log, log
        if self.chance.random() < 0.5:
            member.kill()
            self.killed += 1
        else:
            member.stop()
            self.stopped += 1
        member.start()
        until_so(lambda: member.info()["peer_state"] == "ready", "a restarted peer does not become ready", 60)
        self.restored += int(member.client.info("persistence")["snapshot_restored_records"])


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
        low.acts += 1
        if not act(wire, chance):
            wires.remove(wire)
    for wire in wires:
        wire.close()
    for _ in range(20):
        time.sleep(0.05)
        low.rss = min(low.rss, rss_bytes(node))
        low.descriptors = min(low.descriptors, open_descriptors(node))
    with redis.Redis(port=node.port, socket_timeout=10) as client:
        for _ in range(20):
            low.tasks = min(low.tasks, client.info("respram")["loop_tasks"])
            time.sleep(0.05)
        assert len(client.client_list()) == 2, "clients that left are still counted"  # this one, and the enclave's
    node.wires.clear()
    return low


def act(wire: Wire, chance: random.Random) -> bool:
    """One thing that a client does; False when it is gone afterwards."""
    key = b"key:%d" % chance.randrange(KEYS)
    draw = chance.random()
    with contextlib.suppress(ConnectionError, BrokenPipeError):
        if draw < 0.6:
            batch = request(
                b"SET", key, b"x" * chance.randrange(VALUE_BYTES), b"PX", b"%d" % chance.randrange(1, 20_000)
            )
            wire.sock.sendall(batch * chance.randrange(1, 50) + b"ECHO end-of-batch\r\n")
            until(wire, b"end-of-batch\r\n")
            return True
        if draw < 0.8:
            wire.sock.sendall(
                b"MULTI\r\n"
                + request(b"GET", key) * 20
                + b"EXEC\r\nSUBSCRIBE c\r\nUNSUBSCRIBE c\r\nECHO end-of-batch\r\n"
            )
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
