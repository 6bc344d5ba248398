"""valkey-glide's cluster client on three nodes, one of which is lost and comes back."""

import asyncio
import re
import time
from importlib.metadata import version

import glide
from glide import (
    ClusterBatch,
    ExpirySet,
    ExpiryType,
    GlideClient,
    GlideClientConfiguration,
    GlideClusterClient,
    GlideClusterClientConfiguration,
    NodeAddress,
    PeriodicChecksManualInterval,
)
from telling import ENCLAVE, HOST, Difference, check_soon, same, say, true

KEYS = [f"cluster-{number}" for number in range(100)]
FAILOVER_S = 30.0
MINUTE = ExpirySet(ExpiryType.SEC, 60)
MODES = GlideClusterClientConfiguration.PubSubChannelModes


async def forwarded():
    total = 0
    for port in ENCLAVE:
        node = await GlideClient.create(GlideClientConfiguration([NodeAddress(HOST, port)]))
        facts = await node.custom_command(["INFO", "replication"])
        total += int(re.search(rb"forwarded_commands:(\d+)", facts)[1])
        await node.close()
    return total


async def connected(**more):
    return await GlideClusterClient.create(
        GlideClusterClientConfiguration(
            [NodeAddress(HOST, port) for port in ENCLAVE],
            request_timeout=1_000,
            periodic_checks=PeriodicChecksManualInterval(1),
            **more,
        )
    )


async def count_all(client):
    for key in KEYS:
        await client.incr(key)


async def connect(client):
    same(await client.ping(), b"PONG")


async def route(client):
    await client.set("warm", "v", expiry=MINUTE)
    before = await forwarded()
    await count_all(client)
    more = await forwarded() - before
    true(more <= len(KEYS) // 20, "each command at its home", more)


async def tags(client):
    await client.mset({"{tag}1": "a", "{tag}2": "b"})
    same(await client.mget(["{tag}1", "{tag}2", "{tag}3"]), [b"a", b"b", None])


async def transaction(client):
    batch = ClusterBatch(is_atomic=True)
    batch.set("{deal}1", "a", expiry=MINUTE)
    batch.incr("{deal}2")
    same(len(await client.exec(batch, raise_on_error=True)), 2)


async def shard_messages(client):
    channels = GlideClusterClientConfiguration.PubSubSubscriptions({MODES.Sharded: {"shard"}}, None, None)
    listener = await connected(pubsub_subscriptions=channels)
    try:
        until_s = time.monotonic() + 10
        while time.monotonic() < until_s:
            await client.publish("hello", "shard", sharded=True)
            message = listener.try_get_pubsub_message()
            if message:
                same(message.message, b"hello")
                return
            await asyncio.sleep(0.1)
    finally:
        await listener.close()
    raise Difference("expected=a message got=none")


async def ask(word, answer):
    say(word)
    same((await asyncio.to_thread(input)).strip(), answer)


async def failover(client):
    await ask("kill", "killed")
    began = time.monotonic()
    while time.monotonic() < began + FAILOVER_S:
        try:
            await count_all(client)
        except glide.GlideError:
            continue
        say(f"figure failover_ms={(time.monotonic() - began) * 1000:.0f}")
        return
    raise Difference("expected=all keys served got=errors")


async def returned(client):
    await ask("start", "started")
    await count_all(client)
    await count_all(client)


CHECKS = {
    "connect": connect, "route": route, "tags": tags, "transaction": transaction, "shard-messages": shard_messages,
    "failover": failover, "return": returned,
}  # fmt: skip


async def main():
    say("version", version("valkey-glide"))
    client = await connected()
    for name, call in CHECKS.items():
        await check_soon(name, lambda call=call: call(client), FAILOVER_S + 10)
    await client.close()
    say("done")


asyncio.run(main())
