"""The native pump while it stays: turns of its own that hold up nothing of the loop's."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
import uvloop

from respram.server.pump import EVENTS_MAX
from tests.engine.conftest import PURE_ONLY
from tests.engine.rig import request
from tests.live import SOON_S
from tests.server.test_pump import Bench, Seen


@pytest.fixture
def staying() -> Iterator[Bench]:
    """The native pump under uvloop, whose descriptor it can wait for."""
    if PURE_ONLY:
        pytest.skip("RESPRAM_PURE_ONLY is set")
    loop = uvloop.new_event_loop()
    bench = Bench("native", loop)
    yield bench
    bench.pump.close()
    for sock in bench.open:
        sock.close()
    loop.close()


class Busy:
    """A client in a thread that asks again as soon as it has its answer."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ends = threading.Event()
        self.answers = 0
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.ends.is_set():
            question = b"%09d" % self.answers
            self.sock.sendall(request(b"ECHO", question))
            assert self.sock.recv(100) == b"$9\r\n%b\r\n" % question
            self.answers += 1

    def __enter__(self) -> "Busy":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.set()
        if self.thread.is_alive():  # the test has failed, nobody answers any more
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(SOON_S)


def test_the_loop_has_its_turn_while_the_pump_stays(staying: Bench) -> None:
    theirs, client = staying.connect()
    one, other = socket.socketpair()
    one.setblocking(False)
    staying.open += [one, other]
    loop, pump = staying.loop, staying.pump
    arrived: list[bytes] = []
    loop.add_reader(one, lambda: arrived.append(one.recv(10)))

    async def watch(busy: Busy) -> None:
        number = -1
        while number < 60 or pump.stays < 6:  # on a slow machine stays are short, and short ones are rare
            number += 1
            await asyncio.sleep(0.005)  # a timer of the loop
            other.send(b"x")  # a descriptor of the loop
            for _ in range(200):
                if len(arrived) > number:
                    break
                await asyncio.sleep(0)
            assert len(arrived) == number + 1
            assert await loop.run_in_executor(None, int, number) == number  # a thread that reports
        busy.ends.set()

    with Busy(theirs) as busy:
        loop.run_until_complete(asyncio.wait_for(watch(busy), SOON_S))
        answers = busy.answers
        staying.turn(lambda: not busy.thread.is_alive())
    assert answers > 200
    assert client.calls == []
    loop.remove_reader(one)


def test_a_stay_ends_with_the_commands(staying: Bench) -> None:
    """Whatever ends it, the loop watches the pump again: for what comes first, and what comes after a rest."""
    theirs, client = staying.connect()
    for rest_s in (0.0, 0.001, 0.01):
        with Busy(theirs) as busy:
            wanted = staying.pump.stays + 3
            staying.turn(lambda wanted=wanted: staying.pump.stays >= wanted)  # type: ignore[misc]
            busy.ends.set()
            staying.turn(lambda busy=busy: not busy.thread.is_alive())  # type: ignore[misc]
        staying.loop.run_until_complete(asyncio.sleep(rest_s))
    stays = staying.pump.stays
    staying.loop.run_until_complete(asyncio.sleep(0.02))
    assert staying.pump.stays == stays
    assert staying.exchange(theirs, request(b"PING"), 7) == b"+PONG\r\n" and client.calls == []


def test_what_is_not_plain_ends_a_stay_before_it_is_answered(staying: Bench) -> None:
    theirs, _ = staying.connect()
    other, asking = staying.connect()
    with Busy(theirs) as busy:
        staying.turn(lambda: staying.pump.stays > 2)
        assert staying.exchange(other, request(b"RENAME", b"a", b"b"), 7) == b"+cold\r\n"
        staying.cold.closing = b"QUIT"
        other.sendall(request(b"QUIT"))
        staying.turn(lambda: asking.calls == ["unusual"])
        other.close()
        staying.turn(lambda: "lost" in asking.calls)
        staying.pump.unwatch(asking)  # type: ignore[arg-type]
        busy.ends.set()
        staying.turn(lambda: not busy.thread.is_alive())


CROWD = EVENTS_MAX + 20
BATCHES = 40


def test_more_ready_clients_than_one_turn_serves_are_no_stay(staying: Bench) -> None:
    """Where a turn is full, the loop's own descriptor may be among those that had no place in it."""
    clients, others = [], []
    for _ in range(CROWD):
        # a read takes one packet, however many wait
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        staying.open += [ours, theirs]
        session = staying.engine.session(staying.cold)
        session.hot = session.trusted = True
        for _ in range(BATCHES):
            theirs.sendall(request(b"PING"))
        clients.append(Seen(ours, session))
        others.append(theirs)
    for client in clients:
        staying.pump.watch(client)  # type: ignore[arg-type]
    staying.turn(lambda: staying.pump.output_bytes >= CROWD * BATCHES * 7 // 8)
    stays = staying.pump.stays
    # A turn that was held up ends early. Then some may have been served more often than the rest, up to their last.
    assert stays == 0 or any(pongs(theirs) == BATCHES for theirs in others)
    staying.turn(lambda: staying.pump.output_bytes == CROWD * BATCHES * 7)


def pongs(theirs: socket.socket) -> int:
    """How many answers have come."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while theirs.recv(4096):
            count += 1
    return count


def test_a_bug_in_the_midst_of_a_stay_leaves_the_pump_watched(staying: Bench) -> None:
    theirs, client = staying.connect()
    reports: list[object] = []
    staying.loop.set_exception_handler(lambda loop, context: reports.append(context["exception"]))

    def broken() -> bool:
        if staying.pump.stays > len(reports) and len(reports) < 3:
            raise ZeroDivisionError
        return False

    staying.pump.after = broken
    with Busy(theirs) as busy:
        staying.turn(lambda: staying.pump.stays > 5)
        busy.ends.set()
        staying.turn(lambda: not busy.thread.is_alive())
    assert [type(one) for one in reports] == [ZeroDivisionError] * 3
    assert client.calls == []


class Elsewhere(uvloop.Loop):
    """A loop whose descriptor the kernel does not take."""

    def _get_backend_id(self) -> int:
        return 1 << 20


def test_a_loop_that_cannot_be_watched_gets_no_stays_and_all_else() -> None:
    if PURE_ONLY:
        pytest.skip("RESPRAM_PURE_ONLY is set")
    loop = Elsewhere()
    bench = Bench("native", loop)
    theirs, client = bench.connect()
    with Busy(theirs) as busy:
        bench.turn(lambda: busy.answers > 200)
        busy.ends.set()
        bench.turn(lambda: not busy.thread.is_alive())
    assert bench.pump.stays == 0 and client.calls == []
    bench.pump.close()
    for sock in bench.open:
        sock.close()
    loop.close()
