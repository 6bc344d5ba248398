"""Storms and crowds in small; `make sim` and `make soak` run them in large."""

import os

import pytest

from respram.sim import scenarios
from tests import dear
from tests.engine.each import each_engine  # noqa: F401 (every test here runs on each engine)

FRESH = -1  # drawn in the test: workers must collect the same tests


@pytest.mark.parametrize("seed", dear.first(2, [FRESH, *range(3)]))
def test_a_storm_breaks_no_invariant_and_ends_equal(seed: int) -> None:
    seed = int.from_bytes(os.urandom(4), "big") if seed == FRESH else seed
    outcome = scenarios.storm(seed, liveness=True)
    assert outcome.checks > 1_000 and outcome.shortened > 5, f"python -m respram.sim --seed {seed} --mode liveness"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("hundred", range(10))  # so that several processes share them
def test_a_thousand_storms_without_one_resurrection(hundred: int) -> None:
    for seed in range(100 * hundred, 100 * hundred + 100):
        scenarios.storm(seed)


@pytest.mark.slow
def test_one_write_among_sixty_reaches_all_within_three_rounds() -> None:
    world = scenarios.crowd(60, 7, loss=0.05, settle_ms=8_000)
    spread = scenarios.spread_one(world)
    assert spread.rounds <= 3 and spread.copies <= 4
    assert spread.after_pushes >= 57


def test_halves_of_a_small_enclave_are_equal_within_six_rounds() -> None:
    world = scenarios.crowd(8, 7, settle_ms=4_000)
    healed = scenarios.heal_halves(world, keys=300, cut_ms=20_000)
    assert healed.rounds <= 12 and healed.level_ms < 15_000


@pytest.mark.slow
def test_keys_that_all_nodes_write_all_the_time_do_not_cost_filters_for_ever() -> None:
    """Every digest differs in versions that lost before they arrived. Two rounds of filters find nothing lacking."""
    world = scenarios.crowd(3, 5, roots=2, settle_ms=4_000)

    def numbers() -> tuple[int, int, int]:
        repairs = [node.replica.core.rounds for node in world.nodes]
        return (
            sum(one.done for one in repairs),
            sum(one.equal for one in repairs),
            sum(one.filters_sent for one in repairs),
        )

    def write_for(ms: int) -> tuple[int, ...]:
        before, end_ms = numbers(), world.now_ms + ms
        while world.now_ms < end_ms:
            for node in world.nodes:
                now_ms = world.time_of(node).wall_ms
                node.engine.store(0, b"hot", b"%d" % world.now_ms, now_ms + 60_000, False, now_ms, b"set")
                world.touch(node)
            world.run_until(world.now_ms + 1)
        return tuple(now - then for now, then in zip(numbers(), before, strict=True))

    write_for(3_500)
    rounds, equal, filters = write_for(4_000)
    assert equal < rounds, "the digests do not differ"
    assert 6 <= rounds < 40, "two a second and node, however long it goes on"
    assert filters <= 12, "of three pairs, each way, twice at most: they rest for 8 s"


@pytest.mark.slow
def test_in_a_quiet_crowd_nobody_is_suspected() -> None:
    """Links rotate: who was let go must not be taken for somebody who does not answer."""
    world = scenarios.crowd(24, 5, settle_ms=12_000)
    before = [node.replica.core.me.incarnation for node in world.nodes]
    world.run_until(60_000)
    assert world.reports.get("died", 0) == 0
    assert [node.replica.core.me.incarnation for node in world.nodes] == before
