"""Document 001's own code: each block runs as it stands on a DataStore, with the functions that it leaves to its reader
filled in.
"""

import asyncio
import base64
import datetime
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from respram.patterns import DataStore, NotJson
from tests.patterns.documents import blocks, run

# What only this block has, and which it is.
MARKS = {
    "aside": "fetch_url(url)", "through": "analysis-cache", "timed": "timed-cache", "counter": "processed-count",
    "list": "collected-items", "statistics": '"statistics"', "hierarchy": ":files:main.py", "namespaces": "repo:{repo}",
    "discovery": "list_namespaces", "state": "execute_step", "batch": "batch-checkpoint", "lock": "process_resource",
    "index": "extract_keywords", "binary": "open(", "coordination": "Race conditions", "secrets": "sk-secret",
}  # fmt: skip


@pytest.fixture
def store(node_port: int) -> "Iterator[DataStore[redis.Redis]]":
    client = redis.Redis(port=node_port)
    yield DataStore(client, 60, root=uuid.uuid4().hex)
    client.close()


def loaded(mark: str, data_store: Any, **filled_in: Any) -> dict[str, Any]:
    """The names that a block defines; what it does at once is done."""
    (text,) = (each for each in blocks("001", "python") if MARKS[mark] in each)
    names = {"data_store": data_store, "datetime": datetime.datetime, "timedelta": datetime.timedelta, **filled_in}
    return asyncio.run(run(text, names))


def answer(value: Any) -> Callable[..., Any]:
    async def function(*_: Any) -> Any:
        return value() if callable(value) else value

    return function


def called(names: dict[str, Any], **words: Any) -> Any:
    return asyncio.run(names["run"](words, {}))


def test_every_block_has_its_test() -> None:
    every = blocks("001", "python")
    assert len(every) == len(MARKS)
    for mark in MARKS.values():
        assert sum(mark in text for text in every) == 1, mark


def test_caching(store: "DataStore[redis.Redis]") -> None:
    aside = loaded("aside", store, fetch_url=answer({"length": 3}))
    assert [called(aside, url="https://example.org")["source"] for _ in range(2)] == ["fetched", "cache"]
    through = loaded("through", store, analyze_file=answer({"lines": 7}))
    assert called(through, file="a.txt") == {"lines": 7}
    assert store.use_namespace("analysis-cache").get("a.txt") == {"lines": 7}
    timed = loaded("timed", store, fetch_fresh_data=answer(42))
    assert [called(timed, key="k")["source"] for _ in range(2)] == ["fresh", "cache"]
    store.use_namespace("timed-cache").set("k", {"value": 1, "_cached_at": "1970-01-01"})
    assert called(timed, key="k") == {"data": 42, "source": "fresh"}


def test_accumulation(store: "DataStore[redis.Redis]") -> None:
    counter = loaded("counter", store)
    assert [called(counter)["run_number"] for _ in range(3)] == [1, 2, 3]
    items = loaded("list", store)
    assert [called(items, item=item)["total_items"] for item in "ab"] == [1, 2]
    statistics = loaded("statistics", store)
    for value in (4, 2, 6):
        found = called(statistics, value=value)
    assert (found["count"], found["min"], found["max"], found["average"]) == (3, 2, 6, 4)


def test_organization(store: "DataStore[redis.Redis]") -> None:
    hierarchy = loaded("hierarchy", store, config={"a": 1}, main_content="print()", utils_content="pass")
    assert called(hierarchy, project="x")["files"] == ["project:x:files:main.py", "project:x:files:utils.py"]
    namespaces = loaded("namespaces", store, latest_commit="7b736d6", file_list=["a", "b"])
    assert called(namespaces, repo="r") == {"namespace": "repo:r:main", "files_stored": 2}
    called(namespaces, repo="r", branch="dev")
    found = called(loaded("discovery", store))
    assert found["matches"] == 2 and found["summary"]["repo:r:dev"] == {"key_count": 2, "keys": ["commit", "files"]}


def test_state_machine_and_batch(store: "DataStore[redis.Redis]") -> None:
    state = loaded("state", store, execute_step=answer("done"))
    assert called(state, job_id="j")["status"] == "pending"
    for _ in range(4):
        found = called(state, job_id="j", action="advance")
    assert (found["status"], found["current_step"], found["result"]) == ("completed", "complete", "done")
    batch = loaded("batch", store, process_item=answer("r"))
    progress = [called(batch, items=list(range(5)), batch_size=2) for _ in range(3)]
    assert [each["processed"] for each in progress] == [2, 4, 5] and progress[2]["complete"]
    assert progress[2]["batch_results"] == ["r", "r"]


def test_lock_and_index(store: "DataStore[redis.Redis]") -> None:
    lock = loaded("lock", store, process_resource=answer(lambda: store.get("lock:invoice")["agent"]))
    assert called(lock, resource="invoice") == {"result": "current-agent"}
    store.set("lock:invoice", {"agent": "another", "acquired_at": datetime.datetime.now().isoformat()})  # noqa: DTZ005
    assert called(lock, resource="invoice")["locked_by"] == "another"
    index = loaded("index", store, extract_keywords=str.split)
    assert called(index, id="d1", document={"content": "keys leave"})["keywords"] == ["keys", "leave"]
    assert asyncio.run(index["search"]("LEAVE")) == [{"id": "d1", "document": {"content": "keys leave"}}]


def test_anti_patterns(store: "DataStore[redis.Redis]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = os.urandom(20)
    (tmp_path / "image.png").write_bytes(image)
    with open("image.png", "rb") as file:
        opened = lambda *_: file  # noqa: E731
        with pytest.raises(NotJson, match="base64"):  # what the document says not to do
            loaded("binary", store, image_bytes=image, open=opened)
    (text,) = (each for each in blocks("001", "python") if MARKS["binary"] in each)
    asyncio.run(run(text[text.index("import base64") :], {"data_store": store, "image_bytes": image}))
    assert base64.b64decode(store.get("image")["data"]) == image
    loaded("coordination", store)
    assert store.get("counter") == 1
    loaded("secrets", store)  # nothing stops it: what is stored is the caller's to judge
    assert store.get("api_key") == "sk-secret-key"
