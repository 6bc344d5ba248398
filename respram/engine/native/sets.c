/* Hot commands of several sets, and walks through the members of one collection. The twin of pure/sets.py.
 *
 * Members are looked up by name in the other sets, so none is copied. A command with too many lookups is for
 * `dispatch`, which does it in steps.
 */
#include "hot.h"

#include <string.h>

#define SCAN_COUNT 10
#define SCAN_COUNT_MAX 1024      /* longer walks are left to `dispatch` */
#define SCAN_PATTERN_BYTES_MAX 256 /* longer patterns are left to `dispatch` */
#define SCAN_STEPS_MAX 65536     /* steps of matching names: about 0.1 ms */
#define SMALL_MAX 128 /* members of a sorted set that ZSCAN tells all at once, in order, as Redis does */
#define WHOLE_MAX 4611686018427387904.0 /* then it tells whole scores up to this in digits */
#define MEMBERS_BYTES_MAX ((size_t)256 << 10) /* of values in one walk: see api.py */

typedef struct Sets {
    const Record *heads[SOURCES_MAX]; /* NULL: the key does not exist */
    uint64_t sizes[SOURCES_MAX];
    size_t count;
} Sets;

/* False: another kind of key, or too many. */
static bool read_sets(Engine *engine, const Session *session, const Command *command, size_t first, size_t count,
                      int64_t now_ms, Sets *sets) {
    *sets = (Sets){.count = count};
    if (!count || count > SOURCES_MAX)
        return false;
    for (size_t number = 0; number < count; number++) {
        Span key = command_arg(command, first + number);
        const Record *head = keyspace_row(engine, session->db, keyspace_hash(engine, key), key, now_ms);
        if (head && record_kind(head) != SET)
            return false;
        const Family *family = head ? family_of(engine, head) : NULL;
        sets->heads[number] = head;
        sets->sizes[number] = family ? family->count - family->dying : 0;
    }
    return true;
}

enum { IN_ALL, IN_ANY, IN_NONE };

typedef struct Chosen { /* members of the result, as records of the source sets */
    Buffer records;
    size_t count, looks, bytes;
    bool counts_alone; /* nobody asks which they are */
} Chosen;

/* Whether a member of set `its` belongs to the result. */
static bool belongs(Engine *engine, const Sets *sets, size_t its, int rule, Span name, int64_t now_ms, size_t *looks) {
    size_t end = rule == IN_ANY ? its : sets->count;
    for (size_t other = 0; other < end; other++) {
        if (other == its)
            continue;
        ++*looks;
        bool found = sets->heads[other] && family_find(engine, sets->heads[other], name, now_ms);
        if (found != (rule == IN_ALL))
            return false;
    }
    return true;
}

static bool choose_of(Engine *engine, const Sets *sets, size_t its, int rule, uint64_t most, int64_t now_ms,
                      Chosen *chosen) {
    const Family *family = sets->heads[its] ? family_of(engine, sets->heads[its]) : NULL;
    for (uint64_t place = family ? family->dying : 0; family && place < family->count && chosen->count < most;
         place++) {
        const Record *member = family_member(family, place);
        Span name = record_key(member);
        chosen->looks++;
        if (!belongs(engine, sets, its, rule, name, now_ms, &chosen->looks))
            continue;
        if (!chosen->counts_alone && !buffer_append(&chosen->records, &member, sizeof(const Record *)))
            return false;
        chosen->count++;
        chosen->bytes += REPLY_HEAD_BYTES + name.len;
    }
    return true;
}

/* The first of the smallest, which the others are looked through for. */
static size_t smallest_of(const Sets *sets) {
    size_t smallest = 0;
    for (size_t number = 1; number < sets->count; number++)
        if (sets->sizes[number] < sets->sizes[smallest])
            smallest = number;
    return smallest;
}

