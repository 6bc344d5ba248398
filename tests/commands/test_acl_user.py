"""One user's rules: what they come to, how they are shown, what is refused."""

import pytest

from respram.commands.acl_user import (
    ALL_COMMANDS,
    PATTERNS_MAX,
    READ,
    WRITE,
    BadRule,
    User,
    apply,
    describe,
    full_user,
    hash_of,
    may_listen,
    may_touch,
)  # fmt: skip


def made(*rules: bytes) -> User:
    user = User(b"u")
    for rule in rules:
        apply(user, rule)
    user.settle()
    return user


def test_a_new_user_may_nothing_and_the_first_one_everything() -> None:
    assert not made().allowed and not made().enabled
    first = full_user()
    assert first.unrestricted and first.hot and first.open
    assert not full_user(b"secret").open


def test_the_last_rule_about_a_command_counts() -> None:
    user = made(b"+@all", b"-@dangerous", b"+info", b"-client|kill")
    assert b"info" in user.allowed and b"keys" not in user.allowed
    assert b"client|kill" not in user.allowed and b"client|id" in user.allowed
    assert b"client|kill" in made(b"-client|kill", b"+client").allowed
    assert made(b"+get", b"-@all").allowed == frozenset()
    assert made(b"+client|id").allowed == {b"client|id"}
    assert made(b"allcommands").allowed == ALL_COMMANDS


def test_rules_are_shown_as_they_count_and_what_changes_nothing_is_left_out() -> None:
    user = made(b"on", b">p", b"~a:*", b"%R~b:*", b"&c", b"+@read", b"-get", b"+GET", b"+client|id", b"+client")
    assert describe(user) == (
        b"user u on #" + hash_of(b"p") + b" ~a:* %R~b:* resetchannels &c -@all +@read +client"
    )


def test_a_description_makes_the_same_user() -> None:
    user = made(b"on", b">p", b">q", b"%W~w*", b"%R~r*", b"~x", b"allchannels", b"+@all", b"-@admin", b"+config|get")
    again = made(*describe(user).split()[2:])
    assert describe(again) == describe(user) and again.allowed == user.allowed


def test_read_and_write_of_one_pattern_add_up() -> None:
    user = made(b"%R~k", b"%W~k")
    assert user.keys == {b"k": READ | WRITE}
    assert may_touch(user, b"k", READ | WRITE) and not may_touch(user, b"j", 0)
    assert not may_touch(made(b"%R~k*", b"%W~*"), b"k1", READ | WRITE), "no single pattern allows both"


def test_a_pattern_to_listen_to_is_taken_literally() -> None:
    user = made(b"&news:*")
    assert may_listen(user, b"news:1", literal=False) and may_listen(user, b"news:*", literal=True)
    assert not may_listen(user, b"news:1*", literal=True)


def test_fast_paths_are_for_who_may_all_of_them_on_every_key() -> None:
    assert made(b"~*", b"+@all", b"-@admin").hot
    assert not made(b"~*", b"+@read").hot
    assert not made(b"~a*", b"+@all").hot


@pytest.mark.parametrize(
    "rule",
    [b"", b"foo", b"+nosuch", b"+@nosuch", b"+client|nosuch", b"-get|x", b"#abc", b"!abc", b"#" + b"G" * 64, b"<nope", b"%X~a",
     b"%R", b"~a b", b"&a\nb", b"(~a)"],
)  # fmt: skip
def test_a_wrong_rule_is_refused(rule: bytes) -> None:
    with pytest.raises(BadRule):
        made(rule)


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


def test_a_password_is_kept_as_its_hash_only() -> None:
    user = made(b">secret")
    assert user.knows(b"secret") and not user.knows(b"Secret")
    assert b"secret" not in describe(user)
    apply(user, b"<secret")
    assert not user.knows(b"secret")
