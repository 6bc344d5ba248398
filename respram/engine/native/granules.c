/* Granules: 1,024 ms of ends each, in a table by number, and the list of the records in each. digest.c has the reasons,
 * and granules.h what every change of a record calls.
 */
#include "granules.h"

#include <stdlib.h>

#define GRANULES_MIN 64
#define LIST_MIN 4
#define CHUNKS_MIN 8
#define FILLED_AT_ONCE 8 /* places of a list for each record that leaves: each of them may be a cache miss */

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
    granule_free_list(digests, granule);
    arena_give(&engine->arena, granule, sizeof *granule);
}

/* Looks at so many places, and puts the last record into each hole among them. */
static void fill_holes(Granule *granule, uint32_t places) {
    for (; places && granule->held; places--) {
        if (granule->filled >= granule->held)
            granule->filled = 0;
        Record **last = granule_at(granule, granule->held - 1);
        if (!*last) {
            granule->held--;
            continue;
        }
        Record **hole = granule_at(granule, granule->filled++);
        if (*hole)
            continue;
        *hole = *last;
        trace_of(*hole)->place = granule->filled - 1;
        *last = NULL;
        granule->held--;
    }
}

static bool resize_first(Digests *digests, Granule *granule, uint32_t capacity) {
    Record **records = realloc(granule->records, capacity * sizeof *records);
    if (!records)
        return false;
    digests->bytes += capacity * sizeof *records - granule->capacity * sizeof *records;
    granule->records = records;
    granule->capacity = capacity;
    return true;
}

static bool add_chunk(Digests *digests, Granule *granule) {
    uint32_t chunks = granule->capacity / LIST_CHUNK - 1;
    if (granule->capacity > UINT32_MAX - LIST_CHUNK)
        return false;
    if (chunks == granule->more_capacity) {
        uint32_t capacity = chunks ? chunks * 2 : CHUNKS_MIN;
        Record ***more = realloc(granule->more, capacity * sizeof *more);
        if (!more)
            return false;
        digests->bytes += (capacity - granule->more_capacity) * sizeof *more;
        granule->more = more;
        granule->more_capacity = capacity;
    }
    Record **chunk = malloc(LIST_CHUNK * sizeof *chunk);
    if (!chunk)
        return false;
    digests->bytes += LIST_CHUNK * sizeof *chunk;
    granule->more[chunks] = chunk;
    granule->capacity += LIST_CHUNK;
    return true;
}

static void drop_chunk(Digests *digests, Granule *granule) {
    granule->capacity -= LIST_CHUNK;
    free(granule->more[granule->capacity / LIST_CHUNK - 1]);
    digests->bytes -= LIST_CHUNK * sizeof *granule->records;
}

void granule_free_list(Digests *digests, Granule *granule) {
    while (granule->capacity > LIST_CHUNK)
        drop_chunk(digests, granule);
    digests->bytes -= granule->capacity * sizeof *granule->records + granule->more_capacity * sizeof *granule->more;
    free(granule->records);
    free(granule->more);
    granule->records = NULL;
    granule->more = NULL;
    granule->capacity = granule->more_capacity = 0;
}

bool granule_widen(Digests *digests, Granule *granule) {
    if (granule->ending < granule->capacity / 2) {
        while (granule->held == granule->capacity)
            fill_holes(granule, FILLED_AT_ONCE);
        return true;
    }
    if (granule->capacity < LIST_CHUNK)
        return resize_first(digests, granule, granule->capacity ? granule->capacity * 2 : LIST_MIN);
    return add_chunk(digests, granule);
}

/* Records have left: what the list does not need goes back, little by little. A chunk is kept beyond the one that is
 * not full, so that coming and going at its edge costs nothing.
 */
void granule_lessen(Digests *digests, Granule *granule) {
    if (granule->capacity > LIST_CHUNK && granule->capacity - granule->held >= 2 * LIST_CHUNK)
        drop_chunk(digests, granule);
    if (granule->ending > granule->capacity / 4)
        return;
    fill_holes(granule, FILLED_AT_ONCE);
    if (granule->capacity > LIST_CHUNK || granule->held > granule->capacity / 2)
        return;
    if (granule->held)
        resize_first(digests, granule, granule->capacity / 2);
    else
        granule_free_list(digests, granule);
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
