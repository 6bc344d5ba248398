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
    const char *at = (const char *)record, *end = at + RECORD_HEADER_BYTES + record->key_bytes + record->value_bytes;
    for (int line = 2; line < 18 && at + 64 * line < end; line++)
        __builtin_prefetch(at + 64 * line); /* 1 KiB; the processor's own prefetcher has noticed by then */
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
            seal_unnote(engine, reply_start);
            buffer_cut(&engine->reply, reply_start);
            engine->hits = hits;
            engine->misses = misses;
            engine->moved = moved;
            return false;
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

/* -- SCAN ------------------------------------------------------------------------------------------ */
#define SCAN_COUNT 10
#define SCAN_COUNT_MAX 1024        /* a walk of more keys is for `dispatch` */
#define SCAN_PATTERN_BYTES_MAX 256 /* a longer pattern, too */
#define SCAN_STEPS_MAX 65536       /* of comparing keys with it: about 0.1 ms */
#define SCAN_LOOK_BYTES 128        /* that a key counts for which is walked by */

typedef struct Scanning {
    const Glob *glob; /* NULL: all match */
    Buffer keys;      /* as they are told */
    uint64_t count;
    size_t steps;
} Scanning;

static int tell_key(void *context, const Record *record) {
    Scanning *scanning = context;
    Span key = record_key(record);
    if (scanning->glob) {
        scanning->steps += glob_steps(scanning->glob, key.len);
        if (scanning->steps > SCAN_STEPS_MAX)
            return -1;
        if (!glob_match(scanning->glob, key))
            return 0;
    }
    uint8_t digits[20];
    size_t len = digits_of((int64_t)key.len, digits);
    if (scanning->keys.len + key.len > HOT_REPLY_BYTES_MAX
        || !buffer_reserve(&scanning->keys, REPLY_HEAD_BYTES + key.len))
        return -1;
    Buffer *out = &scanning->keys;
    out->bytes[out->len++] = '$';
    memcpy(out->bytes + out->len, digits, len);
    memcpy(out->bytes + out->len + len, "\r\n", 2);
    out->len += len + 2;
    if (key.len)
        memcpy(out->bytes + out->len, key.bytes, key.len);
    memcpy(out->bytes + out->len + key.len, "\r\n", 2);
    out->len += key.len + 2;
    scanning->count++;
    return 0;
}

/* With MATCH and COUNT alone. What it looks at may be more than COUNT says, by a line of the table. */
HANDLER(scan) {
    int64_t start, count = SCAN_COUNT;
    Span pattern = {(const uint8_t *)"*", 1};
    if (command->argc < 2 || command->argc > 6 || command->argc % 2 || !span_int64(command_arg(command, 1), &start)
        || start < 0)
        return false;
    for (size_t number = 2; number < command->argc; number += 2) {
        Span word = command_arg(command, number), argument = command_arg(command, number + 1);
        if (IS(word, "match"))
            pattern = argument;
        else if (!IS(word, "count") || !span_int64(argument, &count) || count < 1 || count > SCAN_COUNT_MAX)
            return false;
    }
    Scanning scanning = {0};
    Glob *glob = NULL;
    if (pattern.len != 1 || pattern.bytes[0] != '*') {
        if (pattern.len > SCAN_PATTERN_BYTES_MAX || !(glob = glob_compile(pattern)))
            return false;
        scanning.glob = glob;
    }
    uint64_t cursor = (uint64_t)start;
    bool told = walk_scan(engine, session->db, &cursor, (uint64_t)count, now_ms, tell_key, &scanning) == 0
        && cursor <= INT64_MAX && reply_reserve(engine, 3 * REPLY_HEAD_BYTES + scanning.keys.len);
    if (told) {
        uint8_t digits[20];
        engine->moved += (uint64_t)count * SCAN_LOOK_BYTES + scanning.keys.len;
        reply_text(engine, "*2\r\n", 4);
        reply_bulk(engine, (Span){digits, digits_of((int64_t)cursor, digits)});
        reply_integer(engine, '*', (int64_t)scanning.count);
        reply_text(engine, (const char *)scanning.keys.bytes, scanning.keys.len);
    }
    if (glob)
        glob_free(glob);
    buffer_clear(&scanning.keys, 0);
    return told;
}
