/* Hot commands about the lives of members: HEXPIRE and its kin, HTTL and its kin, HSETEX, HGETEX, HGETDEL.
 * The twin of pure/lives.py.
 *
 * A new deadline is a write of the same value: it stays sealed as it is. What would be cut, refused or let go of is for
 * `dispatch`.
 */
#include "hot.h"

/* Behind `FIELDS n`: where names begin, each with a value where `width` is 2. 0: it says something else. */
static size_t fields_of(const Command *command, size_t at, size_t width) {
    int64_t count;
    if (command->argc > HOT_ARGS_MAX || at + 2 >= command->argc || !IS(command_arg(command, at), "fields")
        || !span_int64(command_arg(command, at + 1), &count) || count < 1
        || (uint64_t)count * width != command->argc - at - 2)
        return 0;
    return at + 2;
}

/* The same value under a deadline of its own. The head may have another address after this. False: no memory. */
static bool retime_member(Engine *engine, const Command *command, Record **head, Span name, int64_t deadline_ms,
                          int64_t now_ms) {
    if (deadline_ms > record_end_ms(*head)) {
        int db = (*head)->db;
        if (!keyspace_cover(engine, *head, deadline_ms, now_ms))
            return false;
        *head = family_head(engine, db, command->hash, command_arg(command, 1), now_ms);
        always(*head);
    }
    const Record *member = family_find(engine, *head, name, now_ms);
    return member && keyspace_again(engine, member, deadline_ms, false, now_ms, NOTE_NONE);
}

/* A field without a life of its own counts as one that never ends. */
static bool may_retime(char condition, const Record *member, int64_t deadline_ms) {
    bool own = !(member->flags & RECORD_IMPLICIT);
    switch (condition) {
    case 'n':
        return !own;
    case 'x':
        return own;
    case 'g':
        return own && deadline_ms > record_deadline_ms(member);
    case 'l':
        return !own || deadline_ms < record_deadline_ms(member);
    default:
        return true;
    }
}

static char condition_of(Span word) {
    bool is_one = IS(word, "nx") || IS(word, "xx") || IS(word, "gt") || IS(word, "lt");
    return is_one ? (char)(word.bytes[0] | 0x20) : 0;
}

static bool retime(Engine *engine, Session *session, const Command *command, int64_t unit_ms, int64_t from_ms,
                   int64_t now_ms) {
    Record *head;
    int64_t number, ttl_ms;
    if (command->argc < 6)
        return false;
    char condition = condition_of(command_arg(command, 3));
    size_t first = fields_of(command, condition ? 4 : 3, 1);
    if (!first || !span_int64(command_arg(command, 2), &number) || number < 0
        || __builtin_mul_overflow(number, unit_ms, &number) || __builtin_sub_overflow(number, from_ms, &ttl_ms)
        || ttl_ms <= 0 || ttl_ms > engine->settings.max_ttl_ms || engine_full(engine)
        || !collection_at(engine, session, command, 0, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES * (command->argc - first + 1)))
        return false;
    size_t reply_start = engine->reply.len;
    bool there = head != NULL, done = false;
    reply_integer(engine, '*', (int64_t)(command->argc - first));
    for (size_t at = first; at < command->argc; at++) {
        Span name = command_arg(command, at);
        const Record *member = head ? family_find(engine, head, name, now_ms) : NULL;
        if (!member || !may_retime(condition, member, now_ms + ttl_ms)) {
            reply_integer(engine, ':', member ? 0 : -2);
            continue;
        }
        if (!retime_member(engine, command, &head, name, now_ms + ttl_ms, now_ms)) {
            buffer_cut(&engine->reply, reply_start);
            return false; /* the changes so far stay, and `dispatch` replies that memory is full */
        }
        reply_integer(engine, ':', 1);
        done = true;
    }
    engine->hits += there;
    engine->misses += !there;
    if (done)
        engine_note(engine, NOTE_HEXPIRE, session->db, command_arg(command, 1));
    return true;
}

