"""The peer port's door: who makes room for whom, what costs nothing, and who is let in."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random

import pytest

from respram.server import door as door_module
from respram.server.door import ACCEPTS_MAX, BARE_MAX, Door, Places, network_of
from respram.server.peer import CROWDED, GARBAGE, LOST, SILENT
from tests.server.nodes import until


def nobody(host: str) -> bool:
    return False


# -- places -----------------------------------------------------------------------------------------
def test_there_is_room_until_there_is_none_and_then_anybody_may_have_to_go() -> None:
    places = Places(8, Random(1).randrange)
    for number in range(8):
        assert places.rival_of(f"10.0.0.{number}", nobody) is None
        places.add(number, f"10.0.0.{number}")
    assert {places.rival_of("10.0.1.1", nobody) for _ in range(200)} == set(range(8))
    places.remove(3)
    places.remove(3)
    assert len(places) == 7 and 3 not in places and places.rival_of("10.0.1.1", nobody) is None


def test_those_that_have_not_begun_go_first() -> None:
    begun = {2, 5}
    places = Places(8, Random(1).randrange, lambda one: one in begun)
    for number in range(8):
        places.add(number, f"10.0.0.{number}")
    assert {places.rival_of("10.0.1.1", nobody) for _ in range(200)} == {0, 1, 3, 4, 6, 7}
    begun |= set(range(8))
    assert {places.rival_of("10.0.1.1", nobody) for _ in range(200)} == set(range(8))


def test_one_address_pushes_out_only_itself() -> None:
    places = Places(16, Random(1).randrange)
    for number in range(4):
        assert places.rival_of("10.0.0.9", nobody) is None
        places.add(number, "10.0.0.9")
    places.add("other", "10.0.0.1")
    assert {places.rival_of("10.0.0.9", nobody) for _ in range(100)} == {0, 1, 2, 3}
    for number in range(4):
        places.add(("six", number), f"fd00::{number:x}:1")
    assert network_of("fd00::1%eth0") == network_of("fd00::2:1") != network_of("fd00:0:0:1::1")
    assert {places.rival_of("fd00::77", nobody) for _ in range(100)} == {("six", number) for number in range(4)}
    assert network_of("not:an:address") == "not:an:address"


def test_those_who_are_known_keep_their_places_and_are_not_counted() -> None:
    places = Places(8, Random(1).randrange)
    known = {"10.0.0.1"}.__contains__
    for number in range(7):
        assert places.rival_of("10.0.0.1", known) is None
        places.add(number, "10.0.0.1")
    places.add("stranger", "10.0.0.2")
    assert {places.rival_of("10.0.0.3", known) for _ in range(100)} == {"stranger"}
    places.remove("stranger")
    places.add(7, "10.0.0.1")
    assert places.rival_of("10.0.0.3", known) in range(8), "where all are known, one of them"


# -- the door ---------------------------------------------------------------------------------------
class Port:
    def __init__(self, tls: bool) -> None:
        self.came: list[bytes] = []
        self.away: Counter[str] = Counter()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.at = listener.getsockname()
        self.door = Door(asyncio.get_running_loop(), lambda: tls, nobody, self._let_in, self._turned_away)
        self.door.open([listener])

    def _let_in(self, sock: socket.socket, address: str) -> None:
        self.came.append(sock.recv(100))
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
        assert not port.door.came_s and not len(port.door.bare)

    asyncio.run(main())


def test_whoever_has_something_to_say_is_let_in_with_it_at_once_or_later() -> None:
    async def test(port: Port) -> None:
        first = port.knock(b"\x16hello")
        await until(lambda: port.came == [b"\x16hello"])
        later = port.knock()
        await until(lambda: len(port.door.bare) == 1)
        later.sendall(b"\x16later")
        await until(lambda: port.came[1:] == [b"\x16later"])
        assert not port.away and not len(port.door.bare)
        first.close()
        later.close()

    run(test)


def test_what_is_no_tls_goes_without_a_link_and_so_does_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "SILENT_S", 0.05)
    monkeypatch.setattr(door_module, "LOOK_S", 0.01)

    async def test(port: Port) -> None:
        some = [port.knock(b"GET / HTTP/1.1\r\n\r\n"), port.knock(), port.knock()]
        some[2].close()
        await until(lambda: port.away == {GARBAGE: 1, SILENT: 1, LOST: 1})
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
        crowd = [port.knock(address=f"127.0.{number % 8}.2") for number in range(BARE_MAX + 100)]
        await until(lambda: sum(port.away.values()) >= 100)
        assert len(port.door.bare) <= BARE_MAX and port.away[CROWDED] >= 100 and BARE_MAX > ACCEPTS_MAX
        with contextlib.closing(port.knock(b"\x16honest")):
            await until(lambda: port.came == [b"\x16honest"])
        for sock in crowd:
            sock.close()

    run(test)
