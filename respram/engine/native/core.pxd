"""What the binding uses of the C core: the declarations of engine.h, as far as they are needed, and nothing else."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "engine.h":
    ctypedef unsigned char truth "bool"
    int DATABASES, SPACES
    int64_t TIME_MS_MAX
    ctypedef struct Span:
        const uint8_t *bytes
        size_t len
    ctypedef struct CSettings "Settings":
        uint64_t node
        uint64_t secret[2]
        uint64_t seed
        int64_t default_ttl_ms, max_ttl_ms, clock_offset_ms_max
        uint64_t memory_bytes_max, bulk_bytes_max, key_bytes_max, args_max, inline_bytes_max, query_bytes_max
        int64_t feed_commands_max, feed_reply_bytes_max
        uint64_t outbox_bytes_max
        truth counters
    ctypedef struct Buffer:
        uint8_t *bytes
        size_t len
    ctypedef struct Record:
        uint64_t clock
        uint16_t node
        uint8_t flags
    int CALL_ARGS_MAX
    ctypedef struct Arg:
        size_t offset, len
    ctypedef struct Command:
        const uint8_t *text
        const Arg *args
        size_t argc
    ctypedef struct CFault "Fault":
        char *text
        size_t len
    ctypedef struct CGlob "Glob":
        pass
    CGlob *glob_compile(Span)
    void glob_free(CGlob *)
    bint glob_match(const CGlob *, Span)
    size_t glob_steps(const CGlob *, size_t)
    ctypedef struct CGuard "Guard":
        pass
    CGuard *guard_new(size_t)
    bint guard_add(CGuard *, Span, uint8_t)
    void guard_free(CGuard *)
    ctypedef struct CSubscriber "Subscriber":
        size_t place
        int outlet
        void *object
    ctypedef struct Channels:
        size_t waiting_count, frames_bytes
        Buffer spread
        bint spreads, behind
    ctypedef struct CSession "Session":
        int db, proto
        bint hot, trusted, closing, suspended, retried, more, tracks, hears, decides, taken, begun, watches, midway
        const CGuard *guard
        uint64_t permitted[4]
        uint64_t multi_keys_max, exec_bytes_max, queue_keys_max, queued_count, queued_bytes, defaulted
        uint64_t queued_work
        bint faulted
        CFault fault
        CSubscriber subscriber
        Buffer watched
    ctypedef struct KeyStamp:
        uint64_t clock, node, version, length
    ctypedef struct Awaiting:
        size_t count
    ctypedef struct Nodes:
        uint64_t *numbers
    ctypedef struct Table:
        pass
    ctypedef struct Outbox:
        bint overflowed
        uint64_t used_bytes
    ctypedef struct Family:
        uint64_t count, dying, version
    ctypedef struct Digests:
        bint enabled
    ctypedef struct Stub:
        pass
    ctypedef struct Stubs:
        uint64_t count
    ctypedef struct Pad:
        uint8_t *blocks
        uint8_t *stream
    ctypedef struct Lender:
        void *context
        bint ciphers_here, by_gcm
        truth (*encrypt)(void *, uint32_t, int, size_t) noexcept
        truth (*run_through)(void *, uint32_t, uint64_t, uint64_t, Span, uint8_t *, truth) noexcept
        truth (*lend)(void *, uint64_t, uint32_t, const uint8_t **) noexcept
        uint64_t (*take)(void *) noexcept
    ctypedef struct Seals:
        Lender lender
        Pad *pads
        uint64_t *keys
        uint32_t key_count
    ctypedef struct Wheel:
        pass
    ctypedef struct Batch:
        size_t taken, next, count
        Command *commands
    ctypedef struct FeedState "Feed":
        CSession *session
        int64_t bytes_left, commands_left
    int LATE_BOUNDS
    ctypedef struct Lateness:
        uint64_t *counts
        uint64_t sum_ms, wiped_bytes
        int64_t last_at_ms, last_by_ms
    ctypedef struct Constant:
        bint is_text
        double number
        Span text
    ctypedef struct Programs:
        Buffer log
        truth (*aside)(void *, CSession *, const Command *, int64_t, int, truth *) noexcept
        void *aside_with
    ctypedef struct Ranked:
        double score
        Record *record
    ctypedef struct Graves:
        uint32_t count
    ctypedef struct Engine:
        Table *tables
        uint64_t live[81]
        Nodes nodes
        uint64_t clock
        Outbox outbox
        Digests digests
        Stubs stubs
        Family *work_first
        Graves graves
        uint64_t heads, crowds
        Wheel wheel
        size_t lead
        uint64_t stub_rows, stub_key_bytes
        uint64_t writes, expired, hits, misses, defaulted, counters_merged, script_errors
        uint64_t moved, moved_max
        Lateness late
        uint64_t *calls
        bint hot_reads, hot_writes, observed, notes_lost, changes_noted
        Awaiting awaiting
        int64_t awake_until_ms
        Buffer notes
        Buffer reply
        Seals seals
        Programs programs
        Channels channels
        Batch batch
        FeedState feed
    ctypedef struct CMerged "Merged":
        uint64_t fresh, known, refused, malformed, strange
    ctypedef enum Turn:
        TURN_OVER
        TURN_COLD
    int HOT_COUNT, PERMITTED_WORDS
    ctypedef struct Row:
        const char *name
    const Row *ROWS
    int NOTE_PUT, NOTE_NEW, NOTE_EXPIRED, NOTE_MERGED, NOTE_NONE
    int RECORD_IMPLICIT

    Engine *engine_new(const CSettings *)
    void engine_free(Engine *)
    void engine_configure(Engine *, const CSettings *)
    uint64_t engine_used_bytes(const Engine *)
    bint engine_full(const Engine *)
    void engine_allow(Engine *, uint64_t)
    uint64_t LOOK_BYTES
    ctypedef struct CPatterns "Patterns":
        size_t count
    bint patterns_add(CPatterns *, Span)
    void patterns_remove(CPatterns *, size_t)
    bint patterns_next(const CPatterns *, Span, size_t *)
    void patterns_free(CPatterns *)
    uint64_t draw_below(Engine *, uint64_t)
    void buffer_clear(Buffer *, size_t)
    bint buffer_append(Buffer *, const void *, size_t)
    void bytes_combine(uint8_t *, const uint8_t *, size_t, char)
    uint64_t keyspace_hash(const Engine *, Span)
    Record *keyspace_row(Engine *, int, uint64_t, Span, int64_t)
    bint keyspace_store(Engine *, int, uint64_t, Span, Span, int64_t, bint, int64_t, uint8_t)
    bint keyspace_let_go(Engine *, int, uint64_t, Span, int64_t, truth *)
    bint keyspace_retime(Engine *, int, uint64_t, Span, int64_t, bint, int64_t, uint8_t, truth *)
    uint64_t keyspace_expire(Engine *, int64_t, uint64_t)
    CMerged keyspace_merge(Engine *, const uint8_t *, size_t, int64_t)
    bint outbox_has(const Engine *, int, Span)
    bint outbox_holds(const Engine *, int, uint64_t, Span)
    bint outbox_drain(Engine *, uint64_t, Buffer *)
    ctypedef int (*See)(void *, const Record *) except -1
    int walk_scan(Engine *, int, uint64_t *, uint64_t, int64_t, See, void *) except -1
    const Record *walk_sample(Engine *, int, uint64_t, int64_t)
    int64_t walk_ttl_average_ms(Engine *, int, int64_t)
    int walk_all(const Engine *, int, See, void *) except -1
    uint64_t walk_count(Engine *, int, int64_t)
    int64_t wheel_next_ms(Wheel *)
    int64_t record_deadline_ms(const Record *)
    Span record_key(const Record *)
    size_t record_value_bytes(const Record *)
    Span record_lying(const Record *)
    size_t record_packed_bytes(const Engine *, const Record *)
    void record_pack(const Engine *, const Record *, uint8_t *)
    bint channels_listen(Engine *, CSession *, Span, bint)
    void channels_unlisten(Engine *, CSession *, Span, bint)
    CSession *channels_deliver(Engine *, Buffer *)
    void channels_delivered(Engine *, Buffer *)
    void session_init(CSession *)
    void session_close(CSession *)
    size_t session_buffered_bytes(const CSession *)
    bint programs_teach(Engine *, Span, Span, size_t, const Constant *, size_t)
    void programs_unteach(Engine *, Span)
    bint programs_teach_script(Engine *, Span, uint32_t, Span)
    bint lua_begin(Engine *, const char *)
    void lua_limit(Engine *, size_t, size_t)
    void lua_end(Engine *)
    bint programs_call(Engine *, CSession *, Command *, int64_t)
    bint multi_run(Engine *, CSession *, int64_t, size_t, Command *)
    bint multi_next(CSession *, Command *)
    unsigned queued_home(const Engine *, const CSession *)
    bint multi_may_begin(Engine *, const CSession *, int64_t)
    uint64_t multi_left(const CSession *)
    void multi_drop(CSession *)
    bint watched_next(const CSession *, size_t *, int *, Span *, KeyStamp *)
    void watched_taken(CSession *)
    void watched_drop(CSession *)
    bint session_await(Engine *, CSession *, int, uint64_t)
    bint session_has_come(const CSession *)
    void feed_forget(Engine *)
    Turn feed_start(Engine *, CSession *, uint8_t *, size_t, bint, int64_t, bint)
    const Command *feed_cold(const Engine *)
    Turn feed_answer(Engine *, const uint8_t *, size_t)
    Turn feed_refuse(Engine *)
    void feed_suspend(Engine *)
    void feed_abandon(Engine *)
    Span command_arg(const Command *, size_t)

cdef extern from "shares.h":
    bint counter_add(Engine *, int, uint64_t, Span, int64_t, int64_t, bint, int64_t, uint8_t, int64_t *)

cdef extern from "homes.h":
    int HOME_SLOTS
    enum: RUN_GROUPS_MAX
    int slot_away(Span, const uint8_t *, truth *)
    size_t reply_end(Span, size_t)
    bint homes_use(Engine *, const uint8_t *)
    ctypedef struct HomeGroup:
        unsigned home
        size_t commands
        Buffer payload, keys
    ctypedef struct HomeRun:
        size_t commands, groups
        uint8_t *order
        HomeGroup *group
    bint home_gathers(const Engine *, const CSession *)
    bint home_run(Engine *, const CSession *, HomeRun *)
    void home_run_free(HomeRun *)

cdef extern from "engine.h":
    # what seals
    int BLOCK_BYTES, PAD_BLOCKS, PAD_BYTES, PAD_COUNT, GCM_TAG_BYTES, LONG_FIRST, SEAL_KEY_BYTES
    ctypedef struct CCipher "Cipher":
        pass
    const char *cipher_library()
    CCipher *cipher_new(const uint8_t *, bint)
    void cipher_free(CCipher *)
    bint cipher_blocks(CCipher *, const uint8_t *, size_t, uint8_t *)
    bint cipher_run(CCipher *, uint64_t, uint64_t, Span, uint8_t *)
    bint seal_begin(Engine *, Lender, bint)
    bint seal_open(Engine *, const Record *, uint8_t *)
    bint seal_is_used(const Engine *, uint32_t)
    void seal_forget(Engine *, uint32_t)
    void seal_leave_pad(Engine *)

    uint64_t xxh3(Span)

    uint64_t family_place(Engine *, const Record *, double, const Span *, bint, int64_t)
    size_t family_ranked(Engine *, const Record *, uint64_t, size_t, bint, int64_t, Ranked *)

    ctypedef struct CTold "Telling":
        Buffer out
    ctypedef struct COthers "Others":
        const Span *keys
        size_t count
        truth among
    CTold *told_new()
    void told_free(CTold *)
    bint told_forget(CTold *)
    void buffer_cut(Buffer *, size_t)
    int64_t family_tell(Engine *, CTold *, const Family *, int, const COthers *, uint64_t *, int64_t)
    int64_t family_tell_ranked(Engine *, CTold *, const Record *, uint64_t, uint64_t, bint, bint, int, int64_t,
                               Ranked *)

    # what peers compare
    ctypedef struct Sum:
        int64_t number, count
        uint64_t sum
    ctypedef struct CSelection "Selection":
        int64_t cut_stamp, cut_end, since
        int shift
        const int64_t *buckets
        size_t bucket_count
    ctypedef struct CFilter "Filter":
        uint8_t *bits
        uint64_t salt, width
        uint32_t slices
        uint64_t room, added
    bint digest_track(Engine *, uint64_t, int64_t)
    bint digest_total(Engine *, int64_t, int64_t, int64_t, Sum *)
    int64_t digest_buckets(Engine *, int64_t, int64_t, int, int64_t, Sum **)
    uint64_t digest_count_since(const Engine *, int64_t)
    ctypedef struct Spot:
        int64_t granule
        uint32_t place
    bint filter_fill(Engine *, CFilter *, const CSelection *, Spot *, int64_t)
    bint filter_lacking(Engine *, const CFilter *, const CSelection *, Spot *, uint64_t, int64_t, Buffer *)
    bint dump_pack(const Engine *, const Record *, Buffer *)
    bint dump_records(Engine *, uint64_t, uint64_t, int64_t, Buffer *, uint64_t *)
    int64_t keyspace_restamp(Engine *, int64_t)
    Family *family_settled(Engine *, const Record *, int64_t)
    int64_t family_settle(Engine *, const Record *, int64_t)
    Record *family_head(const Engine *, int, uint64_t, Span, int64_t)
    Record *family_member(const Family *, uint64_t)
    bint family_found(Engine *, int, uint64_t, Span, uint8_t, int64_t, bint, int64_t)
    Record *family_find(Engine *, const Record *, Span, int64_t)
    bint family_put(Engine *, Record *, Span, Span, int64_t, int64_t, truth *)
    uint64_t family_copy_bytes(const Engine *, const Record *, size_t *)
    bint family_copy(Engine *, const Record *, int, uint64_t, Span, int64_t)
    bint family_let_go(Engine *, const Record *, Span, int64_t, truth *)
    bint departed_pack(const Engine *, int, Span, uint64_t, int64_t, Buffer *)
    uint64_t departed_count(const Engine *)
    bint family_fetch(Engine *, const Record *, uint64_t, int64_t, Buffer *)
    int record_kind(const Record *)
    Record *table_find(const Table *, uint64_t, Span)
    int64_t record_end_ms(const Record *)
    ctypedef int (*SeeStub)(void *, uint32_t) except -1
    int stubs_walk(const Stubs *, SeeStub, void *) except -1
    uint32_t stubs_find_key(const Stubs *, int, Span)
    const Stub *stub_at(const Stubs *, uint32_t)
    int64_t stub_end_ms(const Stub *)
    uint64_t stubs_bytes(const Stubs *)
    int64_t stubs_next_ms(const Stubs *)
    bint stub_pack(const Engine *, uint32_t, const Span *, Buffer *)
