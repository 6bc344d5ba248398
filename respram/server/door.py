"""Admission at the peer port: which connecting strangers may begin a handshake.

Anybody can connect, thousands of times a second, and this costs them nothing. So a connection is a bare socket here
until its first bytes are there: no transport, no TLS, no timer of its own. A real peer has sent them before its
connection is accepted, or with the next packet; connections that send nothing stay bare and replace each other. The
connection to replace is drawn at random, so that an attacker cannot predict it, and first among those from the same
address (of IPv6: the same /64), so that one machine replaces only its own.

Behind the door a link has its handshake, again within places of its own: `STRANGERS_MAX` at a time, `OF_ADDRESS_MAX`
from one address. Addresses that this node was told to join, or that members have, are never made to go for others.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from secrets import randbelow

from respram.server.peer import CROWDED, GARBAGE, LOST, SILENT

BARE_MAX = 256  # connections that have sent nothing yet
STRANGERS_MAX = 64  # accepted links that are not authenticated
OF_ADDRESS_SHARE = 4  # of either kind, one address may hold one in this many
ACCEPTS_MAX = 16  # in one turn of the loop: about a millisecond
SILENT_S = 5.0  # until the first bytes; honest peers send at once
LOOK_S = 0.5  # between two checks for silent connections
TLS_HANDSHAKE = b"\x16"  # the first byte of any TLS client


class Places:
    """The connections inside, by address, and their limit. It only chooses; the caller admits and closes. Those that
    have not `begun` go first: who floods the port has most of these, and an honest peer is one for a moment only.
    """

    def __init__(
        self, most: int, draw: Callable[[int], int] = randbelow, begun: Callable[[object], bool] = lambda one: True
    ) -> None:
        self.most = most
        self.begun = begun
        self.of_address_max = max(most // OF_ADDRESS_SHARE, 1)
        self.draw = draw
        self.held: dict[object, str] = {}  # connection to its address
        self.of_address: dict[str, dict[object, None]] = {}

    def __len__(self) -> int:
        return len(self.held)

    def __contains__(self, one: object) -> bool:
        return one in self.held

    def rival_of(self, address: str, favoured: Callable[[str], bool]) -> object | None:
        """The connection to close for one more from that network. None: there is room."""
        own = self.of_address.get(network_of(address), {})
        if len(own) >= self.of_address_max and not favoured(address):
            return self._any(list(own))
        if len(self.held) < self.most:
            return None
        others = [one for one, came_from in self.held.items() if not favoured(came_from)]
        return self._any(others or list(self.held))

    def _any(self, some: list[object]) -> object:
        some = [one for one in some if not self.begun(one)] or some
        return some[self.draw(len(some))]

    def add(self, one: object, address: str) -> None:
        self.held[one] = address
        self.of_address.setdefault(network_of(address), {})[one] = None

    def remove(self, one: object) -> None:
        address = self.held.pop(one, None)
        if address is None:
            return
        own = self.of_address[network_of(address)]
        del own[one]
        if not own:
            del self.of_address[network_of(address)]


def network_of(address: str) -> str:
    """The network of an address: an IPv4 address, or the /64 of IPv6, since one machine can have many of its
    addresses."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


class Door:
    """`let_in` gets a socket whose first bytes are there; `turned_away` is told of each that went: why, by a word of
    peer.py.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, is_tls: Callable[[], bool], favoured: Callable[[str], bool],
        let_in: Callable[[socket.socket, str], None], turned_away: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.loop = loop
        self.is_tls = is_tls
        self.favoured = favoured
        self.let_in = let_in
        self.turned_away = turned_away
        self.bare = Places(BARE_MAX)
        self.came_s: dict[socket.socket, float] = {}  # in the order of arrival
        self.listeners: list[socket.socket] = []
        self._timer: asyncio.TimerHandle | None = None

    def open(self, listeners: list[socket.socket]) -> None:
        self.listeners += listeners
        for listener in listeners:
            listener.setblocking(False)
            self.loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        for listener in self.listeners:
            self.loop.remove_reader(listener)
            listener.close()
        self.listeners = []
        for sock in tuple(self.came_s):
            self._put_out(sock)
        if self._timer is not None:
            self._timer.cancel()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                sock, remote = listener.accept()
            except OSError:  # no connection, one that is gone already, or no free descriptor
                return
            sock.setblocking(False)
            if not self._look(sock, str(remote[0])):
                self._keep(sock, str(remote[0]))

    def _keep(self, sock: socket.socket, address: str) -> None:
        rival = self.bare.rival_of(address, self.favoured)
        if isinstance(rival, socket.socket):
            self._put_out(rival)
            self.turned_away(CROWDED)
        self.bare.add(sock, address)
        self.came_s[sock] = self.loop.time()
        self.loop.add_reader(sock, self._ready, sock, address)
        if self._timer is None:
            self._timer = self.loop.call_later(LOOK_S, self._tend)

    def _ready(self, sock: socket.socket, address: str) -> None:
        self._forget(sock)
        if not self._look(sock, address):  # woken although no bytes have arrived
            self._keep(sock, address)

    def _look(self, sock: socket.socket, address: str) -> bool:
        """Whether a bare connection is done with: its first bytes are there, or it is gone."""
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            first = b""
        if not first or (self.is_tls() and first != TLS_HANDSHAKE):
            sock.close()
            self.turned_away(GARBAGE if first else LOST)
        else:
            self.let_in(sock, address)
        return True

    def _tend(self) -> None:
        self._timer = None
        end_s = self.loop.time() - SILENT_S
        for sock, came_s in tuple(self.came_s.items()):
            if came_s > end_s:
                break
            self._put_out(sock)
            self.turned_away(SILENT)
        if self.came_s:
            self._timer = self.loop.call_later(LOOK_S, self._tend)

    def _put_out(self, sock: socket.socket) -> None:
        self._forget(sock)
        with contextlib.suppress(OSError):
            sock.close()

    def _forget(self, sock: socket.socket) -> None:
        self.loop.remove_reader(sock)
        self.bare.remove(sock)
        del self.came_s[sock]
