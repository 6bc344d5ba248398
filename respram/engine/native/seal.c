/* Sealing: values lie in their records as AES-256-CTR ciphertext. respram/seal.py says what a seal is.
 *
 * The cipher is libcrypto's, found at run time (cipher.c), or where there is none the binding's, which is called for
 * it. Counter blocks are laid side by side in a pad and encrypted together. Through the binding 4 blocks take 0.3 us
 * and 1,024 take 2.6, so what matters there is the number of calls.
 *
 *   writes   keystream is made ahead, through the binding 16 KiB in one call: enough for 256 values of 64 bytes. What
 *            is used of it is wiped. Whole blocks are used; what does not fit takes a new pad.
 *   replies  ciphertext is copied into the reply, its counter blocks into a pad, and when the batch is
 *            over, or the pad full, all are encrypted in one call and XORed into the reply.
 *   others   a value that is needed at once (INCR, commands in Python) costs a call of its own.
 *
 * To lay, encrypt, XOR and wipe are four passes over memory where one would do, and a value of more than
 * half a pad leaves most of what was made ahead unused. So a long one (LONG_BYTES) is passed through the
 * cipher itself, from where it lies to where it goes. The call for that costs 0.7 us, whence the limit:
 * at 4 KiB keystream is still cheaper by a fifth, at 8 KiB they are even, at 10 KB it is dearer by a quarter. By
 * cipher.c a call costs 0.09 us, so there values go through it from RUN_BYTES on, and on to their record or reply
 * without a stop. Which blocks a value has is the same either way.
 *
 * A long value's blocks are at `count of long values << 32 | 2`, under a sealer of their own: so its counter
 * blocks are those that GCM would use for the nonce sealer | count, and the binding may take GCM for it
 * where the processor does that faster than CTR (VAES: 16 KiB in 1.5 us instead of 2.6). It is the same
 * stream; the tag that comes behind it is wiped.
 *
 * A position is 64 bits, of which a record keeps the low 32 (of a long value the high ones). The rest of its seal (key,
 * sealer, the high half) is interned with the node number of its stamp, see nodes.c: so sealing takes four bytes of a
 * record. A position only grows, whichever key is in force: see `refill`.
 */
#include "shares.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_MIN 8u
#define KEYS_MAX 65536u

bool seal_begin(Engine *engine, Lender lender, bool writes) {
    Seals *seals = &engine->seals;
    Pad *pads = calloc(PAD_COUNT, sizeof *pads);
    uint64_t *keys = calloc(KEYS_MIN, sizeof *keys);
    Cipher **ciphers = calloc(KEYS_MIN, sizeof *ciphers);
    if (!pads || !keys || !ciphers) {
        free(pads);
        free(keys);
        free(ciphers);
        return false;
    }
    lender.ciphers_here = lender.ciphers_here && cipher_library();
    *seals = (Seals){.lender = lender, .writes = writes, .pads = pads, .keys = keys, .ciphers = ciphers,
                     .key_capacity = KEYS_MIN, .spent = PAD_BLOCKS};
    return true;
}

void seal_free(Seals *seals) {
    if (seals->pads)
        wipe(seals->pads, PAD_COUNT * sizeof *seals->pads);
    for (uint32_t place = 0; place < seals->key_count; place++)
        cipher_free(seals->ciphers[place]);
    free(seals->pads);
    free(seals->keys);
    free(seals->ciphers);
    memset(seals, 0, sizeof *seals);
}

/* -- keys: 64-bit ids as small numbers, from 1 ----------------------------------------------------- */
static uint32_t number_of_key(const Seals *seals, uint64_t id) {
    for (uint32_t place = seals->key_count; place-- > 0;)
        if (seals->keys[place] == id)
            return place + 1;
    return 0;
}

static bool make_room(Seals *seals) {
    uint32_t before = seals->key_capacity;
    uint64_t *keys = realloc(seals->keys, (size_t)before * 2 * sizeof *keys);
    if (!keys)
        return false;
    seals->keys = keys;
    Cipher **ciphers = realloc(seals->ciphers, (size_t)before * 2 * sizeof *ciphers);
    if (!ciphers)
        return false;
    seals->ciphers = ciphers;
    memset(keys + before, 0, before * sizeof *keys);
    memset(ciphers + before, 0, before * sizeof *ciphers);
    seals->key_capacity = before * 2;
    return true;
}

static uint32_t add_key(Seals *seals, uint64_t id) {
    uint32_t place = 0;
    while (place < seals->key_count && seals->keys[place])
        place++;
    if (place == seals->key_capacity) {
        if (place == KEYS_MAX || !make_room(seals))
            return 0;
    }
    const uint8_t *bytes = NULL;
    if (!seals->lender.lend(seals->lender.context, id, place + 1, &bytes))
        return 0;
    if (seals->lender.ciphers_here && !(seals->ciphers[place] = cipher_new(bytes, seals->lender.by_gcm)))
        return 0;
    seals->keys[place] = id;
    if (place == seals->key_count)
        seals->key_count++;
    return place + 1;
}

