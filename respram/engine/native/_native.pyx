# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The Python binding of the native engine: it translates and does nothing else. The contract is engine/api.py.

This file unpacks arguments, wraps results, and calls `dispatch` and the observer. It makes no decision about a
record, a request or a reply; those belong to the C core, see engine.h.
core.pxd declares the core; session.pxi, channels.pxi, selection.pxi, peers.pxi, seals.pxi, patterns.pxi and homes.pxi
are parts of this file.
"""

from cpython.bytearray cimport PyByteArray_AsString
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from respram.engine.native.core cimport *
from respram.engine.native.raw cimport MUCH_WAITS, PYTHON_RAN, TAKEN_OVER, UNFINISHED, Feed, Push, Pushes, Replies, Sent

from respram.engine.api import EXPIRED, MEMBERS_BYTES_MAX, MERGED, NEW, SEEN, Entry, Group, Merged, Run, Scan
from respram.engine.replication import BucketDigest, Digest, Fetched, Found
from respram.errors import AllowanceError

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)
    int PyBUF_READ, PyBUF_WRITE

DEF NOTE_HEAD_BYTES = 6
DEF FEED_COMMAND_US = 4  # as in api.py
DEF NOTES_KEPT_BYTES_MAX = 65536
DEF TTL_MS_MAX = 1 << 46  # about 2,230 years: deadlines take 48 bits of a record
DEF RECORD_OVERHEAD_BYTES = 70  # header 48, half a step of the arena's sizes 8, table 14 at 4.5 of 7 slots
DEF LENGTH_MAX = (1 << 32) - 1  # of a key or a value in a record
DEF FETCHED_BYTES_MAX = 1 << 20  # of a collection that a peer requests by its key; the rest follows with the dump
DEF FETCHED_PIECE_BYTES = 262144  # as in replication.py
DEF SHADOW_BYTES = 6
DEF WAITING_MANY = 32  # with this many sessions to deliver to, delivery is a turn's work,
DEF WAITING_BYTES_MUCH = 262144  # likewise with this many bytes
DEF TRACED_BYTES = 44  # added in a node that may have peers: trace 32, place in a granule's list 12

# by the number of the note
cdef tuple EVENTS = (NEW, EXPIRED, MERGED, b"incrby", b"expire", b"append", b"setrange", b"setbit", b"del", SEEN,
                     b"incrbyfloat", b"copy_to", b"hincrby", b"zincr", b"zremrangebyscore", b"zremrangebyrank",
                     b"hexpire", b"hincrbyfloat", b"zremrangebylex", b"zpopmin", b"zpopmax", b"spop")
# Replies that are sent so often that making an object for each is a cost, and that hold no value.
cdef bytes OK = b"+OK\r\n", NIL = b"$-1\r\n"


from respram.engine.api import Member, Members

# from NOTE_PUT on
cdef tuple MEMBER_EVENTS = (b"hset", b"sadd", b"zadd", b"hdel", b"srem", b"zrem", b"hexpired", b"sexpired", b"zexpired")


cdef inline bytes bytes_of(Span span):
    return PyBytes_FromStringAndSize(<const char *>span.bytes, <Py_ssize_t>span.len)


cdef inline Span span_of(bytes data) except *:
    cdef Span span
    if data is None:
        raise TypeError("bytes are needed")
    span.bytes = <const uint8_t *>PyBytes_AS_STRING(data)
    span.len = <size_t>PyBytes_GET_SIZE(data)
    return span


cdef bytes packed(Engine *engine, const Record *record):
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>record_packed_bytes(engine, record))
    record_pack(engine, record, <uint8_t *>PyBytes_AS_STRING(whole))
    return whole


cdef int see_key(void *context, const Record *record) except -1:
    (<list>context).append(bytes_of(record_key(record)))
    return 0


include "session.pxi"
include "channels.pxi"
include "selection.pxi"
include "peers.pxi"
include "seals.pxi"
include "patterns.pxi"
include "homes.pxi"


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
            engine.tell_notes(session)
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


cdef enum:
    RANKED_AT_ONCE = 256  # members of a sorted set that are requested from the core at a time


cdef class NativeEngine:
    cdef Engine *c
    cdef object told  # the observer
    cdef object asked  # called `aside` in api.py
    cdef object failure  # its exception, until `take_replies`
    cdef object gathers  # see Gather in api.py
    cdef public object deliver
    cdef object view  # of the last reply, valid until the next `feed`
    cdef NativeSession whose  # the session whose fast path is reporting to the observer
    cdef Keys keys  # None: values are not sealed

    def __cinit__(self, settings):
        cdef CSettings c = settings_of(settings)
        self.c = engine_new(&c)
        if self.c is NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.c is not NULL:
            engine_free(self.c)

    @property
    def name(self):
        return "native"

    @property
    def hot_reads(self):
        return self.c.hot_reads

    @hot_reads.setter
    def hot_reads(self, bint allowed):
        self.c.hot_reads = allowed

    @property
    def hot_writes(self):
        return self.c.hot_writes

    @hot_writes.setter
    def hot_writes(self, bint allowed):
        self.c.hot_writes = allowed

    @property
    def awake_until_ms(self):
        return self.c.awake_until_ms

    @awake_until_ms.setter
    def awake_until_ms(self, int64_t moment_ms):
        self.c.awake_until_ms = moment_ms

    @property
    def observer(self):
        return self.told

    @observer.setter
    def observer(self, observer):
        self.told = observer
        self.c.observed = observer is not None

    def configure(self, settings):
        cdef CSettings c = settings_of(settings)
        engine_configure(self.c, &c)

    cdef int tell_notes(self, NativeSession session) except -1:
        """Reports the notes to the observer in order, with the session as their cause."""
        self.whose = session
        try:
            self.tell_all()
        finally:
            self.whose = None
        return 0

    @property
    def telling(self):
        return self.whose

    cdef int tell_all(self) except -1:
        cdef bytes notes = PyBytes_FromStringAndSize(<char *>self.c.notes.bytes, <Py_ssize_t>self.c.notes.len)
        cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(notes)
        cdef const uint8_t *end = at + PyBytes_GET_SIZE(notes)
        cdef uint32_t key_bytes
        cdef bint lost = self.c.notes_lost
        buffer_clear(&self.c.notes, NOTES_KEPT_BYTES_MAX)
        self.c.notes_lost = False
        while at < end:
            memcpy(&key_bytes, at + 2, 4)
            if self.told is not None:
                self.told((EVENTS[at[0]] if at[0] < NOTE_PUT else MEMBER_EVENTS[at[0] - NOTE_PUT]), at[1],
                          PyBytes_FromStringAndSize(<const char *>at + NOTE_HEAD_BYTES, key_bytes))
            at += NOTE_HEAD_BYTES + key_bytes
        if lost:
            raise MemoryError
        return 0

    # -- the wire -------------------------------------------------------------------------------
    def session(self, dispatch):
        return NativeSession(dispatch)

    def guard(self, patterns):
        return NativeGuard(patterns)

    def patterns(self):
        return NativePatterns()

    def feed(self, NativeSession session not None, data, now_ms):
        cdef Py_buffer view
        cdef int64_t now = now_ms
        cdef uint8_t *bytes_
        cdef size_t len_
        cdef Turn turn
        if not 0 <= now <= TTL_MS_MAX:
            raise ValueError("time out of range")
        if self.c.feed.session is not NULL:
            raise RuntimeError("feed was called from within feed")
        if self.view is not None:
            self.let_go_of_reply()
        if PyBytes_CheckExact(data):
            turn = feed_start(self.c, &session.c, <uint8_t *>PyBytes_AS_STRING(data),
                              <size_t>PyBytes_GET_SIZE(data), False, now, False)
            if turn == TURN_COLD:
                self.serve_cold(session, now_ms)
        else:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
            try:
                turn = feed_start(self.c, &session.c, <uint8_t *>view.buf, <size_t>view.len, not view.readonly, now,
                                  False)
                if turn == TURN_COLD:
                    self.serve_cold(session, now_ms)
            finally:
                PyBuffer_Release(&view)
        if self.c.channels.waiting_count:
            channels_hand_over(self.c, self.deliver)
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(session)
        return self.reply()

    def forget_reply(self):
        if self.view is not None:
            self.let_go_of_reply()
        feed_forget(self.c)

    cdef int let_go_of_reply(self) except -1:
        """Releases the reply's memory. Later access through the view raises ValueError."""
        view, self.view = self.view, None
        if Py_REFCNT(<PyObject *>view) > 1:
            view.release()
        return 0

    cdef object reply(self):
        cdef size_t len_ = self.c.reply.len
        if len_ == 0:
            return b""
        if len_ == 5:
            if memcmp(self.c.reply.bytes, PyBytes_AS_STRING(OK), 5) == 0:
                return OK
            if memcmp(self.c.reply.bytes, PyBytes_AS_STRING(NIL), 5) == 0:
                return NIL
        self.view = PyMemoryView_FromMemory(<char *>self.c.reply.bytes, <Py_ssize_t>len_, PyBUF_READ)
        return self.view

    cdef int serve_cold(self, NativeSession session, now_ms) except -1:
        cdef const Command *command
        cdef Turn turn = TURN_COLD
        cdef list argv
        while turn == TURN_COLD:
            try:
                if self.c.channels.waiting_count:
                    channels_hand_over(self.c, self.deliver)
                if self.c.notes.len or self.c.notes_lost:
                    self.tell_notes(session)
                # by what was told or sent before this command; an EXEC is finished
                if session.c.closing and not session.c.midway:
                    feed_abandon(self.c)
                    return 0
                if self.gathered(session):
                    feed_suspend(self.c)
                    return 0
                command = feed_cold(self.c)
                try:
                    argv = argv_of(command)
                except MemoryError:
                    argv = None
                    turn = feed_refuse(self.c)
                    continue
                answer = session.dispatch(session, argv, now_ms)
                if answer is not None and not PyBytes_CheckExact(answer):
                    raise TypeError("dispatch answers with bytes or None")
            except BaseException:
                feed_abandon(self.c)
                raise
            if answer is None:
                feed_suspend(self.c)
                return 0
            turn = feed_answer(self.c, <const uint8_t *>PyBytes_AS_STRING(answer), <size_t>PyBytes_GET_SIZE(answer))
        return 0

    def say(self, bytes reply not None):
        if self.c.feed.session is NULL and self.whose is None:
            raise RuntimeError("there is no feed to say this in")
        if not buffer_append(&self.c.reply, PyBytes_AS_STRING(reply), <size_t>PyBytes_GET_SIZE(reply)):
            raise MemoryError
        self.c.feed.bytes_left -= PyBytes_GET_SIZE(reply)

    def run_queued(self, NativeSession session not None, int64_t now_ms, size_t reply_bytes_max):
        cdef Command command
        check_place(0, now_ms)
        if self.c.feed.session != &session.c:
            raise RuntimeError("what is kept is run by EXEC, in a feed of its session")
        handed = None if kept_run(self.c, &session.c, now_ms, reply_bytes_max, &command) else argv_of(&command)
        if self.c.channels.waiting_count:
            channels_hand_over(self.c, self.deliver)
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(session)
        return handed

    def teach(self, bytes name not None, program):
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
            return programs_teach(self.c, span_of(name), span_of(steps), program.registers, constants,
                                  <size_t>count) != 0
        finally:
            free(constants)

    def open_lua(self, bytes path not None):
        return __file__.encode("utf-8", "surrogateescape") if lua_begin(self.c, PyBytes_AS_STRING(path)) else None

    def limit_lua(self, size_t bytes_max, size_t worn_bytes):
        lua_limit(self.c, bytes_max, worn_bytes)

    @property
    def aside(self):
        return self.asked

    @aside.setter
    def aside(self, asked):
        self.asked = asked
        self.c.programs.aside, self.c.programs.aside_with = run_aside, <void *>self

    def close_lua(self):
        lua_end(self.c)

    def teach_script(self, bytes name not None, uint32_t script, bytes digest not None):
        return programs_teach_script(self.c, span_of(name), script, span_of(digest)) != 0

    def unteach(self, bytes name not None):
        programs_unteach(self.c, span_of(name))

    def call_inside(self, NativeSession session not None, list argv not None, int64_t now_ms):
        cdef Arg args[16]
        cdef Command command
        cdef bytes text, one
        cdef size_t at = 0, count = 0
        if self.c.feed.session != &session.c or len(argv) > CALL_ARGS_MAX or not argv:
            return None
        text = b"".join(argv)
        for one in argv:
            args[count].offset = at
            args[count].len = <size_t>PyBytes_GET_SIZE(one)
            at += args[count].len
            count += 1
        memset(&command, 0, sizeof(command))
        command.text, command.args, command.argc = <const uint8_t *>PyBytes_AS_STRING(text), args, count
        reply = self.take_replies() if programs_call(self.c, &session.c, &command, now_ms) else None
        if self.c.channels.waiting_count:
            channels_hand_over(self.c, self.deliver)
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(session)
        return reply

    def take_replies(self):
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        if not self.c.programs.log.len:
            return b""
        taken = PyBytes_FromStringAndSize(<char *>self.c.programs.log.bytes, <Py_ssize_t>self.c.programs.log.len)
        buffer_clear(&self.c.programs.log, 0)
        return taken

    def allow(self, uint64_t own_bytes):
        if self.c.feed.session is not NULL:
            engine_allow(self.c, own_bytes)

    def spend(self, size):
        self.look(min(max(size, 0), 1 << 60))

    def spent(self):
        return self.c.moved >= self.c.moved_max

    def took(self, int64_t micros):
        if self.c.feed.session is not NULL:
            self.c.feed.commands_left -= max(micros, 0) // FEED_COMMAND_US

    def resume(self, NativeSession session not None):
        session.c.suspended = False
        session.c.retried = not session.c.taken
        session.c.taken = False

    def use_homes(self, homes):
        if homes is not None and (not PyBytes_CheckExact(homes) or PyBytes_GET_SIZE(homes) != 2 * HOME_SLOTS):
            raise ValueError("a table of homes has 16,384 numbers of 16 bits")
        # Not a conditional expression: Cython gives that a `void *`, and clang does not let it drop the `const`.
        cdef const uint8_t *table = NULL
        if homes is not None:
            table = <const uint8_t *>PyBytes_AS_STRING(homes)
        if not homes_use(self.c, table):
            raise MemoryError

    def kept_home(self, NativeSession session not None):
        return kept_home(self.c, &session.c)

    def take(self, NativeSession session not None):
        if self.c.feed.session != &session.c:
            raise RuntimeError("commands are taken by dispatch, in a feed of their session")
        self.c.batch.taken = 1

    def take_next(self, NativeSession session not None):
        if self.c.feed.session != &session.c or not 0 < self.c.batch.taken < self.c.batch.count - self.c.batch.next:
            raise RuntimeError("the first is taken by `take`, and the others as they are shown")
        self.c.batch.taken += 1

    def behind(self, NativeSession session not None):
        if self.c.feed.session != &session.c or not self.c.batch.taken:
            raise RuntimeError("the first is taken by `take`")
        cdef size_t at = self.c.batch.next + self.c.batch.taken
        return argv_of(&self.c.batch.commands[at]) if at < self.c.batch.count else None

    def take_run(self, NativeSession session not None):
        if self.c.feed.session != &session.c:
            raise RuntimeError("commands are taken by dispatch, in a feed of their session")
        return homes_take(self.c, &session.c)

    @property
    def gather(self):
        return self.gathers

    @gather.setter
    def gather(self, gather):
        self.gathers = gather

    cdef bint gathered(self, NativeSession session) except -1:
        """Whether the current command and those after it were handed over for their homes.

        It is called when nothing else keeps the command from its fast path.
        """
        if self.gathers is None or not home_gathers(self.c, &session.c):
            return False
        run = homes_take(self.c, &session.c)
        if run is None:
            return False
        if self.gathers(session, run):
            return True
        self.c.batch.taken = 0
        return False

    def slot_away(self, bytes keys not None, bytes table not None):
        return homes_slot_away(keys, table)

    def cut_replies(self, bytes data not None, list counts not None):
        return homes_cut(data, counts)

    def weave_replies(self, bytes order not None, list groups not None):
        return homes_weave(order, groups)

    def close(self, NativeSession session not None):
        if self.c.feed.session == &session.c:
            session.c.closing = True  # its buffers are in use; the feed frees them at its end
        else:
            session_close(&session.c)

    # -- publications -----------------------------------------------------------------------------
    @property
    def spreads(self):
        return self.c.channels.spreads

    @spreads.setter
    def spreads(self, bint spreads):
        self.c.channels.spreads = spreads

    def listen(self, NativeSession session not None, bytes name not None, bint by_pattern=False):
        if not channels_listen(self.c, &session.c, span_of(name), by_pattern):
            raise MemoryError

    def unlisten(self, NativeSession session not None, bytes name not None, bint by_pattern=False):
        channels_unlisten(self.c, &session.c, span_of(name), by_pattern)

    def published(self):
        return self.c.channels.spread.len > 0

    def take_published(self):
        return channels_take(self.c)

    # -- sealing ----------------------------------------------------------------------------------
    def use_seals(self, ring, bint writes, bint lent=False):
        """`lent`: the cipher is `cryptography`'s, even where there is a libcrypto."""
        if holds_records(self.c):
            raise AssertionError("sealing is begun before the first record")
        self.keys = Keys(ring)
        self.keys.begin(self.c, writes, lent)

    @property
    def cipher(self):
        text = library() if self.keys is not None and self.c.seals.lender.ciphers_here else None
        return "cryptography" if text is None else text

    def seal_keys(self):
        return set() if self.keys is None else self.keys.in_use()

    def leave_pad(self):
        seal_leave_pad(self.c)

    # -- the keyspace, for commands ---------------------------------------------------------------
    cdef object entry(self, int db, bytes key, int64_t now_ms, bint with_value):
        check_place(db, now_ms)
        cdef Span span = span_of(key)
        cdef const Record *record = keyspace_row(self.c, db, keyspace_hash(self.c, span), span, now_ms)
        if record is NULL:
            self.c.misses += 1
            return None
        self.c.hits += 1
        cdef size_t length = record_value_bytes(record)
        cdef bytes value = b""
        cdef const Family *family
        if record_kind(record):
            family = family_settled(self.c, record, now_ms)
            return Entry(b"", family.count - family.dying, record_deadline_ms(record),
                         bool(record.flags & RECORD_IMPLICIT),
                         record.clock, self.c.nodes.numbers[record.node], record_kind(record), family.version)
        if with_value and length:
            if self.c.moved > self.c.moved_max or length > self.c.moved_max - self.c.moved:
                raise AllowanceError
            self.c.moved += length
            value = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>length)
            if not seal_open(self.c, record, <uint8_t *>PyBytes_AS_STRING(value)):
                raise MemoryError
        return Entry(value, length, record_deadline_ms(record), bool(record.flags & RECORD_IMPLICIT),
                     record.clock, self.c.nodes.numbers[record.node])

    def lookup(self, int db, bytes key not None, int64_t now_ms):
        return self.after(self.entry(db, key, now_ms, True))

    def peek(self, int db, bytes key not None, int64_t now_ms):
        return self.after(self.entry(db, key, now_ms, False))

    cdef object after(self, answer):
        """Reports notes after a lookup, since a lookup destroys the expired members of a collection."""
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(None)
        return answer

    def store(self, int db, bytes key not None, bytes value not None, int64_t deadline_ms, bint implicit,
              int64_t now_ms, event):
        check_place(db, now_ms)
        cdef Span span = span_of(key), content = span_of(value)
        if not 0 <= deadline_ms <= TIME_MS_MAX:
            raise ValueError("deadline out of range")
        if span.len > LENGTH_MAX or content.len > LENGTH_MAX:
            raise MemoryError
        if not keyspace_store(self.c, db, keyspace_hash(self.c, span), span, content, deadline_ms, implicit,
                              now_ms, <uint8_t>NOTE_NONE):
            raise MemoryError
        self.tell_of(event, db, key)

    def retime(self, int db, bytes key not None, int64_t deadline_ms, bint implicit, int64_t now_ms, event):
        check_place(db, now_ms)
        cdef Span span = span_of(key)
        cdef truth found = 0
        if not 0 <= deadline_ms <= TIME_MS_MAX:
            raise ValueError("deadline out of range")
        if not keyspace_retime(self.c, db, keyspace_hash(self.c, span), span, deadline_ms, implicit, now_ms,
                                <uint8_t>NOTE_NONE, &found):
            raise MemoryError
        if found:
            self.tell_of(event, db, key)
        return found != 0

    def let_go(self, int db, bytes key not None, int64_t now_ms, event):
        check_place(db, now_ms)
        cdef Span span = span_of(key)
        cdef truth found = 0
        if not keyspace_let_go(self.c, db, keyspace_hash(self.c, span), span, now_ms, &found):
            raise MemoryError
        if found:
            self.tell_of(event, db, key)
        return self.after(found != 0)

    cdef int tell_of(self, event, int db, bytes key) except -1:
        if self.told is None:
            return 0
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(None)
        self.told(event, db, key)
        return 0

    def digest_value(self, bytes value not None):
        return xxh3(span_of(value))

    def full(self):
        return engine_full(self.c)

    def count(self, int db, int64_t now_ms):
        check_place(db, now_ms)
        return walk_count(self.c, db, now_ms)

    def scan(self, int db, cursor, count, int64_t now_ms):
        check_place(db, now_ms)
        cdef uint64_t place = cursor & 0xffffffffffffffff
        cdef list keys = []
        walk_scan(self.c, db, &place, min(max(count, 0), 1 << 60), now_ms, see_key, <void *>keys)
        return Scan(place, keys)

    def sample(self, int db, draw, int64_t now_ms):
        check_place(db, now_ms)
        cdef const Record *record = walk_sample(self.c, db, draw & 0xffffffffffffffff, now_ms)
        return None if record is NULL else bytes_of(record_key(record))

    def ttl_average_ms(self, int db, int64_t now_ms):
        check_place(db, now_ms)
        return walk_ttl_average_ms(self.c, db, now_ms)

    # -- collections ------------------------------------------------------------------------------
    cdef Record *head(self, int db, bytes key, int64_t now_ms) except? NULL:
        check_place(db, now_ms)
        cdef Span span = span_of(key)
        return family_head(self.c, db, keyspace_hash(self.c, span), span, now_ms)

    cdef int look(self, size_t size) except -1:
        if self.c.moved >= self.c.moved_max or size >= self.c.moved_max - self.c.moved:
            raise AllowanceError
        self.c.moved += LOOK_BYTES + size
        return 0

    cdef object shown(self, const Record *record):
        cdef size_t length = record_value_bytes(record)
        self.look(length)
        cdef bytes value = b""
        if length:
            value = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>length)
            if not seal_open(self.c, record, <uint8_t *>PyBytes_AS_STRING(value)):
                raise MemoryError
        return Member(bytes_of(member_name(record_key(record))), value, record_deadline_ms(record),
                      not record.flags & RECORD_IMPLICIT)

    def found(self, int db, bytes key not None, int kind, int64_t deadline_ms, bint implicit, int64_t now_ms):
        check_place(db, now_ms)
        cdef Span span = span_of(key)
        if not 1 <= kind <= 3 or not 0 <= deadline_ms <= TIME_MS_MAX:
            raise ValueError("kind or deadline out of range")
        if not family_found(self.c, db, keyspace_hash(self.c, span), span, <uint8_t>kind, deadline_ms, implicit,
                            now_ms):
            raise MemoryError
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(None)

    def member(self, int db, bytes key not None, bytes name not None, int64_t now_ms):
        cdef Record *head = self.head(db, key, now_ms)
        cdef const Record *record = NULL
        if head is not NULL:
            record = family_find(self.c, head, span_of(name), now_ms)
        if record is NULL:
            self.look(0)
        return None if record is NULL else self.shown(record)

    def put_member(self, int db, bytes key not None, bytes name not None, bytes value not None, deadline_ms,
                   int64_t now_ms):
        cdef Record *head = self.head(db, key, now_ms)
        cdef truth is_new = 0
        cdef int64_t own_ms = 0 if deadline_ms is None else deadline_ms
        if head is NULL:
            raise AssertionError("the head comes first")
        if not 0 <= own_ms <= TIME_MS_MAX:
            raise ValueError("deadline out of range")
        if PyBytes_GET_SIZE(key) + PyBytes_GET_SIZE(name) + 4 > LENGTH_MAX or PyBytes_GET_SIZE(value) > LENGTH_MAX:
            raise MemoryError
        if not family_put(self.c, head, span_of(name), span_of(value), own_ms, now_ms, &is_new):
            raise MemoryError
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(None)
        return is_new != 0

    def let_go_member(self, int db, bytes key not None, bytes name not None, int64_t now_ms):
        cdef Record *head = self.head(db, key, now_ms)
        cdef truth found = 0
        if head is not NULL and not family_let_go(self.c, head, span_of(name), now_ms, &found):
            raise MemoryError
        return found != 0

    def members(self, int db, bytes key not None, cursor, count, int64_t now_ms):
        cdef Record *head = self.head(db, key, now_ms)
        cdef const Family *family
        cdef uint64_t at, stop, wanted = min(max(count, 0), 1 << 60)
        cdef size_t size = 0, size_max = MEMBERS_BYTES_MAX
        cdef list found = []
        if head is NULL:
            return Members(0, found)
        family = family_settled(self.c, head, now_ms)
        at = min(cursor, family.count) if cursor else family.count
        stop = at - wanted if at > wanted else 0
        if stop < family.dying:
            stop = family.dying
        while at > stop and size < size_max:
            at -= 1
            found.append(self.shown(family_member(family, at)))
            size += record_value_bytes(family_member(family, at))
        return self.after(Members(at if at > family.dying else 0, found))

    def member_at(self, int db, bytes key not None, uint64_t place, int64_t now_ms):
        cdef Record *head = self.head(db, key, now_ms)
        cdef const Family *family
        if head is NULL:
            return None
        family = family_settled(self.c, head, now_ms)
        return self.after(
            self.shown(family_member(family, family.dying + place)) if place < family.count - family.dying else None)

    def draw(self, uint64_t below):
        return draw_below(self.c, below)

    def place(self, int db, bytes key not None, double score, bytes name, bint after, int64_t now_ms):
        cdef Record *head = self.head(db, key, now_ms)
        cdef Span span
        if name is None:
            return family_place(self.c, head, score, NULL, after, now_ms)
        span = span_of(name)
        return family_place(self.c, head, score, &span, after, now_ms)

    def ranked(self, int db, bytes key not None, start, count, bint downwards, int64_t now_ms):
        cdef Record *head = self.head(db, key, now_ms)
        cdef Ranked found[RANKED_AT_ONCE]
        cdef size_t number, got, wanted
        cdef uint64_t rank = min(max(start, 0), 1 << 60), left = min(max(count, 0), 1 << 60)
        cdef list items = []
        if start < 0:
            return items
        while left:
            wanted = <size_t>min(left, <uint64_t>RANKED_AT_ONCE)
            got = family_ranked(self.c, head, rank, wanted, downwards, now_ms, found)
            for number in range(got):
                self.look(0)
                items.append((found[number].score, bytes_of(member_name(record_key(found[number].record)))))
            left -= got
            if got < wanted or (downwards and rank < got):
                break
            rank = rank - got if downwards else rank + got
        return items

    def tell(self, event, int db, bytes key not None):
        self.tell_of(event, db, key)

    # -- time -------------------------------------------------------------------------------------
    def expire(self, int64_t now_ms, int64_t budget):
        check_place(0, now_ms)
        cdef uint64_t touched = keyspace_expire(self.c, now_ms, <uint64_t>max(budget, 0))
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(None)
        return touched

    def next_due_ms(self, int64_t now_ms):
        cdef bint is_due = self.c.work_first is not NULL or self.c.graves.count
        cdef int64_t due_ms = 0 if is_due else wheel_next_ms(&self.c.wheel)
        cdef int64_t stubs_ms = stubs_next_ms(&self.c.stubs)
        if due_ms < 0 or 0 <= stubs_ms < due_ms:
            due_ms = stubs_ms
        return None if due_ms < 0 else due_ms

    # -- replication ------------------------------------------------------------------------------
    def merge(self, payload, int64_t now_ms):
        cdef Py_buffer view
        cdef CMerged merged
        check_place(0, now_ms)
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        merged = keyspace_merge(self.c, <const uint8_t *>view.buf, <size_t>view.len, now_ms)
        PyBuffer_Release(&view)
        if self.c.notes.len or self.c.notes_lost:
            self.tell_notes(None)
        return Merged(merged.fresh, merged.known, merged.refused, merged.malformed, merged.strange)

    def drain(self, int64_t bytes_max):
        cdef Buffer drained
        memset(&drained, 0, sizeof(drained))
        try:
            outbox_drain(self.c, <uint64_t>max(bytes_max, 0), &drained)
            return PyBytes_FromStringAndSize(<char *>drained.bytes, <Py_ssize_t>drained.len)
        finally:
            buffer_clear(&drained, 0)

    def waits(self, int db, bytes keys not None):
        check_place(db, 0)
        return homes_waits(self.c, db, keys)

    def outbox_overflowed(self):
        overflowed = self.c.outbox.overflowed
        self.c.outbox.overflowed = False
        return bool(overflowed)

    def records(self, int db):
        check_place(db, 0)
        found = Packed(self)
        walk_all(self.c, db, see_record, <void *>found)
        stubs_walk(&self.c.stubs, see_stub, <void *>found)
        return found.records + [stub for stub in found.stubs if stub[1] == db]

    def track(self, uint64_t ids_key, int64_t now_ms=0):
        peers_track(self.c, ids_key, now_ms)

    def digest(self, cut, int64_t now_ms):
        return peers_digest(self.c, cut, now_ms)

    def bucket_digests(self, cut, int shift, int64_t now_ms):
        return peers_bucket_digests(self.c, cut, shift, now_ms)

    def count_since(self, since):
        return peers_count_since(self.c, since)

    def fill(self, bloom, selection, cursor, budget):
        return peers_fill(self.c, bloom, selection, cursor, budget)

    def lacking(self, bloom, selection, cursor, bytes_max, budget):
        return peers_lacking(self.c, bloom, selection, cursor, bytes_max, budget)

    def dump(self, point, bytes_max, int64_t now_ms):
        return peers_dump(self.c, point, bytes_max, now_ms)

    def fetch(self, int db, bytes key not None, int64_t now_ms):
        return self.after(peers_fetch(self.c, db, key, now_ms))

    def fetch_all(self, int db, bytes keys not None, int64_t now_ms):
        return self.after(homes_fetch(self.c, db, keys, now_ms))

    def restamp(self, int64_t now_ms):
        return peers_restamp(self.c, now_ms)

    def last_clock(self):
        return self.c.clock

    def waiting_bytes(self):
        return self.c.outbox.used_bytes

    @property
    def slice_records(self):
        return SLICE_RECORDS

    # -- numbers ----------------------------------------------------------------------------------
    def used_bytes(self):
        return engine_used_bytes(self.c)

    def counters(self):
        cdef int db, number
        records = 0
        for db in range(SPACES):
            records += self.c.live[db]
        counters = {
            "hits": self.c.hits,
            "misses": self.c.misses,
            "writes": self.c.writes,
            "expired": self.c.expired,
            "stubs": self.c.stubs.count + self.c.stub_rows,
            "stub_bytes": stubs_bytes(&self.c.stubs) + self.c.stub_key_bytes + self.c.stub_rows * (
                RECORD_OVERHEAD_BYTES + SHADOW_BYTES + (TRACED_BYTES if self.c.digests.kept else 0)),
            "records": records,
            "defaulted": self.c.defaulted,
            "script_errors": self.c.script_errors,
            "record_overhead_bytes": RECORD_OVERHEAD_BYTES + (TRACED_BYTES if self.c.digests.kept else 0),
        }
        for number in range(LATE_BOUNDS + 1):
            counters["late_%d" % number] = self.c.late.counts[number]
        counters["late_sum_ms"] = self.c.late.sum_ms
        counters["wiped_bytes"] = self.c.late.wiped_bytes
        counters["late_last_at_ms"], counters["late_last_by_ms"] = self.c.late.last_at_ms, self.c.late.last_by_ms
        for number in range(1, HOT_COUNT):
            counters["hot_" + (<bytes>ROWS[number].name).decode()] = self.c.calls[number]
        return counters


