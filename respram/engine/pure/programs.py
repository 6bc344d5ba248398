"""Runs scripts that were compiled to programs, for EVAL and EVALSHA. The twin of native/programs.c.

A run goes through the fast paths of the commands that it calls, with their replies in RESP2, and keeps these replies.
It declines wherever it meets something odd, before or after a write; `take_replies` hands out what it got, and Lua goes
on from there.
"""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from respram.engine.api import Session
from respram.engine.pure.keyspace import Keyspace
from respram.integers import parse_int
from respram.program import CALL_ARGS_MAX, LOG_BYTES_MAX, RUN_MOVED_BYTES_MAX, RUN_STEPS_MAX, Op, Program

PLAIN = re.compile(rb"(-?)([0-9]+)(?:\.([0-9]+))?\Z")
DIGITS_MAX = 15  # digits of a number in a text: a double represents all such numbers
EXACT_MAX = 2.0**53  # below it every integer is an exact double
LIVES = frozenset({b"ttl", b"pttl", b"expiretime", b"pexpiretime"})
NOT_INSIDE = frozenset({b"select", b"eval", b"evalsha", b"multi", b"exec", b"discard", b"watch", b"unwatch"})


class Status(NamedTuple):
    """A reply like +OK: to a script it is a table, and a program knows only that it exists."""

    text: bytes


class Listed(NamedTuple):
    """A reply that is an array."""

    reply: bytes


Value = None | bool | float | bytes | Status | Listed
Call = Callable[[Session, list[bytes], int], bytes | None]


class DeclinedError(Exception):
    """The program declines: Lua runs the script."""


