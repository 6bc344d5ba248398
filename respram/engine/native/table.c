/* From a key's hash to its record: open addressing over cache lines of seven slots.
 *
 * A line holds seven tags of 7 bits, seven slots (a pointer of 48 bits under 16 more bits of the
 * hash) and a count of the records that wanted this line or one before it and stand further on. So a
 * lookup reads one line, nearly always the only one, and dereferences a wrong record once in thousands
 * of times: two cache misses, line and record, and a batch prefetches both. The count takes the place
 * of tombstones: a line with `passed == 0` ends every search, and removing a record lowers the counts
 * between its home and its place, without reading any other record.
 *
 * No record has its hash (decision 0247). A slot says in its two lowest bits, which no pointer needs, how many lines
 * behind its home it stands, and its 16 bits of hash are those that a table which doubles asks for next. So lines are
 * moved without a look at their records. A record's key is hashed again where it stands too far from its home, where
 * the table is so small or so large that other bits are asked for, and when the record goes.
 *
 * At most six of seven slots are used on average; then the table doubles. The old lines are moved two
 * at a time by the writes that follow, and the pages behind are given back as it goes: neither a rehash
 * nor an munmap of 64 MB stops the process. Lines are moved up to a place that no record has passed, so
 * that a key whose home lies below `moved` is in the new lines, and one look at `moved` says where to
 * search. A table that has emptied to a seventh is moved to smaller lines in the same way.
 *
 * New records go anywhere in the new lines, so each of the first would wait for a page of its own: 8 us in
 * a virtual machine, and 16,000 of them for a table of 64 MB, one after the other (the longest stall was
 * 40 ms). So the next lines are taken while the present ones have a sixth of their room left, and their
 * pages are asked for ahead (prefault.c) and touched in order, in step with the writes until then.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the tags of a line are compared as one little-endian word"
#endif

#define LINES_MIN 4
#define LINE_FILL 6            /* average records of a line at which the table grows */
#define PREPARE_FILL 5         /* average at which the next lines are prepared */
#define READIED_BY_WRITE 3     /* lines prepared per step; with 2 they are ready just in time */
#define UNREADY_FILL 4         /* average at which the prepared lines are freed */
#define MOVED_BY_WRITE 2       /* lines */
#define MOVED_BY_REMOVAL 4     /* a table may become empty before as many removals as it has lines */
#ifndef RESPRAM_PLAIN_BLOCKS
#define SHRINK_LINES_MIN 1024  /* the smallest table for which this pays */
#define KEPT_SHIFT 10          /* slots have the bits of the hash that tables of 2**10 to 2**25 lines need to double */
#define MAP_BYTES_MIN ((size_t)256 << 10) /* smaller lines come from the C library */
#define SLICE_LINES 1024       /* 64 KiB are requested or freed at a time */
/* Under the sanitizers a thousand records are many: all that happens to large tables happens to small ones. */
#else
#define SHRINK_LINES_MIN 16
#define KEPT_SHIFT 4
#define MAP_BYTES_MIN ((size_t)16 << 10)
#define SLICE_LINES 64
#endif
#define PASSED_STUCK 255
#define USUAL_BYTES 120 /* of a record that is fetched whole: a key of 16 bytes with 64 */
#define POINTER_BITS 48
#define KEPT_BITS 16
#define FAR UINT64_C(3) /* so many lines behind its home, or more: how many is not known */
#define TAG_BYTES UINT64_C(0x0080808080808080)
#define EACH_BYTE UINT64_C(0x0101010101010101)

static inline uint8_t tag_of(uint64_t hash) {
    return (uint8_t)(0x80 | hash >> 57);
}

static inline uint64_t kept_of(uint64_t hash) {
    return hash >> KEPT_SHIFT & ((1u << KEPT_BITS) - 1);
}

static inline uint64_t slot_of(uint64_t hash, const Record *record) {
    return kept_of(hash) << POINTER_BITS | (uint64_t)(uintptr_t)record;
}

