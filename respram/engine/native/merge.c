/* Records from a peer, under the merge rules: the higher stamp wins, shadows are merged by the later.
 *
 * The payload comes from outside: every length is compared with what is left before the place moves.
 * A record that cannot be accepted is counted and passed over; a header that cannot be read ends the
 * payload there, and what came before stays merged.
 */
#include "shares.h"

#include <string.h>

#define FLAGS_KNOWN (RECORD_IMPLICIT | RECORD_STUB | RECORD_SHADOWED | RECORD_KIND \
                     | PACKED_SEALED | PACKED_ADOPTED | PACKED_NAMED)

typedef struct Arrived {
    Span key, value;
    uint64_t clock, node, deadline_ms, shadow_ms;
    uint64_t key_id, sealer, position; /* where it is sealed */
    uint8_t flags, db;
    Name name; /* where it came without its key, or where it was asked for */
    bool is_named, is_counted;
} Arrived;

/* What there is of a key: a record or a stub, or neither. */
typedef struct Known {
    Record *record;
    uint32_t stub;
} Known;

static uint64_t number_at(const uint8_t *at, int bytes) {
    uint64_t number = 0;
    for (int place = 0; place < bytes; place++)
        number |= (uint64_t)at[place] << (8 * place);
    return number;
}

/* Whether digits and shares can be so long together. */
static bool has_shares(uint64_t value_bytes) {
    if (value_bytes <= COUNTER_HEAD_BYTES
        || value_bytes > COUNTER_HEAD_BYTES + COUNTER_DIGITS_MAX + (uint64_t)SHARES_MAX * SHARE_BYTES)
        return false;
    size_t digits = counter_digits(value_bytes);
    return digits && digits <= COUNTER_DIGITS_MAX;
}

/* A stub has nothing to seal, and who names a sealer names a seal. A head is a key's and has no value; a mark is a
 * stub. Only a stub of a key, with a shadow, or of a member goes by a name. */
static bool contradicts(uint8_t flags, int db, uint64_t value_bytes) {
    if (flags & RECORD_KIND && (flags & (RECORD_STUB | PACKED_SEALED) || value_bytes || db >= DATABASES))
        return true;
    if (db >= MARKS && db < SCRIPTS && !(flags & RECORD_STUB))
        return true;
    if (flags & PACKED_NAMED && flags & RECORD_STUB
        && ((!(flags & RECORD_SHADOWED) && db < DATABASES) || db >= MARKS))
        return true;
    if (flags & RECORD_COUNTED && !(flags & RECORD_STUB) && (db >= DATABASES || !has_shares(value_bytes)))
        return true;
    return (flags & RECORD_STUB && (value_bytes || flags & PACKED_SEALED))
           || (flags & PACKED_ADOPTED && !(flags & PACKED_SEALED));
}

