/* Which node decides about a slot, as homes.c keeps it. */
#ifndef RESPRAM_HOMES_H
#define RESPRAM_HOMES_H

#include "engine.h"

#define HOME_SLOTS 16384
#define RUN_GROUPS_MAX 16
/* of commands that travel together; one alone may be longer. api.py has it, too */
#define RUN_BYTES_MAX ((size_t)64 << 10)

unsigned slot_of(Span key);
int slot_away(Span keys, const uint8_t *table, bool *cut_short);
size_t reply_end(Span replies, size_t at);
bool homes_use(Engine *engine, const uint8_t *table); /* HOME_SLOTS numbers of 16 bits; NULL: all is decided here */
void homes_free(Engine *engine);
bool home_decides(const Command *command);
unsigned home_of(const Engine *engine, const Command *command);

typedef struct HomeGroup {
    unsigned home; /* its number in the table */
    size_t commands;
    Buffer payload, keys;
} HomeGroup;

typedef struct HomeRun {
    size_t commands, groups;
    uint8_t order[BATCH_COMMANDS]; /* the group of each command */
    HomeGroup group[RUN_GROUPS_MAX];
} HomeRun;

bool home_gathers(const Engine *engine, const Session *session);
bool home_run(Engine *engine, const Session *session, HomeRun *run); /* of all zeros */
void home_run_free(HomeRun *run);

#endif
