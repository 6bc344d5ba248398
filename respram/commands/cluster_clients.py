"""CLUSTER, READONLY, READWRITE and ASKING: what clients of Redis Cluster ask, answered from the map of homes
(cluster_map.py).

All of it is there with `--cluster yes` or `strict`; else the answer is that of a Redis without a cluster. Slots have
homes by themselves, so whatever would give or take slots and members is refused.
"""

from collections.abc import Callable, Iterator

from respram.commands.cluster_map import ALIVE, DEAD, SUSPECT, ClusterMap, Place, id_of, map_for
from respram.commands.node import Conn
from respram.commands.peers import PeerFacts
from respram.commands.reply import OK, Breath, Each, Raw, Reply, Simple, Verbatim, encode
from respram.commands.texts import NO_CLUSTER, NOT_AN_INTEGER
from respram.commands.walking import walk
from respram.errors import ClientError
from respram.integers import parse_int
from respram.slots import SLOTS, slot_of

INVALID_SLOT = ClientError.saying(b"ERR Invalid slot")
INVALID_SLOT_OR_COUNT = ClientError.saying(b"ERR Invalid slot or number of keys")
FLAGS = {ALIVE: b"", SUSPECT: b",fail?", DEAD: b",fail"}
HEALTH = {ALIVE: b"online", SUSPECT: b"online", DEAD: b"failed"}

HELP = (
    b"CLUSTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"COUNTKEYSINSLOT <slot>",
    b"    Return the number of keys in <slot>.",
    b"GETKEYSINSLOT <slot> <count>",
    b"    Return key names stored by current node in a slot.",
    b"INFO",
    b"    Return information about the cluster.",
    b"KEYSLOT <key>",
    b"    Return the hash slot for <key>.",
    b"LINKS",
    b"    Return information about all network links between this node and its peers.",
    b"MYID",
    b"    Return the node id.",
    b"MYSHARDID",
    b"    Return the node's shard id.",
    b"NODES",
    b"    Return cluster configuration seen by node. Output format:",
    b"    <id> <ip:port> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
    b"REPLICAS <node-id>",
    b"    Return <node-id> replicas.",
    b"SLOTS",
    b"    Return information about slots range mappings. Each range is made of:",
    b"    start, end, master and replicas IP addresses, ports and ids",
    b"SHARDS",
    b"    Return information about slot range mappings and the nodes associated with them.",
    b"HELP",
    b"    Prints this help.",
)


def _slots(conn: Conn, found: ClusterMap) -> Reply:
    reply: list[Reply] = []
    for first, last, number in found.ranges:
        place = found.places[number]
        reply.append([first, last, [place.host, place.port_for(conn), id_of(number), []]])
    return reply


def _shards(conn: Conn, found: ClusterMap) -> Reply:
    """Each node is a shard of its own: see cluster_map.py."""
    shards: list[Reply] = []
    for place in found.places.values():
        bounds: list[Reply] = [slot for pair in found.slots_of(place.number) for slot in pair]
        facts: dict[bytes, Reply] = {b"id": id_of(place.number), b"port": place.port}
        if place.tls_port:
            facts[b"tls-port"] = place.tls_port
        facts |= {
            b"ip": place.host, b"endpoint": place.host, b"role": b"master", b"replication-offset": 0,
            b"health": HEALTH[place.status] if place.ready or place.status == DEAD else b"loading",
        }  # fmt: skip
        shards.append({b"slots": bounds, b"nodes": [facts]})
    return shards


def _nodes(conn: Conn, found: ClusterMap) -> Reply:
    heard = {one.number: one.heard_ms for one in _linked(conn)}
    return Verbatim(b"".join(_line(conn, found, place, heard) + b"\n" for place in found.places.values()))


def _line(conn: Conn, found: ClusterMap, place: Place, heard: dict[int, int]) -> bytes:
    mine = place.number == found.me
    silent_ms = heard.get(place.number, -1)
    words = [
        id_of(place.number),
        b"%b:%d@%d" % (place.host, place.port_for(conn), place.peer_port),
        (b"myself,master" if mine else b"master") + FLAGS[place.status],
        b"-",
        b"0",
        b"%d" % (conn.now_ms - silent_ms if silent_ms >= 0 else 0),
        b"%d" % place.epoch,
        b"connected" if place.linked else b"disconnected",
        *(b"%d" % first if first == last else b"%d-%d" % (first, last) for first, last in found.slots_of(place.number)),
    ]
    return b" ".join(words)


def _once(make: Callable[[Conn, ClusterMap], Reply]) -> Callable[[Conn, list[bytes]], Reply]:
    """Some hundreds of ranges take milliseconds to encode, and clients ask all at once when a node is lost."""

    def answer(conn: Conn, argv: list[bytes]) -> Reply:
        _require_cluster(conn)
        _note_asker(conn)
        found = map_for(conn)
        name = (make.__name__, conn.session.proto, conn.encrypted)
        if name not in found.replies:
            found.replies[name] = encode(make(conn, found), conn.session.proto)
        return Raw(found.replies[name])

    return answer


