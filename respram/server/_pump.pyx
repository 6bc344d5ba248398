# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The pump where it counts: epoll, recv, the engine's feed and send, with no Python call between them.

It has an epoll of its own, of which the loop watches one descriptor; so a turn of the loop costs its
Python callback once, however many sockets are ready. The contract is `Pump` in pump.py; what is only here is how:
stays, replies that are sent together, and the engine called by way of raw.pxd.

Unpipelined, hardly more than one socket is ready at a time, and a turn of the loop, with an epoll under
another, is as dear as the command itself. So while nothing but plain commands arrives, the pump does not
go back to the loop after each of them: it stays, waits for its sockets by itself, and has the loop's own
descriptor among them. That ends the stay at once when the loop has anything to do; what the loop may do
without a descriptor, its timers, waits for STAY_MS at most.

Pipelined, many are ready, some with long batches. Their replies are sent together; who reads little at a time comes
first, and whose batch is more than one turn's worth goes on in the next turns, among the others. Measured:
docs/decisions/0050-native-pump.md.

A client that took long owes the others that time, half of it forgotten every DEBT_HALVED_MS. Who owes little is served
first, and a turn ends after TURN_US however many still wait: the kernel tells of them again. So fifty clients with dear
commands wait for each other, and one with a PING waits for the command that runs and no more.

The cost of a command is known only after it has run. So among clients without debt, the one with the most cheap reads
since its last dear one is served first. A client that had no place in its turn comes after these, in order of arrival,
and has half a turn. Each turn serves one waiting client even if its time is up: one that was passed over, one in debt
and one with an unfinished batch alternate. (In plain order of arrival 400 connections with one command of 15 ms each
held up a PING for 6 s: docs/decisions/0194-cheap-reads-first.md.)

kernel.pxi, watches.pxi, stays.pxi and replies.pxi are parts of this file.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport PyObject, Py_DECREF, Py_INCREF
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport abort
from libc.string cimport memcpy, memmove, memset
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport close

from respram.engine.native.raw cimport MUCH_WAITS, PYTHON_RAN, TAKEN_OVER, UNFINISHED, Feed, Pushes, Replies, Sent

from respram.engine.native._native import FEED, PUSHES, REPLIES, SENT

include "kernel.pxi"

cdef extern from "Python.h":
    int PyBUF_READ

cdef Feed feed_raw = <Feed>PyCapsule_GetPointer(FEED, "respram.feed")
cdef Sent sent_raw = <Sent>PyCapsule_GetPointer(SENT, "respram.sent")
cdef Pushes pushes_raw = <Pushes>PyCapsule_GetPointer(PUSHES, "respram.pushes")
cdef Replies replies_raw = <Replies>PyCapsule_GetPointer(REPLIES, "respram.replies")

DEF READ_BYTES = 65536  # one read of one client, as in pump.py,
# and of a client with full reads of few commands; even longer reads would delay other clients
DEF LONG_READ_BYTES = 131072
DEF REPLIES_MAX = 32  # replies that are sent together,
DEF REPLIES_BYTES_MAX = 524288  # or so many bytes of them: the processor's cache still has them
DEF EVENTS_MAX = 384  # sockets served in one turn
DEF CROWD = 8  # with more events the clock is read for each
DEF CHEAP_MAX = 65535  # cheap reads are counted up to here
DEF RANK_BITS = 4  # clients of about the same count are equals
DEF RANKS = 5
DEF TURN_US = 5000  # of a turn; one client's share may be as much again, since nothing can be interrupted
DEF DEBT_US_MIN = 500  # a client that owes less delays nobody
DEF DEBT_HALVED_MS = 32
# plain commands in a read up to this are not timed: they take a few us, as would reading the clock
DEF SMALL_READ_BYTES = 4096
DEF STAY_MS = 2  # a timer of the loop may be this late; timers have steps of a ms
DEF STAY_AFTER = 8  # turns of the loop with plain commands only: earlier callbacks of the loop have run by then
DEF STAY_TURNS_MIN = 6  # a stay with fewer turns costs more than it saves
DEF STAY_AGAIN_AFTER = 64  # turns of the loop before the next stay

