/* Collections: a head, its members and the index between them. Decision 0120 has the shape, pure/family.py is the
 * judge.
 *
 * Members are records like any other. What is here is told of each that comes, goes or changes, whoever caused it, and
 * keeps a `Family` for each head. Its members stand in an array (places.c); the first `dying` of them are cleared: they
 * are seen by nobody, and slices wipe them. A family is found by a table of its own kind of records, its anchors, so
 * growing it stalls nobody either.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

static Table *table_of(Engine *engine, int space) {
    return &engine->families[space - DATABASES];
}

static Record *anchor_of(const Family *family) {
    return (Record *)(family + 1);
}

Span family_key(const Family *family) {
    return record_key(anchor_of(family));
}

/* A command asks for one family several times, so the last one is remembered. */
Family *family_named(Engine *engine, int space, Span key) {
    Table *table = table_of(engine, space);
    if (!table->records_hint)
        return NULL;
    Family *recent = engine->recent;
    if (recent && recent->space == space) {
        Span own = family_key(recent);
        if (own.len == key.len && (!key.len || memcmp(own.bytes, key.bytes, key.len) == 0))
            return recent;
    }
    Record *anchor = table_find(table, keyspace_hash(engine, key), key);
    if (!anchor)
        return NULL;
    engine->recent = (Family *)anchor - 1;
    return engine->recent;
}

static size_t family_size(int space, Span key) {
    return sizeof(Family) + record_size(space, false, key.len, 0);
}

static void release(Engine *engine, Family *family) {
    if (engine->recent == family)
        engine->recent = NULL;
    engine->family_bytes -= family_size(family->space, family_key(family));
    order_bury(&family->order, &engine->graves, &engine->arena);
    family_give_number(engine, family);
    places_free(engine, family);
    free(family);
}

static int release_anchor(void *context, const Record *anchor) {
    release(context, (Family *)anchor - 1);
    return 0;
}

void family_free(Engine *engine) {
    for (int number = 0; number < MEMBER_SPACES; number++) {
        walk_table(&engine->families[number], release_anchor, engine);
        table_free(&engine->families[number]);
    }
    free(engine->numbered.families);
    order_give_graves(&engine->graves, &engine->arena);
    order_give_room(&engine->order_room, &engine->arena);
}

void family_forget_if_bare(Engine *engine, Family *family) {
    if (family->records || family->headed || family->queued || family->held)
        return;
    Table *table = table_of(engine, family->space);
    table_remove(table, keyspace_hash(engine, family_key(family)), anchor_of(family));
    table->records_hint--;
    release(engine, family);
}

/* The family exists after this, with room for one member more. NULL: no memory, and nothing has changed. */
static Family *with_room(Engine *engine, int space, Span key) {
    Family *family = family_named(engine, space, key);
    if (space / DATABASES == ZSET && !order_make_room(&engine->order_room, &engine->arena))
        return NULL;
    if (!family) {
        Table *table = table_of(engine, space);
        uint64_t hash = keyspace_hash(engine, key);
        family = calloc(1, family_size(space, key));
        if (!family)
            return NULL;
        Record *anchor = anchor_of(family);
        anchor->db = (uint8_t)space;
        record_set_lengths(anchor, key.len, 0, hash);
        if (key.len)
            memcpy((uint8_t *)record_key(anchor).bytes, key.bytes, key.len);
        family->space = (uint8_t)space;
        if (!places_grow(engine, family) || !table_make_room(table) || !family_number(engine, family)) {
            places_free(engine, family);
            free(family);
            return NULL;
        }
        engine->family_bytes += family_size(space, key);
        table_insert(table, hash, anchor);
        table->records_hint++;
        engine->recent = family;
    }
    return family->count < family->capacity || places_grow(engine, family) ? family : NULL;
}

/* The write that asked for room has failed. */
static void give_up(Engine *engine, int space, Span key) {
    Family *family = family_named(engine, space, key);
    if (!family)
        return;
    family->held = false;
    family_forget_if_bare(engine, family);
}

/* -- what a change of a record means for its family ------------------------------------------------ */
static void note_change(Engine *engine, Family *family) {
    family->version = ++engine->changes;
}

