/* Strings used as bitmaps: SETBIT, GETBIT, BITCOUNT, BITPOS and BITOP. Bit 0 is the highest of byte 0. The twin of
 * pure/bits.py.
 *
 * A sealed value is opened into the draft, and the draft is wiped at once; another is read where it lies.
 */
#include "hot.h"

#include <string.h>

#define BITOP_SOURCES_MAX 64 /* sources of one command; more are left to `dispatch` */
#define BITOP_BYTES_MAX (2 * DRAFT_BYTES_MAX) /* of all its sources: about 25 ms */
#define PIECE_BYTES ((size_t)64 << 10) /* opened at a time: it stays in the cache */
_Static_assert(PIECE_BYTES % BLOCK_BYTES == 0 && PIECE_BYTES >= LONG_BYTES, "see seal_open_piece");

static bool bit_offset(const Engine *engine, Span digits, int64_t *offset) {
    return span_int64(digits, offset) && *offset >= 0 && (uint64_t)(*offset >> 3) < engine->settings.bulk_bytes_max
        && *offset >> 3 < (int64_t)DRAFT_BYTES_MAX;
}

HANDLER(setbit) {
    int64_t offset;
    if (command->argc != 4 || !bit_offset(engine, command_arg(command, 2), &offset) || engine_full(engine)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    Span key = command_arg(command, 1), digit = command_arg(command, 3);
    if (digit.len != 1 || (digit.bytes[0] != '0' && digit.bytes[0] != '1') || key.len > HOT_BYTES_MAX)
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    size_t at = (size_t)(offset >> 3), there = record ? record_value_bytes(record) : 0;
    uint8_t mask = (uint8_t)(0x80 >> (offset & 7));
    if (!draft_open(engine, record, at + 1))
        return false;
    engine->moved += engine->draft.len;
    draft_extend(engine, at + 1);
    bool old = engine->draft.bytes[at] & mask, wanted = digit.bytes[0] == '1';
    if (record && at < there && old == wanted) { /* unchanged: no stamp and no event, as in Redis */
        draft_wipe(engine);
    } else {
        engine->draft.bytes[at] = wanted ? engine->draft.bytes[at] | mask : engine->draft.bytes[at] & (uint8_t)~mask;
        if (!draft_stored(engine, session, command, record, now_ms, NOTE_SETBIT))
            return false;
    }
    reply_integer(engine, ':', old);
    return true;
}

HANDLER(getbit) {
    int64_t offset;
    if (command->argc != 3 || !bit_offset(engine, command_arg(command, 2), &offset)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    size_t at = (size_t)(offset >> 3);
    bool set = false;
    if (record && at < record_value_bytes(record)) {
        if (record_value_bytes(record) > DRAFT_BYTES_MAX)
            return false;
        engine->moved += record_value_bytes(record);
        if (is_sealed(engine, record)) {
            if (!draft_open(engine, record, 0))
                return false;
            set = engine->draft.bytes[at] & (0x80 >> (offset & 7));
            draft_wipe(engine);
        } else {
            set = record_value(record).bytes[at] & (0x80 >> (offset & 7));
        }
    }
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    reply_integer(engine, ':', set);
    return true;
}

/* -- counting and finding -------------------------------------------------------------------------- */
#define ONES_IN(name) \
    static int64_t name(const uint8_t *bytes, size_t len) { \
        uint64_t words[4]; \
        int64_t count = 0; \
        size_t at = 0; \
        for (; at + sizeof words <= len; at += sizeof words) { \
            memcpy(words, bytes + at, sizeof words); \
            for (size_t word = 0; word < 4; word++) \
                count += __builtin_popcountll(words[word]); \
        } \
        for (; at < len; at++) \
            count += __builtin_popcount(bytes[at]); \
        return count; \
    }

ONES_IN(ones_in)

#if defined(__x86_64__) && defined(__GNUC__)
/* Several times as fast as what every processor of this kind can do. */
__attribute__((target("popcnt"))) ONES_IN(ones_by_instruction)

static int64_t ones(const uint8_t *bytes, size_t len) {
    return __builtin_cpu_supports("popcnt") ? ones_by_instruction(bytes, len) : ones_in(bytes, len);
}
#else
static int64_t ones(const uint8_t *bytes, size_t len) {
    return ones_in(bytes, len);
}
#endif

/* Bits from `first` to `last`, both included, of which there is at least one. */
static int64_t ones_between(const uint8_t *bytes, int64_t first, int64_t last) {
    size_t from = (size_t)(first >> 3), to = (size_t)(last >> 3);
    int64_t count = ones(bytes + from, to - from + 1);
    count -= __builtin_popcount(bytes[from] & (uint8_t)~(0xff >> (first & 7)));
    return count - __builtin_popcount(bytes[to] & (uint8_t)(0xff >> 1 >> (last & 7)));
}

/* The first byte from `at` on that is not `skipped`; `end`: there is none. */
static size_t first_other(const uint8_t *bytes, size_t at, size_t end, uint8_t skipped) {
    uint64_t eight = skipped ? UINT64_MAX : 0, word;
    for (; at + 8 <= end; at += 8) {
        memcpy(&word, bytes + at, sizeof word);
        if (word != eight)
            break;
    }
    while (at < end && bytes[at] == skipped)
        at++;
    return at;
}

/* The first bit of that value from `first` to `last`; -1: there is none. */
static int64_t first_bit(const uint8_t *bytes, int64_t first, int64_t last, bool wanted) {
    size_t at = (size_t)(first >> 3), end = (size_t)(last >> 3) + 1;
    uint8_t turned = wanted ? 0 : 0xff, byte = (bytes[at] ^ turned) & (uint8_t)(0xff >> (first & 7));
    if (!byte) {
        at = first_other(bytes, at + 1, end, turned);
        if (at == end)
            return -1;
        byte = bytes[at] ^ turned;
    }
    int64_t found = (int64_t)at * 8 + __builtin_clz(byte) - 24;
    return found > last ? -1 : found;
}

typedef struct Bounds { /* as they were given, then of bits */
    int64_t start, end;
    bool in_bits, empty;
} Bounds;

/* start end [BYTE | BIT] from `at` on. False: it says something else. */
static bool read_bounds(const Command *command, size_t at, Bounds *bounds) {
    *bounds = (Bounds){.end = -1};
    if ((command->argc > at && !span_int64(command_arg(command, at), &bounds->start))
        || (command->argc > at + 1 && !span_int64(command_arg(command, at + 1), &bounds->end)))
        return false;
    if (command->argc <= at + 2)
        return true;
    bounds->in_bits = IS(command_arg(command, at + 2), "bit");
    return command->argc == at + 3 && (bounds->in_bits || IS(command_arg(command, at + 2), "byte"));
}

/* The first and last bit in a value of so many bytes; negative bounds count from its end. */
static void bound_bits(Bounds *bounds, size_t value_bytes) {
    int64_t len = (int64_t)value_bytes * (bounds->in_bits ? 8 : 1), start = bounds->start, end = bounds->end;
    start = start < 0 ? (start + len > 0 ? start + len : 0) : start;
    end = end < 0 ? (end + len > 0 ? end + len : 0) : end;
    end = end < len - 1 ? end : len - 1;
    bounds->empty = start > end;
    bounds->start = bounds->in_bits || bounds->empty ? start : start * 8;
    bounds->end = bounds->in_bits || bounds->empty ? end : end * 8 + 7;
}

/* A value to look into; `draft_wipe` comes after. NULL: it is too long, or there is no memory. */
static const uint8_t *look_into(Engine *engine, const Record *record) {
    if (record_value_bytes(record) > DRAFT_BYTES_MAX)
        return NULL;
    if (is_sealed(engine, record) && !draft_open(engine, record, 0))
        return NULL;
    engine->moved += record_value_bytes(record);
    return is_sealed(engine, record) ? engine->draft.bytes : record_value(record).bytes;
}

/* BITCOUNT key [start end [BYTE | BIT]] */
HANDLER(bitcount) {
    Bounds bounds;
    int64_t count = 0;
    if (command->argc < 2 || command->argc == 3 || !read_bounds(command, 2, &bounds)
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    bool nothing = bounds.start < 0 && bounds.end < 0 && bounds.start > bounds.end;
    bound_bits(&bounds, record ? record_value_bytes(record) : 0);
    if (record && !nothing && !bounds.empty) {
        const uint8_t *bytes = look_into(engine, record);
        if (!bytes)
            return false;
        count = ones_between(bytes, bounds.start, bounds.end);
        draft_wipe(engine);
    }
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    reply_integer(engine, ':', count);
    return true;
}

/* BITPOS key bit [start [end [BYTE | BIT]]]. Zeros go on behind the value, unless an end was named. */
HANDLER(bitpos) {
    int64_t wanted;
    Bounds bounds;
    if (command->argc < 3 || !span_int64(command_arg(command, 2), &wanted) || (wanted != 0 && wanted != 1)
        || !read_bounds(command, 3, &bounds) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    int64_t found = record || wanted ? -1 : 0;
    bound_bits(&bounds, record ? record_value_bytes(record) : 0);
    if (record && !bounds.empty) {
        const uint8_t *bytes = look_into(engine, record);
        if (!bytes)
            return false;
        found = first_bit(bytes, bounds.start, bounds.end, wanted);
        draft_wipe(engine);
        if (found < 0 && !wanted && command->argc < 5)
            found = (int64_t)record_value_bytes(record) * 8;
    }
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    reply_integer(engine, ':', found);
    return true;
}

/* -- BITOP ----------------------------------------------------------------------------------------- */
enum { NO_OPERATION, AND, OR, XOR, NOT };

static int operation_of(Span word) {
    return IS(word, "and") ? AND : IS(word, "or") ? OR : IS(word, "xor") ? XOR : IS(word, "not") ? NOT : NO_OPERATION;
}

#define EACH_WORD(by) \
    for (; at + sizeof words <= len; at += sizeof words) { \
        memcpy(words, into + at, sizeof words); \
        memcpy(others, with + at, sizeof others); \
        for (size_t word = 0; word < 4; word++) \
            words[word] by others[word]; \
        memcpy(into + at, words, sizeof words); \
    } \
    for (; at < len; at++) \
        into[at] by with[at];

static void combine(uint8_t *into, const uint8_t *with, size_t len, int operation) {
    uint64_t words[4], others[4];
    size_t at = 0;
    if (operation == AND) {
        EACH_WORD(&=)
    } else if (operation == OR) {
        EACH_WORD(|=)
    } else {
        EACH_WORD(^=)
    }
}

/* One more source into the draft, piece by piece: opened whole, a value of 16 MiB would touch as much fresh memory,
 * which takes 7 ms. `opened`: room for a piece. False: it cannot be opened. */
static bool combine_one(Engine *engine, const Record *record, int operation, uint8_t *into, uint8_t *opened) {
    Span value = record_value(record);
    bool sealed = is_sealed(engine, record), done = true;
    for (size_t at = 0; at < value.len && done; at += PIECE_BYTES) {
        Span piece = {value.bytes + at, value.len - at < PIECE_BYTES ? value.len - at : PIECE_BYTES};
        if (sealed) {
            done = seal_open_piece(engine, record, at, piece.len, opened);
            piece.bytes = opened;
        }
        if (done)
            combine(into + at, piece.bytes, piece.len, operation);
    }
    if (sealed)
        wipe(opened, value.len < PIECE_BYTES ? value.len : PIECE_BYTES);
    return done;
}

/* The sources' values, one after another, into the draft, which is as long as the longest of them. Shorter ones count
 * as filled up with zeros. Behind the draft there is room for a piece that has to be opened. False: no memory. */
static bool combine_all(Engine *engine, const Record *const *sources, size_t count, size_t longest, int operation) {
    Buffer *draft = &engine->draft;
    if (!buffer_reserve(draft, longest + PIECE_BYTES))
        return false;
    draft->len = longest;
    for (size_t number = 0; number < count; number++) {
        const Record *record = sources[number];
        size_t len = record ? record_value_bytes(record) : 0;
        engine->moved += len;
        if (len && !(number ? combine_one(engine, record, operation, draft->bytes, draft->bytes + longest)
                            : seal_open(engine, record, draft->bytes))) {
            draft_wipe(engine);
            return false;
        }
        if (!number || operation == AND)
            memset(draft->bytes + len, 0, longest - len);
    }
    uint8_t *bytes = draft->bytes; /* of its own: through `draft` each byte that is written could be this pointer */
    if (operation == NOT)
        for (size_t at = 0; at < longest; at++)
            bytes[at] = (uint8_t)~bytes[at];
    return true;
}

/* BITOP operation target source ... A result that is empty lets go of what is there: that is for `dispatch`. */
HANDLER(bitop) {
    const Record *sources[BITOP_SOURCES_MAX];
    int operation = command->argc < 4 ? NO_OPERATION : operation_of(command_arg(command, 1));
    size_t count = command->argc - 3, longest = 0, bytes = 0;
    Span target = command->argc < 4 ? (Span){0} : command_arg(command, 2);
    if (!operation || count > BITOP_SOURCES_MAX || (operation == NOT && count != 1) || target.len > HOT_BYTES_MAX
        || engine_full(engine) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    for (size_t number = 0; number < count; number++) {
        Span key = command_arg(command, 3 + number);
        sources[number] = keyspace_row(engine, session->db, keyspace_hash(engine, key), key, now_ms);
        size_t len = sources[number] ? record_value_bytes(sources[number]) : 0;
        bytes += len;
        longest = len > longest ? len : longest;
    }
    uint64_t hash = keyspace_hash(engine, target);
    if (bytes > BITOP_BYTES_MAX || longest > DRAFT_BYTES_MAX || longest > engine->settings.bulk_bytes_max
        || (!longest && keyspace_row(engine, session->db, hash, target, now_ms)))
        return false;
    if (longest) {
        if (!combine_all(engine, sources, count, longest, operation))
            return false;
        bool stored = keyspace_store(engine, session->db, hash, target, (Span){engine->draft.bytes, longest},
                                     now_ms + engine->settings.default_ttl_ms, true, now_ms, NOTE_MERGED);
        draft_wipe(engine);
        if (!stored)
            return false;
        engine->defaulted++;
    }
    for (size_t number = 0; number < count; number++) {
        engine->hits += sources[number] != NULL;
        engine->misses += sources[number] == NULL;
    }
    reply_integer(engine, ':', (int64_t)longest);
    return true;
}
