/* The native engine: what its parts are called and how they hang together.
 *
 * The core knows bytes, lengths and times; no Python, no clock, no socket, and draws from a seed alone. Read it
 * in this order: record.c, arena.c, prefault.c, table.c, wheel.c, keyspace.c, members.c, places.c, family.c, slices.c,
 * settling.c, order.c, ranking.c, seal.c, merge.c, outbox.c, walk.c (the store), names.c, stubs.c, departed.c,
 * digest.c, granules.c, young.c, filter.c, dump.c, restamp.c (what peers compare), then scanner.c, inline.c, writer.c,
 * hot.c, glob.c, guard.c, reads.c, scans.c, writes.c, comparing.c, counts.c, parts.c, bits.c, programs.c, lua.c,
 * json.c, fields.c, lives.c, sets.c, adds.c, ranks.c, algebra.c, stores.c, draws.c, picks.c, channels.c, multi.c,
 * watches.c, homes.c, feed.c (the wire). hash.c, xxh3.c, bytes.c and nodes.c serve both. The store's parts are in
 * store.h. Only types, limits and prototypes may live here.
 *
 * One rule holds everywhere: what can fail (memory) comes first, what changes state comes after and
 * cannot fail. A function that returns false or NULL has changed nothing.
 */
#ifndef RESPRAM_ENGINE_H
#define RESPRAM_ENGINE_H

#include "channels.h"
#include "commands.h"
#include "order.h"
#include "store.h"

#define HOT_ARGS_MAX 1024          /* api.py has both, and says why */
#define HOT_BYTES_MAX (1u << 20)
#define HOT_REPLY_BYTES_MAX ((size_t)8 << 20)
#define QUEUED_BYTES_MAX ((uint64_t)32 << 20)
#define FEED_MOVED_BYTES_MAX ((uint64_t)2 << 20)
#define ALLOWED_BYTES_LEAST ((uint64_t)1 << 20)
/* Of a shadow: as long as any node's --max-ttl may be. A record that was cut remembers the end that it was given. */
#define SHADOW_MS_MAX (INT64_C(3651) * 86400000)
#define UNTRUSTED_ARGS_MAX 10      /* before AUTH, as in Redis */
#define UNTRUSTED_BULK_BYTES_MAX 16384

#include "seal.h" /* needs it */
#include "stubs.h"

typedef struct Settings {
    uint64_t node;
    uint64_t secret[2];
    uint64_t seed; /* of the draws */
    int64_t default_ttl_ms, max_ttl_ms, clock_offset_ms_max;
    uint64_t memory_bytes_max, bulk_bytes_max, key_bytes_max, args_max, inline_bytes_max, query_bytes_max;
    uint64_t outbox_bytes_max;
    int64_t feed_commands_max, feed_reply_bytes_max;
    bool counters;
} Settings;

#include "digest.h" /* what peers compare */

#include "kin.h" /* needs them */

/* -- the engine ---------------------------------------------------------------------------------- */
enum { NOTE_NEW = 0, NOTE_EXPIRED = 1, NOTE_MERGED = 2, NOTE_INCRBY = 3, NOTE_EXPIRE = 4, NOTE_APPEND = 5,
    NOTE_SETRANGE = 6, NOTE_SETBIT = 7, NOTE_DEL = 8, NOTE_SEEN = 9, NOTE_INCRBYFLOAT = 10, NOTE_COPY_TO = 11,
    NOTE_HINCRBY = 12, NOTE_ZINCR = 13, NOTE_ZREMRANGEBYSCORE = 14, NOTE_ZREMRANGEBYRANK = 15, NOTE_HEXPIRE = 16,
    NOTE_HINCRBYFLOAT = 17, NOTE_ZREMRANGEBYLEX = 18, NOTE_ZPOPMIN = 19, NOTE_ZPOPMAX = 20, NOTE_SPOP = 21,
    NOTE_SINTERSTORE = 22, NOTE_SUNIONSTORE = 23, NOTE_SDIFFSTORE = 24, NOTE_ZUNIONSTORE = 25,
    NOTE_ZINTERSTORE = 26, NOTE_ZDIFFSTORE = 27, NOTE_ZRANGESTORE = 28,
       NOTE_NONE = 255 }; /* MERGED is spelt `set` */

