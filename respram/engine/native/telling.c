/* Long replies in slices: members of a collection as a reply has them, a few hundred at a time, between which other
 * clients are served. The twin of pure/telling.py; engine/telling.py has the contract.
 *
 * A walk goes downwards through the array of a family, where a hole is filled by the last member: that one may be met
 * again. So a reply notes the hash of each name that it has told, in many small tables, of which each grows in
 * microseconds.
 */
#include "hot.h"

#include <stdlib.h>
#include <string.h>

#define LOOKED_AT_ONCE 512            /* members of one slice, and their look-ups in other sets: some 0.1 ms */
#define PIECE_BYTES ((size_t)64 << 10) /* a slice ends after the member that reaches it */
#define SHARD_SLOTS_LEAST 16
#define TELLING_AHEAD 4 /* a slice prefetches the record this many places further */
#define RANKED_SLICE 32 /* members taken from an order at a time */
#define FRAME_BYTES (2 * REPLY_HEAD_BYTES)

Telling *told_new(void) {
    return calloc(1, sizeof(Telling));
}

void told_free(Telling *told) {
    if (!told)
        return;
    for (size_t number = 0; number < TOLD_SHARDS; number++)
        free(told->shards[number].marks);
    buffer_clear(&told->out, 0);
    free(told);
}

/* A part of the tables goes. False: none is left. */
bool told_forget(Telling *told) {
    if (told->forgotten == TOLD_SHARDS)
        return false;
    Shard *shard = &told->shards[told->forgotten++];
    free(shard->marks);
    *shard = (Shard){0};
    return told->forgotten < TOLD_SHARDS;
}

static uint64_t *slot_of(const Shard *shard, uint64_t mark) {
    uint32_t mask = shard->capacity - 1, at = (uint32_t)(mark / TOLD_SHARDS) & mask;
    while (shard->marks[at] && shard->marks[at] != mark)
        at = (at + 1) & mask;
    return &shard->marks[at];
}

static bool grow(Shard *shard) {
    Shard larger = {.count = shard->count, .capacity = shard->capacity ? 2 * shard->capacity : SHARD_SLOTS_LEAST};
    if (!larger.capacity || !(larger.marks = calloc(larger.capacity, sizeof *larger.marks)))
        return false;
    for (uint32_t at = 0; at < shard->capacity; at++)
        if (shard->marks[at])
            *slot_of(&larger, shard->marks[at]) = shard->marks[at];
    free(shard->marks);
    *shard = larger;
    return true;
}

/* Whether a name is told for the first time; it is noted. False in `has_room`: there is no memory. */
static bool is_first(Telling *told, uint64_t mark, bool *has_room) {
    mark += !mark; /* 0 is an empty slot */
    Shard *shard = &told->shards[mark % TOLD_SHARDS];
    if (shard->count >= shard->capacity / 4 * 3 && !(*has_room = grow(shard)))
        return false;
    uint64_t *slot = slot_of(shard, mark);
    if (*slot)
        return false;
    *slot = mark;
    shard->count++;
    return true;
}

static void put_head(Buffer *out, char mark, size_t number) {
    out->bytes[out->len++] = (uint8_t)mark;
    out->len += digits_of((int64_t)number, out->bytes + out->len);
    out->bytes[out->len++] = '\r';
    out->bytes[out->len++] = '\n';
}

