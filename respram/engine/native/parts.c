/* Hot commands that read and write parts of a value. The twin of pure/parts.py.
 *
 * A value is opened into the draft, worked on there, and stored as a whole: what is sealed is sealed anew, and what
 * peers are told is the result. The draft is wiped at once.
 */
#include "hot.h"

#include <string.h>

bool is_sealed(const Engine *engine, const Record *record) {
    return engine->nodes.seals[record->node].key != 0;
}

bool draft_open(Engine *engine, const Record *record, size_t bytes) {
    size_t there = record ? record_value_bytes(record) : 0;
    if (bytes < there)
        bytes = there;
    if (bytes > DRAFT_BYTES_MAX || !buffer_reserve(&engine->draft, bytes))
        return false;
    engine->draft.len = there;
    if (there && !seal_open(engine, record, engine->draft.bytes)) {
        draft_wipe(engine);
        return false;
    }
    return true;
}

void draft_wipe(Engine *engine) {
    buffer_clear(&engine->draft, HOT_BYTES_MAX);
}

/* GETRANGE and SUBSTR. */
HANDLER(getrange) {
    int64_t start, end;
    if (command->argc != 4 || !span_int64(command_arg(command, 2), &start)
        || !span_int64(command_arg(command, 3), &end))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    int64_t len = record ? (int64_t)record_value_bytes(record) : 0;
    bool empty = !record || (start < 0 && end < 0 && start > end);
    start = start < 0 ? (start + len > 0 ? start + len : 0) : start;
    end = end < 0 ? (end + len > 0 ? end + len : 0) : end;
    end = end < len - 1 ? end : len - 1;
    size_t wanted = empty || start > end ? 0 : (size_t)(end - start + 1);
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + wanted) || (wanted && len > (int64_t)DRAFT_BYTES_MAX))
        return false;
    engine->moved += wanted ? (uint64_t)len : 0;
    if (wanted && is_sealed(engine, record)) {
        if (!draft_open(engine, record, 0))
            return false;
        reply_bulk(engine, (Span){engine->draft.bytes + start, wanted});
        draft_wipe(engine);
    } else {
        reply_bulk(engine, wanted ? (Span){record_value(record).bytes + start, wanted} : (Span){NULL, 0});
    }
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    return true;
}

SAME(substr, hot_getrange)

/* The draft becomes the value, under the old deadline and mark. */
static bool rewrite(Engine *engine, const Session *session, const Command *command, const Record *record,
    int64_t now_ms, uint8_t note) {
    Life life = life_of(engine, record, now_ms);
    uint64_t defaulted = record == NULL;
    Span value = {engine->draft.bytes, engine->draft.len};
    bool stored = keyspace_store(engine, session->db, command->hash, command_arg(command, 1), value, life.deadline_ms,
        life.implicit,
                                 now_ms, note);
    draft_wipe(engine);
    engine->defaulted += stored ? defaulted : 0;
    return stored;
}

