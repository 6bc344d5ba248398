/* The fast paths: the common, successful form of ordinary commands. Here is the table; the handlers are in reads.c,
 * writes.c, counts.c and parts.c.
 *
 * A handler answers and returns true, or declines with false before it has changed or written anything;
 * then the command takes the way of all others, to `dispatch`, which knows every form and every
 * error. The files of these names in engine/pure/ say the same in Python, function by function, and are the judge.
 */
#include "hot.h"

#include "homes.h"

#include <string.h>

/* -- the table ----------------------------------------------------------------------------------- */
#define ROW(name, bytes, first, last, least, most, first_key, last_key, key_step, needs, kind, member, shape) \
    [HOT_##name] = {#name, first, last, bytes, least, most, first_key, last_key, key_step, needs, kind, member, \
                    hot_##name, shape},
const Row ROWS[HOT_COUNT] = {COMMANDS(ROW)};

static const uint8_t SLOTS[1 << NAME_SLOTS_BITS] = {NAME_SLOTS};

#define SMALL_LETTERS UINT64_C(0x2020202020202020)
#define ODD UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t word_at(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint64_t half_at(const uint8_t *bytes) {
    uint32_t half;
    memcpy(&half, bytes, sizeof half);
    return half;
}

/* Which hot command a name is. Letters differ from their capitals in one bit, and no other byte turns
 * into a small letter by setting it but its capital, so one `or` folds the case of a whole name. */
uint8_t hot_name(Span name) {
    uint64_t first, last = 0;
    if (name.len < 4) {
        if (name.len < 3)
            return COLD;
        first = name.bytes[0] | (uint64_t)name.bytes[1] << 8 | (uint64_t)name.bytes[2] << 16 | UINT64_C(0x202020);
    } else if (name.len < 8) {
        first = (half_at(name.bytes) | half_at(name.bytes + name.len - 4) << 32) | SMALL_LETTERS;
    } else if (name.len <= 16) {
        first = word_at(name.bytes) | SMALL_LETTERS;
        last = word_at(name.bytes + name.len - 8) | SMALL_LETTERS;
    } else {
        return COLD;
    }
    uint8_t hot = SLOTS[((first ^ last * ODD) * NAME_MULTIPLIER) >> (64 - NAME_SLOTS_BITS)];
    const Row *row = &ROWS[hot];
    return row->first == first && row->last == last && row->name_bytes == name.len ? hot : COLD;
}

/* Whether the switches let this command be answered here: misses that are told or asked for are the business of
 * `dispatch`, and so are writes that somebody observes. */
static inline bool is_allowed(const Engine *engine, unsigned shape) {
    return (engine->hot_writes || !(shape & (SHAPE_WRITES | SHAPE_DECIDES)))
        && (engine->hot_reads || !(shape & SHAPE_ASKS));
}

/* A session that tracks has read these keys, or looked for them. */
static void note_seen(Engine *engine, const Session *session, const Row *row, const Command *command) {
    size_t last = row->last_key < 0 ? command->argc - 1 : (size_t)row->last_key;
    for (size_t at = (size_t)row->first_key; row->first_key && at <= last && at < command->argc;
        at += (size_t)row->key_step)
        engine_note(engine, NOTE_SEEN, session->db, command_arg(command, at));
}

/* Fast paths know strings alone: whether one of the keys, or of what may be one, is the head of a collection. */
static bool meets_head(const Engine *engine, const Session *session, const Command *command, unsigned shape) {
    size_t last = shape & SHAPE_MEMBERS ? 0 : shape & SHAPE_KEYS ? command->argc - 1 : shape & SHAPE_KEY ? 1 : 0;
    for (size_t number = 1; number <= last; number++) {
        Span key = command_arg(command, number);
        const Record *record = table_find(&engine->tables[session->db], keyspace_hash(engine, key), key);
        if (record && record->flags & RECORD_KIND)
            return true;
    }
    return false;
}

/* Whether a key that the command may make is longer than such a key may be: `dispatch` says so. */
static bool makes_long_key(const Engine *engine, const Row *row, const Command *command) {
    uint64_t bytes_max = engine->settings.key_bytes_max;
    const Arg *args = command->args;
    /* of a command that counts its keys, what it makes comes first */
    size_t first = row->first_key < 0 ? 1 : (size_t)row->first_key;
    size_t last = row->last_key < 0 ? command->argc - 1 : (size_t)row->last_key;
    if (!first || is_script(command->hot) || !(row->shape & (SHAPE_WRITES | SHAPE_DECIDES))
        || likely(args[command->argc - 1].offset + args[command->argc - 1].len - args[0].offset <= bytes_max))
        return false;
    for (size_t at = first; at <= last && at < command->argc; at += (size_t)row->key_step)
        if (args[at].len > bytes_max)
            return true;
    return false;
}

/* The command is hot and its hash is there where it has a key. False: it is for `dispatch`, as one with too few words
 * is: a handler may look at each that its row asks for. */
bool hot_run(Engine *engine, Session *session, const Command *command, int64_t now_ms) {
    const Row *row = &ROWS[command->hot];
    if (unlikely(command->argc < row->least))
        return false;
    if (unlikely(makes_long_key(engine, row, command)))
        return false;
    if (unlikely(engine->heads) && command->argc > 1 && meets_head(engine, session, command, row->shape))
        return false;
    if (unlikely(engine->homes != NULL) && !session->decides && home_of(engine, command))
        return false;
    if (unlikely(engine->crowds || (command->argc > KEYS_UNASKED_MAX && engine->heads))
        && !settling_may_begin(engine, session->db, command, now_ms))
        return false; /* members of its collections have ended, and are destroyed before it begins */
    if (unlikely(session->tracks) && row->first_key < 0 && !is_script(command->hot))
        return false; /* the code that runs it records which keys it reads */
    if (!hot_permitted(session, row, command) || !is_allowed(engine, row->shape)
        || !row->handler(engine, session, command, now_ms))
        return false;
    engine->calls[command->hot]++;
    if (unlikely(session->tracks) && row->shape & SHAPE_READS)
        note_seen(engine, session, row, command);
    return true;
}
