/* The fast paths: the common, successful form of the commands that carry the traffic.
 *
 * Each answers and returns true, or declines with false before it has changed or written anything;
 * then the command takes the way of all others, to `dispatch`, which knows every form and every
 * error. engine/pure/hot.py says the same in Python, function by function, and is the judge.
 */
#include "engine.h"

#include <string.h>

#define MGET_AT_ONCE 32 /* keys whose lines and records are prefetched together */
#define INTEGER_DIGITS_MAX 20

/* -- the table ----------------------------------------------------------------------------------- */
#define DECLARE(name, ...) \
    static bool hot_##name(Engine *engine, const Session *session, const Command *command, int64_t now_ms);
COMMANDS(DECLARE)

#define ROW(name, bytes, first, last, least, most, shape) [HOT_##name] = {#name, first, last, bytes, least, most, hot_##name, shape},
const Row ROWS[HOT_COUNT] = {COMMANDS(ROW)};

static const uint8_t SLOTS[1 << NAME_SLOTS_BITS] = {NAME_SLOTS};

#define SMALL_LETTERS UINT64_C(0x2020202020202020)
#define ODD UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t word_at(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint64_t half_at(const uint8_t *bytes) {
    uint32_t half;
    memcpy(&half, bytes, sizeof half);
    return half;
}

/* Which hot command a name is. Letters differ from their capitals in one bit, and no other byte turns
 * into a small letter by setting it but its capital, so one `or` folds the case of a whole name. */
uint8_t hot_name(Span name) {
    uint64_t first, last = 0;
    if (name.len < 4) {
        if (name.len < 3)
            return COLD;
        first = name.bytes[0] | (uint64_t)name.bytes[1] << 8 | (uint64_t)name.bytes[2] << 16 | UINT64_C(0x202020);
    } else if (name.len < 8) {
        first = (half_at(name.bytes) | half_at(name.bytes + name.len - 4) << 32) | SMALL_LETTERS;
    } else if (name.len <= 16) {
        first = word_at(name.bytes) | SMALL_LETTERS;
        last = word_at(name.bytes + name.len - 8) | SMALL_LETTERS;
    } else {
        return COLD;
    }
    uint8_t hot = SLOTS[((first ^ last * ODD) * NAME_MULTIPLIER) >> (64 - NAME_SLOTS_BITS)];
    const Row *row = &ROWS[hot];
    return row->first == first && row->last == last && row->name_bytes == name.len ? hot : COLD;
}

/* The live record of a key for a command that reads, counted as a hit or a miss. */
static const Record *seen(Engine *engine, const Session *session, uint64_t hash, Span key, int64_t now_ms) {
    const Record *record = keyspace_row(engine, session->db, hash, key, now_ms);
    if (record)
        engine->hits++;
    else
        engine->misses++;
    return record;
}

