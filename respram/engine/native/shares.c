/* Counters that several nodes count at once, and how two versions of one merge. The twin of pure/shares.py, which
 * says what shares and epochs are.
 *
 * Behind the digits lie, sealed with them: u64 epoch's clock | u64 epoch's node | i64 base | u64 clock of the
 * deadline | {u64 node | u64 clock | i64 sum} for each share, by node.
 */
#include "hot.h"
#include "shares.h"

#include <string.h>

typedef struct Share { /* as its bytes lie */
    uint64_t node, clock;
    int64_t sum;
} Share;

_Static_assert(sizeof(Share) == SHARE_BYTES, "a share is read as it lies");

typedef struct Counter {
    uint64_t epoch_clock, epoch_node, timed; /* timed: the clock of who set the deadline */
    int64_t base;
    size_t count;
    Share shares[2 * SHARES_MAX]; /* as many as two that are joined can have */
} Counter;

#define COUNTER_BYTES_MAX (COUNTER_DIGITS_MAX + COUNTER_HEAD_BYTES + SHARES_MAX * SHARE_BYTES)

/* A counter and its life, as versions of it are merged. */
typedef struct Timed {
    Counter counter;
    int64_t deadline_ms;
    bool implicit;
} Timed;

static int compare(uint64_t clock, uint64_t node, uint64_t other_clock, uint64_t other_node) {
    if (clock != other_clock)
        return clock < other_clock ? -1 : 1;
    return node == other_node ? 0 : node < other_node ? -1 : 1;
}

static int64_t clamp(__int128 number) {
    return number > INT64_MAX ? INT64_MAX : number < INT64_MIN ? INT64_MIN : (int64_t)number;
}

static __int128 exact(const Counter *counter) {
    __int128 total = counter->base;
    for (size_t at = 0; at < counter->count; at++)
        total += counter->shares[at].sum;
    return total;
}

/* -- the law --------------------------------------------------------------------------------------- */
static bool is_set_later(const Timed *one, const Timed *other) {
    if (one->counter.timed != other->counter.timed)
        return one->counter.timed > other->counter.timed;
    if (one->deadline_ms != other->deadline_ms)
        return one->deadline_ms > other->deadline_ms;
    return one->implicit > other->implicit;
}

static bool is_counted_later(const Share *one, const Share *other) {
    return one->clock != other->clock ? one->clock > other->clock : one->sum > other->sum;
}

static void join_timed(const Timed *one, const Timed *other, Timed *joined) {
    const Counter *here = &one->counter, *there = &other->counter;
    int order = compare(here->epoch_clock, here->epoch_node, there->epoch_clock, there->epoch_node);
    if (order) {
        *joined = order > 0 ? *one : *other;
        return;
    }
    const Timed *later = is_set_later(one, other) ? one : other;
    Counter *sum = &joined->counter;
    sum->epoch_clock = here->epoch_clock;
    sum->epoch_node = here->epoch_node;
    sum->base = here->base > there->base ? here->base : there->base;
    sum->timed = later->counter.timed;
    joined->deadline_ms = later->deadline_ms;
    joined->implicit = later->implicit;
    sum->count = 0;
    for (size_t at = 0, other_at = 0; at < here->count || other_at < there->count;) {
        const Share *mine = at < here->count ? &here->shares[at] : NULL;
        const Share *theirs = other_at < there->count ? &there->shares[other_at] : NULL;
        bool takes_mine = mine && (!theirs || mine->node <= theirs->node);
        bool takes_theirs = theirs && (!mine || theirs->node <= mine->node);
        const Share *taken = takes_mine ? mine : theirs;
        if (takes_mine && takes_theirs && is_counted_later(theirs, mine))
            taken = theirs;
        sum->shares[sum->count++] = *taken;
        at += takes_mine;
        other_at += takes_theirs;
    }
}

