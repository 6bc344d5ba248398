"""Counters under trouble: nothing is lost and nothing counted twice, and broken rules are seen."""

import pytest

from respram.engine.pure import shares
from respram.engine.pure.shares import Share, Timed
from respram.sim import world
from respram.sim.checker import Violation
from respram.sim.counting import CUTS, FRAMES, KILLS, PAUSES, TROUBLES, play
from tests.engine.conftest import ENGINES


def with_shares(timed: Timed, those: tuple[Share, ...]) -> Timed:
    return timed._replace(counter=timed.counter._replace(shares=those))


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("duels", [False, True])
def test_what_was_counted_is_what_is_read(
    engine: str, trouble: str, duels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "ENGINE", engine)
    figures = play(1, trouble, duels)
    assert figures.counted > 50 and figures.troubles > 5 and figures.answered > 0
    assert trouble == KILLS or not figures.lost
    assert figures.merged > 50 or not duels


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES)
def test_many_runs_lose_nothing(trouble: str) -> None:
    for seed in range(200, 240):
        play(seed, trouble, duels=seed % 2 == 0)


@pytest.mark.parametrize(("trouble", "duels"), [(CUTS, False), (CUTS, True), (FRAMES, True), (PAUSES, True)])
def test_counters_that_are_merged_by_stamp_lose_counts_and_it_is_seen(trouble: str, duels: bool) -> None:
    def is_caught(seed: int) -> bool:
        try:
            play(seed, trouble, duels, counters=False)
        except Violation:
            return True
        return False

    assert any(is_caught(seed) for seed in range(4))


@pytest.mark.slow  # 7 s of a core
def test_a_join_that_counts_by_itself_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = shares.join

    def adds(one: Timed, other: Timed) -> Timed:
        both, known = joined(one, other), {share.node for share in one.counter.shares}
        more = [share._replace(sum=share.sum + 1) if share.node in known else share for share in both.counter.shares]
        return with_shares(both, tuple(more))

    monkeypatch.setattr(world, "ENGINE", "pure")
    monkeypatch.setattr(shares, "join", adds)
    with pytest.raises(Violation):
        play(1, CUTS, duels=True)


def test_shares_of_the_wrong_side_lose_counts_and_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake to take the smaller clock of one owner's two counts."""
    joined = shares.join

    def forgets(one: Timed, other: Timed) -> Timed:
        both = joined(one, other)
        older = {
            share.node: min((share, *(its for its in one.counter.shares if its.node == share.node)),
                            key=lambda share: share.clock)
            for share in other.counter.shares
        }  # fmt: skip
        kept = tuple(older.get(share.node, share) for share in both.counter.shares)
        return with_shares(both, kept)

    monkeypatch.setattr(world, "ENGINE", "pure")
    monkeypatch.setattr(shares, "join", forgets)
    with pytest.raises(Violation):
        play(1, CUTS, duels=True)
