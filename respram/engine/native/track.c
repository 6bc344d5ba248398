/* The beginning of digests: before the first record, or when the first peer comes to a node that was alone.
 *
 * Records that are there already get a trace, for which each moves to a larger block. All blocks are taken
 * before any record is touched, so that without memory nothing has changed. What is left to fail then is the
 * granules' lists: without them the node stays alone, its records with traces that nobody reads. Two misses a
 * record, in the table's order: a million take about half a second, in one piece, once.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

typedef struct Move {
    Engine *engine;
    Record **blocks; /* in the order of the walk, which is the same twice */
    uint64_t held;
    int64_t now_ms;
    bool counted;
} Move;

/* Before a member its place in its family goes on standing. */
static size_t lead_after(const Record *record) {
    return sizeof(Trace) + kin_bytes(record->db);
}

static int take_one(void *context, const Record *record) {
    Move *move = context;
    size_t lead = lead_after(record);
    uint8_t *block = arena_take(&move->engine->arena, lead + record_bytes(record));
    if (!block)
        return -1;
    move->blocks[move->held++] = (Record *)(block + lead);
    return 0;
}

static int give_back_one(void *context, const Record *record) {
    Move *move = context;
    if (!move->held)
        return -1;
    Record *block = *move->blocks++;
    move->held--;
    arena_give(&move->engine->arena, (uint8_t *)block - lead_after(record), lead_after(record) + record_bytes(record));
    return 0;
}

static int count_stub(void *context, uint32_t number) {
    Move *move = context;
    Engine *engine = move->engine;
    const Stub *stub = stub_at(&engine->stubs, number);
    if (!digest_make_stub_room(engine, stub_end_ms(stub), stub_clock(stub), move->now_ms))
        return -1;
    digest_count_stub(engine, number);
    return 0;
}

static bool count_one(Move *move, Record *record) {
    int64_t deadline_ms = record_deadline_ms(record), shadow_ms = record_shadow_ms(record);
    if (!digest_make_room(move->engine, deadline_ms > shadow_ms ? deadline_ms : shadow_ms, record->clock, move->now_ms))
        return false;
    digest_change(move->engine, record, (Before){0});
    return true;
}

static int move_one(void *context, const Record *old) {
    Move *move = context;
    Engine *engine = move->engine;
    Record *moved = *move->blocks++, *record = (Record *)old;
    size_t bytes = record_bytes(old), kin = kin_bytes(old->db);
    memcpy(moved, old, bytes);
    if (kin) {
        memcpy((uint8_t *)moved - lead_after(old), (const uint8_t *)old - kin, kin);
        family_moved(engine, moved);
    }
    wheel_relink(moved);
    table_replace(&engine->tables[moved->db], record_hash(engine, moved), old, moved);
    dump_enter(engine, moved);
    move->counted = move->counted && count_one(move, moved);
    arena_give(&engine->arena, (uint8_t *)record - kin, kin + bytes);
    return 0;
}

static bool walk_databases(Engine *engine, See see, Move *move) {
    for (int db = 0; db < SPACES; db++)
        if (walk_all(engine, db, see, move))
            return false;
    return true;
}

static void begin(Engine *engine, Links *partitions, uint64_t ids_key, int64_t now_ms) {
    Digests *digests = &engine->digests;
    for (int number = 0; number < PARTITIONS; number++)
        join(&partitions[number], &partitions[number]);
    digests->partitions = partitions;
    digests->bytes += PARTITIONS * sizeof *partitions;
    digests->ids_key[0] = ids_key;
    digests->young_from = (now_ms >> GRANULE_SHIFT) - YOUNG_GRANULES;
    digests->enabled = true;
    engine->lead = sizeof(Trace);
    for (int db = 0; db < SPACES; db++)
        engine->tables[db].lead = lead_of(engine, db);
}

/* There was no memory to begin. Granules stay that list stubs, which need no digests. */
static void stop(Engine *engine) {
    Digests *digests = &engine->digests;
    digests->enabled = false;
    digests->named_record = NULL;
    for (uint64_t place = digests->granule_capacity; place-- > 0;) {
        Granule *granule = digests->granules[place];
        if (!granule)
            continue;
        granule->ending = granule->written = granule->held = 0;
        granule->sum = 0;
    }
    free(digests->young);
    free(digests->partitions);
    digests->bytes -= digests->young_capacity * sizeof *digests->young + PARTITIONS * sizeof *digests->partitions;
    digests->young = NULL;
    digests->partitions = NULL;
    digests->young_count = digests->young_capacity = digests->young_last = 0;
    digests->count = digests->sum = 0;
}

/* Whether somebody else can hold an older value: a peer or a file. If not, nothing is left of it. */
bool engine_remembers(const Engine *engine) {
    return engine->digests.enabled || engine->settings.outbox_bytes_max;
}

/* False: no memory. Then the engine is as it was, or `lead` is set and it can never be tracked. */
bool digest_track(Engine *engine, uint64_t ids_key, int64_t now_ms) {
    family_wipe_cleared(engine, now_ms); /* no mark says of them that they are */
    uint64_t records = engine->stub_rows;
    for (int db = 0; db < SPACES; db++)
        records += engine->live[db];
    Links *partitions = malloc(PARTITIONS * sizeof *partitions);
    Record **blocks = malloc((records ? records : 1) * sizeof *blocks);
    Move move = {engine, blocks, 0, now_ms, true};
    if (!partitions || !blocks || !walk_databases(engine, take_one, &move)) {
        walk_databases(engine, give_back_one, &move);
        free(blocks);
        free(partitions);
        return false;
    }
    begin(engine, partitions, ids_key, now_ms);
    walk_databases(engine, move_one, &move);
    free(blocks);
    stubs_replace(&engine->stubs, ids_key);
    move.counted = move.counted && stubs_walk(&engine->stubs, count_stub, &move) == 0;
    if (!move.counted)
        stop(engine);
    return move.counted;
}
