"""Document 003's own code: its Rust read as Python (rust.py), each block run on a ContentStore."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from respram.patterns import ContentRef
from tests.patterns.documents import blocks
from tests.patterns.rust import Thing, names, python

TITLES = (
    "stores", "content", "labels", "actor", "versions", "dedup", "shared", "linked", "cached", "snapshot", "message",
    "environment",
    "log", "migration", "sync",
)  # fmt: skip

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(node_port: int) -> Iterator[Run]:
    """Runs the block of a title with the functions that the document leaves to its reader; the names that it leaves
    behind.
    """
    client = redis.Redis(port=node_port)
    printed: list[str] = []

    def perform(title: str, returning: bool = False, **filled_in: Any) -> dict[str, Any]:
        text = python(blocks("003", "rust")[TITLES.index(title)])
        if returning:  # a block that is the inside of a function
            text = "def inside():\n" + "".join(f"    {line}\n" for line in text.splitlines())
        found = names(client, printed) | {"printed_lines": printed} | filled_in
        exec(compile(text, title, "exec"), found)  # noqa: S102 (the document's own code)
        return found

    yield perform
    client.close()


def test_every_block_has_its_test() -> None:
    assert len(blocks("003", "rust")) == len(TITLES)


def test_stores_and_their_content(run: Run) -> None:
    stores = run("stores")
    assert stores["store"].id == "my-store-id" and stores["store_id"].id != "my-store-id"
    assert stores["printed_lines"][0].startswith("Created store with ID: ")
    assert run("content")["text"] == "Important information"
    assert vars(run("labels", config=Thing(url="u"))["config"]) == {"url": "u"}
    reader = {"serialize_data": str.encode, "deserialize_data": bytes.decode}
    assert run("actor", my_data="state", **reader)["my_data"] == "state"
    assert run("dedup")["content1"] == b"Duplicate content"
    told: list[str] = []
    shared = run("shared", some_data="data", send_to_actor_2=told.append, **reader, received_store_id="not told yet")
    # The second actor's part is run again with the id that the first one told.
    assert shared["ContentStore_from_id"](told[0]).get_content_by_label("shared:resource") == b"data"


def test_versions_lists_and_caches(run: Run) -> None:
    versions = run("versions")
    assert versions["v1_ref_opt"] is None and versions["latest_ref_opt"] == versions["content_ref"]
    linked = run("linked")
    assert linked["printed_lines"] == [f"Node value: Node {number}" for number in (1, 2, 3)]
    calls: list[Any] = []

    def expensive(one: str, two: int) -> Any:
        calls.append((one, two))
        return {"result": two}

    cached = run("cached", returning=True, expensive_computation=expensive)
    assert cached["inside"]() == {"result": 42} and vars(cached["inside"]()) == {"result": 42}
    assert calls == [("value1", 42)]
    restored: list[Any] = []
    run("snapshot", get_current_state=lambda: {"level": 3}, restore_state=restored.append)
    assert [vars(each) for each in restored] == [{"level": 3}]


def test_messages_and_dependencies(run: Run) -> None:
    sent: list[Any] = []
    processed: list[bytes] = []
    message = run("message", generate_large_data=lambda: b"large" * 1000,
                  send_message_to_actor=lambda to, what: sent.append((to, what)),
                  process_large_data=processed.append)  # fmt: skip
    assert sent[0][0] == "actor-2"
    message["handle_message"](sent[0][1])
    assert processed == [b"large" * 1000]
    spawned: list[str] = []
    configured: list[Any] = []
    params = Thing(with_store_id=lambda store_id: store_id)
    environment = run(
        "environment", actor_params=params, spawn_actor=spawned.append, configure_services=configured.append
    )
    environment["init"](spawned[0], "prod")
    assert configured[0].url == "https://production.example.com"


def test_logs_migration_and_sync(run: Run) -> None:
    log = run("log")
    for entry in ({"did": "login"}, {"did": "logout"}):
        log["append_log_entry"](log["store"], "audit", entry)
    assert [each.did for each in log["read_log_entries"](log["store"], "audit")] == ["login", "logout"]
    assert log["read_log_entries"](log["store"], "another") == []
    migration = run("migration", generate_new_actor_id=lambda: "successor")
    store = migration["store"]
    store.store_at_label("actor:first:state", b"state")
    package = migration["export_state_for_migration"](store, "first")
    assert ContentRef(package) == store.get_by_label("migration:first:1781234567")
    migration["import_migrated_state"](store, package)
    assert store.get_content_by_label("actor:successor:state") == b"state"
    with pytest.raises(LookupError, match="No state"):
        migration["export_state_for_migration"](store, "nobody")
    sync = run("sync")
    sync["store"].store_at_label("app:a", b"1")
    sync["store"].store_at_label("other", b"2")
    package = sync["export_content_for_sync"](sync["store"], "app:")
    target = sync["ContentStore_new"]()
    sync["import_sync_package"](target, package)
    assert target.list_labels() == ["app:a"] and target.get_content_by_label("app:a") == b"1"
