"""Connections to peers between the replica, which asks for them, and sockets: who is dialled, who is let in."""

import asyncio
import socket

import pytest

from respram.replica import Output
from respram.server import door, links
from respram.server.door import BARE_MAX, STRANGERS_MAX
from respram.server.links import AGAIN_MAX, now
from respram.server.peer import CROWDED, LOST
from respram.server.secret import Trust, trust_by_secret
from tests.live import SOON_S
from tests.ports import reserve
from tests.secrets import secret_of
from tests.server.nodes import parties, run, start_party, until


@pytest.fixture(scope="module")
def trust() -> Trust:
    return trust_by_secret((secret_of("links"),))


def start_silent() -> socket.socket:
    """Somebody who lets everybody in and says nothing."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def test_who_is_not_there_is_told_once() -> None:
    async def main() -> None:
        gone, port = reserve(), reserve()
        one = await start_party(1, port, (port, gone))
        await until(lambda: [line for line in one.lines if "event=unreached" in line])
        one.driver.carry(one.driver.replica.set_roots([b"127.0.0.1:%d" % gone], now()))
        for _ in range(3):
            await one.driver.links._dial(b"127.0.0.1:%d" % gone)
        await one.driver.links._dial(b"nonsense")
        unreached = [line for line in one.lines if "event=unreached" in line]
        assert len(unreached) == 2 and str(gone) in unreached[0] and "nonsense" in unreached[1]
        assert not one.driver.links.table, "a dial that failed leaves nothing behind"
        await one.driver.stop()

    run(main)


@pytest.mark.parametrize("secret", [True, False])
def test_a_dial_whose_time_is_up_in_the_moment_it_succeeds_leaves_no_link(
    trust: Trust, secret: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that stood still for as long: the connection is made, and then the task hears that its time is up."""

    async def main() -> None:
        async with parties(1, trust if secret else None) as (one,):
            loop, broken = asyncio.get_running_loop(), list[dict[str, object]]()
            loop.set_exception_handler(lambda _, context: broken.append(context))
            connect = loop.create_connection

            async def late(*args: object, **more: object) -> None:
                transport, _ = await connect(*args, **more)  # type: ignore[call-overload]
                transport.set_protocol(asyncio.Protocol())
                transport.abort()
                raise TimeoutError

            gone = start_silent()
            monkeypatch.setattr(one.driver.links.loop, "create_connection", late, raising=False)
            await one.driver.links._dial(b"127.0.0.1:%d" % gone.getsockname()[1])
            await asyncio.sleep(0.3)
            gone.close()
            assert not one.driver.links.table and not one.driver.replica.core.neighbours.links
            assert not broken, broken

    run(main)


@pytest.mark.parametrize("forgetful", [True, False])
def test_a_node_that_was_given_no_secret_hears_of_it_and_so_does_one_that_meets_it(
    trust: Trust, forgetful: bool
) -> None:
    async def main() -> None:
        async with parties(1, trust if forgetful else None) as (one,):
            late = await start_party(9, reserve(), (one.port,), None if forgetful else trust)
            await until(
                lambda: [line for line in late.lines if f"event=unreached address=127.0.0.1:{one.port} " in line]
            )
            [line] = [line for line in late.lines if "event=unreached" in line]
            assert ("a node with a cluster secret" if forgetful else "a node without a cluster secret") in line
            assert not late.driver.replica.core.neighbours.greeted()
            await late.driver.stop()

    run(main)


def test_strangers_make_room_for_each_other_and_peers_stay() -> None:
    async def main() -> None:
        async with parties(2) as (one, _):
            writers = []
            for _ in range(BARE_MAX + 10):
                reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
                writers.append((reader, writer))
            await until(lambda: one.driver.links.faults[CROWDED] >= 10)
            assert len(one.driver.links.table) <= 2, "who has said nothing has no link"
            for _, writer in writers:
                writer.write(b"*1")  # and no more
            await until(lambda: len(one.driver.links.strangers) == STRANGERS_MAX)
            await until(lambda: len(one.driver.links.table) <= STRANGERS_MAX + 2)
            assert len(one.driver.replica.core.neighbours.greeted()) == 1
            for _, writer in writers:
                writer.close()

    run(main)


def test_who_knows_the_secret_begins_its_handshake_before_strangers(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "TURNS_MAX", 0)
    monkeypatch.setattr(door, "STRANGERS_PER_S", 1e-3)

    async def main() -> None:
        async with parties(1, trust) as (one,):
            one.driver.links.door.turns = 0
            _, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(b"\x16\x03\x01\x00\x03abc")
            await until(lambda: len(one.driver.links.door.waiting) == 1)
            late = await start_party(2, reserve(), (one.port,), trust)
            await until(lambda: late.driver.replica.core.neighbours.greeted())
            assert len(one.driver.links.door.waiting) == 1
            await late.driver.stop()
            writer.close()

    run(main)


def test_a_dial_that_is_closed_before_a_word_is_made_again_soon_and_not_for_ever(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "AGAIN_S", 0.001)
    count = 0

    async def main() -> None:
        def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            writer.transport.abort()

        async with parties(1, trust) as (one,):
            server = await asyncio.start_server(came, "127.0.0.1", 0)
            failed = list[bytes]()

            def dial_failed(address: bytes, *_: object) -> list[Output]:
                failed.append(address)
                return []

            monkeypatch.setattr(one.driver.links.replica, "dial_failed", dial_failed)
            address = b"127.0.0.1:%d" % server.sockets[0].getsockname()[1]
            one.driver.links.unreached[address] = None  # nobody looks for what else answers there
            await one.driver.links._dial(address)
            await until(lambda: failed)
            assert count == 1 + AGAIN_MAX and failed == [address] and not one.driver.links.again
            server.close()

    run(main)


def test_an_orderly_stop_is_noticed_at_once_and_a_silent_end_soon() -> None:
    async def main() -> None:
        async with parties(3) as (one, two, three):
            await one.driver.stop()
            await until(lambda: any("event=left" in line for line in two.lines), 2)
            for link in tuple(three.driver.links.table.values()):
                link.abort(LOST)
            await until(lambda: not [link for link in two.driver.links.table.values() if link.closing])
            await until(lambda: len(two.driver.replica.core.neighbours.greeted()) == 1)

    run(main)


def test_who_stops_hangs_up_behind_its_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that writes to a closed link loses what it has not read yet: the last answers, and the goodbye."""
    for bound in ("HEARD_S", "FAREWELL_S"):  # a busy machine takes longer than a stop may
        monkeypatch.setattr(links, bound, SOON_S)

    async def main() -> None:
        async with parties(2) as (one, two):
            # Both dial at the same time, and one of the two links goes.
            await until(lambda: len(one.driver.links.table) == len(two.driver.links.table) == 1)
            (theirs,) = two.driver.links.table.values()
            kept: list[bytes] = []
            read, theirs.data_received = theirs.data_received, kept.append  # type: ignore[method-assign,assignment]
            one.driver.deafen()
            stopping = asyncio.ensure_future(one.driver.stop())
            await until(lambda: bool(kept))
            theirs.write(b"what crosses the goodbye")
            await asyncio.sleep(0.05)
            assert not theirs.closing, "it was refused"
            for piece in kept:
                read(piece)
            theirs.data_received = read  # type: ignore[method-assign]
            await until(lambda: any("event=left" in line for line in two.lines))
            await stopping

    run(main)
