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

#define TAKEN_BYTES_MAX ((size_t)1 << 20) /* of memory that one run has Lua allocate: a value beyond is Python's */
#define MADE_KEPT_BYTES_MAX 65536
#define ASIDES_MAX 100 /* commands of one run that have no fast path: nobody looks at the clock between them */
#define DEPTH_MAX 4 /* of lists within a reply */
#define DEBT_MAX 64 /* of a script that declines too often: nine times in a row, or once in eight runs for long */
#define DEBT_OF_ONE 8
enum { BULK = 1, NUMBER, ENCODED, NULLED }; /* kinds of outcome, as sandbox.lua numbers them */
enum { FAULT = 2, DECLINED = 9 };           /* kinds of replies, likewise */

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
            lua->handed = true; /* whatever the script makes of the error: no command of it runs here any more */
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

/* Puts a command's reply behind the log. */
static bool answer(Lua *lua, Command *command, Buffer *log) {
    Programs *programs = &lua->engine->programs;
    if (command->argc == 1 && IS(command_arg(command, 0), "time"))
        return tell_time(log, lua->now_ms);
    if (programs_inside(lua->engine, lua->session, command, lua->now_ms, log, &lua->broken))
        return true;
    return !lua->broken && programs->aside && lua->asides++ < ASIDES_MAX
        && programs->aside(programs->aside_with, lua->session, command, lua->now_ms, &lua->broken);
}

/* redis.call and redis.pcall: one value, or nil, a kind and a text. */
static int run_command(lua_State *state) {
    Lua *lua = current;
    Arg args[CALL_ARGS_MAX];
    Engine *engine = lua->engine;
    Buffer *log = &engine->programs.log;
    int count = lua->gettop(state);
    size_t at = log->len;
    if (!lua->inside || lua->handed || count < 1 || count > CALL_ARGS_MAX || at > LOG_BYTES_MAX / 2
        || !gather(lua, state, count, args) || !buffer_reserve(log, NUMBER_BYTES))
        return declined(lua, state);
    Command command = {.text = engine->programs.made.bytes, .args = args, .argc = (size_t)count};
    if (!answer(lua, &command, log))
        return declined(lua, state);
    const uint8_t *reply = log->bytes + at, *end = log->bytes + log->len;
    lua->settop(state, 0);
    if (reply[0] == '-') {
        lua->pushnil(state);
        lua->pushnumber(state, FAULT);
        lua->pushlstring(state, (const char *)reply, log->len - at - 2);
        return 3;
    }
    return push(lua, state, reply, end, 0) ? 1 : declined(lua, state);
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

/* In protected mode. */
static int run_protected(lua_State *state) {
    Lua *lua = current;
    size_t len;
    lua->rawgeti(state, LUA_REGISTRY, lua->run);
    lua->pushnumber(state, lua->taught->script);
    lua->pushnumber(state, lua->proto);
    push_arguments(lua, state, 3, lua->keys);
    push_arguments(lua, state, 3 + lua->keys, lua->command->argc - 3 - lua->keys);
    lua->call(state, 4, 2);
    int kind = (int)lua->tonumber(state, -2);
    if (kind == NUMBER)
        lua->number = lua->tonumber(state, -1);
    if (kind == BULK || kind == ENCODED) {
        if (lua->type(state, -1) != LUA_STRING)
            return 0;
        Buffer *made = &lua->engine->programs.made;
        const char *text = lua->tolstring(state, -1, &len);
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
    default:
        return false;
    }
}

/* False: it has declined, and its replies are in the log. */
bool lua_evaluate(Engine *engine, Session *session, const Command *command, Taught *taught, size_t keys,
    int64_t now_ms, bool *broken) {
    Lua *lua = engine->programs.lua;
    if (!lua || !lua->state || taught->generation != lua->generation || lua->inside || taught->debt > DEBT_MAX)
        return false;
    lua->used = (size_t)lua->gc(lua->state, LUA_GCCOUNT, 0) * 1024;
    if (lua->used > lua->worn_bytes)
        return false; /* Python collects, or makes another */
    lua->session = session, lua->command = command, lua->taught = taught, lua->now_ms = now_ms, lua->keys = keys;
    lua->proto = session->proto, lua->taken = lua->asides = 0, lua->kind = 0;
    lua->handed = lua->broken = false, lua->inside = true;
    current = lua;
    session->proto = 2; /* of replies to a script */
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

/* Called by the Lua that Python has just made: what stands for redis.call, what takes the function that
 * runs, and what makes a cjson. */
__attribute__((visibility("default"))) int respram_lua_open(lua_State *state) {
    if (!current)
        return 0;
    current->pushcclosure(state, run_command, 0);
    current->pushcclosure(state, bind, 0);
    current->pushcclosure(state, json_open, 0);
    return 3;
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