/* The command table: a row a hot command, from the catalog. What a shape means is said in catalog/entry.py. */
enum {
    SHAPE_ANSWERS = 1, SHAPE_READS = 2, SHAPE_WRITES = 4, SHAPE_DECIDES = 8,
    SHAPE_ASKS = 16,  /* a miss is told, and asked of the peers */
    SHAPE_GROWS = 32, /* refused while memory is full */
    SHAPE_KEY = 64,   /* the argument behind the name is its one key */
    SHAPE_KEYS = 128, /* it has more than one */
    SHAPE_MEMBERS = 256 /* it is about a collection: the head is its handler's to look at */
};

#define HOT_NUMBER(name, ...) HOT_##name,
enum { COLD = 0, COMMANDS(HOT_NUMBER) HOT_COUNT, UNKNOWN_YET = 255 };
#undef HOT_NUMBER
#define PERMITTED_WORDS 4 /* of 64 bits: as many as a number of a byte needs */
_Static_assert(HOT_COUNT <= 64 * PERMITTED_WORDS && HOT_COUNT < UNKNOWN_YET,
               "a command's number takes a byte, and a bit of Session.permitted");

typedef struct Arg { /* relative to its command, so that it survives when the input moves */
    size_t offset, len;
} Arg;

typedef struct Args {
    Arg *items;
    size_t count, capacity;
} Args;

typedef struct Command {
    const uint8_t *text;  /* what the args are relative to */
    const Arg *args;
    size_t argc, first;   /* `first`: where its args begin in the batch's, or NOT_HERE */
    const uint8_t *start; /* in the input, to go back to */
    uint64_t hash;        /* of the first key, where `hot` has one */
    uint8_t hot;
    bool from_pending;
} Command;

#define NOT_HERE SIZE_MAX

#define BATCH_COMMANDS 64

typedef struct Batch {
    Command commands[BATCH_COMMANDS];
    size_t count, next;
    size_t taken; /* from `next` on: dispatch has sent them elsewhere */
    Args args;    /* of the commands that are whole in the input */
    Args resumed; /* of the first command, where an earlier read began it */
    Buffer words; /* of an inline command with quotes */
} Batch;

typedef struct Scan { /* a place inside a command; all zero at its start */
    size_t at;       /* relative to the command's first byte */
    size_t searched; /* no end of line before */
    size_t args_bytes;
    uint64_t args_left;
    uint64_t bulk_bytes;
    bool in_bulk; /* the header of the argument under way has been read */
} Scan;

typedef enum Scanned {
    SCAN_COMMAND,
    SCAN_QUOTED, /* a command whose args are relative to `words` */
    SCAN_NOTHING, /* an empty one */
    SCAN_INCOMPLETE,
    SCAN_FAULT,
    SCAN_NO_MEMORY
} Scanned;

#define FAULT_BYTES 64 /* more than the longest text of a protocol error */

typedef struct Fault {
    char text[FAULT_BYTES];
    size_t len; /* 0: the session is closed without a word */
} Fault;

typedef struct KeyStamp { /* of a watched key; version and length of a collection */
    uint64_t clock, node, version, length;
} KeyStamp;

typedef struct Awaiting { /* missing keys that sessions watch: see watches.c */
    struct Awaited **buckets;
    size_t bucket_count, count;
} Awaiting;

typedef struct Session {
    int db, proto;
    bool hot, trusted, closing, suspended, retried, more, begun, watches, midway; /* api.py says what each is */
    bool tracks;  /* what it reads is told to the observer, as NOTE_SEEN */
    bool hears;   /* it may be told of its own changes: behind the reply of the command that made them */
    bool decides; /* whatever the table of homes says: its commands come from nodes that were told so */
    bool taken;   /* suspended, and the command that it waits for is not dispatched again */
    uint64_t permitted[PERMITTED_WORDS]; /* hot commands that its user may, by their numbers */
    const struct Guard *guard; /* and on which keys; NULL: all */
    Buffer pending; /* received and not yet executed, from `pending_at` on */
    size_t pending_at, pending_wiped;
    Scan scan; /* of the incomplete command at `pending_at`, or at the end of the input */
    Args args;
    Buffer queued; /* hot commands in MULTI, run up to `queued_at` */
    size_t queued_at;
    Buffer watched, awaited; /* keys under WATCH, with their stamps, and those that were missing: see watches.c */
    uint64_t multi_keys_max, exec_bytes_max, queue_keys_max, queued_work; /* keys that the queue may name, and does */
    uint64_t queued_count, queued_bytes; /* of their arguments */
    uint64_t defaulted; /* its fast writes that named no TTL */
    Fault fault;        /* why it is closing, where that is its input */
    bool faulted;
    Subscriber subscriber;
} Session;

