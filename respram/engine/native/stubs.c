/* What is left of a key whose value is gone before its time: a name, a stamp and how long they must be remembered.
 *
 * An overwrite that shortens a life outlives its own value, until nobody can still bring back what it replaced: that is
 * a stub. Sessions that are let go of leave millions of them, which no key shows, so each is small: 44 bytes, and at
 * most 4 of the buckets. What makes it small is that it has no key, whatever the key's length, but a name (names.c); no
 * id, which is made again from what is here; no neighbours in the wheel, since all stubs of a granule are forgotten
 * together, up to 1,024 ms after they could be; and numbers of 32 bits instead of addresses.
 *
 * A key of databases 0 to 15 has a record or a stub, never both; so has a member of a collection. Marks (decision 0120)
 * have no names: they are records. A lookup that finds no record asks for the stub, by name; while there are no stubs,
 * no name is made for that.
 *
 * Buckets grow one at a time (linear hashing: Litwin, 1980), and shrink so, between 1 and 1.5 stubs to a bucket: no
 * rehash stops the process, and there are never two tables. They are chosen by the point under the enclave's key, its
 * bits reversed, so that nobody can aim at one bucket, and those of a partition of the dump are few and known. Places
 * come from slabs of 4,096, which go back to the system when they are empty.
 *
 * A granule (digest.c) lists its stubs, counts them and sums their ids where digests are kept: to digests, filters and
 * dumps a stub is a record like any other.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_SHIFT 12
#define SLAB_STUBS (1u << SLAB_SHIFT)
#define STUBS_MAX (UINT32_C(1) << 31)   /* places of a walk need a bit; filter.c */
#define SEGMENT_SHIFT 10
#define SEGMENT_BUCKETS (1u << SEGMENT_SHIFT)
#define BUCKETS_MAX (UINT64_C(1) << 32) /* a point has no more bits */
#define STEPS_BY_BUDGET 64              /* granules without a stub that are passed for the cost of one with */
#define PARTITION_BITS 14
#define WITHOUT_MEMORY_MS 1000          /* until a record that could not become a stub is tried again */

_Static_assert(sizeof(Stub) == 44, "with its share of the buckets a stub takes 48 bytes");
_Static_assert(PARTITIONS == 1 << PARTITION_BITS, "a partition is the first bits of a point");

struct StubSlab {
    uint32_t free_first; /* a place + 1 */
    uint32_t untouched;  /* from here on no place has been used yet */
    uint32_t used;
    uint32_t next, prev; /* among the roomy: slab numbers + 1 */
    bool roomy;
    Stub stubs[SLAB_STUBS];
};

/* -- places -------------------------------------------------------------------------------------- */
Stub *stub_at(const Stubs *stubs, uint32_t number) {
    return &stubs->slabs[(number - 1) >> SLAB_SHIFT]->stubs[(number - 1) & (SLAB_STUBS - 1)];
}

/* The same for a number that may stand for nothing any more. */
const Stub *stub_if_used(const Stubs *stubs, uint32_t number) {
    if (!number || (number - 1) >> SLAB_SHIFT >= stubs->slab_count || !stubs->slabs[(number - 1) >> SLAB_SHIFT])
        return NULL;
    const Stub *stub = stub_at(stubs, number);
    return stub_end_ms(stub) ? stub : NULL;
}

static void list_roomy(Stubs *stubs, uint32_t slab) {
    StubSlab *one = stubs->slabs[slab];
    one->prev = 0;
    one->next = stubs->roomy;
    if (one->next)
        stubs->slabs[one->next - 1]->prev = slab + 1;
    stubs->roomy = slab + 1;
    one->roomy = true;
}

static void unlist_roomy(Stubs *stubs, uint32_t slab) {
    StubSlab *one = stubs->slabs[slab];
    if (one->prev)
        stubs->slabs[one->prev - 1]->next = one->next;
    else
        stubs->roomy = one->next;
    if (one->next)
        stubs->slabs[one->next - 1]->prev = one->prev;
    one->roomy = false;
}

