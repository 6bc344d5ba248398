"""Fifty clients that send whatever the catalogue has, with extreme arguments: the node's memory and the others' time
stay bounded.

`python -m tests.abuse.client_fuzz [--commands N] [--seed S] [--engine E]`, or the short form in `test_client_fuzz.py`.
Commands are made from the argument specifications of the catalogue, well-formed mostly, with values from EXTREMES; some
are spoilt. Connections come and go: they pipeline, subscribe, track, open transactions, change protocol, read late or
never, half-close and reset. What may not be drawn is in `NEVER` and `spared`, with the reason. A bystander PINGs all
the while (see `prober.py`).

It fails when the log has a bug, when the node has more memory than its two limits and SLACK_BYTES, or, under `--timed`,
when the bystander's p99 is beyond what any attack is allowed. Failures name the seed.
"""

import argparse
import contextlib
import random
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

import redis

from respram.catalog import COMMANDS
from respram.catalog.entry import Argument, Command
from tests import timing
from tests.abuse.rig import PING_MS_MAX, Seen, check_log, rss_bytes, watched
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, running

MIB = 1 << 20
CONNECTIONS = 50
MEMORY_BYTES, CLIENTS_BYTES, SLACK_BYTES = 64 * MIB, 64 * MIB, 64 * MIB
ARGS = (
    "--maxmemory", "64mb", "--maxmemory-clients", "64mb", "--let-go", "all", "--lua-time-limit", "20",
    "--script-time-max", "60",
    "--notify-keyspace-events", "AKE", "--slowlog-max-len", "10000", "--slowlog-log-slower-than", "20000",
)  # fmt: skip
SAMPLED_S = 0.02  # between two looks at the node's memory
BATCH_MAX = 40
IDLE_S = 0.002
NEVER = {  # an administrator's: they end the node, or move the limits that are asserted here
    b"shutdown", b"config|set", b"config|rewrite", b"config|resetstat", b"slowlog|reset", b"acl|setuser",
    b"acl|deluser", b"acl|load",
    b"acl|save", b"debug", b"monitor",
}  # fmt: skip
INTEGERS = (
    b"0", b"1", b"-1", b"2", b"7", b"10", b"100", b"1000", b"65536", b"1048576", b"16777215", b"16777216", b"134217727",
    b"2147483647",
    b"2147483648", b"-2147483648", b"4294967296", b"9223372036854775807", b"-9223372036854775808",
    b"9223372036854775808",
    b"18446744073709551615", b"99999999999999999999999", b"1e3", b" 1", b"+1", b"01", b"", b"0x10", b"1_000",
)  # fmt: skip
DOUBLES = (b"0.1", b"-0", b"nan", b"inf", b"-inf", b"1e308", b"-1e308", b"1e-320", b"3.0e1000", b".5", b"5.", b"1e",
           b"(1", b"[1")
PATTERNS = (
    b"*", b"?", b"**", b"", b"[", b"[]", b"[^]", b"\\", b"*" * 500, b"*a*a*a*a*a*a*a*a*b", b"a" * 300 + b"*", b"[a-z]*",
    b"*[^a]?*[b-a]*",
    b"?" * 2000, b"*[ab]" * 800, b"key:*", b"__key*__:*",
)  # fmt: skip
PIECES = (b"", b"a", b"\0", b"\r\n", b"x" * 20, b"\xff\xfe", b"*", b"$5\r\n", b"aaaaaaaaab", b"12345", b"3.25", b"ON",
          b"OFF", b"ALL")
SIZES = (1 << 10, 1 << 14, 1 << 16, 1 << 20, 4 << 20, 16 << 20)
# A script may take the time that --lua-time-limit gives it, so no long ones here: tests/scripting has what bounds them.
SCRIPTS = (
    b"return 1", b"return redis.call('GET', KEYS[1])", b"return redis.call('KEYS', '*')", b"return {1, {2, {3}}, 'x'}",
    b"error('x')",
    b"return redis.pcall('MGET', 'big', 'big')", b"return redis.call(unpack(ARGV))", b"((",
)  # fmt: skip


