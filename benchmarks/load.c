/* The load: a client in one thread for what redis-benchmark cannot do.

   It speaks to memcached, keeps a fixed rate, writes every key once in order, gives each key its own deadline, and
   watches with one more connection that does nothing but PING, in the same loop as the load: a prober in a process
   of its own would measure how long the load's process keeps it from the processor.

   At a fixed rate a request is timed from when it was due, not from when it was sent, so a server that stalls is
   charged for all who would have come meanwhile. Without a rate each connection sends a batch, waits for all of its
   replies, and sends the next; each reply is timed from its batch's send, as redis-benchmark does.

   Data: each connection has a ring of times, one per batch on its way, and a counter of replies still missing in the
   oldest. Replies are not kept: a line is collected (64 bytes are enough for all that matter), a body is skipped.
   Times go into a histogram of 64 steps per power of two (at most 1.6% wide); the longest is kept exactly.

   `load --help` lists the options. Prints one line of JSON. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 4096,
    PIPELINE_MAX = 1024,
    VALUE_BYTES_MAX = 1 << 20,
    RING = 8192,        /* batches of one connection on their way; a full ring counts as overrun */
    READ_BYTES = 256 * 1024,
    LINE_BYTES = 64,
    KEYS_PER_MGET = 100,
    KEY_BYTES = 16,
    STEPS = 128,        /* of the histogram: all below 2^7 ns, then the upper half of each power of two */
    POWERS = 40,        /* 2^40 ns are 18 minutes */
    IDLE_S_MAX = 20,    /* without any reply: the server is dead */
    PROBE_GAP_NS = 50 * 1000, /* between a reply and the prober's next PING */
    WAIT_TOLD_NS = 500 * 1000, /* a wait of the prober that is told with its moment */
    WAITS_MAX = 1 << 16,
};

enum op { OP_GET, OP_SET, OP_MGET, OP_PING, OP_IDLE };

static struct {
    int port, connections, pipeline, memcache, sequential, probe;
    enum op op;
    int64_t requests, rate, keys, first, value_bytes, ttl_ms, due_ms, spread_ms;
    double seconds;
} want = {.connections = 50, .pipeline = 1, .keys = 1, .value_bytes = 64};

struct histogram {
    uint64_t counts[STEPS * POWERS];
    uint64_t total, over_2ms;
    int64_t longest;
};

struct connection {
    int fd;
    char *out;            /* what is still to be sent, from `sent` to `queued` */
    size_t sent, queued, room;
    int64_t skip;         /* bytes of a body that are still to come */
    char line[LINE_BYTES];
    size_t line_bytes;
    int writing;          /* EPOLLOUT is watched */
    uint32_t head, tail;  /* of the ring */
    int missing;          /* replies of the oldest batch that have not come */
    int64_t ring[RING];   /* when each batch began */
};

static struct connection *connections, prober;
static struct histogram times, probes;
static struct { int64_t start, length; } waits[WAITS_MAX]; /* of the prober, the long ones, by CLOCK_MONOTONIC */
static size_t waits_told;
static uint64_t errors, misses, values, overruns, replies;
static int64_t issued, next_key, last_reply;
static uint64_t chance = 0x9e3779b97f4a7c15u;
static char *body, input[READ_BYTES];
static int loop;

