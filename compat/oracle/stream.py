"""What is sent: steps on numbered connections, in order. Data only; `transcript.py` plays it.

Words of a command may be placeholders, because each server has its own client ids and addresses, and because
an absolute time has to be made from the clock of the moment when the stream is played.
"""

from dataclasses import dataclass
from typing import NamedTuple

from compat.oracle.resp import encode

SHOWN_BYTES = 120  # bytes of one word or reply in a report


@dataclass(frozen=True, slots=True)
class At:
    """An absolute Unix time, so far from the moment of playing; in seconds or milliseconds."""

    offset_ms: int
    seconds: bool


@dataclass(frozen=True, slots=True)
class IdOf:
    """The client id that the server has given to a connection of this stream."""

    conn: int


@dataclass(frozen=True, slots=True)
class AddressOf:
    conn: int


Word = bytes | At | IdOf | AddressOf


@dataclass(frozen=True, slots=True)
class Send:
    """One command. `silent`: no reply is due. `expect`: what is heard, where no Redis can tell it. `exact`: no rule
    applies.
    """

    conn: int
    argv: tuple[Word, ...]
    silent: bool = False
    expect: tuple[bytes, ...] = ()
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that need not be a command; the rest as in Send."""

    conn: int
    data: bytes
    silent: bool = False
    expect: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Walk:
    """SCAN with these options from cursor 0 to the end; its reply is the sorted set of what was returned."""

    conn: int
    options: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Sleep:
    ms: int


Step = Send | Raw | Walk | Sleep


@dataclass(frozen=True, slots=True)
class Stream:
    family: str
    number: int  # its number within the family
    proto: int  # set with HELLO on each connection before the first step
    steps: tuple[Step, ...]
    config: tuple[tuple[bytes, bytes], ...] = ()  # set with CONFIG SET before connections are made
    whole_only: bool = False  # its pushes depend on how commands share a turn of the server's loop


class Surroundings(NamedTuple):
    """What placeholders become."""

    base_ms: int
    ids: dict[int, bytes]
    addresses: dict[int, bytes]


def resolve(word: Word, around: Surroundings) -> bytes:
    if isinstance(word, At):
        moment_ms = around.base_ms + word.offset_ms
        return b"%d" % (moment_ms // 1000 if word.seconds else moment_ms)
    if isinstance(word, IdOf):
        return around.ids[word.conn]
    if isinstance(word, AddressOf):
        return around.addresses[word.conn]
    return word


def wire(step: Send | Raw, around: Surroundings) -> bytes:
    """The bytes of a step."""
    if isinstance(step, Raw):
        return step.data
    return encode([resolve(word, around) for word in step.argv])


def name_of(step: Step) -> tuple[bytes, ...]:
    """The command's name and its first argument in lower case; what is not known before playing is empty."""
    words = step.argv[:2] if isinstance(step, Send) else ()
    return tuple(word.lower() if isinstance(word, bytes) else b"" for word in words)


def command_count(stream: Stream) -> int:
    return sum(not isinstance(step, Sleep) for step in stream.steps)


def connections(stream: Stream) -> int:
    """How many there are, those that are only spoken of included."""
    spoken_on = [step.conn for step in stream.steps if not isinstance(step, Sleep)]
    words = [word for step in stream.steps if isinstance(step, Send) for word in step.argv]
    return 1 + max([0, *spoken_on, *(word.conn for word in words if isinstance(word, IdOf | AddressOf))])


def shown(data: bytes) -> str:
    """Bytes for a report: printable, and cut where they are long."""
    text = repr(data)[1:]
    return text if len(text) <= SHOWN_BYTES else f"{text[:SHOWN_BYTES]}... ({len(data)} bytes)"


def show_step(step: Step) -> str:
    if isinstance(step, Sleep):
        return f"(sleep {step.ms} ms)"
    if isinstance(step, Walk):
        return f"[{step.conn}] SCAN to the end {' '.join(map(shown, step.options))}"
    if isinstance(step, Raw):
        return f"[{step.conn}] raw {shown(step.data)}"
    return f"[{step.conn}] " + " ".join(shown(word) if isinstance(word, bytes) else str(word) for word in step.argv)