static inline Record *record_of(uint64_t slot) {
    return (Record *)(uintptr_t)(slot & (((UINT64_C(1) << POINTER_BITS) - 1) & ~FAR));
}

const Record *line_record(const Line *line, int place) {
    return line->tags[place] ? record_of(line->slots[place]) : NULL;
}

static inline uint64_t home_of(const Lines *lines, uint32_t hash) {
    return hash & (lines->count - 1);
}

/* The slots of a line whose tag may be this one, a bit in each one's byte. A free slot's tag of 0 is
 * never among them. */
static inline uint64_t candidates(const Line *line, uint8_t tag) {
    uint64_t tags;
    memcpy(&tags, line, 8);
    uint64_t differ = tags ^ EACH_BYTE * tag;
    return (differ - EACH_BYTE) & ~differ & TAG_BYTES;
}

/* The line behind `at` in a search; false where the search is over. */
static inline bool next_line(const Lines *lines, uint64_t moved, uint64_t home, uint64_t *at) {
    if (!lines->lines[*at].passed)
        return false;
    if (++*at == lines->count) {
        if (moved)
            return false; /* records that wrapped around are moved already */
        *at = 0;
    }
    return *at != home;
}

/* Whether the kin `back` bytes before a member have this number; a record of another kind has none, and `back` is 0. */
static inline bool is_of(const Record *record, size_t back, uint32_t family) {
    return !back || ((const Kin *)((const uint8_t *)record - back))->family == family;
}

static inline Record *find_in(const Lines *lines, uint64_t moved, uint64_t hash, Span key, size_t back,
                              uint32_t family) {
    uint8_t tag = tag_of(hash);
    uint64_t kept = kept_of(hash), home = home_of(lines, (uint32_t)hash), at = home;
    do {
        const Line *line = &lines->lines[at];
        for (uint64_t found = candidates(line, tag); found; found &= found - 1) {
            uint64_t slot = line->slots[__builtin_ctzll(found) >> 3];
            if (slot >> POINTER_BITS != kept)
                continue;
            Record *record = record_of(slot);
            Span own = record_key(record);
            if (own.len == key.len && (!key.len || memcmp(own.bytes, key.bytes, key.len) == 0)
                && is_of(record, back, family))
                return record;
        }
    } while (next_line(lines, moved, home, &at));
    return NULL;
}

static inline Record *find_here(const Table *table, uint64_t hash, Span key, size_t back, uint32_t family) {
    if (unlikely(table->old.count) && home_of(&table->old, (uint32_t)hash) >= table->moved) {
        Record *record = find_in(&table->old, table->moved, hash, key, back, family);
        if (record)
            return record;
    }
    return likely(table->now.count) ? find_in(&table->now, 0, hash, key, back, family) : NULL;
}

Record *table_find(const Table *table, uint64_t hash, Span key) {
    return find_here(table, hash, key, 0, 0);
}

Record *table_find_member(const Table *table, uint64_t hash, Span name, size_t back, uint32_t family) {
    return find_here(table, hash, name, back, family);
}

/* A load, not a hint: nobody waits for it, and a hint is dropped where the address is not in the TLB, which with
 * pages of 4 KiB is nearly always (measured: 163 ns for each of 64 GETs of 100k keys with hints, 140 with loads). */
static inline void touch(const char *at) {
    (void)*(const volatile char *)at;
}

/* A block is no whole number of cache lines, and most of 120 bytes lie in three. The links in front are not read. */
static inline void touch_record(const char *record) {
    const char *first = record + offsetof(Record, slot);
    touch(first);
#ifndef RESPRAM_PLAIN_BLOCKS
    if (likely(((uintptr_t)record & (SLAB_BYTES - 1)) <= SLAB_BYTES - USUAL_BYTES)) { /* what lies behind is memory */
        touch(first + 64);
        touch(record + USUAL_BYTES - 4);
    }
#endif
}

