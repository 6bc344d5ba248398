"""The differences that are by design, each under an id. `compat/differences.md` gives the reason for each id.

A rule sees two replies to the same command that are not the same bytes, and says whether they differ in
nothing but what it stands for. So a rule checks; it never lets a command pass unread.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from compat.oracle.resp import Node

# between the same command in two playings; more where both together took longer, on a machine with other work
SLACK_MS = 2_500
DEFAULT_TTL_MS = 3_600_000
MAX_TTL_MS = 31 * 86_400_000


class Case(NamedTuple):
    """Two replies to one command. `words`: the command and its arguments in lower case, placeholders empty."""

    words: tuple[bytes, ...]
    expected: Node
    got: Node
    expected_ms: int  # wall clock when playing began
    got_ms: int
    slack_ms: int = SLACK_MS


class Rule(NamedTuple):
    id: str
    commands: frozenset[bytes]  # names, or names with a subcommand such as `client|id`
    agrees: Callable[[Case], bool]


def rule_for(case: Case) -> str | None:
    """The id of the rule by which the two replies agree."""
    name = case.words[0] if case.words else b""
    spelt = {name, b"|".join(case.words[:2])}
    for rule in RULES:
        if spelt & rule.commands and rule.agrees(case):
            return rule.id
    return None


# -- time -----------------------------------------------------------------------------------------
def _life_ms(case: Case) -> tuple[int, int] | None:
    """What TTL and its kin say, both as remaining milliseconds; -1 stays -1."""
    expected, got = case.expected.number, case.got.number
    if expected is None or got is None:
        return None
    name = case.words[0]
    factor = 1 if name.startswith(b"p") else 1000
    moment = name.endswith(b"time")
    left = expected if expected < 0 else expected * factor - case.expected_ms * moment
    right = got if got < 0 else got * factor - case.got_ms * moment
    return left, right


def _clock(case: Case) -> bool:
    lives = _life_ms(case)
    return lives is not None and min(lives) > 0 and abs(lives[0] - lives[1]) <= case.slack_ms


def _default_ttl(case: Case) -> bool:
    lives = _life_ms(case)
    return lives is not None and lives[0] == -1 and abs(lives[1] - DEFAULT_TTL_MS) <= case.slack_ms


def _max_ttl(case: Case) -> bool:
    lives = _life_ms(case)
    return lives is not None and lives[0] > MAX_TTL_MS and abs(lives[1] - MAX_TTL_MS) <= case.slack_ms


def _moment(case: Case) -> bool:
    """TIME: two bulks of digits, and the same time."""
    times = []
    for node in (case.expected, case.got):
        texts = [
            item.text for item in node.items if item.kind == b"$" and item.text is not None and item.text.isdigit()
        ]
        if len(texts) != 2 or len(node.items) != 2:
            return False
        times.append(int(texts[0]) * 1000 + int(texts[1]) // 1000)
    # Two playings follow each other, with the cleaning between them.
    return abs((times[0] - case.expected_ms) - (times[1] - case.got_ms)) <= case.slack_ms


def _idle(case: Case) -> bool:
    expected, got = case.expected.number, case.got.number
    return (
        expected is not None
        and got is not None
        and min(expected, got) >= 0
        and abs(expected - got) * 1000 <= case.slack_ms
    )


# -- order ----------------------------------------------------------------------------------------
def _order(case: Case) -> bool:
    """The same members, in whatever order."""
    return case.expected.kind == case.got.kind and _members(case.expected) == _members(case.got)


def _members(node: Node) -> list[bytes]:
    return sorted(item.raw for item in node.items)


def _scan_order(case: Case) -> bool:
    pairs = [node.items for node in (case.expected, case.got)]
    if any(len(pair) != 2 for pair in pairs) or pairs[0][0] != pairs[1][0]:
        return False
    return _members(pairs[0][1]) == _members(pairs[1][1])


def _pair_scan_order(case: Case) -> bool:
    """A cursor, and a flat array of pairs."""
    expected, got = case.expected.items, case.got.items
    if len(expected) != 2 or len(got) != 2 or expected[0] != got[0]:
        return False
    pairs = _pairs(expected[1])
    return pairs is not None and sorted(pairs) == sorted(_pairs(got[1]) or [])


def _pair_order(case: Case) -> bool:
    expected, got = _pairs(case.expected), _pairs(case.got)
    return case.expected.kind == case.got.kind and expected is not None and sorted(expected) == sorted(got or [])


def _drawn_order(case: Case) -> bool:
    """ZRANDMEMBER of as many as there are: all of them, in any order; with scores flat or in pairs."""
    if case.words[-1] == b"withscores" and case.expected.items and case.expected.items[0].kind == b"$":
        return _pair_order(case)
    return _order(case)


def _pairs(node: Node) -> list[tuple[Node, Node]] | None:
    """A map, or the flat array which is a map in RESP2."""
    if node.kind not in (b"%", b"*") or len(node.items) % 2:
        return None
    return list(zip(node.items[::2], node.items[1::2], strict=True))


def _command_order(case: Case) -> bool:
    """COMMAND INFO: a container's subcommands come in any order, each of them whole."""
    return _entries(case.expected) == _entries(case.got)