class Programs:
    def __init__(self, keyspace: Keyspace, call: Call) -> None:
        self.known: dict[bytes, Program] = {}
        self._keyspace = keyspace
        self._call = call
        keyspace.run_program = self.run
        self._log: list[bytes] = []
        self._log_bytes = 0
        self._moved_before = 0

    def teach(self, name: bytes, program: Program) -> bool:
        self.known[name] = program
        return True

    def unteach(self, name: bytes) -> None:
        self.known.pop(name, None)

    def take_replies(self) -> bytes:
        taken = b"".join(self._log)
        self._log.clear()
        return taken

    def run(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        self._log.clear()
        self._log_bytes = 0
        self._moved_before = self._keyspace.moved
        program = self.known.get(argv[1]) if len(argv) > 2 else None
        count = parse_int(argv[2]) if program is not None else None
        if program is None or count is None or not 0 <= count <= len(argv) - 3:
            return None
        proto, session.proto = session.proto, 2
        try:
            found = self._steps(program, session, argv[3 : 3 + count], argv[3 + count :], now_ms)
            reply = _encoded(found, proto)
        except DeclinedError:
            return None
        finally:
            session.proto = proto
        self._log.clear()
        return reply

    def _steps(
        self, program: Program, session: Session, keys: list[bytes], arguments: list[bytes], now_ms: int
    ) -> Value | list[Value]:
        steps, constants = program.decoded, program.constants
        values: list[Value] = [None] * program.registers
        at = 0
        for _ in range(RUN_STEPS_MAX):
            op, a, b, c = steps[at]
            at += 1
            if op == Op.CALL:
                values[a] = self._called(session, [_argument(value) for value in values[b : b + c]], now_ms)
            elif op == Op.TIME:
                seconds = b"%d" % (now_ms // 1000)
                self._keep(b"*1\r\n$%d\r\n%b\r\n" % (len(seconds), seconds))
                values[a] = seconds
            elif op == Op.JUMP:
                at = a
            elif op in (Op.UNLESS, Op.WHEN):
                if (values[b] is None or values[b] is False) == (op == Op.UNLESS):
                    at = a
            elif op == Op.RETURN:
                return values[a]
            elif op == Op.RETURN_LIST:
                return values[a : a + b]
            elif op in (Op.KEY, Op.ARG):
                values[a] = _member(keys if op == Op.KEY else arguments, values[b])
            elif op == Op.COUNT:
                values[a] = float(len(arguments if b else keys))
            elif op == Op.CONST:
                values[a] = constants[b]
            elif op == Op.BOOL:
                values[a] = bool(b)
            elif op == Op.NIL:
                values[a] = None
            elif op == Op.MOVE:
                values[a] = values[b]
            elif op == Op.CONCAT:
                joined = _text(values[b]) + _text(values[c])
                self._spend(len(joined))
                values[a] = joined
            elif op <= Op.LEN or op >= Op.NOT and op not in (Op.MIN, Op.MAX):
                values[a] = _of_one(op, values[b])
            else:
                values[a] = _of_two(op, values[b], values[c])
        raise DeclinedError

    def _spend(self, size: int) -> None:
        self._log_bytes += size
        if self._log_bytes > LOG_BYTES_MAX:
            raise DeclinedError

    def _keep(self, reply: bytes) -> None:
        self._spend(len(reply))
        self._log.append(reply)

    def call_inside(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        if len(argv) > CALL_ARGS_MAX:
            return None
        proto, session.proto = session.proto, 2
        try:
            return self._ran(session, argv, now_ms)
        finally:
            session.proto = proto

    def _ran(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        name = argv[0].lower()
        reply = self._call(session, argv, now_ms) if name not in NOT_INSIDE else None
        if reply is not None and name in LIVES:
            row = self._keyspace.row(session.db, argv[1], now_ms)
            if row is not None and row.implicit:
                return b":-1\r\n"  # an implicit deadline counts as none: see commands/script_calls.py
        return reply

    def _called(self, session: Session, argv: list[bytes], now_ms: int) -> Value:
        goes_on = (
            self._log_bytes <= LOG_BYTES_MAX // 2
            and self._keyspace.moved - self._moved_before <= RUN_MOVED_BYTES_MAX
        )
        reply = self._ran(session, argv, now_ms) if goes_on else None
        if reply is None:
            raise DeclinedError
        self._log.append(reply)
        self._log_bytes += len(reply)
        return _value_of(reply)


def evaluate(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """EVALSHA digest count [key ...] [argument ...], and EVAL with the text."""
    return keyspace.run_program(session, argv, now_ms)


# -- between replies and values -----------------------------------------------------------------------
def _value_of(reply: bytes) -> Value:
    kind, line = reply[:1], reply[1 : reply.index(b"\r\n")]
    if kind == b":":
        number = parse_int(line)
        assert number is not None
        return number * 1.0
    if kind == b"$":
        return False if line == b"-1" else reply[len(line) + 3 : -2]
    if kind == b"+":
        return Status(line)
    if kind == b"*":
        return Listed(reply)
    raise DeclinedError


def _encoded(value: Value | list[Value], proto: int) -> bytes:
    if isinstance(value, list):
        there = value[: value.index(None)] if None in value else value
        return b"*%d\r\n%b" % (len(there), b"".join(_encoded(one, proto) for one in there))
    if value is None or value is False:
        return b"_\r\n" if proto == 3 else b"$-1\r\n"
    if value is True:
        return b":1\r\n"
    if isinstance(value, float):
        if not abs(value) < EXACT_MAX:
            raise DeclinedError
        return b":%d\r\n" % math.trunc(value)
    if isinstance(value, Status):
        return b"+%b\r\n" % value.text
    if isinstance(value, Listed):
        if proto == 3:
            raise DeclinedError
        return value.reply
    return b"$%d\r\n%b\r\n" % (len(value), value)


# -- values -------------------------------------------------------------------------------------------
def _member(among: list[bytes], place: Value) -> Value:
    if not isinstance(place, float):
        raise DeclinedError
    return among[math.trunc(place) - 1] if place.is_integer() and 1 <= place <= len(among) else None


def _number(value: Value) -> float:
    """Converts a plainly spelled text to a number, as Lua does."""
    if isinstance(value, float):
        return value
    match = PLAIN.match(value) if isinstance(value, bytes) else None
    if match is None or len(match[2]) + len(match[3] or b"") > DIGITS_MAX:
        raise DeclinedError
    whole = 0.0
    for digit in match[2] + (match[3] or b""):
        whole = whole * 10 + (digit - 48)
    found = whole / 10.0 ** len(match[3] or b"")  # both are exact, so the quotient is the nearest double
    if not match[1]:
        return found
    if not found:
        raise DeclinedError  # -0
    return -found


def _is_plain(number: float, below: float) -> bool:
    return number.is_integer() and abs(number) < below and (number != 0 or math.copysign(1.0, number) > 0)


def _text(value: Value) -> bytes:
    """Spells a number as Lua does: `%.14g`."""
    if isinstance(value, float):
        if not _is_plain(value, 1e14):
            raise DeclinedError
        return b"%d" % math.trunc(value)
    if not isinstance(value, bytes):
        raise DeclinedError
    return value


def _argument(value: Value) -> bytes:
    """A number as Redis spells it where it becomes an argument: `%.17g`."""
    if isinstance(value, float):
        return b"%d" % math.trunc(value) if _is_plain(value, 1e15) else b"%.17g" % value
    return _text(value)


def _of_one(op: int, value: Value) -> Value:
    if op == Op.NOT:
        return value is None or value is False
    if op == Op.LEN:
        if not isinstance(value, bytes):
            raise DeclinedError
        return float(len(value))
    if op == Op.STRING:
        return _text(value)
    if op == Op.NUMBER:
        return _number(value) if isinstance(value, (float, bytes)) else None
    number = _number(value)
    if op == Op.CEIL and -1 < number < 0:
        raise DeclinedError  # -0
    if op == Op.ABS:
        return abs(number)
    return (math.floor(number) if op == Op.FLOOR else math.ceil(number)) * 1.0


def _of_two(op: int, left: Value, right: Value) -> Value:
    if op == Op.EQ:
        if any(isinstance(value, (Status, Listed)) for value in (left, right)):
            raise DeclinedError
        return type(left) is type(right) and left == right
    if op in (Op.LT, Op.LE):
        if not (isinstance(left, float) and isinstance(right, float)):
            raise DeclinedError
        return left < right if op == Op.LT else left <= right
    one, two = _number(left), _number(right)
    if op in (Op.DIV, Op.MOD) and not two:
        raise DeclinedError
    if op == Op.MIN:
        return two if two < one else one
    if op == Op.MAX:
        return two if two > one else one
    if op == Op.ADD:
        found = one + two
    elif op == Op.SUB:
        found = one - two
    elif op == Op.MUL:
        found = one * two
    elif op == Op.DIV:
        found = one / two
    else:
        quotient = one / two
        found = one - math.floor(quotient) * two if math.isfinite(quotient) else quotient
    if not math.isfinite(found) or (not found and math.copysign(1.0, found) < 0):
        raise DeclinedError  # programs have no infinity and no -0
    return found
