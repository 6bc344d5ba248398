"""What CLIENT PAUSE holds back. Only the judging of commands may live in this file; the pause itself is the node's."""

from collections.abc import Iterable

from respram.catalog import Command
from respram.commands.conn import Conn, Suspend

# They go to the other nodes as writes do, and a pause of writes holds them back too, as in Redis.
SPREADING = frozenset({b"publish", b"spublish"})


def wait_while_paused(conn: Conn, commands: Iterable[Command]) -> None:
    """Raises Suspend when one of the commands, which are to run together, must wait for the end of a pause."""
    node = conn.node
    if conn.now_ms >= node.paused_until_ms:
        return
    if node.paused_writes_only and not any(command.writes or command.name in SPREADING for command in commands):
        return
    raise Suspend(node.paused_until_ms)
