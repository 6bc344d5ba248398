"""A bounded Lua runtime, through lupa, with the sandbox of `lua/`: compiles scripts and runs one at a time.

**What crosses.** Bytes, numbers, booleans and None, both ways; never a Python object, never a Lua table. Lua calls a
few functions of this file. Each takes plain values, and returns instead of raising: an exception would cross as an
object. lupa is told to refuse every attribute nevertheless, and its `python` table is gone with all other globals.

**Memory.** lupa's allocator refuses what would pass the limit. It may do so only while Lua runs in protected mode: an
error outside of that ends the process. So the limit is off while values are handed over, and `host_arm` puts it on once
Lua is at work. A function that answers a script with bytes has lupa allocate them outside of protected mode as well;
where little is left it takes the limit off, and the sandbox arms again.

**Time.** A hook calls `host_tick` every HOOK_INSTRUCTIONS instructions, in every coroutine. What then happens is for
the `Host` to say: go on, or end the script. It may also let others run meanwhile, by switching to another greenlet.

**Without Python.** Most scripts never come here: the engine runs them by this same Lua (`Inside`, native/lua.c), and
hands over those for which it needs the host.

**Between scripts** nothing of one is left for the next, but for the settings of cjson and the state of math.random, as
in Redis. A script that left much memory behind costs a new runtime (`is_worn`). What Lua has freed is not wiped: its
strings are as much out of reach as Python's own.
"""

import hashlib
import math
import struct
from collections.abc import Callable
from importlib import resources
from typing import Any, NamedTuple, Protocol

from respram.scripting.tails import has_too_many_parameters, keep_tails

HOOK_INSTRUCTIONS = 1_000  # instructions between two checks of the clock: about 10 us of ordinary code
STAGED_MAX = 1_000  # arguments passed to Lua in one call: its stack holds 8,000
SMALL_BYTES = 4 << 10  # of a reply that is passed without a check if Lua has used little memory
SPARE_BYTES = 256 << 10  # free memory that a larger reply needs below the limit
PATTERN_STEPS_MAX = 20_000_000  # steps of a pattern that runs in C, at most 0.1 s; longer ones are matched in Lua
WORN_BYTES = 8 << 20  # garbage that survives a collection: above it, a new runtime is cheaper
DEPTH_MAX = 7_994  # nested tables in a reply, as in Redis, whose Lua stack ends there

PARAMETERS = b"user_script: more than four parameters before '...' are not supported"
MODULES = ("patterns", "random", "cjson", "cmsgpack", "struct", "bit", "replies")
# Functions of the engine's library for this Lua; none if Lua cannot load libraries.
OPEN = b"""
return function(path)
  local open = package.loadlib(path, 'respram_lua_open')
  if open then return open() end
end
"""
BULK, NUMBER, RESP, NULLED, FAILED, BROKEN = range(1, 7)  # kinds of outcomes, numbered as in sandbox.lua
STATUS, FAULT, ENCODED = range(1, 4)  # kinds of replies that are not plain values
KILLED, OVERTIME = 1, 2  # reasons for ending a script

Plain = bytes | int | float | bool | None


class Answer(NamedTuple):
    """The reply to a command of a script: a plain value, or a kind and its bytes."""

    value: bytes | int | bool | None
    kind: int = 0
    text: bytes = b""


class Outcome(NamedTuple):
    """What became of a script: `kind`, and what belongs to it.

    BULK: bytes. NUMBER: an integer. RESP: a reply that is encoded. NULLED: nothing. FAILED: the error's text, whether
    it was counted before, and where it came from, if that is known. BROKEN: the text of an error that is no error
    table.
    """

    kind: int
    value: Any = None
    told: bool = False
    source: bytes = b""
    line: bytes = b""


class Host(Protocol):
    """The calls that a script can make to the node."""

    def call(self, argv: list[bytes]) -> Answer | bytes | int:
        """The reply; what Lua is to get as it is may come without an Answer around it."""

    def may(self, argv: list[bytes]) -> bool | None:
        """Whether the caller may run the command. None: there is no such command."""

    def set_proto(self, proto: int) -> None: ...
    def log(self, level: int, size: int) -> None:
        """redis.log: a level and how many bytes were to be logged. Never the bytes: they may hold a value."""

    def tick(self) -> int:
        """Now and then. 0: the script may go on; else KILLED or OVERTIME."""


class Inside(Protocol):
    """The engine, which can run scripts itself: engine/api.py."""

    def open_lua(self, path: bytes) -> bytes | None: ...
    def limit_lua(self, bytes_max: int, worn_bytes: int) -> None: ...
    def close_lua(self) -> None: ...


class NoLuaError(Exception):
    """lupa or greenlet is not installed."""


