/* All records in the order of their points, in pieces that any peer can go on from.
 *
 * A point is a hash of the key's or member's name (of a mark's or a script's key itself) under the enclave's key; its
 * upper 14 bits name a partition. Each partition is a ring through the traces of its records, joined when a key is new
 * and left when it is gone: an overwrite does not touch it. So a piece of a dump looks at the partitions that it sends
 * and at no other, and sorts some sixty of a million records at a time; a walk along the table would look at everything
 * for every piece. The walk around a ring is one cache miss after another: with rings four times as long, one piece in
 * four took 110 us instead of 30, and clients waited for it. So many rings are 256 KiB.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define PARTITION_SHIFT 18

typedef struct Placed {
    uint64_t point, id;
    const Record *record; /* NULL: a stub */
    uint32_t stub;
} Placed;

/* The lowest bits of a point are 0: a trace stores 16 of the 18 bits below its partition's number. */
#define POINT_SHIFT 2

static uint64_t point_in(uint64_t partition, const Trace *trace) {
    return partition << PARTITION_SHIFT | (uint64_t)trace->point << POINT_SHIFT;
}

static uint32_t point_of(Engine *engine, const Record *record) {
    Digests *digests = &engine->digests;
    if (record->db >= MARKS)
        return key_point(digests->ids_key, record->db, record_key(record));
    digests->named = record_called(engine, record);
    digests->named_record = record;
    return name_point(digests->ids_key, &digests->named);
}


/* A new record, whose key is in place, joins its partition; it is counted later. */
void dump_enter(Engine *engine, Record *record) {
    Trace *trace = trace_of(record);
    memset(trace, 0, sizeof *trace);
    uint32_t point = point_of(engine, record);
    trace->point = (uint16_t)(point >> POINT_SHIFT);
    Links *ring = &engine->digests.partitions[point >> PARTITION_SHIFT];
    join(&trace->links, next_of(ring));
    join(ring, &trace->links);
}

bool dump_pack(const Engine *engine, const Record *record, Buffer *out) {
    size_t size = record_packed_bytes(engine, record);
    if (!buffer_reserve(out, size))
        return false;
    record_pack(engine, record, out->bytes + out->len);
    out->len += size;
    return true;
}

static int by_point(const void *one, const void *other) {
    const Placed *first = one, *second = other;
    if (first->point != second->point)
        return first->point < second->point ? -1 : 1;
    return first->id < second->id ? -1 : first->id > second->id;
}

static const Record *record_with(const Links *links) {
    return (const Record *)((const uint8_t *)links - offsetof(Trace, links) + sizeof(Trace));
}

/* The record of a name; NULL: there is none. A ring is a miss for each of its records, and what a trace has of the
 * point tells nearly all of them apart: 5 us of a million records. Only stubs that come from afar ask. */
Record *dump_find(const Engine *engine, const Name *name) {
    uint32_t point = name_point(engine->digests.ids_key, name);
    const Links *ring = &engine->digests.partitions[point >> PARTITION_SHIFT];
    for (const Links *at = next_of(ring); at != ring; at = next_of(at)) {
        const Record *record = record_with(at);
        if (record->db != name_space(name) || trace_of(record)->point != (uint16_t)(point >> POINT_SHIFT))
            continue;
        Name own = record_called(engine, record);
        if (memcmp(&own, name, sizeof own) == 0)
            return (Record *)record;
    }
    return NULL;
}

typedef struct Gathering {
    const Engine *engine;
    uint64_t first;
    int64_t now_ms;
    Buffer *placed;
} Gathering;

static int gather_stub(void *context, uint32_t number) {
    Gathering *gathering = context;
    const Engine *engine = gathering->engine;
    const Stub *stub = stub_at(&engine->stubs, number);
    Placed one = {name_point(engine->digests.ids_key, &stub->name), stub_id(engine, stub), NULL, number};
    if (one.point < gathering->first || stub_end_ms(stub) <= gathering->now_ms)
        return 0;
    return buffer_append(gathering->placed, &one, sizeof one) ? 0 : -1;
}

/* What is to be sent of a partition, in order. False: no memory. */
static bool gather(const Engine *engine, uint64_t partition, uint64_t first, int64_t now_ms, Buffer *placed) {
    const Links *ring = &engine->digests.partitions[partition];
    placed->len = 0;
    for (const Links *at = next_of(ring); at != ring; at = next_of(at)) {
        const Record *record = record_with(at);
        __builtin_prefetch(record_with(next_of(at)));
        Placed one = {point_in(partition, trace_of(record)), trace_of(record)->id, record, 0};
        if (one.point >= first && record_end_ms(record) > now_ms && !buffer_append(placed, &one, sizeof one))
            return false;
    }
    Gathering gathering = {engine, first, now_ms, placed};
    if (stubs_walk_partition(&engine->stubs, (uint32_t)partition, gather_stub, &gathering))
        return false;
    if (placed->len)
        qsort(placed->bytes, placed->len / sizeof(Placed), sizeof(Placed), by_point);
    return true;
}

/* Records from a point on, until `out` holds about `bytes_max`; then the point to go on at, 2**32 behind the
 * last. Those of one point stay together. False: no memory; `out` is to be thrown away then. */
bool dump_records(Engine *engine, uint64_t first, uint64_t bytes_max, int64_t now_ms, Buffer *out, uint64_t *cursor) {
    Buffer placed = {0};
    bool is_whole = true, is_full = false;
    *cursor = UINT64_C(1) << 32;
    for (uint64_t number = first >> PARTITION_SHIFT; number < PARTITIONS && is_whole && !is_full; number++) {
        is_whole = gather(engine, number, first, now_ms, &placed);
        const Placed *all = (const Placed *)placed.bytes;
        for (size_t at = 0; is_whole && at < placed.len / sizeof(Placed); at++) {
            if (out->len >= bytes_max && (at == 0 || all[at].point != all[at - 1].point)) {
                *cursor = all[at].point;
                is_full = true;
                break;
            }
            is_whole = all[at].record ? dump_pack(engine, all[at].record, out)
                : stub_pack(engine, all[at].stub, NULL, out);
        }
    }
    buffer_clear(&placed, 0);
    return is_whole;
}
