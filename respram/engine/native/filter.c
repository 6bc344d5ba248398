/* The Bloom filters of the peers: filled with the ids of a selection, and asked what they lack.
 *
 * Both walk granules soonest first, and within one the list of its records, with the record PREFETCHED places
 * ahead on its way from memory: ids stand in the traces, so that a fill hashes nothing. The bits of a filter
 * for a million records take 1.2 MB and mostly hit the second cache; seven of them cost less than the record.
 *
 * Granules are found by counting up. Where they lie so far apart that this would be a search for nothing, their
 * numbers are sorted first.
 */
#include "engine.h"

#include <stdlib.h>

#define SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define PREFETCHED 8
#define SPARSE 64       /* numbers to a granule, beyond which sorting is quicker than counting */
#define STEPS_BY_BUDGET 8 /* empty numbers passed cost what one record does */

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
    int64_t number, last; /* the next to look at, and where to stop */
    int64_t *sorted;
    size_t count, at;
    uint64_t steps;
} Course;

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
        if (!granule || !granule->ending || granule->number < first)
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
        if (granule && granule->ending && granule->number >= first)
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
        if (granule && granule->ending)
            return granule;
    }
}

static int64_t cost(Course *course, const Granule *granule) {
    int64_t steps = (int64_t)(course->steps / STEPS_BY_BUDGET);
    course->steps = 0;
    return granule->held + steps;
}

/* The record at a place, if it belongs; brings a later one nearer. */
static inline const Record *record_at(const Granule *granule, uint32_t place, const Selection *selection) {
    if (place + PREFETCHED < granule->held && granule->records[place + PREFETCHED]) {
        __builtin_prefetch(trace_of(granule->records[place + PREFETCHED]));
        __builtin_prefetch(&granule->records[place + PREFETCHED]->clock);
    }
    const Record *record = granule->records[place];
    if (!record)
        return NULL;
    int64_t stamp = (int64_t)(record->clock >> STAMP_GRANULE_SHIFT);
    return selection->since <= stamp && stamp <= selection->cut_stamp ? record : NULL;
}

/* The next cursor; -1: no memory, and nothing was added. */
int64_t filter_fill(Engine *engine, Filter *filter, const Selection *selection, int64_t cursor, int64_t budget) {
    Course course;
    if (!course_begin(&course, &engine->digests, selection, cursor))
        return -1;
    int64_t next = CURSOR_DONE;
    for (const Granule *granule; (granule = course_next(&course));) {
        if (budget <= 0) {
            next = granule->number;
            break;
        }
        bool is_full = false;
        for (uint32_t place = 0; place < granule->held && !is_full; place++) {
            const Record *record = record_at(granule, place, selection);
            if (!record)
                continue;
            if ((is_full = filter->added == filter->room))
                break;
            add(filter, trace_of(record)->id);
            filter->added++;
        }
        if (is_full)
            break;
        budget -= cost(&course, granule);
    }
    free(course.sorted);
    return next;
}

/* The next cursor; -1: no memory. What `out` holds is to be sent even then. */
int64_t filter_lacking(Engine *engine, const Filter *filter, const Selection *selection, int64_t cursor,
                       uint64_t bytes_max, int64_t budget, Buffer *out) {
    Course course;
    if (!course_begin(&course, &engine->digests, selection, cursor))
        return -1;
    int64_t next = CURSOR_DONE;
    for (const Granule *granule; next == CURSOR_DONE && (granule = course_next(&course));) {
        if (budget <= 0 || out->len >= bytes_max) {
            next = granule->number;
            break;
        }
        for (uint32_t place = 0; place < granule->held; place++) {
            const Record *record = record_at(granule, place, selection);
            if (!record || !lacks(filter, trace_of(record)->id))
                continue;
            if (out->len >= bytes_max) {
                next = granule->number;
                break;
            }
            if (!dump_pack(engine, record, out)) {
                next = -1;
                break;
            }
        }
        budget -= cost(&course, granule);
    }
    free(course.sorted);
    return next;
}
