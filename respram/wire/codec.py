"""Messages to bytes and argument lists to messages, by the table that the message classes are.

Numbers have one spelling and a range, bytes a length; anything else is a PeerError. The text of an error names
the word and the field, never what was in it.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple, cast, get_args, get_type_hints

from respram.errors import PeerError
from respram.wire.fields import Kinds
from respram.wire.messages import MESSAGES, Message

try:
    from respram.wire._fields import pack_fields, read_fields
except ImportError:  # built without a compiler
    from respram.wire.fields import pack_fields, read_fields


class Field(NamedTuple):
    name: str
    is_number: bool
    most: int  # the largest number, or the most bytes


class Layout(NamedTuple):
    message: type[Message]
    fields: tuple[Field, ...]
    kinds: Kinds  # the same fields without names
    values: Callable[[Message], tuple[int | bytes, ...]]
    head: bytes  # of every such frame: the array header and the word


def _layout(message: type[Message]) -> Layout:
    hints = get_type_hints(message, include_extras=True)
    fields = tuple(
        Field(name, get_args(hint)[0] is int, get_args(hint)[1]) for name, hint in hints.items() if name != "word"
    )
    head = b"*%d\r\n$%d\r\n%b\r\n" % (len(fields) + 1, len(message.word), message.word)
    kinds = tuple((one.is_number, one.most) for one in fields)
    return Layout(message, fields, kinds, _getter([one.name for one in fields]), head)


def _getter(names: list[str]) -> Callable[[Message], tuple[int | bytes, ...]]:
    if len(names) > 1:
        return cast(Callable[[Message], tuple[int | bytes, ...]], attrgetter(*names))
    return lambda message: tuple(getattr(message, name) for name in names)


LAYOUTS = {message.word: _layout(message) for message in MESSAGES}
ARGS_MAX = max(len(layout.fields) for layout in LAYOUTS.values()) + 1  # no message has more fields


def encode(message: Message) -> bytes:
    layout = LAYOUTS[message.word]
    return pack_fields(layout.head, layout.values(message))


def decode(argv: list[bytes]) -> Message:
    layout = LAYOUTS.get(argv[0])
    if layout is None:
        raise PeerError("unknown message")
    if len(argv) != len(layout.kinds) + 1:
        raise PeerError(f"{argv[0].decode()} has the wrong number of fields")
    values = read_fields(argv, layout.kinds)
    if isinstance(values, int):
        wrong = layout.fields[values]
        fault = "is not a number in range" if wrong.is_number else "is too long"
        raise PeerError(f"{argv[0].decode()} {wrong.name} {fault}")
    return cast(Message, cast(Any, layout.message)(*values))
