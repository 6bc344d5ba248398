/* A record's block: how it is taken and given back, and how a record gets another shape. */
#include "engine.h"

#include <string.h>

/* -- hashes, made again from keys ----------------------------------------------------------------- */
uint32_t hash_of_key(const void *owner, const Record *record) {
    if (unlikely(record->flags & RECORD_LONG))
        return record_long(record)->hash;
    return (uint32_t)keyspace_hash(owner, record_key(record));
}

uint32_t hash_of_member(const void *owner, const Record *record) {
    if (unlikely(record->flags & RECORD_LONG))
        return record_long(record)->hash;
    return (uint32_t)member_hash(owner, family_key(family_with(owner, record)), record_key(record));
}

/* -- blocks --------------------------------------------------------------------------------------- */
/* A record's block begins with its place in its family, where it is a member, and its trace, where digests are on. */
Record *record_take(Engine *engine, int db, size_t bytes) {
    size_t lead = lead_of(engine, db);
    uint8_t *block = arena_take(&engine->arena, lead + bytes);
    return block ? (Record *)(block + lead) : NULL;
}

void record_give(Engine *engine, Record *record, size_t bytes) {
    size_t lead = lead_of(engine, record->db);
    arena_give(&engine->arena, (uint8_t *)record - lead, lead + bytes);
}

/* -- the shape of a record ----------------------------------------------------------------------- */
static size_t least(size_t one, size_t other) {
    return one < other ? one : other;
}

/* Within its block: the key moves where what is before it comes or goes, the value is kept or wiped. */
static void reshape_here(Record *record, uint64_t hash, bool shadowed, size_t value_bytes, bool keep_value) {
    Span key = record_key(record);
    size_t before = record_stored_bytes(record);
    size_t overwritten = least(before, value_bytes); /* kept, or about to be written over */
    int64_t shadow_ms = record_shadow_ms(record);
    uint8_t *from = (uint8_t *)key.bytes, *to;
    wipe(from + key.len + overwritten, before - overwritten);
    unsigned lead = (shadowed ? RECORD_SHADOWED : 0) | (is_long(key.len, value_bytes) ? RECORD_LONG : 0);
    to = record_body(record) + record_lead_bytes(lead);
    if (to != from) {
        if (!keep_value) {
            wipe(from + key.len, overwritten);
            overwritten = 0;
        }
        size_t moved = key.len + overwritten;
        memmove(to, from, moved);
        if (to < from)
            wipe(to + moved, (size_t)(from - to));
        record->flags = (uint8_t)((record->flags & ~RECORD_SHADOWED) | (shadowed ? RECORD_SHADOWED : 0));
    }
    record_set_lengths(record, key.len, value_bytes, hash);
    if (shadowed && to != from)
        record_set_shadow(record, shadow_ms);
}

/* Makes room in a record for a value of this length and for a shadow, or not. The record may get
 * another address; table and wheel know it then. NULL: no memory, and nothing has changed. */
Record *keyspace_reshape(Engine *engine, Record *record, uint64_t hash, bool shadowed, size_t value_bytes,
                         bool keep_value) {
    if (likely(record_stored_bytes(record) == value_bytes && !(record->flags & RECORD_SHADOWED) == !shadowed))
        return record; /* what is there stays, or is written over */
    Span key = record_key(record);
    size_t before = record_bytes(record), after = record_size(record->db, shadowed, key.len, value_bytes);
    size_t lead = lead_of(engine, record->db);
    if (arena_block_bytes(lead + before) == arena_block_bytes(lead + after)) {
        reshape_here(record, hash, shadowed, value_bytes, keep_value);
        return record;
    }
    Record *moved = record_take(engine, record->db, after);
    if (!moved)
        return NULL;
    memcpy((uint8_t *)moved - lead, (uint8_t *)record - lead, lead + record_size(record->db, false, 0, 0));
    moved->flags = (uint8_t)((record->flags & ~RECORD_SHADOWED) | (shadowed ? RECORD_SHADOWED : 0));
    record_set_lengths(moved, key.len, value_bytes, hash);
    if (shadowed)
        record_set_shadow(moved, record_shadow_ms(record));
    size_t copied = key.len + (keep_value ? least(record_stored_bytes(record), value_bytes) : 0);
    if (copied)
        memcpy((uint8_t *)record_key(moved).bytes, key.bytes, copied);
    wheel_relink(moved);
    if (engine->digests.enabled)
        digest_moved(moved);
    if (is_member(moved->db))
        family_moved(engine, moved);
    table_replace(&engine->tables[record->db], hash, record, moved);
    record_give(engine, record, before);
    return moved;
}