typedef enum Turn { TURN_OVER, TURN_COLD } Turn;

typedef struct Feed { /* one call of `feed` */
    Session *session;
    uint8_t *data, *at, *end; /* the input; `at`: everything before is parsed or in `pending` */
    bool writable, trusted;   /* `trusted`: as the batch was parsed */
    int64_t now_ms, commands_left, bytes_left;
    uint64_t defaulted_before, moved_before; /* the engine's counts when it began */
    size_t reply_start; /* before it lie the replies of earlier calls, which nobody has sent yet */
} Feed;

/* How late values were destroyed: by how many ms, counted by bound (engine/api.py has the same list, the last count
 * is for what lies beyond), and the last that was later than LATE_MS. */
#define LATE_BOUNDS 11
#define LATE_MS 100
typedef struct Lateness {
    uint64_t counts[LATE_BOUNDS + 1];
    uint64_t sum_ms, wiped_bytes;
    int64_t last_at_ms, last_by_ms;
} Lateness;

/* -- programs.c: scripts that the engine runs itself ------------------------------------------------- */
enum { OP_NIL, OP_BOOL, OP_CONST, OP_MOVE, OP_KEY, OP_ARG, OP_COUNT, OP_LEN, OP_CALL, OP_TIME, OP_ADD, OP_SUB, OP_MUL,
    OP_DIV, OP_MOD, OP_CONCAT,
       OP_EQ, OP_LT, OP_LE, OP_NOT, OP_NUMBER, OP_STRING, OP_FLOOR, OP_CEIL, OP_ABS, OP_MIN, OP_MAX, OP_JUMP, OP_UNLESS,
       OP_WHEN, OP_RETURN,
       OP_RETURN_LIST, OP_COUNT_OF }; /* as in respram/program.py, which says what each does */

#define REGISTERS_MAX 64 /* program.py has these, and says why */
#define CALL_ARGS_MAX 16
#define RUN_STEPS_MAX 20000
#define RUN_MOVED_BYTES_MAX ((uint64_t)8 << 20) /* of values and looks at members, of one run: some 10 ms */
#define LOG_BYTES_MAX ((size_t)1 << 20)
#define PROGRAM_BUCKETS 4096 /* of two names for each of 10,000 scripts, at most */

typedef struct Constant {
    bool is_text;
    double number;
    Span text;
} Constant;

struct Taught;
struct Lua;
typedef struct Programs {
    uint64_t moved_before; /* what the engine had moved when the run under way began */
    struct Taught **taught; /* chains by the hash of their names; NULL: there are none */
    struct Lua *lua;        /* lua.c; NULL: Python runs what is no program */
    uint32_t lua_generation;
    /* Runs a command of a script that has no fast path, and puts its reply in RESP2 behind the log. False: it has to be
     * handed over, and nothing has happened. `broken`: there was no memory for what it has answered. `wanted` 1 and 2:
     * no command, but what redis.log and redis.acl_check_cmd were given, as api.py says. */
    bool (*aside)(void *with, Session *session, const Command *command, int64_t now_ms, int wanted, bool *broken);
    void *aside_with;
    Buffer log;  /* the replies of the run under way, or of one that declined, until they are taken */
    Buffer made; /* texts of the run under way */
} Programs;

