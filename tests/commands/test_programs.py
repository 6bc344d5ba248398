"""Scripts that the engine runs itself answer and do what Lua does: thousands of random inputs, on both engines.

The judge is Lua on the same engine with the fast paths off; what Lua answers is compared with redis-server elsewhere
(the oracle, and `test_scripts.py`). After each script the whole state is compared, with deadlines.
"""

import random
import re
from collections.abc import Iterator

import pytest

from compat.oracle.families.scripts import LIBRARIES
from respram.scripting.cache import digest_of
from respram.scripting.compiler import compile_script
from tests import dear

from ..engine.conftest import ENGINES
from .rig import Client, Rig

pytest.importorskip("lupa")

SEED = 20_261_129
ROUNDS = 40  # of each library's script, with inputs of its own
RANDOM_SCRIPTS = (250, 500)  # in `make test`; in `make test-slow`
ADDRESS = re.compile(rb"table: 0x[0-9a-f]+")  # what tostring says of one
KEYS = (b"a", b"b", b"c")
WORDS = (
    b"7", b"x", b"8", b"", b"0", b"1", b"-1", b"-0", b"3.5", b"0.1", b"1000", b"100000", b"007", b" 5", b"5 ", b"1e3",
    b"0x10", b"nan", b"inf",
    b"9223372036854775807", b"99999999999999999999", b"123456789012345", b"1234567890123456", b"-2.25", b"a\r\nb",
    b"\0", b"1.", b".5",
)  # fmt: skip
RIGHTS = ((b"+@all", b"+del", b"+unlink"), (b"+@all",), (b"+@all", b"-expire", b"-pexpire"))


class Pair:
    """The same commands to a node with fast paths and to one without."""

    def __init__(self, name: str) -> None:
        self.rigs = [Rig(ENGINES[name], hot=hot) for hot in (True, False)]
        self.clients = [rig.connect() for rig in self.rigs]
        for client in self.clients:
            for number, rights in enumerate(RIGHTS):
                client(b"ACL", b"SETUSER", b"user%d" % number, b"on", b"nopass", b"~*", b"&*", *rights)

    def __call__(self, *argv: bytes) -> bytes:
        fast, slow = (ADDRESS.sub(b"table", client(*argv)) for client in self.clients)
        assert fast == slow, (argv, fast, slow)
        return fast

    def advance(self, ms: int) -> None:
        for rig in self.rigs:
            rig.advance(ms)

    def state(self) -> list[object]:
        fast, slow = ([(rig.engine.lookup(0, key, rig.now_ms)) for key in KEYS] for rig in self.rigs)
        told = [
            [None if one is None else (one.value, one.deadline_ms, one.implicit) for one in found]
            for found in (fast, slow)
        ]
        assert told[0] == told[1]
        return list(told[0])

    def ran(self) -> int:
        """How many scripts the engine ran by itself."""
        counters = self.rigs[0].engine.counters()
        return counters["hot_eval"] + counters["hot_evalsha"]


@pytest.fixture(params=ENGINES)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


def stir(pair: Pair, rng: random.Random) -> None:
    """Some keys are there, with a life that was named or not."""
    for key in KEYS:
        how = rng.randrange(5)
        if how < 2:
            pair(b"SET", key, rng.choice(WORDS), b"PX", b"%d" % rng.randrange(2, 200_000))
        elif how == 2:
            pair(b"SET", key, rng.choice(WORDS))
    if rng.random() < 0.1:
        pair.advance(rng.randrange(1, 3000))
    if rng.random() < 0.1:
        pair(b"HELLO", rng.choice((b"2", b"3")))
    if rng.random() < 0.1:
        pair(b"AUTH", b"user%d" % rng.choice((0, 0, 0, 1, 2)), b"x")


def run_and_compare(pair: Pair, rng: random.Random, text: bytes, keys: list[bytes], arguments: list[bytes]) -> None:
    rest = (b"%d" % len(keys), *keys, *arguments)
    if rng.random() < 0.5:
        pair(b"SCRIPT", b"LOAD", text)
        pair(b"EVALSHA", digest_of(text), *rest)
    else:
        pair(b"EVAL", text, *rest)
    pair.state()


@pytest.mark.parametrize(("name", "text", "count", "given"), LIBRARIES, ids=[one[0] for one in LIBRARIES])
def test_a_librarys_script_does_what_it_does_in_lua(
    pair: Pair, name: str, text: bytes, count: int, given: tuple[tuple[bytes, ...], ...]
) -> None:
    rng = random.Random(f"{SEED} {name}")
    pair(b"AUTH", b"user0", b"x")
    for _ in range(ROUNDS):
        stir(pair, rng)
        keys = rng.sample(KEYS, count if rng.random() < 0.9 else rng.randrange(3))
        arguments = list(rng.choice(given))
        for place in range(len(arguments)):
            if rng.random() < 0.3:
                arguments[place] = rng.choice(WORDS)
        if rng.random() < 0.1:
            arguments = arguments[: rng.randrange(len(arguments) + 1)]
        run_and_compare(pair, rng, text, keys, arguments)
    assert (compile_script(text) is None) == ("redis_rate" in name)
    assert ("redis_rate" in name) or pair.ran() >= 3, f"seed {SEED}"


