"""The page of collections from made-up results, and what its collections are filled with."""

import socket
from typing import Any

import pytest

from benchmarks import members
from benchmarks.servers import KINDS, BenchError
from tests.engine.conftest import NAMES

BOTH = [KINDS["redis"], KINDS["native"]]


def three(server: str, value: float, **more: Any) -> list[dict[str, Any]]:
    return [{"server": server, **{name: value if given is None else given for name, given in more.items()}}] * 3


def test_the_members_of_a_command_are_those_that_a_client_asks_for() -> None:
    """redis-benchmark writes 12 digits where a name is drawn."""
    assert members.words("set", b"c", 7, 9) == (b"SADD", b"c", b"mem:000000000007", b"mem:000000000008")
    assert members.words("hash", b"c", 0, 1) == (b"HSET", b"c", b"mem:000000000000", b"x" * 16)
    assert members.words("sorted set", b"c", 5, 6, members.SHORT) == (b"ZADD", b"c", b"5", b"m:000000000005")
    assert all(len(member) == 16 for member in members.words("set", b"c", 0, 3)[2:])


def test_memory_is_shown_beside_redis() -> None:
    found = three("redis", 75.0, part="memory", title="set, in one", resident=None, own_count=72.0)
    found += three("native", 97.5, part="memory", title="set, in one", resident=None, own_count=96.0)
    text = members.page({}, found, BOTH, 1)
    assert "| set, in one | 75.0 ±0% | 97.5 ±0% | **1.30** (1.30-1.30) | 72.0 ±0% | 96.0 ±0% | **1.33**" in text
    assert "1M members of 16 bytes" in text and "Waits of one client" not in text


def test_access_shows_how_a_server_slows_down_and_both_beside_each_other() -> None:
    found = []
    for server, few, many in (("redis", 1.0, 3.0), ("native", 0.5, 0.75)):
        for title, _, _ in members.ACCESS:
            found += three(server, few, part="access", title=title, members="1k", cpu_us=None)
            found += three(server, many, part="access", title=title, members="1M", cpu_us=None)
    text = members.page({}, found, BOTH, 1)
    row = "| HGET | 1.00 ±0% | 3.00 ±0% | **3.00** (3.00-3.00) | 0.500 ±0% | 0.750 ±0% | **1.50** (1.50-1.50) |"
    assert row in text and text.count("**0.25** (0.25-0.25) |") == len(members.ACCESS)


def test_turns_are_shown_alone_and_with_peers() -> None:
    found = [
        {"server": "native", "part": "turns", "kind": kind, "how": how, "peers": peers,
         "longest_ms": 0.7, "all_ms": 90.0}
        for kind in members.KINDS_OF
        for how in members.ENDS
        for peers in ("no", "yes")
    ]
    text = members.page({}, found, BOTH, 1)
    assert text.count("| 0.70 (0.70-0.70) | 90.00 (90.00-90.00) | 0.70 (0.70-0.70) | 90.00 (90.00-90.00) |") == 9


def test_a_member_without_its_deadline_is_a_fault() -> None:
    one, other = socket.socketpair()
    with one, other:
        other.sendall(b"*2\r\n:1\r\n:1\r\n")
        members.hear_codes(one, 2)
        other.sendall(b"*2\r\n:1\r\n:0\r\n")
        with pytest.raises(BenchError, match="not every member"):
            members.hear_codes(one, 2)
        other.sendall(b"-ERR unknown command\r\n")
        with pytest.raises(BenchError, match="unknown command"):
            members.hear_codes(one, 2)


@pytest.mark.parametrize("how", members.ENDS)
@pytest.mark.parametrize("peers", [False, True])
def test_a_small_collection_ends_in_an_engine_alone(how: str, peers: bool) -> None:
    if "native" not in NAMES:
        pytest.skip("there is no native engine")
    took = members.longest_turn("sorted set", how, 1_000, peers)
    assert 0 < took["longest_ms"] <= took["all_ms"]




