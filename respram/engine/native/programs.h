/* A program in memory: for taught.c, which keeps them, and programs.c, which runs them. */
#ifndef RESPRAM_PROGRAMS_H
#define RESPRAM_PROGRAMS_H

#include "engine.h"

typedef struct Step {
    uint16_t op, a, b, c;
} Step;

typedef struct Taught {
    struct Taught *next;
    uint64_t hash;
    size_t name_bytes, steps, registers, constants;
    Constant *constant; /* with their texts, and the name, behind them */
    uint8_t *name;
    Step step[];
} Taught;

const Taught *taught_find(const Engine *engine, Span name);

#endif
