/* cjson for scripts that the engine runs: what cjson.lua does, for ordinary texts and tables and cjson's own settings.
 *
 * Where a text or a table is anything else (not JSON, a surrogate pair, a number in an unusual spelling, a metatable, a
 * sparse list, much nesting) nothing is answered, and cjson.lua does it: the messages are its own.
 */
#include "lua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64
#define DIGITS_MAX 15 /* digits that a double represents exactly */
#define LONG_NUMBER_BYTES 64
#define SPARSE_RATIO 2 /* as in cjson: a list may have this many places for each value */
#define SPARSE_SAFE 10
#define LIST_MAX (1 << 20)

typedef struct Text {
    const Lua *lua;
    lua_State *state;
    const uint8_t *at, *end;
} Text;

/* -- text -> Lua --------------------------------------------------------------------------------- */
static void skip_blanks(Text *text) {
    while (text->at < text->end
        && (*text->at == ' ' || *text->at == '\t' || *text->at == '\n' || *text->at == '\r'))
        text->at++;
}

static bool accepts(Text *text, uint8_t mark) {
    skip_blanks(text);
    if (text->at == text->end || *text->at != mark)
        return false;
    text->at++;
    return true;
}

static bool accepts_word(Text *text, const char *word, size_t len) {
    if ((size_t)(text->end - text->at) < len || memcmp(text->at, word, len))
        return false;
    text->at += len;
    return true;
}