def _entries(node: Node) -> list[tuple[bytes, ...]]:
    found = []
    for entry in node.items:
        subcommands = _members(entry.items[9]) if len(entry.items) == 10 else []
        found.append((entry.kind, *(item.raw for item in entry.items[:9]), *subcommands))
    return found


def _docs_order(case: Case) -> bool:
    """COMMAND DOCS of one command: its facts in order, its subcommands in any order."""
    return case.expected.kind == case.got.kind and _docs(case.expected) == _docs(case.got)


def _docs(node: Node) -> list[tuple[bytes, object]]:
    found: list[tuple[bytes, object]] = []
    for _, facts in _pairs(node) or []:
        for name, value in _pairs(facts) or []:
            shown = (
                sorted(left.raw + right.raw for left, right in _pairs(value) or [])
                if name.text == b"subcommands"
                else value
            )
            found.append((name.raw, shown))
    return found


# -- who is who -----------------------------------------------------------------------------------
def _is_id(node: Node) -> bool:
    return (node.number or 0) > 0


def _client_id(case: Case) -> bool:
    return _is_id(case.expected) and _is_id(case.got)


def _hello(case: Case) -> bool:
    expected, got = _pairs(case.expected), _pairs(case.got)
    if expected is None or got is None or case.expected.kind != case.got.kind or len(expected) != len(got):
        return False
    for (name, left), (other, right) in zip(expected, got, strict=True):
        if name != other:
            return False
        if name.text == b"version":
            if left != right and not (left.kind == right.kind and (right.text or b"").startswith(b"7.2.")):
                return False
        elif name.text == b"id":
            if not (_is_id(left) and _is_id(right)):
                return False
        elif left != right:
            return False
    return True


def _redirect(case: Case) -> bool:
    """CLIENT TRACKINGINFO: the same but for the id of the client that gets the messages."""
    expected, got = _pairs(case.expected), _pairs(case.got)
    if expected is None or got is None or case.expected.kind != case.got.kind or len(expected) != len(got):
        return False
    return all(
        left[0] == right[0]
        and (left[1] == right[1] or (left[0].text == b"redirect" and _is_id(left[1]) and _is_id(right[1])))
        for left, right in zip(expected, got, strict=True)
    )


CLIENT_FIELDS_EQUAL = (b"name", b"flags", b"db", b"sub", b"psub", b"multi", b"user", b"redir", b"resp", b"events")
CLIENT_FIELDS_NEWER = (b"ssub", b"lib-name", b"lib-ver")


def _client_lines(case: Case) -> bool:
    """One line a client: the same fields in the same order, and equal where they tell about the session."""
    if case.expected.kind != case.got.kind:
        return False
    expected, got = ([_fields(line) for line in (node.text or b"").splitlines()] for node in (case.expected, case.got))
    if len(expected) != len(got) or not expected:
        return False
    for left, right in zip(sorted(expected, key=_id), sorted(got, key=_id), strict=True):
        if [name for name in left if name not in CLIENT_FIELDS_NEWER] != [
            name for name in right if name not in CLIENT_FIELDS_NEWER
        ]:
            return False
        if any(left[name] != right[name] for name in CLIENT_FIELDS_EQUAL):
            return False
        if left[b"cmd"].startswith(b"client|") and left[b"cmd"] != right[b"cmd"]:
            return False  # a field about the asking client; fast paths do not record the last command of others
    return True


def _fields(line: bytes) -> dict[bytes, bytes]:
    return {name: value for name, _, value in (word.partition(b"=") for word in line.split(b" "))}


def _id(fields: dict[bytes, bytes]) -> int:
    return int(fields.get(b"id", b"0"))