static bool open_slab(Stubs *stubs) {
    uint32_t number = 0;
    while (number < stubs->slab_count && stubs->slabs[number])
        number++;
    if (number >= STUBS_MAX >> SLAB_SHIFT)
        return false;
    if (number == stubs->slab_capacity) {
        uint32_t capacity = number ? number * 2 : 16;
        StubSlab **slabs = realloc(stubs->slabs, capacity * sizeof(StubSlab *));
        if (!slabs)
            return false;
        stubs->slabs = slabs;
        stubs->slab_capacity = capacity;
    }
    void *slab = mmap(NULL, sizeof(StubSlab), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slab == MAP_FAILED)
        return false;
    stubs->slabs[number] = slab;
    if (number == stubs->slab_count)
        stubs->slab_count++;
    list_roomy(stubs, number);
    return true;
}

static uint32_t **segment_of(const Stubs *stubs, uint64_t bucket) {
    return &stubs->segments[bucket >> SEGMENT_SHIFT];
}

static uint32_t *bucket_at(const Stubs *stubs, uint64_t bucket) {
    return &(*segment_of(stubs, bucket))[bucket & (SEGMENT_BUCKETS - 1)];
}

/* One bucket more, and empty. False: no memory. */
static bool add_bucket(Stubs *stubs) {
    uint64_t segment = stubs->buckets >> SEGMENT_SHIFT;
    if (stubs->buckets == BUCKETS_MAX)
        return false;
    if (segment == stubs->segment_capacity) {
        uint64_t capacity = segment ? segment * 2 : 16;
        uint32_t **segments = realloc(stubs->segments, capacity * sizeof(uint32_t *));
        if (!segments)
            return false;
        memset(segments + segment, 0, (capacity - segment) * sizeof(uint32_t *));
        stubs->segments = segments;
        stubs->segment_capacity = capacity;
    }
    if (!stubs->segments[segment] && !(stubs->segments[segment] = calloc(SEGMENT_BUCKETS, sizeof(uint32_t))))
        return false;
    stubs->buckets++;
    return true;
}

/* A place, all zeros and in no list. 0: no memory. */
uint32_t stubs_take(Stubs *stubs) {
    if ((!stubs->buckets && !add_bucket(stubs)) || (!stubs->roomy && !open_slab(stubs)))
        return 0;
    uint32_t number = stubs->roomy - 1, place;
    StubSlab *slab = stubs->slabs[number];
    if (slab->free_first) {
        place = slab->free_first - 1;
        slab->free_first = slab->stubs[place].chain;
        slab->stubs[place].chain = 0;
    } else {
        place = slab->untouched++;
    }
    slab->used++;
    if (!slab->free_first && slab->untouched == SLAB_STUBS)
        unlist_roomy(stubs, number);
    return (number << SLAB_SHIFT | place) + 1;
}

/* A place that is in no list goes back. */
void stubs_give(Stubs *stubs, uint32_t number) {
    uint32_t slab = (number - 1) >> SLAB_SHIFT;
    StubSlab *one = stubs->slabs[slab];
    Stub *stub = stub_at(stubs, number);
    wipe(stub, sizeof *stub);
    stub->chain = one->free_first;
    one->free_first = ((number - 1) & (SLAB_STUBS - 1)) + 1;
    if (!one->roomy)
        list_roomy(stubs, slab);
    if (--one->used)
        return;
    unlist_roomy(stubs, slab);
    unmap_pages(one, sizeof *one);
    stubs->slabs[slab] = NULL;
}

uint64_t stubs_bytes(const Stubs *stubs) {
    return stubs->count * sizeof(Stub) + stubs->buckets * sizeof(uint32_t);
}

void stubs_free(Stubs *stubs) {
    for (uint32_t number = 0; number < stubs->slab_count; number++)
        if (stubs->slabs[number])
            unmap_pages(stubs->slabs[number], sizeof(StubSlab));
    for (uint64_t segment = 0; segment < stubs->segment_capacity; segment++)
        free(stubs->segments[segment]);
    free(stubs->slabs);
    free(stubs->segments);
    free(stubs->departed);
    memset(stubs, 0, sizeof *stubs);
}

/* -- buckets ------------------------------------------------------------------------------------- */
static uint32_t reversed(uint32_t bits) {
    bits = __builtin_bswap32(bits);
    bits = (bits >> 4 & 0x0f0f0f0f) | (bits & 0x0f0f0f0f) << 4;
    bits = (bits >> 2 & 0x33333333) | (bits & 0x33333333) << 2;
    return (bits >> 1 & 0x55555555) | (bits & 0x55555555) << 1;
}

