"""Families about a connection and about the node: HELLO and CLIENT, COMMAND and CONFIG, the shapes of RESP3.

What is set stays within the stream: whoever plays it sets CONFIG back to the defaults behind it.
"""

from compat.oracle.draw import Draw, send
from compat.oracle.families.keys import mset
from compat.oracle.families.plan import Plan
from compat.oracle.families.strings import each, get, incr, incrbyfloat, life, mget, plain_set, set_command
from compat.oracle.stream import AddressOf, IdOf, Send, Step, Word

# -- connection -----------------------------------------------------------------------------------
HELLOS = (
    (), (b"2",), (b"3",), (b"3",), (b"1",), (b"4",), (b"abc",), (b"",), (b"2", b"SETNAME", b"me"),
    (b"3", b"setname", b"you"),
    (b"3", b"SETNAME", b"a b"),
    (b"3", b"SETNAME"), (b"3", b"FOO"), (b"3", b"AUTH", b"default", b"x"), (b"2", b"AUTH", b"nobody", b"x"),
    (b"3", b"AUTH", b"default"),
    (b"2", b"AUTH", b"default", b"any", b"SETNAME", b"n"), (b"3.0",), (b"03",), (b"-3",), (b"3", b"SETNAME", b"\r\n"),
    (b"3", b"SETNAME", b""),
)  # fmt: skip
CLIENTS: tuple[tuple[Word, ...], ...] = (
    (b"ID",), (b"GETNAME",), (b"SETNAME", b"name"), (b"SETNAME", b""), (b"SETNAME", b"a b"), (b"SETNAME", b"\n"),
    (b"SETNAME", b"\xff"), (b"INFO",),
    (b"LIST", b"ID", IdOf(0)), (b"LIST", b"ID", IdOf(1), IdOf(0)), (b"LIST", b"ID", b"abc"),
    (b"LIST", b"TYPE", b"nosuch"),
    (b"LIST", b"TYPE", b"pubsub"),
    (b"LIST", b"TYPE", b"master"), (b"LIST", b"FOO"), (b"LIST", b"ID"), (b"LIST", b"TYPE"),
    (b"LIST", b"ID", b"999999999"), (b"NO-EVICT", b"ON"),
    (b"NO-EVICT", b"off"), (b"NO-EVICT", b"x"), (b"KILL", b"1.2.3.4:5"), (b"KILL", b"ID", b"999999999"),
    (b"KILL", b"ID", b"abc"),
    (b"KILL", b"ID", b"0"),
    (b"KILL", b"ID"), (b"KILL", b"FOO", b"x"), (b"KILL", b"TYPE", b"nosuch"),
    (b"KILL", b"ID", IdOf(0), b"SKIPME", b"yes"),
    (b"KILL", b"SKIPME", b"maybe"),
    (b"KILL", b"USER", b"nobody"), (b"KILL", b"ADDR", b"1.2.3.4:5"),
    (b"KILL", b"TYPE", b"pubsub", b"ADDR", b"1.2.3.4:5"), (b"UNBLOCK", b"999999999"),
    (b"UNBLOCK", b"abc"), (b"UNBLOCK", IdOf(0), b"TIMEOUT"), (b"UNBLOCK", IdOf(0), b"x"),
    (b"UNBLOCK", IdOf(1), b"ERROR"), (b"PAUSE", b"abc"),
    (b"PAUSE", b"-1"), (b"PAUSE", b"0"), (b"PAUSE", b"1", b"FOO"), (b"PAUSE", b"1", b"WRITE"), (b"PAUSE", b"1"),
    (b"PAUSE", b"1", b"ALL", b"x"),
    (b"UNPAUSE",),
    (b"GETREDIR",), (b"REPLY", b"ON"), (b"REPLY", b"x"), (b"TRACKINGINFO",), (b"CACHING", b"YES"), (b"CACHING", b"x"),
    (b"HELP",),
)  # fmt: skip


