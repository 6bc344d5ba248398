/* What the handlers of hot commands share. */
#ifndef RESPRAM_HOT_H
#define RESPRAM_HOT_H

#include "engine.h"

#define HANDLER(name) bool hot_##name(Engine *engine, Session *session, const Command *command, int64_t now_ms)
#define DECLARE(name, ...) HANDLER(name);
COMMANDS(DECLARE)
#undef DECLARE

/* A row that shares its handler with others. */
#define SAME(name, as) \
    HANDLER(name) { \
        return as(engine, session, command, now_ms); \
    }

#define SCORE_BYTES_MAX 32 /* "-1.7976931348623157e+308" is the longest */
#define SCORE_REPLY_BYTES_MAX (REPLY_HEAD_BYTES + SCORE_BYTES_MAX)
#define KEYS_AT_ONCE 32 /* keys whose lines and records are prefetched together */
#define DRAFT_BYTES_MAX ((size_t)16 << 20) /* see api.py */
/* of commands that look members up in several sets: see pure/parts.py */
#define SOURCES_MAX 16
#define LOOKS_MAX 8192
#define SEEN_BYTES 128

/* The live record of a key for a command that reads, counted as a hit or a miss. */
static inline const Record *seen(Engine *engine, const Session *session, uint64_t hash, Span key, int64_t now_ms) {
    const Record *record = keyspace_row(engine, session->db, hash, key, now_ms);
    if (record)
        engine->hits++;
    else
        engine->misses++;
    return record;
}

/* The head of a collection of this kind (0: of any), or NULL where there is no key. False: another kind of key. */
static inline bool collection_at(Engine *engine, const Session *session, const Command *command, uint8_t kind,
    int64_t now_ms, Record **head) {
    *head = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    return !*head || (kind ? record_kind(*head) == kind : record_kind(*head) != 0);
}

/* A time to live that needs neither an error nor cutting. */
static inline bool ttl_of(const Engine *engine, Span digits, int64_t unit_ms, int64_t *ttl_ms) {
    int64_t number;
    if (!span_int64(digits, &number) || number <= 0 || number > engine->settings.max_ttl_ms / unit_ms)
        return false;
    *ttl_ms = number * unit_ms;
    return true;
}

/* Whether an argument is a word, given in small letters. */
static inline bool is_word(Span arg, const char *text, size_t len) {
    if (arg.len != len)
        return false;
    for (size_t place = 0; place < len; place++)
        if ((arg.bytes[place] | 0x20) != text[place])
            return false;
    return true;
}
#define IS(arg, text) is_word(arg, text, sizeof text - 1)

/* Where a value gets its deadline from: what is replaced, or the default. */
typedef struct Life {
    int64_t deadline_ms;
    bool implicit;
} Life;

static inline Life life_of(const Engine *engine, const Record *record, int64_t now_ms) {
    return record ? (Life){record_deadline_ms(record), record->flags & RECORD_IMPLICIT}
                  : (Life){now_ms + engine->settings.default_ttl_ms, true};
}

/* Puts the value of a record (NULL: none) into the draft, in plain, with room for so many bytes in all. False: there
 * is none. */
bool draft_open(Engine *engine, const Record *record, size_t bytes);
void draft_extend(Engine *engine, size_t bytes);
bool draft_stored(Engine *engine, const Session *session, const Command *command, const Record *record,
                  int64_t now_ms, uint8_t note);
void draft_wipe(Engine *engine);
char comparison_of(Span word, Span operand);
bool value_holds(Engine *engine, const Record *record, char comparison, Span operand, bool *done);
bool integer_of(Engine *engine, const Record *record, int64_t *number);
bool is_sealed(const Engine *engine, const Record *record);
Record *collection_begun(Engine *engine, const Session *session, const Command *command, uint8_t kind,
    int64_t now_ms);
bool members_are_short(const Engine *engine, const Command *command, size_t first, bool pairs);
bool life_from(const Engine *engine, Span unit, Span digits, int64_t now_ms, int64_t *ttl_ms);
void reply_score(Engine *engine, int proto, double score);
size_t score_digits(double score, char digits[SCORE_BYTES_MAX]);
bool plain_score(Span word, double *score);

/* Members of a collection that a command is about to store under `target`: stores.c. */
typedef struct Drafted {
    Span target;
    uint8_t kind;
    Buffer members; /* score | u32 bytes of the name | name */
    size_t count, bytes;
} Drafted;

void reply_no_memory(Engine *engine);
bool copy_collection(Engine *engine, const Session *session, const Record *head, Span target, bool replaces,
                     int64_t now_ms);

#define DRAFTED_REPLY_BYTES 64 /* a number, or that memory is full */

bool drafted_add(const Engine *engine, Drafted *drafted, Span name, double score);
bool drafted_store(Engine *engine, const Session *session, const Drafted *drafted, uint8_t note, int64_t now_ms);
void drafted_clear(Drafted *drafted);
bool let_go_members(Engine *engine, Session *session, const Command *command, uint8_t kind, int64_t now_ms);

#endif
