"""Writes the first corpora: well-formed commands and payloads, for the fuzzers to take apart."""

from pathlib import Path

from respram.engine.pure.shares import Counter, Share, pack_counter
from respram.record import Record, pack

HERE = Path(__file__).parent / "corpus"
NOW = 1_800_000_000_000


def request(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)


COMMANDS = [
    request(b"SET", b"a", b"1", b"EX", b"9"),
    request(b"SET", b"a", b"x" * 100, b"PX", b"9", b"NX") + request(b"GET", b"a"),
    request(b"SET", b"a", b"long" * 30) + request(b"SET", b"a", b"s", b"PX", b"5"),
    request(b"MGET", b"a", b"b", b"c") + request(b"EXISTS", b"a", b"a"),
    request(b"INCR", b"n") + request(b"DECRBY", b"n", b"-5") + request(b"INCRBY", b"n", b"9223372036854775807"),
    request(b"PTTL", b"a") + request(b"TTL", b"a") + request(b"STRLEN", b"a") + request(b"PING")
    + request(b"ECHO", b"e"),
    request(b"Wait", b"a") + request(b"Retime", b"a") + request(b"Append", b"a") + request(b"Db"),
    request(b"Quit") + request(b"GET", b"a"),
    b"PING\r\nset 'a b' \"\\x41\\n\" ex 9\r\n\r\nget 'a b'\n*0\r\n*-1\r\n",
    b"*2\r\n$3\r\nGET\r\n$99999999\r\n",
    b"*1048577\r\n",
    b'"unbalanced\r\n',
    request(b"SETEX", b"k", b"5", b"v") + request(b"PSETEX", b"k", b"5", b"v")[:-4],
]
RECORDS = [
    Record(0, b"a", b"peer", NOW << 16, 9, NOW + 500),
    Record(0, b"a", b"newer", (NOW + 1) << 16, 9, NOW + 50, NOW + 500),
    Record(1, b"b", None, NOW << 16, 3, NOW - 5, NOW + 900),
    Record(2, b"", b"", NOW << 16, 7, NOW + 1, 0, True),
]


def steps(*pairs: tuple[int, bytes]) -> bytes:
    assert all(len(data) < 256 for _, data in pairs), "a step that is cut off swallows the next"
    return b"".join(bytes((kind, len(data[:255]))) + data[:255] for kind, data in pairs)


# what kind of node takes an input is read from its size, see fuzz_store.c
PEERS, SEALED, SEALS, FAILS, LATE = 1, 2, 4, 8, 16
MANY, SOON, LATER, MERGE, DRAIN, BACK, COMPARE, RESTAMP, MEMBERS = 3, 4, 5, 6, 7, 9, 10, 11, 12

TABLE = (  # steps that end while lines are allocated, moved or freed
    (MANY, bytes(range(100))), (MANY, b"x" * 164), (SOON, b"x" * 9), (MANY, b"x" * 198), (SOON, b"x" * 99),
    (MANY, bytes(range(185))), *[(LATER, b"x" * 9)] * 4, (LATER, b"x" * 10), (LATER, b"x" * 11), (LATER, b"x" * 20),
)  # fmt: skip
# it empties instead
TURN = ((MANY, bytes(range(90))), *[(LATER, b"x" * 9)] * 9, (MANY, bytes(range(92))), (LATER, b"x" * 12))
# Cursors between two places of a granule with many records, with a full filter, and between distant granules.
CURSORS = (
    (MANY, b"\x09" * 20), (COMPARE, b"a"), (COMPARE, b"abc"), (COMPARE, b"x" * 250),
    (0, request(b"SET", b"far", b"1", b"EX", b"99999999") + request(b"SET", b"near", b"2", b"PX", b"99999")),
    (MANY, bytes(range(20))), (COMPARE, b"abcde"), (SOON, b"x" * 50), (COMPARE, b"ab"), (COMPARE, b"x" * 201),
    (LATER, b"xxxx"), (COMPARE, b"a"),
)  # fmt: skip
CLOCK = ((LATER, b"x" * 13), (MANY, b"\xff" * 9), (0, COMMANDS[0]), (MERGE, b"".join(map(pack, RECORDS))),
         (BACK, b"xx"), (RESTAMP, b""))
VALUES = (
    (0, request(b"SET", b"a", b"x" * 40) + request(b"GET", b"a") + request(b"MGET", b"a", b"b", b"a")),
    (0,
     request(b"A" + b"y" * 60, b"k") + request(b"B" + b"z" * 60, b"k") + request(b"GET", b"k") + request(b"R", b"k")),
    (MANY, b"\xff" * 30), (0, request(b"INCR", b"n") + request(b"APPEND", b"n") + request(b"STRLEN", b"n")),
    (0, b"".join(request(b"GET", bytes((n, 0))) for n in range(9))), (SOON, b"x" * 99),
)  # fmt: skip