/* The next record; false: it is cut short or cannot be. */
static bool take_record(const uint8_t **at, const uint8_t *end, Arrived *record) {
    const uint8_t *from = *at;
    if (end - from < PACKED_HEADER_BYTES)
        return false;
    record->flags = from[0];
    record->db = from[1];
    uint64_t key_bytes = number_at(from + 2, 4), value_bytes = number_at(from + 6, 4);
    record->clock = number_at(from + 10, 8);
    record->node = number_at(from + 18, 8);
    record->deadline_ms = number_at(from + 26, 8);
    record->shadow_ms = record->key_id = record->sealer = record->position = 0;
    from += PACKED_HEADER_BYTES;
    if (record->flags & ~FLAGS_KNOWN || record->db >= SPACES || contradicts(record->flags, record->db, value_bytes))
        return false;
    int more = (record->flags & RECORD_SHADOWED ? 8 : 0) + (record->flags & PACKED_SEALED ? 16 : 0)
               + (record->flags & PACKED_ADOPTED ? 8 : 0);
    if (end - from < more)
        return false;
    record->is_counted = record->flags & RECORD_COUNTED && !(record->flags & RECORD_STUB);
    if (record->is_counted)
        record->flags &= (uint8_t)~RECORD_COUNTED; /* from here on the bit is that of a name */
    if (record->flags & RECORD_SHADOWED) {
        record->shadow_ms = number_at(from, 8);
        from += 8;
    }
    if (record->flags & PACKED_SEALED) {
        record->key_id = number_at(from, 8);
        record->position = number_at(from + 8, 8);
        record->sealer = record->node;
        from += 16;
        if (record->flags & PACKED_ADOPTED) {
            record->sealer = number_at(from, 8);
            from += 8;
        }
        if (record->position >> 63)
            return false;
    }
    if (key_bytes + value_bytes > (uint64_t)(end - from))
        return false;
    if (is_member(record->db) && !(record->flags & PACKED_NAMED)
        && (key_bytes < NAME_LENGTH_BYTES || number_at(from, NAME_LENGTH_BYTES) > key_bytes - NAME_LENGTH_BYTES))
        return false;
    record->key = (Span){from, key_bytes};
    record->value = (Span){from + key_bytes, value_bytes};
    if (unlikely(is_bare(record->db))) { /* what a peer says of a value that none has */
        record->value.len = 0;
        record->flags &= (uint8_t)~(PACKED_SEALED | PACKED_ADOPTED);
    }
    record->is_named = record->flags & PACKED_NAMED;
    if (record->is_named) {
        if (key_bytes != NAME_BYTES)
            return false;
        memcpy(&record->name, from, NAME_BYTES);
        if (record->db < DATABASES) /* in files of version 4 bits of the hash stand above those of the database */
            record->name.bytes[NAME_BYTES - 1] &= (uint8_t)~(NAME_SPACE - (DATABASES - 1));
        if (name_space(&record->name) != record->db)
            return false;
    }
    *at = from + key_bytes + value_bytes;
    return true;
}

/* Each part may be as large as an argument, but two of a member's parts at most, since one frame holds it. */
static bool is_too_large(const Arrived *record, uint64_t bytes_max) {
    if (record->value.len > bytes_max)
        return true;
    if (!is_member(record->db))
        return record->key.len > bytes_max;
    uint64_t part = member_head(record->key).len, name = member_name(record->key).len;
    return part > bytes_max || name > bytes_max || part + name + record->value.len > 2 * bytes_max;
}

static bool is_acceptable(const Engine *engine, const Arrived *record, Known known, int64_t now_ms) {
    const Settings *settings = &engine->settings;
    if (record->flags & PACKED_NAMED && !engine->digests.enabled)
        return false; /* it could not find the record that it is about */
    uint64_t latest_stamp_ms = (uint64_t)(now_ms + settings->clock_offset_ms_max);
    uint64_t horizon_ms = latest_stamp_ms + (uint64_t)settings->max_ttl_ms;
    uint64_t remembered_ms = (uint64_t)(now_ms + SHADOW_MS_MAX);
    if (record->flags & RECORD_STUB)
        horizon_ms = remembered_ms; /* it is no life, but the memory of one that others may have given */
    return record->clock >> 16 <= latest_stamp_ms && record->deadline_ms <= horizon_ms
           && record->shadow_ms <= remembered_ms
           /* of a key too large here */
           && (record->flags & RECORD_STUB || !is_too_large(record, settings->bulk_bytes_max))
           && (known.record || known.stub || !engine_full(engine));
}

static const Name *name_arrived(Arrived *record) {
    if (!record->is_named) {
        record->name = stub_name(record->db, record->key);
        record->is_named = true;
    }
    return &record->name;
}

/* By its key; a stub that came without one by its name, and where there is a record it has its key again: in
 * `found_key`, since the record may go. False: no memory. */
