# Part of _native.pyx: engine/replication.py, translated. NativeEngine has a method of a line for each.


cdef bint holds_records(const Engine *c) noexcept:
    cdef int db
    cdef uint64_t held = c.stubs.count + c.stub_rows
    for db in range(SPACES):
        held += c.live[db]
    return held != 0


cdef object peers_track(Engine *c, ids_key, int64_t now_ms):
    check_place(0, now_ms)
    if c.digests.enabled:
        raise AssertionError("digests are kept already")
    if c.lead or not digest_track(c, ids_key, now_ms):
        raise MemoryError


cdef int check_tracked(Engine *c, int64_t now_ms) except -1:
    check_place(0, now_ms)
    if not c.digests.enabled:
        raise AssertionError("track comes first")
    return 0


cdef object peers_digest(Engine *c, cut, int64_t now_ms):
    cdef Sum total
    check_tracked(c, now_ms)
    if not digest_total(c, within(cut.stamp), within(cut.end), now_ms, &total):
        return None
    return Digest(total.count, total.sum)


cdef object peers_bucket_digests(Engine *c, cut, int shift, int64_t now_ms):
    cdef Sum *sums = NULL
    cdef int64_t count, at
    check_tracked(c, now_ms)
    if not 0 <= shift <= SHIFT_MAX:
        raise ValueError("shift out of range")
    count = digest_buckets(c, within(cut.stamp), within(cut.end), shift, now_ms, &sums)
    if count < 0:
        raise MemoryError
    try:
        return [BucketDigest(sums[at].number, sums[at].count, sums[at].sum) for at in range(count)]
    finally:
        free(sums)


cdef object peers_count_since(Engine *c, since):
    check_tracked(c, 0)
    return digest_count_since(c, within(since))


cdef object peers_fill(Engine *c, bloom, selection, cursor, budget):
    cdef Chosen chosen = Chosen(selection)
    cdef Bits bits = Bits(bloom, True)
    cdef Spot spot = spot_of(cursor)
    check_tracked(c, 0)
    if not filter_fill(c, &bits.filter, &chosen.selection, &spot, within(budget)):
        raise MemoryError
    bloom.count += bits.filter.added
    return cursor_of(spot)


cdef object peers_lacking(Engine *c, bloom, selection, cursor, bytes_max, budget):
    cdef Chosen chosen = Chosen(selection)
    cdef Bits bits = Bits(bloom, False)
    cdef Buffer found
    cdef Spot spot = spot_of(cursor)
    check_tracked(c, 0)
    memset(&found, 0, sizeof(found))
    try:
        if not filter_lacking(c, &bits.filter, &chosen.selection, &spot, <uint64_t>max(within(bytes_max), 0),
                              within(budget),
                              &found):
            raise MemoryError
        return Found(PyBytes_FromStringAndSize(<char *>found.bytes, <Py_ssize_t>found.len), cursor_of(spot))
    finally:
        buffer_clear(&found, 0)


cdef object peers_dump(Engine *c, point, bytes_max, int64_t now_ms):
    cdef Buffer found
    cdef uint64_t next_ = 0
    check_tracked(c, now_ms)
    memset(&found, 0, sizeof(found))
    try:
        if not dump_records(c, <uint64_t>max(within(point), 0), <uint64_t>max(within(bytes_max), 0), now_ms, &found,
                            &next_):
            raise MemoryError
        return Found(PyBytes_FromStringAndSize(<char *>found.bytes, <Py_ssize_t>found.len), next_)
    finally:
        buffer_clear(&found, 0)


cdef object peers_fetch(Engine *c, int db, bytes key, int64_t now_ms):
    check_place(db, now_ms)
    cdef Span span = span_of(key)
    cdef const Record *record = table_find(&c.tables[db], keyspace_hash(c, span), span)
    cdef uint32_t stub = stubs_find_key(&c.stubs, db, span) if record is NULL else 0
    if stub and stub_end_ms(stub_at(&c.stubs, stub)) > now_ms:
        return packed_stub(c, stub, &span)
    if record is NULL or record_end_ms(record) <= now_ms:
        return b""
    if not record_kind(record):
        return packed(c, record)
    cdef Buffer found
    memset(&found, 0, sizeof(found))
    try:
        if not family_fetch(c, record, FETCHED_BYTES_MAX, now_ms, &found):
            raise MemoryError
        return PyBytes_FromStringAndSize(<char *>found.bytes, <Py_ssize_t>found.len)
    finally:
        buffer_clear(&found, 0)


cdef object peers_departed(Engine *c, int db, bytes key, since, int64_t now_ms):
    check_place(db, now_ms)
    cdef Buffer found
    memset(&found, 0, sizeof(found))
    try:
        if not departed_pack(c, db, span_of(key), <uint64_t>max(within(since), 0), now_ms, &found):
            raise MemoryError
        return Found(PyBytes_FromStringAndSize(<char *>found.bytes, <Py_ssize_t>found.len), departed_count(c))
    finally:
        buffer_clear(&found, 0)


cdef bytes packed_stub(const Engine *c, uint32_t number, const Span *key):
    cdef Buffer packed_bytes
    memset(&packed_bytes, 0, sizeof(packed_bytes))
    try:
        if not stub_pack(c, number, key, &packed_bytes):
            raise MemoryError
        return PyBytes_FromStringAndSize(<char *>packed_bytes.bytes, <Py_ssize_t>packed_bytes.len)
    finally:
        buffer_clear(&packed_bytes, 0)


cdef object peers_restamp(Engine *c, int64_t now_ms):
    check_place(0, now_ms)
    cdef int64_t count = keyspace_restamp(c, now_ms)
    if count < 0:
        raise MemoryError
    return count


cdef object peers_merge(NativeEngine engine, payload, int64_t now_ms):
    cdef Py_buffer view
    cdef CMerged merged
    check_place(0, now_ms)
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    merged = keyspace_merge(engine.c, <const uint8_t *>view.buf, <size_t>view.len, now_ms)
    PyBuffer_Release(&view)
    if engine.c.notes.len or engine.c.notes_lost:
        tell_notes(engine, None)
    return tuple.__new__(Merged, (merged.fresh, merged.known, merged.refused, merged.malformed, merged.strange))


cdef object peers_drain(NativeEngine engine, int64_t bytes_max):
    cdef Buffer drained
    memset(&drained, 0, sizeof(drained))
    try:
        outbox_drain(engine.c, <uint64_t>max(bytes_max, 0), &drained)
        return PyBytes_FromStringAndSize(<char *>drained.bytes, <Py_ssize_t>drained.len)
    finally:
        buffer_clear(&drained, 0)


cdef object peers_records(NativeEngine engine, int db):
    check_place(db, 0)
    found = Packed(engine)
    walk_all(engine.c, db, see_record, <void *>found)
    stubs_walk(&engine.c.stubs, see_stub, <void *>found)
    return found.records + [stub for stub in found.stubs if stub[1] == db]


cdef class Packed:
    """The records and stubs that `records` collects."""

    cdef NativeEngine engine
    cdef list records
    cdef list stubs  # stubs of all databases

    def __cinit__(self, NativeEngine engine):
        self.engine = engine
        self.records = []
        self.stubs = []


cdef int see_record(void *context, const Record *record) except -1:
    cdef Packed found = <Packed>context
    found.records.append(packed(found.engine.c, record))
    return 0


cdef int see_stub(void *context, uint32_t number) except -1:
    cdef Packed found = <Packed>context
    found.stubs.append(packed_stub(found.engine.c, number, NULL))
    return 0
