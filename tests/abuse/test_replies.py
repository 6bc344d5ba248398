"""Crowds of clients that talk at once, some of them badly: each gets its own replies, all of them, in order.

Each client has keys of its own and knows what every reply must be. Batches are split at random, mix plain and other
commands, values of a byte and of 300 KB, transactions, publications and pauses; replies are read late or not at all,
and whoever leaves in the midst of a batch is followed by another on its descriptor.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from itertools import count

import pytest

from tests import dear
from tests.engine.rig import request
from tests.live import LiveNode

ANY = object()  # a reply that depends on others
Reply = object
Rule = tuple[list[bytes], Reply]


class Talker:
    """One place in the crowd, held by one connection after the other."""

    def __init__(self, port: int, place: int, chance: random.Random, crowd: int) -> None:
        self.port, self.place, self.chance, self.crowd = port, place, chance, crowd
        self.name = b"%08x" % chance.randrange(1 << 32)
        self.connections = 0
        self.kept: dict[bytes, bytes] = {}
        self.sent = count()  # publications
        self.heard: dict[bytes, int] = {}  # the last publication of each, while this connection lasts
        self.replies = self.pushes = 0

    # -- what to ask ------------------------------------------------------------------------------
    def value(self) -> bytes:
        size = int(2 ** self.chance.uniform(0, 8 if self.chance.random() < 0.9 else 18.2))
        return self.chance.randbytes(min(size, 32)) * (size // 32 + 1)

    def key(self) -> bytes:
        return b"%b:%d:%d" % (self.name, self.connections, self.chance.randrange(6))

    def command(self) -> Rule:
        key, chance = self.key(), self.chance
        match chance.randrange(16):
            case 0 | 1:
                self.kept[key] = value = self.value()
                return [b"SET", key, value, b"EX", b"60"], b"OK"
            case 2 | 3 | 4 | 5:
                return [b"GET", key], self.kept.get(key)
            case 6:
                keys = [self.key() for _ in range(chance.randrange(1, 6))]
                return [b"MGET", *keys], [self.kept.get(one) for one in keys]
            case 7:
                return [b"STRLEN", key], len(self.kept.get(key, b""))
            case 8:
                text = self.value()
                return [b"ECHO", text], text
            case 9:
                return [b"PING"], b"PONG"
            case 10:  # not plain, from here on
                more = chance.randbytes(3)
                self.kept[key] = self.kept.get(key, b"") + more
                return [b"APPEND", key, more], len(self.kept[key])
            case 11:
                return [b"GETRANGE", key, b"0", b"9"], self.kept.get(key, b"")[:10]
            case 12:
                text = b"%d:%d %d" % (self.place, self.connections, next(self.sent))
                return [b"PUBLISH", b"to:%d" % chance.randrange(self.crowd), text], ANY
            case 13:
                return [b"GET"], b"-ERR wrong number of arguments for 'get' command"
            case 14:
                return [b"TYPE", key], b"string" if key in self.kept else b"none"
            case _:
                if chance.random() < 0.2:
                    return [b"CLIENT", b"PAUSE", b"3", b"WRITE"], b"OK"
                return [b"TTL", b"none"], -2

    def batch(self) -> list[Rule]:
        rules: list[Rule] = []
        for _ in range(self.chance.choice((1, 3, 16, 80, 900))):
            if self.chance.random() < 0.95:
                rules.append(self.command())
                continue
            inside = [rule for rule in (self.command() for _ in range(self.chance.randrange(6))) if rule[0] != [b"GET"]]
            rules.append(([b"MULTI"], b"OK"))
            rules += [(argv, b"QUEUED") for argv, _ in inside]
            rules.append(([b"EXEC"], [reply for _, reply in inside]))
        return rules

    # -- asking -----------------------------------------------------------------------------------
    async def talk(self, over: Callable[[], bool]) -> None:
        """One connection after the other, each with keys of its own: what the last one did not hear of may be under way
        still.
        """
        while not over():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 16)
            self.heard.clear()
            self.kept.clear()
            self.connections += 1
            if self.chance.random() < 0.5:
                await self.exchange(reader, writer, [([b"HELLO", b"3"], ANY)])
                await self.exchange(reader, writer, [([b"SUBSCRIBE", b"to:%d" % self.place], ANY)], answered=0)
            for _ in range(self.chance.choice((1, 4, 16))):
                rules = self.batch()
                if self.chance.random() < 0.1:
                    await self.send(writer, rules)
                    break
                await self.exchange(reader, writer, rules)
            if self.chance.random() < 0.5:
                writer.transport.abort()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(self, writer: asyncio.StreamWriter, rules: list[Rule]) -> None:
        data = b"".join(request(*argv) for argv, _ in rules)
        while data:
            size = self.chance.choice((len(data), 1 << 17, 1 << 16, 5_000, 100, 1))
            writer.write(data[:size])
            data = data[size:]
            if self.chance.random() < 0.3:
                await asyncio.sleep(0)
        await writer.drain()

    async def exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rules: list[Rule], answered: int = -1
    ) -> None:
        sending = asyncio.create_task(self.send(writer, rules))
        try:
            if self.chance.random() < 0.2:
                await asyncio.sleep(self.chance.choice((0.001, 0.05)))  # a slow reader
            for number, (argv, wanted) in enumerate(rules if answered else []):
                got = await self.reply(reader)
                assert agree(got, wanted), (
                    f"place {self.place}, {number} of {len(rules)}, {argv[0]!r}: {short(got)}, not {short(wanted)}"
                )
                self.replies += 1
            await sending
        finally:
            sending.cancel()

    async def reply(self, reader: asyncio.StreamReader) -> Reply:
        while True:
            got = await self.take(reader)
            if not isinstance(got, tuple):
                return got
            self.note(list(got))

    def note(self, push: list[Reply]) -> None:
        if push[0] != b"message":
            assert push == [b"subscribe", b"to:%d" % self.place, 1], push
            return
        assert push[1] == b"to:%d" % self.place and isinstance(push[2], bytes)
        author, _, number = push[2].partition(b" ")
        assert int(number) > self.heard.get(author, -1), f"{author!r} is heard out of order"
        self.heard[author] = int(number)
        self.pushes += 1

    async def take(self, reader: asyncio.StreamReader) -> Reply:
        """One reply; a push as a tuple."""
        line = (await reader.readuntil(b"\r\n"))[:-2]
        mark, rest = line[:1], line[1:]
        if mark == b"$":
            if rest == b"-1":
                return None
            return (await reader.readexactly(int(rest) + 2))[:-2]
        if mark in b"*>%":
            found = [await self.take(reader) for _ in range(int(rest) * (2 if mark == b"%" else 1))]
            return tuple(found) if mark == b">" else found
        assert mark in (b"+", b"-", b":", b"_"), f"no reply begins with {mark!r}"
        if mark == b"-":
            return line
        return None if mark == b"_" else int(rest) if mark == b":" else rest


def agree(got: Reply, wanted: Reply) -> bool:
    if isinstance(wanted, list) and isinstance(got, list):
        return len(got) == len(wanted) and all(map(agree, got, wanted))
    return wanted is ANY or (got == wanted and type(got) is type(wanted))


def short(reply: Reply) -> str:
    return f"{len(reply)} bytes, {reply[:40]!r}" if isinstance(reply, bytes) else repr(reply)[:200]


async def crowd(port: int, seed: int, talkers: int, seconds: float) -> tuple[int, int]:
    """Replies and pushes that were checked."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    all_ = [Talker(port, place, random.Random(f"{seed} {place}"), talkers) for place in range(talkers)]

    def checked() -> tuple[int, int]:
        return sum(one.replies for one in all_), sum(one.pushes for one in all_)

    async with asyncio.TaskGroup() as group:
        for one in all_:
            group.create_task(one.talk(lambda: loop.time() > end and checked()[0] > 1_000 and checked()[1] > 10))
    return checked()


@pytest.mark.parametrize("seconds", dear.first(1, [0.5, 5.0]))
def test_everybody_gets_their_own_replies(node: LiveNode, seconds: float) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201
    replies, pushes = asyncio.run(asyncio.wait_for(crowd(node.port, seed, 40, seconds), 300))
    assert replies > 1_000 and pushes > 10  # it goes on until there are so many
    node.connect().ask(b"PING\r\n", 7)
    assert "event=bug" not in node.log()