static bool find_known(Engine *engine, Arrived *arrived, Buffer *found_key, uint64_t *hash, Known *known) {
    *known = (Known){0};
    if (arrived->flags & PACKED_NAMED) {
        known->stub = stubs_find(&engine->stubs, &arrived->name);
        known->record = known->stub || !engine->digests.enabled ? NULL : dump_find(engine, &arrived->name);
        if (!known->record)
            return true;
        Whole whole = whole_of(engine, known->record);
        found_key->len = 0;
        if (!buffer_reserve(found_key, whole_bytes(&whole)))
            return false;
        whole_put(&whole, found_key->bytes);
        found_key->len = whole_bytes(&whole);
        arrived->key = (Span){found_key->bytes, found_key->len};
        arrived->flags &= (uint8_t)~PACKED_NAMED;
    }
    *hash = keyspace_hash(engine, arrived->key);
    if (!known->record)
        known->record = keyspace_find(engine, arrived->db, *hash, arrived->key);
    if (!known->record && engine->stubs.count && arrived->db < MARKS)
        known->stub = stubs_find(&engine->stubs, name_arrived(arrived));
    return true;
}

/* The shadow rule (record.py): the latest end of all that is replaced, if that is after the deadline. */
static int64_t shadow_of(int64_t deadline_ms, int64_t own_shadow_ms, int64_t other_deadline_ms,
                         int64_t other_shadow_ms) {
    int64_t latest_ms = own_shadow_ms > other_deadline_ms ? own_shadow_ms : other_deadline_ms;
    if (other_shadow_ms > latest_ms)
        latest_ms = other_shadow_ms;
    return latest_ms > deadline_ms ? latest_ms : 0;
}

typedef struct Stamp {
    uint64_t clock, node;
} Stamp;

static Stamp stamp_of(const Engine *engine, Known known) {
    if (known.record)
        return (Stamp){known.record->clock, engine->nodes.numbers[known.record->node]};
    const Stub *stub = stub_at(&engine->stubs, known.stub);
    return (Stamp){stub_clock(stub), engine->nodes.numbers[stub->node]};
}

static bool is_newer_or_same(Stamp stamp, const Arrived *other) {
    return stamp.clock != other->clock ? stamp.clock > other->clock : stamp.node >= other->node;
}

static bool is_same(const Engine *engine, Known known, const Arrived *other) {
    Stamp stamp = stamp_of(engine, known);
    return stamp.clock == other->clock && stamp.node == other->node;
}

/* Changes how long a record must be remembered. False: no memory. */
static bool remember_record(Engine *engine, Record *record, int64_t shadow_ms, int64_t now_ms) {
    if (shadow_ms == record_shadow_ms(record))
        return true;
    Before before = digest_before(record);
    int64_t deadline_ms = record_deadline_ms(record), end_ms = deadline_ms > shadow_ms ? deadline_ms : shadow_ms;
    if (engine->digests.enabled && !digest_make_room(engine, end_ms, record->clock, now_ms))
        return false;
    uint64_t clock = record->clock;
    record = keyspace_reshape(engine, record, record_hash(engine, record), shadow_ms != 0, record_stored_bytes(record),
        true);
    if (!record) {
        if (engine->digests.enabled)
            digest_give_up(engine, end_ms, clock);
        return false;
    }
    if (shadow_ms)
        record_set_shadow(record, shadow_ms);
    if (engine->digests.enabled)
        digest_change(engine, record, before);
    if (record->flags & RECORD_STUB)
        wheel_move(&engine->wheel, record, end_ms, now_ms);
    return true;
}

/* An older or equal version still tells how long the newer one must be remembered. False: no memory. */
static bool widen_record(Engine *engine, Record *record, int64_t ends_ms, const Arrived *older, int64_t now_ms) {
    int64_t own_ms = record_shadow_ms(record);
    int64_t shadow_ms = shadow_of(record_deadline_ms(record), own_ms, ends_ms, (int64_t)older->shadow_ms);
    return remember_record(engine, record, shadow_ms, now_ms);
}

static bool widen_stub(Engine *engine, uint32_t number, int64_t ends_ms, const Arrived *older, int64_t now_ms) {
    const Stub *stub = stub_at(&engine->stubs, number);
    int64_t deadline_ms = stub_deadline_ms(stub), own_ms = stub_shadow_ms(stub);
    int64_t shadow_ms = shadow_of(deadline_ms, own_ms, ends_ms, (int64_t)older->shadow_ms);
    if (shadow_ms == own_ms)
        return true;
    Name name = stub->name;
    return stub_write(engine, number, &name, stub_clock(stub), stub->node, deadline_ms, shadow_ms,
                      now_ms);
}

