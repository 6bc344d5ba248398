/* The programs that the engine was taught, by the names that EVALSHA and EVAL give: what is a dict in
 * pure/programs.py. */
#include "programs.h"

#include <stdlib.h>
#include <string.h>

static Taught **bucket_of(const Engine *engine, uint64_t hash) {
    return &engine->programs.taught[hash % PROGRAM_BUCKETS];
}

Taught *taught_find(const Engine *engine, Span name) {
    if (!engine->programs.taught)
        return NULL;
    uint64_t hash = hash_key(engine->settings.secret, name.bytes, name.len);
    for (Taught *taught = *bucket_of(engine, hash); taught; taught = taught->next)
        if (taught->hash == hash && taught->name_bytes == name.len && !memcmp(taught->name, name.bytes, name.len))
            return taught;
    return NULL;
}

/* Whether every operand names something that is there. */
static bool is_sound(const Taught *taught) {
    if (!taught->steps || !taught->registers || taught->registers > REGISTERS_MAX)
        return false;
    uint16_t last = taught->step[taught->steps - 1].op;
    if (last != OP_RETURN && last != OP_JUMP)
        return false; /* no run passes the end */
    for (size_t number = 0; number < taught->steps; number++) {
        const Step *step = &taught->step[number];
        bool jumps = step->op == OP_JUMP || step->op == OP_UNLESS || step->op == OP_WHEN;
        size_t registers = taught->registers;
        if (step->op >= OP_COUNT_OF || step->a >= (jumps ? taught->steps : registers))
            return false;
        if (step->op == OP_CONST ? step->b >= taught->constants
            : step->op == OP_CALL ? !step->c || step->c > CALL_ARGS_MAX || (size_t)step->b + step->c > registers
            : step->op == OP_RETURN_LIST ? (size_t)step->a + step->b > registers
            : step->op != OP_JUMP && step->op != OP_BOOL && step->op != OP_COUNT
            && (step->b >= registers || step->c >= registers))
            return false;
    }
    return true;
}

bool programs_teach(Engine *engine, Span name, Span steps, size_t registers, const Constant *constants, size_t count) {
    programs_unteach(engine, name);
    if (!engine->programs.taught && !(engine->programs.taught = calloc(PROGRAM_BUCKETS, sizeof(Taught *))))
        return false;
    size_t texts = 0, number_of_steps = steps.len / sizeof(Step);
    for (size_t number = 0; number < count; number++)
        texts += constants[number].text.len;
    Taught *taught = calloc(1,
        sizeof(Taught) + number_of_steps * sizeof(Step) + count * sizeof(Constant) + texts + name.len);
    if (!taught)
        return false;
    *taught = (Taught){.hash = hash_key(engine->settings.secret, name.bytes, name.len), .name_bytes = name.len,
                       .steps = number_of_steps, .registers = registers, .constants = count, .is_program = true};
    memcpy(taught->step, steps.bytes, number_of_steps * sizeof(Step));
    taught->constant = (Constant *)(taught->step + number_of_steps);
    uint8_t *at = (uint8_t *)(taught->constant + count);
    for (size_t number = 0; number < count; number++) {
        taught->constant[number] = constants[number];
        taught->constant[number].text.bytes = at;
        memcpy(at, constants[number].text.bytes, constants[number].text.len);
        at += constants[number].text.len;
    }
    taught->name = at;
    memcpy(at, name.bytes, name.len);
    if (!is_sound(taught)) {
        free(taught);
        return false;
    }
    Taught **bucket = bucket_of(engine, taught->hash);
    taught->next = *bucket;
    *bucket = taught;
    return true;
}

/* A script that Lua has compiled, under the number that the sandbox gave it: what has been taught as a program goes on
 * as that, and Lua is there for where it declines. */
bool programs_teach_script(Engine *engine, Span name, uint32_t script, Span digest) {
    static const uint16_t NEVER[] = {OP_NIL, 0, 0, 0, OP_RETURN, 0, 0, 0};
    if (!engine->programs.lua || digest.len != DIGEST_BYTES)
        return false;
    Taught *taught = taught_find(engine, name);
    if (!taught) {
        if (!programs_teach(engine, name, (Span){(const uint8_t *)NEVER, sizeof NEVER}, 1, NULL, 0))
            return false;
        taught = taught_find(engine, name);
        taught->is_program = false;
    }
    memcpy(taught->digest, digest.bytes, DIGEST_BYTES);
    taught->script = script;
    taught->generation = engine->programs.lua_generation;
    return true;
}

void programs_unteach(Engine *engine, Span name) {
    Taught *found = taught_find(engine, name);
    if (!found)
        return;
    Taught **place = bucket_of(engine, found->hash);
    while (*place != found)
        place = &(*place)->next;
    *place = found->next;
    free(found);
}

void programs_free(Engine *engine) {
    for (size_t number = 0; engine->programs.taught && number < PROGRAM_BUCKETS; number++) {
        for (Taught *taught = engine->programs.taught[number], *next; taught; taught = next) {
            next = taught->next;
            free(taught);
        }
    }
    free(engine->programs.taught);
    lua_end(engine);
    buffer_clear(&engine->programs.log, 0);
    buffer_clear(&engine->programs.made, 0);
}
