/* Part of engine.h: what a binding lends for sealing, and what lies ahead or waits to be opened. See seal.c. */
#ifndef RESPRAM_SEAL_H
#define RESPRAM_SEAL_H

#define BLOCK_BYTES 16
#define PAD_BLOCKS 1024
#define PAD_BYTES ((size_t)PAD_BLOCKS * BLOCK_BYTES)
#define NOTES_MAX 256
#define LONG_BYTES (PAD_BYTES / 2) /* values from here on are passed through the cipher, each by a call of its own */
#define SCRATCH_KEPT_BYTES_MAX ((size_t)HOT_BYTES_MAX)

typedef struct Pad {
    uint8_t blocks[PAD_BYTES];
    uint8_t stream[PAD_BYTES + BLOCK_BYTES]; /* the cipher asks for a block more than it writes */
} Pad;

enum { PAD_AHEAD, PAD_REPLIES, PAD_SINGLE, PAD_COUNT };

typedef struct Lender { /* false or 0: it cannot be, or there is no memory */
    void *context;
    bool (*encrypt)(void *context, uint32_t key, int pad, size_t blocks); /* the pad's blocks into its stream */
    bool (*run_through)(void *context, uint32_t key, uint64_t sealer, uint64_t position, Span bytes, uint8_t *out);
    bool (*lend)(void *context, uint64_t id, uint32_t key); /* from now on `key` is the key of this id */
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
    uint32_t key_count, key_capacity;
    uint32_t ahead_key;
    size_t spent;      /* blocks of the pad ahead */
    uint64_t ahead;    /* position of its first block */
    uint64_t position; /* of the next block that nothing was sealed with */
    uint32_t note_count, noted_blocks, noted_key;
    Noted notes[NOTES_MAX];
} Seals;

#endif
