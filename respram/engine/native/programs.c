/* Scripts as programs: EVAL and EVALSHA of those that the engine was taught. The twin of pure/programs.py;
 * respram/program.py says what a program is, scripting/compiler.py makes them.
 *
 * A step that calls a command runs its fast path, takes the reply back out of the engine's buffer and keeps it in
 * `log`, whose bytes are what values point at. Wherever something is odd the run declines, before or after a write:
 * then `dispatch` takes the log, and Lua goes on from there. Numbers are doubles, as in Lua, but there is no infinity
 * and no -0.
 */
#include "hot.h"
#include "programs.h"

#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 15 /* digits that a double represents exactly */
#define EXACT_MAX 9007199254740992.0
#define WHOLE_MAX 4503599627370496.0 /* above this all doubles are whole */

static const char NO_MEMORY[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/* -- values -------------------------------------------------------------------------------------- */
typedef enum Kind { NIL, FALSE, TRUE, NUMBER, TEXT, STATUS, LISTED } Kind;
typedef enum Where { HERE, IN_LOG, IN_MADE } Where; /* offset of a text, since the buffers may move */

typedef struct Value {
    uint8_t kind, where;
    double number;
    const uint8_t *bytes;
    size_t at, len;
} Value;

typedef struct Run {
    Engine *engine;
    Session *session;
    const Command *command;
    const Taught *taught;
    int64_t now_ms;
    size_t keys; /* number of arguments from the third on */
    bool broken; /* no memory for the reply of a command */
    Value values[REGISTERS_MAX];
} Run;

static Span span_of(const Run *run, const Value *value) {
    const Programs *programs = &run->engine->programs;
    const uint8_t *bytes = value->where == HERE ? value->bytes
        : (value->where == IN_LOG ? programs->log.bytes : programs->made.bytes) + value->at;
    return (Span){bytes, value->len};
}

static Value number_value(double number) {
    return (Value){.kind = NUMBER, .number = number};
}

static Value truth_value(bool truth) {
    return (Value){.kind = truth ? TRUE : FALSE};
}

static Value text_value(Span text) {
    return (Value){.kind = TEXT, .where = HERE, .bytes = text.bytes, .len = text.len};
}

static bool is_false(const Value *value) {
    return value->kind == NIL || value->kind == FALSE;
}

static double rounded_down(double number) {
    if (number >= WHOLE_MAX || number <= -WHOLE_MAX)
        return number;
    double whole = (double)(int64_t)number;
    return whole > number ? whole - 1 : whole;
}

/* No infinity, no NaN, no -0. */
static bool is_ordinary(double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits != UINT64_C(1) << 63 && (bits >> 52 & 0x7ff) != 0x7ff;
}

/* As Lua takes a text for a number, where it is spelt plainly. */
static bool number_of(const Run *run, const Value *value, double *number) {
    *number = value->number;
    if (value->kind == NUMBER)
        return true;
    if (value->kind != TEXT)
        return false;
    Span text = span_of(run, value);
    size_t at = text.len && text.bytes[0] == '-', first = at, point = 0, digits = 0;
    uint64_t whole = 0;
    double scale = 1;
    for (; at < text.len; at++) {
        unsigned digit = (unsigned)text.bytes[at] - '0';
        if (text.bytes[at] == '.' && !point && digits) {
            point = at;
            continue;
        }
        if (digit > 9 || ++digits > DIGITS_MAX)
            return false;
        whole = whole * 10 + digit;
        if (point)
            scale *= 10;
    }
    if (!digits || (point && point + 1 == text.len) || (first && !whole))
        return false;
    *number = (double)whole / scale; /* both are exact, so the quotient is the nearest double */
    if (first)
        *number = -*number;
    return true;
}

/* A number in digits, where it is whole and no more than so much. */
static bool spell(double number, double below, uint8_t digits[NUMBER_BYTES], Span *text) {
    if (!(number < below && number > -below) || rounded_down(number) != number)
        return false;
    *text = (Span){digits, digits_of((int64_t)number, digits)};
    return true;
}

/* As Lua spells it where a text is needed: `%.14g`. */
static bool text_of(const Run *run, const Value *value, uint8_t digits[NUMBER_BYTES], Span *text) {
    if (value->kind == NUMBER)
        return spell(value->number, 1e14, digits, text);
    *text = span_of(run, value);
    return value->kind == TEXT;
}

/* As Redis spells numbers that become arguments: `%.17g`. False: it is infinite, none, or -0. */
bool programs_spell(double number, uint8_t digits[NUMBER_BYTES], Span *text) {
    if (!is_ordinary(number))
        return false;
    if (!spell(number, 1e15, digits, text))
        *text = (Span){digits, (size_t)snprintf((char *)digits, NUMBER_BYTES, "%.17g", number)};
    return true;
}

static bool argument_of(const Run *run, const Value *value, uint8_t digits[NUMBER_BYTES], Span *text) {
    if (value->kind != NUMBER)
        return text_of(run, value, digits, text);
    return programs_spell(value->number, digits, text);
}

/* -- steps --------------------------------------------------------------------------------------- */
static Value member(const Run *run, bool is_key, const Value *place) {
    size_t count = is_key ? run->keys : run->command->argc - 3 - run->keys;
    double number = place->number;
    if (number < 1 || number > (double)count || rounded_down(number) != number)
        return (Value){.kind = NIL};
    return text_value(command_arg(run->command, 2 + (size_t)number + (is_key ? 0 : run->keys)));
}

static bool is_inside(uint8_t hot) {
    return hot != COLD && hot != HOT_select && hot != HOT_eval && hot != HOT_evalsha && hot != HOT_multi
        && hot != HOT_exec && hot != HOT_discard && hot != HOT_watch && hot != HOT_unwatch;
}

/* The TTL that a script sees for a default TTL: see commands/script_calls.py. */
static bool is_endless(Engine *engine, const Session *session, const Command *command, int64_t now_ms) {
    if (command->hot != HOT_ttl && command->hot != HOT_pttl && command->hot != HOT_expiretime
        && command->hot != HOT_pexpiretime)
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    return record && record->flags & RECORD_IMPLICIT;
}

/* The value of a reply at `at` of the log, which ends with it. */
static bool value_of(const Run *run, size_t at, Value *value) {
    const Buffer *log = &run->engine->programs.log;
    const uint8_t *text = log->bytes + at, *line_end = memchr(text, '\r', log->len - at);
    Span line = {text + 1, (size_t)(line_end - text) - 1};
    int64_t number = 0;
    *value = (Value){.kind = LISTED, .where = IN_LOG, .at = at, .len = log->len - at};
    switch (text[0]) {
    case '*':
        return true;
    case ':':
        if (!span_int64(line, &number))
            return false;
        *value = number_value((double)number);
        return true;
    case '+':
        *value = (Value){.kind = STATUS, .where = IN_LOG, .at = at + 1, .len = line.len};
        return true;
    case '$':
        if (line.bytes[0] == '-')
            *value = truth_value(false);
        else
            *value = (Value){.kind = TEXT, .where = IN_LOG, .at = at + line.len + 3,
            .len = log->len - at - line.len - 5};
        return true;
    default:
        return false;
    }
}

static bool gather(Run *run, const Value *values, size_t count, Arg *args) {
    Buffer *made = &run->engine->programs.made;
    size_t start = made->len;
    for (size_t number = 0; number < count; number++) {
        uint8_t digits[NUMBER_BYTES];
        Span text;
        size_t before = made->len;
        if (!argument_of(run, &values[number], digits, &text) || made->len + text.len > LOG_BYTES_MAX
            || !buffer_reserve(made, text.len))
            return false;
        if (values[number].kind == TEXT)
            text = span_of(run, &values[number]); /* it may have moved */
        buffer_append(made, text.bytes, text.len);
        args[number] = (Arg){before - start, text.len};
    }
    return true;
}

/* The engine has no clock. What values and members take is counted, and a run that has moved more goes on in Python,
 * which looks at the clock between two commands and gives way. */
bool programs_has_moved_much(const Engine *engine) {
    return engine->moved - engine->programs.moved_before > RUN_MOVED_BYTES_MAX;
}

/* Runs a command's fast path and puts its reply behind `log`, which has room for a short one. False: it declined, or
 * there is no memory for what it has answered (`broken`). */
bool programs_inside(Engine *engine, Session *session, Command *command, int64_t now_ms, Buffer *log, bool *broken) {
    size_t before = engine->reply.len;
    command->hot = hot_name(command_arg(command, 0));
    if (!is_inside(command->hot) || programs_has_moved_much(engine))
        return false;
    if (hot_has_key(command->hot) && command->argc > 1)
        command->hash = keyspace_hash(engine, command_arg(command, 1));
    if (!hot_run(engine, session, command, now_ms))
        return false;
    bool whole = seal_flush(engine);
    if (is_endless(engine, session, command, now_ms)) {
        whole &= buffer_append(log, ":-1\r\n", 5);
    } else if (!before && !log->len && engine->reply.len > LOG_KEPT_BYTES_MAX) { /* a long one is not copied */
        Buffer emptied = *log;
        *log = engine->reply;
        engine->reply = emptied;
    } else {
        whole &= buffer_append(log, engine->reply.bytes + before, engine->reply.len - before);
    }
    buffer_cut(&engine->reply, before);
    *broken = !whole;
    return whole;
}

/* A command of a script that runs in Lua: its reply, in RESP2, is in `log`. */
bool programs_call(Engine *engine, Session *session, Command *command, int64_t now_ms) {
    Buffer *log = &engine->programs.log;
    int proto = session->proto;
    bool broken = false;
    buffer_clear(log, LOG_KEPT_BYTES_MAX);
    if (!buffer_reserve(log, NUMBER_BYTES))
        return false;
    engine->programs.moved_before = engine->moved;
    session->proto = 2;
    bool done = programs_inside(engine, session, command, now_ms, log, &broken);
    session->proto = proto;
    if (broken) {
        buffer_clear(log, LOG_KEPT_BYTES_MAX);
        done = buffer_append(log, NO_MEMORY, sizeof NO_MEMORY - 1);
    }
    return done;
}

static bool call(Run *run, const Value *values, size_t count, Value *into) {
    Engine *engine = run->engine;
    Programs *programs = &engine->programs;
    Arg args[CALL_ARGS_MAX];
    size_t text_at = programs->made.len, log_at = programs->log.len;
    if (log_at > LOG_BYTES_MAX / 2 || !gather(run, values, count, args)
        || !buffer_reserve(&programs->log, NUMBER_BYTES))
        return false;
    Command command = {.text = programs->made.bytes + text_at, .args = args, .argc = count};
    return programs_inside(engine, run->session, &command, run->now_ms, &programs->log, &run->broken)
        && value_of(run, log_at, into);
}

/* The time as Redis's TIME has it, in whole seconds; the log has it as a reply, for Lua to see the same. */
static bool tell_time(Run *run, Value *into) {
    Buffer *log = &run->engine->programs.log;
    uint8_t digits[20], text[64];
    size_t len = digits_of(run->now_ms / 1000, digits), at = log->len;
    int whole = snprintf((char *)text, sizeof text, "*1\r\n$%zu\r\n%.*s\r\n", len, (int)len, (const char *)digits);
    if (!buffer_append(log, text, (size_t)whole))
        return false;
    *into = (Value){.kind = TEXT, .where = IN_LOG, .at = at + (size_t)whole - 2 - len, .len = len};
    return true;
}

static bool concatenate(Run *run, const Value *left, const Value *right, Value *into) {
    Buffer *made = &run->engine->programs.made;
    uint8_t digits[2][NUMBER_BYTES];
    Span one, two;
    size_t at = made->len;
    if (!text_of(run, left, digits[0], &one) || !text_of(run, right, digits[1], &two)
        || at + one.len + two.len > LOG_BYTES_MAX || !buffer_reserve(made, one.len + two.len))
        return false;
    text_of(run, left, digits[0], &one); /* they may have moved */
    text_of(run, right, digits[1], &two);
    buffer_append(made, one.bytes, one.len);
    buffer_append(made, two.bytes, two.len);
    *into = (Value){.kind = TEXT, .where = IN_MADE, .at = at, .len = one.len + two.len};
    return true;
}

static bool equal(const Run *run, const Value *left, const Value *right, Value *into) {
    if (left->kind >= STATUS || right->kind >= STATUS)
        return false;
    bool same = left->kind == right->kind;
    if (same && left->kind == NUMBER)
        same = left->number == right->number;
    if (same && left->kind == TEXT) {
        Span one = span_of(run, left), two = span_of(run, right);
        same = one.len == two.len && (!one.len || !memcmp(one.bytes, two.bytes, one.len));
    }
    *into = truth_value(same);
    return true;
}

static bool of_one(Run *run, uint16_t op, const Value *value, Value *into) {
    uint8_t digits[NUMBER_BYTES];
    Span text;
    double number;
    switch (op) {
    case OP_NOT:
        *into = truth_value(is_false(value));
        return true;
    case OP_LEN:
        if (value->kind != TEXT)
            return false;
        *into = number_value((double)value->len);
        return true;
    case OP_STRING:
        if (value->kind == TEXT) {
            *into = *value;
            return true;
        }
        return text_of(run, value, digits, &text)
            && concatenate(run, value, &(Value){.kind = TEXT, .bytes = digits}, into);
    case OP_NUMBER:
        if (value->kind != NUMBER && value->kind != TEXT) {
            *into = (Value){.kind = NIL};
            return true;
        }
        break;
    default:;
    }
    if (!number_of(run, value, &number))
        return false;
    if (op == OP_FLOOR)
        number = rounded_down(number);
    else if (op == OP_CEIL)
        number = -rounded_down(-number);
    else if (op == OP_ABS)
        number = number < 0 ? -number : number;
    if (op == OP_CEIL && number == 0) {
        if (value->kind == NUMBER ? value->number < 0 : span_of(run, value).bytes[0] == '-')
            return false; /* -0 */
        number = 0;
    }
    *into = number_value(number);
    return true;
}

static bool of_two(const Run *run, uint16_t op, const Value *left, const Value *right, Value *into) {
    double one, two, found;
    if (op == OP_LT || op == OP_LE) {
        if (left->kind != NUMBER || right->kind != NUMBER)
            return false;
        *into = truth_value(op == OP_LT ? left->number < right->number : left->number <= right->number);
        return true;
    }
    if (!number_of(run, left, &one) || !number_of(run, right, &two) || ((op == OP_DIV || op == OP_MOD) && two == 0))
        return false;
    switch (op) {
    case OP_ADD: found = one + two; break;
    case OP_SUB: found = one - two; break;
    case OP_MUL: found = one * two; break;
    case OP_DIV: found = one / two; break;
    case OP_MOD: found = one - rounded_down(one / two) * two; break;
    case OP_MIN: found = two < one ? two : one; break;
    default: found = two > one ? two : one;
    }
    *into = number_value(found);
    return is_ordinary(found);
}

/* -- the answer ---------------------------------------------------------------------------------- */
static bool has_answer(const Run *run, const Value *value) {
    return (value->kind != NUMBER || (value->number < EXACT_MAX && value->number > -EXACT_MAX))
        && (value->kind != LISTED || run->session->proto == 2);
}

static void say(Run *run, const Value *value) {
    Engine *engine = run->engine;
    Span text = span_of(run, value);
    switch (value->kind) {
    case NUMBER:
        reply_integer(engine, ':', (int64_t)value->number);
        return;
    case TRUE:
        reply_integer(engine, ':', 1);
        return;
    case TEXT:
        reply_bulk(engine, text);
        return;
    case STATUS:
        reply_text(engine, "+", 1);
        reply_text(engine, (const char *)text.bytes, text.len);
        reply_text(engine, "\r\n", 2);
        return;
    case LISTED:
        reply_text(engine, (const char *)text.bytes, text.len);
        return;
    default:
        reply_nil(engine, run->session->proto);
    }
}

/* One value, or a list that ends at the first nil. */
static bool answer(Run *run, const Value *values, size_t count, bool is_list) {
    size_t room = REPLY_HEAD_BYTES, said = 0;
    while (said < count && (!is_list || values[said].kind != NIL)) {
        if (!has_answer(run, &values[said]))
            return false;
        room += REPLY_HEAD_BYTES + values[said++].len;
    }
    if (!reply_reserve(run->engine, room))
        return false;
    if (is_list)
        reply_integer(run->engine, '*', (int64_t)said);
    for (size_t number = 0; number < said; number++)
        say(run, &values[number]);
    return true;
}

/* True: the step that returns is in `last`. */
static bool run_steps(Run *run, const Step **last) {
    Value *values = run->values;
    const Step *step = run->taught->step;
    for (size_t left = RUN_STEPS_MAX; left; left--) {
        const Step *now = step++;
        Value *into = &values[now->a % REGISTERS_MAX]; /* `is_sound` has checked those that are registers */
        const Value *left_value = &values[now->b % REGISTERS_MAX], *right_value = &values[now->c % REGISTERS_MAX];
        switch (now->op) {
        case OP_NIL:
            *into = (Value){.kind = NIL};
            break;
        case OP_BOOL:
            *into = truth_value(now->b);
            break;
        case OP_CONST: {
            const Constant *constant = &run->taught->constant[now->b];
            *into = constant->is_text ? text_value(constant->text) : number_value(constant->number);
            break;
        }
        case OP_MOVE:
            *into = *left_value;
            break;
        case OP_KEY:
        case OP_ARG:
            if (left_value->kind != NUMBER)
                return false;
            *into = member(run, now->op == OP_KEY, left_value);
            break;
        case OP_COUNT:
            *into = number_value((double)(now->b ? run->command->argc - 3 - run->keys : run->keys));
            break;
        case OP_CALL:
            if (!call(run, left_value, now->c, into))
                return false;
            break;
        case OP_TIME:
            if (!tell_time(run, into))
                return false;
            break;
        case OP_JUMP:
            step = run->taught->step + now->a;
            break;
        case OP_UNLESS:
        case OP_WHEN:
            if (is_false(left_value) == (now->op == OP_UNLESS))
                step = run->taught->step + now->a;
            break;
        case OP_RETURN:
        case OP_RETURN_LIST:
            *last = now;
            return true;
        case OP_CONCAT:
            if (!concatenate(run, left_value, right_value, into))
                return false;
            break;
        case OP_EQ:
            if (!equal(run, left_value, right_value, into))
                return false;
            break;
        case OP_LEN: case OP_NOT: case OP_NUMBER: case OP_STRING: case OP_FLOOR: case OP_CEIL: case OP_ABS:
            if (!of_one(run, now->op, left_value, into))
                return false;
            break;
        default:
            if (!of_two(run, now->op, left_value, right_value, into))
                return false;
        }
    }
    return false;
}

static void forget(Engine *engine, bool with_log) {
    buffer_clear(&engine->programs.made, LOG_KEPT_BYTES_MAX);
    if (with_log)
        buffer_clear(&engine->programs.log, LOG_KEPT_BYTES_MAX);
}

static bool run_program(Engine *engine, Session *session, const Command *command, const Taught *taught, size_t keys,
    int64_t now_ms, bool *broken) {
    Run run = {.engine = engine, .session = session, .command = command, .taught = taught, .now_ms = now_ms,
        .keys = keys};
    int proto = session->proto;
    const Step *last = NULL;
    session->proto = 2; /* protocol of replies to a script */
    bool done = run_steps(&run, &last);
    session->proto = proto;
    *broken = run.broken;
    return done
        && answer(&run, &run.values[last->a], last->op == OP_RETURN ? 1 : last->b, last->op == OP_RETURN_LIST);
}

/* EVALSHA digest count [key ...] [argument ...], and EVAL with the text. */
static bool evaluate(Engine *engine, Session *session, const Command *command, int64_t now_ms) {
    int64_t keys;
    Taught *taught;
    forget(engine, true);
    if (command->argc < 3 || command->argc > HOT_ARGS_MAX || !span_int64(command_arg(command, 2), &keys) || keys < 0
        || (uint64_t)keys > command->argc - 3 || !(taught = taught_find(engine, command_arg(command, 1)))
        || !reply_reserve(engine, sizeof NO_MEMORY))
        return false;
    engine->programs.moved_before = engine->moved;
    bool broken = false, done = taught->is_program
        && run_program(engine, session, command, taught, (size_t)keys, now_ms, &broken);
    if (!done && !broken && taught->script)
        done = lua_evaluate(engine, session, command, taught, (size_t)keys, now_ms, &broken);
    if (broken && reply_reserve(engine, sizeof NO_MEMORY)) {
        reply_text(engine, NO_MEMORY, sizeof NO_MEMORY - 1);
        done = true;
    }
    forget(engine, done);
    return done;
}

SAME(eval, evaluate)
SAME(evalsha, evaluate)
