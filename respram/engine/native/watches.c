/* WATCH, UNWATCH, and what EXEC compares.
 *
 * No later state of a key has the stamp of an earlier one, so a key that was there is compared by its stamp alone. A
 * collection has a version and a number of members besides, because its members have stamps of their own. The stamps
 * stand in `session->watched`, a Watched each, until EXEC compares them, or until `dispatch` gets a command of this
 * session and takes them over.
 *
 * A key that was missing has no stamp, and can come and go in between. The engine has a table of such keys, by hash: an
 * Awaited counts how often its key has come. The session has a reference to it and the count at WATCH, in
 * `session->awaited`, and keeps them when `dispatch` takes the rest over. Two keys with one hash share an Awaited: then
 * an EXEC does nothing though it could have.
 */
#include "hot.h"
#include "kin.h"

#include <stdlib.h>
#include <string.h>

#define WATCHED_BYTES_MAX 4096 /* of a session; who watches more is served by `dispatch`, which counts them */
#define BUCKETS_LEAST 64       /* a power of two */
#define DB_MIX UINT64_C(0x9e3779b97f4a7c15)

typedef struct Watched {
    uint64_t hash;
    KeyStamp stamp; /* without a clock: the key was missing */
    uint32_t key_bytes;
    int db;
    uint8_t key[]; /* eight bytes aligned, as all of it */
} Watched;

typedef struct Awaited {
    struct Awaited *next; /* in its bucket */
    Awaiting *all;        /* NULL: the engine is gone */
    uint64_t hash, comings;
    size_t references; /* of sessions */
} Awaited;

typedef struct Seen {
    Awaited *awaited;
    uint64_t comings;
} Seen;

/* -- missing keys --------------------------------------------------------------------------------- */
static uint64_t awaited_hash(int db, uint64_t hash) {
    return hash ^ (uint64_t)(db + 1) * DB_MIX;
}

static Awaited **bucket_of(const Awaiting *all, uint64_t hash) {
    return &all->buckets[hash & (all->bucket_count - 1)];
}

static Awaited *awaited_find(const Awaiting *all, uint64_t hash) {
    Awaited *one = all->count ? *bucket_of(all, hash) : NULL;
    while (one && one->hash != hash)
        one = one->next;
    return one;
}

static bool make_room(Awaiting *all) {
    if (all->count < all->bucket_count)
        return true;
    Awaiting wider = {.bucket_count = all->bucket_count ? 2 * all->bucket_count : BUCKETS_LEAST};
    wider.buckets = calloc(wider.bucket_count, sizeof *wider.buckets);
    if (!wider.buckets)
        return all->bucket_count > 0; /* longer chains will do */
    for (size_t number = 0; number < all->bucket_count; number++) {
        for (Awaited *one = all->buckets[number], *next; one; one = next) {
            next = one->next;
            Awaited **bucket = bucket_of(&wider, one->hash);
            one->next = *bucket;
            *bucket = one;
        }
    }
    free(all->buckets);
    all->buckets = wider.buckets;
    all->bucket_count = wider.bucket_count;
    return true;
}

static Awaited *awaited_make(Awaiting *all, uint64_t hash) {
    Awaited *one = make_room(all) ? malloc(sizeof *one) : NULL;
    if (!one)
        return NULL;
    Awaited **bucket = bucket_of(all, hash);
    *one = (Awaited){.next = *bucket, .all = all, .hash = hash};
    *bucket = one;
    all->count++;
    return one;
}

static void awaited_leave(Awaited *one) {
    if (--one->references)
        return;
    Awaiting *all = one->all;
    if (all) {
        Awaited **link = bucket_of(all, one->hash);
        while (*link != one)
            link = &(*link)->next;
        *link = one->next;
        if (!--all->count) {
            free(all->buckets);
            *all = (Awaiting){0};
        }
    }
    free(one);
}

bool session_await(Engine *engine, Session *session, int db, uint64_t hash) {
    if (!buffer_reserve(&session->awaited, sizeof(Seen)))
        return false;
    uint64_t mixed = awaited_hash(db, hash);
    Awaited *one = awaited_find(&engine->awaiting, mixed);
    if (!one)
        one = awaited_make(&engine->awaiting, mixed);
    if (!one)
        return false;
    one->references++;
    Seen seen = {one, one->comings};
    return buffer_append(&session->awaited, &seen, sizeof seen);
}

bool session_has_come(const Session *session) {
    const Seen *seen = (const Seen *)session->awaited.bytes;
    for (size_t number = 0; number < session->awaited.len / sizeof *seen; number++)
        if (seen[number].awaited->comings != seen[number].comings)
            return true;
    return false;
}

