"""The peer port's door: who makes room for whom, what costs nothing, and who is let in."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random

import pytest

from respram.server import door as door_module
from respram.server.door import ACCEPTS_MAX, BARE_MAX, FIRST_BYTES_MAX, TURNS_MAX, WAITING_MAX, Door, Places, network_of
from respram.server.peer import CROWDED, GARBAGE, LOST, SILENT
from tests.server.nodes import until


# -- places -----------------------------------------------------------------------------------------
def test_there_is_room_until_there_is_none_and_then_anybody_may_have_to_go() -> None:
    places = Places(8, Random(1).randrange)
    for number in range(8):
        assert places.rival_of(f"10.0.0.{number}") is None
        places.add(number, f"10.0.0.{number}")
    assert {places.rival_of("10.0.1.1") for _ in range(200)} == set(range(8))
    places.remove(3)
    places.remove(3)
    assert len(places) == 7 and 3 not in places and places.rival_of("10.0.1.1") is None


def test_one_address_pushes_out_only_itself() -> None:
    places = Places(16, Random(1).randrange)
    for number in range(4):
        assert places.has_share_of("10.0.0.9") and places.rival_of("10.0.0.9") is None
        places.add(number, "10.0.0.9")
    places.add("other", "10.0.0.1")
    assert {places.rival_of("10.0.0.9") for _ in range(100)} == {0, 1, 2, 3} and not places.has_share_of("10.0.0.9")
    for number in range(4):
        places.add(("six", number), f"fd00::{number:x}:1")
    assert network_of("fd00::1%eth0") == network_of("fd00::2:1") != network_of("fd00:0:0:1::1")
    assert {places.rival_of("fd00::77") for _ in range(100)} == {("six", number) for number in range(4)}
    assert network_of("not:an:address") == "not:an:address"


def test_those_who_are_favoured_keep_their_places_and_are_not_counted() -> None:
    places = Places(8, Random(1).randrange)
    for number in range(7):
        assert places.rival_of("10.0.0.1", is_favoured=True) is None
        places.add(number, "10.0.0.1", is_favoured=True)
    assert places.rival_of("10.0.0.1") is None, "they do not use up the share of others at their address"
    places.add("stranger", "10.0.0.1")
    assert {places.rival_of("10.0.0.3") for _ in range(100)} == {"stranger"}
    assert {places.rival_of("10.0.0.1", is_favoured=True) for _ in range(100)} == {"stranger"}
    places.remove("stranger")
    places.add(7, "10.0.0.1", is_favoured=True)
    assert places.rival_of("10.0.0.3") in range(8), "where all are favoured, one of them"
    for number in range(8):
        places.remove(number)
    assert not places.held and not places.favoured and not places.of_network


def test_a_turn_is_drawn_by_address_first() -> None:
    places = Places(64, Random(1).randrange)
    for number in range(15):
        places.add(number, "10.0.0.1")
    places.add("alone", "10.0.0.2")
    drawn = Counter(places.next() for _ in range(1000))
    assert set(drawn) == {*range(15), "alone"} and 400 < drawn["alone"] < 600


# -- the door ---------------------------------------------------------------------------------------
NOBODY, KNOCK = b"\x16\x03\x01\x00\x06hello.", b"\x16\x03\x01\x00\x06knock."


class Port:
    def __init__(self, tls: bool) -> None:
        self.came: list[bytes] = []
        self.away: Counter[str] = Counter()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.at = listener.getsockname()
        self.door = Door(
            asyncio.get_running_loop(), lambda: tls, lambda address: False, lambda first: b"knock" in first,
            self._let_in, self._turned_away,
        )  # fmt: skip
        self.door.open([listener])

    def _let_in(self, sock: socket.socket, address: str, first: bytes, has_knocked: bool) -> None:
        assert has_knocked == (b"knock" in first) or not self.door.is_tls()
        self.came.append(first)
        sock.close()

    def _turned_away(self, reason: str) -> None:
        self.away[reason] += 1

    def knock(self, word: bytes = b"", address: str = "127.0.0.1") -> socket.socket:
        sock = socket.create_connection(self.at, source_address=(address, 0))
        sock.sendall(word)
        return sock


def run(test: Callable[[Port], Coroutine[object, object, None]], tls: bool = True) -> None:
    async def main() -> None:
        port = Port(tls)
        try:
            await test(port)
        finally:
            port.door.close()
        assert not port.door.came_s and not len(port.door.bare) and not port.door.heard
        assert not port.door.address and not len(port.door.waiting)

    asyncio.run(main())


def test_whoever_has_something_to_say_is_let_in_with_it_at_once_or_later_whole_or_in_pieces() -> None:
    async def test(port: Port) -> None:
        first = port.knock(KNOCK)
        await until(lambda: port.came == [KNOCK])
        later = port.knock()
        await until(lambda: len(port.door.bare) == 1)
        for number, byte in enumerate(KNOCK):
            assert len(port.came) == 1
            later.sendall(bytes((byte,)))
            read = [number + 1] if number + 1 < len(KNOCK) else []
            await until(lambda read=read: [*map(len, port.door.heard.values())] == read)  # type: ignore[misc]
        await until(lambda: port.came[1:] == [KNOCK])
        more = port.knock(KNOCK + b"more")
        await until(lambda: port.came[2:] == [KNOCK + b"more"])
        assert not port.away and not len(port.door.bare)
        for sock in (first, later, more):
            sock.close()

    run(test)


def test_what_is_no_tls_goes_without_a_link_and_so_does_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "SILENT_S", 0.05)
    monkeypatch.setattr(door_module, "LOOK_S", 0.01)

    async def test(port: Port) -> None:
        too_long = b"\x16\x03\x01" + (FIRST_BYTES_MAX - 4).to_bytes(2, "big")
        some = [port.knock(word) for word in (b"GET / HTTP/1.1\r\n\r\n", b"", b"", too_long, KNOCK[:-1])]
        some[2].close()
        await until(lambda: port.away == {GARBAGE: 2, SILENT: 2, LOST: 1})
        assert not port.came
        for sock in some:
            sock.close()

    run(test)


def test_where_nobody_has_to_prove_anything_any_word_will_do() -> None:
    async def test(port: Port) -> None:
        with contextlib.closing(port.knock(b"*2\r\n")):
            await until(lambda: port.came == [b"*2\r\n"])

    run(test, tls=False)


def test_a_crowd_that_says_nothing_is_bounded_and_keeps_nobody_out() -> None:
    async def test(port: Port) -> None:
        crowd = [port.knock(KNOCK[: number % 3], f"127.0.{number % 8}.2") for number in range(BARE_MAX + 100)]
        await until(lambda: sum(port.away.values()) >= 100)
        assert len(port.door.bare) <= BARE_MAX and port.away[CROWDED] >= 100 and BARE_MAX > ACCEPTS_MAX
        with contextlib.closing(port.knock(KNOCK)):
            await until(lambda: port.came == [KNOCK])
        for sock in crowd:
            sock.close()

    run(test)


def test_who_has_not_knocked_has_to_wait_and_nobody_else_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "STRANGERS_PER_S", 1e-3)

    async def test(port: Port) -> None:
        crowd = [port.knock(NOBODY, f"127.0.{number % 8}.2") for number in range(TURNS_MAX + WAITING_MAX + 100)]
        await until(lambda: port.away[CROWDED] == 100)
        assert port.came == [NOBODY] * TURNS_MAX and len(port.door.waiting) == WAITING_MAX
        with contextlib.closing(port.knock(KNOCK, "127.0.1.2")):
            await until(lambda: KNOCK in port.came)
        assert len(port.came) == TURNS_MAX + 1 and len(port.door.waiting) == WAITING_MAX
        assert len(port.door.heard) == WAITING_MAX
        port.door._give_turn()
        assert port.came[TURNS_MAX + 1 :] == [NOBODY] and len(port.door.waiting) == WAITING_MAX - 1
        for sock in crowd:
            sock.close()

    run(test)


def test_one_after_the_other_gets_a_turn_without_a_knock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "STRANGERS_PER_S", 1000)

    async def test(port: Port) -> None:
        crowd = [port.knock(NOBODY, f"127.0.{number % 8}.2") for number in range(TURNS_MAX + WAITING_MAX)]
        await until(lambda: len(port.came) == TURNS_MAX + WAITING_MAX)
        assert not port.away
        for sock in crowd:
            sock.close()

    run(test)