def connection(draw: Draw, proto: int, count: int) -> Plan:
    """Connection 0 talks about itself and about 1; 2 is somebody that may be killed."""
    makers = (hello, hello, client, client, client, client, auth, select, ping, ping, echo, wait, get, incr)
    steps: list[Step] = [Send(1, (b"PING",)), Send(2, (b"PING",))]
    for _ in range(count):
        steps += [draw.pick(makers)(draw)] if draw.chance(0.93) else muted(draw)
    if draw.chance(0.3):
        steps.append(Send(0,
                          draw.pick(((b"CLIENT", b"KILL", b"ID", IdOf(2)), (b"CLIENT", b"KILL", b"ADDR", AddressOf(2)),
            (b"CLIENT", b"KILL", AddressOf(2))))))
    if draw.chance(0.25):
        steps += [send(draw, 0, b"RESET"), Send(0, (b"CLIENT", b"GETNAME")), Send(0, (b"HELLO",))]
    if draw.chance(0.3):
        steps.append(send(draw, 0, b"QUIT", *([b"x"] if draw.chance(0.2) else [])))
    elif draw.chance(0.3):
        steps.append(Send(0, (b"CLIENT", b"KILL", b"ID", IdOf(0), b"SKIPME", b"no")))
    return Plan(tuple(steps))


def hello(draw: Draw) -> Send:
    return send(draw, 0, b"HELLO", *draw.pick(HELLOS))


def client(draw: Draw) -> Send:
    words = draw.pick(CLIENTS)
    first = words[0]
    assert isinstance(first, bytes)
    return send(draw, 0, b"CLIENT", draw.case(first), *words[1:])


def auth(draw: Draw) -> Send:
    return send(draw, 0, b"AUTH", *draw.pick(((b"x",), (b"default", b"x"), (b"nobody", b"x"), (b"a", b"b", b"c"),
                                              (b"",), (b"default", b""))))


def select(draw: Draw) -> Send:
    return send(draw, 0, b"SELECT", draw.pick((b"0", b"1", b"15", b"16", b"-1", b"abc", b"", b"1.0", b"01",
                                               b"2147483648", b"9223372036854775808",
        b"-2147483649")))


def ping(draw: Draw) -> Send:
    return send(draw, 0, b"PING", *draw.pick(((), (), (b"x",), (b"",), (b"\r\n",), (b"a", b"b"), (b"x" * 5000,))))


def echo(draw: Draw) -> Send:
    return send(draw, 0, b"ECHO", draw.value())


def wait(draw: Draw) -> Send:
    """Nobody to wait for, so the time is short or there is none."""
    words = draw.pick(((b"0", b"0"), (b"0", b"1"), (b"1", b"1"), (b"-1", b"1"), (b"abc", b"1"), (b"0", b"abc"),
                       (b"0", b"-1"), (b"1", b"5"),
        (b"0", b""), (b"", b"")))
    return send(draw, 0, b"WAIT", *words)


def muted(draw: Draw) -> list[Step]:
    """CLIENT REPLY: what is executed in silence, and who ends it."""
    if draw.chance(0.5):
        return [Send(0, (b"CLIENT", draw.case(b"REPLY"), draw.case(b"SKIP")), silent=True),
            Send(0, draw.pick(((b"PING",), (b"GET",), (b"INCR", b"k0"))), silent=True),
                Send(0, (b"PING", b"heard"))]  # fmt: skip
    quiet = [Send(0, words, silent=True)
             for words in draw.some(((b"PING",), (b"NOSUCH",), (b"INCR", b"k0"), (b"CLIENT", b"REPLY", b"SKIP")), 0, 3)]
    return [Send(0, (b"CLIENT", b"REPLY", draw.case(b"OFF")), silent=True), *quiet,
            Send(0, (b"CLIENT", b"REPLY", b"ON")),
        Send(0, (b"PING", b"heard"))]


