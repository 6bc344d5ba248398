/* Pages before they are needed: a thread that takes them from the system, so that the loop does not wait for them.
 *
 * A page that is written for the first time has to be found and filled with zeros: a quarter of a microsecond on a
 * machine of its own, 8 to 30 in a virtual one whose host gives memory out as it is touched, and now and then far
 * more. While a million keys grow to four, 118,000 pages are written for the first time. Taken one by one where they
 * were needed they were a quarter of the loop's time, and dozens in a row kept its clients waiting for 2 to 8 ms.
 *
 * So the arena and the table say what they will write next, some milliseconds ahead, and the thread takes it: with
 * MADV_POPULATE_WRITE, which changes no byte and returns with an error where nothing is mapped any more. So nobody
 * waits for the thread, or calls a request back: what it has not got to costs what it always did.
 *
 * It runs when the processor has nothing else to do (SCHED_IDLE: of all policies the only one whose threads give way
 * at once) and takes PIECE_BYTES at a time, because the kernel holds a lock on the address space meanwhile that the
 * loop wants when it maps a region. It starts with the first request, which only a store of more than a region makes;
 * it belongs to the process and not to an engine. The child of a fork has no such thread, and asks in vain. */
#include "store.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#ifdef __linux__
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since 5.14; the C library may be older than the kernel */
#endif

#define REQUESTS_MAX 64
#define PIECE_BYTES ((size_t)16 << 10)
#define STACK_BYTES ((size_t)64 << 10)

static struct {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct { uint8_t *start; size_t bytes; } ring[REQUESTS_MAX];
    size_t head, tail; /* requests taken, and made, so far */
    bool started, refused;
} ahead = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER};

static void *work(void *nothing) {
    struct sched_param lowest = {.sched_priority = 0};
    (void)nothing;
    pthread_setname_np(pthread_self(), "respram-pages");
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &lowest);
    for (;;) {
        pthread_mutex_lock(&ahead.lock);
        while (ahead.head == ahead.tail)
            pthread_cond_wait(&ahead.asked, &ahead.lock);
        size_t place = ahead.head++ % REQUESTS_MAX;
        uint8_t *at = ahead.ring[place].start, *end = at + ahead.ring[place].bytes;
        pthread_mutex_unlock(&ahead.lock);
        for (; at < end; at += PIECE_BYTES)
            if (madvise(at, (size_t)(end - at) < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES, MADV_POPULATE_WRITE) != 0)
                break; /* given back meanwhile, or there is no memory: the loop will see */
    }
    return NULL;
}

static bool start(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (madvise(NULL, 0, MADV_POPULATE_WRITE) != 0 || pthread_attr_init(&attributes) != 0)
        return false; /* an older kernel */
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* it inherits this: signals are for the others */
    bool done = pthread_create(&thread, &attributes, work, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return done;
}

bool pages_ahead(void *from, size_t bytes) {
    if (pthread_mutex_trylock(&ahead.lock) != 0)
        return false; /* it takes a request at this moment, or this is the child of a fork */
    if (!ahead.started) {
        ahead.started = true;
        ahead.refused = !start();
    }
    bool taken = !ahead.refused && ahead.tail - ahead.head < REQUESTS_MAX;
    if (taken) {
        ahead.ring[ahead.tail % REQUESTS_MAX].start = from;
        ahead.ring[ahead.tail++ % REQUESTS_MAX].bytes = bytes;
        pthread_cond_signal(&ahead.asked);
    }
    pthread_mutex_unlock(&ahead.lock);
    return taken;
}
#else
bool pages_ahead(void *from, size_t bytes) {
    (void)from;
    (void)bytes;
    return false;
}
#endif