/* False: it is too much for one go, or there is no memory. */
static bool choose(Engine *engine, const Sets *sets, int rule, uint64_t most, int64_t now_ms, Chosen *chosen) {
    size_t first = rule == IN_ALL ? smallest_of(sets) : 0, last = rule == IN_ANY ? sets->count - 1 : first;
    uint64_t size = 0;
    for (size_t its = first; its <= last; its++)
        size += sets->sizes[its];
    bool done = size * sets->count <= LOOKS_MAX;
    for (size_t its = first; done && its <= last; its++)
        done = choose_of(engine, sets, its, rule, most, now_ms, chosen);
    return done;
}

static void count(Engine *engine, const Sets *sets, const Chosen *chosen) {
    for (size_t number = 0; number < sets->count; number++) {
        engine->hits += sets->heads[number] != NULL;
        engine->misses += sets->heads[number] == NULL;
    }
    engine->moved += chosen->looks * SEEN_BYTES;
}

static bool tell_sets(Engine *engine, const Session *session, const Command *command, int rule, int64_t now_ms) {
    Sets sets;
    Chosen chosen = {0};
    if (command->argc < 2 || !read_sets(engine, session, command, 1, command->argc - 1, now_ms, &sets))
        return false;
    bool done = choose(engine, &sets, rule, UINT64_MAX, now_ms, &chosen) && chosen.bytes <= HOT_REPLY_BYTES_MAX
        && reply_reserve(engine, REPLY_HEAD_BYTES + chosen.bytes);
    if (done) {
        reply_integer(engine, session->proto == 3 ? '~' : '*', (int64_t)chosen.count);
        for (size_t number = 0; number < chosen.count; number++) {
            const Record *member;
            memcpy(&member, chosen.records.bytes + number * sizeof member, sizeof member);
            reply_bulk(engine, record_key(member));
        }
        count(engine, &sets, &chosen);
    }
    buffer_clear(&chosen.records, 0);
    return done;
}

HANDLER(sinter) { return tell_sets(engine, session, command, IN_ALL, now_ms); }
HANDLER(sunion) { return tell_sets(engine, session, command, IN_ANY, now_ms); }
HANDLER(sdiff) { return tell_sets(engine, session, command, IN_NONE, now_ms); }

/* SINTERSTORE and its kin. A result of nothing would remove the key: that is for `dispatch`. */
static bool store_sets(Engine *engine, const Session *session, const Command *command, int rule, uint8_t note,
                       int64_t now_ms) {
    Sets sets;
    Chosen chosen = {0};
    Drafted drafted = {.target = command_arg(command, 1), .kind = SET};
    if (command->argc < 3 || engine_full(engine) || !reply_reserve(engine, DRAFTED_REPLY_BYTES)
        || !read_sets(engine, session, command, 2, command->argc - 2, now_ms, &sets))
        return false;
    bool done = choose(engine, &sets, rule, UINT64_MAX, now_ms, &chosen);
    for (size_t number = 0; done && number < chosen.count; number++) {
        const Record *member;
        memcpy(&member, chosen.records.bytes + number * sizeof member, sizeof member);
        done = drafted_add(engine, &drafted, record_key(member), 0);
    }
    done = done && drafted_store(engine, session, &drafted, note, now_ms);
    if (done)
        count(engine, &sets, &chosen);
    buffer_clear(&chosen.records, 0);
    drafted_clear(&drafted);
    return done;
}

HANDLER(sinterstore) { return store_sets(engine, session, command, IN_ALL, NOTE_SINTERSTORE, now_ms); }
HANDLER(sunionstore) { return store_sets(engine, session, command, IN_ANY, NOTE_SUNIONSTORE, now_ms); }
HANDLER(sdiffstore) { return store_sets(engine, session, command, IN_NONE, NOTE_SDIFFSTORE, now_ms); }

