/* Hot commands that count. The twin of pure/counts.py. */
#include "hot.h"

#define INTEGER_DIGITS_MAX 20

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
static bool add(Engine *engine, Session *session, const Command *command, int64_t step, int64_t now_ms) {
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

static bool increment(Engine *engine, Session *session, const Command *command, int64_t now_ms) {
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

SAME(incr, increment)
SAME(decr, increment)
SAME(incrby, increment)
SAME(decrby, increment)