# Collections whose members end before they do: a few, a crowd, and one of which all end in one millisecond.
FEW, ALL_AT_ONCE = b"f\0" + bytes(range(1, 60, 2)), b"a\1" + b"\x09" * 250
ENDS = (
    (MEMBERS, FEW), (MEMBERS, b"c\4" + bytes(range(250))), (MEMBERS, ALL_AT_ONCE),
    (0, request(b"HLEN", b"f") + request(b"SCARD", b"c") + request(b"HLEN", b"a")), (4, b"x" * 20),
    (0, request(b"HLEN", b"a") + request(b"HGETALL", b"f") + request(b"SRANDMEMBER", b"c", b"3")), (MEMBERS, b"a\0"),
    (MEMBERS, b"c\6" + bytes(range(250))), (SOON, b"xx"), (MEMBERS, b"a\2"), (4, b"x" * 200), (MEMBERS, b"c\0"),
    (0, request(b"W") + request(b"HLEN", b"c")), (SOON, b"x" * 6), (MEMBERS, b"c\2"), (MEMBERS, FEW), (DRAIN, b"xxxx"),
)  # fmt: skip


def counted(clock: int, *shares: Share, base: int = 0) -> bytes:
    counter = Counter((0, 0), base, clock, shares)
    return pack(Record(0, b"n", b"%d" % counter.total, clock, 9, NOW + 800, shares=pack_counter(counter)))


COUNTERS = (
    (0, request(b"INCR", b"n") * 2), (MERGE, counted(NOW << 16, Share(7, 1, 9), Share(9, 2, -4))),
    (MERGE, counted((NOW << 16) + 9, Share(9, NOW << 16, (1 << 63) - 1), base=(1 << 63) - 1)),
    (0, request(b"INCRBY", b"n", b"-7") + request(b"PEXPIRE", b"n", b"700") + request(b"GET", b"n")),
    (MERGE, pack(Record(0, b"n", b"text", (NOW << 16) + 3, 8, NOW + 900))), (DRAIN, b"xxxx"), (SOON, b"x" * 9),
    (0, request(b"DECR", b"n") + request(b"STRLEN", b"n") + request(b"APPEND", b"n", b"0") + request(b"INCR", b"n")),
)  # fmt: skip
MULTI = (
    (0, request(b"M", b"x") + COMMANDS[0] + request(b"SETNX", b"k", b"v") + request(b"E" * 9)),
    (0, request(b"M", b"x", b"y") + request(b"MGET", b"a", b"b", b"a") + request(b"SET", b"a", b"1", b"EX", b"x")
     + request(b"E" * 9)),
    (0, request(b"EXPIRE", b"a", b"9") + request(b"GETEX", b"a", b"PX", b"99") + request(b"PEXPIRE", b"a", b"x")
     + request(b"GETEX", b"a")),
    (0, request(b"M") + request(b"INCR", b"n") * 8 + request(b"A", b"a")),
    (0, request(b"M") + request(b"PING", b"", b"") + request(b"E" * 9)),
    (0, request(b"M") + b"get       a\r\nset 'a' \"b\" px 9\r\nexpire a 1 NX\r\n"), (SOON, b"xx"),
    (0, request(b"E" * 9)),
    (0, request(b"M") + request(b"GET", b"a") * 5 + request(b"E")),
    (0, request(b"M") + request(b"GET", b"a") + b"*-\r\n"),
)  # fmt: skip


def sized(content: bytes, mode: int) -> bytes:
    """So long that it is taken by that kind of node."""
    short = (mode - len(content) - 2) % 32
    return content + bytes((DRAIN, short)) + b"x" * short


def main() -> None:
    for folder in ("scanner", "store"):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
    for number, command in enumerate(COMMANDS):
        (HERE / "scanner" / f"seed{number:02}").write_bytes(b"\x03\x06" + command)
        (HERE / "store" / f"seed{number:02}").write_bytes(
            steps((0, command), (4, b"x" * 9), (0, COMMANDS[3]), (7, b"xxxx"))
        )
    modes = (
        0,
        PEERS,
        PEERS | LATE,
        SEALED | SEALS,
        PEERS | SEALED | SEALS,
        PEERS | SEALED | SEALS | FAILS,
        PEERS | SEALED,
    )
    for name, plan in {
        "table": TABLE,
        "turn": TURN,
        "cursors": CURSORS,
        "clock": CLOCK,
        "values": VALUES,
        "multi": MULTI,
        "counters": COUNTERS,
        "ends": ENDS,
    }.items():
        for mode in modes:
            (HERE / "store" / f"{name}{mode:02}").write_bytes(sized(steps(*plan), mode))
    payload = b"".join(map(pack, RECORDS))
    (HERE / "store" / "peer").write_bytes(
        steps((0, COMMANDS[0]), (6, payload), (4, b"x" * 40), (5, b"x" * 20), (8, b""))
    )


if __name__ == "__main__":
    main()