static void die(const char *what) {
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static int64_t clock_ns(clockid_t which) {
    struct timespec now;
    clock_gettime(which, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* -- times ----------------------------------------------------------------------------------------- */
static void note(struct histogram *h, int64_t ns) {
    if (ns < 0) ns = 0;
    if (ns > h->longest) h->longest = ns;
    if (ns > 2000000) h->over_2ms++;
    h->total++;
    uint64_t value = (uint64_t)ns;
    int power = value < STEPS ? 0 : 63 - __builtin_clzll(value) - 6; /* value >> power has 7 bits: 64..127 */
    uint64_t at = power == 0 ? value : (uint64_t)power * STEPS + (value >> power);
    if (at >= STEPS * POWERS) at = STEPS * POWERS - 1;
    h->counts[at]++;
}

static double percentile_us(const struct histogram *h, double share) {
    uint64_t passed = 0, limit = (uint64_t)(share * (double)h->total);
    if (h->total == 0) return 0;
    for (uint64_t at = 0; at < STEPS * POWERS; at++) {
        passed += h->counts[at];
        if (passed > limit) {
            double us = (double)((at % STEPS) << (at / STEPS)) / 1000;
            return us < (double)h->longest / 1000 ? us : (double)h->longest / 1000;
        }
    }
    return (double)h->longest / 1000;
}

/* -- requests -------------------------------------------------------------------------------------- */
static int64_t draw_key(void) {
    if (want.sequential) return want.first + next_key++ % want.keys;
    chance ^= chance << 13; /* xorshift64 */
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return want.first + (int64_t)(chance % (uint64_t)want.keys);
}

static void append(struct connection *c, const char *text, size_t bytes) {
    if (c->queued + bytes > c->room) {
        c->room = 2 * (c->queued + bytes);
        c->out = realloc(c->out, c->room);
        if (c->out == NULL) die("out of memory");
    }
    memcpy(c->out + c->queued, text, bytes);
    c->queued += bytes;
}

static void append_key(struct connection *c, int64_t key) {
    char text[KEY_BYTES + 1] = "key:000000000000";
    for (int at = KEY_BYTES - 1; at > 3; at--, key /= 10) text[at] = (char)('0' + key % 10);
    append(c, text, KEY_BYTES);
}

static void append_set(struct connection *c) {
    char text[96];
    int64_t key = draw_key(), ttl_ms = want.ttl_ms;
    int64_t due_ms = want.due_ms + (key - want.first) * want.spread_ms / want.keys;
    if (want.memcache) {
        append(c, "set ", 4);
        append_key(c, key);
        append(c, text, (size_t)snprintf(text, sizeof text, " 0 %lld %lld\r\n", (long long)(ttl_ms / 1000),
            (long long)want.value_bytes));
        append(c, body, (size_t)want.value_bytes + 2);
        return;
    }
    append(c, "*5\r\n$3\r\nSET\r\n$16\r\n", 18);
    append_key(c, key);
    append(c, text, (size_t)snprintf(text, sizeof text, "\r\n$%lld\r\n", (long long)want.value_bytes));
    append(c, body, (size_t)want.value_bytes + 2);
    char number[24];
    int digits = snprintf(number, sizeof number, "%lld", (long long)(want.due_ms ? due_ms : ttl_ms / 1000));
    const char *word = want.due_ms ? "$4\r\nPXAT" : "$2\r\nEX";
    append(c, text, (size_t)snprintf(text, sizeof text, "%s\r\n$%d\r\n%s\r\n", word, digits, number));
}

static void append_request(struct connection *c, enum op op) {
    if (op == OP_SET) {
        append_set(c);
    } else if (op == OP_PING) {
        if (want.memcache) append(c, "version\r\n", 9);
        else append(c, "*1\r\n$4\r\nPING\r\n", 14);
    } else if (op == OP_GET && !want.memcache) {
        append(c, "*2\r\n$3\r\nGET\r\n$16\r\n", 18);
        append_key(c, draw_key());
        append(c, "\r\n", 2);
    } else { /* memcached's get takes any number of keys */
        append(c, "get", 3);
        for (int i = 0; i < (op == OP_MGET ? KEYS_PER_MGET : 1); i++) {
            append(c, " ", 1);
            append_key(c, draw_key());
        }
        append(c, "\r\n", 2);
    }
}

static void watch(struct connection *c, int writing, int how) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(loop, how, c->fd, &event) != 0) die("epoll_ctl");
    c->writing = writing;
}

static void flush(struct connection *c) {
    while (c->sent < c->queued) {
        ssize_t done = send(c->fd, c->out + c->sent, c->queued - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0 && errno == EAGAIN) break;
        if (done <= 0) die("the server closed a connection");
        c->sent += (size_t)done;
    }
    if (c->sent == c->queued) c->sent = c->queued = 0;
    if (c->writing != (c->queued > 0)) watch(c, c->queued > 0, EPOLL_CTL_MOD);
}

/* One batch that began at `began`; 0 where the ring is full. */
static int begin(struct connection *c, int64_t began, enum op op, int count) {
    if (c->tail - c->head == RING) return 0;
    if (c->head == c->tail) c->missing = count;
    c->ring[c->tail++ % RING] = began;
    for (int i = 0; i < count; i++) append_request(c, op);
    flush(c);
    return 1;
}

static int more_to_send(int64_t now, int64_t end) {
    return want.op != OP_IDLE && now < end && (want.requests == 0 || issued < want.requests);
}

/* -- replies --------------------------------------------------------------------------------------- */
static void complete(struct connection *c, int64_t now, int64_t end) {
    struct histogram *h = c == &prober ? &probes : &times;
    if (c->head == c->tail) die("a reply that nobody asked for");
    int64_t began = c->ring[c->head % RING];
    note(h, now - began);
    if (c == &prober && now - began >= WAIT_TOLD_NS && waits_told < WAITS_MAX) {
        waits[waits_told].start = began;
        waits[waits_told++].length = now - began;
    }
    last_reply = now;
    if (c != &prober) replies++;
    if (--c->missing > 0) return;
    c->head++;
    c->missing = c == &prober ? 1 : want.pipeline;
    if (c != &prober && want.rate == 0 && more_to_send(now, end)) {
        issued += want.pipeline;
        begin(c, now, want.op, want.pipeline);
    }
}

/* A whole line, without its end: 1 when it ends a reply. */
static int take_line(struct connection *c) {
    const char *line = c->line;
    if (want.memcache) {
        if (memcmp(line, "VALUE ", 6) == 0) {
            const char *length = strrchr(line, ' ');
            values++;
            c->skip = strtoll(length, NULL, 10) + 2;
            return 0;
        }
        if (memcmp(line, "END", 3) == 0 || memcmp(line, "STORED", 6) == 0 || memcmp(line, "VERSION", 7) == 0) return 1;
        errors++;
        return 1;
    }
    if (line[0] == '$') {
        int64_t length = strtoll(line + 1, NULL, 10);
        if (length < 0) {
            misses++;
            return 1;
        }
        c->skip = length + 2;
        return 2;
    }
    if (line[0] == '-' && errors++ == 0) fprintf(stderr, "load: error reply: %.60s\n", line);
    return 1;
}

static void receive(struct connection *c, int64_t end) {
    ssize_t got = recv(c->fd, input, sizeof input, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) die("the server closed a connection");
    int64_t now = now_ns();
    const char *at = input, *stop = input + got;
    while (at < stop) {
        if (c->skip > 0) {
            int64_t here = stop - at < c->skip ? stop - at : c->skip;
            at += here;
            c->skip -= here;
            if (c->skip == 0 && !want.memcache) complete(c, now, end);
            continue;
        }
        const char *newline = memchr(at, '\n', (size_t)(stop - at));
        size_t bytes = (size_t)((newline ? newline : stop) - at), room = LINE_BYTES - 1 - c->line_bytes;
        memcpy(c->line + c->line_bytes, at, bytes < room ? bytes : room);
        c->line_bytes += bytes < room ? bytes : room;
        at += bytes + (newline != NULL);
        if (newline == NULL) break;
        c->line[c->line_bytes] = 0;
        c->line_bytes = 0;
        if (take_line(c) == 1) complete(c, now, end);
        memset(c->line, 0, sizeof c->line);
    }
}

/* -- the run --------------------------------------------------------------------------------------- */
static void dial(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)want.port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
}