/* Before the first member comes or the head goes, and after the last member went or the head came. */
static void count_empty(Engine *engine, const Family *family, int by) {
    if (family->headed && family->count == family->dying)
        engine->empty[family->space % DATABASES] += (uint64_t)by;
}

void family_enqueue(Engine *engine, Family *family) {
    if (family->queued)
        return;
    family->queued = true;
    family->next = NULL;
    if (engine->work_last)
        engine->work_last->next = family;
    else
        engine->work_first = family;
    engine->work_last = family;
}

bool family_is_dying(const Engine *engine, const Record *member) {
    return kin_of(engine, member)->place < family_with(engine, member)->dying; /* NO_PLACE is behind all */
}

/* A new member's record, which has no value yet; there was room for it. */
void family_gains(Engine *engine, Record *member, Span whole) {
    Family *family = family_named(engine, member->db, member_head(whole));
    always(family);
    *kin_of(engine, member) = (Kin){family->number, NO_PLACE};
    family->records++;
}

/* A member's record is about to go. */
void family_loses(Engine *engine, const Record *member) {
    Family *family = family_with(engine, member);
    if (is_placed(engine, member))
        family_unlink(engine, (Record *)member);
    family->records--;
    family_forget_if_bare(engine, family);
}

/* A member's value goes, or the cleared one is replaced. The hole is filled from the end, that among the dying from
 * theirs. */
void family_unlink(Engine *engine, Record *record) {
    Kin *kin = kin_of(engine, record);
    Family *family = family_with(engine, record);
    bool was_seen = kin->place >= family->dying;
    uint64_t hole = kin->place;
    if (was_seen)
        ranking_leave(engine, family, record);
    if (!was_seen) {
        family->dying--;
        place_put(engine, family, family_member(family, family->dying), hole);
        hole = family->dying;
    }
    engine->crowds -= family->count == SETTLED_AT_ONCE + 1;
    family->count--;
    if (hole < family->count)
        place_put(engine, family, family_member(family, family->count), hole);
    kin->place = NO_PLACE;
    places_shrink(engine, family);
    if (was_seen) {
        note_change(engine, family);
        count_empty(engine, family, 1);
    }
    family_forget_if_bare(engine, family);
}

/* A member in its place, or a new one, has a value now. */
static void enter(Engine *engine, Family *family, Record *record) {
    ranking_enter(engine, family, record);
    if (record->clock > family->latest)
        family->latest = record->clock;
    if (record_deadline_ms(record) < family->soonest_ms)
        family->soonest_ms = record_deadline_ms(record);
    if (record_deadline_ms(record) > family->last_ms)
        family->last_ms = record_deadline_ms(record);
    note_change(engine, family);
}

void family_link(Engine *engine, Record *record) {
    Family *family = family_with(engine, record);
    if (is_placed(engine, record)) {
        ranking_leave(engine, family, record);
        enter(engine, family, record);
        return;
    }
    always(family->count < family->capacity);
    count_empty(engine, family, -1);
    if (!family->count)
        family->soonest_ms = record_deadline_ms(record);
    engine->crowds += family->count == SETTLED_AT_ONCE;
    place_put(engine, family, record, family->count++);
    enter(engine, family, record);
}

/* The record has another address. */
void family_moved(Engine *engine, Record *record) {
    if (!is_placed(engine, record))
        return;
    Family *family = family_with(engine, record);
    uint32_t number = kin_of(engine, record)->place;
    if (number >= family->dying)
        ranking_move(engine, family, family_member(family, number), record);
    place_point(family, number, record);
}

/* The first that is not cleared takes its place. */
void family_clear_one(Engine *engine, Family *family, uint64_t place) {
    Record *record = family_member(family, place);
    ranking_leave(engine, family, record);
    place_put(engine, family, family_member(family, family->dying), place);
    place_put(engine, family, record, family->dying++);
}

/* After some members were cleared. */
void family_cleared(Engine *engine, Family *family) {
    note_change(engine, family);
    count_empty(engine, family, 1);
    family_enqueue(engine, family);
}

