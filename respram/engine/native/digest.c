/* Counts and sums of record ids, by granule of their end: kept as records and stubs come and go, where there may be
 * peers. A record of such a node has a trace of 32 bytes before its header: its id, where its granule lists it, and its
 * neighbours in a partition of the dump (dump.c). A lone node's records have none, and no code runs for them.
 *
 * A granule is found by its number in a table of pointers. It lists its records by their addresses, 8 bytes each, so
 * that a walk in order of ends can prefetch them far ahead. An overwrite leaves a NULL in the old list, which nobody
 * waits for, and goes to the end of the new one, which is warm; a list with more holes than records is made dense.
 *
 * Records written in the last 16 s are counted a second time by granules of stamp and end, so that a cut can leave the
 * young out without looking at them. What they replaced is taken off there: a cut before their stamp still has the
 * version of then, else nodes would differ by every overwrite that is on its way. Entries that count nothing any more
 * go when the table would grow. An overwrite costs an id (20 ns for a short key) and three or four lines, mostly warm.
 */
#include "granules.h"

#include <stdlib.h>
#include <string.h>

static int64_t end_of(const Record *record) {
    return record_end_ms(record) >> GRANULE_SHIFT;
}

static int64_t stamp_of(uint64_t clock) {
    return (int64_t)(clock >> STAMP_GRANULE_SHIFT);
}

/* `named`: a key, or the name of one that has a shadow, or that of a member. So a stub, which has no key, has the id of
 * its record. */
uint64_t digest_id(const Engine *engine, uint64_t clock, uint16_t node, int db, Span named, int64_t shadow_ms) {
    uint64_t words[2] = {clock, engine->nodes.numbers[node]};
    return hash_words(engine->digests.ids_key, words, 2, (uint8_t)db, named) + (uint64_t)shadow_ms * SPREAD;
}

static uint64_t identity(Engine *engine, const Record *record) {
    Span key = record_key(record);
    int64_t shadow_ms = record_shadow_ms(record);
    bool is_fresh = engine->digests.named_record == record; /* it was placed by its name a moment ago */
    engine->digests.named_record = NULL; /* its block may be another's soon */
    if (record->db >= MARKS || likely(record->db < DATABASES && !shadow_ms))
        return digest_id(engine, record->clock, record->node, record->db, key, shadow_ms);
    Name name = is_fresh ? engine->digests.named : record_called(engine, record);
    return digest_id(engine, record->clock, record->node, record->db, (Span){name.bytes, NAME_BYTES}, shadow_ms);
}

/* -- changes ------------------------------------------------------------------------------------- */
Before digest_before(const Record *record) {
    return (Before){end_of(record), stamp_of(record->clock)};
}

/* All that counting a record with this end and stamp may need. False: no memory. */
bool digest_make_room(Engine *engine, int64_t end_ms, uint64_t clock, int64_t now_ms) {
    Digests *digests = &engine->digests;
    if (!young_make_room(digests, now_ms))
        return false;
    Granule *end = granule_make(engine, end_ms >> GRANULE_SHIFT, digests->room_end);
    if (!end)
        return false;
    Granule *stamp = NULL;
    if (granule_make_place(digests, end))
        stamp = granule_make(engine, stamp_of(clock), digests->room_stamp);
    if (!stamp) {
        granule_release(engine, end);
        return false;
    }
    digests->room_end = end;
    digests->room_stamp = stamp;
    return true;
}

static void release_at(Engine *engine, int64_t number) {
    Granule *granule = digest_granule(&engine->digests, number);
    if (granule)
        granule_release(engine, granule);
}

/* What room was made for did not happen. */
void digest_give_up(Engine *engine, int64_t end_ms, uint64_t clock) {
    release_at(engine, end_ms >> GRANULE_SHIFT);
    release_at(engine, stamp_of(clock));
}

