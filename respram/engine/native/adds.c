/* Hot commands that give members scores: ZADD and ZINCRBY. The twin of pure/adds.py. */
#include "hot.h"

#include <math.h>
#include <string.h>

/* A member that is there under another score, or a new one. What it has of a deadline stays. */
static bool put(Engine *engine, Record *head, const Record *member, Span name, double score, int64_t now_ms,
    bool *is_new,
                bool *is_changed) {
    *is_new = false;
    *is_changed = !member || *score_of(engine, member) != score;
    if (!*is_changed)
        return true;
    uint8_t value[sizeof score];
    score += 0.0; /* removes -0: see commands/scores.py */
    memcpy(value, &score, sizeof score);
    int64_t own_ms = member && !(member->flags & RECORD_IMPLICIT) ? record_deadline_ms(member) : 0;
    bool stored = family_put(engine, head, name, (Span){value, sizeof value}, own_ms, now_ms, is_new);
    wipe(value, sizeof value);
    return stored;
}

HANDLER(zincrby) { /* the set must exist */
    Record *head;
    double score;
    bool is_new, is_changed;
    if (command->argc != 4 || !plain_score(command_arg(command, 2), &score) || engine_full(engine)
        || !collection_at(engine, session, command, ZSET, now_ms, &head) || !head
        || !reply_reserve(engine, SCORE_REPLY_BYTES_MAX))
        return false;
    Span name = command_arg(command, 3);
    if (name.len > HOT_BYTES_MAX)
        return false;
    const Record *member = family_find(engine, head, name, now_ms);
    if (member)
        score += *score_of(engine, member);
    if (isnan(score) || !put(engine, head, member, name, score, now_ms, &is_new, &is_changed))
        return false;
    engine->hits++;
    if (is_changed)
        engine_note(engine, NOTE_ZINCR, session->db, command_arg(command, 1));
    reply_score(engine, session->proto, score);
    return true;
}

enum { ONLY_NEW = 1, ONLY_OLD = 2, ONLY_GREATER = 4, ONLY_LESS = 8, COUNT_CHANGED = 16, INCREMENT = 32 };

/* ZADD's words, and where the pairs begin. False: what `dispatch` has to judge. */
static bool add_words(const Command *command, unsigned *words, size_t *at) {
    *words = 0;
    for (*at = 2; *at < command->argc; ++*at) {
        Span word = command_arg(command, *at);
        if (IS(word, "nx"))
            *words |= ONLY_NEW;
        else if (IS(word, "xx"))
            *words |= ONLY_OLD;
        else if (IS(word, "gt"))
            *words |= ONLY_GREATER;
        else if (IS(word, "lt"))
            *words |= ONLY_LESS;
        else if (IS(word, "ch"))
            *words |= COUNT_CHANGED;
        else if (IS(word, "incr"))
            *words |= INCREMENT;
        else
            break;
    }
    unsigned apart = *words & (ONLY_NEW | ONLY_GREATER | ONLY_LESS);
    return *at < command->argc && (command->argc - *at) % 2 == 0
        && (!(*words & INCREMENT) || command->argc - *at == 2) && !(apart & (apart - 1))
        && (*words & (ONLY_NEW | ONLY_OLD)) != (ONLY_NEW | ONLY_OLD);
}

static bool may_add(unsigned words, bool is_there, double before, double score) {
    if (!is_there)
        return !(words & ONLY_OLD);
    return !(words & ONLY_NEW || (words & ONLY_LESS && score >= before) || (words & ONLY_GREATER && score <= before));
}

HANDLER(zadd) {
    Record *head;
    unsigned words;
    size_t first, bytes = 0;
    double score;
    if (command->argc > HOT_ARGS_MAX || !add_words(command, &words, &first) || engine_full(engine)
        || !collection_at(engine, session, command, ZSET, now_ms, &head)
        || !reply_reserve(engine, SCORE_REPLY_BYTES_MAX))
        return false;
    for (size_t number = first; number < command->argc; number += 2) {
        bytes += command_arg(command, number + 1).len;
        if (!plain_score(command_arg(command, number), &score) || bytes > HOT_BYTES_MAX)
            return false;
    }
    Span key = command_arg(command, 1);
    const Record *before = head;
    int64_t added = 0, updated = 0;
    bool told = false; /* a member has a score of this command */
    for (size_t number = first; number < command->argc; number += 2) {
        Span name = command_arg(command, number + 1);
        bool is_new, is_changed;
        plain_score(command_arg(command, number), &score);
        if (head && number > first) /* writing may have moved it */
            head = family_head(engine, session->db, command->hash, key, now_ms);
        const Record *member = head ? family_find(engine, head, name, now_ms) : NULL;
        if (words & INCREMENT && member && !(words & ONLY_NEW)) {
            score += *score_of(engine, member);
            if (isnan(score))
                return false;
        }
        if (!may_add(words, member != NULL, member ? *score_of(engine, member) : 0, score))
            continue;
        if (!head) {
            if (!family_found(engine, session->db, command->hash, key, ZSET,
                              now_ms + engine->settings.default_ttl_ms, true, now_ms))
                return false;
            engine->defaulted++;
            head = family_head(engine, session->db, command->hash, key, now_ms);
        }
        if (!put(engine, head, member, name, score, now_ms, &is_new, &is_changed))
            return false; /* the members written so far stay, and `dispatch` replies that memory is full */
        added += !member;
        updated += member && is_changed;
        told = true;
    }
    engine->hits += before != NULL;
    engine->misses += before == NULL;
    if (added + updated)
        engine_note(engine, words & INCREMENT ? NOTE_ZINCR : NOTE_PUT + ZSET - HASH, session->db, key);
    if (!(words & INCREMENT))
        reply_integer(engine, ':', words & COUNT_CHANGED ? added + updated : added);
    else if (told)
        reply_score(engine, session->proto, score);
    else
        reply_nil(engine, session->proto);
    return true;
}
