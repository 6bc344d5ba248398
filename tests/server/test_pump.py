"""Both pumps, without a node: plain reads, replies that wait, sessions that end, clients that vanish."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from respram.engine import make
from respram.engine.api import Engine, Session
from respram.server.pump import READ_BYTES, PortablePump, make_pump
from tests.engine.conftest import PURE_ONLY
from tests.engine.rig import SETTINGS, Cold, request
from tests.live import SOON_S


class Conn:
    last_active_ms = 0


class Seen:
    """A client that notes what the pump asks of it."""

    def __init__(self, sock: socket.socket, session: Session) -> None:
        self.sock = sock
        self.session = session
        self.conn = Conn()
        self.out_bytes = 0
        self.last_read = False
        self.kept = b""
        self.stays = False  # watched, while its batch waits
        self.calls: list[str] = []

    def send(self, data: bytes | memoryview) -> None:
        """What the kernel takes, and keeps the rest, as the real one does."""
        sent = 0
        if not self.kept:
            with contextlib.suppress(BlockingIOError):
                sent = self.sock.send(data)
        self.kept += bytes(data[sent:])

    def unusual(self) -> bool:
        self.calls.append("unusual")
        return self.stays

    def crowd(self) -> None:
        self.calls.append("crowd")

    def lost(self) -> None:
        self.calls.append("lost")


class Bench:
    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.engine: Engine = make(name, SETTINGS)
        self.pump = make_pump(self.engine, loop)
        self.cold = Cold()
        self.open: list[socket.socket] = []

    def connect(self) -> tuple[socket.socket, Seen]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.settimeout(SOON_S)
        self.open += [ours, theirs]
        session = self.engine.session(self.cold)
        session.hot = session.trusted = True
        client = Seen(ours, session)
        self.pump.watch(client)  # type: ignore[arg-type]
        return theirs, client

    def turn(self, until: Callable[[], bool]) -> None:
        async def wait() -> None:
            for _ in range(int(SOON_S / 0.002)):
                if until():
                    return
                await asyncio.sleep(0.002)
            raise AssertionError("it never happened")

        self.loop.run_until_complete(wait())

    def exchange(self, theirs: socket.socket, data: bytes, size: int) -> bytes:
        if data:
            theirs.sendall(data)
        theirs.setblocking(False)
        got = bytearray()

        def arrived() -> bool:
            with contextlib.suppress(BlockingIOError):
                got.extend(theirs.recv(1 << 20))
            return len(got) >= size

        self.turn(arrived)
        return bytes(got)


@pytest.fixture(params=["pure", "native"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "native" and PURE_ONLY:
        pytest.skip("RESPRAM_PURE_ONLY is set")
    loop = asyncio.new_event_loop()
    bench = Bench(request.param, loop)
    yield bench
    bench.pump.close()
    for sock in bench.open:
        sock.close()
    loop.close()


def test_each_engine_has_its_pump(bench: Bench) -> None:
    assert bench.pump.name == {"pure": "portable", "native": "native"}[bench.engine.name]


def test_a_read_is_answered_and_counted(bench: Bench) -> None:
    theirs, client = bench.connect()
    batch = request(b"SET", b"a", b"1") + request(b"RENAME", b"a", b"2") + request(b"GET", b"a")
    reply = b"+OK\r\n+cold\r\n$1\r\n1\r\n"
    assert bench.exchange(theirs, batch, len(reply)) == reply
    assert bench.pump.take_counts() == (len(batch), len(reply))
    assert bench.pump.take_counts() == (0, 0)
    bench.pump.sent(5)
    assert bench.pump.take_counts() == (0, 5)
    bench.pump.note_activity()
    assert client.conn.last_active_ms > 1_700_000_000_000
    assert client.calls == []


def test_many_clients_are_served_each_its_own(bench: Bench) -> None:
    clients = [bench.connect() for _ in range(300)]
    for number, (theirs, _) in enumerate(clients):
        theirs.sendall(request(b"ECHO", b"%05d" % number))
    bench.turn(lambda: bench.pump.output_bytes >= 300 * 11)
    for number, (theirs, _) in enumerate(clients):
        assert theirs.recv(100) == b"$5\r\n%05d\r\n" % number


def test_what_the_kernel_refuses_goes_to_the_client_in_order(bench: Bench) -> None:
    theirs, client = bench.connect()
    bench.engine.store(0, b"k", b"x" * 900_000, 1 << 45, False, 1_800_000_000_000, b"set")
    theirs.sendall(request(b"GET", b"k"))
    bench.turn(lambda: bool(client.kept))
    bench.pump.hold(client, True)  # type: ignore[arg-type]
    client.out_bytes = len(client.kept)
    theirs.sendall(request(b"PING"))
    bench.turn(lambda: client.kept.endswith(b"+PONG\r\n"))
    theirs.setblocking(False)
    got = b""
    with contextlib.suppress(BlockingIOError):
        while piece := theirs.recv(1 << 20):
            got += piece
    assert got + client.kept == b"$900000\r\n" + b"x" * 900_000 + b"\r\n+PONG\r\n"


def test_long_values_and_crowds_of_short_commands_follow_each_other(bench: Bench) -> None:
    """The native pump reads more at a time while values are long, and less again where commands are many."""
    theirs, client = bench.connect()
    theirs.settimeout(None)
    values = [bytes([65 + number]) * 16_384 for number in range(20)]
    batch = (
        b"".join(request(b"SET", b"k", value) + request(b"GET", b"k") for value in values)
        + request(b"ECHO", b"x" * 90) * 900
    )
    wanted = b"".join(b"+OK\r\n$16384\r\n%b\r\n" % value for value in values) + (b"$90\r\n" + b"x" * 90 + b"\r\n") * 900
    for _ in range(3):
        feeder = threading.Thread(target=theirs.sendall, args=(batch,), daemon=True)
        feeder.start()
        got = bytearray()

        def arrived(got: bytearray = got) -> bool:
            with contextlib.suppress(BlockingIOError):
                while True:
                    got.extend(theirs.recv(1 << 20, socket.MSG_DONTWAIT))
            got.extend(client.kept)
            client.kept = b""
            if client.calls:  # a turn was over before its commands were
                client.calls.clear()
                bench.pump.feed(client, b"")  # type: ignore[arg-type]
            return len(got) >= len(wanted)

        bench.turn(arrived)
        feeder.join()
        assert bytes(got) == wanted


def test_unusual_ends_are_told(bench: Bench) -> None:
    theirs, client = bench.connect()
    bench.cold.closing = b"QUIT"
    assert bench.exchange(theirs, request(b"QUIT"), 7) == b"+cold\r\n"
    assert client.calls == ["unusual"]
    other, waiting = bench.connect()
    bench.cold.suspend_once = b"WAIT"
    other.sendall(request(b"WAIT", b"1", b"0"))
    bench.turn(lambda: waiting.calls == ["unusual"])
    assert waiting.session.suspended


def test_a_client_that_hangs_up_is_lost(bench: Bench) -> None:
    theirs, client = bench.connect()
    theirs.close()
    bench.turn(lambda: "lost" in client.calls)
    bench.pump.unwatch(client)  # type: ignore[arg-type]
    count = len(client.calls)
    bench.loop.run_until_complete(asyncio.sleep(0.01))
    assert len(client.calls) == count


def test_an_unwatched_client_is_not_read(bench: Bench) -> None:
    theirs, client = bench.connect()
    bench.pump.unwatch(client)  # type: ignore[arg-type]
    bench.pump.unwatch(client)  # type: ignore[arg-type]
    theirs.sendall(request(b"PING"))
    bench.loop.run_until_complete(asyncio.sleep(0.02))
    assert bench.pump.input_bytes == 0
    bench.pump.watch(client)  # type: ignore[arg-type]
    bench.turn(lambda: bench.pump.input_bytes > 0)
    assert theirs.recv(100) == b"+PONG\r\n"


def test_a_bug_in_a_command_costs_that_client_only(bench: Bench) -> None:
    theirs, client = bench.connect()
    other, _ = bench.connect()
    reports: list[object] = []
    bench.loop.set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    session = client.session

    def broken(session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        raise ZeroDivisionError

    client.session = bench.engine.session(broken)
    client.session.hot = client.session.trusted = True
    bench.pump.unwatch(client)  # type: ignore[arg-type]
    bench.pump.watch(client)  # type: ignore[arg-type]
    theirs.sendall(request(b"RENAME", b"a", b"b"))
    bench.turn(lambda: client.calls == ["lost"])
    assert isinstance(reports[0], ZeroDivisionError)
    bench.pump.unwatch(client)  # type: ignore[arg-type]
    assert bench.exchange(other, request(b"PING"), 7) == b"+PONG\r\n"
    bench.engine.close(session)


def test_a_descriptor_that_is_used_again_belongs_to_the_new_client(bench: Bench) -> None:
    theirs, client = bench.connect()
    bench.pump.unwatch(client)  # type: ignore[arg-type]
    theirs.close()
    client.sock.close()
    for _ in range(20):
        theirs, client = bench.connect()
        assert bench.exchange(theirs, request(b"PING"), 7) == b"+PONG\r\n"
        bench.pump.unwatch(client)  # type: ignore[arg-type]
        theirs.close()
        client.sock.close()


def test_the_portable_pump_serves_the_native_engine_too() -> None:
    if PURE_ONLY:
        pytest.skip("RESPRAM_PURE_ONLY is set")
    loop = asyncio.new_event_loop()
    bench = Bench("native", loop)
    bench.pump.close()
    bench.pump = PortablePump(bench.engine, loop)
    theirs, _ = bench.connect()
    assert bench.exchange(theirs, request(b"PING"), 7) == b"+PONG\r\n"
    for sock in bench.open:
        sock.close()
    loop.close()


def of_one_turn(bench: Bench, *batches: bytes) -> list[socket.socket]:
    """Clients whose batches have all arrived before the pump looks; in this order."""
    clients = [bench.connect() for _ in batches]
    for (theirs, _), batch in zip(clients, batches, strict=True):
        theirs.sendall(batch)
    return [theirs for theirs, _ in clients]


def test_what_python_sends_does_not_overtake_replies_of_the_same_turn(bench: Bench) -> None:
    """Replies of the native engine wait for those of the next clients; before Python runs they are sent."""
    one, other = of_one_turn(bench, request(b"PING"), request(b"PING") + request(b"TELL") + request(b"ECHO", b"x"))
    told = [client for client in bench.open if client is not one and client is not other]

    class Telling(Cold):
        def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
            for sock in told:
                sock.send(b">told\r\n")
            return super().__call__(session, argv, now_ms)

    bench.cold.__class__ = Telling
    bench.turn(lambda: bool(bench.cold.seen))
    assert one.recv(100) == b"+PONG\r\n>told\r\n"
    assert bench.exchange(other, b"", 28) == b">told\r\n+PONG\r\n+cold\r\n$1\r\nx\r\n"


def test_a_bug_in_one_clients_output_costs_the_others_nothing(bench: Bench) -> None:
    reports: list[object] = []
    bench.loop.set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    theirs, broken = bench.connect()
    bench.engine.store(0, b"k", b"x" * 900_000, 1 << 45, False, 1_800_000_000_000, b"set")

    def send(data: bytes | memoryview) -> None:
        raise ZeroDivisionError

    broken.send = send  # type: ignore[method-assign]
    theirs.sendall(request(b"GET", b"k"))
    others = of_one_turn(bench, *[request(b"ECHO", b"%d" % number) for number in range(5)])
    bench.turn(lambda: bench.pump.output_bytes >= 900_000 + 5 * 7)
    assert [other.recv(100) for other in others] == [b"$1\r\n%d\r\n" % number for number in range(5)]
    bench.turn(lambda: bool(reports))
    assert isinstance(reports[0], ZeroDivisionError)
    assert broken.calls == ["lost"]


@pytest.fixture
def slicing() -> Iterator[Bench]:
    """The native pump, with turns of 40,000 bytes of reply or 64 commands."""
    if PURE_ONLY:
        pytest.skip("RESPRAM_PURE_ONLY is set")
    loop = asyncio.new_event_loop()
    bench = Bench("native", loop)
    bench.engine.configure(SETTINGS._replace(feed_reply_bytes_max=40_000, feed_commands_max=64))
    yield bench
    bench.pump.close()
    for sock in bench.open:
        sock.close()
    loop.close()


def test_long_batches_take_turns(slicing: Bench) -> None:
    """Who asks for much gets a turn's worth at a time, and others are not made to wait for the rest of it."""
    slicing.engine.store(0, b"k", b"x" * 16_000, 1 << 45, False, 1_800_000_000_000, b"set")
    order: list[int] = []
    much = b"".join(request(b"GET", b"k") for _ in range(9)) + request(b"NOTE", b"0")
    few = request(b"PING") * 3 + request(b"NOTE", b"1")

    class Noting(Cold):
        def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
            order.append(int(argv[1]))
            return b"+cold\r\n"

    slicing.cold.__class__ = Noting
    rich, *poor = of_one_turn(slicing, much, few, few, few)
    reply = b"$16000\r\n" + b"x" * 16_000 + b"\r\n"
    assert slicing.exchange(rich, b"", len(reply) * 9 + 7) == reply * 9 + b"+cold\r\n"
    assert [one.recv(100) for one in poor] == [b"+PONG\r\n" * 3 + b"+cold\r\n"] * 3
    assert order == [1, 1, 1, 0]


