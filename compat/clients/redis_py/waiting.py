"""redis-py and its fork, as an asyncio program uses them: `waiting.py redis|valkey hiredis|libvalkey|plain`."""

import asyncio
import importlib
import sys

from telling import (
    AUTH_PORT,
    HOST,
    PASSWORD,
    PORT,
    SOCKET,
    TLS_CA,
    TLS_PORT,
    Left,
    check_soon,
    in_ms,
    raises_soon,
    restart,
    same,
    say,
    true,
)  # fmt: skip

MODULE, READER = sys.argv[1:3]
package = importlib.import_module(MODULE)
aio = importlib.import_module(f"{MODULE}.asyncio")
CLIENT = getattr(aio, MODULE.capitalize())
OWN_RESP = importlib.import_module(f"{MODULE}.connection").DEFAULT_RESP_VERSION  # RESP3 from redis-py 8 on
PARSER = {}
if READER == "plain":
    parsers = importlib.import_module(f"{MODULE}._parsers")
    PARSER = {2: parsers._AsyncRESP2Parser, 3: parsers._AsyncRESP3Parser}


def place(port=PORT):
    """Where the node is: by its Unix socket, in the run that is about it."""
    return {"unix_socket_path": SOCKET} if SOCKET and port == PORT else {"host": HOST, "port": port}


def connect(port=PORT, protocol=OWN_RESP, **more):
    client = CLIENT(**place(port), protocol=protocol, socket_timeout=10, **more)
    if PARSER:
        client.connection_pool.connection_kwargs["parser_class"] = PARSER[protocol]
    return client


def with_wrong_password():
    """The newest tries a wrong password four times, for some seconds, unless it is told not to."""
    no_backoff = importlib.import_module(f"{MODULE}.backoff").NoBackoff()
    return connect(
        AUTH_PORT, password="wrong", retry=importlib.import_module(f"{MODULE}.asyncio.retry").Retry(no_backoff, 0)
    )


async def with_defaults():
    async with CLIENT(**place()) as client:
        same(await client.ping(), True)
        same((await client.client_info())["addr"] == f"{SOCKET}:0", bool(SOCKET))


async def with_resp(protocol):
    async with connect(protocol=protocol) as client:
        same(await client.set("resp", b"v", ex=60), True)
        same(await client.mget("resp", "missing"), [b"v", None])
        hello = await client.execute_command("HELLO", protocol)
        proto = hello[b"proto"] if isinstance(hello, dict) else hello[hello.index(b"proto") + 1]
        same(proto, protocol)
        connection = await client.connection_pool.get_connection("PING")
        reader = type(connection._parser).__name__
        same("Hiredis" in reader or "Libvalkey" in reader, READER != "plain")
        await client.connection_pool.release(connection)


async def main():
    say("version", package.__version__, f"with {READER}")
    await check_soon("connect", with_defaults)
    await check_soon("resp2", lambda: with_resp(2))
    await check_soon("resp3", lambda: with_resp(3))
    client = connect()
    await strings(client)
    await several(client)
    await check_soon("publish-subscribe", lambda: publish(client))
    await check_soon("expired-event", lambda: expired(client))
    await check_soon("binary", lambda: binary(client))
    await check_soon("mebibyte", lambda: mebibyte(client))

    async def auth():
        async with connect(AUTH_PORT, password=PASSWORD) as other:
            same(await other.ping(), True)

    await check_soon("auth", auth)
    wrong = with_wrong_password()
    await check_soon("auth-refused", lambda: raises_soon(wrong.ping(), "invalid username-password pair"))
    await check_soon("select", lambda: select(client))
    await check_soon("del-refused", lambda: delete(client))
    await check_soon("del-in-multi", lambda: delete_in_multi(client))
    await check_soon("restart", lambda: survive(client))
    await check_soon("tls", encrypted)
    await client.aclose()
    say("done")


