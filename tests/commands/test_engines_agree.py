"""Collections on both engines, with fast paths and without: the same commands get the same replies, to the draw of a
random member, whatever has left or ended before; the same events and invalidations are told.
"""

from random import Random

import pytest

from tests import dear
from tests.commands.rig import Client, Rig
from tests.engine.conftest import ENGINES
from tests.engine.rig import request

ROUNDS, STEPS = dear.first(1, (range(8), range(8, 60))), 150
LET_GO = ("del", "unlink", "getdel", "hdel", "hgetdel", "srem", "spop", "smove", "rename", "renamenx", "zrem", "zmpop",
          "zremrangebyrank", "zremrangebyscore", "zremrangebylex", "zpopmin", "zpopmax", "sinterstore", "sunionstore",
          "sdiffstore", "zrangestore")  # fmt: skip
# K: a key, M: a member, N: a number or not, S: a score, T: a life in milliseconds, F: FIELDS with their names
FORMS = """
    HSET K M N|HSET K M N M N|HSETNX K M N|HGETALL K|HVALS K|HLEN K|HMGET K M M|HINCRBY K M 3|HINCRBYFLOAT K M 1.5
    HSCAN K 0 COUNT 100|HRANDFIELD K 2|HRANDFIELD K -3 WITHVALUES|HDEL K M M|HPEXPIRE K T F|HPEXPIRE K T GT F|HPTTL K F
    HSETEX K PX T FIELDS 1 M N|HSETEX K FNX KEEPTTL FIELDS 1 M N|HGETEX K PX T F|HGETEX K PERSIST F|HGETDEL K F
    SADD K M M M|SADD K M|SMISMEMBER K M M|SMEMBERS K|SCARD K|SRANDMEMBER K 3|SRANDMEMBER K -4|SRANDMEMBER K|SPOP K
    SPOP K 2|SREM K M M|SMOVE K K M|SINTER K K|SUNION K K|SDIFF K K|SINTERCARD 2 K K LIMIT 2|SINTERSTORE K K K
    SUNIONSTORE K K K|SDIFFSTORE K K K|SSCAN K 0 COUNT 3
    ZADD K S M S M|ZADD K NX S M|ZADD K XX CH S M|ZADD K GT INCR S M|ZSCORE K M|ZINCRBY K S M|ZCARD K|ZCOUNT K (1 +inf
    ZRANGE K 0 -1 WITHSCORES|ZRANGE K (0 5 BYSCORE LIMIT 1 2|ZRANGE K -1 0 REV|ZRANK K M|ZREVRANK K M|ZRANDMEMBER K 2
    ZREM K M|ZREMRANGEBYRANK K 0 1|ZREMRANGEBYSCORE K 0 (2|ZPOPMIN K|ZPOPMAX K 2|ZMPOP 2 K K MIN|ZSCAN K 0
    ZUNIONSTORE K 2 K K WEIGHTS 2 -1|ZINTERSTORE K 2 K K|ZDIFFSTORE K 2 K K|ZINTER 2 K K WITHSCORES|ZRANGESTORE K K 0 2
    TYPE K|PTTL K|PEXPIRE K T|PEXPIRE K T GT|DEL K|RENAME K K|COPY K K REPLACE|COPY K K|SET K N|GET K|EXISTS K K|DBSIZE
    OBJECT ENCODING K|MSETNX K 1 K 2|GETDEL K|WATCH K|MULTI|EXEC|EXEC|DISCARD
    EVAL redis.call('SADD',KEYS[1],ARGV[1])return(redis.call('SCARD',KEYS[1])) 1 K M
"""
COMMANDS = [form.split() for line in FORMS.strip().split("\n") for form in line.split("|")]
MEMBERS = (*(b"%d" % number for number in range(11)), b"f", b"")
NUMBERS = (b"0", b"-1", b"2", b"3.5", b"inf", b"x", b"", b"100")
LIVES = (b"1", b"3", b"9", b"40", b"300", b"5000", b"100000")
PAUSES_MS = (1, 2, 5, 39, 300, 5_000)
Heard = tuple[object, list[bytes], list[bytes]]  # an answer, events, invalidations


def command(rng: Random) -> tuple[bytes, ...]:
    made: list[bytes] = []
    for word in rng.choice(COMMANDS):
        if word == "F":
            names = [rng.choice(MEMBERS) for _ in range(rng.randint(1, 3))]
            made += [b"FIELDS", b"%d" % len(names), *names]
        elif word == "K":
            made.append(rng.choice((b"a", b"b", b"c", b"d")))
        elif word == "S":
            made.append(b"%d" % rng.randrange(-5, 9))
        else:
            drawn = {"M": MEMBERS, "N": NUMBERS, "T": LIVES}.get(word)
            made.append(rng.choice(drawn) if drawn else word.encode())
    return tuple(made)


def played(name: str, hot: bool, seed: int) -> list[Heard]:
    """What each step answered, and what a listener and a client that tracks heard of it."""
    rng, rig, heard = Random(seed), Rig(ENGINES[name], hot=hot), list[Heard]()
    client, listener, tracker = rig.connect(), rig.connect(), rig.connect()
    client(b"ACL", b"SETUSER", b"default", *(b"+%b" % right.encode() for right in LET_GO))
    client(b"CONFIG", b"SET", b"notify-keyspace-events", b"AKE" if seed % 3 else b"")
    for one in (listener, tracker):
        one(b"HELLO", b"3")
    listener(b"PSUBSCRIBE", b"*")
    tracker(b"CLIENT", b"TRACKING", b"ON")
    if seed % 2:
        client(b"HELLO", b"3")
    for _ in range(STEPS):
        heard.append((_step(rng, client, tracker), _sorted(listener.pushed()), _sorted(tracker.pushed())))
    return heard


def _step(rng: Random, client: Client, tracker: Client) -> object:
    how = rng.random()
    if how < 0.12:
        pause_ms = rng.choice(PAUSES_MS)
        client.advance(pause_ms)
        return pause_ms
    argv = command(rng)
    if how < 0.2 and argv[0] not in (b"MULTI", b"WATCH", b"EXEC"):
        return argv, tracker(*argv)
    if how < 0.3:
        run = [argv, *(command(rng) for _ in range(3))]
        return run, client.raw(b"".join(request(*one) for one in run))
    return argv, client(*argv)


def _sorted(pushed: bytes) -> list[bytes]:
    """What ends at one moment is told in no order."""
    return sorted(pushed.replace(b">", b"\0>").split(b"\0"))


@pytest.mark.parametrize("rounds", ROUNDS)
def test_both_engines_answer_and_tell_alike(rounds: range) -> None:
    told = 0
    for seed in rounds:
        first = played("pure", True, seed)
        told += sum(events != [b""] for _, events, _ in first)
        for name in ENGINES:
            for hot in (True, False):
                for at, (one, other) in enumerate(zip(first, played(name, hot, seed), strict=True)):
                    assert one == other, (seed, name, hot, at)
    assert told > 5 * len(rounds)
