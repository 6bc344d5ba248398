/* PUBLISH to the listeners of this node. The twin of pure/channels.py.
 *
 * `dispatch` reports the subscriptions, and keeps them too, for PUBSUB and for all that is not plain: a node with more
 * patterns than PATTERNS_MAX, a publisher that listens itself, a message that is too much for one delivery.
 *
 * A message becomes a frame in the `frames` of each listener. The caller of `feed` delivers them before anything else
 * is sent to those sessions, and before Python runs: many messages to one client leave in one call of the kernel.
 * Listeners are chained twice: by channel, in the order in which they came, and by session, for its end. A third chain
 * finds the pair.
 */
#include "hot.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 16
#define FRAMES_BYTES_MAX ((size_t)1 << 20) /* see api.py */
#define SPREAD_BYTES_MAX ((size_t)1 << 20)
#define SPARE_KEPT_BYTES_MAX 65536
#define FRAME_HEAD_BYTES 80 /* bound of its fixed parts and three lengths */
#define PATTERNS_MAX 64 /* see api.py */
#define LISTENERS_MAX 512 /* see api.py */
#define SEND_BYTES 4096 /* of replies: a send to one more client counts as many */
#define PATTERNS_STEPS_MAX ((uint64_t)1 << 16)
#define OF_PATTERNS UINT64_C(0x9e3779b97f4a7c15)

struct Channel { /* a channel, or a pattern of channels */
    Channel *next;
    uint64_t hash;
    Subscription *first, *last;
    Channel *pattern_before, *pattern_after;
    Glob *glob; /* of a pattern: compiled at its first comparison */
    bool is_pattern;
    size_t count, len;
    uint8_t name[];
};

struct Subscription {
    Session *session;
    Channel *channel;
    Subscription *before, *after;         /* neighbours in the channel's list */
    Subscription *own_before, *own_after; /* neighbours in the session's list */
    Subscription *chained;                /* next one in the hash chain */
};

/* -- the three chains ----------------------------------------------------------------------------- */
static size_t pair_hash(const Channel *channel, const Session *session) {
    uint64_t mixed = (uint64_t)(uintptr_t)channel * UINT64_C(0x9e3779b97f4a7c15)
                     ^ (uint64_t)(uintptr_t)session * UINT64_C(0xd6e8feb86659fd93);
    return (size_t)(mixed ^ mixed >> 29);
}

static bool is_named(const Channel *channel, uint64_t hash, Span name, bool is_pattern) {
    return channel->hash == hash && channel->len == name.len && channel->is_pattern == is_pattern
           && (!name.len || !memcmp(channel->name, name.bytes, name.len));
}

static uint64_t name_hash(const Engine *engine, Span name, bool is_pattern) {
    return keyspace_hash(engine, name) ^ (is_pattern ? OF_PATTERNS : 0);
}

static Channel *channel_find(const Channels *channels, uint64_t hash, Span name, bool is_pattern) {
    if (!channels->count)
        return NULL;
    Channel *channel = channels->named[hash & (channels->named_buckets - 1)];
    while (channel && !is_named(channel, hash, name, is_pattern))
        channel = channel->next;
    return channel;
}

static Subscription **pair_find(const Channels *channels, const Channel *channel, const Session *session) {
    Subscription **at = &channels->pairs[pair_hash(channel, session) & (channels->pair_buckets - 1)];
    while (*at && !((*at)->channel == channel && (*at)->session == session))
        at = &(*at)->chained;
    return at;
}

/* Twice the buckets, before there are more channels than these. */
static bool named_grow(Channels *channels) {
    if (channels->count < channels->named_buckets)
        return true;
    size_t buckets = channels->named_buckets ? 2 * channels->named_buckets : BUCKETS_MIN;
    Channel **named = calloc(buckets, sizeof *named);
    if (!named)
        return false;
    for (size_t bucket = 0; bucket < channels->named_buckets; bucket++)
        for (Channel *channel = channels->named[bucket], *next; channel; channel = next) {
            next = channel->next;
            channel->next = named[channel->hash & (buckets - 1)];
            named[channel->hash & (buckets - 1)] = channel;
        }
    free(channels->named);
    channels->named = named;
    channels->named_buckets = buckets;
    return true;
}

