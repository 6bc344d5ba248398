/* Scripts that are no programs, run by Lua without Python: EVAL and EVALSHA of those that `scripting/` has compiled.
 *
 * Python makes the Lua, with its sandbox (scripting/lua/sandbox.lua), and stays the one that can do everything: wait,
 * end what runs for too long, tell errors, run commands that have no fast path. A run here declines wherever one of
 * those is called for: `dispatch` then runs the script from its beginning, and is handed the replies that this run got
 * (programs.c does the same). So a run needs to be exact only where it answers, and it is bounded by instructions, by
 * memory taken and by the replies.
 *
 * Lua's functions are those of the library that Python's Lua is in, found by name: nothing is linked, and where they
 * are not to be found Python runs all scripts. An error of Lua is a longjmp, so none of these functions is called while
 * the engine is in the midst of a command.
 */
#include "lua.h"

#include "hot.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Memory that Lua may allocate in one run; larger values are left to Python. */
#define TAKEN_BYTES_MAX ((size_t)1 << 20)
#define MADE_KEPT_BYTES_MAX 65536
#define ASIDES_MAX 100 /* commands of one run without a fast path: the clock is not checked between them */
#define DEPTH_MAX 4 /* nested lists in a reply */
#define DEBT_MAX 64 /* for a script that declines nine times in a row, or for long in one of eight runs */
#define DEBT_OF_ONE 8
enum { BULK = 1, NUMBER, ENCODED, NULLED, FAILED }; /* kinds of outcomes, numbered as in sandbox.lua */
enum { FAULT = 2, REPLY = 3, DECLINED = 9 };        /* kinds of replies, numbered likewise */
enum { SET_RESP = 3, ANY_FAULT };                   /* requests to `run_host`; the others go to `aside` */

/* The one whose script runs, or between `lua_begin` and the call of `respram_lua_open` that follows at once. */
static _Thread_local Lua *current;

Lua *lua_inside(void) {
    return current && current->inside ? current : NULL;
}

Lua *lua_opened(void) {
    return current;
}

/* -- memory: Lua's own allocator, under a limit -------------------------------------------------- */
static void *allocate(void *with, void *block, size_t old, size_t wanted) {
    Lua *lua = with;
    if (wanted > old) {
        size_t more = wanted - old;
        if (lua->taken + more > TAKEN_BYTES_MAX || lua->used + more > lua->bytes_max) {
            lua->handed = true; /* no further command of the script runs here, however it handles the error */
            return NULL;
        }
        lua->taken += more;
        lua->used += more;
    } else {
        size_t less = old - wanted;
        lua->used -= less < lua->used ? less : lua->used;
    }
    return lua->alloc(lua->alloc_with, block, old, wanted);
}

/* -- replies -> Lua ------------------------------------------------------------------------------ */
/* Pushes the value of the RESP2 reply at `at`; where it ends, or NULL: it has what only Python tells. */
static const uint8_t *push(const Lua *lua, lua_State *state, const uint8_t *at, const uint8_t *end, int depth) {
    const uint8_t *line_end = memchr(at, '\r', (size_t)(end - at));
    int64_t number = 0;
    if (!line_end || depth > DEPTH_MAX || !lua->checkstack(state, 4))
        return NULL;
    Span line = {at + 1, (size_t)(line_end - at) - 1};
    const uint8_t *next = line_end + 2;
    switch (at[0]) {
    case ':':
        if (!span_int64(line, &number))
            return NULL;
        lua->pushnumber(state, (double)number);
        return next;
    case '+':
        lua->createtable(state, 0, 1);
        lua->pushlstring(state, (const char *)line.bytes, line.len);
        lua->setfield(state, -2, "ok");
        return next;
    case '$':
        if (!span_int64(line, &number) || number > end - next)
            return NULL;
        if (number < 0) {
            lua->pushboolean(state, 0);
            return next;
        }
        lua->pushlstring(state, (const char *)next, (size_t)number);
        return next + number + 2;
    case '*':
        if (!span_int64(line, &number) || number > end - next)
            return NULL;
        if (number < 0) {
            lua->pushboolean(state, 0);
            return next;
        }
        lua->createtable(state, (int)number, 0);
        for (int place = 1; place <= number && next; place++)
            if ((next = push(lua, state, next, end, depth + 1)))
                lua->rawseti(state, -2, place);
        return next;
    default:
        return NULL;
    }
}

