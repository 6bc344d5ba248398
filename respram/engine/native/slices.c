/* What is done with the members of a collection when there may be many: a few at once, the others in slices between
 * which clients are served. The twin of pure/slices.py.
 */
#include "engine.h"

#define RAISED_AT_ONCE 512 /* members that get a longer deadline at once; the others follow in slices */

/* Downwards, as every walk: what fills a hole was seen already. How many were looked at. */
static uint64_t raise(Engine *engine, Family *family, uint64_t count, int64_t now_ms) {
    int db = family->space % DATABASES;
    Span key = family_key(family);
    const Record *head = family_head(engine, db, keyspace_hash(engine, key), key, now_ms);
    uint64_t from = family->raising < family->count ? family->raising : family->count;
    uint64_t stop = from > count ? from - count : 0;
    if (stop < family->dying)
        stop = family->dying;
    if (!head || !family->headed || stop >= from) {
        family->raising = 0;
        return 1;
    }
    int64_t deadline_ms = record_deadline_ms(head);
    for (uint64_t place = from; place-- > stop;) {
        const Record *record = family_member(family, place);
        if (!(record->flags & RECORD_IMPLICIT) || record_deadline_ms(record) <= now_ms
            || record_deadline_ms(record) >= deadline_ms)
            continue;
        if (!keyspace_again(engine, record, deadline_ms, true, now_ms, NOTE_NONE)) {
            stop = place; /* without memory they keep their deadlines */
            break;
        }
    }
    family->raising = stop > family->dying ? stop : 0;
    return from - stop ? from - stop : 1;
}

/* EXPIRE has made the deadline of a head later: its implicit members get it too. What this node has not seen keeps
 * its end: who raised it on hearing of the head, without knowing what has replaced it elsewhere, would bring it
 * back. */
void family_lengthen(Engine *engine, const Record *head, int64_t now_ms) {
    Family *family = family_of(engine, head);
    family->raising = family->count;
    if (!family->sparing) /* else some would live on that the mark is about to clear */
        raise(engine, family, RAISED_AT_ONCE, now_ms);
    if (family->raising)
        family_enqueue(engine, family);
}

/* What stays of a head that lives, before a peer's stub takes its place. */
Head family_living(const Record *record, int64_t now_ms) {
    if (!record || !record_kind(record) || record->flags & RECORD_STUB || record_deadline_ms(record) <= now_ms)
        return (Head){0};
    return (Head){(uint8_t)record_kind(record), record->flags & RECORD_IMPLICIT, record_deadline_ms(record),
                  record_shadow_ms(record)};
}

/* A peer has let go of a collection, or it has ended there, and this node has members of it that are newer. They get
 * their head again, right behind the stub (decision 0248): nobody who has seen the stub writes there (CLOCK_STEP), so
 * any later word about the key outranks this head. One of whose members this node has put outranks the others: its end
 * is the one that these members were put under. Without memory they stay unseen. */
void family_begin_behind(Engine *engine, const Head *head, int db, uint64_t hash, Span key, uint32_t stub,
                         int64_t now_ms) {
    const Family *family = family_named(engine, head->kind * DATABASES + db, key);
    bool is_some = false, is_own = false;
    for (uint64_t place = family ? family->dying : 0; family && place < family->count && !is_own; place++) {
        const Record *record = family_member(family, place);
        bool lives = record_deadline_ms(record) > now_ms;
        is_some = is_some || lives;
        is_own = lives && engine->nodes.numbers[record->node] == engine->settings.node;
    }
    if (!is_some)
        return;
    const Stub *old = stub_at(&engine->stubs, stub);
    uint64_t clock = stub_clock(old) + (is_own ? 2 : 1);
    int64_t shadow_ms = head->shadow_ms > stub_end_ms(old) ? head->shadow_ms : stub_end_ms(old);
    Content content = {.kind = head->kind};
    engine->goes_on = true;
    if (keyspace_write(engine, NULL, db, hash, key, &content, clock, 0, head->deadline_ms,
                       shadow_ms > head->deadline_ms ? shadow_ms : 0, head->implicit, now_ms, stub)) {
        if (clock > engine->clock)
            engine->clock = clock;
        if (engine->settings.outbox_bytes_max)
            outbox_add(engine, db, hash, key, key.len);
    }
    engine->goes_on = false;
}