static bool pairs_grow(Channels *channels) {
    if (channels->pair_count < channels->pair_buckets)
        return true;
    size_t buckets = channels->pair_buckets ? 2 * channels->pair_buckets : BUCKETS_MIN;
    Subscription **pairs = calloc(buckets, sizeof *pairs);
    if (!pairs)
        return false;
    for (size_t bucket = 0; bucket < channels->pair_buckets; bucket++)
        for (Subscription *pair = channels->pairs[bucket], *chained; pair; pair = chained) {
            chained = pair->chained;
            Subscription **at = &pairs[pair_hash(pair->channel, pair->session) & (buckets - 1)];
            pair->chained = *at;
            *at = pair;
        }
    free(channels->pairs);
    channels->pairs = pairs;
    channels->pair_buckets = buckets;
    return true;
}

static bool waiting_grow(Channels *channels) {
    if (channels->subscribers < channels->waiting_capacity)
        return true;
    size_t capacity = channels->waiting_capacity ? 2 * channels->waiting_capacity : BUCKETS_MIN;
    Session **waiting = malloc(capacity * sizeof *waiting);
    if (!waiting)
        return false;
    if (channels->waiting_count)
        memcpy(waiting, channels->waiting, channels->waiting_count * sizeof *waiting);
    free(channels->waiting);
    channels->waiting = waiting;
    channels->waiting_capacity = capacity;
    return true;
}

static Channel *channel_made(Channels *channels, uint64_t hash, Span name, bool is_pattern) {
    Channel *channel = channel_find(channels, hash, name, is_pattern);
    if (channel)
        return channel;
    if (!named_grow(channels) || !(channel = calloc(1, sizeof *channel + name.len)))
        return NULL;
    channel->hash = hash;
    channel->len = name.len;
    if (name.len)
        memcpy(channel->name, name.bytes, name.len);
    channel->next = channels->named[hash & (channels->named_buckets - 1)];
    channels->named[hash & (channels->named_buckets - 1)] = channel;
    channels->count++;
    if ((channel->is_pattern = is_pattern)) {
        channel->pattern_before = channels->pattern_last;
        *(channels->pattern_last ? &channels->pattern_last->pattern_after : &channels->pattern_first) = channel;
        channels->pattern_last = channel;
        channels->pattern_count++;
        channels->pattern_bytes += name.len;
    }
    return channel;
}

static void channel_drop(Channels *channels, Channel *channel) {
    Channel **at = &channels->named[channel->hash & (channels->named_buckets - 1)];
    while (*at != channel)
        at = &(*at)->next;
    *at = channel->next;
    channels->count--;
    if (channel->is_pattern) {
        Channel *before = channel->pattern_before, *after = channel->pattern_after;
        *(before ? &before->pattern_after : &channels->pattern_first) = after;
        *(after ? &after->pattern_before : &channels->pattern_last) = before;
        channels->pattern_count--;
        channels->pattern_bytes -= channel->len;
        if (channel->glob)
            glob_free(channel->glob);
    }
    free(channel);
}

/* -- who listens ---------------------------------------------------------------------------------- */
/* False: there is no memory, and nothing has changed. */
bool channels_listen(Engine *engine, Session *session, Span name, bool is_pattern) {
    Channels *channels = &engine->channels;
    Subscriber *subscriber = &session->subscriber;
    always(!subscriber->channels || subscriber->channels == channels);
    uint64_t hash = name_hash(engine, name, is_pattern);
    if (!pairs_grow(channels) || (!subscriber->first && !waiting_grow(channels)))
        return false;
    Channel *channel = channel_made(channels, hash, name, is_pattern);
    if (!channel)
        return false;
    if (*pair_find(channels, channel, session))
        return true;
    Subscription *pair = calloc(1, sizeof *pair);
    if (!pair) {
        if (!channel->count)
            channel_drop(channels, channel);
        return false;
    }
    pair->session = session;
    pair->channel = channel;
    pair->before = channel->last;
    *(channel->last ? &channel->last->after : &channel->first) = pair;
    channel->last = pair;
    channel->count++;
    if (!subscriber->first && !subscriber->place)
        channels->subscribers++;
    pair->own_after = subscriber->first;
    if (subscriber->first)
        subscriber->first->own_before = pair;
    subscriber->first = pair;
    subscriber->channels = channels;
    *pair_find(channels, channel, session) = pair;
    channels->pair_count++;
    return true;
}

