"""What scripts take of the others' time: commands inside one do not hide the clock, and those of a transaction have one
time together.
"""

from dataclasses import replace

import pytest

from tests.abuse.test_collections import filled
from tests.engine.conftest import ENGINES

pytest.importorskip("lupa")
LONGER = b"ran for longer than a script may"
TICK_US = 100_000  # that every look at the clock finds passed


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [b"SUNIONSTORE", b"HGETALL", b"ZUNION"])
def test_a_script_of_long_commands_gives_way_between_them(engine: str, name: bytes) -> None:
    """The hook looks once in a thousand instructions, which may be tens of commands of 50 ms."""
    many = b", ".join([b"'s'"] * 17)  # more sets than a fast path takes
    words = {b"SUNIONSTORE": b"'d', " + many, b"HGETALL": b"'h'", b"ZUNION": b"17, " + many}[name]
    rig, client = filled(engine, 500)
    rig.node.limits = replace(rig.node.limits, script_busy_ms=100)
    rig.node.micros = iter(range(0, 1 << 60, TICK_US)).__next__
    client(b"EVAL", b"for i = 1, 150 do redis.call('%b', %b) end" % (name, words), b"0")
    assert client.conn.session.suspended and rig.node.busy is client.conn
    stat = rig.node.stats.by_command.get(name.lower())
    calls = stat.calls if stat is not None else rig.engine.counters()["hot_hgetall"]
    assert calls < 4
    for _ in range(1_000):
        if not client.conn.session.suspended:
            break
        client.wake()
    assert rig.node.busy is None and client(b"PING") == b"+PONG\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_scripts_of_a_transaction_have_one_time_together(engine: str) -> None:
    """8,192 of them could hold everybody for eleven hours, at five seconds each."""
    rig, client = filled(engine, 500)
    looks = iter(range(0, 1 << 60, TICK_US // 1000))  # a script that takes half a second gives way
    rig.node.micros = looks.__next__
    rig.node.limits = replace(rig.node.limits, script_busy_ms=1 << 40)
    script = b"for i = 1, 15 do redis.call('HGETALL', 'h') end return 1"
    begun_us = next(looks)
    assert client(b"EVAL", script, b"0") == b":1\r\n"
    rig.node.limits = replace(rig.node.limits, script_busy_ms=(next(looks) - begun_us) * 5 // 2000)
    for _ in range(2):
        client(b"MULTI")
        for _ in range(6):
            client(b"EVAL", script, b"0")
        reply = client(b"EXEC")
        assert reply.startswith(b"*6\r\n:1\r\n") and reply.count(b":1\r\n") < 4, reply
        ended = reply.count(LONGER) + reply.count(b"have used up the time that one script may take")
        assert ended == 6 - reply.count(b":1\r\n")
    assert client(b"EVAL", script, b"0") == b":1\r\n"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "calls_max"), [(b"BITOP", 15), (b"ZUNION", 40)])  # 8 MiB: eight BITOP, 33 ZUNION
def test_a_script_that_the_engine_runs_gives_way_too(engine: str, name: bytes, calls_max: int) -> None:
    """The core has no clock, and ran up to a hundred long commands without a look at one: 2 s for 40 SUNION."""
    words = {b"BITOP": b"'NOT', 'd', 'k'", b"ZUNION": b"2, 'z', 's'"}[name]
    rig, client = filled(engine, 500)
    now_us, tick_us = 0, 1

    def micros() -> int:
        nonlocal now_us
        now_us += tick_us
        return now_us

    rig.node.micros = micros
    rig.node.limits = replace(rig.node.limits, script_busy_ms=100)
    client(b"SET", b"k", b"x" * (1 << 20))
    script = b"for i = 1, tonumber(ARGV[1]) do redis.call('%b', %b) end" % (name, words)
    for _ in range(3):  # from the second time on the engine runs it itself
        assert client(b"EVAL", script, b"0", b"1") == b"$-1\r\n"

    def calls() -> int:
        stat = rig.node.stats.by_command.get(name.lower())
        return (stat.calls if stat is not None else 0) + rig.engine.counters().get(f"hot_{name.decode().lower()}", 0)

    before, tick_us = calls(), TICK_US
    client(b"EVAL", script, b"0", b"90")
    assert client.conn.session.suspended and rig.node.busy is client.conn
    assert calls() - before < calls_max
    for _ in range(1_000):
        if not client.conn.session.suspended:
            break
        client.wake()
    assert rig.node.busy is None and client(b"PING") == b"+PONG\r\n"