/* The granule of its stamp, which may count nothing any more, as may that of its end. */
static Granule *uncount(Engine *engine, Record *record, Before before) {
    Digests *digests = &engine->digests;
    Trace *trace = trace_of(record);
    Granule *end = granule_of(trace);
    always(trace->place < end->held && *granule_at(end, trace->place) == record);
    granule_depart(end, trace);
    Granule *written = digest_granule(digests, before.stamp);
    always(written && written->written);
    written->written--;
    digests->count--;
    digests->sum -= trace->id;
    return written;
}

/* The record is what it is now, and was counted as `before` says, or not yet. Room was made. */
void digest_change(Engine *engine, Record *record, Before before) {
    Digests *digests = &engine->digests;
    Trace *trace = trace_of(record);
    Granule *end = digests->room_end, *stamp = digests->room_stamp, *end_before = granule_of(trace),
        *stamp_before = NULL;
    if (end_before) {
        /* a cut between the two still has it */
        int64_t gone = stamp->number > before.stamp ? stamp->number : before.stamp;
        stamp_before = uncount(engine, record, before);
        if (gone >= digests->young_from)
            young_replace(digests, gone, before.end, trace->id);
    }
    trace->id = identity(engine, record);
    granule_enter(end, record, trace->id);
    stamp->written++;
    digests->count++;
    digests->sum += trace->id;
    if (stamp->number >= digests->young_from)
        young_count(digests, stamp->number, end->number, trace->id);
    if (end_before)
        granule_release(engine, end_before);
    if (stamp_before && stamp_before != end_before)
        granule_release(engine, stamp_before);
}

static int64_t later(int64_t one, int64_t other) {
    return one > other ? one : other;
}

/* It goes: for good, then `successor` is its own clock; or for a stub with that clock, for which room was made. */
void digest_drop(Engine *engine, Record *record, uint64_t successor) {
    Before before = digest_before(record);
    leave(&trace_of(record)->links);
    Granule *end = granule_of(trace_of(record)), *stamp = uncount(engine, record, before);
    int64_t gone = later(before.stamp, stamp_of(successor)); /* a cut between the two still has it */
    if (gone >= engine->digests.young_from)
        young_replace(&engine->digests, gone, before.end, trace_of(record)->id);
    if (end->stubs || end->capacity > LIST_CHUNK)
        granule_lessen(&engine->digests, end);
    granule_release(engine, end);
    if (stamp != end)
        granule_release(engine, stamp);
}

/* -- stubs: like records, but listed by themselves; where no digests are kept they are listed and no more ---------- */
bool digest_make_stub_room(Engine *engine, int64_t end_ms, uint64_t clock, int64_t now_ms) {
    Digests *digests = &engine->digests;
    if (digests->enabled && !young_make_room(digests, now_ms))
        return false;
    Granule *end = granule_make(engine, end_ms >> GRANULE_SHIFT, digests->room_end), *stamp = NULL;
    if (!end)
        return false;
    if (digests->enabled && !(stamp = granule_make(engine, stamp_of(clock), digests->room_stamp))) {
        granule_release(engine, end);
        return false;
    }
    digests->room_end = end;
    digests->room_stamp = stamp;
    return true;
}

/* One that is listed. Room was made. */
void digest_count_stub(Engine *engine, uint32_t number) {
    Digests *digests = &engine->digests;
    Granule *end = digests->room_end, *stamp = digests->room_stamp;
    uint64_t id = stub_id(engine, stub_at(&engine->stubs, number));
    end->sum += id;
    stamp->written++;
    digests->count++;
    digests->sum += id;
    if (stamp->number >= digests->young_from)
        young_count(digests, stamp->number, end->number, id);
}

void digest_add_stub(Engine *engine, uint32_t number) {
    granule_list_stub(engine, engine->digests.room_end, number);
    if (engine->digests.enabled)
        digest_count_stub(engine, number);
}

