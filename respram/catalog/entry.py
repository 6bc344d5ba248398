"""One entry of the command table: what is known of a command, and the notation it is written in.

The facts fill two files of text, because as calls of constructors they would be five times as long
and nobody would compare them with a reference. An entry begins at the left margin; its other lines
are indented by two blanks, and a line indented by four continues the one before.

    name arity flags categories since group keys     `-` where there is none; keys: first/last/step
      shape <one of SHAPES>[,asks] [hot [<arguments at most>]]
      is <summary>            costs <complexity>      tip <one of the tips>
      keys <begin> range <last> <step> <limit> <flags> [notes]
      keys <begin> keynum <index> <first> <step> <flags> [notes]
      since <version> <what it brought>     deprecated <version>     instead <what>     doc <flags>
      args <argument> ...

An argument is `name:type=TOKEN`, then any of `?` optional, `*` multiple, `+` multiple with its token,
`@version` since, `!version` deprecated since, `#n` its key specification, and for `oneof` and `block`
the inner ones between `( ` and ` )`. No type: a pure token.

The shape is what the engines and a node that is still joining need to know. `answers`: it touches no key. `reads`.
`writes`: the result is the same whatever was there. `decides`: it looks at what is there before it writes.
`asks`: it does not only read, but a miss is told and asked of the peers all the same. `hot`: both engines have a
handler for it (engine/api.py); where its arity sets no upper bound, the handler takes so many arguments at most.
This file knows no single command.
"""

import re
import sys
from dataclasses import dataclass
from typing import TypedDict

# Redis prints a command's categories in this order; most follow from flags, the rest are written out.
CATEGORIES = (
    b"keyspace", b"read", b"write", b"set", b"sortedset", b"list", b"hash", b"string", b"bitmap",
    b"hyperloglog", b"geo", b"stream", b"pubsub", b"admin", b"fast", b"slow", b"blocking",
    b"dangerous", b"connection", b"transaction", b"scripting",
)  # fmt: skip
BY_NAME = b"by_name"  # appears among the flags of an entry
SHAPES = (b"answers", b"reads", b"writes", b"decides")
ASKS = b"asks"
ARGUMENT_FLAGS = {"?": b"optional", "*": b"multiple", "+": b"multiple_token"}
ARGUMENT = re.compile(
    r"(?P<name>.+):(?P<type>[a-z-]*)(?:=(?P<token>[^?*+@!#(]+))?(?P<flags>[?*+]*)"
    r"(?:@(?P<since>[0-9.]+))?(?:!(?P<deprecated>[0-9.]+))?(?:#(?P<key>[0-9]+))?(?P<open>\(?)"
)


@dataclass(frozen=True, slots=True)
class KeySpec:
    """The positions of keys among the arguments. `range`: last, step, limit; `keynum`: index, first, step."""

    begin: int
    kind: bytes
    numbers: tuple[int, int, int]
    flags: tuple[bytes, ...]
    notes: bytes = b""


@dataclass(frozen=True, slots=True)
class Argument:
    name: bytes
    type: bytes
    token: bytes = b""
    flags: tuple[bytes, ...] = ()
    since: bytes = b""
    deprecated: bytes = b""
    key_spec: int = -1
    inner: "tuple[Argument, ...]" = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One command or subcommand, with the facts that COMMAND INFO and COMMAND DOCS tell."""

    name: bytes  # lower case; a subcommand is `client|id`
    arity: int  # counts the name itself; negative: a minimum
    flags: tuple[bytes, ...] = ()
    first_key: int = 0
    last_key: int = 0
    key_step: int = 0
    categories: tuple[bytes, ...] = ()
    subcommands: "tuple[Command, ...]" = ()
    summary: bytes = b""
    complexity: bytes = b""
    since: bytes = b""
    group: bytes = b""
    tips: tuple[bytes, ...] = ()
    key_specs: tuple[KeySpec, ...] = ()
    history: tuple[tuple[bytes, bytes], ...] = ()
    doc_flags: tuple[bytes, ...] = ()
    deprecated: bytes = b""
    instead: bytes = b""
    arguments: tuple[Argument, ...] = ()
    refused: bytes = b""  # the reason why it is not served; b"": it is served
    shape: bytes = b""  # one of SHAPES; b"": the command has no key, and no engine runs it
    asks: bool = False  # a missing key is looked up at the peers
    hot: bool = False
    most: int = 0  # arguments that a fast path takes, the command's name among them
    # only for a user to whom an operator granted it by name; no category and no +@all includes it
    by_name: bool = False

    @property
    def writes(self) -> bool:
        return b"write" in self.flags

    @property
    def grows(self) -> bool:
        return b"denyoom" in self.flags

    @property
    def has_key(self) -> bool:
        """Whether it is about the one key behind its name."""
        return (self.first_key, self.last_key) == (1, 1) and b"movablekeys" not in self.flags

    @property
    def counts_keys(self) -> bool:
        """Whether an argument says how many keys it has, so that the table's first and last key are not all."""
        return any(spec.kind == b"keynum" for spec in self.key_specs)

    def takes(self, count: int) -> bool:
        """Whether `count` arguments, the name among them, agree with the arity."""
        return count == self.arity or (self.arity < 0 and count >= -self.arity)