def test_nothing_is_read_before_the_last_batch_is_over(slicing: Bench) -> None:
    theirs, client = slicing.connect()
    read: list[int] = []

    class Noting(Cold):
        def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
            read.append(slicing.pump.input_bytes)
            return b"$6\r\n%b\r\n" % argv[1]

    slicing.cold.__class__ = Noting
    batch = b"".join(request(b"NOTE" if number == 2_000 else b"ECHO", b"%06d" % number) for number in range(4_000))
    wanted = b"".join(b"$6\r\n%06d\r\n" % number for number in range(4_000))
    theirs.sendall(batch)
    assert len(batch) > READ_BYTES > len(batch) // 2 and slicing.exchange(theirs, b"", len(wanted)) == wanted
    assert read == [READ_BYTES]
    assert client.calls == [] and client.session.buffered_bytes == 0


def test_a_read_out_of_turn_leaves_nothing_lying(slicing: Bench) -> None:
    """An orderly stop reads every client once more."""
    theirs, client = slicing.connect()
    batch, wanted = request(b"ECHO", b"x") * 1_000, b"$1\r\nx\r\n" * 1_000
    theirs.sendall(batch)
    slicing.pump.read(client)  # type: ignore[arg-type]
    assert slicing.pump.output_bytes == 64 * 7
    theirs.sendall(batch)
    slicing.pump.read(client)  # type: ignore[arg-type]
    assert slicing.pump.output_bytes == 64 * 7, "it is not read while there is something to answer"
    assert slicing.exchange(theirs, b"", len(wanted) * 2) == wanted * 2