/* As with a record. */
void digest_drop_stub(Engine *engine, uint32_t number, uint64_t successor) {
    Digests *digests = &engine->digests;
    const Stub *stub = stub_at(&engine->stubs, number);
    Granule *end = digest_granule(digests, stub_end_ms(stub) >> GRANULE_SHIFT), *stamp = NULL;
    always(end && end->stubs);
    granule_unlist_stub(engine, end, number);
    if (digests->enabled) {
        uint64_t id = stub_id(engine, stub);
        int64_t written = stamp_of(stub_clock(stub)), gone = later(written, stamp_of(successor));
        stamp = digest_granule(digests, written);
        always(stamp && stamp->written);
        stamp->written--;
        end->sum -= id;
        digests->count--;
        digests->sum -= id;
        if (gone >= digests->young_from)
            young_replace(digests, gone, end->number, id);
    }
    granule_release(engine, end);
    if (stamp && stamp != end)
        granule_release(engine, stamp);
}

/* A record becomes a stub: one version, one end, one id. Only the list is another. */
void digest_turned(Engine *engine, Record *record, uint32_t number) {
    Trace *trace = trace_of(record);
    Granule *end = granule_of(trace);
    uint64_t sum = end->sum;
    dear(trace->id == stub_id(engine, stub_at(&engine->stubs, number)));
    leave(&trace->links);
    granule_depart(end, trace);
    end->sum = sum;
    granule_list_stub(engine, end, number);
    granule_lessen(&engine->digests, end);
}

/* The record has a new address, and its trace with it. */
void digest_moved(Record *record) {
    Trace *trace = trace_of(record);
    relink(&trace->links);
    if (granule_of(trace))
        *granule_at(granule_of(trace), trace->place) = record;
}

void digest_free(Engine *engine) {
    Digests *digests = &engine->digests;
    for (uint64_t place = 0; place < digests->granule_capacity; place++) {
        Granule *granule = digests->granules[place];
        if (granule) {
            granule_free_list(digests, granule);
            arena_give(&engine->arena, granule, sizeof *granule);
        }
    }
    free(digests->granules);
    free(digests->young);
    free(digests->partitions);
    memset(digests, 0, sizeof *digests);
}

/* -- sums ---------------------------------------------------------------------------------------- */
/* The clock was set back: what had ceased to be young is so again. A walk over everything, once. */
static bool recount(Engine *engine, int64_t young_from) {
    Digests *digests = &engine->digests;
    digests->young_from = INT64_MAX; /* nothing counts */
    if (!young_renew(digests))
        return false;
    digests->young_from = young_from;
    for (uint64_t at = 0; at < digests->granule_capacity; at++) {
        const Granule *granule = digests->granules[at];
        for (uint32_t place = 0; granule && place < granule->held; place++) {
            const Record *record = *granule_at(granule, place);
            if (!record || stamp_of(record->clock) < young_from)
                continue;
            if (digests->young_count * 2 >= digests->young_capacity && !young_renew(digests))
                return false;
            young_count(digests, stamp_of(record->clock), granule->number, trace_of(record)->id);
        }
        for (uint32_t number = granule ? granule->first_stub : 0; number;
            number = stub_at(&engine->stubs, number)->next) {
            const Stub *stub = stub_at(&engine->stubs, number);
            if (stamp_of(stub_clock(stub)) < young_from)
                continue;
            if (digests->young_count * 2 >= digests->young_capacity && !young_renew(digests))
                return false;
            young_count(digests, stamp_of(stub_clock(stub)), granule->number, stub_id(engine, stub));
        }
    }
    return true;
}

/* What is young is counted anew when it is asked for next. A record that got a stamp ahead, and then a fresh one, has
 * left what it replaced under the stamp ahead: digests would lack that until then, for a day perhaps. */
void digest_doubt(Digests *digests) {
    digests->young_from = INT64_MAX; /* nothing counts */
}