HANDLER(append) {
    if (command->argc != 3 || engine_full(engine) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    Span key = command_arg(command, 1), piece = command_arg(command, 2);
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    size_t bytes = (record ? record_value_bytes(record) : 0) + piece.len;
    if (bytes > engine->settings.bulk_bytes_max || key.len > HOT_BYTES_MAX || !draft_open(engine, record, bytes))
        return false;
    engine->moved += engine->draft.len;
    buffer_append(&engine->draft, piece.bytes, piece.len);
    if (!rewrite(engine, session, command, record, now_ms, NOTE_APPEND))
        return false;
    reply_integer(engine, ':', (int64_t)bytes);
    return true;
}

/* Zeros behind the draft up to `bytes`, for which there is room. */
static void extend(Engine *engine, size_t bytes) {
    if (bytes > engine->draft.len) {
        memset(engine->draft.bytes + engine->draft.len, 0, bytes - engine->draft.len);
        engine->draft.len = bytes;
    }
}

HANDLER(setrange) {
    int64_t offset;
    if (command->argc != 4 || !span_int64(command_arg(command, 2), &offset) || offset < 0
        || offset > (int64_t)DRAFT_BYTES_MAX
        || engine_full(engine) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    Span key = command_arg(command, 1), piece = command_arg(command, 3);
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    size_t end = (size_t)offset + piece.len, there = record ? record_value_bytes(record) : 0;
    if (!piece.len) {
        reply_integer(engine, ':', (int64_t)there);
        return true;
    }
    if (end > engine->settings.bulk_bytes_max || key.len > HOT_BYTES_MAX || !draft_open(engine, record, end))
        return false;
    engine->moved += engine->draft.len;
    extend(engine, end);
    memcpy(engine->draft.bytes + offset, piece.bytes, piece.len);
    size_t bytes = engine->draft.len;
    if (!rewrite(engine, session, command, record, now_ms, NOTE_SETRANGE))
        return false;
    reply_integer(engine, ':', (int64_t)bytes);
    return true;
}

/* -- bits: bit 0 is the highest of byte 0 -------------------------------------------------------- */
static bool bit_offset(const Engine *engine, Span digits, int64_t *offset) {
    return span_int64(digits, offset) && *offset >= 0 && (uint64_t)(*offset >> 3) < engine->settings.bulk_bytes_max
        && *offset >> 3 < (int64_t)DRAFT_BYTES_MAX;
}

HANDLER(setbit) {
    int64_t offset;
    if (command->argc != 4 || !bit_offset(engine, command_arg(command, 2), &offset) || engine_full(engine)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    Span key = command_arg(command, 1), digit = command_arg(command, 3);
    if (digit.len != 1 || (digit.bytes[0] != '0' && digit.bytes[0] != '1') || key.len > HOT_BYTES_MAX)
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    size_t at = (size_t)(offset >> 3), there = record ? record_value_bytes(record) : 0;
    uint8_t mask = (uint8_t)(0x80 >> (offset & 7));
    if (!draft_open(engine, record, at + 1))
        return false;
    engine->moved += engine->draft.len;
    extend(engine, at + 1);
    bool old = engine->draft.bytes[at] & mask, wanted = digit.bytes[0] == '1';
    if (record && at < there && old == wanted) { /* nothing changes: no stamp, no event, as in Redis */
        draft_wipe(engine);
    } else {
        engine->draft.bytes[at] = wanted ? engine->draft.bytes[at] | mask : engine->draft.bytes[at] & (uint8_t)~mask;
        if (!rewrite(engine, session, command, record, now_ms, NOTE_SETBIT))
            return false;
    }
    reply_integer(engine, ':', old);
    return true;
}

HANDLER(getbit) {
    int64_t offset;
    if (command->argc != 3 || !bit_offset(engine, command_arg(command, 2), &offset)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    size_t at = (size_t)(offset >> 3);
    bool set = false;
    if (record && at < record_value_bytes(record)) {
        if (record_value_bytes(record) > DRAFT_BYTES_MAX)
            return false;
        engine->moved += record_value_bytes(record);
        if (is_sealed(engine, record)) {
            if (!draft_open(engine, record, 0))
                return false;
            set = engine->draft.bytes[at] & (0x80 >> (offset & 7));
            draft_wipe(engine);
        } else {
            set = record_value(record).bytes[at] & (0x80 >> (offset & 7));
        }
    }
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    reply_integer(engine, ':', set);
    return true;
}

static int64_t ones(const uint8_t *bytes, size_t len) {
    int64_t count = 0;
    size_t at = 0;
    for (; at + 8 <= len; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        count += __builtin_popcountll(word);
    }
    for (; at < len; at++)
        count += __builtin_popcount(bytes[at]);
    return count;
}

/* BITCOUNT key [start end [BYTE]]. */
HANDLER(bitcount) {
    int64_t start = 0, end = -1;
    if ((command->argc != 2 && command->argc != 4 && !(command->argc == 5 && IS(command_arg(command, 4), "byte")))
        || (command->argc > 2 && (!span_int64(command_arg(command, 2), &start)
        || !span_int64(command_arg(command, 3), &end)))
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    int64_t len = record ? (int64_t)record_value_bytes(record) : 0, count = 0;
    bool empty = !record || (start < 0 && end < 0 && start > end);
    start = start < 0 ? (start + len > 0 ? start + len : 0) : start;
    end = end < 0 ? (end + len > 0 ? end + len : 0) : end;
    end = end < len - 1 ? end : len - 1;
    if (!empty && start <= end) {
        if (len > (int64_t)DRAFT_BYTES_MAX)
            return false;
        engine->moved += (uint64_t)len;
        if (is_sealed(engine, record)) {
            if (!draft_open(engine, record, 0))
                return false;
            count = ones(engine->draft.bytes + start, (size_t)(end - start + 1));
            draft_wipe(engine);
        } else {
            count = ones(record_value(record).bytes + start, (size_t)(end - start + 1));
        }
    }
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    reply_integer(engine, ':', count);
    return true;
}

/* The first byte from `at` on that is not `skipped`; `end`: there is none. */
static size_t first_other(const uint8_t *bytes, size_t at, size_t end, uint8_t skipped) {
    uint64_t eight = skipped ? UINT64_MAX : 0, word;
    for (; at + 8 <= end; at += 8) {
        memcpy(&word, bytes + at, sizeof word);
        if (word != eight)
            break;
    }
    while (at < end && bytes[at] == skipped)
        at++;
    return at;
}

/* Where the first bit of that value stands among these bytes; -1: nowhere. */
static int64_t first_bit(const uint8_t *bytes, size_t start, size_t end, bool wanted) {
    size_t at = first_other(bytes, start, end, wanted ? 0 : 0xff);
    if (at == end)
        return -1;
    uint8_t byte = wanted ? bytes[at] : (uint8_t)~bytes[at];
    return (int64_t)at * 8 + __builtin_clz(byte) - 24;
}

/* BITPOS key bit [start [end [BYTE]]]. Zeros go on behind the value, unless an end was named. */
HANDLER(bitpos) {
    int64_t wanted, start = 0, end = -1;
    if (command->argc < 3 || command->argc > 6 || !span_int64(command_arg(command, 2), &wanted)
        || (wanted != 0 && wanted != 1)
        || (command->argc > 3 && !span_int64(command_arg(command, 3), &start))
        || (command->argc > 4 && !span_int64(command_arg(command, 4), &end))
        || (command->argc > 5 && !IS(command_arg(command, 5), "byte")) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    int64_t len = record ? (int64_t)record_value_bytes(record) : 0, found = record || wanted ? -1 : 0;
    start = start < 0 ? (start + len > 0 ? start + len : 0) : start;
    end = end < 0 ? (end + len > 0 ? end + len : 0) : end;
    end = end < len - 1 ? end : len - 1;
    if (record && start <= end) {
        if (len > (int64_t)DRAFT_BYTES_MAX)
            return false;
        engine->moved += (uint64_t)len;
        if (is_sealed(engine, record)) {
            if (!draft_open(engine, record, 0))
                return false;
            found = first_bit(engine->draft.bytes, (size_t)start, (size_t)end + 1, wanted);
            draft_wipe(engine);
        } else {
            found = first_bit(record_value(record).bytes, (size_t)start, (size_t)end + 1, wanted);
        }
        if (found < 0 && !wanted && command->argc < 5)
            found = len * 8;
    }
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    reply_integer(engine, ':', found);
    return true;
}

/* COPY source target [REPLACE]: the copy lives exactly as long as its source, and carries its mark. */
HANDLER(copy) {
    if ((command->argc != 3 && !(command->argc == 4 && IS(command_arg(command, 3), "replace"))) || engine_full(engine)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    Span source = command_arg(command, 1), target = command_arg(command, 2);
    if (target.len > HOT_BYTES_MAX
        || (source.len == target.len && (!source.len || !memcmp(source.bytes, target.bytes, source.len))))
        return false;
    const Record *record = keyspace_row(engine, session->db, keyspace_hash(engine, source), source, now_ms);
    uint64_t hash = keyspace_hash(engine, target);
    bool there = record != NULL, stored = false;
    if (there && record_value_bytes(record) > DRAFT_BYTES_MAX)
        return false;
    if (there && (command->argc == 4 || !keyspace_row(engine, session->db, hash, target, now_ms))) {
        Life life = life_of(engine, record, now_ms);
        if (!draft_open(engine, record, 0))
            return false;
        engine->moved += engine->draft.len;
        stored = keyspace_store(engine, session->db, hash, target, (Span){engine->draft.bytes, engine->draft.len},
            life.deadline_ms,
                                life.implicit, now_ms, NOTE_COPY_TO);
        draft_wipe(engine);
        if (!stored)
            return false;
    }
    engine->hits += there;
    engine->misses += !there;
    reply_integer(engine, ':', stored);
    return true;
}