# -- own words, own numbers -----------------------------------------------------------------------
def _help(case: Case) -> bool:
    """Simple strings, the first of which names the command as Redis does."""
    nodes = (case.expected, case.got)
    if any(node.kind != b"*" or len(node.items) < 3 or any(item.kind != b"+" for item in node.items) for node in nodes):
        return False
    return case.expected.items[0] == case.got.items[0] and case.expected.items[-2] == case.got.items[-2]


def _encoding(case: Case) -> bool:
    """embstr and raw are how Redis came by a string, and so is int for what was not written as a number."""
    names = {case.expected.text, case.got.text}
    return case.expected.kind == case.got.kind and names <= {b"embstr", b"raw", b"int"}


def _refcount(case: Case) -> bool:
    """Redis shares a small integer when it came by SET, not when it was counted up to."""
    return {case.expected.number, case.got.number} == {1, (1 << 31) - 1}


def _positive(case: Case) -> bool:
    return (case.expected.number or 0) > 0 and (case.got.number or 0) > 0


INFO_FIELDS = {
    b"server": (b"redis_version", b"redis_mode", b"process_id", b"tcp_port", b"uptime_in_seconds"),
    b"clients": (b"connected_clients",),
    b"memory": (b"used_memory", b"maxmemory", b"maxmemory_policy"),
    b"persistence": (b"loading",),
    b"stats": (
        b"total_commands_processed",
        b"total_connections_received",
        b"keyspace_hits",
        b"keyspace_misses",
        b"expired_keys",
    ),
    b"replication": (b"role", b"connected_slaves"),
    b"cluster": (b"cluster_enabled",),
    b"keyspace": (),
}


def _info(case: Case) -> bool:
    """The sections asked for, with the fields that clients look for, in lines of `name:value`."""
    if case.expected.kind != case.got.kind or case.got.text is None or case.expected.text is None:
        return False
    if not _info_lines(case.got.text):
        return False
    titles = {line[2:].strip().lower() for line in case.expected.text.splitlines() if line.startswith(b"# ")}
    got_titles = {line[2:].strip().lower() for line in case.got.text.splitlines() if line.startswith(b"# ")}
    got_names = {line.split(b":")[0] for line in case.got.text.splitlines()}
    wanted = {title: fields for title, fields in INFO_FIELDS.items() if title in titles}
    return got_titles.issuperset(wanted) and all(got_names.issuperset(fields) for fields in wanted.values())


def _info_lines(text: bytes) -> bool:
    lines = text.split(b"\r\n")
    return all(not line or line.startswith(b"# ") or b":" in line for line in lines) and b"\n" not in text.replace(
        b"\r\n", b""
    )


def _same_shape(case: Case) -> bool:
    return case.expected.kind == case.got.kind and (case.expected.text is None) == (case.got.text is None)


def _slow_entries(case: Case) -> bool:
    """As many entries of six fields: id, time, microseconds, words, address, name. The words are hidden here."""
    if case.expected.kind != case.got.kind or len(case.expected.items) != len(case.got.items):
        return False
    for left, right in zip(case.expected.items, case.got.items, strict=True):
        if [item.kind for item in left.items] != [item.kind for item in right.items]:
            return False
        if _first_word(left) != _first_word(right):
            return False
    return True


def _first_word(entry: Node) -> bytes:
    """Of the command that was slow, as the client spelled it."""
    words = entry.items[3].items
    return words[0].text or b"" if words else b""


def _refused_whole(case: Case) -> bool:
    """Redis knows the container and not the subcommand; here the container is refused, whatever follows."""
    refusal = b"-NOPERM '%b' is refused by design: " % case.words[0]
    return case.expected.raw.startswith(b"-ERR unknown subcommand '") and case.got.raw.startswith(refusal)


def _hello_text(case: Case) -> bool:
    return case.expected.raw.replace(b"the HELLO AUTH", b"the HELLO <proto> AUTH") == case.got.raw


BOUNDS = re.compile(rb" - argument must be between (-?[0-9]+) and ([0-9]+) inclusive\r\n$")


def _own_bounds(case: Case) -> bool:
    """A parameter's value is refused by both, and the texts differ in the bounds only."""
    return bool(BOUNDS.search(case.got.raw)) and BOUNDS.sub(b"", case.expected.raw) == BOUNDS.sub(b"", case.got.raw)


