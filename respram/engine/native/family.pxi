# Part of _native.pyx: collections and their members, for commands.

cdef enum:
    RANKED_AT_ONCE = 256  # members of a sorted set that are requested from the core at a time

cdef Record *head_of(NativeEngine engine, int db, bytes key, int64_t now_ms) except? NULL:
    check_place(db, now_ms)
    cdef Span span = span_of(key)
    return family_head(engine.c, db, keyspace_hash(engine.c, span), span, now_ms)


cdef int look(NativeEngine engine, size_t size) except -1:
    spend_on(engine, size)
    engine.c.moved += LOOK_BYTES
    return 0


cdef int spend_on(NativeEngine engine, uint64_t size) except -1:
    if engine.c.moved >= engine.c.moved_max or size >= engine.c.moved_max - engine.c.moved:
        raise AllowanceError
    engine.c.moved += size
    return 0


cdef object shown(NativeEngine engine, const Record *record):
    cdef size_t length = record_value_bytes(record)
    look(engine, length)
    cdef bytes value = b""
    if length:
        value = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>length)
        if not seal_open(engine.c, record, <uint8_t *>PyBytes_AS_STRING(value)):
            raise MemoryError
    return Member(bytes_of(record_key(record)), value, record_deadline_ms(record),
                  not record.flags & RECORD_IMPLICIT)


cdef object members_found(NativeEngine engine, int db, bytes key, int kind, int64_t deadline_ms, bint implicit,
                          int64_t now_ms):
    check_place(db, now_ms)
    cdef Span span = span_of(key)
    if not 1 <= kind <= 3 or not 0 <= deadline_ms <= TIME_MS_MAX:
        raise ValueError("kind or deadline out of range")
    if not family_found(engine.c, db, keyspace_hash(engine.c, span), span, <uint8_t>kind, deadline_ms, implicit,
                        now_ms):
        raise MemoryError
    if engine.c.notes.len or engine.c.notes_lost:
        tell_notes(engine, None)


cdef object members_settle(NativeEngine engine, int db, bytes key, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    return told_after(engine, 0 if head is NULL else family_settle(engine.c, head, now_ms))


cdef object members_one(NativeEngine engine, int db, bytes key, bytes name, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef const Record *record = NULL
    if head is not NULL:
        record = family_find(engine.c, head, span_of(name), now_ms)
    if record is NULL:
        look(engine, 0)
    return None if record is NULL else shown(engine, record)


cdef object members_put(NativeEngine engine, int db, bytes key, bytes name, bytes value, deadline_ms, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef truth is_new = 0
    cdef int64_t own_ms = 0 if deadline_ms is None else deadline_ms
    if head is NULL:
        raise AssertionError("the head comes first")
    if not 0 <= own_ms <= TIME_MS_MAX:
        raise ValueError("deadline out of range")
    if PyBytes_GET_SIZE(key) + PyBytes_GET_SIZE(name) + 4 > LENGTH_MAX or PyBytes_GET_SIZE(value) > LENGTH_MAX:
        raise MemoryError
    if not family_put(engine.c, head, span_of(name), span_of(value), own_ms, now_ms, &is_new):
        raise MemoryError
    if engine.c.notes.len or engine.c.notes_lost:
        tell_notes(engine, None)
    return is_new != 0


cdef object members_copied(NativeEngine engine, int db, bytes key, int target_db, bytes target, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef size_t longest = 0
    cdef uint64_t size
    check_place(target_db, now_ms)
    if head is NULL:
        raise AssertionError("there is no collection")
    family_settled(engine.c, head, now_ms)
    size = family_copy_bytes(engine.c, head, &longest)
    if PyBytes_GET_SIZE(target) + <Py_ssize_t>longest + 4 > LENGTH_MAX:
        raise MemoryError
    spend_on(engine, size)
    cdef Span span = span_of(target)
    if not family_copy(engine.c, head, target_db, keyspace_hash(engine.c, span), span, now_ms):
        raise MemoryError
    return told_after(engine, None)


cdef object members_let_go(NativeEngine engine, int db, bytes key, bytes name, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef truth found = 0
    if head is not NULL and not family_let_go(engine.c, head, span_of(name), now_ms, &found):
        raise MemoryError
    return found != 0


cdef object members_walk(NativeEngine engine, int db, bytes key, cursor, count, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef const Family *family
    cdef uint64_t at, stop, wanted = min(max(count, 0), 1 << 60)
    cdef size_t size = 0, size_max = MEMBERS_BYTES_MAX
    cdef list found = []
    if head is NULL:
        return Members(0, found)
    family = family_settled(engine.c, head, now_ms)
    at = min(cursor, family.count) if cursor else family.count
    stop = at - wanted if at > wanted else 0
    if stop < family.dying:
        stop = family.dying
    while at > stop and size < size_max:
        at -= 1
        found.append(shown(engine, family_member(family, at)))
        size += record_value_bytes(family_member(family, at))
    return told_after(engine, Members(at if at > family.dying else 0, found))


cdef object members_at(NativeEngine engine, int db, bytes key, uint64_t place, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef const Family *family
    if head is NULL:
        return None
    family = family_settled(engine.c, head, now_ms)
    return told_after(engine, 
        shown(engine, family_member(family, family.dying + place)) if place < family.count - family.dying else None)


cdef object members_place(NativeEngine engine, int db, bytes key, double score, bytes name, bint after, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef Span span
    if name is None:
        return family_place(engine.c, head, score, NULL, after, now_ms)
    span = span_of(name)
    return family_place(engine.c, head, score, &span, after, now_ms)


cdef object members_ranked(NativeEngine engine, int db, bytes key, start, count, bint downwards, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef Ranked found[RANKED_AT_ONCE]
    cdef size_t number, got, wanted
    cdef uint64_t rank = min(max(start, 0), 1 << 60), left = min(max(count, 0), 1 << 60)
    cdef list items = []
    if start < 0:
        return items
    while left:
        wanted = <size_t>min(left, <uint64_t>RANKED_AT_ONCE)
        got = family_ranked(engine.c, head, rank, wanted, downwards, now_ms, found)
        for number in range(got):
            look(engine, 0)
            items.append((found[number].score, bytes_of(record_key(found[number].record))))
        left -= got
        if got < wanted or (downwards and rank < got):
            break
        rank = rank - got if downwards else rank + got
    return items
