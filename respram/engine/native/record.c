/* A record is one block: 40 bytes of header, the shadow's 6 where there is one, key, value. A member of a set has no
 * value, and 34 bytes of header (decision 0245).
 *
 * The header is packed by hand: links of the wheel and the deadline take 48 bits each, node numbers are interned to 16,
 * lengths take 16 bits, with room for 32 before the key where they do not fit, and the hash is made again from the key
 * where somebody asks for it (decision 0247). So a key of 16 and a value of 64 bytes fit 120: the comparison of the key
 * reads one cache line, and the next is prefetched with it. There is no pointer to a value: that would be one cache
 * miss more for every GET.
 *
 * A value enters a record in `record_put_value` and leaves it by `record_value`, and nowhere else; where
 * values are sealed, seal.c makes the one and takes the other.
 */
#include "engine.h"

#include <string.h>

size_t record_size(int space, bool shadowed, size_t key_bytes, size_t value_bytes) {
    return RECORD_HEADER_BYTES + (is_bare(space) ? 0 : sizeof(Held)) + (shadowed ? SHADOW_BYTES : 0)
           + (is_long(key_bytes, value_bytes) ? sizeof(Long) : 0) + key_bytes + value_bytes;
}

size_t record_bytes(const Record *record) {
    return RECORD_HEADER_BYTES + (is_bare(record->db) ? 0 : sizeof(Held)) + record_lead_bytes(record->flags)
           + record_key_bytes(record) + record_stored_bytes(record);
}

void record_set_lengths(Record *record, size_t key_bytes, size_t value_bytes, uint64_t hash) {
    bool has_long = is_long(key_bytes, value_bytes);
    record->flags = (uint8_t)((record->flags & ~RECORD_LONG) | (has_long ? RECORD_LONG : 0));
    record->short_key_bytes = has_long ? 0 : (uint16_t)key_bytes;
    if (!is_bare(record->db))
        record_held(record)->short_value_bytes = has_long ? 0 : (uint16_t)value_bytes;
    if (has_long)
        *record_long(record) = (Long){(uint32_t)key_bytes, (uint32_t)value_bytes, (uint32_t)hash};
}

static inline uint8_t *shadow_place(const Record *record) {
    return record_body(record) + record_lead_bytes(record->flags & ~RECORD_SHADOWED);
}

int64_t record_shadow_ms(const Record *record) {
    if (!(record->flags & RECORD_SHADOWED))
        return 0;
    uint32_t low;
    uint16_t high;
    memcpy(&low, shadow_place(record), 4);
    memcpy(&high, shadow_place(record) + 4, 2);
    return (int64_t)((uint64_t)high << 32 | low);
}

void record_set_shadow(Record *record, int64_t shadow_ms) {
    uint32_t low = (uint32_t)shadow_ms;
    uint16_t high = (uint16_t)(shadow_ms >> 32);
    memcpy(shadow_place(record), &low, 4);
    memcpy(shadow_place(record) + 4, &high, 2);
}

/* When the wheel has to look at it: a value ends at its deadline, a stub with its shadow, or with the deadline that a
 * cleared member keeps. */
int64_t record_due_ms(const Record *record) {
    int64_t deadline_ms = record_deadline_ms(record), shadow_ms = record_shadow_ms(record);
    return record->flags & RECORD_STUB && shadow_ms > deadline_ms ? shadow_ms : deadline_ms;
}

static inline uint8_t *value_place(const Record *record) {
    Span key = record_key(record);
    return (uint8_t *)key.bytes + key.len;
}

void record_put_value(Record *record, const Content *content) {
    const uint8_t *bytes = content->bytes.bytes, *stream = content->stream;
    size_t len = content->bytes.len;
    record_set_position(record, content->position);
    if (!len)
        return;
    uint8_t *restrict out = value_place(record);
    if (!stream) {
        if (content->cipher) /* it cannot fail half-way: it was checked before, and allocates nothing */
            always(cipher_run(content->cipher, content->seal.sealer, seal_position(&content->seal, content->position),
                content->bytes, out));
        else
            memcpy(out, bytes, len);
        return;
    }
    for (size_t place = 0; place < len; place++)
        out[place] = bytes[place] ^ stream[place];
}

Span record_value(const Record *record) {
    return (Span){value_place(record), record_value_bytes(record)};
}