cdef struct Watch:
    PyObject *client  # owned; NULL: this descriptor is not watched
    PyObject *session  # owned
    bint waiting  # output of this client waits: later replies must queue behind it
    bint active  # it was read since `note_activity`
    bint away  # it is not read until another node has answered its commands
    bint long_reads
    bint passed  # it had no place in its turn
    uint32_t cheap  # reads since the last that took more than DEBT_US_MIN
    bint unfinished  # it is not read until the rest of its input has run
    int64_t debt_us, debt_at_us  # CPU time it owes to the other clients, and when that was set


cdef struct Unsent:
    int fd
    PyObject *client  # only for comparisons
    size_t start, length  # offsets in the engine's replies


cdef inline int64_t debt_of(const Watch *watch, int64_t at_us) noexcept nogil:
    cdef int64_t halved = (at_us - watch.debt_at_us) // (DEBT_HALVED_MS * 1000)
    return watch.debt_us >> halved if halved < 60 else 0


cdef class NativePump:
    cdef object engine, loop
    cdef public object after  # called when clients may have written; None: no observer
    cdef public object weigh  # called when `weigh_bytes` have arrived since the last time
    cdef public uint64_t weigh_bytes
    cdef public uint64_t unweighed_bytes
    cdef int64_t turn_us, clock_us  # start of this turn, and the last reading of the clock
    cdef int epoll_fd
    cdef int alarm_fd  # ends a stay
    cdef int loop_fd  # readable when the loop has something to do; -1: this loop offers none, so there are no stays
    cdef int until_stay  # turns of the loop until the next stay
    cdef unsigned int turns  # decides which kind of waiting client has a place in this turn
    cdef bint plain  # nothing in this turn can have left work for the loop
    cdef uint8_t *buffer
    cdef Watch *watches  # by descriptor
    cdef int watch_count
    cdef int *unfinished  # descriptors in the order of their turns, each once
    cdef int unfinished_count
    cdef bint called  # the loop was asked to call `go_on`
    cdef Unsent unsent[REPLIES_MAX]  # replies of this turn
    cdef int unsent_count
    cdef size_t unsent_bytes
    cdef bint feeding  # the engine's replies include one that is not in `unsent` yet
    cdef readonly uint64_t input_bytes, output_bytes
    cdef readonly uint64_t stays

    def __cinit__(self, engine, loop):
        self.epoll_fd = self.alarm_fd = self.loop_fd = -1
        self.until_stay = STAY_AFTER
        self.engine = engine
        self.loop = loop
        self.buffer = <uint8_t *>PyMem_Calloc(1, LONG_READ_BYTES)
        if self.buffer is NULL:
            raise MemoryError
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, "epoll_create1")
        self.alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        if self.alarm_fd < 0:
            raise OSError(errno, "timerfd_create")

    def __init__(self, engine, loop):
        control(self, EPOLL_CTL_ADD, self.alarm_fd)
        loop.add_reader(self.epoll_fd, self.ready)
        descriptor = getattr(loop, "_get_backend_id", None)  # a method of uvloop
        if descriptor is not None:
            self.loop_fd = descriptor()

    def __dealloc__(self):
        cdef int fd
        for fd in range(self.watch_count):
            drop(self, fd)
        PyMem_Free(self.watches)
        PyMem_Free(self.unfinished)
        PyMem_Free(self.buffer)
        if self.epoll_fd >= 0:
            close(self.epoll_fd)
        if self.alarm_fd >= 0:
            close(self.alarm_fd)

    @property
    def name(self):
        return "native"

    # -- what pump.py has -------------------------------------------------------------------------
    def watch(self, client):
        cdef int fd = client.sock.fileno()
        session = client.session
        if fd < 0:
            raise OSError("the socket is closed")
        make_room(self, fd)
        drop(self, fd)
        control(self, EPOLL_CTL_ADD, fd)
        Py_INCREF(client)
        Py_INCREF(session)
        self.watches[fd].client = <PyObject *>client
        self.watches[fd].session = <PyObject *>session
        self.watches[fd].waiting = client.out_bytes > 0
        self.watches[fd].active = True
        self.watches[fd].long_reads = self.watches[fd].away = self.watches[fd].passed = False
        self.watches[fd].cheap = 0
        session.outlet = fd

    def give(self, client, bytes data not None):
        return give_one(self, client, data)

    def back(self, client):
        cdef int fd = client.sock.fileno()
        if 0 <= fd < self.watch_count and self.watches[fd].client == <PyObject *>client:
            self.watches[fd].away = False

    def unwatch(self, client):
        cdef int fd = client.sock.fileno()
        cdef epoll_event event
        if 0 <= fd < self.watch_count and self.watches[fd].client == <PyObject *>client:
            epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, fd, &event)
            drop(self, fd)

    def hold(self, client, bint waiting):
        cdef int fd = client.sock.fileno()
        if 0 <= fd < self.watch_count and self.watches[fd].client == <PyObject *>client:
            self.watches[fd].waiting = waiting

    def note_activity(self):
        cdef int fd
        now = now_ms()
        for fd in range(self.watch_count):
            if self.watches[fd].client is not NULL and self.watches[fd].active:
                self.watches[fd].active = False
                (<object>self.watches[fd].client).conn.last_active_ms = now

    def take_counts(self):
        counts = self.input_bytes, self.output_bytes
        self.input_bytes = self.output_bytes = 0
        return counts

    def sent(self, size_t count):
        """Counts bytes that the client sends itself, out of turn."""
        self.output_bytes += count

    def close(self):
        self.loop.remove_reader(self.epoll_fd)

    def read(self, client):
        cdef int fd = client.sock.fileno()
        cdef bint is_watched = 0 <= fd < self.watch_count and self.watches[fd].client == <PyObject *>client
        if is_watched and not self.watches[fd].unfinished:
            try:
                self.serve(fd)
            finally:
                flush(self)
                self.see_to_the_rest()

    def feed(self, client, data):
        try:
            reply = self.engine.feed(client.session, data, now_ms())
            if reply:
                self.output_bytes += len(reply)
                client.send(reply)
                del reply
                self.engine.forget_reply()
        except BaseException:
            client.lost()  # its replies no longer match its commands
            raise
        session = client.session
        if session.suspended or session.closing:
            self.see_to(client, client.sock.fileno())
        elif session.more:
            self.put_off_client(client)
        if self.after is not None:
            self.after()

    cdef int see_to(self, client, int fd) except -1:
        cdef bint is_watched = 0 <= fd < self.watch_count and self.watches[fd].client == <PyObject *>client
        if is_watched:
            session = <object>self.watches[fd].session
            if session.taken and not session.closing:  # as `unusual` would say
                self.watches[fd].away = True
                return 0
        if client.unusual() and 0 <= fd < self.watch_count and self.watches[fd].client == <PyObject *>client:
            self.watches[fd].away = True
        return 0

    cdef int put_off_client(self, client) except -1:
        cdef int fd = client.sock.fileno()
        if 0 <= fd < self.watch_count and self.watches[fd].client == <PyObject *>client:
            put_off(self, fd)
            self.see_to_the_rest()
        return 0

    # -- the path of every command ----------------------------------------------------------------
    def ready(self):
        try:
            self.turn(0)
            if not self.plain:
                self.until_stay = STAY_AFTER
            elif self.until_stay:
                self.until_stay -= 1
            elif self.loop_fd >= 0:
                stay(self)
        finally:
            self.see_to_the_rest()

    cdef int see_to_the_rest(self) except -1:
        """Schedules `go_on` for bytes that were read already, which no descriptor reports."""
        if self.unfinished_count and not self.called:
            self.called = True
            self.loop.call_soon(self.go_on)
        return 0

    def go_on(self):
        self.called = False
        if self.unfinished_count:
            self.ready()

    cdef int turn(self, int timeout_ms) except -1:
        """Serves what is ready, or gets ready in time; then those whose last batch is not over, each for one turn's
        worth.
        """
        cdef epoll_event events[EVENTS_MAX]
        cdef int fresh[EVENTS_MAX]
        cdef int passed[EVENTS_MAX]
        cdef int late[EVENTS_MAX]
        cdef int number, fd, count, fresh_count = 0, passed_count = 0, late_count = 0, due = self.unfinished_count
        cdef unsigned int favoured
        cdef int64_t end_us
        if timeout_ms and not self.unfinished_count:
            with nogil:
                count = epoll_wait(self.epoll_fd, events, EVENTS_MAX, timeout_ms)
        else:
            count = epoll_wait(self.epoll_fd, events, EVENTS_MAX, 0)
        # A full turn tells nothing about the remaining events, one of which may end the stay.
        self.plain = (0 < count or 0 < due) and count < EVENTS_MAX
        self.turn_us = self.clock_us = now_us()
        self.turns += 1
        favoured = self.turns % 3
        for number in range(count):
            fd = events[number].data.fd
            if fd == self.alarm_fd or fd == self.loop_fd:
                self.plain = False
            elif self.watches[fd].client is not NULL and not self.watches[fd].unfinished:
                # It has much input, or a debt: other clients come first.
                if self.watches[fd].long_reads or debt_of(&self.watches[fd], self.turn_us) > DEBT_US_MIN:
                    late[late_count] = fd
                    late_count += 1
                elif self.watches[fd].passed:
                    passed[passed_count] = fd
                    passed_count += 1
                else:
                    fresh[fresh_count] = fd
                    fresh_count += 1
        self.rank(fresh, fresh_count)
        for number in range(fresh_count):
            self.offer(fresh[number], count > CROWD, self.turn_us + TURN_US)
        end_us = self.clock_us + TURN_US // 2
        for number in range(passed_count):
            self.offer(passed[number], count > CROWD, INT64_MAX if number == 0 and favoured == 0 else end_us)
        if late_count or due:
            flush(self)  # what follows may take long, and nobody waits for it who has been served
        if late_count and (favoured == 1 or self.clock_us - self.turn_us <= TURN_US):
            self.order(late, late_count)
            for number in range(late_count):
                self.serve_open(late[number])
                if self.clock_us - self.turn_us > TURN_US:
                    break
        if late_count and due:
            flush(self)
        if due and (favoured == 2 or self.clock_us - self.turn_us <= 2 * TURN_US):
            self.answer_more(due)
        flush(self)
        if self.after is not None and self.after():
            self.plain = False
        if self.weigh is not None and self.unweighed_bytes >= self.weigh_bytes:
            self.unweighed_bytes = 0
            self.plain = False  # clients may be closed
            self.weigh()
        return 0

    cdef void rank(self, int *fresh, int count) noexcept:
        """Orders clients by the magnitude of their count of cheap reads, largest first. Equals keep their order."""
        cdef int places[RANKS + 1]
        cdef int ordered[EVENTS_MAX]
        cdef int number, rank
        if count < 2:
            return
        memset(places, 0, sizeof(places))
        for number in range(count):
            places[self.rank_of(fresh[number]) + 1] += 1
        for rank in range(RANKS):
            places[rank + 1] += places[rank]
        for number in range(count):
            rank = self.rank_of(fresh[number])
            ordered[places[rank]] = fresh[number]
            places[rank] += 1
        memcpy(fresh, ordered, count * sizeof(int))

    cdef inline int rank_of(self, int fd) noexcept:
        """0 for the most cheap reads. A rank is a factor of 16."""
        cdef uint32_t cheap = self.watches[fd].cheap >> 3
        cdef int rank = RANKS - 1
        while cheap:
            cheap >>= RANK_BITS
            rank -= 1
        return rank

    cdef int offer(self, int fd, bint looks, int64_t end_us) except -1:
        """Serves a client if there is time left."""
        if looks:
            self.clock_us = now_us()
        if self.clock_us > end_us:
            self.watches[fd].passed = True
        else:
            self.serve_open(fd)
        return 0

    cdef int serve_open(self, int fd) except -1:
        """Serves a client, unless an earlier one has closed it."""
        if self.watches[fd].client is not NULL and not self.watches[fd].unfinished:
            self.watches[fd].passed = False
            self.serve(fd)
        return 0

    cdef void order(self, int *late, int count) noexcept:
        """Orders the clients by debt, the smallest first."""
        cdef int64_t debts[EVENTS_MAX]
        cdef int number, place, fd
        cdef int64_t debt
        for number in range(count):
            fd = late[number]
            debt = debt_of(&self.watches[fd], self.turn_us)
            place = number
            while place and debts[place - 1] > debt:
                late[place], debts[place] = late[place - 1], debts[place - 1]
                place -= 1
            late[place], debts[place] = fd, debt

    cdef void charge(self, int fd) noexcept:
        """Charges the client for the time since the clock was last read."""
        cdef int64_t at_us = now_us()
        cdef Watch *watch = &self.watches[fd]
        if at_us - self.clock_us > DEBT_US_MIN:
            watch.cheap = 0
        watch.debt_us = debt_of(watch, at_us) + at_us - self.clock_us
        watch.debt_at_us = self.clock_us = at_us

    cdef int answer_more(self, int count) except -1:
        """One turn's worth for the first of those whose last batch is not over."""
        while count > 0 and self.unfinished_count:
            count -= 1
            self.answer(take_unfinished(self, 0), 0)
            if self.clock_us - self.turn_us > 2 * TURN_US:
                break
        return 0

    cdef int serve(self, int fd) except -1:
        cdef Watch *watch = &self.watches[fd]
        cdef ssize_t wanted = LONG_READ_BYTES if watch.long_reads else READ_BYTES
        cdef ssize_t count
        if watch.away:
            self.plain = False
            (<object>watch.client).crowd()
            return 0
        count = recv(fd, self.buffer, wanted, 0)
        if count <= 0:
            if count == 0 or errno not in (EAGAIN, EINTR):
                flush(self)
                self.plain = False
                if self.watches[fd].client is not NULL:
                    (<object>self.watches[fd].client).lost()
            return 0
        self.input_bytes += <uint64_t>count
        self.unweighed_bytes += <uint64_t>count
        watch.active = True
        watch.long_reads = count == wanted  # unless that exceeds one turn, which `answer` finds out
        if watch.cheap < CHEAP_MAX:
            watch.cheap += 1  # `charge` clears it if the read was dear
        self.answer(fd, <size_t>count)
        return 0

    cdef int answer(self, int fd, size_t count) except -1:
        """Runs what was read. The reply is sent with those of others, all together: a client that takes them one by one
        as they are made is asleep again each time, and waking it costs as much as a few commands.
        """
        cdef PyObject *client = self.watches[fd].client
        cdef size_t start = 0, end = 0
        cdef int fed
        owned = <object>client
        self.feeding = True
        try:
            fed = feed_raw(
                self.engine, <object>self.watches[fd].session, self.buffer, count, now_ms(), self.unsent_count > 0,
                python_comes, <void *>self, &start,
            )
        except BaseException:
            self.feeding = False
            flush(self)
            owned.lost()  # its replies no longer match its commands
            raise
        self.feeding = False
        replies_raw(self.engine, &end)
        self.output_bytes += end - start
        # A command may have closed this client, and the table may have moved.
        if end > start and self.watches[fd].client == client:
            self.unsent[self.unsent_count] = Unsent(fd, client, start, end - start)
            self.unsent_count += 1
            self.unsent_bytes += end - start + count
        if fed & UNFINISHED and self.watches[fd].client == client:
            self.watches[fd].long_reads = False
            put_off(self, fd)
        if fed & (TAKEN_OVER | PYTHON_RAN):
            self.plain = False
            flush(self)
            if fed & TAKEN_OVER:
                self.see_to(owned, fd)
        elif fed & MUCH_WAITS or self.unsent_count == REPLIES_MAX or self.unsent_bytes >= REPLIES_BYTES_MAX:
            flush(self)
        if fed or not count or count > SMALL_READ_BYTES:
            self.charge(fd)
        return 0


include "watches.pxi"
include "stays.pxi"
include "replies.pxi"
