# Part of _native.pyx: what the observer is told of changes.

# names by the number of the note
cdef tuple EVENTS = (NEW, EXPIRED, MERGED, b"incrby", b"expire", b"append", b"setrange", b"setbit", b"del", SEEN,
                     b"incrbyfloat", b"copy_to", b"hincrby", b"zincr", b"zremrangebyscore", b"zremrangebyrank",
                     b"hexpire", b"hincrbyfloat", b"zremrangebylex", b"zpopmin", b"zpopmax", b"spop",
                     b"sinterstore", b"sunionstore", b"sdiffstore", b"zunionstore", b"zinterstore", b"zdiffstore",
                     b"zrangestore")

# names from NOTE_PUT on
cdef tuple MEMBER_EVENTS = (b"hset", b"sadd", b"zadd", b"hdel", b"srem", b"zrem", b"hexpired", b"sexpired", b"zexpired")

cdef int tell_notes(NativeEngine engine, NativeSession session) except -1:
    """Reports the notes to the observer in order, with the session as their cause."""
    engine.whose = session
    try:
        tell_all(engine)
    finally:
        engine.whose = None
    return 0


cdef int tell_all(NativeEngine engine) except -1:
    cdef bytes notes = PyBytes_FromStringAndSize(<char *>engine.c.notes.bytes, <Py_ssize_t>engine.c.notes.len)
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(notes)
    cdef const uint8_t *end = at + PyBytes_GET_SIZE(notes)
    cdef uint32_t key_bytes
    cdef bint lost = engine.c.notes_lost
    buffer_clear(&engine.c.notes, NOTES_KEPT_BYTES_MAX)
    engine.c.notes_lost = engine.c.changes_noted = False
    while at < end:
        memcpy(&key_bytes, at + 2, 4)
        if engine.told is not None:
            engine.told((EVENTS[at[0]] if at[0] < NOTE_PUT else MEMBER_EVENTS[at[0] - NOTE_PUT]), at[1],
                      PyBytes_FromStringAndSize(<const char *>at + NOTE_HEAD_BYTES, key_bytes))
        at += NOTE_HEAD_BYTES + key_bytes
    if lost:
        raise MemoryError
    return 0


cdef object told_after(NativeEngine engine, answer):
    """Reports notes after a lookup, since a lookup destroys the expired members of a collection."""
    if engine.c.notes.len or engine.c.notes_lost:
        tell_notes(engine, None)
    return answer


cdef int tell_of(NativeEngine engine, event, int db, bytes key) except -1:
    if engine.told is None:
        return 0
    if engine.c.notes.len or engine.c.notes_lost:
        tell_notes(engine, None)
    engine.told(event, db, key)
    return 0
