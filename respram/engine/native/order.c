/* Members of a sorted set in their order: a tree that counts. The twin of pure/order.py, which says how it works.
 *
 * A leaf of 1 KiB holds up to 63 scores with their records, an inner node of 2 KiB up to 72 children, for each its
 * first member and how many stand below it. Scores stand beside the pointers, so that a search reads a record's name
 * only where scores are equal. About 24 bytes a member, where Redis's skip list takes 40. What leaves a node is wiped:
 * a score is a value.
 */
#include "order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAF_MAX 63
#define INNER_MAX 72

typedef struct Leaf {
    uint64_t count;
    Ranked items[LEAF_MAX];
} Leaf;

typedef struct Inner {
    uint64_t count;
    Ranked firsts[INNER_MAX];
    void *children[INNER_MAX];
    uint32_t sizes[INNER_MAX]; /* the type of a collection's count */
} Inner;

_Static_assert(sizeof(Leaf) <= 1024 && sizeof(Inner) <= 2048, "a node fills a block of the arena");

typedef struct Wanted { /* the item that is searched for */
    double score;
    Span name;
    const Record *gone; /* an item with this address has the wanted name, and is not read */
} Wanted;

static int compare(const Ranked *item, const Wanted *wanted) {
    if (item->score != wanted->score)
        return item->score < wanted->score ? -1 : 1;
    if (item->record == wanted->gone)
        return 0;
    Span name = record_key(item->record);
    size_t shared = name.len < wanted->name.len ? name.len : wanted->name.len;
    int differ = shared ? memcmp(name.bytes, wanted->name.bytes, shared) : 0;
    if (differ)
        return differ;
    return name.len == wanted->name.len ? 0 : name.len < wanted->name.len ? -1 : 1;
}

/* How many of the items stand before what is wanted, or `after`: before or at it. */
static size_t bisect(const Ranked *items, size_t count, const Wanted *wanted, bool after) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int found = compare(&items[middle], wanted);
        if (found < 0 || (after && !found))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t child_of(const Order *order, const Inner *inner, const Wanted *wanted, bool after) {
    size_t before = bisect(inner->firsts, inner->count, wanted, after);
    return before ? before - 1 : 0;
}

static const Ranked *first_of(const void *node, uint32_t height) {
    return height ? &((const Inner *)node)->firsts[0] : &((const Leaf *)node)->items[0];
}

static uint64_t size_of(const void *node, uint32_t height) {
    if (!height)
        return ((const Leaf *)node)->count;
    const Inner *inner = node;
    uint64_t size = 0;
    for (size_t at = 0; at < inner->count; at++)
        size += inner->sizes[at];
    return size;
}

static void look_again(Inner *inner, size_t at, uint32_t height) { /* `height` of the child */
    inner->firsts[at] = *first_of(inner->children[at], height);
    inner->sizes[at] = (uint32_t)size_of(inner->children[at], height);
}

/* -- room ----------------------------------------------------------------------------------------- */
bool order_make_room(OrderRoom *room, Arena *arena) {
    if (!room->leaf && !(room->leaf = arena_take(arena, sizeof(Leaf))))
        return false;
    while (room->count < ORDER_HEIGHT_MAX) {
        void *inner = arena_take(arena, sizeof(Inner));
        if (!inner)
            return false;
        room->inners[room->count++] = inner;
    }
    return true;
}

void order_give_room(OrderRoom *room, Arena *arena) {
    if (room->leaf)
        arena_give(arena, room->leaf, sizeof(Leaf));
    room->leaf = NULL;
    while (room->count)
        arena_give(arena, room->inners[--room->count], sizeof(Inner));
}

static Leaf *take_leaf(OrderRoom *room) {
    Leaf *leaf = room->leaf;
    always(leaf);
    room->leaf = NULL;
    leaf->count = 0;
    return leaf;
}

