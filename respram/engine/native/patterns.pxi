# Part of _native.pyx: patterns of channels.

cdef class NativePatterns:
    cdef CPatterns c
    cdef list names  # by place
    cdef dict places

    def __cinit__(self):
        memset(&self.c, 0, sizeof(self.c))
        self.names, self.places = [], {}

    def __dealloc__(self):
        patterns_free(&self.c)

    def __len__(self):
        return len(self.names)

    def add(self, bytes pattern not None):
        if pattern in self.places:
            return
        if not patterns_add(&self.c, span_of(pattern)):
            raise MemoryError
        self.places[pattern] = len(self.names)
        self.names.append(pattern)

    def remove(self, bytes pattern not None):
        cdef Py_ssize_t place = self.places.pop(pattern)
        patterns_remove(&self.c, <size_t>place)
        last = self.names.pop()
        if last != pattern:
            self.names[place] = last
            self.places[last] = place

    def matching(self, bytes text not None):
        cdef size_t place = 0
        cdef Span span = span_of(text)
        found = []
        while patterns_next(&self.c, span, &place):
            found.append(self.names[place])
            place += 1
        return found

    def keep(self, list texts not None):
        cdef size_t place
        found = []
        for text in texts:
            place = 0
            if patterns_next(&self.c, span_of(text), &place):
                found.append(text)
        return found
