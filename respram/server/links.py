"""Manages the connections to peers: accepts, dials and closes them, and logs what happened.

Their number is bounded: strangers by the door and by their places, members by the replica, which asks for each. What
arrives goes to the replica, whose outputs the driver carries out.
"""

import asyncio
import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import cast

from respram.config.options import read_address
from respram.gossip.timers import Now
from respram.replica import Output, Replica
from respram.server import clock, expulsion, knock, logs, peer_overview
from respram.server.door import STRANGERS_MAX, Door, Places
from respram.server.handshakes import Handshakes
from respram.server.knock import Knocks
from respram.server.peer import CLIENT_PORT, CROWDED, EXPELLED, FAULTS, LOST, NO_PEER, TOLD, UNTRUSTED, PeerConnection
from respram.server.secret import Trust, name_shown, number_shown

DIAL_S = 5.0  # until a connection is established; the handshake has its own limit
WINDOW_BYTES = 16 << 20  # unsent on one link besides the largest frame: the core keeps less in flight
FAREWELL_S = 0.3  # for the last bytes to the peers while the node stops
HEARD_S = 0.2  # of these: until the peers have read the goodbye, and hang up
AGAIN_MAX = 4  # times that a dial is made again after the other side closed it before a word,
AGAIN_S = 0.05  # after so long, and then after twice as long
UNREACHED_MAX = 1024  # addresses whose failure has been logged
RENEWED = "renewed"  # the reason for closing links after a secret is no longer trusted