/* Nearly always every member is older: then it is one number that changes. Of many members, some of which are spared,
 * slices clear the others (decision 0211). */
static void clear(Engine *engine, Family *family, uint64_t clock) {
    if (family->count == family->dying || !clock || (family->sparing && clock <= family->spared_to))
        return;
    family->sparing = 0;
    if (engine->spare_from && family->headed && family->count - family->dying > SPARED_AT_ONCE) {
        family->sparing = family->count;
        family->spared_from = engine->spare_from;
        family->spared_to = clock;
        family_enqueue(engine, family);
        return;
    }
    if (family->latest > clock) {
        for (uint64_t place = family->dying; place < family->count; place++)
            if (family_member(family, place)->clock <= clock)
                family_clear_one(engine, family, place);
    } else {
        order_bury(&family->order, &engine->graves, &engine->arena);
        family->dying = family->count;
    }
    family_cleared(engine, family);
}

/* A head with a value is none any more: its members are cleared up to this clock. Where its end is over, they are
 * over, and what is there is of another head that has not come yet: then the clock is 0. */
void family_head_goes(Engine *engine, const Record *head, uint64_t cleared) {
    Family *family = family_of(engine, head);
    count_empty(engine, family, -1);
    family->headed = false;
    family->shown = family->latest;
    engine->heads--;
    clear(engine, family, cleared);
    family_forget_if_bare(engine, family);
}

void family_head_comes(Engine *engine, Record *head) {
    Family *family = family_named(engine, record_kind(head) * DATABASES + head->db, record_key(head));
    always(family);
    record_set_position(head, family->number);
    family->headed = true;
    family->began = head->clock;
    family->held = false;
    engine->heads++;
    count_empty(engine, family, 1);
}

static uint64_t highest(uint64_t one, uint64_t other) {
    return one > other ? one : other;
}

