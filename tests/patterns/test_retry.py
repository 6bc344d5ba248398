"""Pauses between attempts, and which errors earn one."""

import socket
import threading
import time

import pytest

from respram.patterns import Retry, StoreAway, TimedOut
from tests.patterns.conftest import World
from tests.ports import reserve


def test_pauses_grow_to_their_bound_and_are_jittered(world: World) -> None:
    assert list(Retry(world.client, 6, 1.0, 5.0, chance=lambda: 1.0).pauses_s()) == [1, 2, 4, 5, 5]
    assert list(Retry(world.client, 3, 1.0, chance=lambda: 0.25).pauses_s()) == [0.25, 0.5]
    drawn = {tuple(Retry(world.client).pauses_s()) for _ in range(20)}
    assert len(drawn) == 20 and all(0 <= pause <= 2**at for pauses in drawn for at, pause in enumerate(pauses))


@pytest.mark.parametrize("error", [StoreAway, TimedOut])
def test_a_call_is_repeated_until_it_works(world: World, error: type[Exception]) -> None:
    calls: list[str] = []

    def shaky(word: str) -> int:
        calls.append(word)
        if len(calls) < 3:
            raise error
        return len(calls)

    begun = time.monotonic()
    assert world(Retry(world.client, 3, 0.02, chance=lambda: 1.0).call(shaky, "x")) == 3 and calls == ["x"] * 3
    assert time.monotonic() - begun >= 0.06


def test_the_last_error_is_raised_and_others_at_once(world: World) -> None:
    calls: list[int] = []

    def fail(error: Exception) -> None:
        calls.append(1)
        raise error

    with pytest.raises(StoreAway):
        world(Retry(world.client, 4, 0.001).call(fail, StoreAway()))
    assert len(calls) == 4
    with pytest.raises(ValueError, match="ours"):
        world(Retry(world.client, 4, 0.001).call(fail, ValueError("ours")))
    assert len(calls) == 5


def test_connecting_waits_for_a_node_and_gives_up_in_the_end(world: World) -> None:
    world(Retry(world.client, 1).connect())
    with pytest.raises(StoreAway):
        world(Retry(world.another(port=reserve()), 3, 0.001).connect())


def test_a_node_that_comes_back_meanwhile_is_connected_to(world: World) -> None:
    port = reserve()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def back() -> float:
            # Called before the first pause: by then one attempt has failed.
            listener.bind(("127.0.0.1", port))
            listener.listen()
            threading.Thread(target=answer, args=(listener,), daemon=True).start()
            return 1.0

        world(Retry(world.another(port=port, protocol=2), 2, 0.02, chance=back).connect())


def answer(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(1000):
            connection.sendall(b"+OK\r\n" * data.count(b"CLIENT\r\n") + b"+PONG\r\n" * data.count(b"PING\r\n"))
