/* Pages before they are needed: a thread that takes them from the system, so that the loop does not wait for them.
 *
 * A page that is written for the first time has to be found and filled with zeros: a quarter of a microsecond on a
 * machine of its own, 8 to 30 in a virtual one whose host gives memory out as it is touched, and now and then far
 * more. While a million keys grow to four, 118,000 pages are written for the first time. Taken one by one where they
 * were needed they were a quarter of the loop's time, and dozens in a row kept its clients waiting for 2 to 8 ms.
 *
 * So the arena and the table say what they will write next, some milliseconds ahead, and the thread takes it: with
 * MADV_POPULATE_WRITE, which changes no byte and returns with an error where nothing is mapped any more. So nobody
 * waits for the thread: what it has not got to costs what it always did.
 *
 * It runs when the processor has nothing else to do (SCHED_IDLE: of all policies the only one whose threads give way
 * at once; a process that may not have it does without the thread) and takes PIECE_BYTES at a time, because the kernel
 * holds a lock on the address space meanwhile that the loop wants when it maps a region. So it may be far behind, and
 * whoever gives pages back withdraws what was asked of them first: else they would be taken again, by a store that has
 * emptied or for a mapping that is not the store's. What can still happen to is the one piece that the thread has in
 * hand, and what is given back while the thread was stopped in the few instructions that hold the lock.
 *
 * It starts with the first request, which only a store of some MiB makes; it belongs to the process and not
 * to an engine. The child of a fork has no such thread, and asks in vain. */
#include "store.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __linux__
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since 5.14; the C library may be older than the kernel */
#endif

#define REQUESTS_MAX 64
#define PIECE_BYTES ((size_t)16 << 10)
/* address space; what the C library keeps for each thread comes out of it too */
#define STACK_BYTES ((size_t)256 << 10)

typedef struct Request {
    uint8_t *start; /* first byte that is still to be prefaulted */
    size_t bytes;   /* 0: withdrawn */
} Request;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    Request ring[REQUESTS_MAX];
    size_t head, tail; /* requests finished, and requests made */
    bool started, refused;
} requests = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER};

/* Splits the first request's next piece off; behind its last one it is done. */
static Request next_piece(size_t piece_bytes) {
    Request *first = &requests.ring[requests.head % REQUESTS_MAX];
    Request piece = {first->start, first->bytes < piece_bytes ? first->bytes : piece_bytes};
    first->start += piece.bytes;
    first->bytes -= piece.bytes;
    if (!first->bytes)
        requests.head++;
    return piece;
}

static void *work(void *nothing) {
    struct sched_param lowest = {.sched_priority = 0};
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), piece_bytes = page_bytes > PIECE_BYTES ? page_bytes
        : PIECE_BYTES;
    (void)nothing;
    pthread_setname_np(pthread_self(), "respram-pages");
    bool gives_way = pthread_setschedparam(pthread_self(), SCHED_IDLE, &lowest) == 0;
    pthread_mutex_lock(&requests.lock);
    requests.refused = !gives_way;
    while (gives_way) {
        while (requests.head == requests.tail)
            pthread_cond_wait(&requests.asked, &requests.lock);
        size_t number = requests.head;
        Request piece = next_piece(piece_bytes);
        pthread_mutex_unlock(&requests.lock);
        bool done = !piece.bytes || madvise(piece.start, piece.bytes, MADV_POPULATE_WRITE) == 0;
        pthread_mutex_lock(&requests.lock);
        if (!done && requests.head == number) /* there is no memory, which the loop will notice */
            requests.head++;
    }
    pthread_mutex_unlock(&requests.lock);
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
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the thread: other threads handle signals */
    bool done = pthread_create(&thread, &attributes, work, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return done;
}

bool prefault_ask(void *from, size_t bytes) {
    if (pthread_mutex_trylock(&requests.lock) != 0)
        return false; /* the thread is taking a request, or this is the child of a fork */
    if (!requests.started) {
        requests.started = true;
        requests.refused = !start();
    }
    bool taken = !requests.refused && requests.tail - requests.head < REQUESTS_MAX;
    if (taken) {
        requests.ring[requests.tail++ % REQUESTS_MAX] = (Request){from, bytes};
        pthread_cond_signal(&requests.asked);
    }
    pthread_mutex_unlock(&requests.lock);
    return taken;
}

void pages_withdraw(const void *from, size_t bytes) {
    const uint8_t *start = from;
    if (pthread_mutex_trylock(&requests.lock) != 0)
        return;
    for (size_t number = requests.head; number != requests.tail; number++) {
        Request *request = &requests.ring[number % REQUESTS_MAX];
        if (request->start < start + bytes && start < request->start + request->bytes)
            request->bytes = 0;
    }
    pthread_mutex_unlock(&requests.lock);
}
#else
bool prefault_ask(void *from, size_t bytes) {
    (void)from;
    (void)bytes;
    return false;
}

void pages_withdraw(const void *from, size_t bytes) {
    (void)from;
    (void)bytes;
}
#endif
