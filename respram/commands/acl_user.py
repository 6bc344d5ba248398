"""Who may do what: one user with its passwords, commands, keys and channels, and the rules they are written in.

Pure: a rule in, a changed user out, and the user described as rules again. Redis's notation and texts, as
far as a store of strings needs them: no selectors, and no rules about a command's first argument.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import compare_digest

from respram.catalog import everything, find
from respram.catalog_entry import CATEGORIES
from respram.commands.glob import glob_match
from respram.engine.api import HOT

READ, WRITE = 1, 2
DEFAULT = b"default"
PATTERNS_MAX = 1_000  # of keys, and of channels, of one user: each is tried for each key
PASSWORDS_MAX = 100  # of one user: each is compared at each AUTH
NAME_BYTES_MAX = 1_024

HASH = re.compile(rb"[0-9a-f]{64}")
KEY_MODES = {b"%R~": READ, b"%W~": WRITE, b"%RW~": READ | WRITE, b"%WR~": READ | WRITE}
BAD_HASH = b"The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
NO_SUCH_PASSWORD = b"The password you are trying to remove from the user does not exist"
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


NAMES = _names()  # of all commands and subcommands, with their categories
ALL_COMMANDS = frozenset(NAMES)
HOT_NAMES = frozenset(name.lower() for name in HOT)
NO_SECRET = b"0" * 64  # what is compared where there is no user: the answer must take as long


@dataclass(slots=True, eq=False)
class User:
    name: bytes
    enabled: bool = False
    nopass: bool = False
    passwords: list[bytes] = field(default_factory=list)  # SHA-256, lower-case hexadecimal digits
    sanitize: bytes = b""  # taken note of, as in Redis; there is no RESTORE here
    everything_first: bool = False  # +@all before the rules, else -@all
    rules: list[bytes] = field(default_factory=list)  # `+get`, `-@dangerous`, in the order given
    keys: dict[bytes, int] = field(default_factory=dict)  # pattern to READ and WRITE
    channels: list[bytes] = field(default_factory=list)
    allowed: frozenset[bytes] = frozenset()  # what `rules` come to
    unrestricted: bool = False
    hot: bool = False  # whether the engine's fast paths may answer without asking here

    @property
    def all_keys(self) -> bool:
        return self.keys.get(b"*") == READ | WRITE

    @property
    def all_channels(self) -> bool:
        return b"*" in self.channels

    @property
    def open(self) -> bool:
        """Whether a connection is this user without saying a word."""
        return self.enabled and self.nopass

    def copy(self) -> "User":
        """For changing: all rules of one command are taken, or none."""
        return replace(
            self, passwords=list(self.passwords), rules=list(self.rules), keys=dict(self.keys), channels=list(self.channels)
        )

    def settle(self) -> None:
        """Works out what the rules come to; to be called when all of them were applied."""
        self.allowed = _outcome(self.everything_first, self.rules)
        self.unrestricted = self.allowed == ALL_COMMANDS and self.all_keys and self.all_channels
        self.hot = self.all_keys and self.allowed >= HOT_NAMES

    def knows(self, password: bytes) -> bool:
        """Every hash is compared, in constant time: the delay tells neither which nor how much was right."""
        digest = hash_of(password)
        right = False
        for known in self.passwords:
            right |= compare_digest(digest, known)
        return right


def full_user(password: bytes = b"") -> User:
    """`default` as it is at the start."""
    user = User(DEFAULT, enabled=True)
    set_password(user, password)
    for rule in (b"~*", b"&*", b"+@all"):
        apply(user, rule)
    user.settle()
    return user


def set_password(user: User, password: bytes) -> None:
    """The one password, or none needed: what requirepass means."""
    user.passwords[:] = [hash_of(password)] if password else []
    user.nopass = not password


def hash_of(password: bytes) -> bytes:
    return sha256(password).hexdigest().encode()


# -- rules ----------------------------------------------------------------------------------------
def apply(user: User, rule: bytes) -> None:
    """One rule. Raises BadRule, and may then have changed the user: apply to a copy."""
    word, mark = rule.lower(), rule[:1]
    if word in _WORDS:
        _WORDS[word](user)
    elif mark in b"><#!" and mark:
        _password_rule(user, mark, rule[1:])
    elif mark == b"~" or mark == b"%":
        _key_rule(user, rule)
    elif mark == b"&":
        _channel_rule(user, rule[1:])
    elif mark in (b"+", b"-"):
        _command_rule(user, word)
    else:
        raise BadRule(SYNTAX)


def _password_rule(user: User, mark: bytes, text: bytes) -> None:
    if mark in b"#!" and not HASH.fullmatch(text):
        raise BadRule(BAD_HASH)
    digest = text if mark in b"#!" else hash_of(text)
    if mark in b">#":
        if digest not in user.passwords:
            if len(user.passwords) >= PASSWORDS_MAX:
                raise BadRule(b"A user may have at most %d passwords" % PASSWORDS_MAX)
            user.passwords.append(digest)
        user.nopass = False
    elif digest in user.passwords:
        user.passwords.remove(digest)
    else:
        raise BadRule(NO_SUCH_PASSWORD)


def _key_rule(user: User, rule: bytes) -> None:
    head, _, pattern = rule.partition(b"~")
    mode = READ | WRITE if not head else KEY_MODES.get(head.upper() + b"~")
    if mode is None or b"~" not in rule:
        raise BadRule(SYNTAX)
    _check_text(pattern)
    if user.all_keys and (pattern, mode) != (b"*", READ | WRITE):
        raise BadRule(AFTER_ALL % (b"allkeys", b"resetkeys", b"patterns"))
    if len(user.keys) >= PATTERNS_MAX:
        raise BadRule(b"A user may have at most %d key patterns" % PATTERNS_MAX)
    if (pattern, mode) == (b"*", READ | WRITE):
        user.keys.clear()
    user.keys[pattern] = user.keys.get(pattern, 0) | mode


def _channel_rule(user: User, pattern: bytes) -> None:
    _check_text(pattern)
    if user.all_channels and pattern != b"*":
        raise BadRule(AFTER_ALL % (b"allchannels", b"resetchannels", b"channels"))
    if len(user.channels) >= PATTERNS_MAX:
        raise BadRule(b"A user may have at most %d channel patterns" % PATTERNS_MAX)
    if pattern == b"*":
        user.channels.clear()
    if pattern not in user.channels:
        user.channels.append(pattern)


def _check_text(pattern: bytes) -> None:
    """A pattern has to fit into a line of the users file."""
    if any(byte <= 32 for byte in pattern):
        raise BadRule(SYNTAX)


def _command_rule(user: User, rule: bytes) -> None:
    name = rule[1:]
    if name == b"@all":
        user.everything_first, user.rules = rule[:1] == b"+", []
        return
    # A category of another type's commands is known, and empty here.
    if not _meant(name) and not (name.startswith(b"@") and name[1:] in CATEGORIES):
        raise BadRule(UNKNOWN)
    # The last word on a command, or on its container, replaces what was said before.
    rules = [old for old in user.rules if old[1:] != name and not old[1:].startswith(name + b"|")]
    one = not name.startswith(b"@")
    if not (one and _outcome(user.everything_first, rules) == _outcome(user.everything_first, [*rules, rule])):
        rules.append(rule)
    user.rules = rules


def _outcome(everything_first: bool, rules: list[bytes]) -> frozenset[bytes]:
    allowed = set(ALL_COMMANDS) if everything_first else set()
    for rule in rules:
        names = _meant(rule[1:])
        allowed = allowed | names if rule[:1] == b"+" else allowed - names
    return frozenset(allowed)


def _meant(name: bytes) -> set[bytes]:
    """The commands that a rule speaks of; none when it means nothing."""
    if name.startswith(b"@"):
        return {one for one, categories in NAMES.items() if name in categories} if name[1:] in CATEGORIES else set()
    top, bar, sub = name.partition(b"|")
    command = find(top, sub)
    if command is None or command.name != name:
        return set()
    return {name} if bar else {name} | {one for one in NAMES if one.startswith(name + b"|")}


def _on(user: User) -> None:
    user.enabled = True


def _off(user: User) -> None:
    user.enabled = False


def _nopass(user: User) -> None:
    user.nopass, user.passwords = True, []


def _resetpass(user: User) -> None:
    user.nopass, user.passwords = False, []


def _reset(user: User) -> None:
    """As a user is that was just made."""
    _resetpass(user)
    user.enabled, user.sanitize = False, b"sanitize-payload"
    user.everything_first, user.rules = False, []
    user.keys, user.channels = {}, []


def _sanitize(user: User) -> None:
    user.sanitize = b"sanitize-payload"


def _skip_sanitize(user: User) -> None:
    user.sanitize = b"skip-sanitize-payload"


_WORDS: dict[bytes, Callable[[User], None]] = {
    b"on": _on,
    b"off": _off,
    b"nopass": _nopass,
    b"resetpass": _resetpass,
    b"reset": _reset,
    b"sanitize-payload": _sanitize,
    b"skip-sanitize-payload": _skip_sanitize,
    b"clearselectors": lambda user: None,
    b"allkeys": lambda user: _key_rule(user, b"~*"),
    b"resetkeys": lambda user: user.keys.clear(),
    b"allchannels": lambda user: _channel_rule(user, b"*"),
    b"resetchannels": lambda user: user.channels.clear(),
    b"allcommands": lambda user: _command_rule(user, b"+@all"),
    b"nocommands": lambda user: _command_rule(user, b"-@all"),
}


# -- description ----------------------------------------------------------------------------------
def flags_of(user: User) -> list[bytes]:
    flags = [b"on" if user.enabled else b"off"]
    return flags + [b"nopass"] * user.nopass + [user.sanitize] * bool(user.sanitize)


def commands_of(user: User) -> bytes:
    return b" ".join([b"+@all" if user.everything_first else b"-@all", *user.rules])


def keys_of(user: User) -> bytes:
    marks = {READ: b"%R~", WRITE: b"%W~", READ | WRITE: b"~"}
    return b" ".join(marks[mode] + pattern for pattern, mode in user.keys.items())


def channels_of(user: User) -> bytes:
    return b" ".join(b"&" + pattern for pattern in user.channels)


def describe(user: User) -> bytes:
    """One line of the users file, as ACL LIST shows it."""
    words = [b"user", user.name, *flags_of(user), *(b"#" + digest for digest in user.passwords)]
    words += [keys_of(user)] if user.keys else []
    words += [b"resetchannels"] if not user.all_channels else []
    words += [channels_of(user)] if user.channels else []
    return b" ".join([*words, commands_of(user)])


# -- questions ------------------------------------------------------------------------------------
def may_touch(user: User, key: bytes, mode: int) -> bool:
    """Whether some one pattern allows all of `mode` on the key."""
    return any(have & mode == mode and glob_match(pattern, key) for pattern, have in user.keys.items())


def may_listen(user: User, channel: bytes, literal: bool) -> bool:
    """A pattern to subscribe to must be allowed as it is: it could match more than it looks like."""
    if user.all_channels:
        return True
    return any(channel == have if literal else glob_match(have, channel) for have in user.channels)


OPEN = full_user()  # what a connection is until somebody says who it is
