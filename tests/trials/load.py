"""Writers that know what was acknowledged: each writes keys of its own, in order, and counts the `+OK`."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

OK = b"+OK\r\n"
LIFE_S = 600
LOADING_S_MAX = 300  # of a machine that does much beside it


@dataclass(slots=True)
class Writer:
    """`name:1`, `name:2`, ... in batches of `depth`; what is acknowledged is a prefix of them."""

    name: str
    port: int
    depth: int
    sent: int = 0
    acknowledged: int = 0
    strange: bytes = b""  # an answer that was no +OK: nothing behind it counts

    def key(self, number: int) -> bytes:
        return b"%b:%d" % (self.name.encode(), number)

    async def run(self, pause_s: float = 0.0) -> None:
        """Until the node ends the connection, or answers with an error."""
        with contextlib.suppress(ConnectionError):
            async with connected(self.port) as (reader, writer):
                while await self._batch(reader, writer):
                    await asyncio.sleep(pause_s)

    async def _batch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"".join(_set(self.key(self.sent + at + 1), b"%d" % (self.sent + at + 1))
                              for at in range(self.depth)))
        self.sent += self.depth
        got = b""
        while self.acknowledged < self.sent:
            try:
                piece = await reader.read(1 << 16)
            except ConnectionError:
                return False
            if not piece:
                return False
            got += piece
            while got.startswith(OK):
                whole = len(got) // len(OK)
                if got.startswith(OK * whole):
                    self.acknowledged += whole
                    got = got[whole * len(OK) :]
                    break
                self.acknowledged += 1
                got = got[len(OK) :]
            if got and not OK.startswith(got):
                self.strange = got[:80]
                return False
        return True


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def _set(key: bytes, value: bytes) -> bytes:
    return b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nEX\r\n$%d\r\n%d\r\n" % (
        len(key), key, len(value), value, len(b"%d" % LIFE_S), LIFE_S,
    )  # fmt: skip


async def missing(port: int, writer: Writer, step: int = 500) -> list[int]:
    """Which of the acknowledged writes the node at this port does not hold. A node that has stood still asks its peers
    what it missed, and answers LOADING meanwhile: such keys are asked for again.
    """
    found: list[int] = []
    end = time.monotonic() + LOADING_S_MAX
    async with connected(port) as (reader, sender):
        for first in range(1, writer.acknowledged + 1, step):
            numbers = list(range(first, min(first + step, writer.acknowledged + 1)))
            while numbers:
                assert time.monotonic() < end, "LOADING for ever"
                absent, loading = await _looked_up(reader, sender, writer, numbers)
                found += absent
                numbers = loading
                await asyncio.sleep(0.01 if numbers else 0)
    return found


async def _looked_up(
    reader: asyncio.StreamReader, sender: asyncio.StreamWriter, writer: Writer, numbers: list[int]
) -> tuple[list[int], list[int]]:
    """Which of these writes are not there, and which the node does not know yet."""
    absent, loading = list[int](), list[int]()
    sender.write(b"".join(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in map(writer.key, numbers)))
    for number in numbers:
        head = await reader.readline()
        if head == b"$-1\r\n":
            absent.append(number)
        elif head.startswith(b"-LOADING "):
            loading.append(number)
        elif not head.startswith(b"$"):
            raise AssertionError(f"an odd answer: {head!r}")
        else:
            value = (await reader.readline()).strip()
            assert value == b"%d" % number, (value, number)
    return absent, loading
