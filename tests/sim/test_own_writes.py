"""A client reads its own writes whichever nodes decide: what one home did for it, the home of another key knows, though
nothing has come from the first home yet.
"""

from random import Random

import pytest

from respram.engine import make
from respram.sim import world
from tests import dear
from tests.commands.rig import Rig
from tests.engine.conftest import ENGINES

from .commanding import CONFIG, Seat, Three

# What stands under K first, and what a client has written there at its home; `wait` is 40 ms.
BEFORE = {
    b"set": ["SADD K a b c d", "SADD OTHER c d e"],
    b"hash": ["HSET K a 1 b 2 c 3 d 4", "HSET OTHER x 1"],
    b"zset": ["ZADD K 1 a 2 b 3 c 4 d", "ZADD OTHER 3 c 4 d 5 e"],
    b"string": ["SET K text", "SET OTHER other"],
    b"number": ["SET K 5", "SET OTHER 6"],
    b"filter": ["BF.RESERVE K 0.01 100", "BF.ADD K a", "BF.ADD OTHER b"],
}
WRITES = {
    b"set": [
        "SREM K b", "SREM K a b c", "SPOP K 2", "SMOVE K OTHER b", "SREM K b;SADD K b", "SREM K b;SADD K b;SREM K b",
        "SREM K a b c d", "SREM K a b c d;SADD K e", "DEL K;SADD K b x", "RENAME OTHER K", "SADD K e f",
        "SINTERSTORE K K OTHER", "SDIFFSTORE K K OTHER", "SUNIONSTORE K OTHER OTHER", "SREM K b;PEXPIRE K 90000",
        "PEXPIRE K 20;wait;SADD K e",
    ],
    b"hash": [
        "HDEL K b", "HDEL K a b c", "HDEL K b;HSET K b 9", "HDEL K a b c d", "HPEXPIRE K 20 FIELDS 2 a b;wait",
        "HPEXPIRE K 20 FIELDS 2 a b", "HPEXPIREAT K 1000 FIELDS 1 c", "HGETDEL K FIELDS 1 a", "HSET K b 9",
        "HINCRBY K b 4", "DEL K;HSET K q 1", "HSETEX K PX 20 FIELDS 1 b 1;wait", "HDEL K b;PEXPIRE K 90000",
    ],
    b"zset": [
        "ZREM K b", "ZREM K a b c", "ZPOPMIN K 2", "ZPOPMAX K", "ZREMRANGEBYSCORE K 2 3", "ZREMRANGEBYRANK K 0 1",
        "ZREMRANGEBYLEX K - +", "ZREM K b;ZADD K 9 b", "ZADD K 9 b", "ZINCRBY K 5 a", "DEL K;ZADD K 1 q",
        "ZMPOP 1 K MIN COUNT 2", "BZPOPMIN K 1", "ZREM K a b c d", "ZRANGESTORE K K 0 1", "ZDIFFSTORE K 2 K OTHER",
    ],
    b"string": ["APPEND K more", "INCR NUMBER", "SET K x GET", "GETSET K y", "SETRANGE K 1 ZZ", "DEL K;SADD K a"],
    b"number": ["INCR K", "INCRBYFLOAT K 0.5", "DECRBY K 3;INCR K", "DEL K;INCR K", "INCR K;SET K x"],
    b"filter": ["BF.ADD K b", "BF.MADD K c d e", "DEL K;BF.ADD K z"],
}  # fmt: skip
OF_ANY = ["DEL K", "RENAME K OTHER", "PEXPIRE K 20", "PEXPIRE K 20;wait", "SET K else", "COPY OTHER K REPLACE",
          "DEL K;SET K else;DEL K", "DEL K;SADD K z;DEL K", "SET K else;DEL K;HSET K z 1", "TOGETHER"]  # fmt: skip
