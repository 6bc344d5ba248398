"""JSON values, namespaces, listings, refusals."""

import pytest

from respram.patterns import BadName, BadTtl, DataStore, Listing, NotJson, Unreadable
from tests.patterns.conftest import World


def store(world: World, **options: object) -> DataStore:  # type: ignore[type-arg]
    return DataStore(world.client, ttl_s=600, root=world.name, **options)  # type: ignore[arg-type]


def test_values_come_back_with_their_metadata(world: World) -> None:
    data = store(world)
    world(data.set("a", {"n": [1, None]}, metadata={"by": "ci"}))
    assert world(data.get("a")) == {"n": [1, None]}
    entry = world(data.entry("a"))
    assert entry.metadata == {"by": "ci"} and 300 < entry.remaining_s <= 600 and entry.set_at.endswith("+00:00")
    assert world(data.entry("b")) is None and world(data.get("b", default=7)) == 7
    assert world(data.has("a")) and not world(data.has("b"))


def test_a_stored_null_is_no_missing_value(world: World) -> None:
    world(store(world).set("a", None))
    assert world(store(world).get("a", default=7)) is None


def test_hierarchical_keys_are_listed_by_prefix(world: World) -> None:
    data = store(world)
    for name in ("project:x:files:main.py", "project:x:files:a b%", "project:x:config", "project:xy:files:no"):
        world(data.set(name, 1))
    assert world(data.list_keys(prefix="project:x:files:")) == ["project:x:files:a b%", "project:x:files:main.py"]
    assert len(world(data.list_keys())) == 4


def test_namespaces_are_apart_and_can_be_discovered(world: World) -> None:
    data = store(world)
    main, dev = data.use_namespace("repo:r:main"), data.use_namespace("repo:r:dev")
    world(main.set("commit", "1"))
    world(dev.set("commit", "2"))
    world(data.set("repo:r:main:commit", "3"))
    assert [world(each.get(name))
            for each, name in ((main, "commit"), (dev, "commit"), (data, "repo:r:main:commit"))] == [
        "1", "2", "3",
    ]  # fmt: skip
    assert world(data.list_namespaces()) == ["default", "repo:r:dev", "repo:r:main"]
    assert world(main.list_keys()) == ["commit"]
    with pytest.raises(BadName):
        data.use_namespace("")


def test_letting_go_is_as_good_as_a_delete(world: World) -> None:
    data = store(world)
    world(data.set("a", 1))
    world(data.let_go("a"))
    assert world(data.get("a", "gone")) == "gone"
    world.until(lambda: not world(data.has("a")))
    assert world(data.list_keys()) == []


def test_keep_begins_the_time_anew_and_says_when_it_is_too_late(world: World) -> None:
    data = store(world)
    world(data.set("a", 1, ttl_s=300))
    assert world(data.keep("a")) and world(data.entry("a")).remaining_s > 300
    assert not world(data.keep("b"))


def test_a_refused_value_leaves_the_old_one(world: World) -> None:
    data = store(world)
    world(data.set("a", 1))
    with pytest.raises(NotJson):
        world(data.set("a", b"image"))
    for ttl_s in (0, -1, float("nan"), float("inf")):
        with pytest.raises(BadTtl):
            world(data.set("a", 2, ttl_s=ttl_s))
    world.raw.set(data.key("odd"), b"[]", px=600_000)
    with pytest.raises(Unreadable):
        world(data.get("odd"))
    assert world(data.get("a")) == 1


def test_a_root_of_several_levels_and_a_stranger_s_key_do_not_confuse_a_listing(world: World) -> None:
    store = DataStore(world.client, 600, root=f"{world.name}:data")
    world(store.use_namespace("a:b").set("k", 1))
    world.raw.set(f"{world.name}:data:".encode() + b"\xff\xfe:k", b"no json", px=600_000)
    assert world(store.list_namespaces()) == ["a:b"]
    assert world(store.list_namespaces(scan_keys=True)) == ["\\xff\\xfe", "a:b"]
    assert world(store.use_namespace("a:b").list_keys()) == ["k"]


def test_keys_can_be_listed_by_their_own_prefixes(world: World) -> None:
    world(store(world).set("project:alpha:status", "active"))
    listing = Listing(world.client)
    assert world(listing.keys(f"{world.name}:default:project:alpha:")) == [f"{world.name}:default:project:alpha:status"]
    bare = DataStore(world.client, ttl_s=30, root="")
    world(bare.set(f"{world.name}:beta:status", "idle"))
    assert world.raw.exists(f"{world.name}:beta:status")
    assert world(bare.list_keys(f"{world.name}:beta:")) == [f"{world.name}:beta:status"]
    spaced = bare.use_namespace(world.name)
    world(spaced.set("k", 1))
    assert world(spaced.get("k")) == 1 and world(spaced.list_keys()) == ["k"]
    assert world.name in world(bare.list_namespaces())


def test_what_an_earlier_version_wrote_is_read_and_does_not_show_again(world: World) -> None:
    data = store(world)
    new, earlier = data.keys("a:b")
    value = b'{"value":1,"metadata":{},"set_at":"2026-01-01T00:00:00.000+00:00"}'
    world.raw.set(earlier, value, px=30_000)
    assert world(data.get("a:b")) == 1 and world(data.has("a:b")) and world(data.entry("a:b")).value == 1
    assert world(data.list_keys("a:")) == ["a:b"] and world(data.keep("a:b"))
    world(data.set("a:b", 2))
    world.expire(new)
    assert world(data.get("a:b")) is None
    world.raw.set(earlier, value, px=30_000)
    world(data.let_go("a:b"))
    assert world(data.get("a:b")) is None


def test_a_namespace_is_listed_as_long_as_a_key_of_it_may_live(world: World) -> None:
    data = store(world)
    world(data.use_namespace("brief").set("k", 1, ttl_s=60))
    world(data.use_namespace("brief").set("k", 1, ttl_s=30))
    world(data.use_namespace("kept").set("k", 1, ttl_s=20))
    world(data.use_namespace("kept").keep("k", ttl_s=600))
    whole_ms = world.raw.pttl(data._roster())  # asked first: what is asked later has less left
    brief_ms, kept_ms = world.raw.execute_command("HPTTL", data._roster(), "FIELDS", 2, "brief", "kept")
    assert 30_000 < brief_ms <= 60_000 < kept_ms <= whole_ms
    world.raw.execute_command("HPEXPIRE", data._roster(), 1, "FIELDS", 1, "brief")
    world.until(lambda: world(data.list_namespaces()) == ["kept"])
