"""Families about the wire: requests that are none, inline commands, wrong numbers of arguments, unknown names.

What ends a connection stands last on it, now and then with commands behind it that must not be executed.
"""

from compat.oracle.draw import Draw, send
from compat.oracle.families.plan import Plan
from compat.oracle.families.strings import each
from compat.oracle.resp import encode
from compat.oracle.stream import Raw, Send, Sleep, Step

# -- protocol errors ------------------------------------------------------------------------------
FATAL = (
    b"*abc\r\n", b"*2147483648\r\n", b"*9223372036854775808\r\n", b"*+1\r\n", b"* 1\r\n", b"*01\r\n", b"*1 \r\n",
    b"*-\r\n", b"*1.0\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$abc\r\n", b"*1\r\n$\r\n", b"*1\r\n$67108865\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999\r\n", b"*1\r\n$9223372036854775808\r\n", b"*1\r\n$+4\r\n", b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\nPING\r\n", b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*1\r\n+PING\r\n", b"*1\r\n\r\n", b"*2\r\n$4\r\nECHO\r\n#t\r\n",
    b"*1\r\n\xff\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n!1\r\nv\r\n", b"*2\r\n$3\r\nGET\r\n$-2\r\n", b"*1\r\n'\r\n",
    b"*1\r\n\\\r\n",
    b"SET k \"v\r\n", b"SET k 'v\r\n", b"\"a\"b\r\n", b"'a'b\r\n", b"GET \"a\"\"b\"\r\n", b"'\r\n", b"\"\r\n",
    b"\"\\x\r\n", b"GET 'it\\'s\r\n",
)  # fmt: skip
LONG_FATAL = (  # longer than 64 KiB without a line end, by more than Redis reads at once
    b"*" + b"1" * 100_000, b"*1\r\n$" + b"1" * 100_000, b"x" * 100_000, b"GET " + b"k" * 100_000,
)
SILENT_FATAL = (b"POST / HTTP/1.1\r\n", b"post x\r\n", b"Host: there\r\n", b"pOsT\r\n", b"HOST: x\r\nPING\r\n",
                b"*1\r\n$5\r\nhost:\r\n")
HARMLESS = (  # no reply is due
    b"\r\n", b"\n", b"*0\r\n", b"*-1\r\n", b"*-5\r\n", b"*-9223372036854775808\r\n", b"  \r\n", b"\t\r\n",
    b"\r\n\r\n\r\n", b"\n\n", b"   \n",
)  # fmt: skip
ODD = (  # malformed, but accepted by Redis: it does not check the two bytes after a bulk string
    b"*1\r\n$4\r\nPINGxx", b"*2\r\n$4\r\nECHO\r\n$2\r\nab\n\n", b"*1\r\n$4\r\nPING\x00\x00", b"*1\r\n$0\r\n\r\n",
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    b"*2\r\n$0\r\n\r\n$3\r\nabc\r\n", b"*1\r\n$5\r\n\r\n\r\nx\r\n", b"PING\n", b"ECHO a\n", b"*1\r\n$4\r\nping\r\n",
)  # fmt: skip


def protocol(draw: Draw, proto: int, count: int) -> Plan:
    if draw.chance(0.2):
        return strangers(draw)
    steps: list[Step] = []
    for conn in range(draw.number(3, 7)):
        steps += [good(draw, conn) for _ in range(draw.number(0, 4))]
        how = draw.number(0, 19)
        if how < 13:
            steps.append(Raw(conn, draw.pick(FATAL)))
        elif how < 15:
            steps.append(Raw(conn, mutated(draw), silent=True))
        elif how < 17:
            # With the end of a line behind it in the same read, Redis takes it or not, as its buffer happens to be.
            steps += [Raw(conn, draw.pick(LONG_FATAL)), Sleep(1)]
        else:
            # Redis drops what it has not sent yet when it sees HTTP, so everything before is waited for.
            steps += [Sleep(1), Raw(conn, draw.pick(SILENT_FATAL))]
        steps += [Raw(conn, draw.pick((encode([b"PING"]), b"PING\r\n", b"SET late 1\r\n", b"x")), silent=True)
                  for _ in range(draw.number(0, 2))]
    steps.append(Send(8, (b"GET", b"late")))
    return Plan(tuple(steps))