static uint32_t spread_of(const Stubs *stubs, const Name *name) {
    return reversed(name_point(stubs->place_key, name));
}

/* Of numbers up to so many buckets, all bits that one can have. */
static uint64_t mask_of(uint64_t buckets) {
    return buckets <= 1 ? 0 : ~UINT64_C(0) >> __builtin_clzll(buckets - 1);
}

static uint64_t bucket_of(const Stubs *stubs, uint32_t spread) {
    uint64_t mask = mask_of(stubs->buckets), bucket = spread & mask;
    return bucket < stubs->buckets ? bucket : bucket & mask >> 1;
}

/* The bucket that a last one was split from, or goes back into. */
static uint64_t parent_of(uint64_t bucket) {
    return bucket & ~(UINT64_C(1) << (63 - __builtin_clzll(bucket)));
}

static void split_one(Stubs *stubs) {
    uint64_t fresh = stubs->buckets;
    if (!add_bucket(stubs))
        return; /* chains grow longer, that is all */
    uint32_t *from = bucket_at(stubs, parent_of(fresh)), *to = bucket_at(stubs, fresh);
    while (*from) {
        Stub *stub = stub_at(stubs, *from);
        if (bucket_of(stubs, spread_of(stubs, &stub->name)) == fresh) {
            uint32_t moved = *from;
            *from = stub->chain;
            stub->chain = *to;
            *to = moved;
        } else {
            from = &stub->chain;
        }
    }
}

static void join_last(Stubs *stubs) {
    uint64_t last = stubs->buckets - 1;
    uint32_t *from = bucket_at(stubs, last), *end = bucket_at(stubs, parent_of(last));
    while (*end)
        end = &stub_at(stubs, *end)->chain;
    *end = *from;
    *from = 0;
    stubs->buckets = last;
    if (!(last & (SEGMENT_BUCKETS - 1))) {
        free(*segment_of(stubs, last));
        *segment_of(stubs, last) = NULL;
    }
}

static void enter_bucket(Stubs *stubs, uint32_t number) {
    Stub *stub = stub_at(stubs, number);
    uint32_t *bucket = bucket_at(stubs, bucket_of(stubs, spread_of(stubs, &stub->name)));
    stub->chain = *bucket;
    *bucket = number;
    stubs->count++;
    if (stubs->count * 2 > stubs->buckets * 3)
        split_one(stubs);
}

static void leave_bucket(Stubs *stubs, uint32_t number) {
    Stub *stub = stub_at(stubs, number);
    uint32_t *at = bucket_at(stubs, bucket_of(stubs, spread_of(stubs, &stub->name)));
    while (*at != number) {
        always(*at);
        at = &stub_at(stubs, *at)->chain;
    }
    *at = stub->chain;
    stub->chain = 0;
    stubs->count--;
    if (stubs->buckets > 1 && stubs->count < stubs->buckets)
        join_last(stubs);
}

uint32_t stubs_find(const Stubs *stubs, const Name *name) {
    if (!stubs->count)
        return 0;
    uint32_t number = *bucket_at(stubs, bucket_of(stubs, spread_of(stubs, name)));
    while (number) {
        const Stub *stub = stub_at(stubs, number);
        if (memcmp(&stub->name, name, sizeof *name) == 0)
            return number;
        number = stub->chain;
    }
    return 0;
}

uint32_t stubs_find_key(const Stubs *stubs, int space, Span key) {
    if (likely(!stubs->count) || space >= MARKS)
        return 0;
    Name name = stub_name(space, key);
    return stubs_find(stubs, &name);
}

/* Places under another key: that of the enclave, which a node that was alone did not use. */
void stubs_replace(Stubs *stubs, uint64_t ids_key) {
    uint64_t buckets = stubs->buckets;
    uint32_t all = 0;
    for (uint64_t bucket = 0; bucket < buckets; bucket++) {
        uint32_t *at = bucket_at(stubs, bucket);
        while (*at) {
            Stub *stub = stub_at(stubs, *at);
            uint32_t number = *at;
            *at = stub->chain;
            stub->chain = all;
            all = number;
        }
    }
    stubs->place_key[0] = ids_key;
    stubs->place_key[1] = 0;
    while (all) {
        Stub *stub = stub_at(stubs, all);
        uint32_t number = all, *bucket = bucket_at(stubs, bucket_of(stubs, spread_of(stubs, &stub->name)));
        all = stub->chain;
        stub->chain = *bucket;
        *bucket = number;
    }
}

