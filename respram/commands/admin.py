"""Commands for operators: LATENCY, MEMORY, MODULE, ROLE, TIME, SHUTDOWN, RESPRAM.

Much of it is asked by monitoring only. Where nothing is measured the answer is empty, never a zero
that looks like a measurement.
"""

from respram import __version__
from respram.commands.census import census
from respram.commands.cluster import replicas
from respram.commands.info import counters, used_bytes
from respram.commands.node import Conn
from respram.commands.reply import NOTHING, OK, Double, Reply, Verbatim
from respram.commands.texts import NOT_AN_INTEGER, ONE_LINE, SYNTAX, help_of
from respram.errors import ClientError
from respram.integers import parse_int

SHUTDOWN_WORDS = frozenset({b"nosave", b"save", b"now", b"force", b"abort"})
NO_SAVE = ClientError.saying(b"NOPERM 'shutdown' with SAVE is refused by design: respram writes no dump")

LATENCY_HELP = (
    b"LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"DOCTOR",
    b"    Says that latency events are not measured, and what is.",
    b"GRAPH <event>, HISTOGRAM [<command> ...], HISTORY <event>, LATEST",
    b"    Empty: latency events are not measured. See SLOWLOG and INFO commandstats.",
    b"RESET [<event> ...]",
    b"    Forgets nothing, and says so with 0.",
    b"HELP",
    b"    Shows this text.",
)
MEMORY_HELP = (
    b"MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"DOCTOR",
    b"    Whether memory is near its limit.",
    b"MALLOC-STATS",
    b"    Not supported with this allocator.",
    b"PURGE",
    b"    Does nothing: memory of destroyed records is wiped and reused as they go.",
    b"STATS",
    b"    Where the memory goes.",
    b"USAGE <key> [SAMPLES <count>]",
    b"    The bytes that a key and its value take.",
    b"HELP",
    b"    Shows this text.",
)
MODULE_HELP = (
    b"MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"LIST",
    b"    Empty: there are no modules.",
    b"HELP",
    b"    Shows this text.",
)
RESPRAM_HELP = (
    b"RESPRAM <subcommand> [<arg>]. Subcommands are:",
    b"DIGEST [<unix-ms>]",
    b"    The number and the sum of the settled records. For one moment, they agree on nodes that hold the same.",
    b"EXPEL <list>",
    b"    Expels the peers whose certificates a signed revocation list names, on all nodes.",
    b"HOME <key>",
    b"    The slot of a key, and the node that decides about the key.",
    b"PEERS",
    b"    The peers that this node has a link to, or should have one to.",
    b"REFUSED",
    b"    Refusals by command, client name and user.",
    b"STATE",
    b"    One word: loading, joining, alone (it reached no peer), ready, or isolated (most other nodes do not answer).",
    b"TOKEN <key>",
    b"    The stamp of a key: a fencing token, which grows with each decision about the key.",
    b"TOPOLOGY",
    b"    All nodes of the network, of all enclaves, and their places in the tree.",
    b"VERSION",
    b"    The version of this node's software.",
    b"HELP",
    b"    Shows this text.",
)

MEASURED_MEMBERS = 64  # members of a collection that MEMORY USAGE measures; it takes the others for similar


# -- time ---------------------------------------------------------------------------------------
def time(conn: Conn, argv: list[bytes]) -> Reply:
    seconds, micros = divmod(conn.node.wall_us(), 1_000_000)
    return [b"%d" % seconds, b"%d" % micros]


def latency_empty(conn: Conn, argv: list[bytes]) -> Reply:
    return []


def latency_histogram(conn: Conn, argv: list[bytes]) -> Reply:
    return {}


def latency_reset(conn: Conn, argv: list[bytes]) -> Reply:
    return 0


def latency_graph(conn: Conn, argv: list[bytes]) -> Reply:
    raise ClientError(b"ERR No samples available for event '%b'" % argv[2][:128].translate(ONE_LINE))


def latency_doctor(conn: Conn, argv: list[bytes]) -> Reply:
    return Verbatim(
        b"Latency events are not measured by this node. SLOWLOG shows commands that took long, "
        b"INFO commandstats the mean time of each command."
    )


