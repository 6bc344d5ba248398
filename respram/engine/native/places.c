/* The members of a family in an array of chunks: a hole is filled by the last, a draw is one index, growing moves
 * nothing, and a walk downwards sees every member that stays.
 */
#include "engine.h"

#include <stdlib.h>

#define CHUNK_MEMBERS 512
#define FIRST_MEMBERS 4
#define MORE_CHUNKS 8

Record **place_at(const Family *family, uint64_t place) {
    return place < CHUNK_MEMBERS ? &family->first[place]
        : &family->more[place / CHUNK_MEMBERS - 1][place % CHUNK_MEMBERS];
}

Record *family_member(const Family *family, uint64_t place) {
    return *place_at(family, place);
}

void place_put(Engine *engine, Family *family, Record *record, uint64_t place) {
    *place_at(family, place) = record;
    kin_of(engine, record)->place = (uint32_t)place;
}

static bool grow_first(Engine *engine, Family *family) {
    uint64_t capacity = family->capacity ? family->capacity * 2 : FIRST_MEMBERS;
    Record **first = realloc(family->first, capacity * sizeof *first);
    if (!first)
        return false;
    engine->family_bytes += (capacity - family->capacity) * sizeof *first;
    family->first = first;
    family->capacity = (uint32_t)capacity;
    return true;
}

static bool add_chunk(Engine *engine, Family *family) {
    uint64_t chunks = family->capacity / CHUNK_MEMBERS - 1;
    if (chunks == family->more_capacity) {
        uint64_t capacity = chunks ? chunks * 2 : MORE_CHUNKS;
        Record ***more = realloc(family->more, capacity * sizeof *more);
        if (!more)
            return false;
        engine->family_bytes += (capacity - family->more_capacity) * sizeof *more;
        family->more = more;
        family->more_capacity = (uint32_t)capacity;
    }
    Record **chunk = malloc(CHUNK_MEMBERS * sizeof *chunk);
    if (!chunk)
        return false;
    engine->family_bytes += CHUNK_MEMBERS * sizeof *chunk;
    family->more[chunks] = chunk;
    family->capacity += CHUNK_MEMBERS;
    return true;
}

/* A chunk is kept beyond the one that is not full, so that coming and going at its edge costs nothing. */
void places_shrink(Engine *engine, Family *family) {
    while (family->capacity > CHUNK_MEMBERS && family->capacity - family->count >= 2 * CHUNK_MEMBERS) {
        family->capacity -= CHUNK_MEMBERS;
        free(family->more[family->capacity / CHUNK_MEMBERS - 1]);
        engine->family_bytes -= CHUNK_MEMBERS * sizeof(Record *);
    }
}

bool places_grow(Engine *engine, Family *family) {
    return family->capacity < CHUNK_MEMBERS ? grow_first(engine, family) : add_chunk(engine, family);
}

void places_free(Engine *engine, Family *family) {
    while (family->capacity > CHUNK_MEMBERS) {
        family->capacity -= CHUNK_MEMBERS;
        free(family->more[family->capacity / CHUNK_MEMBERS - 1]);
        engine->family_bytes -= CHUNK_MEMBERS * sizeof(Record *);
    }
    engine->family_bytes -= family->capacity * sizeof(Record *) + family->more_capacity * sizeof(Record **);
    free(family->first);
    free(family->more);
}
