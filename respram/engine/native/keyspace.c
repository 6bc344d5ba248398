/* The record table's verbs: look up, store, forget. What changes a record is here and in merge.c.
 *
 * Every write goes through `keyspace_write`, which first makes room (a block, a table slot), and
 * then changes record, wheel and counts without being able to fail.
 */
#include "homes.h"
#include "shares.h"

#include <stdlib.h>
#include <string.h>

#define EXPIRED_AT_ONCE 16 /* records whose table lines are prefetched together */
#define NOTES_KEPT_BYTES_MAX 65536

Engine *engine_new(const Settings *settings) {
    Engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    if (!nodes_init(&engine->nodes, settings->node)) {
        nodes_free(&engine->nodes);
        free(engine);
        return NULL;
    }
    engine->settings = *settings;
    engine->draws = settings->seed;
    engine->hot_reads = engine->hot_writes = true;
    engine->moved_max = UINT64_MAX;
    for (int space = 0; space < SPACES; space++)
        engine->tables[space] = (Table){.total = &engine->table_bytes, .owner = engine, .lead = kin_bytes(space),
                                        .hash_of = is_member(space) ? hash_of_member : hash_of_key};
    for (int number = 0; number < MEMBER_SPACES; number++)
        engine->families[number] = (Table){.total = &engine->table_bytes, .owner = engine, .lead = sizeof(Family),
                                           .hash_of = hash_of_key};
    wheel_init(&engine->wheel);
    memcpy(engine->stubs.place_key, settings->secret, sizeof engine->stubs.place_key);
    return engine;
}

static int give_block(void *context, const Record *record) {
    record_give(context, (Record *)record, record_bytes(record));
    return 0;
}

void engine_free(Engine *engine) {
    family_free(engine);
    for (int db = 0; db < SPACES; db++) {
        walk_all(engine, db, give_block, engine);
        table_free(&engine->tables[db]);
    }
    stubs_free(&engine->stubs);
    digest_free(engine);
    homes_free(engine);
    outbox_clear(engine);
    free(engine->outbox.queue);
    free(engine->outbox.index);
    arena_free(&engine->arena);
    nodes_free(&engine->nodes);
    seal_free(&engine->seals);
    programs_free(engine);
    channels_free(engine), awaiting_free(&engine->awaiting);
    buffer_clear(&engine->notes, 0);
    buffer_clear(&engine->reply, 0);
    buffer_clear(&engine->scratch, 0);
    buffer_clear(&engine->draft, 0);
    buffer_clear(&engine->name, 0);
    buffer_clear(&engine->batch.words, 0);
    args_free(&engine->batch.args);
    args_free(&engine->batch.resumed);
    free(engine);
}

void engine_configure(Engine *engine, const Settings *settings) {
    uint64_t node = engine->settings.node, first = engine->settings.secret[0], second = engine->settings.secret[1];
    engine->settings = *settings;
    engine->settings.node = node;
    engine->settings.secret[0] = first;
    engine->settings.secret[1] = second;
}

uint64_t engine_used_bytes(const Engine *engine) {
    return engine->arena.used_bytes + engine->outbox.capacity * 16 + engine->digests.bytes
        + engine->family_bytes + stubs_bytes(&engine->stubs) + engine->table_bytes;
}

/* The command under way may read as much as the two largest values, and what it brought itself. */
void engine_allow(Engine *engine, uint64_t own_bytes) {
    engine->moved_max = engine->moved + 2 * engine->settings.bulk_bytes_max + ALLOWED_BYTES_LEAST + own_bytes;
}

bool engine_full(const Engine *engine) {
    uint64_t limit = engine->settings.memory_bytes_max;
    return limit > 0 && engine_used_bytes(engine) > limit;
}

/* Remembers what observers are to be told once the core is left. */
void engine_note(Engine *engine, uint8_t note, int db, Span key) {
    if (likely(!engine->observed) || note == NOTE_NONE)
        return;
    uint8_t head[6] = {note, (uint8_t)db};
    uint32_t key_bytes = (uint32_t)key.len;
    memcpy(head + 2, &key_bytes, 4);
    engine->changes_noted |= note != NOTE_SEEN;
    if (!buffer_reserve(&engine->notes, sizeof head + key.len)) {
        engine->notes_lost = true;
        return;
    }
    buffer_append(&engine->notes, head, sizeof head);
    buffer_append(&engine->notes, key.bytes, key.len);
}

