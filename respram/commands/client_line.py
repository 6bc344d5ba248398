"""A client in one line: what CLIENT LIST, CLIENT INFO and ACL LOG show of it."""

from respram.commands.node import Conn


def describe(conn: Conn, now_ms: int) -> bytes:
    """One line of CLIENT LIST, fields in Redis's order. What has no counterpart here is 0."""
    session, waiting = conn.session, conn.transport.waiting_bytes()
    queued = -1 if not conn.in_multi else conn.queued
    unread = session.buffered_bytes
    redirect = conn.tracking.redirect if conn.tracking is not None else -1
    return (
        b"id=%d addr=%b laddr=%b fd=%d name=%b age=%d idle=%d flags=%b db=%d sub=%d psub=%d ssub=%d multi=%d "
        b"qbuf=%d qbuf-free=0 argv-mem=0 multi-mem=%d rbs=0 rbp=0 obl=0 oll=%d omem=%d tot-mem=%d events=r "
        b"cmd=%b user=%b redir=%d resp=%d lib-name=%b lib-ver=%b\n"
        % (
            conn.id, conn.address, conn.local_address, conn.fd, conn.name,
            max(now_ms - conn.created_ms, 0) // 1000, max(now_ms - conn.last_active_ms, 0) // 1000,
            _flags(conn), session.db, len(conn.channels), len(conn.patterns), len(conn.shard_channels), queued,
            unread, conn.queued_bytes, int(waiting > 0), waiting, unread + waiting + conn.queued_bytes,
            conn.last_command, conn.user, redirect, session.proto, conn.lib_name, conn.lib_version,
        )
    )  # fmt: skip


def _flags(conn: Conn) -> bytes:
    flags = b"P" if conn.subscribed else b""
    flags += b"x" if conn.in_multi else b""
    flags += b"b" if conn.session.suspended else b""
    if conn.tracking is not None:
        flags += b"t"
        flags += b"R" if conn.tracking.redirect_broken else b""
        flags += b"B" if conn.tracking.broadcast else b""
    flags += b"c" if conn.session.closing else b""
    flags += b"e" if conn.no_evict else b""
    flags += b"T" if conn.no_touch else b""
    return flags or b"N"
