/* The Bloom filters of the peers: filled with the ids of a selection, and asked what they lack.
 *
 * Both walk granules soonest first, and within one the list of its records, with the record PREFETCHED places
 * ahead on its way from memory: ids stand in the traces, so that a fill hashes nothing. The bits of a filter
 * for a million records take 1.2 MB and mostly hit the second cache; seven of them cost less than the record.
 *
 * A walk stops anywhere, within a granule too: a million records may share a deadline. Places shift when a list is made
 * dense, and a record may then be passed over; the next comparison has it.
 *
 * Granules are found by counting up. Where they lie so far apart that this would be a search for nothing, their
 * numbers are sorted first.
 */
#include "granules.h"

#include <stdlib.h>

#define SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define PREFETCHED 8
#define SPARSE 64       /* numbers for each granule; with more, sorting is faster than counting */
#define STEPS_BY_BUDGET 8 /* this many empty numbers cost as much as one record */
#define STUB_PLACE UINT32_C(0x80000000) /* marks the number of a stub; records come first */

static inline uint64_t scatter(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline uint64_t scaled(uint64_t a, uint64_t width) {
    return (uint64_t)((unsigned __int128)a * width >> 64);
}

static void add(Filter *filter, uint64_t id) {
    uint64_t a = scatter(id ^ filter->salt), b = scatter(a + SPREAD) | 1, from = 0;
    for (uint32_t slice = 0; slice < filter->slices; slice++, a += b, from += filter->width) {
        uint64_t bit = from + scaled(a, filter->width);
        filter->bits[bit >> 3] |= (uint8_t)(1u << (bit & 7));
    }
}

static bool lacks(const Filter *filter, uint64_t id) {
    uint64_t a = scatter(id ^ filter->salt), b = scatter(a + SPREAD) | 1, from = 0;
    for (uint32_t slice = 0; slice < filter->slices; slice++, a += b, from += filter->width) {
        uint64_t bit = from + scaled(a, filter->width);
        if (!(filter->bits[bit >> 3] >> (bit & 7) & 1))
            return true;
    }
    return false;
}

/* -- granules in order --------------------------------------------------------------------------- */
typedef struct Course {
    const Digests *digests;
    const Selection *selection;
    int64_t number, last; /* the next granule to look at, and where to stop */
    int64_t *sorted;
    size_t count, at;
    uint64_t steps;
} Course;

static inline bool holds_any(const Granule *granule) {
    return granule->ending || granule->stubs;
}

static bool is_selected(const Selection *selection, int64_t number) {
    if (!selection->bucket_count)
        return true;
    int64_t bucket = number >> selection->shift;
    size_t low = 0, high = selection->bucket_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (selection->buckets[middle] < bucket)
            low = middle + 1;
        else
            high = middle;
    }
    return low < selection->bucket_count && selection->buckets[low] == bucket;
}

static int by_value(const void *one, const void *other) {
    int64_t first = *(const int64_t *)one, second = *(const int64_t *)other;
    return first < second ? -1 : first > second;
}

static bool course_begin(Course *course, const Digests *digests, const Selection *selection, int64_t cursor) {
    int64_t first = cursor > selection->cut_end ? cursor : selection->cut_end + 1;
    *course = (Course){.digests = digests, .selection = selection, .number = INT64_MAX, .last = INT64_MIN};
    for (uint64_t place = 0; place < digests->granule_capacity; place++) {
        const Granule *granule = digests->granules[place];
        if (!granule || !holds_any(granule) || granule->number < first)
            continue;
        course->count++;
        if (granule->number < course->number)
            course->number = granule->number;
        if (granule->number > course->last)
            course->last = granule->number;
    }
    if (!course->count || (uint64_t)(course->last - course->number) / SPARSE <= course->count)
        return true;
    course->sorted = malloc(course->count * sizeof *course->sorted);
    if (!course->sorted)
        return false;
    for (uint64_t place = 0, at = 0; place < digests->granule_capacity; place++) {
        const Granule *granule = digests->granules[place];
        if (granule && holds_any(granule) && granule->number >= first)
            course->sorted[at++] = granule->number;
    }
    qsort(course->sorted, course->count, sizeof *course->sorted, by_value);
    return true;
}

static int64_t course_number(Course *course) {
    if (course->sorted)
        return course->at < course->count ? course->sorted[course->at++] : INT64_MAX;
    course->steps++;
    return course->number <= course->last ? course->number++ : INT64_MAX;
}

/* The next granule of the selection that has records; NULL at the end. */
static const Granule *course_next(Course *course) {
    for (;;) {
        int64_t number = course_number(course);
        if (number == INT64_MAX)
            return NULL;
        if (!is_selected(course->selection, number))
            continue;
        const Granule *granule = digest_granule(course->digests, number);
        if (granule && holds_any(granule))
            return granule;
    }
}

/* The record at a place, if it belongs; brings a later one nearer. */
static inline const Record *record_at(const Granule *granule, uint32_t place, const Selection *selection) {
    const Record *later = place + PREFETCHED < granule->held ? *granule_at(granule, place + PREFETCHED) : NULL;
    if (later) {
        __builtin_prefetch(trace_of(later));
        __builtin_prefetch(&later->clock);
    }
    const Record *record = *granule_at(granule, place);
    if (!record)
        return NULL;
    int64_t stamp = (int64_t)(record->clock >> STAMP_GRANULE_SHIFT);
    return selection->since <= stamp && stamp <= selection->cut_stamp ? record : NULL;
}

