/* Command streams to scanner, table, wheel and outbox together, with time, peers and memory limits between.
 *
 * The input is a list of steps: a byte that names the step, a byte for its length, its bytes. After every
 * step the sums must be right: records counted are records walked, and nothing that is over is shown.
 * At the end everything is let run out, and must be gone. Half of all inputs go to a node that seals, some by the
 * machine's libcrypto, the others with a cipher that mixes a block instead of encrypting it, and that fails now and
 * then as if there were no memory.
 */
#include "engine.h"
#include "granules.h"

#include <stdlib.h>
#include <string.h>

#define NOW_MS INT64_C(1800000000000)
#define TURNS_MAX 10000
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define MANY 4 /* records to a byte of the input */
#define CROWD 12 /* members to a byte: more than ENDED_AT_ONCE of the longest step */

typedef struct Counted {
    const Engine *engine;
    uint64_t records, live, empty; /* empty: collections whose members have all ended */
    int64_t now_ms;
} Counted;

static int count_record(void *context, const Record *record) {
    Counted *counted = context;
    counted->records++;
    bool lives = record_deadline_ms(record) > counted->now_ms;
    counted->live += lives;
    counted->empty += lives && record_kind(record)
        && family_is_empty((Engine *)counted->engine, record, counted->now_ms);
    return 0;
}

static int count_key(void *context, const Record *record) {
    Counted *counted = context;
    if (record_deadline_ms(record) <= counted->now_ms)
        abort(); /* shown past its end */
    counted->records++;
    return 0;
}

/* A stub is found by its name, in the granule of its end, and no record has its name. */
static int check_stub(void *context, uint32_t number) {
    Counted *counted = context;
    const Engine *engine = counted->engine;
    const Stub *stub = stub_at(&engine->stubs, number);
    const Granule *granule = digest_granule(&engine->digests, stub_end_ms(stub) >> GRANULE_SHIFT);
    if (stubs_find(&engine->stubs, &stub->name) != number || !granule || !granule->stubs
        || (engine->digests.enabled && dump_find(engine, &stub->name)))
        abort();
    counted->records++;
    return 0;
}

static void check(Engine *engine, int64_t now_ms) {
    uint64_t held = 0, live = 0;
    Counted stubs = {.engine = engine};
    stubs_walk(&engine->stubs, check_stub, &stubs);
    if (stubs.records != engine->stubs.count || stubs_bytes(&engine->stubs) > 48 * (stubs.records ? stubs.records : 1))
        abort();
    for (int db = 0; db < DATABASES; db++) {
        Counted all = {.engine = engine, .now_ms = now_ms}, shown = {.now_ms = now_ms};
        walk_all(engine, db, count_record, &all);
        uint64_t cursor = 0;
        int turns = 0;
        do {
            walk_scan(engine, db, &cursor, 3, now_ms, count_key, &shown);
        } while (cursor && ++turns < TURNS_MAX);
        if (all.records != table_records(&engine->tables[db]) || all.live - all.empty != walk_count(engine, db, now_ms)
            || shown.records < all.live - all.empty)
            abort();
        const Record *one = walk_sample(engine, db, all.records * SPREAD, now_ms);
        if ((one != NULL) != (all.live > all.empty) || (one && count_key(&shown, one))
            || walk_ttl_average_ms(engine, db, now_ms) < 0)
            abort();
        held += all.records;
        live += engine->live[db];
    }
    for (int space = DATABASES; space < SPACES; space++) { /* whose stubs are records */
        held += table_records(&engine->tables[space]);
        live += engine->live[space];
    }
    if (held != live + engine->stub_rows || held != engine->wheel.records)
        abort();
    uint64_t table_total = 0;
    for (int space = 0; space < SPACES; space++)
        table_total += table_bytes(&engine->tables[space]);
    for (int number = 0; number < MEMBER_SPACES; number++)
        table_total += table_bytes(&engine->families[number]);
    if (table_total != engine->table_bytes)
        abort();
}

/* -- what peers compare ------------------------------------------------------------------------- */
#define IDS_KEY 9

typedef struct Tracked {
    const Engine *engine;
    uint64_t records, sum;
} Tracked;

