"""TLS towards clients: a socket that encrypts, and the certificates it does so with.

`TlsSocket` has the few methods of a non-blocking socket that a client's connection needs, so a client behind TLS is
served by the same code as any other: the same limits, suspensions and closing. OpenSSL works on the descriptor
itself and reads record by record, so nothing readable stays inside it, where no epoll would tell of it.
Going through memory instead was measured and is dearer: docs/decisions/0042-client-tls.md.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

from respram.config.settings import Config
from respram.errors import ConfigError
from respram.server.clock import now_ms

RECORD_BYTES = 16 * 1024  # the most that one TLS record holds
HANDSHAKE_MS_MAX = 10_000  # from connecting to the end of the handshake; a slower client is disconnected
CLIENT_CERTIFICATES = {"yes": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "no": ssl.CERT_NONE}
WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class TlsSocket:
    """Behaves like the non-blocking socket inside: BlockingIOError where it would block, OSError at the end."""

    __slots__ = ("sock", "ready", "accepted_ms", "on_failure")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, on_failure: Callable[[str], None]) -> None:
        self.sock = context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self.ready = False  # the handshake has finished
        self.accepted_ms = now_ms()
        self.on_failure = on_failure

    def fileno(self) -> int:
        return self.sock.fileno()

    # -- in ---------------------------------------------------------------------------------------
    def recv_into(self, buffer: memoryview) -> int:
        """Reads while whole records come and a whole one still fits: then OpenSSL keeps none back."""
        got = 0
        try:
            if not self.ready:
                self.sock.do_handshake()
                self.ready = True
            while len(buffer) - got >= RECORD_BYTES:
                count = self.sock.recv_into(buffer[got:])
                got += count
                if count < RECORD_BYTES:
                    break
        except WAITING:
            pass
        except ssl.SSLError as error:
            self.on_failure(error.reason or "unknown")
            raise OSError("TLS failed") from None
        else:
            return got
        if not got:
            raise BlockingIOError
        return got

    def overdue(self, now: int) -> bool:
        """Whether the handshake takes longer than anybody honest needs."""
        return not self.ready and now - self.accepted_ms > HANDSHAKE_MS_MAX

    # -- out --------------------------------------------------------------------------------------
    def send(self, data: bytes | memoryview) -> int:
        """Returns how many bytes were taken. The caller sends the rest again: OpenSSL has encrypted the record that the
        kernel did not take, and needs the same bytes again."""
        taken, view = 0, memoryview(data)
        while taken < len(view):
            try:
                taken += self.sock.send(view[taken : taken + RECORD_BYTES])
            except WAITING:
                if not taken:
                    raise BlockingIOError from None
                break
        return taken

    def sendmsg(self, pieces: list[memoryview]) -> int:
        return self.send(pieces[0])

    def shutdown(self, how: int) -> None:
        """Says goodbye if that takes no waiting, and sends nothing more."""
        if self.ready:
            with contextlib.suppress(ssl.SSLError, ValueError):  # it raises for the client's missing close message
                self.sock.unwrap()
            self.ready = False
        socket.socket.shutdown(self.sock, how)

    def close(self) -> None:
        """Says goodbye if that takes no waiting, and closes."""
        if self.ready:
            with contextlib.suppress(OSError, ValueError):
                self.sock.unwrap()
        self.sock.close()


class Encryption:
    """Wraps the sockets of the TLS listener, with certificates that can be renewed."""

    def __init__(self, config: Config, on_failure: Callable[[str], None]) -> None:
        self.config = config
        self.on_failure = on_failure
        self.context = make_context(config)

    def renew(self) -> None:
        """Reloads the certificates from their files, for new connections. A ConfigError changes nothing."""
        self.context = make_context(self.config)

    def __call__(self, sock: socket.socket) -> socket.socket:
        # Only the methods of a socket that a client uses.
        return cast(socket.socket, TlsSocket(sock, self.context, self.on_failure))


def client_context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """For a node's own health check: who `ca` signed is believed, and whoever shows this very certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for option, path in (("--tls-ca", ca), ("--tls-cert", certificate)):
        try:
            if path:
                context.load_verify_locations(path)
        except ssl.SSLError as error:
            raise ConfigError(f"{option} {path} holds no certificate: {error.reason or 'no PEM in it'}") from None
        except OSError as error:
            raise ConfigError(f"{option} {path} cannot be read: {error.strerror}") from None
    if not ca and not certificate:
        context.load_default_certs()
    if certificate and key:
        try:
            context.load_cert_chain(certificate, key, lambda: "")
        except ssl.SSLError as error:
            raise ConfigError(
                f"--tls-cert {certificate} and --tls-key do not belong together: {error.reason or 'no PEM in it'}"
            ) from None
        except OSError as error:
            raise ConfigError(f"--tls-key {key} cannot be read: {error.strerror}") from None
    return context


def make_context(config: Config) -> ssl.SSLContext:
    """Makes the TLS context from the options. ConfigError is one line that names the wrong file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = CLIENT_CERTIFICATES[config.tls_auth_clients]
    for option, path in (("--tls-cert", config.tls_cert), ("--tls-key", config.tls_key), ("--tls-ca", config.tls_ca)):
        try:
            if path:
                Path(path).read_bytes()
        except OSError as error:
            raise ConfigError(f"{option} {path} cannot be read: {error.strerror}") from None

    def no_password() -> str:
        raise ConfigError(
            f"--tls-key {config.tls_key} is encrypted, and a server cannot ask for the password; give a key without one"
        )

    try:
        context.load_cert_chain(config.tls_cert, config.tls_key, no_password)
    except ssl.SSLError as error:
        raise ConfigError(
            f"--tls-cert {config.tls_cert} and --tls-key do not belong together: {error.reason or 'no PEM in it'}"
        ) from None
    if config.tls_ca:
        try:
            context.load_verify_locations(config.tls_ca)
        except ssl.SSLError as error:
            raise ConfigError(
                f"--tls-ca {config.tls_ca} holds no certificate: {error.reason or 'no PEM in it'}"
            ) from None
    return context