@pytest.mark.parametrize("is_replaced", [True, False])
def test_who_leaves_in_the_midst_of_a_batch_is_forgotten(slicing: Bench, is_replaced: bool) -> None:
    clients = [slicing.connect() for _ in range(6)]
    for theirs, _ in clients:
        theirs.sendall(request(b"ECHO", b"x" * 100) * 1_000)
    slicing.pump.ready()  # type: ignore[attr-defined]
    # All six, or fewer where a busy machine has used up the time of a turn.
    assert slicing.pump.output_bytes in range(64 * 108, 6 * 64 * 108 + 1, 64 * 108)
    for theirs, client in clients[::2]:
        slicing.pump.unwatch(client)  # type: ignore[arg-type]
        theirs.close()
        client.sock.close()
    newcomers = [slicing.connect() for _ in range(3 if is_replaced else 0)]  # on the descriptors of those
    wanted = (b"$100\r\n" + b"x" * 100 + b"\r\n") * 1_000
    for theirs, _ in clients[1::2]:
        assert slicing.exchange(theirs, b"", len(wanted)) == wanted
    for theirs, _ in newcomers:
        assert slicing.exchange(theirs, request(b"PING"), 7) == b"+PONG\r\n"


def breaking(bench: Bench) -> tuple[socket.socket, Seen]:
    """A client in whose commands there is a bug."""

    def broken(session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        raise ZeroDivisionError

    theirs, client = bench.connect()
    bench.pump.unwatch(client)  # type: ignore[arg-type]
    client.session = bench.engine.session(broken)
    client.session.hot = client.session.trusted = True
    bench.pump.watch(client)  # type: ignore[arg-type]

    def lost() -> None:
        client.calls.append("lost")
        bench.pump.unwatch(client)  # type: ignore[arg-type]

    client.lost = lost  # type: ignore[method-assign]
    return theirs, client


def test_a_bug_in_a_batch_that_goes_on_costs_its_client(bench: Bench) -> None:
    """After a suspension it is fed by itself."""
    _, client = breaking(bench)
    with pytest.raises(ZeroDivisionError):
        bench.pump.feed(client, request(b"BUG"))  # type: ignore[arg-type]
    assert client.calls == ["lost"]


@pytest.mark.parametrize(("plain", "place"), [(0, 3), (64, 1)])
def test_a_bug_in_one_batch_leaves_no_other_unfinished(slicing: Bench, plain: int, place: int) -> None:
    """Whether it is met in the first turn of that batch, as the last of all, or in a later one, with others behind it.
    """
    reports: list[object] = []
    slicing.loop.set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    one, broken = breaking(slicing)
    others = [slicing.connect()[0] for _ in range(3)]
    for theirs in (*others[:place], one, *others[place:]):
        theirs.sendall(request(b"ECHO", b"x") * (plain if theirs is one else 300) + request(b"BUG") * (theirs is one))
    got = [slicing.exchange(theirs, b"", 300 * 7) for theirs in others]
    assert got == [b"$1\r\nx\r\n" * 300] * 3
    assert broken.calls == ["lost"] and len(reports) == 1 and isinstance(reports[0], ZeroDivisionError)


def test_a_bug_in_one_clients_output_hides_no_end_of_another(bench: Bench) -> None:
    """Before a command in Python the replies of others are sent; what goes wrong there is those others' business."""
    reports: list[object] = []
    bench.loop.set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    bench.engine.store(0, b"k", b"x" * 300_000, 1 << 45, False, 1_800_000_000_000, b"set")
    theirs, broken = bench.connect()

    def send(data: bytes | memoryview) -> None:
        raise ZeroDivisionError

    broken.send = send  # type: ignore[method-assign]
    other, waiting = bench.connect()
    bench.cold.suspend_once = b"WAIT"
    theirs.sendall(request(b"GET", b"k"))
    other.sendall(request(b"PING") + request(b"WAIT", b"1", b"0"))
    bench.turn(lambda: waiting.calls == ["unusual"] and bool(reports))
    assert other.recv(100) == b"+PONG\r\n"
    assert isinstance(reports[0], ZeroDivisionError)
    assert broken.calls == ["lost"], "who got a part of a reply must not get the next one"


def test_who_waits_for_others_stays_watched_and_is_not_read(bench: Bench) -> None:
    theirs, client = bench.connect()
    client.stays, bench.cold.suspend_once = True, b"RENAME"
    theirs.sendall(request(b"RENAME", b"a", b"2"))
    bench.turn(lambda: client.calls == ["unusual"])
    held = client.session.buffered_bytes
    theirs.sendall(request(b"PING"))
    bench.turn(lambda: "crowd" in client.calls)
    assert client.session.buffered_bytes == held, "what came meanwhile lies in the socket"
    bench.pump.unwatch(client)  # type: ignore[arg-type]


def test_who_is_answered_is_read_again(bench: Bench) -> None:
    theirs, client = bench.connect()
    client.stays, bench.cold.suspend_once = True, b"RENAME"
    theirs.sendall(request(b"RENAME", b"a", b"2"))
    bench.turn(lambda: client.calls == ["unusual"])
    bench.engine.resume(client.session)
    bench.pump.back(client)  # type: ignore[arg-type]
    assert bench.exchange(theirs, request(b"PING"), len(b"+cold\r\n+PONG\r\n")) == b"+cold\r\n+PONG\r\n"
    assert client.calls == ["unusual"], "it was watched all the time"


def message(channel: bytes, text: bytes, mark: bytes = b"*") -> bytes:
    return mark + request(b"message", channel, text)[1:]


@pytest.fixture(params=["pure"] if PURE_ONLY else ["pure", "native"])
def telling(request: pytest.FixtureRequest) -> Iterator[tuple[Bench, dict[Session, Seen]]]:
    """A bench whose engine knows the client of each session."""
    loop = asyncio.new_event_loop()
    bench = Bench(request.param, loop)
    clients: dict[Session, Seen] = {}
    bench.engine.deliver = lambda session, frames: clients[session].send(frames)
    yield bench, clients
    bench.pump.close()
    for sock in bench.open:
        sock.close()
    loop.close()


def listening(bench: Bench, clients: dict[Session, Seen], *channels: bytes) -> tuple[socket.socket, Seen]:
    theirs, client = bench.connect()
    clients[client.session] = client
    for channel in channels:
        bench.engine.listen(client.session, channel)
    return theirs, client


def test_messages_reach_their_listeners_in_order(telling: tuple[Bench, dict[Session, Seen]]) -> None:
    bench, clients = telling
    publisher, _ = bench.connect()
    one, _ = listening(bench, clients, b"a", b"b")
    two, _ = listening(bench, clients, b"b")
    wanted = b"".join(message(b"a", b"%d" % number) + message(b"b", b"%d" % number) for number in range(100))
    sent = b"".join(
        request(b"PUBLISH", b"a", b"%d" % number) + request(b"PUBLISH", b"b", b"%d" % number) for number in range(100)
    )
    assert bench.exchange(publisher, sent, 800) == b":1\r\n:2\r\n" * 100
    assert bench.exchange(one, b"", len(wanted)) == wanted
    wanted = b"".join(message(b"b", b"%d" % number) for number in range(100))
    assert bench.exchange(two, b"", len(wanted)) == wanted


def test_a_listener_that_is_not_watched_gets_its_messages_too(telling: tuple[Bench, dict[Session, Seen]]) -> None:
    bench, clients = telling
    publisher, _ = bench.connect()
    theirs, client = listening(bench, clients, b"a")
    bench.pump.unwatch(client)  # type: ignore[arg-type]
    assert bench.exchange(publisher, request(b"PUBLISH", b"a", b"m"), 4) == b":1\r\n"
    assert bench.exchange(theirs, b"", len(message(b"a", b"m"))) == message(b"a", b"m")


def test_a_listener_that_does_not_read_gets_all_of_it_in_order_when_it_does(
    telling: tuple[Bench, dict[Session, Seen]],
) -> None:
    bench, clients = telling
    publisher, _ = bench.connect()
    theirs, client = listening(bench, clients, b"a")
    texts = [b"%d" % number * 9_000 for number in range(10)] * 10
    for text in texts:
        assert bench.exchange(publisher, request(b"PUBLISH", b"a", text), 4) == b":1\r\n"
    assert client.kept, "it is more than the kernel takes"
    wanted = b"".join(message(b"a", text) for text in texts)
    theirs.settimeout(SOON_S)
    got = b""
    while len(got) + len(client.kept) < len(wanted):
        got += theirs.recv(1 << 20)
    assert got + client.kept == wanted


def test_a_message_comes_before_the_replies_to_later_commands_of_its_listener(
    telling: tuple[Bench, dict[Session, Seen]],
) -> None:
    """All of it is read in one turn: the publisher was there first."""
    bench, clients = telling
    publisher, _ = bench.connect()
    theirs, client = listening(bench, clients, b"a")
    client.session.proto = 3
    publisher.sendall(request(b"PUBLISH", b"a", b"m"))
    theirs.sendall(request(b"ECHO", b"x"))
    # whoever is served first
    wanted = {message(b"a", b"m", b">") + b"$1\r\nx\r\n", b"$1\r\nx\r\n" + message(b"a", b"m", b">")}
    assert bench.exchange(theirs, b"", len(min(wanted))) in wanted
    assert bench.exchange(publisher, b"", 4) == b":1\r\n"


def test_a_listener_that_is_gone_is_told_so_and_costs_the_publisher_nothing(
    telling: tuple[Bench, dict[Session, Seen]],
) -> None:
    bench, clients = telling
    publisher, _ = bench.connect()
    theirs, client = listening(bench, clients, b"a")
    theirs.close()
    client.send = lambda data: None  # type: ignore[method-assign]
    for _ in range(20):
        assert bench.exchange(publisher, request(b"PUBLISH", b"a", b"m"), 4) == b":1\r\n"
