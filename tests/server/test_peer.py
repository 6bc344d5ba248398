"""One link: handshakes and what happens to those that fail, bytes both ways, and the bounds."""

import asyncio
import contextlib
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from respram.server import peer
from respram.server.peer import GARBAGE, LOST, OPEN, SILENT, STALLED, UNTRUSTED, PeerConnection
from respram.server.secret import Trust, trust_by_secret
from tests.live import SOON_S
from tests.secrets import secret_of

UNSENT_BYTES_MAX = 1 << 20
OURS, THEIRS = secret_of("ours"), secret_of("theirs")
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [uvloop.new_event_loop, asyncio.new_event_loop]


@dataclass(slots=True)
class Owner:
    """Remembers what its links told it."""

    opened: list[int] = field(default_factory=list)
    got: dict[int, bytes] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)

    def link_opened(self, link: PeerConnection) -> None:
        self.opened.append(link.number)

    def link_received(self, link: PeerConnection, data: bytes) -> None:
        assert not link.closing
        self.got[link.number] = self.got.get(link.number, b"") + data

    def link_ended(self, link: PeerConnection, reason: str) -> None:
        assert link.number not in self.ended, "told twice"
        self.ended[link.number] = reason


@dataclass(slots=True)
class Pair:
    owner: Owner
    accepted: PeerConnection
    dialled: PeerConnection | None
    port: int


@pytest.fixture(scope="module")
def ours() -> Trust:
    return trust_by_secret((OURS,))


@pytest.fixture(scope="module")
def theirs() -> Trust:
    return trust_by_secret((THEIRS,))


@pytest.fixture(params=LOOPS, ids=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    def call(main: Callable[[], Awaitable[None]]) -> None:
        bugs: list[dict[str, Any]] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context))
            await main()

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(watched())
        assert not bugs, bugs

    return call


async def until(condition: Callable[[], object], seconds: float = SOON_S) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it did not happen"
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext | None, dialling: ssl.SSLContext | None = None, *, dial: bool = True):  # type: ignore[no-untyped-def]
    """A link that is accepted, and one that dials it, or a port for somebody else."""
    loop, owner = asyncio.get_running_loop(), Owner()
    accepted = PeerConnection(1, b"", context, UNSENT_BYTES_MAX, owner)
    server = await loop.create_server(lambda: accepted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dialled = None
    if dial:
        dialled = PeerConnection(2, b"somewhere", dialling, UNSENT_BYTES_MAX, owner)
        await loop.create_connection(lambda: dialled, "127.0.0.1", port)
    try:
        yield Pair(owner, accepted, dialled, port)
    finally:
        server.close()
        for link in (accepted, dialled):
            if link is not None:
                link.abort("test over")
        await asyncio.sleep(0.01)


Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.mark.parametrize("secure", [True, False])
def test_bytes_arrive_whole_and_in_order_both_ways(run: Run, ours: Trust, secure: bool) -> None:
    async def main() -> None:
        async with listening(*((ours.accepting, ours.dialling) if secure else (None, None))) as pair:
            await until(lambda: len(pair.owner.opened) == 2)
            there = b"".join(bytes((n % 251,)) * 997 for n in range(900))
            for at in range(0, len(there), 10_007):
                pair.dialled.write(there[at : at + 10_007])
            pair.accepted.write(there[::-1])
            await until(lambda: sum(map(len, pair.owner.got.values())) == 2 * len(there))
            assert pair.owner.got == {1: there, 2: there[::-1]}
            if secure:
                assert pair.accepted.received_bytes > len(there)
            pair.dialled.write(b"the last words")
            pair.dialled.close("done")
            await until(lambda: len(pair.owner.ended) == 2)
            assert pair.owner.got[1].endswith(b"the last words")
            assert pair.owner.ended == {2: "done", 1: LOST}

    run(main)


def test_what_is_never_sent_in_the_clear(run: Run, ours: Trust) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = bytearray()
        async with listening(ours.accepting, dial=False) as pair:

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                there, back = await asyncio.open_connection("127.0.0.1", pair.port)

                async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                    while data := await source.read(4096):
                        seen.extend(data)
                        sink.write(data)
                    sink.close()

                await asyncio.gather(copy(reader, back), copy(there, writer))

            async with await asyncio.start_server(relay, "127.0.0.1", 0) as proxy:
                port = proxy.sockets[0].getsockname()[1]
                dialled = PeerConnection(2, b"x", ours.dialling, UNSENT_BYTES_MAX, pair.owner)
                await loop.create_connection(lambda: dialled, "127.0.0.1", port)
                await until(lambda: len(pair.owner.opened) == 2)
                dialled.write(b"a-secret-record")
                await until(lambda: pair.owner.got.get(1) == b"a-secret-record")
                dialled.close("done")
                await until(lambda: len(pair.owner.ended) == 2)
        assert len(seen) > 500 and b"a-secret-record" not in seen and b"peer.respram" not in seen

    run(main)


NOISE = (b"GET / HTTP/1.1\r\n\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 400, b"\0" * 64)


@pytest.mark.parametrize("noise", NOISE)
def test_garbage_before_authentication_closes_without_a_word(run: Run, ours: Trust, noise: bytes) -> None:
    async def main() -> None:
        async with listening(ours.accepting, dial=False) as pair:
            reader, writer = await asyncio.open_connection("127.0.0.1", pair.port)
            writer.write(noise)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), SOON_S) == b""
            await until(lambda: pair.owner.ended)
            assert pair.owner.ended == {1: GARBAGE} and not pair.owner.opened and not pair.owner.got
            writer.close()

    run(main)


