# Part of _native.pyx: single keys, for commands.

cdef int see_key(void *context, const Record *record) except -1:
    (<list>context).append(bytes_of(record_key(record)))
    return 0

cdef object entry_of(NativeEngine engine, int db, bytes key, int64_t now_ms, bint with_value):
    check_place(db, now_ms)
    cdef Span span = span_of(key)
    cdef const Record *record = keyspace_row(engine.c, db, keyspace_hash(engine.c, span), span, now_ms)
    if record is NULL:
        engine.c.misses += 1
        return None
    engine.c.hits += 1
    cdef size_t length = record_value_bytes(record)
    cdef bytes value = b""
    cdef const Family *family
    if record_kind(record):
        family = family_settled(engine.c, record, now_ms)
        return Entry(b"", family.count - family.dying, record_deadline_ms(record),
                     bool(record.flags & RECORD_IMPLICIT),
                     record.clock, engine.c.nodes.numbers[record.node], record_kind(record), family.version)
    if with_value and length:
        if engine.c.moved > engine.c.moved_max or length > engine.c.moved_max - engine.c.moved:
            raise AllowanceError
        engine.c.moved += length
        value = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>length)
        if not seal_open(engine.c, record, <uint8_t *>PyBytes_AS_STRING(value)):
            raise MemoryError
    return Entry(value, length, record_deadline_ms(record), bool(record.flags & RECORD_IMPLICIT),
                 record.clock, engine.c.nodes.numbers[record.node], 0, 0, record_lying(record).len - length)


cdef object rows_store(NativeEngine engine, int db, bytes key, bytes value, int64_t deadline_ms, bint implicit,
                       int64_t now_ms, event):
    check_place(db, now_ms)
    cdef Span span = span_of(key), content = span_of(value)
    if not 0 <= deadline_ms <= TIME_MS_MAX:
        raise ValueError("deadline out of range")
    if span.len > LENGTH_MAX or content.len > LENGTH_MAX:
        raise MemoryError
    if not keyspace_store(engine.c, db, keyspace_hash(engine.c, span), span, content, deadline_ms, implicit,
                          now_ms, <uint8_t>NOTE_NONE):
        raise MemoryError
    tell_of(engine, event, db, key)


cdef object rows_add(NativeEngine engine, int db, bytes key, int64_t step, int64_t deadline_ms, bint implicit,
                     int64_t now_ms, event):
    check_place(db, now_ms)
    cdef Span span = span_of(key)
    cdef int64_t total = 0
    if not 0 <= deadline_ms <= TIME_MS_MAX:
        raise ValueError("deadline out of range")
    if span.len > LENGTH_MAX:
        raise MemoryError
    if not counter_add(engine.c, db, keyspace_hash(engine.c, span), span, step, deadline_ms, implicit, now_ms,
                       <uint8_t>NOTE_NONE, &total):
        raise MemoryError
    tell_of(engine, event, db, key)
    return total


cdef object rows_retime(NativeEngine engine, int db, bytes key, int64_t deadline_ms, bint implicit, int64_t now_ms,
                        event):
    check_place(db, now_ms)
    cdef Span span = span_of(key)
    cdef truth found = 0
    if not 0 <= deadline_ms <= TIME_MS_MAX:
        raise ValueError("deadline out of range")
    if not keyspace_retime(engine.c, db, keyspace_hash(engine.c, span), span, deadline_ms, implicit, now_ms,
                            <uint8_t>NOTE_NONE, &found):
        raise MemoryError
    if found:
        tell_of(engine, event, db, key)
    return found != 0


cdef object rows_let_go(NativeEngine engine, int db, bytes key, int64_t now_ms, event):
    check_place(db, now_ms)
    cdef Span span = span_of(key)
    cdef truth found = 0
    if not keyspace_let_go(engine.c, db, keyspace_hash(engine.c, span), span, now_ms, &found):
        raise MemoryError
    if found and event:
        tell_of(engine, event, db, key)
    return told_after(engine, found != 0)


cdef object rows_scan(NativeEngine engine, int db, cursor, count, int64_t now_ms):
    check_place(db, now_ms)
    cdef uint64_t place = cursor & 0xffffffffffffffff
    cdef list keys = []
    walk_scan(engine.c, db, &place, min(max(count, 0), 1 << 60), now_ms, see_key, <void *>keys)
    return Scan(place, keys)


cdef object rows_sample(NativeEngine engine, int db, draw, int64_t now_ms):
    check_place(db, now_ms)
    cdef const Record *record = walk_sample(engine.c, db, draw & 0xffffffffffffffff, now_ms)
    return None if record is NULL else bytes_of(record_key(record))


cdef object rows_next_due_ms(NativeEngine engine, int64_t now_ms):
    cdef bint is_due = engine.c.work_first is not NULL or engine.c.graves.count
    cdef int64_t due_ms = 0 if is_due else wheel_next_ms(&engine.c.wheel)
    cdef int64_t stubs_ms = stubs_next_ms(&engine.c.stubs)
    if due_ms < 0 or 0 <= stubs_ms < due_ms:
        due_ms = stubs_ms
    return None if due_ms < 0 else due_ms
