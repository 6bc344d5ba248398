/* A member as it lies in memory: its record has its name alone, and names its collection by the number of its family.
 *
 * Everywhere else (commands, digests, dumps, seals, the outbox) a member goes by its whole key: the length of the
 * collection's key, that key, its name (decision 0120). Here the whole key is taken apart, put together and hashed. So
 * a member takes as much memory under a key of 40 bytes as under one of 4 (decision 0240).
 */
#include "engine.h"

#include <string.h>

/* The collection's key of a member's whole key. */
Span member_head(Span member) {
    uint32_t len = (uint32_t)member.bytes[0] | (uint32_t)member.bytes[1] << 8 | (uint32_t)member.bytes[2] << 16
                   | (uint32_t)member.bytes[3] << 24;
    return (Span){member.bytes + NAME_LENGTH_BYTES, len};
}

Span member_name(Span member) {
    size_t from = NAME_LENGTH_BYTES + member_head(member).len;
    return (Span){member.bytes + from, member.len - from};
}

static void put_length(uint8_t out[NAME_LENGTH_BYTES], size_t len) {
    for (int place = 0; place < NAME_LENGTH_BYTES; place++)
        out[place] = (uint8_t)(len >> (8 * place));
}

bool member_key(Buffer *out, Span key, Span name) {
    uint8_t head[NAME_LENGTH_BYTES];
    put_length(head, key.len);
    out->len = 0;
    return buffer_reserve(out, NAME_LENGTH_BYTES + key.len + name.len) && buffer_append(out, head, sizeof head)
           && buffer_append(out, key.bytes, key.len) && buffer_append(out, name.bytes, name.len);
}

/* -- from a record to its whole key ---------------------------------------------------------------- */
Whole whole_of(const Engine *engine, const Record *record) {
    Whole whole = {.name = record_key(record)};
    if (is_member(record->db)) {
        whole.key = family_key(family_with(engine, record));
        put_length(whole.length, whole.key.len);
        whole.length_bytes = NAME_LENGTH_BYTES;
    }
    return whole;
}

size_t whole_bytes(const Whole *whole) {
    return whole->length_bytes + whole->key.len + whole->name.len;
}

void whole_put(const Whole *whole, uint8_t *out) {
    if (whole->length_bytes)
        memcpy(out, whole->length, whole->length_bytes);
    out += whole->length_bytes;
    if (whole->key.len)
        memcpy(out, whole->key.bytes, whole->key.len);
    if (whole->name.len)
        memcpy(out + whole->key.len, whole->name.bytes, whole->name.len);
}

/* What stubs and digests call a record. */
Name record_called(const Engine *engine, const Record *record) {
    Whole whole = whole_of(engine, record);
    Span parts[3] = {{whole.length, whole.length_bytes}, whole.key, whole.name};
    return name_of_parts(record->db, parts, 3);
}

/* -- from a whole key to its record ---------------------------------------------------------------- */
/* The hash of the whole key, which is not put together for it. */
uint64_t member_hash(const Engine *engine, Span key, Span name) {
    uint8_t length[NAME_LENGTH_BYTES];
    put_length(length, key.len);
    Span parts[3] = {{length, sizeof length}, key, name};
    return hash_parts(engine->settings.secret, parts, 3);
}

Record *member_find(const Engine *engine, const Family *family, uint64_t hash, Span name) {
    return table_find_member(&engine->tables[family->space], hash, name, engine->lead + sizeof(Kin), family->number);
}

/* The record of a key, or of a member by its whole key. */
Record *keyspace_find(Engine *engine, int space, uint64_t hash, Span key) {
    if (likely(!is_member(space)))
        return table_find(&engine->tables[space], hash, key);
    const Family *family = family_named(engine, space, member_head(key));
    return family ? member_find(engine, family, hash, member_name(key)) : NULL;
}

/* A member that can be seen, by the hash of its whole key. */
Record *family_seen(const Engine *engine, const Family *family, uint64_t hash, Span name, int64_t now_ms) {
    Record *record = member_find(engine, family, hash, name);
    if (!record || record->flags & RECORD_STUB || record_deadline_ms(record) <= now_ms)
        return NULL;
    return kin_of(engine, record)->place < family->dying ? NULL : record;
}
