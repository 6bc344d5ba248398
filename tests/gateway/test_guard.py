"""Who is let in: pages of others are not, nor names that are not ours, nor wrong passwords for long."""

import httpx
import pytest

from respram.gateway.guard import GUESS_S, GUESSES_MAX, Denied, Guard, Rules
from respram.gateway.target import Login
from tests.gateway.faces import LiveGateway, serving
from tests.live import running

GUARD = Guard(Rules())


def ask(guard: Guard = GUARD, *, is_page: bool = False, **headers: str) -> int:
    denied = guard.check({name.replace("_", "-").encode(): value.encode() for name, value in headers.items()},
                         is_page=is_page)
    return 200 if denied is None else denied.status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "[::1]:8080", "[::1]", "10.0.0.7",
                                  "a.localhost", "LOCALHOST"])
def test_addresses_and_localhost_are_ours(host: str) -> None:
    assert ask(host=host) == 200


@pytest.mark.parametrize("host", [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8080", "", "x@127.0.0.1.nip.io",
    "[::1", "127.0.0.1:x",
    "127.1.evil", "0x7f.1.evil", "127.0.0.1, evil.example",
])  # fmt: skip
def test_a_name_that_was_bent_to_point_here_is_not(host: str) -> None:
    assert ask(host=host) == 421
    assert ask(Guard(Rules(frozenset({"store.example"}))), host=host) == 421


def test_a_name_that_was_allowed_is_ours() -> None:
    assert ask(Guard(Rules(frozenset({"store.example"}))), host="store.example:443") == 200
    assert ask() == 421, "no name at all is not"


@pytest.mark.parametrize("origin", [
    "http://evil.example", "null", "https://127.0.0.1.evil.example", "http://127.0.0.1:9999", "file://", "",
    "http://127.0.0.1:8080/x",
    "http://[", "chrome-extension://abc",
])  # fmt: skip
def test_pages_of_others_may_not_ask(origin: str) -> None:
    assert ask(host="127.0.0.1:8080", origin=origin) == 403


def test_pages_of_ours_and_of_those_allowed_may() -> None:
    assert ask(host="127.0.0.1:8080", origin="http://127.0.0.1:8080") == 200
    allowing = Guard(Rules(origins=frozenset({"https://app.example"})))
    assert ask(allowing, host="127.0.0.1", origin="https://app.example") == 200
    assert ask(allowing, host="127.0.0.1", origin="https://other.example") == 403
    assert ask(Guard(Rules(origins=frozenset({"*"}))), host="127.0.0.1", origin="https://other.example") == 200


def test_an_image_of_another_site_is_no_way_in_but_a_link_to_the_page_is() -> None:
    assert ask(host="127.0.0.1", sec_fetch_site="cross-site") == 403
    assert ask(host="127.0.0.1", sec_fetch_site="cross-site", sec_fetch_dest="document") == 403
    assert ask(host="127.0.0.1", sec_fetch_site="cross-site", sec_fetch_dest="document", is_page=True) == 200
    assert ask(host="127.0.0.1", sec_fetch_site="cross-site", sec_fetch_dest="iframe", is_page=True) == 403
    assert ask(host="127.0.0.1", sec_fetch_site="same-origin") == 200


def test_a_login_is_an_acl_user() -> None:
    assert GUARD.login({b"authorization": b"Bearer app:pa:ss"}) == Login(b"app", b"pa:ss")
    assert GUARD.login({b"authorization": b"bearer word"}) == Login(b"default", b"word")
    assert GUARD.login({b"authorization": b"Basic YXBwOnBhc3M="}) == Login(b"app", b"pass")
    assert GUARD.login({}) is None
    for wrong in (b"Basic !!", b"Basic YXBw", b"Digest x", b"Bearer", b"", b"Basic"):
        denied = GUARD.login({b"authorization": wrong})
        assert isinstance(denied, Denied) and denied.status == 401
    closed = Guard(Rules(anonymous=False)).login({})
    assert isinstance(closed, Denied) and closed.challenge


def test_guessing_is_stopped_for_a_while() -> None:
    guard = Guard(Rules())
    for number in range(GUESSES_MAX):
        assert not guard.is_guessing("10.0.0.1", 100.0 + number)
        guard.guessed("10.0.0.1", 100.0 + number)
    assert guard.is_guessing("10.0.0.1", 105.0) and not guard.is_guessing("10.0.0.2", 105.0)
    assert not guard.is_guessing("10.0.0.1", 104.0 + GUESS_S + 1)


def test_a_page_of_another_origin_gets_nothing_on_any_face(gateway: LiveGateway, client: httpx.Client) -> None:
    for path in ("/", "/v1/data/x", "/v1/keys", "/v1/watch", "/v1/health", "/v1/status", "/openapi.json", "/mcp"):
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            got = client.get(path, headers=headers)
            assert got.status_code in (403, 421), (path, headers)
            assert "access-control-allow-origin" not in got.headers
    preflight = client.options(
        "/v1/data/x", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    )
    assert preflight.status_code == 403


def test_the_rights_are_those_of_the_login() -> None:
    """A gateway whose own user may do little, and users who come with their names."""
    with running(env={"RESPRAM_REQUIREPASS": "root-word"}) as node:
        wire = node.connect()
        assert wire.ask(b"AUTH root-word\r\n", 5) == b"+OK\r\n"
        assert wire.ask(b"ACL SETUSER app on >word ~app:* &* +@all -@admin -@dangerous\r\n", 5) == b"+OK\r\n"
        with serving(f"redis://127.0.0.1:{node.port}") as gateway, gateway.client() as client:
            refused = client.get("/v1/data/app:1")
            assert refused.status_code == 401 and "Basic" in refused.headers["www-authenticate"]
            app, root = httpx.BasicAuth("app", "word"), {"Authorization": "Bearer root-word"}
            assert client.put("/v1/data/app:1", content=b"1", auth=app).status_code == 201
            assert client.put("/v1/data/other:1", content=b"1", headers=root).status_code == 201
            got = client.get("/v1/data/other:1", auth=app)
            assert got.status_code == 403 and "other" not in got.text
            assert client.get("/v1/keys", auth=app).json() == {"keys": ["app:1"]}, (
                "names that one may not read are not shown"
            )
            assert client.get("/v1/keys", headers=root).json() == {"keys": ["app:1", "other:1"]}
            assert "private" in client.get("/v1/data/app:1", auth=app).headers["cache-control"]
            codes = [client.get("/v1/keys", auth=("app", f"wrong{one}")).status_code for one in range(GUESSES_MAX + 2)]
            assert codes == [401] * GUESSES_MAX + [429] * 2
            assert "word" not in gateway.log()
