"""TLS towards clients: a socket that encrypts, and the certificates it does so with.

`TlsSocket` has the few methods of a non-blocking socket that a client's connection needs, so a client behind TLS is
served by the same code as any other: the same limits, suspensions and closing. It goes through memory
(`ssl.MemoryBIO`) instead of giving OpenSSL the descriptor: one `recv` then takes many records, where OpenSSL
makes two system calls for each. Figures: docs/decisions/0042-client-tls.md.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

from respram.config import Config
from respram.errors import ConfigError
from respram.server.clock import now_ms

# So much ciphertext can never decrypt to more than the pump's buffer of 64 KiB holds, even with a record of
# 16 KiB begun before: nothing readable is ever left inside, where no epoll would tell of it.
READ_BYTES = 47 * 1024
CIPHER = memoryview(bytearray(READ_BYTES))  # for all connections: nothing stays in it beyond one call
WRITE_BYTES = 64 * 1024  # plaintext encrypted before the kernel is asked again
HANDSHAKE_MS_MAX = 10_000  # from connecting to the end of the handshake; beyond it is closed
CLIENT_CERTIFICATES = {"yes": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "no": ssl.CERT_NONE}


class TlsSocket:
    """Behaves like the non-blocking socket inside: BlockingIOError where it would block, OSError at the end."""

    __slots__ = ("sock", "incoming", "outgoing", "tls", "ready", "owed", "unsent", "accepted_ms", "on_failure")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, on_failure: Callable[[str], None]) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.ready = False  # the handshake is over
        self.unsent = memoryview(b"")  # ciphertext that the kernel did not take
        self.owed = 0  # plaintext of it that was not yet admitted to be sent; see `send`
        self.accepted_ms = now_ms()
        self.on_failure = on_failure

    def fileno(self) -> int:
        return self.sock.fileno()

    # -- in ---------------------------------------------------------------------------------------
    def recv_into(self, buffer: memoryview) -> int:
        count = self.sock.recv_into(CIPHER)
        if not count:
            return 0
        self.incoming.write(CIPHER[:count])
        if not self.ready and not self._shake_hands():
            raise BlockingIOError
        got = 0
        try:
            while got < len(buffer):
                count = cast(int, self.tls.read(len(buffer) - got, buffer[got:]))  # a number, where a buffer is given
                if not count:
                    break
                got += count
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            if not got:
                return 0
        except ssl.SSLError as error:
            self._fail(error)
        self._flush()  # an answer to a change of keys
        if not got:
            raise BlockingIOError
        return got

    def _shake_hands(self) -> bool:
        try:
            self.tls.do_handshake()
            self.ready = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._flush()  # the alert says why
            self._fail(error)
        self._flush()
        return self.ready

    def _fail(self, error: ssl.SSLError) -> None:
        self.on_failure(error.reason or "unknown")
        raise OSError("TLS failed") from None

    def overdue(self, now: int) -> bool:
        """Whether the handshake takes longer than anybody honest needs."""
        return not self.ready and now - self.accepted_ms > HANDSHAKE_MS_MAX

    # -- out --------------------------------------------------------------------------------------
    def send(self, data: bytes | memoryview) -> int:
        """How much was taken, at most all.

        What is encrypted cannot be taken back. If the kernel leaves some of it, one byte less is admitted than was
        encrypted, so that the caller comes again when the kernel is ready; that byte is then skipped.
        """
        if self.unsent and not self._flush():
            raise BlockingIOError
        view = memoryview(data)
        taken, self.owed = self.owed, 0
        while taken < len(view):
            taken += self.tls.write(view[taken : taken + WRITE_BYTES])
            if not self._flush():
                self.owed = 1
                return taken - 1
        return taken

    def sendmsg(self, pieces: list[memoryview]) -> int:
        return self.send(pieces[0] if len(pieces) == 1 or len(pieces[0]) >= WRITE_BYTES else b"".join(pieces))

    def _flush(self) -> bool:
        """Gives the kernel what is encrypted; whether it took all."""
        while True:
            if not self.unsent:
                if not self.outgoing.pending:
                    return True
                self.unsent = memoryview(self.outgoing.read())
            try:
                sent = self.sock.send(self.unsent)
            except (BlockingIOError, InterruptedError):
                return False
            self.unsent = self.unsent[sent:]

    def close(self) -> None:
        """Says goodbye if that takes no waiting, and closes."""
        with contextlib.suppress(ssl.SSLError, OSError, ValueError):
            if self.ready and not self.unsent:
                with contextlib.suppress(ssl.SSLWantReadError):
                    self.tls.unwrap()
                self._flush()
        self.sock.close()


def make_context(config: Config) -> ssl.SSLContext:
    """What the options say. ConfigError in one line names the file that is wrong."""
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
        raise ConfigError(f"--tls-key {config.tls_key} is encrypted, and nobody is there to ask; give the key without a password")

    try:
        context.load_cert_chain(config.tls_cert, config.tls_key, no_password)
    except ssl.SSLError as error:
        raise ConfigError(f"--tls-cert {config.tls_cert} and --tls-key do not fit together: {error.reason or 'no PEM in it'}") from None
    if config.tls_ca:
        try:
            context.load_verify_locations(config.tls_ca)
        except ssl.SSLError as error:
            raise ConfigError(f"--tls-ca {config.tls_ca} holds no certificate: {error.reason or 'no PEM in it'}") from None
    return context