/* Its id is that of ids.py, and it stands in the granule of its end, where its trace says. */
static int check_trace(void *context, const Record *record) {
    Tracked *tracked = context;
    const Engine *engine = tracked->engine;
    const Trace *trace = trace_of(record);
    uint64_t words[2] = {record->clock, engine->nodes.numbers[record->node]}, key[2] = {IDS_KEY, 0};
    Whole whole = whole_of(engine, record);
    Buffer key_bytes = {0};
    if (!buffer_reserve(&key_bytes, whole_bytes(&whole) + 1))
        abort();
    whole_put(&whole, key_bytes.bytes);
    Name name = stub_name(record->db, (Span){key_bytes.bytes, whole_bytes(&whole)});
    bool is_named = is_member(record->db) || (record->db < DATABASES && record_shadow_ms(record));
    Span named = is_named ? (Span){name.bytes, NAME_BYTES} : record_key(record);
    uint64_t id = hash_words(key, words, 2, record->db, named) + (uint64_t)record_shadow_ms(record) * SPREAD;
    free(key_bytes.bytes);
    const Granule *granule = granule_of(trace);
    if (trace->id != id || granule->number != record_end_ms(record) >> GRANULE_SHIFT
        || *granule_at(granule, trace->place) != record)
        abort();
    tracked->records++;
    tracked->sum += id;
    return 0;
}

static int count_stub_id(void *context, uint32_t number) {
    Tracked *tracked = context;
    tracked->records++;
    tracked->sum += stub_id(tracked->engine, stub_at(&tracked->engine->stubs, number));
    return 0;
}

static void check_digests(Engine *engine, int64_t now_ms) {
    Tracked tracked = {.engine = engine};
    for (int db = 0; db < SPACES; db++)
        walk_all(engine, db, check_trace, &tracked);
    stubs_walk(&engine->stubs, count_stub_id, &tracked);
    Sum total, *sums;
    if (!digest_total(engine, INT64_MAX, INT64_MIN, now_ms, &total))
        abort();
    if ((uint64_t)total.count != tracked.records || total.sum != tracked.sum
        || digest_count_since(engine, 0) != tracked.records)
        abort();
    int64_t young = (now_ms >> GRANULE_SHIFT) - 1;
    bool told = digest_total(engine, young, young + 3, now_ms, &total);
    int64_t count = digest_buckets(engine, young, young + 3, (int)(total.sum & 7), now_ms, &sums);
    for (int64_t at = 0; at < count; at++) {
        total.count -= sums[at].count;
        total.sum -= sums[at].sum;
    }
    free(sums);
    if (told && (total.count || total.sum))
        abort();
}

/* A filter of this engine's own records lacks none of them, and a dump has them all. */
static void compare(Engine *engine, const uint8_t *bytes, size_t len, int64_t now_ms) {
    uint8_t bits[64] = {0};
    Filter filter = {.bits = bits, .salt = len ? bytes[0] : 0, .width = 128, .slices = 4, .room = len};
    int64_t bucket = (now_ms >> GRANULE_SHIFT) >> 4, budget = len & 1 ? 2 + (int64_t)engine->digests.count / 50 : 1000;
    Selection selection = {.cut_stamp = INT64_MAX, .cut_end = -1, .shift = 4, .buckets = &bucket,
        .bucket_count = len >> 1 & 1};
    int turns = 0;
    for (Spot spot = {0}; spot.granule != CURSOR_DONE; turns++)
        if (!filter_fill(engine, &filter, &selection, &spot, budget) || turns > TURNS_MAX)
            abort();
    Buffer out = {0};
    for (Spot spot = {0}; spot.granule != CURSOR_DONE; turns++)
        if (!filter_lacking(engine, &filter, &selection, &spot, UINT64_MAX, budget, &out) || turns > TURNS_MAX)
            abort();
    if (filter.added < len && out.len)
        abort();
    uint64_t held = 0;
    for (uint64_t cursor = 0; cursor >> 32 == 0; turns++) {
        buffer_clear(&out, 1024);
        if (!dump_records(engine, cursor, len * 4 + 1, now_ms, &out, &cursor) || turns > TURNS_MAX)
            abort();
        held += out.len;
    }
    if (held && !engine->digests.count)
        abort();
    buffer_clear(&out, 0);
}

/* -- a cipher to play with ------------------------------------------------------------------------- */
typedef struct Toy {
    Engine *engine;
    uint64_t ids[8]; /* by the core's numbers */
    unsigned calls, fails_at, key;
} Toy;

static uint64_t mixed(uint64_t word, uint64_t key) {
    word = (word ^ key) * UINT64_C(0x9e3779b97f4a7c15);
    return word ^ word >> 29;
}

