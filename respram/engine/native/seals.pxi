# Part of _native.pyx: the cipher that the core borrows, and the keys by the core's numbers. See seal.c and respram/seal.py.

cdef class Keys:
    """What a Lender's context points to. A call costs two looks into lists and one call of the cipher."""

    cdef Engine *c
    cdef object ring
    cdef list ciphers  # by the core's number: `update_into` of a key, or None where it was given back
    cdef list pieces  # of each pad: views of its first blocks, by how many, made when first needed
    cdef list streams  # of each pad: a view of where the keystream goes

    def __cinit__(self, ring):
        self.ring = ring
        self.ciphers = [None]

    cdef int begin(self, Engine *c, bint writes) except -1:
        cdef Lender lender
        cdef int pad
        lender.context = <void *>self
        lender.encrypt = keys_encrypt
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
        cdef object view = PyMemoryView_FromMemory(<char *>self.c.seals.pads[pad].blocks, blocks * BLOCK_BYTES, PyBUF_READ)
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
                self.ciphers[number] = None
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


cdef truth keys_lend(void *context, uint64_t id_, uint32_t key) noexcept:
    cdef Keys keys = <Keys>context
    try:
        found = keys.ring.find(id_)
        if found is None:
            return 0
        while len(keys.ciphers) <= key:
            keys.ciphers.append(None)
        keys.ciphers[key] = found.encrypt
    except MemoryError:
        return 0
    return 1


cdef uint64_t keys_take(void *context) noexcept:
    try:
        return (<Keys>context).ring.take().id
    except MemoryError:
        return 0
