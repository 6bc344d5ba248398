"""A wire between two servers that counts what passes and can be cut: connections end then, and new ones get nowhere.

A thread of its own carries the bytes, so what goes through is slower than without: for bytes and for cuts, not for
latencies.
"""

import selectors
import socket
import threading

PIECE_BYTES = 1 << 18
TURN_S = 0.02  # the longest delay until a cut is noticed
STUCK_S = 5.0  # a side that takes nothing for this long is dropped


class Wire:
    def __init__(self, target: int) -> None:
        self.target = target
        self.is_cut = False
        self.passed_bytes = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        self.is_cut = True

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(STUCK_S)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, self.listener:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if self.is_cut:
                    for sock in list(self._pairs):
                        self._drop(selector, sock)
                for key, _ in selector.select(TURN_S):
                    assert isinstance(key.fileobj, socket.socket)
                    if key.fileobj is self.listener:
                        self._accept(selector)
                    elif key.fileobj in self._pairs:
                        self._pass(selector, key.fileobj)
            for sock in list(self._pairs):
                self._drop(selector, sock)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        sock, _ = self.listener.accept()
        if self.is_cut:
            sock.close()
            return
        try:
            other = socket.create_connection(("127.0.0.1", self.target), 1)
        except OSError:
            sock.close()
            return
        for one, another in ((sock, other), (other, sock)):
            one.settimeout(STUCK_S)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs[one] = another
            selector.register(one, selectors.EVENT_READ)

    def _pass(self, selector: selectors.BaseSelector, sock: socket.socket) -> None:
        try:
            data = sock.recv(PIECE_BYTES)
            if data:
                self.passed_bytes += len(data)
                self._pairs[sock].sendall(data)
                return
        except OSError:
            pass
        self._drop(selector, sock)

    def _drop(self, selector: selectors.BaseSelector, sock: socket.socket) -> None:
        other = self._pairs.pop(sock, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for one in (sock, other):
            selector.unregister(one)
            one.close()
