/* Members that lately went while their collection went on, by the key of their collection.
 *
 * Where a command names a key that another node decides about, what is held of the key travels along (decision 0259).
 * That is who is in a collection. Who went is not in it: a stub has a name, which is a hash, and nobody can tell from
 * that whose member it was. So each is noted when it becomes a stub, since its key is known then: let go of here or by
 * a peer, or ended before its time. Those that go with their whole collection are not, because a mark says it of all.
 *
 * A ring of DEPARTED_MAX, for all keys. Those of one key, and of others whose hash has the same end, are a chain from
 * the latest back: each entry says how far before it the next one stands, so what was overwritten ends the chain, and
 * nothing has to be unlinked. An entry holds no key and no name, only what finds the stub again: its number, and its
 * clock, since the number may be another's by now. A stub that was written anew, because it has to be remembered for
 * longer, is found no more; nor is one whose member is back.
 *
 * 100 KB once a node has peers and lets go of a member. Some 160 instructions for each.
 */
#include "engine.h"

#include <stdlib.h>

#define HEADS 1024 /* a power of two */

typedef struct Departure {
    uint64_t hash;   /* of the collection's key */
    uint64_t clock;  /* of the stub */
    uint32_t stub;   /* its number */
    uint32_t before; /* so many entries back stands the next of its chain; 0: it is the last */
} Departure;

struct Departed {
    uint64_t count;        /* of all that were noted; the last has this number */
    uint64_t heads[HEADS]; /* the last number of each chain; 0: there is none */
    Departure ring[DEPARTED_MAX];
};

static Departure *numbered(Departed *departed, uint64_t number) {
    return &departed->ring[number % DEPARTED_MAX];
}

/* The value of a member of this collection is gone, and this stub is there instead. Without memory it is not noted. */
void departed_note(Engine *engine, Span key, uint32_t stub) {
    if (!engine->digests.enabled)
        return;
    if (unlikely(!engine->stubs.departed) && !(engine->stubs.departed = calloc(1, sizeof(Departed))))
        return;
    Departed *departed = engine->stubs.departed;
    uint64_t hash = keyspace_hash(engine, key), number = ++departed->count;
    uint64_t *head = &departed->heads[hash % HEADS], back = number - *head;
    *numbered(departed, number) = (Departure){
        .hash = hash, .clock = stub_clock(stub_at(&engine->stubs, stub)), .stub = stub,
        .before = *head && back < DEPARTED_MAX ? (uint32_t)back : 0,
    };
    *head = number;
}

/* The stubs of members of this collection that were noted behind `since`, the latest first. False: no memory. */
bool departed_pack(const Engine *engine, int db, Span key, uint64_t since, int64_t now_ms, Buffer *out) {
    Departed *departed = engine->stubs.departed;
    if (!departed)
        return true;
    uint64_t hash = keyspace_hash(engine, key), number = departed->heads[hash % HEADS];
    while (number > since && departed->count - number < DEPARTED_MAX) {
        const Departure *one = numbered(departed, number);
        const Stub *stub = one->hash == hash ? stub_if_used(&engine->stubs, one->stub) : NULL;
        if (stub && stub_clock(stub) == one->clock && name_space(&stub->name) % DATABASES == db
            && is_member(name_space(&stub->name)) && stub_end_ms(stub) > now_ms
            && !stub_pack(engine, one->stub, NULL, out))
            return false;
        if (!one->before)
            break;
        number -= one->before;
    }
    return true;
}

uint64_t departed_count(const Engine *engine) {
    return engine->stubs.departed ? engine->stubs.departed->count : 0;
}