NEWER = (
    b"hexpire", b"hexpireat", b"hexpiretime", b"hpexpire", b"hpexpireat", b"hpexpiretime", b"hpttl", b"httl", b"hgetex",
    b"hsetex", b"hgetdel",
    b"bf.add", b"bf.card", b"bf.exists", b"bf.info", b"bf.insert", b"bf.madd", b"bf.mexists", b"bf.reserve",
    b"cl.throttle", b"digest", b"increx", b"msetex", b"respram", b"client|setinfo", b"client|no-touch",
    b"cluster|myshardid",
)  # fmt: skip


def _fewer_commands(case: Case) -> bool:
    """What is listed is a part of what Redis lists, but for what Redis 7.0 does not have yet."""
    extra = {item.raw for item in case.got.items} - {item.raw for item in case.expected.items}
    return (
        case.expected.kind == case.got.kind
        and bool(case.got.items)
        and extra <= {b"$%d\r\n%b\r\n" % (len(name), name) for name in NEWER}
    )


def _newer_docs(case: Case) -> bool:
    """SET has one condition more, so its history and its arguments are longer; the other facts are the same."""
    found = []
    for node in (case.expected, case.got):
        facts = [(name.text, value.raw) for _, entry in _pairs(node) or [] for name, value in _pairs(entry) or []]
        found.append([(name, raw) for name, raw in facts if name not in (b"history", b"arguments")])
    return case.words[2:] == (b"set",) and bool(found[0]) and found[0] == found[1]


def _names(*names: str) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)


LIVES = _names("ttl", "pttl", "expiretime", "pexpiretime")
RULES: tuple[Rule, ...] = (
    Rule("clock", LIVES, _clock),
    Rule("clock", _names("time"), _moment),
    Rule("clock", _names("object|idletime"), _idle),
    Rule("default-ttl", LIVES, _default_ttl),
    Rule("max-ttl", LIVES, _max_ttl),
    Rule("iteration-order", _names("keys", "pubsub|channels", "pubsub|shardchannels", "command|list"), _order),
    Rule("iteration-order", _names("zrandmember"), _drawn_order),
    Rule("iteration-order", _names("scan", "sscan"), _scan_order),
    Rule("iteration-order", _names("hkeys", "hvals", "smembers", "sinter", "sunion", "sdiff", "srandmember", "spop"),
         _order),
    Rule("iteration-order", _names("hgetall"), _pair_order),
    Rule("iteration-order", _names("hscan"), _pair_scan_order),
    Rule("iteration-order", _names("hrandfield"), lambda case: _order(case) or _pair_order(case)),
    Rule("iteration-order", _names("config|get"), _pair_order),
    Rule("iteration-order", _names("command|info"), _command_order),
    Rule("iteration-order", _names("command|docs"), _docs_order),
    Rule("identity", _names("client|id", "client|getredir"), _client_id),
    Rule("identity", _names("client|trackinginfo"), _redirect),
    Rule("identity", _names("hello"), _hello),
    Rule("client-lines", _names("client|info", "client|list"), _client_lines),
    Rule(
        "help-texts",
        _names(*(f"{name}|help" for name in ("client", "command", "config", "latency", "memory", "module", "object",
                                             "pubsub", "slowlog", "acl"))),
        _help,
    ),
    Rule("newer-texts", _names("hello"), _hello_text),
    Rule("newer-commands", _names("command|docs"), _newer_docs),
    Rule("newer-commands", _names("command|list"), _fewer_commands),
    Rule("own-limits", _names("config|set"), _own_bounds),
    Rule("refused-containers", _names("script", "function", "xinfo", "xgroup"), _refused_whole),
    Rule("object-encoding", _names("object|encoding"), _encoding),
    Rule("object-encoding", _names("object|refcount"), _refcount),
    Rule("own-numbers", _names("memory|usage"), _positive),
    Rule("own-numbers", _names("info"), _info),
    Rule("own-numbers", _names("memory|stats", "memory|doctor", "memory|malloc-stats", "latency|doctor",
                               "latency|histogram"), _same_shape),
    Rule("slow-log-words", _names("slowlog|get"), _slow_entries),
)


# Differences that no rule sees, because the families do not draw what would show them, or because a family
# has its expected replies in itself. They have their sections in the document like the rules.
NOT_MIRRORED = (
    "refusals", "newer-commands", "ttl-policy", "argument-count", "name-length", "broadcast-batches",
    "guessing-passwords",
    "pauses", "messages-in-exec",
)  # fmt: skip


def ids(rules: Iterable[Rule] = RULES) -> list[str]:
    return sorted({rule.id for rule in rules})


def documented() -> list[str]:
    """Every id that has to have its section."""
    return sorted({*ids(), *NOT_MIRRORED})
