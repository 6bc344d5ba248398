/* Hot commands that write whole values and deadlines. The twin of pure/writes.py. */
#include "hot.h"

/* EX s, PX ms, EXAT s or PXAT ms as a time to live that needs neither an error nor cutting. */
bool life_from(const Engine *engine, Span unit, Span digits, int64_t now_ms, int64_t *ttl_ms) {
    if (IS(unit, "ex"))
        return ttl_of(engine, digits, 1000, ttl_ms);
    if (IS(unit, "px"))
        return ttl_of(engine, digits, 1, ttl_ms);
    bool seconds = IS(unit, "exat");
    int64_t at_ms;
    if ((!seconds && !IS(unit, "pxat")) || !span_int64(digits, &at_ms)
        || (seconds && __builtin_mul_overflow(at_ms, 1000, &at_ms))
        || at_ms <= now_ms || at_ms - now_ms > engine->settings.max_ttl_ms)
        return false;
    *ttl_ms = at_ms - now_ms;
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
        return false; /* this is how any user lets go of a key: see commands/strings.py */
    int64_t life_ms = ttl_ms ? ttl_ms : engine->settings.default_ttl_ms;
    if (!keyspace_store(engine, session->db, command->hash, key, value, now_ms + life_ms, ttl_ms == 0, now_ms,
                        NOTE_MERGED))
        return false;
    engine->defaulted += ttl_ms == 0;
    reply_text(engine, "+OK\r\n", 5);
    return true;
}

typedef struct Options { /* options of SET */
    int64_t ttl_ms; /* 0: no TTL was given */
    char condition; /* 'n' for NX or 'x' for XX */
    char comparison; /* as comparison_of has it; 0: none */
    bool keeps, gets;
    Span operand;
} Options;

/* Each option once. False: an odd form, a mistake, or a time that has passed. */
static bool parse_options(const Engine *engine, const Command *command, size_t at, int64_t now_ms, Options *options) {
    *options = (Options){0};
    for (; at < command->argc; at++) {
        Span word = command_arg(command, at);
        bool has_next = at + 1 < command->argc;
        if (!options->condition && !options->comparison && (IS(word, "nx") || IS(word, "xx"))) {
            options->condition = (char)(word.bytes[0] | 0x20);
        } else if (!options->keeps && !options->ttl_ms && has_next
                   && life_from(engine, word, command_arg(command, at + 1), now_ms, &options->ttl_ms)) {
            at++;
        } else if (!options->gets && IS(word, "get")) {
            options->gets = true;
        } else if (!options->keeps && !options->ttl_ms && IS(word, "keepttl")) {
            options->keeps = true;
        } else if (!options->condition && !options->comparison && has_next
                   && (options->comparison = comparison_of(word, command_arg(command, at + 1)))) {
            options->operand = command_arg(command, ++at);
        } else {
            return false;
        }
    }
    return true;
}

/* Says the old value, or nil; what follows may take it back. */
static bool reply_old(Engine *engine, const Session *session, const Record *record) {
    if (!reply_reserve(engine, 2 * REPLY_HEAD_BYTES + (record ? record_value_bytes(record) : 0)))
        return false;
    if (record)
        reply_value(engine, record);
    else
        reply_nil(engine, session->proto);
    return true;
}

static bool take_back(Engine *engine, size_t reply_start) {
    seal_unnote(engine, reply_start);
    buffer_cut(&engine->reply, reply_start);
    return false;
}

