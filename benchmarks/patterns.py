"""What a call of a pattern takes on an otherwise empty node, and on one with 300k keys that have nothing to do with it.

`python -m benchmarks.patterns`; `--write` puts the page into benchmarks/results. A pattern that asks for its own keys
by name takes the same on both; one that lists by a prefix walks over all keys of the node (SCAN), and grows with them.
Medians over one connection of a blocking client on the same machine: the client's own time is in them.
"""

import argparse
import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import redis

import respram
from benchmarks import machine
from respram.patterns import (
    ContentStore,
    CoordinationToken,
    DataStore,
    Endpoints,
    Heartbeat,
    Listing,
    Presence,
    Scratchpad,
    Snapshots,
    Versions,
)

KEYS = 300_000
TOGETHER = 10_000  # keys of one pipeline
LIFE_MS = 3_600_000
MEMBERS = 10  # members of each group, and keys below each prefix
SPEND_S = 1.0  # time for one row, with at least TIMES_MIN calls
TIMES_MIN = 5
RESULTS = Path(__file__).parent / "results" / "patterns.md"
BEFORE = "\n## Before"  # the text that follows is kept: it was measured with the patterns of an earlier commit

Call = Callable[[], object]


def calls(client: "redis.Redis") -> dict[str, Call]:
    """By what they are called in the table; those below a name that begins with "list" walk over all keys."""
    endpoints, board = Endpoints(client, 3600), Presence(client, "bench")
    alone = Endpoints(client, 3600)
    viewers = [endpoints.register(f"viewer-{number}") for number in range(2)]
    beats = [Heartbeat(client, f"worker-{number}", 3600, "bench") for number in range(MEMBERS)]
    for beat in beats:
        beat.beat()
    store = ContentStore(client, "bench", 3600)
    document, snapshots = Versions(store, "document"), Snapshots(store, "state")
    snapshots.take({"a": 1})
    spaces = [DataStore(client).use_namespace(f"space-{number}") for number in range(MEMBERS)]
    for space in spaces:
        space.set("key", "value")
    pad = Scratchpad(client, "bench", 3600)
    pad.note("note", "text")

    def claim() -> None:
        token = CoordinationToken(client, uuid.uuid4().hex, 60)
        held = token.claim("me")
        assert held is not None
        token.let_go(held)

    return {
        "`Endpoints.broadcast` to two viewers": lambda: endpoints.broadcast(b"a frame"),
        "`Endpoints.route`": lambda: alone.route("viewer-0", b"a frame"),
        "`EndpointReader.skip_to_newest`": viewers[0].skip_to_newest,
        "`Heartbeat.beat`": beats[0].beat,
        "`Presence.members`": board.members,
        "`Versions.publish`": lambda: document.publish(uuid.uuid4().bytes),
        "`Versions.numbers`": document.numbers,
        "`DataStore.list_namespaces`": spaces[0].list_namespaces,
        "`ContentStore.store_at_label`": lambda: store.store_at_label("a", b"content"),
        "`CoordinationToken.claim` and `let_go`": claim,
        "list: `DataStore.list_keys`": spaces[0].list_keys,
        "list: `ContentStore.list_labels`": store.list_labels,
        "list: `Scratchpad.notes`": pad.notes,
        "list: `Snapshots.moments`": snapshots.moments,
        "list: `Listing.keys`": lambda: Listing(client).keys("data:"),
    }


def median_ms(call: Call) -> float:
    taken: list[float] = []
    end = time.perf_counter() + SPEND_S
    while len(taken) < TIMES_MIN or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def fill(client: "redis.Redis", keys: int) -> None:
    for at in range(0, keys, TOGETHER):
        with client.pipeline(transaction=False) as pipe:
            for number in range(at, min(keys, at + TOGETHER)):
                pipe.set(f"unrelated:{number}", "value", px=LIFE_MS)
            pipe.execute()


@contextmanager
def measured(keys: int) -> Iterator[dict[str, float]]:
    with respram.Server(engine="auto") as node, node.client() as client:
        fill(client, keys)
        yield {name: median_ms(call) for name, call in calls(client).items()}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--keys", type=int, default=KEYS)
    words.add_argument("--write", action="store_true")
    told = words.parse_args()
    with machine.precedence():
        with measured(0) as empty:
            pass
        with measured(told.keys) as full:
            pass
    rows = [
        f"| {name} | {empty[name]:.2f} | {full[name]:.2f} | {full[name] / empty[name]:.1f} |" for name in empty
    ]
    facts = machine.describe(Path(__file__).parents[1])
    text = "\n".join(
        [
            "# Patterns beside keys of others",
            "",
            f"Made by `python -m benchmarks.patterns --write` on {datetime.now(UTC):%d %B %Y}; {facts['processor']},"
            f" Python {facts['python']}, load at the end {os.getloadavg()[0]:.0f}. Medians over one connection, the"
            " client's time included.",
            "",
            f"| call, ms | no other keys | {told.keys:,} unrelated keys | with them / without |",
            "| --- | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )
    print(text)
    if told.write:
        kept = RESULTS.read_text().partition(BEFORE) if RESULTS.exists() else ("", "", "")
        RESULTS.write_text(text + "".join(kept[1:]))


if __name__ == "__main__":
    main()