void table_prefetch_line(const Table *table, uint64_t hash) {
    if (unlikely(table->old.count) && home_of(&table->old, (uint32_t)hash) >= table->moved)
        __builtin_prefetch(&table->old.lines[home_of(&table->old, (uint32_t)hash)]);
    if (likely(table->now.count))
        __builtin_prefetch(&table->now.lines[home_of(&table->now, (uint32_t)hash)]);
}

static void prefetch_in(const Lines *lines, uint64_t hash, size_t lead) {
    const Line *line = &lines->lines[home_of(lines, (uint32_t)hash)];
    uint64_t kept = kept_of(hash);
    for (uint64_t found = candidates(line, tag_of(hash)); found; found &= found - 1) {
        uint64_t slot = line->slots[__builtin_ctzll(found) >> 3];
        if (slot >> POINTER_BITS == kept) {
            const char *record = (const char *)record_of(slot);
            touch_record(record);
            if (lead)
                __builtin_prefetch(record - lead);
        }
    }
}

void table_prefetch_record(const Table *table, uint64_t hash) {
    if (unlikely(table->old.count) && home_of(&table->old, (uint32_t)hash) >= table->moved)
        prefetch_in(&table->old, hash, table->lead);
    if (likely(table->now.count))
        prefetch_in(&table->now, hash, table->lead);
}

const Record *table_peek(const Table *table, uint64_t hash) {
    if (!table->now.count)
        return NULL;
    const Line *line = &table->now.lines[home_of(&table->now, (uint32_t)hash)];
    uint64_t found = candidates(line, tag_of(hash));
    return found ? record_of(line->slots[__builtin_ctzll(found) >> 3]) : NULL;
}

/* -- changing lines ------------------------------------------------------------------------------ */
static void put_in(Lines *lines, uint64_t home, uint8_t tag, uint64_t slot) {
    uint64_t at = home;
    for (uint64_t passed = 0;; passed += passed < FAR) {
        Line *line = &lines->lines[at];
        for (int place = 0; place < LINE_SLOTS; place++) {
            if (!line->tags[place]) {
                line->tags[place] = tag;
                line->slots[place] = (slot & ~FAR) | passed;
                lines->records++;
                return;
            }
        }
        if (line->passed != PASSED_STUCK)
            line->passed++;
        at = (at + 1) & (lines->count - 1);
    }
}

/* Where a record stands; false: not in these lines. */
static bool place_of(const Lines *lines, uint64_t moved, uint32_t hash, const Record *record, uint64_t *at,
                     int *place) {
    uint64_t home = home_of(lines, hash);
    *at = home;
    do {
        const Line *line = &lines->lines[*at];
        for (*place = 0; *place < LINE_SLOTS; ++*place)
            if (line->tags[*place] && record_of(line->slots[*place]) == record)
                return true;
    } while (next_line(lines, moved, home, at));
    return false;
}

static Lines *lines_with(Table *table, uint32_t hash, const Record *record, uint64_t *at, int *place) {
    if (table->old.count && home_of(&table->old, hash) >= table->moved
        && place_of(&table->old, table->moved, hash, record, at, place))
        return &table->old;
    return place_of(&table->now, 0, hash, record, at, place) ? &table->now : NULL;
}

static inline bool is_far(uint64_t slot) {
    return (slot & FAR) == FAR;
}

/* Of what is not far. */
static inline uint64_t near_home(const Lines *lines, uint64_t at, uint64_t slot) {
    return (at - (slot & FAR)) & (lines->count - 1);
}

uint64_t table_home(const Table *table, const Lines *lines, uint64_t at, int place) {
    uint64_t slot = lines->lines[at].slots[place];
    return unlikely(is_far(slot)) ? home_of(lines, table->hash_of(table->owner, record_of(slot)))
                                  : near_home(lines, at, slot);
}

/* The bit of the hash by which a home in these lines becomes one in twice as many; none: it is not kept. */
static inline bool keeps_next_bit(const Lines *lines, int *bit) {
    *bit = __builtin_ctzll(lines->count) - KEPT_SHIFT;
    return *bit >= 0 && *bit < KEPT_BITS;
}