static bool hot_get(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
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
static size_t find_some(const Engine *engine, const Session *session, const Command *command, size_t from,
                        int64_t now_ms, const Record **records) {
    uint64_t hashes[MGET_AT_ONCE];
    size_t count = command->argc - from < MGET_AT_ONCE ? command->argc - from : MGET_AT_ONCE;
    const Table *table = &engine->tables[session->db];
    for (size_t number = 0; number < count; number++) {
        hashes[number] = keyspace_hash(engine, command_arg(command, from + number));
        table_prefetch_line(table, hashes[number]);
    }
    for (size_t number = 0; number < count; number++)
        table_prefetch_record(table, hashes[number]);
    for (size_t number = 0; number < count; number++)
        records[number] = keyspace_row(engine, session->db, hashes[number], command_arg(command, from + number), now_ms);
    return count;
}

static void prefetch_value(const Record *record) {
    const char *at = (const char *)record, *end = at + RECORD_HEADER_BYTES + record->key_bytes + record->value_bytes;
    for (int line = 2; line < 18 && at + 64 * line < end; line++)
        __builtin_prefetch(at + 64 * line); /* 1 KiB; the processor's own prefetcher has noticed by then */
}

static bool hot_mget(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    if (command->argc < 2 || command->argc > HOT_ARGS_MAX)
        return false;
    size_t reply_start = engine->reply.len;
    uint64_t hits = engine->hits, misses = engine->misses;
    if (!reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    reply_integer(engine, '*', (int64_t)command->argc - 1);
    for (size_t from = 1, count; from < command->argc; from += count) {
        const Record *records[MGET_AT_ONCE];
        count = find_some(engine, session, command, from, now_ms, records);
        size_t room = 0;
        for (size_t number = 0; number < count; number++) {
            room += REPLY_HEAD_BYTES;
            if (records[number]) {
                room += record_value_bytes(records[number]);
                prefetch_value(records[number]);
            }
        }
        if (!reply_reserve(engine, room)) {
            seal_unnote(engine, reply_start);
            buffer_cut(&engine->reply, reply_start);
            engine->hits = hits;
            engine->misses = misses;
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

static bool hot_exists(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    if (command->argc < 2 || command->argc > HOT_ARGS_MAX || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    uint64_t there = 0;
    for (size_t from = 1, count; from < command->argc; from += count) {
        const Record *records[MGET_AT_ONCE];
        count = find_some(engine, session, command, from, now_ms, records);
        for (size_t number = 0; number < count; number++)
            there += records[number] != NULL;
    }
    engine->hits += there;
    engine->misses += command->argc - 1 - there;
    reply_integer(engine, ':', (int64_t)there);
    return true;
}

/* TTL, PTTL and STRLEN: a number about one key. */
static bool measure(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    if (command->argc != 2 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = seen(engine, session, command->hash, command_arg(command, 1), now_ms);
    if (command->hot == HOT_strlen)
        reply_integer(engine, ':', record ? (int64_t)record_value_bytes(record) : 0);
    else if (!record)
        reply_integer(engine, ':', -2);
    else if (command->hot == HOT_pttl)
        reply_integer(engine, ':', record_deadline_ms(record) - now_ms);
    else
        reply_integer(engine, ':', (record_deadline_ms(record) - now_ms + 500) / 1000);
    return true;
}

static bool hot_ping(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
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

/* -- writes -------------------------------------------------------------------------------------- */
/* A time to live that needs neither an error nor cutting. */
static bool ttl_of(const Engine *engine, Span digits, int64_t unit_ms, int64_t *ttl_ms) {
    int64_t number;
    if (!span_int64(digits, &number) || number <= 0 || number > engine->settings.max_ttl_ms / unit_ms)
        return false;
    *ttl_ms = number * unit_ms;
    return true;
}

/* `ttl_ms` 0: none was named. */
static bool store(Engine *engine, const Session *session, const Command *command, Span value, int64_t ttl_ms,
                  int64_t now_ms) {
    Span key = command_arg(command, 1);
    if (engine_full(engine) || value.len > HOT_BYTES_MAX || key.len > HOT_BYTES_MAX
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    if (unlikely(ttl_ms == 1 && !value.len))
        return false; /* how everybody lets go: see commands/strings.py */
    int64_t life_ms = ttl_ms ? ttl_ms : engine->settings.default_ttl_ms;
    if (!keyspace_store(engine, session->db, command->hash, key, value, now_ms + life_ms, ttl_ms == 0, now_ms,
                        NOTE_MERGED))
        return false;
    engine->defaulted += ttl_ms == 0;
    reply_text(engine, "+OK\r\n", 5);
    return true;
}

static bool is_option(Span arg, char first) {
    return arg.len == 2 && (arg.bytes[0] | 0x20) == first && (arg.bytes[1] | 0x20) == 'x';
}

/* SET key value [EX s | PX ms] [NX | XX], options in any order. */
static bool hot_set(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    int64_t ttl_ms = 0;
    char condition = 0;
    if (command->argc < 3)
        return false;
    for (size_t at = 3; at < command->argc; at++) {
        Span option = command_arg(command, at);
        bool seconds = is_option(option, 'e');
        if (seconds || is_option(option, 'p')) {
            if (ttl_ms || at + 1 == command->argc
                || !ttl_of(engine, command_arg(command, ++at), seconds ? 1000 : 1, &ttl_ms))
                return false;
        } else if (!condition && (is_option(option, 'n') || is_option(option, 'x'))) {
            condition = (char)(option.bytes[0] | 0x20);
        } else {
            return false;
        }
    }
    if (condition) {
        if (engine_full(engine) || !reply_reserve(engine, REPLY_HEAD_BYTES))
            return false;
        bool there = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms) != NULL;
        if (there == (condition == 'n')) {
            reply_nil(engine, session->proto);
            return true;
        }
    }
    return store(engine, session, command, command_arg(command, 2), ttl_ms, now_ms);
}

static bool hot_setex(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    int64_t ttl_ms;
    if (command->argc != 4 || !ttl_of(engine, command_arg(command, 2), command->hot == HOT_setex ? 1000 : 1, &ttl_ms))
        return false;
    return store(engine, session, command, command_arg(command, 3), ttl_ms, now_ms);
}

/* The value of a missing key. */
static bool hot_setnx(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    if (command->argc != 3 || engine_full(engine) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    bool there = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms) != NULL;
    if (!there) {
        size_t before = engine->reply.len;
        if (!store(engine, session, command, command_arg(command, 2), 0, now_ms))
            return false;
        engine->reply.len = before; /* of its +OK */
    }
    engine->hits += there;
    engine->misses += !there;
    reply_integer(engine, ':', !there);
    return true;
}

/* EXPIRE and PEXPIRE without a condition: the same value under a new deadline. */
static bool hot_expire(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    int64_t ttl_ms;
    bool found;
    if (command->argc != 3 || !ttl_of(engine, command_arg(command, 2), command->hot == HOT_expire ? 1000 : 1, &ttl_ms)
        || !reply_reserve(engine, REPLY_HEAD_BYTES)
        || !keyspace_retime(engine, session->db, command->hash, command_arg(command, 1), now_ms + ttl_ms, false, now_ms,
                            NOTE_EXPIRE, &found))
        return false;
    engine->hits += found;
    engine->misses += !found;
    reply_integer(engine, ':', found);
    return true;
}

/* GETEX key EX s | PX ms: both of them in one. */
static bool hot_getex(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    int64_t ttl_ms;
    bool found;
    if (command->argc != 4)
        return false;
    bool seconds = is_option(command_arg(command, 2), 'e');
    if ((!seconds && !is_option(command_arg(command, 2), 'p'))
        || !ttl_of(engine, command_arg(command, 3), seconds ? 1000 : 1, &ttl_ms))
        return false;
    Span key = command_arg(command, 1);
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + (record ? record_value_bytes(record) : 0))
        || !keyspace_retime(engine, session->db, command->hash, key, now_ms + ttl_ms, false, now_ms, NOTE_EXPIRE, &found))
        return false;
    engine->hits += found;
    engine->misses += !found;
    if (found)
        reply_value(engine, keyspace_row(engine, session->db, command->hash, key, now_ms));
    else
        reply_nil(engine, session->proto);
    return true;
}

/* The number under a key, 0 where there is none; false: what is there is no number. */
static bool number_of(Engine *engine, const Record *record, int64_t *number) {
    uint8_t digits[INTEGER_DIGITS_MAX];
    *number = 0;
    if (!record)
        return true;
    if (record_value_bytes(record) > sizeof digits)
        return false;
    bool valid = seal_open(engine, record, digits) && span_int64((Span){digits, record_value_bytes(record)}, number);
    wipe(digits, sizeof digits);
    return valid;
}

/* The deadline of a number that is there stays; a missing one starts at 0 with the default TTL. */
static bool add(Engine *engine, const Session *session, const Command *command, int64_t step, int64_t now_ms) {
    Span key = command_arg(command, 1);
    if (engine_full(engine) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    int64_t number;
    if (!number_of(engine, record, &number) || __builtin_add_overflow(number, step, &number))
        return false;
    uint8_t digits[INTEGER_DIGITS_MAX];
    Span value = {digits, digits_of(number, digits)};
    int64_t deadline_ms = record ? record_deadline_ms(record) : now_ms + engine->settings.default_ttl_ms;
    bool implicit = record ? record->flags & RECORD_IMPLICIT : true;
    uint64_t defaulted = record == NULL;
    bool stored = keyspace_store(engine, session->db, command->hash, key, value, deadline_ms, implicit, now_ms,
                                 NOTE_INCRBY);
    wipe(digits, sizeof digits);
    if (!stored)
        return false;
    engine->defaulted += defaulted;
    reply_integer(engine, ':', number);
    return true;
}

static bool increment(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    int64_t step = 1;
    bool named = command->hot == HOT_incrby || command->hot == HOT_decrby;
    if (command->argc != (named ? 3u : 2u) || (named && !span_int64(command_arg(command, 2), &step)))
        return false;
    if (command->hot == HOT_decr || command->hot == HOT_decrby) {
        if (step == INT64_MIN)
            return false;
        step = -step;
    }
    return add(engine, session, command, step, now_ms);
}

/* -- rows that share a handler ------------------------------------------------------------------- */
#define SAME(name, as) \
    static bool hot_##name(Engine *engine, const Session *session, const Command *command, int64_t now_ms) { \
        return as(engine, session, command, now_ms); \
    }
SAME(ttl, measure)
SAME(pttl, measure)
SAME(strlen, measure)
SAME(echo, hot_ping)
SAME(psetex, hot_setex)
SAME(pexpire, hot_expire)
SAME(incr, increment)
SAME(decr, increment)
SAME(incrby, increment)
SAME(decrby, increment)

/* Whether the switches let this command be answered here: misses that are told or asked for are the business of `dispatch`, and
 * so are writes that somebody observes. */
static inline bool is_allowed(const Engine *engine, unsigned shape) {
    return (engine->hot_writes || !(shape & (SHAPE_WRITES | SHAPE_DECIDES))) && (engine->hot_reads || !(shape & SHAPE_ASKS));
}

/* The command is hot and its hash is there where it has a key. False: it is for `dispatch`. */
bool hot_run(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    const Row *row = &ROWS[command->hot];
    if (!is_allowed(engine, row->shape) || !row->handler(engine, session, command, now_ms))
        return false;
    engine->calls[command->hot]++;
    return true;
}
