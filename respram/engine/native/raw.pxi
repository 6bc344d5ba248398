# Part of _native.pyx: the functions of raw.pxd, for a pump that calls the engine without an object made.

cdef int feed_raw(object engine, object session, uint8_t *data, size_t len, int64_t now_ms, bint behind,
                  void (*python_comes)(void *), void *context, size_t *reply_start) except -1:
    cdef int fed = 0
    cdef NativeEngine native = <NativeEngine?>engine
    cdef NativeSession one = <NativeSession?>session
    if native.c.feed.session is not NULL:
        raise RuntimeError("feed was called from within feed")
    if native.view is not None:
        let_go_of_reply(native)
    if one.c.subscriber.place:
        python_comes(context)  # messages published to it go before its replies
    if native.c.channels.behind:
        python_comes(context)
        native.hears_first(one)
    reply_start[0] = native.c.reply.len if behind else 0
    if feed_start(native.c, &one.c, data, len, True, now_ms, behind) == TURN_COLD:
        python_comes(context)
        serve_cold(native, one, now_ms)
        fed |= PYTHON_RAN
    if native.c.notes.len or native.c.notes_lost:
        python_comes(context)
        tell_notes(native, one)
        fed |= PYTHON_RAN
    if one.c.suspended or one.c.closing:
        return fed | TAKEN_OVER
    if native.c.channels.waiting_count >= WAITING_MANY or native.c.channels.frames_bytes >= WAITING_BYTES_MUCH:
        fed |= MUCH_WAITS
    return fed | UNFINISHED if one.c.more else fed


cdef const uint8_t *replies_raw(object engine, size_t *end) noexcept:
    cdef Engine *core = (<NativeEngine>engine).c
    end[0] = core.reply.len
    return core.reply.bytes


cdef void sent_raw(object engine) noexcept:
    if (<NativeEngine>engine).view is None:
        feed_forget((<NativeEngine>engine).c)


cdef void pushes_raw(object engine, Push push, void *context) noexcept:
    cdef Engine *core = (<NativeEngine>engine).c
    if core.channels.waiting_count:
        channels_push(core, push, context)


# as raw.pxd has them, which the compiler checks here
cdef Feed feed = feed_raw
cdef Replies replies = replies_raw
cdef Sent sent = sent_raw
cdef Pushes pushes = pushes_raw
FEED = PyCapsule_New(<void *>feed, "respram.feed", NULL)
REPLIES = PyCapsule_New(<void *>replies, "respram.replies", NULL)
SENT = PyCapsule_New(<void *>sent, "respram.sent", NULL)
PUSHES = PyCapsule_New(<void *>pushes, "respram.pushes", NULL)
