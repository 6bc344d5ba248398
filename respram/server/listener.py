"""A listener for clients: its sockets, the pump that serves its clients, and their encryption.

TCP has the engine's fastest pump and nothing around its sockets, and a Unix socket shares it; TLS has the portable pump
and the encryption of tls.py.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable

from respram.errors import BindError
from respram.server.pump import Pump

ACCEPTS_MAX = 32  # connections accepted in one turn of the loop
ASK_S = 1.0  # for the check whether a process listens on an existing Unix socket

Wrap = Callable[[socket.socket], socket.socket]


class Listener:
    def __init__(self, name: str, pump: Pump, wrap: Wrap | None = None, path: str = "") -> None:
        self.name = name  # as it appears in the log
        self.pump = pump
        self.wrap = wrap  # wraps the socket for the client; raises OSError if the client is gone
        self.path = path  # of a Unix socket
        self.sockets: list[socket.socket] = []

    def bind(self, host: str, port: int, backlog: int) -> None:
        """Listens at one more address. Raises BindError."""
        self.sockets.append(_listening(host, port, backlog))

    def bind_path(self, path: str, mode: int, backlog: int) -> None:
        """Listens on a Unix socket. Raises BindError."""
        self.sockets.append(_listening_at(path, mode, backlog))

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        welcome: Callable[["Listener", socket.socket], None],
        failed: Callable[[str], None],
    ) -> None:
        for one in self.sockets:
            loop.add_reader(one, self._accept, one, welcome, failed)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        for one in self.sockets:
            loop.remove_reader(one)
            if one.family == socket.AF_UNIX:
                _unlink(one)
            one.close()
        self.sockets.clear()

    def spelled(self) -> str:
        return ",".join(spell(one.getsockname()).decode(errors="replace") for one in self.sockets)

    def _accept(
        self,
        listening: socket.socket,
        welcome: Callable[["Listener", socket.socket], None],
        failed: Callable[[str], None],
    ) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                sock, _peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                failed(error.strerror or type(error).__name__)
                return
            sock.setblocking(False)
            welcome(self, sock)


def _listening(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise BindError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port or --bind") from None
    return sock


def _listening_at(path: str, mode: int, backlog: int) -> socket.socket:
    """What a node that was killed left at the path is taken away; what somebody listens on, or is no socket, is not."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_way(path)
        sock.bind(path)
        if mode:
            os.chmod(path, mode)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        why = error.strerror or "it is in use"
        raise BindError(f"cannot listen on {path}: {why}; choose another --unixsocket") from None
    return sock


def _make_way(path: str) -> None:
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(ASK_S)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _unlink(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        os.unlink(sock.getsockname())


def prepare(sock: socket.socket, keepalive_s: int) -> None:
    """Small replies leave at once, and dead peers are noticed after about twice `keepalive_s`, as Redis has it.
    OSError.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive_s <= 0:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(keepalive_s // 3, 1))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def spell(address: tuple[object, ...] | str) -> bytes:
    if isinstance(address, str):
        return os.fsencode(address) + b":0"  # a Unix socket, shown as in Redis
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()
