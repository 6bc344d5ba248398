"""Messages to bytes and argument lists to messages, by the table that the message classes are.

Numbers have one spelling and a range, bytes a length; anything else is a PeerError. The text of an error names
the word and the field, never what was in it.
"""

from typing import Any, NamedTuple, cast, get_args, get_type_hints

from respram.errors import PeerError
from respram.integers import parse_uint
from respram.wire.messages import MESSAGES, Message


class Field(NamedTuple):
    name: str
    is_number: bool
    most: int  # the greatest number, or the most bytes


class Layout(NamedTuple):
    message: type[Message]
    fields: tuple[Field, ...]
    head: bytes  # of every frame of it: the array header and the word


def _layout(message: type[Message]) -> Layout:
    hints = get_type_hints(message, include_extras=True)
    fields = tuple(
        Field(name, get_args(hint)[0] is int, get_args(hint)[1]) for name, hint in hints.items() if name != "word"
    )
    head = b"*%d\r\n$%d\r\n%b\r\n" % (len(fields) + 1, len(message.word), message.word)
    return Layout(message, fields, head)


LAYOUTS = {message.word: _layout(message) for message in MESSAGES}
ARGS_MAX = max(len(layout.fields) for layout in LAYOUTS.values()) + 1  # no message has more


def encode(message: Message) -> bytes:
    layout = LAYOUTS[message.word]
    out = [layout.head]
    for name, is_number, _ in layout.fields:
        value: Any = getattr(message, name)
        text = b"%d" % value if is_number else value
        out.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(out)


def decode(argv: list[bytes]) -> Message:
    layout = LAYOUTS.get(argv[0])
    if layout is None:
        raise PeerError("unknown message")
    word = argv[0].decode()
    if len(argv) != len(layout.fields) + 1:
        raise PeerError(f"{word} has the wrong number of fields")
    values: list[int | bytes] = []
    for (name, is_number, most), data in zip(layout.fields, argv[1:], strict=True):
        if is_number:
            number = parse_uint(data)
            if number is None or number > most:
                raise PeerError(f"{word} {name} is not a number in range")
            values.append(number)
        elif len(data) > most:
            raise PeerError(f"{word} {name} is too long")
        else:
            values.append(data)
    return cast(Message, cast(Any, layout.message)(*values))
