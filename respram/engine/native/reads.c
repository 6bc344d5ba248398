/* Hot commands that read whole values, or what is known of a key. The twin of pure/reads.py. */
#include "hot.h"

#include <string.h>

HANDLER(get) {
    if (command->argc != 2)
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + (record ? record_value_bytes(record) : 0)))
        return false;
    if (record) {
        engine->hits++;
        reply_value(engine, record);
    } else {
        engine->misses++;
        reply_nil(engine, session->proto);
    }
    return true;
}

/* Finds some keys together, so that their cache misses overlap. */
static size_t find_some(Engine *engine, Session *session, const Command *command, size_t from,
                        int64_t now_ms, const Record **records) {
    uint64_t hashes[KEYS_AT_ONCE];
    size_t count = command->argc - from < KEYS_AT_ONCE ? command->argc - from : KEYS_AT_ONCE;
    const Table *table = &engine->tables[session->db];
    for (size_t number = 0; number < count; number++) {
        hashes[number] = keyspace_hash(engine, command_arg(command, from + number));
        table_prefetch_line(table, hashes[number]);
    }
    for (size_t number = 0; number < count; number++)
        table_prefetch_record(table, hashes[number]);
    for (size_t number = 0; number < count; number++)
        records[number] = keyspace_row(engine, session->db, hashes[number], command_arg(command, from + number),
        now_ms);
    return count;
}

static void prefetch_value(const Record *record) {
    const char *at = (const char *)record, *end = at + record_bytes(record);
    for (int line = 2; line < 18 && at + 64 * line < end; line++)
        __builtin_prefetch(at + 64 * line); /* 1 KiB: the processor's own prefetcher fetches the rest */
}

HANDLER(mget) {
    if (command->argc < 2 || command->argc > HOT_ARGS_MAX)
        return false;
    size_t reply_start = engine->reply.len;
    uint64_t hits = engine->hits, misses = engine->misses, moved = engine->moved;
    size_t value_bytes = 0;
    if (!reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    reply_integer(engine, '*', (int64_t)command->argc - 1);
    for (size_t from = 1, count; from < command->argc; from += count) {
        const Record *records[KEYS_AT_ONCE];
        count = find_some(engine, session, command, from, now_ms, records);
        size_t room = 0;
        for (size_t number = 0; number < count; number++) {
            room += REPLY_HEAD_BYTES;
            if (records[number]) {
                room += record_value_bytes(records[number]);
                value_bytes += record_value_bytes(records[number]);
                prefetch_value(records[number]);
            }
        }
        if (value_bytes > HOT_REPLY_BYTES_MAX || !reply_reserve(engine, room)) {
            engine->hits = hits;
            engine->misses = misses;
            return reply_take_back(engine, reply_start, moved);
        }
        for (size_t number = 0; number < count; number++) {
            if (records[number]) {
                engine->hits++;
                reply_value(engine, records[number]);
            } else {
                engine->misses++;
                reply_nil(engine, session->proto);
            }
        }
    }
    return true;
}

HANDLER(exists) {
    if (command->argc < 2 || command->argc > HOT_ARGS_MAX || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    uint64_t there = 0;
    for (size_t from = 1, count; from < command->argc; from += count) {
        const Record *records[KEYS_AT_ONCE];
        count = find_some(engine, session, command, from, now_ms, records);
        for (size_t number = 0; number < count; number++)
            there += records[number] != NULL;
    }
    engine->hits += there;
    engine->misses += command->argc - 1 - there;
    reply_integer(engine, ':', (int64_t)there);
    return true;
}

/* TTL and its relatives, and STRLEN: a number about one key. */
static bool measure(Engine *engine, Session *session, const Command *command, int64_t now_ms) {
    if (command->argc != 2 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = seen(engine, session, command->hash, command_arg(command, 1), now_ms);
    if (command->hot == HOT_strlen)
        reply_integer(engine, ':', record ? (int64_t)record_value_bytes(record) : 0);
    else if (!record)
        reply_integer(engine, ':', -2);
    else if (command->hot == HOT_pttl)
        reply_integer(engine, ':', record_deadline_ms(record) - now_ms);
    else if (command->hot == HOT_ttl)
        reply_integer(engine, ':', (record_deadline_ms(record) - now_ms + 500) / 1000);
    else if (command->hot == HOT_pexpiretime)
        reply_integer(engine, ':', record_deadline_ms(record));
    else
        reply_integer(engine, ':', (record_deadline_ms(record) + 500) / 1000);
    return true;
}

HANDLER(ping) {
    if (command->argc > 2 || (command->hot == HOT_echo && command->argc != 2))
        return false;
    Span text = command->argc == 2 ? command_arg(command, 1) : (Span){NULL, 0};
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + text.len))
        return false;
    if (command->argc == 1)
        reply_text(engine, "+PONG\r\n", 7);
    else
        reply_bulk(engine, text);
    return true;
}

HANDLER(type) {
    if (command->argc != 2 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    static const char *const NAMES[] = {"+string\r\n", "+hash\r\n", "+set\r\n", "+zset\r\n"};
    const Record *record = seen(engine, session, command->hash, command_arg(command, 1), now_ms);
    const char *name = record ? NAMES[record_kind(record)] : "+none\r\n";
    reply_text(engine, name, strlen(name));
    return true;
}

HANDLER(dbsize) {
    if (command->argc != 1 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    reply_integer(engine, ':', (int64_t)walk_count(engine, session->db, now_ms));
    return true;
}

HANDLER(select) {
    int64_t db;
    if (command->argc != 2 || !span_int64(command_arg(command, 1), &db) || db < 0 || db >= DATABASES
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    session->db = (int)db;
    reply_text(engine, "+OK\r\n", 5);
    return true;
}

SAME(ttl, measure)
SAME(pttl, measure)
SAME(expiretime, measure)
SAME(pexpiretime, measure)
SAME(strlen, measure)
SAME(touch, hot_exists)
SAME(echo, hot_ping)