HANDLER(hexpire) { return retime(engine, session, command, 1000, 0, now_ms); }
HANDLER(hpexpire) { return retime(engine, session, command, 1, 0, now_ms); }
HANDLER(hexpireat) { return retime(engine, session, command, 1000, now_ms, now_ms); }
HANDLER(hpexpireat) { return retime(engine, session, command, 1, now_ms, now_ms); }

static bool lives(Engine *engine, Session *session, const Command *command, int64_t unit_ms, int64_t from_ms,
                  int64_t now_ms) {
    Record *head;
    size_t first = fields_of(command, 2, 1);
    if (!first || !collection_at(engine, session, command, 0, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES * (command->argc - first + 1)))
        return false;
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    reply_integer(engine, '*', (int64_t)(command->argc - first));
    for (size_t at = first; at < command->argc; at++) {
        const Record *member = head ? family_find(engine, head, command_arg(command, at), now_ms) : NULL;
        if (!member || member->flags & RECORD_IMPLICIT)
            reply_integer(engine, ':', member ? -1 : -2);
        else
            reply_integer(engine, ':', (record_deadline_ms(member) - from_ms + unit_ms - 1) / unit_ms);
    }
    return true;
}

HANDLER(httl) { return lives(engine, session, command, 1000, now_ms, now_ms); }
HANDLER(hpttl) { return lives(engine, session, command, 1, now_ms, now_ms); }
HANDLER(hexpiretime) { return lives(engine, session, command, 1000, 0, now_ms); }
HANDLER(hpexpiretime) { return lives(engine, session, command, 1, 0, now_ms); }

typedef struct Wanted { /* options of HSETEX, before FIELDS: each at most once */
    int64_t ttl_ms; /* 0: no TTL was given */
    char condition; /* 'n' for FNX or 'x' for FXX */
    bool keeps;
    size_t first;
} Wanted;

static bool read_words(const Engine *engine, const Command *command, int64_t now_ms, Wanted *wanted) {
    size_t at = 2;
    *wanted = (Wanted){0};
    for (; at < command->argc && !IS(command_arg(command, at), "fields"); at++) {
        Span word = command_arg(command, at);
        if (!wanted->condition && (IS(word, "fnx") || IS(word, "fxx")))
            wanted->condition = (char)(word.bytes[1] | 0x20);
        else if (!wanted->ttl_ms && !wanted->keeps && IS(word, "keepttl"))
            wanted->keeps = true;
        else if (wanted->ttl_ms || wanted->keeps || at + 1 == command->argc
                 || !life_from(engine, word, command_arg(command, ++at), now_ms, &wanted->ttl_ms))
            return false;
    }
    wanted->first = fields_of(command, at, 2);
    return wanted->first != 0;
}

