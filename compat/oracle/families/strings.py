"""Families about values: SET in every form, reading, counting, parts of a value, single bits.

What Redis answers with a delete is not drawn here (a time that has passed, GETEX PERSIST): it is in the
family `refusals`, with the text that respram has for it.
"""

from collections.abc import Callable

from compat.oracle.draw import BAD_TTLS, FLOATS, NOT_FLOATS, Draw, send
from compat.oracle.families.plan import Plan
from compat.oracle.stream import At, Send, Word

# Beyond 16 MiB, the longest string on both sides, and never near it: nothing that large is ever made.
BAD_BIT_OFFSETS = (b"-1", b"134217728", b"536870912", b"4294967295", b"4294967296", b"9223372036854775807", b"abc", b"",
                   b"1.5", b" 1", b"01")
BAD_OFFSETS = (b"-1", b"16777216", b"16777217", b"536870912", b"9223372036854775807", b"abc", b"", b"1.5",
               b"-9223372036854775808")
INDEXES = (b"0", b"1", b"2", b"3", b"5", b"8", b"43", b"100", b"-1", b"-2", b"-3", b"-5", b"-100",
           b"9223372036854775807", b"-9223372036854775808")


def each(draw: Draw, count: int, *makers: Callable[[Draw], Send]) -> Plan:
    """So many commands, each from one of the makers; one that is named twice is drawn twice as often."""
    return Plan(tuple(draw.pick(makers)(draw) for _ in range(count)))


# -- SET ------------------------------------------------------------------------------------------
def strings_set(draw: Draw, proto: int, count: int) -> Plan:
    return each(
        draw, count, set_command, set_command, set_command, set_command, setnx, setex, psetex, getset, get, life, life
    )


def set_command(draw: Draw) -> Send:
    """Mostly options that go together, in any order; now and then ones that do not, or with a piece missing."""
    options: list[tuple[Word, ...]] = []
    if draw.chance(0.5):
        options.append((draw.case(draw.pick((b"NX", b"XX"))),))
    if draw.chance(0.35):
        options.append((draw.case(b"GET"),))
    if draw.chance(0.7):
        options.append(expiration(draw, (b"KEEPTTL",)))
    if draw.chance(0.12):
        options.append(draw.pick(((b"NX",), (b"XX",), (b"GET",), (b"KEEPTTL",), expiration(draw, ()))))
    if draw.chance(0.05):
        options.append((draw.pick((b"", b"FOO", b"EX", b"PXAT", b"nxx", b"10", b"PERSIST", b"\r\n")),))
    words = [word for option in draw.shuffled(options) for word in option]
    return send(draw, 0, b"SET", draw.key(), draw.value(), *words)


def expiration(draw: Draw, bare: tuple[bytes, ...]) -> tuple[Word, ...]:
    """EX, PX, EXAT or PXAT with a number, or one of the bare words."""
    name = draw.pick((b"EX", b"PX", b"EXAT", b"PXAT", *bare))
    if name in bare:
        return (draw.case(name),)
    return (draw.case(name), expiry_number(draw, name))


def expiry_number(draw: Draw, name: bytes) -> Word:
    if draw.chance(0.15):
        # 9223372036854775 is a good number of milliseconds, of seconds too much: drawn for both.
        return draw.pick(BAD_TTLS)
    if name in (b"EXAT", b"PXAT"):
        return At(draw.ttl_s() * 1000, seconds=name == b"EXAT")
    return b"%d" % (draw.ttl_s() * (1000 if name == b"PX" else 1))


def setnx(draw: Draw) -> Send:
    return send(draw, 0, b"SETNX", draw.key(), draw.value())


def setex(draw: Draw) -> Send:
    return send(draw, 0, b"SETEX", draw.key(), expiry_number(draw, b"EX"), draw.value())


def psetex(draw: Draw) -> Send:
    return send(draw, 0, b"PSETEX", draw.key(), expiry_number(draw, b"PX"), draw.value())


def getset(draw: Draw) -> Send:
    return send(draw, 0, b"GETSET", draw.key(), draw.value())


def get(draw: Draw) -> Send:
    return send(draw, 0, b"GET", draw.key())


