/* What the store is made of: blocks, records, the table, the wheel, the nodes, the outbox.
 *
 * Each section belongs to the file it names, which holds the reasons. A record is one block of the arena; the
 * table finds it by its key, the wheel by the time at which something is due for it. Only types, limits and
 * prototypes may live here, and nothing of peers, seals or the wire: that is in engine.h.
 */
#ifndef RESPRAM_STORE_H
#define RESPRAM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links.h"

#define DATABASES 16
#define SCRIPTS (5 * DATABASES)
#define SPACES (SCRIPTS + 1) /* keys; members of hashes, sets and sorted sets; marks; texts of scripts: see record.py */
#define MARKS (4 * DATABASES)
#define MEMBER_SPACES (MARKS - DATABASES)
#define NAME_LENGTH_BYTES 4
#define LOOK_BYTES ((uint64_t)1 << 10) /* that a member counts for which a command looks at: api.py */
#define STORED_BYTES 512 /* a member that is stored counts for this many more: half a microsecond */
#define TIME_MS_MAX ((INT64_C(1) << 48) - 1) /* deadlines take 48 bits in a record */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* What must hold where one part hands over to the next. A node whose memory is not what it believes stops, before it
 * tells anybody a wrong value. `always` is checked in every build and looks only at what is at hand; `dear` may
 * search, and is checked where the sanitizers are (-DRESPRAM_CHECKED). */
#define always(x) do { if (unlikely(!(x))) __builtin_trap(); } while (0)
#ifdef RESPRAM_CHECKED
#define dear(x) always(x)
#else
#define dear(x) ((void)0)
#endif

typedef struct Span {
    const uint8_t *bytes;
    size_t len;
} Span;

/* -- bytes.c: buffers that are wiped before they are let go ------------------------------------- */
typedef struct Buffer {
    uint8_t *bytes;
    size_t len, capacity;
} Buffer;

void wipe(void *bytes, size_t len);
bool buffer_reserve(Buffer *buffer, size_t extra);
bool buffer_append(Buffer *buffer, const void *bytes, size_t len);
void bytes_combine(uint8_t *restrict into, const uint8_t *restrict other, size_t len, char operation);
void buffer_clear(Buffer *buffer, size_t kept_bytes_max);
void buffer_cut(Buffer *buffer, size_t len);
bool span_int64(Span digits, int64_t *number);
size_t digits_of(int64_t number, uint8_t out[20]);

/* -- hash.c -------------------------------------------------------------------------------------- */
uint64_t hash_key(const uint64_t secret[2], const uint8_t *bytes, size_t len);
uint64_t hash_parts(const uint64_t secret[2], const Span *parts, size_t count);
uint64_t hash_words(const uint64_t secret[2], const uint64_t *words, size_t count, uint8_t byte, Span key);

/* -- arena.c: where record blocks come from ------------------------------------------------------ */
#define ARENA_CLASSES 96
#define SLAB_BYTES ((size_t)64 << 10)
#define ARENA_BLOCK_BYTES_MAX 4096 /* beyond: the allocator of the C library */

typedef struct Slab Slab;
typedef struct Arena {
    Slab *partial[ARENA_CLASSES]; /* slabs with a free block, by class */
    uint8_t **spare;              /* slabs without a block in use */
    size_t spares, spare_capacity;
    size_t spares_resident;       /* how many at the top of the stack have their pages, or have requested them */
    uint8_t *fresh, *fresh_end;   /* address space not yet cut into slabs */
    uint8_t *asked;               /* up to here its pages were asked for ahead */
    uint8_t *next;                /* the region behind it, as soon as its pages are asked for */
    uint8_t **regions;            /* for giving it all back at the end */
    size_t region_count, region_capacity;
    uint64_t used_bytes;          /* blocks handed out, in their classes' sizes */
} Arena;

void *arena_take(Arena *arena, size_t bytes);
void arena_give(Arena *arena, void *block, size_t bytes); /* wipes the block */
size_t arena_block_bytes(size_t bytes);                   /* what a request really takes */
void arena_free(Arena *arena);
void give_pages(void *pages, size_t bytes);
void unmap_pages(void *pages, size_t bytes);

/* -- prefault.c: pages before they are needed ------------------------------------------------------- */
bool prefault_ask(void *from, size_t bytes); /* false: not now, or never; they come when they are written */
/* before they are given back: what was asked of them is not done */
void pages_withdraw(const void *from, size_t bytes);