/* -- walks --------------------------------------------------------------------------------------- */
int stubs_walk(const Stubs *stubs, SeeStub see, void *context) {
    for (uint32_t slab = 0; slab < stubs->slab_count; slab++) {
        for (uint32_t place = 0; stubs->slabs[slab] && place < stubs->slabs[slab]->untouched; place++) {
            uint32_t number = (slab << SLAB_SHIFT | place) + 1;
            if (stub_if_used(stubs, number) && see(context, number))
                return -1;
        }
    }
    return 0;
}

static int walk_bucket(const Stubs *stubs, uint64_t bucket, uint32_t partition, SeeStub see, void *context) {
    for (uint32_t number = *bucket_at(stubs, bucket); number; number = stub_at(stubs, number)->chain)
        if (name_point(stubs->place_key, &stub_at(stubs, number)->name) >> (32 - PARTITION_BITS) == partition
        && see(context, number))
            return -1;
    return 0;
}

/* Those of a partition: all buckets that have its bits below theirs, or the one that has many partitions. */
int stubs_walk_partition(const Stubs *stubs, uint32_t partition, SeeStub see, void *context) {
    if (!stubs->count)
        return 0;
    uint32_t bits = reversed(partition << (32 - PARTITION_BITS));
    if (stubs->buckets <= PARTITIONS)
        return walk_bucket(stubs, bucket_of(stubs, bits), partition, see, context);
    for (uint64_t bucket = bits; bucket < stubs->buckets; bucket += PARTITIONS)
        if (walk_bucket(stubs, bucket, partition, see, context))
            return -1;
    return 0;
}

/* -- as a record --------------------------------------------------------------------------------- */
uint64_t stub_id(const Engine *engine, const Stub *stub) {
    Span name = {stub->name.bytes, NAME_BYTES};
    return digest_id(engine, stub_clock(stub), stub->node, name_space(&stub->name), name, stub_shadow_ms(stub));
}

/* -- changes ------------------------------------------------------------------------------------- */
/* Its end is its shadow; where it has none, its deadline. */
static void fill(Stub *stub, const Name *name, uint64_t clock, uint16_t node, int64_t deadline_ms,
                 int64_t shadow_ms) {
    int64_t end_ms = shadow_ms ? shadow_ms : deadline_ms;
    stub->name = *name;
    stub->clock_low = (uint32_t)clock;
    stub->clock_high = (uint32_t)(clock >> 32);
    stub->node = node;
    stub->end_low = (uint32_t)end_ms;
    stub->end_high = (uint16_t)(end_ms >> 32 | (shadow_ms ? 0 : STUB_TIMED));
}

/* Its end in the order of granules: those before have none, as far as `swept`. */
static void note_end(Stubs *stubs, int64_t end_ms, int64_t now_ms) {
    int64_t before = (end_ms >> GRANULE_SHIFT) - 1, passed = (now_ms >> GRANULE_SHIFT) - 1;
    if (!stubs->count)
        stubs->swept = passed;
    if (before < stubs->swept)
        stubs->swept = before;
}

static void drop(Engine *engine, uint32_t number, uint64_t successor) {
    Stub *stub = stub_at(&engine->stubs, number);
    uint16_t node = stub->node;
    digest_drop_stub(engine, number, successor);
    leave_bucket(&engine->stubs, number);
    stubs_give(&engine->stubs, number);
    nodes_release(&engine->nodes, node);
}

void stub_remove(Engine *engine, uint32_t number) {
    drop(engine, number, stub_clock(stub_at(&engine->stubs, number)));
}

/* A record with this stamp has taken its place. */
void stub_replaced(Engine *engine, uint32_t number, uint64_t clock) {
    drop(engine, number, clock);
}