class CompileError(Exception):
    """The script does not compile; the text is Lua's message."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class Idle:
    """The host while no script runs."""

    def call(self, argv: list[bytes]) -> Answer:
        return Answer(None, FAULT, b"ERR redis.call/pcall can only be called inside a script invocation")

    def may(self, argv: list[bytes]) -> bool | None:
        return False

    def set_proto(self, proto: int) -> None:
        """Nobody is asking."""

    def log(self, level: int, size: int) -> None:
        """Nobody is asking."""

    def tick(self) -> int:
        return 0


IDLE = Idle()
Script = Any  # a Lua function, as lupa returns it


class Runtime:
    def __init__(
        self, memory_bytes_max: int, version: bytes, pattern_steps_max: int = PATTERN_STEPS_MAX, *,
        inside: Inside | None = None
    ) -> None:
        try:
            from lupa import lua51
        except ImportError:
            raise NoLuaError from None
        self.host: Host = IDLE
        self.memory_bytes_max = memory_bytes_max
        self.failure: BaseException | None = None  # of the host: raised again after Lua has ended
        self._lua = lua51.LuaRuntime(
            encoding=None, attribute_filter=_refuse_attribute, register_eval=False, register_builtins=False,
            unpack_returned_tuples=True, max_memory=1 << 40,
        )  # fmt: skip
        self.error = lua51.LuaError
        self._no_limit()
        self._inside = inside  # outlives Lua, which may call it
        self._set_up(version, pattern_steps_max, self._open_inside(lua51.__file__.encode("utf-8", "surrogateescape")))
        self.base_bytes = self.used_bytes()
        if inside is not None:
            inside.limit_lua(self.base_bytes + memory_bytes_max, self.base_bytes + WORN_BYTES)
        # Of all memory that Lua uses: below this, a small reply always fits.
        self._roomy_bytes = self.base_bytes + max(memory_bytes_max - SPARE_BYTES - SMALL_BYTES, 0) * 2 // 3

    # -- from outside -----------------------------------------------------------------------------
    def compile(self, text: bytes) -> Script:
        """Raises CompileError."""
        self._no_limit()
        if has_too_many_parameters(text):
            raise CompileError(PARAMETERS)
        found = self._load(keep_tails(text))
        if isinstance(found, tuple):
            found = self._load(text)  # the message must quote the text as it was sent
        if isinstance(found, tuple):
            raise CompileError(found[1])
        return found

    def run(self, script: Script, host: Host, keys: list[bytes], arguments: list[bytes], proto: int) -> Outcome:
        """Runs a script to its end, and raises what the host raised meanwhile."""
        self.host = host
        self._lua.set_max_memory(0)
        try:
            if len(keys) + len(arguments) > STAGED_MAX:
                self._stage(True, keys)
                self._stage(False, arguments)
                found = self._run(script, proto, 0)
            else:
                found = self._run(script, proto, len(keys), *keys, *arguments)
        except self.error as error:  # Lua had no memory to report it, or the sandbox has a fault
            self._no_limit()
            self._idle_again()
            found = (BROKEN, str(error).encode() or b"not enough memory")
        finally:
            self.host = IDLE
            self._lua.set_max_memory(0)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return Outcome(*found) if isinstance(found, tuple) else Outcome(found)

    def keep(self, script: Script) -> int:
        """Stores a script, and returns the number under which the engine can run it."""
        number = self._keep(script)
        assert isinstance(number, int)
        return number

    def drop(self, number: int) -> None:
        self._drop(number)

    def used_bytes(self) -> int:
        used = self._lua.get_memory_used(total=True)
        assert isinstance(used, int)
        return used

    def is_worn(self) -> bool:
        """Whether scripts have left so much behind that a new runtime is called for. Collects first, if need be."""
        if self._lua.get_memory_used(total=True) - self.base_bytes <= WORN_BYTES:
            return False
        self._lua.gccollect()
        return self.used_bytes() - self.base_bytes > WORN_BYTES

    def close(self) -> None:
        """Cuts the ring of Lua, its functions and this object, so that all of it is freed at once."""
        self._run = self._stage_call = self._load = self._idle_again = self._keep = self._drop = _closed
        self._lua = None

    # -- setting up -------------------------------------------------------------------------------
    def _open_inside(self, path: bytes) -> tuple[Any, ...]:
        """What stands for the host's functions where the engine runs a script; nothing: it does not."""
        library = self._inside.open_lua(path) if self._inside is not None else None
        if library is None:
            return ()
        opened = self._lua.execute(OPEN)(library)
        return opened if isinstance(opened, tuple) else ()

    def _set_up(self, version: bytes, pattern_steps_max: int, inside: tuple[Any, ...]) -> None:
        lua = self._lua
        modules = lua.table()
        for name in MODULES:
            modules[name.encode()] = lua.execute(_source(name), name=f"=sandbox:{name}")
        modules[b"version"] = version
        modules[b"version_number"] = _version_number(version)
        sandbox = lua.compile(_source("sandbox"), name="=sandbox")
        functions = sandbox(
            self._host_call(), self._host_tick(), self._host_arm(), self._host_log(), self._host_sha1(),
            self._host_may(),
            self._host_setresp(), self._guarded(_float_bytes), self._guarded(_float_from),
            self._guarded(lambda text: not has_too_many_parameters(text)), modules,
            self.memory_bytes_max, HOOK_INSTRUCTIONS, pattern_steps_max, *inside,
        )  # fmt: skip
        self._run, self._stage_call, self._load, self._idle_again, self._keep, self._drop, set_depth = functions
        set_depth(DEPTH_MAX)

    def _stage(self, is_key: bool, values: list[bytes]) -> None:
        for begin in range(0, max(len(values), 1), STAGED_MAX):
            self._stage_call(is_key, *values[begin : begin + STAGED_MAX])

    # -- memory -----------------------------------------------------------------------------------
    def _no_limit(self) -> None:
        self._lua.set_max_memory(0)

    def _is_tight(self, size: int) -> bool:
        """Whether an answer of that size might not fit; then the limit is off until Lua arms it again.

        Lua may also enlarge its table of strings for it, to twice its size, which is at most a third of what is used.
        """
        used = self._lua.get_memory_used(total=True) - self.base_bytes
        if used + used // 2 + size + SPARE_BYTES < self.memory_bytes_max:
            return False
        self._no_limit()
        return True

    # -- what Lua calls: closures, because lupa takes a method's first argument for `self` -----------
    # They reach Lua through this object only. Lua holds them, so a function that holds Lua makes a cycle that `close`
    # does not break: each SCRIPT FLUSH left 430 KiB to the garbage collector, which counts objects and came too late.
    def _host_call(self) -> Callable[..., Any]:
        def host_call(*arguments: Plain) -> Any:
            try:
                answer = self.host.call([one if type(one) is bytes else _argument(one) for one in arguments])
                if type(answer) is not Answer:
                    size = len(answer) if type(answer) is bytes else 0
                    is_small = size <= SMALL_BYTES
                    if is_small and self._lua.get_memory_used(total=True) < self._roomy_bytes:
                        return answer
                    answer = Answer(answer)  # type: ignore[arg-type]
                size = len(answer.text) or (len(answer.value) if isinstance(answer.value, bytes) else 0)
                if self._is_tight(size):
                    return answer.value, answer.kind or None, answer.text, True
                return (None, answer.kind, answer.text) if answer.kind else answer.value
            except BaseException as error:
                return self._fail(error)

        return host_call

    def _host_may(self) -> Callable[..., Any]:
        def host_may(*arguments: Plain) -> Any:
            try:
                return self.host.may([_argument(one) for one in arguments])
            except BaseException as error:
                self._fail(error)
                return False

        return host_may

    def _host_sha1(self) -> Callable[..., Any]:
        def host_sha1(text: bytes) -> Any:
            digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
            return digest, self._is_tight(len(digest))

        return host_sha1

    def _host_arm(self) -> Callable[..., Any]:
        def host_arm() -> None:
            self._lua.set_max_memory(self.base_bytes + self.memory_bytes_max, total=True)

        return host_arm

    def _host_tick(self) -> Callable[..., Any]:
        def host_tick() -> Any:
            try:
                return KILLED if self.failure is not None else self.host.tick() or None
            except BaseException as error:
                self._fail(error)
                return KILLED

        return host_tick

    def _host_log(self) -> Callable[..., Any]:
        return self._guarded(lambda level, size: self.host.log(_whole(level), _whole(size)))

    def _host_setresp(self) -> Callable[..., Any]:
        return self._guarded(lambda proto: self.host.set_proto(_whole(proto)))

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Plain) -> Any:
            try:
                self._is_tight(64)
                return function(*arguments)
            except BaseException as error:
                self._fail(error)
                return 0

        return guarded

    def _fail(self, error: BaseException) -> Any:
        """Notes a failure of the host: the first one ends the script, and is raised again when Lua has returned."""
        self.failure = self.failure or error
        return None, FAULT, b"ERR the node failed to run a command of the script"