/* -- record.c ------------------------------------------------------------------------------------ */
enum { RECORD_IMPLICIT = 1, RECORD_STUB = 2, RECORD_SHADOWED = 4 }; /* as packed, see record.py */
#define KIND_SHIFT 5
enum { RECORD_KIND = 3 << KIND_SHIFT }; /* the head of a collection: HASH, SET or ZSET; else 0 */
enum { HASH = 1, SET = 2, ZSET = 3 };
enum { PACKED_HEADER_BYTES = 34 }; /* of the packed form: flags, space, two lengths, stamp, deadline */
/* in the packed form only: in memory the writer's entry in Nodes holds it */
enum { PACKED_SEALED = 8, PACKED_ADOPTED = 16 };
enum { RECORD_LONG = 8 }; /* in memory only: the lengths are in Long */
enum { PACKED_NAMED = 128 }; /* a key's stub under the key's name */
enum { RECORD_COUNTED = 128 }; /* the same bit of a value: a counter, with its shares behind its digits (shares.c) */
#define COUNTER_HEAD_BYTES 32
#define SHARE_BYTES 24
#define SHARES_MAX 64 /* of one counter: see record.py */
#define COUNTER_DIGITS_MAX 20 /* with a sign: fewer than SHARE_BYTES, so that the whole length tells them */

static inline size_t counter_digits(size_t bytes) {
    return (bytes - COUNTER_HEAD_BYTES) % SHARE_BYTES;
}

static inline bool is_member(int space) {
    return space >= DATABASES && space < MARKS;
}

/* Blocks lie at multiples of 4 (arena.c), and what is longer in them is read from there. */
typedef uint64_t Loose64 __attribute__((aligned(4)));
typedef uint32_t Loose32 __attribute__((aligned(2)));

typedef struct Record {
    Links links; /* neighbours in a wheel slot */
    uint16_t slot; /* index of its wheel slot */
    uint16_t node; /* index into Nodes: the writer, and how the value is sealed */
    Loose64 clock;
    uint32_t deadline_low;
    uint16_t deadline_high;
    uint16_t short_key_bytes; /* of a record that is not long: record_key_bytes */
    uint8_t db;
    uint8_t flags;
    uint8_t bare[]; /* the body of a set's member: it has no value, and so neither its length nor its seal */
} Record;

typedef struct Held { /* before the body of all others */
    uint16_t short_value_bytes; /* of a record that is not long: record_stored_bytes */
    uint16_t position_low, position_high; /* see record_position */
} Held;

/* Of a record whose key or value is longer than 16 bits tell: first in its body. Its hash is kept too, so that a table
 * that grows never reads such a key. */
typedef struct Long {
    Loose32 key_bytes, value_bytes, hash;
} Long;

#define RECORD_HEADER_BYTES offsetof(Record, bare)
#define SHORT_BYTES_MAX UINT16_MAX /* of a key and of a value of a record that is not long */
#define SHADOW_BYTES 6
_Static_assert(offsetof(Record, bare) == 34 && sizeof(Held) == 6, "a key of 16 bytes with 64 takes 120");

static inline bool is_bare(int space) {
    return space / DATABASES == SET;
}

static inline Held *record_held(const Record *record) { /* not of one that is bare */
    return (Held *)record->bare;
}

/* [Long, 12 bytes] [shadow, 6 bytes] key value; a member has its name alone for a key, see members.c */
static inline uint8_t *record_body(const Record *record) {
    return (uint8_t *)record->bare + (is_bare(record->db) ? 0 : sizeof(Held));
}

static inline bool is_long(size_t key_bytes, size_t value_bytes) {
    return key_bytes > SHORT_BYTES_MAX || value_bytes > SHORT_BYTES_MAX;
}

static inline Long *record_long(const Record *record) { /* of one that is long */
    return (Long *)record_body(record);
}

/* What of its body lies before the key. */
static inline size_t record_lead_bytes(unsigned flags) {
    _Static_assert(RECORD_SHADOWED * 3 / 2 == SHADOW_BYTES && RECORD_LONG * 3 / 2 == sizeof(Long), "one product");
    return (flags & (RECORD_SHADOWED | RECORD_LONG)) * 3 / 2;
}

