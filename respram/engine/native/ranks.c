/* Hot commands of sorted sets: one member at a time, where the set is there. The twin of pure/ranks.py. */
#include "hot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 15           /* a double holds so many to the last of them */
#define WHOLE_MAX 1e15          /* below it a whole number is written without a library */
#define TOLD_BYTES_MAX 32       /* "-1.7976931348623157e+308" is the longest */
#define REPLY_BYTES_MAX (REPLY_HEAD_BYTES + TOLD_BYTES_MAX)
#define RANKED_AT_ONCE 32       /* members that a range takes out of the order together */

static const double POWERS[DIGITS_MAX + 1] =
    {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* A plain number of few digits: they and the power of ten are exact, so one division rounds as `strtod` does. */
static bool plain(Span word, double *score) {
    size_t at = word.len && word.bytes[0] == '-', digits = 0, fraction = 0;
    uint64_t number = 0;
    bool dotted = false;
    for (; at < word.len; at++) {
        uint8_t byte = word.bytes[at];
        if (byte == '.' && !dotted && digits) {
            dotted = true;
        } else if (byte >= '0' && byte <= '9' && digits < DIGITS_MAX) {
            number = number * 10 + (byte - '0');
            digits++;
            fraction += dotted;
        } else {
            return false;
        }
    }
    if (!digits)
        return false;
    *score = (double)number / POWERS[fraction];
    if (word.bytes[0] == '-')
        *score = -*score;
    return true;
}

static void reply_score(Engine *engine, const Session *session, double score) {
    char digits[TOLD_BYTES_MAX];
    size_t len;
    if (fabs(score) < WHOLE_MAX && score == (double)(int64_t)score && !(score == 0 && signbit(score)))
        len = digits_of((int64_t)score, (uint8_t *)digits);
    else if (isinf(score))
        len = (size_t)snprintf(digits, sizeof digits, score > 0 ? "inf" : "-inf");
    else
        len = (size_t)snprintf(digits, sizeof digits, "%.17g", score);
    if (session->proto == 3) {
        reply_text(engine, ",", 1);
        reply_text(engine, digits, len);
        reply_text(engine, "\r\n", 2);
    } else {
        reply_bulk(engine, (Span){(const uint8_t *)digits, len});
    }
    wipe(digits, sizeof digits);
}

/* The head of a sorted set, or NULL where there is no key. False: another kind of key. */
static bool head_of(Engine *engine, const Session *session, const Command *command, int64_t now_ms, Record **head) {
    *head = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    return !*head || record_kind(*head) == ZSET;
}

/* A member that is there under another score, or a new one. What it has of a deadline stays. */
static bool put(Engine *engine, Record *head, const Record *member, Span name, double score, int64_t now_ms,
    bool *is_new,
                bool *is_changed) {
    *is_new = false;
    *is_changed = !member || *score_of(engine, member) != score;
    if (!*is_changed)
        return true;
    uint8_t value[sizeof score];
    score += 0.0; /* no -0 is kept: see commands/scores.py */
    memcpy(value, &score, sizeof score);
    int64_t own_ms = member && !(member->flags & RECORD_IMPLICIT) ? record_deadline_ms(member) : 0;
    bool stored = family_put(engine, head, name, (Span){value, sizeof value}, own_ms, now_ms, is_new);
    wipe(value, sizeof value);
    return stored;
}

/* What ZADD and ZINCRBY share: the set has to be there. */
static bool change(Engine *engine, Session *session, const Command *command, bool adds_up, int64_t now_ms) {
    Record *head;
    double score;
    bool is_new, is_changed;
    if (command->argc != 4 || !plain(command_arg(command, 2), &score) || engine_full(engine)
        || !head_of(engine, session, command, now_ms, &head) || !head || !reply_reserve(engine, REPLY_BYTES_MAX))
        return false;
    Span name = command_arg(command, 3);
    if (name.len > HOT_BYTES_MAX)
        return false;
    const Record *member = family_find(engine, head, name, now_ms);
    if (adds_up && member)
        score += *score_of(engine, member);
    if (isnan(score) || !put(engine, head, member, name, score, now_ms, &is_new, &is_changed))
        return false;
    engine->hits++;
    if (is_changed)
        engine_note(engine, adds_up ? NOTE_ZINCR : NOTE_PUT + ZSET - HASH, session->db, command_arg(command, 1));
    if (adds_up)
        reply_score(engine, session, score);
    else
        reply_integer(engine, ':', is_new);
    return true;
}

HANDLER(zadd) {
    return change(engine, session, command, false, now_ms);
}

HANDLER(zincrby) {
    return change(engine, session, command, true, now_ms);
}

/* A member for a command that reads; its key is counted as a hit or a miss. False: it is for `dispatch`. */
static bool find(Engine *engine, Session *session, const Command *command, int64_t now_ms, Record **head,
    const Record **member) {
    if (command->argc != 3 || !head_of(engine, session, command, now_ms, head)
        || !reply_reserve(engine, REPLY_BYTES_MAX))
        return false;
    *member = *head ? family_find(engine, *head, command_arg(command, 2), now_ms) : NULL;
    engine->hits += *head != NULL;
    engine->misses += *head == NULL;
    return true;
}

HANDLER(zscore) {
    Record *head;
    const Record *member;
    if (!find(engine, session, command, now_ms, &head, &member))
        return false;
    if (member)
        reply_score(engine, session, *score_of(engine, member));
    else
        reply_nil(engine, session->proto);
    return true;
}

HANDLER(zrank) {
    Record *head;
    const Record *member;
    if (!find(engine, session, command, now_ms, &head, &member))
        return false;
    Span name = command_arg(command, 2);
    if (member)
        reply_integer(engine, ':',
        (int64_t)family_place(engine, head, *score_of(engine, member), &name, false, now_ms));
    else
        reply_nil(engine, session->proto);
    return true;
}

HANDLER(zcard) {
    Record *head;
    if (command->argc != 2 || !head_of(engine, session, command, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Family *family = head ? family_of(engine, head) : NULL;
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    reply_integer(engine, ':', family ? (int64_t)(family->count - family->dying) : 0);
    return true;
}

/* -- ranges ---------------------------------------------------------------------------------------- */
typedef struct Told { /* of a range, in ranks */
    uint64_t start, count;
    bool downwards, scores;
} Told;

/* False: the reply would be longer than what is made here. Then nothing is said. */
static bool reply_members(Engine *engine, const Session *session, const Family *family, Told told) {
    size_t before = engine->reply.len, bytes = 0;
    bool nested = told.scores && session->proto == 3;
    if (!reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    reply_integer(engine, '*', (int64_t)(told.scores && !nested ? 2 * told.count : told.count));
    while (told.count) {
        Ranked found[RANKED_AT_ONCE];
        size_t wanted = told.count < RANKED_AT_ONCE ? (size_t)told.count : RANKED_AT_ONCE, room = 0;
        size_t got = order_from_rank(&family->order, told.start, wanted, told.downwards, found);
        always(got == wanted);
        for (size_t number = 0; number < got; number++)
            __builtin_prefetch(found[number].record);
        for (size_t number = 0; number < got; number++)
            room += 2 * REPLY_HEAD_BYTES + found[number].record->key_bytes + (told.scores ? REPLY_BYTES_MAX : 0);
        bytes += room;
        if (bytes > HOT_REPLY_BYTES_MAX || !reply_reserve(engine, room)) {
            buffer_cut(&engine->reply, before);
            return false;
        }
        for (size_t number = 0; number < got; number++) {
            if (nested)
                reply_integer(engine, '*', 2);
            reply_bulk(engine, member_name(record_key(found[number].record)));
            if (told.scores)
                reply_score(engine, session, found[number].score);
        }
        told.start = told.downwards ? told.start - got : told.start + got;
        told.count -= got;
    }
    engine->moved += bytes;
    return true;
}

/* What both do once the words are read: `family` is NULL where there is no key. */
static bool tell(Engine *engine, const Session *session, const Family *family, Told told) {
    if (!family)
        told.count = 0;
    if (!reply_members(engine, session, family, told))
        return false;
    engine->hits += family != NULL;
    engine->misses += family == NULL;
    return true;
}

HANDLER(zrange) {
    Record *head;
    Told told = {0};
    int64_t first, last;
    if (command->argc < 4 || command->argc > 6 || !span_int64(command_arg(command, 2), &first)
        || !span_int64(command_arg(command, 3), &last))
        return false;
    for (size_t number = 4; number < command->argc; number++) {
        Span word = command_arg(command, number);
        if (IS(word, "withscores"))
            told.scores = true;
        else if (IS(word, "rev") && !told.downwards)
            told.downwards = true;
        else
            return false;
    }
    if (!head_of(engine, session, command, now_ms, &head))
        return false;
    const Family *family = head ? family_of(engine, head) : NULL;
    int64_t size = family ? (int64_t)order_count(&family->order) : 0;
    int64_t start = first < 0 ? first + size : first, end = last < 0 ? last + size : last;
    if (start < 0)
        start = 0;
    if (end >= size)
        end = size - 1;
    if (start <= end) {
        told.count = (uint64_t)(end - start) + 1;
        told.start = (uint64_t)(told.downwards ? size - 1 - start : start);
    }
    return tell(engine, session, family, told);
}

/* An end of a range of scores, in the forms that are no work to read. */
static bool bound_of(Span word, double *score, bool *exclusive) {
    *exclusive = word.len && word.bytes[0] == '(';
    if (*exclusive)
        word = (Span){word.bytes + 1, word.len - 1};
    uint8_t sign = word.len == 4 ? word.bytes[0] : 0;
    if (sign == '+' || sign == '-')
        word = (Span){word.bytes + 1, 3};
    if (IS(word, "inf"))
        *score = sign == '-' ? -INFINITY : INFINITY;
    else
        return plain(sign == '+' || sign == '-' ? (Span){word.bytes - 1, 4} : word, score);
    return true;
}

HANDLER(zrangebyscore) {
    Record *head;
    Told told = {0};
    double low, high;
    bool above, below;
    int64_t offset = 0, limit = -1;
    if (command->argc < 4 || command->argc > 8 || !bound_of(command_arg(command, 2), &low, &above)
        || !bound_of(command_arg(command, 3), &high, &below))
        return false;
    for (size_t number = 4; number < command->argc; number++) {
        Span word = command_arg(command, number);
        if (IS(word, "withscores")) {
            told.scores = true;
        } else if (IS(word, "limit") && number + 2 < command->argc
            && span_int64(command_arg(command, number + 1), &offset)
                   && span_int64(command_arg(command, number + 2), &limit)) {
            number += 2;
        } else {
            return false;
        }
    }
    if (!head_of(engine, session, command, now_ms, &head))
        return false;
    const Family *family = head ? family_of(engine, head) : NULL;
    if (family) {
        uint64_t start = order_place(&family->order, low, NULL, above),
            stop = order_place(&family->order, high, NULL, !below);
        if (offset >= 0 && start < stop && (uint64_t)offset < stop - start) {
            told.start = start + (uint64_t)offset;
            told.count = stop - told.start;
            if (limit >= 0 && (uint64_t)limit < told.count)
                told.count = (uint64_t)limit;
        }
    }
    return tell(engine, session, family, told);
}
