"""Nodes of one enclave whose settings differ: the smaller limit holds, both logs warn, and nothing stands on one node
alone.
"""

import pytest

from tests.engine.conftest import ENGINES
from tests.peers.enclave import enclave, until, until_equal, until_linked, until_ready

DAY_S = 86_400


@pytest.mark.slow
@pytest.mark.parametrize("engine", list(ENGINES))
def test_values_that_one_node_may_not_keep_so_long_are_cut_on_all(engine: str) -> None:
    """They were refused there for ever, with retries without end, and an overwritten value stood on one node alone."""
    words = ("--default-ttl", "600", "--join-wait", "0", "--alone-after-ms", "100")
    with enclave(
        2, *words, engines=(engine,), each=lambda number: ("--max-ttl", str(2 * DAY_S if number else 3600))
    ) as members:
        strict, lax = members
        strict.stop()
        lax.stop()
        lax.start()  # it has never met the other
        until_ready([lax])
        for number in range(200):
            lax.client.set(f"long:{number}", "v", ex=DAY_S)
        lax.client.set("overwritten", "old", ex=DAY_S)
        strict.start()
        until_ready(members)
        until(lambda: strict.client.dbsize() == 201, "the values were refused")
        until_equal(members, 201)
        for member in members:
            assert 0 < member.client.ttl("long:7") <= 3600, "cut on both"
            assert member.client.get("long:7") == b"v"
            assert any(
                "event=unequal_settings" in line and " WARNING " in line and "setting=max-ttl" in line
                for line in member.log().splitlines()
            )
            assert member.info()["records_refused"] == 0
        assert lax.client.config_get("max-ttl") == {"max-ttl": "3600"}
        lax.client.set("overwritten", "new", ex=DAY_S)
        until(lambda: strict.client.get("overwritten") == b"new", "the overwrite was refused")
        assert 0 < lax.client.ttl("overwritten") <= 3600


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_limit_that_is_changed_while_they_run_holds_for_both(engine: str) -> None:
    """The other went on with the longer lives, and the changed node refused what it wrote."""
    with enclave(2, "--max-ttl", str(2 * DAY_S), "--default-ttl", "600", engines=(engine,)) as members:
        until_ready(members)
        one, other = members
        other.client.set("before", "v", ex=DAY_S)
        until(lambda: one.client.get("before") == b"v", "it does not come")
        one.client.config_set("max-ttl", 3600)
        until(lambda: other.client.config_get("max-ttl") == {"max-ttl": "3600"}, "the other has not heard of it")
        other.client.set("after", "v", ex=DAY_S)
        until(lambda: one.client.get("after") == b"v", "it was refused")
        assert 0 < other.client.ttl("after") <= 3600
        other.client.config_set("max-ttl", DAY_S)
        assert other.client.config_get("max-ttl") == {"max-ttl": "3600"}, "a peer allows no more"
        assert any("event=unequal_settings" in line and " WARNING " in line for line in other.log().splitlines())


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_key_that_one_node_may_not_hold_is_a_stub_on_both(engine: str) -> None:
    """It was refused there by every comparison, for ever."""
    words = ("--join-wait", "0", "--alone-after-ms", "100", "--key-size-limit", "4mb")
    sizes = ("1mb", "4mb")
    with enclave(2, *words, engines=(engine,), each=lambda number: ("--proto-max-bulk-len", sizes[number])) as members:
        small, large = members
        small.stop()
        large.stop()
        large.start()
        until_ready([large])
        large.client.set(b"k" * (2 << 20), "v", ex=600)
        large.client.set("plain", "v", ex=600)
        small.start()
        until_ready(members)
        until(lambda: large.client.dbsize() == 1, "the key stands on one node alone")
        until_equal(members, 1)
        assert small.info()["records_refused"] == 0