static void run(int64_t start, int64_t end) {
    struct epoll_event events[512];
    int64_t batches = 0, probe_at = start;
    double interval_ns = want.rate ? 1e9 * want.pipeline / (double)want.rate : 0;
    last_reply = start;
    if (want.rate == 0)
        for (int i = 0; i < want.connections && more_to_send(start, end); i++) {
            issued += want.pipeline;
            begin(&connections[i], now_ns(), want.op, want.pipeline);
        }
    for (;;) {
        int64_t now = now_ns();
        while (want.rate && more_to_send(now, end)) {
            int64_t due = start + (int64_t)(interval_ns * (double)batches);
            if (due > now) break;
            issued += want.pipeline;
            if (!begin(&connections[batches++ % want.connections], due, want.op, want.pipeline)) {
                overruns += (uint64_t)want.pipeline;
                issued -= want.pipeline;
            }
            now = now_ns();
        }
        int working = (uint64_t)issued > replies || more_to_send(now, end) || (want.op == OP_IDLE && now < end);
        if (want.probe && prober.head == prober.tail && working && now >= probe_at) begin(&prober, now, OP_PING, 1);
        if (!working && prober.head == prober.tail) return;
        if (now - last_reply > IDLE_S_MAX * 1000000000ll) die("no reply for 20 s");
        /* With a rate or a prober the next act may be due before any event: poll. */
        int count = epoll_wait(loop, events, 512, want.rate || want.probe ? 0 : 100);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                receive(c, end);
                if (c == &prober && c->head == c->tail) probe_at = now_ns() + PROBE_GAP_NS;
            }
        }
    }
}

static void print_histogram(const char *name, const struct histogram *h) {
    printf("\"%s\": {\"count\": %llu, \"p50_us\": %.3f, \"p99_us\": %.3f, "
           "\"p999_us\": %.3f, \"max_us\": %.3f, \"over_2ms\": %llu}",
           name, (unsigned long long)h->total, percentile_us(h, 0.5), percentile_us(h, 0.99), percentile_us(h, 0.999),
           (double)h->longest / 1000, (unsigned long long)h->over_2ms);
}

static void usage(int code) {
    fprintf(code ? stderr : stdout,
            "usage: load --port PORT --op get|set|mget|ping|idle [--requests N] [--seconds S] [--rate COMMANDS_PER_S]\n"
            "  [--connections N] [--pipeline N] [--keys N] [--first N] [--sequential] [--value-bytes N] [--ttl-ms N]\n"
            "  [--due-ms UNIX_MS --spread-ms N] [--memcache] [--probe]\n"
            "--due-ms gives key i the deadline due-ms + i * spread-ms / keys (PXAT); else --ttl-ms is all keys' life.\n"
            "--requests or --seconds must end it. --probe: one more connection that only says PING.\n"
            "mget: memcached only.\n");
    exit(code);
}