/* How far into a granule's records this slice may go, from the place where the last one stopped. */
static uint32_t slice_end(const Granule *granule, uint32_t from, int64_t budget) {
    if (from >= granule->held)
        return from;
    return granule->held - from > budget ? from + (uint32_t)budget : granule->held;
}

/* Behind the records the stubs: the first to look at; 0: no more. One that is gone from where a slice stopped takes
 * those behind it along, and the next comparison has them. */
static uint32_t stub_from(const Engine *engine, const Granule *granule, uint32_t place) {
    if (!(place & STUB_PLACE))
        return granule->first_stub;
    const Stub *stub = stub_if_used(&engine->stubs, place & ~STUB_PLACE);
    return stub && stub_end_ms(stub) >> GRANULE_SHIFT == granule->number ? place & ~STUB_PLACE : 0;
}

static bool stub_belongs(const Stub *stub, const Selection *selection) {
    int64_t stamp = (int64_t)(stub_clock(stub) >> STAMP_GRANULE_SHIFT);
    return selection->since <= stamp && stamp <= selection->cut_stamp;
}

/* What is left of a budget behind a granule, of which so many places were looked at. */
static int64_t left(Course *course, int64_t budget, int64_t looked_at) {
    int64_t steps = (int64_t)(course->steps / STEPS_BY_BUDGET);
    course->steps = 0;
    return budget - looked_at - steps;
}

/* False: no memory, and nothing was added. */
bool filter_fill(Engine *engine, Filter *filter, const Selection *selection, Spot *spot, int64_t budget) {
    Course course;
    if (!course_begin(&course, &engine->digests, selection, spot->granule))
        return false;
    Spot next = {CURSOR_DONE, 0};
    for (const Granule *granule; next.granule == CURSOR_DONE && (granule = course_next(&course));) {
        uint32_t from = granule->number == spot->granule ? spot->place : 0, place = from;
        if (budget <= 0) {
            next = (Spot){granule->number, from};
            break;
        }
        bool is_full = false;
        int64_t looked_at = 0;
        for (uint32_t end = slice_end(granule, from, budget); place < end && !is_full; place++, looked_at++) {
            const Record *record = record_at(granule, place, selection);
            if (!record)
                continue;
            if ((is_full = filter->added == filter->room))
                break;
            add(filter, trace_of(record)->id);
            filter->added++;
        }
        if (!is_full && place < granule->held) {
            next = (Spot){granule->number, place};
        } else if (!is_full) {
            uint32_t number = stub_from(engine, granule, place);
            for (; number && looked_at < budget && !is_full; looked_at++) {
                const Stub *stub = stub_at(&engine->stubs, number);
                number = stub->next;
                if (!stub_belongs(stub, selection))
                    continue;
                if ((is_full = filter->added == filter->room))
                    break;
                add(filter, stub_id(engine, stub));
                filter->added++;
            }
            if (number && !is_full)
                next = (Spot){granule->number, STUB_PLACE | number};
        }
        if (is_full) {
            next = (Spot){CURSOR_DONE, 0};
            break;
        }
        budget = left(&course, budget, looked_at);
    }
    free(course.sorted);
    *spot = next;
    return true;
}

/* False: no memory. What `out` holds is to be sent even then. */
bool filter_lacking(Engine *engine, const Filter *filter, const Selection *selection, Spot *spot, uint64_t bytes_max,
                    int64_t budget, Buffer *out) {
    Course course;
    if (!course_begin(&course, &engine->digests, selection, spot->granule))
        return false;
    bool is_packed = true;
    Spot next = {CURSOR_DONE, 0};
    for (const Granule *granule; is_packed && next.granule == CURSOR_DONE && (granule = course_next(&course));) {
        uint32_t from = granule->number == spot->granule ? spot->place : 0, place = from;
        if (budget <= 0 || out->len >= bytes_max) {
            next = (Spot){granule->number, from};
            break;
        }
        int64_t looked_at = 0;
        for (uint32_t end = slice_end(granule, from, budget); place < end; place++, looked_at++) {
            const Record *record = record_at(granule, place, selection);
            if (!record || !lacks(filter, trace_of(record)->id))
                continue;
            if (out->len >= bytes_max || !(is_packed = dump_pack(engine, record, out)))
                break;
        }
        if (place < granule->held) {
            next = (Spot){granule->number, place};
        } else {
            uint32_t number = stub_from(engine, granule, place);
            for (; number && looked_at < budget; looked_at++) {
                const Stub *stub = stub_at(&engine->stubs, number);
                if (stub_belongs(stub, selection) && lacks(filter, stub_id(engine, stub))
                    && (out->len >= bytes_max || !(is_packed = stub_pack(engine, number, NULL, out))))
                    break;
                number = stub->next;
            }
            if (number)
                next = (Spot){granule->number, STUB_PLACE | number};
        }
        budget = left(&course, budget, looked_at);
    }
    free(course.sorted);
    *spot = next;
    return is_packed;
}
