# Part of _native.pyx: seal keys by the core's numbers, and the cipher that the core uses on machines without
# libcrypto. See seal.c, cipher.c and respram/seal.py.

DEF NONCE_BYTES = 12  # of GCM


cdef class Keys:
    """What a Lender's context points to. A call costs two looks into lists and one call of the cipher."""

    cdef Engine *c
    cdef object ring
    cdef list ciphers  # by the core's number: `update_into` of a key, or None after it was freed
    cdef list resets, runs  # likewise `reset_nonce` and `update_into` of its cipher in CTR mode,
    cdef list wholes  # and `encrypt_into` of GCM, or None where GCM is not faster
    cdef list pieces  # of each pad: views of its first blocks, by their number, made when first needed
    cdef list streams  # of each pad: a view of the memory for the keystream

    def __cinit__(self, ring):
        self.ring = ring
        self.ciphers, self.resets, self.runs, self.wholes = [None], [None], [None], [None]

    cdef int begin(self, Engine *c, bint writes, bint lent) except -1:
        cdef Lender lender
        cdef int pad
        lender.context = <void *>self
        lender.ciphers_here = not lent
        lender.by_gcm = self.ring.by_gcm
        lender.encrypt = keys_encrypt
        lender.run_through = keys_run_through
        lender.lend = keys_lend
        lender.take = keys_take
        if c.seals.pads is not NULL:
            raise AssertionError("sealing has begun already")
        if not seal_begin(c, lender, writes):
            raise MemoryError
        self.c = c
        self.pieces = [[None] * (PAD_BLOCKS + 1) for pad in range(PAD_COUNT)]
        self.streams = [
            PyMemoryView_FromMemory(<char *>c.seals.pads[pad].stream, PAD_BYTES + BLOCK_BYTES, PyBUF_WRITE)
            for pad in range(PAD_COUNT)
        ]
        return 0

    cdef object piece(self, int pad, size_t blocks):
        cdef object view = PyMemoryView_FromMemory(<char *>self.c.seals.pads[pad].blocks, blocks * BLOCK_BYTES,
                                                   PyBUF_READ)
        (<list>self.pieces[pad])[blocks] = view
        return view

    cdef object in_use(self):
        """Ids; and lets go of the ciphers whose keys the ring has forgotten since."""
        cdef uint32_t number
        used = set()
        for number in range(1, self.c.seals.key_count + 1):
            if not self.c.seals.keys[number - 1]:
                continue
            if seal_is_used(self.c, number):
                used.add(self.c.seals.keys[number - 1])
            elif self.ring.find(self.c.seals.keys[number - 1]) is None:
                self.ciphers[number] = self.resets[number] = self.runs[number] = self.wholes[number] = None
                seal_forget(self.c, number)
        return used


cdef truth keys_encrypt(void *context, uint32_t key, int pad, size_t blocks) noexcept:
    cdef Keys keys = <Keys>context
    cdef object piece
    try:
        piece = (<list>keys.pieces[pad])[blocks]
        if piece is None:
            piece = keys.piece(pad, blocks)
        keys.ciphers[key](piece, keys.streams[pad])
    except MemoryError:
        return 0
    return 1


