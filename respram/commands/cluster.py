"""CLUSTER: there is none that a client could see, and this says so as Redis does.

Nodes of an enclave hold all keys each, so no client needs to know which of them has what.
"""

from respram.commands.conn import Conn
from respram.commands.refusals import NO_CLUSTER
from respram.commands.reply import Reply


def cluster(conn: Conn, argv: list[bytes]) -> Reply:
    raise NO_CLUSTER


HANDLERS = {b"cluster": cluster}