/* The time as TIME tells it, which stands still for a script; the log has it, for Lua to see the same. */
static bool tell_time(Buffer *log, int64_t now_ms) {
    uint8_t digits[2][NUMBER_BYTES];
    size_t len[2] = {digits_of(now_ms / 1000, digits[0]), digits_of(now_ms % 1000 * 1000, digits[1])};
    if (!buffer_append(log, "*2\r\n", 4))
        return false;
    for (int number = 0; number < 2; number++) {
        uint8_t head[NUMBER_BYTES] = {'$'};
        size_t head_len = 1 + digits_of((int64_t)len[number], head + 1);
        if (!buffer_append(log, head, head_len) || !buffer_append(log, "\r\n", 2)
            || !buffer_append(log, digits[number], len[number]) || !buffer_append(log, "\r\n", 2))
            return false;
    }
    return true;
}

/* -- commands of a script ------------------------------------------------------------------------ */
static int declined(Lua *lua, lua_State *state) {
    lua->handed = true;
    lua->settop(state, 0);
    lua->pushnil(state);
    lua->pushnumber(state, DECLINED);
    return 2;
}

/* The arguments, one behind the other in `made`. */
static bool gather(const Lua *lua, lua_State *state, int count, Arg *args) {
    Buffer *made = &lua->engine->programs.made;
    buffer_clear(made, MADE_KEPT_BYTES_MAX);
    for (int number = 0; number < count; number++) {
        uint8_t digits[NUMBER_BYTES];
        Span text;
        int type = lua->type(state, number + 1);
        if (type == LUA_STRING)
            text.bytes = (const uint8_t *)lua->tolstring(state, number + 1, &text.len);
        else if (type != LUA_NUMBER || !programs_spell(lua->tonumber(state, number + 1), digits, &text))
            return false;
        args[number] = (Arg){made->len, text.len};
        if (made->len + text.len > LOG_BYTES_MAX || !buffer_append(made, text.bytes, text.len))
            return false;
    }
    return true;
}

/* A command by way of Python. A client of RESP3 that tracks or listens may be told of something meanwhile, and what it
 * is told has the protocol of its session, which is the script's: Python runs such a script as a whole. */
static bool ask(Lua *lua, const Command *command, int wanted) {
    const Programs *programs = &lua->engine->programs;
    if (lua->proto == 3 && (lua->engine->observed || lua->session->subscriber.first))
        return false;
    return programs->aside && lua->asides++ < ASIDES_MAX && !programs_has_moved_much(lua->engine)
        && programs->aside(programs->aside_with, lua->session, command, lua->now_ms, wanted, &lua->broken);
}

/* Puts a command's reply behind the log. */
static bool answer(Lua *lua, Command *command, Buffer *log) {
    if (command->argc == 1 && IS(command_arg(command, 0), "time"))
        return tell_time(log, lua->now_ms);
    if (programs_inside(lua->engine, lua->session, command, lua->now_ms, log, &lua->broken))
        return true;
    return !lua->broken && ask(lua, command, 0);
}

/* A command that the script's program has run before it declined: its reply is in the log. */
static int given(Lua *lua, lua_State *state) {
    const Buffer *log = &lua->engine->programs.log;
    lua->settop(state, 0);
    const uint8_t *next = push(lua, state, log->bytes + lua->given_at, log->bytes + lua->given_end, 0);
    if (!next)
        return declined(lua, state);
    lua->given_at = (size_t)(next - log->bytes);
    return 1;
}

/* Of a kind that sandbox.lua makes a value of. */
static int push_text(const Lua *lua, lua_State *state, int kind, const uint8_t *reply, size_t len) {
    lua->pushnil(state);
    lua->pushnumber(state, kind);
    lua->pushlstring(state, (const char *)reply, len);
    return 3;
}

/* Whether a reply in RESP3 is spelt as `push` knows it. */
static bool is_plain(const uint8_t *reply) {
    return reply[0] == ':' || reply[0] == '+' || (reply[0] == '$' && reply[1] != '-');
}

/* redis.call and redis.pcall: one value, or nil, a kind and a text. */
static int run_command(lua_State *state) {
    Lua *lua = current;
    Arg args[CALL_ARGS_MAX];
    Engine *engine = lua->engine;
    Buffer *log = &engine->programs.log;
    int count = lua->gettop(state);
    size_t at = log->len;
    if (!lua->inside || lua->handed || count < 1 || count > CALL_ARGS_MAX)
        return declined(lua, state);
    if (lua->given_at < lua->given_end)
        return given(lua, state);
    if (at > LOG_BYTES_MAX / 2 || !gather(lua, state, count, args) || !buffer_reserve(log, NUMBER_BYTES))
        return declined(lua, state);
    Command command = {.text = engine->programs.made.bytes, .args = args, .argc = (size_t)count};
    if (!answer(lua, &command, log))
        return declined(lua, state);
    const uint8_t *reply = log->bytes + at, *end = log->bytes + log->len;
    lua->settop(state, 0);
    if (reply[0] == '-')
        return push_text(lua, state, FAULT, reply, log->len - at - 2);
    if (lua->session->proto == 3 && !is_plain(reply))
        return push_text(lua, state, REPLY, reply, log->len - at);
    return push(lua, state, reply, end, 0) ? 1 : declined(lua, state);
}

