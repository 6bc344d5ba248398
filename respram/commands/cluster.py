"""What clients see of the peers: RESPRAM PEERS, TOPOLOGY and DIGEST, and WAIT. (CLUSTER is in cluster_clients.py.)

Nodes of an enclave hold all keys each, so no client needs to know which of them has what. What commands know of the
other nodes is `peers.Peers`; the server sets `node.peers` where there can be any.
"""

from respram.commands.elsewhere import ask_again, raise_fences
from respram.commands.node import Conn, Node, Suspend
from respram.commands.peers import HomeFacts, PeerFacts, Peers
from respram.commands.reply import OK, Reply, Simple
from respram.commands.texts import NOT_AN_INTEGER, UNBLOCKED, unknown_subcommand
from respram.errors import ClientError
from respram.integers import parse_int
from respram.slots import slot_of

WAIT_MS_MAX = 3_600_000  # the longest WAIT: during it nothing notices that the client is gone
ANSWER_MS = 250  # margin for the reply of a node that waited in vain: after it, that node counts as holding nothing
TIMEOUT_NOT_AN_INTEGER = ClientError.saying(b"ERR timeout is not an integer or out of range")
TIMEOUT_NEGATIVE = ClientError.saying(b"ERR timeout is negative")
NO_PEERS = ClientError.saying(b"ERR this node has no peers; start it with --join, or let another node join it")
NOT_A_LIST = ClientError.saying(b"ERR the data is not a revocation list signed by an authority of this node's peers")
NOT_A_TIME = ClientError.saying(b"ERR the time must be Unix milliseconds, at most 10 seconds ago")

UNREADY = (b"loading", b"joining", b"alone")  # values of `state` of a node that refuses to decide


# -- RESPRAM --------------------------------------------------------------------------------------
def peers(conn: Conn, argv: list[bytes]) -> Reply:
    """One row for each peer."""
    return _rows(conn, [
        {
            b"node": b"%016x" % one.number,
            b"address": spell(one.host, one.port),
            b"enclave": one.enclave,
            b"role": one.role,
            b"state": one.state,
            b"rtt_us": one.rtt_us,
            b"lag_ms": one.lag_ms,
            b"queue_bytes": one.queue_bytes,
            b"in_flight_bytes": one.in_flight_bytes,
            b"heard_ms": one.heard_ms,
        }
        for one in _peers(conn).linked()
    ])  # fmt: skip


def _rows(conn: Conn, rows: list[dict[bytes, Reply]]) -> Reply:
    """Rows as maps in RESP3. In RESP2, where redis-cli shows each item on a line, one line per node.
    """
    if conn.session.proto == 3:
        return list(rows)
    return list(map(_line, rows))


def _line(row: dict[bytes, Reply]) -> bytes:
    return b" ".join(b"%b=%b" % (name, _shown(value)) for name, value in row.items())


def _shown(value: Reply) -> bytes:
    """One word: names of other enclaves are theirs to choose."""
    text = b"%d" % value if isinstance(value, int) else value if isinstance(value, bytes) else b""
    return bytes(byte if 32 < byte < 127 else 95 for byte in text)


def state(conn: Conn, argv: list[bytes]) -> Reply:
    """One word for probes: `loading` until its own snapshot is read, then `joining` until it has what the others have.
    A node without peers is ready.
    """
    return Simple(state_of(conn.node))


def state_of(node: Node) -> bytes:
    """The state as one word: loading, joining, alone, ready or isolated."""
    if node.loading:
        return b"loading"
    if node.truth is not None:
        return node.truth.state()
    return b"ready" if node.peers is None else node.peers.state()


def topology(conn: Conn, argv: list[bytes]) -> Reply:
    return _rows(conn, [
        {
            b"node": b"%016x" % one.number,
            b"address": one.address,
            b"enclave": one.enclave,
            b"role": one.role,
            b"parent": b"%016x" % one.parent if one.parent else b"",
            b"status": one.status,
            b"ready": int(one.ready),
            b"incarnation": one.incarnation,
        }
        for one in _peers(conn).members()
    ])  # fmt: skip


def home(conn: Conn, argv: list[bytes]) -> Reply:
    """RESPRAM HOME: which node decides about a key, as this node sees it. A node without peers decides about all."""
    slot, others = slot_of(argv[2]), conn.node.peers
    facts = others.home(slot) if others is not None else HomeFacts(conn.node.number, b"", True, True)
    row: dict[bytes, Reply] = {
        b"slot": slot,
        b"node": b"%016x" % facts.number if facts.number else b"",
        b"address": facts.address,
        b"here": int(facts.here),
        b"settled": int(facts.settled),
    }
    return row if conn.session.proto == 3 else _line(row)