def test_who_says_nothing_is_closed_in_time(run: Run, ours: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "HANDSHAKE_S", 0.1)

    async def main() -> None:
        async with listening(ours.accepting, dial=False) as pair:
            reader, writer = await asyncio.open_connection("127.0.0.1", pair.port)
            writer.write(b"\x16\x03\x01\x02\x00")  # the beginning of a handshake
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), SOON_S) == b""
            assert pair.owner.ended == {1: SILENT}
            writer.close()

    run(main)


def test_another_cluster_is_turned_away_and_both_sides_know_why(run: Run, ours: Trust, theirs: Trust) -> None:
    async def main() -> None:
        # The dialler is shown a foreign certificate first.
        async with listening(theirs.accepting, ours.dialling) as pair:
            await until(lambda: len(pair.owner.ended) == 2)
            assert pair.owner.ended == {1: UNTRUSTED, 2: UNTRUSTED} and not pair.owner.opened and not pair.owner.got
            assert "certificate" in pair.dialled.told, "in the words of OpenSSL, which change"
            assert pair.accepted is not None and pair.accepted.told == "told by the peer: unknown ca"
        # Believes us, and shows a certificate that we do not believe: it learns that after its own side is done.
        ahead = trust_by_secret((THEIRS, OURS)).dialling
        async with listening(ours.accepting, ahead) as pair:
            await until(lambda: len(pair.owner.ended) == 2)
            assert pair.owner.ended == {1: UNTRUSTED, 2: UNTRUSTED}
            assert 1 not in pair.owner.opened and not pair.owner.got
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
        async with listening(ours.accepting, bare) as pair:
            await until(lambda: len(pair.owner.ended) == 2)
            assert pair.owner.ended[1] == GARBAGE and 1 not in pair.owner.opened and not pair.owner.got

    run(main)


def test_a_peer_that_reads_nothing_costs_its_bound_and_no_more(run: Run) -> None:
    async def main() -> None:
        async with listening(None, dial=False) as pair:
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.setblocking(False)
                await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", pair.port))
                await until(lambda: pair.owner.opened)
                written = 0
                while not pair.owner.ended:
                    pair.accepted.write(b"x" * 65_536)
                    written += 65_536
                    assert pair.accepted.unsent_bytes() <= UNSENT_BYTES_MAX + 65_536
                    assert written < 64 << 20
                    await asyncio.sleep(0)
                assert pair.owner.ended == {1: STALLED} and written > UNSENT_BYTES_MAX

    run(main)