async def strings(client):
    async def form(name, **options):
        async def run():
            same(await client.set(name, "v", **options), True)
            left = await client.pttl(name)
            true(55_000 < left <= 61_000, "55000..61000 ms", left)

        await check_soon(name, run)

    await form("set-ex", ex=60)
    await form("set-px", px=60_000)
    await form("set-exat", exat=in_ms(60_000) // 1000 + 1)
    await form("set-pxat", pxat=in_ms(60_000))

    async def keep():
        await client.set("kept", "a", ex=60)
        same(await client.set("kept", "b", keepttl=True), True)
        same((await client.get("kept"), 50 < await client.ttl("kept") <= 60), (b"b", True))

    async def default():
        await client.set("bare", "v")
        true(await client.ttl("bare") > 0, "a time to live")

    async def expire():
        await client.set("shortened", "v", ex=600)
        same([await client.expire("shortened", 100), await client.pexpire("missing", 100)], [True, False])
        true(95 < await client.ttl("shortened") <= 100, "100 s")

    async def nx():
        same([await client.set("once", "a", ex=60, nx=True), await client.set("once", "b", ex=60, nx=True)],
             [True, None])
        same(await client.get("once"), b"a")

    async def missing():
        same(await client.get("missing"), None)

    async def get():
        same(await client.get("set-ex"), b"v")

    async def mget():
        same(await client.mget(["set-ex", "missing", "set-px"]), [b"v", None, b"v"])

    async def ttl():
        same([await client.ttl("missing"), 50 < await client.ttl("set-ex") <= 60], [-2, True])

    async def incr():
        same([await client.incr("n"), await client.incrby("n", 5), await client.decr("n")], [1, 6, 5])
        same(await client.incrbyfloat("f", 1.5), 1.5)

    for name, call in (
        ("set-keepttl", keep), ("default-ttl", default), ("get", get), ("get-missing", missing), ("mget", mget),
        ("set-nx", nx),
        ("expire", expire), ("ttl", ttl), ("incr", incr),
    ):  # fmt: skip
        await check_soon(name, call)


async def several(client):
    async def scan():
        for first in range(0, 300, 50):
            await asyncio.gather(*(client.set(f"scan:{number}", number, ex=60) for number in range(first, first + 50)))
        got = {key async for key in client.scan_iter("scan:*", count=17)}
        same(sorted(got), sorted(b"scan:%d" % number for number in range(300)))

    async def pipeline():
        async with client.pipeline(transaction=False) as pipe:
            for number in range(200):
                pipe.set(f"pipe:{number}", number, ex=60).get(f"pipe:{number}")
            same(await pipe.execute(), [one for number in range(200) for one in (True, b"%d" % number)])

    async def multi():
        async with client.pipeline() as pipe:
            same(await pipe.set("m", "1", ex=60).incr("m").get("m").execute(), [True, 2, b"2"])

    async def watch():
        await client.set("watched", "1", ex=60)
        async with client.pipeline() as pipe:
            await pipe.watch("watched")
            await client.set("watched", "2", ex=60)
            pipe.multi()
            pipe.set("watched", "3", ex=60)
            try:
                await pipe.execute()
            except package.WatchError:
                pass
            else:
                true(False, "WatchError", "none")
        same(await client.get("watched"), b"2")

    for name, call in (("scan", scan), ("pipeline", pipeline), ("multi", multi), ("watch", watch)):
        await check_soon(name, call)


async def publish(client):
    async with client.pubsub() as listener:
        await listener.subscribe("news")
        await listener.psubscribe("ne?t")
        same([(await listener.get_message(timeout=5))["type"] for _ in range(2)], ["subscribe", "psubscribe"])
        same(
            [
                await client.publish("news", "one"),
                await client.publish("next", b"two"),
                await client.publish("nobody", "x"),
            ],
            [1, 1, 0],
        )
        got = [await listener.get_message(timeout=5) for _ in range(2)]
        same(
            [(one["type"], one["channel"], one["data"]) for one in got],
            [("message", b"news", b"one"), ("pmessage", b"next", b"two")],
        )


async def expired(client):
    async with client.pubsub() as listener:
        await listener.subscribe("__keyevent@0__:expired")
        same((await listener.get_message(timeout=5))["type"], "subscribe")
        await client.set("brief", "v", px=80)
        got = await listener.get_message(timeout=5)
        same((got["channel"], got["data"], await client.get("brief")), (b"__keyevent@0__:expired", b"brief", None))


async def binary(client):
    key, value = bytes(range(256)), bytes(range(255, -1, -1)) + b"\r\n$-1\r\n"
    same((await client.set(key, value, ex=60), await client.get(key)), (True, value))


async def mebibyte(client):
    value = bytes(range(256)) * 4096
    same((await client.set("large", value, ex=60), await client.strlen("large")), (True, 1 << 20))
    true(await client.get("large") == value, "the same mebibyte")


async def select(client):
    async with connect(db=5) as other:
        await other.set("there", "v", ex=60)
        same((await other.get("there"), await client.get("there")), (b"v", None))
    await raises_soon(connect(db=99).ping(), "DB index is out of range")


async def delete(client):
    await client.set("stays", "v", ex=60)
    error = await raises_soon(client.delete("stays"), "refused by design")
    true(isinstance(error, package.ResponseError), "ResponseError", error)
    await raises_soon(client.flushdb(), "refused by design")
    same(await client.get("stays"), b"v")


async def delete_in_multi(client):
    async with client.pipeline() as pipe:
        got = await pipe.set("sibling", "v", ex=60).delete("sibling").execute(raise_on_error=False)
    same((got[0], "refused by design" in str(got[1]), await client.get("sibling")), (True, True, b"v"))


async def survive(client):
    await client.set("before", "v", ex=60)
    await asyncio.to_thread(restart)
    for _ in range(200):
        try:
            same(await client.ping(), True)
            break
        except package.ConnectionError:
            await asyncio.sleep(0.01)
    same((await client.set("after", "v", ex=60), await client.get("after")), (True, b"v"))


async def encrypted():
    if not TLS_PORT:
        raise Left("the node has no TLS for clients")
    async with CLIENT(host=HOST, port=TLS_PORT, ssl=True, ssl_ca_certs=TLS_CA) as client:
        same((await client.set("tls", "v", ex=60), await client.get("tls")), (True, b"v"))


asyncio.run(main())
