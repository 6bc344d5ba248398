# Part of _native.pyx: translates runs of commands for homes, and their answers. NativeEngine has a one-line method for
# each.


cdef object homes_take(Engine *c, const CSession *session):
    """The run that begins with the command under way; None: it does not travel in company."""
    cdef HomeRun run
    cdef HomeGroup *group
    cdef size_t number
    memset(&run, 0, sizeof(run))
    try:
        if not home_run(c, session, &run):
            return None
        groups = []
        for number in range(run.groups):
            group = &run.group[number]
            groups.append(tuple.__new__(Group, (
                group.home, group.commands, PyBytes_FromStringAndSize(<char *>group.payload.bytes,
                                                                      <Py_ssize_t>group.payload.len),
                PyBytes_FromStringAndSize(<char *>group.keys.bytes, <Py_ssize_t>group.keys.len))))
        order = PyBytes_FromStringAndSize(<char *>run.order, <Py_ssize_t>run.commands)
        return tuple.__new__(Run, (order, groups))
    except BaseException:
        c.batch.taken = 0
        raise
    finally:
        home_run_free(&run)


cdef object homes_slot_away(bytes keys, bytes table):
    cdef truth cut_short = False
    if PyBytes_GET_SIZE(table) != 2 * HOME_SLOTS:
        raise ValueError("a table of homes has 16,384 numbers of 16 bits")
    slot = slot_away(span_of(keys), <const uint8_t *>PyBytes_AS_STRING(table), &cut_short)
    if cut_short:
        raise ValueError("keys cut short")
    return slot


cdef bint homes_waits(Engine *c, int db, bytes keys) except -1:
    cdef Span all_ = span_of(keys), key
    cdef size_t at = 0
    cdef uint32_t len_
    cdef bint waits = c.outbox.overflowed
    while at < all_.len:
        if all_.len - at < 4:
            raise ValueError("keys cut short")
        memcpy(&len_, all_.bytes + at, 4)
        at += 4
        if len_ > all_.len - at:
            raise ValueError("keys cut short")
        key.bytes, key.len = all_.bytes + at, len_
        at += len_
        waits = waits or outbox_has(c, db, key)
    return waits


cdef list homes_cut(bytes data, list counts):
    cdef Span replies = span_of(data)
    cdef size_t at = 0, start, number, count
    cdef list pieces = []
    for one in counts:
        count, start = one, at
        for number in range(count):
            at = reply_end(replies, at)
            if not at:
                raise ValueError("a reply is cut short")
        pieces.append(PyBytes_FromStringAndSize(<char *>replies.bytes + start, <Py_ssize_t>(at - start)))
    if at != replies.len:
        raise ValueError("more than so many replies")
    return pieces


cdef bytes homes_weave(bytes order, list groups):
    cdef Span places = span_of(order)
    cdef Span replies[RUN_GROUPS_MAX]
    cdef size_t ats[RUN_GROUPS_MAX]
    cdef size_t number, end, len_ = 0, done = 0, count = <size_t>len(groups)
    cdef uint8_t group
    cdef bytes woven
    cdef char *out
    if count > RUN_GROUPS_MAX:
        raise ValueError("more than so many groups")
    for number in range(count):
        replies[number] = span_of(groups[number])
        ats[number] = 0
        len_ += replies[number].len
    woven = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>len_)
    out = PyBytes_AS_STRING(woven)
    for number in range(places.len):
        group = places.bytes[number]
        end = reply_end(replies[group], ats[group]) if group < count else 0
        if not end:
            raise ValueError("fewer than so many replies")
        memcpy(out + done, replies[group].bytes + ats[group], end - ats[group])
        done += end - ats[group]
        ats[group] = end
    if done != len_:
        raise ValueError("more than so many replies")
    return woven


cdef object homes_fetch(Engine *c, int db, bytes keys, int64_t now_ms, bint waiting):
    """As peers_fetch, of all these keys. Written into one buffer, and cut where a piece is long enough."""
    cdef Span all_ = span_of(keys), key
    cdef Buffer found
    cdef size_t at = 0
    cdef uint32_t len_
    cdef bint collections = False
    cdef list pieces = []
    check_place(db, now_ms)
    memset(&found, 0, sizeof(found))
    try:
        while at < all_.len:
            if all_.len - at < 4:
                raise ValueError("keys cut short")
            memcpy(&len_, all_.bytes + at, 4)
            at += 4
            if len_ > all_.len - at:
                raise ValueError("keys cut short")
            key.bytes, key.len = all_.bytes + at, len_
            at += len_
            if not homes_fetch_one(c, db, key, now_ms, waiting, &found, &collections):
                raise MemoryError
            if found.len >= FETCHED_PIECE_BYTES:
                pieces.append(PyBytes_FromStringAndSize(<char *>found.bytes, <Py_ssize_t>found.len))
                buffer_clear(&found, FETCHED_PIECE_BYTES)
        if found.len:
            pieces.append(PyBytes_FromStringAndSize(<char *>found.bytes, <Py_ssize_t>found.len))
        return tuple.__new__(Fetched, (pieces, collections))
    finally:
        buffer_clear(&found, 0)


cdef bint homes_fetch_one(Engine *c, int db, Span key, int64_t now_ms, bint waiting, Buffer *out,
                          bint *collections) noexcept:
    cdef uint64_t hash_ = keyspace_hash(c, key)
    cdef const Record *record = table_find(&c.tables[db], hash_, key)
    if not waiting and (record is NULL or not record_kind(record)) and outbox_holds(c, db, hash_, key):
        return True
    cdef uint32_t stub = stubs_find_key(&c.stubs, db, key) if record is NULL else 0
    if stub and stub_end_ms(stub_at(&c.stubs, stub)) > now_ms:
        return stub_pack(c, stub, &key, out)
    if record is NULL or record_end_ms(record) <= now_ms:
        return True
    if record_kind(record):
        collections[0] = True
        return family_fetch(c, record, FETCHED_BYTES_MAX, now_ms, out)
    return dump_pack(c, record, out)
