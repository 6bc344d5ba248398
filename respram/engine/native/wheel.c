/* When something is due: four rings of slots, 8 ms, 1 s, 65 s and 70 min wide.
 *
 * A record stands in a slot's doubly linked list through 12 bytes of its own header, in the finest
 * ring that reaches its time. As a coarse slot comes near, one of its widths ahead of its start, its
 * records move down; an 8 ms slot is worked off when it has passed whole. Both happen in slices: a
 * slot whose time has come is put aside as `visiting` in one step, however long its list is, and
 * then eaten from the front.
 *
 * A slot promises only that its records are looked at *no later than* due. So an overwrite with a
 * later deadline leaves the record where it stands, and the common `SET key value EX 60` on a key
 * that is there touches no neighbour at all, where unlinking and linking would cost two or three
 * cache misses; whoever visits the slot puts the record where it belongs by then. For the same reason
 * a clash of two ticks in one slot of a ring (the clock was set back, or nobody called `expire` for
 * seconds, or a deadline is further away than the last ring) is settled by the earlier tick.
 */
#include "engine.h"

#include <string.h>

static const int SHIFT[WHEEL_LEVELS] = {3, 10, 16, 22};
static const int FIRST[WHEEL_LEVELS + 1] = {0, 512, 768, 1024, WHEEL_SLOTS};
static const int64_t REACH_MS[WHEEL_LEVELS - 1] = {INT64_C(2) << 10, INT64_C(2) << 16, INT64_C(2) << 22};

#define NEVER INT64_MAX

static inline int level_of(int slot) {
    return slot < FIRST[1] ? 0 : slot < FIRST[2] ? 1 : slot < FIRST[3] ? 2 : 3;
}

static inline int64_t start_ms(int level, int64_t tick) {
    return tick * (INT64_C(1) << SHIFT[level]);
}

/* When a slot has to be visited. */
static inline int64_t visit_ms(int level, int64_t tick) {
    return start_ms(level, level == 0 ? tick + 1 : tick - 1);
}

static inline bool is_occupied(const Wheel *wheel, int slot) {
    return wheel->occupied[slot / 64] >> (slot % 64) & 1;
}

/* Whether the finest slot of this time has passed whole. */
bool wheel_has_passed(int64_t due_ms, int64_t now_ms) {
    return visit_ms(0, due_ms >> SHIFT[0]) <= now_ms;
}

void wheel_init(Wheel *wheel) {
    memset(wheel, 0, sizeof *wheel);
    for (int slot = 0; slot < WHEEL_SLOTS; slot++)
        join(&wheel->slots[slot].links, &wheel->slots[slot].links);
    join(&wheel->visiting.links, &wheel->visiting.links);
    for (int level = 0; level < WHEEL_LEVELS; level++)
        wheel->next_ms[level] = NEVER;
}

void wheel_place(Wheel *wheel, Record *record, int64_t due_ms, int64_t now_ms) {
    int64_t left_ms = due_ms - now_ms;
    int level = left_ms < REACH_MS[0] ? 0 : left_ms < REACH_MS[1] ? 1 : left_ms < REACH_MS[2] ? 2 : 3;
    int64_t tick = due_ms >> SHIFT[level];
    int slots = FIRST[level + 1] - FIRST[level];
    int number = FIRST[level] + (int)(tick & (slots - 1));
    Slot *slot = &wheel->slots[number];
    if (!is_occupied(wheel, number)) {
        wheel->occupied[number / 64] |= UINT64_C(1) << (number % 64);
        slot->tick = tick;
    } else if (tick < slot->tick) {
        slot->tick = tick;
    }
    int64_t next_ms = visit_ms(level, slot->tick);
    if (next_ms < wheel->next_ms[level])
        wheel->next_ms[level] = next_ms;
    record->slot = (uint16_t)number;
    join(&record->links, next_of(&slot->links));
    join(&slot->links, &record->links);
    wheel->records++;
}

/* A record has a new time. One that is being visited may name a slot that has other records by now:
 * either answer is right for it, for it is looked at soon. */
void wheel_move(Wheel *wheel, Record *record, int64_t due_ms, int64_t now_ms) {
    int level = level_of(record->slot);
    if (is_occupied(wheel, record->slot) && due_ms >= start_ms(level, wheel->slots[record->slot].tick))
        return;
    wheel_remove(wheel, record);
    wheel_place(wheel, record, due_ms, now_ms);
}

void wheel_remove(Wheel *wheel, Record *record) {
    leave(&record->links);
    wheel->records--;
}

void wheel_relink(Record *record) {
    relink(&record->links);
}

/* The slot of a level to be visited first, if its time has come; brings `next_ms` up to date. */
static int slot_to_visit(Wheel *wheel, int level, int64_t now_ms) {
    if (now_ms < wheel->next_ms[level])
        return -1;
    int64_t earliest_ms = NEVER;
    int earliest = -1;
    for (int word = FIRST[level] / 64; word < FIRST[level + 1] / 64; word++) {
        for (uint64_t bits = wheel->occupied[word]; bits; bits &= bits - 1) {
            int number = word * 64 + __builtin_ctzll(bits);
            int64_t at_ms = visit_ms(level, wheel->slots[number].tick);
            if (at_ms < earliest_ms) {
                earliest_ms = at_ms;
                earliest = number;
            }
        }
    }
    wheel->next_ms[level] = earliest_ms;
    return earliest_ms <= now_ms ? earliest : -1;
}

