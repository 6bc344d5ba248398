/* hiredis, synchronous, as the C programs that link it use it. Each check is a function that returns 1 when
 * it passed; what was expected and what came is in `why` when it did not. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define KEYS 300
#define MEBIBYTE (1 << 20)

static char why[512];
static redisContext *node;

static redisContext *connect_to(const char *port_name) {
    struct timeval limit = {5, 0};
    redisContext *context = redisConnectWithTimeout(getenv("RESPRAM_HOST"), atoi(getenv(port_name)), limit);
    if (context == NULL || context->err) {
        printf("fail connect expected=a connection got=%s\n", context ? context->errstr : "nothing");
        exit(1);
    }
    redisSetTimeout(context, limit);
    return context;
}

static int differs(const char *expected, redisReply *reply) {
    if (reply == NULL) {
        snprintf(why, sizeof why, "expected=%s got=no reply: %.100s", expected, node->errstr);
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(why, sizeof why, "expected=%s got=:%lld", expected, reply->integer);
    } else {
        snprintf(why, sizeof why, "expected=%s got=type %d %.200s", expected, reply->type, reply->str ? reply->str
            : "");
    }
    return 0;
}

static int text_is(redisReply *reply, const char *expected) {
    int good = reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)
        && !strcmp(reply->str, expected);
    if (!good) differs(expected, reply);
    if (reply) freeReplyObject(reply);
    return good;
}

static int number_in(redisReply *reply, long long low, long long high) {
    int good = reply && reply->type == REDIS_REPLY_INTEGER && reply->integer >= low && reply->integer <= high;
    if (!good) {
        char expected[64];
        snprintf(expected, sizeof expected, "%lld..%lld", low, high);
        differs(expected, reply);
    }
    if (reply) freeReplyObject(reply);
    return good;
}

static int is_nil(redisReply *reply) {
    int good = reply && reply->type == REDIS_REPLY_NIL;
    if (!good) differs("nil", reply);
    if (reply) freeReplyObject(reply);
    return good;
}

static int is_error(redisReply *reply, const char *words) {
    int good = reply && reply->type == REDIS_REPLY_ERROR && strstr(reply->str, words);
    if (!good) differs(words, reply);
    if (reply) freeReplyObject(reply);
    return good;
}

#define ASK(...) ((redisReply *)redisCommand(node, __VA_ARGS__))

static long long now_ms(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (long long)now.tv_sec * 1000 + now.tv_usec / 1000;
}

static int check_connect(void) { return text_is(ASK("PING"), "PONG"); }

static int check_resp2(void) {
    redisReply *reply = ASK("HELLO 2");
    int good = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 14 && reply->element[5]->integer == 2;
    if (!good) differs("an array of 14 with proto 2", reply);
    if (reply) freeReplyObject(reply);
    return good;
}

static int check_set_ex(void) { return text_is(ASK("SET a v EX 60"), "OK") && number_in(ASK("PTTL a"), 55000, 60000); }
static int check_set_px(void) { return text_is(ASK("SET b v PX 60000"), "OK") && number_in(ASK("PTTL b"), 55000, 60000);
    }
static int check_set_exat(void) {
    return text_is(ASK("SET c v EXAT %lld", now_ms() / 1000 + 60), "OK") && number_in(ASK("TTL c"), 55, 60);
}
static int check_set_pxat(void) {
    return text_is(ASK("SET d v PXAT %lld", now_ms() + 60000), "OK") && number_in(ASK("PTTL d"), 55000, 60000);
}
static int check_keepttl(void) {
    return text_is(ASK("SET a w KEEPTTL"), "OK") && text_is(ASK("GET a"), "w") && number_in(ASK("TTL a"), 50, 60);
}
static int check_default_ttl(void) { return text_is(ASK("SET bare v"), "OK")
    && number_in(ASK("TTL bare"), 1, 1LL << 40); }
static int check_get(void) { return text_is(ASK("GET b"), "v"); }
static int check_missing(void) { return is_nil(ASK("GET missing")); }

static int check_mget(void) {
    redisReply *reply = ASK("MGET b missing c");
    int good = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3
        && !strcmp(reply->element[0]->str, "v") &&
               reply->element[1]->type == REDIS_REPLY_NIL && !strcmp(reply->element[2]->str, "v");
    if (!good) differs("v, nil, v", reply);
    if (reply) freeReplyObject(reply);
    return good;
}

static int check_nx(void) {
    return text_is(ASK("SET once a EX 60 NX"), "OK") && is_nil(ASK("SET once b EX 60 NX"))
        && text_is(ASK("GET once"), "a");
}
static int check_expire(void) {
    return text_is(ASK("SET s v EX 600"), "OK") && number_in(ASK("EXPIRE s 100"), 1, 1)
        && number_in(ASK("TTL s"), 95, 100) &&
           number_in(ASK("PEXPIRE missing 5"), 0, 0);
}
static int check_ttl(void) { return number_in(ASK("TTL missing"), -2, -2) && number_in(ASK("TTL b"), 50, 60); }
static int check_incr(void) {
    return number_in(ASK("INCR n"), 1, 1) && number_in(ASK("INCRBY n 5"), 6, 6)
        && text_is(ASK("INCRBYFLOAT f 1.5"), "1.5");
}

static int check_scan(void) {
    char seen[KEYS] = {0}, cursor[32] = "0";
    int found = 0;
    for (int i = 0; i < KEYS; i++) {
        if (!text_is(ASK("SET scan:%d v EX 60", i), "OK")) return 0;
    }
    do {
        redisReply *reply = ASK("SCAN %s MATCH scan:* COUNT 17", cursor);
        if (!reply || reply->type != REDIS_REPLY_ARRAY
            || reply->elements != 2) return differs("cursor and keys", reply);
        snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            int number = atoi(reply->element[1]->element[i]->str + 5);
            if (number >= 0 && number < KEYS && !seen[number]) {
                seen[number] = 1;
                found++;
            }
        }
        freeReplyObject(reply);
    } while (strcmp(cursor, "0"));
    snprintf(why, sizeof why, "expected=%d keys got=%d", KEYS, found);
    return found == KEYS;
}

static int check_pipeline(void) {
    for (int i = 0; i < 200; i++) {
        redisAppendCommand(node, "SET pipe:%d %d EX 60", i, i);
        redisAppendCommand(node, "GET pipe:%d", i);
    }
    int good = 1;
    for (int i = 0; i < 200; i++) {
        char expected[16];
        redisReply *reply = NULL;
        snprintf(expected, sizeof expected, "%d", i);
        redisGetReply(node, (void **)&reply);
        good &= text_is(reply, "OK");
        reply = NULL;
        redisGetReply(node, (void **)&reply);
        good &= text_is(reply, expected);
    }
    return good;
}

static int check_multi(void) {
    if (!text_is(ASK("MULTI"), "OK") || !text_is(ASK("SET m 1 EX 60"), "QUEUED")
        || !text_is(ASK("INCR m"), "QUEUED")) return 0;
    redisReply *reply = ASK("EXEC");
    int good = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->integer == 2;
    if (!good) differs("OK, 2", reply);
    if (reply) freeReplyObject(reply);
    return good;
}

static int check_watch(void) {
    redisContext *other = connect_to("RESPRAM_PORT");
    int good = text_is(ASK("SET watched 1 EX 60"), "OK") && text_is(ASK("WATCH watched"), "OK");
    good &= text_is(redisCommand(other, "SET watched 2 EX 60"), "OK");
    good = good && text_is(ASK("MULTI"), "OK") && text_is(ASK("SET watched 3 EX 60"), "QUEUED") && is_nil(ASK("EXEC"));
    redisFree(other);
    return good && text_is(ASK("GET watched"), "2");
}

/* The third element of the next reply that a subscriber gets. */
static int heard(redisContext *listener, const char *kind, const char *message) {
    redisReply *reply = NULL;
    int good = redisGetReply(listener, (void **)&reply) == REDIS_OK && reply && reply->elements == 3 &&
               !strcmp(reply->element[0]->str, kind) && (!message || !strcmp(reply->element[2]->str, message));
    if (!good) differs(kind, reply);
    if (reply) freeReplyObject(reply);
    return good;
}

