"""A script as the engines run it: a few dozen steps over registers, made of a script's text by `scripting/compiler.py`.

A program says the ordinary way through its script and nothing else. Whatever is odd (a command that no fast path has, a
number that is spelt in an unusual way, an error) makes the engine decline in the midst; then Lua runs the script from
its beginning, and is handed the replies that the program got, so that no command runs twice. Lua stays the judge of
every message and conversion: a program needs to be exact only where it answers.

A step is four numbers of 16 bits: what to do, and three operands `a b c`, most of them registers.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

REGISTERS_MAX = 64  # of a program: its locals and temporaries
STEPS_MAX = 1024  # of a program; a longer one runs in Lua
CALL_ARGS_MAX = 16  # of a command in a program, the command's name among them
# Of one run, loops included: about 0.2 ms; a longer run continues in Lua, which can be interrupted.
RUN_STEPS_MAX = 20_000
# Of values and of looks at members, of one run, which has no clock: some 10 ms; it continues in Lua likewise.
RUN_MOVED_BYTES_MAX = 8 << 20
LOG_BYTES_MAX = 1 << 20  # of the replies that a run received and the texts that it made
STEP = struct.Struct("<4H")


class Op(IntEnum):
    NIL = 0  # a = nil
    BOOL = 1  # a = (b != 0)
    CONST = 2  # a = constants[b]
    MOVE = 3  # a = b
    KEY = 4  # a = KEYS[b]
    ARG = 5  # a = ARGV[b]
    COUNT = 6  # a = #KEYS (b 0) or #ARGV (b 1)
    LEN = 7  # a = #b, of a string
    CALL = 8  # a = redis.call(b, b + 1, ... c of them)
    TIME = 9  # a = redis.call('TIME')[1]
    ADD = 10
    SUB = 11
    MUL = 12
    DIV = 13
    MOD = 14
    CONCAT = 15  # a = b .. c
    EQ = 16  # a = (b == c)
    LT = 17
    LE = 18
    NOT = 19  # a = not b
    NUMBER = 20  # a = tonumber(b)
    STRING = 21  # a = tostring(b)
    FLOOR = 22
    CEIL = 23
    ABS = 24
    MIN = 25  # a = math.min(b, c)
    MAX = 26
    JUMP = 27  # to step a
    UNLESS = 28  # to step a, if b is nil or false
    WHEN = 29  # to step a, if b is neither
    RETURN = 30  # a
    RETURN_LIST = 31  # {a, a + 1, ... b of them}


@dataclass(frozen=True, slots=True)
class Program:
    steps: bytes
    constants: tuple[bytes | float, ...]
    registers: int

    @property
    def decoded(self) -> list[tuple[int, int, int, int]]:
        return list(STEP.iter_unpack(self.steps))
