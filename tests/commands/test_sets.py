"""Sets: the replies of Redis to random commands."""

import pytest

from .drawing import Maker, a_count, a_key, a_name, compare, some_names
from .rig import Client, Reference

LIMITS = ((), (b"LIMIT", b"1"), (b"LIMIT", b"-1"))
SETS: tuple[Maker, ...] = (
    lambda rng: [b"SADD", a_key(rng), *some_names(rng)],
    lambda rng: [b"SADD", a_key(rng), *some_names(rng)],
    lambda rng: [b"SADD", a_key(rng), *some_names(rng)],
    lambda rng: [b"SREM", a_key(rng), *some_names(rng)],
    lambda rng: [b"SISMEMBER", a_key(rng), a_name(rng)],
    lambda rng: [b"SMISMEMBER", a_key(rng), *some_names(rng)],
    lambda rng: [b"SMEMBERS", a_key(rng)],
    lambda rng: [b"SCARD", a_key(rng)],
    lambda rng: [b"SRANDMEMBER", a_key(rng), a_count(rng)],
    lambda rng: [b"SSCAN", a_key(rng), b"0", b"COUNT", b"1000"],
    lambda rng: [rng.choice((b"SINTER", b"SUNION", b"SDIFF")), *(a_key(rng) for _ in range(rng.randrange(1, 4)))],
    lambda rng: [
        rng.choice((b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE")),
        *(a_key(rng) for _ in range(rng.randrange(2, 4))),
    ],
    lambda rng: [
        b"SINTERCARD",
        rng.choice((b"2", b"1", b"0", b"x", b"9")),
        a_key(rng),
        a_key(rng),
        *rng.choice(LIMITS),
    ],
    lambda rng: [b"SMOVE", a_key(rng), a_key(rng), a_name(rng)],
    lambda rng: [b"SPOP", a_key(rng), rng.choice((b"0", b"100", b"-1"))],
)

@pytest.mark.parametrize("proto", [b"2", b"3"])
def test_replies_are_those_of_redis(client: Client, reference: Reference, proto: bytes) -> None:
    compare(client, reference, SETS, proto)


def test_what_stands_behind_a_key_of_another_kind_is_not_looked_at(client: Client) -> None:
    """Looking would end its overdue members, and tell of them."""
    for command in (b"SET text v", b"SADD set m n", b"HPEXPIRE set 5 FIELDS 1 m",
                    b"CONFIG SET notify-keyspace-events EA"):  # fmt: skip
        client(*command.split())
    listener = client.other()
    listener(b"PSUBSCRIBE", b"__keyevent@*")
    client.rig.now_ms += 10  # nothing has swept yet
    for words in (b"SINTER text set", b"SUNION text set", b"SDIFFSTORE to text set", b"SINTERCARD 2 text set"):
        assert client(*words.split()).startswith(b"-WRONGTYPE")
    assert listener.pushed() == b""
    assert client(b"SCARD", b"set") == b":1\r\n"
    assert b"sexpired" in listener.pushed()
