/* Replies, written into one buffer that all sessions share: it is sent before the next `feed`.
 *
 * A command reserves the most it may write before it changes anything; the writes themselves cannot
 * fail. `reply_value` is the one place where a record's value goes out. Where it is sealed it may lie in the
 * reply as it lay in its record until the batch is over: all short values are opened together (seal.c).
 */
#include "engine.h"

#include <string.h>

bool reply_reserve(Engine *engine, size_t bytes) {
    return buffer_reserve(&engine->reply, bytes);
}

/* Whether what is to be written was reserved. */
static inline bool has_room(const Engine *engine, size_t bytes) {
    return engine->reply.capacity - engine->reply.len >= bytes;
}

void reply_text(Engine *engine, const char *text, size_t len) {
    dear(has_room(engine, len));
    if (len)  /* `text` is NULL where a buffer was never used, and memcpy may not be given that */
        memcpy(engine->reply.bytes + engine->reply.len, text, len);
    engine->reply.len += len;
}

void reply_integer(Engine *engine, char mark, int64_t number) {
    uint8_t *out = engine->reply.bytes + engine->reply.len;
    size_t len = 0;
    dear(has_room(engine, 23));
    out[len++] = (uint8_t)mark;
    if (likely((uint64_t)number < 10))
        out[len++] = (uint8_t)('0' + number);
    else if ((uint64_t)number < 100) {
        out[len++] = (uint8_t)('0' + number / 10);
        out[len++] = (uint8_t)('0' + number % 10);
    } else
        len += digits_of(number, out + len);
    out[len++] = '\r';
    out[len++] = '\n';
    engine->reply.len += len;
}

static inline void end_bulk(Engine *engine, size_t len) {
    uint8_t *out = engine->reply.bytes + engine->reply.len + len;
    dear(has_room(engine, len + 2));
    out[0] = '\r';
    out[1] = '\n';
    engine->reply.len += len + 2;
}

void reply_bulk(Engine *engine, Span bulk) {
    reply_integer(engine, '$', (int64_t)bulk.len);
    if (bulk.len)
        memcpy(engine->reply.bytes + engine->reply.len, bulk.bytes, bulk.len);
    end_bulk(engine, bulk.len);
}

_Static_assert(sizeof "$4294967295\r\n" - 1 + GCM_TAG_BYTES <= REPLY_HEAD_BYTES, "seal_reply may write so much");

void reply_value(Engine *engine, const Record *record) {
    size_t len = record_value_bytes(record);
    engine->moved += len;
    reply_integer(engine, '$', (int64_t)len);
    seal_reply(engine, record, engine->reply.len);
    end_bulk(engine, len);
}

/* A reply that has become too long, or whose write has no memory: it is for `dispatch` from the beginning. False. */
bool reply_take_back(Engine *engine, size_t reply_start, uint64_t moved) {
    seal_unnote(engine, reply_start);
    buffer_cut(&engine->reply, reply_start);
    engine->moved = moved;
    return false;
}

void reply_nil(Engine *engine, int proto) {
    if (proto == 3)
        reply_text(engine, "_\r\n", 3);
    else
        reply_text(engine, "$-1\r\n", 5);
}
