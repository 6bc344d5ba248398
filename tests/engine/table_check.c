/* The index beside a plain array: whatever is put in, replaced and taken out, and each rule of its lines after every
 * step.
 *
 * It is compiled together with table.c, so that it sees the lines; what table.c asks of pages is taken down here. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static bool refuses; /* memory, as a machine that has none left */
static size_t least_pages = SIZE_MAX, most_bytes, last_pages;

static void *some_pages(size_t bytes) {
    last_pages = bytes;
    least_pages = bytes < least_pages ? bytes : least_pages;
    return refuses ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void *some_bytes(size_t align, size_t bytes) {
    most_bytes = bytes > most_bytes ? bytes : most_bytes;
    return refuses ? NULL : aligned_alloc(align, bytes);
}

#define mmap(at, bytes, rights, flags, file, offset) some_pages(bytes)
#define aligned_alloc(align, bytes) some_bytes(align, bytes)
#include "table.c"
#undef mmap
#undef aligned_alloc

#define RECORDS_MAX 4096
#define STEPS 40000
#define STEP_LINES_MAX 64 /* of one write: two, and those behind them that records have passed */
#define CHECK(what) do { if (!(what)) { \
    fprintf(stderr, "line %d, step %d, seed %u: %s\n", __LINE__, step, seed, #what); exit(1); } } while (0)

typedef struct { Record *record; uint64_t hash; } Entry;

static int step;
static unsigned seed;
static uint64_t given_bytes, asked_bytes, unmapped_bytes;
static const char *given_at, *asked_at;

bool prefault_ask(void *at, size_t bytes) { asked_bytes += bytes; asked_at = at; return true; }
void unmap_pages(void *at, size_t bytes) { unmapped_bytes += bytes; munmap(at, bytes); }

/* The pages come back as zeros. */
void give_pages(void *at, size_t bytes) { given_bytes += bytes; given_at = at; memset(at, 0, bytes); }

static uint64_t state;
static uint64_t draw(void) { state ^= state << 13; state ^= state >> 7; return state ^= state << 17; }

/* Hashes of four kinds: any; of eight homes, so that lines overflow; of two tags, so that keys decide; of one home,
 * so that counts stick. */
enum { ANY, FEW_HOMES, FEW_TAGS, ONE_HOME, KINDS };
static uint64_t draw_hash(int kind) {
    uint64_t hash = draw();
    switch (kind) {
    case FEW_HOMES: return hash & ~UINT64_C(0x00fffff8);
    case FEW_TAGS: return (hash & 0x3ff) | (hash >> 62 & 1) << 60;
    case ONE_HOME: return hash & ~UINT64_C(0xffffffff);
    default: return hash;
    }
}

/* What the table asks for where a slot does not tell it. */
static uint64_t hashed_again, hashed_to_move, inserted;
static uint32_t hash_of(const void *owner, const Record *record) {
    hashed_again++;
    return (uint32_t)record->clock;
}

static Record *record_with(uint64_t hash, uint64_t number, uint32_t key_bytes) {
    Record *record = aligned_alloc(16, (sizeof(Record) + sizeof(Held) + 32) / 16 * 16 + 16);
    memset(record, 0, sizeof *record);
    record->clock = hash;
    record->short_key_bytes = (uint16_t)key_bytes;
    memcpy(record_body(record), &number, key_bytes < 8 ? key_bytes : 8);
    return record;
}

/* Each record stands where a search finds it, its slot says how far from its home, and `passed` counts those that went
 * by: exactly, or at least while lines are moved. */
static void check_lines(const Table *table, const Lines *lines, uint64_t from, bool exactly, bool stuck) {
    CHECK(lines->count && !(lines->count & (lines->count - 1)));
    unsigned *passed = calloc(lines->count, sizeof *passed);
    uint64_t records = 0;
    for (uint64_t at = from; at < lines->count; at++) {
        for (int place = 0; place < LINE_SLOTS; place++) {
            uint8_t tag = lines->lines[at].tags[place];
            CHECK(!tag == !lines->lines[at].slots[place]);
            if (!tag)
                continue;
            CHECK(tag & 0x80);
            records++;
            uint64_t slot = lines->lines[at].slots[place], hash = record_of(slot)->clock, far = 0;
            uint64_t home = home_of(lines, (uint32_t)hash);
            for (uint64_t by = home; by != at; by = (by + 1) & (lines->count - 1), far++)
                passed[by]++;
            CHECK((slot & FAR) == (far < FAR ? far : FAR) && slot >> POINTER_BITS == kept_of(hash));
            CHECK(table_home(table, lines, at, place) == home);
            CHECK(line_record(&lines->lines[at], place) == record_of(slot));
            CHECK(far || lines != &table->now || table_peek(table, hash));
        }
    }
    CHECK(records == lines->records);
    for (uint64_t at = from; at < lines->count; at++) {
        uint8_t said = lines->lines[at].passed;
        if (said == PASSED_STUCK)
            CHECK(stuck);
        else
            CHECK(exactly ? said == passed[at] : said >= passed[at]);
    }
    free(passed);
}

static void check(const Table *table, const Entry *entries, int count, bool stuck) {
    CHECK(table_records(table) == (uint64_t)count);
    CHECK(table_bytes(table) == 64 * (table->now.count + table->old.count - table->unmapped + table->ready));
    CHECK(*table->total == table_bytes(table));
    CHECK(sizeof(Line) == 64);
    if (table->now.count)
        check_lines(table, &table->now, 0, true, stuck);
    if (table->old.count) {
        CHECK(table->moved < table->old.count);
        CHECK(!table->moved || !table->old.lines[table->moved - 1].passed);
        CHECK(table->unmapped % SLICE_LINES == 0 && table->unmapped <= table->moved);
        CHECK(!table->unmapped || table->old.count * 64 >= MAP_BYTES_MIN);
        CHECK(table->old.count * 64 < MAP_BYTES_MIN || table->moved - table->unmapped < SLICE_LINES);
        check_lines(table, &table->old, table->moved, false, true);
    } else {
        CHECK(!table->moved && !table->unmapped && !table->old.records);
    }
    if (table->next.count) {
        CHECK(table->next.count == 2 * table->now.count && table->ready <= table->next.count && !table->old.count);
        for (uint64_t at = 0; at < table->next.count; at++)
            for (int place = 0; place < LINE_SLOTS; place++)
                CHECK(!table->next.lines[at].tags[place] && !table->next.lines[at].passed);
    } else {
        CHECK(!table->ready);
    }
    for (int number = 0; number < count; number++) {
        CHECK(table_find(table, entries[number].hash, record_key(entries[number].record)) == entries[number].record);
        const Record *peeked = table_peek(table, entries[number].hash);
        CHECK(!peeked || tag_of(peeked->clock) == tag_of(entries[number].hash));
        table_prefetch_line(table, entries[number].hash);
        table_prefetch_record(table, entries[number].hash);
    }
}

static void insert(Table *table, Entry *entries, int *count, uint64_t number, int kind) {
    Table before = *table;
    given_bytes = asked_bytes = 0;
    hashed_again = 0;
    CHECK(table_make_room(table));
    if (kind == ANY) {
        inserted++;
        hashed_to_move += hashed_again;
    }
    const Lines *now = &before.now;
    if (!now->count) {
        CHECK(table->now.count == LINES_MIN);
    } else if (before.old.count) {
        CHECK(!table->old.count || table->moved >= before.moved + MOVED_BY_WRITE);
        bool is_long = kind == ANY && before.old.count - before.moved > STEP_LINES_MAX;
        CHECK(!is_long || (table->old.count && table->moved <= before.moved + STEP_LINES_MAX));
        CHECK(!table->old.count || given_bytes == (table->unmapped - before.unmapped) * 64);
        CHECK(!given_bytes || given_at == (const char *)&before.old.lines[before.unmapped]);
    } else if (now->records >= now->count * LINE_FILL) {
        CHECK(table->now.count == now->count * 2 && table->old.lines == now->lines && !table->next.count);
        CHECK(!before.next.count || table->now.lines == before.next.lines);
    } else {
        CHECK(!table->old.count && table->now.count == now->count);
        bool readies = now->records >= now->count * PREPARE_FILL && now->count * 2 * 64 >= MAP_BYTES_MIN;
        uint64_t rest = 2 * now->count - before.ready;
        CHECK(table->ready == before.ready + (!readies ? 0 : rest < READIED_BY_WRITE ? rest : READIED_BY_WRITE));
        uint64_t first = (before.ready + SLICE_LINES - 1) / SLICE_LINES * SLICE_LINES; /* the next slice that begins */
        bool asks = readies && first < table->ready && first + SLICE_LINES < table->next.count;
        CHECK(asked_bytes == (asks ? SLICE_LINES * 64 : 0));
        CHECK(!asks || asked_at == (const char *)&table->next.lines[first + SLICE_LINES]);
    }
    uint64_t hash = draw_hash(kind);
    uint32_t key_bytes = number ? 8 + (uint32_t)(draw() % 3) * 4 : 0;
    Record *record = record_with(hash, number, key_bytes);
    CHECK(!table_find(table, hash, record_key(record)));
    table_insert(table, hash, record);
    entries[(*count)++] = (Entry){record, hash};
}

static void removal(Table *table, Entry *entries, int *count) {
    int number = (int)(draw() % (uint64_t)*count);
    Entry entry = entries[number];
    Table before = *table;
    given_bytes = 0;
    table_remove(table, entry.hash, entry.record);
    entries[number] = entries[--*count];
    CHECK(!table_find(table, entry.hash, record_key(entry.record)));
    if (before.old.count) {
        CHECK(!table->old.count || table->moved >= before.moved + MOVED_BY_REMOVAL);
    } else if (before.next.count && (uint64_t)*count < before.now.count * UNREADY_FILL) {
        CHECK(table->ready < before.ready || !before.ready);
        CHECK(before.ready < SLICE_LINES ? !table->next.count && !table->ready : table->ready % SLICE_LINES == 0
            && given_bytes == SLICE_LINES * 64);
        CHECK(!given_bytes || given_at == (const char *)&before.next.lines[table->ready]);
    } else if (before.now.count >= SHRINK_LINES_MIN && (uint64_t)*count < before.now.count) {
        CHECK(table->now.count == before.now.count / 4 && table->old.lines == before.now.lines);
    } else {
        CHECK(table->now.count == before.now.count && !table->old.count && table->next.count == before.next.count);
    }
    free(entry.record);
}

static void replacement(Table *table, Entry *entries, int count) {
    int number = (int)(draw() % (uint64_t)count);
    Record *before = entries[number].record;
    Record *after = aligned_alloc(16, (sizeof(Record) + sizeof(Held) + 32) / 16 * 16 + 16);
    memcpy(after, before, sizeof(Record) + 16);
    table_replace(table, entries[number].hash, before, after);
    entries[number].record = after;
    free(before);
}

/* Without memory for larger lines the present ones are used to the last slot but one, where a search still ends. */
static void fill_without_memory(int most_lines) {
    static Entry entries[RECORDS_MAX];
    uint64_t total = 0;
    Table table = {.total = &total, .hash_of = hash_of};
    int count = 0;
    while ((int)table.now.count < most_lines || table.old.count)
        insert(&table, entries, &count, (uint64_t)count + 1, ANY);
    refuses = true;
    while (table_make_room(&table)) {
        uint64_t hash = draw();
        Record *record = record_with(hash, (uint64_t)count + 1, 8);
        table_insert(&table, hash, record);
        entries[count++] = (Entry){record, hash};
    }
    CHECK(count == (int)table.now.count * LINE_SLOTS - 1);
    Span nobody = {(const uint8_t *)"nobodies", 8};
    for (int number = 0; number < 1000; number++)
        CHECK(!table_find(&table, draw(), nobody));
    check(&table, entries, count, true);
    refuses = false;
    CHECK(table_make_room(&table) && table.old.count);
    while (count)
        removal(&table, entries, &count);
    check(&table, entries, count, true);
    table_free(&table);
}

/* What writes have readied is given back, slice by slice, when the table empties instead. */
static void ready_and_empty(uint64_t least) {
    static Entry entries[RECORDS_MAX];
    uint64_t total = 0;
    Table table = {.total = &total, .hash_of = hash_of};
    int count = 0;
    while (table.now.count * 2 * 64 < MAP_BYTES_MIN || table.old.count || table.ready < least)
        insert(&table, entries, &count, (uint64_t)count + 1, ANY);
    CHECK(table.next.count && table.ready < least + READIED_BY_WRITE);
    while (table.next.count)
        removal(&table, entries, &count);
    check(&table, entries, count, false);
    while (count)
        removal(&table, entries, &count);
    table_free(&table);
}

/* Members of one name in three families, in one table: each is found by its family's number. */
static void find_members_of_families(void) {
    static uint8_t memory[3][128] __attribute__((aligned(16)));
    Record *members[3];
    uint64_t total = 0, hash = draw();
    Table table = {.total = &total, .hash_of = hash_of, .lead = sizeof(Kin)};
    Span name = {(const uint8_t *)"name", 4};
    for (uint32_t family = 0; family < 3; family++) {
        Record *record = members[family] = (Record *)(memory[family] + 16);
        *((Kin *)record - 1) = (Kin){family + 7, NO_PLACE};
        record->clock = hash;
        record->short_key_bytes = 4;
        memcpy(record_body(record), name.bytes, 4);
        CHECK(table_make_room(&table));
        table_insert(&table, hash, record);
        table_prefetch_record(&table, hash);
    }
    size_t back = sizeof(Kin);
    for (uint32_t family = 0; family < 3; family++)
        CHECK(table_find_member(&table, hash, name, back, family + 7) == members[family]);
    CHECK(!table_find_member(&table, hash, name, back, 6) && !table_find_member(&table, hash, name, back, 10));
    CHECK(!table_find_member(&table, hash, (Span){name.bytes, 3}, back, 7));
    CHECK(table_find(&table, hash, name));
    table_free(&table);
}

/* Bounds that no table here comes to. */
static void check_bounds(void) {
    int bit;
    Lines lines = {.count = UINT64_C(1) << KEPT_SHIFT};
    CHECK(keeps_next_bit(&lines, &bit) && bit == 0);
    lines.count >>= 1;
    CHECK(!keeps_next_bit(&lines, &bit));
    lines.count = UINT64_C(1) << (KEPT_SHIFT + KEPT_BITS - 1);
    CHECK(keeps_next_bit(&lines, &bit) && bit == KEPT_BITS - 1);
    lines.count <<= 1;
    CHECK(!keeps_next_bit(&lines, &bit));
    refuses = true;
    uint64_t most = UINT64_C(1) << 32; /* lines */
    CHECK(!lines_take(&lines, most) && last_pages == most * 64);
    CHECK(!lines_take(&lines, most * 2) && last_pages == most * 64);
    refuses = false;
}

int main(int argc, char **argv) {
    static Entry entries[RECORDS_MAX];
    seed = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    int grown = 0, shrunk = 0, readied = 0, taken_back = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        uint64_t total = 0;
        Table table = {.total = &total, .hash_of = hash_of};
        table.lead = kind == FEW_TAGS ? 8 : 0;
        bool stuck = kind == ONE_HOME;
        /* of few homes so few that no count sticks */
        int count = 0, most = kind == FEW_HOMES ? 240 : stuck ? 600 : RECORDS_MAX, aim = most;
        uint64_t number = 0;
        for (step = 0; step < STEPS; step++) {
            /* nearly all, nearly none, or around the places where lines are readied and given back */
            if (step % 1250 == 0)
                switch (draw() % 4) {
                case 0: aim = most; break;
                case 1: aim = (int)(draw() % (uint64_t)most) / 16; break;
                default: aim = (int)table.now.count * (3 + (int)(draw() % 3));
                }
            aim = aim > most ? most : aim;
            Table before = table;
            bool grows = count < aim ? draw() % 8 != 0 : draw() % 8 == 0;
            if (count && draw() % 16 == 0)
                replacement(&table, entries, count);
            else if (grows && count < most)
                insert(&table, entries, &count, number++, kind);
            else if (count)
                removal(&table, entries, &count);
            grown += table.now.count > before.now.count;
            shrunk += table.now.count < before.now.count;
            readied += table.ready > before.ready;
            taken_back += table.ready < before.ready && table.now.count == before.now.count;
            if (step % 64 == 0 || (table.old.count != before.old.count))
                check(&table, entries, count, stuck);
        }
        while (count)
            removal(&table, entries, &count);
        check(&table, entries, count, stuck);
        table_free(&table);
        step = -1;
        CHECK(!table_peek(&table, 1) && !table_find(&table, 1, (Span){NULL, 0}));
        CHECK(!table.now.count && !table.old.count && !table.next.count && table_bytes(&table) == 0 && !total);
    }
    ready_and_empty(1);
    ready_and_empty(2 * SLICE_LINES + 1);
    fill_without_memory(16);  /* a block */
    fill_without_memory(256); /* pages */
    CHECK(least_pages == MAP_BYTES_MIN && most_bytes == MAP_BYTES_MIN / 2);
    check_bounds();
    find_members_of_families();
    CHECK(inserted > 10000 && hashed_to_move < inserted / 8); /* nearly all moved without a look at their keys */
    CHECK(grown > 20 && shrunk > 4 && readied > 500 && unmapped_bytes);
    printf("grown %d, shrunk %d, readied %d, taken back %d\n", grown, shrunk, readied, taken_back);
    return 0;
}
