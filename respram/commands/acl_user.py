"""A user with its passwords and rights, and the rules that define them.

Pure: a rule in, a changed user out, and the user described as rules again. What rights are is said in acl_rights.py;
a user has its own and those of its selectors, `(+get ~shared:*)`, and may do what one of them allows as a whole.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import compare_digest

from respram.catalog.hot import permitted
from respram.commands.acl_rights import ALL_COMMANDS, BY_NAME, SYNTAX, BadRule, Rights, describe_rights, grant
from respram.engine.api import Guard

DEFAULT = b"default"
SELECTORS_MAX = 32  # selectors of one user: they are tried in turn until one allows
SELECTOR_RULES_MAX = 4_096  # words of one selector: twice as many as its patterns and commands may need
PASSWORDS_MAX = 100  # passwords of one user: each is compared at each AUTH
NAME_BYTES_MAX = 1_024  # of a user's name: it is repeated in each line of CLIENT LIST

HASH = re.compile(rb"[0-9a-f]{64}")
BAD_HASH = b"The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
NO_SUCH_PASSWORD = b"The password you are trying to remove from the user does not exist"
NO_SECRET = b"0" * 64  # compared where the user does not exist, so that the reply takes as long


@dataclass(slots=True, eq=False)
class User:
    name: bytes
    enabled: bool = False
    nopass: bool = False
    passwords: list[bytes] = field(default_factory=list)  # SHA-256, lower-case hexadecimal digits
    sanitize: bytes = b""  # stored and shown as in Redis; there is no RESTORE here
    root: Rights = field(default_factory=Rights)
    selectors: list[Rights] = field(default_factory=list)
    unrestricted: bool = False
    permitted: int = 0  # hot commands that the engine may answer without asking,
    guard: Guard | None = None  # on keys that match these patterns; made when first needed
    by_name: frozenset[bytes] = frozenset()  # commands that only a rule by name grants, and that such a rule granted

    @property
    def rights(self) -> list[Rights]:
        return [self.root, *self.selectors]

    @property
    def open(self) -> bool:
        """Whether a new connection is this user without AUTH."""
        return self.enabled and self.nopass

    def copy(self) -> "User":
        """For changing: all rules of one command are taken, or none."""
        selectors = [rights.copy() for rights in self.selectors]
        return replace(self, passwords=list(self.passwords), root=self.root.copy(), selectors=selectors)

    def settle(self) -> None:
        """Computes the rights from the rules; to be called after all rules were applied."""
        for rights in self.rights:
            rights.settle()
        root = self.root
        self.unrestricted = root.allowed >= ALL_COMMANDS and root.all_keys and root.all_channels
        self.permitted = permitted(root.allowed if root.all_channels else root.allowed - {b"publish"})
        self.guard = None
        self.by_name = BY_NAME & frozenset().union(*(rights.allowed for rights in self.rights))

    def knows(self, password: bytes) -> bool:
        """Every hash is compared, in constant time: the delay tells neither which nor how much was right."""
        digest = hash_of(password)
        right = False
        for known in self.passwords:
            right |= compare_digest(digest, known)
        return right


def full_user(password: bytes = b"", by_name: Iterable[bytes] = ()) -> User:
    """`default` as it is at the start; `by_name` are the commands that --let-go gives it."""
    user = User(DEFAULT, enabled=True)
    set_password(user, password)
    for rule in (b"~*", b"&*", b"+@all", *(b"+" + name for name in by_name)):
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
def gather(words: list[bytes]) -> tuple[list[bytes], bytes]:
    """The rules, with the words of a selector joined; and the beginning of a selector that is not closed."""
    rules: list[bytes] = []
    begun: list[bytes] = []
    for word in words:
        begun.append(word)
        if begun[0][:1] != b"(" or word[-1:] == b")":
            rules.append(b" ".join(begun))
            begun = []
    return rules, begun[0] if begun else b""


def apply(user: User, rule: bytes) -> None:
    """One rule. Raises BadRule, and may then have changed the user: apply to a copy."""
    word, mark = rule.lower(), rule[:1]
    if not rule:  # as in Redis
        return
    if word in _WORDS:
        _WORDS[word](user)
    elif mark in b"><#!":
        _password_rule(user, mark, rule[1:])
    elif mark == b"(" and rule[-1:] == b")":
        _selector_rule(user, rule[1:-1])
    else:
        grant(user.root, rule)


def _selector_rule(user: User, text: bytes) -> None:
    if len(user.selectors) >= SELECTORS_MAX:
        raise BadRule(b"A user may have at most %d selectors" % SELECTORS_MAX)
    rights = Rights()
    rules = text.split(None, SELECTOR_RULES_MAX)
    if len(rules) > SELECTOR_RULES_MAX:
        raise BadRule(b"A selector may have at most %d rules" % SELECTOR_RULES_MAX)
    for rule in rules:
        if rule.endswith(b")"):  # when the users file is read again, it would end the selector
            raise BadRule(SYNTAX)
        grant(rights, rule)
    user.selectors.append(rights)


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


def _on(user: User) -> None:
    user.enabled = True


def _off(user: User) -> None:
    user.enabled = False


def _nopass(user: User) -> None:
    user.nopass, user.passwords = True, []


def _resetpass(user: User) -> None:
    user.nopass, user.passwords = False, []


def _reset(user: User) -> None:
    """Resets the user to the state of a new one."""
    _resetpass(user)
    user.enabled, user.sanitize = False, b"sanitize-payload"
    user.root, user.selectors = Rights(), []


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
    b"clearselectors": lambda user: user.selectors.clear(),
}


# -- description ----------------------------------------------------------------------------------
def flags_of(user: User) -> list[bytes]:
    flags = [b"on" if user.enabled else b"off"]
    return flags + [b"nopass"] * user.nopass + [user.sanitize] * bool(user.sanitize)


def describe(user: User) -> bytes:
    """One line of the users file, as ACL LIST shows it."""
    words = [b"user", user.name, *flags_of(user), *(b"#" + digest for digest in user.passwords)]
    words += [describe_rights(user.root), *(b"(" + describe_rights(rights) + b")" for rights in user.selectors)]
    return b" ".join(words)


OPEN = full_user()  # the user of a connection until it authenticates
