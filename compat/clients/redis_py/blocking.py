"""redis-py and its fork, as a blocking program uses them: `blocking.py redis|valkey hiredis|libvalkey|plain`."""

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
    check,
    in_ms,
    raises,
    restart,
    same,
    say,
    true,
    until,
)  # fmt: skip

MODULE, READER = sys.argv[1:3]
redis = importlib.import_module(MODULE)
CLIENT = getattr(redis, MODULE.capitalize())
OWN_RESP = importlib.import_module(f"{MODULE}.connection").DEFAULT_RESP_VERSION  # RESP3 from redis-py 8 on
PARSER = {}
if READER == "plain":
    parsers = importlib.import_module(f"{MODULE}._parsers")
    PARSER = {2: parsers._RESP2Parser, 3: parsers._RESP3Parser}


def place(port=PORT):
    """Where the node is: by its Unix socket, in the run that is about it."""
    return {"unix_socket_path": SOCKET} if SOCKET and port == PORT else {"host": HOST, "port": port}


def connect(port=PORT, protocol=OWN_RESP, **more):
    client = CLIENT(**place(port), protocol=protocol, socket_timeout=10, **more)
    if PARSER:
        pool = client.connection_pool
        pool.connection_kwargs["parser_class"] = PARSER[protocol]
    return client


def with_wrong_password():
    """The newest tries a wrong password four times, for some seconds, unless it is told not to."""
    no_backoff = importlib.import_module(f"{MODULE}.backoff").NoBackoff()
    return connect(AUTH_PORT, password="wrong", retry=importlib.import_module(f"{MODULE}.retry").Retry(no_backoff, 0))


def with_defaults():
    client = CLIENT(**place())
    same(client.ping(), True)
    same(client.client_info()["addr"] == f"{SOCKET}:0", bool(SOCKET))
    client.close()


def with_resp(protocol):
    client = connect(protocol=protocol)
    same(client.set("resp", b"v", ex=60), True)
    same(client.get("resp"), b"v")
    connection = client.connection_pool.get_connection("PING")
    reader = type(connection._parser).__name__
    same("Hiredis" in reader or "Libvalkey" in reader, READER != "plain")
    client.connection_pool.release(connection)
    hello = client.execute_command("HELLO", protocol)
    proto = hello[b"proto"] if isinstance(hello, dict) else hello[hello.index(b"proto") + 1]
    same(proto, protocol)
    if protocol == 3:
        same(client.mget("resp", "missing"), [b"v", None])
    client.close()


def main():
    say("version", redis.__version__, f"with {READER}")
    check("connect", with_defaults)
    check("resp2", lambda: with_resp(2))
    check("resp3", lambda: with_resp(3))
    client = connect()
    strings(client)
    several(client)
    check("publish-subscribe", lambda: publish(client))
    check("expired-event", lambda: expired(client))
    check("binary", lambda: binary(client))
    check("mebibyte", lambda: mebibyte(client))
    check("auth", lambda: same(connect(AUTH_PORT, password=PASSWORD).ping(), True))
    check("auth-refused", lambda: raises(with_wrong_password().ping, "invalid username-password pair"))
    check("select", lambda: select(client))
    check("del-refused", lambda: delete(client))
    check("del-in-multi", lambda: delete_in_multi(client))
    check("restart", lambda: survive(client))
    check("tls", encrypted)
    say("done")


