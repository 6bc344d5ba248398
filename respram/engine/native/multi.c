/* The queue of MULTI: hot commands, which EXEC runs in one go.
 *
 * Client libraries send their pipelines as transactions (redis-py does unless told otherwise), so this is how most
 * of the traffic of some applications arrives. Through `dispatch` a command cost 4 us to queue and 4 to run; queued
 * here it costs little more than outside of MULTI.
 *
 * While `session->queue_keys_max` is above 0, a hot command of a right number of arguments is copied to
 * `session->queued` and answered +QUEUED: a QueuedCommand, its args, their bytes, eight bytes aligned. Only the
 * arguments themselves are copied, and a command that names no more keys has few of them: else a line of blanks, or a
 * PING of a thousand empty arguments, would take a hundred times what it counts for. Its key is hashed on arrival.
 * Everything else, and all from the first such command on, is for `dispatch`, which takes the queue over. EXEC runs the
 * queue in windows, whose lines and records are prefetched; a command that turns out not to be hot is handed back,
 * answered by `dispatch`, and the run goes on.
 *
 * MULTI, EXEC and DISCARD are answered here too if `multi_keys_max` is above 0, nothing is
 * watched that `dispatch` knows of, both switches are on, and no other node decides. `dispatch` learns of such a MULTI
 * with the first command that it gets (`begun`). What is watched is in watches.c. Where EXEC comes to a command that is
 * for `dispatch`, the head and the replies so far stand in the reply, and EXEC itself is handed over (`midway`).
 */
#include "homes.h"
#include "hot.h"

#include <string.h>

#define QUEUE_EMPTY_BYTES_MAX 4096
#define WINDOW 32

typedef struct QueuedCommand {
    uint64_t hash;
    uint32_t argc, hot;
    size_t bytes; /* with the args and the text that follow */
    Arg args[];
} QueuedCommand;

static const char QUEUED[] = "+QUEUED\r\n";

/* What is not queued: cold commands, and those that are about commands. */
static bool is_alone(uint8_t hot) {
    return hot == COLD || hot == HOT_eval || hot == HOT_evalsha || hot == HOT_multi || hot == HOT_exec
        || hot == HOT_discard || hot == HOT_watch || hot == HOT_unwatch;
}

/* How many keys, or members of one, EXEC will look up for it. */
static uint64_t work_of(const Row *row, size_t argc) {
    return row->shape & (SHAPE_KEYS | SHAPE_MEMBERS) || row->first_key < 0 ? argc - 1 : 1;
}

static bool queue_command(Engine *engine, Session *session, const Command *command) {
    const Row *row = &ROWS[command->hot];
    uint64_t work = work_of(row, command->argc);
    /* Whether a right number of arguments can be run is seen at EXEC. */
    if (is_alone(command->hot) || command->argc < row->least || command->argc > row->most
        || !hot_permitted(session, row, command)
        || session->queued_work + work > session->queue_keys_max || (hot_writes(command->hot) && engine_full(engine)))
        return false;
    size_t own = 0;
    for (size_t number = 0; number < command->argc; number++)
        own += command->args[number].len;
    size_t bytes = (sizeof(QueuedCommand) + command->argc * sizeof(Arg) + own + 7) & ~(size_t)7;
    if (session->queued_bytes + own > QUEUED_BYTES_MAX || !reply_reserve(engine, sizeof QUEUED)
        || !buffer_reserve(&session->queued, bytes))
        return false;
    QueuedCommand *queued = (QueuedCommand *)(session->queued.bytes + session->queued.len);
    *queued = (QueuedCommand){.hash = command->hash, .argc = (uint32_t)command->argc, .hot = command->hot,
                              .bytes = bytes};
    uint8_t *text = (uint8_t *)(queued->args + command->argc);
    for (size_t number = 0, at = 0; number < command->argc; number++) {
        Span arg = command_arg(command, number);
        queued->args[number] = (Arg){.offset = at, .len = arg.len};
        if (arg.len)
            memcpy(text + at, arg.bytes, arg.len);
        at += arg.len;
    }
    session->queued.len += bytes;
    session->queued_count++;
    session->queued_work += work;
    session->queued_bytes += own;
    reply_text(engine, QUEUED, sizeof QUEUED - 1);
    return true;
}

static Command command_of(const QueuedCommand *queued) {
    return (Command){.text = (const uint8_t *)(queued->args + queued->argc), .args = queued->args, .argc = queued->argc,
                     .hash = queued->hash, .hot = (uint8_t)queued->hot};
}

static const QueuedCommand *queued_command_at(const Session *session, size_t at) {
    return (const QueuedCommand *)(session->queued.bytes + at);
}

bool multi_next(Session *session, Command *command) {
    if (session->queued_at == session->queued.len)
        return false;
    const QueuedCommand *queued = queued_command_at(session, session->queued_at);
    session->queued_at += queued->bytes;
    *command = command_of(queued);
    return true;
}

uint64_t multi_left(const Session *session) {
    uint64_t left = 0;
    for (size_t at = session->queued_at; at < session->queued.len; at += queued_command_at(session, at)->bytes)
        left++;
    return left;
}

/* The number of the node that decides about the first command that reads before it writes; 0: this node, or none. */
unsigned queued_home(const Engine *engine, const Session *session) {
    for (size_t at = session->queued_at; engine->homes && at < session->queued.len;
         at += queued_command_at(session, at)->bytes) {
        Command command = command_of(queued_command_at(session, at));
        if (home_decides(&command))
            return home_of(engine, &command);
    }
    return 0;
}

