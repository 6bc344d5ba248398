"""A node that restores its snapshot: killed, or stopped in order, in the middle of it, while clients decide by what
keys hold.

    python -m tests.trials.restores --ends 50

Every counter stood at 1000 when the snapshot was written. Whoever increments one while the node restores must be told
LOADING, or 1001 and so on: never 1. However often the node is ended before it has read everything, the next one has it
all. A stop has 5 s and says by its exit code where that was too short (on a machine that does much else): its last
increments may be lost then, as those before a kill.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.live import SOON_S, LiveNode, start
from tests.ports import reserve
from tests.trials.load import connected
from tests.trials.stops import KEY, until_loaded

BEGIN = 1000
LIFE_S = 3600
CLIENTS = 4


@dataclass(slots=True)
class Count:
    ends: int = 0
    while_loading: int = 0  # of them
    refused: int = 0  # LOADING
    decided: int = 0  # answered with a number
    wrong: int = 0
    lost: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.examples) < 8:
            self.examples.append(text)

    def __str__(self) -> str:
        return (
            f"ends={self.ends} while_loading={self.while_loading} refused={self.refused} decided={self.decided} "
            f"wrong={self.wrong} lost={self.lost}"
        )


@dataclass(slots=True)
class Truth:
    """What each counter may hold: after a kill, and after a stop that had no time for its last snapshot, an increment
    may be lost that no snapshot held yet.
    """

    least: list[int]
    most: list[int]

    def learn(self, number: int, value: int) -> bool:
        good = self.least[number] < value <= self.most[number] + 1
        self.least[number] = self.most[number] = value
        return good

    def killed(self) -> None:
        self.least = [BEGIN] * len(self.least)


async def fill(port: int, keys: int) -> None:
    async with connected(port) as (reader, writer):
        for first in range(0, keys, 500):
            names = range(first, min(first + 500, keys))
            writer.write(b"".join(b"SET c%d %d EX %d\r\n" % (number, BEGIN, LIFE_S + number) for number in names))
            await reader.readexactly(5 * len(names))


async def until_saved(port: int, keys: int) -> None:
    """So long as it takes: a stop would not wait for a whole snapshot."""
    end_s = time.monotonic() + SOON_S
    async with connected(port) as (reader, writer):
        while time.monotonic() < end_s:
            writer.write(b"INFO persistence\r\n")
            text = await reader.readexactly(int((await reader.readuntil(b"\n"))[1:]) + 2)
            if b"\r\nsnapshot_records:%d\r\n" % keys in text:
                return
            await asyncio.sleep(0.05)
    raise AssertionError(f"no snapshot of all keys in {SOON_S} s")


async def decide(port: int, truth: Truth, rng: random.Random, count: Count, place: int) -> None:
    """Increments counters at random until the connection ends. Each client has counters of its own: answers of two
    connections may be read in another order than they were given in.
    """
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        async with connected(port) as (reader, writer):
            while True:
                number = rng.randrange(place, len(truth.most), CLIENTS)
                writer.write(b"INCR c%d\r\n" % number)
                try:
                    line = await reader.readuntil(b"\n")
                except (ConnectionError, asyncio.IncompleteReadError):
                    truth.most[number] += 1  # it was not answered: it may have been done, or not
                    raise
                _judge(number, line, truth, count)


def _judge(number: int, line: bytes, truth: Truth, count: Count) -> None:
    if line.startswith(b"-LOADING"):
        count.refused += 1
    elif line.startswith(b":"):
        count.decided += 1
        if not truth.learn(number, int(line[1:])):
            count.wrong += 1
            count.note(f"c{number} was {line!r}")
    else:
        raise AssertionError(f"an odd answer: {line!r}")


async def check(port: int, truth: Truth, count: Count) -> None:
    """All counters, at the end."""
    async with connected(port) as (reader, writer):
        for first in range(0, len(truth.most), 500):
            names = range(first, min(first + 500, len(truth.most)))
            writer.write(b"".join(b"GET c%d\r\n" % number for number in names))
            for number in names:
                head = await reader.readuntil(b"\n")
                value = int(await reader.readuntil(b"\n")) if head != b"$-1\r\n" else 0
                if not truth.least[number] <= value <= truth.most[number]:
                    count.lost += 1
                    count.note(f"c{number} holds {value}, not {truth.least[number]} to {truth.most[number]}")


async def run(ends: int, keys: int, seed: int, engine: str, folder: Path, numbers: tuple[int, ...]) -> Count:
    """`numbers`: the signals, one of them at random each time."""
    count, rng = Count(), random.Random(seed)
    key_file = folder / "snapshot.key"
    key_file.touch(0o600)
    key_file.write_text(KEY + "\n")
    port = reserve()
    directory = ("--snapshot-dir", str(folder / "snapshots"), "--snapshot-key-file", str(key_file))
    words = (*directory, "--snapshot-interval", "3600")
    node = start(*directory, "--snapshot-interval", "1", engine=engine, port=port)
    await until_loaded(port)
    await fill(port, keys)
    await until_saved(port, keys)
    truth = Truth([BEGIN] * keys, [BEGIN] * keys)
    _end(node, signal.SIGTERM)
    for _ in range(ends):
        node = start(*words, engine=engine, port=port)
        await _once(node, truth, rng, count, rng.choice(numbers))
    node = start(*words, engine=engine, port=port)
    await until_loaded(port)
    await check(port, truth, count)
    _end(node, signal.SIGTERM)
    return count


async def _once(node: LiveNode, truth: Truth, rng: random.Random, count: Count, number: int) -> None:
    before = count.decided
    clients = [asyncio.create_task(decide(node.port, truth, rng, count, place)) for place in range(CLIENTS)]
    await asyncio.sleep(rng.random() * 0.4)
    node.process.send_signal(number)
    code = await asyncio.to_thread(node.process.wait, SOON_S)
    await asyncio.wait(clients)
    for client in clients:
        client.result()
    count.ends += 1
    count.while_loading += count.decided == before
    if code and count.decided != before:
        truth.killed()
    _end(node, signal.SIGTERM)


def _end(node: LiveNode, number: int) -> None:
    node.stop(number)
    assert "event=bug" not in node.log(), node.log()
    node.log_path.unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="kills and stops while a node restores its snapshot")
    parser.add_argument("--ends", type=int, default=50)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", default="auto")
    args = parser.parse_args()
    bad = 0
    for name, number in (("kills", signal.SIGKILL), ("stops", signal.SIGTERM)):
        with tempfile.TemporaryDirectory() as folder:
            count = asyncio.run(run(args.ends, args.keys, args.seed, args.engine, Path(folder), (number,)))
        print(f"{name}: {count}", *count.examples, sep="\n  ", flush=True)
        bad += count.wrong + count.lost
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
