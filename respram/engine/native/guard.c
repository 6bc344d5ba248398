/* Key patterns: what a user may do with which keys, compiled when its rights are. The twin of pure/guard.py.
 *
 * A session with a guard has its fast commands asked for each of their keys. What the guard does not allow is not
 * refused here: it is for `dispatch`, which has the user's selectors, the texts and the log. So a guard may say no
 * where it would take long.
 */
#include "engine.h"

#include <stdlib.h>

#define GUARD_STEPS_MAX 65536 /* comparisons for one key: about 50 us; see pure/guard.py */

typedef struct Allowed {
    Glob *pattern;
    uint8_t modes; /* NEEDS_READ and NEEDS_WRITE */
} Allowed;

struct Guard {
    size_t count;
    Allowed patterns[];
};

Guard *guard_new(size_t count) {
    return calloc(1, sizeof(Guard) + count * sizeof(Allowed));
}

/* False: no memory. `guard_new` was told how many there will be. */
bool guard_add(Guard *guard, Span pattern, uint8_t modes) {
    Glob *glob = glob_compile(pattern);
    if (glob)
        guard->patterns[guard->count++] = (Allowed){glob, modes};
    return glob != NULL;
}

void guard_free(Guard *guard) {
    for (size_t number = 0; guard && number < guard->count; number++)
        glob_free(guard->patterns[number].pattern);
    free(guard);
}

/* Whether one pattern allows all of `modes` on the key, and that is found soon. */
bool guard_allows_key(const Guard *guard, Span key, uint8_t modes) {
    size_t steps = 0;
    for (size_t number = 0; number < guard->count; number++) {
        const Allowed *one = &guard->patterns[number];
        if ((one->modes & modes) != modes)
            continue;
        steps += glob_steps(one->pattern, key.len);
        if (steps > GUARD_STEPS_MAX)
            return false;
        if (glob_match(one->pattern, key))
            return true;
    }
    return false;
}

#define MAY_READ 1 /* catalog/hot.py has both */
#define MAY_WRITE 2

/* The keys of a script, all of which it may write. Each command inside is asked for again. */
static bool allows_script(const Guard *guard, const Command *command) {
    int64_t keys;
    if (command->argc < 3 || !span_int64(command_arg(command, 2), &keys) || keys < 0
        || (uint64_t)keys > command->argc - 3)
        return false;
    for (size_t at = 3; at < 3 + (size_t)keys; at++)
        if (!guard_allows_key(guard, command_arg(command, at), MAY_READ | MAY_WRITE))
            return false;
    return true;
}

bool guard_allows(const Guard *guard, const Row *row, const Command *command) {
    if (row->first_key <= 0)
        return row->first_key == 0 || (is_script(command->hot) && allows_script(guard, command));
    size_t last = row->last_key < 0 ? command->argc - 1 : (size_t)row->last_key;
    for (size_t at = (size_t)row->first_key; at <= last && at < command->argc; at += (size_t)row->key_step)
        if (!guard_allows_key(guard, command_arg(command, at), row->needs))
            return false;
    return true;
}