/* SET with an option that looks at what is there first. */
static bool set_looking(Engine *engine, const Session *session, const Command *command, const Options *options,
    int64_t now_ms) {
    Span key = command_arg(command, 1), value = command_arg(command, 2);
    size_t reply_start = engine->reply.len;
    bool looked = true;
    if (engine_full(engine) || (options->gets && !engine->hot_reads) || value.len > HOT_BYTES_MAX
        || key.len > HOT_BYTES_MAX
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    bool matches = !options->comparison
        || value_holds(engine, record, options->comparison, options->operand, &looked);
    if (!looked)
        return false;
    if (options->gets && !reply_old(engine, session, record))
        return false;
    bool writes = matches && !(options->condition == 'n' && record) && !(options->condition == 'x' && !record);
    uint64_t hits = record != NULL;
    if (writes) {
        Life life = {now_ms + options->ttl_ms, false};
        if (options->keeps || !options->ttl_ms)
            life = life_of(engine, options->keeps ? record : NULL, now_ms);
        uint64_t defaulted = !options->ttl_ms && !(options->keeps && record);
        if (!keyspace_store(engine, session->db, command->hash, key, value, life.deadline_ms, life.implicit, now_ms,
            NOTE_MERGED))
            return take_back(engine, reply_start);
        engine->defaulted += defaulted;
    }
    if (options->gets) {
        engine->hits += hits;
        engine->misses += !hits;
    } else if (writes) {
        reply_text(engine, "+OK\r\n", 5);
    } else {
        reply_nil(engine, session->proto);
    }
    return true;
}

/* SET key value, with its options in any order. */
HANDLER(set) {
    Options options;
    if (command->argc < 3 || !parse_options(engine, command, 3, now_ms, &options))
        return false;
    if (unlikely(options.ttl_ms == 1 && !command_arg(command, 2).len))
        return false; /* this is how any user lets go of a key: see commands/strings.py */
    if (options.condition || options.keeps || options.gets || options.comparison)
        return set_looking(engine, session, command, &options, now_ms);
    return store(engine, session, command, command_arg(command, 2), options.ttl_ms, now_ms);
}

HANDLER(getset) {
    Span key = command_arg(command, 1), value = command_arg(command, 2);
    size_t reply_start = engine->reply.len;
    if (command->argc != 3 || engine_full(engine) || value.len > HOT_BYTES_MAX || key.len > HOT_BYTES_MAX)
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    bool there = record != NULL;
    if (!reply_old(engine, session, record))
        return false;
    if (!keyspace_store(engine, session->db, command->hash, key, value, now_ms + engine->settings.default_ttl_ms, true,
        now_ms,
                        NOTE_MERGED))
        return take_back(engine, reply_start);
    engine->hits += there;
    engine->misses += !there;
    engine->defaulted++;
    return true;
}

/* Hashes some keys of pairs together, so that their cache misses overlap. */
static size_t hash_some(const Engine *engine, const Session *session, const Command *command, size_t from,
    uint64_t *hashes) {
    const Table *table = &engine->tables[session->db];
    size_t count = 0;
    for (size_t at = from; at < command->argc && count < KEYS_AT_ONCE; at += 2, count++) {
        hashes[count] = keyspace_hash(engine, command_arg(command, at));
        table_prefetch_line(table, hashes[count]);
    }
    for (size_t number = 0; number < count; number++)
        table_prefetch_record(table, hashes[number]);
    return count;
}

/* Where memory ends on the way, `dispatch` writes all of them again: the values are the same. */
static bool store_pairs(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    for (size_t from = 1, count; from < command->argc; from += 2 * count) {
        uint64_t hashes[KEYS_AT_ONCE];
        count = hash_some(engine, session, command, from, hashes);
        for (size_t number = 0; number < count; number++) {
            Span key = command_arg(command, from + 2 * number), value = command_arg(command, from + 2 * number + 1);
            if (!keyspace_store(engine, session->db, hashes[number], key, value,
                now_ms + engine->settings.default_ttl_ms, true,
                                now_ms, NOTE_MERGED))
                return false;
            engine->defaulted++;
        }
    }
    return true;
}

static bool may_store_pairs(Engine *engine, const Command *command) {
    if (command->argc < 3 || command->argc % 2 == 0 || command->argc > HOT_ARGS_MAX || engine_full(engine))
        return false;
    size_t bytes = 0;
    for (size_t at = 1; at < command->argc; at++)
        bytes += command->args[at].len;
    return bytes <= HOT_BYTES_MAX && reply_reserve(engine, REPLY_HEAD_BYTES);
}

HANDLER(mset) {
    if (!may_store_pairs(engine, command) || !store_pairs(engine, session, command, now_ms))
        return false;
    reply_text(engine, "+OK\r\n", 5);
    return true;
}

/* All of them, where none is there. */
HANDLER(msetnx) {
    if (!may_store_pairs(engine, command))
        return false;
    bool there = false;
    for (size_t from = 1, count; from < command->argc && !there; from += 2 * count) {
        uint64_t hashes[KEYS_AT_ONCE];
        count = hash_some(engine, session, command, from, hashes);
        for (size_t number = 0; number < count; number++)
            there |= keyspace_row(engine, session->db, hashes[number], command_arg(command, from + 2 * number),
            now_ms) != NULL;
    }
    if (!there && !store_pairs(engine, session, command, now_ms))
        return false;
    reply_integer(engine, ':', !there);
    return true;
}

/* Whether none of so many keys is a collection, which is for `dispatch`; and how many are there. */
static bool count_strings(Engine *engine, const Session *session, const Command *command, size_t end, int64_t now_ms,
                          size_t *there) {
    *there = 0;
    for (size_t at = 2; at < end; at += 2) {
        Span key = command_arg(command, at);
        const Record *record = keyspace_row(engine, session->db, keyspace_hash(engine, key), key, now_ms);
        if (record && record_kind(record))
            return false;
        *there += record != NULL;
    }
    return true;
}

/* All or nothing: 1 where all were written, 0 where the condition failed for one of them. */
HANDLER(msetex) {
    int64_t count;
    Options options;
    size_t bytes = 0, there;
    bool empty = false;
    if (command->argc < 4 || command->argc > HOT_ARGS_MAX || !span_int64(command_arg(command, 1), &count) || count < 1
        || count > ((int64_t)command->argc - 2) / 2 || engine_full(engine))
        return false;
    size_t end = 2 + 2 * (size_t)count;
    if (!parse_options(engine, command, end, now_ms, &options) || options.gets || options.comparison)
        return false;
    for (size_t at = 1; at < command->argc; at++) {
        bytes += command->args[at].len;
        empty |= at < end && at % 2 && at > 1 && !command->args[at].len;
    }
    if (bytes > HOT_BYTES_MAX || (options.ttl_ms == 1 && empty) || !reply_reserve(engine, REPLY_HEAD_BYTES)
        || !count_strings(engine, session, command, end, now_ms, &there))
        return false; /* an empty value for a millisecond is how any user lets go of a key: see commands/strings.py */
    bool writes = !(options.condition == 'n' && there) && !(options.condition == 'x' && there < (size_t)count);
    for (size_t at = 2; at < end && writes; at += 2) {
        Span key = command_arg(command, at);
        uint64_t hash = keyspace_hash(engine, key);
        const Record *record = options.keeps ? keyspace_row(engine, session->db, hash, key, now_ms) : NULL;
        Life life = options.ttl_ms ? (Life){now_ms + options.ttl_ms, false} : life_of(engine, record, now_ms);
        uint64_t defaulted = !options.ttl_ms && !record;
        if (!keyspace_store(engine, session->db, hash, key, command_arg(command, at + 1), life.deadline_ms,
                            life.implicit, now_ms, NOTE_MERGED))
            return false; /* `dispatch` writes all of them again, with the same values */
        engine->defaulted += defaulted;
    }
    reply_integer(engine, ':', writes);
    return true;
}

HANDLER(setex) {
    int64_t ttl_ms;
    if (command->argc != 4 || !ttl_of(engine, command_arg(command, 2), command->hot == HOT_setex ? 1000 : 1, &ttl_ms))
        return false;
    return store(engine, session, command, command_arg(command, 3), ttl_ms, now_ms);
}

/* The value of a missing key. */
HANDLER(setnx) {
    if (command->argc != 3 || engine_full(engine) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    bool there = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms) != NULL;
    if (!there) {
        size_t before = engine->reply.len;
        if (!store(engine, session, command, command_arg(command, 2), 0, now_ms))
            return false;
        engine->reply.len = before; /* takes back the +OK of `store` */
    }
    engine->hits += there;
    engine->misses += !there;
    reply_integer(engine, ':', !there);
    return true;
}

/* What the conditions say of a new deadline. An implicit one counts as none: as infinite. False: an odd form. */
static bool conditions_of(const Command *command, bool *nx, bool *xx, char *compare) {
    *nx = *xx = false;
    *compare = 0;
    for (size_t at = 3; at < command->argc; at++) {
        Span word = command_arg(command, at);
        if (IS(word, "nx"))
            *nx = true;
        else if (IS(word, "xx"))
            *xx = true;
        else if ((IS(word, "gt") || IS(word, "lt")) && (!*compare || *compare == (word.bytes[0] | 0x20)))
            *compare = (char)(word.bytes[0] | 0x20);
        else
            return false;
    }
    return !*nx || !(*xx || *compare);
}

/* EXPIRE and its relatives: the same value under a new deadline. */
static bool retime(Engine *engine, const Session *session, const Command *command, int64_t unit_ms, int64_t from_ms,
    int64_t now_ms) {
    Span key = command_arg(command, 1);
    int64_t number, ttl_ms;
    bool nx, xx, found = true;
    char compare;
    if (command->argc < 3 || !conditions_of(command, &nx, &xx, &compare)
        || !span_int64(command_arg(command, 2), &number)
        || __builtin_mul_overflow(number, unit_ms, &number) || __builtin_sub_overflow(number, from_ms, &ttl_ms)
        || ttl_ms <= 0 || ttl_ms > engine->settings.max_ttl_ms || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    int64_t deadline_ms = now_ms + ttl_ms;
    bool allowed = true, there = true;
    if (nx || xx || compare) {
        const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
        there = record != NULL;
        if (there) {
            bool implicit = record->flags & RECORD_IMPLICIT;
            int64_t before_ms = record_deadline_ms(record);
            allowed = nx ? implicit
                : !(xx && implicit) && (compare == 'g' ? !implicit && deadline_ms > before_ms
                                        : compare == 'l' ? implicit || deadline_ms < before_ms : true);
        }
    }
    if (there && allowed
        && !keyspace_retime(engine, session->db, command->hash, key, deadline_ms, false, now_ms, NOTE_EXPIRE, &found))
        return false;
    there = there && found;
    engine->hits += there;
    engine->misses += !there;
    reply_integer(engine, ':', there && allowed);
    return true;
}

HANDLER(expire) { return retime(engine, session, command, 1000, 0, now_ms); }
HANDLER(pexpire) { return retime(engine, session, command, 1, 0, now_ms); }
HANDLER(expireat) { return retime(engine, session, command, 1000, now_ms, now_ms); }
HANDLER(pexpireat) { return retime(engine, session, command, 1, now_ms, now_ms); }

/* GETEX key [EX s | PX ms | EXAT s | PXAT ms]. */
HANDLER(getex) {
    Span key = command_arg(command, 1);
    int64_t ttl_ms = 0;
    bool found = false;
    if ((command->argc != 2 && command->argc != 4)
        || (command->argc == 4 && !life_from(engine, command_arg(command, 2), command_arg(command, 3), now_ms,
        &ttl_ms)))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + (record ? record_value_bytes(record) : 0)))
        return false;
    if (ttl_ms && !keyspace_retime(engine, session->db, command->hash, key, now_ms + ttl_ms, false, now_ms, NOTE_EXPIRE,
        &found))
        return false;
    if (ttl_ms && record)
        record = keyspace_row(engine, session->db, command->hash, key, now_ms); /* it may have moved */
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    if (record)
        reply_value(engine, record);
    else
        reply_nil(engine, session->proto);
    return true;
}

/* DEL and UNLINK of one key, for a user with the right by name. */
HANDLER(del) {
    Span key = command_arg(command, 1);
    bool found;
    if (command->argc != 2 || !reply_reserve(engine, REPLY_HEAD_BYTES)
        || !keyspace_let_go(engine, session->db, keyspace_hash(engine, key), key, now_ms, &found))
        return false;
    if (found)
        engine_note(engine, NOTE_DEL, session->db, key);
    reply_integer(engine, ':', found);
    return true;
}

SAME(unlink, hot_del)
SAME(psetex, hot_setex)
