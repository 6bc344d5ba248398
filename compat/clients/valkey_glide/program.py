"""valkey-glide on asyncio: `program.py 2|3`, the protocol. Its core is in Rust; it reads INFO before anything else."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import glide
from glide import (
    Batch,
    ConditionalChange,
    ExpirySet,
    ExpiryType,
    GlideClient,
    GlideClientConfiguration,
    NodeAddress,
    ProtocolVersion,
)
from telling import AUTH_PORT, HOST, PASSWORD, PORT, TLS_CA, TLS_PORT, check_soon, raises_soon, restart, same, say, true

PROTOCOL = int(sys.argv[1])
MODES = GlideClientConfiguration.PubSubChannelModes
MINUTE = ExpirySet(ExpiryType.SEC, 60)


async def connected(port=PORT, protocol=PROTOCOL, **more):
    known = {2: ProtocolVersion.RESP2, 3: ProtocolVersion.RESP3}[protocol]
    return await GlideClient.create(
        GlideClientConfiguration([NodeAddress(HOST, port)], protocol=known, request_timeout=10_000, **more)
    )


async def answered(port=PORT, **more):
    client = await connected(port, **more)
    try:
        return await client.ping()
    finally:
        await client.close()


async def main():
    say("version", version("valkey-glide"))
    client = await connected()
    for name, call in CHECKS.items():
        if name in ("resp2", "resp3") and str(PROTOCOL) not in name:
            say("skip", name, "in the other run")
        else:
            await check_soon(name, lambda call=call: call(client))
    await client.close()
    say("done")


async def connect(client):
    same(await client.ping(), b"PONG")


async def protocol(client):
    info = await client.custom_command(["CLIENT", "INFO"])
    true(f"resp={PROTOCOL}".encode() in info, f"resp={PROTOCOL}", info)


def form(name, kind, value):
    async def run(client):
        same(await client.set(name, "v", expiry=ExpirySet(kind, value)), "OK")
        left = await client.pttl(name)
        true(55_000 < left <= 61_000, "55000..61000 ms", left)

    return run


async def keep(client):
    await client.set("kept", "a", expiry=MINUTE)
    same(await client.set("kept", "b", expiry=ExpirySet(ExpiryType.KEEP_TTL, None)), "OK")
    same((await client.get("kept"), 50 < await client.ttl("kept") <= 60), (b"b", True))


async def default(client):
    await client.set("bare", "v")
    true(await client.ttl("bare") > 0, "a time to live")


async def get(client):
    same(await client.get("set-ex"), b"v")


async def missing(client):
    same(await client.get("missing"), None)


async def mget(client):
    same(await client.mget(["set-ex", "missing", "set-px"]), [b"v", None, b"v"])


async def nx(client):
    put = [await client.set("once", value, ConditionalChange.ONLY_IF_DOES_NOT_EXIST, MINUTE) for value in ("a", "b")]
    same((put, await client.get("once")), (["OK", None], b"a"))


async def expire(client):
    await client.set("shortened", "v", expiry=ExpirySet(ExpiryType.SEC, 600))
    same([await client.expire("shortened", 100), await client.pexpire("missing", 100)], [True, False])
    true(95 < await client.ttl("shortened") <= 100, "100 s")


async def ttl(client):
    same([await client.ttl("missing"), 50 < await client.ttl("set-ex") <= 60], [-2, True])


async def incr(client):
    same([await client.incr("n"), await client.incrby("n", 5), await client.decr("n")], [1, 6, 5])
    same(await client.incrbyfloat("f", 1.5), 1.5)


async def scan(client):
    for number in range(300):
        await client.set(f"scan:{number}", str(number), expiry=MINUTE)
    cursor, seen = b"0", set()
    while True:
        cursor, keys = await client.scan(cursor, match="scan:*", count=17)
        seen.update(keys)
        if cursor == b"0":
            break
    same(seen, {b"scan:%d" % number for number in range(300)})


async def pipeline(client):
    batch = Batch(is_atomic=False)
    for number in range(200):
        batch.set(f"pipe:{number}", str(number), expiry=MINUTE)
        batch.get(f"pipe:{number}")
    same(
        await client.exec(batch, raise_on_error=True), [one for number in range(200) for one in ("OK", b"%d" % number)]
    )


async def multi(client):
    batch = Batch(is_atomic=True)
    batch.set("m", "1", expiry=MINUTE)
    batch.incr("m")
    batch.get("m")
    same(await client.exec(batch, raise_on_error=True), ["OK", 2, b"2"])


async def watch(client):
    other = await connected()
    await client.watch(["watched"])
    await other.set("watched", "2", expiry=MINUTE)
    batch = Batch(is_atomic=True)
    batch.set("watched", "3", expiry=MINUTE)
    same((await client.exec(batch, raise_on_error=True), await client.get("watched")), (None, b"2"))
    await other.close()


async def listening(mode, *names):
    """Subscriptions are part of a client's configuration; in RESP2 the client refuses them, so the listener speaks
    RESP3.
    """
    subscriptions = GlideClientConfiguration.PubSubSubscriptions({mode: set(names)}, callback=None, context=None)
    return await connected(protocol=3, pubsub_subscriptions=subscriptions)


async def publish(client):
    listener = await listening(MODES.Pattern, "ne*")
    same([await client.publish("one", "news"), await client.publish("x", "nobody")], [1, 0])
    got = await asyncio.wait_for(listener.get_pubsub_message(), 5)
    same((got.channel, got.message), (b"news", b"one"))
    await listener.close()


async def expired(client):
    listener = await listening(MODES.Exact, "__keyevent@0__:expired")
    await client.set("brief", "v", expiry=ExpirySet(ExpiryType.MILLSEC, 80))
    got = await asyncio.wait_for(listener.get_pubsub_message(), 5)
    same((got.message, await client.get("brief")), (b"brief", None))
    await listener.close()


async def binary(client):
    key, value = bytes(range(256)), bytes(range(255, -1, -1)) + b"\r\n$-1\r\n"
    same((await client.set(key, value, expiry=MINUTE), await client.get(key)), ("OK", value))


async def mebibyte(client):
    value = bytes(range(256)) * 4096
    same((await client.set("large", value, expiry=MINUTE), await client.strlen("large")), ("OK", 1 << 20))
    true(await client.get("large") == value, "the same mebibyte")


async def auth(client):
    same(await answered(AUTH_PORT, credentials=glide.ServerCredentials(PASSWORD)), b"PONG")


async def auth_refused(client):
    # Its core passes the node's words on, or its own "AuthenticationFailed": which of the two is a matter of time.
    error = await raises_soon(answered(AUTH_PORT, credentials=glide.ServerCredentials("wrong")), "")
    told = ("invalid username-password pair", "AuthenticationFailed")
    true(any(words in str(error) for words in told), told[0], error)


async def select(client):
    other = await connected(database_id=5)
    await other.set("there", "v", expiry=MINUTE)
    same((await other.get("there"), await client.get("there")), (b"v", None))
    await raises_soon(other.select(99), "DB index is out of range")
    await other.close()


async def delete(client):
    await client.set("stays", "v", expiry=MINUTE)
    await raises_soon(client.delete(["stays"]), "refused by design")
    await raises_soon(client.flushdb(), "refused by design")
    same(await client.get("stays"), b"v")


async def delete_in_multi(client):
    batch = Batch(is_atomic=True)
    batch.set("sibling", "v", expiry=MINUTE)
    batch.delete(["sibling"])
    got = await client.exec(batch, raise_on_error=False)
    same((got[0], "refused by design" in str(got[1]), await client.get("sibling")), ("OK", True, b"v"))


async def survive(client):
    await asyncio.to_thread(restart)
    for _ in range(200):
        try:
            same(await client.ping(), b"PONG")
            break
        except glide.GlideError:
            await asyncio.sleep(0.02)
    same((await client.set("after", "v", expiry=MINUTE), await client.get("after")), ("OK", b"v"))


async def encrypted(client):
    trusted = glide.TlsAdvancedConfiguration(root_pem_cacerts=Path(TLS_CA).read_bytes())
    advanced = glide.AdvancedGlideClientConfiguration(tls_config=trusted)
    same(await answered(TLS_PORT, use_tls=True, advanced_config=advanced), b"PONG")


SOON = datetime.now(UTC) + timedelta(seconds=60.9)
CHECKS = {
    "connect": connect, "resp2": protocol, "resp3": protocol, "set-ex": form("set-ex", ExpiryType.SEC, 60),
    "set-px": form("set-px", ExpiryType.MILLSEC, 60_000), "set-exat": form("set-exat", ExpiryType.UNIX_SEC, SOON),
    "set-pxat": form("set-pxat", ExpiryType.UNIX_MILLSEC, SOON), "set-keepttl": keep, "default-ttl": default,
    "get": get,
    "get-missing": missing, "mget": mget, "set-nx": nx, "expire": expire, "ttl": ttl, "incr": incr, "scan": scan,
    "pipeline": pipeline,
    "multi": multi, "watch": watch, "publish-subscribe": publish, "expired-event": expired, "binary": binary,
    "mebibyte": mebibyte,
    "auth": auth, "auth-refused": auth_refused, "select": select, "del-refused": delete,
    "del-in-multi": delete_in_multi,
    "restart": survive, "tls": encrypted,
}  # fmt: skip

asyncio.run(main())
