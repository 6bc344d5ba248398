# Part of _native.pyx: long replies in slices, for commands. engine/telling.py has the contract.

cdef enum:
    OTHERS_MAX = 64  # engine/telling.py


cdef class NativeTold:
    cdef CTold *c

    def __cinit__(self):
        self.c = told_new()
        if self.c is NULL:
            raise MemoryError

    def __dealloc__(self):
        told_free(self.c)

    def forget(self):
        return told_forget(self.c) != 0


cdef bytes slice_of(NativeTold told, int64_t count):
    cdef bytes encoded = b""
    if count >= 0:
        encoded = PyBytes_FromStringAndSize(<const char *>told.c.out.bytes, <Py_ssize_t>told.c.out.len)
    buffer_cut(&told.c.out, 0)
    if count < 0:
        raise MemoryError
    return encoded


cdef object tell_family(NativeEngine engine, NativeTold told, int db, bytes key, cursor, int parts, others,
                        bint among, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef Span keys[OTHERS_MAX]
    cdef COthers chosen
    cdef uint64_t at = cursor
    cdef int64_t count
    cdef size_t number = 0
    cdef const Family *family
    if len(others) > OTHERS_MAX:
        raise ValueError("too many other sets")
    for other in others:
        keys[number] = span_of(other)
        number += 1
    chosen.keys, chosen.count, chosen.among = keys, number, among
    if head is NULL:
        return Piece(0, 0, b"")
    family = family_settled(engine.c, head, now_ms)
    count = family_tell(engine.c, told.c, family, parts, &chosen, &at, now_ms)
    return told_after(engine, Piece(at, count, slice_of(told, count)))


cdef object tell_ranks(NativeEngine engine, NativeTold told, int db, bytes key, start, most, bint downwards,
                       bint scores, int proto, int64_t now_ms):
    cdef Record *head = head_of(engine, db, key, now_ms)
    cdef Ranked last
    cdef int64_t count
    if start < 0 or most <= 0:
        return RankedPiece(0, b"", None)
    last.record = NULL
    count = family_tell_ranked(engine.c, told.c, head, min(start, 1 << 60), min(most, 1 << 60), downwards, scores,
                               proto, now_ms, &last)
    encoded = slice_of(told, count)
    return told_after(engine, RankedPiece(count, encoded, None if last.record is NULL else
                                          (last.score, bytes_of(record_key(last.record)))))
