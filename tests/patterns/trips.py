"""A relay in front of a node that counts round trips: how often a client wrote after it had been answered."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.live import SOON_S

PIECE_BYTES = 1 << 20
LOOK_S = 0.05  # until the relay notices that it is to stop


@dataclass(slots=True)
class Trips:
    port: int
    count: int = 0
    asking: set[int] = field(default_factory=set)  # connections whose latest bytes came from the client

    def reset(self) -> None:
        """Begins to count anew; connections that were answered meanwhile begin with a question."""
        self.count = 0
        self.asking.clear()


@contextlib.contextmanager
def counting(target: int) -> Iterator[Trips]:
    """A port in front of the node's. Only while one connection is used at a time are trips what a caller waits for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        trips = Trips(listener.getsockname()[1])
        stopping = threading.Event()
        thread = threading.Thread(target=_carry, args=(listener, target, trips, stopping), daemon=True)
        thread.start()
        try:
            yield trips
        finally:
            stopping.set()
            thread.join(SOON_S)


def _carry(listener: socket.socket, target: int, trips: Trips, stopping: threading.Event) -> None:
    others: dict[socket.socket, tuple[socket.socket, int, bool]] = {}  # the other end, the pair, whether a client's
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while not stopping.is_set():
            for found, _ in selector.select(LOOK_S):
                sock = found.fileobj
                assert isinstance(sock, socket.socket)
                if sock is listener:
                    client, node = listener.accept()[0], socket.create_connection(("127.0.0.1", target), SOON_S)
                    others[client], others[node] = (node, client.fileno(), True), (client, client.fileno(), False)
                    for one in (client, node):
                        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        selector.register(one, selectors.EVENT_READ)
                elif sock in others:
                    other, pair, asks = others[sock]
                    data = sock.recv(PIECE_BYTES)
                    if asks and data and pair not in trips.asking:
                        trips.count += 1
                    (trips.asking.add if asks else trips.asking.discard)(pair)
                    with contextlib.suppress(OSError):
                        other.sendall(data)
                    if not data:
                        for one in (sock, other):
                            selector.unregister(one)
                            del others[one]
                            one.close()
        for one in others:
            one.close()
