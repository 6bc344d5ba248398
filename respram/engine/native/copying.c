/* A whole collection under another key: COPY, and RENAME. The twin of pure/copying.py.
 *
 * Members go from record to record, as they lie: a value's seal tells where it was made, whatever its key and stamp. So
 * nothing is opened, and nothing has to be kept in between. The source stays where it is while the target is written.
 */
#include "hot.h"

#define COPIED_AT_ONCE 2048 /* members in a fast path: 0.2 ms; with more, `dispatch` asks what it may take */
#define COPIED_AHEAD 8      /* members whose memory is fetched ahead */

static Record *member_ahead(const Family *family, uint64_t place) {
    if (place + COPIED_AHEAD < family->count)
        __builtin_prefetch(family_member(family, place + COPIED_AHEAD));
    return family_member(family, place);
}

/* What a copy counts for: all that is looked at and stored. `most`: the longest name. */
uint64_t family_copy_bytes(const Engine *engine, const Record *head, size_t *most) {
    const Family *family = family_of(engine, head);
    uint64_t bytes = 0;
    *most = 0;
    for (uint64_t place = family->dying; place < family->count; place++) {
        const Record *member = member_ahead(family, place);
        bytes += LOOK_BYTES + STORED_BYTES + record_value_bytes(member);
        if (record_key_bytes(member) > *most)
            *most = record_key_bytes(member);
    }
    return bytes;
}

/* A deadline of its own stays; one of its collection's becomes the copy's. */
static bool copy_member(Engine *engine, const Record *member, int db, uint64_t hash, Span target, int64_t now_ms) {
    Record *head = family_head(engine, db, hash, target, now_ms);
    int space = record_kind(head) * DATABASES + db;
    bool implicit = member->flags & RECORD_IMPLICIT;
    int64_t deadline_ms = implicit ? record_deadline_ms(head) : record_deadline_ms(member);
    if (deadline_ms <= now_ms)
        return true;
    if (deadline_ms > record_end_ms(head) && !keyspace_cover(engine, head, deadline_ms, now_ms))
        return false;
    if (!member_key(&engine->name, target, record_key(member)))
        return false;
    Span whole = {engine->name.bytes, engine->name.len};
    Content content = {.bytes = record_value(member), .position = record_position(member),
                       .seal = engine->nodes.seals[member->node]};
    return keyspace_put(engine, space, keyspace_hash(engine, whole), whole, &content, deadline_ms, implicit, now_ms,
                        NOTE_NONE);
}

/* What was under the target is let go of: its members would show otherwise. False: no memory, and the target may have
 * lost what it had. */
bool family_copy(Engine *engine, const Record *head, int db, uint64_t hash, Span target, int64_t now_ms) {
    const Family *family = family_of(engine, head);
    bool found;
    if (!keyspace_let_go(engine, db, hash, target, now_ms, &found)
        || !family_found(engine, db, hash, target, (uint8_t)record_kind(head), record_deadline_ms(head),
                         head->flags & RECORD_IMPLICIT, now_ms))
        return false;
    for (uint64_t place = family->dying; place < family->count; place++)
        if (!copy_member(engine, member_ahead(family, place), db, hash, target, now_ms))
            return false;
    return true;
}

/* COPY of a collection within its database. There is room for the reply. False: it is for `dispatch`, and nothing has
 * changed. */
bool copy_collection(Engine *engine, const Session *session, const Record *head, Span target, bool replaces,
                     int64_t now_ms) {
    const Family *family = family_of(engine, head);
    size_t most;
    if (family->count - family->dying > COPIED_AT_ONCE)
        return false;
    uint64_t bytes = family_copy_bytes(engine, head, &most), hash = keyspace_hash(engine, target);
    if (bytes - (family->count - family->dying) * (LOOK_BYTES + STORED_BYTES) > HOT_BYTES_MAX
        || NAME_LENGTH_BYTES + target.len + most > engine->settings.bulk_bytes_max)
        return false;
    bool copies = replaces || !keyspace_row(engine, session->db, hash, target, now_ms);
    engine->hits++;
    if (copies) {
        engine->moved += bytes;
        if (!family_copy(engine, head, session->db, hash, target, now_ms)) {
            reply_no_memory(engine);
            return true;
        }
        engine_note(engine, NOTE_COPY_TO, session->db, target);
    }
    reply_integer(engine, ':', copies);
    return true;
}