static bool widen(Engine *engine, Known known, const Arrived *older, int64_t now_ms) {
    int64_t ends_ms = is_same(engine, known, older) ? 0 : (int64_t)older->deadline_ms;
    return known.record ? widen_record(engine, known.record, ends_ms, older, now_ms)
                        : widen_stub(engine, known.stub, ends_ms, older, now_ms);
}

enum { TAKEN, PASSED_OVER, NO_ROOM, STRANGE };

/* Writes a version of a peer's: sealed as it came, or sealed here where the peer does not seal. */
static bool write(Engine *engine, Known known, uint64_t hash, const Arrived *newer, bool is_live, int64_t shadow_ms,
                  int64_t now_ms) {
    Content content = {0};
    if (newer->flags & RECORD_KIND) {
        content.kind = (newer->flags & RECORD_KIND) >> KIND_SHIFT;
    } else if (is_live && newer->flags & PACKED_SEALED) {
        Seal seal = {.sealer = newer->sealer, .key = seal_key(engine, newer->key_id)};
        uint32_t position = seal_split(newer->position, newer->value.len, &seal);
        content = (Content){.bytes = newer->value, .position = position, .seal = seal};
    } else if (is_live && !is_bare(newer->db) && !seal_value(engine, newer->value, &content)) {
        return false;
    }
    content.counted = is_live && newer->is_counted;
    int32_t node = nodes_intern(&engine->nodes, newer->node, &content.seal);
    bool written = node >= 0
                   && keyspace_write(engine, known.record, newer->db, hash, newer->key, is_live ? &content
                   : NULL, newer->clock,
                                     (uint16_t)node, (int64_t)newer->deadline_ms, shadow_ms,
                                     newer->flags & RECORD_IMPLICIT, now_ms, known.stub);
    seal_done(engine, &content, written);
    return written;
}

/* A key's or a member's version without a value. Of a head that is over already a mark remembers the end: a stub has
 * no deadline. */
static bool bury(Engine *engine, Known known, uint64_t hash, Arrived *newer, int64_t shadow_ms, int64_t now_ms) {
    Seal none = {0};
    uint64_t ended = newer->deadline_ms << 16;
    if (newer->flags & RECORD_KIND
        && !keyspace_mark(engine, newer->db, hash, newer->key, ended > newer->clock ? ended
        : newer->clock, newer->node, shadow_ms, now_ms, (int64_t)(newer->clock >> 16)))
        return false;
    int32_t node = nodes_intern(&engine->nodes, newer->node, &none);
    uint32_t stub = node < 0 ? 0 : stub_bury(engine, known.record, known.stub, name_arrived(newer), newer->clock,
                                             (uint16_t)node, (int64_t)newer->deadline_ms, shadow_ms, now_ms);
    bool is_over = newer->flags & RECORD_STUB || (int64_t)newer->deadline_ms <= now_ms; /* else a mark clears it */
    if (stub && is_over && is_member(newer->db) && !(newer->flags & PACKED_NAMED))
        departed_note(engine, member_head(newer->key), stub);
    return stub != 0;
}

static void remove_known(Engine *engine, Known known, uint64_t cleared) {
    if (known.record)
        keyspace_remove(engine, known.record, cleared);
    else if (known.stub)
        stub_remove(engine, known.stub);
}

/* What could be seen under a key before a record was merged, for the observer. */
typedef struct Seen {
    int db;
    Span key;
    bool key_before, member_before;
} Seen;

static bool is_seen(Engine *engine, int db, Span key, int64_t now_ms) {
    return keyspace_shows(engine, db, keyspace_hash(engine, key), key, now_ms);
}

static Seen look(Engine *engine, const Arrived *newer, int64_t now_ms) {
    bool of_member = is_member(newer->db);
    Seen seen = {.db = newer->db % DATABASES, .key = of_member ? member_head(newer->key) : newer->key};
    seen.key_before = is_seen(engine, seen.db, seen.key, now_ms);
    seen.member_before = of_member && is_seen(engine, newer->db, newer->key, now_ms);
    return seen;
}

