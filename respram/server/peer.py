"""A link: one connection to another node. TLS through memory BIOs, or plain on loopback.

It turns what arrives into plain bytes for its owner, and the owner's bytes into what leaves. TLS is run here rather
than in the transport, because strangers connect to this port. A stranger that does not finish the handshake in time, or
sends something else, is closed without a reply and counted by kind, without a line in the log for each. A peer of
another cluster gets the TLS alert that tells its operator why.

A peer that sends as fast as it can, or frames of a few bytes each, holds up nobody: its input is worked off for TURN_US
in one turn of the loop, and nothing more is read meanwhile. The clock is read after each piece of WORK_BYTES. Bytes
within a long frame only wait for its end, so a piece is longer by those.

What bounds a link: HANDSHAKE_S until it is open, `unsent_bytes_max` of output that the kernel does not take (the
gossip core's window is smaller, so only a peer that reads nothing gets there), LINGER_S to send the rest when it is
closed. Nothing here knows a message.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from typing import Protocol, cast

from respram.config.options import Address
from respram.server import clock
from respram.server.handshakes import Handshakes

HANDSHAKE_S = 5.0
LINGER_S = 2.0
PLAIN_BYTES = 64 * 1024  # one read of decrypted bytes
PIECE_BYTES = 256 * 1024  # encrypted at a time
WORK_BYTES = 17 * 1024  # of input between two checks of the clock: a full record of TLS, which is decrypted as a whole
TURN_US = 2_000  # of work on one link's input in one turn of the loop
CROWD_BYTES = 64 * 1024  # a larger read means that more is waiting: other links come first

# Reasons why a link ended by itself.
STALLED, GARBAGE, UNTRUSTED, SILENT, LOST = "stalled", "garbage", "untrusted", "silent", "lost"
CROWDED, OPEN, EXPELLED = "crowded", "open", "expelled"

FAULTS = (GARBAGE, UNTRUSTED, SILENT, STALLED, CROWDED, OPEN, EXPELLED)  # reasons for closing a link that are counted
TOLD = {  # reasons that the operator should hear of, with what to do
    UNTRUSTED: "'another cluster secret or authority, on one of the two sides'",
    STALLED: "'it takes nothing more'",
    EXPELLED: "'its certificate is on a list of who is put out'",
    OPEN: "'a peer on another machine needs a cluster secret'",
}

NO_PEER = {  # texts for a dialled address where another program answers
    GARBAGE: "no TLS there: a node without a cluster secret, or another port",
    LOST: "closed before HELLO: a node with a cluster secret, or another port",
    SILENT: "nothing came: another port",
}
CLIENT_PORT = (
    "a port for clients answers there: --join names the port for peers (--peer-port, 16379 where nothing else is said)"
)


class Owner(Protocol):
    """The owner of a link. `link_ended` is called once, last, whichever side closed."""

    def link_opened(self, link: "PeerConnection") -> None: ...
    def link_received(self, link: "PeerConnection", data: bytes) -> None: ...
    def link_ended(self, link: "PeerConnection", reason: str) -> None: ...


class PeerConnection(asyncio.Protocol):
    """`address` is what was dialled, b"" for a link that was accepted."""

    def __init__(
        self, number: int, address: bytes, context: ssl.SSLContext | None, unsent_bytes_max: int, owner: Owner,
        worker: Handshakes | None = None, first: bytes = b"", knock: str = "",
    ) -> None:  # fmt: skip
        self.number = number
        self.address = address
        self.owner = owner
        self.worker = worker  # runs the cryptography of handshakes; None: the loop does
        self._first = first  # what the door has read
        self.unsent_bytes_max = unsent_bytes_max
        self.opened = False
        self.closing = False  # nothing more is passed to the owner
        self.reason = LOST
        self.told = ""  # TLS's reason for not trusting the peer
        self.answered_as_redis = False  # the first bytes were an error reply: a port for clients
        self.remote = ""
        self.body_bytes = 0  # that are missing of a long frame: until they are there they are no work. Set by the owner
        self.received_bytes = 0  # on the wire, including the overhead of TLS
        self.sent_bytes = 0
        self._waiting = memoryview(b"")  # read and not yet processed
        self._paused = False
        self._shaking = False  # the worker is using the TLS object
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tls: ssl.SSLObject | None = None
        if context is not None:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(
                self._incoming, self._outgoing, server_side=not address, server_hostname=knock or None
            )
            if address:  # so that the first bytes leave as soon as there is a connection
                with contextlib.suppress(ssl.SSLWantReadError):
                    self._tls.do_handshake()

    # -- what the loop calls ----------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from it
        sock, remote = transport.get_extra_info("socket"), transport.get_extra_info("peername")
        self.remote = str(Address(*remote[:2])) if remote else "unknown"
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        if self.closing:  # closed to make room before it began
            self._transport.abort()
        elif self._tls is not None:
            self._timer = loop.call_later(HANDSHAKE_S, self.abort, SILENT)
            self._send(self._outgoing.read())  # of the side that dialled; the other one is silent until then
        elif remote and ipaddress.ip_address(remote[0].partition("%")[0]).is_loopback:
            self._open()
        else:
            self.abort(OPEN)  # records never leave the machine unencrypted
        if self._first and not self.closing:
            self.data_received(self._first)
        self._first = b""

    def data_received(self, data: bytes) -> None:
        if not self.received_bytes and self.address:
            self.answered_as_redis = data[:1] == b"-"
        self.received_bytes += len(data)
        if not self._waiting:  # nearly always: nothing is read while something waits
            size = WORK_BYTES + self.body_bytes
            if self.opened and not (self.closing or self._shaking) and len(data) <= size:
                self._take(data)
                return
            self._waiting = memoryview(data)
        else:
            self._waiting = memoryview(bytes(self._waiting) + data)
        if len(data) >= CROWD_BYTES:
            self._pause()
        self._work()

    def _work(self) -> None:
        """Processes what was read, piece by piece, for at most TURN_US."""
        end_us = clock.micros() + TURN_US
        while self._waiting and not self.closing and not self._shaking:
            size = WORK_BYTES + self.body_bytes
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            self._take(bytes(piece))
            if self._waiting and clock.micros() > end_us:
                self._pause()
                break
        if self.closing:
            self._waiting = memoryview(b"")

    def _pause(self) -> None:
        """Stops reading for this turn. libuv would read up to 32 times in a row, however long that takes."""
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._paused = False
        self._work()
        if not self._paused and not self._shaking and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _take(self, data: bytes) -> None:
        if self._tls is None:
            self.owner.link_received(self, data)
            return
        self._incoming.write(data)
        if not self.opened:
            self._shake()
        elif not self._shaking:
            self._decrypt()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        self.closing = True
        self._transport = None
        if self.worker is not None:
            self.worker.drop(self)
        self.owner.link_ended(self, self.reason)

    # -- what the owner calls ---------------------------------------------------------------------
    def write(self, data: bytes) -> None:
        if self.closing or self._transport is None:
            return
        if self._tls is None:
            self._send(data)
        else:
            if len(data) <= PIECE_BYTES:
                self._tls.write(data)
            else:
                view = memoryview(data)
                for at in range(0, len(data), PIECE_BYTES):
                    self._tls.write(view[at : at + PIECE_BYTES])
            self._send(self._outgoing.read())
        if self.unsent_bytes() > self.unsent_bytes_max:
            self.abort(STALLED)

    def certificate(self) -> bytes | None:
        """The peer's, once the link is open. None: it is not, or has no TLS."""
        return self._tls.getpeercert(binary_form=True) if self._tls is not None and self.opened else None

    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def close(self, reason: str) -> None:
        """Sends what was written, then closes; at once when that takes too long."""
        if self.closing or self._transport is None:
            self.closing = True
            return
        self.closing, self.reason = True, reason
        if self._tls is not None and self.opened:
            # It raises for the peer's missing close message, which nobody waits for.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._send(self._outgoing.read())
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)
        self._transport.close()

    def abort(self, reason: str) -> None:
        """Closes at once, without sending what waits."""
        if self._transport is None:  # no connection, or none any more
            self.closing, self.reason = True, reason if not self.closing else self.reason
        elif not self._transport.is_closing():
            self.closing, self.reason = True, reason
            self._transport.abort()
        if self.worker is not None:
            self.worker.drop(self)

    def disown(self) -> None:
        """The loop has given up on a dial whose connection had just been made, and closes it without a word."""
        self._cancel_timer()
        self.closing, self._transport = True, None

    # -- TLS --------------------------------------------------------------------------------------
    def _shake(self) -> None:
        """A step of the handshake. (OpenSSL lets others run meanwhile.)"""
        assert self._tls is not None
        if self.worker is None:
            fault: BaseException | None = None
            try:
                self._tls.do_handshake()
            except ssl.SSLError as error:
                fault = error
            self._shaken(fault)
            return
        self._shaking = True
        if self._transport is not None and not self._paused:
            self._transport.pause_reading()
        self.worker.run(self, self._tls.do_handshake, self._worked)

    def _worked(self, step: "asyncio.Future[None]") -> None:
        self._shaking = False
        # Raised here, it would hold this frame, and the frame the step: thousands of such cycles wait for a collection.
        fault = None if step.cancelled() else step.exception()
        if step.cancelled() or self._transport is None or self._transport.is_closing() or self.closing:
            return
        self._shaken(fault)
        self._go_on()

    def _shaken(self, fault: BaseException | None) -> None:
        if isinstance(fault, ssl.SSLWantReadError):
            self._send(self._outgoing.read())
        elif isinstance(fault, ssl.SSLCertVerificationError):
            self.told = fault.verify_message
            self._send(self._outgoing.read())  # the TLS alert tells the peer the reason
            self.close(UNTRUSTED)
        elif isinstance(fault, ssl.SSLError):
            self._fail(fault)
        elif fault is not None:
            raise fault
        else:
            self._send(self._outgoing.read())
            self._open()
            self._decrypt()  # data that arrived after the handshake

    def _fail(self, error: ssl.SSLError) -> None:
        """An alert: the other side speaks TLS and says that it does not believe us. Anything else is garbage."""
        _, alert, name = (error.reason or "").partition("ALERT_")
        self.told = f"told by the peer: {name.replace('_', ' ').lower()}" if alert else ""
        self.abort(UNTRUSTED if alert else GARBAGE)

    def _open(self) -> None:
        self._cancel_timer()
        self.opened = True
        self.owner.link_opened(self)

    def _decrypt(self) -> None:
        """Hands over what has come, in one piece: a long frame comes in many records of TLS."""
        assert self._tls is not None
        pieces: list[bytes] = []
        fault: ssl.SSLError | None = None
        while True:
            try:
                pieces.append(self._tls.read(PLAIN_BYTES))
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                # An acceptor that does not trust us says so only after our side of the handshake is done.
                fault = error
                break
            if not pieces[-1] or not (self._incoming.pending or self._tls.pending()):
                break  # another read would only find that nothing is left, and raise
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if data:
            self.owner.link_received(self, data)
        if self.closing:
            return
        if fault is not None:
            self._fail(fault)
        elif pieces and not pieces[-1]:
            self.close(LOST)
        elif self._outgoing.pending:
            self._send(self._outgoing.read())  # a key update needs an answer

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self.sent_bytes += len(data)
            self._transport.write(data)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
