/* Members of a collection that are past their deadlines and not destroyed yet: whoever asks for the collection ends
 * them first, so that counts, ranks and draws are about members that live. Slices of `expire` end the others.
 *
 * Of a crowd they are ended in slices, and who asks waits (engine/settling.py): fast paths ask `may_begin`.
 */
#include "hot.h"

#define FEW_MEMBERS 64 /* fewer than stand in the slots that have begun, nearly always */

typedef struct Overdue {
    const Engine *engine;
    const Family *family;
    int64_t now_ms, soonest_ms; /* the earliest end among its members that are not overdue and were seen */
    uint64_t left;              /* records to look at */
    uint64_t ends_left;         /* members to be ended */
    bool was_cut;               /* there were more of either */
} Overdue;

static Verdict judge_overdue(void *context, Record *record) {
    Overdue *overdue = context;
    if (!overdue->left) {
        overdue->was_cut = true;
        return ENOUGH_SEEN;
    }
    overdue->left--;
    if (!is_member(record->db) || record->flags & RECORD_STUB
        || family_with(overdue->engine, record) != overdue->family)
        return RECORD_STAYS;
    int64_t deadline_ms = record_deadline_ms(record);
    if (deadline_ms <= overdue->now_ms) {
        if (!overdue->ends_left) {
            overdue->was_cut = true;
            return ENOUGH_SEEN;
        }
        overdue->ends_left--;
        return RECORD_IS_TAKEN;
    }
    if (deadline_ms < overdue->soonest_ms)
        overdue->soonest_ms = deadline_ms;
    return RECORD_STAYS;
}

static void end_all(Engine *engine, Links *taken, int64_t now_ms) {
    while (next_of(taken) != taken) {
        Links *links = next_of(taken);
        leave(links);
        keyspace_end(engine, (Record *)links, record_hash(engine, (Record *)links), now_ms);
    }
}

/* Ends a family's overdue members, found in the slots that have begun. False: more records stand there than the family
 * has members, and some may be left. */
static bool settle_by_wheel(Engine *engine, Family *family, int64_t now_ms) {
    Overdue overdue = {engine, family, now_ms, INT64_MAX, family->count, UINT64_MAX, false};
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
    Overdue overdue = {engine, family, now_ms, INT64_MAX, family->count, UINT64_MAX, false};
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

/* At most ENDED_AT_ONCE overdue members of a crowd, and at most so many records of others that are passed on the way:
 * how many were ended, or -1 if there may be more. One slice in a millisecond, whoever asks. */
static int64_t settle_slice(Engine *engine, Family *family, int64_t now_ms) {
    if (engine->sliced_ms == now_ms)
        return -1;
    Overdue overdue = {engine, family, now_ms, INT64_MAX, PASSED_AT_ONCE, ENDED_AT_ONCE, false};
    Links taken;
    join(&taken, &taken);
    engine_passed(engine, wheel_show_begun(&engine->wheel, now_ms, judge_overdue, &overdue, &taken));
    int64_t next_ms = wheel_begins_next_ms(&engine->wheel, now_ms);
    int64_t ended = (int64_t)(ENDED_AT_ONCE - overdue.ends_left);
    engine->moved += (uint64_t)ended * ENDED_BYTES;
    end_all(engine, &taken, now_ms);
    if (overdue.was_cut) {
        engine->sliced_ms = now_ms;
        return -1;
    }
    family->soonest_ms = next_ms < overdue.soonest_ms ? next_ms : overdue.soonest_ms;
    return ended;
}

int64_t family_settle(Engine *engine, const Record *head, int64_t now_ms) {
    Family *family = family_of(engine, head);
    if (!family->count || now_ms < family->soonest_ms)
        return 0;
    if (family->count > SETTLED_AT_ONCE)
        return settle_slice(engine, family, now_ms);
    uint64_t before = family->count;
    family_settled(engine, head, now_ms);
    uint64_t ended = before - family->count;
    engine->moved += ended * ENDED_BYTES;
    return (int64_t)ended;
}

/* One key of several that are asked for together. False: one of their members may be left that has ended. */
static bool settles(Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms, int64_t *left) {
    const Record *head = family_head(engine, db, hash, key, now_ms);
    int64_t ended = head ? family_settle(engine, head, now_ms) : 0;
    bool is_settled = ended >= 0 && ended <= *left;
    *left -= ended;
    return is_settled;
}

/* Whether nothing that has ended is left in the collections of a fast command. Where its table of keys does not say
 * which arguments are keys, all are asked for: a wrong one sends it to `dispatch`, which knows. */
bool settling_may_begin(Engine *engine, int db, const Command *command, int64_t now_ms) {
    const Row *row = &ROWS[command->hot];
    if (!row->first_key)
        return true;
    bool is_table = row->first_key > 0;
    size_t first = is_table ? (size_t)row->first_key : 1, step = is_table ? (size_t)row->key_step : 1;
    size_t last = !is_table || row->last_key < 0 ? command->argc - 1 : (size_t)row->last_key;
    int64_t left = ENDED_AT_ONCE;
    for (size_t at = first; at <= last && at < command->argc; at += step) {
        Span key = command_arg(command, at);
        uint64_t hash = at == 1 && command->hash ? command->hash : keyspace_hash(engine, key);
        if (!settles(engine, db, hash, key, now_ms, &left))
            return false;
    }
    return true;
}

bool settling_watched(Engine *engine, const Session *session, int64_t now_ms) {
    int64_t left = ENDED_AT_ONCE;
    KeyStamp stamp;
    Span key;
    int db;
    for (size_t at = 0; watched_next(session, &at, &db, &key, &stamp);)
        if (!settles(engine, db, keyspace_hash(engine, key), key, now_ms, &left))
            return false;
    return true;
}
