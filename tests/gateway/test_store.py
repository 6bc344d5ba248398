"""What is asked of a node, without HTTP: listings whose memory is bounded, reads that fit together, conditions that
race.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import chain

import pytest

from respram.gateway import store as store_file
from respram.gateway.nodes import Nodes
from respram.gateway.store import Condition, Record, Store, pattern_of, tag
from respram.gateway.target import read_url
from tests.live import LiveNode


def with_store(node: LiveNode, use: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        nodes = Nodes([read_url(f"redis://127.0.0.1:{node.port}")])
        await use(Store(nodes, True, 5.0))
        nodes.close()

    asyncio.run(main())


@pytest.mark.parametrize("limit", [0, 1, 7, 40, 1000])
def test_a_listing_in_small_passes_is_the_same_listing(
    node: LiveNode, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """However little may be held at once, and however long the names are."""
    seed = random.randrange(1 << 30)
    print("seed", seed)  # noqa: T201
    chance = random.Random(seed)
    prefix = b"small%d:" % seed
    keys = sorted({prefix + bytes(chance.choices(b"abc\xff", k=chance.randrange(1, 40))) for _ in range(100)})
    assert len(keys) > 50
    monkeypatch.setattr(store_file, "PASS_KEYS_MAX", 5)
    monkeypatch.setattr(store_file, "PASS_BYTES_MAX", 120)
    monkeypatch.setattr(store_file, "SCAN_COUNT", 10)

    async def use(store: Store) -> None:
        await (await store.nodes.link()).batch([(b"SET", key, b"1", b"EX", b"60") for key in keys])
        found = [page async for page in store.keys(None, prefix, b"", limit)]
        assert list(chain(*found)) == keys[: limit or None]
        assert all(len(page) <= 5 for page in found)

    with_store(node, use)


def test_a_conditional_write_that_loses_the_race_looks_again(node: LiveNode) -> None:
    async def use(store: Store) -> None:
        await store.put(None, b"race", b"0", 60)
        done = await asyncio.gather(*(
            store.put(None, b"race", b"%d" % number, 60, Condition(frozenset({tag(b"0")}))) for number in range(1, 20)
        ))
        assert sum(one.written for one in done) == 1, "of those who replace one value, one does"

    with_store(node, use)


def test_original_life_is_age_and_rest() -> None:
    assert Record(b"", 0, 299_300, 0).original_s == 300 and Record(b"", 0, 298_300, 1).original_s == 300
    assert Record(b"", 0, 999, 5).remaining_s == 0


def test_lives_that_do_not_fit_together_are_read_again(node: LiveNode) -> None:
    """Somebody else overwrites between the two looks: the answer is of one record all the same."""

    async def use(store: Store) -> None:
        real, asked = store._once, []

        async def torn(login: object, data: bytes, count: int) -> list[object]:
            asked.append(count)
            replies = await real(None, data, count)
            return [replies[0] + 90_000, *replies[1:]]  # type: ignore[operator]

        await store.put(None, b"torn", b"new", 60)
        store._once = torn  # type: ignore[method-assign, assignment]
        record = await store.fetch(None, b"torn")
        assert asked and record is not None and record.value == b"new" and record.remaining_ms <= 60_000

    with_store(node, use)


def test_a_prefix_becomes_a_pattern_of_itself() -> None:
    assert pattern_of(b"a*b?[c]\\^-") == b"a\\*b\\?\\[c\\]\\\\\\^\\-*"