def nodes(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    _note_asker(conn)
    return _nodes(conn, map_for(conn))


def info(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    found = map_for(conn)
    slots = dict.fromkeys(FLAGS, 0)
    for first, last, number in found.ranges:
        slots[found.places[number].status] += last - first + 1
    assigned = sum(slots.values())
    fields = {
        b"cluster_state": b"ok" if assigned == SLOTS else b"fail",
        b"cluster_slots_assigned": assigned,
        b"cluster_slots_ok": slots[ALIVE],
        b"cluster_slots_pfail": slots[SUSPECT],
        b"cluster_slots_fail": slots[DEAD],
        b"cluster_known_nodes": len(found.places),
        b"cluster_size": len({number for _, _, number in found.ranges}),
        b"cluster_current_epoch": max((one.epoch for one in found.places.values()), default=0),
        b"cluster_my_epoch": found.places[found.me].epoch if found.me in found.places else 0,
    }
    lines = (
        b"%b:%b\r\n" % (name, value if isinstance(value, bytes) else b"%d" % value) for name, value in fields.items()
    )
    return Verbatim(b"".join(lines))


def my_id(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    return id_of(conn.node.number)


def key_slot(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    return slot_of(argv[2])


def links(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    return [
        {
            b"direction": b"to", b"node": id_of(one.number), b"events": b"rw",
            b"send-buffer-allocated": one.queue_bytes + one.in_flight_bytes, b"send-buffer-used": one.in_flight_bytes,
        }
        for one in _linked(conn)
        if one.number in map_for(conn).places and one.state != b"unlinked"
    ]  # fmt: skip


def replicas(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    if argv[2].lower() not in map(id_of, map_for(conn).places):
        raise ClientError(b"ERR Unknown node %b" % bytes(byte if 32 <= byte < 127 else 63 for byte in argv[2][:64]))
    return []


def count_keys(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    slot = parse_int(argv[2])
    if slot is None:
        raise NOT_AN_INTEGER
    if not 0 <= slot < SLOTS:
        raise INVALID_SLOT

    def walk() -> "Iterator[Reply | Breath]":
        count = 0
        for found in _walked(conn, slot):
            if isinstance(found, Breath):
                yield found
            else:
                count += 1
        yield count

    return Each(walk(), b"")


def keys_in_slot(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    slot, most = parse_int(argv[2]), parse_int(argv[3])
    if slot is None or most is None:
        raise NOT_AN_INTEGER
    if not 0 <= slot < SLOTS or most < 0:
        raise INVALID_SLOT_OR_COUNT

    def walk() -> "Iterator[Reply | Breath]":
        left = most
        for found in _walked(conn, slot) if most else ():
            yield found
            left -= not isinstance(found, Breath)
            if not left:
                return

    return Each(walk())


def _walked(conn: Conn, slot: int) -> "Iterator[bytes | Breath]":
    """Walks over all keys of the database, since there is no index of keys by slot."""
    return walk(conn, lambda found: [key for key in found if slot_of(key) == slot])


# -- what a connection says of itself ---------------------------------------------------------------
def read_only(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    conn.reads_anywhere = True
    return OK


def read_write(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    conn.reads_anywhere = False
    return OK


def asking(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    conn.asking = True
    return OK


def _require_cluster(conn: Conn) -> None:
    if conn.node.config.cluster == "no":
        raise NO_CLUSTER


def _note_asker(conn: Conn) -> None:
    """Notes that this connection has the present map, and is to be told when the map changes."""
    conn.map_known = True
    if conn.hint_due:
        conn.hint_due = False
        conn.settle()


def _linked(conn: Conn) -> list[PeerFacts]:
    return conn.node.peers.linked() if conn.node.peers is not None else []


def _help(conn: Conn, argv: list[bytes]) -> Reply:
    _require_cluster(conn)
    return [Simple(line) for line in HELP]


HANDLERS = {
    b"cluster|countkeysinslot": count_keys,
    b"cluster|getkeysinslot": keys_in_slot,
    b"cluster|help": _help,
    b"cluster|info": info,
    b"cluster|keyslot": key_slot,
    b"cluster|links": links,
    b"cluster|myid": my_id,
    b"cluster|myshardid": my_id,
    b"cluster|nodes": nodes,
    b"cluster|replicas": replicas,
    b"cluster|slaves": replicas,
    b"cluster|slots": _once(_slots),
    b"cluster|shards": _once(_shards),
    b"readonly": read_only,
    b"readwrite": read_write,
    b"asking": asking,
}
