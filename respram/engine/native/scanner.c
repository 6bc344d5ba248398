/* Requests out of bytes: RESP arrays of bulks, and inline commands (inline.c), in place.
 *
 * Nothing is copied: an argument is an offset and a length relative to the first byte of its command.
 * A command that is cut off by the end of the input leaves its place in a `Scan`, and the next bytes
 * go on from there: no byte is looked at twice, a bulk of 64 MB is stepped over and not searched, and
 * a command of a million arguments costs a million steps however it is split.
 *
 * Lengths are checked as Redis 7.0 checks them, in its order and with its words; like Redis, the byte
 * behind a CR and the two behind a bulk are stepped over unseen. An announced length reserves nothing.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MIN 64
#define ARGS_KEPT_MAX 4096
#define FAST_DIGITS 9 /* a number with this many digits cannot overflow */

bool args_push(Args *args, size_t offset, size_t len) {
    if (unlikely(args->count == args->capacity)) {
        size_t capacity = args->capacity ? args->capacity * 2 : ARGS_MIN;
        if (capacity > SIZE_MAX / sizeof(Arg))
            return false;
        Arg *items = realloc(args->items, capacity * sizeof *items);
        if (!items)
            return false;
        args->items = items;
        args->capacity = capacity;
    }
    args->items[args->count++] = (Arg){offset, len};
    return true;
}

void args_clear(Args *args) {
    args->count = 0;
    if (args->capacity > ARGS_KEPT_MAX)
        args_free(args);
}

void args_free(Args *args) {
    free(args->items);
    memset(args, 0, sizeof *args);
}

void fault_say(Fault *fault, const char *text) {
    fault->len = strlen(text);
    memcpy(fault->text, text, fault->len);
}

/* The end of the line that the scan stands in, as Redis finds it: the first `mark`, unless a NUL comes before it. A
 * line that is whole may be as long as it is; one that is not may not grow beyond the limit. NULL: it has not come. */
static const uint8_t *line_end(Scan *scan, const uint8_t *text, size_t len, uint8_t mark) {
    size_t from = scan->searched > scan->at ? scan->searched : scan->at;
    const uint8_t *start = text + from, *found = from < len ? memchr(start, mark, len - from) : NULL;
    const uint8_t *nul = from < len ? memchr(start, 0, (found ? (size_t)(found - text) : len) - from) : NULL;
    if (found && !nul)
        return found;
    scan->searched = nul ? (size_t)(nul - text) : len; /* the scan meets it there again */
    return NULL;
}

typedef enum Number { NUMBER_READ, NUMBER_BAD, NUMBER_INCOMPLETE, NUMBER_TOO_LONG } Number;

/* The integer between the byte behind `at` and the next CR; `at` is then behind that line. */
static Number any_number(Scan *scan, const uint8_t *text, size_t len, const Limits *limits, int64_t *number) {
    const uint8_t *found = line_end(scan, text, len, '\r');
    if (!found)
        return len - scan->at > limits->inline_bytes_max ? NUMBER_TOO_LONG : NUMBER_INCOMPLETE;
    size_t end = (size_t)(found - text);
    if (end + 2 > len) {
        scan->searched = end;
        return NUMBER_INCOMPLETE;
    }
    Span digits = {text + scan->at + 1, 0};
    if (end > scan->at + 1)
        digits.len = end - scan->at - 1;
    scan->at = end + 2;
    scan->searched = 0;
    return span_int64(digits, number) ? NUMBER_READ : NUMBER_BAD;
}

/* The same; a short positive number, which is nearly every one, without searching first. */
static inline Number line_number(Scan *scan, const uint8_t *text, size_t len, const Limits *limits, int64_t *number) {
    if (likely(len - scan->at > FAST_DIGITS + 2)) {
        const uint8_t *digit = text + scan->at + 1;
        unsigned first = (unsigned)*digit - '1';
        if (likely(first < 9)) {
            int64_t value = first + 1;
            const uint8_t *last = digit + FAST_DIGITS;
            while (++digit < last && (unsigned)*digit - '0' < 10)
                value = value * 10 + (*digit - '0');
            if (likely(*digit == '\r')) {
                scan->at = (size_t)(digit - text) + 2;
                scan->searched = 0;
                *number = value;
                return NUMBER_READ;
            }
        }
    }
    return any_number(scan, text, len, limits, number);
}