static Inner *take_inner(OrderRoom *room) {
    always(room->count);
    Inner *inner = room->inners[--room->count];
    inner->count = 0;
    return inner;
}

static void give_node(Arena *arena, void *node, uint32_t height) {
    arena_give(arena, node, height ? sizeof(Inner) : sizeof(Leaf));
}

/* -- coming ----------------------------------------------------------------------------------------- */
static void put_item(Leaf *leaf, size_t at, Ranked item) {
    memmove(leaf->items + at + 1, leaf->items + at, (leaf->count - at) * sizeof(Ranked));
    leaf->items[at] = item;
    leaf->count++;
}

static void put_child(Inner *inner, size_t at, void *child, uint32_t height) {
    size_t behind = inner->count - at;
    memmove(inner->firsts + at + 1, inner->firsts + at, behind * sizeof *inner->firsts);
    memmove(inner->children + at + 1, inner->children + at, behind * sizeof *inner->children);
    memmove(inner->sizes + at + 1, inner->sizes + at, behind * sizeof *inner->sizes);
    inner->children[at] = child;
    inner->count++;
    look_again(inner, at, height);
}

static void cut_children(Inner *inner, size_t start, size_t stop) {
    size_t behind = inner->count - stop, gone = stop - start;
    memmove(inner->firsts + start, inner->firsts + stop, behind * sizeof *inner->firsts);
    memmove(inner->children + start, inner->children + stop, behind * sizeof *inner->children);
    memmove(inner->sizes + start, inner->sizes + stop, behind * sizeof *inner->sizes);
    inner->count -= gone;
    wipe(inner->firsts + inner->count, gone * sizeof *inner->firsts);
}

static void append_children(Inner *left, const Inner *right, size_t from) {
    size_t count = right->count - from;
    memcpy(left->firsts + left->count, right->firsts + from, count * sizeof *left->firsts);
    memcpy(left->children + left->count, right->children + from, count * sizeof *left->children);
    memcpy(left->sizes + left->count, right->sizes + from, count * sizeof *left->sizes);
    left->count += count;
}

/* Into a full leaf: the upper half is moved to a new one, and then it goes where it belongs. */
static Leaf *split_leaf(const Order *order, Leaf *leaf, OrderRoom *room, Ranked item, const Wanted *wanted) {
    Leaf *right = take_leaf(room);
    size_t half = (LEAF_MAX + 1) / 2;
    right->count = LEAF_MAX - half;
    memcpy(right->items, leaf->items + half, right->count * sizeof(Ranked));
    wipe(leaf->items + half, right->count * sizeof(Ranked));
    leaf->count = half;
    Leaf *into = compare(&right->items[0], wanted) < 0 ? right : leaf;
    put_item(into, bisect(into->items, into->count, wanted, false), item);
    return right;
}

/* The node that was split off, or NULL. */
static void *add(const Order *order, void *node, uint32_t height, OrderRoom *room, Ranked item, const Wanted *wanted) {
    if (!height) {
        Leaf *leaf = node;
        if (leaf->count == LEAF_MAX)
            return split_leaf(order, leaf, room, item, wanted);
        put_item(leaf, bisect(leaf->items, leaf->count, wanted, false), item);
        return NULL;
    }
    Inner *inner = node;
    size_t at = child_of(order, inner, wanted, true);
    void *split = add(order, inner->children[at], height - 1, room, item, wanted);
    look_again(inner, at, height - 1);
    if (!split)
        return NULL;
    if (inner->count < INNER_MAX) {
        put_child(inner, at + 1, split, height - 1);
        return NULL;
    }
    Inner *right = take_inner(room);
    size_t half = INNER_MAX / 2;
    append_children(right, inner, half);
    cut_children(inner, half, INNER_MAX);
    if (at + 1 <= half)
        put_child(inner, at + 1, split, height - 1);
    else
        put_child(right, at + 1 - half, split, height - 1);
    return right;
}

