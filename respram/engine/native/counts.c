/* Hot commands that count. The twin of pure/counts.py. */
#include "hot.h"
#include "shares.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

/* The number under a key, 0 where there is none; false: what is there is no number. */
bool integer_of(Engine *engine, const Record *record, int64_t *number) {
    uint8_t digits[COUNTER_DIGITS_MAX];
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
    int64_t number, sum;
    if (!integer_of(engine, record, &number) || __builtin_add_overflow(number, step, &sum))
        return false;
    int64_t deadline_ms = record ? record_deadline_ms(record) : now_ms + engine->settings.default_ttl_ms;
    bool implicit = record ? record->flags & RECORD_IMPLICIT : true;
    uint64_t defaulted = record == NULL;
    if (!counter_raise(engine, session->db, command->hash, key, record, number, step, deadline_ms, implicit,
        now_ms, NOTE_INCRBY, &sum))
        return false;
    engine->defaulted += defaulted;
    reply_integer(engine, ':', sum);
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

/* -- INCRBYFLOAT --------------------------------------------------------------------------------
 * Redis adds two long doubles of x86 and prints the sum with 17 decimals. Where a long double is another number the
 * command is for `dispatch`, which does that arithmetic in exact integers; and so are exponents, hexadecimals,
 * infinities and more than FLOAT_DIGITS_MAX digits: below, digits and the power of ten are exact, so that one
 * division rounds as strtold does. */
#define FLOAT_DIGITS_MAX 18
#define FLOAT_BYTES_MAX 20 /* digits, a sign and a point */
#define DECIMALS 17
#define TEN_TO_DECIMALS UINT64_C(100000000000000000)
#define FLOAT_TEXT_BYTES 48 /* of a sum: a sign, 19 digits, a point, 17 decimals */

#if LDBL_MANT_DIG == 64
static bool plain_float(Span text, long double *number) {
    static const long double POWERS[] =
        {1e0L, 1e1L, 1e2L, 1e3L, 1e4L, 1e5L, 1e6L, 1e7L, 1e8L, 1e9L, 1e10L, 1e11L, 1e12L,
                                         1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L};
    bool negative = text.len && text.bytes[0] == '-', point = false;
    size_t digits = 0, decimals = 0;
    uint64_t whole = 0;
    for (size_t at = negative; at < text.len; at++) {
        uint8_t byte = text.bytes[at];
        if (byte == '.' && !point && digits) {
            point = true;
            continue;
        }
        if (byte < '0' || byte > '9' || digits == FLOAT_DIGITS_MAX)
            return false;
        whole = whole * 10 + (byte - '0');
        digits++;
        decimals += point;
    }
    if (!digits || (point && !decimals) || (text.bytes[negative] == '0' && digits - decimals > 1))
        return false;
    *number = (long double)whole / POWERS[decimals];
    if (negative)
        *number = -*number;
    return true;
}

/* Without the zeros at its end. */
static size_t print_decimals(uint64_t whole, uint64_t decimals, bool negative, uint8_t out[FLOAT_TEXT_BYTES]) {
    size_t len = negative && (whole || decimals);
    if (len)
        out[0] = '-';
    len += digits_of((int64_t)whole, out + len);
    if (!decimals)
        return len;
    out[len] = '.';
    for (size_t place = DECIMALS; place; place--, decimals /= 10)
        out[len + place] = (uint8_t)('0' + decimals % 10);
    len += 1 + DECIMALS;
    while (out[len - 1] == '0')
        len--;
    return len;
}

/* The same as below in exact integers, in a tenth of the time: the number is `mantissa` times 2^-shift, and of what
 * lies behind the point 10^17 times as much is taken and rounded, half to even. False: it is too large for that. */
static bool print_small(long double number, uint8_t out[FLOAT_TEXT_BYTES], size_t *len) {
    uint64_t mantissa;
    uint16_t head;
    memcpy(&mantissa, &number, sizeof mantissa);
    memcpy(&head, (const uint8_t *)&number + sizeof mantissa, sizeof head);
    int shift = 16383 + 63 - (head & 0x7fff);
    if (shift < 1)
        return false;
    uint64_t whole = shift < 64 ? mantissa >> shift : 0, decimals = 0;
    uint64_t behind = shift < 64 ? mantissa & ((UINT64_C(1) << shift) - 1) : mantissa;
    if (shift < 128) {
        unsigned __int128 scaled = (unsigned __int128)behind * TEN_TO_DECIMALS;
        unsigned __int128 half = (unsigned __int128)1 << (shift - 1), rest = scaled & (2 * half - 1);
        decimals = (uint64_t)(scaled >> shift);
        decimals += rest > half || (rest == half && decimals & 1);
    }
    if (decimals == TEN_TO_DECIMALS) {
        decimals = 0;
        whole++;
    }
    *len = print_decimals(whole, decimals, head & 0x8000, out);
    return true;
}

/* Without the zeros at its end, never `-0`. The point is whatever the process has made of it. */
static size_t print_float(long double number, uint8_t out[FLOAT_TEXT_BYTES]) {
    size_t small;
    if (likely(print_small(number, out, &small)))
        return small;
    int printed = snprintf((char *)out, FLOAT_TEXT_BYTES, "%.17Lf", number);
    always(printed > 18 && printed < FLOAT_TEXT_BYTES);
    size_t len = (size_t)printed, point = len - 18;
    out[point] = '.';
    while (out[len - 1] == '0')
        len--;
    if (len - 1 == point)
        len--;
    if (len == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        len = 1;
    }
    return len;
}

static bool float_of(Engine *engine, const Record *record, long double *number) {
    uint8_t text[FLOAT_BYTES_MAX];
    *number = 0;
    if (!record)
        return true;
    if (record_value_bytes(record) > sizeof text)
        return false;
    bool valid = seal_open(engine, record, text) && plain_float((Span){text, record_value_bytes(record)}, number);
    wipe(text, sizeof text);
    return valid;
}

HANDLER(incrbyfloat) {
    Span key = command_arg(command, 1);
    long double number, step;
    if (command->argc != 3 || engine_full(engine) || !plain_float(command_arg(command, 2), &step)
        || !reply_reserve(engine, REPLY_HEAD_BYTES + FLOAT_TEXT_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    if (!float_of(engine, record, &number))
        return false;
    uint8_t text[FLOAT_TEXT_BYTES];
    Span value = {text, print_float(number + step, text)};
    Life life = life_of(engine, record, now_ms);
    uint64_t defaulted = record == NULL;
    bool stored = keyspace_store(engine, session->db, command->hash, key, value, life.deadline_ms, life.implicit,
        now_ms,
                                 NOTE_INCRBYFLOAT);
    if (stored) {
        engine->defaulted += defaulted;
        reply_bulk(engine, value);
    }
    wipe(text, sizeof text);
    return stored;
}
#else
HANDLER(incrbyfloat) { return false; }
#endif

SAME(incr, increment)
SAME(decr, increment)
SAME(incrby, increment)
SAME(decrby, increment)

/* -- INCREX: bounds and a window ------------------------------------------------------------------- */
typedef struct Increment { /* each option at most once */
    int64_t step, low, high, ttl_ms; /* ttl_ms is 0 without a TTL */
    bool stepped, lowered, raised, saturates, only_new;
    char condition; /* 'n' for NX or 'x' for XX */
} Increment;

/* False: floats, an odd form, a mistake, or a time that has passed. */
static bool read_increment(const Engine *engine, const Command *command, int64_t now_ms, Increment *wanted) {
    *wanted = (Increment){.step = 1, .low = INT64_MIN, .high = INT64_MAX};
    for (size_t at = 2; at < command->argc; at++) {
        Span word = command_arg(command, at), next = at + 1 < command->argc ? command_arg(command, at + 1) : (Span){0};
        if (!wanted->saturates && IS(word, "saturate")) {
            wanted->saturates = true;
        } else if (!wanted->only_new && IS(word, "enx")) {
            wanted->only_new = true;
        } else if (!wanted->condition && (IS(word, "nx") || IS(word, "xx"))) {
            wanted->condition = (char)(word.bytes[0] | 0x20);
        } else if (!wanted->stepped && IS(word, "byint") && span_int64(next, &wanted->step)) {
            wanted->stepped = true;
            at++;
        } else if (!wanted->lowered && IS(word, "lbound") && span_int64(next, &wanted->low)) {
            wanted->lowered = true;
            at++;
        } else if (!wanted->raised && IS(word, "ubound") && span_int64(next, &wanted->high)) {
            wanted->raised = true;
            at++;
        } else if (!wanted->ttl_ms && at + 1 < command->argc
                   && life_from(engine, word, next, now_ms, &wanted->ttl_ms)) {
            at++;
        } else {
            return false;
        }
    }
    return wanted->low <= wanted->high && (!wanted->only_new || wanted->ttl_ms);
}

HANDLER(increx) {
    Span key = command_arg(command, 1);
    Increment wanted;
    int64_t old;
    if (command->argc < 2 || engine_full(engine) || !read_increment(engine, command, now_ms, &wanted)
        || !reply_reserve(engine, 3 * REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    if (!integer_of(engine, record, &old))
        return false;
    __int128 sum = (__int128)old + wanted.step;
    int64_t value = (int64_t)(sum < wanted.low ? wanted.low : sum > wanted.high ? wanted.high : sum), applied = 0;
    bool writes = (wanted.saturates || value == sum) && !(wanted.condition == 'n' && record)
        && !(wanted.condition == 'x' && !record);
    if (writes) {
        if (__builtin_sub_overflow(value, old, &applied))
            return false;
        bool timed = wanted.ttl_ms && !(wanted.only_new && record && !(record->flags & RECORD_IMPLICIT));
        Life life = timed ? (Life){now_ms + wanted.ttl_ms, false} : life_of(engine, record, now_ms);
        uint64_t defaulted = !timed && !record;
        int64_t sum;
        if (!counter_raise(engine, session->db, command->hash, key, record, old, applied, life.deadline_ms,
            life.implicit, now_ms, NOTE_INCRBY, &sum))
            return false;
        engine->defaulted += defaulted;
    }
    reply_text(engine, "*2\r\n", 4);
    if (!writes && !record && wanted.condition == 'x')
        reply_nil(engine, session->proto);
    else
        reply_integer(engine, ':', writes ? value : old);
    reply_integer(engine, ':', applied);
    return true;
}

/* -- HINCRBYFLOAT ---------------------------------------------------------------------------------- */
#if LDBL_MANT_DIG == 64
HANDLER(hincrbyfloat) {
    Record *head;
    long double number, step;
    if (command->argc != 4 || engine_full(engine) || !plain_float(command_arg(command, 3), &step)
        || !collection_at(engine, session, command, HASH, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES + FLOAT_TEXT_BYTES))
        return false;
    Span name = command_arg(command, 2);
    size_t bytes = NAME_LENGTH_BYTES + command_arg(command, 1).len + name.len + FLOAT_TEXT_BYTES;
    bool there = head != NULL, is_new;
    const Record *member = head ? family_find(engine, head, name, now_ms) : NULL;
    if (bytes > HOT_BYTES_MAX || bytes > engine->settings.bulk_bytes_max || !float_of(engine, member, &number))
        return false;
    int64_t own_ms = member && !(member->flags & RECORD_IMPLICIT) ? record_deadline_ms(member) : 0;
    if (!head && !(head = collection_begun(engine, session, command, HASH, now_ms)))
        return false;
    uint8_t text[FLOAT_TEXT_BYTES];
    Span value = {text, print_float(number + step, text)};
    bool stored = family_put(engine, head, name, value, own_ms, now_ms, &is_new);
    if (stored) {
        engine->hits += there;
        engine->misses += !there;
        engine_note(engine, NOTE_HINCRBYFLOAT, session->db, command_arg(command, 1));
        reply_bulk(engine, value);
    }
    wipe(text, sizeof text);
    return stored;
}
#else
HANDLER(hincrbyfloat) { return false; }
#endif
