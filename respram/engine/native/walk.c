/* Walks along the table: SCAN, a random key, averages, everything.
 *
 * SCAN's cursor counts through the home lines with its bits reversed, highest first, so that a table
 * which doubles or shrinks between two calls splits or joins what has been seen, and never hides what
 * has not (Pieter Noordhuis's idea for Redis's dict). A home line's records may stand some lines
 * further on: they are found by following `passed`, and told from the others by their own home. While
 * lines are being moved, the smaller of the two counts the cursor, and all lines of the larger that
 * belong to it are looked at in the same step.
 */
#include "engine.h"

#define LINES_BY_COUNT 8 /* in a sparse table, a call ends after this many lines for each requested key */
#define LINES_LEAST 64
#define COUNTED_KEY_BYTES 256 /* of a long key, which counts as several: 16,384 keys of 64 KiB are a gigabyte */
#define TTL_SAMPLE 64
#define TTL_SAMPLE_LINES 256

/* A head without a member is no key. */
static bool is_live(Engine *engine, const Record *record, int64_t now_ms) {
    return !(record->flags & RECORD_STUB) && record_deadline_ms(record) > now_ms
           && (likely(!record_kind(record)) || !family_is_empty(engine, record, now_ms));
}

/* Whether there is a live record, for observers: it ends nothing, and does not look through a crowd. */
bool keyspace_shows(Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms) {
    const Record *record = keyspace_find(engine, db, hash, key);
    return record && is_live(engine, record, now_ms) && !(is_member(db) && family_is_dying(engine, record));
}

typedef struct Walk {
    Engine *engine;
    int64_t now_ms;
    See see;
    void *context;
    uint64_t seen, lines;
} Walk;

/* Shows the live records whose home is this line. */
static bool show_home(Walk *walk, const Table *table, const Lines *lines, uint64_t moved, uint64_t home) {
    if (home < moved)
        return true;
    uint64_t at = home;
    for (;;) {
        const Line *line = &lines->lines[at];
        walk->lines++;
        for (int place = 0; place < LINE_SLOTS; place++) {
            const Record *record = line_record(line, place);
            if (!record || table_home(table, lines, at, place) != home || !is_live(walk->engine, record, walk->now_ms))
                continue;
            walk->seen += 1 + record_key(record).len / COUNTED_KEY_BYTES;
            if (walk->see(walk->context, record))
                return false;
        }
        if (!line->passed || (++at == lines->count && moved))
            return true;
        at &= lines->count - 1;
        if (at == home)
            return true;
    }
}