typedef struct Engine {
    Settings settings;
    Table tables[SPACES];
    uint64_t table_bytes;  /* of all tables, those of families among them */
    uint64_t live[SPACES]; /* records with a value, past their deadline or not */
    Table families[MEMBER_SPACES];
    Numbered numbered;
    Family *recent; /* the one that was looked for by its key last, or NULL */
    Family *work_first, *work_last;
    bool goes_on; /* while a head is written for members that are newer than what let go of theirs */
    uint64_t stamp_as; /* 0, or the clock of what is written */
    uint64_t spare_from; /* while a mark is merged that spares what this node wrote after this clock */
    uint64_t empty[DATABASES]; /* heads without members */
    uint64_t heads, changes, family_bytes;
    uint64_t crowds;   /* families of more than SETTLED_AT_ONCE members */
    int64_t sliced_ms; /* when a slice of a crowd was settled */
    OrderRoom order_room;
    uint64_t draws; /* what the next draw is made of */
    Graves graves;
    Buffer name; /* a member's key while it is looked for */
    Wheel wheel;
    Arena arena;
    Nodes nodes;
    Outbox outbox;
    Digests digests;
    Stubs stubs; /* of databases 0 to 15 */
    size_t lead;    /* bytes of trace before each record: none, until digests are begun */
    uint64_t clock; /* of the last stamp given here or merged */
    uint64_t stub_rows, stub_key_bytes; /* of the other spaces, whose stubs are records */
    uint64_t writes, expired, hits, misses, defaulted, counters_merged;
    uint64_t script_errors; /* answers of scripts that nobody else has counted */
    /* bytes of values read and written; where the command under way has had its share (api.py) */
    uint64_t moved, moved_max;
    uint64_t sweeps_left; /* members that the payload which is merged may have looked at */
    Lateness late;
    uint64_t calls[HOT_COUNT];
    bool hot_reads, hot_writes; /* false: only `dispatch` may */
    int64_t awake_until_ms;     /* after this moment likewise, until somebody sets the switches anew; 0: no matter */
    uint16_t *homes; /* by slot: who decides, 0: this node; NULL: this node about all */

    bool observed, notes_lost;
    bool changes_noted; /* among the notes are others than NOTE_SEEN */
    Awaiting awaiting;
    Buffer notes; /* u8 note, u8 database, u32 key bytes, key */

    Buffer reply;
    Buffer scratch; /* a sealed value on its way into its record; empty at all other times */
    Buffer draft; /* a value in plain while a command works on it; empty at all other times */
    Seals seals;
    Programs programs;
    Channels channels;
    Batch batch;
    Feed feed;
} Engine;

typedef struct Merged {
    uint64_t fresh, known, refused, malformed, strange;
} Merged;

Engine *engine_new(const Settings *settings);
void engine_free(Engine *engine);
void engine_configure(Engine *engine, const Settings *settings);
uint64_t engine_used_bytes(const Engine *engine);
bool engine_full(const Engine *engine);
void engine_allow(Engine *engine, uint64_t own_bytes);
#define PASSED_BYTES 8 /* api.py has it, and says why */
static inline void engine_passed(Engine *engine, uint64_t records) {
    uint64_t bytes = records * PASSED_BYTES;
    engine->moved += bytes;
    if (engine->moved_max <= UINT64_MAX - bytes) /* else nothing is limited */
        engine->moved_max += bytes;
}
void engine_note(Engine *engine, uint8_t note, int db, Span key);

/* keyspace.c */
bool keyspace_shows(Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms); /* walk.c */
Record *keyspace_row(Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms);
bool keyspace_store(Engine *engine, int db, uint64_t hash, Span key, Span value, int64_t deadline_ms,
                    bool implicit, int64_t now_ms, uint8_t note);
bool keyspace_let_go(Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms, bool *found);
bool keyspace_retime(Engine *engine, int db, uint64_t hash, Span key, int64_t deadline_ms, bool implicit,
                     int64_t now_ms, uint8_t note, bool *found);
uint64_t keyspace_expire(Engine *engine, int64_t now_ms, uint64_t budget);
Record *keyspace_reshape(Engine *engine, Record *record, uint64_t hash, bool shadowed, size_t value_bytes,
                         bool keep_value); /* shape.c */
Record *keyspace_write(Engine *engine, Record *record, int db, uint64_t hash, Span key, const Content *content,
                       uint64_t clock, uint16_t node, int64_t deadline_ms, int64_t shadow_ms, bool implicit,
                       int64_t now_ms, uint32_t stub);
void keyspace_remove(Engine *engine, Record *record, uint64_t cleared);
bool keyspace_put(Engine *engine, int db, uint64_t hash, Span key, const Content *content, int64_t deadline_ms,
                  bool implicit, int64_t now_ms, uint8_t note);
bool keyspace_again(Engine *engine, const Record *record, int64_t deadline_ms, bool implicit, int64_t now_ms,
    uint8_t note);
bool keyspace_cover(Engine *engine, Record *head, int64_t until_ms, int64_t now_ms);
void keyspace_end(Engine *engine, Record *record, uint64_t hash, int64_t now_ms);
void keyspace_wipe(Engine *engine, Record *record, int64_t now_ms);
static inline uint64_t keyspace_hash(const Engine *engine, Span key) {
    return hash_key(engine->settings.secret, key.bytes, key.len);
}

