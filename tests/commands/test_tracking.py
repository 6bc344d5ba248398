"""CLIENT TRACKING and its kin: what may be asked for, and what is answered. See test_invalidation.py."""

import pytest

from tests.engine.rig import request

from .rig import OK, Client, Reference
from .test_invalidation import invalid, read, tracker


@pytest.mark.parametrize(
    "lines",
    [
        "CLIENT TRACKING foo", "CLIENT TRACKING on REDIRECT x", "CLIENT TRACKING on REDIRECT 99999", "CLIENT TRACKING",
        "CLIENT TRACKING on PREFIX a", "CLIENT TRACKING on BCAST OPTIN", "CLIENT TRACKING on OPTIN OPTOUT",
        "CLIENT TRACKING on FOO", "CLIENT TRACKING on REDIRECT", "CLIENT TRACKING off", "CLIENT GETREDIR",
        "CLIENT TRACKINGINFO", "CLIENT CACHING yes", "CLIENT TRACKING on BCAST PREFIX a PREFIX ab",
        "CLIENT TRACKING on; CLIENT TRACKINGINFO; CLIENT GETREDIR; CLIENT TRACKING on BCAST; CLIENT CACHING yes",
        "CLIENT TRACKING on BCAST; CLIENT TRACKINGINFO; CLIENT TRACKING on BCAST PREFIX a; CLIENT TRACKING on OPTIN "
        "OPTOUT",
        "CLIENT TRACKING on BCAST PREFIX b PREFIX a; CLIENT TRACKING on BCAST PREFIX c; CLIENT TRACKINGINFO",
        "CLIENT TRACKING on BCAST PREFIX a; CLIENT TRACKING on BCAST; CLIENT TRACKING on BCAST PREFIX a",
        "CLIENT TRACKING on OPTIN; CLIENT TRACKING on OPTOUT; CLIENT CACHING no; CLIENT CACHING yes; CLIENT "
        "TRACKINGINFO",
        "CLIENT TRACKING on OPTOUT NOLOOP; CLIENT CACHING yes; CLIENT CACHING no; CLIENT CACHING foo; CLIENT "
        "TRACKINGINFO",
        "CLIENT TRACKING on OPTIN; CLIENT CACHING yes; GET gone; CLIENT TRACKINGINFO",
        "HELLO 3; CLIENT TRACKING on BCAST NOLOOP; CLIENT TRACKINGINFO; RESET; CLIENT TRACKINGINFO",
    ],
)  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, lines: str) -> None:
    reference(b"RESET")
    for line in lines.encode().split(b";"):
        words = line.split()
        if words[0] == b"HELLO":  # ids and versions differ
            client(*words)
            reference(*words)
            continue
        ours = read(client, *words) if words[0] == b"GET" else client(*words)
        assert ours == reference(*words), line
    reference(b"RESET")


def test_prefixes_are_bounded(client: Client) -> None:
    words = [word for number in range(200) for word in (b"PREFIX", b"%03d" % number)]
    assert client(b"CLIENT", b"TRACKING", b"on", b"BCAST", *words).startswith(b"-ERR too many or too long prefixes")
    assert client(b"CLIENT", b"GETREDIR") == b":-1\r\n"
    assert not client.rig.node.prefixes and not client.rig.node.trackers


def test_tracking_leaves_the_fast_paths_to_everybody(client: Client) -> None:
    engine, node = client.rig.engine, client.rig.node
    first, second = tracker(client), tracker(client, b"BCAST")
    for one in (first, second):
        one.conn.settle()
    assert engine.hot_writes and engine.hot_reads and first.conn.session.hot and second.conn.session.hot
    assert first.conn.session.tracks and not second.conn.session.tracks
    first(b"CLIENT", b"TRACKING", b"off")
    assert not first.conn.session.tracks
    read(first, b"GET", b"k")
    first(b"CLIENT", b"TRACKING", b"on")
    read(first, b"GET", b"k")
    first(b"CLIENT", b"TRACKING", b"off")
    assert node.tracked  # it may track again
    second.close()
    assert not node.trackers and not node.prefixes and engine.observer is not None
    first.close()
    assert not node.tracked and not node.tracked_bytes and engine.observer is None


