/* Hot commands of several sorted sets. Sets take part too, with score 1 for each member. The twin of pure/algebra.py.
 *
 * Members are looked up by name in the other sources. Scores are added up from the smallest source to the largest, as
 * Redis does: a sum of doubles depends on the order of its parts. A command with too many lookups is for `dispatch`.
 */
#include "hot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IN_ANY, IN_ALL, IN_NONE };   /* union, intersection, difference */
enum { SUM, LEAST, GREATEST };      /* of the scores that a member has */
enum { TAKES_WITHSCORES = 1, TAKES_WEIGHTS = 2, TAKES_LIMIT = 4 };

typedef struct Source {
    Span key;
    const Record *head; /* NULL: the key does not exist */
    uint64_t size;
    double weight;
} Source;

typedef struct Operation {
    Source sources[SOURCES_MAX];
    size_t count;
    int rule, aggregate;
    bool scores;      /* they are told */
    bool counts_alone; /* nobody asks which members they are */
    uint64_t most;
    Buffer items; /* the result, as Ranked */
    size_t chosen, looks;
} Operation;

static bool aggregate_of(Span word, int *aggregate) {
    if (IS(word, "sum"))
        *aggregate = SUM;
    else if (IS(word, "min"))
        *aggregate = LEAST;
    else if (IS(word, "max"))
        *aggregate = GREATEST;
    else
        return false;
    return true;
}

/* From the number of keys on. False: `dispatch` judges. */
static bool read_operation(const Command *command, size_t at, int rule, unsigned takes, Operation *operation) {
    int64_t keys, limit;
    *operation = (Operation){.rule = rule, .most = UINT64_MAX};
    if (at >= command->argc || !span_int64(command_arg(command, at), &keys) || keys < 1 || keys > SOURCES_MAX
        || (uint64_t)keys > command->argc - at - 1)
        return false;
    operation->count = (size_t)keys;
    for (size_t number = 0; number < operation->count; number++)
        operation->sources[number] = (Source){.key = command_arg(command, at + 1 + number), .weight = 1};
    for (at += 1 + operation->count; at < command->argc; at++) {
        Span word = command_arg(command, at);
        size_t left = command->argc - at;
        if (takes & TAKES_WEIGHTS && IS(word, "weights") && left > operation->count) {
            for (size_t number = 0; number < operation->count; number++)
                if (!plain_score(command_arg(command, ++at), &operation->sources[number].weight))
                    return false;
        } else if (takes & TAKES_WEIGHTS && IS(word, "aggregate") && left > 1
                   && aggregate_of(command_arg(command, at + 1), &operation->aggregate)) {
            at++;
        } else if (takes & TAKES_LIMIT && IS(word, "limit") && left > 1
                   && span_int64(command_arg(command, at + 1), &limit) && limit >= 0) {
            operation->most = limit ? (uint64_t)limit : UINT64_MAX;
            at++;
        } else if (takes & TAKES_WITHSCORES && IS(word, "withscores")) {
            operation->scores = true;
        } else {
            return false;
        }
    }
    return true;
}

/* False: another kind of key. */
static bool find_sources(Engine *engine, const Session *session, Operation *operation, int64_t now_ms) {
    for (size_t number = 0; number < operation->count; number++) {
        Source *source = &operation->sources[number];
        source->head = keyspace_row(engine, session->db, keyspace_hash(engine, source->key), source->key, now_ms);
        if (!source->head)
            continue;
        if (record_kind(source->head) != SET && record_kind(source->head) != ZSET)
            return false;
        const Family *family = family_of(engine, source->head);
        source->size = family->count - family->dying;
    }
    return true;
}

/* From the smallest to the largest; those of one size stay as they were named. */
static void sort_sources(Operation *operation) {
    for (size_t number = 1; number < operation->count; number++) {
        Source moved = operation->sources[number];
        size_t at = number;
        for (; at && operation->sources[at - 1].size > moved.size; at--)
            operation->sources[at] = operation->sources[at - 1];
        operation->sources[at] = moved;
    }
}