/* Whether this node has put a member between two clocks, and it lives. */
static bool is_spared(const Engine *engine, const Record *record, uint64_t from, uint64_t to, int64_t now_ms) {
    return engine->nodes.numbers[record->node] == engine->settings.node && record->clock > from && record->clock <= to
           && record_deadline_ms(record) > now_ms;
}

/* Right behind the mark: whoever has let go of it or replaced it since, unheard, outranks it (decision 0248). */
static bool again(Engine *engine, const Record *record, uint64_t mark, int64_t now_ms) {
    engine->stamp_as = mark + SPARED_BEHIND;
    bool written = keyspace_again(engine, record, record_deadline_ms(record), record->flags & RECORD_IMPLICIT, now_ms,
                                  NOTE_NONE);
    engine->stamp_as = 0;
    return written;
}

/* Before a mark of this clock comes that spares what this node has put into a collection since it began: all of it is
 * written again, where a mark clears at once. Of more members slices do both. False: no memory. */
bool family_spares(Engine *engine, const Record *head, uint64_t clock, uint64_t began, int64_t now_ms) {
    Family *family = family_of(engine, head);
    if (family->count - family->dying > SPARED_AT_ONCE)
        return true;
    for (uint64_t place = family->count; place-- > family->dying;) {
        const Record *record = family_member(family, place);
        if (is_spared(engine, record, began, clock, now_ms) && !again(engine, record, clock, now_ms))
            return false;
    }
    return true;
}

/* Downwards: what fills a hole was seen already, but for what takes the place of one that is cleared. How many were
 * looked at. */
static uint64_t spare(Engine *engine, Family *family, uint64_t count, int64_t now_ms, bool *is_stuck) {
    uint64_t done = 0, place = family->sparing < family->count ? family->sparing : family->count;
    bool is_some_cleared = false;
    for (; place > family->dying && done < count; done++) {
        const Record *record = family_member(family, place - 1);
        if (is_spared(engine, record, family->spared_from, family->spared_to, now_ms)) {
            if (!again(engine, record, family->spared_to, now_ms)) {
                *is_stuck = true;
                break;
            }
        } else if (record->clock <= family->spared_to) {
            family_clear_one(engine, family, place - 1);
            is_some_cleared = true;
            continue;
        }
        place--;
    }
    family->sparing = place > family->dying ? place : 0;
    if (is_some_cleared)
        family_cleared(engine, family);
    if (!family->sparing && family->raising)
        family->raising = family->count; /* members have changed places */
    return done;
}

/* Wipes cleared members, goes on where a mark spares some, and lengthens the lives of others: at most so many; how
 * many. */
uint64_t family_work(Engine *engine, int64_t now_ms, uint64_t budget) {
    uint64_t done = 0;
    while (done < budget && order_dig(&engine->graves, &engine->arena))
        done++;
    while (engine->work_first && done < budget) {
        Family *family = engine->work_first;
        bool is_stuck = false; /* for want of memory: what waits behind it may give some back */
        while ((family->dying || family->sparing) && done < budget && !is_stuck) {
            if (family->dying) {
                keyspace_wipe(engine, family_member(family, family->dying - 1), now_ms);
                done++;
            } else {
                done += spare(engine, family, budget - done, now_ms, &is_stuck);
            }
        }
        while (family->raising && done < budget && !is_stuck)
            done += raise(engine, family, budget - done, now_ms);
        if ((family->dying || family->sparing || family->raising) && !is_stuck)
            break;
        engine->work_first = family->next;
        if (!engine->work_first)
            engine->work_last = NULL;
        family->queued = false;
        if (is_stuck) {
            family_enqueue(engine, family);
            break;
        }
        family_forget_if_bare(engine, family);
    }
    return done;
}

/* At once: what is left of collections that were cleared before there were peers. */
void family_wipe_cleared(Engine *engine, int64_t now_ms) {
    for (Family *family = engine->work_first; family; family = family->next)
        while (family->dying)
            keyspace_wipe(engine, family_member(family, family->dying - 1), now_ms);
}