/* Where what stands in line `at` of the old lines begins to be looked for in the new ones. */
static uint64_t new_home(const Table *table, uint64_t at, uint64_t slot) {
    const Lines *old = &table->old, *now = &table->now;
    int bit;
    if (likely(!is_far(slot))) {
        uint64_t home = near_home(old, at, slot);
        if (now->count < old->count)
            return home & (now->count - 1);
        if (likely(keeps_next_bit(old, &bit)))
            return home | (slot >> (POINTER_BITS + bit) & 1) * old->count;
    }
    return home_of(now, table->hash_of(table->owner, record_of(slot)));
}

static void take_out(Lines *lines, uint32_t hash, uint64_t at, int place) {
    lines->lines[at].tags[place] = 0;
    lines->lines[at].slots[place] = 0;
    lines->records--;
    for (uint64_t passed = home_of(lines, hash); passed != at; passed = (passed + 1) & (lines->count - 1))
        if (lines->lines[passed].passed != PASSED_STUCK)
            lines->lines[passed].passed--;
}

/* -- growing and shrinking ----------------------------------------------------------------------- */
/* Its bytes have changed: the total of all tables is kept, because every write compares it with the limit. */
static void count_bytes(Table *table) {
    uint64_t bytes = table_bytes(table);
    *table->total += bytes - table->counted;
    table->counted = bytes;
}

static bool lines_take(Lines *lines, uint64_t count) {
    if (count > (UINT64_C(1) << 32))
        return false; /* homes are told by 32 bits of the hash */
    size_t bytes = count * sizeof(Line);
    void *block;
    if (bytes >= MAP_BYTES_MIN) {
        block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED)
            return false;
    } else {
        block = aligned_alloc(sizeof(Line), bytes);
        if (!block)
            return false;
        memset(block, 0, bytes);
    }
    lines->lines = block;
    lines->count = count;
    lines->records = 0;
    return true;
}

static void lines_give(Lines *lines) {
    size_t bytes = lines->count * sizeof(Line);
    if (bytes >= MAP_BYTES_MIN)
        unmap_pages(lines->lines, bytes);
    else
        free(lines->lines);
    memset(lines, 0, sizeof *lines);
}

/* Readies a part of the lines that the table will grow into: asks for the pages of the slice after this one, and
 * touches a few lines of this one, whose pages are there by then. Without memory for them it is asked again later. */
static void ready_some(Table *table) {
    Lines *next = &table->next;
    if (!next->count && !lines_take(next, table->now.count * 2))
        return;
    for (int i = 0; i < READIED_BY_WRITE && table->ready < next->count; i++, table->ready++) {
        if (table->ready % SLICE_LINES == 0 && table->ready + SLICE_LINES < next->count)
            prefault_ask(&next->lines[table->ready + SLICE_LINES], SLICE_LINES * sizeof(Line));
        *(volatile uint8_t *)&next->lines[table->ready].passed = 0;
    }
    count_bytes(table);
}

/* The table empties instead: a slice goes back. */
static void unready_some(Table *table) {
    if (table->ready >= SLICE_LINES) {
        table->ready = (table->ready - 1) / SLICE_LINES * SLICE_LINES;
        give_pages(&table->next.lines[table->ready], SLICE_LINES * sizeof(Line));
    } else {
        lines_give(&table->next);
        table->ready = 0;
    }
    count_bytes(table);
}

static bool start_moving(Table *table, uint64_t count) {
    Lines lines = table->next;
    if (lines.count == count) { /* it grows; before a shrink they are freed */
        table->next = (Lines){0};
        table->ready = 0;
    } else if (!lines_take(&lines, count)) {
        return false;
    }
    table->old = table->now;
    table->now = lines;
    table->moved = table->unmapped = 0;
    count_bytes(table);
    return true;
}