static inline size_t record_key_bytes(const Record *record) {
    return unlikely(record->flags & RECORD_LONG) ? record_long(record)->key_bytes : record->short_key_bytes;
}

static inline size_t record_stored_bytes(const Record *record) { /* of its value, with a counter's shares */
    if (unlikely(record->flags & RECORD_LONG))
        return record_long(record)->value_bytes;
    return is_bare(record->db) ? 0 : record_held(record)->short_value_bytes;
}

/* The low half of the position of its seal, see seal.c. Of a head: the number of its family. */
static inline uint32_t record_position(const Record *record) {
    if (is_bare(record->db))
        return 0;
    return (uint32_t)record_held(record)->position_high << 16 | record_held(record)->position_low;
}

static inline void record_set_position(Record *record, uint32_t position) {
    if (is_bare(record->db))
        return;
    record_held(record)->position_low = (uint16_t)position;
    record_held(record)->position_high = (uint16_t)(position >> 16);
}

/* Whether it is long follows from the lengths, and where its key lies from that. */
void record_set_lengths(Record *record, size_t key_bytes, size_t value_bytes, uint64_t hash);
size_t record_size(int space, bool shadowed, size_t key_bytes, size_t value_bytes);
size_t record_bytes(const Record *record);
int64_t record_shadow_ms(const Record *record);
void record_set_shadow(Record *record, int64_t shadow_ms);
int64_t record_due_ms(const Record *record);

/* The few that every lookup needs are here, so that the compiler sees through them. */
static inline int64_t record_deadline_ms(const Record *record) {
    return (int64_t)((uint64_t)record->deadline_high << 32 | record->deadline_low);
}

static inline int record_kind(const Record *record) {
    return (record->flags & RECORD_KIND) >> KIND_SHIFT;
}

static inline void record_set_deadline(Record *record, int64_t deadline_ms) {
    record->deadline_low = (uint32_t)deadline_ms;
    record->deadline_high = (uint16_t)(deadline_ms >> 32);
}

static inline Span record_key(const Record *record) {
    Span key = {record_body(record) + record_lead_bytes(record->flags), record_key_bytes(record)};
    return key;
}

/* What can be read; 0 in a stub. */
static inline size_t record_value_bytes(const Record *record) {
    if (unlikely(record->flags & RECORD_COUNTED))
        return counter_digits(record_stored_bytes(record));
    return record->flags & RECORD_STUB ? 0 : record_stored_bytes(record);
}

typedef struct Seal { /* all zeros: the value is not sealed */
    uint64_t sealer; /* a node number */
    uint32_t key;    /* the number of a key, see seal.c */
    uint32_t high;   /* half of the position; the record has the other, see seal_position */
} Seal;

typedef struct Content { /* a value on its way into a record */
    Span bytes;
    const uint8_t *stream; /* keystream to XOR with on the way; NULL: stored as it is, */
    struct Cipher *cipher; /* or encrypted with this, from its seal's first block on */
    uint32_t position;
    Seal seal;
    uint8_t kind; /* of a head, which has no value; else 0 */
    bool counted; /* shares lie behind its digits */
} Content;

void record_put_value(Record *record, const Content *content);
Span record_value(const Record *record); /* as it lies */
Span record_lying(const Record *record); /* with a counter's shares */
void record_get_value(const Record *record, uint8_t *out);

/* -- table.c: from key to record ----------------------------------------------------------------- */
#define LINE_SLOTS 7

typedef struct Line { /* one cache line */
    uint8_t tags[LINE_SLOTS]; /* 0: free */
    uint8_t passed; /* records of this line or an earlier one that are stored in a later line; 255 is never lowered */
    uint64_t slots[LINE_SLOTS]; /* 16 more bits of the hash, 46 of the record's address, 2 of how far its home is */
} Line;

typedef struct Lines {
    Line *lines;
    uint64_t count; /* a power of two, or 0 */
    uint64_t records;
} Lines;

typedef struct Table {
    Lines now;
    Lines old;      /* being moved into `now`; its lines below `moved` are gone */
    Lines next;     /* the table that `now` will move into: empty, its first `ready` lines have memory */
    uint64_t moved;
    uint64_t unmapped; /* lines of `old` that are freed */
    uint64_t ready;
    size_t lead; /* bytes before a record that writes also read */
    uint32_t (*hash_of)(const void *owner, const Record *record); /* the low half of its hash, by its key */
    const void *owner;
    uint64_t records_hint; /* of a table of families: how many there are */
    uint64_t *total, counted; /* the bytes of all tables that share it; of them, this one's */
} Table;