Record *keyspace_row(Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms) {
    Record *record = keyspace_find(engine, db, hash, key);
    if (!record || record->flags & RECORD_STUB || record_deadline_ms(record) <= now_ms)
        return NULL;
    if (unlikely(record->flags & RECORD_KIND)) {
        const Family *family = family_settled(engine, record, now_ms);
        return family->count == family->dying ? NULL : record; /* without a member it is no key */
    }
    return unlikely(is_member(db)) && family_is_dying(engine, record) ? NULL : record;
}

/* -- writing ----------------------------------------------------------------------------------------- */
static void count_stub(Engine *engine, const Record *record, int by) {
    engine->stub_rows += (uint64_t)by;
    engine->stub_key_bytes += (uint64_t)by * record_key_bytes(record);
}

static Record *make(Engine *engine, int db, uint64_t hash, Span key, size_t value_bytes, bool shadowed) {
    Table *table = &engine->tables[db];
    Span own = is_member(db) ? member_name(key) : key; /* what of it lies in the record */
    Record *record = record_take(engine, db, record_size(db, shadowed, own.len, value_bytes));
    if (!record)
        return NULL;
    record->db = (uint8_t)db;
    if (!table_make_room(table)) {
        record_give(engine, record, record_size(db, shadowed, own.len, value_bytes));
        return NULL;
    }
    memset(record, 0, record_size(db, false, 0, 0));
    record->db = (uint8_t)db;
    if (is_member(db))
        family_gains(engine, record, key);
    record->flags = (uint8_t)(RECORD_STUB | (shadowed ? RECORD_SHADOWED : 0));
    record_set_lengths(record, own.len, value_bytes, hash);
    if (own.len)
        memcpy((uint8_t *)record_key(record).bytes, own.bytes, own.len);
    if (engine->digests.enabled)
        dump_enter(engine, record);
    table_insert(table, hash, record);
    count_stub(engine, record, 1);
    return record;
}

/* Makes `record` (NULL: a new one) hold this version; without a value, a mark, or a stub of what stayed a record for
 * want of memory (others: stub_bury). What there was of the key before is that record or the stub with this number, or
 * neither. */