# -- plain values ---------------------------------------------------------------------------------
def _argument(value: Plain) -> bytes:
    """Lua's number as Redis makes an argument of it: `%.17g`."""
    if isinstance(value, bytes):
        return value
    assert value is not None
    if isinstance(value, int) and -(10**17) < value < 10**17:
        return b"%d" % value
    number = value * 1.0
    if math.isnan(number):
        return b"-nan" if math.copysign(1.0, number) < 0 else b"nan"
    return b"%.17g" % number


def _whole(value: Plain) -> int:
    assert isinstance(value, int)
    return value


def _float_bytes(number: float, size: int) -> bytes:
    """A number as a double or a single, little end first. A double that no single can hold becomes infinite, as in
    C."""
    if size == 8:
        return struct.pack("<d", number)
    try:
        return struct.pack("<f", number)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, number))


def _float_from(data: bytes) -> float:
    found = struct.unpack("<d" if len(data) == 8 else "<f", data)[0]
    assert isinstance(found, float)
    return found


def _refuse_attribute(value: object, name: object, is_setting: bool) -> object:
    raise AttributeError("no attribute of anything crosses")


def _closed(*arguments: object) -> Any:
    raise RuntimeError("the runtime is closed")


def _source(name: str) -> bytes:
    return resources.files("respram.scripting").joinpath("lua", f"{name}.lua").read_bytes()


def _version_number(version: bytes) -> int:
    number = 0
    for part in version.split(b"."):
        number = number * 256 + int.from_bytes(
            bytes((sum((digit - 48) * 10**place for place, digit in enumerate(reversed(part))),))
        )
    return number