/* redis.log, redis.acl_check_cmd, redis.setresp, and whether this run has to be handed over: which of them, and its
 * arguments; a number. Their answers are in the
 * log like those of commands, so that none is asked twice. */
static int run_host(lua_State *state) {
    Lua *lua = current;
    Arg args[CALL_ARGS_MAX];
    Programs *programs = &lua->engine->programs;
    int count = lua->gettop(state), wanted = count ? (int)lua->tonumber(state, 1) : 0;
    int64_t number;
    size_t at = programs->log.len;
    if (!lua->inside || lua->handed || count < 2 || count > CALL_ARGS_MAX || at > LOG_BYTES_MAX / 2)
        return declined(lua, state);
    if (wanted == SET_RESP) {
        lua->session->proto = (int)lua->tonumber(state, 2);
        return 0;
    }
    if (wanted == ANY_FAULT)
        return 0; /* there is no such value */
    if (!gather(lua, state, count, args))
        return declined(lua, state);
    Command command = {.text = programs->made.bytes, .args = args + 1, .argc = (size_t)count - 1};
    if (!ask(lua, &command, wanted)
        || !span_int64((Span){programs->log.bytes + at + 1, programs->log.len - at - 3}, &number))
        return declined(lua, state);
    lua->pushnumber(state, (double)number);
    return 1;
}

/* -- a run --------------------------------------------------------------------------------------- */
static void push_arguments(const Lua *lua, lua_State *state, size_t first, size_t count) {
    lua->createtable(state, (int)count, 0);
    for (size_t number = 0; number < count; number++) {
        Span text = command_arg(lua->command, first + number);
        lua->pushlstring(state, (const char *)text.bytes, text.len);
        lua->rawseti(state, -2, (int)number + 1);
    }
}

/* A text of the outcome, as far as its first NUL, in one line. */
static bool append_line(const Lua *lua, lua_State *state, int index) {
    Buffer *made = &lua->engine->programs.made;
    size_t len, at = made->len;
    const char *text = lua->tolstring(state, index, &len);
    const char *zero = memchr(text, 0, len);
    if (!buffer_append(made, text, zero ? (size_t)(zero - text) : len))
        return false;
    for (; at < made->len; at++)
        if (made->bytes[at] == '\r' || made->bytes[at] == '\n')
            made->bytes[at] = ' ';
    return true;
}

/* What an error is told as: its text, and where it was, if that is known. Of the script's digest commands/scripts.py
 * has the same. */
static bool tell_failure(Lua *lua, lua_State *state) {
    Buffer *made = &lua->engine->programs.made;
    buffer_clear(made, MADE_KEPT_BYTES_MAX);
    if (lua->type(state, -4) != LUA_STRING || !append_line(lua, state, -4))
        return false;
    size_t blanks = 0; /* they stood for the line ends at both ends, which are removed */
    while (blanks < made->len && made->bytes[blanks] == ' ')
        blanks++;
    if (blanks || (made->len && made->bytes[made->len - 1] == ' '))
        return false; /* they may have been blanks: Python checks */
    lua->told = lua->toboolean(state, -3);
    if (lua->type(state, -2) != LUA_STRING || lua->type(state, -1) != LUA_STRING)
        return true;
    return buffer_append(made, " script: ", 9) && buffer_append(made, lua->taught->digest, DIGEST_BYTES)
        && buffer_append(made, ", on ", 5) && append_line(lua, state, -2) && buffer_append(made, ":", 1)
        && append_line(lua, state, -1) && buffer_append(made, ".", 1);
}

/* In protected mode. */
static int run_protected(lua_State *state) {
    Lua *lua = current;
    size_t len;
    lua->rawgeti(state, LUA_REGISTRY, lua->run);
    lua->pushnumber(state, lua->taught->script);
    lua->pushnumber(state, lua->proto);
    push_arguments(lua, state, 3, lua->keys);
    push_arguments(lua, state, 3 + lua->keys, lua->command->argc - 3 - lua->keys);
    lua->call(state, 4, 5);
    int kind = (int)lua->tonumber(state, -5);
    if (kind == NUMBER)
        lua->number = lua->tonumber(state, -4);
    if (kind == FAILED && !tell_failure(lua, state))
        return 0;
    if (kind == BULK || kind == ENCODED) {
        if (lua->type(state, -4) != LUA_STRING)
            return 0;
        Buffer *made = &lua->engine->programs.made;
        const char *text = lua->tolstring(state, -4, &len);
        buffer_clear(made, MADE_KEPT_BYTES_MAX);
        if (!buffer_append(made, text, len))
            return 0;
    }
    lua->kind = kind;
    return 0;
}

