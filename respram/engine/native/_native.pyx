# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The Python binding of the native engine: it translates and does nothing else. The contract is engine/api.py.

This file unpacks arguments, wraps results, and calls `dispatch` and the observer. It makes no decision about a
record, a request or a reply; those belong to the C core, see engine.h.
core.pxd declares the core. The .pxi files are parts of this one: those included before NativeEngine have the types that
it needs, those after it have what its methods do, where that takes more than a few lines.
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

from respram.engine.api import EXPIRED, MEMBERS_BYTES_MAX, MERGED, NEW, SEEN, Entry, Group, Member, Members
from respram.engine.api import LENGTH_SHIFT, VERSION_SHIFT, Merged, Run, Scan
from respram.engine.replication import BucketDigest, Digest, Fetched, Found
from respram.engine.telling import Piece, RankedPiece
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


include "session.pxi"
include "channels.pxi"
include "selection.pxi"
include "seals.pxi"
include "patterns.pxi"
include "homes.pxi"


cdef class NativeEngine:
    cdef Engine *c
    cdef object told  # the observer
    cdef object asked  # called `aside` in api.py
    cdef object failure  # its exception, until `take_replies`
    cdef object gathers  # see Gather in api.py
    cdef public object deliver
    cdef object hears_first  # called `hear` in api.py
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

    @property
    def telling(self):
        return self.whose

    # -- the wire -------------------------------------------------------------------------------
    def session(self, dispatch):
        return NativeSession(dispatch)

    def guard(self, patterns):
        return NativeGuard(patterns)

    def patterns(self):
        return NativePatterns()

    def feed(self, NativeSession session not None, data, now_ms):
        return feed_whole(self, session, data, now_ms)

    def forget_reply(self):
        if self.view is not None:
            let_go_of_reply(self)
        feed_forget(self.c)

    def say(self, bytes reply not None):
        return feed_say(self, reply)

    def run_queued(self, NativeSession session not None, int64_t now_ms, size_t reply_bytes_max):
        return feed_run_queued(self, session, now_ms, reply_bytes_max)

    def teach(self, bytes name not None, program):
        return scripts_teach(self, name, program)

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
        return scripts_call_inside(self, session, argv, now_ms)

    def take_replies(self):
        return scripts_take_replies(self)

    def allow(self, uint64_t own_bytes):
        if self.c.feed.session is not NULL:
            engine_allow(self.c, own_bytes)

    def allow_at_most(self, uint64_t size):
        cdef bint is_less = self.c.moved_max > self.c.moved and size < self.c.moved_max - self.c.moved
        if self.c.feed.session is not NULL and is_less:
            self.c.moved_max = self.c.moved + size
        return self.c.feed.session is not NULL and is_less

    def spend(self, size):
        look(self, min(max(size, 0), 1 << 60))

    def spent(self):
        return self.c.moved >= self.c.moved_max

    def combine(self, bytes operation not None, bytearray into not None, bytes value not None):
        if operation not in (b"and", b"or", b"xor"):
            raise ValueError("no such operation")
        bytes_combine(<uint8_t *>PyByteArray_AsString(into), <const uint8_t *>PyBytes_AS_STRING(value),
                      <size_t>min(len(into), len(value)), operation[0])

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

    def queued_home(self, NativeSession session not None):
        return queued_home(self.c, &session.c)

    def take(self, NativeSession session not None):
        if self.c.feed.session != &session.c:
            raise RuntimeError("commands are taken by dispatch, in a feed of their session")
        self.c.batch.taken = 1

    def take_next(self, NativeSession session not None):
        return feed_take_next(self, session)

    def behind(self, NativeSession session not None):
        return feed_behind(self, session)

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
    def hear(self):
        return self.hears_first

    @hear.setter
    def hear(self, hear):
        self.hears_first = hear
        self.c.channels.behind = hear is not None

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
    def lookup(self, int db, bytes key not None, int64_t now_ms):
        return told_after(self, entry_of(self, db, key, now_ms, True))

    def peek(self, int db, bytes key not None, int64_t now_ms):
        return told_after(self, entry_of(self, db, key, now_ms, False))

    @property
    def crowded(self):
        return self.c.crowds > 0

    def settle(self, int db, bytes key not None, int64_t now_ms):
        return members_settle(self, db, key, now_ms)

    def settle_queued(self, NativeSession session not None, int64_t now_ms):
        return told_after(self, multi_may_begin(self.c, &session.c, now_ms) != 0)

    def await_key(self, NativeSession session not None, int db, bytes key not None):
        check_place(db, 0)
        cdef Span span = span_of(key)
        if not session_await(self.c, &session.c, db, keyspace_hash(self.c, span)):
            raise MemoryError

    @property
    def awaited(self):
        return self.c.awaiting.count

    def store(self, int db, bytes key not None, bytes value not None, int64_t deadline_ms, bint implicit,
              int64_t now_ms, event):
        return rows_store(self, db, key, value, deadline_ms, implicit, now_ms, event)

    def add(self, int db, bytes key not None, int64_t step, int64_t deadline_ms, bint implicit, int64_t now_ms, event):
        return rows_add(self, db, key, step, deadline_ms, implicit, now_ms, event)

    def retime(self, int db, bytes key not None, int64_t deadline_ms, bint implicit, int64_t now_ms, event):
        return rows_retime(self, db, key, deadline_ms, implicit, now_ms, event)

    def let_go(self, int db, bytes key not None, int64_t now_ms, event):
        return rows_let_go(self, db, key, now_ms, event)

    def digest_value(self, bytes value not None):
        return xxh3(span_of(value))

    def full(self):
        return engine_full(self.c)

    def count(self, int db, int64_t now_ms):
        check_place(db, now_ms)
        return walk_count(self.c, db, now_ms)

    def scan(self, int db, cursor, count, int64_t now_ms):
        return rows_scan(self, db, cursor, count, now_ms)

    def sample(self, int db, draw, int64_t now_ms):
        return rows_sample(self, db, draw, now_ms)

    def ttl_average_ms(self, int db, int64_t now_ms):
        check_place(db, now_ms)
        return walk_ttl_average_ms(self.c, db, now_ms)

    # -- collections ------------------------------------------------------------------------------
    def found(self, int db, bytes key not None, int kind, int64_t deadline_ms, bint implicit, int64_t now_ms):
        return members_found(self, db, key, kind, deadline_ms, implicit, now_ms)

    def member(self, int db, bytes key not None, bytes name not None, int64_t now_ms):
        return members_one(self, db, key, name, now_ms)

    def put_member(self, int db, bytes key not None, bytes name not None, bytes value not None, deadline_ms,
                   int64_t now_ms):
        return members_put(self, db, key, name, value, deadline_ms, now_ms)

    def copy_collection(self, int db, bytes key not None, int target_db, bytes target not None, int64_t now_ms):
        return members_copied(self, db, key, target_db, target, now_ms)

    def let_go_member(self, int db, bytes key not None, bytes name not None, int64_t now_ms):
        return members_let_go(self, db, key, name, now_ms)

    def members(self, int db, bytes key not None, cursor, count, int64_t now_ms):
        return members_walk(self, db, key, cursor, count, now_ms)

    def member_at(self, int db, bytes key not None, uint64_t place, int64_t now_ms):
        return members_at(self, db, key, place, now_ms)

    def draw(self, uint64_t below):
        return draw_below(self.c, below)

    def place(self, int db, bytes key not None, double score, bytes name, bint after, int64_t now_ms):
        return members_place(self, db, key, score, name, after, now_ms)

    def ranked(self, int db, bytes key not None, start, count, bint downwards, int64_t now_ms):
        return members_ranked(self, db, key, start, count, downwards, now_ms)

    def begin_telling(self):
        return NativeTold()

    def tell_members(self, NativeTold told not None, int db, bytes key not None, cursor, int parts, others, bint among,
                     int64_t now_ms):
        return tell_family(self, told, db, key, cursor, parts, others, among, now_ms)

    def tell_ranked(self, NativeTold told not None, int db, bytes key not None, start, most, bint downwards,
                    bint scores, int proto, int64_t now_ms):
        return tell_ranks(self, told, db, key, start, most, downwards, scores, proto, now_ms)

    def tell(self, event, int db, bytes key not None):
        tell_of(self, event, db, key)

    # -- time -------------------------------------------------------------------------------------
    def expire(self, int64_t now_ms, int64_t budget):
        check_place(0, now_ms)
        cdef uint64_t touched = keyspace_expire(self.c, now_ms, <uint64_t>max(budget, 0))
        if self.c.notes.len or self.c.notes_lost:
            tell_notes(self, None)
        return touched

    def next_due_ms(self, int64_t now_ms):
        return rows_next_due_ms(self, now_ms)

    # -- replication ------------------------------------------------------------------------------
    def merge(self, payload, int64_t now_ms):
        return peers_merge(self, payload, now_ms)

    def drain(self, int64_t bytes_max):
        return peers_drain(self, bytes_max)

    def waits(self, int db, bytes keys not None):
        check_place(db, 0)
        return homes_waits(self.c, db, keys)

    def outbox_overflowed(self):
        overflowed = self.c.outbox.overflowed
        self.c.outbox.overflowed = False
        return bool(overflowed)

    def records(self, int db):
        return peers_records(self, db)

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
        return told_after(self, peers_fetch(self.c, db, key, now_ms))

    def fetch_all(self, int db, bytes keys not None, int64_t now_ms, bint waiting=True):
        return told_after(self, homes_fetch(self.c, db, keys, now_ms, waiting))

    def departed(self, int db, bytes key not None, since, int64_t now_ms):
        members_settle(self, db, key, now_ms)
        return peers_departed(self.c, db, key, since, now_ms)

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
        return counters_of(self)


include "notes.pxi"
include "feed.pxi"
include "raw.pxi"
include "scripts.pxi"
include "keyspace.pxi"
include "family.pxi"
include "telling.pxi"
include "peers.pxi"
include "counters.pxi"