/* Lets go of what is young no more; whether the cut can still be told. */
static bool age(Engine *engine, int64_t cut_stamp, int64_t now_ms) {
    Digests *digests = &engine->digests;
    int64_t young_from = (now_ms >> GRANULE_SHIFT) - YOUNG_GRANULES;
    if (young_from < digests->young_from - YOUNG_GRANULES && !recount(engine, young_from)) {
        digests->young_from = INT64_MAX; /* without memory nothing can be told, and the next call tries again */
        return false;
    }
    if (young_from > digests->young_from)
        digests->young_from = young_from;
    return cut_stamp >= digests->young_from - 1;
}

static bool is_left_out(const Digests *digests, const Tally *tally, int64_t cut_stamp, int64_t cut_end) {
    return tally_counts(digests, tally) && tally->stamp > cut_stamp && tally->end > cut_end;
}

/* All that lies within the cut: everything, but for the granules that end before and for the young. */
bool digest_total(Engine *engine, int64_t cut_stamp, int64_t cut_end, int64_t now_ms, Sum *total) {
    Digests *digests = &engine->digests;
    if (!age(engine, cut_stamp, now_ms))
        return false;
    *total = (Sum){.count = (int64_t)digests->count, .sum = digests->sum};
    for (uint64_t place = 0; place < digests->granule_capacity; place++) {
        const Granule *granule = digests->granules[place];
        if (granule && granule->number <= cut_end) {
            total->count -= (int64_t)granule->ending + granule->stubs;
            total->sum -= granule->sum;
        }
    }
    for (uint64_t place = 0; place < digests->young_capacity; place++) {
        const Tally *tally = &digests->young[place];
        if (is_left_out(digests, tally, cut_stamp, cut_end)) {
            total->count -= tally->count;
            total->sum -= tally->sum;
        }
    }
    return true;
}

static int by_number(const void *one, const void *other) {
    int64_t first = ((const Sum *)one)->number, second = ((const Sum *)other)->number;
    return first < second ? -1 : first > second;
}

/* Sums of neighbours become one; those that are empty go. */
static int64_t fold(Sum *sums, int64_t count) {
    int64_t folded = 0;
    qsort(sums, (size_t)count, sizeof *sums, by_number);
    for (int64_t at = 0; at < count;) {
        Sum sum = sums[at++];
        for (; at < count && sums[at].number == sum.number; at++) {
            sum.count += sums[at].count;
            sum.sum += sums[at].sum;
        }
        if (sum.count)
            sums[folded++] = sum;
    }
    return folded;
}

/* How many buckets, and in `out` their sums in order, to be freed by the caller. -1: no memory. */
int64_t digest_buckets(Engine *engine, int64_t cut_stamp, int64_t cut_end, int shift, int64_t now_ms, Sum **out) {
    Digests *digests = &engine->digests;
    *out = NULL;
    if (!age(engine, cut_stamp, now_ms))
        return 0;
    Sum *sums = malloc((digests->granule_count + digests->young_count + 1) * sizeof *sums);
    if (!sums)
        return -1;
    int64_t count = 0;
    for (uint64_t place = 0; place < digests->granule_capacity; place++) {
        const Granule *granule = digests->granules[place];
        if (granule && (granule->ending || granule->stubs) && granule->number > cut_end)
            sums[count++] = (Sum){granule->number >> shift, (int64_t)granule->ending + granule->stubs, granule->sum};
    }
    for (uint64_t place = 0; place < digests->young_capacity; place++) {
        const Tally *tally = &digests->young[place];
        if (is_left_out(digests, tally, cut_stamp, cut_end))
            sums[count++] = (Sum){tally->end >> shift, -(int64_t)tally->count, -tally->sum};
    }
    *out = sums;
    return fold(sums, count);
}

uint64_t digest_count_since(const Engine *engine, int64_t since) {
    const Digests *digests = &engine->digests;
    uint64_t count = 0;
    for (uint64_t place = 0; place < digests->granule_capacity; place++) {
        const Granule *granule = digests->granules[place];
        if (granule && granule->number >= since)
            count += granule->written;
    }
    return count;
}
