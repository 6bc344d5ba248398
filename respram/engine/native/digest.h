/* What peers compare: records by granules of their ends, and their ids' counts and sums. digest.c has the reasons.
 *
 * Included by engine.h, behind store.h.
 */
#ifndef RESPRAM_DIGEST_H
#define RESPRAM_DIGEST_H

typedef struct Engine Engine;

#define GRANULE_SHIFT 10 /* replication.py has these, and says why */
#define STAMP_GRANULE_SHIFT 26
#define YOUNG_GRANULES 16
#define CURSOR_DONE (INT64_C(1) << 62) /* a granule behind the last */
#define PARTITIONS 16384

typedef struct Granule { /* 1,024 ms */
    int64_t number;
    uint64_t sum;              /* of the ids of the records that end in it */
    Record **records;          /* these; NULL where one has left. The first LIST_CHUNK, and the others behind: */
    /* The first and the last must not be neighbours: read as one word, they would wait for all stores before. */
    uint32_t ending;         /* records that end in it */
    uint32_t held, capacity; /* places in use, and all */
    uint32_t written;        /* records and stubs whose stamp lies in it */
    /* that end in it, and the number of one; they are listed where digests are off, too */
    uint32_t stubs, first_stub;
    uint32_t filled; /* places that the pass which fills holes has behind it */
    uint32_t more_capacity;
    Record ***more; /* of LIST_CHUNK each: neither growing nor giving back stops the process, however many there are */
} Granule;

typedef struct Tally { /* of young records */
    int64_t stamp, end;
    uint64_t sum;
    int32_t count; /* of those there less those that they replaced */
    bool used;
} Tally;

typedef struct Trace { /* before each record, in a node that may have peers */
    Loose64 id;
    uint32_t granule_low;
    uint16_t granule_high;
    uint16_t point; /* what of its point is below the number of its partition */
    uint32_t place; /* in the granule's records */
    Links links;    /* of its partition */
} Trace;

typedef struct Digests {
    bool enabled;
    uint64_t ids_key[2];
    uint64_t count, sum;
    Granule **granules; /* open addressing by number */
    uint64_t granule_count, granule_capacity;
    Granule *room_end, *room_stamp; /* found for the last write, and likely those of the next */
    Tally *young;       /* open addressing by stamp and end */
    uint64_t young_count, young_capacity, young_last;
    int64_t young_from; /* stamp granules before it are no longer counted apart */
    Links *partitions;
    Name named;         /* of this record, which is new; else NULL */
    const Record *named_record;
    uint64_t bytes;     /* of what does not come from the arena */
} Digests;

typedef struct Sum {
    int64_t number; /* of a bucket */
    int64_t count;
    uint64_t sum;
} Sum;

typedef struct Before { /* what a record counted for */
    int64_t end, stamp;
} Before;

static inline Trace *trace_of(const Record *record) {
    return (Trace *)record - 1;
}

static inline Granule *granule_of(const Trace *trace) { /* of its end; NULL: not counted yet */
    return (Granule *)(uintptr_t)((uint64_t)trace->granule_high << 32 | trace->granule_low);
}

static inline void set_granule(Trace *trace, const Granule *granule) {
    trace->granule_low = (uint32_t)(uintptr_t)granule;
    trace->granule_high = (uint16_t)((uint64_t)(uintptr_t)granule >> 32);
}

/* digest.c: the first are called for every change of a record, where digests are on */
bool engine_remembers(const Engine *engine);
bool digest_track(Engine *engine, uint64_t ids_key, int64_t now_ms);
Before digest_before(const Record *record);
bool digest_make_room(Engine *engine, int64_t end_ms, uint64_t clock, int64_t now_ms);
void digest_give_up(Engine *engine, int64_t end_ms, uint64_t clock);
void digest_change(Engine *engine, Record *record, Before before);
void digest_drop(Engine *engine, Record *record, uint64_t successor);
void digest_moved(Record *record);
void digest_doubt(Digests *digests);
void digest_free(Engine *engine);
bool digest_total(Engine *engine, int64_t cut_stamp, int64_t cut_end, int64_t now_ms, Sum *total);
int64_t digest_buckets(Engine *engine, int64_t cut_stamp, int64_t cut_end, int shift, int64_t now_ms, Sum **out);
uint64_t digest_count_since(const Engine *engine, int64_t since);
Granule *digest_granule(const Digests *digests, int64_t number);

#endif
