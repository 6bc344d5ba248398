# Part of _native.pyx: programs and scripts, and what they ask of Python.

cdef truth run_aside(void *with_, CSession *c, const Command *command, int64_t now_ms, int wanted,
                     truth *broken) noexcept:
    """Runs a command of a script. `take_replies`, which `dispatch` calls next, raises its exceptions."""
    cdef NativeEngine engine = <NativeEngine>with_
    cdef NativeSession session = <NativeSession>c.subscriber.object
    if engine.asked is None:
        return False
    try:
        if engine.c.channels.waiting_count:
            channels_hand_over(engine.c, engine.deliver)
        if engine.c.notes.len or engine.c.notes_lost:
            tell_notes(engine, session)
        if session.c.closing:
            return False
        reply = engine.asked(session, argv_of(command), now_ms, wanted)
        if reply is None:
            return False
        if not buffer_append(&engine.c.programs.log, PyBytes_AS_STRING(reply), <size_t>PyBytes_GET_SIZE(reply)):
            broken[0] = True
            return False
        return True
    except BaseException as error:
        engine.failure = error
        return False

cdef object scripts_teach(NativeEngine engine, bytes name, program):
    cdef bytes steps = program.steps
    cdef tuple values = program.constants
    cdef Py_ssize_t count = len(values), number
    cdef Constant *constants = <Constant *>malloc((<size_t>count + 1) * sizeof(Constant))
    if constants is NULL:
        raise MemoryError
    try:
        for number in range(count):
            value = values[number]
            constants[number].is_text = PyBytes_CheckExact(value)
            constants[number].number = 0.0 if PyBytes_CheckExact(value) else value
            constants[number].text = span_of(value if PyBytes_CheckExact(value) else b"")
        return programs_teach(engine.c, span_of(name), span_of(steps), program.registers, constants,
                              <size_t>count) != 0
    finally:
        free(constants)


cdef object scripts_call_inside(NativeEngine engine, NativeSession session, list argv, int64_t now_ms):
    cdef Arg args[16]
    cdef Command command
    cdef bytes text, one
    cdef size_t at = 0, count = 0
    if engine.c.feed.session != &session.c or len(argv) > CALL_ARGS_MAX or not argv:
        return None
    text = b"".join(argv)
    for one in argv:
        args[count].offset = at
        args[count].len = <size_t>PyBytes_GET_SIZE(one)
        at += args[count].len
        count += 1
    memset(&command, 0, sizeof(command))
    command.text, command.args, command.argc = <const uint8_t *>PyBytes_AS_STRING(text), args, count
    reply = scripts_take_replies(engine) if programs_call(engine.c, &session.c, &command, now_ms) else None
    if engine.c.channels.waiting_count:
        channels_hand_over(engine.c, engine.deliver)
    if engine.c.notes.len or engine.c.notes_lost:
        tell_notes(engine, session)
    return reply


cdef object scripts_take_replies(NativeEngine engine):
    if engine.failure is not None:
        failure, engine.failure = engine.failure, None
        raise failure
    if not engine.c.programs.log.len:
        return b""
    taken = PyBytes_FromStringAndSize(<char *>engine.c.programs.log.bytes, <Py_ssize_t>engine.c.programs.log.len)
    buffer_clear(&engine.c.programs.log, 0)
    return taken
