"""Each limit at the least that may be chosen: the node starts, says what it must, and forgets nothing that it answered.
"""

from dataclasses import fields, replace

import pytest

from respram.config.limits import Limits, bound_of, configurable
from respram.config.settings import Config
from tests.abuse.rig import check_log
from tests.commands.rig import Rig, request
from tests.engine.conftest import ENGINES
from tests.live import running

LEAST = {one.name: bound_of(one).least for one in fields(Limits) if bound_of(one).option}
STEPS = (
    b"PING", b"SET k v EX 60", b"GET k", b"MSET a 1 b 2", b"MGET a b k", b"HSET h f v g w", b"HGETALL h",
    b"SADD s a b c", b"SMEMBERS s",
    b"ZADD z 1 a 2 b", b"ZRANGE z 0 -1 WITHSCORES", b"SUNIONSTORE d s s", b"KEYS *", b"SCAN 0", b"INFO everything",
    b"CLIENT LIST",
    b"CONFIG GET *", b"COMMAND DOCS get", b"SLOWLOG GET", b"ACL LOG", b"CLIENT TRACKING ON", b"GET k", b"GET a",
    b"CLIENT TRACKING OFF", b"WATCH k",
    b"MULTI", b"GET k", b"INCR n", b"HGETALL h", b"EXEC", b"EVAL return(1) 0", b"EVAL return(redis.call('GET','k')) 0",
    b"BF.ADD f x",
    b"CL.THROTTLE t 5 10 60", b"BZPOPMIN none 0.001", b"PUBLISH c x", b"NONSENSE", b"PSUBSCRIBE a*", b"PUNSUBSCRIBE",
)  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LEAST)
def test_a_limit_at_its_least_refuses_and_breaks_nothing(engine: str, name: str) -> None:
    """Whatever is refused is told by an error, or by the end of the connection; another client finds all as it should
    be.
    """
    config = replace(Config(), limits=replace(Limits(), **{name: LEAST[name]}))
    rig = Rig(ENGINES[engine], config=config)
    client = rig.connect()
    for step in STEPS:
        reply = client(*step.split())
        for _ in range(1_000):
            if not client.conn.session.suspended:
                break
            rig.advance(1)
            reply += client.wake()
        assert client.conn.session.closing or reply[:1] in (b"+", b"-", b":", b"$", b"*", b"_", b">", b"%", b"~",
                                                            b","), step
        if client.conn.session.closing:
            client.close()
            client = rig.connect()
    other = rig.connect()
    assert other(b"PING") == b"+PONG\r\n" and other(b"GET", b"k") == b"$1\r\nv\r\n"
    assert other(b"SCARD", b"s") == b":3\r\n" and other(b"HGET", b"h", b"g") == b"$1\r\nw\r\n"
    other(b"MULTI")
    assert other(b"GET", b"k") == b"+QUEUED\r\n"
    assert other(b"EXEC") == b"*1\r\n$1\r\nv\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_node_with_all_limits_at_their_least_serves(engine: str) -> None:
    options = {option: LEAST[field] for option, field in configurable().items()} | {"maxclients": 2, "auth-timeout": 1}
    words = [word for option, least in options.items() for word in (f"--{option}", str(least))]
    with running(*words, engine=engine) as node:
        wire = node.connect()
        assert wire.ask(request(b"SET", b"k", b"v"), 5) == b"+OK\r\n"
        for step in STEPS[:15]:
            wire.sock.sendall(request(*step.split()))
        wire.sock.sendall(request(b"ECHO", b"the end of it"))
        tail = b""
        while not tail.endswith(b"the end of it\r\n"):
            piece = wire.sock.recv(1 << 16)
            assert piece, tail
            tail = tail[-64:] + piece
        check_log(node)
