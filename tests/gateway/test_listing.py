"""Keys in pages, and events as they happen."""

import json
import threading
from collections.abc import Iterator
from itertools import chain

import httpx
import redis

from respram.gateway.listing import spell_event
from respram.gateway.watch import Event
from tests.gateway.faces import LiveGateway


def test_keys_come_in_the_order_of_their_bytes_and_in_pages(client: httpx.Client, direct: "redis.Redis") -> None:
    names = [f"list:{number}" for number in (10, 9, 1, 2)] + ["list:ä", 'list:"\\']
    for name in names:
        direct.set(name, 1, ex=60)
    direct.set("other", 1, ex=60)
    got = client.get("/v1/keys", params={"prefix": "list:"}).json()
    assert got == {"keys": sorted(names, key=str.encode)}
    pages, query = [], {"prefix": "list:", "limit": "4"}
    while True:
        page = client.get("/v1/keys", params=query).json()
        pages.append(page["keys"])
        if "next_cursor" not in page:
            break
        query["cursor"] = page["next_cursor"]
    assert [len(page) for page in pages] == [4, 2] and list(chain(*pages)) == got["keys"]


def test_a_page_that_is_exactly_full_has_no_next_one(client: httpx.Client, direct: "redis.Redis") -> None:
    direct.mset({"full:1": 1, "full:2": 2})
    assert client.get("/v1/keys?prefix=full:&limit=2").json() == {"keys": ["full:1", "full:2"]}
    page = client.get("/v1/keys?prefix=full:&limit=1").json()
    assert page["next_cursor"] == "full:1"
    assert client.get(page["next"]).json() == {"keys": ["full:2"]}


def test_names_that_are_no_text_are_encoded_and_can_be_walked_past(client: httpx.Client, direct: "redis.Redis") -> None:
    names = [b"bin:\x80", b"bin:\xff\0", b"bin:a"]
    for name in names:
        direct.set(name, 1, ex=60)
    got = client.get("/v1/keys?prefix=bin:").json()
    assert got == {"keys": ["bin:a"], "keys_encoded": ["bin%3A%80", "bin%3A%FF%00"]}
    page = client.get("/v1/keys?prefix=bin:&limit=2").json()
    assert page["keys"] == ["bin:a"] and page["keys_encoded"] == ["bin%3A%80"]
    assert client.get(page["next"]).json() == {"keys": [], "keys_encoded": ["bin%3A%FF%00"]}
    assert client.get("/v1/data/" + got["keys_encoded"][1]).status_code == 200


def test_a_prefix_is_no_pattern(client: httpx.Client, direct: "redis.Redis") -> None:
    for name in ("pat*:1", "patx:1", "pat[a]:1", "pat\\:1", "pat?:1", "pat-:1", "pat^:1"):
        direct.set(name, 1, ex=60)
    for name in ("pat*:", "pat[a]:", "pat\\:", "pat?:", "pat-:", "pat^:"):
        assert client.get("/v1/keys", params={"prefix": name}).json() == {"keys": [name + "1"]}


def test_what_is_asked_wrongly_is_refused(client: httpx.Client) -> None:
    for query in (
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=",
        "prefix=" + "x" * 5000,
        "&".join(f"a{one}=1" for one in range(30)),
    ):
        assert client.get(f"/v1/keys?{query}").status_code == 400, query


def test_an_event_is_spelled_so_that_no_name_can_end_it() -> None:
    assert (
        spell_event(Event("set", b"a\n\ndata: x", 5)) == b'event: set\ndata: {"key": "a\\n\\ndata: x", "ttl_ms": 5}\n\n'
    )
    assert spell_event(Event("expired", b"\xff\n", 0)) == b'event: expired\ndata: {"key_encoded": "%FF%0A"}\n\n'
    assert spell_event(Event("lost", b"", 0, 7)) == b'event: lost\ndata: {"count": 7}\n\n'


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, object]]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_watcher_hears_of_writes_and_of_the_end(
    gateway: LiveGateway, client: httpx.Client, direct: "redis.Redis"
) -> None:
    with client.stream("GET", "/v1/watch?prefix=watch:") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        threading.Timer(0.2, lambda: (direct.set("other:1", 1), direct.set("watch:1", 1, px=300))).start()
        heard = events_of(lines)
        name, facts = next(heard)
        assert name == "set" and facts["key"] == "watch:1" and 0 < int(str(facts["ttl_ms"])) <= 300
        assert next(heard) == ("expired", {"key": "watch:1"})
        threading.Timer(0.1, lambda: direct.set("watch:2", 1, ex=50)).start()
        assert next(heard)[0] == "set"
        direct.expire("watch:2", 90)
        name, facts = next(heard)
        assert name == "expire" and 80_000 < int(str(facts["ttl_ms"])) <= 90_000
