# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Frames and fields where they count: the fast twin of fields.py, name by name.

Every length is checked before it is used, and nothing is taken from the system because a header announces it: a body in
pieces is put together from the bytes that have come.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcpy

from respram.errors import PeerError

DEF HEADER_CHARS_MAX = 16  # as in fields.py
DEF WINDOW = HEADER_CHARS_MAX + 2  # a header and its line end
DEF LINE_BYTES = 2 * WINDOW  # a begun header, and the bytes that may follow it
DEF DIGITS_MAX = 20  # of a 64-bit number


cdef bint read_number(const char *text, Py_ssize_t length, uint64_t *number) noexcept:
    """An unsigned number of 64 bits in its one spelling (integers.py, parse_uint)."""
    cdef uint64_t value = 0, digit
    cdef Py_ssize_t at
    if length < 1 or length > DIGITS_MAX or (text[0] == 48 and length > 1):
        return False
    for at in range(length):
        if text[at] < 48 or text[at] > 57:
            return False
        digit = <uint64_t>(text[at] - 48)
        if value > (<uint64_t>0 - 1 - digit) // 10:
            return False
        value = value * 10 + digit
    number[0] = value
    return True


cdef Py_ssize_t write_number(uint64_t number, char *out) noexcept:
    """How many digits it has; at most DIGITS_MAX."""
    cdef char digits[DIGITS_MAX]
    cdef Py_ssize_t count = 0, at
    while True:
        digits[count] = <char>(48 + number % 10)
        count += 1
        number //= 10
        if not number:
            break
    for at in range(count):
        out[at] = digits[count - 1 - at]
    return count


cdef class NativeSplitter:
    cdef uint64_t args_max, args_left, frame_bytes
    cdef readonly uint64_t body_left
    cdef bint ending
    cdef char line[LINE_BYTES]
    cdef Py_ssize_t line_bytes
    cdef list argv
    cdef object body  # of an incomplete bulk string; None: there is none

    def __cinit__(self, uint64_t args_max):
        self.args_max = args_max
        self.args_left = self.body_left = self.frame_bytes = 0
        self.ending = False
        self.line_bytes = 0
        self.argv = []
        self.body = None

    def push(self, bytes data not None, uint64_t frame_bytes_max):
        cdef const char *bytes_ = PyBytes_AS_STRING(data)
        cdef const char *line_end
        cdef Py_ssize_t at = 0, end = PyBytes_GET_SIZE(data), step, whole
        cdef list done = []
        while at < end:
            if self.body_left:
                step = end - at
                if <uint64_t>step >= self.body_left:
                    step = <Py_ssize_t>self.body_left
                self.take(bytes_ + at, step)
                at += step
                continue
            step = min(end - at, WINDOW)
            line_end = <const char *>memchr(bytes_ + at, 10, <size_t>step)
            if line_end is not NULL:
                step = line_end + 1 - (bytes_ + at)
            if line_end is NULL or self.line_bytes:
                memcpy(self.line + self.line_bytes, bytes_ + at, <size_t>step)  # at most WINDOW - 1 bytes are there
                self.line_bytes += step
            if line_end is NULL:
                if self.line_bytes > HEADER_CHARS_MAX + 1:
                    self.line_bytes = 0  # a caller that continues after the error finds room
                    raise PeerError("a frame's header is too long")
                self.begin(self.line[0])
                break
            if self.line_bytes:
                whole, self.line_bytes = self.line_bytes, 0
                self.header(self.line, whole, frame_bytes_max, done)
            else:
                self.header(bytes_ + at, step, frame_bytes_max, done)
            at += step
        return done

    cdef int take(self, const char *bytes_, Py_ssize_t count) except -1:
        """So much of the body, which is not longer."""
        piece = PyBytes_FromStringAndSize(bytes_, count)
        self.body_left -= <uint64_t>count
        if self.body is not None or self.body_left:
            if self.body is None:
                self.body = bytearray()
            self.body += piece
            if self.body_left:
                return 0
            piece, self.body = bytes(self.body), None
        self.argv.append(piece)
        return 0

    cdef int begin(self, char kind) except -1:
        """What a header or the end of a field begins with, before the rest has come."""
        if self.ending:
            if kind != 13:
                raise PeerError("a field is not as long as it says")
        elif kind != (36 if self.args_left else 42):
            raise PeerError("a frame's header cannot be read")
        return 0

    cdef int header(self, const char *line, Py_ssize_t length, uint64_t frame_bytes_max, list done) except -1:
        cdef uint64_t number = 0
        if self.ending:
            if length != 2 or line[0] != 13:
                raise PeerError("a field is not as long as it says")
            self.ending = False
            if not self.args_left:
                done.append(self.argv)
                self.argv = []
            return 0
        if (length < 3 or line[length - 2] != 13 or line[0] != (36 if self.args_left else 42)
                or not read_number(line + 1, length - 3, &number)):
            raise PeerError("a frame's header cannot be read")
        if not self.args_left:
            if not 1 <= number <= self.args_max:
                raise PeerError("a frame has too many fields")
            self.args_left = number
            self.frame_bytes = 0
            return 0
        if number > frame_bytes_max or self.frame_bytes + number > frame_bytes_max:
            raise PeerError("a frame is too long")
        self.frame_bytes += number
        self.args_left -= 1
        self.body_left = number
        self.ending = True
        if not number:
            self.argv.append(b"")
        return 0


def read_fields(list argv not None, tuple kinds not None):
    cdef Py_ssize_t at
    cdef uint64_t number = 0, most
    cdef bytes data
    cdef list values = []
    if len(argv) <= len(kinds):
        raise IndexError("fewer fields than kinds")
    for at in range(len(kinds)):
        is_number, limit = kinds[at]
        data, most = argv[at + 1], limit
        if data is None:
            raise TypeError("a field is bytes")
        if is_number:
            if not read_number(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &number) or number > most:
                return at
            values.append(number)
        elif <uint64_t>PyBytes_GET_SIZE(data) > most:
            return at
        else:
            values.append(data)
    return values


def pack_fields(bytes head not None, tuple values not None):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(head), at = size, length
    cdef char digits[DIGITS_MAX]
    cdef list texts = []
    cdef bytes text, packed
    cdef char *out
    for value in values:
        if type(value) is bytes:
            text = value
        elif 0 <= value < 1 << 64:
            text = PyBytes_FromStringAndSize(digits, write_number(value, digits))
        else:
            text = b"%d" % value
        texts.append(text)
        size += 5 + write_number(<uint64_t>PyBytes_GET_SIZE(text), digits) + PyBytes_GET_SIZE(text)
    packed = PyBytes_FromStringAndSize(NULL, size)
    out = PyBytes_AS_STRING(packed)
    memcpy(out, PyBytes_AS_STRING(head), <size_t>at)
    for text in texts:
        length = PyBytes_GET_SIZE(text)
        out[at] = 36
        at += 1 + write_number(<uint64_t>length, out + at + 1)
        out[at], out[at + 1] = 13, 10
        memcpy(out + at + 2, PyBytes_AS_STRING(text), <size_t>length)
        at += 2 + length
        out[at], out[at + 1] = 13, 10
        at += 2
    return packed