static bool is_same(const Timed *one, const Timed *other) {
    const Counter *here = &one->counter, *there = &other->counter;
    return here->epoch_clock == there->epoch_clock && here->epoch_node == there->epoch_node
           && here->base == there->base && here->timed == there->timed && here->count == there->count
           && one->deadline_ms == other->deadline_ms && one->implicit == other->implicit
           && !memcmp(here->shares, there->shares, here->count * sizeof(Share));
}

/* All that is known here begins a new epoch. */
static void fold(Counter *counter, uint64_t clock, uint64_t node, int64_t step) {
    counter->base = clamp(exact(counter) + step);
    counter->epoch_clock = clock;
    counter->epoch_node = node;
    counter->count = 0;
}

/* One more count of this node. Where its share has no room, a new epoch begins. */
static void count(Counter *counter, uint64_t clock, uint64_t node, int64_t step) {
    size_t at = 0;
    while (at < counter->count && counter->shares[at].node < node)
        at++;
    Share *share = &counter->shares[at];
    bool is_known = at < counter->count && share->node == node;
    int64_t sum = is_known ? share->sum : 0;
    if ((!is_known && counter->count >= SHARES_MAX) || __builtin_add_overflow(sum, step, &sum)) {
        fold(counter, clock, node, step);
        return;
    }
    if (!is_known)
        memmove(share + 1, share, (counter->count++ - at) * sizeof *share);
    *share = (Share){node, clock, sum};
}

/* -- as bytes -------------------------------------------------------------------------------------- */
static void put(uint8_t **out, const void *number) { /* x86-64 and arm64 are little-endian; seal.h relies on it too */
    memcpy(*out, number, 8);
    *out += 8;
}

static void get(const uint8_t **at, void *number) {
    memcpy(number, *at, 8);
    *at += 8;
}

static size_t write_out(const Counter *counter, uint8_t *bytes) {
    uint8_t *out = bytes + digits_of(clamp(exact(counter)), bytes);
    put(&out, &counter->epoch_clock);
    put(&out, &counter->epoch_node);
    put(&out, &counter->base);
    put(&out, &counter->timed);
    for (size_t at = 0; at < counter->count; at++) {
        put(&out, &counter->shares[at].node);
        put(&out, &counter->shares[at].clock);
        put(&out, &counter->shares[at].sum);
    }
    return (size_t)(out - bytes);
}

/* No peer makes another: its clocks would outrank all counts to come, or its sum be another than what is read. */
static bool is_plausible(const Counter *counter, int64_t number, uint64_t clock, uint64_t node) {
    bool fits = clamp(exact(counter)) == number && counter->timed <= clock
        && compare(counter->epoch_clock, counter->epoch_node, clock, node) <= 0;
    for (size_t at = 0; at < counter->count; at++)
        fits = fits && counter->shares[at].clock <= clock
            && (!at || counter->shares[at - 1].node < counter->shares[at].node);
    return fits;
}

/* A version's counter; a plain integer is one without shares. False: it is no integer. */
static bool read_plain(const uint8_t *bytes, size_t digits, const Version *version, Counter *counter) {
    int64_t number;
    if (!span_int64((Span){bytes, digits}, &number))
        return false;
    if (version->counted) {
        const uint8_t *at = bytes + digits;
        get(&at, &counter->epoch_clock);
        get(&at, &counter->epoch_node);
        get(&at, &counter->base);
        get(&at, &counter->timed);
        counter->count = (version->bytes.len - digits - COUNTER_HEAD_BYTES) / SHARE_BYTES;
        for (size_t number_of = 0; number_of < counter->count; number_of++) {
            Share *share = &counter->shares[number_of];
            get(&at, &share->node);
            get(&at, &share->clock);
            get(&at, &share->sum);
        }
        if (is_plausible(counter, number, version->clock, version->node))
            return true;
    }
    counter->epoch_clock = counter->timed = version->clock;
    counter->epoch_node = version->node;
    counter->base = number;
    counter->count = 0;
    return true;
}

enum { A_COUNTER, A_TEXT, UNREADABLE };

