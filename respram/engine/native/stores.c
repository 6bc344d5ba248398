/* A whole collection as the result of a hot command: SINTERSTORE, ZUNIONSTORE, ZRANGESTORE and their kin. The twin of
 * pure/stores.py.
 *
 * It is a write over whatever is under the key, with the default TTL. A result of nothing would remove the key: that is
 * for `dispatch`, which knows who may. Members are copied first, because the target may be one of the sources.
 */
#include "hot.h"

#include <string.h>

static const char NO_MEMORY[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/* Of a command that is not tried again by `dispatch`: what it has changed already stays. */
void reply_no_memory(Engine *engine) {
    reply_text(engine, NO_MEMORY, sizeof NO_MEMORY - 1);
}

/* One more member. False: its name is too long for the target, or there is no memory. */
bool drafted_add(const Engine *engine, Drafted *drafted, Span name, double score) {
    uint32_t len = (uint32_t)name.len;
    drafted->bytes += REPLY_HEAD_BYTES + name.len;
    drafted->count++;
    score += 0.0; /* removes -0: see commands/scores.py */
    return drafted->bytes + drafted->target.len <= HOT_BYTES_MAX
        && NAME_LENGTH_BYTES + drafted->target.len + name.len <= engine->settings.bulk_bytes_max
        && buffer_append(&drafted->members, &score, sizeof score) && buffer_append(&drafted->members, &len, sizeof len)
        && (!name.len || buffer_append(&drafted->members, name.bytes, name.len));
}

/* False: no memory, and the key may have lost what it had. */
static bool put_all(Engine *engine, int db, uint64_t hash, const Drafted *drafted, int64_t now_ms) {
    bool is_new;
    Span key = drafted->target;
    if (!family_found(engine, db, hash, key, drafted->kind, now_ms + engine->settings.default_ttl_ms, true, now_ms))
        return false;
    engine->defaulted++;
    engine->moved += drafted->count * STORED_BYTES;
    for (size_t at = 0; at < drafted->members.len;) {
        uint32_t len;
        const uint8_t *bytes = drafted->members.bytes + at;
        Span value = {bytes, drafted->kind == ZSET ? sizeof(double) : 0};
        memcpy(&len, bytes + sizeof(double), sizeof len);
        Span name = {bytes + sizeof(double) + sizeof len, len};
        if (!family_put(engine, family_head(engine, db, hash, key, now_ms), name, value, 0, now_ms, &is_new))
            return false;
        at += sizeof(double) + sizeof len + len;
    }
    return true;
}

/* Stores and answers. There is room for the reply (DRAFTED_REPLY_BYTES). False: it is for `dispatch`, and nothing has
 * changed. */
bool drafted_store(Engine *engine, const Session *session, const Drafted *drafted, uint8_t note, int64_t now_ms) {
    bool found;
    Span key = drafted->target;
    uint64_t hash = keyspace_hash(engine, key);
    if (drafted->count ? !keyspace_let_go(engine, session->db, hash, key, now_ms, &found)
                       : keyspace_row(engine, session->db, hash, key, now_ms) != NULL)
        return false;
    if (drafted->count && !put_all(engine, session->db, hash, drafted, now_ms)) {
        reply_no_memory(engine); /* the sources may be others by now: no second try */
    } else {
        if (drafted->count)
            engine_note(engine, note, session->db, key);
        reply_integer(engine, ':', (int64_t)drafted->count);
    }
    return true;
}

void drafted_clear(Drafted *drafted) {
    buffer_clear(&drafted->members, 0);
}
