/* What MULTI keeps: hot commands, to be run by EXEC in one go.
 *
 * Client libraries send their pipelines as transactions (redis-py does unless told otherwise), so this is how most
 * of the traffic of some applications arrives. Through `dispatch` a command cost 4 us to queue and 4 to run; kept
 * here it costs little more than outside of MULTI.
 *
 * While `session->keeping` is above 0, a hot command of a right number of arguments is copied to `session->kept`
 * and answered +QUEUED: a Kept, its args, their bytes, eight bytes aligned. Only the arguments themselves are copied,
 * and a command that names no more keys has few of them: else a line of blanks, or a PING of a thousand empty
 * arguments, would take a hundred times what it counts for. Its key is hashed on arrival. Everything else, and all from
 * the first such command on, is for `dispatch`, which takes out what is kept here and keeps it itself. EXEC runs what
 * is kept, in windows whose lines and records are prefetched; a command that turns out not to be hot is handed back,
 * answered by `dispatch`, and the run goes on.
 *
 * MULTI, EXEC and DISCARD are answered here too where nothing speaks against it: the session has `keeps`, nothing is
 * watched that `dispatch` knows of, both switches are on, and no other node decides. `dispatch` learns of such a MULTI
 * with the first command that it gets (`begun`). What is watched is in watches.c. Where EXEC comes to a command that is
 * for `dispatch`, the head and the replies so far stand in the reply, and EXEC itself is handed over (`midway`).
 */
#include "homes.h"
#include "hot.h"

#include <string.h>

#define KEPT_EMPTY_BYTES_MAX 4096
#define WINDOW 32

typedef struct Kept {
    uint64_t hash;
    uint32_t argc, hot;
    size_t bytes; /* with the args and the text that follow */
    Arg args[];
} Kept;

static const char QUEUED[] = "+QUEUED\r\n";

/* What is not kept: no command, and those that are about commands. */
static bool is_alone(uint8_t hot) {
    return hot == COLD || hot == HOT_eval || hot == HOT_evalsha || hot == HOT_multi || hot == HOT_exec
        || hot == HOT_discard || hot == HOT_watch || hot == HOT_unwatch;
}

/* How many keys, or members of one, EXEC will look up for it. */
static uint64_t work_of(const Row *row, size_t argc) {
    return row->shape & (SHAPE_KEYS | SHAPE_MEMBERS) || row->first_key < 0 ? argc - 1 : 1;
}

static bool keep(Engine *engine, Session *session, const Command *command) {
    const Row *row = &ROWS[command->hot];
    uint64_t work = work_of(row, command->argc);
    /* Whether a right number of arguments can be run is seen at EXEC. */
    if (is_alone(command->hot) || command->argc < row->least || command->argc > row->most
        || !hot_permitted(session, row, command)
        || session->kept_work + work > session->keeping || (hot_writes(command->hot) && engine_full(engine)))
        return false;
    size_t own = 0;
    for (size_t number = 0; number < command->argc; number++)
        own += command->args[number].len;
    size_t bytes = (sizeof(Kept) + command->argc * sizeof(Arg) + own + 7) & ~(size_t)7;
    if (session->kept_bytes + own > KEPT_BYTES_MAX || !reply_reserve(engine, sizeof QUEUED)
        || !buffer_reserve(&session->kept, bytes))
        return false;
    Kept *kept = (Kept *)(session->kept.bytes + session->kept.len);
    *kept = (Kept){.hash = command->hash, .argc = (uint32_t)command->argc, .hot = command->hot, .bytes = bytes};
    uint8_t *text = (uint8_t *)(kept->args + command->argc);
    for (size_t number = 0, at = 0; number < command->argc; number++) {
        Span arg = command_arg(command, number);
        kept->args[number] = (Arg){.offset = at, .len = arg.len};
        if (arg.len)
            memcpy(text + at, arg.bytes, arg.len);
        at += arg.len;
    }
    session->kept.len += bytes;
    session->kept_count++;
    session->kept_work += work;
    session->kept_bytes += own;
    reply_text(engine, QUEUED, sizeof QUEUED - 1);
    return true;
}

