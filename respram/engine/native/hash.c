/* SipHash-1-3, keyed with 16 random bytes of the process.
 *
 * Keys come from strangers: with an unkeyed hash they could choose a million keys of one table line.
 * One round per word and three at the end is what Rust's and Ruby's tables use; a key of 16 bytes
 * takes about 10 ns, which the prefetching of a batch hides anyway.
 */
#include "engine.h"

#include <string.h>

typedef struct State {
    uint64_t a, b, c, d;
} State;

static inline uint64_t turn(uint64_t word, int bits) {
    return word << bits | word >> (64 - bits);
}

static inline void mix(State *s) {
    s->a += s->b; s->c += s->d;
    s->b = turn(s->b, 13) ^ s->a;
    s->d = turn(s->d, 16) ^ s->c;
    s->a = turn(s->a, 32);
    s->c += s->b; s->a += s->d;
    s->b = turn(s->b, 17) ^ s->c;
    s->d = turn(s->d, 21) ^ s->a;
    s->c = turn(s->c, 32);
}

static inline uint64_t word_at(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8); /* the host's byte order: hashes never leave the process */
    return word;
}

uint64_t hash_key(const uint64_t secret[2], const uint8_t *bytes, size_t len) {
    State s = {
        secret[0] ^ UINT64_C(0x736f6d6570736575), secret[1] ^ UINT64_C(0x646f72616e646f6d),
        secret[0] ^ UINT64_C(0x6c7967656e657261), secret[1] ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *end = bytes + (len & ~(size_t)7);
    for (; bytes != end; bytes += 8) {
        uint64_t word = word_at(bytes);
        s.d ^= word;
        mix(&s);
        s.a ^= word;
    }
    uint64_t last = (uint64_t)len << 56;
    for (size_t place = 0; place < (len & 7); place++)
        last |= (uint64_t)end[place] << (8 * place);
    s.d ^= last;
    mix(&s);
    s.a ^= last;
    s.c ^= 0xff;
    mix(&s); mix(&s); mix(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