Record *table_find(const Table *table, uint64_t hash, Span key);
/* that one which has this number in the kin `back` bytes before it */
Record *table_find_member(const Table *table, uint64_t hash, Span name, size_t back, uint32_t family);
const Record *table_peek(const Table *table, uint64_t hash); /* what probably is under a key: to fetch memory ahead */
bool table_make_room(Table *table); /* for one more record */
void table_insert(Table *table, uint64_t hash, Record *record);
void table_remove(Table *table, uint64_t hash, const Record *record);
void table_replace(Table *table, uint64_t hash, const Record *before, Record *after);
const Record *line_record(const Line *line, int place); /* NULL: the place is free */
/* the line at which a search for this record begins, which stands in line `at` */
uint64_t table_home(const Table *table, const Lines *lines, uint64_t at, int place);
void table_prefetch_line(const Table *table, uint64_t hash);
void table_prefetch_record(const Table *table, uint64_t hash);
uint64_t table_bytes(const Table *table);
uint64_t table_records(const Table *table);
void table_free(Table *table);

/* -- wheel.c: when something is due for a record ------------------------------------------------- */
#define WHEEL_LEVELS 4
#define WHEEL_SLOTS (512 + 256 + 256 + 1024)

typedef struct Slot { /* begins like a record, so that it can be part of the ring */
    Links links;
    int64_t tick;
} Slot;

typedef struct Wheel {
    Slot slots[WHEEL_SLOTS];
    Slot visiting; /* a due slot that is being processed in slices */
    uint64_t occupied[WHEEL_SLOTS / 64];
    int64_t next_ms[WHEEL_LEVELS]; /* nothing on this level is due before */
    uint64_t records;
} Wheel;

void wheel_init(Wheel *wheel);
bool wheel_has_passed(int64_t due_ms, int64_t now_ms);
void wheel_place(Wheel *wheel, Record *record, int64_t due_ms, int64_t now_ms);
void wheel_move(Wheel *wheel, Record *record, int64_t due_ms, int64_t now_ms);
void wheel_remove(Wheel *wheel, Record *record);
void wheel_relink(Record *record); /* the record has a new address */
size_t wheel_visit(Wheel *wheel, int64_t now_ms, Record **out, size_t wanted);
typedef enum Verdict { RECORD_STAYS, RECORD_IS_TAKEN, ENOUGH_SEEN } Verdict;
typedef Verdict (*Judge)(void *context, Record *record);
uint64_t wheel_show_begun(Wheel *wheel, int64_t now_ms, Judge judge, void *context, Links *taken);
int64_t wheel_begins_next_ms(const Wheel *wheel, int64_t now_ms);
int64_t wheel_next_ms(Wheel *wheel); /* -1: nothing is due */
uint64_t wheel_count_overdue(const Wheel *wheel, int db, int64_t now_ms, uint64_t *shown);

/* -- nodes.c: 64-bit node numbers, with the seal, as 16-bit indices --------------------------------- */
typedef struct Nodes {
    uint64_t *numbers;
    Seal *seals;    /* of the values of the records that carry it */
    uint32_t *uses; /* records that carry it; index 0 is this node, without a seal, and is not counted */
    uint32_t *index; /* open addressing, index + 1; 0: free */
    uint32_t count, capacity;
    uint32_t last;
} Nodes;

#define NODES_MAX 65536u

bool nodes_init(Nodes *nodes, uint64_t own);
int32_t nodes_intern(Nodes *nodes, uint64_t number, const Seal *seal); /* -1: no memory, or all 65,536 in use */
void nodes_use(Nodes *nodes, uint16_t node);
void nodes_release(Nodes *nodes, uint16_t node);
void nodes_free(Nodes *nodes);

/* -- outbox.c ------------------------------------------------------------------------------------ */
typedef struct Waiting Waiting;
typedef struct Outbox {
    Waiting **queue; /* a ring: `first` .. `first + count` */
    uint64_t first, count, capacity;
    uint32_t *index; /* hash table of 1 + index in the ring, open addressing */
    uint64_t used_bytes;
    bool overflowed;
} Outbox;

#define OUTBOX_ENTRY_BYTES 64 /* an entry of the ring, of its index and of the arena, besides the key */

#endif