/* Takes it out of all chains. Its channel goes with its last listener. */
static void pair_drop(Channels *channels, Subscription *pair) {
    Channel *channel = pair->channel;
    Subscriber *subscriber = &pair->session->subscriber;
    *pair_find(channels, channel, pair->session) = pair->chained;
    *(pair->before ? &pair->before->after : &channel->first) = pair->after;
    *(pair->after ? &pair->after->before : &channel->last) = pair->before;
    *(pair->own_before ? &pair->own_before->own_after : &subscriber->first) = pair->own_after;
    if (pair->own_after)
        pair->own_after->own_before = pair->own_before;
    free(pair);
    channels->pair_count--;
    if (!--channel->count)
        channel_drop(channels, channel);
    if (!subscriber->first && !subscriber->place)
        channels->subscribers--;
}

/* What was published before is delivered all the same. */
void channels_unlisten(Engine *engine, Session *session, Span name, bool is_pattern) {
    Channels *channels = &engine->channels;
    Channel *channel = channel_find(channels, name_hash(engine, name, is_pattern), name, is_pattern);
    Subscription *pair = channel ? *pair_find(channels, channel, session) : NULL;
    if (pair)
        pair_drop(channels, pair);
}

static void stop_waiting(Channels *channels, Subscriber *subscriber) {
    Session *last = channels->waiting[--channels->waiting_count];
    channels->waiting[subscriber->place - 1] = last;
    last->subscriber.place = subscriber->place;
    subscriber->place = 0;
    channels->frames_bytes -= subscriber->frames.len;
    if (!subscriber->first)
        channels->subscribers--;
}

void channels_leave(Session *session) {
    Subscriber *subscriber = &session->subscriber;
    Channels *channels = subscriber->channels;
    if (channels) {
        while (subscriber->first)
            pair_drop(channels, subscriber->first);
        if (subscriber->place)
            stop_waiting(channels, subscriber);
    }
    subscriber->channels = NULL;
    buffer_clear(&subscriber->frames, 0);
}

/* -- what is published ---------------------------------------------------------------------------- */
static uint8_t *put(uint8_t *out, const void *bytes, size_t len) {
    if (len)
        memcpy(out, bytes, len);
    return out + len;
}

static uint8_t *put_bulk(uint8_t *out, Span bulk) {
    *out++ = '$';
    out += digits_of((int64_t)bulk.len, out);
    out = put(out, "\r\n", 2);
    out = put(out, bulk.bytes, bulk.len);
    return put(out, "\r\n", 2);
}

/* A listener's frames have room for one more. Whether it waits for a delivery only now. */
static bool hand_over(Channels *channels, const Channel *of, Session *session, Span name, Span message) {
    Subscriber *subscriber = &session->subscriber;
    Buffer *frames = &subscriber->frames;
    uint8_t *out = frames->bytes + frames->len;
    *out++ = session->proto == 3 ? '>' : '*';
    if (of->is_pattern)
        out = put_bulk(put(out, "4\r\n$8\r\npmessage\r\n", 17), (Span){of->name, of->len});
    else
        out = put(out, "3\r\n$7\r\nmessage\r\n", 16);
    out = put_bulk(put_bulk(out, name), message);
    size_t len = (size_t)(out - frames->bytes) - frames->len;
    frames->len += len;
    always(frames->len <= frames->capacity);
    channels->frames_bytes += len;
    if (subscriber->place)
        return false;
    always(channels->waiting_count < channels->waiting_capacity);
    channels->waiting[channels->waiting_count++] = session;
    subscriber->place = channels->waiting_count;
    return true;
}

static bool has_room(Channels *channels, Subscriber *subscriber, size_t bytes) {
    Buffer *frames = &subscriber->frames;
    if (!frames->bytes) {
        *frames = channels->spare;
        channels->spare = (Buffer){0};
    }
    return buffer_reserve(frames, bytes);
}

/* For the peers, which get it with the writes before it. False: there is no room, and `dispatch` makes some. */
static bool can_spread(Channels *channels, size_t bytes) {
    return !channels->spreads
           || (channels->spread.len + bytes <= SPREAD_BYTES_MAX && buffer_reserve(&channels->spread, bytes));
}

static void spread(Channels *channels, Span name, Span message) {
    uint32_t lengths[2] = {(uint32_t)name.len, (uint32_t)message.len};
    buffer_append(&channels->spread, lengths, sizeof lengths); /* all three have room */
    buffer_append(&channels->spread, name.bytes, name.len);
    buffer_append(&channels->spread, message.bytes, message.len);
}

