"""coredis: asyncio, RESP3 only; clients, pipelines and subscriptions are context managers."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import coredis
from coredis import PureToken
from telling import (
    AUTH_PORT,
    HOST,
    PASSWORD,
    PORT,
    TLS_CA,
    TLS_PORT,
    Difference,
    check_soon,
    in_ms,
    raises_soon,
    restart,
    same,
    say,
    true,
)


@asynccontextmanager
async def connected(port=PORT, **more):
    async with coredis.Redis(HOST, port, stream_timeout=10, **more) as client:
        yield client


async def answered(port=PORT, **more):
    async with connected(port, **more) as client:
        return await client.ping()


def words(error):
    """coredis wraps what happens inside its context managers in groups."""
    inner = [words(one) for one in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    return " ".join([str(error), *inner, *([words(error.__cause__)] if error.__cause__ else [])])


async def refused(awaitable, text):
    try:
        got = await awaitable
    except Exception as error:
        true(text in words(error), text, words(error))
    else:
        true(False, text, got)


async def main():
    say("version", coredis.__version__)
    async with connected() as client:
        for name, call in CHECKS.items():
            if name == "resp2":
                say("skip resp2 this version speaks RESP3 only")
            else:
                await check_soon(name, lambda call=call: call(client))
    say("done")


async def connect(client):
    same(await client.ping(), b"PONG")


async def resp3(client):
    same(int((await client.client_info())["resp"]), 3)


def form(name, **options):
    async def run(client):
        same(await client.set(name, "v", **options), True)
        left = await client.pttl(name)
        true(55_000 < left <= 61_000, "55000..61000 ms", left)

    return run


async def keep(client):
    await client.set("kept", "a", ex=60)
    same(await client.set("kept", "b", keepttl=True), True)
    same((await client.get("kept"), 50 < await client.ttl("kept") <= 60), (b"b", True))


async def default(client):
    await client.set("bare", "v")
    true(await client.ttl("bare") > 0, "a time to live")


async def get(client):
    same(await client.get("set-ex"), b"v")


async def missing(client):
    same(await client.get("missing"), None)


async def mget(client):
    same(tuple(await client.mget(["set-ex", "missing", "set-px"])), (b"v", None, b"v"))


async def nx(client):
    put = [await client.set("once", value, ex=60, condition=PureToken.NX) for value in ("a", "b")]
    same((bool(put[0]), bool(put[1]), await client.get("once")), (True, False, b"a"))


async def expire(client):
    await client.set("shortened", "v", ex=600)
    same([await client.expire("shortened", 100), await client.pexpire("missing", 100)], [True, False])
    true(95 < await client.ttl("shortened") <= 100, "100 s")


async def ttl(client):
    same([await client.ttl("missing"), 50 < await client.ttl("set-ex") <= 60], [-2, True])


async def incr(client):
    same([await client.incr("n"), await client.incrby("n", 5), await client.decr("n")], [1, 6, 5])
    same(await client.incrbyfloat("f", 1.5), 1.5)


async def scan(client):
    for number in range(300):
        await client.set(f"scan:{number}", number, ex=60)
    same({key async for key in client.scan_iter("scan:*", count=17)}, {b"scan:%d" % number for number in range(300)})


async def pipeline(client):
    async with client.pipeline(transaction=False) as pipe:
        asked = [(pipe.set(f"pipe:{number}", number, ex=60), pipe.get(f"pipe:{number}"))[1] for number in range(200)]
    same([await one for one in asked], [b"%d" % number for number in range(200)])


async def multi(client):
    async with client.pipeline() as pipe:
        pipe.set("m", "1", ex=60)
        asked = [pipe.incr("m"), pipe.get("m")]
    same([await one for one in asked], [2, b"2"])


async def watch(client):
    await client.set("watched", "1", ex=60)

    async def watching():
        async with client.pipeline() as pipe, pipe.watch("watched"):
            await client.set("watched", "2", ex=60)
            pipe.set("watched", "3", ex=60)

    try:
        await watching()
    except (coredis.exceptions.WatchError, ExceptionGroup):
        pass
    else:
        true(False, "WatchError", "none")
    same(await client.get("watched"), b"2")


async def heard(listener):
    """The next message: a subscription that is ignored is read as None."""
    for _ in range(5):
        if got := await listener.get_message(timeout=5):
            return got
    raise Difference("expected=a message got=none")


async def publish(client):
    async with client.pubsub(channels=["news"], patterns=["ne?t"], ignore_subscribe_messages=True) as listener:
        same(
            [
                await client.publish("news", "one"),
                await client.publish("next", b"two"),
                await client.publish("nobody", "x"),
            ],
            [1, 1, 0],
        )
        got = [await heard(listener) for _ in range(2)]
        same(
            [(one["type"], one["channel"], one["data"]) for one in got],
            [("message", b"news", b"one"), ("pmessage", b"next", b"two")],
        )


async def expired(client):
    async with client.pubsub(channels=["__keyevent@0__:expired"], ignore_subscribe_messages=True) as listener:
        await client.set("brief", "v", px=80)
        got = await heard(listener)
        same((got["data"], await client.get("brief")), (b"brief", None))


async def binary(client):
    key, value = bytes(range(256)), bytes(range(255, -1, -1)) + b"\r\n$-1\r\n"
    same((await client.set(key, value, ex=60), await client.get(key)), (True, value))


async def mebibyte(client):
    value = bytes(range(256)) * 4096
    same((await client.set("large", value, ex=60), await client.strlen("large")), (True, 1 << 20))
    true(await client.get("large") == value, "the same mebibyte")


async def auth(client):
    same(await answered(AUTH_PORT, password=PASSWORD), b"PONG")


async def auth_refused(client):
    await refused(answered(AUTH_PORT, password="wrong"), "invalid username-password pair")


async def select(client):
    async with connected(db=5) as other:
        await other.set("there", "v", ex=60)
        same((await other.get("there"), await client.get("there")), (b"v", None))
    await refused(answered(db=99), "DB index is out of range")


async def delete(client):
    await client.set("stays", "v", ex=60)
    await raises_soon(client.delete(["stays"]), "refused by design")
    await raises_soon(client.flushdb(), "refused by design")
    same(await client.get("stays"), b"v")


async def delete_in_multi(client):
    async with client.pipeline(raise_on_error=False) as pipe:
        put, gone = pipe.set("sibling", "v", ex=60), pipe.delete(["sibling"])
    same(await put, True)
    await raises_soon(gone, "refused by design")
    same(await client.get("sibling"), b"v")


async def survive(client):
    await asyncio.to_thread(restart)
    for _ in range(200):
        try:
            same(await client.ping(), b"PONG")
            break
        except (coredis.exceptions.ConnectionError, OSError):
            await asyncio.sleep(0.01)
    same((await client.set("after", "v", ex=60), await client.get("after")), (True, b"v"))


async def encrypted(client):
    context = ssl.create_default_context(cafile=TLS_CA)
    same(await answered(TLS_PORT, ssl_context=context), b"PONG")


CHECKS = {
    "connect": connect, "resp2": None, "resp3": resp3, "set-ex": form("set-ex", ex=60),
    "set-px": form("set-px", px=60_000),
    "set-exat": form("set-exat", exat=in_ms(60_000) // 1000 + 1), "set-pxat": form("set-pxat", pxat=in_ms(60_000)),
    "set-keepttl": keep, "default-ttl": default, "get": get, "get-missing": missing, "mget": mget, "set-nx": nx,
    "expire": expire,
    "ttl": ttl, "incr": incr, "scan": scan, "pipeline": pipeline, "multi": multi, "watch": watch,
    "publish-subscribe": publish,
    "expired-event": expired, "binary": binary, "mebibyte": mebibyte, "auth": auth, "auth-refused": auth_refused,
    "select": select,
    "del-refused": delete, "del-in-multi": delete_in_multi, "restart": survive, "tls": encrypted,
}  # fmt: skip

asyncio.run(main())
