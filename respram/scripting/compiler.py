"""Compiles a script that uses only a small part of Lua to a program, which the engines run.

What half the world sends (compare and delete, compare and expire, count and give a window, token buckets) is made of
`redis.call` with KEYS, ARGV and constants, of locals, `if`, comparisons, arithmetic and a loop over KEYS. All scripts
of that kind are recognised, by what they do: names, comments and layout do not matter. Anything else in the text, and
it is Lua's: tables but the one that is returned, functions, libraries, patterns. `program.py` says what a program is,
and what happens where it meets something odd when it runs.

Nothing here has to judge whether a text is right: it was compiled by Lua before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from respram.catalog.hot import HOT_NAMES
from respram.program import CALL_ARGS_MAX, REGISTERS_MAX, STEP, STEPS_MAX, Op, Program
from respram.scripting.tokens import Odd, Token, tokens_of

TEXT_BYTES_MAX = 16 << 10  # longer scripts are left to Lua
SERVED = HOT_NAMES - {b"select", b"eval", b"evalsha", b"multi", b"exec", b"discard"}
COMPARISONS = {b"==": Op.EQ, b"~=": Op.EQ, b"<": Op.LT, b"<=": Op.LE, b">": Op.LT, b">=": Op.LE}
SUMS = {b"+": Op.ADD, b"-": Op.SUB}
PRODUCTS = {b"*": Op.MUL, b"/": Op.DIV, b"%": Op.MOD}
ROUNDINGS = {b"floor": Op.FLOOR, b"ceil": Op.CEIL, b"abs": Op.ABS}
CHOICES = {b"min": Op.MIN, b"max": Op.MAX}
ENDS = frozenset({b"end", b"else", b"elseif", b"return", b""})
# Names that a script may not redefine here.
LIBRARIES = frozenset({b"KEYS", b"ARGV", b"redis", b"math", b"ipairs", b"tonumber", b"tostring"})
LEVELS_MAX = 40  # of nested blocks and expressions: the compiler is recursive


def compile_script(text: bytes) -> Program | None:
    """The program of a script. None: Lua has to run it."""
    if len(text) > TEXT_BYTES_MAX:
        return None
    try:
        return _Compiler(list(tokens_of(text))).whole()
    except Odd:
        return None


class _Compiler:
    """Recursive descent; each expression is put into the register that its caller names."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.steps: list[list[int]] = []
        self.constants: dict[bytes | float, int] = {}
        self.scopes: list[dict[bytes, int]] = [{}]
        self.free = 0  # the first unused register
        self.most = 1
        self.level = 0
        self.breaks: list[list[list[int]]] = []  # by loop: jumps to its end

    def whole(self) -> Program:
        self.block()
        if self.now != (b"", b""):
            raise Odd
        end = self.take_register()
        self.emit(Op.NIL, end)
        self.emit(Op.RETURN, end)
        if len(self.steps) > STEPS_MAX:
            raise Odd
        return Program(b"".join(STEP.pack(*step) for step in self.steps), tuple(self.constants), self.most)

    # -- tokens and registers ---------------------------------------------------------------------
    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        if token.kind:
            self.at += 1
        return token

    def accepts(self, value: bytes) -> bool:
        """Consumes a mark or a word, if it is the next one."""
        if self.now.value != value or self.now.kind not in (b"mark", b"word"):
            return False
        self.at += 1
        return True

    def needs(self, value: bytes) -> None:
        if not self.accepts(value):
            raise Odd

    def name(self) -> bytes:
        token = self.take()
        if token.kind != b"word" or token.value in RESERVED:
            raise Odd
        return token.value

    def emit(self, op: Op, a: int = 0, b: int = 0, c: int = 0) -> list[int]:
        step = [int(op), a, b, c]
        self.steps.append(step)
        return step

    def here(self, *jumps: list[int]) -> None:
        for jump in jumps:
            jump[1] = len(self.steps)

    def take_register(self) -> int:
        taken = self.free
        self.free += 1
        self.most = max(self.most, self.free)
        if self.free > REGISTERS_MAX:
            raise Odd
        return taken

    @contextmanager
    def room(self) -> Iterator[None]:
        """Registers taken inside are free again, names forgotten, and the depth is bounded."""
        free, self.level = self.free, self.level + 1
        if self.level > LEVELS_MAX:
            raise Odd
        self.scopes.append({})
        yield
        self.scopes.pop()
        self.free, self.level = free, self.level - 1

    def constant(self, value: bytes | float) -> int:
        return self.constants.setdefault(value, len(self.constants))

    def local(self, name: bytes) -> int | None:
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    # -- statements -------------------------------------------------------------------------------
    def block(self) -> None:
        while self.now.value not in ENDS or self.now.kind not in (b"word", b""):
            self.statement()
            self.accepts(b";")
        if self.accepts(b"return"):
            self.leave()
            self.accepts(b";")

    def inner_block(self) -> None:
        with self.room():
            self.block()

    def statement(self) -> None:
        if self.accepts(b"local"):
            self.declare()
        elif self.accepts(b"if"):
            self.choose()
        elif self.accepts(b"for"):
            self.loop()
        elif self.accepts(b"do"):
            self.inner_block()
            self.needs(b"end")
        elif self.accepts(b"break"):
            if not self.breaks:
                raise Odd
            self.breaks[-1].append(self.emit(Op.JUMP))
        elif self.now == (b"word", b"redis"):
            with self.room():
                self.value(self.take_register())
        else:
            self.assign()

    def new_name(self) -> bytes:
        name = self.name()
        if name in LIBRARIES:
            raise Odd
        return name

    def declare(self) -> None:
        names = [self.new_name()]
        while self.accepts(b","):
            names.append(self.new_name())
        registers = [self.take_register() for _ in names]
        if self.accepts(b"="):
            for place, register in enumerate(registers):
                if place and not self.accepts(b","):
                    raise Odd  # fewer values than names
                self.expression(register)
            if self.now.value == b"," and self.now.kind == b"mark":
                raise Odd
        else:
            for register in registers:
                self.emit(Op.NIL, register)
        self.scopes[-1].update(zip(names, registers, strict=True))  # visible from here on, not in their own values

    def assign(self) -> None:
        register = self.local(self.name())
        if register is None:
            raise Odd  # a global variable
        self.needs(b"=")
        with self.room():
            found = self.take_register()
            self.expression(found)
            self.emit(Op.MOVE, register, found)

    def choose(self) -> None:
        ends = []
        while True:
            with self.room():
                condition = self.take_register()
                self.expression(condition)
                past = self.emit(Op.UNLESS, 0, condition)
            self.needs(b"then")
            self.inner_block()
            if self.now.value in (b"else", b"elseif"):
                ends.append(self.emit(Op.JUMP))
            self.here(past)
            if self.accepts(b"elseif"):
                continue
            if self.accepts(b"else"):
                self.inner_block()
            self.needs(b"end")
            self.here(*ends)
            return

    def loop(self) -> None:
        first = self.new_name()
        with self.room():
            if self.accepts(b"="):
                self.count(first)
            else:
                self.needs(b",")
                self.walk(first, self.new_name())
        self.here(*self.breaks.pop())

    def count(self, name: bytes) -> None:
        """for name = first, last do ... end"""
        index, last, step, test = (self.take_register() for _ in range(4))
        with self.room():
            zero = self.take_register()
            self.expression(index)
            self.needs(b",")
            self.expression(last)
            self.emit(Op.CONST, zero, self.constant(0.0))
            self.emit(Op.ADD, index, index, zero)  # both must be numbers
            self.emit(Op.ADD, last, last, zero)
        self.emit(Op.CONST, step, self.constant(1.0))
        self.needs(b"do")
        top = len(self.steps)
        self.emit(Op.LE, test, index, last)
        past = self.emit(Op.UNLESS, 0, test)
        self.body({name: index}, index, step, top, past)

    def walk(self, place: bytes, value: bytes) -> None:
        """for place, value in ipairs(KEYS) do ... end"""
        index, step, found = (self.take_register() for _ in range(3))
        self.needs(b"in")
        self.needs(b"ipairs")
        self.needs(b"(")
        op = Op.KEY if self.accepts(b"KEYS") else Op.ARG
        if op == Op.ARG:
            self.needs(b"ARGV")
        self.needs(b")")
        self.needs(b"do")
        self.emit(Op.CONST, step, self.constant(1.0))
        self.emit(Op.CONST, index, self.constant(1.0))
        top = len(self.steps)
        self.emit(op, found, index)
        past = self.emit(Op.UNLESS, 0, found)
        self.body({place: index, value: found}, index, step, top, past)

    def body(self, names: dict[bytes, int], index: int, step: int, top: int, past: list[int]) -> None:
        self.breaks.append([past])
        with self.room():
            for name, register in names.items():  # copies, because the script may assign to them
                own = self.take_register()
                self.emit(Op.MOVE, own, register)
                self.scopes[-1][name] = own
            self.block()
        self.needs(b"end")
        self.emit(Op.ADD, index, index, step)
        self.emit(Op.JUMP, top)

    def leave(self) -> None:
        with self.room():
            if self.now.value in ENDS or self.now.value == b";":
                found = self.take_register()
                self.emit(Op.NIL, found)
                self.emit(Op.RETURN, found)
            elif self.accepts(b"{"):
                first, count = self.free, 0
                while not self.accepts(b"}"):
                    if self.tokens[self.at + 1].value == b"=" and self.now.kind == b"word":
                        raise Odd  # a field by name
                    self.expression(self.take_register())
                    count += 1
                    if not self.accepts(b",") and not self.accepts(b";") and self.now.value != b"}":
                        raise Odd
                self.emit(Op.RETURN_LIST, first, count)
            else:
                found = self.take_register()
                self.expression(found)
                self.emit(Op.RETURN, found)
            if self.now.value == b",":
                raise Odd

    # -- expressions, by precedence ---------------------------------------------------------------
    def expression(self, into: int) -> None:
        """`or`, the loosest."""
        self.joined(into, b"or", Op.WHEN, self.conjunction)

    def conjunction(self, into: int) -> None:
        self.joined(into, b"and", Op.UNLESS, self.comparison)

    def joined(self, into: int, word: bytes, past: Op, part: Callable[[int], None]) -> None:
        with self.room():
            part(into)
            jumps = []
            while self.accepts(word):
                jumps.append(self.emit(past, 0, into))
                part(into)
            self.here(*jumps)

    def comparison(self, into: int) -> None:
        self.concatenation(into)
        while self.now.kind == b"mark" and self.now.value in COMPARISONS:
            mark = self.take().value
            with self.room():
                right = self.take_register()
                self.concatenation(right)
                left, right = (right, into) if mark in (b">", b">=") else (into, right)
                self.emit(COMPARISONS[mark], into, left, right)
                if mark == b"~=":
                    self.emit(Op.NOT, into, into)

    def concatenation(self, into: int) -> None:
        self.operated(into, SUMS, lambda into: self.operated(into, PRODUCTS, self.unary))
        if self.accepts(b".."):
            with self.room():
                right = self.take_register()
                self.concatenation(right)
                self.emit(Op.CONCAT, into, into, right)

    def operated(self, into: int, operators: dict[bytes, Op], part: Callable[[int], None]) -> None:
        part(into)
        while self.now.kind == b"mark" and self.now.value in operators:
            op = operators[self.take().value]
            with self.room():
                right = self.take_register()
                part(right)
                self.emit(op, into, into, right)

    def unary(self, into: int) -> None:
        with self.room():
            if self.accepts(b"not"):
                self.unary(into)
                self.emit(Op.NOT, into, into)
            elif self.accepts(b"-"):
                factor = self.take_register()
                self.unary(into)
                self.emit(Op.CONST, factor, self.constant(-1.0))
                self.emit(Op.MUL, into, into, factor)
            elif self.accepts(b"#"):
                if self.accepts(b"KEYS"):
                    self.emit(Op.COUNT, into, 0)
                elif self.accepts(b"ARGV"):
                    self.emit(Op.COUNT, into, 1)
                else:
                    self.unary(into)
                    self.emit(Op.LEN, into, into)
            else:
                self.value(into)
            if self.now.kind == b"mark" and self.now.value in (b"^", b"[", b".", b":", b"("):
                raise Odd

    def value(self, into: int) -> None:
        token = self.take()
        if token.kind == b"text":
            self.emit(Op.CONST, into, self.constant(token.value))
        elif token.kind == b"number":
            self.emit(Op.CONST, into, self.constant(float(token.value)))
        elif token == (b"mark", b"("):
            self.expression(into)
            self.needs(b")")
        elif token.kind != b"word":
            raise Odd
        elif token.value in (b"true", b"false"):
            self.emit(Op.BOOL, into, int(token.value == b"true"))
        elif token.value == b"nil":
            self.emit(Op.NIL, into)
        else:
            register = self.local(token.value)
            if register is not None:
                self.emit(Op.MOVE, into, register)
            else:
                self.of_a_library(into, token.value)

    def of_a_library(self, into: int, name: bytes) -> None:
        if name in (b"KEYS", b"ARGV"):
            self.needs(b"[")
            self.expression(into)
            self.needs(b"]")
            self.emit(Op.KEY if name == b"KEYS" else Op.ARG, into, into)
        elif name in (b"tonumber", b"tostring"):
            self.needs(b"(")
            self.expression(into)
            self.needs(b")")
            self.emit(Op.NUMBER if name == b"tonumber" else Op.STRING, into, into)
        elif name == b"math":
            self.needs(b".")
            function = self.name()
            self.needs(b"(")
            self.expression(into)
            if function in ROUNDINGS:
                self.emit(ROUNDINGS[function], into, into)
            elif function in CHOICES:
                self.needs(b",")
                with self.room():
                    right = self.take_register()
                    self.expression(right)
                    self.emit(CHOICES[function], into, into, right)
            else:
                raise Odd
            self.needs(b")")
        elif name == b"redis":
            self.needs(b".")
            self.of_redis(into, self.name())
        else:
            raise Odd

    def of_redis(self, into: int, function: bytes) -> None:
        self.needs(b"(")
        if function == b"replicate_commands":
            self.needs(b")")
            self.emit(Op.BOOL, into, 1)
            return
        if function not in (b"call", b"pcall") or self.now.kind != b"text":
            raise Odd
        command = self.now.value.lower()
        if command == b"time":
            self.take()
            for mark in (b")", b"["):
                self.needs(mark)
            if self.take() != (b"number", b"1"):
                raise Odd
            self.needs(b"]")
            self.emit(Op.TIME, into)
            return
        if command not in SERVED:
            raise Odd
        with self.room():
            first, count = self.free, 0
            while not count or self.accepts(b","):
                self.expression(self.take_register())
                count += 1
            self.needs(b")")
            if count > CALL_ARGS_MAX:
                raise Odd
            self.emit(Op.CALL, into, first, count)


RESERVED = frozenset(
    b"and break do else elseif end false for function if in local nil not or repeat return then true until "
    b"while".split()
)
