"""Admission at the peer port: which connecting strangers may begin a handshake, and when.

Anybody can connect, thousands of times a second, and this costs them nothing. So a connection is a bare socket here
until the beginning of its handshake is there as a whole: no transport, no TLS, no timer of its own. A real peer has
sent it before its connection is accepted, or with the next packet; connections that send nothing, or a part, stay bare
and replace each other. The connection to replace is drawn at random, so that an attacker cannot predict it, and first
among those from the same address (of IPv6: the same /64), so that one machine replaces only its own.

A peer's handshake begins with a knock, which shows that it knows the secret (knock.py): such a connection goes through
the door at once. One without waits for its turn, of which there are STRANGERS_PER_S. The address comes first in the
draw, and then one of its connections. So however many handshakes strangers begin, they take a tenth of the time of one
core, and no peer waits behind them. Without a secret there are no knocks, and everybody goes through at once.

Behind the door a link has its handshake, again within places of its own: `STRANGERS_MAX` at a time, a share of these
from one address. Those that knocked are not made to go for others. Before the door addresses that this node was told to
join, or that members have, are not made to go for others while they hold no more than their share.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable
from secrets import randbelow
from typing import TypeVar, cast

from respram.server.peer import CROWDED, GARBAGE, LOST, SILENT

BARE_MAX = 256  # connections whose first bytes are not there yet
WAITING_MAX = 64  # connections without a knock that wait for their turn
STRANGERS_MAX = 64  # accepted links that are not authenticated
OF_ADDRESS_SHARE = 4  # of each kind, one address may hold one in this many
STRANGERS_PER_S = 100  # of those without a knock: a handshake costs about a millisecond
TURNS_MAX = 32  # of these turns at once, where there were none for a while
FIRST_BYTES_MAX = 8192  # of the first record; with the largest keys in use a ClientHello has below 2,000
ACCEPTS_MAX = 16  # in one turn of the loop: about a millisecond
SILENT_S = 5.0  # until the first bytes; honest peers send at once
LOOK_S = 0.5  # between two checks for silent connections
TLS_HANDSHAKE = 0x16  # the first byte of any TLS client
RECORD_HEAD_BYTES = 5  # of TLS: kind, version, u16 length of the rest

Drawn = TypeVar("Drawn")


class Places:
    """The connections inside, by address, and their limit. It only chooses; the caller admits and closes. The share of
    an address does not bind those who are favoured, and they are put out last.
    """

    def __init__(self, most: int, draw: Callable[[int], int] = randbelow) -> None:
        self.most = most
        self.of_address_max = max(most // OF_ADDRESS_SHARE, 1)
        self.draw = draw
        self.held: dict[object, str] = {}  # connection to its network
        self.favoured: dict[object, None] = {}
        self.of_network: dict[str, dict[object, None]] = {}

    def __len__(self) -> int:
        return len(self.held)

    def __contains__(self, one: object) -> bool:
        return one in self.held

    def has_share_of(self, address: str) -> bool:
        """Whether one more from there would be within the share of its address."""
        return len(self.of_network.get(network_of(address), ())) < self.of_address_max

    def rival_of(self, address: str, is_favoured: bool = False) -> object | None:
        """The connection to close for one more from that network. None: there is room."""
        if not is_favoured:
            own = self._unfavoured(self.of_network.get(network_of(address), {}))
            if len(own) >= self.of_address_max:
                return self._any(own)
        if len(self.held) < self.most:
            return None
        return self._any(self._unfavoured(self.held) or list(self.held))

    def next(self) -> object:
        """Whose turn it is: a network is drawn first, and then one of its connections."""
        return self._any(list(self.of_network[self._any(list(self.of_network))]))

    def _unfavoured(self, some: Iterable[object]) -> list[object]:
        return [one for one in some if one not in self.favoured]

    def _any(self, some: list[Drawn]) -> Drawn:
        return some[self.draw(len(some))]

    def add(self, one: object, address: str, is_favoured: bool = False) -> None:
        self.held[one] = network = network_of(address)
        self.of_network.setdefault(network, {})[one] = None
        if is_favoured:
            self.favoured[one] = None

    def remove(self, one: object) -> None:
        network = self.held.pop(one, None)
        if network is None:
            return
        self.favoured.pop(one, None)
        own = self.of_network[network]
        del own[one]
        if not own:
            del self.of_network[network]


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
    """`has_knocked` is asked with the beginning of a handshake whether it shows that a peer is there; None: without TLS
    everybody is let in. `let_in` gets a socket, its address, what was read from it and whether it has knocked.
    `turned_away` is told of each that went: why, by a word of peer.py.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, is_tls: Callable[[], bool], is_known: Callable[[str], bool],
        has_knocked: Callable[[bytes], bool], let_in: Callable[[socket.socket, str, bytes, bool], None],
        turned_away: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.loop = loop
        self.is_tls = is_tls
        self.is_known = is_known
        self.has_knocked = has_knocked
        self.let_in = let_in
        self.turned_away = turned_away
        self.bare = Places(BARE_MAX)
        self.came_s: dict[socket.socket, float] = {}  # bare ones, in the order of arrival
        self.heard: dict[socket.socket, bytes] = {}  # of each connection before the door, if it has said something
        self.waiting = Places(WAITING_MAX)
        self.address: dict[socket.socket, str] = {}  # of those that wait for their turn
        self.turns = float(TURNS_MAX)  # that strangers have left
        self.counted_s = loop.time()  # when they were counted
        self.listeners: list[socket.socket] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next_turn: asyncio.TimerHandle | None = None

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
        for sock in (*self.came_s, *self.address):
            self._put_out(sock)
        for timer in (self._timer, self._next_turn):
            if timer is not None:
                timer.cancel()

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
        is_favoured = self.bare.has_share_of(address) and self.is_known(address)
        self._make_room(self.bare, address, is_favoured)
        self.bare.add(sock, address, is_favoured)
        self.came_s[sock] = self.loop.time()
        self.loop.add_reader(sock, self._look, sock, address)
        if self._timer is None:
            self._timer = self.loop.call_later(LOOK_S, self._tend)

    def _make_room(self, places: Places, address: str, is_favoured: bool = False) -> None:
        rival = places.rival_of(address, is_favoured)
        if isinstance(rival, socket.socket):
            self._put_out(rival)
            self.turned_away(CROWDED)

    def _look(self, sock: socket.socket, address: str) -> bool:
        """Reads. Whether the connection is bare no more: its first bytes are there, or it is gone."""
        try:
            piece = sock.recv(FIRST_BYTES_MAX)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            piece = b""
        first = self.heard[sock] = self.heard.get(sock, b"") + piece
        if not piece:
            self._end(sock, LOST)
        elif not self.is_tls():
            self._admit(sock, address, True)
        elif first[0] != TLS_HANDSHAKE or (missing := _missing_bytes(first)) is None:
            self._end(sock, GARBAGE)
        elif missing > 0:
            return False
        elif self.has_knocked(first):
            self._admit(sock, address, True)
        else:
            self._have_wait(sock, address)
        return True

    def _admit(self, sock: socket.socket, address: str, has_knocked: bool) -> None:
        first = self.heard[sock]
        self._forget(sock)
        self.let_in(sock, address, first, has_knocked)

    def _have_wait(self, sock: socket.socket, address: str) -> None:
        now_s = self.loop.time()
        self.turns = min(self.turns + (now_s - self.counted_s) * STRANGERS_PER_S, TURNS_MAX)
        self.counted_s = now_s
        if self.turns >= 1 and not self.address:
            self.turns -= 1
            self._admit(sock, address, False)
            return
        first = self.heard[sock]
        self._forget(sock)
        self._make_room(self.waiting, address)
        self.heard[sock], self.address[sock] = first, address
        self.waiting.add(sock, address)
        if self._next_turn is None:
            self._next_turn = self.loop.call_later(1 / STRANGERS_PER_S, self._give_turn)

    def _give_turn(self) -> None:
        sock = cast(socket.socket, self.waiting.next())
        self._next_turn = None
        self._admit(sock, self.address[sock], False)
        if self.address and self._next_turn is None:
            self._next_turn = self.loop.call_later(1 / STRANGERS_PER_S, self._give_turn)

    def _tend(self) -> None:
        self._timer = None
        end_s = self.loop.time() - SILENT_S
        for sock, came_s in tuple(self.came_s.items()):
            if came_s > end_s:
                break
            self._end(sock, SILENT)
        if self.came_s:
            self._timer = self.loop.call_later(LOOK_S, self._tend)

    def _end(self, sock: socket.socket, reason: str) -> None:
        self._put_out(sock)
        self.turned_away(reason)

    def _put_out(self, sock: socket.socket) -> None:
        self._forget(sock)
        with contextlib.suppress(OSError):
            sock.close()

    def _forget(self, sock: socket.socket) -> None:
        if self.came_s.pop(sock, None) is not None:
            self.loop.remove_reader(sock)
            self.bare.remove(sock)
        if self.address.pop(sock, None) is not None:
            self.waiting.remove(sock)
        self.heard.pop(sock, None)


def _missing_bytes(first: bytes) -> int | None:
    """Until the first record of TLS is whole. None: no peer sends such a long one."""
    if len(first) < RECORD_HEAD_BYTES:
        return RECORD_HEAD_BYTES - len(first)
    size = RECORD_HEAD_BYTES + int.from_bytes(first[3:RECORD_HEAD_BYTES], "big")
    return size - len(first) if size <= FIRST_BYTES_MAX else None