static void tell(Engine *engine, const Seen *seen, const Arrived *newer, bool is_live, int64_t now_ms) {
    bool key_after = is_seen(engine, seen->db, seen->key, now_ms);
    if (key_after && !seen->key_before)
        engine_came(engine, seen->db, keyspace_hash(engine, seen->key), seen->key);
    if (is_member(newer->db) && (is_live || seen->member_before))
        family_note(engine, is_live ? NOTE_PUT : NOTE_LET_GO, newer->db, seen->key, now_ms);
    if (seen->key_before && !key_after)
        engine_note(engine, NOTE_EXPIRED, seen->db, seen->key);
    else if (key_after && newer->db < DATABASES)
        engine_note(engine, NOTE_MERGED, seen->db, seen->key);
}

/* A mark, or a head, of 43 bytes can have all members of a collection looked at, and the next one again. So the records
 * of one payload may have so many looked at together. What is refused comes again when nodes compare. A larger
 * collection is looked at whole, where it is the first of its payload. */
#define SWEPT_MAX ((uint64_t)1 << 20) /* some 10 ms */

static bool may_sweep(Engine *engine, Known known, const Arrived *newer) {
    bool is_mark = newer->db >= MARKS && newer->db < SCRIPTS;
    bool is_head = newer->db < DATABASES
                   && (newer->flags & RECORD_KIND || (known.record && known.record->flags & RECORD_KIND));
    if (likely(!is_mark && !is_head))
        return true;
    uint64_t members = family_sweep(engine, newer->db % DATABASES, newer->key, newer->clock);
    if (members > engine->sweeps_left && engine->sweeps_left < SWEPT_MAX)
        return false;
    engine->sweeps_left -= members < engine->sweeps_left ? members : engine->sweeps_left;
    return true;
}

/* Before a peer's mark comes that says that a head has ended there. If the collection here was begun behind that head,
 * but before its end, then what this node has put into it is written again, behind the end: the mark would clear it on
 * all nodes (decision 0211). False: no memory. */
static bool restamp(Engine *engine, const Arrived *mark, uint64_t hash, int64_t now_ms) {
    uint64_t clock = mark->clock, own = engine->settings.node;
    const Record *head = family_head(engine, mark->db - MARKS, hash, mark->key, now_ms);
    if (!head || (uint64_t)record_deadline_ms(head) << 16 <= clock)
        return true;
    Family *family = family_of(engine, head);
    const Record *known = table_find(&engine->tables[mark->db], hash, mark->key);
    uint64_t began = family->began; /* a mark of a write: a peer has begun anew, and the head here became its own */
    if (known && !record_deadline_ms(known) && known->clock > began)
        began = known->clock < head->clock ? known->clock : head->clock;
    bool is_behind = began >> 16 > mark->deadline_ms
        || (mark->node == own && engine->nodes.numbers[head->node] == own);
    if (!is_behind || began > clock)
        return true;
    if (clock + SPARED_BEHIND > engine->clock)
        engine->clock = clock + SPARED_BEHIND;
    engine->spare_from = began;
    return family_spares(engine, head, clock, began, now_ms);
}

static inline int64_t latest_ms(int64_t one_ms, int64_t other_ms) {
    return one_ms > other_ms ? one_ms : other_ms;
}

/* A mark lives for as long as what it clears, and a mark of an end as long as a head that was begun before that end. A
 * node that was cut off meanwhile may show such members until they end: it has to hear of the mark (decision 0254).
 * Here a mark of an end comes to what it may clear. */
static int64_t outliving_ms(Engine *engine, const Arrived *mark, uint64_t hash, int64_t shadow_ms, int64_t now_ms) {
    int db = mark->db - MARKS;
    const Record *head = family_head(engine, db, hash, mark->key, now_ms);
    if (head && head->clock < mark->clock)
        shadow_ms = latest_ms(shadow_ms, latest_ms(record_deadline_ms(head), record_shadow_ms(head)));
    for (int kind = HASH; kind <= ZSET; kind++) {
        const Family *family = family_named(engine, kind * DATABASES + db, mark->key);
        if (family && family->count > family->dying)
            shadow_ms = latest_ms(shadow_ms, family->last_ms);
    }
    return shadow_ms;
}

