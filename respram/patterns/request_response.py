"""Request and response: a question in a service's stream, the answer under a key of its own. Nothing else lives here.

    Requester(client, "quotes").call(b"GET /data", timeout_s=5)            # the client: waits for the answer
    Responder(other_client, "quotes").serve_one(handler, timeout_s=5)      # the server: handler(request) -> bytes

    Responder(other_client, "quotes").serve(handler)                        # until the process ends

Several responders share the work: each request is claimed by one. A handler that raises answers with RemoteError.
Guarantees: one responder of all nodes handles a request, while the members of the enclave are stable
(docs/peers.md); with `--decide local` one responder of each node does, and one of all nodes with `settle=` (settle.py).
Not promised: that a request is handled exactly once while a node dies or is cut off, or at all. After TimedOut it is
unknown whether the request was handled.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import (
    ChunkExpired,
    RemoteError,
    Tampered,
    TimedOut,
    Unreadable,
    ValueTooLarge,
    WrongKey,
)
from respram.patterns.live_stream import POLL_S, StreamDecoder, StreamEncoder
from respram.patterns.naming import key
from respram.patterns.settle import Settle, claimed
from respram.patterns.steps import C, call, get, operation, pause, put, wait_until

ID_BYTES = 16
SERVE_S = 1.0  # how often `serve` checks whether it is to stop
ANSWERED, FAILED = b"\x00", b"\x01"


@dataclass(frozen=True, slots=True)
class Requester(Generic[C]):
    client: C
    service: str
    ttl_s: float = 30.0

    @operation
    def call(self, request: bytes, timeout_s: float) -> Steps[bytes]:
        """Sends a request and returns the answer. Raises TimedOut, or RemoteError when the handler failed."""
        request_id = uuid.uuid4().bytes
        stream = StreamEncoder(self.client, f"requests:{self.service}", self.ttl_s)
        yield from stream.send.steps(request_id + request)
        answer = yield from wait_until(lambda: get(answer_key(request_id)), timeout_s, POLL_S, "the answer")
        if answer[:1] == FAILED:
            raise RemoteError(
                f"service {self.service!r} took the request and failed: {answer[1:].decode(errors='replace')}"
            )
        return answer[1:]


@dataclass(slots=True)
class Responder(Generic[C]):
    client: C
    service: str
    ttl_s: float = 30.0
    settle: Settle | None = None  # lets responders on several nodes share the requests
    decoder: StreamDecoder[C] = field(init=False)

    def __post_init__(self) -> None:
        self.decoder = StreamDecoder(self.client, f"requests:{self.service}")

    @operation
    def serve(
        self,
        handler: Callable[[bytes], Any],
        stop: Callable[[], bool] | None = None,
        on_error: Callable[[Exception], Any] | None = None,
        poll_s: float = SERVE_S,
    ) -> Steps[int]:
        """Serves until `stop` returns true; returns the number of requests.

        A handler's exception is answered as an error and passed to `on_error`. So is the error of a message that no
        Requester sent. An exception of the node (StoreAway) ends the loop.
        """
        served = 0
        while stop is None or not stop():
            taken, error = yield from self._serve(handler, poll_s)
            served += taken
            if error is not None and on_error is not None:
                yield from call(on_error, error)
        return served

    @operation
    def serve_one(self, handler: Callable[[bytes], Any], timeout_s: float) -> Steps[bool]:
        """Takes one request and answers it; False when none came in time. A handler's exception reaches both sides."""
        taken, error = yield from self._serve(handler, timeout_s)
        if error is not None:
            raise error
        return taken

    def _serve(self, handler: Callable[[bytes], Any], timeout_s: float) -> Steps[tuple[bool, Exception | None]]:
        """Whether a request was taken, and its handler's exception. Exceptions of the node pass through."""
        while True:
            try:
                message = yield from self.decoder.receive.steps(timeout_s)
            except TimedOut:
                return False, None
            except ChunkExpired:
                # The requesters of the expired requests no longer wait; those of the remaining ones may.
                yield from self.decoder.skip_to_oldest.steps()
                continue
            except (Unreadable, Tampered, WrongKey) as error:
                # Not a Requester's message. It is skipped, or it would block every request behind it.
                try:
                    yield from self.decoder.skip_unreadable.steps()
                except Unreadable:  # another program wrote the stream's head: no requests until it expires
                    yield from pause(min(timeout_s, SERVE_S))
                return False, error
            if len(message) < ID_BYTES:
                return False, Unreadable(
                    f"a message in the stream of {self.service!r} was not sent by Requester; it was skipped"
                )
            request_id, request = message[:ID_BYTES], message[ID_BYTES:]
            mine = uuid.uuid4().bytes
            if (yield from claimed(key("claimed", request_id.hex()), mine, self.ttl_s, self.settle))[0]:
                break
        try:
            answer = ANSWERED + (yield from call(handler, request))
        except Exception as error:
            # Only the error's name: its text may contain parts of the request.
            yield from put(answer_key(request_id), FAILED + type(error).__name__.encode(), self.ttl_s)
            return True, error
        try:
            yield from put(answer_key(request_id), answer, self.ttl_s)
        except ValueTooLarge as error:
            yield from put(answer_key(request_id), FAILED + type(error).__name__.encode(), self.ttl_s)
            return True, error
        return True, None


def answer_key(request_id: bytes) -> bytes:
    return key("answer", request_id.hex())
