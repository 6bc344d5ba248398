/* A program in memory: for taught.c, which keeps them, and programs.c, which runs them. */
#ifndef RESPRAM_PROGRAMS_H
#define RESPRAM_PROGRAMS_H

#include "engine.h"

#define DIGEST_BYTES 40

typedef struct Step {
    uint16_t op, a, b, c;
} Step;

typedef struct Taught {
    struct Taught *next;
    uint64_t hash;
    size_t name_bytes, steps, registers, constants;
    uint32_t script, generation; /* of the Lua that has it; 0: it has none */
    bool is_program;             /* which Lua takes over where it declines */
    unsigned debt;               /* of a script that has declined */
    Constant *constant; /* followed in memory by their texts and the name */
    uint8_t *name;
    uint8_t digest[DIGEST_BYTES]; /* that its errors name; set where it has a script */
    Step step[];
} Taught;

Taught *taught_find(const Engine *engine, Span name);

#define NUMBER_BYTES 32
#define LOG_KEPT_BYTES_MAX 65536

/* programs.c */
bool programs_spell(double number, uint8_t digits[NUMBER_BYTES], Span *text);
bool programs_inside(Engine *engine, Session *session, Command *command, int64_t now_ms, Buffer *log, bool *broken);

/* lua.c */
bool programs_has_moved_much(const Engine *engine);
bool lua_evaluate(Engine *engine, Session *session, const Command *command, Taught *taught, size_t keys,
                  int64_t now_ms, bool *broken);

#endif
