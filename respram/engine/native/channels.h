/* Channels and their listeners: what `channels.c` needs of a session, and the engine of all sessions. */
#ifndef RESPRAM_CHANNELS_H
#define RESPRAM_CHANNELS_H

#include "store.h"

typedef struct Channel Channel;
typedef struct Subscription Subscription;
struct Session;

typedef struct Subscriber { /* of a session */
    Subscription *first;
    struct Channels *channels; /* NULL: it has never listened, or they are gone */
    Buffer frames;             /* what was published to it and is not delivered yet */
    size_t place;              /* among those that wait for a delivery, from 1 on; 0: it is not */
    int outlet;                /* how whoever delivers finds its client at once; below 0: he does not */
    void *object;              /* whose session it is */
} Subscriber;

typedef struct Channels {
    Channel **named; /* chains by the hash of the name */
    Subscription **pairs; /* chains by channel and session */
    size_t named_buckets, pair_buckets, count, pair_count;
    struct Session **waiting; /* room for each that listens: a delivery is noted without fail */
    size_t waiting_count, waiting_capacity, subscribers;
    size_t frames_bytes; /* of all that wait */
    Buffer spare;        /* the frames of the last delivery had this memory */
    Buffer spread;       /* for the peers: u32 channel bytes, u32 message bytes, channel, message */
    bool spreads;        /* there may be peers: what is published is kept for them */
    Channel *pattern_first, *pattern_last; /* in the order in which they came */
    size_t pattern_count, pattern_bytes;
} Channels;

struct Engine;
bool channels_listen(struct Engine *engine, struct Session *session, Span name, bool is_pattern);
void channels_unlisten(struct Engine *engine, struct Session *session, Span name, bool is_pattern);
void channels_leave(struct Session *session); /* for good: nothing is delivered to it any more */
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
bool patterns_add(Patterns *patterns, Span pattern); /* at place `count` */
void patterns_remove(Patterns *patterns, size_t place); /* the last takes its place */
bool patterns_next(const Patterns *patterns, Span text, size_t *place); /* that matches, from a place on */
void patterns_free(Patterns *patterns);

#endif
