/* Granules: 1,024 ms of ends each, in a table by number, and the list of the records in each. digest.c has the reasons,
 * and granules.h what every change of a record calls.
 */
#include "granules.h"

#include <stdlib.h>

#define GRANULES_MIN 64
#define LIST_MIN 4
#define PREFETCHED 8

static uint64_t granule_place(Granule *const *granules, uint64_t capacity, int64_t number) {
    uint64_t mask = capacity - 1, place = scattered(number) & mask;
    while (granules[place] && granules[place]->number != number)
        place = (place + 1) & mask;
    return place;
}

Granule *digest_granule(const Digests *digests, int64_t number) {
    if (!digests->granule_capacity)
        return NULL;
    return digests->granules[granule_place(digests->granules, digests->granule_capacity, number)];
}

static bool grow_granules(Digests *digests) {
    uint64_t capacity = digests->granule_capacity ? digests->granule_capacity * 2 : GRANULES_MIN;
    Granule **granules = calloc(capacity, sizeof *granules);
    if (!granules)
        return false;
    for (uint64_t place = 0; place < digests->granule_capacity; place++)
        if (digests->granules[place])
            granules[granule_place(granules, capacity, digests->granules[place]->number)] = digests->granules[place];
    digests->bytes += (capacity - digests->granule_capacity) * sizeof *granules;
    free(digests->granules);
    digests->granules = granules;
    digests->granule_capacity = capacity;
    return true;
}

Granule *granule_find_or_make(Engine *engine, int64_t number) {
    Digests *digests = &engine->digests;
    Granule *granule = digest_granule(digests, number);
    if (granule)
        return granule;
    if (digests->granule_count * 2 >= digests->granule_capacity && !grow_granules(digests))
        return NULL;
    granule = arena_take(&engine->arena, sizeof *granule);
    if (!granule)
        return NULL;
    *granule = (Granule){.number = number};
    digests->granules[granule_place(digests->granules, digests->granule_capacity, number)] = granule;
    digests->granule_count++;
    return granule;
}

/* What follows in its run of the table moves up. */
void granule_let_go(Engine *engine, Granule *granule) {
    Digests *digests = &engine->digests;
    uint64_t mask = digests->granule_capacity - 1;
    uint64_t hole = granule_place(digests->granules, digests->granule_capacity, granule->number);
    for (uint64_t at = (hole + 1) & mask; digests->granules[at]; at = (at + 1) & mask) {
        uint64_t home = scattered(digests->granules[at]->number) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            digests->granules[hole] = digests->granules[at];
            hole = at;
        }
    }
    digests->granules[hole] = NULL;
    if (digests->room_end == granule)
        digests->room_end = NULL;
    if (digests->room_stamp == granule)
        digests->room_stamp = NULL;
    digests->granule_count--;
    digests->bytes -= granule->capacity * sizeof *granule->records;
    free(granule->records);
    arena_give(&engine->arena, granule, sizeof *granule);
}

static void make_dense(Granule *granule) {
    uint32_t left = 0;
    for (uint32_t place = 0; place < granule->held; place++) {
        if (place + PREFETCHED < granule->held && granule->records[place + PREFETCHED])
            __builtin_prefetch(trace_of(granule->records[place + PREFETCHED]), 1);
        Record *record = granule->records[place];
        if (record) {
            granule->records[left] = record;
            trace_of(record)->place = left++;
        }
    }
    granule->held = left;
}

bool granule_widen(Digests *digests, Granule *granule) {
    if (granule->ending < granule->capacity / 2) {
        make_dense(granule);
        return true;
    }
    uint64_t capacity = granule->capacity ? (uint64_t)granule->capacity * 2 : LIST_MIN;
    Record **records = capacity > UINT32_MAX ? NULL : realloc(granule->records, capacity * sizeof *records);
    if (!records)
        return false;
    digests->bytes += (capacity - granule->capacity) * sizeof *records;
    granule->records = records;
    granule->capacity = (uint32_t)capacity;
    return true;
}

/* Its records have become stubs, which are listed otherwise: what the list does not need goes back. */
void granule_lessen(Digests *digests, Granule *granule) {
    if (granule->ending > granule->capacity / 4)
        return;
    make_dense(granule);
    uint32_t capacity = granule->held ? granule->capacity / 2 : 0;
    Record **records = NULL;
    if (!capacity)
        free(granule->records);
    else if (!(records = realloc(granule->records, capacity * sizeof *records)))
        return;
    digests->bytes -= (granule->capacity - capacity) * sizeof *records;
    granule->records = records;
    granule->capacity = capacity;
}

void granule_list_stub(Engine *engine, Granule *granule, uint32_t number) {
    Stub *stub = stub_at(&engine->stubs, number);
    stub->prev = 0;
    stub->next = granule->first_stub;
    if (stub->next)
        stub_at(&engine->stubs, stub->next)->prev = number;
    granule->first_stub = number;
    granule->stubs++;
}

void granule_unlist_stub(Engine *engine, Granule *granule, uint32_t number) {
    const Stub *stub = stub_at(&engine->stubs, number);
    if (stub->prev)
        stub_at(&engine->stubs, stub->prev)->next = stub->next;
    else
        granule->first_stub = stub->next;
    if (stub->next)
        stub_at(&engine->stubs, stub->next)->prev = stub->prev;
    granule->stubs--;
}
