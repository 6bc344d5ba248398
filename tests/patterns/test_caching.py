"""Cache-aside, write-through, TTL-checked."""

import pytest

from respram.patterns import Cache
from tests.patterns.conftest import World


class Source:
    """Counts how often it is asked."""

    def __init__(self, world: World, value: object) -> None:
        self.world, self.value, self.calls = world, value, 0

    def load(self) -> object:
        self.calls += 1
        return self.value

    async def load_async(self) -> object:
        return self.load()

    @property
    def function(self) -> object:
        return self.load_async if self.world.kind == "asyncio" else self.load


@pytest.mark.parametrize("value", [{"a": 1}, None, False, 0])
def test_cache_aside_asks_the_source_once(world: World, value: object) -> None:
    cache, source = Cache(world.client, world.name, ttl_s=600), Source(world, value)
    first, second = world(cache.aside("k", source.function)), world(cache.aside("k", source.function))
    assert (first.value, first.source, second.value, second.source) == (value, "fresh", value, "cache")
    assert source.calls == 1


def test_write_through_asks_the_source_each_time_and_stores(world: World) -> None:
    cache, source = Cache(world.client, world.name, ttl_s=600), Source(world, 1)
    world(cache.through("k", source.function))
    source.value = 2
    world(cache.through("k", source.function))
    assert source.calls == 2 and world(cache.look("k")).value == 2


def test_an_entry_older_than_wanted_counts_as_missing(world: World) -> None:
    cache, source = Cache(world.client, world.name, ttl_s=60), Source(world, 1)
    world(cache.aside("k", source.function))
    world.until(lambda: world(cache.look("k")).age_s > 0.3)
    assert world(cache.aside("k", source.function, fresh_s=60)).source == "cache"
    old = world(cache.look("k")).age_s
    assert world(cache.aside("k", source.function, fresh_s=0.3)).source == "fresh"
    assert world(cache.look("k")).age_s < old


def test_when_the_source_fails_nothing_is_stored(world: World) -> None:
    cache = Cache(world.client, world.name, ttl_s=600)
    with pytest.raises(ZeroDivisionError):
        world(cache.aside("k", lambda: 1 // 0))
    assert world(cache.look("k")) is None


def test_what_loads_takes_keyword_arguments(world: World) -> None:
    cache = Cache(world.client, world.name)
    assert world(cache.aside("a", int, "ff", base=16, fresh_s=60)).value == 255
    assert world(cache.through("b", int, "11", base=2)).value == 3
