/* Members of a collection that are past their deadlines and not destroyed yet: whoever asks for the collection ends
 * them first, so that counts, ranks and draws are about members that live. Slices of `expire` end the others.
 */
#include "engine.h"

#define FEW_MEMBERS 64 /* fewer than stand in the slots that have begun, nearly always */

typedef struct Overdue {
    const Engine *engine;
    const Family *family;
    int64_t now_ms, soonest_ms; /* the earliest end among its members that are not overdue and were seen */
    uint64_t left;              /* records to look at */
} Overdue;

static Verdict judge_overdue(void *context, Record *record) {
    Overdue *overdue = context;
    if (!overdue->left)
        return ENOUGH_SEEN;
    overdue->left--;
    if (!is_member(record->db) || record->flags & RECORD_STUB
        || family_with(overdue->engine, record) != overdue->family)
        return RECORD_STAYS;
    int64_t deadline_ms = record_deadline_ms(record);
    if (deadline_ms <= overdue->now_ms)
        return RECORD_IS_TAKEN;
    if (deadline_ms < overdue->soonest_ms)
        overdue->soonest_ms = deadline_ms;
    return RECORD_STAYS;
}

static void end_all(Engine *engine, Links *taken, int64_t now_ms) {
    while (next_of(taken) != taken) {
        Links *links = next_of(taken);
        leave(links);
        keyspace_end(engine, (Record *)links, now_ms);
    }
}

/* Ends a family's overdue members, found in the slots that have begun. False: more records stand there than the family
 * has members, and some may be left. */
static bool settle_by_wheel(Engine *engine, Family *family, int64_t now_ms) {
    Overdue overdue = {engine, family, now_ms, INT64_MAX, family->count};
    Links taken;
    join(&taken, &taken);
    uint64_t shown = wheel_show_begun(&engine->wheel, now_ms, judge_overdue, &overdue, &taken);
    int64_t next_ms = wheel_begins_next_ms(&engine->wheel, now_ms);
    engine_passed(engine, shown);
    bool is_whole = shown <= family->count;
    end_all(engine, &taken, now_ms);
    family->soonest_ms = next_ms < overdue.soonest_ms ? next_ms : overdue.soonest_ms;
    return is_whole;
}

static void settle_by_array(Engine *engine, Family *family, int64_t now_ms) {
    Overdue overdue = {engine, family, now_ms, INT64_MAX, family->count};
    Links taken;
    join(&taken, &taken);
    engine_passed(engine, family->count);
    for (uint64_t place = 0; place < family->count; place++) {
        Record *record = family_member(family, place);
        if (judge_overdue(&overdue, record) != RECORD_IS_TAKEN)
            continue;
        wheel_remove(&engine->wheel, record);
        join(prev_of(&taken), &record->links);
        join(&record->links, &taken);
    }
    end_all(engine, &taken, now_ms);
    family->soonest_ms = overdue.soonest_ms;
}

/* The family of a head, without members that are past their deadlines: what of them was not destroyed yet is now. They
 * stand in slots of the wheel that have begun, and in the family's array. Whichever is shorter is walked, once: a
 * million records of others may end at the same moment. */
Family *family_settled(Engine *engine, const Record *head, int64_t now_ms) {
    Family *family = family_of(engine, head);
    if (!family->count || now_ms < family->soonest_ms)
        return family;
    if (family->count <= FEW_MEMBERS || !settle_by_wheel(engine, family, now_ms))
        settle_by_array(engine, family, now_ms);
    return family;
}