/* shape.c */
uint32_t hash_of_key(const void *owner, const Record *record);
uint32_t hash_of_member(const void *owner, const Record *record);
static inline uint32_t record_hash(const Engine *engine, const Record *record) { /* its low half, as a table needs it */
    return is_member(record->db) ? hash_of_member(engine, record) : hash_of_key(engine, record);
}
Record *record_take(Engine *engine, int db, size_t bytes);
void record_give(Engine *engine, Record *record, size_t bytes);

size_t record_packed_bytes(const Engine *engine, const Record *record);
void record_pack(const Engine *engine, const Record *record, uint8_t *out);

static inline Kin *kin_of(const Engine *engine, const Record *member) {
    return (Kin *)((uint8_t *)member - engine->lead) - 1;
}

/* Of a member. */
static inline Family *family_with(const Engine *engine, const Record *member) {
    return engine->numbered.families[kin_of(engine, member)->family];
}

static inline bool is_placed(const Engine *engine, const Record *member) { /* it has a value, be it cleared or not */
    return kin_of(engine, member)->place != NO_PLACE;
}

/* Of a head. */
static inline Family *family_of(const Engine *engine, const Record *head) {
    return engine->numbered.families[record_position(head)];
}

static inline size_t kin_bytes(int space) { /* of a member: its kin, and its score */
    return (is_member(space) ? sizeof(Kin) : 0) + (space / DATABASES == ZSET ? sizeof(double) : 0);
}

static inline size_t lead_of(const Engine *engine, int space) { /* bytes before a record */
    return engine->lead + kin_bytes(space);
}

/* Before the kin of a sorted set's member: its score, as its order has it. The value in the record may be sealed. */
static inline LooseDouble *score_of(const Engine *engine, const Record *member) {
    return (LooseDouble *)kin_of(engine, member) - 1;
}

#include "family.h" /* needs the engine */

/* seal.c */
bool seal_begin(Engine *engine, Lender lender, bool writes);
void seal_free(Seals *seals);
uint32_t seal_key(Engine *engine, uint64_t id);
void seal_forget(Engine *engine, uint32_t key);
void seal_leave_pad(Engine *engine);
bool seal_is_used(const Engine *engine, uint32_t key);
bool seal_value(Engine *engine, Span value, Content *content);
void seal_done(Engine *engine, const Content *content, bool stored);
bool seal_open(Engine *engine, const Record *record, uint8_t *out);
bool seal_open_piece(Engine *engine, const Record *record, size_t at, size_t len, uint8_t *out);
void seal_reply(Engine *engine, const Record *record, size_t offset);
void seal_unnote(Engine *engine, size_t offset);
bool seal_flush(Engine *engine);

/* merge.c */
Merged keyspace_merge(Engine *engine, const uint8_t *payload, size_t len, int64_t now_ms);

static inline int64_t record_end_ms(const Record *record) {
    int64_t deadline_ms = record_deadline_ms(record), shadow_ms = record_shadow_ms(record);
    return deadline_ms > shadow_ms ? deadline_ms : shadow_ms;
}

/* filter.c: walks by granule, soonest first */
typedef struct Selection {
    int64_t cut_stamp, cut_end, since;
    int shift;
    const int64_t *buckets; /* in order; none: all */
    size_t bucket_count;
} Selection;

typedef struct Filter { /* filters.py has the formula */
    uint8_t *bits;
    uint64_t salt, width; /* bits of a slice */
    uint32_t slices;
    uint64_t room, added; /* ids */
} Filter;

typedef struct Spot { /* where a walk goes on */
    int64_t granule;
    uint32_t place; /* in its list of records */
} Spot;

bool filter_fill(Engine *engine, Filter *filter, const Selection *selection, Spot *spot, int64_t budget);
bool filter_lacking(Engine *engine, const Filter *filter, const Selection *selection, Spot *spot, uint64_t bytes_max,
                    int64_t budget, Buffer *out);

/* dump.c */
void dump_enter(Engine *engine, Record *record);
bool dump_pack(const Engine *engine, const Record *record, Buffer *out);
bool dump_records(Engine *engine, uint64_t first, uint64_t bytes_max, int64_t now_ms, Buffer *out, uint64_t *cursor);

/* restamp.c */
int64_t keyspace_restamp(Engine *engine, int64_t now_ms);