def good(draw: Draw, conn: int) -> Step:
    how = draw.number(0, 5)
    if how == 0:
        return Raw(conn, draw.pick(HARMLESS), silent=True)
    if how < 3:
        return Raw(conn, draw.pick(ODD))
    return send(draw, conn, draw.pick((b"PING", b"DBSIZE")))


def mutated(draw: Draw) -> bytes:
    """A request of three words with a character of its frame replaced: some are still requests of some kind.
    What is left incomplete waits for the rest, which is a line that ends it one way or another."""
    head = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
    at = draw.pick([position for position, byte in enumerate(head) if byte in b"*$13"])
    return head[:at] + draw.pick((b"", b"x", b"-", b"+", b" ", b":", b"9", b"\r", b"\n",
                                  b"0")) + head[at + 1 :] + b"*z\r\n" * 12


def strangers(draw: Draw) -> Plan:
    """Before AUTH there are small limits, and not much is answered."""
    steps: list[Step] = []
    for conn in range(4):
        words = draw.some(((b"PING",), (b"GET", b"k"), (b"NOSUCH",), (b"GET",), (b"AUTH", b"wrong"),
                           (b"AUTH", b"default", b"wrong"),
            (b"AUTH", b"nobody", b"x"),
                           (b"HELLO",), (b"HELLO", b"3"), (b"HELLO", b"2"), (b"HELLO", b"9"),
                           (b"HELLO", b"3", b"AUTH", b"default", b"wrong"),
                           (b"MULTI",), (b"EXEC",), (b"CLIENT", b"ID"), (b"RESET",), (b"COMMAND", b"COUNT"),
                           (b"SUBSCRIBE", b"c"), (b"ECHO",)), 1,
                           6)  # fmt: skip
        steps += [Send(conn, one) for one in words]
        last = draw.number(0, 4)
        if last == 0:
            steps.append(Raw(conn, encode([b"MSET", *[b"x"] * 10])))
        elif last == 1:
            steps.append(Raw(conn, encode([b"GET", b"x" * 16_385])))
        elif last == 2:
            steps += [Send(conn, (b"AUTH", b"secret")), Send(conn, (b"SET", b"k", b"x" * 20_000)),
                      Send(conn, (b"STRLEN", b"k"))]
        elif last == 3:
            steps += [Send(conn, (b"HELLO", b"3", b"AUTH", b"default", b"secret", b"SETNAME", b"me")),
                      Send(conn, (b"CLIENT", b"GETNAME"))]
        else:
            steps += [Send(conn, (b"AUTH", b"default", b"secret")), Send(conn, (b"RESET",)), Send(conn, (b"PING",)),
                      Send(conn, (b"QUIT",))]
    return Plan(tuple(steps), ((b"requirepass", b"secret"),))


# -- inline ---------------------------------------------------------------------------------------
PIECES = (
    b"a", b"b1", b"\"quoted\"", b"\"with blank\"", b"'single'", b"'it\\'s'", b"\"\\x41\\x0a\\xff\"",
    b"\"\\n\\r\\t\\b\\a\"", b"\"\\\\\"", b"\"\\\"\"",
    b"'\\n'", b"\"\"", b"''", b"\"\\q\"", b"\"\\xzz\"", b"\"\\x4\"", b"x\"y\"", b"x'y'", b"\\n", b"\\x41", b"\xff\xfe",
    b"$3", b"*1", b"-", b"1e5",
)  # fmt: skip
BLANKS = (b" ", b" ", b" ", b"  ", b"\t", b" \t ", b"\x0b", b"\x0c")