/* Each line's records one step before they are read. */
static void prefetch_records_of(const Line *line) {
    for (int place = 0; place < LINE_SLOTS; place++)
        if (line->tags[place])
            __builtin_prefetch(record_of(line->slots[place]));
}

static void move_line(Table *table) {
    uint64_t at = table->moved++;
    Line *line = &table->old.lines[at];
    int bit;
    if (table->now.count > table->old.count && !keeps_next_bit(&table->old, &bit)
        && table->moved + 1 < table->old.count)
        prefetch_records_of(line + 2);
    for (int place = 0; place < LINE_SLOTS; place++) {
        if (line->tags[place]) {
            put_in(&table->now, new_home(table, at, line->slots[place]), line->tags[place], line->slots[place]);
            table->old.records--;
        }
    }
}

static void give_back_behind(Table *table) {
    size_t lines = table->moved - table->unmapped;
    if (lines < SLICE_LINES || table->old.count * sizeof(Line) < MAP_BYTES_MIN)
        return;
    lines -= lines % SLICE_LINES;
    give_pages(&table->old.lines[table->unmapped], lines * sizeof(Line));
    table->unmapped += lines;
    count_bytes(table);
}

static void move_some(Table *table, uint64_t lines) {
    Lines *old = &table->old;
    while (table->moved < old->count && (lines || old->lines[table->moved - 1].passed)) {
        move_line(table);
        if (lines)
            lines--;
    }
    give_back_behind(table);
    if (table->moved == old->count) {
        lines_give(old);
        table->moved = table->unmapped = 0;
        count_bytes(table);
    }
}

bool table_make_room(Table *table) {
    Lines *now = &table->now;
    if (!now->count) {
        bool taken = lines_take(now, LINES_MIN);
        count_bytes(table);
        return taken;
    }
    if (unlikely(table->old.count))
        move_some(table, MOVED_BY_WRITE);
    else if (unlikely(now->records >= now->count * PREPARE_FILL && now->count * 2 * sizeof(Line) >= MAP_BYTES_MIN))
        ready_some(table);
    if (likely(now->records < now->count * LINE_FILL))
        return true;
    if (table->old.count)
        move_some(table, table->old.count); /* cannot happen: the new lines are large enough */
    return start_moving(table, now->count * 2) || now->records + 1 < now->count * LINE_SLOTS;
}

void table_insert(Table *table, uint64_t hash, Record *record) {
    put_in(&table->now, home_of(&table->now, (uint32_t)hash), tag_of(hash), slot_of(hash, record));
}

void table_remove(Table *table, uint64_t hash, const Record *record) {
    uint64_t at;
    int place;
    Lines *lines = lines_with(table, (uint32_t)hash, record, &at, &place);
    if (lines)
        take_out(lines, (uint32_t)hash, at, place);
    if (unlikely(table->old.count))
        move_some(table, MOVED_BY_REMOVAL);
    else if (unlikely(table->next.count && table->now.records < table->now.count * UNREADY_FILL))
        unready_some(table);
    else if (table->now.count >= SHRINK_LINES_MIN && table->now.records < table->now.count)
        start_moving(table, table->now.count / 4); /* without memory it stays as it is */
}

void table_replace(Table *table, uint64_t hash, const Record *before, Record *after) {
    uint64_t at;
    int place;
    Lines *lines = lines_with(table, (uint32_t)hash, before, &at, &place);
    if (lines)
        lines->lines[at].slots[place] += (uint64_t)(uintptr_t)after - (uint64_t)(uintptr_t)before;
}

uint64_t table_records(const Table *table) {
    return table->now.records + table->old.records;
}

uint64_t table_bytes(const Table *table) {
    return (table->now.count + table->old.count - table->unmapped + table->ready) * sizeof(Line);
}

void table_free(Table *table) {
    if (table->now.count)
        lines_give(&table->now);
    if (table->old.count)
        lines_give(&table->old);
    if (table->next.count)
        lines_give(&table->next);
    *table->total -= table->counted;
    memset(table, 0, sizeof *table);
}
