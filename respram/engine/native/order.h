/* Members of a sorted set in their order. order.c has the reasons; pure/order.py is its twin. */
#ifndef RESPRAM_ORDER_H
#define RESPRAM_ORDER_H

#include "store.h"

/* inner nodes above each other: at least 18 children each make more members than memory holds */
#define ORDER_HEIGHT_MAX 12

typedef struct Ranked { /* the score is stored here unsealed, because the order depends on it */
    double score;
    Record *record; /* of the member, which has its name for a key */
} Ranked;

typedef struct Order {
    void *root; /* NULL: it is empty */
    uint32_t height;
} Order;

/* nodes kept ready, so that a member that is stored finds its place without asking for memory */
typedef struct OrderRoom {
    void *leaf;
    void *inners[ORDER_HEIGHT_MAX];
    uint32_t count;
} OrderRoom;

/* Orders whose members are cleared. Giving back the 20,000 nodes of 10^6 members at once would stop the engine for
 * milliseconds. */
typedef struct Graves {
    Order *orders;
    uint32_t count, capacity;
} Graves;

void order_bury(Order *order, Graves *graves, Arena *arena); /* empty afterwards */
/* frees one node, and the nodes above that hold nothing else; false: there was none */
bool order_dig(Graves *graves, Arena *arena);
void order_give_graves(Graves *graves, Arena *arena);

bool order_make_room(OrderRoom *room, Arena *arena); /* for one more member, in whichever order */
void order_give_room(OrderRoom *room, Arena *arena);
/* It must not be in the order, and there must be room. */
void order_add(Order *order, OrderRoom *room, double score, Record *record);
void order_remove(Order *order, Arena *arena, double score, const Record *record);
/* the old address may be gone already */
void order_moved(Order *order, double score, const Record *before, Record *after);
void order_clear(Order *order, Arena *arena); /* at once: for a few, and at the end */
uint64_t order_count(const Order *order);
/* How many stand before (score, name), or `after`: before or at it. Without a name: the score, whatever the name. */
uint64_t order_place(const Order *order, double score, const Span *name, bool after);
size_t order_from_rank(const Order *order, uint64_t start, size_t count, bool downwards, Ranked *out);
double order_score(const uint8_t *value, size_t len); /* of a member's value; what is no number counts as 0 */

#endif
