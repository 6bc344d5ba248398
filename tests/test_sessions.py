"""A first session as a user has it: redis-cli from the shell, redis-py from Python, on a real node."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import redis.asyncio

from tests.engine.conftest import ENGINES
from tests.live import SOON_S, LiveNode, running


@pytest.fixture(scope="module", params=list(ENGINES))
def node(request: pytest.FixtureRequest) -> Iterator[LiveNode]:
    with running(engine=request.param) as live:
        yield live


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def client(node: LiveNode, request: pytest.FixtureRequest) -> Iterator["redis.Redis"]:
    with redis.Redis(port=node.port, protocol=request.param, socket_timeout=SOON_S) as connected:
        yield connected


def cli(node: LiveNode, *words: str, stdin: str = "") -> str:
    program = shutil.which("redis-cli")
    if program is None:
        if os.environ.get("RESPRAM_ALLOW_NO_REDIS"):
            pytest.skip("no redis-cli on this machine")
        pytest.fail("redis-cli is missing: install redis-tools, or set RESPRAM_ALLOW_NO_REDIS=1")
    done = subprocess.run(
        [program, "-p", str(node.port), *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
    )
    return done.stdout


def test_a_redis_cli_session(node: LiveNode) -> None:
    script = (
        "SET greeting hello EX 60\nGET greeting\nTTL greeting\nDEL greeting\n"
        "INCR hits\nEXISTS greeting nothing\nTYPE hits\n"
    )
    lines = cli(node, stdin=script).splitlines()
    assert lines[:3] == ["OK", "hello", "60"]
    assert lines[3].startswith("NOPERM 'del' is refused by design: keys leave when their TTL ends")
    assert [line for line in lines[4:] if line] == ["1", "1", "string"]
    assert cli(node, "-3", "--no-raw", "HELLO", "3").startswith('1# "server" => "redis"\n2# "version" => "7.2')
    assert cli(node, "--no-raw", "GET", "nothing") == "(nil)\n"
    assert "greeting" in cli(node, "--scan", "--pattern", "greet*").split()
    assert "redis_mode:standalone" in cli(node, "INFO", "server")
    assert "ALL: keys=" not in cli(node, "--bigkeys")
    assert "Biggest string found" in cli(node, "--bigkeys")
    pipe = "".join(f"SET piped:{number} v EX 60\r\n" for number in range(1000))
    assert "errors: 0, replies: 1000" in cli(node, "--pipe", stdin=pipe)


def readme_session() -> list[tuple[str, str]]:
    """Commands of the README's first session, each with the answer that the page shows, its lines joined."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    (block,) = re.findall(r"^```\n\$ redis-cli\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    typed = re.split(r"^127\.0\.0\.1:6379> (.*)\n", block, flags=re.MULTILINE)[1:]
    return [(command, " ".join(answer.split())) for command, answer in zip(typed[::2], typed[1::2], strict=True)]


def test_the_first_session_of_the_readme_prints_what_the_page_shows(node: LiveNode) -> None:
    session = readme_session()
    assert len(session) == 8
    for command, shown in session:
        words = shlex.split(command)
        give_up = time.monotonic() + SOON_S
        # The last value may still live for a part of its millisecond.
        while (answer := " ".join(cli(node, "--no-raw", *words).split())) == '""' and time.monotonic() < give_up:
            pass
        if words[0] == "TTL":  # a second or two have passed, on a busy machine more
            assert 3000 < int(answer.removeprefix("(integer) ")) <= 3600
            assert 3590 < int(shown.removeprefix("(integer) ")) < 3600
        else:
            assert answer == shown, command


def test_a_redis_py_session(client: "redis.Redis") -> None:
    assert client.ping()
    assert client.set("k", "v", ex=100) is True
    assert client.get("k") == b"v"
    assert 99 <= client.ttl("k") <= 100
    assert client.set("k", "w", nx=True, px=5000) is None
    assert client.set("k", "w", xx=True, get=True, keepttl=True) == b"v"
    assert client.mset({"a": 1, "b": 2})
    assert client.mget("a", "nothing", "b") == [b"1", None, b"2"]
    assert client.incrby("a", 41) == 42
    assert client.expire("a", 10) is True
    assert client.getrange("k", 0, 0) == b"w"
    assert set(client.scan_iter(match="?", count=10)) >= {b"a", b"b", b"k"}
    assert client.info("server")["redis_mode"] == "standalone"
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.type("k") == b"string"
    with pytest.raises(redis.ResponseError, match="refused by design"):
        client.delete("k")
    with pytest.raises(redis.ResponseError, match="'lpush' is refused by design"):
        client.lpush("l", "v")
    client.hset("h", mapping={"f": "v", "g": "w"})
    assert client.hgetall("h") == {b"f": b"v", b"g": b"w"}
    client.sadd("s", "a", "b")
    assert client.smembers("s") == {b"a", b"b"}
    with pytest.raises(redis.ResponseError, match="unknown command 'NOSUCH', with args beginning with: 'a' "):
        client.execute_command("NOSUCH", "a")
    assert client.get("k") == b"w"


def test_a_redis_py_transaction(client: "redis.Redis") -> None:
    client.set("stock", 5, ex=60)

    def take(pipe: "redis.client.Pipeline") -> None:
        left = int(pipe.get("stock") or 0)
        pipe.multi()
        pipe.set("stock", left - 1, keepttl=True)
        pipe.get("stock")

    assert client.transaction(take, "stock") == [True, b"4"]
    with client.pipeline() as pipe:
        pipe.watch("stock")
        client.set("stock", 1, ex=60)
        pipe.multi()
        pipe.set("stock", 0)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert client.get("stock") == b"1"


def test_redis_py_hears_what_is_published_and_what_expires(client: "redis.Redis") -> None:
    client.config_set("notify-keyspace-events", "Ex")
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("news", "__keyevent@0__:expired")
    end = time.monotonic() + SOON_S
    assert listener.get_message(timeout=0.2) is None
    assert client.publish("news", "hello") == 1
    client.set("short", "v", px=30)
    heard: list[tuple[bytes, bytes]] = []
    while len(heard) < 2 and time.monotonic() < end:
        if message := listener.get_message(timeout=0.2):
            heard.append((message["channel"], message["data"]))
    assert heard == [(b"news", b"hello"), (b"__keyevent@0__:expired", b"short")]
    listener.close()
    client.config_set("notify-keyspace-events", "")


def test_redis_py_asyncio_with_many_at_once(node: LiveNode) -> None:
    async def session() -> int:
        pool = redis.asyncio.BlockingConnectionPool(port=node.port, max_connections=20, timeout=SOON_S)
        async with redis.asyncio.Redis.from_pool(pool) as client:
            await client.set("count", 0, ex=60)
            await asyncio.gather(*(client.incr("count") for _ in range(500)))
            return int(await client.get("count") or 0)

    assert asyncio.run(session()) == 500
