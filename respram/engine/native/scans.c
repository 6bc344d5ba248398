/* Hot commands that walk the keyspace: SCAN, KEYS and RANDOMKEY. The twin of pure/scans.py. */
#include "hot.h"

#include <string.h>

#define SCAN_COUNT 10
#define SCAN_COUNT_MAX 1024        /* longer walks are left to `dispatch` */
#define SCAN_PATTERN_BYTES_MAX 256 /* longer patterns are left to `dispatch` */
#define SCAN_STEPS_MAX 65536       /* steps of matching keys: about 0.1 ms */
#define SCAN_LOOK_BYTES 128        /* a visited key counts for this many bytes */
#define KEYS_MAX 8192              /* that KEYS walks by in one go, about 0.5 ms; with more, `dispatch` goes in steps */
#define KEYS_LINES_MAX 8192        /* of the table, which may be sparse */
#define KEYS_STEPS_MAX 524288      /* of comparing keys with a pattern: about 0.8 ms */
#define ANY_KIND (-1)

typedef struct Scanning {
    const Glob *glob; /* NULL: all match */
    int kind;         /* ANY_KIND: all match */
    Buffer keys;      /* keys with their reply frames */
    uint64_t count;
    size_t steps, steps_max;
} Scanning;

static int tell_key(void *context, const Record *record) {
    Scanning *scanning = context;
    Span key = record_key(record);
    if (scanning->glob) {
        scanning->steps += glob_steps(scanning->glob, key.len);
        if (scanning->steps > scanning->steps_max)
            return -1;
        if (!glob_match(scanning->glob, key))
            return 0;
    }
    if (scanning->kind != ANY_KIND && record_kind(record) != scanning->kind)
        return 0;
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

/* Walks by keys from the cursor on, and gathers those that match. False: it is too much, or there is no memory. */
static bool gather(Engine *engine, const Session *session, Span pattern, uint64_t *cursor, uint64_t count,
                   int64_t now_ms, Scanning *scanning) {
    Glob *glob = NULL;
    if (pattern.len > SCAN_PATTERN_BYTES_MAX)
        return false;
    if ((pattern.len != 1 || pattern.bytes[0] != '*') && !(glob = glob_compile(pattern)))
        return false;
    scanning->glob = glob;
    bool done = walk_scan(engine, session->db, cursor, count, now_ms, tell_key, scanning) == 0 && *cursor <= INT64_MAX;
    if (glob)
        glob_free(glob);
    return done;
}

static int kind_of(Span word) {
    static const char *const names[] = {"string", "hash", "set", "zset"};
    int kind = 0;
    while (kind <= ZSET && !is_word(word, names[kind], strlen(names[kind])))
        kind++;
    return kind;
}

/* What it looks at may be more than COUNT says, by a line of the table. A type that is none has no keys. */
HANDLER(scan) {
    int64_t start, count = SCAN_COUNT;
    Span pattern = {(const uint8_t *)"*", 1};
    Scanning scanning = {.kind = ANY_KIND, .steps_max = SCAN_STEPS_MAX};
    if (command->argc < 2 || command->argc > 8 || command->argc % 2 || !span_int64(command_arg(command, 1), &start)
        || start < 0)
        return false;
    for (size_t number = 2; number < command->argc; number += 2) {
        Span word = command_arg(command, number), argument = command_arg(command, number + 1);
        if (IS(word, "match"))
            pattern = argument;
        else if (IS(word, "type"))
            scanning.kind = kind_of(argument);
        else if (!IS(word, "count") || !span_int64(argument, &count) || count < 1 || count > SCAN_COUNT_MAX)
            return false;
    }
    uint64_t cursor = (uint64_t)start;
    bool told = gather(engine, session, pattern, &cursor, (uint64_t)count, now_ms, &scanning)
        && reply_reserve(engine, 3 * REPLY_HEAD_BYTES + scanning.keys.len);
    if (told) {
        uint8_t digits[20];
        engine->moved += (uint64_t)count * SCAN_LOOK_BYTES + scanning.keys.len;
        reply_text(engine, "*2\r\n", 4);
        reply_bulk(engine, (Span){digits, digits_of((int64_t)cursor, digits)});
        reply_integer(engine, '*', (int64_t)scanning.count);
        reply_text(engine, (const char *)scanning.keys.bytes, scanning.keys.len);
    }
    buffer_clear(&scanning.keys, 0);
    return told;
}

/* In one go, where the keys are few: nothing comes or goes between its steps, so no key is told twice. */
HANDLER(keys) {
    Scanning scanning = {.kind = ANY_KIND, .steps_max = KEYS_STEPS_MAX};
    uint64_t cursor = 0, live = engine->live[session->db];
    if (command->argc != 2 || live > KEYS_MAX || walk_lines(engine, session->db) > KEYS_LINES_MAX)
        return false;
    bool told = gather(engine, session, command_arg(command, 1), &cursor, UINT64_MAX, now_ms, &scanning)
        && reply_reserve(engine, REPLY_HEAD_BYTES + scanning.keys.len);
    if (told) {
        engine->moved += live * SCAN_LOOK_BYTES + scanning.keys.len;
        reply_integer(engine, '*', (int64_t)scanning.count);
        reply_text(engine, (const char *)scanning.keys.bytes, scanning.keys.len);
    }
    buffer_clear(&scanning.keys, 0);
    return told;
}

HANDLER(randomkey) {
    if (command->argc != 1)
        return false;
    const Record *record = walk_sample(engine, session->db, draw_below(engine, UINT64_MAX), now_ms);
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + (record ? record_key_bytes(record) : 0)))
        return false;
    if (record)
        reply_bulk(engine, record_key(record));
    else
        reply_nil(engine, session->proto);
    return true;
}
