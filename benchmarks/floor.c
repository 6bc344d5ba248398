/* The floor: what a server costs that does nothing but epoll, read, count and write.

   It answers +OK to as many commands as there are asterisks in what it read. That is right for clients whose keys and
   values hold none, such as redis-benchmark's and ours, and it needs no state between two reads. Whatever a real
   server costs beyond this is its own doing: parsing, looking up, storing, telling the time.

   usage: floor PORT */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024, /* of one read */
    EVENTS_MAX = 1024,      /* of one turn */
    BACKLOG = 1024,         /* connections that wait to be accepted */
};

static char input[READ_BYTES];
static char output[READ_BYTES * 5]; /* one reply per asterisk at most */

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("bind");
    if (listen(fd, BACKLOG) != 0) fail("listen");
    return fd;
}

static void watch(int loop, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static void welcome(int loop, int listener) {
    int on = 1;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(loop, fd);
    }
}

static size_t count_commands(const char *at, const char *end) {
    size_t count = 0;
    while ((at = memchr(at, '*', (size_t)(end - at))) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* The clients here read whatever they asked for, so a write that would block is only tried again. */
static int send_all(int fd, const char *at, size_t left) {
    while (left > 0) {
        ssize_t sent = send(fd, at, left, MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            left -= (size_t)sent;
        } else if (errno != EAGAIN && errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static void serve(int fd) {
    ssize_t got = recv(fd, input, sizeof input, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || send_all(fd, output, 5 * count_commands(input, input + got)) != 0) close(fd);
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS_MAX];
    int port = argc == 2 ? atoi(argv[1]) : 0, loop = epoll_create1(0);
    if (port < 1 || port > 65535) {
        fprintf(stderr, "usage: floor PORT (1 to 65535)\n");
        return 2;
    }
    for (size_t at = 0; at < sizeof output; at += 5) memcpy(output + at, "+OK\r\n", 5);
    int listener = listen_on(port);
    watch(loop, listener);
    for (;;) {
        int count = epoll_wait(loop, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) welcome(loop, listener);
            else serve(events[i].data.fd);
        }
    }
}
