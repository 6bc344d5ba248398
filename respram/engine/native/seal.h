/* Part of engine.h: what a binding lends for sealing, the pad for writes, and what waits to be opened. See seal.c. */
#ifndef RESPRAM_SEAL_H
#define RESPRAM_SEAL_H

#include <string.h>

#define BLOCK_BYTES 16
#define PAD_BLOCKS 1024
#define PAD_BYTES ((size_t)PAD_BLOCKS * BLOCK_BYTES)
/* made ahead at a time by a cipher of our own: a KiB of blocks and one of stream stay in the nearest cache */
#define PIECE_BLOCKS 64
/* values from here on go through such a cipher by themselves: 112 ns a KiB and 90 a call, not 150 a KiB */
#define RUN_BYTES 2048
#define NOTES_MAX 256
#define LONG_BYTES (PAD_BYTES / 2) /* values from here on are passed through the cipher, each by a call of its own */
#define GCM_TAG_BYTES 16 /* the lender may write so much behind a long value, see run_through */
#define LONG_SEALER (UINT64_C(1) << 63) /* the other bit of the node number: long values have positions of their own */
#define LONG_FIRST 2u /* the lower half of each of them, */
#define LONG_COUNT_MAX (UINT32_C(1) << 31) /* and the upper half counts up to this */
#define HIGH_IN_RECORD UINT32_MAX /* a Seal's `high`: the record has the upper half, the lower is LONG_FIRST */
#define SCRATCH_KEPT_BYTES_MAX ((size_t)HOT_BYTES_MAX)

typedef struct Pad {
    uint8_t blocks[PAD_BYTES];
    uint8_t stream[PAD_BYTES + BLOCK_BYTES]; /* the cipher asks for a block more than it writes */
} Pad;

enum { PAD_WRITES, PAD_REPLIES, PAD_SINGLE, PAD_COUNT };

/* cipher.c: AES from the machine's libcrypto */
#define SEAL_KEY_BYTES 32
typedef struct Cipher Cipher;
const char *cipher_library(void); /* NULL: there is none, and the lender has to do it */
Cipher *cipher_new(const uint8_t key[SEAL_KEY_BYTES], bool by_gcm);
void cipher_free(Cipher *cipher);
bool cipher_blocks(Cipher *cipher, const uint8_t *blocks, size_t count, uint8_t *out);
bool cipher_run(Cipher *cipher, uint64_t sealer, uint64_t position, Span bytes, uint8_t *out);

typedef struct Lender { /* false or 0: it cannot be, or there is no memory */
    void *context;
    /* `encrypt` and `run_through` are cipher.c's business; and by GCM, where that is the faster way */
    bool ciphers_here, by_gcm;
    bool (*encrypt)(void *context, uint32_t key, int pad, size_t blocks); /* the pad's blocks into its stream */
    /* `room`: GCM_TAG_BYTES behind the end of `out` may be written over */
    bool (*run_through)(void *context, uint32_t key, uint64_t sealer, uint64_t position, Span bytes, uint8_t *out,
        bool room);
    /* From now on `key` is the key of this id; where ciphers are here, its bytes are pointed at, until `take` or
     * `lend` is called. */
    bool (*lend)(void *context, uint64_t id, uint32_t key, const uint8_t **bytes);
    uint64_t (*take)(void *context); /* the id of the key to seal with */
} Lender;

typedef struct Noted { /* a piece of a value in the reply, to be opened */
    size_t offset;
    uint32_t len;
} Noted;

typedef struct Seals {
    Lender lender;
    bool writes, failed;
    Pad *pads; /* NULL: there is nothing to seal or open with */
    uint64_t *keys; /* ids by number - 1; 0: given back */
    Cipher **ciphers; /* likewise; NULL: the lender's */
    uint32_t key_count, key_capacity;
    uint32_t pad_key;
    size_t spent, made; /* blocks of the pad for writes: used, and encrypted */
    uint64_t pad_position; /* position of its first block */
    uint64_t position; /* of the next block that nothing was sealed with */
    uint32_t long_count; /* long values sealed */
    uint32_t note_count, noted_blocks, noted_key;
    Noted notes[NOTES_MAX];
} Seals;

/* A counter block. x86-64 and arm64 are little-endian; record.c relies on it too. */
static inline void block_put(uint8_t *out, uint64_t sealer, uint64_t position) {
    uint64_t head = __builtin_bswap64(sealer), tail = __builtin_bswap64(position);
    memcpy(out, &head, 8);
    memcpy(out + 8, &tail, 8);
}

static inline uint64_t seal_position(const Seal *seal, uint32_t position) {
    return seal->high == HIGH_IN_RECORD ? (uint64_t)position << 32 | LONG_FIRST : (uint64_t)seal->high << 32 | position;
}

/* The halves of a position, as a record and its seal keep them. A position is less than 2**63. */
static inline uint32_t seal_split(uint64_t position, size_t value_bytes, Seal *seal) {
    bool has_own = value_bytes >= LONG_BYTES && (uint32_t)position == LONG_FIRST;
    seal->high = has_own ? HIGH_IN_RECORD : (uint32_t)(position >> 32);
    return has_own ? (uint32_t)(position >> 32) : (uint32_t)position;
}

#endif