def test_what_a_client_read_counts_again_when_it_tracks_again(client: Client) -> None:
    """The table goes by the connection, as in Redis: OFF and RESET forget nothing, and what changes meanwhile goes."""
    reader, node = tracker(client), client.rig.node
    for key in (b"a", b"b", b"c"):
        read(reader, b"GET", key)
    reader(b"CLIENT", b"TRACKING", b"off")
    client(b"SET", b"a", b"1")
    assert reader.pushed() == b"" and node.tracked.keys() == {b"b", b"c"}
    reader(b"CLIENT", b"TRACKING", b"on", b"OPTIN")
    client(b"MSET", b"a", b"2", b"b", b"2")
    assert reader.pushed() == invalid(b"b")
    reader(b"RESET")
    reader(b"HELLO", b"3")
    reader(b"CLIENT", b"TRACKING", b"on")
    client(b"SET", b"c", b"3")
    assert reader.pushed() == invalid(b"c") and not node.tracked


def test_who_has_switched_tracking_off_is_observed_until_nothing_is_left_of_it(client: Client) -> None:
    reader, engine = tracker(client), client.rig.engine
    read(reader, b"GET", b"k")
    reader(b"CLIENT", b"TRACKING", b"off")
    assert engine.observer is not None
    client(b"SET", b"k", b"1")
    assert engine.observer is None and client(b"SET", b"k", b"2") == OK


def test_what_a_connection_read_goes_with_the_last_one_that_tracked(client: Client) -> None:
    first, second = tracker(client), tracker(client)
    read(first, b"GET", b"k")
    first.close()
    client(b"SET", b"k", b"1")
    read(second, b"GET", b"k")
    second(b"CLIENT", b"TRACKING", b"off")
    second.close()
    assert not client.rig.node.tracked and not client.rig.node.readers


def test_what_client_caching_says_is_for_one_command_that_no_fast_path_may_take(client: Client) -> None:
    reader = tracker(client, b"OPTIN")
    tracked = client.rig.node.tracked
    reader(b"GET", b"a")
    assert not tracked and reader.conn.session.hot is client.rig.hot
    reader.raw(request(b"CLIENT", b"CACHING", b"YES") + request(b"GET", b"b") + request(b"GET", b"c"))
    assert list(tracked) == [b"b"]
    reader(b"CLIENT", b"TRACKING", b"off")
    reader = tracker(client, b"OPTOUT")
    tracked.clear()
    reader.raw(request(b"CLIENT", b"CACHING", b"NO") + request(b"GET", b"b") + request(b"GET", b"c"))
    assert list(tracked) == [b"c"]


SPENDERS = (
    b"GET a", b"GET", b"SET a 1", b"INCR word", b"NOSUCH", b"CLIENT ID", b"CLIENT NOSUCH", b"CLIENT CACHING", b"CLIENT",
    b"PING", b"PING a b",
    b"SELECT 99", b"EXEC", b"DISCARD", b"MULTI|GET a|EXEC", b"MULTI|NOSUCH|EXEC", b"MULTI|GET a|DISCARD", b"MULTI",
    b"MULTI|GET a",
    b"AUTH wrong", b"EXPIRE a x", b"CLIENT SETNAME x", b"CLIENT TRACKINGINFO", b"OBJECT NOSUCH a", b"WATCH a", b"WATCH",
)  # fmt: skip


@pytest.mark.parametrize("line", SPENDERS)
@pytest.mark.parametrize(("mode", "said"), [(b"OPTIN", b"YES"), (b"OPTOUT", b"NO")])
def test_any_command_spends_client_caching_as_in_redis(
    client: Client, reference: Reference, mode: bytes, said: bytes, line: bytes
) -> None:
    told = []
    for one in (client, reference):
        one(b"RESET")
        one(b"SET", b"word", b"abc", b"EX", b"100")
        one(b"HELLO", b"3")
        one(b"CLIENT", b"TRACKING", b"ON", mode)
        assert one(b"CLIENT", b"CACHING", said) == OK
        for words in line.split(b"|"):
            one(*words.split())
        info = one(b"CLIENT", b"TRACKINGINFO")
        told.append([flag in info for flag in (b"caching-yes", b"caching-no")])
        one(b"RESET")
    assert told[0] == told[1]
