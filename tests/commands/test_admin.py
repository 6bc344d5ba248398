"""LATENCY, MEMORY, MODULE, ACL, ROLE, TIME, SHUTDOWN and RESPRAM."""

import pytest

from respram import __version__

from .rig import NOW, OK, Client, Reference, array, bulk


@pytest.mark.parametrize(
    "line",
    [
        "LATENCY LATEST", "LATENCY HISTORY x", "LATENCY RESET", "LATENCY RESET x", "LATENCY GRAPH x", "LATENCY FOO",
        "LATENCY",
        "LATENCY HISTOGRAM nosuch", "MEMORY USAGE gone", "MEMORY USAGE gone SAMPLES 5", "MEMORY USAGE gone SAMPLES x",
        "MEMORY USAGE gone SAMPLES -1", "MEMORY USAGE gone FOO", "MEMORY USAGE gone FOO 1", "MEMORY USAGE",
        "MEMORY PURGE",
        "MEMORY FOO", "ROLE", "MODULE LIST", "MODULE FOO", "MODULE", "ACL WHOAMI", "ACL LIST", "ACL FOO", "TIME x",
        "CLUSTER", "CLUSTER INFO", "SHUTDOWN FOO", "SHUTDOWN NOSAVE SAVE", "SHUTDOWN ABORT", "SHUTDOWN ABORT NOW",
    ],
)  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, line: str) -> None:
    reference(b"RESET")
    if line.startswith("SHUTDOWN"):
        client(b"ACL", b"SETUSER", b"default", b"+shutdown")
    words = line.encode().split()
    assert client(*words) == reference(*words)
    assert not client.rig.stops


def test_time_is_the_nodes_clock_in_two_bulks(client: Client) -> None:
    client.advance(1234)
    assert client(b"TIME") == array(bulk(b"%d" % (NOW // 1000 + 1)), bulk(b"234000"))


def test_memory_usage_grows_with_key_and_value(client: Client) -> None:
    client(b"SET", b"k", b"x")
    client(b"SET", b"long-key", b"x" * 5000)
    small, large = (int(client(b"MEMORY", b"USAGE", key)[1:]) for key in (b"k", b"long-key"))
    assert large - small == 7 + 4999
    assert small >= 2
    client.advance(3_600_000)
    assert client(b"MEMORY", b"USAGE", b"k") == b"$-1\r\n"


def test_memory_usage_counts_what_each_node_has_added_to_a_counter(client: Client) -> None:
    client.rig.engine.track(7)  # with peers, counters keep shares
    client(b"INCR", b"n")
    counted = int(client(b"MEMORY", b"USAGE", b"n")[1:])
    client(b"SET", b"n", b"1")
    assert counted - int(client(b"MEMORY", b"USAGE", b"n")[1:]) == 32 + 24


def test_memory_stats_count_what_is_there(client: Client) -> None:
    client(b"SET", b"k", b"x" * 1000)
    client(b"HELLO", b"3")
    shown = client(b"MEMORY", b"STATS")
    used = client.rig.engine.used_bytes()
    assert bulk(b"keys.count") + b":1\r\n" in shown and bulk(b"total.allocated") + b":%d\r\n" % used in shown
    assert bulk(b"peak.percentage") + b",100" in shown


def test_the_memory_doctor_sees_a_full_node(client: Client) -> None:
    assert b"well within" in client(b"MEMORY", b"DOCTOR")
    client(b"SET", b"k", b"x" * 5000)
    client(b"CONFIG", b"SET", b"maxmemory", b"%d" % (client.rig.engine.used_bytes() + 10))
    assert b"nine tenths" in client(b"MEMORY", b"DOCTOR")
    client(b"CONFIG", b"SET", b"maxmemory", b"1")
    assert b"Memory is full" in client(b"MEMORY", b"DOCTOR")


def test_the_user_is_shown_with_a_digest_and_no_password(client: Client) -> None:
    client(b"CONFIG", b"SET", b"requirepass", b"foo")
    digest = b"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # SHA-256 of foo
    assert client(b"ACL", b"LIST") == array(bulk(b"user default on #%b ~* &* +@all" % digest))


@pytest.mark.parametrize("words", [(), (b"NOSAVE",), (b"now", b"FORCE")])
def test_shutdown_stops_the_node_for_who_was_given_it_by_name(client: Client, words: tuple[bytes, ...]) -> None:
    assert client(b"SHUTDOWN", *words) == (
        b"-NOPERM 'shutdown' is refused by design: a node is stopped by a signal; an operator may give a user the "
        b"right (+shutdown)\r\n"
    )
    assert not client.rig.stops
    client(b"ACL", b"SETUSER", b"default", b"+shutdown")
    assert client(b"SHUTDOWN", *words) == b""
    assert client.rig.stops == ["SHUTDOWN of client 1"]


def test_shutdown_does_not_pretend_to_save(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"default", b"+shutdown")
    assert client(b"SHUTDOWN", b"SAVE").startswith(b"-NOPERM 'shutdown' with SAVE")
    assert not client.rig.stops


def test_nothing_measured_is_shown_as_nothing(client: Client) -> None:
    assert client(b"LATENCY", b"HISTOGRAM") == array()
    client(b"HELLO", b"3")
    assert client(b"LATENCY", b"HISTOGRAM") == b"%0\r\n"
    assert b"not measured" in client(b"LATENCY", b"DOCTOR")
    assert client(b"MEMORY", b"MALLOC-STATS") == b"=49\r\ntxt:Stats not supported for the current allocator\r\n"


def test_respram_tells_its_version(client: Client) -> None:
    assert client(b"RESPRAM", b"VERSION") == bulk(__version__.encode())
    assert client(b"RESPRAM", b"NOSUCH") == b"-ERR unknown subcommand 'NOSUCH'. Try RESPRAM HELP.\r\n"


@pytest.mark.parametrize("container", [b"LATENCY", b"MEMORY", b"MODULE", b"ACL", b"RESPRAM", b"CONFIG", b"PUBSUB"])
def test_help_is_lines_that_name_their_container(client: Client, container: bytes) -> None:
    reply = client(container, b"HELP")
    assert reply.startswith(b"*") and b"\r\n+" + container + b" <subcommand>" in reply and b"\r\n+HELP\r\n" in reply


def test_config_set_and_purge_answer_ok(client: Client) -> None:
    assert client(b"MEMORY", b"PURGE") == OK
