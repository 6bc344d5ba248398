/* AES-256 from the machine's own libcrypto, for seal.c. There is no AES in here, and none of ours anywhere.
 *
 * The library is looked for at run time, once in a process, and not linked: so one wheel runs with whichever OpenSSL a
 * machine has (3 or 4), and where there is none, or one that fails the trial, the lender of seal.h does the same
 * through `cryptography`. Only what OpenSSL keeps stable between versions is called, by prototypes written down here,
 * so that a build needs no headers. The table of functions is written once, before anybody reads it; nothing else is
 * shared: a Cipher belongs to one engine, whose calls never overlap.
 *
 * What a call costs beside the AES, OpenSSL 3.0: 10 ns by ECB, 90 ns by CTR, which has to be set to its first block. No
 * call lets go of the interpreter's lock, however long the value is. Keys are copied by libcrypto into its own memory,
 * and wiped there when a Cipher is freed.
 */
#include "engine.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)1 << 30) /* of one call: its lengths are ints */
#define VERSION_STRING 0 /* OPENSSL_VERSION */
#define MAJOR_LEAST 3u
#define MAJOR_MOST 4u
_Static_assert(PIECE_BYTES <= INT_MAX && PIECE_BYTES % BLOCK_BYTES == 0, "whole blocks, and an int");

typedef struct Context Context; /* EVP_CIPHER_CTX */
typedef struct Kind Kind;       /* EVP_CIPHER */

static struct Libcrypto {
    unsigned long (*version_num)(void);
    const char *(*version)(int);
    Context *(*new_context)(void);
    void (*free_context)(Context *);
    int (*set_padding)(Context *, int);
    int (*init)(Context *, const Kind *, const unsigned char *key, const unsigned char *iv, const void *params);
    int (*update)(Context *, unsigned char *out, int *out_len, const unsigned char *in, int len);
    const Kind *(*ecb)(void), *(*ctr)(void), *(*gcm)(void);
    bool works;
} libcrypto;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct Cipher {
    /* ECB: counter blocks to keystream. None of them comes twice, so this is CTR for many values at once */
    Context *blocks;
    Context *run;    /* in CTR mode, set to its first block before each value */
    Context *whole;  /* in GCM mode, likewise; NULL: CTR is faster */
};

/* -- loading -------------------------------------------------------------------------------------- */
static const char *const NAMES[] = {
#ifdef __APPLE__
    "libcrypto.3.dylib", "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib",
        "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib",
    "libcrypto.4.dylib", "/opt/homebrew/opt/openssl/lib/libcrypto.4.dylib",
    "/usr/local/opt/openssl/lib/libcrypto.4.dylib",
#else
    "libcrypto.so.3", "libcrypto.so.4",
#endif
};

static bool find(void *library, const char *name, void *place) {
    void *found = dlsym(library, name);
    memcpy(place, &found, sizeof found); /* ISO C has no cast to a function's address */
    return found != NULL;
}

static bool has_all(void *library, struct Libcrypto *table) {
    return find(library, "OpenSSL_version_num", &table->version_num)
        && find(library, "OpenSSL_version", &table->version)
        && find(library, "EVP_CIPHER_CTX_new", &table->new_context)
        && find(library, "EVP_CIPHER_CTX_free", &table->free_context)
        && find(library, "EVP_CIPHER_CTX_set_padding", &table->set_padding)
        && find(library, "EVP_EncryptInit_ex2", &table->init)
        && find(library, "EVP_EncryptUpdate", &table->update) && find(library, "EVP_aes_256_ecb", &table->ecb)
        && find(library, "EVP_aes_256_ctr", &table->ctr) && find(library, "EVP_aes_256_gcm", &table->gcm);
}

