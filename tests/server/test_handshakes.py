"""Steps of handshakes: one at a time, none for who is gone, and nothing is left of those that failed."""

import asyncio
import contextlib
import gc
import threading
import weakref

import pytest

from respram.server.handshakes import Handshakes
from respram.server.peer import GARBAGE, SILENT, PeerConnection
from respram.server.secret import Trust
from tests.live import SOON_S
from tests.server.test_peer import UNSENT_BYTES_MAX, Owner, Run, ours, run, until  # noqa: F401 - fixtures


def test_who_is_gone_by_its_turn_costs_nothing(run: Run) -> None:  # noqa: F811
    async def main() -> None:
        handshakes, held, ran, told = Handshakes(), threading.Event(), list[int](), list[int]()

        def step(number: int) -> None:
            held.wait(SOON_S)
            ran.append(number)

        for number in range(100):
            handshakes.run(number, lambda one=number: step(one), lambda _, one=number: told.append(one))  # type: ignore[misc]
        assert len(handshakes.waiting) == 99, "one runs, and the others wait where they can be taken back"
        for number in range(99):
            handshakes.drop(number)
        assert list(handshakes.waiting) == [99]
        held.set()
        await until(lambda: len(told) == 2)
        assert ran == told == [0, 99] and not handshakes.waiting and not handshakes.is_running
        handshakes.close()

    run(main)


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x00\x05" + b"x" * 400, b"\x16\x03"])
def test_a_link_that_failed_goes_at_once_and_not_when_garbage_is_collected(
    run: Run, ours: Trust, noise: bytes  # noqa: F811
) -> None:
    """A node collects seldom: 2,000 failed handshakes a second took half a GiB, and a pause of 0.25 s to collect."""
    async def main() -> None:
        loop, owner, handshakes = asyncio.get_running_loop(), Owner(), Handshakes()
        links: list[weakref.ref[PeerConnection]] = []

        def accepted() -> PeerConnection:
            link = PeerConnection(len(links) + 1, b"", ours.accepting, UNSENT_BYTES_MAX, owner, handshakes)
            links.append(weakref.ref(link))
            return link

        server = await loop.create_server(accepted, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for number in range(1, 21):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(noise)
            if len(noise) > 100:
                with contextlib.suppress(ConnectionResetError):
                    assert await asyncio.wait_for(reader.read(), SOON_S) == b""
            else:
                await until(lambda count=number: len(links) == count)  # type: ignore[misc]
                found = links[-1]()
                assert found is not None
                await until(lambda link=found: link.received_bytes and not handshakes.is_running)  # type: ignore[misc]
                found.abort(SILENT)
                del found
            writer.close()
        await until(lambda: len(owner.ended) == 20)
        assert set(owner.ended.values()) == {GARBAGE if len(noise) > 100 else SILENT}
        del reader, writer
        server.close()
        await asyncio.sleep(0.01)
        assert sum(one() is not None for one in links) <= 1, "they wait for the collector"
        handshakes.close()

    gc.collect()
    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()
