"""Members of a group in bounded records; and that nothing on a hot path looks at the keys of others."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from respram.patterns import (
    ContentStore,
    DataStore,
    Endpoints,
    Heartbeat,
    Presence,
    TooMany,
    Unreadable,
    Versions,
    drivers,
    roster,
)
from respram.patterns.effects import Ask
from tests.patterns.conftest import World


def member_key(name: str) -> bytes:
    return b"member:" + name.encode()


class Group:
    """A group of its own for a test: a member enters by a sign of life and a look, as the patterns do it."""

    def __init__(self, world: World, client: Any = None) -> None:
        self.world, self.client = world, client or world.client
        self.base = b"roster:" + world.name.encode()
        self.key_of: Callable[[str], bytes] = lambda name: f"{world.name}:{name}".encode()

    def run(self, steps: Any) -> Any:
        driver = drivers.run_async if self.world.kind == "asyncio" else drivers.run
        return self.world(driver(self.client, steps))

    def enter(self, name: str, ttl_s: float = 60) -> None:
        self.world.raw.set(self.key_of(name), b"", px=int(ttl_s * 1000))
        slot, left_ms = (self.world.raw.execute_command(*each) for each in roster.look(self.base, name))
        self.run(roster.entered(self.base, name, slot, left_ms, ttl_s, self.key_of))

    def members(self) -> Any:
        return self.run(roster.members(self.base, self.key_of))


def test_who_entered_is_a_member_as_long_as_its_key_is_there(world: World) -> None:
    group = Group(world)
    names = [f"w:{number}" for number in range(200)]
    for name in names:
        group.enter(name)
    assert group.members() == sorted(names)
    world.expire(group.key_of("w:7"))
    assert "w:7" not in group.members() and len(group.members()) == 199
    slot = roster.slot_key(group.base, "w:7")
    assert "w:7" in json.loads(world.raw.get(slot))
    mate = next(name for number in range(1000, 9000) if roster.slot_key(group.base, name := f"w:{number}") == slot)
    group.enter(mate)
    assert "w:7" not in json.loads(world.raw.get(slot)), "who is gone is taken out when somebody enters"


def test_a_second_sign_of_life_writes_no_record(world: World) -> None:
    group = Group(world)
    group.enter("ada")
    slot = roster.slot_key(group.base, "ada")
    deadline = world.raw.execute_command("PEXPIRETIME", slot)
    group.enter("ada")
    assert world.raw.execute_command("PEXPIRETIME", slot) == deadline
    world.raw.set(slot, b"[]", px=60_000)  # another node's write won, in which the name was not
    assert group.members() == []
    group.enter("ada")
    assert group.members() == ["ada"]


def test_a_full_record_and_a_damaged_one_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(world)
    monkeypatch.setattr(roster, "SLOTS", 1)
    monkeypatch.setattr(roster, "NAMES_MAX", 2)
    group.enter("a")
    group.enter("b")
    with pytest.raises(TooMany):
        group.enter("c")
    assert group.members() == ["a", "b"]
    for damaged in (b"{}", b"[1]", b"no json"):
        world.raw.set(group.base + b":0", damaged, px=60_000)
        with pytest.raises(Unreadable):
            group.members()


def test_no_hot_path_scans_the_node_and_a_board_looks_at_one_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def noted(before: Callable[..., Any]) -> Callable[..., Any]:
        def perform(self: Any, effect: Any) -> Any:
            asked.extend(effect.commands if isinstance(effect, Ask) else ())
            return before(self, effect)

        return perform

    for driver in (drivers.Driver, drivers.AsyncDriver):
        monkeypatch.setattr(driver, "perform", noted(driver.perform))
    endpoints, board = Endpoints(world.client, 60), Presence(world.client, world.name)
    document = Versions(ContentStore(world.client, world.name, 60), "document")
    data = DataStore(world.client, 60, root=world.name)
    world(endpoints.register(world.name))
    for _ in range(2):
        world(Heartbeat(world.client, "ada", 60, world.name).beat())
        world(endpoints.broadcast(b"x"))
        world(document.publish(b"x"))
        world(document.numbers())
        world(data.set("a:b", 1))
        assert world(data.list_namespaces()) == ["default"]
    assert len(asked) > 30 and not [each for each in asked if each[0] in ("SCAN", "KEYS")]
    assert world(board.members()) == ["ada"]
    assert [each[0] for each in asked].count("SCAN") == 1


def counted(before: Callable[..., Any], trips: list[int]) -> Callable[..., Any]:
    def perform(self: Any, effect: Any) -> Any:
        trips.append(1)
        return before(self, effect)

    return perform


def test_a_round_of_a_thousand_members_takes_a_handful_of_round_trips(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(world)
    names = [f"n{number}" for number in range(1000)]
    by_slot: dict[bytes, list[str]] = {}
    for name in names:
        by_slot.setdefault(roster.slot_key(group.base, name), []).append(name)
        world.raw.set(group.key_of(name), b"", px=60_000)
    for slot, there in by_slot.items():
        world.raw.set(slot, json.dumps(there), px=60_000)
    trips: list[int] = []
    for driver in (drivers.Driver, drivers.AsyncDriver):
        before = driver.perform
        monkeypatch.setattr(driver, "perform", counted(before, trips))
    assert group.members() == sorted(names) and len(trips) == 2
