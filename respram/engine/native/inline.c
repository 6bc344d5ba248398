/* Inline commands: the words of a line, as people type them and redis-cli's users know them.
 *
 * A word without quotes is a piece of the line itself; a line with quotes is unescaped into a buffer
 * of its own, for the input may not be writable and may be scanned again. No line has a NUL: see scanner.c.
 */
#include "engine.h"

#include <string.h>

static bool is_blank(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Inside a word without quotes, vertical tab and form feed are bytes like others, as in Redis. */
static bool ends_word(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool is_quote(uint8_t byte) {
    return byte == '"' || byte == '\'';
}

static int hex_digit(uint8_t byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static uint8_t escaped(uint8_t byte) {
    switch (byte) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return byte;
    }
}

/* Both take the place behind the opening quote and give the one behind the closing quote, 0 where
 * there is none. What they write is never longer than what they read. */
static size_t double_quoted(const uint8_t *line, size_t len, size_t at, Buffer *words) {
    while (at < len) {
        uint8_t byte = line[at];
        if (byte == '"')
            return at + 1;
        if (byte == '\\' && len - at > 3 && line[at + 1] == 'x' && hex_digit(line[at + 2]) >= 0
            && hex_digit(line[at + 3]) >= 0) {
            byte = (uint8_t)(hex_digit(line[at + 2]) << 4 | hex_digit(line[at + 3]));
            at += 3;
        } else if (byte == '\\' && len - at > 1) {
            byte = escaped(line[++at]);
        }
        words->bytes[words->len++] = byte;
        at++;
    }
    return 0;
}

static size_t single_quoted(const uint8_t *line, size_t len, size_t at, Buffer *words) {
    while (at < len) {
        uint8_t byte = line[at];
        if (byte == '\'')
            return at + 1;
        if (byte == '\\' && len - at > 1 && line[at + 1] == '\'')
            byte = line[++at];
        words->bytes[words->len++] = byte;
        at++;
    }
    return 0;
}

/* One word into `words`; the place behind it, 0 where quotes do not match. */
static size_t quoted_word(const uint8_t *line, size_t len, size_t at, Buffer *words) {
    while (at < len && !ends_word(line[at])) {
        if (!is_quote(line[at])) {
            words->bytes[words->len++] = line[at++];
            continue;
        }
        at = line[at] == '"' ? double_quoted(line, len, at + 1, words) : single_quoted(line, len, at + 1, words);
        return at && (at == len || is_blank(line[at])) ? at : 0;
    }
    return at;
}

static Scanned split_quoted(const uint8_t *line, size_t len, Args *args, Buffer *words, Fault *fault) {
    if (!buffer_reserve(words, len))
        return SCAN_NO_MEMORY;
    for (size_t at = 0;;) {
        while (at < len && is_blank(line[at]))
            at++;
        if (at == len)
            return SCAN_QUOTED;
        size_t start = words->len;
        at = quoted_word(line, len, at, words);
        if (!at) {
            fault_say(fault, "unbalanced quotes in request");
            return SCAN_FAULT;
        }
        if (!args_push(args, start, words->len - start))
            return SCAN_NO_MEMORY;
    }
}

/* The words of a line, as args relative to the command (which the line begins `line_at` bytes behind),
 * or on SCAN_QUOTED relative to `words`. */
Scanned inline_split(const uint8_t *line, size_t len, size_t line_at, Args *args, Buffer *words, Fault *fault) {
    if (len && (memchr(line, '"', len) || memchr(line, '\'', len)))
        return split_quoted(line, len, args, words, fault);
    size_t before = args->count;
    for (size_t at = 0; at < len;) {
        if (is_blank(line[at])) {
            at++;
            continue;
        }
        size_t start = at;
        while (at < len && !ends_word(line[at]))
            at++;
        if (!args_push(args, line_at + start, at - start))
            return SCAN_NO_MEMORY;
    }
    return args->count > before ? SCAN_COMMAND : SCAN_NOTHING;
}
