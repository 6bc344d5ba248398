/* Interns the node that wrote a record and how its value is sealed: a record keeps 16 bits for the 64 of its writer's
 * number, the 64 of its sealer's (mostly the same), a key and half a position (see seal.c).
 *
 * A node draws a new number at every boot, so over a year a process may meet many; those that no
 * record carries any more are forgotten when room is needed. 65,536 different writers at one time are
 * more than an enclave has; a record of the next one is refused.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MIN 16u

static bool is_at(const Nodes *nodes, uint32_t node, uint64_t number, const Seal *seal) {
    const Seal *other = &nodes->seals[node];
    return nodes->numbers[node] == number && other->sealer == seal->sealer && other->key == seal->key
           && other->high == seal->high;
}

static uint32_t place_for(const Nodes *nodes, uint64_t number, const Seal *seal) {
    uint32_t mask = nodes->capacity * 2 - 1;
    uint64_t mixed = number ^ seal->sealer << 1 ^ (uint64_t)seal->key << 40 ^ seal->high;
    uint32_t place = (uint32_t)((mixed * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
    while (nodes->index[place] && !is_at(nodes, nodes->index[place] - 1, number, seal))
        place = (place + 1) & mask;
    return place;
}

static bool resize(Nodes *nodes, uint32_t capacity) {
    uint64_t *numbers = realloc(nodes->numbers, capacity * sizeof *numbers);
    if (!numbers)
        return false;
    nodes->numbers = numbers;
    uint32_t *uses = realloc(nodes->uses, capacity * sizeof *uses);
    if (!uses)
        return false;
    nodes->uses = uses;
    Seal *seals = realloc(nodes->seals, capacity * sizeof *seals);
    if (!seals)
        return false;
    nodes->seals = seals;
    uint32_t *index = calloc((size_t)capacity * 2, sizeof *index);
    if (!index)
        return false;
    free(nodes->index);
    nodes->index = index;
    nodes->capacity = capacity;
    for (uint32_t node = 0; node < nodes->count; node++)
        nodes->index[place_for(nodes, nodes->numbers[node], &nodes->seals[node])] = node + 1;
    return true;
}

bool nodes_init(Nodes *nodes, uint64_t own) {
    memset(nodes, 0, sizeof *nodes);
    if (!resize(nodes, NODES_MIN))
        return false;
    nodes->numbers[0] = own;
    nodes->seals[0] = (Seal){0};
    nodes->uses[0] = 1;
    nodes->count = 1;
    nodes->index[place_for(nodes, own, &nodes->seals[0])] = 1;
    return true;
}

/* Gives an unused entry a new number, and rebuilds the index without the old one. */
static int32_t recycle(Nodes *nodes, uint64_t number, const Seal *seal) {
    for (uint32_t node = 1; node < nodes->count; node++) {
        if (nodes->uses[node])
            continue;
        nodes->numbers[node] = number;
        nodes->seals[node] = *seal;
        memset(nodes->index, 0, (size_t)nodes->capacity * 2 * sizeof *nodes->index);
        for (uint32_t other = 0; other < nodes->count; other++)
            nodes->index[place_for(nodes, nodes->numbers[other], &nodes->seals[other])] = other + 1;
        return (int32_t)node;
    }
    return -1;
}

int32_t nodes_intern(Nodes *nodes, uint64_t number, const Seal *seal) {
    if (is_at(nodes, nodes->last, number, seal))
        return (int32_t)nodes->last;
    uint32_t place = place_for(nodes, number, seal);
    if (!nodes->index[place]) {
        if (nodes->count == nodes->capacity) {
            int32_t node = recycle(nodes, number, seal);
            if (node >= 0)
                return node;
            if (nodes->capacity == NODES_MAX || !resize(nodes, nodes->capacity * 2))
                return -1;
            place = place_for(nodes, number, seal);
        }
        nodes->numbers[nodes->count] = number;
        nodes->seals[nodes->count] = *seal;
        nodes->uses[nodes->count] = 0;
        nodes->index[place] = ++nodes->count;
    }
    nodes->last = nodes->index[place] - 1;
    return (int32_t)nodes->last;
}

void nodes_use(Nodes *nodes, uint16_t node) {
    if (node)
        nodes->uses[node]++;
}

void nodes_release(Nodes *nodes, uint16_t node) {
    if (node)
        nodes->uses[node]--;
}

void nodes_free(Nodes *nodes) {
    free(nodes->numbers);
    free(nodes->uses);
    free(nodes->seals);
    free(nodes->index);
    memset(nodes, 0, sizeof *nodes);
}