def test_closing_waits_for_a_deaf_peer_only_so_long(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "LINGER_S", 0.1)

    async def main() -> None:
        async with listening(None, dial=False) as pair:
            with socket.socket() as deaf:
                deaf.setblocking(False)
                await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", pair.port))
                await until(lambda: pair.owner.opened)
                while not pair.accepted.unsent_bytes():
                    pair.accepted.write(b"x" * 500_000)
                pair.accepted.close("enough")
                pair.accepted.write(b"too late")
                await until(lambda: pair.owner.ended)
                assert pair.owner.ended == {1: "enough"}

    run(main)


def test_a_plain_link_to_another_machine_is_never_opened(run: Run) -> None:
    class Elsewhere:
        """A transport whose other end is not on this machine."""

        def __init__(self, sock: socket.socket) -> None:
            self.sock, self.aborted = sock, False

        def get_extra_info(self, name: str) -> object:
            return {"peername": ("192.0.2.7", 1), "socket": self.sock}[name]

        def is_closing(self) -> bool:
            return self.aborted

        def abort(self) -> None:
            self.aborted = True

    async def main() -> None:
        with socket.socket() as sock:
            owner, transport = Owner(), Elsewhere(sock)
            link = PeerConnection(1, b"", None, UNSENT_BYTES_MAX, owner)
            link.connection_made(transport)  # type: ignore[arg-type]
            assert transport.aborted and not owner.opened
            link.connection_lost(None)
            assert owner.ended == {1: OPEN}

    run(main)


def test_a_peer_that_sends_without_pause_leaves_others_their_turns() -> None:
    """Handling a piece takes long here: even so nobody waits for more than a few pieces, and all arrives in order."""
    size, slow_s = 1 << 20, 0.001

    class Slow:
        def __init__(self) -> None:
            self.got = bytearray()
            self.ended = False

        def link_opened(self, link: PeerConnection) -> None: ...

        def link_received(self, link: PeerConnection, data: bytes) -> None:
            self.got += data
            time.sleep(slow_s * len(data) / 8192)

        def link_ended(self, link: PeerConnection, reason: str) -> None:
            self.ended = True

    async def main() -> None:
        loop, owner = asyncio.get_running_loop(), Slow()
        server = await loop.create_server(lambda: PeerConnection(1, b"", None, 1 << 20, owner), "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        sent = random.Random(3).randbytes(size)
        writer.write(sent)
        turns, end = 0, loop.time() + SOON_S
        while len(owner.got) < size:
            assert loop.time() < end, f"{len(owner.got)} of {size} arrived"
            await asyncio.sleep(0)
            turns += 1
        assert bytes(owner.got) == sent
        assert turns > 30, f"{turns} turns while {size} bytes were worked off"
        writer.close()
        while not owner.ended:
            assert loop.time() < end, "the end was not noticed"
            await asyncio.sleep(0.001)
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_rest_of_a_long_frame_comes_in_one_piece(run: Run, ours: Trust, encrypted: bool) -> None:
    """What only waits for its end is no work, so it is not cut into pieces, whatever the records of TLS are."""
    head, body = 20_000, 300_000

    class Reading(Owner):
        def link_received(self, link: PeerConnection, data: bytes) -> None:
            super().link_received(link, data)
            got = len(self.got[link.number])
            pieces.append(len(data))
            link.body_bytes = max(head + body - got, 0) if got >= head else 0

    async def main() -> None:
        async with listening(ours.accepting if encrypted else None, ours.dialling if encrypted else None) as pair:
            await until(lambda: len(pair.owner.opened) == 2)
            pair.accepted.owner = owner = Reading()
            data = random.Random(5).randbytes(head + body + 1_000)
            pair.accepted.data_received(b"")
            assert pair.dialled is not None
            pair.dialled.write(data)
            await until(lambda: len(owner.got.get(1, b"")) == len(data))
            assert owner.got[1] == data

    pieces: list[int] = []
    run(main)
    assert len(pieces) <= 2 + (head + body) // (64 << 10) + 2, f"{len(pieces)} pieces, about one for each read"
