/* Glob patterns over bytes, compiled. respram/glob.py says the same in Python, quirk by quirk, and is the judge.
 *
 * A pattern is cut at its stars into pieces of fixed length: the first is anchored at the beginning, the last at the
 * end, and each of the others is taken where it first fits. So the time is bounded by the length of the pattern times
 * that of the text, where it has two stars or more, and by the pattern's length alone where it has fewer: `glob_steps`
 * says which. Pieces of plain bytes between two stars are found by memmem, in the time of the text alone.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define GLOB_BYTES_MAX 16384 /* see glob.py: a longer pattern matches nothing */
#define ANY 256u             /* an element: a byte, ANY, or from SETS on a set of bytes */
#define SETS 257u

typedef struct Set {
    uint64_t words[4];
} Set;

struct Glob {
    size_t count;    /* number of elements */
    size_t pieces;   /* 0: the pattern matches nothing */
    size_t *ends;    /* of all pieces, in elements */
    Set *sets;
    uint8_t *plain;  /* the elements as bytes, if each stands for one byte; else NULL */
    uint16_t elements[];
};

static inline bool has(const Set *set, uint8_t byte) {
    return set->words[byte >> 6] >> (byte & 63) & 1;
}

static inline void add(Set *set, uint8_t byte) {
    set->words[byte >> 6] |= UINT64_C(1) << (byte & 63);
}

/* A class, from behind its bracket: what it has, and where the pattern goes on. */
static size_t read_class(Span pattern, size_t at, Set *set) {
    bool negated = at < pattern.len && pattern.bytes[at] == '^';
    at += negated;
    memset(set, 0, sizeof *set);
    while (at < pattern.len && pattern.bytes[at] != ']') {
        size_t rest = pattern.len - at;
        if (pattern.bytes[at] == '\\' && rest >= 2) {
            add(set, pattern.bytes[at + 1]);
            at += 2;
        } else if (rest >= 3 && pattern.bytes[at + 1] == '-') {
            unsigned low = pattern.bytes[at], high = pattern.bytes[at + 2];
            for (unsigned byte = low < high ? low : high; byte <= (low < high ? high : low); byte++)
                add(set, (uint8_t)byte);
            at += 3;
        } else {
            add(set, pattern.bytes[at++]);
        }
    }
    if (negated)
        for (int word = 0; word < 4; word++)
            set->words[word] = ~set->words[word];
    return at + 1;
}

/* What it takes: never more elements, sets and stars than the pattern has bytes. */
static Glob *room_for(Span pattern) {
    size_t sets = 0, stars = 0;
    for (size_t at = 0; at < pattern.len; at++) {
        sets += pattern.bytes[at] == '[';
        stars += pattern.bytes[at] == '*';
    }
    Glob *glob = calloc(1, sizeof *glob + pattern.len * sizeof *glob->elements);
    if (!glob)
        return NULL;
    glob->ends = calloc(stars + 1, sizeof *glob->ends);
    glob->sets = calloc(sets + 1, sizeof *glob->sets);
    if (glob->ends && glob->sets)
        return glob;
    glob_free(glob);
    return NULL;
}

Glob *glob_compile(Span pattern) {
    if (pattern.len > GLOB_BYTES_MAX)
        return calloc(1, sizeof(Glob));
    Glob *glob = room_for(pattern);
    if (!glob)
        return NULL;
    size_t at = 0, sets = 0;
    while (at < pattern.len) {
        uint8_t byte = pattern.bytes[at];
        if (byte == '*') {
            glob->ends[glob->pieces++] = glob->count;
            while (at < pattern.len && pattern.bytes[at] == '*')
                at++;
        } else if (byte == '?') {
            glob->elements[glob->count++] = ANY;
            at++;
        } else if (byte == '[') {
            at = read_class(pattern, at + 1, &glob->sets[sets]);
            glob->elements[glob->count++] = (uint16_t)(SETS + sets++);
        } else {
            at += byte == '\\' && at + 1 < pattern.len;
            glob->elements[glob->count++] = pattern.bytes[at++];
        }
    }
    glob->ends[glob->pieces++] = glob->count;
    for (at = 0; at < glob->count && glob->elements[at] < ANY;)
        at++;
    if (glob->pieces > 2 && at == glob->count && (glob->plain = malloc(glob->count + 1)))
        for (at = 0; at < glob->count; at++)
            glob->plain[at] = (uint8_t)glob->elements[at];
    return glob;
}

void glob_free(Glob *glob) {
    if (!glob)
        return;
    free(glob->ends);
    free(glob->sets);
    free(glob->plain);
    free(glob);
}

static inline bool fits(const Glob *glob, size_t from, size_t to, const uint8_t *text) {
    for (; from < to; from++, text++) {
        unsigned element = glob->elements[from];
        if (likely(element < ANY) ? element != *text : element != ANY && !has(&glob->sets[element - SETS], *text))
            return false;
    }
    return true;
}

bool glob_match(const Glob *glob, Span text) {
    if (!glob->pieces)
        return false;
    if (!text.len) /* Redis reads the pattern only while there is text, so `*` does not match the empty text */
        return !glob->count && glob->pieces == 1;
    size_t first = glob->ends[0], last = glob->pieces - 1;
    if (!last)
        return text.len == first && fits(glob, 0, first, text.bytes);
    size_t last_from = glob->ends[last - 1], last_bytes = glob->count - last_from;
    if (text.len < first + last_bytes || !fits(glob, 0, first, text.bytes)
        || !fits(glob, last_from, glob->count, text.bytes + text.len - last_bytes))
        return false;
    size_t begin = first, end = text.len - last_bytes;
    for (size_t piece = 1; piece < last; piece++) {
        size_t from = glob->ends[piece - 1], bytes = glob->ends[piece] - from;
        if (glob->plain) {
            const uint8_t *found = memmem(text.bytes + begin, end - begin, glob->plain + from, bytes);
            if (!found)
                return false;
            begin = (size_t)(found - text.bytes) + bytes;
            continue;
        }
        while (begin + bytes <= end && !fits(glob, from, from + bytes, text.bytes + begin))
            begin++;
        if (begin + bytes > end)
            return false;
        begin += bytes;
    }
    return true;
}

/* The most comparisons that a match with a text of this length takes. */
size_t glob_steps(const Glob *glob, size_t text_bytes) {
    return 1 + glob->count * (glob->pieces > 2 ? text_bytes + 1 : 1);
}
