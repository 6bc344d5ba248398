"""Families about hashes and sets.
Their user may let go, as Redis's may: HDEL, SREM, SPOP and SMOVE are drawn with the others.
"""

from collections.abc import Callable

from compat.oracle.draw import FLOATS, INTEGERS, NOT_FLOATS, NOT_INTEGERS, Draw, send
from compat.oracle.families.keys import exists, expire, type_of_key
from compat.oracle.families.plan import Plan
from compat.oracle.families.strings import append, each, get, incr, life, mget, plain_set, strlen
from compat.oracle.stream import Send, Step

NAMES = (b"f0", b"f1", b"f2", b"f3", b"", b"10", b"-7", b"a b", b"\r\n", b"\xff\x00", b"x" * 70)
RIGHTS = (b"+del", b"+unlink", b"+getdel", b"+hdel", b"+srem", b"+spop", b"+smove", b"+rename", b"+renamenx")
LOWEST = b"-9223372036854775808"
Maker = Callable[[Draw], Send]


def _as_one_who_lets_go(drawn: Plan) -> Plan:
    become: list[Step] = [
        Send(0, (b"ACL", b"SETUSER", b"free", b"on", b"nopass", b"~*", b"&*", b"+@all", *RIGHTS)),
        Send(0, (b"AUTH", b"free", b"any")),
    ]
    leave: list[Step] = [Send(0, (b"AUTH", b"default", b"any")), Send(0, (b"ACL", b"DELUSER", b"free"))]
    return Plan((*become, *drawn.steps, *leave))


def _name(draw: Draw) -> bytes:
    return draw.pick(NAMES)


def _names(draw: Draw) -> list[bytes]:
    return draw.some(NAMES, 1, 4)


def _value(draw: Draw) -> bytes:
    return draw.pick(draw.pick((INTEGERS, FLOATS, NOT_INTEGERS, NOT_FLOATS)))


def _pairs(draw: Draw) -> list[bytes]:
    return [part for name in _names(draw) for part in (name, _value(draw))]


def _odd_scan(draw: Draw) -> tuple[bytes, ...]:
    return draw.pick((
        (b"0", b"COUNT", b"1000"), (b"0", b"MATCH", b"f*", b"COUNT", b"1000"), (b"0", b"COUNT", b"0"),
        (b"0", b"COUNT", b"x"), (b"0", b"MATCH"),
        (b"x",), (b"", b"COUNT", b"1000"), (b"0", b"FOO", b"1"),
    ))  # fmt: skip


def _count(draw: Draw) -> bytes:
    """All, none, or a mistake: what is drawn by chance differs."""
    return draw.pick((b"0", b"100", b"1000", LOWEST, *NOT_INTEGERS[:8]))


def hashes(draw: Draw, proto: int, count: int) -> Plan:
    makers: tuple[Maker, ...] = (
        lambda one: send(one, 0, b"HSET", one.key(), *_pairs(one)),
        lambda one: send(one, 0, b"HSET", one.key(), *_pairs(one)),
        lambda one: send(one, 0, b"HSET", one.key(), *_names(one)),
        lambda one: send(one, 0, b"HMSET", one.key(), *_pairs(one)),
        lambda one: send(one, 0, b"HSETNX", one.key(), _name(one), _value(one)),
        lambda one: send(one, 0, b"HGET", one.key(), _name(one)),
        lambda one: send(one, 0, b"HMGET", one.key(), *_names(one)), lambda one: send(one, 0, b"HGETALL", one.key()),
        lambda one: send(one, 0, one.pick((b"HKEYS", b"HVALS", b"HLEN")), one.key()),
        lambda one: send(one, 0, one.pick((b"HEXISTS", b"HSTRLEN")), one.key(), _name(one)),
        lambda one: send(one, 0, b"HINCRBY", one.key(), _name(one), one.pick((*INTEGERS, *NOT_INTEGERS))),
        lambda one: send(one, 0, b"HINCRBYFLOAT", one.key(), _name(one), one.pick((*FLOATS, *NOT_FLOATS))),
        lambda one: send(one, 0, b"HDEL", one.key(), *_names(one)),
        lambda one: send(one, 0, b"HSCAN", one.key(), *_odd_scan(one)),
        lambda one: send(one, 0, b"HRANDFIELD", one.key(), _count(one), *one.pick(((), (b"WITHVALUES",), (b"FOO",)))),
    )  # fmt: skip
    return _as_one_who_lets_go(each(draw, count, *makers, *OTHERS))


def sets(draw: Draw, proto: int, count: int) -> Plan:
    makers: tuple[Maker, ...] = (
        lambda one: send(one, 0, b"SADD", one.key(), *_names(one)),
        lambda one: send(one, 0, b"SADD", one.key(), *_names(one)),
        lambda one: send(one, 0, b"SADD", one.key(), *_names(one)),
        lambda one: send(one, 0, b"SREM", one.key(), *_names(one)),
        lambda one: send(one, 0, b"SISMEMBER", one.key(), _name(one)),
        lambda one: send(one, 0, b"SMISMEMBER", one.key(), *_names(one)),
        lambda one: send(one, 0, one.pick((b"SMEMBERS", b"SCARD")), one.key()),
        lambda one: send(one, 0, b"SSCAN", one.key(), *_odd_scan(one)),
        lambda one: send(one, 0, b"SRANDMEMBER", one.key(), _count(one)),
        lambda one: send(one, 0, one.pick((b"SINTER", b"SUNION", b"SDIFF")),
                         *(one.key() for _ in range(one.number(1, 3)))),
        lambda one: send(
            one, 0, one.pick((b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE")), one.key(),
            *(one.key() for _ in range(one.number(1, 3)))
        ),
        lambda one: send(one, 0, b"SINTERCARD", one.pick((b"2", b"1", b"0", b"x", b"9")), one.key(), one.key(),
                         *one.pick((
            (), (b"LIMIT", b"1"), (b"LIMIT", b"0"), (b"LIMIT", b"-1"), (b"LIMIT",), (b"FOO", b"1"),
        ))),
        lambda one: send(one, 0, b"SMOVE", one.key(), one.key(), _name(one)),
        lambda one: send(one, 0, b"SPOP", one.key(), one.pick((b"0", b"100", b"-1", b"x"))),
    )  # fmt: skip
    return _as_one_who_lets_go(each(draw, count, *makers, *OTHERS))


# What meets collections without knowing them.
OTHERS: tuple[Maker, ...] = (
    plain_set, get, mget, append, incr, strlen, exists, expire, life, type_of_key,
    lambda one: send(one, 0, b"DEL", one.key()),
    lambda one: send(one, 0, b"COPY", one.key(), one.key(), b"REPLACE"),
    lambda one: send(one, 0, one.pick((b"RENAME", b"RENAMENX")), one.key(), one.key()),
)  # fmt: skip