# What reads K at the home of OUT.
READS = {
    b"set": ["SDIFFSTORE OUT K", "SUNIONSTORE OUT K", "SINTERSTORE OUT K K"],
    b"zset": ["ZDIFFSTORE OUT 1 K", "ZUNIONSTORE OUT 1 K", "ZINTERSTORE OUT 1 K", "ZRANGESTORE OUT K 0 -1"],
}
VIEW = ["TYPE K", "HGETALL K", "SMEMBERS K", "ZRANGE K 0 -1 WITHSCORES", "GET K", "HLEN K", "SCARD K", "ZCARD K",
        "BF.CARD K", "BF.MEXISTS K a b c z", "EXISTS K"]
GONE = {b"set": "SREM K a", b"hash": "HDEL K a", b"zset": "ZREM K a", b"string": "APPEND K x",
        b"number": "INCR K", b"filter": "BF.ADD K y"}  # fmt: skip


class Play:
    def __init__(self, three: Three) -> None:
        self.three = three
        self.of_home = three.keys(three.home, b"home", 400)
        self.of_third = three.keys(three.third, b"third", 400)
        self.names: dict[bytes, bytes] = {}
        self.told = 0

    def anew(self) -> None:
        """Other keys, of which nobody has heard."""
        self.three.level()
        self.names = {b"K": self.of_home.pop(), b"OTHER": self.of_home.pop(), b"OUT": self.of_third.pop()}
        self.names |= {b"NUMBER": self.of_home.pop(), b"TALLY": self.of_third.pop()}

    def run(self, script: str, seat: Seat | None = None) -> list[bytes]:
        replies = []
        for text in script.split(";"):
            if text == "wait":
                self.three.world.run_until(self.three.world.now_ms + 40)
            else:
                argv = [self.names.get(word, word) for word in text.encode().split()]
                replies.append((seat or self.three.asked).ask(*argv))
        return replies

    def view(self, of: bytes = b"K") -> list[list[bytes]]:
        """What the client reads at its node."""
        return [lines(self.run(text.replace(" K", f" {of.decode()}"))[0]) for text in VIEW]

    def there(self, of: bytes = b"K", decided: str = "INCR TALLY") -> list[list[bytes]]:
        """The same, read in a transaction that the third node decides."""
        self.run(f"MULTI;{decided}")
        self.run(";".join(VIEW).replace(" K", f" {of.decode()}"))
        [reply] = self.run("EXEC")
        head, reply = b"*%d\r\n:1\r\n" % (len(VIEW) + 1), bytes(reply)
        assert reply.startswith(head), reply
        pieces = self.three.asked.rig.engine.cut_replies(reply[len(head) :], [1] * len(VIEW))
        return [lines(piece) for piece in pieces]


def lines(reply: bytes) -> list[bytes]:
    """A set has no order."""
    return sorted(reply.split(b"\r\n"))