Record *keyspace_write(Engine *engine, Record *record, int db, uint64_t hash, Span key, const Content *content,
                       uint64_t clock, uint16_t node, int64_t deadline_ms, int64_t shadow_ms, bool implicit,
                       int64_t now_ms, uint32_t stub) {
    size_t value_bytes = content ? content->bytes.len : 0;
    bool is_new = record == NULL, is_tracked = engine->digests.enabled;
    int64_t end_ms = deadline_ms > shadow_ms ? deadline_ms : shadow_ms;
    Before before = {0};
    always(deadline_ms >= 0 && deadline_ms <= TIME_MS_MAX && shadow_ms >= 0 && shadow_ms <= TIME_MS_MAX);
    always(key.len <= UINT32_MAX && value_bytes <= UINT32_MAX && (content || db >= DATABASES));
    always(!is_bare(db) || !content || (!value_bytes && !content->seal.key));
    uint8_t kind = content ? content->kind : 0;
    uint64_t cleared = clock; /* with a head that goes */
    if (!family_before(engine, record, stub, db, hash, key, content, clock, node, now_ms))
        return NULL;
    bool is_over = !is_new && record->flags & RECORD_KIND && family_is_over(engine, record, kind, clock, node, now_ms);
    if (is_over)
        cleared = record_end_ms(record) > now_ms ? family_ended_at(record) : 0;
    bool stays = !is_new && kind && record_kind(record) == kind && !is_over;
    if (is_tracked) {
        if (!digest_make_room(engine, end_ms, clock, now_ms)) {
            family_after_all(engine, db, key, content);
            return NULL;
        }
        if (!is_new)
            before = digest_before(record);
    }
    record = is_new ? make(engine, db, hash, key, value_bytes, shadow_ms != 0)
                    : keyspace_reshape(engine, record, hash, shadow_ms != 0, value_bytes, false);
    if (!record) {
        if (is_tracked)
            digest_give_up(engine, end_ms, clock);
        family_after_all(engine, db, key, content);
        return NULL;
    }
    if (unlikely(record->flags & RECORD_KIND) && !stays)
        family_head_goes(engine, record, cleared);
    else if (is_member(db) && !is_new && is_placed(engine, record)
        && (!content || family_is_dying(engine, record)))
        family_unlink(engine, record);
    if (record->flags & RECORD_STUB)
        count_stub(engine, record, -1);
    else
        engine->live[db]--;
    if (content)
        engine->live[db]++;
    else
        count_stub(engine, record, 1);
    record->flags = (uint8_t)((record->flags & RECORD_LONG) | (shadow_ms ? RECORD_SHADOWED : 0)
                              | (implicit ? RECORD_IMPLICIT : 0)
                              | (content ? kind << KIND_SHIFT | (content->counted ? RECORD_COUNTED : 0) : RECORD_STUB));
    if (unlikely(record->node != node)) {
        nodes_release(&engine->nodes, record->node);
        nodes_use(&engine->nodes, node);
        record->node = node;
    }
    record->clock = clock;
    record_set_deadline(record, deadline_ms);
    if (shadow_ms)
        record_set_shadow(record, shadow_ms);
    uint32_t family = record_position(record); /* of a head that stays */
    if (content)
        record_put_value(record, content);
    if (stays)
        record_set_position(record, family);
    if (is_new)
        wheel_place(&engine->wheel, record, content ? deadline_ms : end_ms, now_ms);
    else
        wheel_move(&engine->wheel, record, content ? deadline_ms : end_ms, now_ms);
    if (is_tracked)
        digest_change(engine, record, before);
    if (unlikely(stub))
        stub_replaced(engine, stub, clock);
    if (unlikely(kind && !stays))
        family_head_comes(engine, record);
    else if (unlikely(db >= MARKS) && db < SCRIPTS)
        family_marked(engine, db - MARKS, key, clock);
    else if (unlikely(is_member(db)) && content)
        family_link(engine, record);
    dear(keyspace_find(engine, db, hash, key) == record && record_hash(engine, record) == (uint32_t)hash);
    return record;
}

/* Out of table and counts; wheel and digests have let go of it already. With a head goes what is as old as this
 * clock. */
void keyspace_forget(Engine *engine, Record *record, uint64_t hash, uint64_t cleared) {
    if (unlikely(record->flags & RECORD_KIND))
        family_head_goes(engine, record, cleared);
    else if (is_member(record->db))
        family_loses(engine, record);
    if (record->flags & RECORD_STUB)
        count_stub(engine, record, -1);
    else
        engine->live[record->db]--;
    nodes_release(&engine->nodes, record->node);
    table_remove(&engine->tables[record->db], hash, record);
    give_block(engine, record);
}

/* The wheel has let go of it already. `successor`: the clock of the stub that takes its place, or its own. */
static void destroy(Engine *engine, Record *record, uint64_t hash, uint64_t cleared, uint64_t successor) {
    if (engine->digests.enabled)
        digest_drop(engine, record, successor);
    keyspace_forget(engine, record, hash, cleared);
}

void keyspace_remove(Engine *engine, Record *record, uint64_t cleared) {
    wheel_remove(&engine->wheel, record);
    destroy(engine, record, record_hash(engine, record), cleared, record->clock);
}

/* -- local writes -------------------------------------------------------------------------------- */
static uint64_t latest(uint64_t one, uint64_t other) {
    return one > other ? one : other;
}

/* A fresh stamp: later than the last one here, than the time, and by a step than what it replaces (stamp.py). */
uint64_t keyspace_next_clock(const Engine *engine, const Record *replaced, uint32_t stub, int64_t now_ms) {
    uint64_t clock = latest(engine->clock + 1, (uint64_t)now_ms << 16);
    uint64_t before = unlikely(stub) ? stub_clock(stub_at(&engine->stubs, stub)) : replaced ? replaced->clock : 0;
    return unlikely(engine->stamp_as) ? engine->stamp_as : latest(clock, before + CLOCK_STEP);
}

/* The shadow rule for a local write: how long what it replaces would still have lived. A head always has its shadow:
 * its members may live for longer than it, and go with it. */