# -- introspection --------------------------------------------------------------------------------
NAMES = (
    b"append bitcount bitop bitpos copy decr decrby exists expire expireat expiretime get getbit getex getrange getset "
    b"incr "
    b"incrby incrbyfloat keys mget mset msetnx object object|encoding pexpire pexpireat pexpiretime psetex pttl "
    b"randomkey scan "
    b"set setbit setex setnx setrange strlen substr touch ttl type wait auth client|id client|tracking client|kill "
    b"echo hello "
    b"ping quit reset select discard exec multi unwatch watch psubscribe publish pubsub|numsub punsubscribe spublish "
    b"ssubscribe subscribe sunsubscribe unsubscribe command|getkeys config|get config|set dbsize info latency|latest "
    b"memory|usage module|list role slowlog|get time nosuch get|x client|nosuch config|nosuch "
).split()
KEYED: tuple[tuple[bytes, ...], ...] = (
    (b"GET", b"a"), (b"SET", b"a", b"v"), (b"SET", b"a", b"v", b"GET"), (b"SET", b"a", b"v", b"NX", b"EX", b"10"),
    (b"MGET", b"a", b"b", b"a"),
    (b"MSET", b"a", b"1", b"b", b"2"),
    (b"MSET", b"a", b"1", b"b"), (b"BITOP", b"AND", b"d", b"a", b"b"), (b"COPY", b"a", b"b"),
    (b"OBJECT", b"ENCODING", b"a"), (b"OBJECT", b"HELP"),
    (b"PING",), (b"NOSUCH", b"a"),
    (b"GET",), (b"GET", b"a", b"b"), (b"EXISTS", b"a"), (b"WATCH", b"a", b"b"), (b"EXPIRE", b"a", b"1"),
    (b"MEMORY", b"USAGE", b"a"),
    (b"GETEX", b"a", b"EX", b"1"),
    (b"SSUBSCRIBE", b"s"), (b"SPUBLISH", b"s", b"m"), (b"PUBLISH", b"c", b"m"), (b"CLIENT", b"ID"),
    (b"client", b"nosuch"),
    (b"CONFIG", b"GET", b"x"), (b"TOUCH", b"a", b"b"),
    (b"SETRANGE", b"a", b"0", b"x"), (b"INCRBY", b"a", b"1"), (b"SCAN", b"0"), (b"object", b"freq", b"k"), (b"",),
    (b"get", b""),
)  # fmt: skip
SHARED = (  # parameters with the same name, default and meaning in both servers
    b"save", b"appendonly", b"databases", b"timeout", b"tcp-keepalive", b"maxclients", b"requirepass",
    b"notify-keyspace-events", b"slowlog-max-len",
    b"slowlog-log-slower-than", b"proto-max-bulk-len", b"client-query-buffer-limit", b"cluster-enabled",
    b"tracking-table-max-keys",
    b"latency-monitor-threshold",
    b"maxmemory-policy", b"tcp-backlog", b"daemonize", b"io-threads", b"unixsocket", b"tls-port", b"nosuch",
    b"MaxMemory-Policy", b"SAVE",
)  # fmt: skip
SETTINGS: tuple[tuple[bytes, ...], ...] = (
    (b"notify-keyspace-events", b"KEA"), (b"notify-keyspace-events", b"Kx"), (b"notify-keyspace-events", b"Elg$"),
    (b"notify-keyspace-events", b""),
    (b"notify-keyspace-events", b"AKEm"), (b"notify-keyspace-events", b"KEn"), (b"notify-keyspace-events", b"Q"),
    (b"slowlog-max-len", b"64"),
    (b"slowlog-max-len", b"abc"),
    (b"slowlog-log-slower-than", b"20000"), (b"slowlog-log-slower-than", b"x"), (b"timeout", b"0"),
    (b"timeout", b"abc"), (b"timeout", b"100"),
    (b"nosuch", b"1"),
    (b"databases", b"5"), (b"timeout", b"100", b"timeout", b"200"), (b"timeout", b"100", b"nosuch", b"1"),
    (b"timeout", b"100", b"slowlog-max-len", b"x"),
    (b"maxmemory-policy", b"noeviction"), (b"appendonly", b"no"), (b"appendonly", b"maybe"), (b"tcp-keepalive", b"60"),
    (b"tracking-table-max-keys", b"500"), (b"timeout", b"-1"),
    (b"timeout",), (b"timeout", b"1", b"slowlog-max-len"), (b"TIMEOUT", b"7"),
    (b"slowlog-max-len", b"99999999999999999999"), (b"timeout", b""),
    (b"save", b""),
)  # fmt: skip
QUESTIONS: tuple[tuple[bytes, ...], ...] = (
    (b"OBJECT", b"REFCOUNT", b"k0"), (b"OBJECT", b"FREQ", b"k0"), (b"OBJECT", b"IDLETIME", b"k0"),
    (b"OBJECT", b"IDLETIME", b"nokey"),
    (b"OBJECT", b"HELP"),
    (b"MEMORY", b"USAGE", b"k0"), (b"MEMORY", b"USAGE", b"nokey"), (b"MEMORY", b"USAGE", b"k0", b"SAMPLES", b"0"),
    (b"MEMORY", b"USAGE", b"k0", b"SAMPLES", b"x"),
    (b"MEMORY", b"USAGE", b"k0", b"FOO"), (b"MEMORY", b"USAGE", b"k0", b"SAMPLES", b"-1"),
    (b"MEMORY", b"USAGE", b"k0", b"SAMPLES"),
    (b"MEMORY", b"DOCTOR"), (b"MEMORY", b"PURGE"),
    (b"MEMORY", b"MALLOC-STATS"), (b"MEMORY", b"STATS"), (b"MEMORY", b"HELP"), (b"LATENCY", b"LATEST"),
    (b"LATENCY", b"HISTORY", b"command"),
    (b"LATENCY", b"RESET"),
    (b"LATENCY", b"RESET", b"x"), (b"LATENCY", b"GRAPH", b"command"), (b"LATENCY", b"DOCTOR"), (b"LATENCY", b"HELP"),
    (b"LATENCY", b"HISTOGRAM", b"nosuch"), (b"SLOWLOG", b"LEN"),
    (b"SLOWLOG", b"GET"), (b"SLOWLOG", b"GET", b"1"), (b"SLOWLOG", b"GET", b"-1"), (b"SLOWLOG", b"GET", b"-2"),
    (b"SLOWLOG", b"GET", b"abc"),
    (b"SLOWLOG", b"GET", b"1", b"2"),
    (b"SLOWLOG", b"RESET"), (b"SLOWLOG", b"HELP"), (b"TIME",), (b"ROLE",), (b"MODULE", b"LIST"), (b"MODULE", b"HELP"),
    (b"ACL", b"WHOAMI"),
    (b"ACL", b"LIST"), (b"ACL", b"HELP"),
    (b"RANDOMKEY",), (b"DBSIZE",), (b"LASTSAVE", b"x"),
    (b"INFO",), (b"INFO", b"server"), (b"info", b"KEYSPACE"),
    (b"INFO", b"server", b"clients", b"memory"), (b"INFO", b"ALL"), (b"INFO", b"EVERYTHING"), (b"INFO", b"default"),
    (b"INFO", b"nosuch"),
    (b"INFO", b"replication"), (b"INFO", b"cluster"),
    (b"COMMAND", b"HELP"), (b"CONFIG", b"HELP"), (b"CLIENT", b"HELP"), (b"PUBSUB", b"HELP"),
    (b"COMMAND", b"LIST", b"FILTERBY", b"MODULE", b"x"),
    (b"CONFIG", b"RESETSTAT"),
    (b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", b"*et"),
    (b"COMMAND", b"LIST", b"FILTERBY", b"ACLCAT", b"transaction"),
    (b"COMMAND", b"LIST", b"FILTERBY", b"FOO", b"x"),
    (b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN"), (b"COMMAND", b"LIST", b"FOO"),
    (b"COMMAND", b"LIST", b"FILTERBY", b"ACLCAT", b"nosuch"),
    (b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", b"xyz*"),
    (b"CLUSTER", b"INFO"), (b"READONLY",), (b"READWRITE",), (b"ASKING",), (b"CLUSTER", b"MYID"),
)  # fmt: skip


def introspection(draw: Draw, proto: int, count: int) -> Plan:
    """One database has one key at most, so that RANDOMKEY has no choice."""
    if draw.chance(0.1):
        return slow_log(draw)
    return each(draw, count, one_key, encoding, command_info, command_info, command_docs, getkeys, getkeys, config_get,
                config_set, question,
        question, question, question)


def slow_log(draw: Draw) -> Plan:
    """Every command is slow, those too by which the server is watched: in a transaction nothing comes between."""
    steps: list[Step] = [Send(0, (b"CLIENT", b"SETNAME", b"me"))]
    for _ in range(5):
        makers = (one_key, get, encoding, mget, incr)
        commands = [draw.pick(makers)(draw) for _ in range(draw.number(0, 8))]
        ask = Send(0, (b"SLOWLOG", b"GET", draw.pick((b"-1", b"2", b"10", b"0"))))
        steps += [
            Send(0, (b"MULTI",)),
            Send(0, (b"SLOWLOG", b"RESET")),
            *commands,
            Send(0, (b"SLOWLOG", b"LEN")),
            ask,
            Send(0, (b"EXEC",)),
        ]
    return Plan((*steps, Send(0, (b"SLOWLOG", b"RESET"))), ((b"slowlog-log-slower-than", b"0"),))


def one_key(draw: Draw) -> Send:
    return send(draw, 0, b"SET", b"k0", draw.value(), b"EX", b"1000")


def encoding(draw: Draw) -> Send:
    return send(draw, 0, b"OBJECT", b"ENCODING", draw.pick((b"k0", b"nokey")))


def command_info(draw: Draw) -> Send:
    return send(draw, 0, b"COMMAND", draw.case(b"INFO"), *(draw.case(name) for name in draw.some(NAMES, 1, 4)))


def command_docs(draw: Draw) -> Send:
    return send(draw, 0, b"COMMAND", draw.case(b"DOCS"), draw.pick(NAMES))


def getkeys(draw: Draw) -> Send:
    return send(draw, 0, b"COMMAND", draw.pick((b"GETKEYS", b"GETKEYSANDFLAGS", b"getkeys")), *draw.pick(KEYED))


def config_get(draw: Draw) -> Send:
    return send(draw, 0, b"CONFIG", b"GET", *draw.some(SHARED, 1, 3))


def config_set(draw: Draw) -> Send:
    return send(draw, 0, b"CONFIG", b"SET", *draw.pick(SETTINGS))


def question(draw: Draw) -> Send:
    words = draw.pick(QUESTIONS)
    return send(draw, 0, words[0], *words[1:])


# -- the shapes of RESP3 --------------------------------------------------------------------------
def resp3(draw: Draw, proto: int, count: int) -> Plan:
    """Always in RESP3, with a change to RESP2 and back in the middle; tracking has its invalidations there."""
    if draw.chance(0.5):
        return tracking(draw, count)
    makers = (get, mget, plain_set, set_command, life, incrbyfloat, hello, any_question, config_get, client, nothing,
              nothing)
    return Plan((Send(0, (b"HELLO", b"3")), *each(draw, count, *makers).steps))


def any_question(draw: Draw) -> Send:
    """With more keys than one RANDOMKEY is chance."""
    words = draw.pick([one for one in QUESTIONS if one != (b"RANDOMKEY",)])
    return send(draw, 0, words[0], *words[1:])


def nothing(draw: Draw) -> Send:
    """Replies that are nil, empty, or a map in one protocol and flat in the other."""
    return Send(0, draw.pick((
        (b"GET", b"nokey"), (b"MGET", b"nokey", b"nokey"), (b"SET", b"nokey", b"v", b"XX"), (b"GETEX", b"nokey"),
        (b"CLIENT", b"GETNAME"),
        (b"KEYS", b"nothing*"),
        (b"CONFIG", b"GET", b"nosuch"), (b"COMMAND", b"DOCS", b"nosuch"), (b"COMMAND", b"INFO", b"nosuch"),
        (b"CLIENT", b"TRACKINGINFO"),
        (b"PUBSUB", b"NUMSUB", b"x"),
        (b"OBJECT", b"ENCODING", b"nokey"), (b"MEMORY", b"USAGE", b"nokey"), (b"LATENCY", b"LATEST"),
        (b"SLOWLOG", b"GET", b"0"),
        (b"GETRANGE", b"nokey", b"0", b"1"), (b"MODULE", b"LIST"),
        (b"COMMAND", b"INFO", b"get"), (b"COMMAND", b"GETKEYSANDFLAGS", b"GET", b"a"), (b"EXISTS", b"nokey"),
        (b"LATENCY", b"HISTOGRAM", b"nosuch"),
        (b"GETSET", b"fresh", b"v"), (b"SETNX", b"fresh", b"v"),
    )))  # fmt: skip


# -- client-side caching --------------------------------------------------------------------------
MODES: tuple[tuple[Word, ...], ...] = (
    (b"ON",), (b"ON",), (b"on", b"NOLOOP"), (b"ON", b"OPTIN"), (b"ON", b"OPTOUT"), (b"ON", b"OPTIN", b"NOLOOP"),
    (b"ON", b"REDIRECT", IdOf(2)),
    (b"OFF",),
)
BROADCASTS: tuple[tuple[Word, ...], ...] = (
    (b"ON", b"BCAST"), (b"ON", b"BCAST", b"PREFIX", b"k"), (b"ON", b"bcast", b"NOLOOP"),
    (b"ON", b"BCAST", b"PREFIX", b"a", b"PREFIX", b"k0"),
    (b"ON", b"BCAST", b"PREFIX", b"a", b"PREFIX", b"ab"), (b"ON", b"BCAST", b"OPTIN"),
)
WRONG_MODES: tuple[tuple[Word, ...], ...] = (
    (b"maybe",), (b"ON", b"FOO"), (b"ON", b"PREFIX", b"a"), (b"ON", b"OPTIN", b"OPTOUT"), (b"ON", b"REDIRECT", b"abc"),
    (b"ON", b"REDIRECT", b"999999999"), (b"ON", b"REDIRECT"), (b"ON", b"PREFIX"),
    (b"ON", b"REDIRECT", IdOf(2), b"REDIRECT", IdOf(2)),
)  # fmt: skip


def tracking(draw: Draw, count: int) -> Plan:
    """Connection 0 caches, 1 writes. In BCAST mode what is told together depends on the server's loop."""
    broadcast = draw.chance(0.3)
    steps: list[Step] = [Send(conn, (b"HELLO", b"3")) for conn in range(3)]
    steps.append(send(draw, 0, b"CLIENT", b"TRACKING", *draw.pick(BROADCASTS if broadcast else MODES)))
    while len(steps) < count:
        how = draw.number(0, 11)
        if how < 4:
            steps.append(draw.pick((get, get, mget, life))(draw))
        elif how < 8:
            steps.append(Send(1, draw.pick((plain_set, incr, set_command))(draw).argv))
        elif how == 8:
            steps.append(draw.pick((plain_set, incr))(draw))
        elif how == 9:
            steps.append(Send(0, (b"CLIENT", b"CACHING", draw.pick((b"YES", b"NO", b"x")))))
        elif how == 10:
            steps.append(Send(0, draw.pick(((b"CLIENT", b"TRACKINGINFO"), (b"CLIENT", b"GETREDIR")))))
        else:
            modes = WRONG_MODES if draw.chance(0.5) else BROADCASTS if broadcast else MODES
            steps.append(send(draw, 0, b"CLIENT", b"TRACKING", *draw.pick(modes)))
        if not broadcast and draw.chance(0.05):  # `broadcast-batches`
            steps.append(Send(1, mset(draw).argv))
    return Plan(tuple(steps), whole_only=broadcast)