void order_add(Order *order, OrderRoom *room, double score, Record *record) {
    Ranked item = {score, record};
    Wanted wanted = {score, record_key(record), NULL};
    if (!order->root) {
        order->root = take_leaf(room);
        order->height = 0;
    }
    void *split = add(order, order->root, order->height, room, item, &wanted);
    if (!split)
        return;
    always(order->height < ORDER_HEIGHT_MAX - 1);
    Inner *root = take_inner(room);
    put_child(root, 0, order->root, order->height);
    put_child(root, 1, split, order->height);
    order->root = root;
    order->height++;
}

/* -- going ------------------------------------------------------------------------------------------ */
static uint64_t count_of(const void *node, uint32_t height) {
    return height ? ((const Inner *)node)->count : ((const Leaf *)node)->count;
}

static void join_nodes(Inner *parent, size_t left_at, uint32_t height, Arena *arena) {
    void *left = parent->children[left_at], *right = parent->children[left_at + 1];
    if (height) {
        append_children(left, right, 0);
    } else {
        Leaf *into = left, *from = right;
        memcpy(into->items + into->count, from->items, from->count * sizeof(Ranked));
        into->count += from->count;
    }
    give_node(arena, right, height);
    cut_children(parent, left_at + 1, left_at + 2);
    look_again(parent, left_at, height);
}

static void take_out(const Order *order, void *node, uint32_t height, Arena *arena, const Record *record,
    const Wanted *wanted) {
    if (!height) {
        Leaf *leaf = node;
        size_t at = bisect(leaf->items, leaf->count, wanted, false);
        always(at < leaf->count && leaf->items[at].record == record);
        memmove(leaf->items + at, leaf->items + at + 1, (leaf->count - at - 1) * sizeof(Ranked));
        wipe(&leaf->items[--leaf->count], sizeof(Ranked));
        return;
    }
    Inner *inner = node;
    size_t at = child_of(order, inner, wanted, true);
    void *child = inner->children[at];
    take_out(order, child, height - 1, arena, record, wanted);
    if (!count_of(child, height - 1)) {
        give_node(arena, child, height - 1);
        cut_children(inner, at, at + 1);
        return;
    }
    look_again(inner, at, height - 1);
    uint64_t room = (uint64_t)(height > 1 ? INNER_MAX : LEAF_MAX) * 3 / 4;
    for (size_t left = at ? at - 1 : 0; left <= at && left + 1 < inner->count; left++) {
        if (count_of(inner->children[left], height - 1) + count_of(inner->children[left + 1], height - 1) <= room) {
            join_nodes(inner, left, height - 1, arena);
            return;
        }
    }
}

void order_remove(Order *order, Arena *arena, double score, const Record *record) {
    Wanted wanted = {score, record_key(record), NULL};
    always(order->root);
    take_out(order, order->root, order->height, arena, record, &wanted);
    uint64_t left = count_of(order->root, order->height);
    if (!left || (order->height && left == 1)) {
        void *root = order->root;
        uint32_t height = order->height;
        order->root = left ? ((Inner *)root)->children[0] : NULL;
        order->height = left ? height - 1 : 0;
        give_node(arena, root, height);
    }
}

void order_moved(Order *order, double score, const Record *before, Record *after) {
    Wanted wanted = {score, record_key(after), before};
    void *node = order->root;
    for (uint32_t height = order->height; height; height--) {
        Inner *inner = node;
        size_t at = child_of(order, inner, &wanted, true);
        if (inner->firsts[at].record == before)
            inner->firsts[at].record = after;
        node = inner->children[at];
    }
    Leaf *leaf = node;
    size_t at = bisect(leaf->items, leaf->count, &wanted, false);
    always(at < leaf->count && leaf->items[at].record == before);
    leaf->items[at].record = after;
}

static void clear(void *node, uint32_t height, Arena *arena) {
    if (height) {
        Inner *inner = node;
        for (size_t at = 0; at < inner->count; at++)
            clear(inner->children[at], height - 1, arena);
    }
    give_node(arena, node, height);
}

