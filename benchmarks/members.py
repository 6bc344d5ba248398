"""Collections: what a member costs in memory, what a command costs as they grow, and who waits while one of 10^6 ends.

Memory: growth of the resident set of a fresh server, divided by the members, as in `memory.py`. Redis has its hashtable
and its skip list throughout: its packed encoding of small collections is switched off.

Access: CPU of the server per command, as in `commands.py`, on a collection of 10^3 members and on one of 10^6.

Stalls: the longest wait of a quiet client, as in `stalls.py`, while a collection of 10^6 members ends: with its key,
all members in one millisecond, or over a second. Members of Redis 7.0 have no deadlines, so it ends keys only.

Turns: the same in an engine alone, as the server's timer drives it: the CPU of the longest turn, which holds on a busy
machine too. Between two turns sockets are served.
"""

import contextlib
import itertools
import json
import secrets
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks import machine, options, tables
from benchmarks.commands import encoded
from benchmarks.compare import awake, taking_turns
from benchmarks.drive import hear_redis_benchmark, run_client
from benchmarks.figures import CPU_NOISE_MAX, ratio
from benchmarks.machine import Affinity
from benchmarks.memory import SETTLE_S, own_bytes
from benchmarks.rows import count_name
from benchmarks.servers import REPLY_S_MAX, BenchError, Kind, Programs, Server, numbers, serving
from benchmarks.stalls import PROBE_AFTER_S, STALL_MAX_MS, noise_note, probed, spread
from respram.config.settings import Config
from respram.engine import make
from respram.server.app import EXPIRY_SLICE_US, EXPIRY_STEP

SERVERS = "redis,native"
MEMBERS = 1_000_000
FEW = 1_000
AT_ONCE = 500  # members of one command that fills
LEAD_S = 60  # the collection must be written within this time, before the first member is due
SPREAD_MS = 1_000
REQUESTS, PIPELINE, CONNECTIONS = 200_000, 16, 20
QUICK_DIVISOR = 10
START_MS = 1_800_000_000_000  # when an engine alone begins
OUTBOX_BYTES = 64 << 20
KINDS_OF = ("hash", "set", "sorted set")
ENDS = ("with its key", "in one millisecond", "over a second")
# redis-benchmark writes 12 digits in place of __rand_int__: the names of the members that are there
NAME = "mem:%012d"
SHORT = "m:%012d"  # 14 bytes, which Redis keeps in blocks of 16; a byte more takes it 24 or 32
ACCESS = (
    ("HSET", "hash", ("HSET", "c", "mem:__rand_int__", "x" * 16)),
    ("HGET", "hash", ("HGET", "c", "mem:__rand_int__")),
    ("SADD", "set", ("SADD", "c", "mem:__rand_int__")),
    ("SISMEMBER", "set", ("SISMEMBER", "c", "mem:__rand_int__")),
    ("ZADD", "sorted set", ("ZADD", "c", "__rand_int__", "mem:__rand_int__")),
    ("ZSCORE", "sorted set", ("ZSCORE", "c", "mem:__rand_int__")),
    ("ZRANK", "sorted set", ("ZRANK", "c", "mem:__rand_int__")),
)
UNPACKED = (b"hash-max-listpack-entries", b"set-max-listpack-entries", b"set-max-intset-entries",
            b"zset-max-listpack-entries")  # fmt: skip


def words(kind: str, key: bytes, first: int, last: int, name: str = NAME) -> tuple[bytes, ...]:
    """The command that writes the members of these numbers."""
    names = [(name % number).encode() for number in range(first, last)]
    if kind == "hash":
        return (b"HSET", key, *(word for name in names for word in (name, b"x" * 16)))
    if kind == "set":
        return (b"SADD", key, *names)
    return (b"ZADD", key, *(word for at, name in enumerate(names, first) for word in (b"%d" % at, name)))


@contextlib.contextmanager
def talking(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=REPLY_S_MAX) as sock:
        yield sock