cdef truth keys_run_through(void *context, uint32_t key, uint64_t sealer, uint64_t position, Span bytes_, uint8_t *out,
                            truth room) noexcept:
    cdef Keys keys = <Keys>context
    cdef uint8_t *at
    cdef int place
    try:
        whole = keys.wholes[key] if room and <uint32_t>position == LONG_FIRST else None
        start = PyBytes_FromStringAndSize(NULL, BLOCK_BYTES if whole is None else NONCE_BYTES)
        at = <uint8_t *>PyBytes_AS_STRING(start)
        for place in range(8):
            at[place] = <uint8_t>(sealer >> (56 - 8 * place))
            if place < 4 or whole is None:
                at[8 + place] = <uint8_t>(position >> (56 - 8 * place))
        if whole is not None:
            whole(
                start, PyMemoryView_FromMemory(<char *>bytes_.bytes, <Py_ssize_t>bytes_.len, PyBUF_READ), None,
                PyMemoryView_FromMemory(<char *>out, <Py_ssize_t>bytes_.len + GCM_TAG_BYTES, PyBUF_WRITE),
            )
            return 1
        keys.resets[key](start)
        keys.runs[key](
            PyMemoryView_FromMemory(<char *>bytes_.bytes, <Py_ssize_t>bytes_.len, PyBUF_READ),
            PyMemoryView_FromMemory(<char *>out, <Py_ssize_t>bytes_.len, PyBUF_WRITE),
        )
    except MemoryError:
        return 0
    return 1


cdef truth keys_lend(void *context, uint64_t id_, uint32_t key, const uint8_t **bytes_) noexcept:
    cdef Keys keys = <Keys>context
    cdef Py_buffer view
    try:
        found = keys.ring.find(id_)
        if found is None:
            return 0
        PyObject_GetBuffer(found.key, &view, PyBUF_SIMPLE)
        bytes_[0] = <const uint8_t *>view.buf  # the ring's own memory, which outlives the buffer
        PyBuffer_Release(&view)
        while len(keys.ciphers) <= key:
            for each in (keys.ciphers, keys.resets, keys.runs, keys.wholes):
                each.append(None)
        keys.ciphers[key], keys.resets[key] = found.encrypt, found.run.reset_nonce
        keys.runs[key] = found.run.update_into
        keys.wholes[key] = found.whole
    except MemoryError:
        return 0
    return 1


cdef uint64_t keys_take(void *context) noexcept:
    try:
        return (<Keys>context).ring.take().id
    except MemoryError:
        return 0


cdef class Cipher:
    """AES-256 from the machine's libcrypto under one key: what the core calls, for whoever measures it or compares it.
    """

    cdef CCipher *c

    def __cinit__(self, bytes key not None, bint by_gcm):
        if cipher_library() is NULL:
            raise RuntimeError("there is no libcrypto here that can be used")
        if len(key) != SEAL_KEY_BYTES:
            raise ValueError("a key has 32 bytes")
        self.c = cipher_new(<const uint8_t *>PyBytes_AS_STRING(key), by_gcm)
        if self.c is NULL:
            raise MemoryError

    def __dealloc__(self):
        cipher_free(self.c)

    def blocks(self, bytes counters not None):
        """Whole counter blocks to keystream."""
        cdef Py_ssize_t length = len(counters)
        if length % BLOCK_BYTES:
            raise ValueError("whole blocks are needed")
        cdef bytes out = PyBytes_FromStringAndSize(NULL, length)
        if not cipher_blocks(self.c, <const uint8_t *>PyBytes_AS_STRING(counters), <size_t>length // BLOCK_BYTES,
                             <uint8_t *>PyBytes_AS_STRING(out)):
            raise MemoryError
        return out

    def run(self, uint64_t sealer, uint64_t position, bytes value not None):
        """The value XORed with the keystream from that block on."""
        cdef bytes out = PyBytes_FromStringAndSize(NULL, len(value))
        if not cipher_run(self.c, sealer, position, span_of(value), <uint8_t *>PyBytes_AS_STRING(out)):
            raise MemoryError
        return out

    def run_into(self, uint64_t sealer, uint64_t position, bytes value not None, bytearray out not None):
        """The same, into memory that is there."""
        if len(out) < len(value):
            raise ValueError("there is no room")
        if not cipher_run(self.c, sealer, position, span_of(value), <uint8_t *>PyByteArray_AsString(out)):
            raise MemoryError


def library():
    """What the machine's libcrypto says of itself; None: it has none that can be used, and `cryptography` does it."""
    cdef const char *text = cipher_library()
    return None if text is NULL else (<bytes>text).decode("ascii", "replace")