def token(conn: Conn, argv: list[bytes]) -> Reply:
    """The stamp of what a key holds, as one number: every decision about the key gives it a higher one."""
    entry = conn.node.engine.peek(conn.session.db, argv[2], conn.now_ms)
    return None if entry is None else entry.clock


def expel(conn: Conn, argv: list[bytes]) -> Reply:
    """A revocation list, PEM or DER, that an authority has signed; all nodes have it a moment later."""
    if not _peers(conn).expel(argv[2]):
        raise NOT_A_LIST
    return OK


def digest(conn: Conn, argv: list[bytes]) -> Reply:
    """Over the records that were a second old and had two to live. Asked for one moment, converged nodes answer alike.
    """
    if len(argv) > 3:
        raise unknown_subcommand(b"respram", argv[1])
    at_ms = parse_int(argv[2]) if len(argv) == 3 else conn.now_ms
    found = _peers(conn).digest(at_ms) if at_ms is not None and abs(at_ms - conn.now_ms) <= 10_000 else None
    if at_ms is None or found is None:
        raise NOT_A_TIME
    records, total = found
    return {b"at_ms": at_ms, b"records": records, b"digest": b"%016x" % total}


def replicas(node: Node) -> list[PeerFacts]:
    """The linked peers of the enclave, which clients may treat as replicas of this node."""
    enclave, peers = node.config.enclave.encode(), node.peers
    linked = peers.linked() if peers is not None else []
    return [one for one in linked if one.heard_ms >= 0 and one.state != b"unlinked" and one.enclave == enclave]


def spell(host: bytes, port: int) -> bytes:
    return b"[%b]:%d" % (host, port) if b":" in host else b"%b:%d" % (host, port)


def _peers(conn: Conn) -> Peers:
    if conn.node.peers is None:
        raise NO_PEERS
    return conn.node.peers


# -- WAIT -----------------------------------------------------------------------------------------
def wait(conn: Conn, argv: list[bytes]) -> Reply:
    """How many peers hold all that was written here before, as soon as there are enough of them or the time is up.

    What was decided at other nodes for this connection was written there: each of them is asked, and the least counts.
    One that has said its last word, or is lost, will not say more: then nobody waits for the rest of the time. One that
    answers with an error (it loads, or it was not reached) is asked again until the time is up.
    """
    wanted = parse_int(argv[1])
    if wanted is None:
        raise NOT_AN_INTEGER
    timeout_ms = parse_int(argv[2])
    if timeout_ms is None:
        raise TIMEOUT_NOT_AN_INTEGER
    if timeout_ms < 0:
        raise TIMEOUT_NEGATIVE
    others = conn.node.peers
    if others is None:
        return 0
    if conn.wait_state is None:
        patience_ms = min(timeout_ms or WAIT_MS_MAX, WAIT_MS_MAX)
        conn.wait_state = (others.flush(), conn.now_ms + patience_ms)
        conn.unblocked = b""
        if conn.decided_at and not conn.executing:
            raise_fences(conn, wanted, patience_ms)
    number, until_ms = conn.wait_state
    again_ms = ask_again(conn, wanted, until_ms) if conn.fences and conn.now_ms < until_ms else until_ms
    if any(fence.holders is None and not fence.failed for fence in conn.fences):
        until_ms += ANSWER_MS  # the other nodes wait as long, and then their answers are on the way
        again_ms = again_ms if again_ms < until_ms - ANSWER_MS else until_ms
    for fence in conn.fences:
        if fence.holders is not None and fence.member in conn.decided_at:
            conn.decided_at[fence.member] = fence.holders
    elsewhere = [*conn.decided_at.values(), *(fence.holders or 0 for fence in conn.fences)]
    count = min([others.holders(number), *elsewhere])
    is_final = any(fence.holders is not None and fence.holders < wanted for fence in conn.fences)
    if count < wanted and conn.now_ms < until_ms and not (is_final or conn.unblocked or conn.executing):
        others.notice(conn, number, wanted)
        raise Suspend(again_ms)
    conn.wait_state = None
    conn.fences = []
    others.forget(conn)
    unblocked, conn.unblocked = conn.unblocked, b""
    if unblocked == b"error":
        raise UNBLOCKED
    return count


HANDLERS = {
    b"respram|expel": expel,
    b"respram|home": home,
    b"respram|token": token,
    b"respram|peers": peers,
    b"respram|state": state,
    b"respram|topology": topology,
    b"respram|digest": digest,
    b"wait": wait,
}