static int64_t shadow_left(const Engine *engine, const Record *replaced, uint32_t stub, int64_t deadline_ms, int kind) {
    if (!(replaced || stub) || !(kind || engine_remembers(engine)))
        return 0;
    int64_t last_ms = replaced ? record_end_ms(replaced) : stub_end_ms(stub_at(&engine->stubs, stub));
    return last_ms > deadline_ms ? last_ms : 0;
}

bool keyspace_put(Engine *engine, int db, uint64_t hash, Span key, const Content *content, int64_t deadline_ms,
                  bool implicit, int64_t now_ms, uint8_t note) {
    int32_t node = content->seal.key ? nodes_intern(&engine->nodes, engine->settings.node, &content->seal) : 0;
    if (node < 0)
        return false;
    Record *record = keyspace_find(engine, db, hash, key);
    uint32_t stub = record ? 0 : stubs_find_key(&engine->stubs, db, key);
    bool is_new = engine_looks(engine) && !keyspace_shows(engine, db, hash, key, now_ms);
    uint64_t clock = keyspace_next_clock(engine, record, stub, now_ms);
    int64_t shadow_ms = shadow_left(engine, record, stub, deadline_ms, content->kind);
    if (!keyspace_write(engine, record, db, hash, key, content, clock, (uint16_t)node, deadline_ms, shadow_ms,
                        implicit, now_ms, stub))
        return false;
    engine->clock = latest(engine->clock, clock);
    engine->writes++;
    if (engine->settings.outbox_bytes_max)
        outbox_add(engine, db, hash, key, key.len + content->bytes.len);
    if (unlikely(engine_looks(engine)) && db < DATABASES) {
        if (is_new)
            engine_came(engine, db, hash, key);
        engine_note(engine, note, db, key);
    }
    return true;
}

/* The same head, remembered for longer: a member of it will end later than it. */
bool keyspace_cover(Engine *engine, Record *head, int64_t until_ms, int64_t now_ms) {
    Content content = {.kind = (uint8_t)record_kind(head)};
    Span key = record_key(head);
    if (!buffer_reserve(&engine->scratch, key.len))
        return false;
    if (key.len)
        memcpy(engine->scratch.bytes, key.bytes, key.len);
    engine->scratch.len = key.len;
    key.bytes = engine->scratch.bytes;
    uint64_t clock = keyspace_next_clock(engine, head, 0, now_ms), hash = keyspace_hash(engine, key);
    int db = head->db;
    bool written = keyspace_write(engine, head, db, hash, key, &content, clock, 0, record_deadline_ms(head), until_ms,
                                  head->flags & RECORD_IMPLICIT, now_ms, 0);
    if (written) {
        engine->clock = clock;
        if (engine->settings.outbox_bytes_max)
            outbox_add(engine, db, hash, key, key.len);
    }
    buffer_clear(&engine->scratch, SCRATCH_KEPT_BYTES_MAX);
    return written;
}

bool keyspace_store(Engine *engine, int db, uint64_t hash, Span key, Span value, int64_t deadline_ms,
                    bool implicit, int64_t now_ms, uint8_t note) {
    Content content = {0}; /* of a set's member, which has no value */
    engine->moved += value.len;
    if (!is_bare(db) && !seal_value(engine, value, &content))
        return false;
    bool stored = keyspace_put(engine, db, hash, key, &content, deadline_ms, implicit, now_ms, note);
    seal_done(engine, &content, stored);
    return stored;
}

/* The same value under a new deadline, written as it lies: its seal tells where it was made, whatever its stamp. */
bool keyspace_retime(Engine *engine, int db, uint64_t hash, Span key, int64_t deadline_ms, bool implicit,
                     int64_t now_ms, uint8_t note, bool *found) {
    Record *record = keyspace_row(engine, db, hash, key, now_ms);
    *found = record != NULL;
    if (!record)
        return true;
    if (unlikely(record->flags & RECORD_COUNTED) && counters_converge(engine))
        return counter_retime(engine, record, deadline_ms, implicit, now_ms, note);
    bool is_later = record_kind(record) && deadline_ms > record_deadline_ms(record);
    if (!keyspace_again(engine, record, deadline_ms, implicit, now_ms, note))
        return false;
    if (is_later)
        family_lengthen(engine, table_find(&engine->tables[db], hash, key), now_ms);
    return true;
}