void engine_came(Engine *engine, int db, uint64_t hash, Span key) {
    Awaited *one = awaited_find(&engine->awaiting, awaited_hash(db, hash));
    if (one)
        one->comings++;
    engine_note(engine, NOTE_NEW, db, key);
}

/* Sessions may outlive their engine. */
void awaiting_free(Awaiting *all) {
    for (size_t number = 0; number < all->bucket_count; number++)
        for (Awaited *one = all->buckets[number]; one; one = one->next)
            one->all = NULL;
    free(all->buckets);
    *all = (Awaiting){0};
}

/* -- stamps --------------------------------------------------------------------------------------- */
static const Watched *watched_at(const Session *session, size_t at) {
    return (const Watched *)(session->watched.bytes + at);
}

static size_t watched_size(size_t key_bytes) {
    return (sizeof(Watched) + key_bytes + 7) & ~(size_t)7;
}

void watched_drop(Session *session) {
    const Seen *seen = (const Seen *)session->awaited.bytes;
    for (size_t number = 0; number < session->awaited.len / sizeof *seen; number++)
        awaited_leave(seen[number].awaited);
    buffer_clear(&session->awaited, WATCHED_BYTES_MAX);
    watched_taken(session);
}

/* The stamps alone. */
void watched_taken(Session *session) {
    if (session->watched.len)
        buffer_clear(&session->watched, WATCHED_BYTES_MAX);
}

bool watched_next(const Session *session, size_t *at, int *db, Span *key, KeyStamp *stamp) {
    if (*at == session->watched.len)
        return false;
    const Watched *one = watched_at(session, *at);
    *db = one->db;
    *key = (Span){one->key, one->key_bytes};
    *stamp = one->stamp;
    *at += watched_size(one->key_bytes);
    return true;
}

static bool is_watched(const Session *session, uint64_t hash, Span key) {
    for (size_t at = 0; at < session->watched.len; at += watched_size(watched_at(session, at)->key_bytes)) {
        const Watched *one = watched_at(session, at);
        if (one->hash == hash && one->db == session->db && one->key_bytes == key.len
            && memcmp(one->key, key.bytes, key.len) == 0)
            return true;
    }
    return false;
}

static KeyStamp stamp_of(Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms) {
    const Record *record = keyspace_row(engine, db, hash, key, now_ms);
    if (!record)
        return (KeyStamp){0};
    KeyStamp stamp = {.clock = record->clock, .node = engine->nodes.numbers[record->node]};
    if (record->flags & RECORD_KIND) {
        const Family *family = family_settled(engine, record, now_ms);
        stamp.version = family->version;
        stamp.length = family->count - family->dying;
    }
    return stamp;
}

HANDLER(watch) {
    if (session->watches || !session->multi_keys_max || command->argc < 2 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    size_t bytes = session->watched.len, before = bytes;
    for (size_t number = 1; number < command->argc; number++) {
        bytes += watched_size(command_arg(command, number).len);
        if (bytes > WATCHED_BYTES_MAX)
            return false;
    }
    if (!buffer_reserve(&session->watched, bytes - before))
        return false;
    for (size_t number = 1; number < command->argc; number++) {
        Span key = command_arg(command, number);
        uint64_t hash = keyspace_hash(engine, key);
        if (is_watched(session, hash, key))
            continue;
        KeyStamp stamp = stamp_of(engine, session->db, hash, key, now_ms);
        if (!stamp.clock && !session_await(engine, session, session->db, hash))
            return false; /* `dispatch` takes over those before it */
        Watched *one = (Watched *)(session->watched.bytes + session->watched.len);
        *one = (Watched){.hash = hash, .stamp = stamp, .key_bytes = (uint32_t)key.len, .db = session->db};
        if (key.len)
            memcpy(one->key, key.bytes, key.len);
        session->watched.len += watched_size(key.len);
    }
    reply_text(engine, "+OK\r\n", 5);
    return true;
}

HANDLER(unwatch) {
    (void)now_ms;
    if (session->watches || command->argc != 1 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    watched_drop(session);
    reply_text(engine, "+OK\r\n", 5);
    return true;
}

bool watched_changed(Engine *engine, const Session *session, int64_t now_ms) {
    if (session_has_come(session))
        return true;
    for (size_t at = 0; at < session->watched.len; at += watched_size(watched_at(session, at)->key_bytes)) {
        const Watched *one = watched_at(session, at);
        KeyStamp stamp = stamp_of(engine, one->db, one->hash, (Span){one->key, one->key_bytes}, now_ms);
        if (stamp.clock != one->stamp.clock || stamp.node != one->stamp.node
            || stamp.version != one->stamp.version || stamp.length != one->stamp.length)
            return true;
    }
    return false;
}