@pytest.fixture(params=list(ENGINES))
def play(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(world, "ENGINE", request.param)
    return Play(Three(3, monkeypatch))


@pytest.mark.parametrize("kind", list(BEFORE))
def test_what_one_home_did_the_next_one_knows(play: Play, kind: bytes) -> None:
    changed = 0
    for script in WRITES[kind] + OF_ANY:
        play.anew()
        for text in BEFORE[kind]:
            play.run(text)
        play.three.level()
        before = play.view()
        play.three.hold()
        if script == "TOGETHER":
            play.run(f"MULTI;{GONE[kind]};EXEC")
        else:
            replies = play.run(script)
            assert not any(reply.startswith(b"-") for reply in replies), (script, replies)
        seen, there = play.view(), play.there()
        assert there == seen, f"{script}: {there} there, {seen} here"
        changed += seen != before
    assert changed >= len(WRITES[kind]) + len(OF_ANY) - 3, "nearly each changed what is read"


@pytest.mark.parametrize("kind", list(READS))
def test_what_is_stored_elsewhere_is_what_the_client_reads(play: Play, kind: bytes) -> None:
    for script in WRITES[kind] + OF_ANY[:4]:
        for read in READS[kind]:
            play.anew()
            for text in BEFORE[kind]:
                play.run(text)
            play.three.level()
            play.three.hold()
            play.run(script)
            [reply] = play.run(read)
            seen, stored = play.view(), play.view(b"OUT")
            assert reply.startswith(b":") and stored == seen, f"{script}; {read}: {stored} stored, {seen} read"


def test_so_it_is_of_a_key_that_another_home_decided_about(play: Play) -> None:
    """A member was moved, and a key renamed, by the home of another key: then the key's own home is asked."""
    for script in ("SMOVE K OUT b;SREM OUT b", "SMOVE K OUT b", "SMOVE K OUT b;SMOVE OUT K b", "RENAME K OUT",
                   "SUNIONSTORE K K;RENAME K OUT;SREM OUT a;SMOVE OUT K c", "COPY K OUT REPLACE;SMOVE OUT OTHER a",
                   "SMOVE K OUT a;SREM K b;SMOVE K OUT c",
                   "MULTI;SREM K a;SREM OUT x;EXEC", "MULTI;SREM K a;SREM OUT x y;EXEC;SADD OUT y"):  # fmt: skip
        play.anew()
        play.run("SADD K a b c d;SADD OUT b x y")
        play.three.level()
        play.three.hold()
        play.run(script)
        seen = play.view(b"OUT")
        assert play.there(b"OUT") == seen, script


def test_the_same_member_goes_and_comes_again(play: Play) -> None:
    play.anew()
    play.run("SADD K a b c d e f g h")
    play.three.level()
    play.three.hold()
    for round_ in range(30):
        play.run(f"SREM K {'abcdefgh'[round_ % 8]}")
        if round_ % 3 == 2:
            play.run(f"SADD K {'abcdefgh'[(round_ + 5) % 8]}")
        assert play.run("SUNIONSTORE OUT K") == play.run("SCARD K")
        assert play.view(b"OUT") == play.view()


def test_so_it_is_in_another_database(play: Play) -> None:
    play.anew()
    play.run("SADD K a b c d")
    play.three.level()
    play.three.hold()
    play.run("COPY K OUT DB 1;SELECT 1")
    assert play.run("SADD OUT a") == [b":0\r\n"], "its own home is asked, and knows of the copy"
    assert play.run("SREM OUT a") == [b":1\r\n"] and play.there(b"OUT") == play.view(b"OUT")


@pytest.mark.parametrize("kind", list(BEFORE))
def test_so_it_is_where_the_link_breaks_before_the_answer(play: Play, kind: bytes) -> None:
    """What the home pushed in front of the answer is lost with it."""
    play.anew()
    play.run(BEFORE[kind][0])
    play.three.level()
    before = play.view()
    play.three.hold_answers()
    argv = [play.names.get(word, word) for word in GONE[kind].encode().split()]
    assert not play.three.asked.ask(*argv, meanwhile=play.three.world.tear).startswith(b"-")
    seen = play.view()
    assert seen != before and [lines(play.run(text, play.three.home)[0]) for text in VIEW] == seen


# s, z, h: a key of a set, a sorted set, a hash, unless a key of any kind, k, was copied or renamed to it; m: a member.
OF_COLLECTIONS = [
    "SADD s m m", "SADD s m", "SREM s m", "SREM s m m", "SMOVE s s m", "SISMEMBER s m", "SMEMBERS s", "SCARD s",
    "SDIFFSTORE s s s", "SUNIONSTORE s s s", "SINTERSTORE s s s", "SDIFF s s", "SINTERCARD 2 s s", "ZADD z 1 m 2 m",
    "ZREM z m", "ZREM z m m", "ZINCRBY z 2 m", "ZPOPMIN z", "ZPOPMAX z", "ZRANGE z 0 -1 WITHSCORES", "ZSCORE z m",
    "ZUNIONSTORE z 2 z z", "ZDIFFSTORE z 2 z z", "ZINTERSTORE z 2 z s", "ZRANGESTORE z z 0 1", "ZREMRANGEBYRANK z 0 0",
    "HSET h m 1 m 2", "HDEL h m", "HDEL h m m", "HGETALL h", "HINCRBY h m 3", "HLEN h", "HPEXPIRE h 30 FIELDS 1 m",
    "HGETDEL h FIELDS 1 m", "RENAME s s", "COPY s s REPLACE", "COPY h h REPLACE", "COPY z z DB 1 REPLACE",
    "RENAMENX s s", "ZMPOP 2 z z MIN", "ZINTERCARD 2 z z", "HSETEX h EX 100 FIELDS 1 m 5", "MSETNX k 1 k 2",
    "EVAL return{redis.call('SREM',KEYS[1],ARGV[1]),redis.call('SCARD',KEYS[2])} 2 s s m",
    "EVAL return{redis.call('SMOVE',KEYS[1],KEYS[2],ARGV[1]),redis.call('SCARD',KEYS[2])} 2 s s m",
    "EVAL return{redis.call('ZREM',KEYS[1],ARGV[1]),redis.call('ZCARD',KEYS[2])} 2 z z m",
    "EVAL return{redis.call('HDEL',KEYS[1],ARGV[1]),redis.call('HLEN',KEYS[2])} 2 h h m",
]  # fmt: skip
OF_ANY_KIND = [
    "SET k 5", "INCR k", "APPEND k 7", "GET k", "DEL k", "RENAME k k", "COPY k k REPLACE", "COPY k k DB 1 REPLACE",
    "SELECT 1", "SELECT 0", "SELECT 0", "TYPE k", "EXISTS k k k", "PEXPIRE k 30", "PERSIST k", "DBSIZE",
]  # fmt: skip


def drawn(rng: Random, names: dict[bytes, list[bytes]]) -> list[bytes]:
    text = rng.choice(OF_COLLECTIONS if rng.random() < 0.9 else OF_ANY_KIND)
    return [rng.choice(names.get(word, [word])) for word in text.encode().split()]


@pytest.mark.parametrize("seed", dear.first(2, range(20)))
def test_three_nodes_of_which_two_hear_late_of_each_other_answer_as_one_alone(play: Play, seed: int) -> None:
    rng, three, moved = Random(seed), play.three, 0
    alone = Rig(lambda settings: make(world.ENGINE, settings), config=CONFIG)
    client = alone.connect()
    names = {kind: [play.of_home.pop(), play.of_third.pop(), play.of_third.pop()] for kind in (b"s", b"z", b"h")}
    for kind, key in zip((b"s", b"z", b"h"), three.keys(three.asked, b"asked", 3), strict=True):
        names[kind].append(key)
    names |= {b"k": [key for kind in (b"s", b"z", b"h") for key in names[kind]], b"m": [b"a", b"b", b"c", b"d", b"e"]}
    late = [(three.home.node.place, three.third.node.place), (three.third.node.place, three.home.node.place)]
    told: list[bytes] = []
    for _ in range(400):
        if rng.random() < 0.05:
            three.world.release()
        three.world.held |= set(rng.sample(late, rng.randrange(3)))
        if rng.random() < 0.1:
            three.world.run_until(three.world.now_ms + rng.choice((1, 10, 40)))
        words = [drawn(rng, names)]
        if rng.random() < 0.1:
            words = [[b"MULTI"], *(drawn(rng, names) for _ in range(rng.randrange(1, 5))), [b"EXEC"]]
        for argv in words:
            reply = three.asked.ask(*argv)
            alone.now_ms = three.asked.rig.now_ms
            expected = client(*argv)
            told.append(b" ".join(argv) + b" -> " + reply)
            assert lines(reply) == lines(expected), b"\n".join(told[-12:]).decode() + f"\n{expected!r} alone"
        if any(argv[0] in (b"PEXPIRE", b"HPEXPIRE") for argv in words):  # the clocks of the two differ by some ms
            three.world.run_until(three.world.now_ms + 60)
        moved += bool(three.world.waiting)
    assert moved > 200
