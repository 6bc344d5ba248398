"""One set of rights: what its rules come to, and what is refused."""

import pytest

from respram.commands.acl_rights import (
    ALL_COMMANDS,
    COMMAND_RULES_MAX,
    NAMES,
    PATTERNS_MAX,
    READ,
    WRITE,
    BadRule,
    Rights,
    grant,
    may_listen,
    may_touch,
)  # fmt: skip


def made(*rules: bytes) -> Rights:
    rights = Rights()
    for rule in rules:
        grant(rights, rule)
    rights.settle()
    return rights


def test_the_last_rule_about_a_command_counts() -> None:
    rights = made(b"+@all", b"-@dangerous", b"+info", b"-client|kill")
    assert b"info" in rights.allowed and b"keys" not in rights.allowed
    assert b"client|kill" not in rights.allowed and b"client|id" in rights.allowed
    assert b"client|kill" in made(b"-client|kill", b"+client").allowed
    assert made(b"+get", b"-@all").allowed == frozenset()
    assert made(b"+client|id").allowed == {b"client|id"}
    assert made(b"allcommands").allowed == ALL_COMMANDS


def test_read_and_write_of_one_pattern_add_up() -> None:
    rights = made(b"%R~k", b"%W~k")
    assert rights.keys == {b"k": READ | WRITE}
    assert may_touch(rights, b"k", READ | WRITE) and not may_touch(rights, b"j", 0)
    assert not may_touch(made(b"%R~k*", b"%W~*"), b"k1", READ | WRITE), "no single pattern allows both"


def test_a_pattern_to_listen_to_is_taken_literally() -> None:
    rights = made(b"&news:*")
    assert may_listen(rights, b"news:1", literal=False) and may_listen(rights, b"news:*", literal=True)
    assert not may_listen(rights, b"news:1*", literal=True)


def test_a_pattern_behind_all_patterns_is_refused() -> None:
    with pytest.raises(BadRule, match="allkeys"):
        made(b"~*", b"~a")
    with pytest.raises(BadRule, match="allchannels"):
        made(b"&*", b"&a")


def test_patterns_are_bounded() -> None:
    rules = [b"~k%d" % number for number in range(PATTERNS_MAX)]
    made(*rules)
    with pytest.raises(BadRule):
        made(*rules, b"~one-more")


def test_rules_about_all_names_there_are_fit_and_more_at_once_are_refused() -> None:
    """2,000 rules about 400 names took 14 s: what each of them left was worked out anew from sets."""
    names = list(NAMES)
    assert len(names) < COMMAND_RULES_MAX
    each = made(*(b"+" + name for name in names))
    assert each.allowed == frozenset(names)
    rights = Rights()
    for number in range(COMMAND_RULES_MAX):
        grant(rights, (b"+", b"-")[number % 2] + names[number % len(names)])
    with pytest.raises(BadRule) as refused:
        grant(rights, b"+get")
    assert b"1024 rules" in refused.value.reason
    again = rights.copy()  # another change of the same user
    grant(again, b"+get")
    again.settle()
    assert b"get" in again.allowed


@pytest.mark.parametrize("name", sorted(NAMES)[::7])
def test_bits_say_what_sets_would(name: bytes) -> None:
    """Rules one after the other, each as a set of names, are what the bits come to."""
    rules = (b"+@all", b"-@dangerous", b"+" + name, b"-@read", b"+@fast", b"-" + name, b"+@string", b"+" + name)
    allowed: set[bytes] = set()
    for rule in rules:
        what = rule[1:]
        if what == b"@all":
            meant = set(ALL_COMMANDS)
        elif what.startswith(b"@"):
            meant = {one for one, categories in NAMES.items() if what in categories and one in ALL_COMMANDS}
        else:
            meant = {one for one in NAMES if one == what or one.startswith(what + b"|")}
        allowed = allowed | meant if rule.startswith(b"+") else allowed - meant
    assert made(*rules).allowed == allowed
