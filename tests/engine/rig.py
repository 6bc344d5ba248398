"""What the engine tests share: settings with small bounds, requests as bytes, a stand-in for commands."""

from respram.engine.api import Engine, Session, Settings
from respram.record import Record, unpack
from respram.seal import KEY_BYTES, RING_BYTES, Ring, run_through

NOW = 1_800_000_000_000  # a time to begin at, Unix milliseconds

SETTINGS = Settings(
    node=0x1122334455667788,
    secret=b"0123456789abcdef",
    seed=5,
    default_ttl_ms=3_600_000,
    max_ttl_ms=31 * 86_400_000,
    memory_bytes_max=0,
    bulk_bytes_max=64 << 20,
    key_bytes_max=64 << 20,
    args_max=1 << 20,
    inline_bytes_max=64 << 10,
    query_bytes_max=1 << 30,
    clock_offset_ms_max=2_000,
    feed_commands_max=512,
    feed_reply_bytes_max=1 << 20,
    outbox_bytes_max=1 << 20,
)


RING = Ring(bytearray(RING_BYTES), bytes(range(KEY_BYTES)), NOW)  # of all sealing engines in these tests


class Cold:
    """Answers as `dispatch` would, with `+cold`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[list[bytes]] = []
        self.trusting = self.suspend_once = self.closing = b""

    def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        self.seen.append(argv)
        if argv[0] == self.suspend_once and not session.retried:
            return None
        if argv[0] == self.trusting:
            session.trusted = session.hot = True
        if argv[0] == self.closing:
            session.closing = True
        return b"+cold\r\n"


def request(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)


def live(engine: Engine, db: int) -> dict[bytes, bytes | None]:
    """What the engine holds of a database, values by key."""
    return {record.key: opened(record) for packed in engine.records(db) for record in unpack(packed)}


def opened(record: Record, ring: Ring = RING) -> bytes | None:
    """Its value in plain."""
    if record.value is None or record.seal is None:
        return record.value
    key = ring.find(record.seal.key)
    assert key is not None
    return run_through(key, record.seal.sealer, record.seal.position, record.value)