/* Whose listeners get it: the channel, and patterns that match. False: it is for `dispatch`. */
static bool find_all(Channels *channels, uint64_t hash, Span name, const Channel **found, size_t *count) {
    const Channel *channel = channel_find(channels, hash, name, false);
    *count = 0;
    if (channel)
        found[(*count)++] = channel;
    if (likely(!channels->pattern_first))
        return true;
    if (channels->pattern_count > PATTERNS_MAX || channels->pattern_bytes * (name.len + 1) > PATTERNS_STEPS_MAX)
        return false;
    for (Channel *pattern = channels->pattern_first; pattern; pattern = pattern->pattern_after) {
        if (!pattern->glob && !(pattern->glob = glob_compile((Span){pattern->name, pattern->len})))
            return false;
        if (glob_match(pattern->glob, name))
            found[(*count)++] = pattern;
    }
    return true;
}

/* Room for a frame of each in the frames of everybody, and one more than their bytes together; 0: there is none. */
static size_t make_room(Channels *channels, const Channel **found, size_t count, size_t bytes, size_t *listeners) {
    size_t each = 0, all = 0;
    *listeners = 0;
    for (size_t number = 0; number < count; number++) {
        size_t frame = bytes + (found[number]->is_pattern ? found[number]->len : 0);
        if (found[number]->count > FRAMES_BYTES_MAX / frame)
            return 0;
        each += frame;
        all += frame * found[number]->count;
        *listeners += found[number]->count;
    }
    if (all > FRAMES_BYTES_MAX - channels->frames_bytes || *listeners > LISTENERS_MAX)
        return 0;
    for (size_t number = 0; number < count; number++)
        for (const Subscription *pair = found[number]->first; pair; pair = pair->after)
            if (!has_room(channels, &pair->session->subscriber, each))
                return 0;
    return all + 1;
}

HANDLER(publish) {
    (void)now_ms;
    Channels *channels = &engine->channels;
    if (command->argc != 3 || !engine->hot_writes || session->subscriber.first || channels->behind)
        return false;
    if (unlikely(engine->notes.len || engine->notes_lost))
        return false; /* a client that tracks a key is told of its change before it sees a later message */
    Span name = command_arg(command, 1), message = command_arg(command, 2);
    size_t bytes = FRAME_HEAD_BYTES + name.len + message.len, count, listeners;
    const Channel *found[PATTERNS_MAX + 1];
    if (name.len > FRAMES_BYTES_MAX || message.len > FRAMES_BYTES_MAX || !reply_reserve(engine, REPLY_HEAD_BYTES)
        || !can_spread(channels, bytes))
        return false;
    always(channels->frames_bytes <= FRAMES_BYTES_MAX);
    if (!find_all(channels, keyspace_hash(engine, name), name, found, &count))
        return false;
    size_t room = make_room(channels, found, count, bytes, &listeners), sends = 0;
    if (!room)
        return false;
    for (size_t number = 0; number < count; number++)
        for (const Subscription *pair = found[number]->first; pair; pair = pair->after)
            sends += hand_over(channels, found[number], pair->session, name, message);
    if (channels->spreads)
        spread(channels, name, message);
    engine->feed.bytes_left -= (int64_t)(room + sends * SEND_BYTES);
    reply_integer(engine, ':', (int64_t)listeners);
    return true;
}

/* -- delivery ------------------------------------------------------------------------------------- */
Session *channels_deliver(Engine *engine, Buffer *frames) {
    Channels *channels = &engine->channels;
    if (!channels->waiting_count)
        return NULL;
    Session *session = channels->waiting[channels->waiting_count - 1];
    stop_waiting(channels, &session->subscriber);
    *frames = session->subscriber.frames;
    session->subscriber.frames = (Buffer){0};
    return session;
}

/* They are sent, or copied: wiped now. */
void channels_delivered(Engine *engine, Buffer *frames) {
    Buffer *spare = &engine->channels.spare;
    buffer_clear(frames, spare->bytes ? 0 : SPARE_KEPT_BYTES_MAX);
    if (!spare->bytes)
        *spare = *frames;
}

void channels_free(Engine *engine) {
    Channels *channels = &engine->channels;
    while (channels->waiting_count)
        stop_waiting(channels, &channels->waiting[channels->waiting_count - 1]->subscriber);
    for (size_t bucket = 0; bucket < channels->pair_buckets; bucket++)
        while (channels->pairs[bucket]) {
            Session *session = channels->pairs[bucket]->session;
            channels_leave(session);
        }
    free(channels->named);
    free(channels->pairs);
    free(channels->waiting);
    buffer_clear(&channels->spare, 0);
    buffer_clear(&channels->spread, 0);
}