static int read_in(Engine *engine, const Version *version, Counter *counter) {
    uint8_t plain[COUNTER_BYTES_MAX];
    size_t len = version->bytes.len, digits = version->counted ? counter_digits(len) : len;
    if (digits > COUNTER_DIGITS_MAX || !digits)
        return A_TEXT;
    always(len <= sizeof plain);
    int outcome = UNREADABLE;
    if (seal_open_bytes(engine, &version->seal, version->position, version->bytes, plain))
        outcome = read_plain(plain, digits, version, counter) ? A_COUNTER : A_TEXT;
    wipe(plain, len);
    return outcome;
}

static Version version_of(const Engine *engine, const Record *record) {
    return (Version){
        .clock = record->clock, .node = engine->nodes.numbers[record->node], .bytes = record_lying(record),
        .seal = engine->nodes.seals[record->node], .position = record_position(record),
        .deadline_ms = record_deadline_ms(record), .shadow_ms = record_shadow_ms(record),
        .counted = record->flags & RECORD_COUNTED, .implicit = record->flags & RECORD_IMPLICIT,
    };
}

/* -- counting -------------------------------------------------------------------------------------- */
/* Where there may be peers, and no majority decides. */
bool counters_converge(const Engine *engine) {
    return engine->settings.counters && engine->digests.enabled;
}

static bool store_plain(Engine *engine, int db, uint64_t hash, Span key, Span value, int64_t deadline_ms,
                        bool implicit, int64_t now_ms, uint8_t note) {
    Content content;
    if (!seal_value(engine, value, &content))
        return false;
    content.counted = true;
    engine->moved += counter_digits(value.len);
    bool stored = keyspace_put(engine, db, hash, key, &content, deadline_ms, implicit, now_ms, note);
    seal_done(engine, &content, stored);
    return stored;
}

static bool store(Engine *engine, int db, uint64_t hash, Span key, const Counter *counter, int64_t deadline_ms,
                  bool implicit, int64_t now_ms, uint8_t note) {
    uint8_t plain[COUNTER_BYTES_MAX];
    Span value = {plain, write_out(counter, plain)};
    bool stored = store_plain(engine, db, hash, key, value, deadline_ms, implicit, now_ms, note);
    wipe(plain, value.len);
    return stored;
}

/* One more count in a counter that this node has written last, and that lies open here: its bytes with other digits
 * and another share. Returns how many; 0: it is no such counter. (What a peer wrote is read as a whole, and judged; and
 * a number at the edge may be less than the sum of its shares.) */
static size_t count_in_bytes(const Engine *engine, const Record *record, int64_t number, int64_t step, uint64_t clock,
                             uint8_t *out) {
    if (!(record->flags & RECORD_COUNTED) || record->node || number == INT64_MAX || number == INT64_MIN)
        return 0;
    Span lying = record_lying(record);
    const uint8_t *from = lying.bytes + counter_digits(lying.len), *end = lying.bytes + lying.len;
    uint8_t *to = out + digits_of(number + step, out);
    bool counted = false;
    always(lying.len <= COUNTER_BYTES_MAX);
    memcpy(to, from, COUNTER_HEAD_BYTES);
    to += COUNTER_HEAD_BYTES;
    for (from += COUNTER_HEAD_BYTES; from < end; from += SHARE_BYTES, to += SHARE_BYTES) {
        Share share;
        memcpy(&share, from, SHARE_BYTES);
        if (share.node == engine->settings.node) {
            if (__builtin_add_overflow(share.sum, step, &share.sum))
                return 0;
            share.clock = clock;
            counted = true;
        }
        memcpy(to, &share, SHARE_BYTES);
    }
    return counted ? (size_t)(to - out) : 0;
}

