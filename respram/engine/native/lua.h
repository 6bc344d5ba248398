/* What lua.c uses of Lua 5.1: functions of the library that runs scripts anyway, found by name. Their declarations are
 * those of Lua 5.1's lua.h, which is the same in all its releases. */
#ifndef RESPRAM_LUA_H
#define RESPRAM_LUA_H

#include "programs.h"

typedef struct lua_State lua_State;
typedef int (*LuaFunction)(lua_State *);
typedef void *(*LuaAlloc)(void *, void *, size_t, size_t);

#define LUA_FUNCTIONS(X) \
    X(int, gettop, (lua_State *)) \
    X(void, settop, (lua_State *, int)) \
    X(int, checkstack, (lua_State *, int)) \
    X(int, type, (lua_State *, int)) \
    X(double, tonumber, (lua_State *, int)) \
    X(const char *, tolstring, (lua_State *, int, size_t *)) \
    X(void, pushnil, (lua_State *)) \
    X(void, pushnumber, (lua_State *, double)) \
    X(void, pushboolean, (lua_State *, int)) \
    X(void, pushlstring, (lua_State *, const char *, size_t)) \
    X(void, pushcclosure, (lua_State *, LuaFunction, int)) \
    X(void, createtable, (lua_State *, int, int)) \
    X(void, pushvalue, (lua_State *, int)) \
    X(int, toboolean, (lua_State *, int)) \
    X(int, rawequal, (lua_State *, int, int)) \
    X(int, getmetatable, (lua_State *, int)) \
    X(int, next, (lua_State *, int)) \
    X(void, rawset, (lua_State *, int)) \
    X(void, rawseti, (lua_State *, int, int)) \
    X(void, rawgeti, (lua_State *, int, int)) \
    X(void, setfield, (lua_State *, int, const char *)) \
    X(void, call, (lua_State *, int, int)) \
    X(int, cpcall, (lua_State *, LuaFunction, void *)) \
    X(int, gc, (lua_State *, int, int)) \
    X(LuaAlloc, getallocf, (lua_State *, void **)) \
    X(void, setallocf, (lua_State *, LuaAlloc, void *))

enum { LUA_NIL, LUA_BOOLEAN, LUA_NUMBER = 3, LUA_STRING, LUA_TABLE }; /* values of lua_type */
#define LUA_GCCOUNT 3
#define LUA_REGISTRY (-10000)
#define LUA_UPVALUE (-10003) /* the first of the function that is called */

typedef struct Lua {
    void *library;
    lua_State *state;
    uint32_t generation;
    int run; /* in the registry: the sandbox's `run_fast` */
    size_t bytes_max, worn_bytes;
    LuaAlloc alloc; /* Lua's own, and what it is called with */
    void *alloc_with;
    /* of the run under way */
    Engine *engine;
    Session *session;
    const Command *command;
    const Taught *taught;
    int64_t now_ms;
    size_t keys, used, taken;
    size_t given_at, given_end; /* of the log: replies that the script's program got, to be answered again */
    unsigned asides;
    int proto;
    bool inside, handed, broken, told;
    int kind; /* of its outcome; the text is in `made` */
    double number;
#define DECLARE_FUNCTION(type, name, arguments) type (*name) arguments;
    LUA_FUNCTIONS(DECLARE_FUNCTION)
#undef DECLARE_FUNCTION
    int (*ref)(lua_State *, int);
} Lua;

/* lua.c */
Lua *lua_inside(void); /* the runtime of the running script; NULL: none runs */
Lua *lua_opened(void);

/* json.c */
int json_open(lua_State *state);

#endif