static uint64_t lowest(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

/* Members of what ended may be newer than its deadline, by the clocks of peers that are ahead. */
static uint64_t latest_of(Engine *engine, int db, Span key) {
    uint64_t latest = 0;
    for (int kind = HASH; kind <= ZSET; kind++) {
        const Family *family = family_named(engine, kind * DATABASES + db, key);
        latest = highest(latest, family ? family->latest : 0);
    }
    return latest;
}

/* Members that were shown here under a head that has ended, and live by the head of a peer that has not come: the
 * latest clock, and the last end among them. */
static uint64_t outlived(Engine *engine, int db, Span key, int64_t *last_ms) {
    uint64_t shown = 0;
    for (int kind = HASH; kind <= ZSET; kind++) {
        const Family *family = family_named(engine, kind * DATABASES + db, key);
        if (!family || family->count == family->dying)
            continue;
        shown = highest(shown, family->headed ? family->latest : family->shown);
        if (family->last_ms > *last_ms)
            *last_ms = family->last_ms;
    }
    return shown;
}

/* Before the record of a key changes that is a head, or becomes one: what can fail. */
static bool prepare(Engine *engine, const Record *record, uint32_t stub, int db, uint64_t hash, Span key, uint8_t kind,
    uint64_t clock,
                    uint16_t node, int64_t now_ms) {
    if (!kind)
        return true;
    Family *family = with_room(engine, kind * DATABASES + db, key);
    if (!family)
        return false;
    bool is_over = !record || family_is_over(engine, record, kind, clock, node, now_ms);
    if (record && !is_over && record_kind(record) == kind)
        return true;
    family->held = true;
    const Stub *old = stub ? stub_at(&engine->stubs, stub) : NULL;
    int64_t end_ms = record ? record_end_ms(record) : old ? stub_end_ms(old) : 0, last_ms = 0;
    uint64_t cleared = !record ? (old ? stub_clock(old) : 0) : is_over ? family_ended_at(record) : record->clock;
    uint64_t number = engine->nodes.numbers[record ? record->node : old ? old->node : node];
    bool is_early = record && record_kind(record) == kind && clock >= (uint64_t)record_deadline_ms(record) << 16;
    bool is_own = engine->nodes.numbers[node] == engine->settings.node && !engine->goes_on;
    if (is_over && end_ms > now_ms && !old && (is_early || is_own))
        cleared = highest(cleared, lowest(latest_of(engine, db, key), clock - 1));
    uint64_t shown = is_over && is_own ? outlived(engine, db, key, &last_ms) : 0;
    if (shown) {
        cleared = highest(cleared, lowest(shown, clock - 1));
        end_ms = last_ms > end_ms ? last_ms : end_ms;
    }
    bool by_end = is_over && record && record_kind(record) && cleared == family_ended_at(record);
    int64_t ended_ms = by_end ? (int64_t)(record->clock >> 16) : 0;
    if (is_over && is_own) { /* who begins anew has seen the end, and clears by a write what that end cleared */
        const Record *mark = table_find(&engine->tables[MARKS + db], hash, key);
        if (mark && record_deadline_ms(mark) && mark->clock >= cleared) {
            cleared = mark->clock;
            by_end = true;
        }
        cleared = by_end ? highest(cleared, lowest(cleared + 1, clock)) : cleared;
        ended_ms = 0;
    }
    if (end_ms <= now_ms || keyspace_mark(engine, db, hash, key, cleared, number, end_ms, now_ms, ended_ms))
        return true;
    give_up(engine, kind * DATABASES + db, key);
    return false;
}

/* Before any change of a record: what can fail. */
bool family_before(Engine *engine, const Record *record, uint32_t stub, int db, uint64_t hash, Span key,
    const Content *content,
                   uint64_t clock, uint16_t node, int64_t now_ms) {
    if (is_member(db))
        return !content || with_room(engine, db, member_head(key)) != NULL;
    uint8_t kind = content ? content->kind : 0;
    if (likely(!kind && !(record && record->flags & RECORD_KIND)))
        return true;
    return prepare(engine, record, stub, db, hash, key, kind, clock, node, now_ms);
}

/* The change did not come, for want of memory. */
void family_after_all(Engine *engine, int db, Span key, const Content *content) {
    if (is_member(db))
        give_up(engine, db, member_head(key));
    else if (content && content->kind)
        give_up(engine, content->kind * DATABASES + db, key);
}

/* A mark has come: what is older is cleared, of any kind. */
void family_marked(Engine *engine, int db, Span key, uint64_t clock) {
    for (int kind = HASH; kind <= ZSET; kind++) {
        Family *family = family_named(engine, kind * DATABASES + db, key);
        if (family)
            clear(engine, family, clock);
    }
}

/* How many members of a key would be looked at, were it cleared up to this clock: none, where all of them go. */
uint64_t family_sweep(Engine *engine, int db, Span key, uint64_t clock) {
    uint64_t members = 0;
    for (int kind = HASH; kind <= ZSET; kind++) {
        const Family *family = family_named(engine, kind * DATABASES + db, key);
        if (family && family->latest > clock)
            members += family->count - family->dying;
    }
    return members;
}

/* Whether a member that a peer sends is of a collection that has ended here. */
bool family_is_cleared(Engine *engine, int space, Span member, uint64_t clock, int64_t now_ms) {
    Span key = member_head(member);
    int db = space % DATABASES;
    uint64_t hash = keyspace_hash(engine, key);
    const Record *mark = table_find(&engine->tables[MARKS + db], hash, key);
    if (mark && clock <= mark->clock)
        return true;
    const Record *record = table_find(&engine->tables[db], hash, key);
    uint32_t stub = record ? 0 : stubs_find_key(&engine->stubs, db, key);
    if (stub)
        return stub_end_ms(stub_at(&engine->stubs, stub)) > now_ms
        && clock <= stub_clock(stub_at(&engine->stubs, stub));
    if (!record || record_end_ms(record) <= now_ms)
        return false; /* no record that ended with it can exist anywhere */
    if (record_deadline_ms(record) > now_ms)
        return record_kind(record) != space / DATABASES && clock <= record->clock;
    return clock <= family_ended_at(record);
}

/* -- looking --------------------------------------------------------------------------------------- */
/* Whether a head has no member to be seen. Writes nothing: for walks. */
bool family_is_empty(Engine *engine, const Record *head, int64_t now_ms) {
    const Family *family = family_of(engine, head);
    if (family->count == family->dying || now_ms < family->soonest_ms)
        return family->count == family->dying;
    if (family->last_ms <= now_ms)
        return true;
    /* Some live on, or did: of a crowd nobody looks for the first of them among all that have ended. */
    if (family->count - family->dying > SETTLED_AT_ONCE)
        return false;
    for (uint64_t place = family->dying; place < family->count; place++)
        if (record_deadline_ms(family_member(family, place)) > now_ms)
            return false;
    return true;
}

/* The head of a collection, with members or without. */
Record *family_head(const Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms) {
    Record *record = table_find(&engine->tables[db], hash, key);
    if (!record || record->flags & RECORD_STUB || !record_kind(record) || record_deadline_ms(record) <= now_ms)
        return NULL;
    return record;
}

/* What becomes of a member is an event of its collection's key, while that can be seen. */
void family_note(Engine *engine, uint8_t first_note, int space, Span key, int64_t now_ms) {
    int kind = space / DATABASES, db = space % DATABASES;
    const Record *head = family_head(engine, db, keyspace_hash(engine, key), key, now_ms);
    if (head && record_kind(head) == kind)
        engine_note(engine, (uint8_t)(first_note + kind - HASH), db, key);
}

/* -- for commands ---------------------------------------------------------------------------------- */
bool family_found(Engine *engine, int db, uint64_t hash, Span key, uint8_t kind, int64_t deadline_ms, bool implicit,
    int64_t now_ms) {
    Content content = {.kind = kind};
    return keyspace_put(engine, db, hash, key, &content, deadline_ms, implicit, now_ms, NOTE_NONE);
}

/* A member that can be seen. */
Record *family_find(Engine *engine, const Record *head, Span name, int64_t now_ms) {
    return family_seen(engine, family_of(engine, head), member_hash(engine, record_key(head), name), name, now_ms);
}

/* A local write of a member; `deadline_ms` of 0: that of its head. False: no memory. */
bool family_put(Engine *engine, Record *head, Span name, Span value, int64_t deadline_ms, int64_t now_ms,
    bool *is_new) {
    int space = record_kind(head) * DATABASES + head->db;
    int64_t head_deadline_ms = record_deadline_ms(head);
    if (!member_key(&engine->name, record_key(head), name))
        return false;
    engine->recent = family_of(engine, head);
    if (deadline_ms > record_end_ms(head) && !keyspace_cover(engine, head, deadline_ms, now_ms))
        return false; /* the head may have moved, and is not used after this */
    Span member = {engine->name.bytes, engine->name.len};
    uint64_t hash = keyspace_hash(engine, member);
    *is_new = family_seen(engine, engine->recent, hash, name, now_ms) == NULL;
    return keyspace_store(engine, space, hash, member, value, deadline_ms ? deadline_ms
        : head_deadline_ms, !deadline_ms, now_ms,
                          NOTE_NONE);
}

bool family_let_go(Engine *engine, const Record *head, Span name, int64_t now_ms, bool *found) {
    int space = record_kind(head) * DATABASES + head->db;
    if (!member_key(&engine->name, record_key(head), name))
        return false;
    Span member = {engine->name.bytes, engine->name.len};
    return keyspace_let_go(engine, space, keyspace_hash(engine, member), member, now_ms, found);
}

/* A head for a peer that asks for it, with as many of its members as there is room for; the mark first, the head
 * last. */
bool family_fetch(Engine *engine, const Record *head, uint64_t bytes_max, int64_t now_ms, Buffer *out) {
    Span key = record_key(head);
    const Record *mark = table_find(&engine->tables[MARKS + head->db], keyspace_hash(engine, key), key);
    if (mark && record_end_ms(mark) > now_ms && !dump_pack(engine, mark, out))
        return false;
    const Family *family = family_of(engine, head);
    size_t before = out->len;
    for (uint64_t place = family->dying; place < family->count && out->len - before <= bytes_max; place++)
        if (record_deadline_ms(family_member(family, place)) > now_ms
            && !dump_pack(engine, family_member(family, place), out))
            return false;
    return dump_pack(engine, head, out);
}