def say(sock: socket.socket, *argv: bytes) -> bytes:
    """A command with a short reply; an error is a fault of this script."""
    sock.sendall(encoded(*argv))
    reply = b""
    while not reply.endswith(b"\r\n"):
        more = sock.recv(1 << 16)
        if not more:
            raise BenchError("the server closed the connection")
        reply += more
    if reply.startswith(b"-"):
        raise BenchError(reply.decode(errors="replace").strip())
    return reply


def filled(
    server: Server, kind: str, members: int, keys: int = 1, prefix: bytes = b"c", name: str = NAME
) -> None:
    """So many members, in so many collections."""
    each = members // keys
    with talking(server) as sock:
        if not server.kind.is_own:
            for setting in UNPACKED:
                with contextlib.suppress(BenchError):  # not all versions have all of them
                    say(sock, b"CONFIG", b"SET", setting, b"0")
        for number in range(keys):
            key = prefix if keys == 1 else b"%b:%04d" % (prefix, number)
            for first in range(0, each, AT_ONCE):
                say(sock, *words(kind, key, first, min(first + AT_ONCE, each), name))


# -- memory ---------------------------------------------------------------------------------------
def weigh(server: Server, kind: str, members: int, keys: int, prefix: bytes, name: str) -> dict[str, Any]:
    time.sleep(SETTLE_S)
    before, own_before = machine.rss_bytes(server.pid), own_bytes(numbers(server))
    filled(server, kind, members, keys, prefix, name)
    time.sleep(SETTLE_S)
    grown, own = machine.rss_bytes(server.pid) - before, own_bytes(numbers(server)) - own_before
    return {"resident": grown / members, "own_count": own / members}


def memory_rows(divisor: int) -> list[tuple[str, str, int, bytes, str]]:
    many = MEMBERS // divisor // FEW
    found = []
    for kind, name in (*((one, NAME) for one in KINDS_OF), ("set", SHORT)):
        title = kind if name == NAME else f"{kind} with names of 14 bytes"
        found += [
            (f"{title}, in one", kind, 1, b"c", name),
            (f"{title}, in {count_name(many)} under keys of 20 bytes", kind, many, b"of:twenty:bytes", name),
        ]
    return found


# -- access ---------------------------------------------------------------------------------------
def access(server: Server, argv: tuple[str, ...], members: int, divisor: int, where: Affinity) -> float:
    requests = REQUESTS // divisor
    errors = numbers(server)["error_replies"]
    before_s = machine.cpu_s(server.pid)
    text = run_client(
        [
            "redis-benchmark", "-p", str(server.port), "-n", str(requests), "-P", str(PIPELINE), "-c", str(CONNECTIONS),
            "-r", str(members), "--csv", *argv,
        ],
        where,
    )  # fmt: skip
    cpu_s = machine.cpu_s(server.pid) - before_s
    if numbers(server)["error_replies"] != errors:
        raise BenchError(f"{server.kind.label}, {argv[0]}: error replies")
    hear_redis_benchmark(text, requests)
    return cpu_s / requests * 1e6