@pytest.mark.parametrize("engine", list(ENGINES))
def test_what_was_written_before_the_operator_lowered_the_limit_reaches_who_comes_later(engine: str) -> None:
    """Both had the same limit when they met, so nothing was cut, and the newcomer refused it for ever."""
    words = ("--default-ttl", "600", "--join-wait", "0", "--alone-after-ms", "100")
    limits = (str(2 * DAY_S), "3600")
    with enclave(2, *words, engines=(engine,), each=lambda number: ("--max-ttl", limits[number])) as members:
        first, newcomer = members
        newcomer.stop()
        first.stop()
        first.start()
        until_ready([first])
        for number in range(50):
            first.client.set(f"long:{number}", "v", ex=DAY_S)
        first.client.config_set("max-ttl", 3600)
        newcomer.start()
        until_ready(members)
        until(lambda: newcomer.client.dbsize() == 50, "the values were refused")
        until_equal(members, 50)
        for member in members:
            assert 0 < member.client.ttl("long:7") <= 3600
            assert member.info()["records_refused"] == 0


@pytest.mark.parametrize("engine", list(ENGINES))
def test_stubs_of_members_that_had_longer_lives_are_on_both(engine: str) -> None:
    """What a collection's end leaves of its members keeps their deadline, and that was refused for ever."""
    words = ("--default-ttl", "600", "--join-wait", "0", "--alone-after-ms", "100", "--let-go", "del")
    limits = (str(2 * DAY_S), "3600")
    with enclave(2, *words, engines=(engine,), each=lambda number: ("--max-ttl", limits[number])) as members:
        lax, strict = members
        strict.stop()
        lax.stop()
        lax.start()
        until_ready([lax])
        for number in range(20):
            lax.client.hset(f"hash:{number}", mapping={"a": "1", "b": "2"})
            lax.client.expire(f"hash:{number}", DAY_S)
            lax.client.delete(f"hash:{number}")
        lax.client.set("plain", "v", ex=600)
        strict.start()
        until_ready(members)
        until_equal(members, 61)  # of each hash a stub and two members
        assert strict.info()["records_refused"] == 0
        assert [member.client.dbsize() for member in members] == [1, 1]


@pytest.mark.slow
def test_a_limit_of_a_node_that_is_gone_ends_with_restarts_one_after_the_other() -> None:
    """Each restarted node took it over again from the other."""
    limits = (str(2 * DAY_S), str(2 * DAY_S), "3600")
    with enclave(3, "--default-ttl", "600", each=lambda number: ("--max-ttl", limits[number])) as members:
        until_ready(members)
        *staying, mistaken = members
        held = {"max-ttl": "3600"}
        until(lambda: all(one.client.config_get("max-ttl") == held for one in staying), "it is not taken over")
        mistaken.stop()
        until_linked(staying)
        for one in staying:
            one.stop()
            one.start()
            until_ready(staying)
        for one in staying:
            assert one.client.config_get("max-ttl") == {"max-ttl": str(2 * DAY_S)}


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_value_that_is_far_larger_than_one_node_may_hold_parts_nobody(engine: str) -> None:
    """The frame that brought it was longer than that node read: the link broke, was made anew and broke, for ever, and
    nothing else came either.
    """
    words = ("--join-wait", "0", "--alone-after-ms", "100")
    sizes = ("1mb", "16mb")
    with enclave(2, *words, engines=(engine,), each=lambda number: ("--proto-max-bulk-len", sizes[number])) as members:
        small, large = members
        small.stop()
        large.stop()
        large.start()
        until_ready([large])
        large.client.set("large", b"v" * (9 << 20), ex=600)
        large.client.set("plain", "v", ex=600)
        small.start()
        until(lambda: [member.client.dbsize() for member in members] == [1, 1], "the nodes cannot speak")
        until_ready(members)
        until_equal(members, 1)
        for member in members:
            assert member.client.get("plain") == b"v" and member.client.get("large") is None
            assert "a_frame_is_too_long" not in member.log()
            assert member.client.config_get("proto-max-bulk-len") == {"proto-max-bulk-len": str(1 << 20)}, "what holds"


def test_a_node_that_decides_alone_among_others_is_warned_of_on_both_sides() -> None:
    with enclave(2, each=lambda number: ("--decide", "local") if number else ()) as members:
        home, local = members
        wanted = "setting=decide here=home there=local", "setting=decide here=local there=home"
        until(lambda: wanted[0] in home.log() and wanted[1] in local.log(), "they are not warned")
        local.client.config_set("decide", "home")
        until_ready(members)
        granted = [bool(member.client.set("lock", "x", nx=True)) for member in members]
        assert sorted(granted) == [False, True]
