/* XXH3-64 without a seed: the digest of a value. The twin of pure/xxh3.py, which says where it comes from. */
#include "engine.h"

#include <string.h>

#define P32_1 UINT64_C(0x9E3779B1)
#define P32_2 UINT64_C(0x85EBCA77)
#define P32_3 UINT64_C(0xC2B2AE3D)
#define P64_1 UINT64_C(0x9E3779B185EBCA87)
#define P64_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P64_3 UINT64_C(0x165667B19E3779F9)
#define P64_4 UINT64_C(0x85EBCA77C2B2AE63)
#define P64_5 UINT64_C(0x27D4EB2F165667C5)
#define STRIPE_BYTES 64
#define BLOCK_STRIPES 16
#define SCRAMBLE_BYTES (STRIPE_BYTES * BLOCK_STRIPES)

static const uint8_t SECRET[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static uint64_t u64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint32_t u32(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t avalanche(uint64_t x) {
    x = (x ^ x >> 37) * UINT64_C(0x165667919E3779F9);
    return x ^ x >> 32;
}

static uint64_t avalanche_64(uint64_t x) {
    x = (x ^ x >> 33) * P64_2;
    x = (x ^ x >> 29) * P64_3;
    return x ^ x >> 32;
}

static uint64_t turn(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

static uint64_t mix_short(uint64_t x, size_t len) {
    x ^= turn(x, 49) ^ turn(x, 24);
    x *= UINT64_C(0x9FB21C651E98DF25);
    x = (x ^ ((x >> 35) + len)) * UINT64_C(0x9FB21C651E98DF25);
    return x ^ x >> 28;
}

static uint64_t pair(const uint8_t *data, size_t at, size_t secret_at) {
    return fold(u64(data + at) ^ u64(SECRET + secret_at), u64(data + at + 8) ^ u64(SECRET + secret_at + 8));
}

/* 17 to 240 bytes: pairs of words, up to 128 from both ends inwards, then from the front. */
static uint64_t middle(const uint8_t *data, size_t len) {
    uint64_t total = len * P64_1;
    if (len <= 128) {
        for (size_t at = 0; at <= (len - 1) / 32; at++)
            total += pair(data, 16 * at, 32 * at) + pair(data, len - 16 * (at + 1), 32 * at + 16);
        return avalanche(total);
    }
    for (size_t at = 0; at < 8; at++)
        total += pair(data, 16 * at, 16 * at);
    total = avalanche(total);
    for (size_t at = 8; at < len / 16; at++)
        total += pair(data, 16 * at, 16 * (at - 8) + 3);
    return avalanche(total + pair(data, len - 16, 136 - 17));
}

static void accumulate(uint64_t sums[8], const uint8_t *data, const uint8_t *secret) {
    for (int lane = 0; lane < 8; lane++) {
        uint64_t word = u64(data + 8 * lane), keyed = word ^ u64(secret + 8 * lane);
        sums[lane ^ 1] += word;
        sums[lane] += (keyed & 0xffffffff) * (keyed >> 32);
    }
}

static uint64_t long_value(const uint8_t *data, size_t len) {
    uint64_t sums[8] = {P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1};
    size_t last = (len - 1) / SCRAMBLE_BYTES * SCRAMBLE_BYTES; /* start of the last block, which is not scrambled */
    for (size_t start = 0; start < last; start += SCRAMBLE_BYTES) {
        for (size_t stripe = 0; stripe < BLOCK_STRIPES; stripe++)
            accumulate(sums, data + start + STRIPE_BYTES * stripe, SECRET + 8 * stripe);
        for (int lane = 0; lane < 8; lane++)
            sums[lane] = (sums[lane] ^ sums[lane] >> 47 ^ u64(SECRET + sizeof SECRET - STRIPE_BYTES
            + 8 * lane)) * P32_1;
    }
    for (size_t stripe = 0; stripe < (len - 1 - last) / STRIPE_BYTES; stripe++)
        accumulate(sums, data + last + STRIPE_BYTES * stripe, SECRET + 8 * stripe);
    accumulate(sums, data + len - STRIPE_BYTES, SECRET + sizeof SECRET - STRIPE_BYTES - 7);
    uint64_t total = len * P64_1;
    for (int lane = 0; lane < 8; lane += 2)
        total += fold(sums[lane] ^ u64(SECRET + 11 + 8 * lane), sums[lane + 1] ^ u64(SECRET + 19 + 8 * lane));
    return avalanche(total);
}

uint64_t xxh3(Span value) {
    const uint8_t *data = value.bytes;
    size_t len = value.len;
    if (len > 240)
        return long_value(data, len);
    if (len > 16)
        return middle(data, len);
    if (len > 8) {
        uint64_t low = u64(data) ^ u64(SECRET + 24) ^ u64(SECRET + 32);
        uint64_t high = u64(data + len - 8) ^ u64(SECRET + 40) ^ u64(SECRET + 48);
        return avalanche(len + __builtin_bswap64(low) + high + fold(low, high));
    }
    if (len > 3) {
        uint64_t both = u32(data + len - 4) + ((uint64_t)u32(data) << 32);
        return mix_short(both ^ u64(SECRET + 8) ^ u64(SECRET + 16), len);
    }
    if (len) {
        uint32_t joined = (uint32_t)data[0] << 16 | (uint32_t)data[len >> 1] << 24 | data[len - 1] | (uint32_t)len << 8;
        return avalanche_64(joined ^ u32(SECRET) ^ u32(SECRET + 4));
    }
    return avalanche_64(u64(SECRET + 56) ^ u64(SECRET + 64));
}
