/* Stubs: what is remembered of a key whose value is gone, as long as an older value could come back. stubs.c has the
 * reasons.
 *
 * Included by engine.h, behind store.h.
 */
#ifndef RESPRAM_STUBS_H
#define RESPRAM_STUBS_H

#define NAME_BYTES 16

typedef struct Engine Engine;

typedef struct Name { /* names.c */
    uint8_t bytes[NAME_BYTES];
} Name;

typedef struct Stub { /* 44 bytes, aligned to 4: with its share of the buckets at most 48 */
    Name name;
    uint32_t clock_low, clock_high;
    uint32_t end_low;
    uint16_t end_high;   /* 15 bits; above them STUB_TIMED */
    uint16_t node;       /* as in a record */
    uint32_t chain;      /* the next of its bucket, or of the free; numbers are 1 higher than places, 0 is none */
    uint32_t next, prev; /* in the granule of its end */
} Stub;

typedef struct StubSlab StubSlab;
typedef struct Departed Departed;

typedef struct Stubs {
    StubSlab **slabs; /* by number; NULL: given back */
    uint32_t slab_count, slab_capacity;
    uint32_t roomy;   /* 1 + the first slab with a free place */
    uint32_t **segments; /* of buckets */
    uint64_t segment_capacity;
    uint64_t buckets, count;
    uint64_t place_key[2]; /* buckets are chosen under it: the key of ids, where there are digests */
    int64_t swept;    /* no stub ends in this granule or before */
    Departed *departed; /* NULL: none was noted yet */
} Stubs;

Name stub_name(int space, Span key);
Name name_of_parts(int space, const Span *parts, size_t count); /* of a key in parts that follow each other */
uint32_t name_point(const uint64_t ids_key[2], const Name *name);
uint32_t key_point(const uint64_t ids_key[2], int db, Span key);
#define NAME_SPACE 0x3f /* these bits of its last byte: its space */
static inline int name_space(const Name *name) {
    return name->bytes[NAME_BYTES - 1] & NAME_SPACE;
}

static inline uint64_t stub_clock(const Stub *stub) {
    return (uint64_t)stub->clock_high << 32 | stub->clock_low;
}

/* A member that was cleared ends at the deadline that it had; everything else that is a stub with its shadow. */
#define STUB_TIMED 0x8000
#define STUB_END_MS_MAX ((INT64_C(1) << 47) - 1) /* the year 6429 */

static inline int64_t stub_end_ms(const Stub *stub) {
    return (int64_t)((uint64_t)(stub->end_high & (STUB_TIMED - 1)) << 32 | stub->end_low);
}

static inline int64_t stub_deadline_ms(const Stub *stub) { /* 0: not known any more, and of no use */
    return stub->end_high & STUB_TIMED ? stub_end_ms(stub) : 0;
}

static inline int64_t stub_shadow_ms(const Stub *stub) {
    return stub->end_high & STUB_TIMED ? 0 : stub_end_ms(stub);
}

typedef int (*SeeStub)(void *context, uint32_t number); /* 0: continue */

bool stub_pack(const Engine *engine, uint32_t number, const Span *key, Buffer *out); /* no key: by its name */

/* stubs.c */
Stub *stub_at(const Stubs *stubs, uint32_t number);
const Stub *stub_if_used(const Stubs *stubs, uint32_t number);
uint32_t stubs_find(const Stubs *stubs, const Name *name); /* 0: there is none */
uint32_t stubs_find_key(const Stubs *stubs, int db, Span key);
void stubs_replace(Stubs *stubs, uint64_t ids_key);
int stubs_walk(const Stubs *stubs, SeeStub see, void *context); /* `see` may not write */
int stubs_walk_partition(const Stubs *stubs, uint32_t partition, SeeStub see, void *context);
uint64_t stubs_bytes(const Stubs *stubs);
int64_t stubs_next_ms(const Stubs *stubs);
uint64_t stubs_sweep(Engine *engine, int64_t now_ms, uint64_t budget);
void stubs_free(Stubs *stubs);
uint64_t stub_id(const Engine *engine, const Stub *stub);
/* the number of the stub, as of the next; 0: no memory */
uint32_t stub_write(Engine *engine, uint32_t before, const Name *name, uint64_t clock, uint16_t node,
                int64_t deadline_ms, int64_t shadow_ms, int64_t now_ms);
void stub_replaced(Engine *engine, uint32_t number, uint64_t clock);
void stub_remove(Engine *engine, uint32_t number);
uint32_t stub_bury(Engine *engine, Record *record, uint32_t stub, const Name *name, uint64_t clock,
                   uint16_t node, int64_t deadline_ms, int64_t shadow_ms, int64_t now_ms);
bool stub_of_member(Engine *engine, Record *record, bool departs, int64_t now_ms);
bool stub_takes_over(Engine *engine, Record *record, int64_t now_ms);

/* departed.c */
#define DEPARTED_MAX 4096 /* replication.py has it, and says of what */
void departed_note(Engine *engine, Span key, uint32_t stub);
bool departed_pack(const Engine *engine, int db, Span key, uint64_t since, int64_t now_ms, Buffer *out);
uint64_t departed_count(const Engine *engine);

/* what stubs need of the others: keyspace.c, family.c, digest.c, dump.c */
bool keyspace_mark(Engine *engine, int db, uint64_t hash, Span key, uint64_t clock, uint64_t number, int64_t until_ms,
                   int64_t now_ms, int64_t ended_ms);
uint64_t family_cleared_by(const Record *head, uint64_t clock, int64_t now_ms);
void keyspace_forget(Engine *engine, Record *record, uint64_t hash, uint64_t cleared);
uint64_t family_ended_at(const Record *record);
bool family_is_over(const Engine *engine, const Record *record, uint8_t kind, uint64_t clock, uint16_t node,
    int64_t now_ms);
uint64_t digest_id(const Engine *engine, uint64_t clock, uint16_t node, int db, Span named, int64_t shadow_ms);
bool digest_make_stub_room(Engine *engine, int64_t end_ms, uint64_t clock, int64_t now_ms);
void digest_add_stub(Engine *engine, uint32_t number);
void digest_count_stub(Engine *engine, uint32_t number);
void digest_drop_stub(Engine *engine, uint32_t number, uint64_t successor);
void digest_turned(Engine *engine, Record *record, uint32_t number);
Record *dump_find(const Engine *engine, const Name *name);

#endif
