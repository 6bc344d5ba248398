"""Stores a whole sorted set as a command's result: ZRANGESTORE, ZUNIONSTORE and their relatives.

It is a write over whatever was there, as SET is, with the default TTL. A result of nothing is a delete in Redis: it
lets go of the key for who may DEL, and is refused to others.
"""

from respram.commands.deadlines import deadline_for
from respram.commands.letting_go import let_go_or_refuse
from respram.commands.node import Conn
from respram.commands.reply import Reply
from respram.commands.scores import stored_score
from respram.engine.api import STORED_BYTES
from respram.engine.ranking import Item
from respram.engine.scores import with_score
from respram.record import ZSET


def store_items(conn: Conn, name: bytes, key: bytes, items: list[Item]) -> Reply:
    """Stores items as the result of the command `name`, which is the name of its event too."""
    engine, db, now_ms = conn.node.engine, conn.session.db, conn.now_ms
    there = engine.peek(db, key, now_ms)
    if not items:
        if there is not None:
            let_go_or_refuse(conn, name, key)
        return 0
    engine.spend(STORED_BYTES * len(items))
    if there is not None:
        engine.let_go(db, key, now_ms, b"")  # overwriting a head of the same kind would keep its members
    deadline_ms, implicit = deadline_for(conn, None)
    engine.found(db, key, ZSET, deadline_ms, implicit, now_ms)
    for score, member in items:
        engine.put_member(db, key, member, with_score(stored_score(score)), None, now_ms)
    engine.tell(name, db, key)
    return len(items)
