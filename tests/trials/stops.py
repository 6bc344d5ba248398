"""Orderly stops under load: SIGTERM comes while writers write, and every acknowledged write must be there afterwards.

    python -m tests.trials.stops --stops 200 --writes 1000000

`alone`: a node with snapshots is stopped and started again, and must hold all that it acknowledged. `peers`: one node
of three is stopped, and both others must hold all that it acknowledged, at the moment when its process has ended; then
it comes back and the next one is stopped. Writers write before, at and behind the signal, as fast as they are answered.
"""

import argparse
import asyncio
import random
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.live import SOON_S, LiveNode, start
from tests.peers.enclave import Member, enclave, until_ready
from tests.ports import reserve
from tests.trials.load import Writer, connected, missing

WRITERS = 6
DEPTHS = (1, 1, 4, 16, 16, 64)
KEY = "k" * 43


@dataclass(slots=True)
class Count:
    stops: int = 0
    writes: int = 0
    lost: int = 0
    unclean: int = 0  # exit codes other than 0
    slowest_s: float = 0.0
    left: int = 0  # stops whose log says that something was left
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"stops={self.stops} writes={self.writes} lost={self.lost} unclean={self.unclean} "
            f"stops_with_something_left={self.left} slowest_stop_ms={self.slowest_s * 1000:.0f}"
        )


async def stop_under_load(
    node: LiveNode, name: str, writes_least: int, rng: random.Random, count: Count
) -> list[Writer]:
    """SIGTERM once so many writes are acknowledged; returns when the process has ended."""
    writers = [Writer(f"{name}.{at}", node.port, DEPTHS[at % len(DEPTHS)]) for at in range(WRITERS)]
    tasks = [asyncio.create_task(writer.run()) for writer in writers]
    while sum(writer.acknowledged for writer in writers) < writes_least and not all(task.done() for task in tasks):
        await asyncio.sleep(0.005)
    await asyncio.sleep(rng.random() * 0.02)
    node.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    while node.process.poll() is None and time.monotonic() - begun < SOON_S:  # how long it took is told beside
        await asyncio.sleep(0.002)
    count.slowest_s = max(count.slowest_s, time.monotonic() - begun)
    await asyncio.wait(tasks)
    count.stops += 1
    count.unclean += node.process.poll() != 0
    count.left += "event=stopping_left what=writes" in node.log() or "cut_short" in node.log()
    count.writes += sum(writer.acknowledged for writer in writers)
    for writer in writers:
        assert not writer.strange, writer.strange
    return writers


async def check(port: int, writers: list[Writer], count: Count, where: str) -> None:
    for writer in writers:
        lost = await missing(port, writer)
        count.lost += len(lost)
        if lost and len(count.examples) < 8:
            count.examples.append(
                f"{where}: {writer.name} {len(lost)} of {writer.acknowledged}, from {lost[0]} to {lost[-1]}"
            )


async def alone(stops: int, writes: int, seed: int, engine: str, folder: Path) -> Count:
    """A node with snapshots, again and again."""
    count, rng = Count(), random.Random(seed)
    key_file = folder / "snapshot.key"
    key_file.touch(0o600)
    key_file.write_text(KEY + "\n")
    port = reserve()
    words = (
        "--snapshot-dir",
        str(folder / "snapshots"),
        "--snapshot-key-file",
        str(key_file),
        "--snapshot-interval",
        "1",
    )
    before: list[Writer] = []
    for number in range(stops + 1):
        node = start(*words, engine=engine, port=port)
        try:
            await until_loaded(node.port)
            await check(node.port, before, count, f"stop {number}")
            if number < stops:
                before = await stop_under_load(node, f"a{number}", writes // stops, rng, count)
        finally:
            node.stop()
            node.log_path.unlink(missing_ok=True)
    return count


async def among_peers(stops: int, writes: int, seed: int, engine: str) -> Count:
    """Three nodes, stopped one after the other."""
    count, rng = Count(), random.Random(seed)
    with enclave(3, engines=(engine,)) as members:
        until_ready(members)
        for number in range(stops):
            member = members[number % len(members)]
            await _stop_member(member, members, number, writes // stops, rng, count)
            member.start()
            await asyncio.to_thread(until_ready, members)
    return count


async def _stop_member(
    member: Member, members: list[Member], number: int, writes: int, rng: random.Random, count: Count
) -> None:
    assert member.node is not None
    writers = await stop_under_load(member.node, f"p{number}", writes, rng, count)
    for other in members:
        if other is not member:
            await check(other.port, writers, count, f"stop {number}")
    member.stop()


async def until_loaded(port: int) -> None:
    """The node serves: what it has on disk is restored."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        async with connected(port) as (reader, writer):
            writer.write(b"INFO persistence\r\n")
            text = await reader.read(1 << 16)
        if b"snapshot_restoring:0" in text:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the node does not end restoring")


def main() -> int:
    parser = argparse.ArgumentParser(
        description="SIGTERM under load, and every acknowledged write looked for afterwards"
    )
    parser.add_argument("--stops", type=int, default=200, help="altogether, half of them alone and half among peers")
    parser.add_argument("--writes", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--only", choices=("alone", "peers"))
    args = parser.parse_args()
    lost = 0
    for kind in ("alone", "peers"):
        if args.only in (None, kind):
            stops, writes = (args.stops, args.writes) if args.only else (args.stops // 2, args.writes // 2)
            with tempfile.TemporaryDirectory() as folder:
                if kind == "alone":
                    count = asyncio.run(alone(stops, writes, args.seed, args.engine, Path(folder)))
                else:
                    count = asyncio.run(among_peers(stops, writes, args.seed, args.engine))
            print(f"{kind}: {count}", *count.examples, sep="\n  ", flush=True)
            lost += count.lost + count.unclean
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
