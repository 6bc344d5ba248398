"""redis-py's RedisCluster on three nodes, one of which is lost and comes back."""

import time

import redis
from redis.cluster import RedisCluster
from telling import ENCLAVE, HOST, Difference, check, same, say, true

KEYS = [f"cluster-{number}" for number in range(100)]
FAILOVER_S = 30.0


def forwarded():
    return sum(redis.Redis(HOST, port).info("replication")["forwarded_commands"] for port in ENCLAVE)


def count_all():
    for key in KEYS:
        client.incr(key)


def routed():
    client.set("warm", "v", ex=60)
    before = forwarded()
    count_all()
    true(forwarded() - before <= len(KEYS) // 20, "each command at its home", forwarded() - before)


def tagged():
    client.mset({"{tag}1": "a", "{tag}2": "b"})
    same(client.mget("{tag}1", "{tag}2", "{tag}3"), [b"a", b"b", None])


def transaction():
    pipe = client.pipeline(transaction=True)
    pipe.set("{deal}1", "a", ex=60)
    pipe.incr("{deal}2")
    same(len(pipe.execute()), 2)


def shard_messages():
    listener = client.pubsub()
    listener.ssubscribe("shard")
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        client.execute_command("SPUBLISH", "shard", "hello")
        message = listener.get_sharded_message(ignore_subscribe_messages=True, timeout=0.2)
        if message:
            same(message["data"], b"hello")
            return
    raise Difference("expected=a message got=none")


def ask(word, answer):
    say(word)
    same(input().strip(), answer)


def failover():
    ask("kill", "killed")
    began = time.monotonic()
    while time.monotonic() < began + FAILOVER_S:
        try:
            count_all()
        except redis.RedisError:
            continue
        say(f"figure failover_ms={(time.monotonic() - began) * 1000:.0f}")
        return
    raise Difference("expected=all keys served got=errors")


say("version", redis.__version__)
client = RedisCluster(host=HOST, port=ENCLAVE[0])
check("connect", lambda: true(client.ping(), "an answer"))
check("route", routed)
check("tags", tagged)
check("transaction", transaction)
check("shard-messages", shard_messages)
check("failover", failover)


def returned():
    ask("start", "started")
    count_all()
    count_all()


check("return", returned)
say("done")
