"""One user's rules: what they come to, how they are shown, what is refused."""

import pytest

from respram.catalog.hot import EVERY, HOT, permitted
from respram.commands.acl_rights import BadRule
from respram.commands.acl_user import (
    SELECTOR_RULES_MAX,
    SELECTORS_MAX,
    User,
    apply,
    describe,
    full_user,
    gather,
    hash_of,
)

BY_NAME = {b"del", b"unlink", b"srem", b"hdel", b"smove", b"zrem", b"zremrangebyrank", b"zremrangebyscore",
           b"zremrangebylex", b"getdel", b"delex", b"delifeq", b"zpopmin", b"zpopmax", b"spop", b"hgetdel", b"zmpop"}
ORDINARY = EVERY & ~permitted(BY_NAME)  # which are given by name alone
QUIET = ORDINARY & ~permitted({b"publish"})  # of a user who was given no channels


def made(*rules: bytes) -> User:
    user = User(b"u")
    for rule in rules:
        apply(user, rule)
    user.settle()
    return user


def test_a_new_user_may_nothing_and_the_first_one_everything() -> None:
    assert not made().root.allowed and not made().enabled
    first = full_user()
    assert first.unrestricted and first.permitted == ORDINARY and first.open
    assert not full_user(b"secret").open


def test_rules_are_shown_as_they_count_and_what_changes_nothing_is_left_out() -> None:
    user = made(b"on", b">p", b"~a:*", b"%R~b:*", b"&c", b"+@read", b"-get", b"+GET", b"+client|id", b"+client")
    assert describe(user) == (
        b"user u on #" + hash_of(b"p") + b" ~a:* %R~b:* resetchannels &c -@all +@read +client"
    )


def test_a_description_makes_the_same_user() -> None:
    rules = b"on", b">p", b">q", b"%W~w*", b"%R~r*", b"~x)", b"allchannels", b"+@all", b"-@admin", b"+config|get"
    user = made(*rules, b"(+get ~s %W~t)", b"(&* +publish)")
    again = made(*gather(describe(user).split()[2:])[0])
    assert describe(again) == describe(user) and again.root.allowed == user.root.allowed


def test_fast_paths_are_for_the_commands_that_a_user_may_run() -> None:
    assert made(b"~*", b"+@all", b"-@admin").permitted == QUIET
    assert made(b"~*", b"+@read").permitted == permitted({c.name for c in HOT if c.shape == b"reads"})
    assert made(b"~*", b"&*", b"+@all").permitted == ORDINARY
    assert made(b"~a*", b"+@all").permitted == QUIET  # on which keys is asked of a guard


@pytest.mark.parametrize(
    "rule",
    [b"foo", b"+nosuch", b"+@nosuch", b"+client|nosuch", b"-get|x", b"#abc", b"!abc", b"#" + b"G" * 64, b"<nope",
     b"%X~a",
     b"%R", b"~a b", b"&a\nb", b"+config|", b"(~a", b")", b"(+get ~a))",
     b"(on)", b"(>p)", b"((~a))", b"(~* ~a)", b"(clearselectors)"],
)  # fmt: skip
def test_a_wrong_rule_is_refused(rule: bytes) -> None:
    with pytest.raises(BadRule):
        made(rule)


def test_a_password_is_kept_as_its_hash_only() -> None:
    user = made(b">secret")
    assert user.knows(b"secret") and not user.knows(b"Secret")
    assert b"secret" not in describe(user)
    apply(user, b"<secret")
    assert not user.knows(b"secret")


def test_a_selector_is_a_set_of_rights_of_its_own() -> None:
    user = made(b"~a:*", b"+get", b"(+set ~b:*)", b"()")
    assert [rights.allowed for rights in user.rights] == [{b"get"}, {b"set"}, frozenset()]
    assert (
        describe(user)
        == b"user u off ~a:* resetchannels -@all +get (~b:* resetchannels -@all +set) (resetchannels -@all)"
    )
    assert made(b"(~* &* +@all)").permitted == 0 and made(b"~*", b"+@all", b"(+get)").permitted == QUIET
    assert made(b"(+get)", b"clearselectors").selectors == made(b"(+get)", b"reset").selectors == []


def test_a_selector_of_a_copy_is_not_that_of_the_user() -> None:
    user = made(b"(+get)")
    user.copy().selectors[0].rules.append(b"+set")
    assert user.selectors[0].rules == [b"+get"]


def test_the_words_of_a_selector_are_put_together() -> None:
    assert gather([b"on", b"(+get", b"~a", b"&b)", b"(+set)", b"off"]) == (
        [b"on", b"(+get ~a &b)", b"(+set)", b"off"],
        b"",
    )
    assert gather([b"on", b"(+get", b"off"]) == ([b"on"], b"(+get")
    assert gather([b"("]) == ([], b"(") and gather([b")", b""]) == ([b")", b""], b"")


def test_selectors_are_bounded() -> None:
    rules = [b"(~k%d +get)" % number for number in range(SELECTORS_MAX)]
    made(*rules)
    with pytest.raises(BadRule):
        made(*rules, b"(+get)")


def test_a_selector_has_so_many_rules_and_is_not_read_beyond_them() -> None:
    """One of 200,000 words took 10 s."""
    made(b"(" + b"~k " * SELECTOR_RULES_MAX + b")")
    with pytest.raises(BadRule) as refused:
        made(b"(" + b"~k " * SELECTOR_RULES_MAX + b"~k)")
    assert b"4096 rules" in refused.value.reason
