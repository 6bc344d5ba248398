/* Which node decides: a table of slots, and the commands that are decided elsewhere taken out of a batch. The twin
 * of pure/homes.py.
 *
 * While `engine->homes` is NULL (alone, or every node decides for itself) all of it costs one comparison a command.
 * Else a hot command that looks before it writes has the slot of its key looked up: 0, and it runs here; another
 * number, and it goes to `dispatch`, which takes it with all behind it that are alike (home_run), and sends each home
 * its own in one piece.
 */
#include "homes.h"

#include "hot.h"

#include <stdlib.h>
#include <string.h>

#define TAG_BYTES 24 /* bound of a mark, a length and its line end */

/* CRC16 (XMODEM): polynomial 0x1021. CRC[n]: of a byte with n zeros behind it, so that eight bytes are looked up at
 * a time and none waits for the one before. */
#define CRC_BYTES 8
static uint16_t CRC[CRC_BYTES][256];
static bool crc_filled;

static void crc_fill(void) {
    crc_filled = true;
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned crc = byte << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        CRC[0][byte] = (uint16_t)crc;
    }
    for (unsigned zeros = 1; zeros < CRC_BYTES; zeros++)
        for (unsigned byte = 0; byte < 256; byte++)
            CRC[zeros][byte] = (uint16_t)(CRC[zeros - 1][byte] << 8) ^ CRC[0][CRC[zeros - 1][byte] >> 8];
}

unsigned slot_of(Span key) {
    const uint8_t *bytes = key.bytes, *opened = key.len ? memchr(bytes, '{', key.len) : NULL;
    size_t len = key.len;
    if (opened) {
        size_t behind = key.len - (size_t)(opened + 1 - bytes);
        const uint8_t *closed = behind ? memchr(opened + 1, '}', behind) : NULL;
        if (closed && closed > opened + 1) {
            bytes = opened + 1;
            len = (size_t)(closed - bytes);
        }
    }
    unsigned crc = 0;
    for (; len >= CRC_BYTES; bytes += CRC_BYTES, len -= CRC_BYTES)
        crc = CRC[7][bytes[0] ^ crc >> 8] ^ CRC[6][bytes[1] ^ (crc & 255)] ^ CRC[5][bytes[2]] ^ CRC[4][bytes[3]]
              ^ CRC[3][bytes[4]] ^ CRC[2][bytes[5]] ^ CRC[1][bytes[6]] ^ CRC[0][bytes[7]];
    for (size_t at = 0; at < len; at++)
        crc = (crc << 8 & 0xffff) ^ CRC[0][crc >> 8 ^ bytes[at]];
    return crc % HOME_SLOTS;
}

/* The slot of the first of these packed keys that the table has another number than 0 for; -1: of none. */
int slot_away(Span keys, const uint8_t *table, bool *cut_short) {
    size_t at = 0;
    if (!crc_filled)
        crc_fill();
    *cut_short = false;
    while (at < keys.len) {
        uint32_t len;
        uint16_t number;
        if (keys.len - at < sizeof len) {
            *cut_short = true;
            return -1;
        }
        memcpy(&len, keys.bytes + at, sizeof len);
        at += sizeof len;
        if (len > keys.len - at) {
            *cut_short = true;
            return -1;
        }
        unsigned slot = slot_of((Span){keys.bytes + at, len});
        memcpy(&number, table + slot * sizeof number, sizeof number);
        if (number)
            return (int)slot;
        at += len;
    }
    return -1;
}

/* Where the line or the bulk that begins here ends; 0: it does not. `inner`: so many replies belong to it. */
static size_t part_end(Span replies, size_t at, uint64_t *inner) {
    if (at >= replies.len)
        return 0;
    const uint8_t *bytes = replies.bytes, *line_end = memchr(bytes + at, '\r', replies.len - at);
    size_t end = line_end ? (size_t)(line_end - bytes) : 0;
    if (!line_end || replies.len - end < 2 || bytes[end + 1] != '\n')
        return 0;
    end += 2;
    if (bytes[at] == '$' && bytes[at + 1] != '-') {
        int64_t len;
        if (!span_int64((Span){bytes + at + 1, end - 2 - at - 1}, &len) || len < 0
            || (uint64_t)len + 2 > replies.len - end)
            return 0;
        end += (size_t)len + 2;
    } else if (memchr("*~>%", bytes[at], 4) && bytes[at + 1] != '-') {
        int64_t count;
        if (!span_int64((Span){bytes + at + 1, end - 2 - at - 1}, &count) || (uint64_t)count > replies.len - end)
            return 0;
        *inner = (uint64_t)count << (bytes[at] == '%');
    }
    return end;
}

/* Where the reply that begins here ends, with all that belongs to it; 0: it does not. Each part takes bytes, so there
 * are never more than bytes. */
size_t reply_end(Span replies, size_t at) {
    for (uint64_t left = 1; left; left--) {
        uint64_t inner = 0;
        at = part_end(replies, at, &inner);
        if (!at)
            return 0;
        left += inner;
    }
    return at;
}

bool homes_use(Engine *engine, const uint8_t *table) {
    if (!table) {
        free(engine->homes);
        engine->homes = NULL;
        return true;
    }
    if (!engine->homes) {
        crc_fill();
        engine->homes = malloc(HOME_SLOTS * sizeof *engine->homes);
        if (!engine->homes)
            return false;
    }
    memcpy(engine->homes, table, HOME_SLOTS * sizeof *engine->homes);
    return true;
}

void homes_free(Engine *engine) {
    free(engine->homes);
    engine->homes = NULL;
}

/* Whether an option of SET makes it look first; a value cannot be among them, and what stands behind IFEQ does no
 * harm. */
