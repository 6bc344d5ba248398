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
    memcpy(&word, bytes, 8); /* ids leave the process; table.c requires a little-endian host */
    return word;
}

static inline State begin(const uint64_t secret[2]) {
    return (State){
        secret[0] ^ UINT64_C(0x736f6d6570736575), secret[1] ^ UINT64_C(0x646f72616e646f6d),
        secret[0] ^ UINT64_C(0x6c7967656e657261), secret[1] ^ UINT64_C(0x7465646279746573),
    };
}

static inline void take(State *s, uint64_t word) {
    s->d ^= word;
    mix(s);
    s->a ^= word;
}

static inline uint64_t last_word(State *s, uint64_t last, size_t len) {
    take(s, last | (uint64_t)len << 56);
    s->c ^= 0xff;
    mix(s); mix(s); mix(s);
    return s->a ^ s->b ^ s->c ^ s->d;
}

/* The last 1 to 7 bytes of a span of `len`, as the lower end of a word: in one load where bytes stand before them. */
static inline uint64_t rest_at(const uint8_t *bytes, size_t count, size_t len) {
    if (len >= 8)
        return word_at(bytes + count - 8) >> (64 - 8 * count);
    if (count < 4)
        return bytes[0] | (uint64_t)bytes[count / 2] << (count / 2 * 8) | (uint64_t)bytes[count - 1] << (count - 1) * 8;
    uint32_t first, last;
    memcpy(&first, bytes, 4);
    memcpy(&last, bytes + count - 4, 4);
    return first | (uint64_t)last << (count - 4) * 8;
}

/* The last 0 to 7 bytes under the length of all, and the end. */
static inline uint64_t finish(State *s, const uint8_t *bytes, size_t count, size_t len) {
    uint64_t last = 0;
    for (size_t place = 0; place < count; place++)
        last |= (uint64_t)bytes[place] << (8 * place);
    return last_word(s, last, len);
}

uint64_t hash_key(const uint64_t secret[2], const uint8_t *bytes, size_t len) {
    State s = begin(secret);
    const uint8_t *end = bytes + (len & ~(size_t)7);
    for (; bytes != end; bytes += 8)
        take(&s, word_at(bytes));
    return last_word(&s, len & 7 ? rest_at(end, len & 7, len) : 0, len);
}

/* The same over parts that follow each other. */
uint64_t hash_parts(const uint64_t secret[2], const Span *parts, size_t count) {
    State s = begin(secret);
    uint64_t word = 0;
    size_t len = 0;
    int bits = 0; /* of `word` that are filled */
    for (size_t number = 0; number < count; number++) {
        const uint8_t *at = parts[number].bytes;
        size_t left = parts[number].len;
        len += left;
        for (; left >= 8; left -= 8, at += 8) {
            uint64_t next = word_at(at);
            take(&s, word | next << bits);
            word = bits ? next >> (64 - bits) : 0;
        }
        if (!left)
            continue;
        uint64_t next = rest_at(at, left, parts[number].len);
        word |= next << bits;
        bits += 8 * (int)left;
        if (bits < 64)
            continue;
        take(&s, word);
        bits -= 64;
        word = bits ? next >> (8 * (int)left - bits) : 0;
    }
    return last_word(&s, word, len);
}

/* The same over words, a byte and a key that follow each other, without copying them into one place:
 * what ids and points are made of (ids.py). */
uint64_t hash_words(const uint64_t secret[2], const uint64_t *words, size_t count, uint8_t byte, Span key) {
    State s = begin(secret);
    for (size_t number = 0; number < count; number++)
        take(&s, words[number]);
    size_t len = count * 8 + 1 + key.len;
    if (key.len < 8) {
        uint8_t joint[9] = {byte};
        if (key.len)
            memcpy(joint + 1, key.bytes, key.len);
        if (key.len < 7)
            return finish(&s, joint, 1 + key.len, len);
        take(&s, word_at(joint));
        return finish(&s, joint, 0, len);
    }
    take(&s, word_at(key.bytes) << 8 | byte);
    const uint8_t *at = key.bytes + 7, *end = key.bytes + key.len;
    for (; end - at >= 8; at += 8)
        take(&s, word_at(at));
    size_t rest = (size_t)(end - at); /* read together with the bytes before it, in one load */
    return last_word(&s, rest ? word_at(end - 8) >> (64 - 8 * rest) : 0, len);
}
