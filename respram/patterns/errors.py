"""What can go wrong in a pattern: one named exception each, with a sentence that says what to do.

Only exceptions may live here. None carries a value that a caller stored; names of keys may appear.
"""


class PatternError(Exception):
    """Everything that a pattern raises by intent."""


class StoreAway(PatternError, ConnectionError):
    """No node answered. The outcome of the operation is unknown: ask again before acting on it."""


class HomeAway(StoreAway):
    """The node answers, but cannot decide about this key yet: the key's home is away, or this node still joins.

    It is no reason to leave the node: ask again in a moment. The operation may have been carried out.
    """


class NodeRefused(StoreAway, ConnectionRefusedError):
    """No node of the store accepted the connection. It has the name that callers of sockets expect."""


class StoreRefused(PatternError):
    """The node answered with an error: out of memory, no permission, a command it does not have."""


class WrongCredentials(StoreRefused):
    """The node wants another user or password: asking again with the same ones does not help."""


class ValueTooLarge(PatternError, ValueError):
    """Refused before anything was sent."""


class BadName(PatternError, ValueError):
    """A key, label or topic that cannot be one."""


class BadTtl(PatternError, ValueError):
    """Every key needs a time to live, and it must be a positive number of seconds."""


class NotJson(PatternError, TypeError):
    """A value that JSON cannot express, bytes first of all."""


class Unreadable(PatternError, ValueError):
    """The stored value was not written by this pattern, or was written by another version of it."""


class TooMany(PatternError):
    """More keys, items or entries than the named bound allows."""


class Contended(PatternError):
    """Other clients changed the key at every attempt; nothing was written."""


class Unsettled(PatternError):
    """Too few other nodes took the write in time, or one did not answer: the claim is void, try again."""


class TimedOut(PatternError, TimeoutError):
    """The awaited message or answer did not come in time. It may still come."""


class SessionTimedOut(TimedOut):
    """The peer did not accept a session in time."""


class SessionClosed(PatternError, ConnectionError):
    """The session with the peer is over; the reason says why."""


class ClaimLost(PatternError):
    """The claim is no longer this holder's: stop the work that it protects."""


class ResourceLocked(PatternError):
    """Another client holds the lock."""

    def __init__(self, resource: str, locked_by: str, remaining_s: float) -> None:
        super().__init__(
            f"{resource!r} is held by {locked_by!r} for at most {remaining_s:.3f} s more; wait, or do other work"
        )
        self.locked_by, self.remaining_s = locked_by, remaining_s


class BadTransition(PatternError):
    """A state machine was asked for a step that its table does not have, or its job is stale."""


class CircuitOpen(PatternError):
    """The service has not said that it is healthy; it was not called."""


class WrongKey(PatternError):
    """This secret does not open this payload."""


class Tampered(PatternError):
    """The right secret, but the ciphertext is not what was sealed. Do not use any of it."""


class SessionEnded(PatternError):
    """The session was ended or its time is up: nothing was written, and the user must log in again."""


class ContentMissing(PatternError, LookupError):
    """No node that was asked holds the content: its time is up, or it was never stored."""


class ContentCorrupt(PatternError):
    """The bytes do not have the hash that they were asked for by."""


class ChunkExpired(PatternError, LookupError):
    """A chunk expired before this reader reached it."""

    def __init__(self, stream: str, seq: int) -> None:
        super().__init__(
            f"chunk {seq} of stream {stream!r} expired before it was read: call skip_to_oldest() to go on"
            " with what is left, or give the stream a longer ttl_s"
        )
        self.stream, self.seq = stream, seq


class StreamEnded(PatternError, EOFError):
    """The writer closed the stream; there is nothing more to read, and nothing more may be sent."""


class StreamRestarted(ChunkExpired):
    """The stream was forgotten and started over: an unknown number of unread messages of its old life is lost."""

    def __init__(self, stream: str, seq: int) -> None:
        super().__init__(stream, seq)
        self.args = (
            f"stream {stream!r} was forgotten and began anew; whatever followed chunk {seq} of its former life is gone:"
            " call skip_to_oldest() to go on with the new one",
        )


class RemoteError(PatternError):
    """The other side accepted the request and failed to handle it."""