/* The number of a key that can be opened with; 0: it is not here. */
uint32_t seal_key(Engine *engine, uint64_t id) {
    Seals *seals = &engine->seals;
    if (!seals->pads || !id)
        return 0;
    uint32_t number = number_of_key(seals, id);
    return number ? number : add_key(seals, id);
}

/* The binding has given the key back. */
void seal_forget(Engine *engine, uint32_t key) {
    engine->seals.keys[key - 1] = 0;
    cipher_free(engine->seals.ciphers[key - 1]);
    engine->seals.ciphers[key - 1] = NULL;
}

bool seal_is_used(const Engine *engine, uint32_t key) {
    const Nodes *nodes = &engine->nodes;
    for (uint32_t node = 1; node < nodes->count; node++)
        if (nodes->uses[node] && nodes->seals[node].key == key)
            return true;
    return engine->seals.pad_key == key;
}

/* -- blocks -------------------------------------------------------------------------------------- */
static void lay(Pad *pad, size_t from, uint64_t sealer, uint64_t position, size_t count) {
    uint8_t *out = pad->blocks + from * BLOCK_BYTES;
    for (size_t number = 0; number < count; number++, out += BLOCK_BYTES)
        block_put(out, sealer, position + number);
}

static bool encrypt(Seals *seals, uint32_t key, int pad, size_t count) {
    Cipher *cipher = seals->ciphers[key - 1];
    return likely(cipher != NULL) ? cipher_blocks(cipher, seals->pads[pad].blocks, count, seals->pads[pad].stream)
                                  : seals->lender.encrypt(seals->lender.context, key, pad, count);
}

static void xor_into(uint8_t *restrict out, const uint8_t *restrict stream, size_t len) {
    for (size_t place = 0; place < len; place++)
        out[place] ^= stream[place];
}

