# Part of _pump.pyx: turns without the loop. _pump.pyx has the reasons.


cdef int stay(NativePump pump) except -1:
    """Turns of our own, until there is something for the loop. Meanwhile it must not watch us: two that watch
    each other are refused by the kernel."""
    cdef int turns = 0
    cdef epoll_event event
    pump.loop.remove_reader(pump.epoll_fd)
    try:
        if not begin_stay(pump):
            pump.loop_fd = -1  # if the kernel refuses once, it will refuse again
            return 0
        pump.stays += 1
        while pump.plain:
            pump.turn(-1)
            turns += 1
    finally:  # nothing before the last line may raise: the loop would never poll again
        if pump.loop_fd >= 0:
            epoll_ctl(pump.epoll_fd, EPOLL_CTL_DEL, pump.loop_fd, &event)
        set_alarm(pump, 0)
        pump.until_stay = STAY_AFTER if turns >= STAY_TURNS_MIN else STAY_AGAIN_AFTER
        pump.loop.add_reader(pump.epoll_fd, pump.ready)
    return 0


cdef bint begin_stay(NativePump pump) noexcept:
    """Watches for the events that end a stay; false if that is impossible."""
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.fd = pump.loop_fd
    if epoll_ctl(pump.epoll_fd, EPOLL_CTL_ADD, pump.loop_fd, &event) < 0:
        return False
    if set_alarm(pump, STAY_MS):
        return True
    epoll_ctl(pump.epoll_fd, EPOLL_CTL_DEL, pump.loop_fd, &event)
    return False


cdef bint set_alarm(NativePump pump, int ms) noexcept:
    """Sets the alarm. 0 turns it off and discards an expiry."""
    cdef itimerspec when
    memset(&when, 0, sizeof(when))
    when.it_value.tv_nsec = ms * 1000000
    return timerfd_settime(pump.alarm_fd, 0, &when, NULL) == 0