Span record_lying(const Record *record) {
    return (Span){value_place(record), record->flags & RECORD_STUB ? 0 : record_stored_bytes(record)};
}

void record_get_value(const Record *record, uint8_t *out) {
    Span value = record_value(record);
    if (value.len)
        memcpy(out, value.bytes, value.len);
}

/* -- the packed form of record.py, little-endian ------------------------------------------------- */
/* Its flags as packed: here a seal is told by the writer's entry in Nodes. */
static uint8_t packed_flags(const Engine *engine, const Record *record) {
    const Seal *seal = &engine->nodes.seals[record->node];
    uint8_t flags = record->flags & (uint8_t)~RECORD_LONG;
    if (flags & RECORD_STUB || !seal->key)
        return flags;
    bool adopted = seal->sealer != engine->nodes.numbers[record->node];
    return (uint8_t)(flags | PACKED_SEALED | (adopted ? PACKED_ADOPTED : 0));
}

size_t record_packed_bytes(const Engine *engine, const Record *record) {
    uint8_t flags = packed_flags(engine, record);
    Whole whole = whole_of(engine, record);
    return PACKED_HEADER_BYTES + (flags & RECORD_SHADOWED ? 8u : 0u) + (flags & PACKED_SEALED ? 16u : 0u)
           + (flags & PACKED_ADOPTED ? 8u : 0u) + whole_bytes(&whole) + record_lying(record).len;
}

static uint8_t *put_number(uint8_t *out, uint64_t number, int bytes) {
    for (int place = 0; place < bytes; place++)
        *out++ = (uint8_t)(number >> (8 * place));
    return out;
}

void record_pack(const Engine *engine, const Record *record, uint8_t *out) {
    Span value = record_lying(record);
    Whole whole = whole_of(engine, record);
    size_t key_bytes = whole_bytes(&whole);
    uint8_t flags = packed_flags(engine, record);
    *out++ = flags;
    *out++ = record->db;
    out = put_number(out, key_bytes, 4);
    out = put_number(out, value.len, 4);
    out = put_number(out, record->clock, 8);
    out = put_number(out, engine->nodes.numbers[record->node], 8);
    out = put_number(out, (uint64_t)record_deadline_ms(record), 8);
    if (record->flags & RECORD_SHADOWED)
        out = put_number(out, (uint64_t)record_shadow_ms(record), 8);
    if (flags & PACKED_SEALED) {
        const Seal *seal = &engine->nodes.seals[record->node];
        out = put_number(out, engine->seals.keys[seal->key - 1], 8);
        out = put_number(out, seal_position(seal, record_position(record)), 8);
        if (flags & PACKED_ADOPTED)
            out = put_number(out, seal->sealer, 8);
    }
    whole_put(&whole, out);
    if (value.len)
        memcpy(out + key_bytes, value.bytes, value.len);
}

/* A stub with a shadow needs no deadline, which lies before it. Its stamp's own time stands there, or the shadow, if
 * that is sooner. */
bool stub_pack(const Engine *engine, uint32_t number, const Span *key, Buffer *buffer) {
    const Stub *stub = stub_at(&engine->stubs, number);
    int64_t shadow_ms = stub_shadow_ms(stub);
    size_t key_bytes = key ? key->len : NAME_BYTES, size = PACKED_HEADER_BYTES + (shadow_ms ? 8 : 0) + key_bytes;
    if (!buffer_reserve(buffer, size))
        return false;
    uint8_t *out = buffer->bytes + buffer->len;
    int64_t over_ms = (int64_t)(stub_clock(stub) >> 16);
    *out++ = (uint8_t)(RECORD_STUB | (shadow_ms ? RECORD_SHADOWED : 0) | (key ? 0 : PACKED_NAMED));
    *out++ = (uint8_t)name_space(&stub->name);
    out = put_number(out, key_bytes, 4);
    out = put_number(out, 0, 4);
    out = put_number(out, stub_clock(stub), 8);
    out = put_number(out, engine->nodes.numbers[stub->node], 8);
    if (over_ms > stub_end_ms(stub) || !shadow_ms)
        over_ms = stub_end_ms(stub);
    out = put_number(out, (uint64_t)over_ms, 8);
    if (shadow_ms)
        out = put_number(out, (uint64_t)shadow_ms, 8);
    if (key_bytes)
        memcpy(out, key ? key->bytes : stub->name.bytes, key_bytes);
    buffer->len += size;
    return true;
}