/* The same of a record; its key lies in it, so both go by way of a buffer. */
bool keyspace_again(Engine *engine, const Record *record, int64_t deadline_ms, bool implicit, int64_t now_ms,
    uint8_t note) {
    Whole whole = whole_of(engine, record);
    size_t value_bytes = record_value_bytes(record);
    Span key = {NULL, whole_bytes(&whole)};
    if (!buffer_reserve(&engine->scratch, key.len + value_bytes))
        return false;
    engine->scratch.len = key.len + value_bytes;
    whole_put(&whole, engine->scratch.bytes);
    record_get_value(record, engine->scratch.bytes + key.len);
    key.bytes = engine->scratch.bytes;
    engine->moved += value_bytes;
    Content content = {.bytes = {engine->scratch.bytes + key.len, value_bytes}, .position = record_position(record),
                       .seal = engine->nodes.seals[record->node], .kind = (uint8_t)record_kind(record)};
    bool stored = keyspace_put(engine, record->db, keyspace_hash(engine, key), key, &content, deadline_ms, implicit,
        now_ms, note);
    buffer_clear(&engine->scratch, SCRATCH_KEPT_BYTES_MAX);
    return stored;
}

/* A record without a value that ends now: what it replaced is wiped, and the shadow remembers it. */
bool keyspace_let_go(Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms, bool *found) {
    Record *record = keyspace_row(engine, db, hash, key, now_ms);
    *found = record != NULL;
    if (!record)
        return true;
    uint64_t clock = keyspace_next_clock(engine, record, 0, now_ms);
    int64_t shadow_ms = shadow_left(engine, record, 0, now_ms, 0);
    if (!shadow_ms) {
        keyspace_remove(engine, record, clock);
    } else if (db < MARKS) {
        Name name = stub_name(db, key);
        uint32_t stub = stub_bury(engine, record, 0, &name, clock, 0, 0, shadow_ms, now_ms);
        if (!stub)
            return false;
        if (is_member(db))
            departed_note(engine, member_head(key), stub);
    } else if (!keyspace_write(engine, record, db, hash, key, NULL, clock, 0, now_ms, shadow_ms, false, now_ms, 0)) {
        return false;
    }
    engine->clock = clock;
    engine->writes++;
    if (engine->settings.outbox_bytes_max)
        outbox_add(engine, db, hash, key, key.len);
    return true;
}

/* -- forgetting ---------------------------------------------------------------------------------- */
/* Of a member. Without memory for a stub it stays a record, under its key; without memory for a smaller block it keeps
 * the one it has. */
static void become_stub(Engine *engine, Record *record, bool departs, int64_t now_ms) {
    if (is_member(record->db) && stub_of_member(engine, record, departs, now_ms))
        return;
    if (is_member(record->db) && is_placed(engine, record))
        family_unlink(engine, record);
    Span key = record_key(record);
    wipe((uint8_t *)key.bytes + key.len, record_stored_bytes(record));
    engine->live[record->db]--;
    count_stub(engine, record, 1);
    record->flags |= RECORD_STUB;
    wheel_place(&engine->wheel, record, record_due_ms(record), now_ms);
    keyspace_reshape(engine, record, record_hash(engine, record), record->flags & RECORD_SHADOWED, 0, false);
}

/* Called once for each value that is destroyed on time or late; never before its deadline. */
static void note_lateness(Lateness *late, int64_t by_ms, size_t value_bytes, int64_t now_ms) {
    static const int64_t bounds[LATE_BOUNDS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000};
    size_t bound = 0;
    while (bound < LATE_BOUNDS && by_ms > bounds[bound])
        bound++;
    late->counts[bound]++;
    late->sum_ms += (uint64_t)by_ms;
    late->wiped_bytes += value_bytes;
    /* Of several at one moment the latest: their order is each engine's own. */
    if (by_ms > LATE_MS && (now_ms != late->last_at_ms || by_ms > late->last_by_ms)) {
        late->last_at_ms = now_ms;
        late->last_by_ms = by_ms;
    }
}

/* The value of a cleared member goes; its stamp, deadline and shadow stay, and so does its id. */
void keyspace_wipe(Engine *engine, Record *record, int64_t now_ms) {
    int64_t late_ms = now_ms - record_deadline_ms(record);
    if (late_ms >= 0)
        note_lateness(&engine->late, late_ms, record_stored_bytes(record), now_ms);
    wheel_remove(&engine->wheel, record);
    become_stub(engine, record, false, now_ms);
}