/* And here a member is cleared. Where there is no memory for it, another node's mark may have it. */
static void outlive_member(Engine *engine, const Arrived *member, int64_t shadow_ms, int64_t now_ms) {
    Span key = member_head(member->key);
    Record *mark = table_find(&engine->tables[MARKS + member->db % DATABASES], keyspace_hash(engine, key), key);
    if (mark && member->clock <= mark->clock)
        (void)remember_record(engine, mark, latest_ms(record_shadow_ms(mark),
            latest_ms((int64_t)member->deadline_ms, shadow_ms)), now_ms);
}

/* And here a head comes to such a mark. */
static void outlive(Engine *engine, const Arrived *head, uint64_t hash, int64_t shadow_ms, int64_t now_ms) {
    Record *mark = table_find(&engine->tables[MARKS + head->db], hash, head->key);
    if (mark && record_deadline_ms(mark) && head->clock < mark->clock)
        (void)remember_record(engine, mark, latest_ms(record_shadow_ms(mark),
            latest_ms((int64_t)head->deadline_ms, shadow_ms)), now_ms);
}

/* A version that outranks what is here. Without a life left it still supersedes, as a stub or by
 * taking the older record away. A member of what has ended here stays as a stub, for as long as others may keep it. */
static int supersede(Engine *engine, Known known, uint64_t hash, Arrived *newer, int64_t now_ms) {
    if (!may_sweep(engine, known, newer))
        return NO_ROOM;
    Seen seen = {0};
    /* else nothing can be seen of it, before or after */
    bool is_told = unlikely(engine_looks(engine)) && !(newer->flags & PACKED_NAMED);
    if (is_told)
        seen = look(engine, newer, now_ms);
    const Record *record = known.record;
    int64_t deadline_ms = (int64_t)newer->deadline_ms, shadow_ms = (int64_t)newer->shadow_ms;
    if (record)
        shadow_ms = shadow_of(deadline_ms, shadow_ms, record_deadline_ms(record), record_shadow_ms(record));
    else if (known.stub)
        shadow_ms = shadow_of(deadline_ms, shadow_ms, 0, stub_end_ms(stub_at(&engine->stubs, known.stub)));
    if (is_member(newer->db) && shadow_ms <= deadline_ms)
        shadow_ms = 0; /* only a peer at fault says so: a stub could not keep both */
    if (newer->flags & RECORD_STUB && newer->db < DATABASES && deadline_ms > shadow_ms)
        shadow_ms = deadline_ms; /* of a clock that is ahead of this one */
    bool is_live = !(newer->flags & RECORD_STUB) && deadline_ms > now_ms;
    if (is_live && is_member(newer->db) && family_is_cleared(engine, newer->db, newer->key, newer->clock, now_ms)) {
        is_live = false;
        outlive_member(engine, newer, shadow_ms, now_ms);
    }
    int64_t end_ms = deadline_ms > shadow_ms ? deadline_ms : shadow_ms;
    if (newer->db >= MARKS && newer->db < SCRIPTS && deadline_ms && end_ms > now_ms) {
        shadow_ms = outliving_ms(engine, newer, hash, shadow_ms, now_ms);
        if (!restamp(engine, newer, hash, now_ms)) {
            engine->spare_from = 0;
            return NO_ROOM;
        }
        known.record = table_find(&engine->tables[newer->db], hash, newer->key);
    }
    if (!is_live && end_ms <= now_ms) {
        remove_known(engine, known, newer->clock);
    } else if (!is_live && newer->db < MARKS) {
        Head head = newer->db < DATABASES ? family_living(known.record, now_ms) : (Head){0};
        if (!bury(engine, known, hash, newer, shadow_ms, now_ms))
            return NO_ROOM;
        if (unlikely(head.kind))
            family_begin_behind(engine, &head, newer->db, hash, newer->key,
                                stubs_find(&engine->stubs, name_arrived(newer)), now_ms);
    } else if (!write(engine, known, hash, newer, is_live, shadow_ms, now_ms)) {
        engine->spare_from = 0;
        return NO_ROOM;
    }
    engine->spare_from = 0;
    if (unlikely(newer->flags & RECORD_KIND) && is_live)
        outlive(engine, newer, hash, shadow_ms, now_ms);
    if (newer->clock > engine->clock)
        engine->clock = newer->clock;
    if (is_told)
        tell(engine, &seen, newer, is_live, now_ms);
    return TAKEN;
}

