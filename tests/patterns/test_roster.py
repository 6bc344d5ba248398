"""Members of a group in bounded records; and that nothing on a hot path looks at the keys of others."""

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
    Versions,
    drivers,
    fanout,
    roster,
)
from respram.patterns.effects import Ask
from tests.patterns.conftest import World


class Group:
    """A group of its own for a test: a member enters by a sign of life and a look, as the patterns do it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.base = b"roster:" + world.name.encode()
        self.key_of: Callable[[str], bytes] = lambda name: f"{world.name}:{name}".encode()

    def run(self, steps: Any) -> Any:
        driver = drivers.run_async if self.world.kind == "asyncio" else drivers.run
        return self.world(driver(self.world.client, steps))

    def enter(self, name: str, ttl_s: float = 60) -> None:
        self.world.raw.set(self.key_of(name), b"", px=int(ttl_s * 1000))
        left_ms = self.world.raw.execute_command(*roster.look(self.base, name))
        self.run(roster.entered(self.base, name, left_ms, ttl_s))

    def left_ms(self, name: str) -> int:
        (left,) = self.world.raw.execute_command("HPTTL", self.base, "FIELDS", 1, name)
        return int(left)

    def members(self) -> Any:
        return self.run(roster.members(self.base))

    def alive(self) -> Any:
        return self.run(roster.alive(self.members(), self.key_of))


def test_who_entered_is_a_member_as_long_as_its_key_is_there(world: World) -> None:
    group = Group(world)
    names = [f"w:{number}" for number in range(200)]
    for name in names:
        group.enter(name)
    assert group.members() == group.alive() == sorted(names)
    world.expire(group.key_of("w:7"))
    assert group.alive() == sorted({*names} - {"w:7"})
    assert "w:7" in group.members(), "its name is kept for a while: it may beat again"


def test_a_second_sign_of_life_writes_nothing_until_little_time_is_left(world: World) -> None:
    group = Group(world)
    group.enter("ada")
    deadline = world.raw.execute_command("HPEXPIRETIME", group.base, "FIELDS", 1, "ada")
    group.enter("ada")
    assert world.raw.execute_command("HPEXPIRETIME", group.base, "FIELDS", 1, "ada") == deadline
    world.raw.execute_command("HPEXPIRE", group.base, 59_000, "FIELDS", 1, "ada")
    group.enter("ada")
    assert 600_000 < group.left_ms("ada") <= 660_000
    group.enter("seldom", 7200)
    assert group.left_ms("seldom") <= 10_800_000
    assert world.raw.pttl(group.base) >= group.left_ms("ada") - 1, "the hash lives as long as its names"


def test_many_that_beat_once_and_died_are_asked_for_in_few_commands_and_not_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(world)
    names = [f"n{number:04}" for number in range(3000)]
    with world.raw.pipeline(transaction=False) as pipeline:
        for name in names:
            for each in roster.entering(group.base, name, 60):
                pipeline.execute_command(*each)
        for name in (names[0], *names[500:600], names[2999]):
            pipeline.set(group.key_of(name), b"", px=60_000)
        pipeline.execute()
    asked: list[Any] = []
    for driver in (drivers.Driver, drivers.AsyncDriver):
        before = driver.perform

        def perform(self: Any, effect: Any, before: Callable[..., Any] = before) -> Any:
            asked.extend(effect.commands)
            return before(self, effect)

        monkeypatch.setattr(driver, "perform", perform)
    assert group.alive() == [names[0], *names[500:600], names[2999]]
    assert len(asked) <= 1 + 60 + 2 * roster.GROUP
    for ttl_s in (1, 3, 30):
        group.enter(f"once-{ttl_s}", ttl_s)
        assert group.left_ms(f"once-{ttl_s}") <= 11_000 * ttl_s


def test_a_name_leaves_by_itself_and_is_never_given_less_time_where_others_entered_it(world: World) -> None:
    group = Group(world)
    for ttl_s in (60, 30, 7200):
        for each in roster.staying(group.base, "brief", ttl_s):
            world.raw.execute_command(*each)
        assert group.left_ms("brief") > min(max(ttl_s, 60), 7000) * 1000 - 30_000
    assert world.raw.pttl(group.base) > 7_000_000, "longer than what a node gives a new hash"
    for each in roster.entering(group.base, "brief", 0.001):
        world.raw.execute_command(*each)
    world.until(lambda: group.members() == [])


def test_a_group_that_is_too_large_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(world)
    monkeypatch.setattr(roster, "KEYS_MAX", 2)
    group.enter("a")
    group.enter("grüße")
    assert group.members() == ["a", "grüße"]
    group.enter("c")
    with pytest.raises(TooMany):
        group.members()
    world.raw.hset(group.base + b"2", b"\xff", "")
    assert roster.names(world.raw.hkeys(group.base + b"2")) == ["\\xff"]


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


def test_a_thousand_members_are_read_in_one_round_trip_and_their_keys_in_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(world)
    names = [f"n{number}" for number in range(1000)]
    with world.raw.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.set(group.key_of(name), b"", px=60_000)
            for each in roster.entering(group.base, name, 60):
                pipeline.execute_command(*each)
        pipeline.execute()
    trips: list[int] = []
    for driver in (drivers.Driver, drivers.AsyncDriver):
        before = driver.perform
        monkeypatch.setattr(driver, "perform", counted(before, trips))
    assert group.members() == sorted(names) and len(trips) == 1
    assert group.alive() == sorted(names) and len(trips) == 3


def test_a_broadcast_to_a_thousand_viewers_takes_as_many_round_trips_as_one_to_two(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = Endpoints(world.client, 60)
    world(endpoints.broadcast(b"x"))  # its lane is entered with the first
    trips: list[int] = []
    for driver in (drivers.Driver, drivers.AsyncDriver):
        before = driver.perform
        monkeypatch.setattr(driver, "perform", counted(before, trips))
    taken = []
    for count in (2, 1000):
        with world.raw.pipeline(transaction=False) as pipeline:
            for number in range(count):
                for each in roster.entering(fanout.BASE, f"{world.name}:{number}", 60):
                    pipeline.execute_command(*each)
            pipeline.execute()
        trips.clear()
        assert len(world(endpoints.broadcast(b"x"))) >= count
        taken.append(len(trips))
    assert taken == [1, 1]
