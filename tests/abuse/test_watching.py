"""Optimistic locking while others change the same key: whoever is told that EXEC ran has seen the last value."""

import threading

from tests.abuse.rig import endure
from tests.engine.rig import request
from tests.live import LiveNode, Wire

LOCKERS, OTHERS, CHANGES = 6, 3, 60
QUEUED = b"+OK\r\n+QUEUED\r\n"
KEY = b"counter"


def test_no_change_is_lost_between_watch_and_exec(node: LiveNode) -> None:
    """Some change the key under WATCH, others without it, by fast paths and by a script."""
    ran = [0] * LOCKERS
    faults: list[BaseException] = []

    def lock(place: int) -> None:
        try:
            wire = node.connect()
            while ran[place] < CHANGES:
                wire.sock.sendall(request(b"WATCH", KEY) + request(b"GET", KEY))
                assert line(wire) == b"+OK"
                assert line(wire).startswith(b"$")
                value = int(line(wire))
                wire.sock.sendall(
                    request(b"MULTI") + request(b"SET", KEY, b"%d" % (value + 1), b"EX", b"600") + request(b"EXEC")
                )
                assert wire.take(len(QUEUED)) == QUEUED
                if line(wire) == b"*1":
                    assert line(wire) == b"+OK"
                    ran[place] += 1
            wire.close()
        except BaseException as fault:
            faults.append(fault)

    def change(place: int) -> None:
        try:
            wire = node.connect()
            words = (
                [b"INCR", KEY],
                [b"INCRBYFLOAT", KEY, b"1"],
                [b"EVAL", b"return redis.call('INCR', KEYS[1])", b"1", KEY],
            )[place]
            for _ in range(CHANGES):
                wire.sock.sendall(request(*words))
                if line(wire).startswith(b"$"):
                    line(wire)
            wire.close()
        except BaseException as fault:
            faults.append(fault)

    def attack() -> None:
        ran[:] = [0] * LOCKERS
        wire = node.connect()
        assert wire.ask(request(b"SET", KEY, b"0", b"EX", b"600"), 5) == b"+OK\r\n"
        threads = [threading.Thread(target=lock, args=(place,)) for place in range(LOCKERS)]
        threads += [threading.Thread(target=change, args=(place,)) for place in range(OTHERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults, faults
        wire.sock.sendall(request(b"GET", KEY))
        line(wire)
        assert int(line(wire)) == CHANGES * (LOCKERS + OTHERS)
        wire.close()

    endure(node, attack)


def line(wire: Wire) -> bytes:
    got = b""
    while not got.endswith(b"\r\n"):
        piece = wire.take(1)
        assert piece, got
        got += piece
    return got[:-2]
