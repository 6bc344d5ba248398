/* Numbers drawn from a seed. The twin of pure/draws.py.
 *
 * The generator is SplitMix64: 64 bits of state, one addition and one mixing a number, and it passes the tests for
 * randomness. It is no source of secrets: 64 bits of one draw tell all that follow.
 */
#include "engine.h"

#define STEP UINT64_C(0x9e3779b97f4a7c15)

/* One of the numbers below `end`: of a million, none is drawn more often than another by more than one in 10^13. */
uint64_t draw_below(Engine *engine, uint64_t end) {
    uint64_t mixed = engine->draws += STEP;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint64_t)((unsigned __int128)(mixed ^ mixed >> 31) * end >> 64);
}
