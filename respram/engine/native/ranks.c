/* Hot commands of sorted sets: members by name, by rank and by score. The twin of pure/ranks.py. */
#include "hot.h"

#include <math.h>
#include <stdio.h>

#define DIGITS_MAX 15           /* digits that a double represents exactly */
#define WHOLE_MAX 1e15          /* smaller whole numbers are formatted here */
#define LET_GO_AT_ONCE 1024     /* members that one command removes; `dispatch` removes more */
#define STORED_AT_ONCE 8192     /* members that one command stores, about 1 ms; `dispatch` stores more */
#define RANKED_AT_ONCE 32       /* members that a range reads from the order at a time */

static const double POWERS[DIGITS_MAX + 1] =
    {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* A plain number of few digits: they and the power of ten are exact, so one division rounds as `strtod` does. */
bool plain_score(Span word, double *score) {
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

/* A score as it is told: 17 digits, as Redis 7.0 tells it. */
size_t score_digits(double score, char digits[SCORE_BYTES_MAX]) {
    if (fabs(score) < WHOLE_MAX && score == (double)(int64_t)score && !(score == 0 && signbit(score)))
        return digits_of((int64_t)score, (uint8_t *)digits);
    if (isinf(score))
        return (size_t)snprintf(digits, SCORE_BYTES_MAX, score > 0 ? "inf" : "-inf");
    return (size_t)snprintf(digits, SCORE_BYTES_MAX, "%.17g", score);
}

void reply_score(Engine *engine, int proto, double score) {
    char digits[SCORE_BYTES_MAX];
    size_t len = score_digits(score, digits);
    if (proto == 3) {
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

HANDLER(zrem) { return let_go_members(engine, session, command, ZSET, now_ms); }

/* A member for a command that reads; its key is counted as a hit or a miss. False: it is for `dispatch`. */
static bool find(Engine *engine, Session *session, const Command *command, int64_t now_ms, Record **head,
    const Record **member) {
    if (command->argc != 3 || !head_of(engine, session, command, now_ms, head)
        || !reply_reserve(engine, SCORE_REPLY_BYTES_MAX))
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
        reply_score(engine, session->proto, *score_of(engine, member));
    else
        reply_nil(engine, session->proto);
    return true;
}

HANDLER(zmscore) {
    Record *head;
    if (command->argc < 3 || command->argc > HOT_ARGS_MAX || !head_of(engine, session, command, now_ms, &head)
        || !reply_reserve(engine, SCORE_REPLY_BYTES_MAX * command->argc))
        return false;
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    reply_integer(engine, '*', (int64_t)command->argc - 2);
    for (size_t number = 2; number < command->argc; number++) {
        const Record *member = head ? family_find(engine, head, command_arg(command, number), now_ms) : NULL;
        if (member)
            reply_score(engine, session->proto, *score_of(engine, member));
        else
            reply_nil(engine, session->proto);
    }
    return true;
}

/* ZRANK and ZREVRANK. */
static bool rank(Engine *engine, Session *session, const Command *command, bool downwards, int64_t now_ms) {
    Record *head;
    const Record *member;
    if (!find(engine, session, command, now_ms, &head, &member))
        return false;
    Span name = command_arg(command, 2);
    if (member) {
        int64_t place = (int64_t)family_place(engine, head, *score_of(engine, member), &name, false, now_ms);
        reply_integer(engine, ':',
                      downwards ? (int64_t)order_count(&family_of(engine, head)->order) - 1 - place : place);
    } else {
        reply_nil(engine, session->proto);
    }
    return true;
}

HANDLER(zrank) { return rank(engine, session, command, false, now_ms); }
HANDLER(zrevrank) { return rank(engine, session, command, true, now_ms); }

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
typedef struct Told { /* range of ranks */
    uint64_t start, count;
    bool downwards, scores;
    bool flat;   /* RESP3 has no pairs here either */
    bool nested; /* RESP2 has pairs here, too */
} Told;

/* False: the reply would be longer than what is made here. Then nothing is said. */
static bool reply_members(Engine *engine, const Session *session, const Family *family, Told told) {
    size_t before = engine->reply.len, bytes = 0;
    bool nested = told.nested || (told.scores && session->proto == 3 && !told.flat);
    if (told.count > HOT_REPLY_BYTES_MAX / (2 * REPLY_HEAD_BYTES + (told.scores ? SCORE_REPLY_BYTES_MAX : 0))
        || (session->retried && told.count > RETRIED_MEMBERS_MAX))
        return false;
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
            room += 2 * REPLY_HEAD_BYTES + record_key_bytes(found[number].record)
                    + (told.scores ? SCORE_REPLY_BYTES_MAX : 0);
        bytes += room;
        if (bytes > HOT_REPLY_BYTES_MAX || !reply_reserve(engine, room)) {
            buffer_cut(&engine->reply, before);
            return false;
        }
        for (size_t number = 0; number < got; number++) {
            if (nested)
                reply_integer(engine, '*', 2);
            reply_bulk(engine, record_key(found[number].record));
            if (told.scores)
                reply_score(engine, session->proto, found[number].score);
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
        return plain_score(sign == '+' || sign == '-' ? (Span){word.bytes - 1, 4} : word, score);
    return true;
}

typedef struct Words { /* after the key and the two ends */
    bool by_score, by_name, downwards, scores, limited;
    int64_t offset, limit;
} Words;

/* `free`: they may say kind and direction, too. False: what `dispatch` has to judge. */
static bool range_words(const Command *command, size_t first, bool free, Words *words) {
    bool kinded = !free, turned = !free;
    words->limit = -1;
    for (size_t number = first; number < command->argc; number++) {
        Span word = command_arg(command, number);
        if (IS(word, "withscores")) {
            words->scores = true;
        } else if (IS(word, "limit") && number + 2 < command->argc
                   && span_int64(command_arg(command, number + 1), &words->offset)
                   && span_int64(command_arg(command, number + 2), &words->limit)) {
            words->limited = true;
            number += 2;
        } else if (IS(word, "rev") && !turned) {
            words->downwards = turned = true;
        } else if (IS(word, "byscore") && !kinded) {
            words->by_score = kinded = true;
        } else if (IS(word, "bylex") && !kinded) {
            words->by_name = kinded = true;
        } else {
            return false;
        }
    }
    return words->by_name ? !words->scores : words->by_score || !words->limited;
}

/* The ranks between two ranks; below 0 they count from the end. */
static void cover_ranks(const Family *family, int64_t first, int64_t last, Told *told) {
    int64_t size = family ? (int64_t)order_count(&family->order) : 0;
    int64_t start = first < 0 ? first + size : first, end = last < 0 ? last + size : last;
    if (start < 0)
        start = 0;
    if (end >= size)
        end = size - 1;
    if (start <= end) {
        told->count = (uint64_t)(end - start) + 1;
        told->start = (uint64_t)(told->downwards ? size - 1 - start : start);
    }
}

typedef struct Ends { /* ends of a range of scores */
    double low, high;
    bool above, below; /* the end is excluded */
} Ends;

static bool read_ends(Span low, Span high, Ends *ends) {
    return bound_of(low, &ends->low, &ends->above) && bound_of(high, &ends->high, &ends->below);
}

typedef struct NameEnd { /* ends of a range of names */
    Span name;
    int beyond; /* negative: before all, positive: after all, 0: `name` decides */
    bool exclusive;
} NameEnd;

/* Its first rank, and how many it has. */
static uint64_t cover_scores(const Family *family, const Ends *ends, uint64_t *start) {
    *start = order_place(&family->order, ends->low, NULL, ends->above);
    uint64_t stop = order_place(&family->order, ends->high, NULL, !ends->below);
    return stop > *start ? stop - *start : 0;
}

/* One end of a range of names. False: it is none. */
static bool name_bound(Span word, NameEnd *end) {
    *end = (NameEnd){0};
    if (word.len == 1 && (word.bytes[0] == '-' || word.bytes[0] == '+'))
        end->beyond = word.bytes[0] == '+' ? 1 : -1;
    else if (word.len && (word.bytes[0] == '[' || word.bytes[0] == '('))
        *end = (NameEnd){.name = {word.bytes + 1, word.len - 1}, .exclusive = word.bytes[0] == '('};
    else
        return false;
    return true;
}

static uint64_t name_place(const Order *order, double score, const NameEnd *end, bool after) {
    return end->beyond ? (end->beyond < 0 ? 0 : order_count(order)) : order_place(order, score, &end->name, after);
}

/* Its first rank, and how many it has, by the score of the first member: with several scores it is anybody's guess. */
static uint64_t cover_names(const Family *family, const NameEnd ends[2], uint64_t *start) {
    Ranked first;
    *start = 0;
    if (!order_from_rank(&family->order, 0, 1, false, &first))
        return 0;
    *start = name_place(&family->order, first.score, &ends[0], ends[0].exclusive);
    uint64_t stop = name_place(&family->order, first.score, &ends[1], !ends[1].exclusive);
    return stop > *start ? stop - *start : 0;
}

/* The ranks of a range, from the key on, which is argument number `at`. The family is NULL where there is no key.
 * False: it is for `dispatch`. */
static bool cover(Engine *engine, Session *session, const Command *command, size_t at, Words *words, bool free,
                  int64_t now_ms, const Family **family, Told *told) {
    Ends ends;
    NameEnd names[2];
    int64_t first, last;
    if (command->argc < at + 3 || !range_words(command, at + 3, free, words))
        return false;
    Span one = command_arg(command, at + 1), other = command_arg(command, at + 2);
    if (words->by_name ? !name_bound(words->downwards ? other : one, &names[0])
            || !name_bound(words->downwards ? one : other, &names[1])
        : words->by_score ? !read_ends(words->downwards ? other : one, words->downwards ? one : other, &ends)
                          : !span_int64(one, &first) || !span_int64(other, &last))
        return false;
    Span key = command_arg(command, at);
    const Record *head = keyspace_row(engine, session->db, at == 1 ? command->hash : keyspace_hash(engine, key), key,
                                      now_ms);
    if (head && record_kind(head) != ZSET)
        return false;
    *family = head ? family_of(engine, head) : NULL;
    *told = (Told){.downwards = words->downwards, .scores = words->scores};
    if (!words->by_score && !words->by_name) {
        cover_ranks(*family, first, last, told);
    } else if (*family) {
        uint64_t start;
        uint64_t count = words->by_name ? cover_names(*family, names, &start) : cover_scores(*family, &ends, &start);
        if (words->offset >= 0 && (uint64_t)words->offset < count) {
            told->count = count - (uint64_t)words->offset;
            told->start = told->downwards ? start + told->count - 1 : start + (uint64_t)words->offset;
            if (words->limit >= 0 && (uint64_t)words->limit < told->count)
                told->count = (uint64_t)words->limit;
        }
    }
    return true;
}

/* ZRANGE and its older forms. */
static bool range(Engine *engine, Session *session, const Command *command, Words words, bool free, int64_t now_ms) {
    const Family *family;
    Told told;
    return cover(engine, session, command, 1, &words, free, now_ms, &family, &told)
        && tell(engine, session, family, told);
}

/* ZRANGESTORE target key low high ... */
HANDLER(zrangestore) {
    const Family *family;
    Told told;
    Words words = {0};
    Drafted drafted = {.target = command_arg(command, 1), .kind = ZSET};
    if (engine_full(engine) || !reply_reserve(engine, DRAFTED_REPLY_BYTES)
        || !cover(engine, session, command, 2, &words, true, now_ms, &family, &told) || told.scores)
        return false;
    bool done = told.count <= STORED_AT_ONCE;
    while (done && drafted.count < told.count) {
        Ranked found[RANKED_AT_ONCE];
        uint64_t left = told.count - drafted.count;
        size_t wanted = left < RANKED_AT_ONCE ? (size_t)left : RANKED_AT_ONCE;
        uint64_t start = told.downwards ? told.start - drafted.count : told.start + drafted.count;
        size_t got = order_from_rank(&family->order, start, wanted, told.downwards, found);
        always(got == wanted);
        for (size_t number = 0; done && number < got; number++)
            done = drafted_add(engine, &drafted, record_key(found[number].record), found[number].score);
    }
    bool was_there = family != NULL; /* the target may be the source */
    done = done && drafted_store(engine, session, &drafted, NOTE_ZRANGESTORE, now_ms);
    if (done) {
        engine->hits += was_there;
        engine->misses += !was_there;
    }
    drafted_clear(&drafted);
    return done;
}

HANDLER(zrange) { return range(engine, session, command, (Words){0}, true, now_ms); }
HANDLER(zrevrange) { return range(engine, session, command, (Words){.downwards = true}, false, now_ms); }
HANDLER(zrangebyscore) { return range(engine, session, command, (Words){.by_score = true}, false, now_ms); }
HANDLER(zrevrangebyscore) {
    return range(engine, session, command, (Words){.by_score = true, .downwards = true}, false, now_ms);
}

/* Removes members between two ranks, for a user with the right by name. With the last one the key is removed. */
static bool let_go_ranks(Engine *engine, const Session *session, uint64_t hash, Span key, const Record *head, Told told,
                         uint8_t note, int64_t now_ms) {
    if (told.count > LET_GO_AT_ONCE || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    int64_t gone = 0;
    while (told.count) {
        Ranked found[RANKED_AT_ONCE];
        size_t wanted = told.count < RANKED_AT_ONCE ? (size_t)told.count : RANKED_AT_ONCE;
        size_t got = order_from_rank(&family_of(engine, head)->order, told.start, wanted, false, found);
        always(got == wanted);
        for (size_t number = 0; number < got; number++) {
            bool was_there = false;
            if (!family_let_go(engine, head, record_key(found[number].record), now_ms, &was_there))
                return false; /* the removals so far stay, and `dispatch` replies that memory is full */
            gone += was_there;
        }
        told.count -= got; /* later members have moved up to their ranks */
    }
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    if (gone) {
        engine_note(engine, note, session->db, key);
        if (!keyspace_row(engine, session->db, hash, key, now_ms))
            engine_note(engine, NOTE_DEL, session->db, key);
    }
    reply_integer(engine, ':', gone);
    return true;
}

HANDLER(zrangebylex) { return range(engine, session, command, (Words){.by_name = true}, false, now_ms); }
HANDLER(zrevrangebylex) {
    return range(engine, session, command, (Words){.by_name = true, .downwards = true}, false, now_ms);
}

HANDLER(zlexcount) {
    Record *head;
    NameEnd names[2];
    uint64_t start;
    if (command->argc != 4 || !name_bound(command_arg(command, 2), &names[0])
        || !name_bound(command_arg(command, 3), &names[1]) || !head_of(engine, session, command, now_ms, &head)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    reply_integer(engine, ':', head ? (int64_t)cover_names(family_of(engine, head), names, &start) : 0);
    return true;
}

HANDLER(zremrangebylex) {
    Record *head;
    NameEnd names[2];
    Told told = {0};
    if (command->argc != 4 || !name_bound(command_arg(command, 2), &names[0])
        || !name_bound(command_arg(command, 3), &names[1]) || !head_of(engine, session, command, now_ms, &head))
        return false;
    if (head)
        told.count = cover_names(family_of(engine, head), names, &told.start);
    return let_go_ranks(engine, session, command->hash, command_arg(command, 1), head, told, NOTE_ZREMRANGEBYLEX,
                        now_ms);
}

/* The lowest or highest members: told first, then removed. False: nothing was said, and it is for `dispatch`. */
static bool pop(Engine *engine, Session *session, uint64_t hash, Span key, const Record *head, uint64_t count,
                bool highest, Told told, int64_t now_ms) {
    const Family *family = head ? family_of(engine, head) : NULL;
    uint64_t size = family ? order_count(&family->order) : 0;
    told.scores = true;
    told.downwards = highest;
    told.count = count < size ? count : size;
    told.start = highest && size ? size - 1 : 0;
    size_t reply_start = engine->reply.len;
    if (told.count > LET_GO_AT_ONCE || !reply_members(engine, session, family, told))
        return false;
    Told gone = {.start = highest ? size - told.count : 0, .count = told.count};
    size_t told_end = engine->reply.len;
    if (!let_go_ranks(engine, session, hash, key, head, gone, highest ? NOTE_ZPOPMAX : NOTE_ZPOPMIN, now_ms)) {
        buffer_cut(&engine->reply, reply_start);
        return false;
    }
    engine->reply.len = told_end; /* before the number's digits */
    return true;
}

/* ZPOPMIN and ZPOPMAX, for whom they were given by name. */
static bool pop_one(Engine *engine, Session *session, const Command *command, bool highest, int64_t now_ms) {
    Record *head;
    int64_t count = 1;
    if (command->argc < 2 || command->argc > 3
        || (command->argc == 3 && (!span_int64(command_arg(command, 2), &count) || count < 0))
        || !head_of(engine, session, command, now_ms, &head) || !reply_reserve(engine, 2 * REPLY_HEAD_BYTES))
        return false;
    return pop(engine, session, command->hash, command_arg(command, 1), head, (uint64_t)count, highest,
               (Told){.flat = command->argc == 2}, now_ms);
}

HANDLER(zpopmin) { return pop_one(engine, session, command, false, now_ms); }
HANDLER(zpopmax) { return pop_one(engine, session, command, true, now_ms); }

/* ZMPOP n key ... MIN|MAX [COUNT n]: from the first that is there. */
HANDLER(zmpop) {
    int64_t keys, count = 1;
    if (command->argc < 4 || command->argc > HOT_ARGS_MAX || !span_int64(command_arg(command, 1), &keys) || keys < 1
        || (uint64_t)keys > command->argc - 3)
        return false;
    size_t at = 2 + (size_t)keys;
    Span end = command_arg(command, at);
    bool highest = IS(end, "max");
    if ((!highest && !IS(end, "min"))
        || (at + 1 != command->argc
            && (at + 3 != command->argc || !IS(command_arg(command, at + 1), "count")
                || !span_int64(command_arg(command, at + 2), &count) || count < 1)))
        return false;
    for (size_t number = 2; number < at; number++) {
        Span key = command_arg(command, number);
        uint64_t hash = keyspace_hash(engine, key);
        const Record *head = keyspace_row(engine, session->db, hash, key, now_ms);
        if (!head)
            continue;
        size_t reply_start = engine->reply.len;
        if (record_kind(head) != ZSET || !reply_reserve(engine, 2 * REPLY_HEAD_BYTES + key.len))
            return false;
        reply_integer(engine, '*', 2);
        reply_bulk(engine, key);
        if (!pop(engine, session, hash, key, head, (uint64_t)count, highest, (Told){.nested = true}, now_ms)) {
            buffer_cut(&engine->reply, reply_start);
            return false;
        }
        engine->misses += number - 2;
        return true;
    }
    if (!reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    engine->misses += (uint64_t)keys;
    if (session->proto == 3)
        reply_nil(engine, session->proto);
    else
        reply_text(engine, "*-1\r\n", 5);
    return true;
}

HANDLER(zremrangebyscore) {
    Record *head;
    Ends ends;
    Told told = {0};
    if (command->argc != 4 || !read_ends(command_arg(command, 2), command_arg(command, 3), &ends)
        || !head_of(engine, session, command, now_ms, &head))
        return false;
    if (head)
        told.count = cover_scores(family_of(engine, head), &ends, &told.start);
    return let_go_ranks(engine, session, command->hash, command_arg(command, 1), head, told, NOTE_ZREMRANGEBYSCORE,
                        now_ms);
}

HANDLER(zremrangebyrank) {
    Record *head;
    int64_t first, last;
    Told told = {0};
    if (command->argc != 4 || !span_int64(command_arg(command, 2), &first)
        || !span_int64(command_arg(command, 3), &last) || !head_of(engine, session, command, now_ms, &head))
        return false;
    cover_ranks(head ? family_of(engine, head) : NULL, first, last, &told);
    return let_go_ranks(engine, session, command->hash, command_arg(command, 1), head, told, NOTE_ZREMRANGEBYRANK,
                        now_ms);
}

HANDLER(zcount) {
    Record *head;
    Ends ends;
    uint64_t start;
    if (command->argc != 4 || !read_ends(command_arg(command, 2), command_arg(command, 3), &ends)
        || !head_of(engine, session, command, now_ms, &head) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    reply_integer(engine, ':', head ? (int64_t)cover_scores(family_of(engine, head), &ends, &start) : 0);
    return true;
}
