"""Writes the first corpora: well-formed commands and payloads, for the fuzzers to take apart."""

from pathlib import Path

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
    request(b"PTTL", b"a") + request(b"TTL", b"a") + request(b"STRLEN", b"a") + request(b"PING") + request(b"ECHO", b"e"),
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
    return b"".join(bytes((kind, len(data[:255]))) + data[:255] for kind, data in pairs)


def main() -> None:
    for folder in ("scanner", "store"):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
    for number, command in enumerate(COMMANDS):
        (HERE / "scanner" / f"seed{number:02}").write_bytes(b"\x03\x06" + command)
        (HERE / "store" / f"seed{number:02}").write_bytes(steps((0, command), (4, b"x" * 9), (0, COMMANDS[3]), (7, b"xxxx")))
    payload = b"".join(map(pack, RECORDS))
    (HERE / "store" / "peer").write_bytes(steps((0, COMMANDS[0]), (6, payload), (4, b"x" * 40), (5, b"x" * 20), (8, b"")))


if __name__ == "__main__":
    main()
