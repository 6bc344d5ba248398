/* Collections as they lie in memory: a family for each, and what stands before each member. family.c has the verbs.
 *
 * Included by engine.h. Only types may live here.
 */
#ifndef RESPRAM_KIN_H
#define RESPRAM_KIN_H

#include "order.h"
#include "store.h"

typedef struct Family Family;
struct Family { /* its anchor, a record that has the key alone, stands behind it */
    Record **first, ***more; /* members: the first chunk, and the others */
    uint32_t capacity, more_capacity;
    uint64_t count, dying;
    uint64_t counted; /* for DBSIZE */
    uint64_t latest, version; /* no member's clock is above the one; the other is another after each change */
    int64_t soonest_ms;       /* no member ends before it; meaningless without members */
    uint64_t shown;           /* no member that was seen under a head that has ended has a clock above it */
    int64_t last_ms;          /* no member ends behind it */
    uint64_t began;           /* clock of the head when it came: what is older is of another */
    uint64_t raising;         /* so many, from the beginning, may need the longer deadline of the head */
    Family *next;             /* with work for slices */
    bool headed, queued;
    bool held; /* a head is about to come */
    uint8_t space;
    uint32_t number;
    Order order; /* of a sorted set */
};

enum { NOTE_PUT = 100, NOTE_LET_GO = 103, NOTE_ENDED = 106 }; /* of members: HASH, SET and ZSET each, from there on */

/* Before each member, and before its trace. A million members have one family, so its number is kept, not its address:
 * 4 bytes for 8. */
typedef struct Kin {
    uint32_t family; /* 0: it has no value */
    uint32_t place;
} Kin;

typedef struct Numbered { /* families by their numbers; of a free one the next that is free */
    Family **families;
    uint32_t count, capacity, free_first;
} Numbered;

#endif
