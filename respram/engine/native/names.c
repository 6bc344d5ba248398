/* A key's or a member's name: 122 bits of BLAKE2s over its space and itself, and 6 bits that are its space.
 *
 * A stub holds its key's name and not the key (stubs.c). Two keys of one name would be one key to it: one could be lost
 * by the letting go of the other. So the name is a hash without known collisions, even for somebody who knows how it is
 * made: 2**61 tries for a pair, 2**122 for a given key. It has no secret in it, so that it means the same to a peer,
 * and in a file, whatever the secret was then; a secret comes in where names are placed (dump.c, stubs.c).
 * docs/decisions/0081 has the reasons.
 *
 * About 130 ns for a key of up to 64 bytes. record.py says the same in Python.
 */
#include "engine.h"

#include <string.h>

#define BLOCK 64
#define ROUNDS 10
#define PARAMETERS UINT32_C(0x01010010) /* 16 bytes of digest, no key, fanout 1, depth 1 */

static const uint32_t IV[8] =
    {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
static const uint8_t SIGMA[ROUNDS][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint32_t turned(uint32_t word, int bits) {
    return word >> bits | word << (32 - bits);
}

static inline void quarter(uint32_t *v, int a, int b, int c, int d, uint32_t x, uint32_t y) {
    v[a] += v[b] + x; v[d] = turned(v[d] ^ v[a], 16);
    v[c] += v[d];     v[b] = turned(v[b] ^ v[c], 12);
    v[a] += v[b] + y; v[d] = turned(v[d] ^ v[a], 8);
    v[c] += v[d];     v[b] = turned(v[b] ^ v[c], 7);
}

static void take_block(uint32_t state[8], const uint8_t block[BLOCK], uint64_t bytes, bool last) {
    uint32_t m[16], v[16];
    memcpy(m, block, sizeof m); /* little-endian, as table.c requires */
    memcpy(v, state, 8 * sizeof *v);
    memcpy(v + 8, IV, sizeof IV);
    v[12] ^= (uint32_t)bytes;
    v[13] ^= (uint32_t)(bytes >> 32);
    if (last)
        v[14] = ~v[14];
    for (int round = 0; round < ROUNDS; round++) {
        const uint8_t *s = SIGMA[round];
        quarter(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
        quarter(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
        quarter(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
        quarter(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
        quarter(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
        quarter(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
        quarter(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
        quarter(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int word = 0; word < 8; word++)
        state[word] ^= v[word] ^ v[word + 8];
}

Name name_of_parts(int space, const Span *parts, size_t count) {
    uint32_t state[8], person[2];
    memcpy(state, IV, sizeof state);
    memcpy(person, "stubname", sizeof person);
    state[0] ^= PARAMETERS;
    state[4] ^= (uint32_t)space; /* the salt */
    state[6] ^= person[0];
    state[7] ^= person[1];
    uint8_t block[BLOCK] = {0};
    uint64_t bytes = 0;
    size_t filled = 0;
    for (size_t number = 0; number < count; number++) {
        Span part = parts[number];
        while (part.len) {
            if (filled == BLOCK) {
                take_block(state, block, bytes, false);
                filled = 0;
            }
            size_t taken = part.len < BLOCK - filled ? part.len : BLOCK - filled;
            memcpy(block + filled, part.bytes, taken);
            filled += taken;
            bytes += taken;
            part = (Span){part.bytes + taken, part.len - taken};
        }
    }
    memset(block + filled, 0, BLOCK - filled);
    take_block(state, block, bytes, true);
    Name name;
    memcpy(name.bytes, state, NAME_BYTES);
    name.bytes[NAME_BYTES - 1] = (uint8_t)((name.bytes[NAME_BYTES - 1] & ~NAME_SPACE) | space);
    return name;
}

Name stub_name(int space, Span key) {
    return name_of_parts(space, &key, 1);
}

/* Where a name stands among all: 30 bits under the enclave's key, above 2 that are 0. ids.py has the formula. */
uint32_t name_point(const uint64_t ids_key[2], const Name *name) {
    return key_point(ids_key, name_space(name), (Span){name->bytes, NAME_BYTES});
}

/* The same of a key of a space that has no names. */
uint32_t key_point(const uint64_t ids_key[2], int db, Span key) {
    return (uint32_t)(hash_words(ids_key, NULL, 0, (uint8_t)db, key) >> 32) & ~UINT32_C(3);
}