@dataclass
class Draw:
    """Commands from a seed."""

    chance: random.Random
    ids: list[int] = field(default_factory=list)  # of attackers, which alone may be killed

    def pick(self, items: tuple[bytes, ...]) -> bytes:
        return self.chance.choice(items)

    def key(self) -> bytes:
        roll = self.chance.random()
        if roll < 0.001:
            return self.pick(PIECES) * self.chance.choice((1000, 65_536))
        if roll < 0.02:
            return self.pick(PIECES)
        return b"big" if roll < 0.04 else b"key:%d" % self.chance.randrange(60)

    def text(self) -> bytes:
        roll = self.chance.random()
        if roll < 0.0015:
            return b"%c" % self.chance.randrange(256) * (self.chance.choice(SIZES) - self.chance.randrange(3))
        if roll < 0.2:
            return self.pick(INTEGERS)
        if roll < 0.3:
            return self.chance.choice(COMMANDS_BY_NAME).name.split(b"|")[0]
        return self.pick(PIECES)

    def value(self, kind: bytes) -> bytes:
        match kind:
            case b"key":
                return self.key()
            case b"integer" | b"unix-time":
                return self.pick(INTEGERS)
            case b"double":
                return self.pick(DOUBLES if self.chance.random() < 0.6 else INTEGERS)
            case b"pattern":
                return self.pick(PATTERNS)
            case _:
                return self.text()

    def times(self, most: int = 6) -> int:
        """How often what may come several times comes."""
        roll = self.chance.random()
        return self.chance.choice((200, 2_000, 20_000)) if roll < 0.002 else self.chance.randrange(1, most)

    def words(self, arguments: tuple[Argument, ...]) -> list[bytes]:
        found: list[bytes] = []
        for one in arguments:
            if b"optional" in one.flags and self.chance.random() < 0.6:
                continue
            repeated = self.times() if {b"multiple", b"multiple_token"} & set(one.flags) else 1
            for number in range(repeated):
                if one.token and (not number or b"multiple_token" in one.flags):
                    found.append(one.token)
                if one.type == b"oneof":
                    found += self.words((self.chance.choice(one.inner),))
                elif one.type == b"block":
                    found += self.words(one.inner)
                elif one.type != b"pure-token":
                    found.append(self.value(one.type))
                if len(found) > 40_000:
                    return found
        return found

    def argv(self) -> list[bytes]:
        command = self.chance.choice(COMMANDS_BY_NAME)
        name = command.name.split(b"|")
        if command.name in (b"eval", b"eval_ro"):
            return [*name, self.pick(SCRIPTS), *self.chance.choice(([b"0"], [b"1", self.key()], [self.pick(INTEGERS)]))]
        words = self.words(command.arguments)
        roll = self.chance.random()
        if roll < 0.05:
            words = [self.text() for _ in range(self.chance.randrange(8))]
        elif roll < 0.12 and words:
            words[self.chance.randrange(len(words))] = self.text()
        elif roll < 0.15 and words:
            del words[self.chance.randrange(len(words))]
        return spared([*name, *words], self)


def spared(argv: list[bytes], draw: Draw) -> list[bytes]:
    """What would do to the bystander, by right, what it is asked to do: CLIENT KILL and PAUSE."""
    name = b" ".join(argv[:2]).lower()
    if name == b"client kill":
        return [*argv[:2], b"ID", b"%d" % draw.chance.choice(draw.ids or [1 << 40])]
    if name == b"client pause":
        return [*argv[:2], b"%d" % draw.chance.randrange(4), b"WRITE"]
    if name[:4] == b"wait" and len(argv) > 2:
        return [argv[0], argv[1], b"%d" % draw.chance.randrange(5)]
    return argv


def every(commands: dict[bytes, Command]) -> list[Command]:
    flat = [one for command in commands.values() for one in (command.subcommands or (command,))]
    return [command for command in flat if command.name not in NEVER]


COMMANDS_BY_NAME = every(COMMANDS)


