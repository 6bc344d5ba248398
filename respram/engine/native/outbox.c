/* Which keys were written here and not yet handed to the peers: a ring in order of the first write,
 * and an index over it by key, so that a key written a thousand times travels once.
 *
 * It is a hint. What does not fit is dropped, all of it, and said; anti-entropy repairs the rest.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define OUTBOX_MIN 64

struct Waiting {
    uint64_t hash;
    uint64_t bytes; /* the bytes that it counts for */
    uint32_t key_bytes;
    uint8_t db;
    uint8_t key[];
};

static size_t waiting_size(size_t key_bytes) {
    return (offsetof(Waiting, key) + key_bytes + 7) & ~(size_t)7; /* its block lies at a multiple of 8 then */
}

static uint64_t ring_place(const Outbox *outbox, uint64_t number) {
    return number & (outbox->capacity - 1);
}

/* Where the index has this key, or where it would put it. */
static uint64_t index_place(const Outbox *outbox, int db, uint64_t hash, Span key) {
    uint64_t mask = outbox->capacity * 2 - 1, place = hash & mask;
    for (; outbox->index[place]; place = (place + 1) & mask) {
        const Waiting *waiting = outbox->queue[outbox->index[place] - 1];
        if (waiting->hash == hash && waiting->db == db && waiting->key_bytes == key.len
            && (!key.len || memcmp(waiting->key, key.bytes, key.len) == 0))
            break;
    }
    return place;
}

static bool grow(Outbox *outbox) {
    uint64_t capacity = outbox->capacity ? outbox->capacity * 2 : OUTBOX_MIN;
    Waiting **queue = malloc(capacity * sizeof *queue);
    uint32_t *index = calloc(capacity * 2, sizeof *index);
    if (!queue || !index || capacity > UINT32_MAX) {
        free(queue);
        free(index);
        return false;
    }
    for (uint64_t number = 0; number < outbox->count; number++) {
        queue[number] = outbox->queue[ring_place(outbox, outbox->first + number)];
        uint64_t place = queue[number]->hash & (capacity * 2 - 1);
        while (index[place])
            place = (place + 1) & (capacity * 2 - 1);
        index[place] = (uint32_t)number + 1;
    }
    free(outbox->queue);
    free(outbox->index);
    outbox->queue = queue;
    outbox->index = index;
    outbox->capacity = capacity;
    outbox->first = 0;
    return true;
}

static void give(Engine *engine, Waiting *waiting) {
    arena_give(&engine->arena, waiting, waiting_size(waiting->key_bytes));
}

void outbox_clear(Engine *engine) {
    Outbox *outbox = &engine->outbox;
    for (uint64_t number = 0; number < outbox->count; number++)
        give(engine, outbox->queue[ring_place(outbox, outbox->first + number)]);
    free(outbox->queue);
    free(outbox->index);
    bool overflowed = outbox->overflowed;
    memset(outbox, 0, sizeof *outbox);
    outbox->overflowed = overflowed;
}

static void overflow(Engine *engine) {
    outbox_clear(engine);
    engine->outbox.overflowed = true;
}

void outbox_add(Engine *engine, int db, uint64_t hash, Span key, size_t record_bytes) {
    Outbox *outbox = &engine->outbox;
    uint64_t bytes = record_bytes + OUTBOX_ENTRY_BYTES;
    if (outbox->count == outbox->capacity && !grow(outbox)) {
        overflow(engine);
        return;
    }
    uint64_t place = index_place(outbox, db, hash, key);
    if (outbox->index[place]) {
        Waiting *waiting = outbox->queue[outbox->index[place] - 1];
        outbox->used_bytes += bytes - waiting->bytes;
        waiting->bytes = bytes;
    } else {
        Waiting *waiting = arena_take(&engine->arena, waiting_size(key.len));
        if (!waiting) {
            overflow(engine);
            return;
        }
        *waiting = (Waiting){.hash = hash, .bytes = bytes, .key_bytes = (uint32_t)key.len, .db = (uint8_t)db};
        if (key.len)
            memcpy(waiting->key, key.bytes, key.len);
        uint64_t ring = ring_place(outbox, outbox->first + outbox->count++);
        outbox->queue[ring] = waiting;
        outbox->index[place] = (uint32_t)ring + 1;
        outbox->used_bytes += bytes;
    }
    if (outbox->used_bytes > engine->settings.outbox_bytes_max)
        overflow(engine);
}

/* Whether the record of this very key waits. */
bool outbox_holds(const Engine *engine, int db, uint64_t hash, Span key) {
    const Outbox *outbox = &engine->outbox;
    return outbox->count && outbox->index[index_place(outbox, db, hash, key)];
}

/* Whether something of this key waits. Members of a collection wait under names of their own: of a collection it is
 * said while anything waits. */
bool outbox_has(const Engine *engine, int db, Span key) {
    const Outbox *outbox = &engine->outbox;
    if (!outbox->count)
        return false;
    uint64_t hash = keyspace_hash(engine, key);
    const Record *record = table_find(&engine->tables[db], hash, key);
    return (record && record_kind(record)) || outbox->index[index_place(outbox, db, hash, key)]
           || outbox->index[index_place(outbox, MARKS + db, hash, key)];
}

/* Takes a place out of the index: what follows in the same run moves up, so that no search breaks off. */
static void index_remove(Outbox *outbox, uint64_t place) {
    uint64_t mask = outbox->capacity * 2 - 1, hole = place;
    for (uint64_t at = (place + 1) & mask; outbox->index[at]; at = (at + 1) & mask) {
        uint64_t home = outbox->queue[outbox->index[at] - 1]->hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            outbox->index[hole] = outbox->index[at];
            hole = at;
        }
    }
    outbox->index[hole] = 0;
}

static void drop_first(Engine *engine) {
    Outbox *outbox = &engine->outbox;
    Waiting *waiting = outbox->queue[ring_place(outbox, outbox->first)];
    Span key = {waiting->key, waiting->key_bytes};
    index_remove(outbox, index_place(outbox, waiting->db, waiting->hash, key));
    outbox->first++;
    outbox->count--;
    outbox->used_bytes -= waiting->bytes;
    give(engine, waiting);
}

/* The newest version of each key, oldest key first, until `out` holds about `bytes_max`. False: no
 * memory; what `out` holds by then is handed over, the rest waits on. */
bool outbox_drain(Engine *engine, uint64_t bytes_max, Buffer *out) {
    Outbox *outbox = &engine->outbox;
    while (outbox->count && out->len < bytes_max) {
        const Waiting *waiting = outbox->queue[ring_place(outbox, outbox->first)];
        Span key = {waiting->key, waiting->key_bytes};
        const Record *record = keyspace_find(engine, waiting->db, waiting->hash, key);
        uint32_t stub = record ? 0 : stubs_find_key(&engine->stubs, waiting->db, key);
        if (stub && !stub_pack(engine, stub, &key, out))
            return false;
        if (record) {
            size_t size = record_packed_bytes(engine, record);
            if (!buffer_reserve(out, size))
                return false;
            record_pack(engine, record, out->bytes + out->len);
            out->len += size;
        }
        drop_first(engine);
    }
    return true;
}
