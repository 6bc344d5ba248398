"""Values over HTTP: written, read, kept by caches, refused."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest
import redis

from respram.gateway.store import tag
from tests.gateway.faces import LiveGateway


def put(client: httpx.Client, key: str, value: bytes = b"hello", **more: object) -> httpx.Response:
    return client.put(f"/v1/data/{key}", content=value, **more)  # type: ignore[arg-type]


def test_a_value_comes_back_as_it_was_with_the_truth_about_its_life(
    client: httpx.Client, direct: "redis.Redis"
) -> None:
    value = bytes(range(256)) * 3
    began = datetime.now(UTC)
    done = put(client, "data:life", value, headers={"X-TTL": "3000"})
    assert (done.status_code, done.text) == (201, "OK")
    assert direct.get("data:life") == value and 2_700_000 < direct.pttl("data:life") <= 3_000_000
    asked = datetime.now(UTC)
    got = client.get("/v1/data/data:life")
    told = datetime.now(UTC)
    assert (got.status_code, got.content) == (200, value)
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-original-ttl"] == "3000" and got.headers["etag"] == f'"{tag(value)}"' == done.headers["etag"]
    remaining = int(got.headers["x-remaining-ttl"])
    assert 2_700 <= remaining < 3_000 and got.headers["x-ttl-remaining"] == got.headers["x-remaining-ttl"]
    expires = parsedate_to_datetime(got.headers["expires"])
    second = timedelta(milliseconds=1_000)  # less than one is left off
    assert asked - second <= expires - timedelta(seconds=remaining) <= told + second
    assert began - second <= datetime.fromisoformat(got.headers["x-created-at"]) <= asked + second


def test_a_cache_never_keeps_a_value_beyond_its_life(client: httpx.Client) -> None:
    """What remains fresh is max-age less Age (RFC 9111, 4.2): never more than the key has left, also when it has aged.
    """
    put(client, "data:aged", headers={"X-TTL": "60"})
    for wait in (0.0, 1.2):
        time.sleep(wait)
        got = client.get("/v1/data/data:aged")
        words = dict(part.strip().partition("=")[::2] for part in got.headers["cache-control"].split(","))
        fresh_s = int(words["max-age"]) - int(got.headers["age"])
        assert 0 < fresh_s <= int(got.headers["x-remaining-ttl"]) and "must-revalidate" in words
    assert int(got.headers["age"]) >= 1
    for _ in range(20):  # in its last second, which a machine that stands still may miss
        put(client, "data:short", headers={"X-TTL": "1"})
        time.sleep(0.1)
        if (got := client.get("/v1/data/data:short")).status_code == 200:
            break
    assert got.headers["cache-control"] == "no-store"


def test_the_query_wins_over_the_header_and_neither_means_the_nodes_default(
    client: httpx.Client, direct: "redis.Redis"
) -> None:
    put(client, "data:both?ttl=50", headers={"X-TTL": "300"})
    assert 45 < direct.ttl("data:both") <= 50
    put(client, "data:neither")
    assert 3590 < direct.ttl("data:neither") <= 3600


@pytest.mark.parametrize("ttl", ["0", "-1", "1_000", "1.5", "", "x", "9" * 30, "%00"])
def test_a_time_to_live_that_is_none_is_refused(client: httpx.Client, direct: "redis.Redis", ttl: str) -> None:
    got = put(client, f"data:wrong?ttl={ttl}")
    assert got.status_code == 400 and got.headers["content-type"] == "application/problem+json"
    assert "whole number" in got.json()["detail"] and not direct.exists("data:wrong")


def test_a_head_tells_the_same_without_the_value(client: httpx.Client) -> None:
    put(client, "data:head", b"x" * 1000)
    got = client.head("/v1/data/data:head")
    assert got.status_code == 200 and got.content == b"" and got.headers["content-length"] == "1000"
    assert int(got.headers["x-remaining-ttl"]) > 0
    assert client.head("/v1/data/data:missing").status_code == 404


def test_what_is_not_there_is_a_problem_that_names_no_key(client: httpx.Client) -> None:
    got = client.get("/v1/data/data:secret-name")
    assert got.status_code == 404 and got.json()["status"] == 404 and "secret-name" not in got.text
    assert "set-cookie" not in got.headers


def test_nothing_is_deleted_and_the_answer_says_why(client: httpx.Client, direct: "redis.Redis") -> None:
    put(client, "data:stays")
    got = client.delete("/v1/data/data:stays")
    assert (
        got.status_code == 405 and got.headers["allow"] == "GET, HEAD, PUT" and "time to live" in got.json()["detail"]
    )
    assert direct.get("data:stays") == b"hello"


def test_keys_are_bytes(client: httpx.Client, direct: "redis.Redis") -> None:
    for path, key in (
        ("data:a/b%2Fc", b"data:a/b/c"),
        ("data:%FF%00%25", b"data:\xff\0%"),
        ("data:+ %20", b"data:+  "),
    ):
        assert (
            client.put(
                httpx.URL(str(client.base_url), raw_path=f"/v1/data/{path}".replace(" ", "%20").encode()), content=b"1"
            ).status_code
            == 201
        )
        assert direct.get(key) == b"1"


def test_a_key_of_no_bytes_is_none(client: httpx.Client) -> None:
    assert put(client, "").status_code == 400 and client.get("/v1/data/").status_code == 400


def test_conditions_are_those_of_http(client: httpx.Client, direct: "redis.Redis") -> None:
    key = f"data:{uuid.uuid4()}"
    assert put(client, key, headers={"If-Match": "*"}).status_code == 412
    assert put(client, key, b"1", headers={"If-None-Match": "*"}).status_code == 201
    assert put(client, key, b"2", headers={"If-None-Match": "*"}).status_code == 412
    wrong, right = f'"{tag(b"0")}"', f'"{tag(b"1")}"'
    assert put(client, key, b"2", headers={"If-Match": wrong}).status_code == 412
    assert put(client, key, b"2", headers={"If-Match": f"W/{right}"}).status_code == 412, "weak tags do not match here"
    assert direct.get(key) == b"1"
    done = put(client, key, b"2", headers={"If-Match": f"{wrong}, {right}"})
    assert done.status_code == 200 and direct.get(key) == b"2"
    assert put(client, key, b"3", headers={"If-None-Match": done.headers["etag"]}).status_code == 412
    assert put(client, key, b"3", headers={"If-None-Match": right}).status_code == 200
    assert put(client, key, b"4", headers={"If-Match": "nonsense"}).status_code == 400
    assert direct.get(key) == b"3"


def test_a_reader_who_has_the_value_is_told_so(client: httpx.Client) -> None:
    own = put(client, "data:known").headers["etag"]
    got = client.get("/v1/data/data:known", headers={"If-None-Match": f"W/{own}"})
    assert got.status_code == 304 and got.content == b"" and got.headers["etag"] == own
    assert client.get("/v1/data/data:known", headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get("/v1/data/data:known", headers={"If-Match": '"other"'}).status_code == 412
    assert client.head("/v1/data/data:known", headers={"If-None-Match": own}).status_code == 304


def test_a_posted_value_gets_a_uuid(client: httpx.Client, direct: "redis.Redis") -> None:
    got = client.post("/v1/data?ttl=60", content=b"posted")
    key = got.json()["key"]
    assert got.status_code == 201 and str(uuid.UUID(key)) == key and got.json()["ttl_seconds"] == 60
    assert got.headers["location"] == f"/v1/data/{key}" and direct.get(key) == b"posted"


def test_a_value_that_is_too_large_is_refused_whether_it_says_its_size_or_not(
    client: httpx.Client, direct: "redis.Redis"
) -> None:
    large = 16 * 1024 * 1024 + 1
    assert put(client, "data:large", b"x" * large).status_code == 413
    chunked = put(client, "data:large", iter([b"x" * (large // 4)] * 5))  # type: ignore[arg-type]
    assert chunked.status_code == 413 and not direct.exists("data:large")
    assert put(client, "data:fits", b"x" * (large - 1)).status_code == 201
    assert len(client.get("/v1/data/data:fits").content) == large - 1
    direct.set("data:fits", "", ex=1)


def test_a_part_of_a_value_cannot_be_written(client: httpx.Client) -> None:
    assert put(client, "data:part", headers={"Content-Range": "bytes 0-4/10"}).status_code == 400


def test_a_stored_page_is_only_bytes(client: httpx.Client) -> None:
    """What anybody may store must not run in the gateway's own origin."""
    put(client, "data:page", b"<script>alert(1)</script>", headers={"Content-Type": "text/html"})
    got = client.get("/v1/data/data:page")
    assert (
        got.headers["content-type"] == "application/octet-stream" and got.headers["x-content-type-options"] == "nosniff"
    )
    assert "sandbox" in got.headers["content-security-policy"]


def test_no_value_and_no_key_is_logged(client: httpx.Client, gateway: LiveGateway) -> None:
    put(client, "data:very-secret-name", b"very-secret-value")
    client.get("/v1/data/data:very-secret-name")
    put(client, "data:very-secret-name?ttl=x", b"very-secret-value")
    assert "very-secret" not in gateway.log()