static void put_bytes(Buffer *out, const void *bytes, size_t len) {
    if (len)
        memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

static void put_bulk(Buffer *out, Span bulk) {
    put_head(out, '$', bulk.len);
    put_bytes(out, bulk.bytes, bulk.len);
    put_bytes(out, "\r\n", 2);
}

/* Whether the other sets have the name, or have it not. Each look is counted. */
static bool is_chosen(Engine *engine, int db, const Others *chosen, Span name, uint64_t *looks, int64_t now_ms) {
    for (size_t number = 0; number < chosen->count; number++) {
        Span key = chosen->keys[number];
        const Record *head = family_head(engine, db, keyspace_hash(engine, key), key, now_ms);
        ++*looks;
        if ((head && family_find(engine, head, name, now_ms)) != chosen->among)
            return false;
    }
    return true;
}

/* The next members of a family from `*cursor` on (0: from its end), downwards, into `told->out`: how many; -1: no
 * memory, or a value cannot be opened. */
int64_t family_tell(Engine *engine, Telling *told, const Family *family, int parts, const Others *chosen,
                    uint64_t *cursor, int64_t now_ms) {
    uint64_t at = *cursor && *cursor < family->count ? *cursor : family->count, looks = 0;
    int64_t count = 0;
    int db = family->space % DATABASES;
    bool has_room = true;
    told->out.len = 0;
    while (at > family->dying && looks < LOOKED_AT_ONCE && told->out.len < PIECE_BYTES) {
        at--;
        if (at >= family->dying + TELLING_AHEAD)
            __builtin_prefetch(family_member(family, at - TELLING_AHEAD));
        const Record *member = family_member(family, at);
        Span name = record_key(member);
        looks++;
        if (!is_first(told, keyspace_hash(engine, name), &has_room)) {
            if (!has_room)
                return -1;
            continue;
        }
        if (!is_chosen(engine, db, chosen, name, &looks, now_ms))
            continue;
        size_t value_bytes = record_value_bytes(member);
        if (!buffer_reserve(&told->out, 2 * FRAME_BYTES + name.len + value_bytes))
            return -1;
        if (parts & TELL_NAMES)
            put_bulk(&told->out, name);
        if (parts & TELL_VALUES) {
            put_head(&told->out, '$', value_bytes);
            if (value_bytes && !seal_open(engine, member, told->out.bytes + told->out.len))
                return -1;
            told->out.len += value_bytes;
            put_bytes(&told->out, "\r\n", 2);
            engine->moved += value_bytes;
        }
        count++;
    }
    engine->moved += looks * LOOK_BYTES;
    *cursor = at > family->dying ? at : 0;
    return count;
}

static void put_score(Buffer *out, double score, int proto) {
    char digits[SCORE_BYTES_MAX];
    size_t len = score_digits(score, digits);
    if (proto == 3) {
        put_bytes(out, ",", 1);
        put_bytes(out, digits, len);
        put_bytes(out, "\r\n", 2);
    } else {
        put_bulk(out, (Span){(const uint8_t *)digits, len});
    }
    wipe(digits, sizeof digits);
}

/* At most `most` members of a sorted set from a rank on into `told->out`, with their scores or without: how many, and
 * the last of them; -1: no memory. */
int64_t family_tell_ranked(Engine *engine, Telling *told, const Record *head, uint64_t rank, uint64_t most,
                           bool downwards, bool scores, int proto, int64_t now_ms, Ranked *last) {
    uint64_t count = 0;
    told->out.len = 0;
    most = most < LOOKED_AT_ONCE ? most : LOOKED_AT_ONCE;
    while (count < most && told->out.len < PIECE_BYTES) {
        Ranked found[RANKED_SLICE];
        size_t wanted = most - count < RANKED_SLICE ? (size_t)(most - count) : RANKED_SLICE;
        size_t got = family_ranked(engine, head, rank, wanted, downwards, now_ms, found);
        for (size_t number = 0; number < got; number++)
            __builtin_prefetch(found[number].record);
        for (size_t number = 0; number < got; number++) {
            Span name = record_key(found[number].record);
            if (!buffer_reserve(&told->out, 2 * FRAME_BYTES + name.len + SCORE_BYTES_MAX))
                return -1;
            if (scores && proto == 3)
                put_head(&told->out, '*', 2);
            put_bulk(&told->out, name);
            if (scores)
                put_score(&told->out, found[number].score, proto);
        }
        if (got)
            *last = found[got - 1];
        count += got;
        if (got < wanted || (downwards && rank < got))
            break;
        rank = downwards ? rank - got : rank + got;
    }
    engine->moved += count * LOOK_BYTES;
    return (int64_t)count;
}
