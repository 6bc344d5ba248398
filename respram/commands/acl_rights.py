"""Rights to commands, key patterns and channels: parsing their rules, describing them, and checking them.

Pure: a rule in, changed rights out, and the rights described as rules again. A user has one such set, and one more for
each selector (acl_user.py). Redis's notation and texts; left out are rules about a command's first argument.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from respram.catalog import everything, find
from respram.catalog.entry import CATEGORIES
from respram.glob import glob_match

READ, WRITE = 1, 2
PATTERNS_MAX = 1_000  # key or channel patterns of one set: each is tried for each key

# Command rules of one set in one change: there are about 400 names, and each rule checks the rules before it.
COMMAND_RULES_MAX = 1_024

KEY_MODES = {b"%R~": READ, b"%W~": WRITE, b"%RW~": READ | WRITE, b"%WR~": READ | WRITE}
BLANKS = re.compile(rb"[\x00- ]")
UNKNOWN = b"Unknown command or category name in ACL"
SYNTAX = b"Syntax error"
AFTER_ALL = (
    b"Adding a pattern after the * pattern (or the '%b' flag) is not valid and does not have any effect. "
    b"Try '%b' to start with an empty list of %b"
)


class BadRule(Exception):
    """Why a rule is not taken. Carries no part of the rule, which may be a password."""

    def __init__(self, reason: bytes) -> None:
        super().__init__(reason)
        self.reason = reason


def _names() -> dict[bytes, tuple[bytes, ...]]:
    return {command.name: command.categories for command in everything()}


NAMES = _names()  # all commands and subcommands, with their categories
BY_NAME = frozenset(command.name for command in everything() if command.by_name)
ALL_COMMANDS = frozenset(NAMES) - BY_NAME  # the commands that +@all grants


@dataclass(slots=True, eq=False)
class Rights:
    everything_first: bool = False  # True: the rules follow +@all; False: they follow -@all
    rules: list[bytes] = field(default_factory=list)  # such as `+get` and `-@dangerous`, in the given order
    keys: dict[bytes, int] = field(default_factory=dict)  # pattern to READ and WRITE
    channels: list[bytes] = field(default_factory=list)
    allowed: frozenset[bytes] = frozenset()  # the commands that `rules` result in
    taken: int = 0  # command rules applied since the set was made or copied

    @property
    def all_keys(self) -> bool:
        return self.keys.get(b"*") == READ | WRITE

    @property
    def all_channels(self) -> bool:
        return b"*" in self.channels

    def copy(self) -> "Rights":
        return replace(self, rules=list(self.rules), keys=dict(self.keys), channels=list(self.channels), taken=0)

    def settle(self) -> None:
        """Computes the rights from the rules; to be called after all rules were applied."""
        self.allowed = _named(_outcome(self.everything_first, self.rules))


# -- rules ----------------------------------------------------------------------------------------
def grant(rights: Rights, rule: bytes) -> None:
    """One rule. Raises BadRule, and may then have changed the rights: use a copy."""
    word, mark = rule.lower(), rule[:1]
    if word in _WORDS:
        _WORDS[word](rights)
    elif mark == b"~" or mark == b"%":
        _key_rule(rights, rule)
    elif mark == b"&":
        _channel_rule(rights, rule[1:])
    elif mark in (b"+", b"-"):
        _command_rule(rights, word)
    else:
        raise BadRule(SYNTAX)


def _key_rule(rights: Rights, rule: bytes) -> None:
    head, _, pattern = rule.partition(b"~")
    mode = READ | WRITE if not head else KEY_MODES.get(head.upper() + b"~")
    if mode is None or b"~" not in rule:
        raise BadRule(SYNTAX)
    _check_text(pattern)
    if rights.all_keys and (pattern, mode) != (b"*", READ | WRITE):
        raise BadRule(AFTER_ALL % (b"allkeys", b"resetkeys", b"patterns"))
    if len(rights.keys) >= PATTERNS_MAX:
        raise BadRule(b"A user may have at most %d key patterns" % PATTERNS_MAX)
    if (pattern, mode) == (b"*", READ | WRITE):
        rights.keys.clear()
    rights.keys[pattern] = rights.keys.get(pattern, 0) | mode


def _channel_rule(rights: Rights, pattern: bytes) -> None:
    _check_text(pattern)
    if rights.all_channels and pattern != b"*":
        raise BadRule(AFTER_ALL % (b"allchannels", b"resetchannels", b"channels"))
    if len(rights.channels) >= PATTERNS_MAX:
        raise BadRule(b"A user may have at most %d channel patterns" % PATTERNS_MAX)
    if pattern == b"*":
        rights.channels.clear()
    if pattern not in rights.channels:
        rights.channels.append(pattern)


def _check_text(pattern: bytes) -> None:
    """A pattern has to fit into a line of the users file."""
    if BLANKS.search(pattern):
        raise BadRule(SYNTAX)


def _command_rule(rights: Rights, rule: bytes) -> None:
    name = rule[1:]
    rights.taken += 1
    if rights.taken > COMMAND_RULES_MAX:
        raise BadRule(b"At most %d rules about commands are taken at once" % COMMAND_RULES_MAX)
    if name == b"@all":
        # +@all does not grant the rights that are granted by name only, and does not take them away either.
        named = [old for old in rights.rules if old[:1] == b"+" and old[1:] in BY_NAME] if rule[:1] == b"+" else []
        rights.everything_first, rights.rules = rule[:1] == b"+", named
        return
    if name.endswith(b"|"):
        raise BadRule(SYNTAX)
    # Categories of types that do not exist here are known, and empty.
    if not _meant(name) and not (name.startswith(b"@") and name[1:] in CATEGORIES):
        raise BadRule(UNKNOWN)
    # The last rule for a command, or for its container, replaces the earlier ones.
    rules = [old for old in rights.rules if old[1:] != name and not old[1:].startswith(name + b"|")]
    one = not name.startswith(b"@")
    before = _outcome(rights.everything_first, rules)
    if not (one and _after(before, rule) == before):
        rules.append(rule)
    rights.rules = rules


def _outcome(everything_first: bool, rules: list[bytes]) -> int:
    """Which commands are allowed, a bit for each: sets took 7 ms a rule where a user had as many as there are names."""
    allowed = _bits(ALL_COMMANDS) if everything_first else 0
    for rule in rules:
        allowed = _after(allowed, rule)
    return allowed


def _after(allowed: int, rule: bytes) -> int:
    if rule[:1] == b"-":
        return allowed & ~_meant(rule[1:])
    return allowed | (_meant(rule[1:]) & ~_bits(BY_NAME) if rule[1:2] == b"@" else _meant(rule[1:]))


@cache
def _bits(names: frozenset[bytes]) -> int:
    return sum(1 << number for number, name in enumerate(NAMES) if name in names)


def _named(bits: int) -> frozenset[bytes]:
    return frozenset(name for number, name in enumerate(NAMES) if bits >> number & 1)


def _meant(name: bytes) -> int:
    """The commands that a rule speaks of; none when it means nothing."""
    found = _MEANT.get(name, 0)
    # Only known names are remembered, since there are unlimited unknown ones.
    if not found and (names := _names_meant(name)):
        found = _MEANT[name] = _bits(frozenset(names))
    return found


def _names_meant(name: bytes) -> set[bytes]:
    if name.startswith(b"@"):
        return {one for one, categories in NAMES.items() if name in categories} if name[1:] in CATEGORIES else set()
    top, bar, sub = name.partition(b"|")
    command = find(top, sub)
    if command is None or command.name != name:
        return set()
    return {name} if bar else {name} | {one for one in NAMES if one.startswith(name + b"|")}


_MEANT: dict[bytes, int] = {}  # by command or category name, so at most as many as exist
_WORDS: dict[bytes, Callable[[Rights], None]] = {
    b"allkeys": lambda rights: _key_rule(rights, b"~*"),
    b"resetkeys": lambda rights: rights.keys.clear(),
    b"allchannels": lambda rights: _channel_rule(rights, b"*"),
    b"resetchannels": lambda rights: rights.channels.clear(),
    b"allcommands": lambda rights: _command_rule(rights, b"+@all"),
    b"nocommands": lambda rights: _command_rule(rights, b"-@all"),
}


# -- description ----------------------------------------------------------------------------------
def commands_of(rights: Rights) -> bytes:
    return b" ".join([b"+@all" if rights.everything_first else b"-@all", *rights.rules])


def keys_of(rights: Rights) -> bytes:
    marks = {READ: b"%R~", WRITE: b"%W~", READ | WRITE: b"~"}
    return b" ".join(marks[mode] + pattern for pattern, mode in rights.keys.items())


def channels_of(rights: Rights) -> bytes:
    return b" ".join(b"&" + pattern for pattern in rights.channels)


def describe_rights(rights: Rights) -> bytes:
    words = [keys_of(rights)] if rights.keys else []
    words += [b"resetchannels"] if not rights.all_channels else []
    words += [channels_of(rights)] if rights.channels else []
    return b" ".join([*words, commands_of(rights)])


# -- questions ------------------------------------------------------------------------------------
def may_touch(rights: Rights, key: bytes, mode: int) -> bool:
    """Whether some one pattern allows all of `mode` on the key."""
    return any(have & mode == mode and glob_match(pattern, key) for pattern, have in rights.keys.items())


def may_listen(rights: Rights, channel: bytes, literal: bool) -> bool:
    """A pattern to subscribe to must be allowed as it is: it could match more than it looks like."""
    if rights.all_channels:
        return True
    return any(channel == have if literal else glob_match(have, channel) for have in rights.channels)