/* outbox.c */
void outbox_add(Engine *engine, int db, uint64_t hash, Span key, size_t record_bytes);
bool outbox_has(const Engine *engine, int db, Span key);
bool outbox_holds(const Engine *engine, int db, uint64_t hash, Span key);
bool outbox_drain(Engine *engine, uint64_t bytes_max, Buffer *out);
void outbox_clear(Engine *engine);

/* walk.c: calls `see` with records; what it may not do is write */
typedef int (*See)(void *context, const Record *record); /* 0: go on */
int walk_scan(Engine *engine, int db, uint64_t *cursor, uint64_t count, int64_t now_ms, See see, void *context);
uint64_t walk_lines(const Engine *engine, int db); /* of the table, with records or without */
const Record *walk_sample(Engine *engine, int db, uint64_t draw, int64_t now_ms);
int64_t walk_ttl_average_ms(Engine *engine, int db, int64_t now_ms);
int walk_table(const Table *table, See see, void *context);
int walk_all(const Engine *engine, int db, See see, void *context);
uint64_t walk_count(Engine *engine, int db, int64_t now_ms);

/* scanner.c, inline.c */
typedef struct Limits {
    uint64_t bulk_bytes_max, args_max, inline_bytes_max, query_bytes_max;
    bool trusted;
} Limits;

Scanned scan_command(Scan *scan, const uint8_t *text, size_t len, Args *args, Buffer *words,
                     const Limits *limits, Fault *fault);
void fault_say(Fault *fault, const char *text);
bool args_push(Args *args, size_t offset, size_t len);
void args_clear(Args *args);
void args_free(Args *args);
Scanned inline_split(const uint8_t *line, size_t len, size_t line_at, Args *args, Buffer *words, Fault *fault);

/* writer.c: replies. Each needs room that was reserved before. */
/* more than a number, a nil or a bulk's frame takes, with room for a tag behind its value */
#define REPLY_HEAD_BYTES 32
bool reply_reserve(Engine *engine, size_t bytes);
void reply_text(Engine *engine, const char *text, size_t len);
void reply_integer(Engine *engine, char mark, int64_t number);
void reply_bulk(Engine *engine, Span bulk);
void reply_value(Engine *engine, const Record *record);
void reply_nil(Engine *engine, int proto);
bool reply_take_back(Engine *engine, size_t reply_start, uint64_t moved);

/* draws.c */
uint64_t draw_below(Engine *engine, uint64_t end);

/* hot.c */
typedef bool (*Handler)(Engine *engine, Session *session, const Command *command, int64_t now_ms);

typedef struct Row {
    const char *name;
    uint64_t first, last; /* words that cover the name, in small letters */
    size_t name_bytes, least, most; /* arguments, the name among them */
    /* first 0: it has none; below 0: where they are is not for a table to say. A last one below 0 counts from the
     * end */
    int first_key, last_key, key_step;
    uint8_t needs; /* rights to each of them */
    uint8_t kind, first_member; /* of the collection whose members it names, and the argument that is the first; or 0 */
    Handler handler;
    unsigned shape;
} Row;

extern const Row ROWS[HOT_COUNT];
uint8_t hot_name(Span name);

/* glob.c, guard.c: patterns of keys and of channels; patterns.c is in channels.h */
typedef struct Glob Glob;
Glob *glob_compile(Span pattern);
void glob_free(Glob *glob);
bool glob_match(const Glob *glob, Span text);
size_t glob_steps(const Glob *glob, size_t text_bytes);
typedef struct Guard Guard;
Guard *guard_new(size_t count);
bool guard_add(Guard *guard, Span pattern, uint8_t modes);
void guard_free(Guard *guard);
bool guard_allows_key(const Guard *guard, Span key, uint8_t modes);
bool guard_allows(const Guard *guard, const Row *row, const Command *command);

static inline bool hot_permitted(const Session *session, const Row *row, const Command *command) {
    return session->permitted[command->hot / 64] >> command->hot % 64 & 1
        && (likely(!session->guard) || guard_allows(session->guard, row, command));
}
bool hot_run(Engine *engine, Session *session, const Command *command, int64_t now_ms);
static inline bool is_script(uint8_t hot) {
    return hot == HOT_eval || hot == HOT_evalsha;
}
static inline bool hot_has_key(uint8_t hot) {
    return ROWS[hot].shape & SHAPE_KEY;
}
static inline bool hot_writes(uint8_t hot) {
    return ROWS[hot].shape & (SHAPE_WRITES | SHAPE_DECIDES);
}
static inline Span command_arg(const Command *command, size_t number) {
    Span span = {command->text + command->args[number].offset, command->args[number].len};
    return span;
}