static int check_publish(void) {
    redisContext *listener = connect_to("RESPRAM_PORT");
    redisAppendCommand(listener, "SUBSCRIBE news");
    int good = heard(listener, "subscribe", NULL) && number_in(ASK("PUBLISH news one"), 1, 1)
        && heard(listener, "message", "one");
    redisAppendCommand(listener, "UNSUBSCRIBE");
    good = good && heard(listener, "unsubscribe", NULL) && text_is(redisCommand(listener, "PING"), "PONG");
    redisFree(listener);
    return good;
}

static int check_expired(void) {
    redisContext *listener = connect_to("RESPRAM_PORT");
    redisAppendCommand(listener, "SUBSCRIBE __keyevent@0__:expired");
    int good = heard(listener, "subscribe", NULL) && text_is(ASK("SET brief v PX 80"), "OK")
        && heard(listener, "message", "brief");
    redisFree(listener);
    return good && is_nil(ASK("GET brief"));
}

static int same_bytes(redisReply *reply, const char *bytes, size_t count) {
    int good = reply && reply->type == REDIS_REPLY_STRING && reply->len == count && !memcmp(reply->str, bytes, count);
    if (!good) snprintf(why, sizeof why, "expected=%zu bytes got=%zu or others", count, reply ? reply->len : 0);
    if (reply) freeReplyObject(reply);
    return good;
}

