"""When a client is sent to another node: with `--cluster strict` as by Redis, with `--cluster yes` as a hint, else
never.

Every node serves every key. So `yes` serves whatever comes, wherever it comes; a client whose map is old is right, but
its commands that decide cost an exchange between nodes, and it may go on asking a node that is lost. Whoever asked for
the map on this connection is therefore told of a change once: its next command with a key is answered by MOVED, which
makes it read the map anew and ask again, perhaps here. Connections that never asked are never sent anywhere: they may
belong to clients that know nothing of clusters.

`strict` answers as Redis Cluster does, for those who want to find out before they move there: MOVED, CROSSSLOT, one
database. Nodes see a change of the members at different moments. As long as CALM_MS have not passed since this one saw
the last, it sends nobody anywhere and serves by itself: two nodes with different views would send a client to and fro
until it gives up.
"""

from respram.catalog import Command
from respram.catalog.keys import keys_of
from respram.commands.cluster_map import NOBODY, ClusterMap, map_for
from respram.commands.node import Conn, Node
from respram.commands.transactions import leave
from respram.errors import ClientError
from respram.slots import slot_of

CALM_MS = 2_000  # time within which every node hears of a change in the members

CROSSSLOT = ClientError.saying(b"CROSSSLOT Keys in request don't hash to the same slot")
UNSERVED = ClientError.saying(b"CLUSTERDOWN Hash slot not served")
ONE_DATABASE = ClientError.saying(b"ERR SELECT is not allowed in cluster mode")


def slots_moved(node: Node, now_ms: int) -> None:
    """Homes have changed: connections that know the old map are to be told."""
    node.map_changed_ms = now_ms
    if not node.hints_given:
        return
    for conn in node.clients.values():
        if conn.map_known and not conn.hint_due:
            conn.hint_due = True
            conn.settle()


def redirect(conn: Conn, command: Command, argv: list[bytes]) -> None:
    """Raises the error that sends the client to another node, if it has to ask there."""
    # forwarded by a node that serves the client; publications reach all nodes
    if conn.session.decides or b"pubsub" in command.flags:
        return
    try:
        if conn.node.strict:
            _redirect_strictly(conn, command, argv)
        else:
            _hint(conn, command, argv)
    except ClientError:
        if command.name == b"exec":
            leave(conn)
        elif conn.queue is not None:
            conn.spoiled = True
        raise


def _hint(conn: Conn, command: Command, argv: list[bytes]) -> None:
    slots = {slot_of(key) for key in keys_of(command, argv)}
    if conn.queue is not None or len(slots) != 1:
        return
    slot = slots.pop()
    found = map_for(conn)
    conn.hint_due = False
    conn.settle()
    if found.owner_of(slot) != NOBODY:
        raise _moved(conn, found, slot)


def _redirect_strictly(conn: Conn, command: Command, argv: list[bytes]) -> None:
    if command.name == b"select" and argv[1] != b"0":
        raise ONE_DATABASE
    asking, conn.asking = conn.asking, False
    commands = conn.queue or [] if command.name == b"exec" else [(command, argv)]
    slots = {slot_of(key) for one, words in commands for key in keys_of(one, words)}
    if len(slots) > 1:
        raise CROSSSLOT
    if not slots:
        return
    slot = slots.pop()
    found = map_for(conn)
    if found.owner_of(slot) == found.me:
        return
    if found.owner_of(slot) == NOBODY:
        raise UNSERVED
    reads = all(not one.writes and one.shape == b"reads" for one, _ in commands)
    if asking or conn.reads_anywhere and reads or conn.now_ms < conn.node.map_changed_ms + CALM_MS:
        return
    raise _moved(conn, found, slot)


def _moved(conn: Conn, found: ClusterMap, slot: int) -> ClientError:
    place = found.places[found.owner_of(slot)]
    return ClientError(b"MOVED %d %b:%d" % (slot, place.host, place.port_for(conn)))