/* What was under a key that is missing: others know it as well as this node, as long as it is remembered. */
static void begin(const Engine *engine, const Record *record, uint32_t stub, int64_t now_ms, Counter *counter) {
    counter->epoch_clock = counter->epoch_node = 0;
    counter->base = 0;
    counter->count = 0;
    if (record && record_end_ms(record) > now_ms) {
        counter->epoch_clock = record->clock;
        counter->epoch_node = engine->nodes.numbers[record->node];
    } else if (stub && stub_shadow_ms(stub_at(&engine->stubs, stub)) > now_ms) {
        counter->epoch_clock = stub_clock(stub_at(&engine->stubs, stub));
        counter->epoch_node = engine->nodes.numbers[stub_at(&engine->stubs, stub)->node];
    }
}

/* Adds to the integer of a key's record, or to 0 where there is none. That the sum fits, the caller has looked at.
 * False: no memory. */
bool counter_raise(Engine *engine, int db, uint64_t hash, Span key, const Record *record, int64_t number,
                   int64_t step, int64_t deadline_ms, bool implicit, int64_t now_ms, uint8_t note, int64_t *sum) {
    if (!counters_converge(engine)) {
        uint8_t digits[COUNTER_DIGITS_MAX];
        *sum = number + step;
        bool stored = keyspace_store(engine, db, hash, key, (Span){digits, digits_of(*sum, digits)}, deadline_ms,
                                     implicit, now_ms, note);
        wipe(digits, sizeof digits);
        return stored;
    }
    Counter counter;
    const Record *there = record ? record : table_find(&engine->tables[db], hash, key);
    uint32_t stub = there ? 0 : stubs_find_key(&engine->stubs, db, key);
    uint64_t clock = keyspace_next_clock(engine, there, stub, now_ms);
    if (likely(record && deadline_ms == record_deadline_ms(record)
               && implicit == !!(record->flags & RECORD_IMPLICIT))) {
        uint8_t plain[COUNTER_BYTES_MAX];
        size_t len = count_in_bytes(engine, record, number, step, clock, plain);
        if (likely(len)) {
            *sum = number + step;
            return store_plain(engine, db, hash, key, (Span){plain, len}, deadline_ms, implicit, now_ms, note);
        }
    }
    if (record) {
        Version version = version_of(engine, record);
        if (read_in(engine, &version, &counter) != A_COUNTER)
            return false;
        if (deadline_ms != version.deadline_ms || implicit != version.implicit)
            counter.timed = clock;
    } else {
        begin(engine, there, stub, now_ms, &counter);
        counter.timed = clock;
    }
    count(&counter, clock, engine->settings.node, step);
    *sum = clamp(exact(&counter));
    return store(engine, db, hash, key, &counter, deadline_ms, implicit, now_ms, note);
}

/* The same by the key alone. */
bool counter_add(Engine *engine, int db, uint64_t hash, Span key, int64_t step, int64_t deadline_ms, bool implicit,
                 int64_t now_ms, uint8_t note, int64_t *sum) {
    const Record *record = keyspace_row(engine, db, hash, key, now_ms);
    int64_t number;
    return integer_of(engine, record, &number)
           && counter_raise(engine, db, hash, key, record, number, step, deadline_ms, implicit, now_ms, note, sum);
}

/* The same counter under a new deadline. Its key lies in its record, so it goes by way of a buffer. */
bool counter_retime(Engine *engine, const Record *record, int64_t deadline_ms, bool implicit, int64_t now_ms,
                    uint8_t note) {
    Counter counter;
    Version version = version_of(engine, record);
    Buffer held = {0};
    Span key = record_key(record);
    int read = read_in(engine, &version, &counter);
    if (read == A_TEXT) /* a peer's, that is no counter */
        return keyspace_again(engine, record, deadline_ms, implicit, now_ms, note);
    if (read == UNREADABLE || !buffer_append(&held, key.bytes, key.len))
        return false;
    counter.timed = keyspace_next_clock(engine, record, 0, now_ms);
    key.bytes = held.bytes;
    bool stored = store(engine, record->db, keyspace_hash(engine, key), key, &counter, deadline_ms, implicit, now_ms,
                        note);
    buffer_clear(&held, 0);
    return stored;
}