static bool looks(const Command *command) {
    for (size_t at = 3; at < command->argc; at++) {
        Span word = command_arg(command, at);
        if (IS(word, "nx") || IS(word, "xx") || IS(word, "get") || IS(word, "keepttl") || IS(word, "ifeq")
            || IS(word, "ifne")
            || IS(word, "ifdeq") || IS(word, "ifdne"))
            return true;
    }
    return false;
}

/* Whether a hot command looks before it writes. A script without keys does not. */
bool home_decides(const Command *command) {
    if (!(ROWS[command->hot].shape & SHAPE_DECIDES) || command->argc < 2)
        return false;
    int64_t keys;
    switch (command->hot) {
    case HOT_set:
        return looks(command);
    case HOT_getex:
        return command->argc > 2;
    case HOT_eval:
    case HOT_evalsha:
        return command->argc > 3 && span_int64(command_arg(command, 2), &keys) && keys > 0;
    default:
        return true;
    }
}

/* The table's number of the node that decides about a hot command; 0: this node, or none has to. */
unsigned home_of(const Engine *engine, const Command *command) {
    if (!home_decides(command))
        return 0;
    bool script = command->hot == HOT_eval || command->hot == HOT_evalsha;
    int first_key = ROWS[command->hot].first_key; /* -1: behind the number of keys, or in front of it */
    size_t at = script ? 3 : command->hot == HOT_msetex || command->hot == HOT_zmpop ? 2
        : first_key > 0 ? (size_t)first_key : 1;
    return at < command->argc ? engine->homes[slot_of(command_arg(command, at))] : 0;
}

/* Whether what leaves the fast paths of this session may leave it for its home alone. */
bool home_gathers(const Engine *engine, const Session *session) {
    return engine->homes && session->hot && !session->decides && !session->midway && engine->hot_reads
        && engine->hot_writes;
}

static bool can_travel(const Session *session, const Command *command) {
    if (command->hot == COLD || command->hot == UNKNOWN_YET || !hot_permitted(session, &ROWS[command->hot], command))
        return false;
    const Row *row = &ROWS[command->hot];
    return row->shape & SHAPE_KEY && command->argc >= row->least && command->argc <= row->most && home_decides(command);
}

static bool add_head(Buffer *out, char mark, size_t number) {
    uint8_t head[TAG_BYTES];
    head[0] = (uint8_t)mark;
    size_t len = 1 + digits_of((int64_t)number, head + 1);
    head[len++] = '\r';
    head[len++] = '\n';
    return buffer_append(out, head, len);
}

static bool add_command(Buffer *out, const Command *command) {
    if (!add_head(out, '*', command->argc))
        return false;
    for (size_t number = 0; number < command->argc; number++) {
        Span arg = command_arg(command, number);
        if (!add_head(out, '$', arg.len) || (arg.len && !buffer_append(out, arg.bytes, arg.len))
            || !buffer_append(out, "\r\n", 2))
            return false;
    }
    return true;
}

static bool add_key(Buffer *keys, Span key) {
    uint32_t len = (uint32_t)key.len;
    return buffer_append(keys, &len, sizeof len) && (!key.len || buffer_append(keys, key.bytes, key.len));
}

/* Whether no command of the run before has this key. (They have the same home then, and stand in the same group.) */
static bool is_new(const Batch *batch, size_t number) {
    Span key = command_arg(&batch->commands[number], 1);
    for (size_t before = batch->next; before < number; before++) {
        Span other = command_arg(&batch->commands[before], 1);
        if (other.len == key.len && !memcmp(other.bytes, key.bytes, key.len))
            return false;
    }
    return true;
}

static HomeGroup *group_of(HomeRun *run, unsigned home) {
    for (size_t number = 0; number < run->groups; number++)
        if (run->group[number].home == home)
            return &run->group[number];
    if (run->groups == RUN_GROUPS_MAX)
        return NULL;
    run->group[run->groups].home = home;
    return &run->group[run->groups++];
}

/* For `dispatch`, which is asked about the first of them: the command under way and all behind it that are decided
 * about by one key, grouped by their homes; each group as a client would send it, and its distinct keys (u32 bytes |
 * key). Within a group the order is kept, and of one key all are in one group. What is decided here travels along,
 * so that it does not end the run. False: the first has to travel by itself, or memory is short. They are taken:
 * nobody dispatches them again. */
bool home_run(Engine *engine, const Session *session, HomeRun *run) {
    Batch *batch = &engine->batch;
    size_t bytes = 0;
    for (size_t number = batch->next; number < batch->count && session->hot; number++) {
        Command *command = &batch->commands[number];
        if (command->hot == UNKNOWN_YET)
            command->hot = hot_name(command_arg(command, 0));
        if (!can_travel(session, command))
            break;
        unsigned home = home_of(engine, command);
        for (size_t place = 0; place < command->argc; place++)
            bytes += command->args[place].len;
        if (run->commands ? bytes > RUN_BYTES_MAX : !home)
            break;
        HomeGroup *group = group_of(run, home);
        if (!group)
            break;
        size_t payload_len = group->payload.len, keys_len = group->keys.len;
        if (!add_command(&group->payload, command)
            || (is_new(batch, number) && !add_key(&group->keys, command_arg(command, 1)))) {
            buffer_cut(&group->payload, payload_len);
            buffer_cut(&group->keys, keys_len);
            break;
        }
        group->commands++;
        run->order[run->commands++] = (uint8_t)(group - run->group);
    }
    batch->taken = run->commands;
    return run->commands > 0;
}

void home_run_free(HomeRun *run) {
    for (size_t number = 0; number < run->groups; number++) {
        buffer_clear(&run->group[number].payload, 0);
        buffer_clear(&run->group[number].keys, 0);
    }
}