/* taught.c, programs.c, lua.c */
bool programs_teach(Engine *engine, Span name, Span steps, size_t registers, const Constant *constants, size_t count);
void programs_unteach(Engine *engine, Span name);
bool programs_call(Engine *engine, Session *session, Command *command, int64_t now_ms);
void programs_free(Engine *engine);
bool programs_teach_script(Engine *engine, Span name, uint32_t script, Span digest);
bool lua_begin(Engine *engine, const char *path);
void lua_limit(Engine *engine, size_t bytes_max, size_t worn_bytes);
void lua_end(Engine *engine);

/* multi.c: hot commands in MULTI */
/* in MULTI; false: it is for `dispatch` */
bool multi_turn(Engine *engine, Session *session, const Command *command, int64_t now_ms);
bool multi_run(Engine *engine, Session *session, int64_t now_ms, size_t reply_bytes_max,
              Command *command); /* false: `command` is for `dispatch`, then it goes on */
bool multi_next(Session *session, Command *command); /* takes the next out without running it */
unsigned queued_home(const Engine *engine, const Session *session);
bool multi_may_begin(Engine *engine, const Session *session, int64_t now_ms);
uint64_t multi_left(const Session *session); /* commands that have not run */
void multi_drop(Session *session);

/* watches.c: what a session watches */
bool watched_changed(Engine *engine, const Session *session, int64_t now_ms);
/* where an engine keeps them, to be read out */
bool watched_next(const Session *session, size_t *at, int *db, Span *key, KeyStamp *stamp);
void watched_taken(Session *session);
void watched_drop(Session *session); /* all, with the missing keys */
bool session_await(Engine *engine, Session *session, int db, uint64_t hash); /* a missing key; false: no memory */
bool session_has_come(const Session *session); /* one of them, be it gone again or not */
void engine_came(Engine *engine, int db, uint64_t hash, Span key);
void awaiting_free(Awaiting *all);
static inline bool engine_looks(const Engine *engine) { /* whether somebody is told when a key comes */
    return engine->observed || engine->awaiting.count;
}

/* telling.c: long replies in slices */
#define TOLD_SHARDS 256
/* Members of a reply that a fast path makes where its command is resumed. More may be told in slices already, of which
 * each would begin by counting their bytes in vain. */
#define RETRIED_MEMBERS_MAX 8192
enum { TELL_NAMES = 1, TELL_VALUES = 2 };
typedef struct Shard { /* hashes, by open addressing; 0: an empty slot */
    uint64_t *marks;
    uint32_t count, capacity;
} Shard;
typedef struct Telling { /* what a long reply has told, and its latest slice */
    Shard shards[TOLD_SHARDS];
    Buffer out;
    uint32_t forgotten; /* shards that are freed already */
} Telling;
typedef struct Others { /* other sets that have to have a member, or not to have it */
    const Span *keys;
    size_t count;
    bool among;
} Others;
Telling *told_new(void);
void told_free(Telling *told);
bool told_forget(Telling *told);
int64_t family_tell(Engine *engine, Telling *told, const Family *family, int parts, const Others *chosen,
                    uint64_t *cursor, int64_t now_ms);
int64_t family_tell_ranked(Engine *engine, Telling *told, const Record *head, uint64_t rank, uint64_t most,
                           bool downwards, bool scores, int proto, int64_t now_ms, Ranked *last);

/* xxh3.c */
uint64_t xxh3(Span value); /* the digest that DIGEST tells */

/* feed.c */
void session_init(Session *session);
void session_close(Session *session);
size_t session_buffered_bytes(const Session *session);
Turn feed_start(Engine *engine, Session *session, uint8_t *data, size_t len, bool writable, int64_t now_ms,
                bool behind);
const Command *feed_cold(const Engine *engine);
void feed_forget(Engine *engine); /* what was answered is sent: it is wiped */
Turn feed_answer(Engine *engine, const uint8_t *reply, size_t len);
Turn feed_refuse(Engine *engine); /* there is no memory to run the command */
void feed_suspend(Engine *engine);
void feed_abandon(Engine *engine); /* dispatch raised: the command is gone, what follows is kept */

#endif