def parse_entries(text: str) -> dict[bytes, Command]:
    """Commands by name; subcommands are inside their containers."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("    "):
            blocks[-1][-1] += " " + line.strip()
        elif line.startswith("  "):
            blocks[-1].append(line.strip())
        elif line:
            blocks.append([line])
    found = {command.name: command for command in map(_command, blocks, [()] * len(blocks))}
    assert len(found) == len(blocks), "an entry is there twice"
    inner: dict[bytes, list[Command]] = {}
    for name, command in found.items():
        if b"|" in name:
            inner.setdefault(name.partition(b"|")[0], []).append(command)
    for container, commands in inner.items():
        block = next(block for block in blocks if block[0].startswith(container.decode() + " "))
        found[container] = _command(block, tuple(commands))
    return {name: command for name, command in found.items() if b"|" not in name}


def _command(lines: list[str], subcommands: tuple[Command, ...]) -> Command:
    name, arity, flags, extra, since, group, keys = lines[0].split(" ")
    facts: dict[str, list[str]] = {}
    for line in lines[1:]:
        kind, _, rest = line.partition(" ")
        facts.setdefault(kind, []).append(rest)
    first, last, step = (int(part) for part in keys.split("/")) if keys != "-" else (0, 0, 0)
    given = _names(flags)
    flag_names = tuple(flag for flag in given if flag != BY_NAME)  # not a flag of Redis
    return Command(
        name=name.encode(),
        arity=int(arity),
        flags=flag_names,
        first_key=first,
        last_key=last,
        key_step=step,
        categories=_categories(flag_names, _names(extra)),
        subcommands=subcommands,
        summary=_single(facts, "is"),
        complexity=_single(facts, "costs"),
        since=since.encode(),
        group=group.encode(),
        tips=tuple(tip.encode() for tip in facts.pop("tip", [])),
        key_specs=tuple(_key_spec(rest) for rest in facts.pop("keys", [])),
        history=tuple(_event(rest) for rest in facts.pop("since", [])),
        doc_flags=_names(",".join(facts.pop("doc", [])) or "-"),
        deprecated=_single(facts, "deprecated"),
        instead=_single(facts, "instead"),
        arguments=_arguments(" ".join(facts.pop("args", []))),
        by_name=BY_NAME in given,
        **_shape(_single(facts, "shape").decode(), int(arity)),
    )


class Shape(TypedDict):
    shape: bytes
    asks: bool
    hot: bool
    most: int


def _shape(text: str, arity: int) -> Shape:
    words = text.split() or [""]
    shape, *marks = words[0].encode().split(b",")
    assert shape in (b"", *SHAPES) and marks in ([], [ASKS]), f"not a shape: {text}"
    hot = words[1:2] == ["hot"]
    assert hot or len(words) == 1, f"not a shape: {text}"
    most = int(words[2]) if len(words) > 2 else arity if arity > 0 else sys.maxsize
    return Shape(shape=shape, asks=shape == b"reads" or ASKS in marks, hot=hot, most=most if hot else 0)


def _names(text: str) -> tuple[bytes, ...]:
    return () if text == "-" else tuple(text.encode().split(b","))


def _single(facts: dict[str, list[str]], kind: str) -> bytes:
    lines = facts.pop(kind, [""])
    assert len(lines) == 1, f"more than one `{kind}`"
    return lines[0].encode()


def _event(text: str) -> tuple[bytes, bytes]:
    version, _, change = text.encode().partition(b" ")
    return version, change


def _categories(flags: tuple[bytes, ...], extra: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """What Redis derives from the flags, and what the entry adds, in Redis's order."""
    member = set(extra)
    member.add(b"fast" if b"fast" in flags else b"slow")
    for flag, category in ((b"write", b"write"), (b"readonly", b"read"), (b"pubsub", b"pubsub")):
        if flag in flags and not (flag == b"readonly" and b"scripting" in extra):  # as Redis has it
            member.add(category)
    if b"admin" in flags:
        member |= {b"admin", b"dangerous"}
    return tuple(b"@" + category for category in CATEGORIES if category in member)


def _key_spec(text: str) -> KeySpec:
    begin, kind, one, two, three, flags, *notes = text.split(" ", 6)
    return KeySpec(
        begin=int(begin),
        kind=kind.encode(),
        numbers=(int(one), int(two), int(three)),
        flags=_names(flags),
        notes="".join(notes).encode(),
    )


def _arguments(text: str) -> tuple[Argument, ...]:
    words = text.split()
    found, rest = _argument_list(words)
    assert not rest, f"unbalanced parenthesis near {rest}"
    return found


def _argument_list(words: list[str]) -> tuple[tuple[Argument, ...], list[str]]:
    """Arguments up to the closing parenthesis or the end, and the words behind it."""
    found: list[Argument] = []
    while words and words[0] != ")":
        match = ARGUMENT.fullmatch(words[0])
        assert match is not None, f"not an argument: {words[0]}"
        words = words[1:]
        inner: tuple[Argument, ...] = ()
        if match["open"]:
            inner, words = _argument_list(words)
            assert words, "unbalanced parenthesis"
            words = words[1:]
        found.append(
            Argument(
                name=match["name"].encode(),
                type=match["type"].encode() or b"pure-token",
                token=(match["token"] or "").strip('"').encode(),
                flags=tuple(ARGUMENT_FLAGS[mark] for mark in match["flags"]),
                since=(match["since"] or "").encode(),
                deprecated=(match["deprecated"] or "").encode(),
                key_spec=int(match["key"] or -1),
                inner=inner,
            )
        )
    return tuple(found), words
