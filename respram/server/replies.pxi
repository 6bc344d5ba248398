# Part of _pump.pyx: output. Replies that are sent together, and published messages.


cdef void flush(NativePump pump) noexcept:
    """Sends what waits in the engine's replies. May run Python, where a client takes less than all or is gone."""
    cdef int number, count = pump.unsent_count
    pump.unsent_count = 0
    pump.unsent_bytes = 0
    for number in range(count):
        try:
            send_one(pump, &pump.unsent[number])
        except BaseException as error:
            give_up(pump, &pump.unsent[number], error)
    pushes_raw(pump.engine, push, <void *>pump)
    if count and not pump.feeding:
        sent_raw(pump.engine)


cdef void give_up(NativePump pump, Unsent *one, error) noexcept:
    """What goes wrong with one client's output is the business of nobody whose command runs meanwhile: the loop is
    told. It may have got a part of a reply, so it gets no more.
    """
    try:
        if pump.watches[one.fd].client == one.client:
            (<object>one.client).lost()
    finally:
        pump.loop.call_exception_handler({"message": "a reply could not be sent", "exception": error})


cdef int send_one(NativePump pump, Unsent *one) except -1:
    cdef size_t end
    cdef ssize_t sent = 0
    cdef const uint8_t *reply = replies_raw(pump.engine, &end) + one.start
    if pump.watches[one.fd].client != one.client:
        return 0  # closed in the meantime
    if not pump.watches[one.fd].waiting:
        sent = send(one.fd, reply, one.length, MSG_NOSIGNAL)
        if sent < 0:
            if errno not in (EAGAIN, EINTR):
                pump.plain = False
                (<object>one.client).lost()
                return 0
            sent = 0
    if <size_t>sent < one.length:
        pump.plain = False
        (<object>one.client).send(PyMemoryView_FromMemory(<char *>reply + sent, <Py_ssize_t>one.length - sent,
                                                          PyBUF_READ))
    return 0


cdef bint give_one(NativePump pump, client, bytes data) except -1:
    """The answer of another node to the commands of a client that waits for nothing else and has sent nothing more."""
    session = client.session
    cdef int fd = session.outlet
    cdef Watch *watch = &pump.watches[fd] if 0 <= fd < pump.watch_count else NULL
    cdef ssize_t sent = 0, length = PyBytes_GET_SIZE(data)
    if watch is NULL or watch.client != <PyObject *>client or watch.waiting or watch.unfinished or client.last_read:
        return False
    if not session.taken or session.more or session.buffered_bytes:
        return False
    if length:
        sent = send(fd, PyBytes_AS_STRING(data), <size_t>length, MSG_NOSIGNAL)
        if sent < 0:
            if errno not in (EAGAIN, EINTR):
                client.lost()
                return True
            sent = 0
        pump.output_bytes += <uint64_t>length
        if sent < length:
            client.send(data[sent:])
    if pump.watches[fd].client == <PyObject *>client:
        pump.engine.resume(session)
        pump.watches[fd].away = False
    return True


cdef void push_one(NativePump pump, int fd, session, const uint8_t *frames, size_t length) noexcept:
    """What was published to a session. One whose client is not watched here gets it by way of Python."""
    cdef ssize_t sent = 0
    cdef Watch *watch = &pump.watches[fd] if 0 <= fd < pump.watch_count else NULL
    if watch is NULL or watch.session != <PyObject *>session:
        pump.plain = False
        try:
            pump.engine.deliver(session, PyBytes_FromStringAndSize(<char *>frames, <Py_ssize_t>length))
        except BaseException as error:
            pump.loop.call_exception_handler({"message": "a message could not be delivered", "exception": error})
        return
    pump.output_bytes += length
    client = <object>watch.client
    if not watch.waiting:
        sent = send(fd, frames, length, MSG_NOSIGNAL)
    if 0 <= sent and <size_t>sent == length:
        return
    pump.plain = False
    try:
        if sent < 0 and errno not in (EAGAIN, EINTR):
            client.lost()
        else:
            sent = max(sent, 0)
            client.send(PyMemoryView_FromMemory(<char *>frames + sent, <Py_ssize_t>length - sent, PyBUF_READ))
    except BaseException as error:
        pump.loop.call_exception_handler({"message": "a message could not be delivered", "exception": error})


cdef void push(void *pump, int fd, object session, const uint8_t *frames, size_t length) noexcept:
    push_one(<NativePump>pump, fd, session, frames, length)


cdef void python_comes(void *pump) noexcept:
    flush(<NativePump>pump)
