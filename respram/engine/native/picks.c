/* Hot commands that draw members: SRANDMEMBER, HRANDFIELD, ZRANDMEMBER and SPOP. The twin of pure/picks.py.
 *
 * So many different members are drawn by Floyd's method: one draw for each, whatever their share of all, and a small
 * table of the places that were drawn.
 */
#include "hot.h"

#include <string.h>

#define PICKED_MAX 1024 /* members of one command; more are left to `dispatch` */
#define SLOTS_LEAST 16  /* of the table; it is at most half full */
#define RANKED_AT_ONCE 32

typedef struct Picked {
    const Record *records[PICKED_MAX];
    size_t count;
} Picked;

static void add(Picked *picked, const Record *record) {
    __builtin_prefetch(record);
    picked->records[picked->count++] = record;
}

static void pick_all(const Family *family, uint8_t kind, Picked *picked) {
    Ranked found[RANKED_AT_ONCE];
    uint64_t size = family->count - family->dying;
    if (kind != ZSET) {
        for (uint64_t place = family->dying; place < family->count; place++)
            add(picked, family_member(family, place));
        return;
    }
    while (picked->count < size) {
        size_t got = order_from_rank(&family->order, picked->count, RANKED_AT_ONCE, false, found);
        always(got);
        for (size_t number = 0; number < got; number++)
            add(picked, found[number].record);
    }
}

/* Puts a number in, or says that it is there. */
static bool is_known(uint32_t *slots, size_t slot_count, uint64_t place) {
    uint32_t mark = (uint32_t)place + 1;
    size_t at = mark * UINT32_C(2654435769) % slot_count;
    while (slots[at] && slots[at] != mark)
        at = (at + 1) % slot_count;
    bool known = slots[at] == mark;
    slots[at] = mark;
    return known;
}

static void pick_different(Engine *engine, const Family *family, uint64_t count, Picked *picked) {
    uint32_t slots[2 * PICKED_MAX];
    size_t slot_count = SLOTS_LEAST;
    uint64_t size = family->count - family->dying;
    while (slot_count < 2 * count)
        slot_count *= 2;
    memset(slots, 0, slot_count * sizeof *slots);
    for (uint64_t last = size - count; last < size; last++) {
        uint64_t place = draw_below(engine, last + 1);
        if (is_known(slots, slot_count, place)) {
            place = last;
            is_known(slots, slot_count, place);
        }
        add(picked, family_member(family, family->dying + place));
    }
}

/* So many different members, all of them if there are no more; of a negative count as many, each drawn anew. False: too
 * many. */
static bool pick(Engine *engine, const Record *head, int64_t count, Picked *picked) {
    picked->count = 0;
    if (!head || !count)
        return true;
    const Family *family = family_of(engine, head);
    uint64_t size = family->count - family->dying;
    if (count > 0 && (uint64_t)count >= size) {
        if (size > PICKED_MAX)
            return false;
        pick_all(family, record_kind(head), picked);
    } else if (count > PICKED_MAX || count < -PICKED_MAX) {
        return false;
    } else if (count > 0) {
        pick_different(engine, family, (uint64_t)count, picked);
    } else {
        while (count++)
            add(picked, family_member(family, family->dying + draw_below(engine, size)));
    }
    return true;
}

/* What is told of each: its name, and `with` its value or its score. False: it is too much for one reply. */
static bool tell_picked(Engine *engine, const Session *session, const Picked *picked, char mark, bool with) {
    size_t bytes = REPLY_HEAD_BYTES;
    bool nested = with && session->proto == 3;
    for (size_t number = 0; number < picked->count; number++) {
        const Record *member = picked->records[number];
        bytes += 2 * REPLY_HEAD_BYTES + record_key_bytes(member);
        bytes += with ? 2 * REPLY_HEAD_BYTES + record_value_bytes(member) : 0;
    }
    if (bytes > HOT_REPLY_BYTES_MAX || !reply_reserve(engine, bytes))
        return false;
    engine->moved += bytes + picked->count * SEEN_BYTES;
    reply_integer(engine, mark, (int64_t)(picked->count * (with && !nested ? 2 : 1)));
    for (size_t number = 0; number < picked->count; number++) {
        const Record *member = picked->records[number];
        if (nested)
            reply_integer(engine, '*', 2);
        reply_bulk(engine, record_key(member));
        if (with && member->db / DATABASES == ZSET)
            reply_score(engine, session->proto, *score_of(engine, member));
        else if (with)
            reply_value(engine, member);
    }
    return true;
}

/* Without a count one name, or nil. */
static bool tell_one(Engine *engine, const Session *session, const Picked *picked) {
    const Record *member = picked->count ? picked->records[0] : NULL;
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + (member ? record_key_bytes(member) : 0)))
        return false;
    engine->moved += picked->count * SEEN_BYTES;
    if (member)
        reply_bulk(engine, record_key(member));
    else
        reply_nil(engine, session->proto);
    return true;
}

/* SRANDMEMBER and its kin: key [count [`word`]]. */
static bool tell_some(Engine *engine, Session *session, const Command *command, uint8_t kind, const char *word,
                      int64_t now_ms) {
    Record *head;
    Picked picked;
    int64_t count = 1;
    if (command->argc < 2 || command->argc > 4
        || (command->argc > 2
            && (!span_int64(command_arg(command, 2), &count) || count > INT64_MAX / 2 || count < -(INT64_MAX / 2)))
        || (command->argc > 3 && (!word || !is_word(command_arg(command, 3), word, strlen(word))))
        || !collection_at(engine, session, command, kind, now_ms, &head) || !pick(engine, head, count, &picked))
        return false;
    bool told = command->argc > 2 ? tell_picked(engine, session, &picked, '*', command->argc > 3)
                                  : tell_one(engine, session, &picked);
    if (told) {
        engine->hits += head != NULL;
        engine->misses += head == NULL;
    }
    return told;
}

HANDLER(srandmember) { return tell_some(engine, session, command, SET, NULL, now_ms); }
HANDLER(hrandfield) { return tell_some(engine, session, command, HASH, "withvalues", now_ms); }
HANDLER(zrandmember) { return tell_some(engine, session, command, ZSET, "withscores", now_ms); }

/* SPOP, for whom it was given by name: told first, then let go of. */
HANDLER(spop) {
    Record *head;
    Picked picked;
    int64_t count = 1;
    size_t reply_start = engine->reply.len;
    uint64_t moved = engine->moved;
    if (command->argc < 2 || command->argc > 3
        || (command->argc > 2 && (!span_int64(command_arg(command, 2), &count) || count < 0))
        || !collection_at(engine, session, command, SET, now_ms, &head) || !pick(engine, head, count, &picked)
        || !(command->argc > 2 ? tell_picked(engine, session, &picked, session->proto == 3 ? '~' : '*', false)
                               : tell_one(engine, session, &picked)))
        return false;
    for (size_t number = 0; number < picked.count; number++) {
        bool found = false;
        if (!family_let_go(engine, head, record_key(picked.records[number]), now_ms, &found))
            /* the removals so far stay, and `dispatch` replies that memory is full */
            return reply_take_back(engine, reply_start, moved);
    }
    Span key = command_arg(command, 1);
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    if (picked.count) {
        engine_note(engine, NOTE_SPOP, session->db, key);
        if (!keyspace_row(engine, session->db, command->hash, key, now_ms))
            engine_note(engine, NOTE_DEL, session->db, key);
    }
    return true;
}
