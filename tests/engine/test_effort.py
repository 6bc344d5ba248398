"""What members cost the pure engine: a transaction has a share of them, and a turn ends with a part of it. They are
counted, so a slow machine refuses what a fast one refuses.
"""

import pytest

from respram.commands.running import READS_TOO_MUCH
from respram.commands.transactions import FEW_COMMANDS
from respram.engine.pure import effort
from respram.engine.pure.effort import LOOKED_US, STORED_US, TOLD_US, TRANSACTION_US_MAX, TURN_US_MAX, WALKED_US
from respram.engine.pure.engine import PureEngine
from tests.commands.rig import Client, Rig, request

COUNT = 500
NAMES = [b"m%d" % number for number in range(COUNT)]
REFUSED = b"-" + READS_TOO_MUCH.text + b"\r\n"

PRICES = {
    b"ZUNIONSTORE d 1 z": LOOKED_US + STORED_US, b"SUNIONSTORE d s": LOOKED_US + STORED_US,
    b"ZRANGESTORE d z 0 -1": STORED_US,
    b"COPY h d REPLACE": STORED_US, b"SINTER s s": LOOKED_US, b"HSCAN h 0 COUNT 500": WALKED_US,
    b"HGETALL h": TOLD_US, b"HKEYS h": TOLD_US, b"SMEMBERS s": TOLD_US, b"ZRANGE z 0 -1": TOLD_US,
    b"ZRANGEBYLEX z - +": TOLD_US, b"HRANDFIELD h 500": TOLD_US,
}  # fmt: skip


@pytest.fixture
def client() -> Client:
    rig = Rig(PureEngine, hot=True)
    one = rig.connect()
    one(b"SADD", b"s", *NAMES)
    one(b"HSET", b"h", *(part for name in NAMES for part in (name, b"v")))
    one(b"ZADD", b"z", *(part for name in NAMES for part in (b"0", name)))
    return one


def spent(client: Client) -> int:
    engine = client.rig.node.engine
    assert isinstance(engine, PureEngine)
    return engine.keyspace.effort.us


@pytest.mark.parametrize("line", PRICES)
def test_a_transaction_has_a_share_of_members_whatever_it_does_with_them(client: Client, line: bytes) -> None:
    most = 8 * TRANSACTION_US_MAX // (COUNT * PRICES[line])
    client(b"MULTI")
    for _ in range(most):
        assert client(*line.split()) == b"+QUEUED\r\n", "it has no fast path: this counts nothing"
    before = spent(client)
    reply = client(b"EXEC")
    ran = most - reply.count(REFUSED)
    assert (ran - 1) * COUNT * PRICES[line] < TRANSACTION_US_MAX, "it went on with its share used up"
    assert ran * COUNT * PRICES[line] > TRANSACTION_US_MAX // 3, "an honest one is refused"
    assert TRANSACTION_US_MAX <= spent(client) - before < TRANSACTION_US_MAX + 3 * COUNT * PRICES[line]
    assert client(b"PING") == b"+PONG\r\n"


def test_a_few_commands_of_a_transaction_are_never_refused_for_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "TRANSACTION_US_MAX", COUNT)
    for count, refused in ((FEW_COMMANDS, 0), (FEW_COMMANDS + 1, FEW_COMMANDS)):
        client(b"MULTI")
        for _ in range(count):
            client(b"HGETALL", b"h")
        assert client(b"EXEC").count(REFUSED) == refused


def test_others_are_served_after_a_part_of_a_pipeline(client: Client) -> None:
    before = spent(client)
    most = 4 * TURN_US_MAX // (COUNT * (LOOKED_US + STORED_US))
    data = request(b"ZUNIONSTORE", b"d", b"1", b"z") * most
    client.rig.engine.feed(client.conn.session, data, client.rig.now_ms)
    assert client.conn.session.more, "the rest waits for the next turn"
    assert TURN_US_MAX < spent(client) - before < TURN_US_MAX + 2 * COUNT * (LOOKED_US + STORED_US)