static double scored(const Engine *engine, const Source *source, const Record *member) {
    return record_kind(source->head) == ZSET ? *score_of(engine, member) : 1;
}

static double weighted(const Source *source, double score) {
    double found = source->weight * score;
    return isnan(found) ? 0 : found;
}

/* What is no number adds up to 0, and is neither less nor greater. */
static double aggregated(int aggregate, double one, double other) {
    double total = one + other;
    if (aggregate == SUM)
        return isnan(total) ? 0 : total;
    return (aggregate == LEAST ? other < one : other > one) ? other : one;
}

/* Whether a member of source number `its` belongs to the result, and its score there. */
static bool total_of(Engine *engine, Operation *operation, size_t its, const Record *member, int64_t now_ms,
                     double *total) {
    Span name = record_key(member);
    double score = scored(engine, &operation->sources[its], member);
    *total = operation->rule == IN_NONE ? score : weighted(&operation->sources[its], score);
    for (size_t number = 0; number < operation->count; number++) {
        const Source *other = &operation->sources[number];
        if (number == its)
            continue;
        operation->looks++;
        const Record *found = other->head ? family_find(engine, other->head, name, now_ms) : NULL;
        if ((operation->rule == IN_ANY && number < its) || operation->rule == IN_NONE) {
            if (found)
                return false; /* the earlier source has told of it */
        } else if (!found) {
            if (operation->rule == IN_ALL)
                return false;
        } else {
            score = scored(engine, other, found);
            double value = operation->rule == IN_ANY ? weighted(other, score) : other->weight * score;
            *total = aggregated(operation->aggregate, *total, value);
        }
    }
    return true;
}

static bool choose_of(Engine *engine, Operation *operation, size_t its, int64_t now_ms) {
    const Source *source = &operation->sources[its];
    const Family *family = source->head ? family_of(engine, source->head) : NULL;
    for (uint64_t place = family ? family->dying : 0; family && place < family->count; place++) {
        Ranked item = {.record = family_member(family, place)};
        if (operation->chosen == operation->most)
            return true;
        operation->looks++;
        if (!total_of(engine, operation, its, item.record, now_ms, &item.score))
            continue;
        if (!operation->counts_alone && !buffer_append(&operation->items, &item, sizeof item))
            return false;
        operation->chosen++;
    }
    return true;
}

static int in_order(const void *first, const void *second) {
    const Ranked *one = first, *other = second;
    if (one->score != other->score)
        return one->score < other->score ? -1 : 1;
    Span name = record_key(one->record), its = record_key(other->record);
    int order = memcmp(name.bytes, its.bytes, name.len < its.len ? name.len : its.len);
    return order ? order : (name.len > its.len) - (name.len < its.len);
}

/* Puts the result into `items`, in its order. False: another kind of key, too much for one go, or no memory. */
static bool choose(Engine *engine, const Session *session, Operation *operation, int64_t now_ms) {
    if (!find_sources(engine, session, operation, now_ms))
        return false;
    if (operation->rule != IN_NONE)
        sort_sources(operation);
    size_t walked = operation->rule == IN_ANY ? operation->count : 1;
    uint64_t size = 0;
    for (size_t its = 0; its < walked; its++)
        size += operation->sources[its].size;
    bool done = size * operation->count <= LOOKS_MAX;
    for (size_t its = 0; done && its < walked; its++)
        done = choose_of(engine, operation, its, now_ms);
    if (done && operation->items.len)
        qsort(operation->items.bytes, operation->chosen, sizeof(Ranked), in_order);
    return done;
}

static Ranked item_at(const Operation *operation, size_t number) {
    Ranked item;
    memcpy(&item, operation->items.bytes + number * sizeof item, sizeof item);
    return item;
}

