/* Fresh stamps for what was stamped by a clock that ran ahead, once it has been set right.
 *
 * Every peer refuses such records, and would for as long as the clock was ahead. They are written again, in the
 * order of their old stamps, as from the latest stamp that is still accepted; docs/decisions/0024 has the reasons.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

typedef struct Ahead {
    uint64_t clock, node;
    Record *record; /* NULL: a stub */
    uint32_t stub;
    int db;
    Whole whole;
} Ahead;

typedef struct Search {
    const Engine *engine;
    uint64_t latest;
    Buffer found;
} Search;

static int find_ahead(void *context, const Record *record) {
    Search *search = context;
    if (record->clock <= search->latest)
        return 0;
    Ahead ahead = {record->clock, search->engine->nodes.numbers[record->node], (Record *)record, 0, record->db,
        whole_of(search->engine, record)};
    return buffer_append(&search->found, &ahead, sizeof ahead) ? 0 : -1;
}

static int find_stub_ahead(void *context, uint32_t number) {
    Search *search = context;
    const Stub *stub = stub_at(&search->engine->stubs, number);
    if (stub_clock(stub) <= search->latest)
        return 0;
    Ahead ahead = {stub_clock(stub), search->engine->nodes.numbers[stub->node], NULL, number, name_space(&stub->name),
                   {.name = {stub->name.bytes, NAME_BYTES}}};
    return buffer_append(&search->found, &ahead, sizeof ahead) ? 0 : -1;
}

static int by_bytes(Span one, Span other) {
    size_t least = one.len < other.len ? one.len : other.len;
    int order = least ? memcmp(one.bytes, other.bytes, least) : 0;
    return order ? order : (one.len > other.len) - (one.len < other.len);
}

static int by_stamp(const void *one, const void *other) {
    const Ahead *first = one, *second = other;
    if (first->clock != second->clock)
        return first->clock < second->clock ? -1 : 1;
    if (first->node != second->node)
        return first->node < second->node ? -1 : 1;
    /* Only a faulty peer uses a stamp twice; any order will do if it is the same everywhere. */
    if (first->db != second->db)
        return first->db < second->db ? -1 : 1;
    int order = memcmp(first->whole.length, second->whole.length, NAME_LENGTH_BYTES);
    order = order ? order : by_bytes(first->whole.key, second->whole.key);
    return order ? order : by_bytes(first->whole.name, second->whole.name);
}

static int64_t sooner(int64_t one_ms, int64_t other_ms) {
    return one_ms < other_ms ? one_ms : other_ms;
}

/* The value goes out and in again, like that of every other write, but as it lies: its seal stays true. */
static bool write_again(Engine *engine, Record *record, uint64_t clock, int64_t now_ms) {
    int64_t horizon_ms = now_ms + engine->settings.max_ttl_ms;
    bool is_stub = record->flags & RECORD_STUB;
    Whole whole = whole_of(engine, record);
    size_t key_bytes = whole_bytes(&whole), value_bytes = record_value_bytes(record);
    if (!buffer_reserve(&engine->scratch, key_bytes + value_bytes))
        return false;
    engine->scratch.len = key_bytes + value_bytes;
    Span key = {engine->scratch.bytes, key_bytes};
    whole_put(&whole, engine->scratch.bytes);
    record_get_value(record, engine->scratch.bytes + key_bytes);
    Content content = {.bytes = {engine->scratch.bytes + key_bytes, value_bytes}, .position = record_position(record),
                       .kind = (uint8_t)record_kind(record)};
    if (!is_stub)
        content.seal = engine->nodes.seals[record->node];
    int32_t node = content.seal.key ? nodes_intern(&engine->nodes, engine->settings.node, &content.seal) : 0;
    if (node < 0) {
        buffer_clear(&engine->scratch, SCRATCH_KEPT_BYTES_MAX);
        return false;
    }
    uint64_t hash = keyspace_hash(engine, key);
    record = keyspace_write(engine, record, record->db, hash, key, is_stub ? NULL : &content, clock,
                            (uint16_t)node, sooner(record_deadline_ms(record), horizon_ms),
                            sooner(record_shadow_ms(record), now_ms + SHADOW_MS_MAX), record->flags & RECORD_IMPLICIT,
                            now_ms, 0);
    if (record)
        outbox_add(engine, record->db, hash, key, key_bytes + value_bytes);
    buffer_clear(&engine->scratch, SCRATCH_KEPT_BYTES_MAX);
    return record != NULL;
}

/* Without its key no peer can be told of it here: they find that they lack it. */
static bool write_stub_again(Engine *engine, uint32_t number, uint64_t clock, int64_t now_ms) {
    const Stub *stub = stub_at(&engine->stubs, number);
    Name name = stub->name;
    return stub_write(engine, number, &name, clock, 0,
                      sooner(stub_deadline_ms(stub), now_ms + engine->settings.max_ttl_ms),
                      sooner(stub_shadow_ms(stub), now_ms + SHADOW_MS_MAX), now_ms);
}

/* How many there were; -1: no memory for all of them, and the next call goes on. */
int64_t keyspace_restamp(Engine *engine, int64_t now_ms) {
    Search search = {.engine = engine, .latest = (uint64_t)(now_ms + engine->settings.clock_offset_ms_max) << 16};
    uint64_t clock_before = engine->clock;
    if (clock_before < search.latest + (1 << 16))
        return 0;
    bool is_whole = true;
    for (int db = 0; db < SPACES && is_whole; db++)
        is_whole = walk_all(engine, db, find_ahead, &search) == 0;
    is_whole = is_whole && stubs_walk(&engine->stubs, find_stub_ahead, &search) == 0;
    size_t count = search.found.len / sizeof(Ahead);
    Ahead *all = (Ahead *)search.found.bytes;
    if (is_whole && count)
        qsort(all, count, sizeof *all, by_stamp);
    uint64_t clock = search.latest;
    for (size_t at = 0; is_whole && at < count; at++)
        is_whole = all[at].record ? write_again(engine, all[at].record, ++clock, now_ms)
                                  : write_stub_again(engine, all[at].stub, ++clock, now_ms);
    buffer_clear(&search.found, 0);
    digest_doubt(&engine->digests);
    engine->clock = is_whole ? clock : clock_before;
    return is_whole ? (int64_t)count : -1;
}
