"""Counter, list and statistics: many writers of one node at once, full lists, foreign values."""

import pytest

from respram.patterns import Counter, GrowingList, NotJson, Statistics, TooMany, Unreadable
from tests.patterns.conftest import World

WRITERS, EACH = 6, 5


def test_no_update_is_lost_among_writers_of_one_node(world: World) -> None:
    counters = [Counter(world.another(), world.name, ttl_s=600) for _ in range(WRITERS)]
    lists = [GrowingList(each.client, world.name, ttl_s=600) for each in counters]
    sums = [Statistics(each.client, world.name, ttl_s=600) for each in counters]
    for turn in range(EACH):
        done = world.together(
            *(lambda each=each: each.add(2) for each in counters),
            *(lambda each=each, at=at, turn=turn: each.append([at, turn]) for at, each in enumerate(lists)),
            *(lambda each=each: each.add(1.5) for each in sums),
        )
        assert not [error for error in done if isinstance(error, Exception)]
    assert world(counters[0].value()) == WRITERS * EACH * 2
    items = world(lists[0].items())
    assert sorted(map(tuple, items)) == [(at, turn) for at in range(WRITERS) for turn in range(EACH)]
    assert world(sums[0].summary()).total == WRITERS * EACH * 1.5


def test_each_addition_begins_the_time_anew(world: World) -> None:
    for ttl_s in (150, 600):
        world(Counter(world.client, world.name, ttl_s).add(1))
        world(GrowingList(world.client, world.name, ttl_s).append(1))
        world(Statistics(world.client, world.name, ttl_s).add(1))
    for kind in ("count", "list", "statistics"):
        assert world.raw.pttl(f"{kind}:{world.name}") > 400_000


def test_a_sum_that_does_not_fit_is_refused_and_nothing_is_added(world: World) -> None:
    counter = Counter(world.client, world.name)
    assert world(counter.add((1 << 63) - 2)) == (1 << 63) - 2
    with pytest.raises(TooMany, match="64 bits"):
        world(counter.add(5))
    assert world(counter.value()) == (1 << 63) - 2


def test_a_full_list_refuses_or_drops_the_oldest(world: World) -> None:
    strict = GrowingList(world.client, world.name, items_max=3)
    assert world(strict.append(1, 2)) == 2
    with pytest.raises(TooMany):
        world(strict.append(3, 4))
    assert world(strict.items()) == [1, 2]
    assert world(GrowingList(world.client, world.name, items_max=3, keep_latest=True).append(3, 4)) == 3
    assert world(strict.items()) == [2, 3, 4]
    with pytest.raises(NotJson):
        world(strict.append(b"x"))


def test_statistics_know_a_least_of_zero_and_an_average(world: World) -> None:
    statistics = Statistics(world.client, world.name)
    assert world(statistics.summary()).average is None
    for value in (0, 5, -2):
        world(statistics.add(value))
    summary = world(statistics.summary())
    assert (summary.count, summary.least, summary.most, summary.average) == (3, -2, 5, 1.0)
    with pytest.raises(ValueError, match="finite"):
        world(statistics.add(float("nan")))
    assert world(statistics.summary()) == summary


def test_what_others_wrote_there_is_refused_and_left(world: World) -> None:
    world.raw.set(f"list:{world.name}", b'{"a":1}', px=600_000)
    with pytest.raises(Unreadable):
        world(GrowingList(world.client, world.name).append(1))
    assert world.raw.get(f"list:{world.name}") == b'{"a":1}'
    world.raw.set(f"count:{world.name}", b"1_000", px=600_000)
    with pytest.raises(Unreadable):
        world(Counter(world.client, world.name).value())
