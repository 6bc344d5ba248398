"""The bystander: a process of its own that PINGs a node at a fixed pace and says how long each took.

Open loop: a PING is sent every PACE_S whether or not the one before was answered. (A prober that waits for the
last answer before it asks again asks once during a stall of three seconds, and finds a p99 of nothing.)
The same goes to an echo process beside the node: what that one takes is the machine's own share.

Another process may have the core that the node wants, or that the prober wants. For how long either waited for one the
kernel tells (`schedstat`), and a delay is counted without it, but never as less than the processor time that the node's
loop took meanwhile. So what is counted is the node's own doing, however busy the machine is.

`python -m tests.abuse.prober PORT PID [PASSWORD]` prints `ready`, measures until its standard input is closed, then
prints one line of JSON: of the node and of the echo, delays in milliseconds, as they were and as they count.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque

PACE_S = 0.005
LATE_S = 0.02  # by which the prober itself may be late; more is no fault of the node
ANSWER_S = 120.0  # how long one answer may take before the prober gives up
PING, PONG = b"PING\r\n", b"+PONG\r\n"
ECHO = """
import socket, sys
sock = socket.socket(fileno=int(sys.argv[1]))
while data := sock.recv(64):
    sock.sendall(data)
"""


class Core:
    """What the kernel knows of a process's first thread, in milliseconds since its start."""

    def __init__(self, pid: int) -> None:
        self.file = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY)

    def ran_and_waited(self) -> tuple[float, float]:
        ran, waited, _ = os.pread(self.file, 100, 0).split()
        return int(ran) / 1e6, int(waited) / 1e6


def main(port: int, pid: int, password: str) -> None:
    near, far = socket.socketpair()
    echo = subprocess.Popen([sys.executable, "-S", "-c", ECHO, str(far.fileno())], pass_fds=[far.fileno()])
    far.close()
    near.settimeout(ANSWER_S)
    wire = socket.create_connection(("127.0.0.1", port), ANSWER_S)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if password:
        wire.sendall(b"AUTH " + password.encode() + b"\r\n")
        assert wire.recv(64) == b"+OK\r\n"
    near.sendall(PING)
    assert near.recv(64) == PING  # the echo process is up
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(measure({wire: ("node", Core(pid)), near: ("echo", Core(echo.pid))})) + "\n")
    near.close()
    echo.wait(ANSWER_S)


def measure(asked: dict[socket.socket, tuple[str, Core]]) -> dict[str, list[float]]:
    """Delays of both, asked in turns, until standard input is closed."""
    own = Core(os.getpid())
    delays: dict[str, list[float]] = {}
    for name, _ in asked.values():
        delays[name], delays[f"{name}_own"] = [], []
    sent: dict[socket.socket, deque[tuple[float, float, float, float]]] = {sock: deque() for sock in asked}
    bytes_left = dict.fromkeys(asked, 0)
    due, over = time.perf_counter(), False
    while not over or any(sent.values()):
        wait_s = max(due - time.perf_counter(), 0)
        ready = select.select([*asked, *([] if over else [sys.stdin])], [], [], wait_s)[0]
        over = over or sys.stdin in ready
        for sock in ready:
            if not isinstance(sock, socket.socket):
                continue
            name, core = asked[sock]
            bytes_left[sock] += len(take(sock))
            answered, ran_ms, waited_ms = now(core, own)
            size = len(PONG) if name == "node" else len(PING)
            while bytes_left[sock] >= size:
                bytes_left[sock] -= size
                asked_at, sent_at, ran_before_ms, waited_before_ms = sent[sock].popleft()
                delays[name].append((answered - asked_at) * 1000)
                without_waits_ms = (answered - sent_at) * 1000 - (waited_ms - waited_before_ms)
                delays[f"{name}_own"].append(max(without_waits_ms, ran_ms - ran_before_ms))
        at = time.perf_counter()
        if at >= due and not over:
            for sock, (_, core) in asked.items():
                sent[sock].append((due if at - due < LATE_S else at, *now(core, own)))
                sock.sendall(PING)
            due = max(due + PACE_S, at - LATE_S)
        elif over and at > due + ANSWER_S:
            raise TimeoutError("the node does not answer the bystander")
    return delays


def now(core: Core, own: Core) -> tuple[float, float, float]:
    """The time in seconds, and in milliseconds for how long the asked one ran, and it and this process waited."""
    ran_ms, waited_ms = core.ran_and_waited()
    return time.perf_counter(), ran_ms, waited_ms + own.ran_and_waited()[1]


def take(sock: socket.socket) -> bytes:
    data = sock.recv(65_536)
    assert data, "closed on the bystander"
    assert not data.strip(b"+PONGI\r\n"), data
    return data


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