/* Puts the next slot whose time has come aside. What is due comes before what only moves down. */
static bool start_visit(Wheel *wheel, int64_t now_ms) {
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        int number = slot_to_visit(wheel, level, now_ms);
        if (number < 0)
            continue;
        Slot *slot = &wheel->slots[number];
        wheel->occupied[number / 64] &= ~(UINT64_C(1) << (number % 64));
        if (next_of(&slot->links) != &slot->links) {
            join(&wheel->visiting.links, next_of(&slot->links));
            join(prev_of(&slot->links), &wheel->visiting.links);
            join(&slot->links, &slot->links);
        }
        return true;
    }
    return false;
}

/* Takes up to `wanted` records out of the wheel whose slot's time has come. The caller destroys each
 * or places it again. */
size_t wheel_visit(Wheel *wheel, int64_t now_ms, Record **out, size_t wanted) {
    size_t count = 0;
    Links *visiting = &wheel->visiting.links;
    while (count < wanted) {
        Links *first = next_of(visiting);
        if (first == visiting) {
            if (!start_visit(wheel, now_ms))
                break;
            continue;
        }
        join(visiting, next_of(first));
        out[count++] = (Record *)first;
    }
    wheel->records -= count;
    return count;
}

/* The first slot from this number on that has begun; WHEEL_SLOTS: there is none. DBSIZE asks for each: so empty slots
 * cost nothing, and a level of which none has begun costs one comparison. */
static int begun_from(const Wheel *wheel, int number, int64_t now_ms) {
    while (number < WHEEL_SLOTS) {
        int level = level_of(number);
        uint64_t bits = wheel->occupied[number / 64] >> (number % 64);
        if (wheel->next_ms[level] - (level == 0 ? INT64_C(1) << SHIFT[0] : 0) > now_ms) {
            number = FIRST[level + 1];
        } else if (!bits) {
            number = (number / 64 + 1) * 64;
        } else {
            number += __builtin_ctzll(bits);
            if (start_ms(level, wheel->slots[number].tick) <= now_ms)
                return number;
            number++;
        }
    }
    return WHEEL_SLOTS;
}

/* The earliest start of a slot that has not begun. */
int64_t wheel_begins_next_ms(const Wheel *wheel, int64_t now_ms) {
    int64_t earliest_ms = NEVER;
    for (int word = 0; word < WHEEL_SLOTS / 64; word++) {
        for (uint64_t bits = wheel->occupied[word]; bits; bits &= bits - 1) {
            int number = word * 64 + __builtin_ctzll(bits);
            int64_t begins_ms = start_ms(level_of(number), wheel->slots[number].tick);
            if (begins_ms > now_ms && begins_ms < earliest_ms)
                earliest_ms = begins_ms;
        }
    }
    return earliest_ms;
}

/* False: `judge` has enough. */
static bool show_list(Wheel *wheel, const Links *ring, Judge judge, void *context, Links *taken, uint64_t *shown) {
    for (Links *links = next_of(ring), *next; links != ring; links = next) {
        next = next_of(links);
        __builtin_prefetch(next);
        ++*shown;
        Verdict verdict = judge(context, (Record *)links);
        if (verdict == ENOUGH_SEEN)
            return false;
        if (verdict == RECORD_IS_TAKEN) {
            wheel_remove(wheel, (Record *)links);
            join(prev_of(taken), links);
            join(links, taken);
        }
    }
    return true;
}

/* Shows what stands in slots that have begun, all that may be overdue, in one walk, until `judge` has enough. What it
 * takes leaves the wheel and joins `taken`, a ring of the caller's; it changes nothing else of the wheel. How many were
 * shown. */
uint64_t wheel_show_begun(Wheel *wheel, int64_t now_ms, Judge judge, void *context, Links *taken) {
    uint64_t shown = 0;
    bool more = show_list(wheel, &wheel->visiting.links, judge, context, taken, &shown);
    for (int number = 0; more && (number = begun_from(wheel, number, now_ms)) < WHEEL_SLOTS; number++)
        more = show_list(wheel, &wheel->slots[number].links, judge, context, taken, &shown);
    return shown;
}

int64_t wheel_next_ms(Wheel *wheel) {
    if (!wheel->records)
        return -1;
    if (next_of(&wheel->visiting.links) != &wheel->visiting.links)
        return 0;
    int64_t earliest_ms = NEVER;
    for (int level = 0; level < WHEEL_LEVELS; level++)
        if (wheel->next_ms[level] < earliest_ms)
            earliest_ms = wheel->next_ms[level];
    return earliest_ms;
}

static uint64_t count_list(const Links *ring, int db, int64_t now_ms, uint64_t *shown) {
    uint64_t count = 0;
    for (const Links *links = next_of(ring); links != ring; links = next_of(links)) {
        const Record *record = (const Record *)links;
        __builtin_prefetch(next_of(links));
        count += record->db == db && !(record->flags & RECORD_STUB) && record_deadline_ms(record) <= now_ms;
        ++*shown;
    }
    return count;
}

/* Records with a value that are past their deadline and not yet destroyed: they can stand only in
 * slots that have begun. A walk along those, which are few while `expire` keeps up; `*shown`: how many it passed. */
uint64_t wheel_count_overdue(const Wheel *wheel, int db, int64_t now_ms, uint64_t *shown) {
    uint64_t count = count_list(&wheel->visiting.links, db, now_ms, shown);
    for (int number = 0; (number = begun_from(wheel, number, now_ms)) < WHEEL_SLOTS; number++)
        count += count_list(&wheel->slots[number].links, db, now_ms, shown);
    return count;
}
