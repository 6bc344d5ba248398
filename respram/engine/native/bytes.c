/* Buffers that grow by doubling and are overwritten before they are let go, and numbers as digits.
 *
 * `realloc` would leave the old copy behind unwiped, so a buffer grows by a new block, a copy and a
 * wipe. Doubling keeps that linear in what has arrived; nothing here trusts an announced length.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES_MIN 256

/* Called through a volatile pointer: the compiler cannot know that it is memset, nor that it may go. */
static void *(*const volatile overwrite)(void *, int, size_t) = memset;

void wipe(void *bytes, size_t len) {
    if (len)
        overwrite(bytes, 0, len);
}

bool buffer_reserve(Buffer *buffer, size_t extra) {
    if (buffer->capacity - buffer->len >= extra)
        return true;
    if (extra > SIZE_MAX / 4 || buffer->len > SIZE_MAX / 4)
        return false;
    size_t needed = buffer->len + extra, capacity = buffer->capacity ? buffer->capacity : BUFFER_BYTES_MIN;
    while (capacity < needed)
        capacity *= 2;
    uint8_t *bytes = malloc(capacity);
    if (!bytes)
        return false;
    if (buffer->bytes) {
        memcpy(bytes, buffer->bytes, buffer->len);
        wipe(buffer->bytes, buffer->len);
        free(buffer->bytes);
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

bool buffer_append(Buffer *buffer, const void *bytes, size_t len) {
    if (!buffer_reserve(buffer, len))
        return false;
    if (len)
        memcpy(buffer->bytes + buffer->len, bytes, len);
    buffer->len += len;
    return true;
}

/* What lies behind `len` is gone. */
void buffer_cut(Buffer *buffer, size_t len) {
    if (buffer->len > len) {
        wipe(buffer->bytes + len, buffer->len - len);
        buffer->len = len;
    }
}

/* Empties the buffer; a block larger than `kept_bytes_max` goes back. */
void buffer_clear(Buffer *buffer, size_t kept_bytes_max) {
    if (!buffer->bytes)
        return;
    wipe(buffer->bytes, buffer->len);
    buffer->len = 0;
    if (buffer->capacity > kept_bytes_max) {
        free(buffer->bytes);
        buffer->bytes = NULL;
        buffer->capacity = 0;
    }
}

/* A signed 64-bit integer in its one spelling, as integers.py has it: no blanks, no plus sign, no
 * leading zeros, no `-0`. */
bool span_int64(Span digits, int64_t *number) {
    const uint8_t *at = digits.bytes;
    size_t len = digits.len;
    bool negative = len > 0 && *at == '-';
    if (negative)
        at++, len--;
    if (len == 0 || len > 19 || (*at == '0' && digits.len > 1))
        return false;
    uint64_t value = 0; /* 19 digits cannot overflow 64 bits */
    for (size_t place = 0; place < len; place++) {
        unsigned digit = (unsigned)at[place] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *number = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

size_t digits_of(int64_t number, uint8_t out[20]) {
    uint8_t reversed[20];
    size_t count = 0, len = 0;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        reversed[count++] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        out[len++] = '-';
    while (count)
        out[len++] = reversed[--count];
    return len;
}

/* `operation`: the first letter of and, or, xor. Loops that a compiler turns into vectors. */
void bytes_combine(uint8_t *restrict into, const uint8_t *restrict other, size_t len, char operation) {
    if (operation == 'a')
        for (size_t at = 0; at < len; at++)
            into[at] &= other[at];
    else if (operation == 'o')
        for (size_t at = 0; at < len; at++)
            into[at] |= other[at];
    else
        for (size_t at = 0; at < len; at++)
            into[at] ^= other[at];
}