def inline(draw: Draw, proto: int, count: int) -> Plan:
    steps: list[Step] = []
    for _ in range(count):
        steps.append(inline_command(draw))
    if draw.chance(0.5):
        steps.append(Raw(0, draw.pick((b"ECHO \"a\"b\r\n", b"ECHO 'a'b\r\n", b"ECHO \"a\r\n", b"ECHO 'a\n", b"\"\r\n",
                                       b"ECHO \"a\\\"\r\n",
            b"PING 'a'\"b\"\r\n"))))
    return Plan(tuple(steps))


def inline_command(draw: Draw) -> Raw:
    how = draw.number(0, 9)
    if how == 0:
        return Raw(0, draw.pick(HARMLESS[:2] + HARMLESS[6:]), silent=True)
    # A word that opens a quote inside itself (x"y") goes on to the quote's end, and is one word.
    words = {
        1: [b"PING"], 2: [b"ECHO", draw.pick(PIECES)], 3: [b"ECHO", draw.pick(PIECES)],
        4: [b"SET", draw.pick(PIECES), draw.pick(PIECES)],
        5: [b"GET", draw.pick(PIECES)], 6: [b"MSET", *draw.some(PIECES, 1, 5)],
        7: [b"EXISTS", *draw.some(PIECES, 0, 4)],
        8: [draw.pick((b"\"PING\"", b"'ping'", b"\"\\x50ING\"", b"\"\"", b"''", b"nosuch")), *draw.some(PIECES, 0, 1)],
        9: draw.some(PIECES, 1, 4),
    }[how]  # fmt: skip
    words[0] = draw.case(words[0]) if words[0].isalpha() else words[0]
    # A line that begins with an asterisk is no inline command, but the head of an array that waits for more.
    text = draw.pick((b"", b"", b" ", b"\t") if words[0][:1] != b"*" else (b" ", b"\t"))
    for number, word in enumerate(words):
        text += (draw.pick(BLANKS) if number else b"") + word
    return Raw(0, text + draw.pick((b"", b"", b" ", b"\t ")) + draw.pick((b"\r\n", b"\r\n", b"\n")))


# -- names and numbers of arguments ---------------------------------------------------------------
ARITIES = """
    append 3 decr 2 decrby 3 get 2 getex -2 getrange 4 getset 3 incr 2 incrby 3 incrbyfloat 3 mget -2 mset -3 msetnx -3
    psetex 4 set -3 setex 4 setnx 3 setrange 4 strlen 2 substr 4 bitcount -2 bitop -4 bitpos -3 getbit 3 setbit 4
    copy -3 exists -2 expire -3 expireat -3 expiretime 2 keys 2 object|encoding 3 object|freq 3 object|help 2
    object|idletime 3 object|refcount 3 pexpire -3 pexpireat -3 pexpiretime 2 pttl 2 randomkey 1 scan -2 touch -2 ttl 2
    type 2 wait 3 auth -2 client|caching 3 client|getname 2 client|getredir 2 client|help 2 client|id 2 client|info 2
    client|kill -3 client|no-evict 3 client|pause -3 client|reply 3 client|setname 3 client|tracking -3
    client|trackinginfo 2 client|unblock -3 client|unpause 2 echo 2 select 2 discard 1 exec 1 multi 1 unwatch 1 watch -2
    psubscribe -2 publish 3 pubsub|numpat 2 pubsub|help 2 spublish 3 ssubscribe -2 subscribe -2 command|count 2
    command|getkeys -4 command|getkeysandflags -4 command|help 2 config|get -3 config|set -4 config|resetstat 2
    config|help 2 config|rewrite 2 dbsize 1 latency|doctor 2 latency|graph 3 latency|help 2 latency|history 3
    latency|latest 2 memory|doctor 2 memory|help 2 memory|malloc-stats 2 memory|purge 2 memory|stats 2 memory|usage -3
    module|help 2 module|list 2 role 1 slowlog|help 2 slowlog|len 2 slowlog|reset 2 time 1 acl|whoami 2 acl|list 2
    acl|help 2 reset 1 client 1 config 1 command|nosuch -2 object 1 memory 1 slowlog 1 latency 1 pubsub 1 acl 1 module 1
    module|load -3 acl|setuser -3 acl|getuser 3 acl|deluser -3 script 1 function 1 xgroup 1 xinfo 1 cluster 1 del -2
    unlink -2 getdel 2 rename 3 renamenx 3 move 3 swapdb 3 persist 2 restore -4 eval -3 evalsha -3 eval_ro -3 fcall -3
    hset -4 hget 3 hgetall 2 lpush -3 lrange 4 sadd -3 smembers 2 zadd -4 zrange -4 xadd -5 geoadd -5 pfadd -2
    bitfield -2 lcs -3 dump 2 replicaof 3 slaveof 3 sort -2 blpop -3 monitor 1 save 1 bgrewriteaof 1 lastsave 1 asking 1
    readonly 1 readwrite 1 sync 1 psync -3 debug -2 sinter -2 hincrby 4 lmove 5 zscore 3 xread -4 geodist -4
    object|nosuch 9
"""
UNKNOWN = (
    b"NOSUCH", b"", b"getx", b"ge", b"get ", b" get", b"g\r\net", b"\x00", b"\xff\xfe", b"x" * 130, b"client|id",
    b"config|get", b"get|x", b"|",
    b"SET\n",
    b"hello world", b"'quoted'", b"%s%n", b"_", b"x" * 300,
)  # fmt: skip


