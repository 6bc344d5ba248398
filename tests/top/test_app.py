"""The terminal's view, drawn by Textual without a terminal: what is on the screen. Textual is imported by the tests
that draw: each process of a run collects every file."""

import asyncio
import html
import re
from typing import TYPE_CHECKING

import respram
from respram.gateway.target import read_url
from tests.ports import reserve

if TYPE_CHECKING:
    from respram.top.app import Top

NOW = {
    "state": "ready", "keys": 1234, "used_memory": 5, "clients": 6, "forgotten_values": 7, "stubs": 8,
    "refused_deletes": 9, "refused_others": 1,
    "late_by_ms": 0, "late_at_ms": 0, "writes": 10, "hits": 20, "misses": 30, "forgotten_bytes": 40, "at_ms": 1000,
    "minute": {"seconds": [1] * 60, "looked": 60, "keys": 60},
    "nodes": [
        {"address": "10.0.0.1:1", "state": "", "role": "root", "lag_ms": 0},
        {"address": "10.0.0.2:1", "state": "lagging", "role": "trunk", "lag_ms": 5},
    ],
}  # fmt: skip


def text_of(app: "Top") -> str:
    """The words of the picture that Textual makes of its screen."""
    return " ".join(
        html.unescape(one).replace("\xa0", " ") for one in re.findall(r">([^<>]+)</text>", app.export_screenshot())
    )


def test_the_numbers_are_one_line() -> None:
    from respram.top.app import numbers_of

    assert numbers_of(NOW).startswith("state ready   keys 1,234   memory 5") and "refused 10" in numbers_of(NOW)
    assert numbers_of({**NOW, "late_by_ms": 5}).endswith("last late one by 5 ms")


def test_the_screen_shows_an_enclave_and_what_passes() -> None:
    from respram.top.app import Top

    async def main() -> None:
        app = Top([read_url(f"redis://127.0.0.1:{reserve()}")])
        async with app.run_test(size=(140, 45)) as pilot:
            await pilot.press("p")
            app.show(NOW)
            app.show({**NOW, "at_ms": 2000, "writes": 60, "forgotten_values": 10, "forgotten_bytes": 99})
            await pilot.pause()
            text = text_of(app)
            assert "keys 1,234" in text and "60 of 60 keys; 10 in ten seconds" in text and "50 a second" in text
            assert (
                "10.0.0.2:1" in text and "lagging" in text and "5 ms" in text and "bytes wiped" in text and "59" in text
            )
            assert "paused" in text

    asyncio.run(main())


def test_it_watches_a_real_node_and_says_when_that_is_gone() -> None:
    from respram.top.app import Top

    async def main() -> None:
        async with respram.AsyncServer(engine="pure") as server:
            app = Top([read_url(server.url)])
            async with app.run_test(size=(140, 45)) as pilot:
                for _ in range(100):
                    await pilot.pause(0.1)
                    if "state ready" in text_of(app):
                        break
                assert "state ready" in text_of(app)
                await server.stop()
                for _ in range(100):
                    await pilot.pause(0.1)
                    if "no node answers" in text_of(app):
                        break
                assert "no node answers" in text_of(app)
                await pilot.press("q")

    asyncio.run(main())