# -- random scripts of the part of Lua that is compiled -------------------------------------------------
class Writer:
    """Writes one random script."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.names: list[str] = []
        self.count = 0

    def script(self) -> str:
        return "\n".join([*self.block(self.rng.randrange(1, 6), 2), f"return {self.answer()}"])

    def answer(self) -> str:
        if self.rng.random() < 0.4:
            return "{" + ", ".join(self.expression(2) for _ in range(self.rng.randrange(4))) + "}"
        return self.expression(3)

    def block(self, count: int, depth: int) -> Iterator[str]:
        for _ in range(count):
            yield self.statement(depth)

    def statement(self, depth: int) -> str:
        rng = self.rng
        how = rng.randrange(8 if depth else 5)
        if how < 2 or (how == 2 and not self.names):
            value = self.expression(2)
            self.count += 1
            self.names.append(f"v{self.count}")
            return f"local v{self.count} = {value}"
        if how == 2:
            return f"{rng.choice(self.names)} = {self.expression(2)}"
        if how < 5:
            return self.call()
        before = list(self.names)
        if how < 7:
            text = f"if {self.expression(2)} then {self.nested(depth)}"
            if rng.random() < 0.3:
                text += f" elseif {self.expression(1)} then {self.nested(depth)}"
            if rng.random() < 0.5:
                text += f" else {self.nested(depth)}"
        elif rng.random() < 0.5:
            self.count += 1
            self.names += [f"i{self.count}", f"k{self.count}"]
            text = f"for i{self.count}, k{self.count} in ipairs({rng.choice(('KEYS', 'ARGV'))}) do {self.nested(depth)}"
        else:
            self.count += 1
            self.names.append(f"i{self.count}")
            text = f"for i{self.count} = {rng.randrange(3)}, {rng.randrange(4)} do {self.nested(depth)}"
        self.names = before
        return text + " end"

    def nested(self, depth: int) -> str:
        before = list(self.names)
        text = "; ".join(self.block(self.rng.randrange(3), depth - 1))
        if self.rng.random() < 0.2:
            text += f" return {self.answer()}"
        self.names = before
        return text

    def call(self) -> str:
        rng = self.rng
        key = rng.choice(("KEYS[1]", "KEYS[1]", "KEYS[2]", "'c'", "ARGV[1]"))
        value, number = self.expression(1), rng.choice(("ARGV[2]", "1000", "'100000'", "5", self.expression(1)))
        commands = (
            f"'get', {key}", f"'GET', {key}", f"'set', {key}, {value}", f"'set', {key}, {value}, 'PX', {number}",
            f"'set', {key}, {value}, 'NX'",
            f"'incr', {key}", f"'incrby', {key}, {number}", f"'pttl', {key}", f"'ttl', {key}",
            f"'pexpire', {key}, {number}", f"'del', {key}",
            f"'exists', {key}", f"'strlen', {key}", f"'mget', {key}, KEYS[2]", f"'setex', {key}, {number}, {value}",
            f"'getset', {key}, {value}",
            f"'append', {key}, {value}", f"'expire', {key}, {number}", f"'unlink', {key}", f"'type', {key}",
            f"'decrby', {key}, {number}",
        )  # fmt: skip
        return f"redis.{rng.choice(('call', 'call', 'pcall'))}({rng.choice(commands)})"

    def expression(self, depth: int) -> str:
        rng = self.rng
        how = rng.randrange(14 if depth else 6)
        if how == 0 and self.names:
            return rng.choice(self.names)
        if how < 3:
            return rng.choice(("KEYS[1]", "ARGV[1]", "ARGV[2]", "ARGV[3]", "KEYS[9]", "#KEYS", "#ARGV"))
        if how < 6:
            return rng.choice(("0", "1", "7", "2.5", "'7'", "'x'", "\"\"", "true", "false", "nil", "100000", "'a\\n'"))
        one, two = self.expression(depth - 1), self.expression(depth - 1)
        if how < 8:
            return f"({one} {rng.choice(('==', '~=', '<', '<=', '>', '>=', 'and', 'or', 'and', 'or'))} {two})"
        if how < 10:
            return f"({one} {rng.choice(('+', '-', '*', '/', '%', '..'))} {two})"
        if how == 10:
            return rng.choice((f"(not {one})", f"(-{one})", f"(#{one})"))
        if how == 11:
            names = ("tonumber", "tostring", "math.floor", "math.ceil", "math.abs", "tonumber", "tonumber")
            return f"{rng.choice(names)}({one})"
        if how == 12:
            return f"math.{rng.choice(('min', 'max'))}({one}, {two})"
        return self.call()


@pytest.mark.parametrize("count", dear.first(1, RANDOM_SCRIPTS))
def test_random_scripts_do_what_they_do_in_lua(pair: Pair, count: int) -> None:
    rng = random.Random(SEED)
    pair(b"AUTH", b"user0", b"x")
    compiled = 0
    for _ in range(count):
        text = Writer(rng).script().encode()
        compiled += compile_script(text) is not None
        for _ in range(2):
            stir(pair, rng)
            run_and_compare(
                pair,
                rng,
                text,
                rng.sample(KEYS, rng.randrange(4)),
                [rng.choice(WORDS) for _ in range(rng.randrange(4))],
            )
    assert compiled > count * 0.9 and pair.ran() > count // 10, (
        f"seed {SEED}: {compiled} compiled, {pair.ran()} ran"
    )


# -- the two hand over ----------------------------------------------------------------------------------
def test_a_command_that_ran_before_the_engine_gave_up_does_not_run_again(pair: Pair) -> None:
    text = (
        b"local n = redis.call('incr', KEYS[1]) redis.call('set', KEYS[2], 'v', 'PX', 1000) "
        b"return {n, redis.call('incr', KEYS[2])}"
    )
    assert compile_script(text) is not None
    assert b"not an integer" in pair(b"EVAL", text, b"2", b"a", b"b")
    assert pair(b"GET", b"a") == b"$1\r\n1\r\n"
    assert pair.ran() == 0


def test_a_program_leaves_with_its_script(client: Client) -> None:
    assert client(b"EVAL", b"return ARGV[1]", b"0", b"x") == b"$1\r\nx\r\n"
    assert client(b"EVAL", b"return ARGV[1]", b"0", b"x") == b"$1\r\nx\r\n"
    ran = client.rig.engine.counters()["hot_eval"]
    assert ran == (1 if client.rig.hot else 0)
    client(b"SCRIPT", b"FLUSH")
    assert client(b"EVALSHA", digest_of(b"return ARGV[1]"), b"0", b"x").startswith(b"-NOSCRIPT")
    assert client.rig.engine.counters()["hot_eval"] == ran


def test_a_script_that_is_queued_runs_with_its_transaction(client: Client) -> None:
    text = b"return redis.call('incrby', KEYS[1], ARGV[1])"
    client(b"EVAL", text, b"1", b"a", b"5")
    client(b"MULTI")
    client(b"INCR", b"a")
    assert client(b"EVAL", text, b"1", b"a", b"5") == b"+QUEUED\r\n"
    assert client(b"EXEC") == b"*2\r\n:6\r\n:11\r\n"


def test_a_loop_that_is_long_is_handed_to_lua(client: Client) -> None:
    text = b"local n = 0 for i = 1, 100000 do n = n + 1 end return n"
    assert client(b"EVAL", text, b"0") == b":100000\r\n"
    assert client(b"EVAL", text, b"0") == b":100000\r\n"
    assert client.rig.engine.counters()["hot_eval"] == 0


def test_the_time_in_a_script_is_the_nodes(client: Client) -> None:
    text = b"return redis.call('TIME')[1]"
    for _ in range(2):
        assert client(b"EVAL", text, b"0") == b"$10\r\n%d\r\n" % (client.rig.now_ms // 1000)


def test_a_program_that_names_what_is_not_there_is_not_taken() -> None:
    from respram.program import STEP, Op, Program

    rig = Rig(ENGINES[next(name for name in ENGINES if name != "pure")]) if len(ENGINES) > 1 else None
    if rig is None:
        pytest.skip("the native engine is not built here")
    end = STEP.pack(Op.RETURN, 0, 0, 0)
    assert rig.engine.teach(b"x", Program(STEP.pack(Op.CONST, 0, 0, 0) + end, (b"t",), 1))
    for bad in (
        b"", STEP.pack(Op.NIL, 0, 0, 0), STEP.pack(Op.CONST, 0, 1, 0) + end, STEP.pack(Op.MOVE, 1, 0, 0) + end,
        STEP.pack(Op.JUMP, 9, 0, 0) + end, STEP.pack(Op.CALL, 0, 0, 2) + end, STEP.pack(Op.CALL, 0, 0, 0) + end,
        STEP.pack(99, 0, 0, 0) + end, STEP.pack(Op.RETURN_LIST, 0, 2, 0) + end, STEP.pack(Op.ADD, 0, 0, 70) + end,
    ):  # fmt: skip
        assert not rig.engine.teach(b"y", Program(bad, (b"t",), 1)), bad