/* SINTERCARD n key ... [LIMIT n] */
HANDLER(sintercard) {
    Sets sets;
    Chosen chosen = {.counts_alone = true};
    int64_t keys, limit = 0;
    if (command->argc < 3 || !span_int64(command_arg(command, 1), &keys) || keys < 1
        || keys > (int64_t)command->argc - 2)
        return false;
    size_t at = 2 + (size_t)keys;
    if (at != command->argc
        && (at + 2 != command->argc || !IS(command_arg(command, at), "limit")
            || !span_int64(command_arg(command, at + 1), &limit) || limit < 0))
        return false;
    if (!read_sets(engine, session, command, 2, (size_t)keys, now_ms, &sets))
        return false;
    bool done = choose(engine, &sets, IN_ALL, limit ? (uint64_t)limit : UINT64_MAX, now_ms, &chosen)
        && reply_reserve(engine, REPLY_HEAD_BYTES);
    if (done) {
        reply_integer(engine, ':', (int64_t)chosen.count);
        count(engine, &sets, &chosen);
    }
    return done;
}

/* SMOVE source target member, for whom it was given by name. The target has it before the source has not. */
HANDLER(smove) {
    if (command->argc != 4 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    Span source = command_arg(command, 1), target = command_arg(command, 2), name = command_arg(command, 3);
    Sets sets;
    if (NAME_LENGTH_BYTES + target.len + name.len > HOT_BYTES_MAX
        || NAME_LENGTH_BYTES + target.len + name.len > engine->settings.bulk_bytes_max
        || !read_sets(engine, session, command, 1, 2, now_ms, &sets))
        return false;
    bool there = sets.heads[0] && family_find(engine, sets.heads[0], name, now_ms), found = false, is_new = false;
    bool same = source.len == target.len && (!source.len || !memcmp(source.bytes, target.bytes, source.len));
    bool moves = there && !same;
    if (moves) {
        uint64_t hash = keyspace_hash(engine, target), from = keyspace_hash(engine, source);
        if (!sets.heads[1]) {
            if (!family_found(engine, session->db, hash, target, SET, now_ms + engine->settings.default_ttl_ms, true,
                              now_ms))
                return false;
            engine->defaulted++;
        }
        Record *head = family_head(engine, session->db, hash, target, now_ms);
        if (!family_find(engine, head, name, now_ms) && !family_put(engine, head, name, (Span){0}, 0, now_ms, &is_new))
            return false;
        head = family_head(engine, session->db, from, source, now_ms);
        if (!family_let_go(engine, head, name, now_ms, &found))
            return false; /* `dispatch` moves it */
        engine_note(engine, NOTE_LET_GO + SET - HASH, session->db, source);
        if (!keyspace_row(engine, session->db, from, source, now_ms))
            engine_note(engine, NOTE_DEL, session->db, source);
        if (is_new)
            engine_note(engine, NOTE_PUT + SET - HASH, session->db, target);
    }
    reply_integer(engine, ':', there);
    return true;
}

/* -- HSCAN, SSCAN and ZSCAN ------------------------------------------------------------------------------- */
typedef struct Walking {
    int64_t cursor, count;
    bool names_alone;
    Span pattern;
} Walking;

static bool scan_words(const Command *command, uint8_t kind, Walking *scan) {
    *scan = (Walking){.count = SCAN_COUNT, .names_alone = kind == SET};
    if (command->argc < 3 || !span_int64(command_arg(command, 2), &scan->cursor) || scan->cursor < 0)
        return false;
    for (size_t at = 3; at < command->argc; at++) {
        Span word = command_arg(command, at), next = at + 1 < command->argc ? command_arg(command, at + 1) : (Span){0};
        if (kind == HASH && !scan->names_alone && IS(word, "novalues")) {
            scan->names_alone = true;
            continue;
        }
        if (++at == command->argc)
            return false;
        if (IS(word, "match"))
            scan->pattern = next;
        else if (!IS(word, "count") || !span_int64(next, &scan->count) || scan->count < 1
                 || scan->count > SCAN_COUNT_MAX)
            return false;
    }
    return scan->pattern.len <= SCAN_PATTERN_BYTES_MAX;
}

/* As ZSCAN tells one: never as a number of RESP3. */
static void reply_scanned(Engine *engine, double score, bool small) {
    uint8_t digits[20];
    if (small && score <= WHOLE_MAX && score >= -WHOLE_MAX && score == (double)(int64_t)score)
        reply_bulk(engine, (Span){digits, digits_of((int64_t)score, digits)});
    else
        reply_score(engine, 2, score);
    wipe(digits, sizeof digits);
}

/* Downwards, so that who fills a hole was seen already. */
static bool scan_members(Engine *engine, Session *session, const Command *command, uint8_t kind, int64_t now_ms) {
    Record *head;
    Walking scan;
    const Record *found[SCAN_COUNT_MAX];
    Glob *glob = NULL;
    if (!scan_words(command, kind, &scan) || !collection_at(engine, session, command, kind, now_ms, &head))
        return false;
    bool all = !scan.pattern.bytes || (scan.pattern.len == 1 && scan.pattern.bytes[0] == '*');
    if (!all && !(glob = glob_compile(scan.pattern)))
        return false;
    const Family *family = head ? family_of(engine, head) : NULL;
    uint64_t end = family ? family->count : 0, dying = family ? family->dying : 0, at = end, told = 0;
    if (scan.cursor && (uint64_t)scan.cursor < end)
        at = (uint64_t)scan.cursor;
    Ranked ranked[SMALL_MAX];
    bool small = kind == ZSET && end - dying <= SMALL_MAX;
    if (small && family) {
        at = end;
        scan.count = SMALL_MAX;
        always(order_from_rank(&family->order, 0, SMALL_MAX, false, ranked) == end - dying);
    }
    uint64_t stop = at > (uint64_t)scan.count ? at - (uint64_t)scan.count : 0, walked = 0;
    if (stop < dying)
        stop = dying;
    size_t bytes = 3 * REPLY_HEAD_BYTES, value_bytes = 0, steps = 0;
    bool done = true;
    while (done && at > stop && value_bytes < MEMBERS_BYTES_MAX) {
        const Record *member = family_member(family, --at);
        if (small)
            member = ranked[walked].record;
        Span name = record_key(member);
        value_bytes += record_value_bytes(member);
        walked++;
        if (glob) {
            steps += glob_steps(glob, name.len);
            done = steps <= SCAN_STEPS_MAX;
            if (!done || !glob_match(glob, name))
                continue;
        }
        found[told++] = member;
        bytes += 2 * REPLY_HEAD_BYTES + name.len + (scan.names_alone ? 0 : record_value_bytes(member));
        bytes += kind == ZSET ? SCORE_BYTES_MAX : 0;
    }
    if (glob)
        glob_free(glob);
    if (!done || bytes > HOT_REPLY_BYTES_MAX || !reply_reserve(engine, bytes))
        return false;
    uint8_t digits[20];
    engine->hits += head != NULL;
    engine->misses += head == NULL;
    engine->moved += walked * SEEN_BYTES;
    reply_text(engine, "*2\r\n", 4);
    reply_bulk(engine, (Span){digits, digits_of(at > dying ? (int64_t)at : 0, digits)});
    reply_integer(engine, '*', (int64_t)(scan.names_alone ? told : 2 * told));
    for (uint64_t number = 0; number < told; number++) {
        reply_bulk(engine, record_key(found[number]));
        if (kind == ZSET)
            reply_scanned(engine, *score_of(engine, found[number]), small);
        else if (!scan.names_alone)
            reply_value(engine, found[number]);
    }
    return true;
}

HANDLER(hscan) { return scan_members(engine, session, command, HASH, now_ms); }
HANDLER(sscan) { return scan_members(engine, session, command, SET, now_ms); }
HANDLER(zscan) { return scan_members(engine, session, command, ZSET, now_ms); }
