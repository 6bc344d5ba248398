/* Hot commands of hashes and sets. The twin of pure/fields.py.
 *
 * A member is a record of its own, under the key of its collection and its name; the head says that the collection is
 * there. Where there is none, HSET, HINCRBY and SADD begin one. Names are looked up one by one: their keys are made in
 * one buffer of the engine.
 */
#include "hot.h"

#define DIGITS_BYTES 20
#define FIELDS_AHEAD 16 /* of HMGET, whose memory is fetched together */
#define MEMBERS_AHEAD 4 /* a walk prefetches the record this many places further */

static void count(Engine *engine, const Record *head) {
    engine->hits += head != NULL;
    engine->misses += head == NULL;
}

/* A collection where there is no key; its first member has to follow. NULL: no memory. */
Record *collection_begun(Engine *engine, const Session *session, const Command *command, uint8_t kind,
    int64_t now_ms) {
    Span key = command_arg(command, 1);
    if (!family_found(engine, session->db, command->hash, key, kind, now_ms + engine->settings.default_ttl_ms, true,
        now_ms))
        return NULL;
    engine->defaulted++;
    return family_head(engine, session->db, command->hash, key, now_ms);
}

/* Whether names from `first` on, each with a value where `pairs`, are what a command may bring. Which of them is too
 * long `dispatch` says. */
bool members_are_short(const Engine *engine, const Command *command, size_t first, bool pairs) {
    size_t key_bytes = NAME_LENGTH_BYTES + command_arg(command, 1).len, all = 0;
    for (size_t number = first; number < command->argc; number += 1 + pairs) {
        size_t bytes = command_arg(command, number).len + (pairs ? command_arg(command, number + 1).len : 0);
        all += bytes;
        if (key_bytes + bytes > engine->settings.bulk_bytes_max)
            return false;
    }
    return key_bytes + all <= HOT_BYTES_MAX;
}

