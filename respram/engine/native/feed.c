/* One call of `feed`: a batch of commands is parsed, prefetched and executed, then the next.
 *
 * The input is the caller's receive buffer and is parsed where it lies. Only a command that it cuts
 * off is copied, to the session's `pending`, and so is what a budget or a suspension leaves over.
 * When `pending` holds the beginning of a command, no more of the input is moved there than this one
 * command needs; the rest is parsed in place again.
 *
 * The core cannot call Python, so it returns at every command that is not hot (TURN_COLD) and is told
 * the reply, or that the session is suspended, or that the call failed. Whatever happens there, flags
 * of the session are read again afterwards. Parsing ahead is undone by going back: `pending_at` and
 * `at` are set to the start of the first command that has not been executed.
 */
#include "engine.h"

#include <string.h>

#define REPLY_KEPT_BYTES_MAX ((size_t)4 << 20) /* one buffer for all; growing it anew cost more than the reply */
#define PENDING_KEPT_BYTES_MAX 4096
#define WORDS_KEPT_BYTES_MAX 4096

static const char NO_MEMORY[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/* -- sessions ------------------------------------------------------------------------------------ */
void session_init(Session *session) {
    memset(session, 0, sizeof *session);
    session->proto = 2;
    memset(session->permitted, 0xff, sizeof session->permitted);
    session->exec_bytes_max = SIZE_MAX;
    session->subscriber.outlet = -1;
}

static void scan_reset(Session *session) {
    memset(&session->scan, 0, sizeof session->scan);
    args_clear(&session->args);
}

static void pending_clear(Session *session, size_t kept_bytes_max) {
    buffer_clear(&session->pending, kept_bytes_max);
    session->pending_at = session->pending_wiped = 0;
}

void session_close(Session *session) {
    session->closing = true;
    channels_leave(session);
    scan_reset(session);
    args_free(&session->args);
    pending_clear(session, 0);
    multi_drop(session);
    buffer_clear(&session->queued, 0);
    watched_drop(session);
    buffer_clear(&session->watched, 0);
    buffer_clear(&session->awaited, 0);
}

size_t session_buffered_bytes(const Session *session) {
    return session->pending.len - session->pending_at;
}

/* -- parsing ahead ------------------------------------------------------------------------------- */
static Limits limits_of(const Engine *engine) {
    const Settings *settings = &engine->settings;
    return (Limits){settings->bulk_bytes_max, settings->args_max, settings->inline_bytes_max,
                    settings->query_bytes_max, engine->feed.trusted};
}

/* Adds the command that was just parsed to the batch. */
static void add_command(Engine *engine, const uint8_t *start, size_t first, bool resumed, bool quoted, bool pending) {
    Batch *batch = &engine->batch;
    Command *command = &batch->commands[batch->count++];
    command->text = quoted ? batch->words.bytes : start;
    command->start = start;
    command->hot = UNKNOWN_YET;
    command->from_pending = pending;
    if (resumed) { /* its args were gathered by the session; the batch takes them over */
        Args args = batch->resumed;
        batch->resumed = engine->feed.session->args;
        engine->feed.session->args = args;
        engine->feed.session->args.count = 0;
        command->first = NOT_HERE;
        command->args = batch->resumed.items;
        command->argc = batch->resumed.count;
    } else {
        command->first = first;
        command->argc = batch->args.count - first;
    }
}

/* Parses one command at `start`. A cut-off one leaves its place and its args in the session. */
static Scanned parse_one(Engine *engine, const uint8_t *start, size_t len, bool pending, size_t *used, Fault *fault) {
    Session *session = engine->feed.session;
    Batch *batch = &engine->batch;
    Limits limits = limits_of(engine);
    bool resumed = session->scan.at || session->scan.searched || session->scan.args_left;
    Scan fresh = {0}, *scan = resumed ? &session->scan : &fresh;
    Args *args = resumed ? &session->args : &batch->args;
    size_t first = batch->args.count;
    Scanned scanned = scan_command(scan, start, len, args, &batch->words, &limits, fault);
    switch (scanned) {
    case SCAN_COMMAND:
    case SCAN_QUOTED:
        *used = scan->at;
        add_command(engine, start, first, resumed, scanned == SCAN_QUOTED, pending);
        memset(&session->scan, 0, sizeof session->scan);
        break;
    case SCAN_NOTHING:
        *used = scan->at;
        memset(&session->scan, 0, sizeof session->scan);
        break;
    case SCAN_INCOMPLETE:
        if (!resumed) {
            session->scan = fresh;
            for (size_t number = first; number < batch->args.count; number++) {
                if (args_push(&session->args, batch->args.items[number].offset, batch->args.items[number].len))
                    continue;
                scan_reset(session);
                batch->args.count = first;
                return SCAN_NO_MEMORY;
            }
            batch->args.count = first;
        }
        break;
    default: /* it will be parsed again once the commands before it are done */
        scan_reset(session);
        batch->args.count = first;
    }
    return scanned;
}

/* Appends input to `pending`, whose executed part may be dropped for it. */
static bool keep(Session *session, const uint8_t *bytes, size_t len) {
    Buffer *pending = &session->pending;
    if (session->pending_at && session->pending_at * 2 >= pending->len) {
        size_t left = pending->len - session->pending_at;
        memmove(pending->bytes, pending->bytes + session->pending_at, left);
        wipe(pending->bytes + left, pending->len - left);
        pending->len = left;
        session->pending_at = session->pending_wiped = 0;
    }
    return buffer_append(pending, bytes, len);
}

/* Moves of the input what the command at the end of `pending` needs: a bulk, or a line. */
static bool top_up(Feed *feed) {
    Session *session = feed->session;
    size_t there = (size_t)(feed->end - feed->at), moved = there;
    if (session->scan.in_bulk) {
        size_t whole = session->scan.at + session->scan.bulk_bytes + 2;
        size_t missing = whole - (session->pending.len - session->pending_at);
        if (missing < moved)
            moved = missing;
    } else {
        const uint8_t *line_end = memchr(feed->at, '\n', there);
        if (line_end)
            moved = (size_t)(line_end - feed->at) + 1;
    }
    if (!keep(session, feed->at, moved))
        return false;
    feed->at += moved;
    return true;
}

static Scanned parse_pending(Engine *engine, size_t wanted, Fault *fault) {
    Feed *feed = &engine->feed;
    Session *session = feed->session;
    while (session->pending_at < session->pending.len && engine->batch.count < wanted) {
        size_t used = 0;
        Scanned scanned = parse_one(engine, session->pending.bytes + session->pending_at,
                                    session->pending.len - session->pending_at, true, &used, fault);
        if (scanned == SCAN_INCOMPLETE) {
            if (engine->batch.count || feed->at == feed->end)
                return scanned;
            if (!top_up(feed))
                return SCAN_NO_MEMORY;
            continue;
        }
        if (scanned == SCAN_FAULT || scanned == SCAN_NO_MEMORY)
            return scanned;
        session->pending_at += used;
        if (scanned == SCAN_QUOTED)
            return scanned;
    }
    return SCAN_COMMAND;
}

static Scanned parse_input(Engine *engine, size_t wanted, Fault *fault) {
    Feed *feed = &engine->feed;
    while (feed->at < feed->end && engine->batch.count < wanted) {
        size_t used = 0;
        Scanned scanned = parse_one(engine, feed->at, (size_t)(feed->end - feed->at), false, &used, fault);
        if (scanned == SCAN_INCOMPLETE || scanned == SCAN_FAULT || scanned == SCAN_NO_MEMORY)
            return scanned;
        feed->at += used;
        if (scanned == SCAN_QUOTED)
            return scanned;
    }
    return SCAN_COMMAND;
}

static void prepare(Engine *engine, Command *command) {
    command->hot = hot_name(command_arg(command, 0));
    if (hot_has_key(command->hot) && command->argc > 1) {
        command->hash = keyspace_hash(engine, command_arg(command, 1));
        table_prefetch_line(&engine->tables[engine->feed.session->db], command->hash);
    } else {
        command->hash = 0;
    }
}

#define NAME_BYTES_AHEAD_MAX 256 /* of a member whose memory is fetched ahead: its name is hashed twice */

/* A collection is its head, its family and its members: what is behind the head is fetched for a whole batch, too, of
 * the members the first. */
static void prefetch_members(Engine *engine, int db) {
    const Batch *batch = &engine->batch;
    const Numbered *numbered = &engine->numbered;
    uint64_t hashes[BATCH_COMMANDS];
    for (size_t number = 0; number < batch->count; number++) {
        const Command *command = &batch->commands[number];
        int kind = ROWS[command->hot].kind;
        size_t argument = ROWS[command->hot].first_member;
        hashes[number] = 0;
        if (!kind || command->argc <= argument || command_arg(command, argument).len > NAME_BYTES_AHEAD_MAX)
            continue;
        hashes[number] = member_hash(engine, command_arg(command, 1), command_arg(command, argument));
        table_prefetch_line(&engine->tables[kind * DATABASES + db], hashes[number]);
    }
    for (size_t number = 0; number < batch->count; number++) {
        int kind = ROWS[batch->commands[number].hot].kind;
        if (!hashes[number])
            continue;
        const Record *head = table_peek(&engine->tables[db], batch->commands[number].hash);
        if (head && record_kind(head) && record_position(head) <= numbered->count)
            __builtin_prefetch(numbered->families[record_position(head)]);
        table_prefetch_record(&engine->tables[kind * DATABASES + db], hashes[number]);
    }
}

/* Parses up to a batch of commands, hashes their keys and has their cache lines fetched. */
static Scanned fill_batch(Engine *engine, Fault *fault) {
    Batch *batch = &engine->batch;
    Session *session = engine->feed.session;
    /* Before AUTH one command at a time: AUTH may lift the limits of the next. */
    size_t wanted = session->trusted ? BATCH_COMMANDS : 1;
    batch->count = batch->next = 0;
    args_clear(&batch->args);
    args_clear(&batch->resumed);
    if (batch->words.len)
        buffer_clear(&batch->words, WORDS_KEPT_BYTES_MAX);
    engine->feed.trusted = session->trusted;
    Scanned scanned = parse_pending(engine, wanted, fault);
    if (scanned == SCAN_COMMAND)
        scanned = parse_input(engine, wanted, fault);
    for (size_t number = 0; number < batch->count; number++) {
        Command *command = &batch->commands[number];
        if (command->first != NOT_HERE)
            command->args = batch->args.items + command->first;
        if (session->hot)
            prepare(engine, command);
    }
    if (batch->count > 1 && session->hot) {
        for (size_t number = 0; number < batch->count; number++)
            if (batch->commands[number].hash)
                table_prefetch_record(&engine->tables[session->db], batch->commands[number].hash);
        if (engine->heads)
            prefetch_members(engine, session->db);
    }
    return scanned;
}

/* -- executing ----------------------------------------------------------------------------------- */
/* Forgets what was parsed ahead of the command `next`. */
static void go_back(Engine *engine) {
    Batch *batch = &engine->batch;
    Feed *feed = &engine->feed;
    if (batch->next == batch->count)
        return;
    scan_reset(feed->session);
    for (size_t number = batch->next; number < batch->count; number++) {
        const Command *command = &batch->commands[number];
        if (!command->from_pending) {
            feed->at = (uint8_t *)command->start;
            break;
        }
    }
    const Command *command = &batch->commands[batch->next];
    if (command->from_pending)
        feed->session->pending_at = (size_t)(command->start - feed->session->pending.bytes);
    batch->count = batch->next;
}

/* The session's input has become unusable for want of memory: say so and close. */
static void give_up(Engine *engine) {
    if (reply_reserve(engine, sizeof NO_MEMORY))
        reply_text(engine, NO_MEMORY, sizeof NO_MEMORY - 1);
    session_close(engine->feed.session);
}

/* Values in the reply are opened. Without that there is no reply that could be sent. */
static void finish_reply(Engine *engine) {
    if (likely(seal_flush(engine)))
        return;
    engine->seals.failed = false;
    buffer_cut(&engine->reply, engine->feed.reply_start);
    give_up(engine);
}

/* Keeps what was not executed, and wipes what was. */
static Turn over(Engine *engine) {
    Feed *feed = &engine->feed;
    Session *session = feed->session;
    always(engine->reply.len <= engine->reply.capacity && engine->reply.len >= feed->reply_start
        && feed->at <= feed->end);
    finish_reply(engine);
    session->defaulted += engine->defaulted - feed->defaulted_before;
    if (session->closing) {
        if (session->pending.len || session->queued.len || session->watched.len || session->awaited.len)
            session_close(session);
    } else {
        if (session->pending_at == session->pending.len)
            pending_clear(session, PENDING_KEPT_BYTES_MAX);
        if (feed->at < feed->end && !keep(session, feed->at, (size_t)(feed->end - feed->at)))
            give_up(engine);
        if (session->pending_wiped < session->pending_at) {
            wipe(session->pending.bytes + session->pending_wiped, session->pending_at - session->pending_wiped);
            session->pending_wiped = session->pending_at;
        }
    }
    if (feed->writable)
        wipe(feed->data, (size_t)(feed->end - feed->data));
    if (engine->batch.words.len)
        buffer_clear(&engine->batch.words, WORDS_KEPT_BYTES_MAX);
    engine->batch.count = engine->batch.next = 0;
    engine->moved_max = UINT64_MAX;
    feed->session = NULL;
    return TURN_OVER;
}

static void say_fault(Engine *engine, const Fault *fault) {
    static const char HEAD[] = "-ERR Protocol error: ";
    if (fault->len && reply_reserve(engine, sizeof HEAD + FAULT_BYTES)) {
        reply_text(engine, HEAD, sizeof HEAD - 1);
        reply_text(engine, fault->text, fault->len);
        reply_text(engine, "\r\n", 2);
    }
    engine->feed.session->fault = *fault;
    engine->feed.session->closing = engine->feed.session->faulted = true;
}

/* To `dispatch`, with a command's share of bytes. Of an EXEC that began here a part may be spent already. */
static Turn cold(Engine *engine) {
    if (!engine->feed.session->midway)
        engine_allow(engine, LOOK_BYTES * engine->batch.commands[engine->batch.next].argc);
    return TURN_COLD;
}

static Turn go_on(Engine *engine) {
    Feed *feed = &engine->feed;
    Session *session = feed->session;
    Batch *batch = &engine->batch;
    Fault fault;
    for (;;) {
        if (batch->next == batch->count) {
            Scanned scanned = fill_batch(engine, &fault);
            if (!batch->count) {
                if (scanned == SCAN_FAULT)
                    say_fault(engine, &fault);
                else if (scanned == SCAN_NO_MEMORY)
                    give_up(engine);
                return over(engine);
            }
        }
        if (unlikely(feed->commands_left <= 0 || feed->bytes_left <= 0
            || engine->moved - feed->moved_before > FEED_MOVED_BYTES_MAX)) {
            session->more = true;
            go_back(engine);
            return over(engine);
        }
        Command *command = &batch->commands[batch->next];
        if (unlikely(!session->hot && !session->queue_keys_max))
            return cold(engine);
        if (unlikely(session->hears) && engine->changes_noted)
            return cold(engine); /* before it the client is told of what it has changed */
        if (unlikely(command->hot == UNKNOWN_YET))
            prepare(engine, command);
        size_t before = engine->reply.len;
        if (command->hot == COLD
            || !(session->hot ? hot_run(engine, session, command, feed->now_ms)
            : multi_turn(engine, session, command, feed->now_ms))) {
            always(session->midway || engine->reply.len == before); /* who declines has said nothing */
            return cold(engine);
        }
        batch->next++;
        feed->commands_left--;
        feed->bytes_left -= (int64_t)(engine->reply.len - before);
        if (unlikely(session->closing)) { /* by an EXEC whose replies are too many */
            session_close(session);
            return over(engine);
        }
    }
}

/* All replies are sent. In the midst of a feed its own reply has begun, and waits for the next call. */
void feed_forget(Engine *engine) {
    if (!engine->feed.session)
        buffer_clear(&engine->reply, REPLY_KEPT_BYTES_MAX);
}

/* `behind`: the reply is to go behind those of the calls before. */
Turn feed_start(Engine *engine, Session *session, uint8_t *data, size_t len, bool writable, int64_t now_ms,
                bool behind) {
    if (!behind)
        buffer_clear(&engine->reply, REPLY_KEPT_BYTES_MAX);
    always(!engine->feed.session); /* one feed at a time: the batch and the reply are the engine's */
    session->more = false;
    if (unlikely(engine->awake_until_ms && now_ms > engine->awake_until_ms))
        engine->hot_reads = engine->hot_writes = false;
    engine->feed = (Feed){
        .session = session, .data = data, .at = data, .end = len ? data + len : data, .writable = writable && len,
        .now_ms = now_ms, .commands_left = engine->settings.feed_commands_max,
        .bytes_left = engine->settings.feed_reply_bytes_max, .reply_start = engine->reply.len,
        .defaulted_before = engine->defaulted,
        .moved_before = engine->moved,
    };
    engine->batch.count = engine->batch.next = 0;
    if (session->suspended || session->closing)
        return over(engine);
    return go_on(engine);
}

const Command *feed_cold(const Engine *engine) {
    always(engine->feed.session && engine->batch.next < engine->batch.count);
    return &engine->batch.commands[engine->batch.next];
}

Turn feed_answer(Engine *engine, const uint8_t *reply, size_t len) {
    Session *session = engine->feed.session;
    always(session && engine->batch.next < engine->batch.count);
    if (!buffer_append(&engine->reply, reply, len)) {
        len = sizeof NO_MEMORY - 1;
        if (!buffer_append(&engine->reply, NO_MEMORY, len))
            session->closing = true;
    }
    session->retried = false;
    engine->batch.taken = 0;
    engine->batch.next++;
    engine->feed.commands_left--;
    engine->feed.bytes_left -= (int64_t)len;
    if (session->closing) {
        session_close(session);
        return over(engine);
    }
    if (session->trusted != engine->feed.trusted)
        go_back(engine); /* what follows was parsed under other limits */
    return go_on(engine);
}

Turn feed_refuse(Engine *engine) {
    return feed_answer(engine, (const uint8_t *)NO_MEMORY, sizeof NO_MEMORY - 1);
}

void feed_suspend(Engine *engine) {
    engine->feed.session->suspended = true;
    engine->feed.session->taken = engine->batch.taken > 0;
    engine->batch.next += engine->batch.taken;
    engine->batch.taken = 0;
    go_back(engine);
    over(engine);
}

void feed_abandon(Engine *engine) {
    engine->batch.taken = 0;
    engine->batch.next++;
    go_back(engine);
    over(engine);
}
