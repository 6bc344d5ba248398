/* The witness: when was a processor not to be had?

   It keeps to one processor, takes precedence over everything that is not the kernel (SCHED_FIFO), and wakes up every
   PERIOD. When it wakes late, nobody else ran either: the host had taken the processor away, or had a page of the
   machine's memory still to find, or the kernel let nobody in. A server that is busy with itself does not delay it.
   So what a client waited beyond the time in which the witness stood still is the server's own doing.

   Its memory is locked: it takes no page faults of its own.

   usage: witness PROCESSOR SECONDS_MAX
   Says "ready" on standard error; at SIGTERM, or after so long, prints one line of JSON: how often it woke, and when
   it should have woken and did not, as [start, length] in nanoseconds of CLOCK_MONOTONIC. Ends with 3 where it may
   not take precedence. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

enum {
    PERIOD_NS = 200 * 1000,
    LATE_NS = 200 * 1000,    /* to be told; below lies what a wake-up costs */
    GAPS_MAX = 1 << 16,
    PRIORITY = 50,
    SECONDS_LONGEST = 3600,
    REFUSED = 3,
};

static struct { int64_t start, length; } gaps[GAPS_MAX];
static volatile sig_atomic_t told_to_end;

static void end(int number) { (void)number; told_to_end = 1; }

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(int argc, char **argv) {
    int processor = argc == 3 ? atoi(argv[1]) : -1;
    long seconds = argc == 3 ? atol(argv[2]) : 0;
    if (processor < 0 || processor >= CPU_SETSIZE || seconds < 1 || seconds > SECONDS_LONGEST) {
        fprintf(stderr, "usage: witness PROCESSOR SECONDS_MAX\n");
        return 2;
    }
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(processor, &own);
    struct sched_param first = {.sched_priority = PRIORITY};
    struct sigaction action = {.sa_handler = end};
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigaction(SIGTERM, &action, NULL);
    if (sched_setaffinity(0, sizeof own, &own) != 0 || sched_setscheduler(0, SCHED_FIFO, &first) != 0 ||
        mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        perror("witness");
        return REFUSED;
    }
    int64_t due = now_ns(), last = due + seconds * 1000000000ll;
    uint64_t woken = 0, lost = 0;
    size_t count = 0;
    fprintf(stderr, "ready\n");
    while (!told_to_end && due < last) {
        due += PERIOD_NS;
        struct timespec at = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        int64_t now = now_ns();
        woken++;
        if (now - due < LATE_NS) continue;
        if (count < GAPS_MAX) {
            gaps[count].start = due;
            gaps[count++].length = now - due;
        } else {
            lost++;
        }
        due = now; /* what was missed is not made up for */
    }
    printf("{\"woken\": %llu, \"lost\": %llu, \"gaps\": [", (unsigned long long)woken, (unsigned long long)lost);
    for (size_t i = 0; i < count; i++)
        printf("%s[%lld, %lld]", i ? ", " : "", (long long)gaps[i].start, (long long)gaps[i].length);
    printf("]}\n");
    return 0;
}