/* A member's end is an event of its key, and with the last one the key is gone. */
static void end_member(Engine *engine, Record *record, int64_t now_ms) {
    if (family_is_dying(engine, record))
        return;
    const Family *family = family_with(engine, record);
    bool is_last = family->headed && family->count - family->dying == 1; /* be its head overdue or not */
    engine->expired += is_last;
    if (likely(!engine->observed))
        return;
    family_note(engine, NOTE_ENDED, record->db, family_key(family), now_ms);
    if (is_last)
        engine_note(engine, NOTE_EXPIRED, record->db % DATABASES, family_key(family));
}

/* What is due for a record that the wheel has let go of. */
void keyspace_end(Engine *engine, Record *record, uint64_t hash, int64_t now_ms) {
    if (record->flags & RECORD_STUB) {
        destroy(engine, record, hash, 0, record->clock);
        return;
    }
    int64_t by_ms = now_ms - record_deadline_ms(record);
    size_t value_bytes = record_stored_bytes(record);
    bool is_remembered = record_shadow_ms(record) > now_ms, is_seen = false;
    size_t notes_before = engine->notes.len;
    if (unlikely(is_member(record->db))) {
        end_member(engine, record, now_ms);
    } else {
        const Family *family = record->flags & RECORD_KIND ? family_of(engine, record) : NULL;
        is_seen = likely(!family) || family->count != family->dying;
        if (is_seen)
            engine_note(engine, NOTE_EXPIRED, record->db, record_key(record));
    }
    if (!is_remembered) {
        destroy(engine, record, hash, 0, record->clock);
    } else if (record->db >= DATABASES) {
        become_stub(engine, record, is_member(record->db) && !family_is_dying(engine, record), now_ms);
    } else if (!stub_takes_over(engine, record, now_ms)) {
        buffer_cut(&engine->notes, notes_before);
        return;
    }
    engine->expired += is_seen;
    note_lateness(&engine->late, by_ms, value_bytes, now_ms);
}

static void end(Engine *engine, Record *record, uint64_t hash, int64_t now_ms) {
    /* It was overwritten with more time, or only moves down; or its slot has not passed whole, which the
     * other engine waits for too, so that both forget at the same moment. */
    if (!wheel_has_passed(record_due_ms(record), now_ms)) {
        wheel_place(&engine->wheel, record, record_due_ms(record), now_ms);
        return;
    }
    keyspace_end(engine, record, hash, now_ms);
}

/* Works off what is due: at most about `budget` records, and how many they were. A record is a cache
 * miss and its table line another; lines are prefetched for EXPIRED_AT_ONCE records together. */
uint64_t keyspace_expire(Engine *engine, int64_t now_ms, uint64_t budget) {
    Record *due[EXPIRED_AT_ONCE];
    uint32_t hashes[EXPIRED_AT_ONCE];
    uint64_t touched = 0;
    while (touched < budget) {
        uint64_t wanted = budget - touched < EXPIRED_AT_ONCE ? budget - touched : EXPIRED_AT_ONCE;
        size_t count = wheel_visit(&engine->wheel, now_ms, due, wanted);
        for (size_t number = 0; number < count; number++) {
            __builtin_prefetch((const char *)due[number] + 64);
            __builtin_prefetch((const char *)due[number] + 116);
        }
        for (size_t number = 0; number < count; number++) {
            hashes[number] = record_hash(engine, due[number]);
            table_prefetch_line(&engine->tables[due[number]->db], hashes[number]);
        }
        for (size_t number = 0; number < count; number++) /* marks first: the end of a head writes its mark anew */
            if (unlikely(due[number]->flags & RECORD_STUB)) {
                end(engine, due[number], hashes[number], now_ms);
                due[number] = NULL;
            }
        for (size_t number = 0; number < count; number++)
            if (likely(due[number] != NULL))
                end(engine, due[number], hashes[number], now_ms);
        touched += count;
        if (count < wanted)
            break;
    }
    if (engine->stubs.count && touched < budget)
        touched += stubs_sweep(engine, now_ms, budget - touched);
    return touched + (touched < budget ? family_work(engine, now_ms, budget - touched) : 0);
}