/* A stub with this stamp takes the place of `before`, if that is one, or is new. Its number; 0: no memory. */
uint32_t stub_write(Engine *engine, uint32_t before, const Name *name, uint64_t clock, uint16_t node,
                    int64_t deadline_ms, int64_t shadow_ms, int64_t now_ms) {
    int64_t end_ms = shadow_ms ? shadow_ms : deadline_ms;
    always(end_ms > 0 && end_ms <= STUB_END_MS_MAX);
    uint32_t number = stubs_take(&engine->stubs);
    if (!number)
        return 0;
    if (!digest_make_stub_room(engine, end_ms, clock, now_ms)) {
        stubs_give(&engine->stubs, number);
        return 0;
    }
    note_end(&engine->stubs, end_ms, now_ms);
    nodes_use(&engine->nodes, node);
    fill(stub_at(&engine->stubs, number), name, clock, node, deadline_ms, shadow_ms);
    digest_add_stub(engine, number);
    if (before)
        drop(engine, before, clock);
    dear(!stubs_find(&engine->stubs, name));
    enter_bucket(&engine->stubs, number);
    return number;
}

/* A record's value is over, and its shadow is not: the same version as a stub. The record is still there then, but
 * in no granule and no partition. Its number; 0: no memory, and nothing has changed. */
static uint32_t stub_of_record(Engine *engine, Record *record, int64_t now_ms) {
    uint32_t number = stubs_take(&engine->stubs);
    if (!number)
        return 0;
    int64_t deadline_ms = record_deadline_ms(record), shadow_ms = record_shadow_ms(record);
    int64_t end_ms = shadow_ms ? shadow_ms : deadline_ms;
    Name name = record_called(engine, record);
    if (!engine->digests.enabled && !digest_make_stub_room(engine, end_ms, record->clock, now_ms)) {
        stubs_give(&engine->stubs, number);
        return 0;
    }
    Seal none = {0};
    int32_t node = nodes_intern(&engine->nodes, engine->nodes.numbers[record->node], &none);
    uint16_t known = node < 0 ? record->node : (uint16_t)node; /* at worst the key of its seal is kept longer */
    note_end(&engine->stubs, end_ms, now_ms);
    nodes_use(&engine->nodes, known);
    fill(stub_at(&engine->stubs, number), &name, record->clock, known, deadline_ms, shadow_ms);
    if (engine->digests.enabled)
        digest_turned(engine, record, number);
    else
        digest_add_stub(engine, number);
    enter_bucket(&engine->stubs, number);
    return number;
}

/* The clock up to which what ended with this record is cleared: members may be younger than their head, not than its
 * end. */
uint64_t family_ended_at(const Record *record) {
    if (!(record->flags & RECORD_KIND))
        return record->clock;
    uint64_t clock = (uint64_t)record_deadline_ms(record) << 16;
    return clock > record->clock ? clock : record->clock;
}

/* What goes with a head that is replaced by another version of its key. */
uint64_t family_cleared_by(const Record *head, uint64_t clock, int64_t now_ms) {
    if (record_deadline_ms(head) > now_ms)
        return clock;
    return record_end_ms(head) > now_ms ? family_ended_at(head) : 0;
}

/* Whether what is under the key has ended, for a version with this stamp that takes its place. A peer's clock may be
 * ahead: what still lives here had ended for whoever wrote a head of the same kind behind its deadline. */
bool family_is_over(const Engine *engine, const Record *record, uint8_t kind, uint64_t clock, uint16_t node,
    int64_t now_ms) {
    int64_t deadline_ms = record_deadline_ms(record);
    if (record->flags & RECORD_STUB || deadline_ms <= now_ms)
        return true;
    return record_kind(record) == kind && clock >= (uint64_t)deadline_ms << 16
        && engine->nodes.numbers[node] != engine->settings.node;
}

/* A stub takes the place of what there is of a key: a record, another stub, or nothing. Its number; 0: no memory. */
uint32_t stub_bury(Engine *engine, Record *record, uint32_t stub, const Name *name, uint64_t clock,
                   uint16_t node, int64_t deadline_ms, int64_t shadow_ms, int64_t now_ms) {
    uint32_t number = stub_write(engine, stub, name, clock, node, deadline_ms, shadow_ms, now_ms);
    if (!number || !record)
        return number;
    uint64_t cleared = record->flags & RECORD_KIND ? family_cleared_by(record, clock, now_ms) : 0;
    wheel_remove(&engine->wheel, record);
    if (engine->digests.enabled)
        digest_drop(engine, record, clock);
    keyspace_forget(engine, record, record_hash(engine, record), cleared);
    return number;
}

/* Members of a key up to this clock are cleared, on all nodes, for as long as one of them could be alive. `ended_ms`:
 * not because of a write, but because a head of that millisecond has ended (decision 0211); a mark keeps it as its
 * deadline. */