/* -- writing --------------------------------------------------------------------------------------- */
/* HSET and HMSET. */
static bool set_fields(Engine *engine, Session *session, const Command *command, bool counts, int64_t now_ms) {
    Record *head;
    if (command->argc < 4 || command->argc % 2 || command->argc > HOT_ARGS_MAX || engine_full(engine)
        || !members_are_short(engine, command, 2, true)
        || !collection_at(engine, session, command, HASH, now_ms, &head) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *before = head;
    if (!head && !(head = collection_begun(engine, session, command, HASH, now_ms)))
        return false;
    int64_t added = 0;
    for (size_t number = 2; number < command->argc; number += 2) {
        bool is_new;
        if (!family_put(engine, head, command_arg(command, number), command_arg(command, number + 1), 0, now_ms,
            &is_new))
            return false; /* the fields written so far stay, and `dispatch` replies that memory is full */
        added += is_new;
    }
    count(engine, before);
    engine_note(engine, NOTE_PUT + HASH - HASH, session->db, command_arg(command, 1));
    if (counts)
        reply_integer(engine, ':', added);
    else
        reply_text(engine, "+OK\r\n", 5);
    return true;
}

HANDLER(hset) {
    return set_fields(engine, session, command, true, now_ms);
}

HANDLER(hmset) {
    return set_fields(engine, session, command, false, now_ms);
}

HANDLER(hsetnx) {
    Record *head;
    if (command->argc != 4 || engine_full(engine) || !members_are_short(engine, command, 2, true)
        || !collection_at(engine, session, command, HASH, now_ms, &head) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    Span name = command_arg(command, 2);
    const Record *before = head;
    bool is_new = !head || !family_find(engine, head, name, now_ms);
    if (is_new) {
        if (!head && !(head = collection_begun(engine, session, command, HASH, now_ms)))
            return false;
        if (!family_put(engine, head, name, command_arg(command, 3), 0, now_ms, &is_new))
            return false;
        engine_note(engine, NOTE_PUT + HASH - HASH, session->db, command_arg(command, 1));
    }
    count(engine, before);
    reply_integer(engine, ':', is_new);
    return true;
}

HANDLER(hincrby) {
    Record *head;
    int64_t step, number;
    if (command->argc != 4 || !span_int64(command_arg(command, 3), &step) || engine_full(engine)
        || NAME_LENGTH_BYTES + command_arg(command, 1).len + command_arg(command, 2).len + DIGITS_BYTES > HOT_BYTES_MAX
        || !collection_at(engine, session, command, HASH, now_ms, &head) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    Span name = command_arg(command, 2);
    const Record *before = head, *member = head ? family_find(engine, head, name, now_ms) : NULL;
    if (!integer_of(engine, member, &number) || __builtin_add_overflow(number, step, &number)
        || NAME_LENGTH_BYTES + command_arg(command, 1).len + name.len + DIGITS_BYTES > engine->settings.bulk_bytes_max)
        return false;
    int64_t own_ms = member && !(member->flags & RECORD_IMPLICIT) ? record_deadline_ms(member) : 0;
    if (!head && !(head = collection_begun(engine, session, command, HASH, now_ms)))
        return false;
    uint8_t digits[DIGITS_BYTES];
    bool is_new, stored = family_put(engine, head, name, (Span){digits, digits_of(number, digits)}, own_ms, now_ms,
        &is_new);
    wipe(digits, sizeof digits);
    if (!stored)
        return false;
    count(engine, before);
    engine_note(engine, NOTE_HINCRBY, session->db, command_arg(command, 1));
    reply_integer(engine, ':', number);
    return true;
}

/* A member without a value, if it is not there yet. False: no memory. */
static bool add(Engine *engine, const Record *head, Span name, int64_t now_ms, bool *is_new) {
    int space = record_kind(head) * DATABASES + head->db;
    Family *family = family_of(engine, head);
    uint64_t hash = member_hash(engine, record_key(head), name);
    *is_new = family_seen(engine, family, hash, name, now_ms) == NULL;
    if (!*is_new)
        return true;
    if (!member_key(&engine->name, record_key(head), name))
        return false;
    engine->recent = family;
    Span member = {engine->name.bytes, engine->name.len};
    return keyspace_store(engine, space, hash, member, (Span){0}, record_deadline_ms(head), true, now_ms, NOTE_NONE);
}

HANDLER(sadd) {
    Record *head;
    if (command->argc < 3 || command->argc > HOT_ARGS_MAX || engine_full(engine)
        || !members_are_short(engine, command, 2, false)
        || !collection_at(engine, session, command, SET, now_ms, &head) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *before = head;
    if (!head && !(head = collection_begun(engine, session, command, SET, now_ms)))
        return false;
    int64_t added = 0;
    for (size_t number = 2; number < command->argc; number++) {
        bool is_new;
        if (!add(engine, head, command_arg(command, number), now_ms, &is_new))
            return false;
        added += is_new;
    }
    count(engine, before);
    if (added)
        engine_note(engine, NOTE_PUT + SET - HASH, session->db, command_arg(command, 1));
    reply_integer(engine, ':', added);
    return true;
}

/* HDEL, SREM and ZREM, for a user with the right by name. With the last member the key is removed. */
bool let_go_members(Engine *engine, Session *session, const Command *command, uint8_t kind, int64_t now_ms) {
    Record *head;
    if (command->argc < 3 || command->argc > HOT_ARGS_MAX
        || !collection_at(engine, session, command, kind, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    int64_t gone = 0;
    for (size_t number = 2; head && number < command->argc; number++) {
        bool found = false;
        if (!family_let_go(engine, head, command_arg(command, number), now_ms, &found))
            return false; /* the removals so far stay, and `dispatch` replies that memory is full */
        gone += found;
    }
    count(engine, head);
    Span key = command_arg(command, 1);
    if (gone) {
        engine_note(engine, (uint8_t)(NOTE_LET_GO + kind - HASH), session->db, key);
        if (!keyspace_row(engine, session->db, command->hash, key, now_ms))
            engine_note(engine, NOTE_DEL, session->db, key);
    }
    reply_integer(engine, ':', gone);
    return true;
}

HANDLER(hdel) {
    return let_go_members(engine, session, command, HASH, now_ms);
}

HANDLER(srem) {
    return let_go_members(engine, session, command, SET, now_ms);
}

/* -- reading --------------------------------------------------------------------------------------- */
HANDLER(hget) {
    Record *head;
    if (command->argc != 3 || !collection_at(engine, session, command, HASH, now_ms, &head))
        return false;
    const Record *member = head ? family_find(engine, head, command_arg(command, 2), now_ms) : NULL;
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + (member ? record_value_bytes(member) : 0)))
        return false;
    count(engine, head);
    if (member)
        reply_value(engine, member);
    else
        reply_nil(engine, session->proto);
    return true;
}

/* Hashes the next fields of HMGET, and has their lines and records fetched together. */
static void fetch_ahead(Engine *engine, const Record *head, const Command *command, size_t from, uint64_t *hashes) {
    const Table *table = &engine->tables[HASH * DATABASES + head->db];
    size_t count = command->argc - from < FIELDS_AHEAD ? command->argc - from : FIELDS_AHEAD;
    for (size_t number = 0; number < count; number++) {
        hashes[number] = member_hash(engine, record_key(head), command_arg(command, from + number));
        table_prefetch_line(table, hashes[number]);
    }
    if (count > 1)
        for (size_t number = 0; number < count; number++)
            table_prefetch_record(table, hashes[number]);
}

HANDLER(hmget) {
    Record *head;
    if (command->argc < 3 || command->argc > HOT_ARGS_MAX
        || !collection_at(engine, session, command, HASH, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES * command->argc))
        return false;
    size_t reply_start = engine->reply.len, value_bytes = 0, left = command->argc - 2;
    uint64_t moved = engine->moved, hashes[FIELDS_AHEAD];
    reply_integer(engine, '*', (int64_t)left);
    for (size_t number = 2; number < command->argc; number++, left--) {
        size_t place = (number - 2) % FIELDS_AHEAD;
        if (head && !place)
            fetch_ahead(engine, head, command, number, hashes);
        const Record *member = head
            ? family_seen(engine, family_of(engine, head), hashes[place], command_arg(command, number), now_ms) : NULL;
        if (!member) {
            reply_nil(engine, session->proto);
            continue;
        }
        value_bytes += record_value_bytes(member);
        if (value_bytes > HOT_REPLY_BYTES_MAX
            || !reply_reserve(engine, REPLY_HEAD_BYTES * left + record_value_bytes(member)))
            return reply_take_back(engine, reply_start, moved);
        reply_value(engine, member);
    }
    count(engine, head);
    return true;
}

enum { NAMES = 1, VALUES = 2 };

/* HGETALL and its relatives: the parts of each member, in insertion order unless one was removed. `mark` is RESP3's. */
static bool tell_members(Engine *engine, Session *session, const Command *command, uint8_t kind, unsigned parts,
                         char mark, int64_t now_ms) {
    Record *head;
    if (command->argc != 2 || !collection_at(engine, session, command, kind, now_ms, &head))
        return false;
    const Family *family = head ? family_of(engine, head) : NULL;
    uint64_t from = family ? family->dying : 0, end = family ? family->count : 0;
    size_t bytes = REPLY_HEAD_BYTES, of_each = parts == (NAMES | VALUES) ? 2 : 1;
    if (end - from > HOT_REPLY_BYTES_MAX / (2 * REPLY_HEAD_BYTES)
        || (session->retried && end - from > RETRIED_MEMBERS_MAX))
        return false;
    for (uint64_t place = from; place < end && bytes <= HOT_REPLY_BYTES_MAX; place++) {
        if (place + MEMBERS_AHEAD < end)
            __builtin_prefetch(family_member(family, place + MEMBERS_AHEAD));
        const Record *member = family_member(family, place);
        bytes += 2 * REPLY_HEAD_BYTES + record_key_bytes(member) + record_value_bytes(member);
    }
    if (bytes > HOT_REPLY_BYTES_MAX || !reply_reserve(engine, bytes))
        return false;
    engine->moved += bytes; /* the frames of a walk's replies count too */
    count(engine, head);
    uint64_t told = (end - from) * (session->proto == 3 && mark == '%' ? 1 : of_each);
    reply_integer(engine, session->proto == 3 ? mark : '*', (int64_t)told);
    for (uint64_t place = from; place < end; place++) {
        const Record *member = family_member(family, place);
        if (parts & NAMES)
            reply_bulk(engine, record_key(member));
        if (parts & VALUES)
            reply_value(engine, member);
    }
    return true;
}

HANDLER(hgetall) {
    return tell_members(engine, session, command, HASH, NAMES | VALUES, '%', now_ms);
}

HANDLER(hkeys) {
    return tell_members(engine, session, command, HASH, NAMES, '*', now_ms);
}

HANDLER(hvals) {
    return tell_members(engine, session, command, HASH, VALUES, '*', now_ms);
}

HANDLER(smembers) {
    return tell_members(engine, session, command, SET, NAMES, '~', now_ms);
}

HANDLER(hstrlen) {
    Record *head;
    if (command->argc != 3 || !collection_at(engine, session, command, HASH, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *member = head ? family_find(engine, head, command_arg(command, 2), now_ms) : NULL;
    count(engine, head);
    reply_integer(engine, ':', member ? (int64_t)record_value_bytes(member) : 0);
    return true;
}

HANDLER(smismember) {
    Record *head;
    if (command->argc < 3 || command->argc > HOT_ARGS_MAX
        || !collection_at(engine, session, command, SET, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES * command->argc))
        return false;
    count(engine, head);
    reply_integer(engine, '*', (int64_t)command->argc - 2);
    for (size_t number = 2; number < command->argc; number++)
        reply_integer(engine, ':', head && family_find(engine, head, command_arg(command, number), now_ms));
    return true;
}

/* HEXISTS and SISMEMBER. */
static bool has(Engine *engine, Session *session, const Command *command, uint8_t kind, int64_t now_ms) {
    Record *head;
    if (command->argc != 3 || !collection_at(engine, session, command, kind, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    bool found = head && family_find(engine, head, command_arg(command, 2), now_ms);
    count(engine, head);
    reply_integer(engine, ':', found);
    return true;
}

HANDLER(hexists) {
    return has(engine, session, command, HASH, now_ms);
}

HANDLER(sismember) {
    return has(engine, session, command, SET, now_ms);
}

/* HLEN and SCARD. */
static bool length(Engine *engine, Session *session, const Command *command, uint8_t kind, int64_t now_ms) {
    Record *head;
    if (command->argc != 2 || !collection_at(engine, session, command, kind, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Family *family = head ? family_of(engine, head) : NULL;
    count(engine, head);
    reply_integer(engine, ':', family ? (int64_t)(family->count - family->dying) : 0);
    return true;
}

HANDLER(hlen) {
    return length(engine, session, command, HASH, now_ms);
}

HANDLER(scard) {
    return length(engine, session, command, SET, now_ms);
}
