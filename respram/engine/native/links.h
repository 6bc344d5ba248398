/* Neighbours in a ring: two pointers of 48 bits, packed into 12 bytes of whatever stands in the ring.
 *
 * A ring begins and ends at a `Links` of its own, so joining and leaving know no special case.
 */
#ifndef RESPRAM_LINKS_H
#define RESPRAM_LINKS_H

#include <stdint.h>

typedef struct Links {
    uint32_t next_low, prev_low;
    uint16_t next_high, prev_high;
} Links;

static inline Links *next_of(const Links *links) {
    return (Links *)(uintptr_t)((uint64_t)links->next_high << 32 | links->next_low);
}

static inline Links *prev_of(const Links *links) {
    return (Links *)(uintptr_t)((uint64_t)links->prev_high << 32 | links->prev_low);
}

static inline void set_next(Links *links, const Links *next) {
    uint64_t address = (uint64_t)(uintptr_t)next;
    links->next_low = (uint32_t)address;
    links->next_high = (uint16_t)(address >> 32);
}

static inline void set_prev(Links *links, const Links *prev) {
    uint64_t address = (uint64_t)(uintptr_t)prev;
    links->prev_low = (uint32_t)address;
    links->prev_high = (uint16_t)(address >> 32);
}

static inline void join(Links *first, Links *second) {
    set_next(first, second);
    set_prev(second, first);
}

static inline void leave(Links *links) {
    join(prev_of(links), next_of(links));
}

/* The links have a new address. */
static inline void relink(Links *links) {
    set_next(prev_of(links), links);
    set_prev(next_of(links), links);
}

#endif