static int check_binary(void) {
    char bytes[256];
    for (int i = 0; i < 256; i++) bytes[i] = (char)(255 - i);
    return text_is(ASK("SET %b %b EX 60", bytes, sizeof bytes, bytes, sizeof bytes), "OK") &&
           same_bytes(ASK("GET %b", bytes, sizeof bytes), bytes, sizeof bytes);
}

static int check_mebibyte(void) {
    char *bytes = malloc(MEBIBYTE);
    for (int i = 0; i < MEBIBYTE; i++) bytes[i] = (char)(i % 251);
    int good = text_is(ASK("SET large %b EX 60", bytes, (size_t)MEBIBYTE), "OK")
        && number_in(ASK("STRLEN large"), MEBIBYTE, MEBIBYTE) &&
               same_bytes(ASK("GET large"), bytes, MEBIBYTE);
    free(bytes);
    return good;
}

static int check_auth(void) {
    redisContext *open_node = node;
    node = connect_to("RESPRAM_AUTH_PORT");
    int good = is_error(ASK("GET a"), "NOAUTH Authentication required.")
        && text_is(ASK("AUTH %s", getenv("RESPRAM_PASSWORD")), "OK") &&
               text_is(ASK("PING"), "PONG");
    redisFree(node);
    node = open_node;
    return good;
}

static int check_auth_refused(void) {
    redisContext *open_node = node;
    node = connect_to("RESPRAM_AUTH_PORT");
    int good = is_error(ASK("AUTH wrong"), "WRONGPASS invalid username-password pair or user is disabled.");
    redisFree(node);
    node = open_node;
    return good;
}

static int check_select(void) {
    return text_is(ASK("SELECT 5"), "OK") && text_is(ASK("SET there v EX 60"), "OK")
        && text_is(ASK("SELECT 0"), "OK") &&
           is_nil(ASK("GET there")) && is_error(ASK("SELECT 99"), "DB index is out of range");
}

static int check_del(void) {
    return text_is(ASK("SET stays v EX 60"), "OK") && is_error(ASK("DEL stays"), "NOPERM 'del' is refused by design") &&
           text_is(ASK("GET stays"), "v");
}

static int check_del_in_multi(void) {
    if (!text_is(ASK("MULTI"), "OK") || !text_is(ASK("SET sibling v EX 60"), "QUEUED")
        || !text_is(ASK("DEL sibling"), "QUEUED")) return 0;
    redisReply *reply = ASK("EXEC");
    int good = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
        && reply->element[0]->type == REDIS_REPLY_STATUS &&
               reply->element[1]->type == REDIS_REPLY_ERROR;
    if (!good) differs("OK and an error", reply);
    if (reply) freeReplyObject(reply);
    return good && text_is(ASK("GET sibling"), "v");
}

static int check_restart(void) {
    char line[64];
    printf("restart\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin) || strncmp(line, "restarted", 9)) return differs("restarted", NULL);
    redisReply *lost = ASK("PING");
    if (lost) return differs("a lost connection", lost);
    return redisReconnect(node) == REDIS_OK && text_is(ASK("PING"), "PONG");
}

static void report(const char *name, int (*check)(void)) {
    why[0] = 0;
    if (check()) {
        printf("ok %s\n", name);
    } else {
        printf("fail %s %s\n", name, why);
    }
    fflush(stdout);
}

int main(void) {
    printf("version %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    node = connect_to("RESPRAM_PORT");
    report("connect", check_connect);
    report("resp2", check_resp2);
    printf("skip resp3 this version speaks RESP2 only\n");
    report("set-ex", check_set_ex);
    report("set-px", check_set_px);
    report("set-exat", check_set_exat);
    report("set-pxat", check_set_pxat);
    report("set-keepttl", check_keepttl);
    report("default-ttl", check_default_ttl);
    report("get", check_get);
    report("get-missing", check_missing);
    report("mget", check_mget);
    report("set-nx", check_nx);
    report("expire", check_expire);
    report("ttl", check_ttl);
    report("incr", check_incr);
    report("scan", check_scan);
    report("pipeline", check_pipeline);
    report("multi", check_multi);
    report("watch", check_watch);
    report("publish-subscribe", check_publish);
    report("expired-event", check_expired);
    report("binary", check_binary);
    report("mebibyte", check_mebibyte);
    report("auth", check_auth);
    report("auth-refused", check_auth_refused);
    report("select", check_select);
    report("del-refused", check_del);
    report("del-in-multi", check_del_in_multi);
    report("restart", check_restart);
    printf("skip tls this version has no TLS in its package\n");
    printf("done\n");
    return 0;
}
