/* The order of a sorted set's family: what order.c is told of its members, and asked for commands.
 *
 * A member's score stands before its record (engine.h), as the order has it: what is in the record may be sealed, and
 * is gone by the time when it has to leave the order.
 */
#include "hot.h"

#define VALUE_BYTES_MAX 64 /* members up to this are read on the stack; longer ones use the draft */

static bool is_ordered(const Family *family) {
    return family->space / DATABASES == ZSET;
}

void ranking_leave(Engine *engine, Family *family, const Record *record) {
    if (is_ordered(family))
        order_remove(&family->order, &engine->arena, *score_of(engine, record), record);
}

/* There is room for it. Without the cipher the score counts as 0: it is as wrong as the value will be when it is
 * read. */
void ranking_enter(Engine *engine, Family *family, Record *record) {
    if (!is_ordered(family))
        return;
    uint8_t value[VALUE_BYTES_MAX];
    size_t len = record_value_bytes(record);
    bool opened = len <= sizeof value ? seal_open(engine, record, value) : draft_open(engine, record, 0);
    double score = opened ? order_score(len <= sizeof value ? value : engine->draft.bytes, len) : 0;
    *score_of(engine, record) = score;
    order_add(&family->order, &engine->order_room, score, record);
    wipe(value, sizeof value);
    if (len > sizeof value)
        draft_wipe(engine);
}

/* The record has a new address. */
void ranking_move(Engine *engine, Family *family, const Record *before, Record *after) {
    if (is_ordered(family))
        order_moved(&family->order, *score_of(engine, after), before, after);
}

static Family *ordered_family(Engine *engine, const Record *head, int64_t now_ms) {
    return head && record_kind(head) == ZSET ? family_settled(engine, head, now_ms) : NULL;
}

uint64_t family_place(Engine *engine, const Record *head, double score, const Span *name, bool after, int64_t now_ms) {
    const Family *family = ordered_family(engine, head, now_ms);
    return family ? order_place(&family->order, score, name, after) : 0;
}

size_t family_ranked(Engine *engine, const Record *head, uint64_t start, size_t count, bool downwards, int64_t now_ms,
                     Ranked *out) {
    const Family *family = ordered_family(engine, head, now_ms);
    return family ? order_from_rank(&family->order, start, count, downwards, out) : 0;
}