void order_clear(Order *order, Arena *arena) {
    if (order->root)
        clear(order->root, order->height, arena);
    order->root = NULL;
    order->height = 0;
}

void order_bury(Order *order, Graves *graves, Arena *arena) {
    if (!order->root)
        return;
    if (graves->count == graves->capacity) {
        uint32_t capacity = graves->capacity ? graves->capacity * 2 : 8;
        Order *orders = realloc(graves->orders, capacity * sizeof *orders);
        if (!orders) {
            order_clear(order, arena); /* late, but it succeeded */
            return;
        }
        graves->orders = orders;
        graves->capacity = capacity;
    }
    graves->orders[graves->count++] = *order;
    order->root = NULL;
    order->height = 0;
}

bool order_dig(Graves *graves, Arena *arena) {
    if (!graves->count)
        return false;
    Order *order = &graves->orders[graves->count - 1];
    Inner *above[ORDER_HEIGHT_MAX];
    void *node = order->root;
    uint32_t height = order->height;
    while (height) {
        above[height] = node;
        node = ((Inner *)node)->children[((Inner *)node)->count - 1];
        height--;
    }
    for (;;) {
        give_node(arena, node, height);
        if (height == order->height) {
            graves->count--;
            return true;
        }
        node = above[++height];
        if (--((Inner *)node)->count)
            return true;
    }
}

void order_give_graves(Graves *graves, Arena *arena) {
    while (order_dig(graves, arena))
        continue;
    free(graves->orders);
    *graves = (Graves){0};
}

/* -- looking ---------------------------------------------------------------------------------------- */
uint64_t order_count(const Order *order) {
    return order->root ? size_of(order->root, order->height) : 0;
}

uint64_t order_place(const Order *order, double score, const Span *name, bool after) {
    Wanted wanted = {score, {NULL, 0}, NULL};
    if (!order->root)
        return 0;
    if (name) {
        wanted.name = *name;
    } else if (after) {
        if (score == INFINITY)
            return order_count(order);
        wanted.score = nextafter(score, INFINITY);
        after = false;
    }
    const void *node = order->root;
    uint64_t before = 0;
    for (uint32_t height = order->height; height; height--) {
        const Inner *inner = node;
        size_t at = child_of(order, inner, &wanted, after);
        for (size_t left = 0; left < at; left++)
            before += inner->sizes[left];
        node = inner->children[at];
    }
    const Leaf *leaf = node;
    return before + bisect(leaf->items, leaf->count, &wanted, after);
}

static size_t walk(const void *node, uint32_t height, uint64_t start, size_t count, bool downwards, Ranked *out) {
    size_t done = 0;
    if (!height) {
        const Leaf *leaf = node;
        for (uint64_t at = start; done < count && at < leaf->count; at += downwards ? -(uint64_t)1 : 1)
            out[done++] = leaf->items[at]; /* below 0 it wraps around, which ends the loop */
        return done;
    }
    const Inner *inner = node;
    size_t at = 0;
    while (start >= inner->sizes[at])
        start -= inner->sizes[at++];
    for (;;) {
        done += walk(inner->children[at], height - 1, start, count - done, downwards, out + done);
        if (done == count || (downwards ? !at : at + 1 == inner->count))
            return done;
        at = downwards ? at - 1 : at + 1;
        start = downwards ? inner->sizes[at] - 1 : 0;
    }
}

size_t order_from_rank(const Order *order, uint64_t start, size_t count, bool downwards, Ranked *out) {
    if (!count || start >= order_count(order))
        return 0;
    return walk(order->root, order->height, start, count, downwards, out);
}

double order_score(const uint8_t *value, size_t len) {
    double score;
    if (len < sizeof score)
        return 0;
    memcpy(&score, value, sizeof score);
    return isnan(score) ? 0 : score;
}
