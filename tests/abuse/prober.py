"""The bystander: a process of its own that PINGs a node at a fixed pace and says how long each took.

Open loop: a PING is sent every PACE_S whether or not the one before was answered. (A prober that waits for the
last answer before it asks again asks once during a stall of three seconds, and finds a p99 of nothing.)
The same goes to an echo process beside the node: what that one takes is the machine's own share.

`python -m tests.abuse.prober PORT [PASSWORD]` prints `ready`, measures until its standard input is closed, then
prints one line of JSON: delays in milliseconds of the node and of the echo.
"""

import json
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


def main(port: int, password: str) -> None:
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
    sys.stdout.write(json.dumps(measure(wire, near)) + "\n")
    near.close()
    echo.wait(ANSWER_S)


def measure(node: socket.socket, echo: socket.socket) -> dict[str, list[float]]:
    """Delays in milliseconds of both, asked in turns, until standard input is closed."""
    names = {node: "node", echo: "echo"}
    delays: dict[str, list[float]] = {"node": [], "echo": []}
    asked: dict[socket.socket, deque[float]] = {node: deque(), echo: deque()}
    bytes_left = {node: 0, echo: 0}
    due, over = time.perf_counter(), False
    while not over or any(asked.values()):
        ready = select.select([node, echo, *([] if over else [sys.stdin])], [], [], max(due - time.perf_counter(), 0))[
            0
        ]
        over = over or sys.stdin in ready
        for sock in ready:
            if not isinstance(sock, socket.socket):
                continue
            bytes_left[sock] += len(take(sock))
            size = len(PONG) if sock is node else len(PING)
            while bytes_left[sock] >= size:
                bytes_left[sock] -= size
                delays[names[sock]].append((time.perf_counter() - asked[sock].popleft()) * 1000)
        now = time.perf_counter()
        if now >= due and not over:
            for sock in asked:
                sock.sendall(PING)
                asked[sock].append(due if now - due < LATE_S else now)
            due = max(due + PACE_S, now - LATE_S)
        elif over and now > due + ANSWER_S:
            raise TimeoutError("the node does not answer the bystander")
    return delays


def take(sock: socket.socket) -> bytes:
    data = sock.recv(65_536)
    assert data, "closed on the bystander"
    assert not data.strip(b"+PONGI\r\n"), data
    return data


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