# -- stalls ---------------------------------------------------------------------------------------
def end(server: Server, kind: str, how: str, programs: Programs, where: Affinity, divisor: int) -> dict[str, Any]:
    """The prober starts a second before the first deadline, when everything is written."""
    members = MEMBERS // divisor
    due_s = time.time() + LEAD_S / divisor + 3
    due_ms = int(due_s * 1000)
    filled(server, kind, members)
    with talking(server) as sock:
        if how == "with its key":
            say(sock, b"PEXPIREAT", b"c", b"%d" % due_ms)
        else:
            for first in range(0, members, AT_ONCE):
                names = [(NAME % number).encode() for number in range(first, min(first + AT_ONCE, members))]
                at_ms = due_ms + (0 if how == "in one millisecond" else first * SPREAD_MS // members)
                sock.sendall(encoded(b"HPEXPIREAT", b"c", b"%d" % at_ms, b"FIELDS", b"%d" % len(names), *names))
                hear_codes(sock, len(names))
    if time.time() > due_s - 1:
        raise BenchError(f"{server.kind.label}: it was not written before the first was due: a slow machine")
    time.sleep(due_s - 1 - time.time())
    seconds = 1 + SPREAD_MS // 1000 + PROBE_AFTER_S
    found = probed(["--port", str(server.port), "--op", "idle", "--seconds", str(seconds)], programs, where)
    return found | {"keys_left": numbers(server).get("keys", 0)}


def hear_codes(sock: socket.socket, count: int) -> None:
    """The array of HPEXPIREAT: 1 for each member."""
    wanted = b"*%d\r\n" % count + b":1\r\n" * count
    got = b""
    while len(got) < len(wanted):
        more = sock.recv(1 << 16)
        if not more or (got == b"" and more.startswith(b"-")):
            raise BenchError(more.decode(errors="replace").strip() or "the server closed the connection")
        got += more
    if got != wanted:
        raise BenchError("not every member got its deadline")


# -- turns ----------------------------------------------------------------------------------------
def longest_turn(kind: str, how: str, members: int, remembers: bool) -> dict[str, Any]:
    """`remembers`: the engine has peers, so what ends early leaves stubs, and everything is counted in digests."""
    bound = OUTBOX_BYTES if remembers else 0
    settings = Config().engine_settings(1, secrets.token_bytes(16), secrets.randbits(64), outbox_bytes_max=bound)
    engine = make("native", settings)
    if remembers:
        engine.track(1, START_MS)
    session = engine.session(lambda session, argv, now_ms: b"-ERR not here\r\n")
    session.trusted = session.hot = True
    due_ms = START_MS + 600_000

    def ask(*argv: bytes) -> None:
        reply = bytes(engine.feed(session, encoded(*argv), START_MS))
        if reply.startswith(b"-"):
            raise BenchError(reply.decode())
        engine.drain(OUTBOX_BYTES)

    for first in range(0, members, AT_ONCE):
        ask(*words(kind, b"c", first, min(first + AT_ONCE, members)))
    if how == "with its key":
        ask(b"PEXPIREAT", b"c", b"%d" % due_ms)
    else:
        for number in range(members):
            name = (NAME % number).encode()
            value = engine.member(0, b"c", name, START_MS)
            assert value is not None
            at_ms = due_ms + (0 if how == "in one millisecond" else number * SPREAD_MS // members)
            engine.put_member(0, b"c", name, value.value, at_ms, START_MS)
            if not number % AT_ONCE:
                engine.drain(OUTBOX_BYTES)
    turns, now_ms = [], due_ms - 1
    while now_ms < due_ms + SPREAD_MS + 500:
        begin_ns = time.thread_time_ns()
        while (more := engine.expire(now_ms, EXPIRY_STEP) >= EXPIRY_STEP):
            if time.thread_time_ns() - begin_ns >= EXPIRY_SLICE_US * 1000:
                break
        turns.append((time.thread_time_ns() - begin_ns) / 1e6)
        now_ms += not more
    if engine.count(0, now_ms):
        raise BenchError(f"{kind}, {how}: it has not ended")
    return {"longest_ms": max(turns), "all_ms": sum(turns)}


# -- the page -------------------------------------------------------------------------------------
def of(found: list[dict[str, Any]], field: str, **wanted: str) -> list[float]:
    return [one[field] for one in found if all(one.get(name) == value for name, value in wanted.items())]


def memory_table(found: list[dict[str, Any]]) -> str:
    lines = []
    for title in dict.fromkeys(of(found, "title", part="memory")):
        cells: list[str] = [str(title)]
        for field in ("resident", "own_count"):
            theirs, ours = (of(found, field, title=str(title), server=server) for server in ("redis", "native"))
            cells += [tables.figure_cell(theirs), tables.figure_cell(ours),
                      tables.ratio_cell(ratio(ours, theirs, CPU_NOISE_MAX))]  # fmt: skip
        lines.append(cells)
    head = ["bytes per member", "Redis, resident", "respram", "to Redis", "Redis, own count", "respram", "to Redis"]
    return tables.table(head, lines)


def access_table(found: list[dict[str, Any]], sizes: tuple[int, int]) -> str:
    few, many = map(count_name, sizes)
    lines = []
    for title, _, _ in ACCESS:
        cells = [title]
        for server in ("redis", "native"):
            small, large = (of(found, "cpu_us", title=title, server=server, members=name) for name in (few, many))
            cells += [tables.figure_cell(small), tables.figure_cell(large),
                      tables.ratio_cell(ratio(large, small, CPU_NOISE_MAX))]  # fmt: skip
        ours, theirs = (of(found, "cpu_us", title=title, server=server, members=many) for server in
                        ("native", "redis"))  # fmt: skip
        lines.append([*cells, tables.ratio_cell(ratio(ours, theirs, CPU_NOISE_MAX))])
    head = [f"us per command, P={PIPELINE}", f"Redis, {few} members", many, f"{many} to {few}", f"respram, {few}", many,
            f"{many} to {few}", f"respram to Redis, {many}"]  # fmt: skip
    return tables.table(head, lines)


def stalls_table(found: list[dict[str, Any]], kinds: list[Kind]) -> str:
    lines = []
    for kind in KINDS_OF:
        for how in ENDS:
            for server in kinds:
                mine = [one for one in found
                        if (one.get("kind"), one.get("how"), one["server"]) == (kind, how, server.name)]  # fmt: skip
                if not mine:
                    continue
                own = [one["own"]["max_us"] / 1000 for one in mine if "own" in one]
                lines.append([
                    f"{kind}, {how}", server.label, spread(own) if own else "-",
                    " ".join(str(one["own"]["over_2ms"]) if "own" in one else "-" for one in mine),
                    spread([one["probe"]["max_us"] / 1000 for one in mine]),
                    " ".join(str(one["keys_left"]) for one in mine),
                ])  # fmt: skip
    head = ["how it ends", "server", "longest wait of its own, ms: median of turns (lowest-highest)",
            f"own waits over {STALL_MAX_MS} ms", "longest wait, ms", "keys left"]  # fmt: skip
    return tables.table(head, lines)


def turns_table(found: list[dict[str, Any]]) -> str:
    lines = []
    for kind in KINDS_OF:
        for how in ENDS:
            cells = [f"{kind}, {how}"]
            for peers in ("no", "yes"):
                wanted = {"part": "turns", "kind": kind, "how": how, "peers": peers}
                cells += [spread(of(found, "longest_ms", **wanted)), spread(of(found, "all_ms", **wanted))]
            lines.append(cells)
    head = ["CPU, ms: median of turns (lowest-highest)", "longest turn, alone", "all turns", "longest turn, with peers",
            "all turns"]  # fmt: skip
    return tables.table(head, lines)


def page(facts: dict[str, str], found: list[dict[str, Any]], kinds: list[Kind], divisor: int) -> str:
    members = count_name(MEMBERS // divisor)
    parts = ["# Collections", tables.facts_list(facts)]
    if of(found, "title", part="memory"):
        parts += [
            f"{members} members of 16 bytes (fields with 16 more), Redis with its hashtable and skip list.",
            memory_table(found),
        ]
    if of(found, "title", part="access"):
        parts += [
            "CPU of the server, members drawn at random from all.",
            access_table(found, (FEW, MEMBERS // divisor)),
        ]
    stalls = [one for one in found if one["part"] == "stalls"]
    if stalls:
        parts += [
            f"Waits of one client that only says PING while a collection of {members} members ends. "
            + noise_note(stalls),
            stalls_table(found, kinds),
        ]
    if of(found, "longest_ms", part="turns"):
        parts += [f"A collection of {members} members ends in an engine alone, as the timer drives it.",
                  turns_table(found)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


PARTS = ("memory", "access", "stalls", "turns")


def work(given: Namespace, kinds: list[Kind], parts: list[str], programs: Programs, where: Affinity) -> None:
    divisor = QUICK_DIVISOR if given.quick else 1
    facts = options.facts_of(kinds, programs, where)
    found: list[dict[str, Any]] = []

    def keep(whole: bool) -> None:
        if found:
            path = options.out_path(given, "members", whole and parts == list(PARTS))
            options.write(path, ".json", json.dumps({"facts": facts, "turns": found}, indent=1) + "\n")
            options.write(path, ".md", page(facts, found, kinds, divisor))

    def note(server: str, **more: Any) -> None:
        found.append({"server": server} | more)
        said = {name: value for name, value in more.items() if not isinstance(value, dict | list)}
        print(server, said, {name: value["max_us"] for name, value in more.items() if name in ("own", "probe")},
              file=sys.stderr, flush=True)  # fmt: skip

    with options.saving(keep):
        for part in parts:
            for _ in range(given.turns):
                if part == "access":
                    access_turn(kinds, programs, where, divisor, note)
                    continue
                if part == "turns":
                    for of_kind, how, peers in itertools.product(KINDS_OF, ENDS, ("no", "yes")):
                        took = longest_turn(of_kind, how, MEMBERS // divisor, peers == "yes")
                        note("native", part=part, kind=of_kind, how=how, peers=peers, **took)
                    continue
                for kind in kinds:
                    for one in memory_rows(divisor) if part == "memory" else ():
                        title, of_kind, keys, prefix, name = one
                        with serving(kind, programs, where) as server:
                            weighed = weigh(server, of_kind, MEMBERS // divisor, keys, prefix, name)
                        note(kind.name, part=part, title=title, **weighed)
                    for of_kind, how in ((one, how) for one in KINDS_OF for how in ENDS) if part == "stalls" else ():
                        if how != ENDS[0] and not kind.is_own:
                            continue
                        with serving(kind, programs, where) as server:
                            run = end(server, of_kind, how, programs, where, divisor)
                        note(kind.name, part=part, kind=of_kind, how=how, **run)


def access_turn(kinds: list[Kind], programs: Programs, where: Affinity, divisor: int, note: Any) -> None:
    for of_kind in KINDS_OF:
        for members in (FEW, MEMBERS // divisor):
            with contextlib.ExitStack() as stack:
                servers = [stack.enter_context(serving(kind, programs, where)) for kind in kinds]
                for server in servers:
                    filled(server, of_kind, members)
                with taking_turns(servers):
                    for title, its, argv in ACCESS:
                        for server in servers if its == of_kind else ():
                            with awake(server):
                                cpu_us = access(server, argv, members, divisor, where)
                            note(server.kind.name, part="access", title=title, members=count_name(members),
                                 cpu_us=cpu_us)  # fmt: skip


def main(argv: list[str]) -> int:
    parser = options.parser_for("members", "Memory, access and stalls of collections.", SERVERS, 3600)
    parser.add_argument("--parts", default=",".join(PARTS), metavar="NAMES", help=f"some of {','.join(PARTS)}")
    parser.add_argument(
        "--turns", type=options.positive, default=3, metavar="N", help="fresh starts of each server (default 3)"
    )
    given = parser.parse_args(argv)
    parts = given.parts.split(",")
    if any(part not in PARTS for part in parts):
        parser.error(f"--parts takes some of {','.join(PARTS)}")
    kinds = options.chosen_kinds(parser, given.servers)
    if any(kind.memcache or not kind.has_keys for kind in kinds):
        parser.error("memcached and the floor know no collections")
    return options.run(given, partial(work, given, kinds, parts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