static uint64_t reversed(uint64_t bits) {
    bits = __builtin_bswap64(bits);
    bits = (bits >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (bits & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    bits = (bits >> 2 & UINT64_C(0x3333333333333333)) | (bits & UINT64_C(0x3333333333333333)) << 2;
    return (bits >> 1 & UINT64_C(0x5555555555555555)) | (bits & UINT64_C(0x5555555555555555)) << 1;
}

static uint64_t step(uint64_t cursor, uint64_t mask) {
    return reversed(reversed(cursor | ~mask) + 1);
}

static bool show_step(Walk *walk, const Table *table, uint64_t *cursor) {
    const Lines *small = &table->now, *large = &table->old;
    uint64_t small_moved = 0, large_moved = table->moved;
    if (!large->count) {
        uint64_t mask = small->count - 1;
        bool more = show_home(walk, table, small, 0, *cursor & mask);
        *cursor = step(*cursor, mask);
        return more;
    }
    if (large->count < small->count) {
        small = &table->old, large = &table->now;
        small_moved = table->moved, large_moved = 0;
    }
    uint64_t small_mask = small->count - 1, large_mask = large->count - 1;
    bool more = show_home(walk, table, small, small_moved, *cursor & small_mask);
    do {
        more = more && show_home(walk, table, large, large_moved, *cursor & large_mask);
        *cursor = step(*cursor, large_mask);
    } while (*cursor & (small_mask ^ large_mask));
    return more;
}

/* -1: `see` wanted no more, after an error of its own. */
int walk_scan(Engine *engine, int db, uint64_t *cursor, uint64_t count, int64_t now_ms, See see, void *context) {
    const Table *table = &engine->tables[db];
    Walk walk = {.engine = engine, .now_ms = now_ms, .see = see, .context = context};
    uint64_t lines_max = count < UINT64_MAX / LINES_BY_COUNT - LINES_LEAST ? count * LINES_BY_COUNT + LINES_LEAST
                                                                          : UINT64_MAX;
    if (!table->now.count) {
        *cursor = 0;
        return 0;
    }
    do {
        if (!show_step(&walk, table, cursor))
            return -1;
    } while (*cursor && walk.seen < count && walk.lines < lines_max);
    return 0;
}

/* Line `number` of a table that may be in two parts. */
static const Line *line_number(const Table *table, uint64_t number) {
    uint64_t left = table->old.count - table->moved;
    if (table->old.count && number < left)
        return &table->old.lines[table->moved + number];
    return &table->now.lines[table->old.count ? number - left : number];
}

static uint64_t lines_of(const Table *table) {
    return table->now.count + (table->old.count ? table->old.count - table->moved : 0);
}

uint64_t walk_lines(const Engine *engine, int db) {
    return engine->tables[db].now.count ? lines_of(&engine->tables[db]) : 0;
}

/* From a random line on, the first that has a live key; then one of its keys. */
const Record *walk_sample(Engine *engine, int db, uint64_t draw, int64_t now_ms) {
    const Table *table = &engine->tables[db];
    uint64_t lines = lines_of(table);
    if (!engine->live[db])
        return NULL;
    for (uint64_t number = 0; number < lines; number++) {
        const Line *line = line_number(table, (draw + number) % lines);
        const Record *live[LINE_SLOTS];
        uint64_t count = 0;
        for (int place = 0; place < LINE_SLOTS; place++) {
            const Record *record = line_record(line, place);
            if (record && is_live(engine, record, now_ms))
                live[count++] = record;
        }
        if (count)
            return live[(draw >> 32) % count];
    }
    return NULL;
}

int64_t walk_ttl_average_ms(Engine *engine, int db, int64_t now_ms) {
    const Table *table = &engine->tables[db];
    uint64_t lines = lines_of(table);
    int64_t sum_ms = 0, count = 0;
    for (uint64_t number = 0; number < lines && number < TTL_SAMPLE_LINES && count < TTL_SAMPLE; number++) {
        for (int place = 0; place < LINE_SLOTS; place++) {
            const Record *record = line_record(line_number(table, number), place);
            if (record && is_live(engine, record, now_ms)) {
                sum_ms += record_deadline_ms(record) - now_ms;
                count++;
            }
        }
    }
    return count ? sum_ms / count : 0;
}

/* Every record, stubs and overdue ones too. `see` may free what it is shown. */
int walk_all(const Engine *engine, int db, See see, void *context) {
    return walk_table(&engine->tables[db], see, context);
}

int walk_table(const Table *table, See see, void *context) {
    uint64_t lines = lines_of(table);
    for (uint64_t number = 0; number < lines; number++) {
        for (int place = 0; place < LINE_SLOTS; place++) {
            const Record *record = line_record(line_number(table, number), place);
            if (record && see(context, record))
                return -1;
        }
    }
    return 0;
}

typedef struct Over {
    Engine *engine;
    int db;
    int64_t now_ms;
    uint64_t count;
} Over;

static bool is_overdue(const Over *over, const Record *record) {
    return !(record->flags & RECORD_STUB) && record_deadline_ms(record) <= over->now_ms;
}

/* A head that ended, unless it is counted among the empty; and one whose last members did, at the first of these. */
static Verdict count_over(void *context, Record *record) {
    Over *over = context;
    if (!is_overdue(over, record))
        return RECORD_STAYS;
    if (record->db == over->db) {
        const Family *family = record_kind(record) ? family_of(over->engine, record) : NULL;
        over->count += !family || family->count != family->dying;
    } else if (is_member(record->db) && record->db % DATABASES == over->db) {
        Family *family = family_with(over->engine, record);
        Span key = family_key(family);
        const Record *head = family->headed
            ? family_head(over->engine, over->db, keyspace_hash(over->engine, key), key, over->now_ms) : NULL;
        if (head && family->count != family->dying && family->counted != over->engine->changes
            && family_is_empty(over->engine, head, over->now_ms)) {
            family->counted = over->engine->changes;
            over->count++;
        }
    }
    return RECORD_STAYS;
}

uint64_t walk_count(Engine *engine, int db, int64_t now_ms) {
    if (!engine->live[db])
        return 0;
    uint64_t shown = 0;
    if (likely(!engine->heads)) {
        uint64_t overdue = wheel_count_overdue(&engine->wheel, db, now_ms, &shown);
        engine_passed(engine, shown);
        return engine->live[db] - overdue;
    }
    Over over = {.engine = engine, .db = db, .now_ms = now_ms};
    engine->changes++; /* a number that no family has */
    shown = wheel_show_begun(&engine->wheel, now_ms, count_over, &over, NULL);
    engine_passed(engine, shown);
    return engine->live[db] - engine->empty[db] - over.count;
}
