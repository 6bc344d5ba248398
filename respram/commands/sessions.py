"""A connection's first and last moment, as the node's registries see it."""

from respram.commands.conn import Conn
from respram.commands.notify import observe
from respram.commands.pubsub import forget_subscriptions
from respram.commands.tracking import forget_tracking
from respram.commands.watching import forget_watched


def greet(conn: Conn) -> None:
    conn.node.clients[conn.id] = conn
    conn.account = conn.node.users[conn.user]
    conn.authenticated = conn.account.open
    conn.settle()


def forget(conn: Conn) -> None:
    """Whoever held this connection for a listener lets go of it."""
    conn.node.clients.pop(conn.id, None)
    forget_subscriptions(conn)
    forget_tracking(conn)
    if conn.node.peers is not None:
        conn.node.peers.forget(conn)
    forget_watched(conn)
    observe(conn.node)