def strings(client):
    def form(name, ms_low, ms_high, **options):
        def run():
            same(client.set(name, "v", **options), True)
            left = client.pttl(name)
            true(ms_low < left <= ms_high, f"{ms_low}..{ms_high} ms", left)

        check(name, run)

    form("set-ex", 55_000, 60_000, ex=60)
    form("set-px", 55_000, 60_000, px=60_000)
    form("set-exat", 55_000, 61_000, exat=in_ms(60_000) // 1000 + 1)
    form("set-pxat", 55_000, 60_000, pxat=in_ms(60_000))

    def keep():
        client.set("kept", "a", ex=60)
        same(client.set("kept", "b", keepttl=True), True)
        same((client.get("kept"), 50 < client.ttl("kept") <= 60), (b"b", True))

    def default():
        client.set("bare", "v")
        true(client.ttl("bare") > 0, "a time to live", client.ttl("bare"))

    def expire():
        client.set("shortened", "v", ex=600)
        same(client.expire("shortened", 100), True)
        same(client.pexpire("missing", 100), False)
        true(95 < client.ttl("shortened") <= 100, "100 s", client.ttl("shortened"))

    def nx():
        same([client.set("once", "a", ex=60, nx=True), client.set("once", "b", ex=60, nx=True)], [True, None])
        same([client.get("once"), client.set("never", "b", ex=60, xx=True)], [b"a", None])

    check("set-keepttl", keep)
    check("default-ttl", default)
    check("get", lambda: same(client.get("set-ex"), b"v"))
    check("get-missing", lambda: same(client.get("missing"), None))
    check("mget", lambda: same(client.mget(["set-ex", "missing", "set-px"]), [b"v", None, b"v"]))
    check("set-nx", nx)
    check("expire", expire)
    check("ttl", lambda: same([client.ttl("missing"), 50 < client.ttl("set-ex") <= 60], [-2, True]))
    check(
        "incr",
        lambda: same(
            [client.incr("n"), client.incrby("n", 5), client.decr("n"), client.incrbyfloat("f", 1.5)], [1, 6, 5, 1.5]
        ),
    )


def several(client):
    def scan():
        for number in range(300):
            client.set(f"scan:{number}", number, ex=60)
        same(sorted(set(client.scan_iter("scan:*", count=17))), sorted(b"scan:%d" % number for number in range(300)))

    def pipeline():
        with client.pipeline(transaction=False) as pipe:
            for number in range(200):
                pipe.set(f"pipe:{number}", number, ex=60).get(f"pipe:{number}")
            same(pipe.execute(), [one for number in range(200) for one in (True, b"%d" % number)])

    def multi():
        with client.pipeline() as pipe:
            same(pipe.set("m", "1", ex=60).incr("m").get("m").execute(), [True, 2, b"2"])

    def watch():
        client.set("watched", "1", ex=60)
        with client.pipeline() as pipe:
            pipe.watch("watched")
            connect().set("watched", "2", ex=60)
            pipe.multi()
            pipe.set("watched", "3", ex=60)
            try:
                pipe.execute()
            except redis.WatchError:
                pass
            else:
                true(False, "WatchError", "none")
            same(client.get("watched"), b"2")
            pipe.watch("watched")
            pipe.multi()
            same(pipe.set("watched", "4", ex=60).execute(), [True])

    check("scan", scan)
    check("pipeline", pipeline)
    check("multi", multi)
    check("watch", watch)


def publish(client):
    listener = client.pubsub()
    listener.subscribe("news")
    listener.psubscribe("ne?t")
    same([listener.get_message(timeout=5)["type"] for _ in range(2)], ["subscribe", "psubscribe"])
    same([client.publish("news", "one"), client.publish("next", b"two"), client.publish("nobody", "x")], [1, 1, 0])
    got = [listener.get_message(timeout=5) for _ in range(2)]
    same(
        [(one["type"], one["channel"], one["data"]) for one in got],
        [("message", b"news", b"one"), ("pmessage", b"next", b"two")],
    )
    listener.close()


def expired(client):
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("__keyevent@0__:expired")
    until(lambda: listener.get_message(timeout=0.2) is None)
    client.set("brief", "v", px=80)
    got = until(lambda: listener.get_message(timeout=1))
    same((got["channel"], got["data"], client.get("brief")), (b"__keyevent@0__:expired", b"brief", None))
    listener.close()


def binary(client):
    key, value = bytes(range(256)), bytes(range(255, -1, -1)) + b"\r\n$-1\r\n"
    same((client.set(key, value, ex=60), client.get(key)), (True, value))


def mebibyte(client):
    value = bytes(range(256)) * 4096
    same((client.set("large", value, ex=60), client.strlen("large")), (True, 1 << 20))
    true(client.get("large") == value, "the same mebibyte")


def select(client):
    other = connect(db=5)
    other.set("there", "v", ex=60)
    same((other.get("there"), client.get("there")), (b"v", None))
    raises(connect(db=99).ping, "DB index is out of range")


def delete(client):
    client.set("stays", "v", ex=60)
    error = raises(lambda: client.delete("stays"), "refused by design")
    true(isinstance(error, redis.ResponseError), "ResponseError", error)
    raises(client.flushdb, "refused by design")
    same(client.get("stays"), b"v")


def delete_in_multi(client):
    with client.pipeline() as pipe:
        got = pipe.set("sibling", "v", ex=60).delete("sibling").execute(raise_on_error=False)
    same((got[0], "refused by design" in str(got[1]), client.get("sibling")), (True, True, b"v"))


def survive(client):
    client.set("before", "v", ex=60)
    restart()

    def answered():
        try:
            return client.ping()
        except redis.ConnectionError:
            return False

    same(until(answered), True)
    same((client.set("after", "v", ex=60), client.get("after")), (True, b"v"))


def encrypted():
    if not TLS_PORT:
        raise Left("the node has no TLS for clients")
    client = CLIENT(host=HOST, port=TLS_PORT, ssl=True, ssl_ca_certs=TLS_CA)
    same((client.set("tls", "v", ex=60), client.get("tls")), (True, b"v"))


main()