bool keyspace_mark(Engine *engine, int db, uint64_t hash, Span key, uint64_t clock, uint64_t number, int64_t until_ms,
                   int64_t now_ms, int64_t ended_ms) {
    if (!engine_remembers(engine)) {
        family_marked(engine, db, key, clock);
        return true;
    }
    Record *mark = table_find(&engine->tables[MARKS + db], hash, key);
    if (mark) {
        uint64_t other = engine->nodes.numbers[mark->node];
        int64_t shadow_ms = record_shadow_ms(mark);
        if (mark->clock > clock || (mark->clock == clock && other >= number)) {
            if (until_ms <= shadow_ms)
                return true;
            clock = mark->clock;
            number = other;
            ended_ms = record_deadline_ms(mark);
        }
        if (shadow_ms > until_ms)
            until_ms = shadow_ms;
    }
    Seal unsealed = {0};
    int32_t node = number == engine->settings.node ? 0 : nodes_intern(&engine->nodes, number, &unsealed);
    if (node < 0
        || !keyspace_write(engine, mark, MARKS + db, hash, key, NULL, clock, (uint16_t)node, ended_ms, until_ms,
                           false, now_ms,
                           0))
        return false;
    if (clock > engine->clock)
        engine->clock = clock;
    if (engine->settings.outbox_bytes_max)
        outbox_add(engine, MARKS + db, hash, key, key.len);
    return true;
}

/* The value is gone; its key's name and its stamp stay until the shadow has passed. A mark remembers until when a
 * head that has ended took members: a stub has no deadline. Without memory for that the record stays, wiped and not
 * to be seen, and is looked at again. */
bool stub_takes_over(Engine *engine, Record *record, int64_t now_ms) {
    Span key = record_key(record);
    uint64_t ended = record->flags & RECORD_KIND ? family_ended_at(record) : 0;
    if (!engine_remembers(engine)) {
        keyspace_forget(engine, record, record_hash(engine, record), ended);
        return true;
    }
    if ((ended && !keyspace_mark(engine, record->db, keyspace_hash(engine, key), key, ended,
        engine->nodes.numbers[record->node],
                                 record_shadow_ms(record), now_ms, (int64_t)(record->clock >> 16)))
        || !stub_of_record(engine, record, now_ms)) {
        Span value = record_lying(record);
        wipe((uint8_t *)value.bytes, value.len);
        wheel_place(&engine->wheel, record, now_ms + WITHOUT_MEMORY_MS, now_ms);
        return false;
    }
    keyspace_forget(engine, record, record_hash(engine, record), ended);
    return true;
}

/* The value of a member is gone, its collection's or its own deadline has come: its name and its stamp stay. The wheel
 * has let go of it already. `departs`: its collection stays. False: no memory, and nothing has changed. */
bool stub_of_member(Engine *engine, Record *record, bool departs, int64_t now_ms) {
    if (engine_remembers(engine)) {
        uint32_t stub = stub_of_record(engine, record, now_ms);
        if (!stub)
            return false;
        if (departs)
            departed_note(engine, family_key(family_with(engine, record)), stub);
    }
    keyspace_forget(engine, record, record_hash(engine, record), 0);
    return true;
}

/* -- forgetting ---------------------------------------------------------------------------------- */
int64_t stubs_next_ms(const Stubs *stubs) { /* -1: nothing to wait for */
    return stubs->count ? (stubs->swept + 2) << GRANULE_SHIFT : -1;
}

/* Forgets what ended in granules that have passed whole: about `budget` of them, and how many they were. */
uint64_t stubs_sweep(Engine *engine, int64_t now_ms, uint64_t budget) {
    Stubs *stubs = &engine->stubs;
    int64_t passed = (now_ms >> GRANULE_SHIFT) - 1;
    uint64_t touched = 0, steps = 0;
    while (stubs->count && stubs->swept < passed && touched + steps / STEPS_BY_BUDGET < budget) {
        const Granule *granule = digest_granule(&engine->digests, stubs->swept + 1);
        if (granule && granule->stubs) {
            stub_remove(engine, granule->first_stub);
            touched++;
        } else {
            stubs->swept++;
            steps++;
        }
    }
    if (!stubs->count && stubs->swept < passed)
        stubs->swept = passed;
    return touched + steps / STEPS_BY_BUDGET;
}
