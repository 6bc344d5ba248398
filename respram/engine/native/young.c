/* The young: records by granules of stamp and end, counted a second time. digest.c has the reasons, and granules.h what
 * every change of a record calls.
 */
#include "granules.h"

#include <stdlib.h>

#define YOUNG_MIN 64

static uint64_t tally_place(const Tally *young, uint64_t capacity, int64_t stamp, int64_t end) {
    uint64_t mask = capacity - 1, place = scattered(end * 31 + stamp) & mask;
    while (young[place].used && (young[place].end != end || young[place].stamp != stamp))
        place = (place + 1) & mask;
    return place;
}

/* A new table of those that count, at most a quarter full. */
bool young_renew(Digests *digests) {
    uint64_t counted = 0, capacity = YOUNG_MIN;
    for (uint64_t place = 0; place < digests->young_capacity; place++)
        counted += tally_counts(digests, &digests->young[place]);
    while (capacity < counted * 4)
        capacity *= 2;
    Tally *young = calloc(capacity, sizeof *young);
    if (!young)
        return false;
    for (uint64_t place = 0; place < digests->young_capacity; place++) {
        const Tally *tally = &digests->young[place];
        if (tally_counts(digests, tally))
            young[tally_place(young, capacity, tally->stamp, tally->end)] = *tally;
    }
    digests->bytes += capacity * sizeof *young - digests->young_capacity * sizeof *young;
    free(digests->young);
    digests->young = young;
    digests->young_capacity = capacity;
    digests->young_count = counted;
    digests->young_last = 0;
    return true;
}

Tally *young_find_or_make(Digests *digests, int64_t stamp, int64_t end) {
    uint64_t place = tally_place(digests->young, digests->young_capacity, stamp, end);
    Tally *tally = &digests->young[place];
    if (!tally->used) {
        *tally = (Tally){.stamp = stamp, .end = end, .used = true};
        digests->young_count++;
    }
    digests->young_last = place;
    return tally;
}
