/* Channels and their listeners: what `channels.c` needs of a session, and the engine of all sessions. */
#ifndef RESPRAM_CHANNELS_H
#define RESPRAM_CHANNELS_H

#include "store.h"

typedef struct Channel Channel;
typedef struct Subscription Subscription;
struct Session;

typedef struct Subscriber { /* subscriptions of a session */
    Subscription *first;
    struct Channels *channels; /* NULL: it has never subscribed, or the engine is gone */
    Buffer frames;             /* published to it, and not delivered yet */
    size_t place;              /* place among the sessions that wait for a delivery, from 1; 0: it does not wait */
    int outlet;                /* how the deliverer finds its client; negative: it cannot */
    void *object;              /* the binding's session object */
} Subscriber;

typedef struct Channels {
    Channel **named; /* hash chains by name */
    Subscription **pairs; /* hash chains by channel and session */
    size_t named_buckets, pair_buckets, count, pair_count;
    struct Session **waiting; /* has room for every subscriber, so noting a delivery cannot fail */
    size_t waiting_count, waiting_capacity, subscribers;
    size_t frames_bytes; /* of all waiting frames */
    Buffer spare;        /* memory of the last delivery's frames, for reuse */
    Buffer spread;       /* for the peers: u32 channel bytes, u32 message bytes, channel, message */
    bool spreads;        /* there may be peers: published messages are stored for them */
    bool behind;         /* `dispatch` still hands earlier messages over, and those that follow too */
    Channel *pattern_first, *pattern_last; /* in the order of their subscription */
    size_t pattern_count, pattern_bytes;
} Channels;

struct Engine;
bool channels_listen(struct Engine *engine, struct Session *session, Span name, bool is_pattern);
void channels_unlisten(struct Engine *engine, struct Session *session, Span name, bool is_pattern);
void channels_leave(struct Session *session); /* final: nothing more is delivered to it */
/* A session that waits for its frames, and the frames; NULL: none waits. */
struct Session *channels_deliver(struct Engine *engine, Buffer *frames);
void channels_delivered(struct Engine *engine, Buffer *frames);
void channels_free(struct Engine *engine);

/* patterns.c: channels are compared with these */
typedef struct Glob Glob;
typedef struct Patterns {
    Glob **globs;
    size_t count, capacity;
} Patterns;
bool patterns_add(Patterns *patterns, Span pattern); /* at index `count` */
void patterns_remove(Patterns *patterns, size_t place); /* the last one moves to its index */
bool patterns_next(const Patterns *patterns, Span text, size_t *place); /* finds the next match from an index on */
void patterns_free(Patterns *patterns);

#endif
