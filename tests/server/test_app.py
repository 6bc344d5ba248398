"""The node as a process: starting, forgetting on time, stopping in order."""

import re
import time

from tests.engine.rig import request
from tests.live import LiveNode
from tests.timing import in_time


def test_untouched_keys_are_destroyed_soon_after_their_deadline(node: LiveNode) -> None:
    """Invariant 2: the `expired` event comes when the time comes, not when somebody looks."""
    wire, listener = node.connect(), node.connect()
    wire.ask(request(b"CONFIG", b"SET", b"notify-keyspace-events", b"Ex"), 5)
    listener.ask(request(b"SUBSCRIBE", b"__keyevent@0__:expired"), 50)
    lags: list[float] = []
    count = 200
    deadlines = {}
    for number in range(count):
        key = b"k%03d" % number
        deadlines[key] = time.time() + 1.0 + number * 0.002  # a SET that came too late would be refused
        wire.ask(request(b"SET", key, b"v", b"PXAT", b"%d" % (deadlines[key] * 1000)), 5)
    text = b""
    while len(lags) < count:
        text += listener.sock.recv(4096)
        now = time.time()
        for key in re.findall(rb"\r\n(k\d\d\d)\r\n", text):
            lags.append(now - deadlines[key])
        text = text[text.rfind(b"*") :] if not text.endswith(b"\r\n") else b""
    lags.sort()
    assert lags[0] >= -0.002, "expired before its time"
    in_time(lags[int(count * 0.9)], 0.05, "most keys after their deadline")
    in_time(lags[-1], 0.5, "every key after its deadline")
    wire.ask(request(b"CONFIG", b"SET", b"notify-keyspace-events", b""), 5)
    wire.close()
    listener.close()