static int64_t number(const char *text, int64_t least, int64_t most) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most) {
        fprintf(stderr, "load: %s is no whole number from %lld to %lld\n", text, (long long)least, (long long)most);
        exit(2);
    }
    return value;
}

static void parse(int argc, char **argv) {
    static const struct option options[] = {
        {"port", 1, 0, 'p'}, {"op", 1, 0, 'o'}, {"requests", 1, 0, 'n'}, {"seconds", 1, 0, 's'}, {"rate", 1, 0, 'r'},
        {"connections", 1, 0, 'c'}, {"pipeline", 1, 0, 'P'}, {"keys", 1, 0, 'k'}, {"first", 1, 0, 'f'},
        {"sequential", 0, 0, 'q'},
        {"value-bytes", 1, 0, 'd'}, {"ttl-ms", 1, 0, 't'}, {"due-ms", 1, 0, 'u'}, {"spread-ms", 1, 0, 'e'},
        {"memcache", 0, 0, 'm'}, {"probe", 0, 0, 'b'}, {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
    static const char *const names[] = {"get", "set", "mget", "ping", "idle"};
    int which, op = -1;
    want.ttl_ms = 3600 * 1000;
    while ((which = getopt_long(argc, argv, "", options, NULL)) != -1) switch (which) {
        case 'p': want.port = (int)number(optarg, 1, 65535); break;
        case 'n': want.requests = number(optarg, 1, 1000000000); break;
        case 's': want.seconds = (double)number(optarg, 1, 3600); break;
        case 'r': want.rate = number(optarg, 1, 100000000); break;
        case 'c': want.connections = (int)number(optarg, 1, CONNECTIONS_MAX); break;
        case 'P': want.pipeline = (int)number(optarg, 1, PIPELINE_MAX); break;
        case 'k': want.keys = number(optarg, 1, 1000000000); break;
        case 'f': want.first = number(optarg, 0, 1000000000); break;
        case 'q': want.sequential = 1; break;
        case 'd': want.value_bytes = number(optarg, 0, VALUE_BYTES_MAX); break;
        case 't': want.ttl_ms = number(optarg, 1000, 31ll * 86400 * 1000); break;
        case 'u': want.due_ms = number(optarg, 1, INT64_MAX / 2); break;
        case 'e': want.spread_ms = number(optarg, 0, 86400 * 1000); break;
        case 'm': want.memcache = 1; break;
        case 'b': want.probe = 1; break;
        case 'o':
            for (int i = 0; i < 5; i++)
                if (strcmp(optarg, names[i]) == 0) op = i;
            break;
        case 'h': usage(0); break;
        default: usage(2);
        }
    if (op < 0 || want.port == 0 || (want.requests == 0 && want.seconds == 0)) usage(2);
    if ((op == OP_MGET && !want.memcache) || (op == OP_IDLE && !want.probe) || (want.due_ms && want.memcache)) usage(2);
    want.op = (enum op)op;
}

int main(int argc, char **argv) {
    parse(argc, argv);
    errno = 0;
    loop = epoll_create1(0);
    connections = calloc((size_t)want.connections, sizeof *connections);
    body = malloc((size_t)want.value_bytes + 2);
    if (loop < 0 || connections == NULL || body == NULL) die("out of memory");
    memset(body, 'x', (size_t)want.value_bytes);
    memcpy(body + want.value_bytes, "\r\n", 2);
    chance ^= (uint64_t)clock_ns(CLOCK_REALTIME);
    for (int i = 0; i < want.connections && want.op != OP_IDLE; i++) dial(&connections[i]);
    if (want.probe) dial(&prober);
    int64_t start = now_ns(), end = want.seconds > 0 ? start + (int64_t)(want.seconds * 1e9) : INT64_MAX;
    run(start, end);
    double seconds = (double)(now_ns() - start) / 1e9;
    if (want.memcache && (want.op == OP_GET || want.op == OP_MGET)) /* memcached leaves out what it does not have */
        misses = replies * (want.op == OP_MGET ? KEYS_PER_MGET : 1) - values;
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"errors\": %llu, \"misses\": %llu, \"overruns\": %llu, ",
           (unsigned long long)replies, seconds, (unsigned long long)errors, (unsigned long long)misses,
           (unsigned long long)overruns);
    print_histogram("times", &times);
    printf(", ");
    print_histogram("probe", &probes);
    printf(", \"waits\": [");
    for (size_t i = 0; i < waits_told; i++)
        printf("%s[%lld, %lld]", i ? ", " : "", (long long)waits[i].start, (long long)waits[i].length);
    printf("]}\n");
    return 0;
}
