/* Hot commands that ask for a whole value, or for its digest, before they let go of it: GETDEL, DELIFEQ, DELEX; and
 * DIGEST. SET asks in the same way (writes.c). The twin of pure/comparing.py.
 */
#include "hot.h"

#include <string.h>

#define DIGEST_DIGITS 16

static void digits_of_digest(uint64_t digest, uint8_t out[DIGEST_DIGITS]) {
    for (int place = DIGEST_DIGITS; place--; digest >>= 4)
        out[place] = (uint8_t)"0123456789abcdef"[digest & 15];
}

/* What a word asks, for which an operand follows; 0: it asks nothing of the kind, or the operand is no digest. */
char comparison_of(Span word, Span operand) {
    bool digests = IS(word, "ifdeq") || IS(word, "ifdne");
    if (!digests)
        return IS(word, "ifeq") ? '=' : IS(word, "ifne") ? '!' : 0;
    if (operand.len != DIGEST_DIGITS)
        return 0;
    for (size_t place = 0; place < operand.len; place++) {
        uint8_t letter = operand.bytes[place] | 0x20, byte = operand.bytes[place];
        if (!(byte >= '0' && byte <= '9') && !(letter >= 'a' && letter <= 'f'))
            return 0;
    }
    return IS(word, "ifdeq") ? 'd' : 'n';
}

/* Whether a key holds what was asked for; a missing key holds nothing. False in `done`: there is no memory to look. */
bool value_holds(Engine *engine, const Record *record, char comparison, Span operand, bool *done) {
    bool by_digest = comparison == 'd' || comparison == 'n', wanted = comparison == '=' || comparison == 'd';
    *done = true;
    if (!record || (!by_digest && record_value_bytes(record) != operand.len))
        return !wanted;
    *done = draft_open(engine, record, 0);
    if (!*done)
        return false;
    engine->moved += engine->draft.len;
    Span value = {engine->draft.bytes, engine->draft.len};
    bool equal;
    if (by_digest) {
        uint8_t digits[DIGEST_DIGITS], folded[DIGEST_DIGITS];
        digits_of_digest(xxh3(value), digits);
        for (size_t place = 0; place < DIGEST_DIGITS; place++)
            folded[place] = operand.bytes[place] | 0x20; /* of a digit too: it has that bit */
        equal = !memcmp(digits, folded, DIGEST_DIGITS);
    } else {
        equal = !value.len || !memcmp(value.bytes, operand.bytes, value.len);
    }
    draft_wipe(engine);
    return equal == wanted;
}

HANDLER(digest) {
    if (command->argc != 2 || !reply_reserve(engine, REPLY_HEAD_BYTES + DIGEST_DIGITS))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, command_arg(command, 1), now_ms);
    if (record) {
        uint8_t digits[DIGEST_DIGITS];
        if (!draft_open(engine, record, 0))
            return false;
        engine->moved += engine->draft.len;
        digits_of_digest(xxh3((Span){engine->draft.bytes, engine->draft.len}), digits);
        draft_wipe(engine);
        reply_bulk(engine, (Span){digits, DIGEST_DIGITS});
    } else {
        reply_nil(engine, session->proto);
    }
    engine->hits += record != NULL;
    engine->misses += record == NULL;
    return true;
}

/* -- letting go, for who has the right by name ------------------------------------------------------ */
HANDLER(getdel) {
    Span key = command_arg(command, 1);
    bool found;
    if (command->argc != 2)
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    size_t reply_start = engine->reply.len;
    uint64_t moved = engine->moved;
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + (record ? record_value_bytes(record) : 0)))
        return false;
    if (record)
        reply_value(engine, record); /* a copy of it: what is sealed is opened when the reply is whole */
    else
        reply_nil(engine, session->proto);
    if (!keyspace_let_go(engine, session->db, command->hash, key, now_ms, &found))
        return reply_take_back(engine, reply_start, moved);
    if (found)
        engine_note(engine, NOTE_DEL, session->db, key);
    engine->hits += found;
    engine->misses += !found;
    return true;
}

static bool let_go_if(Engine *engine, const Session *session, const Command *command, char comparison, Span operand,
                      int64_t now_ms) {
    Span key = command_arg(command, 1);
    bool looked = true, found = false;
    if (!reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    const Record *record = keyspace_row(engine, session->db, command->hash, key, now_ms);
    bool there = record != NULL;
    bool goes = there && (!comparison || value_holds(engine, record, comparison, operand, &looked));
    if (!looked || (goes && !keyspace_let_go(engine, session->db, command->hash, key, now_ms, &found)))
        return false;
    if (found)
        engine_note(engine, NOTE_DEL, session->db, key);
    engine->hits += there;
    engine->misses += !there;
    reply_integer(engine, ':', found);
    return true;
}

HANDLER(delifeq) {
    return command->argc == 3
        && let_go_if(engine, session, command, '=', command_arg(command, 2), now_ms);
}

/* DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest] */
HANDLER(delex) {
    if (command->argc == 2)
        return let_go_if(engine, session, command, 0, (Span){0}, now_ms);
    if (command->argc != 4)
        return false;
    char comparison = comparison_of(command_arg(command, 2), command_arg(command, 3));
    return comparison && let_go_if(engine, session, command, comparison, command_arg(command, 3), now_ms);
}