def arity(draw: Draw, proto: int, count: int) -> Plan:
    return each(draw, count, wrong_count, wrong_count, unknown, unknown_subcommand)


def wrong_count(draw: Draw) -> Send:
    table = ARITIES.split()
    at = 2 * draw.number(0, len(table) // 2 - 1)
    words, number = table[at].encode().split(b"|"), int(table[at + 1])
    wanted = (
        draw.number(1, -number - 1) if number < 0 else draw.pick([count for count in range(1, 8) if count != number])
    )
    if b"".join(words).isalpha() and len(words) == 1 and number == 1 and wanted > 1:
        return send(draw, 0, words[0], *(draw.pick((b"nosuch", b"x|y", b"\n")) for _ in range(wanted - 1)))
    argv = [draw.case(word) for word in words] + [draw.pick((b"x", b"1", b"k0", b"")) for _ in range(10)]
    return Send(
        0,
        tuple(
            argv[: max(wanted, len(words))] if len(argv[: max(wanted, len(words))]) != number else argv[: number + 1]
        ),
    )


def unknown(draw: Draw) -> Send:
    words = draw.some((b"a", b"", b"arg two", b"\r\n", b"\x00", b"\xff", b"'q'", b"x" * 60, b"y" * 200), 0, 5)
    return Send(0, (draw.pick(UNKNOWN), *words))


def unknown_subcommand(draw: Draw) -> Send:
    name = draw.pick(
        (b"CLIENT", b"CONFIG", b"COMMAND", b"OBJECT", b"MEMORY", b"SLOWLOG", b"LATENCY", b"PUBSUB", b"ACL", b"MODULE")
    )
    sub = draw.pick((b"nosuch", b"", b"\r\n", b"x" * 200, b"he lp", b"\xff", b"get", b"list", b"id|", b"HELPP"))
    if (name, sub) in (
        (b"SLOWLOG", b"get"),
        (b"CONFIG", b"get"),
        (b"CLIENT", b"list"),
        (b"COMMAND", b"list"),
        (b"MODULE", b"list"),
        (b"ACL", b"list"),
    ):
        sub = b"nosuch"
    return send(draw, 0, name, sub, *draw.some((b"a", b"b"), 0, 3))
