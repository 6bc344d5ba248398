# Part of _native.pyx: deliveries of PUBLISH.

DEF SPREAD_KEPT_BYTES_MAX = 65536
DEF SPREAD_HEAD_BYTES = 8


cdef int channels_hand_over(Engine *core, deliver) except -1:
    """Delivers all that waits, by way of Python."""
    cdef Buffer frames
    cdef CSession *session
    while True:
        session = channels_deliver(core, &frames)
        if session is NULL:
            return 0
        try:
            if deliver is not None:
                deliver(<object>session.subscriber.object,
                        PyBytes_FromStringAndSize(<char *>frames.bytes, <Py_ssize_t>frames.len))
        finally:
            channels_delivered(core, &frames)


cdef void channels_push(Engine *core, Push push, void *context) noexcept:
    """The same, by a pump."""
    cdef Buffer frames
    cdef CSession *session
    while True:
        session = channels_deliver(core, &frames)
        if session is NULL:
            return
        push(context, session.subscriber.outlet, <object>session.subscriber.object, frames.bytes, frames.len)
        channels_delivered(core, &frames)


cdef list channels_take(Engine *core):
    cdef const uint8_t *at = core.channels.spread.bytes
    cdef const uint8_t *end = at + core.channels.spread.len
    cdef uint32_t lengths[2]
    cdef list taken = []
    while at < end:
        memcpy(lengths, at, SPREAD_HEAD_BYTES)
        at += SPREAD_HEAD_BYTES
        taken.append((PyBytes_FromStringAndSize(<const char *>at, lengths[0]),
                      PyBytes_FromStringAndSize(<const char *>at + lengths[0], lengths[1])))
        at += <size_t>lengths[0] + lengths[1]
    buffer_clear(&core.channels.spread, SPREAD_KEPT_BYTES_MAX)
    return taken