class Attacker:
    """One place among the connections, held by one after the other."""

    def __init__(self, node: LiveNode, draw: Draw) -> None:
        self.node, self.draw = node, draw
        self.sock: socket.socket | None = None
        self.unsent = b""
        self.reads = True

    def connect(self) -> None:
        chance = self.draw.chance
        self.sock = socket.create_connection(("127.0.0.1", self.node.port), SOON_S)
        self.reads = chance.random() < 0.9
        self.unsent = request(b"CLIENT", b"SETNAME", b"fuzz")
        if chance.random() < 0.3:
            self.unsent += request(b"HELLO", b"3")
        if chance.random() < 0.1:
            self.unsent += request(b"CLIENT", b"TRACKING", b"ON")
        if chance.random() < 0.1:
            self.unsent += request(b"PSUBSCRIBE", *(self.draw.pick(PATTERNS) for _ in range(chance.randrange(1, 200))))
        self.sock.setblocking(False)

    def step(self) -> int:
        """Sends some, reads some; how many commands were begun."""
        chance, sent = self.draw.chance, 0
        if self.sock is None:
            self.connect()
        assert self.sock is not None
        try:
            if not self.unsent:
                sent = chance.choice((1, 1, 3, 10, BATCH_MAX))
                opened = chance.random() < 0.1
                parts = [request(*self.draw.argv()) for _ in range(sent)]
                self.unsent = b"".join([request(b"MULTI"), *parts, request(b"EXEC")] if opened else parts)
            with contextlib.suppress(BlockingIOError):
                self.unsent = self.unsent[self.sock.send(self.unsent[: 1 << 20]) :]
            if self.reads:
                for _ in range(8):
                    with contextlib.suppress(BlockingIOError):
                        if not self.sock.recv(1 << 18):
                            raise ConnectionResetError
            roll = chance.random()
            if roll < 0.002:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                raise ConnectionResetError
            if roll < 0.004:
                self.sock.shutdown(socket.SHUT_WR)
                raise ConnectionResetError
        except OSError:
            self.sock.close()
            self.sock, self.unsent = None, b""
        return sent


@dataclass
class Watch:
    """The node's memory, all the while."""

    node: LiveNode
    peak: int = 0
    over: bool = False

    def run(self) -> None:
        while not self.over:
            self.peak = max(self.peak, rss_bytes(self.node))
            time.sleep(SAMPLED_S)


def fuzz(node: LiveNode, seed: int, commands: int, seconds_max: float = 1e9) -> tuple[Seen, int, int]:
    """What the bystander saw, by how much the node grew at its peak, and how many commands were sent."""
    chance = random.Random(seed)
    draw = Draw(chance)
    attackers = [Attacker(node, draw) for _ in range(CONNECTIONS)]
    wire = node.connect()
    wire.sock.sendall(request(b"SET", b"big", b"b" * (1 << 20)))
    assert wire.take(5) == b"+OK\r\n"
    watch = Watch(node, rss_bytes(node))
    before, sent = watch.peak, 0
    end = time.monotonic() + seconds_max

    def attack() -> None:
        nonlocal sent
        while sent < commands and time.monotonic() < end:
            attacker = chance.choice(attackers)
            sent += attacker.step()
            if chance.random() < 0.05:
                socks = [one.sock for one in attackers if one.sock is not None and one.reads]
                select.select(socks, [], [], IDLE_S)
        for attacker in attackers:
            if attacker.sock is not None:
                attacker.sock.close()

    sampler = threading.Thread(target=watch.run)
    sampler.start()
    try:
        seen = watched(node, attack, "")
    finally:
        watch.over = True
        sampler.join()
    check_log(node)
    return seen, watch.peak - before, sent


def judge(engine: str, seen: Seen, grown: int, where: str) -> None:
    assert grown < MEMORY_BYTES + CLIENTS_BYTES + SLACK_BYTES, f"{where}: {grown >> 20} MiB at the peak"
    if timing.JUDGED:
        assert seen.ping_ms < PING_MS_MAX[engine], f"{where}: a bystander's PING took {seen.ping_ms:.1f} ms (p99)"


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--commands", type=int, default=1_000_000)
    asked.add_argument("--seconds", type=float, default=1e9)
    asked.add_argument("--seed", type=int, default=int(time.time()))
    asked.add_argument("--engine", default="native")
    given = asked.parse_args()
    timing.JUDGED = True
    with running(*ARGS, engine=given.engine) as node:
        seen, grown, sent = fuzz(node, given.seed, given.commands, given.seconds)
        slow = sorted(seen.node_own_ms)[-5:]
        sys.stdout.write(
            f"seed={given.seed} engine={given.engine} commands={sent} peak_mib={grown >> 20} "
            f"ping_p99_ms={seen.ping_ms:.1f} "
            f"longest_ms={[round(one) for one in slow]}\n"
        )
        with redis.Redis(port=node.port) as client:
            for entry in sorted(client.slowlog_get(10_000), key=lambda one: -one["duration"])[:12]:
                sys.stdout.write(f"slow: {entry['duration'] / 1000:.0f} ms {entry['command'][:100]!r}\n")
        judge(given.engine, seen, grown, f"seed {given.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
