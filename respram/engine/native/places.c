/* The numbers of families, and the members of one in an array of chunks: a hole is filled by the last, a draw is one
 * index, growing moves nothing, and a walk downwards sees every member that stays. An address takes 6 bytes.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_MEMBERS 4
#define MORE_CHUNKS 8

void place_point(Family *family, uint64_t place, const Record *record) {
    uint64_t address = (uintptr_t)record;
    memcpy(place_at(family, place), &address, sizeof(Place));
}

void place_put(Engine *engine, Family *family, Record *record, uint64_t place) {
    place_point(family, place, record);
    kin_of(engine, record)->place = (uint32_t)place;
}

static size_t places_bytes(uint64_t places) { /* the last is read with what stands behind it */
    return places * sizeof(Place) + sizeof(uint64_t) - sizeof(Place);
}

static size_t first_bytes(const Family *family) {
    return family->capacity ? places_bytes(family->capacity) : 0;
}

static bool grow_first(Engine *engine, Family *family) {
    uint64_t capacity = family->capacity ? family->capacity * 2 : FIRST_MEMBERS;
    Place *first = realloc(family->first, places_bytes(capacity));
    if (!first)
        return false;
    engine->family_bytes += places_bytes(capacity) - first_bytes(family);
    family->first = first;
    family->capacity = (uint32_t)capacity;
    return true;
}

static bool add_chunk(Engine *engine, Family *family) {
    uint64_t chunks = family->capacity / CHUNK_MEMBERS - 1;
    if (chunks == family->more_capacity) {
        uint64_t capacity = chunks ? chunks * 2 : MORE_CHUNKS;
        Place **more = realloc(family->more, capacity * sizeof *more);
        if (!more)
            return false;
        engine->family_bytes += (capacity - family->more_capacity) * sizeof *more;
        family->more = more;
        family->more_capacity = (uint32_t)capacity;
    }
    Place *chunk = malloc(places_bytes(CHUNK_MEMBERS));
    if (!chunk)
        return false;
    engine->family_bytes += places_bytes(CHUNK_MEMBERS);
    family->more[chunks] = chunk;
    family->capacity += CHUNK_MEMBERS;
    return true;
}

/* A chunk is kept beyond the one that is not full, so that coming and going at its edge costs nothing. */
void places_shrink(Engine *engine, Family *family) {
    while (family->capacity > CHUNK_MEMBERS && family->capacity - family->count >= 2 * CHUNK_MEMBERS) {
        family->capacity -= CHUNK_MEMBERS;
        free(family->more[family->capacity / CHUNK_MEMBERS - 1]);
        engine->family_bytes -= places_bytes(CHUNK_MEMBERS);
    }
}

bool places_grow(Engine *engine, Family *family) {
    return family->capacity < CHUNK_MEMBERS ? grow_first(engine, family) : add_chunk(engine, family);
}

void places_free(Engine *engine, Family *family) {
    while (family->capacity > CHUNK_MEMBERS) {
        family->capacity -= CHUNK_MEMBERS;
        free(family->more[family->capacity / CHUNK_MEMBERS - 1]);
        engine->family_bytes -= places_bytes(CHUNK_MEMBERS);
    }
    engine->family_bytes -= first_bytes(family) + family->more_capacity * sizeof(Place *);
    free(family->first);
    free(family->more);
}

/* -- numbers of families ------------------------------------------------------------------------- */
#define FIRST_NUMBERS 64

static bool numbers_grow(Engine *engine) {
    Numbered *numbered = &engine->numbered;
    if (numbered->capacity > UINT32_MAX / 2)
        return false;
    uint32_t capacity = numbered->capacity ? numbered->capacity * 2 : FIRST_NUMBERS;
    Family **families = realloc(numbered->families, capacity * sizeof *families);
    if (!families)
        return false;
    engine->family_bytes += (capacity - numbered->capacity) * sizeof *families;
    numbered->families = families;
    numbered->capacity = capacity;
    return true;
}

/* False: there is no memory, or no number left. */
bool family_number(Engine *engine, Family *family) {
    Numbered *numbered = &engine->numbered;
    uint32_t number = numbered->free_first;
    if (number) {
        numbered->free_first = (uint32_t)(uintptr_t)numbered->families[number];
    } else {
        if (numbered->count + 1 >= numbered->capacity && !numbers_grow(engine))
            return false;
        number = ++numbered->count; /* 0 is none */
    }
    family->number = number;
    numbered->families[number] = family;
    return true;
}

void family_give_number(Engine *engine, const Family *family) {
    Numbered *numbered = &engine->numbered;
    numbered->families[family->number] = (Family *)(uintptr_t)numbered->free_first;
    numbered->free_first = family->number;
}