static Command command_of(const Kept *kept) {
    return (Command){.text = (const uint8_t *)(kept->args + kept->argc), .args = kept->args, .argc = kept->argc,
                     .hash = kept->hash, .hot = (uint8_t)kept->hot};
}

static const Kept *kept_at(const Session *session, size_t at) {
    return (const Kept *)(session->kept.bytes + at);
}

bool kept_next(Session *session, Command *command) {
    if (session->kept_at == session->kept.len)
        return false;
    const Kept *kept = kept_at(session, session->kept_at);
    session->kept_at += kept->bytes;
    *command = command_of(kept);
    return true;
}

/* The number of the node that decides about the first command that reads before it writes; 0: this node, or none. */
unsigned kept_home(const Engine *engine, const Session *session) {
    for (size_t at = session->kept_at; engine->homes && at < session->kept.len; at += kept_at(session, at)->bytes) {
        Command command = command_of(kept_at(session, at));
        if (home_decides(&command))
            return home_of(engine, &command);
    }
    return 0;
}

void kept_drop(Session *session) {
    buffer_clear(&session->kept, KEPT_EMPTY_BYTES_MAX);
    session->kept_count = session->kept_work = session->kept_bytes = 0;
    session->kept_at = 0;
}

/* The place behind the next WINDOW commands, whose memory is on its way from here on. */
static size_t prefetch_window(const Engine *engine, const Session *session) {
    const Table *table = &engine->tables[session->db];
    size_t end = session->kept_at;
    for (int number = 0; number < WINDOW && end < session->kept.len; number++) {
        const Kept *kept = kept_at(session, end);
        if (kept->hash)
            table_prefetch_line(table, kept->hash);
        end += kept->bytes;
    }
    for (size_t at = session->kept_at; at < end; at += kept_at(session, at)->bytes)
        if (kept_at(session, at)->hash)
            table_prefetch_record(table, kept_at(session, at)->hash);
    return end;
}

/* Of this feed, and of no session before. */
static void drop_replies(Engine *engine) {
    seal_unnote(engine, engine->feed.reply_start);
    buffer_cut(&engine->reply, engine->feed.reply_start);
}

bool kept_run(Engine *engine, Session *session, int64_t now_ms, size_t reply_bytes_max, Command *command) {
    size_t window_end = session->kept_at;
    while (session->kept_at < session->kept.len) {
        if (session->kept_at == window_end)
            window_end = prefetch_window(engine, session);
        kept_next(session, command);
        always(session->kept_at <= session->kept.len && command->hot != COLD && command->hot < HOT_COUNT);
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
    if (!session->keeps || command->argc != 1 || !reply_reserve(engine, REPLY_HEAD_BYTES))
        return false;
    session->begun = true;
    session->hot = false;
    session->keeping = session->keeps;
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
    kept_drop(session);
    watched_drop(session);
    session->begun = session->midway = false;
    session->keeping = 0;
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
        || (engine->homes && !session->decides && (session->watched.len || kept_home(engine, session)))
        || !reply_reserve(engine, REPLY_HEAD_BYTES))
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
    reply_integer(engine, '*', (int64_t)session->kept_count);
    engine->feed.bytes_left -= (int64_t)(engine->reply.len - before);
    engine_allow(engine, session->kept_bytes + LOOK_BYTES * session->kept_work);
    Command command;
    if (!kept_run(engine, session, now_ms, session->exec_bytes_max, &command)) {
        session->kept_at = (size_t)((const uint8_t *)command.args - offsetof(Kept, args) - session->kept.bytes);
        session->midway = true;
        return false;
    }
    engine->feed.bytes_left += (int64_t)(engine->reply.len - before); /* the caller counts it all */
    end_multi(session);
    return true;
}

bool kept_turn(Engine *engine, Session *session, const Command *command, int64_t now_ms) {
    if (command->hot != HOT_exec && command->hot != HOT_discard)
        return keep(engine, session, command);
    if (!session->begun || session->watches || command->argc != 1
        || !hot_permitted(session, &ROWS[command->hot], command)
        || !(command->hot == HOT_exec ? exec(engine, session, now_ms) : discard(engine, session)))
        return false;
    engine->calls[command->hot]++;
    return true;
}
