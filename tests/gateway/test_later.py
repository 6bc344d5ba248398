"""A face that is imported when it is asked for: once, while others are served, and closed if it was made."""

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from respram.gateway.answers import Receive, Scope, Send
from respram.gateway.later import Later
from tests.live import SOON_S


class Face:
    made = 0

    def __init__(self) -> None:
        Face.made += 1
        self.asked: list[Any] = []
        self.closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])

    async def close(self) -> None:
        self.closed = True


async def nothing(*_: Any) -> Any:
    return None


def test_it_is_made_once_for_all_who_ask_and_the_loop_goes_on_meanwhile() -> None:
    Face.made = 0
    faces: list[Face] = []
    may = threading.Event()

    def make() -> Face:
        assert may.wait(SOON_S)
        faces.append(Face())
        return faces[0]

    async def main() -> None:
        later = Later(make, "json")
        asking = [asyncio.create_task(later({"path": number}, nothing, nothing)) for number in range(3)]
        for _ in range(10):
            await asyncio.sleep(0)
        asking[0].cancel()  # who gives up takes it from nobody else
        may.set()
        done = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError) and done[1:] == [None, None]
        await later({"path": 3}, nothing, nothing)
        assert faces[0].asked == [1, 2, 3] and Face.made == 1
        await later.close()
        assert faces[0].closed

    asyncio.run(main())


def test_one_that_nobody_asked_for_is_not_made_for_its_end() -> None:
    def make() -> Face:
        raise AssertionError("nobody asked")

    asyncio.run(Later(make, "json").close())


def test_what_is_not_installed_shows_at_the_start() -> None:
    with pytest.raises(ModuleNotFoundError) as raised:
        Later(Face, "no_such_module")
    assert raised.value.name == "no_such_module"


def test_a_gateway_that_no_agent_asks_has_not_imported_the_sdk() -> None:
    code = ("import sys; from respram.gateway import gateway; gateway('redis://127.0.0.1:1'); "
            "print(sorted({'mcp', 'pydantic'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=SOON_S)
    assert done.stdout == "[]\n"