static Scanned count_header(Scan *scan, const uint8_t *text, size_t len, const Limits *limits, Fault *fault) {
    int64_t count = 0;
    Number read = line_number(scan, text, len, limits, &count);
    if (read == NUMBER_INCOMPLETE)
        return SCAN_INCOMPLETE;
    if (read == NUMBER_TOO_LONG)
        fault_say(fault, "too big mbulk count string");
    else if (read == NUMBER_BAD || (count > 0 && (uint64_t)count > limits->args_max))
        fault_say(fault, "invalid multibulk length");
    else if (count > UNTRUSTED_ARGS_MAX && !limits->trusted)
        fault_say(fault, "unauthenticated multibulk length");
    else if (count <= 0)
        return SCAN_NOTHING;
    else {
        scan->args_left = (uint64_t)count;
        return SCAN_COMMAND;
    }
    return SCAN_FAULT;
}

/* Redis looks for the end of the line before it looks at the first character. */
static Scanned bulk_header(Scan *scan, const uint8_t *text, size_t len, const Limits *limits, Fault *fault) {
    int64_t size = 0;
    uint8_t first = text[scan->at];
    Number read = line_number(scan, text, len, limits, &size);
    if (read == NUMBER_INCOMPLETE)
        return SCAN_INCOMPLETE;
    if (read == NUMBER_TOO_LONG)
        fault_say(fault, "too big bulk count string");
    else if (first != '$') {
        fault_say(fault, "expected '$', got '?'");
        /* A break of the line would end the error text early. */
        fault->text[fault->len - 2] = first == '\r' || first == '\n' ? ' ' : (char)first;
    } else if (read == NUMBER_BAD || size < 0 || (uint64_t)size > limits->bulk_bytes_max)
        fault_say(fault, "invalid bulk length");
    else if (size > UNTRUSTED_BULK_BYTES_MAX && !limits->trusted)
        fault_say(fault, "unauthenticated bulk length");
    else {
        scan->bulk_bytes = (uint64_t)size;
        scan->in_bulk = true;
        return SCAN_COMMAND;
    }
    return SCAN_FAULT;
}

static Scanned scan_args(Scan *scan, const uint8_t *text, size_t len, Args *args, const Limits *limits, Fault *fault) {
    while (scan->args_left) {
        if (!scan->in_bulk) {
            if (scan->at >= len)
                return SCAN_INCOMPLETE;
            Scanned header = bulk_header(scan, text, len, limits, fault);
            if (unlikely(header != SCAN_COMMAND))
                return header;
        }
        if (len < scan->at || len - scan->at < 2 || len - scan->at - 2 < scan->bulk_bytes)
            return SCAN_INCOMPLETE;
        if (unlikely(!args_push(args, scan->at, scan->bulk_bytes)))
            return SCAN_NO_MEMORY;
        scan->args_bytes += scan->bulk_bytes;
        scan->at += scan->bulk_bytes + 2;
        scan->in_bulk = false;
        scan->args_left--;
        if (unlikely(scan->args_bytes > limits->query_bytes_max))
            return SCAN_FAULT; /* without a reply */
    }
    return SCAN_COMMAND;
}

static Scanned scan_inline(Scan *scan, const uint8_t *text, size_t len, Args *args, Buffer *words,
                           const Limits *limits, Fault *fault) {
    const uint8_t *end = line_end(scan, text, len, '\n');
    if (!end) {
        if (len - scan->at <= limits->inline_bytes_max)
            return SCAN_INCOMPLETE;
        fault_say(fault, "too big inline request");
        return SCAN_FAULT;
    }
    size_t line_at = scan->at, line_bytes = (size_t)(end - text) - line_at;
    scan->at = (size_t)(end - text) + 1;
    if (line_bytes && end[-1] == '\r')
        line_bytes--;
    return inline_split(text + line_at, line_bytes, line_at, args, words, fault);
}

static Scanned go_on(Scan *scan, const uint8_t *text, size_t len, Args *args, Buffer *words, const Limits *limits,
                     Fault *fault) {
    if (!scan->args_left) {
        if (scan->at >= len)
            return SCAN_INCOMPLETE;
        if (unlikely(text[scan->at] != '*'))
            return scan_inline(scan, text, len, args, words, limits, fault);
        Scanned header = count_header(scan, text, len, limits, fault);
        if (unlikely(header != SCAN_COMMAND))
            return header;
    }
    return scan_args(scan, text, len, args, limits, fault);
}

/* Goes on with the command that begins at `text`, from where `scan` stands. On SCAN_FAULT `fault` has
 * what to tell the client, or nothing: then the session is closed without a word. */
Scanned scan_command(Scan *scan, const uint8_t *text, size_t len, Args *args, Buffer *words,
                     const Limits *limits, Fault *fault) {
    fault->len = 0;
    Scanned scanned = go_on(scan, text, len, args, words, limits, fault);
    if (scanned == SCAN_INCOMPLETE && len - scan->at + scan->args_bytes > limits->query_bytes_max)
        return SCAN_FAULT;
    return scanned;
}
