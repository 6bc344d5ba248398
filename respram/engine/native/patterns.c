/* Patterns that channels are compared with, compiled. The twin of pure/patterns.py; what narrows the search down is
 * in commands/patterns.py. */
#include "engine.h"

#include <stdlib.h>

bool patterns_add(Patterns *patterns, Span pattern) {
    if (patterns->count == patterns->capacity) {
        size_t capacity = patterns->capacity ? 2 * patterns->capacity : 2;
        Glob **grown = realloc(patterns->globs, capacity * sizeof *grown);
        if (!grown)
            return false;
        patterns->globs = grown;
        patterns->capacity = capacity;
    }
    Glob *glob = glob_compile(pattern);
    if (!glob)
        return false;
    patterns->globs[patterns->count++] = glob;
    return true;
}

void patterns_remove(Patterns *patterns, size_t place) {
    always(place < patterns->count);
    glob_free(patterns->globs[place]);
    patterns->globs[place] = patterns->globs[--patterns->count];
}

bool patterns_next(const Patterns *patterns, Span text, size_t *place) {
    for (; *place < patterns->count; ++*place)
        if (glob_match(patterns->globs[*place], text))
            return true;
    return false;
}

void patterns_free(Patterns *patterns) {
    for (size_t place = 0; place < patterns->count; place++)
        glob_free(patterns->globs[place]);
    free(patterns->globs);
    *patterns = (Patterns){0};
}