static bool toy_encrypt(void *context, uint32_t key, int pad, size_t blocks) {
    Toy *toy = context;
    Pad *place = &toy->engine->seals.pads[pad];
    if (key >= 8 || !toy->ids[key] || blocks > PAD_BLOCKS)
        abort();
    if (toy->fails_at && ++toy->calls % toy->fails_at == 0)
        return false;
    for (size_t at = 0; at < blocks * BLOCK_BYTES; at += 8) {
        uint64_t word;
        memcpy(&word, place->blocks + at, 8);
        word = mixed(word + at % BLOCK_BYTES, toy->ids[key]);
        memcpy(place->stream + at, &word, 8);
    }
    return true;
}

static bool toy_run_through(void *context, uint32_t key, uint64_t sealer, uint64_t position, Span bytes, uint8_t *out,
                            bool room) {
    Toy *toy = context;
    if (key >= 8 || !toy->ids[key] || bytes.len < LONG_BYTES)
        abort();
    for (size_t at = 0; at < bytes.len; at++) {
        if (toy->fails_at && at == bytes.len / 2 && ++toy->calls % toy->fails_at == 0)
            return false;
        out[at] = bytes.bytes[at] ^ (uint8_t)(mixed(sealer + position + at / BLOCK_BYTES,
            toy->ids[key]) >> (at % BLOCK_BYTES));
    }
    if (room)
        memset(out + bytes.len, 0xa5, GCM_TAG_BYTES);
    return true;
}

static bool toy_lend(void *context, uint64_t id, uint32_t key, const uint8_t **bytes) {
    static const uint8_t KEY[SEAL_KEY_BYTES] = {3};
    Toy *toy = context;
    if (key >= 8 || id % 5 == 4) /* a key that is not here */
        return false;
    toy->ids[key] = id;
    *bytes = KEY;
    return true;
}

static uint64_t toy_take(void *context) { /* 0: none */
    return (((Toy *)context)->key++ / 16 + 1) % 4;
}

/* What is sealed opens to what was stored, whatever its stamp has become. */
static void store_and_look(Engine *engine, int db, uint64_t hash, Span key, Span value, int64_t now_ms) {
    bool found;
    if (!keyspace_store(engine, db, hash, key, value, now_ms + (int64_t)value.len * 7 + 1, false, now_ms, NOTE_NONE))
        return;
    if (!keyspace_retime(engine, db, hash, key, now_ms + (int64_t)value.len * 7 + 2, false, now_ms, NOTE_NONE, &found)
        || !found)
        abort();
    const Record *record = keyspace_row(engine, db, hash, key, now_ms);
    uint8_t *plain = malloc(value.len + 1);
    if (!record || record_value_bytes(record) != value.len)
        abort();
    if (seal_open(engine, record, plain) && value.len && memcmp(plain, value.bytes, value.len) != 0)
        abort();
    free(plain);
}

/* An input of the fuzzer is hardly ever long enough for a long value, so each is made so at times. */
static void store_long(Engine *engine, int db, uint64_t hash, Span key, Span value, int64_t now_ms) {
    Buffer more = {0};
    while (value.len && more.len < LONG_BYTES)
        buffer_append(&more, value.bytes, value.len);
    store_and_look(engine, db, hash, key, (Span){more.bytes, more.len}, now_ms);
    buffer_clear(&more, 0);
}

/* More records than an input has room for, so that tables grow and shrink, and many end together. */
static void store_many(Engine *engine, int db, const uint8_t *bytes, size_t len, int64_t now_ms) {
    for (size_t number = 0; number < len * MANY; number++) {
        uint8_t name[2] = {(uint8_t)number, (uint8_t)(number >> 8)};
        Span key = {name, 2}, value = {bytes, number % 5 < len ? number % 5 : 0};
        keyspace_store(engine, db, keyspace_hash(engine, key), key, value, now_ms + 1 + bytes[number % len] * 99, false,
            now_ms,
                       NOTE_NONE);
    }
}

/* -- ends of members -------------------------------------------------------------------------------- */
static uint64_t living_members(const Family *family, int64_t now_ms) {
    uint64_t living = 0;
    for (uint64_t place = family->dying; place < family->count; place++)
        living += record_deadline_ms(family_member(family, place)) > now_ms;
    return living;
}

