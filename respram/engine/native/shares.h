/* Counters with a share for each node that counts: see shares.c. */
#ifndef RESPRAM_SHARES_H
#define RESPRAM_SHARES_H

#include "engine.h"

/* A version of a key's value, in a record or on its way into one. */
typedef struct Version {
    uint64_t clock, node;
    Span bytes; /* the whole, as it lies: digits and shares */
    Seal seal;
    uint32_t position;
    int64_t deadline_ms, shadow_ms;
    bool counted, implicit;
} Version;

#define CLOCK_STEP 3 /* stamp.py says what for */
uint64_t keyspace_next_clock(const Engine *engine, const Record *replaced, uint32_t stub, int64_t now_ms);
bool seal_open_bytes(Engine *engine, const Seal *seal, uint32_t position, Span value, uint8_t *out);

enum { MET_NOT, MET, MET_NO_ROOM };

bool counters_converge(const Engine *engine);
bool counter_raise(Engine *engine, int db, uint64_t hash, Span key, const Record *record, int64_t number,
                   int64_t step, int64_t deadline_ms, bool implicit, int64_t now_ms, uint8_t note, int64_t *sum);
bool counter_add(Engine *engine, int db, uint64_t hash, Span key, int64_t step, int64_t deadline_ms, bool implicit,
                 int64_t now_ms, uint8_t note, int64_t *sum);
bool counter_retime(Engine *engine, const Record *record, int64_t deadline_ms, bool implicit, int64_t now_ms,
                    uint8_t note);
bool counters_meet(const Engine *engine, const Record *record, const Version *arrived, int64_t now_ms);
int counters_merge(Engine *engine, Record *record, uint64_t hash, Span key, const Version *arrived, int64_t now_ms);

#endif