HANDLER(hsetex) {
    Record *head;
    Wanted wanted;
    if (!read_words(engine, command, now_ms, &wanted) || engine_full(engine)
        || !members_are_short(engine, command, wanted.first, true)
        || !collection_at(engine, session, command, HASH, now_ms, &head) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    bool there = head != NULL, allowed = true;
    for (size_t at = wanted.first; at < command->argc && wanted.condition && allowed; at += 2) {
        bool found = head && family_find(engine, head, command_arg(command, at), now_ms);
        allowed = found == (wanted.condition == 'x');
    }
    if (allowed && !head && !(head = collection_begun(engine, session, command, HASH, now_ms)))
        return false;
    Span key = command_arg(command, 1);
    for (size_t at = wanted.first; at < command->argc && allowed; at += 2) {
        Span name = command_arg(command, at);
        int64_t own_ms = wanted.ttl_ms ? now_ms + wanted.ttl_ms : 0;
        bool is_new;
        const Record *member = wanted.keeps ? family_find(engine, head, name, now_ms) : NULL;
        if (member && !(member->flags & RECORD_IMPLICIT))
            own_ms = record_deadline_ms(member);
        if (!family_put(engine, head, name, command_arg(command, at + 1), own_ms, now_ms, &is_new))
            return false; /* the fields written so far stay, and `dispatch` replies that memory is full */
        if (own_ms) /* writing may have moved it */
            head = family_head(engine, session->db, command->hash, key, now_ms);
    }
    engine->hits += there;
    engine->misses += !there;
    if (allowed)
        engine_note(engine, NOTE_PUT + HASH - HASH, session->db, key);
    if (allowed && wanted.ttl_ms)
        engine_note(engine, NOTE_HEXPIRE, session->db, key);
    reply_integer(engine, ':', allowed);
    return true;
}

/* The values of the fields named from `first` on. False: they are too long for a fast path, or there is no memory. */
static bool reply_fields(Engine *engine, const Session *session, const Command *command, size_t first,
                         const Record *head, int64_t now_ms, bool *known) {
    size_t value_bytes = 0;
    *known = false;
    reply_integer(engine, '*', (int64_t)(command->argc - first));
    for (size_t at = first; at < command->argc; at++) {
        const Record *member = head ? family_find(engine, head, command_arg(command, at), now_ms) : NULL;
        value_bytes += member ? record_value_bytes(member) : 0;
        if (value_bytes > HOT_REPLY_BYTES_MAX
            || !reply_reserve(engine, REPLY_HEAD_BYTES + (member ? record_value_bytes(member) : 0)))
            return false;
        if (member)
            reply_value(engine, member);
        else
            reply_nil(engine, session->proto);
        *known |= member != NULL;
    }
    return true;
}

/* HGETEX key [EX s | PX ms | EXAT s | PXAT ms] FIELDS n field ... */
HANDLER(hgetex) {
    Record *head;
    int64_t ttl_ms = 0;
    if (command->argc < 5)
        return false;
    bool timed = !IS(command_arg(command, 2), "fields");
    size_t first = fields_of(command, timed ? 4 : 2, 1);
    if (!first
        || (timed && !life_from(engine, command_arg(command, 2), command_arg(command, 3), now_ms, &ttl_ms))
        || !collection_at(engine, session, command, HASH, now_ms, &head) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    size_t reply_start = engine->reply.len;
    uint64_t moved = engine->moved;
    bool there = head != NULL, known = false;
    if (!reply_fields(engine, session, command, first, head, now_ms, &known))
        return reply_take_back(engine, reply_start, moved);
    for (size_t at = first; at < command->argc && ttl_ms && known; at++) {
        Span name = command_arg(command, at);
        if (family_find(engine, head, name, now_ms)
            && !retime_member(engine, command, &head, name, now_ms + ttl_ms, now_ms))
            return reply_take_back(engine, reply_start, moved);
    }
    engine->hits += there;
    engine->misses += !there;
    if (ttl_ms && known)
        engine_note(engine, NOTE_HEXPIRE, session->db, command_arg(command, 1));
    return true;
}

/* HGETDEL key FIELDS n field ..., for whom it was given by name: told first, then let go of. */
HANDLER(hgetdel) {
    Record *head;
    size_t first = fields_of(command, 2, 1);
    if (!first || !collection_at(engine, session, command, HASH, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    size_t reply_start = engine->reply.len;
    uint64_t moved = engine->moved;
    bool known = false;
    if (!reply_fields(engine, session, command, first, head, now_ms, &known))
        return reply_take_back(engine, reply_start, moved);
    for (size_t at = first; at < command->argc && known; at++) {
        bool found = false;
        if (!family_let_go(engine, head, command_arg(command, at), now_ms, &found))
            return reply_take_back(engine, reply_start, moved); /* `dispatch` says that there is no memory */
    }
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    Span key = command_arg(command, 1);
    if (known) {
        engine_note(engine, NOTE_LET_GO, session->db, key);
        if (!keyspace_row(engine, session->db, command->hash, key, now_ms))
            engine_note(engine, NOTE_DEL, session->db, key);
    }
    return true;
}