/* Who asks for a collection ends what has ended of it, all or a slice, and nothing that lives. */
static void settle(Engine *engine, int db, Span key, bool whole, int64_t now_ms) {
    uint64_t hash = keyspace_hash(engine, key);
    Record *head = family_head(engine, db, hash, key, now_ms);
    if (!head)
        return;
    Family *family = family_of(engine, head);
    uint64_t living = living_members(family, now_ms), before = family->count;
    int64_t ended = family_settle(engine, head, now_ms);
    if (ended < 0 && before <= SETTLED_AT_ONCE)
        abort(); /* only a crowd is ended in slices */
    head = family_head(engine, db, hash, key, now_ms);
    if (whole && head) {
        family_settled(engine, head, now_ms);
        head = family_head(engine, db, hash, key, now_ms);
    }
    if (!head && living)
        abort();
    family = head ? family_of(engine, head) : NULL;
    if (head && (living_members(family, now_ms) != living
                 || ((whole || ended >= 0) && family->count - family->dying != living)))
        abort();
}

/* Members with ends of their own, more than end in one slice at times. */
static void store_members(Engine *engine, int db, const uint8_t *bytes, size_t len, int64_t now_ms) {
    if (len < 2)
        return;
    Span key = {bytes, 1};
    uint64_t hash = keyspace_hash(engine, key);
    settle(engine, db, key, bytes[1] & 2, now_ms);
    if (!family_head(engine, db, hash, key, now_ms)
        && (keyspace_row(engine, db, hash, key, now_ms)
            || !family_found(engine, db, hash, key, (uint8_t)(1 + bytes[1] / 4 % 3), now_ms + 900, false, now_ms)))
        return;
    for (size_t number = 0; number < len * (bytes[1] & 1 ? CROWD : 1); number++) {
        Record *head = family_head(engine, db, hash, key, now_ms);
        if (!head)
            abort();
        uint8_t byte = bytes[number % len], name[2] = {(uint8_t)number, (uint8_t)(number >> 8)}, score[8] = {byte};
        Span value = {record_kind(head) == ZSET ? score : bytes, record_kind(head) == ZSET ? 8 : number % 3 % len};
        bool is_new;
        if (!family_put(engine, head, (Span){name, 2}, record_kind(head) == SET ? (Span){NULL, 0} : value,
                        byte & 1 ? now_ms + 1 + byte / 2 * 9 : 0, now_ms, &is_new))
            return;
    }
}

/* EXEC: what is kept runs, and what is handed back is answered. */
static void run_queued(Engine *engine, Session *session, size_t reply_bytes_max, int64_t now_ms) {
    Command handed;
    for (uint64_t turns = 0; !multi_run(engine, session, now_ms, reply_bytes_max, &handed); turns++) {
        const Arg *last = &handed.args[handed.argc - 1];
        if (turns > session->queued_count
            || handed.text + last->offset + last->len > session->queued.bytes + session->queued.len
            || !buffer_append(&engine->reply, (const uint8_t *)"+late\r\n", 7))
            abort();
    }
    multi_drop(session);
}

/* What commands do behind `dispatch`, in small. Any but those of MULTI take out what is kept. */
static void answer(Engine *engine, Session *session, uint8_t *data, size_t len, int64_t now_ms, bool behind) {
    Turn turn = feed_start(engine, session, data, len, len & 1, now_ms, behind);
    while (turn == TURN_COLD) {
        const Command *command = feed_cold(engine);
        Span name = command_arg(command, 0), last = command_arg(command, command->argc - 1);
        uint8_t first = name.len ? name.bytes[0] : 0;
        uint64_t hash = keyspace_hash(engine, last);
        bool found;
        if (first == 'E')
            run_queued(engine, session, name.len * 60, now_ms);
        if (session->queue_keys_max && first != 'M') {
            Command queued;
            while (multi_next(session, &queued))
                if (queued.argc == 0 || !hot_name(command_arg(&queued, 0)))
                    abort();
            multi_drop(session);
            session->queue_keys_max = 0;
            session->hot = true;
        }
        switch (first) {
        case 'M':
            session->queue_keys_max = command->argc * 9;
            session->hot = false;
            break;
        case 'W':
            if (!session->retried) {
                feed_suspend(engine);
                return;
            }
            break;
        case 'F': feed_abandon(engine); return;
        case 'Q': session->closing = true; break;
        case 'D': session->db = (session->db + 1) % DATABASES; break;
        case 'T': session->trusted = !session->trusted; break;
        case 'H': session->hot = !session->hot; break;
        case 'R':
            if (last.len < UINT32_MAX)
                keyspace_retime(engine, session->db, hash, last, now_ms + 40, false, now_ms, NOTE_NONE, &found);
            break;
        case 'A':
            store_and_look(engine, session->db, hash, last, name, now_ms);
            break;
        case 'B':
            store_long(engine, session->db, hash, last, name, now_ms);
            break;
        default: break;
        }
        turn = feed_answer(engine, (const uint8_t *)"+cold\r\n", 7);
    }
}