static size_t blocks_of(size_t len) {
    return (len + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

/* Whether a value is passed through the cipher by itself. */
static inline bool goes_alone(const Seals *seals, const Seal *seal, size_t len) {
    return len >= (seals->ciphers[seal->key - 1] ? RUN_BYTES : LONG_BYTES);
}

/* `out` gets `bytes` XORed with the keystream from a seal's first block on. */
static bool run_through(Seals *seals, const Seal *seal, uint32_t position, Span bytes, uint8_t *out, bool room) {
    Cipher *cipher = seals->ciphers[seal->key - 1];
    if (likely(cipher != NULL))
        return cipher_run(cipher, seal->sealer, seal_position(seal, position), bytes, out);
    bool done = seals->lender.run_through(seals->lender.context, seal->key, seal->sealer, seal_position(seal, position),
                                          bytes, out, room);
    if (room)
        wipe(out + bytes.len, GCM_TAG_BYTES);
    return done;
}

/* -- writes -------------------------------------------------------------------------------------- */
/* Reserves so many counter blocks that were never used for writes, and returns the first. */
static uint64_t spend(Seals *seals, size_t blocks) {
    uint64_t first = seals->position;
    seals->position += blocks;
    return first;
}

/* A new pad for writes. What was not used of the last one is overwritten, or wiped. */
static bool refill(Engine *engine) {
    Seals *seals = &engine->seals;
    if (seals->made > seals->spent && seals->spent < PAD_BLOCKS)
        wipe(seals->pads[PAD_WRITES].stream + seals->spent * BLOCK_BYTES, (seals->made - seals->spent) * BLOCK_BYTES);
    seals->spent = PAD_BLOCKS;
    seals->pad_key = seal_key(engine, seals->lender.take(seals->lender.context));
    if (!seals->pad_key)
        return false;
    seals->pad_position = spend(seals, PAD_BLOCKS);
    seals->spent = seals->made = 0;
    return true;
}

/* Encrypts the next blocks of the pad: all of it where the binding has to be called, else not many more than are
 * needed. */
static bool encrypt_pad(Engine *engine, size_t needed) {
    Seals *seals = &engine->seals;
    Pad *pad = &seals->pads[PAD_WRITES];
    Cipher *cipher = seals->ciphers[seals->pad_key - 1];
    if (!cipher) {
        lay(pad, 0, engine->settings.node, seals->pad_position, PAD_BLOCKS);
        if (!encrypt(seals, seals->pad_key, PAD_WRITES, PAD_BLOCKS))
            return false;
        seals->made = PAD_BLOCKS;
        return true;
    }
    size_t count = needed - seals->made > PIECE_BLOCKS ? needed - seals->made : PIECE_BLOCKS;
    if (count > PAD_BLOCKS - seals->made)
        count = PAD_BLOCKS - seals->made;
    lay(pad, 0, engine->settings.node, seals->pad_position + seals->made, count);
    if (!cipher_blocks(cipher, pad->blocks, count, pad->stream + seals->made * BLOCK_BYTES))
        return false;
    seals->made += count;
    return true;
}

/* What is left of the pad for writes is overwritten, and never used: the next value takes a new one. */
void seal_leave_pad(Engine *engine) {
    Seals *seals = &engine->seals;
    if (!seals->pads)
        return;
    wipe(seals->pads[PAD_WRITES].stream, sizeof seals->pads[PAD_WRITES].stream);
    seals->spent = PAD_BLOCKS;
    seals->pad_key = 0;
}

static void set_seal(Content *content, uint64_t sealer, uint32_t key, uint64_t position) {
    content->seal = (Seal){.sealer = sealer, .key = key};
    content->position = seal_split(position, content->bytes.len, &content->seal);
}

static void set_long_seal(Engine *engine, Content *content, uint32_t key) {
    Seals *seals = &engine->seals;
    uint64_t node = engine->settings.node;
    if (likely(seals->long_count < LONG_COUNT_MAX))
        set_seal(content, node ^ LONG_SEALER, key, (uint64_t)seals->long_count++ << 32 | LONG_FIRST);
    else
        set_seal(content, node, key, spend(seals, blocks_of(content->bytes.len)));
}

/* Where a call of the binding does it, a long value is sealed into the engine's scratch, so that it cannot fail
 * half-way in its record. */
static bool seal_long(Engine *engine, Span value, Content *content) {
    Seals *seals = &engine->seals;
    uint32_t key = seal_key(engine, seals->lender.take(seals->lender.context));
    if (!key)
        return false;
    content->cipher = seals->ciphers[key - 1];
    if (!content->cipher && !buffer_reserve(&engine->scratch, value.len + GCM_TAG_BYTES))
        return false;
    set_long_seal(engine, content, key);
    if (content->cipher)
        return true;
    engine->scratch.len = value.len;
    if (!run_through(seals, &content->seal, content->position, value, engine->scratch.bytes, true)) {
        buffer_clear(&engine->scratch, SCRATCH_KEPT_BYTES_MAX);
        return false;
    }
    content->bytes.bytes = engine->scratch.bytes;
    return true;
}

/* What is to be written for a value: itself, where nothing is sealed. To be ended by `seal_done`. */
bool seal_value(Engine *engine, Span value, Content *content) {
    Seals *seals = &engine->seals;
    *content = (Content){.bytes = value};
    if (!seals->writes)
        return true;
    if (value.len >= LONG_BYTES)
        return seal_long(engine, value, content);
    size_t end = seals->spent + blocks_of(value.len);
    if (unlikely(end > PAD_BLOCKS || !seals->pad_key)) {
        if (!refill(engine))
            return false;
        end = blocks_of(value.len);
    }
    if (value.len >= RUN_BYTES && seals->ciphers[seals->pad_key - 1]) {
        content->cipher = seals->ciphers[seals->pad_key - 1];
    } else {
        if (unlikely(end > seals->made) && !encrypt_pad(engine, end))
            return false;
        content->stream = seals->pads[PAD_WRITES].stream + seals->spent * BLOCK_BYTES;
    }
    set_seal(content, engine->settings.node, seals->pad_key, seals->pad_position + seals->spent);
    return true;
}

/* So many blocks of the pad are used. What was made of them is wiped, whether it was needed or not. */
static void use_up(Seals *seals, size_t blocks) {
    size_t end = seals->spent + blocks, made = seals->made < end ? seals->made : end;
    if (made > seals->spent)
        wipe(seals->pads[PAD_WRITES].stream + seals->spent * BLOCK_BYTES, (made - seals->spent) * BLOCK_BYTES);
    seals->spent = end;
    if (seals->made < end)
        seals->made = end;
}

/* The content is in its record (or, where `stored` is false, nothing of the pad was used). */
void seal_done(Engine *engine, const Content *content, bool stored) {
    Seals *seals = &engine->seals;
    if (content->stream || (content->cipher && content->bytes.len < LONG_BYTES)) {
        if (stored)
            use_up(seals, blocks_of(content->bytes.len));
    } else if (unlikely(content->bytes.bytes == engine->scratch.bytes && content->bytes.len)) {
        buffer_clear(&engine->scratch, SCRATCH_KEPT_BYTES_MAX);
    }
}

/* -- reading at once ----------------------------------------------------------------------------- */
/* The value of a record in plain. False: no memory. */
bool seal_open(Engine *engine, const Record *record, uint8_t *out) {
    return seal_open_bytes(engine, &engine->nodes.seals[record->node], record_position(record), record_value(record),
                           out);
}

/* A piece of a value: all of it, or of a value of at least LONG_BYTES what begins at a whole block. */
bool seal_open_piece(Engine *engine, const Record *record, size_t at, size_t len, uint8_t *out) {
    Span value = record_value(record);
    if (len == value.len)
        return seal_open(engine, record, out);
    Seals *seals = &engine->seals;
    const Seal *seal = &engine->nodes.seals[record->node];
    Span piece = {value.bytes + at, len};
    uint64_t position = seal_position(seal, record_position(record)) + at / BLOCK_BYTES;
    Cipher *cipher = seals->ciphers[seal->key - 1];
    return cipher ? cipher_run(cipher, seal->sealer, position, piece, out)
                  : seals->lender.run_through(seals->lender.context, seal->key, seal->sealer, position, piece, out,
                                              false);
}

bool seal_open_bytes(Engine *engine, const Seal *seal, uint32_t position, Span value, uint8_t *out) {
    Seals *seals = &engine->seals;
    if (seal->key && goes_alone(seals, seal, value.len))
        return run_through(seals, seal, position, value, out, false);
    if (value.len)
        memcpy(out, value.bytes, value.len);
    if (!seal->key || !value.len)
        return true;
    Pad *pad = &seals->pads[PAD_SINGLE];
    size_t blocks = blocks_of(value.len);
    lay(pad, 0, seal->sealer, seal_position(seal, position), blocks);
    if (!encrypt(seals, seal->key, PAD_SINGLE, blocks))
        return false;
    xor_into(out, pad->stream, value.len);
    wipe(pad->stream, blocks * BLOCK_BYTES);
    return true;
}

/* -- replies ------------------------------------------------------------------------------------- */
/* Opens what was noted. False: it failed, now or before, and the reply must not be sent. */
bool seal_flush(Engine *engine) {
    Seals *seals = &engine->seals;
    if (!seals->note_count)
        return !seals->failed;
    Pad *pad = &seals->pads[PAD_REPLIES];
    if (!encrypt(seals, seals->noted_key, PAD_REPLIES, seals->noted_blocks))
        seals->failed = true;
    const uint8_t *stream = pad->stream;
    for (size_t number = 0; number < seals->note_count; number++) {
        Noted *noted = &seals->notes[number];
        xor_into(engine->reply.bytes + noted->offset, stream, noted->len);
        stream += blocks_of(noted->len) * BLOCK_BYTES;
    }
    wipe(pad->stream, seals->noted_blocks * BLOCK_BYTES);
    seals->note_count = seals->noted_blocks = 0;
    return !seals->failed;
}

/* Notes that a value lies as it is at `offset` of the reply. */
static void note(Engine *engine, const Record *record, const Seal *seal, size_t offset) {
    Seals *seals = &engine->seals;
    size_t len = record_value_bytes(record), blocks = blocks_of(len);
    if (unlikely(seals->note_count && (seals->noted_key != seal->key || seals->noted_blocks + blocks > PAD_BLOCKS
                                       || seals->note_count == NOTES_MAX)))
        seal_flush(engine);
    uint64_t position = seal_position(seal, record_position(record));
    lay(&seals->pads[PAD_REPLIES], seals->noted_blocks, seal->sealer, position, blocks);
    seals->notes[seals->note_count++] = (Noted){offset, (uint32_t)len};
    seals->noted_blocks += (uint32_t)blocks;
    seals->noted_key = seal->key;
}

/* The value of `record` goes to `offset` of the reply, where there is room; a short one is opened by `seal_flush`. */
void seal_reply(Engine *engine, const Record *record, size_t offset) {
    Span value = record_value(record);
    const Seal *seal = &engine->nodes.seals[record->node];
    uint8_t *out = engine->reply.bytes + offset;
    if (seal->key && goes_alone(&engine->seals, seal, value.len)) {
        if (!run_through(&engine->seals, seal, record_position(record), value, out, true))
            engine->seals.failed = true; /* behind it goes a frame's end */
        return;
    }
    record_get_value(record, out);
    if (seal->key && value.len)
        note(engine, record, seal, offset);
}

/* The reply ends at `offset` after all. */
void seal_unnote(Engine *engine, size_t offset) {
    Seals *seals = &engine->seals;
    while (seals->note_count && seals->notes[seals->note_count - 1].offset >= offset) {
        Noted *last = &seals->notes[--seals->note_count];
        seals->noted_blocks -= (uint32_t)blocks_of(last->len);
    }
}