static bool say(const Lua *lua) {
    Engine *engine = lua->engine;
    Span text = {engine->programs.made.bytes, engine->programs.made.len};
    if (!reply_reserve(engine, REPLY_HEAD_BYTES + text.len))
        return false;
    switch (lua->kind) {
    case BULK:
        reply_bulk(engine, text);
        return true;
    case NUMBER:
        reply_integer(engine, ':', (int64_t)lua->number);
        return true;
    case ENCODED:
        reply_text(engine, (const char *)text.bytes, text.len);
        return true;
    case NULLED:
        reply_nil(engine, lua->proto);
        return true;
    case FAILED:
        reply_text(engine, "-", 1);
        reply_text(engine, (const char *)text.bytes, text.len);
        reply_text(engine, "\r\n", 2);
        engine->script_errors += !lua->told;
        return true;
    default:
        return false;
    }
}

/* What is in the log are replies that its program got. False: it has declined, and its replies are in the log. */
bool lua_evaluate(Engine *engine, Session *session, const Command *command, Taught *taught, size_t keys,
    int64_t now_ms, bool *broken) {
    Lua *lua = engine->programs.lua;
    if (!lua || !lua->state || taught->generation != lua->generation || lua->inside || taught->debt > DEBT_MAX)
        return false;
    lua->used = (size_t)lua->gc(lua->state, LUA_GCCOUNT, 0) * 1024;
    if (lua->used > lua->worn_bytes)
        return false; /* Python collects garbage, or makes another runtime */
    lua->session = session, lua->command = command, lua->taught = taught, lua->now_ms = now_ms, lua->keys = keys;
    lua->proto = session->proto, lua->taken = lua->asides = 0, lua->kind = 0;
    lua->given_at = 0, lua->given_end = engine->programs.log.len;
    lua->handed = lua->broken = lua->told = false, lua->inside = true;
    current = lua;
    session->proto = 2; /* protocol of replies to a script */
    lua->alloc = lua->getallocf(lua->state, &lua->alloc_with);
    lua->setallocf(lua->state, allocate, lua);
    int top = lua->gettop(lua->state), failed = lua->cpcall(lua->state, run_protected, NULL);
    lua->setallocf(lua->state, lua->alloc, lua->alloc_with);
    lua->settop(lua->state, top);
    session->proto = lua->proto;
    lua->inside = false;
    *broken = lua->broken;
    bool done = !failed && !lua->handed && say(lua);
    if (done)
        taught->debt -= taught->debt > 0;
    else
        taught->debt += DEBT_OF_ONE;
    return done;
}

/* -- beginning and end --------------------------------------------------------------------------- */
/* The sandbox has made its `run_fast`. */
static int bind(lua_State *state) {
    Lua *lua = current;
    lua->settop(state, 1);
    lua->run = lua->ref(state, LUA_REGISTRY);
    lua->state = state;
    return 0;
}

/* Called by the Lua that Python has just made: what stands for redis.call and for what else is the host's, what takes
 * the function that runs, and what makes a cjson. */
__attribute__((visibility("default"))) int respram_lua_open(lua_State *state) {
    if (!current)
        return 0;
    current->pushcclosure(state, run_command, 0);
    current->pushcclosure(state, run_host, 0);
    current->pushcclosure(state, bind, 0);
    current->pushcclosure(state, json_open, 0);
    return 4;
}

static bool has_all(void *library, Lua *lua) {
#define FIND(type, name, arguments) \
    *(void **)&lua->name = dlsym(library, "lua_" #name); \
    if (!lua->name) \
        return false;
    LUA_FUNCTIONS(FIND)
#undef FIND
    return (*(void **)&lua->ref = dlsym(library, "luaL_ref")) != NULL;
}

/* What was taught before runs in Python until it is taught anew. False: its functions cannot be found. */
bool lua_begin(Engine *engine, const char *path) {
    lua_end(engine);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    Lua *lua = library ? calloc(1, sizeof *lua) : NULL;
    if (lua && has_all(library, lua)) {
        lua->library = library;
        lua->engine = engine;
        lua->generation = ++engine->programs.lua_generation;
        current = engine->programs.lua = lua;
        return true;
    }
    free(lua);
    if (library)
        dlclose(library);
    return false;
}

/* Scripts run from here on: `bytes_max` of all that Lua uses; with more than `worn_bytes` left behind, Python looks. */
void lua_limit(Engine *engine, size_t bytes_max, size_t worn_bytes) {
    if (!engine->programs.lua)
        return;
    engine->programs.lua->bytes_max = bytes_max;
    engine->programs.lua->worn_bytes = worn_bytes;
}

void lua_end(Engine *engine) {
    Lua *lua = engine->programs.lua;
    engine->programs.lua = NULL;
    if (!lua)
        return;
    if (current == lua)
        current = NULL;
    dlclose(lua->library);
    free(lua);
}
