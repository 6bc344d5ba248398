/* What digest.c asks of granules and of the young. Every change of a record calls these, so their usual case is inline;
 * the rest is in granules.c and young.c.
 */
#ifndef RESPRAM_GRANULES_H
#define RESPRAM_GRANULES_H

#include "engine.h"

#define LIST_CHUNK 4096u /* records of a granule in one block */
#define TRIMMED_AT_ONCE 16 /* holes at the end of a list, for each record that leaves: of a million there may be many */
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t scattered(int64_t number) {
    return ((uint64_t)number * SPREAD) >> 32;
}

/* granules.c */
Granule *granule_find_or_make(Engine *engine, int64_t number); /* NULL: no memory */
void granule_let_go(Engine *engine, Granule *granule);
bool granule_widen(Digests *digests, Granule *granule); /* for one more; false: no memory */
void granule_lessen(Digests *digests, Granule *granule);
void granule_free_list(Digests *digests, Granule *granule);
void granule_list_stub(Engine *engine, Granule *granule, uint32_t number);
void granule_unlist_stub(Engine *engine, Granule *granule, uint32_t number);

/* young.c */
bool young_renew(Digests *digests); /* false: no memory */
Tally *young_find_or_make(Digests *digests, int64_t stamp, int64_t end);

static inline Record **granule_at(const Granule *granule, uint32_t place) {
    return likely(place < LIST_CHUNK) ? &granule->records[place]
        : &granule->more[place / LIST_CHUNK - 1][place % LIST_CHUNK];
}

static inline Granule *granule_make(Engine *engine, int64_t number, Granule *likely_one) {
    if (likely(likely_one && likely_one->number == number))
        return likely_one;
    return granule_find_or_make(engine, number);
}

/* Lets a granule go that counts nothing any more. */
static inline void granule_release(Engine *engine, Granule *granule) {
    if (!granule->ending && !granule->written && !granule->stubs)
        granule_let_go(engine, granule);
}

static inline bool granule_make_place(Digests *digests, Granule *granule) {
    return granule->held < granule->capacity || granule_widen(digests, granule);
}

static inline void granule_enter(Granule *granule, Record *record, uint64_t id) {
    Trace *trace = trace_of(record);
    set_granule(trace, granule);
    trace->place = granule->held;
    *granule_at(granule, granule->held++) = record;
    granule->ending++;
    granule->sum += id;
}

static inline void granule_depart(Granule *granule, const Trace *trace) {
    *granule_at(granule, trace->place) = NULL;
    for (int steps = TRIMMED_AT_ONCE; steps && granule->held && !*granule_at(granule, granule->held - 1); steps--)
        granule->held--;
    granule->ending--;
    granule->sum -= trace->id;
}

static inline bool tally_counts(const Digests *digests, const Tally *tally) {
    return tally->used && (tally->count || tally->sum) && tally->stamp >= digests->young_from;
}

/* Finds or makes the entry; there is room. */
static inline Tally *young_tally(Digests *digests, int64_t stamp, int64_t end) {
    Tally *tally = &digests->young[digests->young_last];
    if (likely(tally->used && tally->end == end && tally->stamp == stamp))
        return tally;
    return young_find_or_make(digests, stamp, end);
}

static inline void young_count(Digests *digests, int64_t stamp, int64_t end, uint64_t id) {
    Tally *tally = young_tally(digests, stamp, end);
    tally->count++;
    tally->sum += id;
}

/* The entry need not be there yet: room was made, or it is gone without a successor and its own entry counts it. */
static inline void young_replace(Digests *digests, int64_t stamp, int64_t end, uint64_t id) {
    Tally *tally = young_tally(digests, stamp, end);
    tally->count--;
    tally->sum -= id;
}

static inline bool young_make_room(Digests *digests, int64_t now_ms) {
    if (likely(digests->young_count * 2 < digests->young_capacity))
        return true;
    int64_t young_from = (now_ms >> GRANULE_SHIFT) - YOUNG_GRANULES;
    if (young_from > digests->young_from)
        digests->young_from = young_from;
    return young_renew(digests);
}

#endif