cdef class Packed:
    """The records and stubs that `records` collects."""

    cdef NativeEngine engine
    cdef list records
    cdef list stubs  # stubs of all databases

    def __cinit__(self, NativeEngine engine):
        self.engine = engine
        self.records = []
        self.stubs = []


cdef int see_record(void *context, const Record *record) except -1:
    cdef Packed found = <Packed>context
    found.records.append(packed(found.engine.c, record))
    return 0


cdef int see_stub(void *context, uint32_t number) except -1:
    cdef Packed found = <Packed>context
    found.stubs.append(packed_stub(found.engine.c, number, NULL))
    return 0


# -- raw.pxd ----------------------------------------------------------------------------------------
cdef int feed_raw(object engine, object session, uint8_t *data, size_t len, int64_t now_ms, bint behind,
                  void (*python_comes)(void *), void *context, size_t *reply_start) except -1:
    cdef int fed = 0
    cdef NativeEngine native = <NativeEngine?>engine
    cdef NativeSession one = <NativeSession?>session
    if native.c.feed.session is not NULL:
        raise RuntimeError("feed was called from within feed")
    if native.view is not None:
        native.let_go_of_reply()
    if one.c.subscriber.place:
        python_comes(context)  # messages published to it go before its replies
    reply_start[0] = native.c.reply.len if behind else 0
    if feed_start(native.c, &one.c, data, len, True, now_ms, behind) == TURN_COLD:
        python_comes(context)
        native.serve_cold(one, now_ms)
        fed |= PYTHON_RAN
    if native.c.notes.len or native.c.notes_lost:
        python_comes(context)
        native.tell_notes(one)
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


cdef Feed feed = feed_raw  # the signature of raw.pxd, which the compiler checks here
cdef void sent_raw(object engine) noexcept:
    if (<NativeEngine>engine).view is None:
        feed_forget((<NativeEngine>engine).c)


cdef void pushes_raw(object engine, Push push, void *context) noexcept:
    cdef Engine *core = (<NativeEngine>engine).c
    if core.channels.waiting_count:
        channels_push(core, push, context)


cdef Pushes pushes = pushes_raw
PUSHES = PyCapsule_New(<void *>pushes, "respram.pushes", NULL)
cdef Replies replies = replies_raw
cdef Sent sent = sent_raw
FEED = PyCapsule_New(<void *>feed, "respram.feed", NULL)
REPLIES = PyCapsule_New(<void *>replies, "respram.replies", NULL)
SENT = PyCapsule_New(<void *>sent, "respram.sent", NULL)