/* Whether nothing that has ended is left in the collections that the queued commands name, and that are watched. */
bool multi_may_begin(Engine *engine, const Session *session, int64_t now_ms) {
    if (!engine->crowds)
        return true;
    int db = session->db;
    int64_t number;
    for (size_t at = session->queued_at; at < session->queued.len; at += queued_command_at(session, at)->bytes) {
        Command command = command_of(queued_command_at(session, at));
        if (command.hot == HOT_select && command.argc == 2 && span_int64(command_arg(&command, 1), &number)
            && number >= 0 && number < DATABASES) {
            db = (int)number;
        } else if (!settling_may_begin(engine, db, &command, now_ms)) {
            return false;
        }
    }
    return settling_watched(engine, session, now_ms);
}

void multi_drop(Session *session) {
    buffer_clear(&session->queued, QUEUE_EMPTY_BYTES_MAX);
    session->queued_count = session->queued_work = session->queued_bytes = 0;
    session->queued_at = 0;
}

/* The place behind the next WINDOW commands, whose memory is on its way from here on. */
static size_t prefetch_window(const Engine *engine, const Session *session) {
    const Table *table = &engine->tables[session->db];
    size_t end = session->queued_at;
    for (int number = 0; number < WINDOW && end < session->queued.len; number++) {
        const QueuedCommand *queued = queued_command_at(session, end);
        if (queued->hash)
            table_prefetch_line(table, queued->hash);
        end += queued->bytes;
    }
    for (size_t at = session->queued_at; at < end; at += queued_command_at(session, at)->bytes)
        if (queued_command_at(session, at)->hash)
            table_prefetch_record(table, queued_command_at(session, at)->hash);
    return end;
}

/* Of this feed, and of no session before. */
static void drop_replies(Engine *engine) {
    seal_unnote(engine, engine->feed.reply_start);
    buffer_cut(&engine->reply, engine->feed.reply_start);
}

bool multi_run(Engine *engine, Session *session, int64_t now_ms, size_t reply_bytes_max, Command *command) {
    size_t window_end = session->queued_at;
    while (session->queued_at < session->queued.len) {
        if (session->queued_at == window_end)
            window_end = prefetch_window(engine, session);
        multi_next(session, command);
        always(session->queued_at <= session->queued.len && command->hot != COLD && command->hot < HOT_COUNT);
        /* it has had its share: `dispatch` says so for each of the rest */
        if (unlikely(engine->moved >= engine->moved_max))
            return false;
        size_t before = engine->reply.len;
        if (!hot_run(engine, session, command, now_ms)) {
            always(engine->reply.len == before);
            return false;
        }
        engine->feed.bytes_left -= (int64_t)(engine->reply.len - before);
        /* all of it runs, and nobody will read the replies */
        if (unlikely(engine->reply.len - engine->feed.reply_start > reply_bytes_max)) {
            session->closing = true;
            drop_replies(engine);
        }
    }
    if (unlikely(session->closing))
        drop_replies(engine); /* the rest of them too: they would be taken for those of other commands */
    return true;
}

/* -- MULTI, EXEC and DISCARD ---------------------------------------------------------------------- */
HANDLER(multi) {
    (void)now_ms;
    if (!session->multi_keys_max || command->argc != 1 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    session->begun = true;
    session->hot = false;
    session->queue_keys_max = session->multi_keys_max;
    reply_text(engine, "+OK\r\n", 5);
    return true;
}

/* Without MULTI before them. */
HANDLER(exec) {
    (void)engine, (void)session, (void)command, (void)now_ms;
    return false;
}

SAME(discard, hot_exec)

static void end_multi(Session *session) {
    multi_drop(session);
    watched_drop(session);
    session->begun = session->midway = false;
    session->queue_keys_max = 0;
    session->hot = true;
}

static bool discard(Engine *engine, Session *session) {
    if (!reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    end_multi(session);
    reply_text(engine, "+OK\r\n", 5);
    return true;
}

static bool exec(Engine *engine, Session *session, int64_t now_ms) {
    if (!engine->hot_reads || !engine->hot_writes || engine_full(engine)
        || (engine->homes && !session->decides && (session->watched.len || queued_home(engine, session)))
        || !multi_may_begin(engine, session, now_ms) || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    if (unlikely(session->watched.len)) {
        if (watched_changed(engine, session, now_ms)) {
            end_multi(session);
            reply_text(engine, session->proto == 3 ? "_\r\n" : "*-1\r\n", session->proto == 3 ? 3 : 5);
            return true;
        }
        watched_drop(session); /* whatever EXEC itself does to them */
    }
    size_t before = engine->reply.len;
    reply_integer(engine, '*', (int64_t)session->queued_count);
    engine->feed.bytes_left -= (int64_t)(engine->reply.len - before);
    engine_allow(engine, session->queued_bytes + LOOK_BYTES * session->queued_work);
    Command command;
    if (!multi_run(engine, session, now_ms, session->exec_bytes_max, &command)) {
        const uint8_t *handed = (const uint8_t *)command.args - offsetof(QueuedCommand, args);
        session->queued_at = (size_t)(handed - session->queued.bytes);
        session->midway = true;
        return false;
    }
    engine->feed.bytes_left += (int64_t)(engine->reply.len - before); /* the caller counts it all */
    end_multi(session);
    return true;
}

bool multi_turn(Engine *engine, Session *session, const Command *command, int64_t now_ms) {
    if (command->hot != HOT_exec && command->hot != HOT_discard)
        return queue_command(engine, session, command);
    if (!session->begun || session->watches || command->argc != 1
        || !hot_permitted(session, &ROWS[command->hot], command)
        || !(command->hot == HOT_exec ? exec(engine, session, now_ms) : discard(engine, session)))
        return false;
    engine->calls[command->hot]++;
    return true;
}
