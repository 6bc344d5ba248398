/* What MULTI keeps: hot commands, to be run by EXEC in one go.
 *
 * Client libraries send their pipelines as transactions (redis-py does unless told otherwise), so this is how most
 * of the traffic of some applications arrives. Through `dispatch` a command cost 4 us to queue and 4 to run; kept
 * here it costs little more than outside of MULTI.
 *
 * While `session->keeping` is above 0, a hot command of a right number of arguments is copied to `session->kept`
 * and answered +QUEUED: a Kept, its args, their bytes, eight bytes aligned. Only the arguments themselves are copied, and
 * a command that names no more keys has few of them: else a line of blanks, or a PING of a thousand empty arguments,
 * would take a hundred times what it counts for. Its key is hashed on arrival. Everything
 * else, and all from the first such command on, is for `dispatch`, which takes out what is kept here and keeps it itself.
 * EXEC runs what is kept, in windows whose lines and records are prefetched; a command that turns out not to be
 * hot is handed back, answered by `dispatch`, and the run goes on.
 */
#include "homes.h"

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

/* How many keys EXEC will look up for it. */
static uint64_t work_of(const Row *row, size_t argc) {
    return row->shape & SHAPE_KEYS ? argc - 1 : 1;
}

bool kept_add(Engine *engine, Session *session, const Command *command) {
    const Row *row = &ROWS[command->hot];
    uint64_t work = work_of(row, command->argc);
    /* Whether a right number of arguments can be run is seen at EXEC. */
    if (command->hot == COLD || command->hot == HOT_eval || command->hot == HOT_evalsha || command->argc < row->least || command->argc > row->most
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

/* The number of who decides about the first command that looks before it writes; 0: this node, or there is none. */
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
        if (unlikely(engine->moved >= engine->moved_max)) /* it has had its share: `dispatch` says so for each of the rest */
            return false;
        size_t before = engine->reply.len;
        if (!hot_run(engine, session, command, now_ms)) {
            always(engine->reply.len == before);
            return false;
        }
        engine->feed.bytes_left -= (int64_t)(engine->reply.len - before);
        if (unlikely(engine->reply.len - engine->feed.reply_start > reply_bytes_max)) { /* all of it runs, and nobody will read the replies */
            session->closing = true;
            drop_replies(engine);
        }
    }
    if (unlikely(session->closing))
        drop_replies(engine); /* the rest of them too: they would be taken for those of other commands */
    return true;
}