def life(draw: Draw) -> Send:
    return send(draw, 0, draw.pick((b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME")), draw.key())


# -- reading --------------------------------------------------------------------------------------
def strings_get(draw: Draw, proto: int, count: int) -> Plan:
    return each(draw, count, plain_set, plain_set, get, get, getex, getex, getex, strlen, mget, life, exists)


def plain_set(draw: Draw) -> Send:
    return send(draw, 0, b"SET", draw.key(), draw.value(), *(expiration(draw, ()) if draw.chance(0.4) else ()))


def getex(draw: Draw) -> Send:
    words = expiration(draw, ()) if draw.chance(0.7) else ()
    if draw.chance(0.1):
        # Wrong from here on, whatever it was: PERSIST alone would be a delete and is not drawn.
        words = (
            *words,
            draw.pick((b"FOO", b"", b"EX", b"NX", b"KEEPTTL", b"GET")),
            *([b"10"] if draw.chance(0.3) else ()),
        )
    return send(draw, 0, b"GETEX", draw.key(), *words)


def strlen(draw: Draw) -> Send:
    return send(draw, 0, b"STRLEN", draw.key())


def mget(draw: Draw) -> Send:
    return send(draw, 0, b"MGET", *(draw.key() for _ in range(draw.number(1, 8))))


def exists(draw: Draw) -> Send:
    return send(draw, 0, b"EXISTS", *(draw.key() for _ in range(draw.number(1, 5))))


# -- counting -------------------------------------------------------------------------------------
def counters(draw: Draw, proto: int, count: int) -> Plan:
    return each(
        draw, count, number_set, number_set, incr, incrby, incrby, incrbyfloat, incrbyfloat, incrbyfloat, get, life
    )


def number_set(draw: Draw) -> Send:
    how = draw.number(0, 9)
    value = draw.pick(FLOATS) if how < 4 else draw.pick(NOT_FLOATS) if how == 4 else draw.integer()
    return send(draw, 0, b"SET", draw.key(), value, *(expiration(draw, ()) if draw.chance(0.3) else ()))


def incr(draw: Draw) -> Send:
    return send(draw, 0, draw.pick((b"INCR", b"DECR")), draw.key())


def incrby(draw: Draw) -> Send:
    return send(draw, 0, draw.pick((b"INCRBY", b"DECRBY")), draw.key(), draw.integer())


def incrbyfloat(draw: Draw) -> Send:
    how = draw.number(0, 9)
    step = (
        draw.pick(NOT_FLOATS)
        if how == 0
        else draw.integer(0.3)
        if how == 1
        else some_float(draw)
        if how < 5
        else draw.pick(FLOATS)
    )
    return send(draw, 0, b"INCRBYFLOAT", draw.key(), step)


def some_float(draw: Draw) -> bytes:
    """Any number of digits on both sides of the point, maybe with an exponent."""
    text = "-" if draw.chance(0.4) else ""
    text += str(draw.number(0, 10 ** draw.number(1, 19)))
    if draw.chance(0.7):
        text += "." + str(draw.number(0, 10 ** draw.number(1, 19))).zfill(draw.number(1, 18))
    if draw.chance(0.2):
        text += f"e{draw.number(-25, 25)}"
    return text.encode()


# -- parts ----------------------------------------------------------------------------------------
def ranges(draw: Draw, proto: int, count: int) -> Plan:
    return each(
        draw, count, plain_set, append, append, getrange, getrange, getrange, setrange, setrange, strlen, get, life
    )


def append(draw: Draw) -> Send:
    return send(draw, 0, b"APPEND", draw.key(), draw.value())


def index(draw: Draw) -> bytes:
    return draw.integer(0.5) if draw.chance(0.15) else draw.pick(INDEXES)


def getrange(draw: Draw) -> Send:
    return send(draw, 0, draw.pick((b"GETRANGE", b"SUBSTR")), draw.key(), index(draw), index(draw))


def setrange(draw: Draw) -> Send:
    offset = draw.pick(BAD_OFFSETS) if draw.chance(0.15) else b"%d" % draw.pick((0, 1, 2, 3, 5, 12, 44, 64, 300, 1024))
    # Beyond the longest string an empty piece is no error, so offset and piece are drawn apart.
    return send(draw, 0, b"SETRANGE", draw.key(), offset, draw.value())


# -- bits -----------------------------------------------------------------------------------------
FULL = b"full"  # a source of BITOP that is never empty: in Redis an empty result deletes the target


def bits(draw: Draw, proto: int, count: int) -> Plan:
    drawn = each(draw, count, plain_set, setbit, setbit, getbit, getbit, bitcount, bitcount, bitpos, bitpos, bitop,
                 bitop, get, life)
    return Plan((send(draw, 0, b"SET", FULL, b"\x0f\xf0\xaa" + draw.blob()), *drawn.steps))


def bit_offset(draw: Draw) -> bytes:
    if draw.chance(0.15):
        return draw.pick(BAD_BIT_OFFSETS)
    return b"%d" % draw.pick((0, 1, 7, 8, 9, 15, 63, 64, 100, 1000, 4095, 8000))


def setbit(draw: Draw) -> Send:
    bit = draw.pick((b"2", b"-1", b"abc", b"", b"01", b"1.0")) if draw.chance(0.1) else draw.pick((b"0", b"1", b"1"))
    return send(draw, 0, b"SETBIT", draw.key(), bit_offset(draw), bit)


def getbit(draw: Draw) -> Send:
    return send(draw, 0, b"GETBIT", draw.key(), bit_offset(draw))


def unit(draw: Draw) -> tuple[bytes, ...]:
    if draw.chance(0.08):
        return (draw.pick((b"BITS", b"", b"FOO")),)
    return draw.pick(((), (draw.case(b"BIT"),), (draw.case(b"BYTE"),)))


def bitcount(draw: Draw) -> Send:
    limits = () if draw.chance(0.2) else (index(draw), index(draw), *unit(draw))
    if draw.chance(0.06):
        limits = (*limits[:1], *limits[3:], *limits[2:3], *limits[3:])
    return send(draw, 0, b"BITCOUNT", draw.key(), *limits)


def bitpos(draw: Draw) -> Send:
    bit = draw.pick((b"2", b"-1", b"abc", b"", b"10")) if draw.chance(0.08) else draw.pick((b"0", b"1"))
    how = draw.number(0, 3)
    limits = () if how == 0 else (index(draw),) if how == 1 else (index(draw), index(draw), *unit(draw))
    return send(draw, 0, b"BITPOS", draw.key(), bit, *limits)


def bitop(draw: Draw) -> Send:
    name = draw.case(draw.pick((b"AND", b"OR", b"XOR", b"NOT")))
    sources = [FULL, *draw.some((b"k0", b"k1", b"k2", b"k3", b"nokey"), 0, 4)]
    if name.upper() == b"NOT" and draw.chance(0.7):
        sources = [FULL]
    if draw.chance(0.05):
        name = draw.pick((b"NAND", b"", b"ANDOR"))
    return send(draw, 0, b"BITOP", name, draw.pick((b"k0", b"k1", b"dest")), *draw.shuffled(sources))
