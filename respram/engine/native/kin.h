/* Collections as they lie in memory: a family for each, and what stands before each member. family.c has the verbs.
 *
 * Included by engine.h. Only types may live here.
 */
#ifndef RESPRAM_KIN_H
#define RESPRAM_KIN_H

#include "order.h"
#include "store.h"

#define PLACE_BYTES 6
#define CHUNK_MEMBERS 512

typedef struct Place { /* the address of a member's record, of 48 bits */
    uint8_t bytes[PLACE_BYTES];
} Place;

typedef struct Family Family;
struct Family { /* followed in memory by its anchor, a record with the key alone; what every command reads is first */
    uint64_t count, dying;
    int64_t soonest_ms;       /* no member ends earlier; undefined without members */
    uint32_t number;
    uint8_t space;
    bool headed, queued;
    bool held; /* a head is about to be written */
    Place *first, **more; /* members, in a first chunk and further ones */
    uint32_t capacity, more_capacity;
    uint64_t records; /* members, and those that are stubs for want of memory: it stays while there are any */
    uint64_t latest, version; /* no member's clock is above `latest`; `version` changes with every change */
    uint64_t counted; /* for DBSIZE */
    uint64_t shown;           /* no member that was visible under an ended head has a higher clock */
    int64_t last_ms;          /* no member ends later */
    uint64_t began;           /* clock of the head when it arrived; older members belong to another head */
    uint64_t raising;         /* members at the beginning that may need the head's longer deadline */
    uint64_t sparing;         /* members at the beginning that a mark clears, or that are written again behind it */
    uint64_t spared_from, spared_to; /* clocks: this node writes its own members between them again; `to`: the mark's */
    Family *next;             /* next family that waits for slices of work */
    Order order; /* of a sorted set */
};

enum { NOTE_PUT = 100, NOTE_LET_GO = 103, NOTE_ENDED = 106 }; /* of members: three notes each, for HASH, SET and ZSET */

#define SPARED_AT_ONCE 512 /* members of which a mark that spares some clears the others at once; of more in slices */

/* Before each member, and before its trace. A million members have one family, so its number is kept, not its address:
 * 4 bytes for 8. The number stands for the collection's key, too. */
typedef struct Kin {
    uint32_t family;
    uint32_t place; /* NO_PLACE: it has no value */
} Kin;

#define NO_PLACE UINT32_MAX

typedef double LooseDouble __attribute__((aligned(4))); /* in a block of the arena */

/* A record's key as everybody else has it: members.c. */
typedef struct Whole {
    uint8_t length[NAME_LENGTH_BYTES];
    size_t length_bytes; /* 0: it is no member, and has all of its key in `name` */
    Span key, name;
} Whole;

typedef struct Numbered { /* families by their numbers; of a free one the next that is free */
    Family **families;
    uint32_t count, capacity, free_first;
} Numbered;

#endif