/* Half of all replies go behind those before, which stay as they are whatever happens. */
static void serve(Engine *engine, Session *session, uint8_t *data, size_t len, int64_t now_ms) {
    Buffer earlier = {0};
    bool behind = len & 2;
    if (behind && !buffer_append(&earlier, engine->reply.bytes, engine->reply.len))
        abort();
    answer(engine, session, data, len, now_ms, behind);
    if (engine->reply.len < earlier.len
        || (earlier.len && memcmp(engine->reply.bytes, earlier.bytes, earlier.len) != 0))
        abort();
    buffer_clear(&earlier, 0);
}

static void step(Engine *engine, Session *session, uint8_t kind, uint8_t *bytes, size_t len, int64_t *now_ms) {
    Buffer out = {0};
    switch (kind % 13) {
    default: serve(engine, session, bytes, len, *now_ms); break;
    case 3: store_many(engine, session->db, bytes, len, *now_ms); break;
    case 4: *now_ms += (int64_t)len * 3; keyspace_expire(engine, *now_ms, 100); break;
    case 5: *now_ms += INT64_C(1) << (len % 34); keyspace_expire(engine, *now_ms, len); break;
    case 6: keyspace_merge(engine, bytes, len, *now_ms); break;
    case 7: outbox_drain(engine, len * 8, &out); break;
    case 8:
        session->suspended = false;
        session->retried = true;
        serve(engine, session, bytes, 0, *now_ms);
        break;
    case 10:
        if (engine->digests.enabled)
            compare(engine, bytes, len, *now_ms);
        break;
    case 11: keyspace_restamp(engine, *now_ms); break;
    case 12: store_members(engine, session->db, bytes, len, *now_ms); break;
    case 9:
        if (*now_ms > NOW_MS + 5000) /* the clock is set back */
            *now_ms -= 4000;
        engine->settings.memory_bytes_max = len & 1 ? 4096 : 0;
    }
    buffer_clear(&out, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Settings settings = {
        .node = 7, .secret = {1, 2}, .default_ttl_ms = 1000, .max_ttl_ms = INT64_C(1) << 40,
        .clock_offset_ms_max = 2000,
        .bulk_bytes_max = 1 << 20, .args_max = 1 << 16, .inline_bytes_max = 1 << 10, .query_bytes_max = 1 << 20,
        .feed_commands_max = 5, .feed_reply_bytes_max = 500, .outbox_bytes_max = 2000, .counters = true,
    };
    Engine *engine = engine_new(&settings);
    Session session;
    /* half of all inputs: a node that may have peers; some only half-way */
    bool has_peers = size & 1, late = size & 16;
    if (has_peers && !late && !digest_track(engine, IDS_KEY, NOW_MS))
        abort();
    Toy toy = {.engine = engine, .fails_at = size & 8 ? 7 : 0};
    Lender lender = {.context = &toy, .encrypt = toy_encrypt, .run_through = toy_run_through, .lend = toy_lend,
        .take = toy_take,
                     .ciphers_here = size & 32, .by_gcm = size & 64};
    if (size & 2 && !seal_begin(engine, lender, size & 4))
        abort();
    session_init(&session);
    session.hot = session.trusted = engine->observed = true;
    int64_t now_ms = NOW_MS;
    for (size_t whole = size; size >= 2;) {
        if (has_peers && size < whole / 2 && !engine->lead && !digest_track(engine, IDS_KEY, now_ms))
            abort();
        uint8_t kind = data[0];
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        uint8_t *bytes = malloc(len ? len : 1);
        memcpy(bytes, data + 2, len);
        step(engine, &session, kind, bytes, len, &now_ms);
        free(bytes);
        for (int turns = 0; session.more && turns < TURNS_MAX; turns++)
            serve(engine, &session, NULL, 0, now_ms);
        buffer_clear(&engine->notes, 1024);
        check(engine, now_ms);
        if (engine->digests.enabled)
            check_digests(engine, now_ms);
        data += 2 + len;
        size -= 2 + len;
    }
    for (int turn = 0; turn < 40; turn++) {
        now_ms += INT64_C(1) << 38;
        while (keyspace_expire(engine, now_ms, 1000) == 1000)
            ;
    }
    check(engine, now_ms);
    if (engine->wheel.records || engine->digests.count || engine->digests.granule_count)
        abort();
    session_close(&session);
    engine_free(engine);
    return 0;
}