/* The example of FIPS 197, C.3; and the three ways make the same keystream. */
static bool passes_trial(void) {
    static const uint8_t WANTED[BLOCK_BYTES] = {0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf,
                                                0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89};
    static const uint8_t ZEROS[2 * BLOCK_BYTES + 5];
    uint8_t key[SEAL_KEY_BYTES], blocks[3 * BLOCK_BYTES] = {0}, stream[4 * BLOCK_BYTES], other[sizeof ZEROS];
    for (size_t at = 0; at < sizeof key; at++)
        key[at] = (uint8_t)at;
    bool passed = true;
    for (int by_gcm = 0; by_gcm < 2; by_gcm++) {
        Cipher *cipher = cipher_new(key, by_gcm);
        if (!cipher)
            return false;
        for (size_t at = 0; at < BLOCK_BYTES; at++)
            blocks[at] = (uint8_t)(at * 0x11);
        passed &= cipher_blocks(cipher, blocks, 1, stream) && memcmp(stream, WANTED, BLOCK_BYTES) == 0;
        for (size_t block = 0; block < 3; block++) {
            memset(blocks + block * BLOCK_BYTES, 0, BLOCK_BYTES);
            blocks[block * BLOCK_BYTES + 7] = 9;
            blocks[block * BLOCK_BYTES + 11] = 1;
            blocks[block * BLOCK_BYTES + 15] = (uint8_t)(LONG_FIRST + block);
        }
        passed &= cipher_blocks(cipher, blocks, 3, stream)
            && cipher_run(cipher, 9, UINT64_C(1) << 32 | LONG_FIRST, (Span){ZEROS, sizeof ZEROS}, other)
            && memcmp(other, stream, sizeof other) == 0;
        cipher_free(cipher);
    }
    wipe(stream, sizeof stream);
    return passed;
}

static void load(void) {
    for (size_t number = 0; number < sizeof NAMES / sizeof *NAMES && !libcrypto.works; number++) {
        void *library = dlopen(NAMES[number], RTLD_NOW | RTLD_LOCAL);
        if (!library)
            continue;
        memset(&libcrypto, 0, sizeof libcrypto);
        if (has_all(library, &libcrypto)) {
            unsigned long major = libcrypto.version_num() >> 28;
            libcrypto.works = major >= MAJOR_LEAST && major <= MAJOR_MOST && passes_trial();
        }
        if (!libcrypto.works)
            dlclose(library); /* the library that works stays loaded until the process ends */
    }
}

/* What the library says of itself, such as "OpenSSL 3.0.19 27 Jan 2026"; NULL: there is none to use. */
const char *cipher_library(void) {
    pthread_once(&once, load);
    return libcrypto.works ? libcrypto.version(VERSION_STRING) : NULL;
}

/* -- a key's ciphers ------------------------------------------------------------------------------ */
static Context *context_of(const Kind *kind, const uint8_t *key) {
    static const uint8_t FIRST[BLOCK_BYTES];
    Context *context = libcrypto.new_context();
    if (!context)
        return NULL;
    if (libcrypto.init(context, kind, key, FIRST, NULL) == 1 && libcrypto.set_padding(context, 0) == 1)
        return context;
    libcrypto.free_context(context);
    return NULL;
}

/* NULL: no memory. `cipher_library` has said that there is one. */
Cipher *cipher_new(const uint8_t key[SEAL_KEY_BYTES], bool by_gcm) {
    Cipher *cipher = calloc(1, sizeof *cipher);
    if (!cipher)
        return NULL;
    cipher->blocks = context_of(libcrypto.ecb(), key);
    cipher->run = context_of(libcrypto.ctr(), key);
    cipher->whole = by_gcm ? context_of(libcrypto.gcm(), key) : NULL;
    if (cipher->blocks && cipher->run && (cipher->whole || !by_gcm))
        return cipher;
    cipher_free(cipher);
    return NULL;
}

void cipher_free(Cipher *cipher) {
    if (!cipher)
        return;
    if (cipher->blocks)
        libcrypto.free_context(cipher->blocks);
    if (cipher->run)
        libcrypto.free_context(cipher->run);
    if (cipher->whole)
        libcrypto.free_context(cipher->whole);
    free(cipher);
}

/* -- the two ways --------------------------------------------------------------------------------- */
static bool pass(Context *context, const uint8_t *bytes, size_t len, uint8_t *out) {
    while (len) {
        size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES;
        int written;
        if (libcrypto.update(context, out, &written, bytes, (int)piece) != 1 || (size_t)written != piece)
            return false;
        bytes += piece;
        out += piece;
        len -= piece;
    }
    return true;
}

/* Counter blocks to keystream. */
bool cipher_blocks(Cipher *cipher, const uint8_t *blocks, size_t count, uint8_t *out) {
    return pass(cipher->blocks, blocks, count * BLOCK_BYTES, out);
}

/* `out` gets `bytes` XORed with the keystream from sealer | position on. GCM's tag is never asked for. */
bool cipher_run(Cipher *cipher, uint64_t sealer, uint64_t position, Span bytes, uint8_t *out) {
    uint8_t first[BLOCK_BYTES];
    block_put(first, sealer, position);
    /* the nonce is the first 12 bytes */
    Context *context = cipher->whole && (uint32_t)position == LONG_FIRST ? cipher->whole : cipher->run;
    return libcrypto.init(context, NULL, NULL, first, NULL) == 1 && pass(context, bytes.bytes, bytes.len, out);
}
