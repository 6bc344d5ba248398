"""Claims: rivals, refreshes, late holders, and a node that is away."""

import time
from typing import Any

import pytest
import redis

from respram.patterns import ClaimLost, CoordinationToken, StoreAway
from respram.patterns.coordination_token import sure_until_s
from tests.patterns.conftest import World
from tests.ports import reserve


def test_one_of_many_who_claim_at_once_gets_it(world: World) -> None:
    tokens = [CoordinationToken(world.another(), world.name, ttl_s=600) for _ in range(8)]
    claims = world.together(*(lambda token=token, at=at: token.claim(f"w{at}") for at, token in enumerate(tokens)))
    winners = [claim for claim in claims if claim is not None]
    assert len(winners) == 1
    held = world(tokens[0].held())
    assert held.holder == winners[0].holder and 300 < held.remaining_s <= 600


def test_a_refresh_begins_the_time_anew_and_letting_go_frees_it_at_once(world: World) -> None:
    token = CoordinationToken(world.client, world.name, ttl_s=600)
    claim = world(CoordinationToken(world.client, world.name, ttl_s=300).claim("w"))
    assert claim.sure_s() <= 300
    claim = world(token.refresh(claim))
    assert claim.sure_s() > 300 and world(token.held()).remaining_s > 300
    world(token.let_go(claim))
    world.until(lambda: world(token.held()) is None)
    assert world(token.claim("other")) is not None


def test_a_claim_that_ran_out_can_neither_be_refreshed_nor_free_the_next_holder(world: World) -> None:
    token = CoordinationToken(world.client, world.name, ttl_s=600)
    late = world(CoordinationToken(world.client, world.name, ttl_s=0.03).claim("late"))
    world.until(lambda: world(token.held()) is None)
    assert late.sure_s() == 0
    with pytest.raises(ClaimLost):
        world(token.refresh(late))
    following = world(token.claim("following"))
    with pytest.raises(ClaimLost):
        world(token.let_go(late))
    assert world(token.stands(following)) and not world(token.stands(late))


def test_the_holder_stops_being_sure_before_the_node_frees_the_token(world: World) -> None:
    token = CoordinationToken(world.client, world.name, ttl_s=0.1)
    claim = world(token.claim("w"))
    while world(token.held()) is not None:
        time.sleep(0.002)
    assert claim.sure_s() == 0


def test_a_holder_is_no_longer_sure_than_the_node_granted(world: World) -> None:
    # A node with a low max-ttl cuts what was asked for; here another hand does.
    token = CoordinationToken(world.client, world.name, ttl_s=50)
    claim = world(token.claim("w"))
    assert sure_until_s(0.0, 50, 7000) == 7 == sure_until_s(0.0, 7, 50_000) and sure_until_s(3.0, 50, -2) == 3
    remaining_ms = world.raw.pttl(token.key) + 1  # PTTL leaves off a fraction
    # The clock is read after the reply, so that a slow round trip can only make the node's moment later, never earlier.
    assert claim.sure_until_s <= time.monotonic() + remaining_ms / 1000


def test_a_node_that_is_away_is_never_taken_for_a_free_token(world: World) -> None:
    token = CoordinationToken(world.another(port=reserve()), world.name)
    with pytest.raises(StoreAway):
        world(token.held())
    with pytest.raises(StoreAway):
        world(token.claim("w"))


def test_whoever_claims_next_finds_a_token_free_that_was_let_go(world: World) -> None:
    mine, theirs = (CoordinationToken(each, world.name, ttl_s=60) for each in (world.client, world.another()))
    for _ in range(50):
        for token in (mine, mine, theirs):
            claim = world(token.claim("w"))
            assert claim is not None
            world(token.let_go(claim))
            assert world(token.held()) is None


def test_a_claim_that_was_answered_by_an_error_does_not_stand(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node took the claim, and the client was told nothing of it."""
    world(world.client.ping())
    lost = world.another()
    token = CoordinationToken(lost, world.name, ttl_s=60)
    pipeline = type(lost.pipeline())
    execute = pipeline.execute

    def away(pipe: Any, **options: Any) -> Any:
        if world.kind == "asyncio":

            async def asked() -> None:
                await execute(pipe, **options)
                raise redis.ConnectionError

            return asked()
        execute(pipe, **options)
        raise redis.ConnectionError

    monkeypatch.setattr(pipeline, "execute", away)
    with pytest.raises(StoreAway):
        world(token.claim("w"))
    assert not world.raw.exists(token.key)


def test_each_fencing_number_is_higher_than_all_before_it(world: World) -> None:
    mine, theirs = (CoordinationToken(each, world.name, ttl_s=60) for each in (world.client, world.another()))
    drawn = []
    for token in (mine, theirs, mine):
        claim = world(token.claim("w"))
        drawn += [world(token.fence(claim)) for _ in range(2)]
        claim = world(token.refresh(claim))
        drawn.append(world(token.fence(claim)))
        world(token.let_go(claim))
    assert drawn == sorted(set(drawn))


def test_a_number_is_drawn_for_the_claim_that_is_held_and_changes_no_deadline(world: World) -> None:
    token = CoordinationToken(world.client, world.name, ttl_s=600)
    late = world(CoordinationToken(world.client, world.name, ttl_s=0.03).claim("late"))
    world.until(lambda: world(token.held()) is None)
    with pytest.raises(ClaimLost):
        world(token.fence(late))
    assert world(token.held()) is None
    following = world(token.claim("following"))
    world.raw.pexpire(token.key, 500_000)
    with pytest.raises(ClaimLost):
        world(token.fence(late))
    world(token.fence(following))
    assert world(token.stands(following)) and 400_000 < world.raw.pttl(token.key) <= 500_000
