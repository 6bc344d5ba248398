# Part of _native.pyx: selections and filters of replication.py as the core takes them.

DEF SHIFT_MAX = 62
DEF FAR = 1 << 62
DEF PLACE_BITS = 32 # of a cursor: replication.py
DEF SLICE_RECORDS = 50000  # 100 ns each, on a busy machine with cache misses

cdef inline int64_t within(number) except? -1:
    """Cuts and cursors come from peers: what lies beyond all time is as good as its end."""
    return max(-FAR, min(number, FAR))


cdef inline Spot spot_of(cursor) except *:
    cdef Spot spot
    spot.granule, spot.place = within(cursor >> PLACE_BITS), <uint32_t>(cursor & (1 << PLACE_BITS) - 1)
    return spot


cdef inline object cursor_of(Spot spot):
    return <object>spot.granule << PLACE_BITS | spot.place


cdef class Chosen:
    """A Selection, its buckets in order."""

    cdef CSelection selection
    cdef int64_t *buckets

    def __cinit__(self, selection):
        cdef list numbers = sorted(within(number) for number in selection.buckets)
        cdef size_t at = 0
        if not 0 <= selection.shift <= SHIFT_MAX:
            raise ValueError("shift out of range")
        self.buckets = <int64_t *>malloc(max(len(numbers), 1) * sizeof(int64_t))
        if self.buckets is NULL:
            raise MemoryError
        for number in numbers:
            self.buckets[at] = number
            at += 1
        self.selection.cut_stamp, self.selection.cut_end = within(selection.cut.stamp), within(selection.cut.end)
        self.selection.since, self.selection.shift = within(selection.since), selection.shift
        self.selection.buckets, self.selection.bucket_count = self.buckets, at

    def __dealloc__(self):
        free(self.buckets)


cdef class Bits:
    """A RecordFilter and its bits, borrowed as long as this lives."""

    cdef CFilter filter
    cdef Py_buffer view

    def __cinit__(self, bloom, bint writable):
        PyObject_GetBuffer(bloom.bitarray, &self.view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
        self.filter.bits = <uint8_t *>self.view.buf
        self.filter.salt, self.filter.width, self.filter.slices = bloom.salt, bloom.bits_per_slice, bloom.num_slices
        self.filter.room = max(bloom.capacity - bloom.count, 0)
        if bloom.num_slices * bloom.bits_per_slice > self.view.len * 8:
            raise ValueError("a filter with fewer bits than it says")

    def __dealloc__(self):
        PyBuffer_Release(&self.view)
