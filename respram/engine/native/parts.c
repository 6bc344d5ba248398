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
bool draft_stored(Engine *engine, const Session *session, const Command *command, const Record *record,
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
    if (!draft_stored(engine, session, command, record, now_ms, NOTE_APPEND))
        return false;
    reply_integer(engine, ':', (int64_t)bytes);
    return true;
}

/* Zeros behind the draft up to `bytes`, for which there is room. */
void draft_extend(Engine *engine, size_t bytes) {
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
    draft_extend(engine, end);
    memcpy(engine->draft.bytes + offset, piece.bytes, piece.len);
    size_t bytes = engine->draft.len;
    if (!draft_stored(engine, session, command, record, now_ms, NOTE_SETRANGE))
        return false;
    reply_integer(engine, ':', (int64_t)bytes);
    return true;
}

/* [REPLACE] [DB n] in any order. False: it says something else. */
static bool copy_words(const Command *command, int *db, bool *replaces) {
    for (size_t at = 3; at < command->argc; at++) {
        int64_t number;
        if (IS(command_arg(command, at), "replace"))
            *replaces = true;
        else if (IS(command_arg(command, at), "db") && ++at < command->argc
                 && span_int64(command_arg(command, at), &number) && number >= 0 && number < DATABASES)
            *db = (int)number;
        else
            return false;
    }
    return true;
}

/* COPY source target [REPLACE] [DB n]: the copy lives exactly as long as its source, and carries its mark. */
HANDLER(copy) {
    bool replaces = false, stored = false;
    int db = session->db;
    if (command->argc < 3 || !copy_words(command, &db, &replaces) || engine_full(engine)
        || !reply_reserve(engine, DRAFTED_REPLY_BYTES))
        return false;
    Span source = command_arg(command, 1), target = command_arg(command, 2);
    if (db != session->db && session->decides)
        return false; /* `dispatch` says to the node that asked that more was written than the keys it named */
    if (target.len > HOT_BYTES_MAX
        || (db == session->db && source.len == target.len
            && (!source.len || !memcmp(source.bytes, target.bytes, source.len))))
        return false;
    const Record *record = keyspace_row(engine, session->db, keyspace_hash(engine, source), source, now_ms);
    uint64_t hash = keyspace_hash(engine, target);
    if (record && record_kind(record))
        return db == session->db && copy_collection(engine, session, record, target, replaces, now_ms);
    const Record *old = table_find(&engine->tables[db], hash, target);
    if ((record && record_value_bytes(record) > DRAFT_BYTES_MAX) || (old && record_kind(old)))
        return false; /* a collection that a string replaces is for `dispatch` */
    bool there = record != NULL;
    if (there && (replaces || !keyspace_row(engine, db, hash, target, now_ms))) {
        Life life = life_of(engine, record, now_ms);
        if (!draft_open(engine, record, 0))
            return false;
        engine->moved += engine->draft.len;
        stored = keyspace_store(engine, db, hash, target, (Span){engine->draft.bytes, engine->draft.len},
                                life.deadline_ms, life.implicit, now_ms, NOTE_COPY_TO);
        draft_wipe(engine);
        if (!stored)
            return false;
    }
    engine->hits += there;
    engine->misses += !there;
    reply_integer(engine, ':', stored);
    return true;
}