static void count(Engine *engine, const Operation *operation) {
    for (size_t number = 0; number < operation->count; number++) {
        engine->hits += operation->sources[number].head != NULL;
        engine->misses += operation->sources[number].head == NULL;
    }
    engine->moved += operation->looks * SEEN_BYTES;
}

static bool reply_items(Engine *engine, const Session *session, const Operation *operation) {
    bool scores = operation->scores, nested = scores && session->proto == 3;
    size_t bytes = REPLY_HEAD_BYTES;
    for (size_t number = 0; number < operation->chosen; number++)
        bytes += 2 * REPLY_HEAD_BYTES + record_key(item_at(operation, number).record).len
            + (scores ? SCORE_REPLY_BYTES_MAX : 0);
    if (bytes > HOT_REPLY_BYTES_MAX || !reply_reserve(engine, bytes))
        return false;
    reply_integer(engine, '*', (int64_t)operation->chosen * (scores && !nested ? 2 : 1));
    for (size_t number = 0; number < operation->chosen; number++) {
        Ranked item = item_at(operation, number);
        if (nested)
            reply_integer(engine, '*', 2);
        reply_bulk(engine, record_key(item.record));
        if (scores)
            reply_score(engine, session->proto, item.score);
        wipe(&item, sizeof item);
    }
    return true;
}

static bool tell(Engine *engine, const Session *session, const Command *command, int rule, int64_t now_ms) {
    Operation operation;
    unsigned takes = TAKES_WITHSCORES | (rule == IN_NONE ? 0 : TAKES_WEIGHTS);
    if (!read_operation(command, 1, rule, takes, &operation))
        return false;
    bool done = choose(engine, session, &operation, now_ms) && reply_items(engine, session, &operation);
    if (done)
        count(engine, &operation);
    buffer_clear(&operation.items, 0);
    return done;
}

HANDLER(zunion) { return tell(engine, session, command, IN_ANY, now_ms); }
HANDLER(zinter) { return tell(engine, session, command, IN_ALL, now_ms); }
HANDLER(zdiff) { return tell(engine, session, command, IN_NONE, now_ms); }

static bool store(Engine *engine, const Session *session, const Command *command, int rule, uint8_t note,
                  int64_t now_ms) {
    Operation operation;
    Drafted drafted = {.target = command_arg(command, 1), .kind = ZSET};
    if (engine_full(engine) || !read_operation(command, 2, rule, rule == IN_NONE ? 0 : TAKES_WEIGHTS, &operation)
        || !reply_reserve(engine, DRAFTED_REPLY_BYTES))
        return false;
    bool done = choose(engine, session, &operation, now_ms);
    for (size_t number = 0; done && number < operation.chosen; number++) {
        Ranked item = item_at(&operation, number);
        done = drafted_add(engine, &drafted, record_key(item.record), item.score);
    }
    done = done && drafted_store(engine, session, &drafted, note, now_ms);
    if (done)
        count(engine, &operation);
    buffer_clear(&operation.items, 0);
    drafted_clear(&drafted);
    return done;
}

HANDLER(zunionstore) { return store(engine, session, command, IN_ANY, NOTE_ZUNIONSTORE, now_ms); }
HANDLER(zinterstore) { return store(engine, session, command, IN_ALL, NOTE_ZINTERSTORE, now_ms); }
HANDLER(zdiffstore) { return store(engine, session, command, IN_NONE, NOTE_ZDIFFSTORE, now_ms); }

/* ZINTERCARD n key ... [LIMIT n] */
HANDLER(zintercard) {
    Operation operation;
    if (!read_operation(command, 1, IN_ALL, TAKES_LIMIT, &operation) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    operation.counts_alone = true;
    if (!choose(engine, session, &operation, now_ms))
        return false;
    count(engine, &operation);
    reply_integer(engine, ':', (int64_t)operation.chosen);
    return true;
}