static Version version_arrived(Engine *engine, const Arrived *arrived) {
    Version version = {
        .clock = arrived->clock, .node = arrived->node, .bytes = arrived->value,
        .deadline_ms = (int64_t)arrived->deadline_ms, .shadow_ms = (int64_t)arrived->shadow_ms,
        .counted = arrived->is_counted, .implicit = arrived->flags & RECORD_IMPLICIT,
    };
    if (arrived->flags & PACKED_SEALED) {
        version.seal = (Seal){.sealer = arrived->sealer, .key = seal_key(engine, arrived->key_id)};
        version.position = seal_split(arrived->position, arrived->value.len, &version.seal);
    }
    return version;
}

/* Joins a counter's versions where shares.c does; MET_NOT: they are merged by stamp. */
static int join_counters(Engine *engine, Known known, uint64_t hash, const Arrived *arrived, int64_t now_ms) {
    if (likely(!known.record) || arrived->db >= DATABASES || arrived->flags & (RECORD_STUB | RECORD_KIND))
        return MET_NOT;
    if (likely(!(known.record->flags & RECORD_COUNTED || arrived->is_counted)))
        return MET_NOT;
    Version version = version_arrived(engine, arrived);
    if (!counters_meet(engine, known.record, &version, now_ms))
        return MET_NOT;
    Seen seen = {0};
    if (unlikely(engine_looks(engine)))
        seen = look(engine, arrived, now_ms);
    int outcome = counters_merge(engine, known.record, hash, arrived->key, &version, now_ms);
    if (outcome == MET && engine_looks(engine))
        tell(engine, &seen, arrived, true, now_ms);
    return outcome;
}

static int merge_one(Engine *engine, Arrived *arrived, Buffer *found_key, int64_t now_ms) {
    uint64_t hash = 0;
    Known known;
    if (!find_known(engine, arrived, found_key, &hash, &known) || !is_acceptable(engine, arrived, known, now_ms))
        return NO_ROOM;
    if (arrived->flags & PACKED_SEALED && !seal_key(engine, arrived->key_id))
        return STRANGE;
    int met = join_counters(engine, known, hash, arrived, now_ms);
    if (unlikely(met != MET_NOT))
        return met == MET ? TAKEN : NO_ROOM;
    if (!known.record && !known.stub) {
        uint64_t last_ms = arrived->deadline_ms > arrived->shadow_ms ? arrived->deadline_ms : arrived->shadow_ms;
        if ((int64_t)last_ms <= now_ms)
            return PASSED_OVER;
    } else if (is_newer_or_same(stamp_of(engine, known), arrived)) {
        return widen(engine, known, arrived, now_ms) ? PASSED_OVER : NO_ROOM;
    }
    return supersede(engine, known, hash, arrived, now_ms);
}

Merged keyspace_merge(Engine *engine, const uint8_t *payload, size_t len, int64_t now_ms) {
    Merged merged = {0};
    const uint8_t *at = payload, *end = payload + len;
    Arrived arrived;
    Buffer found_key = {0};
    engine->sweeps_left = SWEPT_MAX;
    while (at < end) {
        if (!take_record(&at, end, &arrived)) {
            merged.malformed = 1;
            break;
        }
        switch (merge_one(engine, &arrived, &found_key, now_ms)) {
        case TAKEN: merged.fresh++; break;
        case PASSED_OVER: merged.known++; break;
        case STRANGE: merged.strange++; merged.refused++; break;
        default: merged.refused++;
        }
    }
    buffer_clear(&found_key, 0);
    return merged;
}