class Links:
    def __init__(
        self, replica: Replica, loop: asyncio.AbstractEventLoop, trust: Trust | None, log: Callable[..., None],
        carry: Callable[[list[Output]], None],
    ) -> None:  # fmt: skip
        self.replica = replica
        self.loop = loop
        self.trust = trust
        self.log = log
        self.carry = carry
        self.table: dict[int, PeerConnection] = {}  # from the first byte on; the replica knows the open ones
        self.dials: dict[asyncio.Task[None], None] = {}
        self.faults = dict.fromkeys(FAULTS, 0)
        self.expelled: frozenset[expulsion.Named] = frozenset()
        self.unreached: dict[bytes, None] = {}  # addresses whose failure was logged
        self.again: dict[bytes, int] = {}  # how often a dial that is under way was made before
        self.deaf = False
        self.door = Door(
            loop, lambda: self.trust is not None, self._is_known, self._has_knocked, self._let_in, self._turned_away
        )
        self.knocks = Knocks()
        self.strangers = Places(STRANGERS_MAX)  # numbers of links
        self.handshakes = Handshakes()
        self._next_link = 1
        self._known: frozenset[str] = frozenset()  # hosts to join, and hosts of members; see `_is_known`
        self._known_until_s = 0.0

    def write(self, number: int, data: bytes) -> None:
        if (link := self.table.get(number)) is not None:
            link.write(data)

    def hang_up(self, number: int, reason: str) -> None:
        if (link := self.table.get(number)) is not None:
            link.close(reason)

    def dial(self, address: bytes) -> None:
        self._do(self._dial(address))

    def deafen(self) -> None:
        """Accepts nothing more from peers."""
        self.deaf = True
        self.door.close()

    async def farewell(self) -> None:
        """Ends all links, after a moment for what is still to be sent.

        Peers hang up when they have read the goodbye. If this node closed first, the kernel would refuse what they
        still write, and they would take the link for lost without having read the last answers and the goodbye.
        """
        for task in tuple(self.dials):
            task.cancel()
        begun_s = self.loop.time()
        while self.loop.time() < begun_s + HEARD_S and any(self._greeted(link) for link in self.table.values()):
            await asyncio.sleep(0.005)
        for link in tuple(self.table.values()):
            link.close("stopping")
        end = begun_s + FAREWELL_S
        while self.table and self.loop.time() < end:
            await asyncio.sleep(0.005)
        for link in tuple(self.table.values()):
            link.abort("stopping")
        self.handshakes.close()

    def _do(self, work: Coroutine[object, object, None]) -> None:
        task = self.loop.create_task(work)
        self.dials[task] = None
        task.add_done_callback(self.dials.pop)

    def _let_in(self, sock: socket.socket, address: str, first: bytes, has_knocked: bool) -> None:
        for one in [one for one in self.table.values() if one.number in self.strangers and self._greeted(one)]:
            self.strangers.remove(one.number)
        rival = self.table.get(cast(int, self.strangers.rival_of(address, has_knocked)))
        if rival is not None:
            self.strangers.remove(rival.number)
            rival.abort(CROWDED)
        link = self._link(b"", self.trust.accepting if self.trust else None, first)
        self.strangers.add(link.number, address, has_knocked)
        self._do(self._begin(link, sock))

    async def _begin(self, link: PeerConnection, sock: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: link, sock)
        except OSError:  # the connection is gone
            self.table.pop(link.number, None)
            self.strangers.remove(link.number)
            sock.close()

    def _turned_away(self, reason: str) -> None:
        if reason in self.faults:
            self.faults[reason] += 1

    def _has_knocked(self, hello: bytes) -> bool:
        return self.trust is not None and self.knocks.is_good(self.trust.knocks, hello, clock.now_ms())

    def _own_knock(self) -> str:
        """What this node shows of the secret when it dials."""
        if self.trust is None or not self.trust.knocks:
            return ""
        return knock.make(self.trust.knocks[0], clock.now_ms(), secrets.token_bytes(knock.NONCE_BYTES))

    def _is_known(self, host: str) -> bool:
        """Whether an address belongs to --join or to a member; looked up anew once a second."""
        if self.loop.time() >= self._known_until_s:
            self._known_until_s = self.loop.time() + 1.0
            self._known = peer_overview.hosts(self.replica)
        return host in self._known

    def _link(self, address: bytes, context: ssl.SSLContext | None, first: bytes = b"") -> PeerConnection:
        link = PeerConnection(
            self._next_link, address, context, self.replica.frame_bytes_max + WINDOW_BYTES, self, self.handshakes,
            first, self._own_knock() if address else "",
        )  # fmt: skip
        self._next_link += 1
        self.table[link.number] = link
        return link

    def renew(self, trust: Trust) -> int:
        """Other secrets or certificates, for links from now on. Where somebody is believed no longer, the present links
        end too, for theirs may be among them; whoever knows a good secret is linked again in a moment. How many ended.
        """
        before, self.trust = self.trust, trust
        if before is None or not before.believes_more_than(trust):
            return 0
        links = tuple(self.table.values())
        for link in links:
            link.close(RENEWED)
        return len(links)

    def put_out(self, lists: tuple[bytes, ...]) -> None:
        """Ends the links of peers whose certificates are on the lists."""
        self.expelled = expulsion.names(lists)
        for link in tuple(self.table.values()):
            if link.opened and expulsion.name_of(link.certificate()) in self.expelled:
                link.abort(EXPELLED)

    def _greeted(self, link: PeerConnection) -> bool:
        known = self.replica.core.neighbours.links.get(link.number)
        return known is not None and known.peer is not None

    def link_opened(self, link: PeerConnection) -> None:
        if self.expelled and expulsion.name_of(link.certificate()) in self.expelled:
            link.abort(EXPELLED)
            return
        certificate = link.certificate()
        named = name_shown(certificate) if self.trust is not None and self.trust.name else 0
        self.carry(self.replica.opened(link.number, link.address, now(), number_shown(certificate), named))

    def link_received(self, link: PeerConnection, data: bytes) -> None:
        if self.deaf:
            return
        self.carry(self.replica.received(link.number, data, now()))
        link.body_bytes = self.replica.body_bytes(link.number)

    def link_ended(self, link: PeerConnection, reason: str) -> None:
        self.table.pop(link.number, None)
        self.strangers.remove(link.number)
        if reason in FAULTS:
            self.faults[reason] += 1
        if link.address and self._is_dialled_again(link, reason):
            return
        if reason in TOLD:
            tls = f" tls='{link.told}'" if link.told else ""
            self.log(f"event=link_{reason} remote={link.remote} why={TOLD[reason]}{tls}", logs.WARNING)
        if self._greeted(link):
            self.unreached.pop(link.address, None)
        elif link.answered_as_redis:
            self._tell_unreached(link.address, CLIENT_PORT)
        elif link.address and reason in NO_PEER and link.address not in self.unreached:
            self._do(self._find_out(link.address, NO_PEER[reason]))
        if link.opened:
            self.carry(self.replica.closed(link.number, now()))
        elif link.address:
            self.carry(self.replica.dial_failed(link.address, now()))
        if link.address and reason == UNTRUSTED:
            self.carry(self.replica.distrusted(now()))

    def _is_dialled_again(self, link: PeerConnection, reason: str) -> bool:
        """Whether a dial is made again soon, because it was closed before a word: the other node's door may have had to
        make room for somebody else.
        """
        count = self.again.pop(link.address, 0)
        was_closed_before_a_word = reason == LOST and not link.opened and not link.received_bytes
        if not was_closed_before_a_word or count >= AGAIN_MAX or self.trust is None or self.deaf:
            return False
        self.again[link.address] = count + 1
        self._do(self._dial(link.address, AGAIN_S * 2**count))
        return True

    async def _dial(self, address: bytes, after_s: float = 0.0) -> None:
        await asyncio.sleep(after_s)
        link = self._link(address, self.trust.dialling if self.trust else None)
        try:
            host, port = read_address(address.decode())
            async with asyncio.timeout(DIAL_S):
                await self.loop.create_connection(lambda: link, host, port)
        except (OSError, ValueError, TimeoutError) as error:
            self.table.pop(link.number, None)
            self.again.pop(address, None)
            link.disown()
            if link.opened:
                self.carry(self.replica.closed(link.number, now()))
                return
            self._tell_unreached(address, getattr(error, "strerror", None) or type(error).__name__)
            self.carry(self.replica.dial_failed(address, now(), isinstance(error, ConnectionRefusedError)))

    async def _find_out(self, address: bytes, why: str) -> None:
        """A port for clients waits for the end of a line, which no greeting of a peer has: it is asked what it would
        answer.
        """
        host, port = read_address(address.decode())
        answer = b""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(DIAL_S):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(b"PING\r\n")
                    answer = await reader.read(1)
                finally:
                    writer.transport.abort()
        self._tell_unreached(address, CLIENT_PORT if answer in (b"+", b"-") else why)

    def _tell_unreached(self, address: bytes, why: str) -> None:
        """Logs once that no peer answers at an address, until one does."""
        # A failed srv: entry is logged as event=join_unresolved.
        is_told = address in self.unreached or address.startswith(b"srv:")
        if not is_told and len(self.unreached) < UNREACHED_MAX:
            self.unreached[address] = None
            self.log(
                f"event=unreached address={ascii(address.decode('ascii', 'replace'))[1:-1]} why={why!r}", logs.WARNING
            )


def now() -> Now:
    return Now(*clock.both_ms())
