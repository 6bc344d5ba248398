# Part of _pump.pyx: the watched descriptors, and those whose last batch is unfinished.


cdef int control(NativePump pump, int operation, int fd) except -1:
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.fd = fd
    if epoll_ctl(pump.epoll_fd, operation, fd, &event) < 0:
        raise OSError(errno, "epoll_ctl")
    return 0


cdef void drop(NativePump pump, int fd) noexcept:
    cdef Watch *watch = &pump.watches[fd]
    cdef PyObject *client = watch.client
    cdef PyObject *session = watch.session
    cdef int number = 0
    watch.client = watch.session = NULL
    if session is not NULL:
        (<object>session).outlet = -1
    if watch.unfinished:
        while number < pump.unfinished_count and pump.unfinished[number] != fd:
            number += 1
        if number == pump.unfinished_count:
            abort()  # its mark and the queue disagree: a fault of this file
        take_unfinished(pump, number)
    if client is not NULL:
        Py_DECREF(<object>client)
        Py_DECREF(<object>session)


cdef int take_unfinished(NativePump pump, int number) noexcept:
    """Removes and returns the descriptor at this place of the unfinished ones."""
    cdef int fd = pump.unfinished[number]
    pump.watches[fd].unfinished = False
    pump.unfinished_count -= 1
    memmove(pump.unfinished + number, pump.unfinished + number + 1, (pump.unfinished_count - number) * sizeof(int))
    return fd


cdef void put_off(NativePump pump, int fd) noexcept:
    """Marks a batch as unfinished; it continues in the next turns."""
    if pump.watches[fd].unfinished:
        return
    if pump.unfinished_count == pump.watch_count:
        abort()  # it is in the queue already: a fault of this file
    pump.watches[fd].unfinished = True
    pump.unfinished[pump.unfinished_count] = fd
    pump.unfinished_count += 1


cdef int make_room(NativePump pump, int fd) except -1:
    cdef int count = max(64, pump.watch_count)
    while count <= fd:
        count *= 2
    if count == pump.watch_count:
        return 0
    cdef int *row = <int *>PyMem_Realloc(pump.unfinished, count * sizeof(int))
    if row is NULL:
        raise MemoryError
    pump.unfinished = row
    cdef Watch *grown = <Watch *>PyMem_Realloc(pump.watches, count * sizeof(Watch))
    if grown is NULL:
        raise MemoryError
    memset(grown + pump.watch_count, 0, (count - pump.watch_count) * sizeof(Watch))
    pump.watches, pump.watch_count = grown, count
    return 0