# -- memory -------------------------------------------------------------------------------------
def memory_usage(conn: Conn, argv: list[bytes]) -> Reply:
    """Key, value and what the engine says that a record takes besides. SAMPLES is for containers."""
    options = iter(argv[3:])
    for option in options:
        value = next(options, None)
        if option.lower() != b"samples" or value is None:
            raise SYNTAX
        samples = parse_int(value)
        if samples is None:
            raise NOT_AN_INTEGER
        if samples < 0:
            raise SYNTAX
    entry = conn.node.engine.peek(conn.session.db, argv[2], conn.now_ms)
    if entry is None:
        return None
    overhead_bytes = conn.node.engine.counters().get("record_overhead_bytes", 0)
    if not entry.kind:
        return len(argv[2]) + entry.length + entry.shares_bytes + overhead_bytes
    sampled = conn.node.engine.members(conn.session.db, argv[2], 0, MEASURED_MEMBERS, conn.now_ms).members
    one_bytes = sum(len(argv[2]) + len(one.name) + len(one.value) for one in sampled) // max(len(sampled), 1)
    return len(argv[2]) + overhead_bytes + entry.length * (one_bytes + overhead_bytes)


def memory_stats(conn: Conn, argv: list[bytes]) -> Reply:
    node = conn.node
    used, rss = used_bytes(node), int(node.usage().get("rss_bytes", 0))
    peak, records = node.rates.used_bytes_peak, counters(node).get("records", 0)
    buffers = census(node).input_bytes + census(node).output_bytes
    return {
        b"peak.allocated": peak,
        b"total.allocated": used,
        b"clients.normal": buffers,
        b"overhead.total": buffers,
        b"keys.count": records,
        b"keys.bytes-per-key": used // records if records else 0,
        b"dataset.bytes": used,
        b"dataset.percentage": Double(b"100" if used else b"0"),
        b"peak.percentage": Double(b"%.4f" % (100 * used / peak if peak else 0)),
        b"fragmentation": Double(b"%.4f" % (rss / used if used else 0)),
        b"fragmentation.bytes": rss - used if used else 0,
    }


def memory_doctor(conn: Conn, argv: list[bytes]) -> Reply:
    used, limit = used_bytes(conn.node), conn.node.settings.memory_bytes_max
    if conn.node.engine.full():
        return Verbatim(
            b"Memory is full: writes are refused with OOM until keys expire. Raise maxmemory, or lower TTLs."
        )
    if limit and used > limit * 9 // 10:
        return Verbatim(
            b"More than nine tenths of maxmemory are in use. Beyond it writes are refused; nothing is evicted."
        )
    return Verbatim(b"Memory is well within its limit.")


def memory_purge(conn: Conn, argv: list[bytes]) -> Reply:
    return OK


def memory_malloc_stats(conn: Conn, argv: list[bytes]) -> Reply:
    return Verbatim(b"Stats not supported for the current allocator")


# -- the node -----------------------------------------------------------------------------------
def role(conn: Conn, argv: list[bytes]) -> Reply:
    peers = conn.node.peers
    if peers is None:
        return [b"master", 0, []]
    number = peers.last_number()
    return [b"master", number, [[one.host, b"%d" % one.port, b"%d" % number] for one in replicas(conn.node)]]


def module_list(conn: Conn, argv: list[bytes]) -> Reply:
    return []


def shutdown(conn: Conn, argv: list[bytes]) -> Reply:
    """Answers nothing, as Redis: the closed connection is the answer."""
    words = [word.lower() for word in argv[1:]]
    if not SHUTDOWN_WORDS.issuperset(words) or (b"save" in words and b"nosave" in words):
        raise SYNTAX
    if b"abort" in words:
        if len(words) > 1:
            raise SYNTAX
        raise ClientError(b"ERR No shutdown in progress.")
    if b"save" in words:
        raise NO_SAVE
    conn.node.stop(f"SHUTDOWN of client {conn.id}")
    return NOTHING


def respram_version(conn: Conn, argv: list[bytes]) -> Reply:
    return __version__.encode()


HANDLERS = {
    b"time": time,
    b"role": role,
    b"shutdown": shutdown,
    b"latency|latest": latency_empty,
    b"latency|history": latency_empty,
    b"latency|histogram": latency_histogram,
    b"latency|reset": latency_reset,
    b"latency|graph": latency_graph,
    b"latency|doctor": latency_doctor,
    b"latency|help": help_of(LATENCY_HELP),
    b"memory|usage": memory_usage,
    b"memory|stats": memory_stats,
    b"memory|doctor": memory_doctor,
    b"memory|purge": memory_purge,
    b"memory|malloc-stats": memory_malloc_stats,
    b"memory|help": help_of(MEMORY_HELP),
    b"module|list": module_list,
    b"module|help": help_of(MODULE_HELP),
    b"respram|version": respram_version,
    b"respram|help": help_of(RESPRAM_HELP),
}
