/* Any bytes in any split to the scanner: the same commands as in one piece, the same fault, the same place.
 *
 * The first byte chooses limits, the second the length of the pieces; the rest is the input. Each piece
 * is copied into a block of exactly its length, so that one byte read too far is seen.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

typedef struct Seen {
    uint64_t digest; /* a hash over the args of all commands, in order */
    size_t commands, used;
    Scanned last;
    Fault fault;
} Seen;

static void note(Seen *seen, const void *bytes, size_t len) {
    static const uint64_t secret[2] = {1, 2};
    seen->digest = seen->digest * 31 + hash_key(secret, bytes, len);
}

/* Scans the first `len` bytes as far as they go, from where `scan` stands. */
static void scan_all(Seen *seen, Scan *scan, Args *args, const uint8_t *text, size_t len, const Limits *limits) {
    Buffer words = {0};
    uint8_t *copy = malloc(len - seen->used ? len - seen->used : 1);
    memcpy(copy, text + seen->used, len - seen->used);
    size_t done = 0;
    while (seen->last != SCAN_FAULT) {
        size_t left = len - seen->used;
        Scanned scanned = scan_command(scan, copy + done, left, args, &words, limits, &seen->fault);
        seen->last = scanned;
        if (scanned == SCAN_INCOMPLETE || scanned == SCAN_FAULT)
            break;
        if (scan->at > left || scanned == SCAN_NO_MEMORY)
            abort();
        for (size_t number = 0; number < args->count; number++) {
            const uint8_t *from = scanned == SCAN_QUOTED ? words.bytes : copy + done;
            size_t limit = scanned == SCAN_QUOTED ? words.len : left;
            if (args->items[number].offset > limit || args->items[number].len > limit - args->items[number].offset)
                abort();
            note(seen, from + args->items[number].offset, args->items[number].len);
        }
        seen->commands += args->count > 0;
        seen->used += scan->at;
        done += scan->at;
        memset(scan, 0, sizeof *scan);
        args->count = 0;
        buffer_clear(&words, 0);
    }
    buffer_clear(&words, 0);
    free(copy);
}

static int is_over_a_limit(const Seen *seen) {
    return seen->last == SCAN_FAULT && (!seen->fault.len || strncmp(seen->fault.text, "too big", 7) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    Limits limits = {512, 64, 100, 2000, data[0] & 1};
    if (data[0] & 2)
        limits = (Limits){64u << 20, 1u << 20, 64u << 10, 1u << 30, data[0] & 1};
    size_t piece = 1 + data[1] % 40;
    data += 2;
    size -= 2;
    Seen whole = {0}, split = {0};
    Scan scan = {0};
    Args args = {0};
    scan_all(&whole, &scan, &args, data, size, &limits);
    memset(&scan, 0, sizeof scan);
    args.count = 0;
    for (size_t len = 0; len < size;) {
        len = size - len < piece ? size : len + piece;
        scan_all(&split, &scan, &args, data, len, &limits);
    }
    args_free(&args);
    /* A line or a command over a limit is told before its end has come, so a piece may be refused whose
     * whole passes, in Redis as here. What came before it is the same. */
    if (is_over_a_limit(&split) || is_over_a_limit(&whole)) {
        if (split.commands > whole.commands || split.used > whole.used)
            abort();
        return 0;
    }
    if (size && (whole.digest != split.digest || whole.commands != split.commands || whole.used != split.used
                 || whole.last != split.last || strncmp(whole.fault.text, split.fault.text, whole.fault.len)))
        abort();
    return 0;
}