/* -- merging --------------------------------------------------------------------------------------- */
/* Whether these two are to be joined, and not merged by stamp: both live, and at least one of them with shares. */
bool counters_meet(const Engine *engine, const Record *record, const Version *arrived, int64_t now_ms) {
    if (record->flags & (RECORD_STUB | RECORD_KIND) || !(record->flags & RECORD_COUNTED || arrived->counted))
        return false;
    if (!counters_converge(engine) || record_deadline_ms(record) <= now_ms || arrived->deadline_ms <= now_ms)
        return false;
    return compare(record->clock, engine->nodes.numbers[record->node], arrived->clock, arrived->node) != 0;
}

/* As early as it may be: what has replaced both, or let go of both, is later. */
static uint64_t merge_clock(const Record *record, const Version *arrived) {
    return (record->clock > arrived->clock ? record->clock : arrived->clock) + 1;
}

static int64_t later(int64_t one_ms, int64_t other_ms) {
    return one_ms > other_ms ? one_ms : other_ms;
}

/* What became of both replaces both, under a fresh stamp. */
static int write(Engine *engine, Record *record, uint64_t hash, Span key, const Version *arrived,
                 const Content *content, uint64_t clock, int64_t deadline_ms, bool implicit, int64_t now_ms) {
    int db = record->db;
    int64_t last_ms = later(later(record_deadline_ms(record), record_shadow_ms(record)),
                            later(arrived->deadline_ms, arrived->shadow_ms));
    int32_t node = content->seal.key ? nodes_intern(&engine->nodes, engine->settings.node, &content->seal) : 0;
    if (node < 0 || !keyspace_write(engine, record, db, hash, key, content, clock, (uint16_t)node, deadline_ms,
                                    last_ms > deadline_ms ? last_ms : 0, implicit, now_ms, 0))
        return MET_NO_ROOM;
    if (clock > engine->clock)
        engine->clock = clock;
    engine->counters_merged++;
    if (engine->settings.outbox_bytes_max)
        outbox_add(engine, db, hash, key, key.len + content->bytes.len);
    return MET;
}

/* Joins two versions that meet. MET_NOT: the one with the higher stamp is all of it, and is to be merged as such. */
int counters_merge(Engine *engine, Record *record, uint64_t hash, Span key, const Version *arrived, int64_t now_ms) {
    Version version = version_of(engine, record);
    Timed here = {.deadline_ms = version.deadline_ms, .implicit = version.implicit};
    Timed there = {.deadline_ms = arrived->deadline_ms, .implicit = arrived->implicit};
    int mine = read_in(engine, &version, &here.counter), theirs = read_in(engine, arrived, &there.counter);
    if (mine == UNREADABLE || theirs == UNREADABLE)
        return MET_NO_ROOM;
    if (mine == A_TEXT || theirs == A_TEXT) /* without an epoch: a fresh stamp would outrank what replaced it */
        return MET_NOT;
    Timed joined;
    join_timed(&here, &there, &joined);
    bool is_ours_later = compare(version.clock, version.node, arrived->clock, arrived->node) > 0;
    if (is_same(&joined, is_ours_later ? &here : &there))
        return MET_NOT;
    uint64_t clock = merge_clock(record, arrived);
    if (joined.counter.count > SHARES_MAX)
        fold(&joined.counter, clock, engine->settings.node, 0);
    uint8_t plain[COUNTER_BYTES_MAX];
    Span value = {plain, write_out(&joined.counter, plain)};
    Content content;
    int outcome = MET_NO_ROOM;
    if (seal_value(engine, value, &content)) {
        content.counted = true;
        outcome = write(engine, record, hash, key, arrived, &content, clock, joined.deadline_ms, joined.implicit,
                        now_ms);
        seal_done(engine, &content, outcome == MET);
    }
    wipe(plain, value.len);
    return outcome;
}
