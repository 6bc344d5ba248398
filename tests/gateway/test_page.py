"""The live page in a real browser: what it shows, whatever keys are called, for eyes of all kinds and windows of all
sizes.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

import respram
from tests.gateway.browser import AXE, NAME, Page, browser
from tests.gateway.faces import EVENTS, LiveGateway, serving
from tests.live import LiveNode

HOSTILE = [
    b"<script>document.title='run'</script>", b"<img src=x onerror=document.title='run'>",
    b"\"'><b>", b"\xff\x00\n", "\u202eevil".encode(), b"a" * 3000,
]  # fmt: skip


def test_the_files_have_a_policy_and_come_from_here_alone(client: httpx.Client) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert page.headers["x-frame-options"] == "DENY" and "set-cookie" not in page.headers
    for name in ("page.js", "page.css", "uplot.js", "uplot.css"):
        got = client.get(f"/{name}")
        assert (
            got.status_code == 200
            and client.get(f"/{name}", headers={"If-None-Match": got.headers["etag"]}).status_code == 304
        )
        assert name in page.text
    for text in (page.text, client.get("/page.js").text, client.get("/page.css").text):
        assert "http:" not in text and "https:" not in text and "innerHTML" not in text
    assert client.post("/").status_code == 405 and client.get("/uplot.LICENSE").status_code == 404


def test_keys_are_listed_with_their_lives_and_no_value(client: httpx.Client, direct: "redis.Redis") -> None:
    direct.set("page:1", "secret", ex=60)
    direct.set(b"page:\xff", "secret", ex=60)
    found = client.get("/v1/live/keys?prefix=page:")
    assert "secret" not in found.text
    first, second = found.json()["keys"]
    assert (
        first["name"] == "page:1"
        and 55_000 < first["ttl_ms"] <= 60_000
        and first["bytes"] == 6
        and second["path"] == "page%3A%FF"
    )


def test_one_overview_is_made_for_all_who_watch(gateway: LiveGateway, node: LiveNode, direct: "redis.Redis") -> None:
    calls = direct.info("commandstats").get("cmdstat_respram|state", {}).get("calls", 0)
    with gateway.client() as client:
        streams = [client.stream("GET", "/v1/live") for _ in range(5)]
        lines = [stream.__enter__().iter_lines() for stream in streams]
        for one in lines:
            heard = 0
            for line in one:
                heard += line.startswith("data: ")
                if heard == 3:
                    break
        for stream in streams:
            stream.__exit__(None, None, None)
    made = direct.info("commandstats")["cmdstat_respram|state"]["calls"] - calls
    assert made < 10, "five pages for three seconds, and one look a second"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if NAME is None or not AXE.exists():
        assert not os.environ.get("RESPRAM_REQUIRE_ALL"), "the check installs chromium and axe-core"
        pytest.skip(
            "this needs chromium (Debian: apt install chromium) and axe-core (npm install --prefix build/axe axe-core)"
        )
    with browser() as made:
        yield made


@pytest.fixture(scope="module")
def busy() -> Iterator[LiveGateway]:
    """Two nodes with keys that come and go."""
    settings: dict[str, str] = {EVENTS[0].removeprefix("--").replace("-", "_"): EVENTS[1]}
    with (
        respram.Enclave(2, engine="pure", **settings) as nodes,
        serving(*(node.url for node in nodes)) as gateway,
        nodes[0].client() as client,
    ):
        for number, name in enumerate(HOSTILE):
            client.set(name, "<b>value</b>", ex=500 + number)
        ended = threading.Event()

        def write() -> None:
            number = 0
            while not ended.wait(0.02):
                number += 1
                client.set(f"job:{number % 40}", "x", px=200 + number % 7 * 9000)
                client.get(f"job:{number % 80}")

        thread = threading.Thread(target=write)
        thread.start()
        yield gateway
        ended.set()
        thread.join()


READY = "document.querySelector('#state') && document.querySelector('#state').dataset.state === 'ready'"


@pytest.mark.parametrize(("width", "height", "dark"), [(360, 640, False), (1280, 900, True), (3840, 2160, False)])
def test_it_is_readable_at_every_size_and_for_everybody(
    page: Page, busy: LiveGateway, width: int, height: int, dark: bool, tmp_path: Path
) -> None:
    page.open(busy.base + "/", width=width, height=height, dark=dark)
    page.until(READY)
    page.until("document.querySelectorAll('#receipts tr td').length >= 3")
    page.run("document.getElementById('ask').requestSubmit(); 0")
    page.until("document.querySelectorAll('#keys tr').length > 5")
    assert page.violations() == [] and page.complaints == []
    assert page.run("document.documentElement.scrollWidth") <= width, "nothing is cut off to the right"
    assert page.run("document.querySelectorAll('#enclave li').length") == 2
    assert "keys are forgotten" in page.run("document.getElementById('minute-summary').textContent")
    assert page.run("plots.rates.scales.x.max - plots.rates.scales.x.min") == 120, "seconds, however few there are"
    assert page.run("[...document.querySelectorAll('td[data-until]')].every((one) => { const text = document."
                    "createRange(); text.selectNodeContents(one); return text.getClientRects().length === 1; })")
    assert page.run("[...document.querySelectorAll('.scroll')].every((one) => one.scrollWidth <= one.clientWidth)")
    page.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_names_and_values_are_text_whatever_they_are(page: Page, busy: LiveGateway) -> None:
    page.open(busy.base + "/")
    page.until(READY)
    page.run("document.getElementById('prefix').value = '<'; document.getElementById('ask').requestSubmit(); 0")
    page.until("document.querySelectorAll('#keys tr').length === 2")
    page.run("document.querySelector('#keys button').click(); 0")
    page.until("document.querySelector('#keys td.value').textContent === '<b>value</b>'")
    assert (
        page.run("document.title") == "respram"
        and page.run("document.querySelectorAll('#keys b, #keys img, #keys script').length") == 0
    )
    assert page.complaints == []


def test_it_can_be_used_by_the_keyboard_alone(page: Page, busy: LiveGateway) -> None:
    page.open(busy.base + "/")
    page.until(READY)
    seen = []
    for _ in range(6):
        for kind in ("keyDown", "keyUp"):
            page.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        seen.append(
            page.run("document.activeElement.id || document.activeElement.className || document.activeElement.tagName")
        )
    assert seen[0] == "skip" and "prefix" in seen and "BUTTON" in seen


def test_it_says_so_when_the_gateway_is_gone(page: Page, node: LiveNode) -> None:
    with serving(f"redis://127.0.0.1:{node.port}") as gateway:
        page.open(gateway.base + "/")
        page.until(READY)
    page.until("document.querySelector('#state').dataset.state === 'gone'")
    page.complaints.clear()  # that the connection was refused
