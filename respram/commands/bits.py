"""Strings used as bitmaps: SETBIT GETBIT BITCOUNT BITPOS BITOP. Bit 0 is the highest of byte 0.

Counting goes through Python's big integers, which do it at the speed of memory; the engine combines. An
operation whose result is empty deletes its destination in Redis; here that takes the right to DEL, while there is
something to let go of.
"""

from respram.commands.access import check_length, current, exists, read, rewrite, write
from respram.commands.letting_go import let_go_or_refuse
from respram.commands.node import Conn
from respram.commands.reply import Reply
from respram.commands.texts import NOT_AN_INTEGER, SYNTAX
from respram.engine.api import LOOK_BYTES
from respram.errors import ClientError
from respram.integers import parse_int

INVERTED = bytes(255 - byte for byte in range(256))
BIT_OFFSET = ClientError.saying(b"ERR bit offset is not an integer or out of range")
BIT_VALUE = ClientError.saying(b"ERR bit is not an integer or out of range")
BIT_ARGUMENT = ClientError.saying(b"ERR The bit argument must be 1 or 0.")
NOT_ALONE = ClientError.saying(b"ERR BITOP NOT must be called with a single source key.")


def setbit(conn: Conn, argv: list[bytes]) -> Reply:
    offset = _bit_offset(conn, argv[2])
    if argv[3] not in (b"0", b"1"):
        raise BIT_VALUE
    entry = current(conn, argv[1])
    value = bytearray(b"" if entry is None else entry.value)
    at, mask = offset >> 3, 0x80 >> (offset & 7)
    if at >= len(value):
        value.extend(bytes(at + 1 - len(value)))
    old = 1 if value[at] & mask else 0
    if entry is not None and at < entry.length and b"%d" % old == argv[3]:
        return old  # unchanged: no stamp, no event and no invalidation, as in Redis
    value[at] = value[at] | mask if argv[3] == b"1" else value[at] & ~mask
    rewrite(conn, argv[1], entry, bytes(value), b"setbit")
    return old


def getbit(conn: Conn, argv: list[bytes]) -> Reply:
    offset = _bit_offset(conn, argv[2])
    entry = read(conn, argv[1])
    at = offset >> 3
    if entry is None or at >= entry.length:
        return 0
    return 1 if entry.value[at] & (0x80 >> (offset & 7)) else 0


def _bit_offset(conn: Conn, text: bytes) -> int:
    offset = parse_int(text)
    if offset is None or offset < 0 or offset >> 3 >= conn.node.settings.bulk_bytes_max:
        raise BIT_OFFSET
    return offset


def bitcount(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read(conn, argv[1])
    if entry is None:
        return 0  # Redis does not check the other arguments either
    if len(argv) not in (2, 4, 5):
        raise SYNTAX
    bounds = _two_integers(argv[2:4]) if len(argv) > 2 else (0, -1)
    if bounds[0] < 0 and bounds[1] < 0 and bounds[0] > bounds[1]:
        return 0  # before the unit is checked
    in_bits = _in_bits(argv[4]) if len(argv) == 5 else False
    span = _span(bounds, entry.length * 8 if in_bits else entry.length)
    if span is None:
        return 0
    if in_bits:
        return _bits(entry.value, span[0], span[1]).bit_count()
    return int.from_bytes(entry.value[span[0] : span[1] + 1]).bit_count()


def bitpos(conn: Conn, argv: list[bytes]) -> Reply:
    """The first bit of that value. Zeros go on behind the value, unless an end was named."""
    wanted = parse_int(argv[2])
    if wanted is None:
        raise NOT_AN_INTEGER
    if wanted not in (0, 1):
        raise BIT_ARGUMENT
    entry = read(conn, argv[1])
    if entry is None:
        return -1 if wanted else 0  # Redis does not check the other arguments either
    if len(argv) > 6:
        raise SYNTAX
    start = _one_integer(argv[3]) if len(argv) > 3 else 0
    in_bits = _in_bits(argv[5]) if len(argv) == 6 else False
    end = _one_integer(argv[4]) if len(argv) > 4 else -1
    span = _span((start, end), entry.length * 8 if in_bits else entry.length)
    if span is None:
        return -1
    first, last = span if in_bits else (span[0] * 8, span[1] * 8 + 7)
    at = _first_bit(entry.value, first, last, wanted)
    if at < 0 and not wanted and len(argv) < 5:
        return entry.length * 8
    return at


def _first_bit(value: bytes, first: int, last: int, wanted: int) -> int:
    width = last - first + 1
    bits = _bits(value, first, last)
    if not wanted:
        bits ^= (1 << width) - 1
    return first + width - bits.bit_length() if bits else -1


def _bits(value: bytes, first: int, last: int) -> int:
    """The bits from first to last, both included, as one integer."""
    whole = int.from_bytes(value[first >> 3 : (last >> 3) + 1])
    return (whole >> (7 - (last & 7))) & ((1 << (last - first + 1)) - 1)


def _span(bounds: tuple[int, int], length: int) -> tuple[int, int] | None:
    """First and last position within a length; negative ones count from its end. None: nothing."""
    start, end = (max(0, bound + length) if bound < 0 else bound for bound in bounds)
    end = min(end, length - 1)
    return None if start > end else (start, end)


def _in_bits(word: bytes) -> bool:
    unit = word.lower()
    if unit not in (b"bit", b"byte"):
        raise SYNTAX
    return unit == b"bit"


def _one_integer(text: bytes) -> int:
    number = parse_int(text)
    if number is None:
        raise NOT_AN_INTEGER
    return number


def _two_integers(words: list[bytes]) -> tuple[int, int]:
    return _one_integer(words[0]), _one_integer(words[1])


def bitop(conn: Conn, argv: list[bytes]) -> Reply:
    operation, target, sources = argv[1].lower(), argv[2], argv[3:]
    if operation not in (b"and", b"or", b"xor", b"not"):
        raise SYNTAX
    if operation == b"not" and len(sources) != 1:
        raise NOT_ALONE
    result: bytes | bytearray = b""
    conn.node.engine.spend(LOOK_BYTES * len(sources))
    for number, key in enumerate(sources):  # only one value is in memory at a time
        entry = read(conn, key)
        value = b"" if entry is None else entry.value
        if operation == b"not":
            result = value.translate(INVERTED)
        elif not number:
            result = value if len(sources) == 1 else bytearray(value)  # a copy of 16 MiB takes 8 ms
        else:
            assert isinstance(result, bytearray)
            _combine(conn, result, operation, value)
    if not result:
        if exists(conn, target):
            let_go_or_refuse(conn, b"bitop", target)
        return 0
    check_length(conn, len(result))
    write(conn, target, bytes(result), None, b"set")
    return len(result)


def _combine(conn: Conn, result: bytearray, operation: bytes, value: bytes) -> None:
    """Shorter values count as filled up with zeros behind."""
    short = min(len(result), len(value))
    conn.node.engine.combine(operation, result, value)
    if operation == b"and":
        result[short:] = bytes(max(len(result), len(value)) - short)
    else:
        result.extend(value[short:])


HANDLERS = {
    b"bitcount": bitcount,
    b"bitop": bitop,
    b"bitpos": bitpos,
    b"getbit": getbit,
    b"setbit": setbit,
}
