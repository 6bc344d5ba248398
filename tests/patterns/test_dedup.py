"""Events handled once, failed ones given back."""

import pytest

from respram.patterns import Dedup, StoreAway, dedup
from respram.patterns.effects import Steps
from tests.patterns.conftest import World


def test_only_the_first_of_many_is_first_until_the_window_is_over(world: World) -> None:
    seen = [Dedup(world.another(), world.name, window_s=600) for _ in range(6)]
    assert sorted(world.together(*(lambda each=each: each.first("e:1") for each in seen))) == [False] * 5 + [True]
    assert world.raw.pttl(seen[0].key("e:1")) <= 600_000
    world.expire(seen[0].key("e:1"))
    assert world(seen[0].first("e:1"))


def test_an_event_is_processed_once_and_its_result_returned(world: World) -> None:
    calls: list[str] = []

    def handle(event: str) -> int:
        calls.append(event)
        return len(event)

    dedup = Dedup(world.client, world.name, window_s=600, running_s=60)
    assert world(dedup.process("1", handle, "abc")).result == 3
    assert not world(dedup.process("1", handle, "abc")).done
    assert 300_000 < world.raw.pttl(dedup.key("1")) <= 600_000
    assert calls == ["abc"]


def test_a_handler_that_fails_gives_the_event_back_at_once(world: World) -> None:
    dedup = Dedup(world.client, world.name, window_s=60, running_s=60)
    with pytest.raises(ZeroDivisionError):
        world(dedup.process("1", lambda: 1 // 0))
    world.until(lambda: not world(dedup.seen("1")))
    assert world(dedup.process("1", lambda: "done")).done


def test_a_handler_that_died_gives_the_event_back_after_a_while(world: World) -> None:
    dedup = Dedup(world.client, world.name, window_s=600, running_s=600)
    world.raw.set(dedup.key("1"), b"mark of one that died", ex=300)
    assert not world(dedup.process("1", lambda: None)).done
    world.expire(dedup.key("1"))
    assert world(dedup.process("1", lambda: None)).done


def test_a_failed_handler_that_overran_its_mark_leaves_the_next_one_s_alone(world: World) -> None:
    dedup = Dedup(world.client, world.name, window_s=600, running_s=600)

    def overrun() -> None:
        world.raw.set(dedup.key("1"), b"another's mark", px=600_000)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world(dedup.process("1", overrun))
    assert world.raw.pttl(dedup.key("1")) > 300_000


def test_what_the_handler_raised_is_raised_though_the_event_cannot_be_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> Steps[None]:
        raise StoreAway
        yield

    monkeypatch.setattr(dedup, "let_go", away)
    with pytest.raises(ZeroDivisionError):
        world(Dedup(world.client, world.name).process("1", lambda: 1 // 0))


def test_an_event_whose_handler_failed_is_free_for_the_next_at_once(world: World) -> None:
    dedup = Dedup(world.client, world.name, window_s=60, running_s=60)
    for number in range(50):
        with pytest.raises(ZeroDivisionError):
            world(dedup.process(str(number), lambda: 1 // 0))
        assert world(dedup.process(str(number), lambda: "done")).done
