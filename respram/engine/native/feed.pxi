# Part of _native.pyx: the wire. Bytes of a client go in, `dispatch` runs what has no fast path, and replies come out.

# Replies that are sent so often that making an object for each is a cost, and that hold no value.
cdef bytes OK = b"+OK\r\n", NIL = b"$-1\r\n"

cdef object feed_whole(NativeEngine engine, NativeSession session, data, now_ms):
    cdef Py_buffer view
    cdef int64_t now = now_ms
    cdef uint8_t *bytes_
    cdef size_t len_
    cdef Turn turn
    if not 0 <= now <= TTL_MS_MAX:
        raise ValueError("time out of range")
    if engine.c.feed.session is not NULL:
        raise RuntimeError("feed was called from within feed")
    if engine.c.channels.behind:
        engine.hears_first(session)
    if engine.view is not None:
        let_go_of_reply(engine)
    if PyBytes_CheckExact(data):
        turn = feed_start(engine.c, &session.c, <uint8_t *>PyBytes_AS_STRING(data),
                          <size_t>PyBytes_GET_SIZE(data), False, now, False)
        if turn == TURN_COLD:
            serve_cold(engine, session, now_ms)
    else:
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            turn = feed_start(engine.c, &session.c, <uint8_t *>view.buf, <size_t>view.len, not view.readonly, now,
                              False)
            if turn == TURN_COLD:
                serve_cold(engine, session, now_ms)
        finally:
            PyBuffer_Release(&view)
    if engine.c.channels.waiting_count:
        channels_hand_over(engine.c, engine.deliver)
    if engine.c.notes.len or engine.c.notes_lost:
        tell_notes(engine, session)
    return reply_of(engine)


cdef int let_go_of_reply(NativeEngine engine) except -1:
    """Releases the reply's memory. Later access through the view raises ValueError."""
    view, engine.view = engine.view, None
    if Py_REFCNT(<PyObject *>view) > 1:
        view.release()
    return 0


cdef object reply_of(NativeEngine engine):
    cdef size_t len_ = engine.c.reply.len
    if len_ == 0:
        return b""
    if len_ == 5:
        if memcmp(engine.c.reply.bytes, PyBytes_AS_STRING(OK), 5) == 0:
            return OK
        if memcmp(engine.c.reply.bytes, PyBytes_AS_STRING(NIL), 5) == 0:
            return NIL
    engine.view = PyMemoryView_FromMemory(<char *>engine.c.reply.bytes, <Py_ssize_t>len_, PyBUF_READ)
    return engine.view


cdef int serve_cold(NativeEngine engine, NativeSession session, now_ms) except -1:
    cdef const Command *command
    cdef Turn turn = TURN_COLD
    cdef list argv
    while turn == TURN_COLD:
        try:
            if engine.c.channels.waiting_count:
                channels_hand_over(engine.c, engine.deliver)
            # Of an EXEC that has begun its reply `run_queued` tells: a push to its client must not stand in the array.
            # Of a script that is handed over its client is told behind the reply.
            if (engine.c.notes.len or engine.c.notes_lost) and not session.c.midway and not engine.c.programs.log.len:
                tell_notes(engine, session)
            # by what was told or sent before this command; an EXEC is finished
            if session.c.closing and not session.c.midway:
                feed_abandon(engine.c)
                return 0
            if gathered(engine, session):
                feed_suspend(engine.c)
                return 0
            command = feed_cold(engine.c)
            try:
                argv = argv_of(command)
            except MemoryError:
                argv = None
                turn = feed_refuse(engine.c)
                continue
            answer = session.dispatch(session, argv, now_ms)
            if answer is not None and not PyBytes_CheckExact(answer):
                raise TypeError("dispatch answers with bytes or None")
        except BaseException:
            feed_abandon(engine.c)
            raise
        if answer is None:
            feed_suspend(engine.c)
            return 0
        turn = feed_answer(engine.c, <const uint8_t *>PyBytes_AS_STRING(answer), <size_t>PyBytes_GET_SIZE(answer))
    return 0


cdef object feed_say(NativeEngine engine, bytes reply):
    if engine.c.feed.session is NULL and engine.whose is None:
        raise RuntimeError("there is no feed to say this in")
    if not buffer_append(&engine.c.reply, PyBytes_AS_STRING(reply), <size_t>PyBytes_GET_SIZE(reply)):
        raise MemoryError
    engine.c.feed.bytes_left -= PyBytes_GET_SIZE(reply)


cdef object feed_run_queued(NativeEngine engine, NativeSession session, int64_t now_ms, size_t reply_bytes_max):
    cdef Command command
    check_place(0, now_ms)
    if engine.c.feed.session != &session.c:
        raise RuntimeError("what is queued is run by EXEC, in a feed of its session")
    handed = None if multi_run(engine.c, &session.c, now_ms, reply_bytes_max, &command) else argv_of(&command)
    if engine.c.channels.waiting_count:
        channels_hand_over(engine.c, engine.deliver)
    if engine.c.notes.len or engine.c.notes_lost:
        tell_notes(engine, session)
    return handed


cdef object feed_take_next(NativeEngine engine, NativeSession session):
    if engine.c.feed.session != &session.c or not 0 < engine.c.batch.taken < engine.c.batch.count - engine.c.batch.next:
        raise RuntimeError("the first is taken by `take`, and the others as they are shown")
    engine.c.batch.taken += 1


cdef object feed_behind(NativeEngine engine, NativeSession session):
    if engine.c.feed.session != &session.c or not engine.c.batch.taken:
        raise RuntimeError("the first is taken by `take`")
    cdef size_t at = engine.c.batch.next + engine.c.batch.taken
    return argv_of(&engine.c.batch.commands[at]) if at < engine.c.batch.count else None


cdef bint gathered(NativeEngine engine, NativeSession session) except -1:
    """Whether the current command and those after it were handed over for their homes.

    It is called when nothing else keeps the command from its fast path.
    """
    if engine.gathers is None or not home_gathers(engine.c, &session.c):
        return False
    run = homes_take(engine.c, &session.c)
    if run is None:
        return False
    if engine.gathers(session, run):
        return True
    engine.c.batch.taken = 0
    return False