static int hex_of(uint8_t digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Four digits of hex as UTF-8. */
static bool add_code(Text *text, Buffer *out) {
    unsigned code = 0;
    uint8_t bytes[3];
    size_t len = 1;
    if (text->end - text->at < 4)
        return false;
    for (int number = 0; number < 4; number++) {
        int digit = hex_of(*text->at++);
        if (digit < 0)
            return false;
        code = code << 4 | (unsigned)digit;
    }
    if (code >= 0xd800 && code <= 0xdfff)
        return false;
    if (code < 0x80) {
        bytes[0] = (uint8_t)code;
    } else if (code < 0x800) {
        len = 2;
        bytes[0] = (uint8_t)(0xc0 | code >> 6);
        bytes[1] = (uint8_t)(0x80 | (code & 63));
    } else {
        len = 3;
        bytes[0] = (uint8_t)(0xe0 | code >> 12);
        bytes[1] = (uint8_t)(0x80 | (code >> 6 & 63));
        bytes[2] = (uint8_t)(0x80 | (code & 63));
    }
    return buffer_append(out, bytes, len);
}

/* Behind the opening quote. */
static bool push_text(Text *text) {
    Buffer *out = &text->lua->engine->programs.made;
    const uint8_t *start = text->at;
    bool escaped = false;
    buffer_clear(out, LOG_KEPT_BYTES_MAX);
    for (;;) {
        while (text->at < text->end && *text->at != '"' && *text->at != '\\' && *text->at)
            text->at++;
        if (text->at == text->end || !*text->at)
            return false;
        if (*text->at == '"') {
            if (escaped && !buffer_append(out, start, (size_t)(text->at - start)))
                return false;
            Span found = escaped ? (Span){out->bytes, out->len} : (Span){start, (size_t)(text->at - start)};
            text->at++;
            text->lua->pushlstring(text->state, (const char *)found.bytes, found.len);
            return true;
        }
        escaped = true;
        if (!buffer_append(out, start, (size_t)(text->at - start)) || ++text->at == text->end)
            return false;
        static const char LETTERS[] = "\"\\/btnfr", MEANT[] = "\"\\/\b\t\n\f\r";
        uint8_t letter = *text->at++;
        const char *found = letter ? strchr(LETTERS, letter) : NULL;
        if (found ? !buffer_append(out, &MEANT[found - LETTERS], 1) : letter != 'u' || !add_code(text, out))
            return false;
        start = text->at;
    }
}

static size_t skip_digits(Text *text) {
    const uint8_t *start = text->at;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9')
        text->at++;
    return (size_t)(text->at - start);
}

static bool push_number(Text *text) {
    const uint8_t *start = text->at;
    bool negative = *start == '-', plain = true;
    text->at += negative;
    const uint8_t *first = text->at;
    size_t digits = skip_digits(text);
    if (!digits || (digits > 1 && *first == '0'))
        return false;
    if (text->at < text->end && *text->at == '.') {
        plain = false;
        text->at++;
        if (!skip_digits(text))
            return false;
    }
    if (text->at < text->end && (*text->at | 0x20) == 'e') {
        plain = false;
        text->at++;
        if (text->at < text->end && (*text->at == '+' || *text->at == '-'))
            text->at++;
        if (!skip_digits(text))
            return false;
    }
    if (text->at < text->end && ((*text->at | 0x20) == 'x' || *text->at == '.'))
        return false;
    double number = 0;
    if (plain && digits <= DIGITS_MAX) {
        for (; first < text->at; first++)
            number = number * 10 + (*first - '0');
        if (negative)
            number = -number;
    } else {
        char copy[LONG_NUMBER_BYTES];
        size_t len = (size_t)(text->at - start);
        if (len >= sizeof copy)
            return false;
        memcpy(copy, start, len);
        copy[len] = 0;
        number = strtod(copy, NULL);
    }
    text->lua->pushnumber(text->state, number);
    return true;
}

static bool push_value(Text *text, int depth) {
    const Lua *lua = text->lua;
    lua_State *state = text->state;
    skip_blanks(text);
    if (text->at == text->end || depth > DEPTH_MAX || !lua->checkstack(state, 6))
        return false;
    switch (*text->at) {
    case '"':
        text->at++;
        return push_text(text);
    case '{':
        text->at++;
        lua->createtable(state, 0, 0);
        if (accepts(text, '}'))
            return true;
        do {
            if (!accepts(text, '"') || !push_text(text) || !accepts(text, ':') || !push_value(text, depth + 1))
                return false;
            lua->rawset(state, -3);
        } while (accepts(text, ','));
        return accepts(text, '}');
    case '[':
        text->at++;
        lua->createtable(state, 0, 0);
        if (accepts(text, ']'))
            return true;
        for (int place = 1; place < LIST_MAX; place++) {
            if (!push_value(text, depth + 1))
                return false;
            lua->rawseti(state, -2, place);
            if (!accepts(text, ','))
                return accepts(text, ']');
        }
        return false;
    case 't':
        lua->pushboolean(state, 1);
        return accepts_word(text, "true", 4);
    case 'f':
        lua->pushboolean(state, 0);
        return accepts_word(text, "false", 5);
    case 'n':
        lua->pushvalue(state, LUA_UPVALUE);
        return accepts_word(text, "null", 4);
    default:
        return (*text->at == '-' || (*text->at >= '0' && *text->at <= '9')) && push_number(text);
    }
}

/* True and the value, or nothing. */
static int decode(lua_State *state) {
    Lua *lua = lua_inside();
    if (!lua || lua->gettop(state) != 1 || lua->type(state, 1) != LUA_STRING)
        return 0;
    size_t len;
    const uint8_t *bytes = (const uint8_t *)lua->tolstring(state, 1, &len);
    Text text = {lua, state, bytes, bytes + len};
    lua->pushboolean(state, 1);
    if (!push_value(&text, 1))
        return 0;
    skip_blanks(&text);
    return text.at == text.end ? 2 : 0;
}

/* -- Lua -> text --------------------------------------------------------------------------------- */
static bool add(Buffer *out, const void *bytes, size_t len) {
    return out->len + len <= LOG_BYTES_MAX && buffer_append(out, bytes, len);
}

static bool add_text(Buffer *out, const uint8_t *bytes, size_t len) {
    static const char LETTERS[] = "\"\\/\b\t\n\f\r", WRITTEN[] = "\"\\/btnfr";
    size_t start = 0;
    if (!add(out, "\"", 1))
        return false;
    for (size_t at = 0; at < len; at++) {
        uint8_t byte = bytes[at];
        char escape[8] = "\\";
        size_t escape_len = 2;
        if (byte >= 32 && byte != '"' && byte != '\\' && byte != '/' && byte != 127)
            continue;
        const char *found = byte ? strchr(LETTERS, byte) : NULL;
        if (found)
            escape[1] = WRITTEN[found - LETTERS];
        else
            escape_len = (size_t)snprintf(escape, sizeof escape, "\\u%04x", byte);
        if (!add(out, bytes + start, at - start) || !add(out, escape, escape_len))
            return false;
        start = at + 1;
    }
    return add(out, bytes + start, len - start) && add(out, "\"", 1);
}

static bool add_number(Buffer *out, double number) {
    char digits[NUMBER_BYTES];
    if (number != number || number - number != 0)
        return false;
    if (number > 0 && number < 1e14 && (double)(int64_t)number == number)
        return add(out, digits, digits_of((int64_t)number, (uint8_t *)digits));
    return add(out, digits, (size_t)snprintf(digits, sizeof digits, "%.14g", number));
}

static bool add_value(const Lua *lua, lua_State *state, Buffer *out, int depth);

/* How long a list the table on top is: 0, it is none. False: cjson.lua has to say. */
static bool list_length(const Lua *lua, lua_State *state, int *length) {
    double most = 0, items = 0;
    *length = 0;
    lua->pushnil(state);
    while (lua->next(state, -2)) {
        double key = lua->type(state, -2) == LUA_NUMBER ? lua->tonumber(state, -2) : 0;
        if (!(key >= 1 && key < LIST_MAX && (double)(int)key == key)) {
            bool plain = key < LIST_MAX;
            lua->settop(state, -3);
            return plain; /* not a list: the key is not an index */
        }
        most = key > most ? key : most;
        items++;
        lua->settop(state, -2);
    }
    *length = (int)most;
    return most <= items * SPARSE_RATIO || most <= SPARSE_SAFE;
}

static bool add_list(const Lua *lua, lua_State *state, Buffer *out, int length, int depth) {
    for (int place = 1; place <= length; place++) {
        if (!add(out, place == 1 ? "[" : ",", 1))
            return false;
        lua->rawgeti(state, -1, place);
        if (!add_value(lua, state, out, depth))
            return false;
        lua->settop(state, -2);
    }
    return add(out, "]", 1);
}

static bool add_object(const Lua *lua, lua_State *state, Buffer *out, int depth) {
    const char *mark = "{";
    lua->pushnil(state);
    while (lua->next(state, -2)) {
        size_t len;
        int type = lua->type(state, -2);
        if (!add(out, mark, 1))
            return false;
        if (type == LUA_STRING) { /* lua_tolstring would turn a number into a text, which confuses `next` */
            const uint8_t *key = (const uint8_t *)lua->tolstring(state, -2, &len);
            if (!add_text(out, key, len))
                return false;
        } else if (type != LUA_NUMBER || !add(out, "\"", 1) || !add_number(out, lua->tonumber(state, -2))
            || !add(out, "\"", 1)) {
            return false;
        }
        if (!add(out, ":", 1) || !add_value(lua, state, out, depth))
            return false;
        lua->settop(state, -2);
        mark = ",";
    }
    return (*mark == ',' || add(out, "{", 1)) && add(out, "}", 1);
}

/* Of what is on top, which stays there. False leaves more there. */
static bool add_value(const Lua *lua, lua_State *state, Buffer *out, int depth) {
    size_t len;
    int length;
    switch (lua->type(state, -1)) {
    case LUA_NIL:
        return add(out, "null", 4);
    case LUA_BOOLEAN:
        return lua->toboolean(state, -1) ? add(out, "true", 4) : add(out, "false", 5);
    case LUA_NUMBER:
        return add_number(out, lua->tonumber(state, -1));
    case LUA_STRING: {
        const uint8_t *text = (const uint8_t *)lua->tolstring(state, -1, &len);
        return add_text(out, text, len);
    }
    case LUA_TABLE:
        if (depth >= DEPTH_MAX || !lua->checkstack(state, 6) || lua->getmetatable(state, -1)
            || !list_length(lua, state, &length))
            return false;
        return length ? add_list(lua, state, out, length, depth + 1) : add_object(lua, state, out, depth + 1);
    default:
        return lua->rawequal(state, -1, LUA_UPVALUE) && add(out, "null", 4);
    }
}

/* The text, or nothing. */
static int encode(lua_State *state) {
    Lua *lua = lua_inside();
    if (!lua || lua->gettop(state) != 1)
        return 0;
    Buffer *out = &lua->engine->programs.made;
    buffer_clear(out, LOG_KEPT_BYTES_MAX);
    if (!add_value(lua, state, out, 0))
        return 0;
    lua->pushlstring(state, (const char *)out->bytes, out->len);
    return 1;
}

/* Takes cjson.null, and gives `encode` and `decode`. */
int json_open(lua_State *state) {
    Lua *lua = lua_opened();
    lua->settop(state, 1);
    lua->pushvalue(state, 1);
    lua->pushcclosure(state, encode, 1);
    lua->pushvalue(state, 1);
    lua->pushcclosure(state, decode, 1);
    return 2;
}
