"""Finding peers by DNS: the query, what may come back, and what must not."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.config.options import Address, Service
from respram.server import discovery
from respram.server.discovery import (
    DnsError,
    NoSuchName,
    Target,
    Truncated,
    answers,
    build_query,
    find,
    is_local,
    name_servers,
    own_address,
    parse_answer,
    query_srv,
    read_name,
)

NAME = "_respram._tcp.example.org"
Answer = Callable[[bytes], bytes | None]


def spell(name: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".") if label) + b"\0"


def srv(host: str, port: int, priority: int = 0, owner: bytes = b"\xc0\x0c", spelled: bytes | None = None) -> bytes:
    data = struct.pack(">HHH", priority, 5, port) + (spell(host) if spelled is None else spelled)
    return owner + struct.pack(">HHIH", 33, 1, 60, len(data)) + data


def response(query: bytes, records: list[bytes], flags: int = 0x8180, count: int | None = None) -> bytes:
    head = query[:2] + struct.pack(">HHHHH", flags, 1, len(records) if count is None else count, 0, 0)
    return head + query[12:-11] + b"".join(records)


@contextmanager
def name_server(by_datagram: Answer, by_stream: Answer | None = None) -> Iterator[Address]:
    """A name server that says what a test wants, over UDP and TCP on one port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        port = listener.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        stop = threading.Event()

        def serve_datagrams() -> None:
            datagrams.settimeout(0.05)
            while not stop.is_set():
                try:
                    query, client = datagrams.recvfrom(2048)
                except TimeoutError:
                    continue
                data = by_datagram(query)
                if data is not None:
                    datagrams.sendto(data, client)

        def serve_streams() -> None:
            listener.settimeout(0.05)
            while not stop.is_set():
                try:
                    sock, _ = listener.accept()
                except TimeoutError:
                    continue
                with sock:
                    query = sock.recv(2048)[2:]
                    data = by_stream(query) if by_stream else None
                    if data is not None:
                        sock.sendall(len(data).to_bytes(2, "big") + data)

        threads = [threading.Thread(target=one) for one in (serve_datagrams, serve_streams)]
        for thread in threads:
            thread.start()
        try:
            yield Address("127.0.0.1", port)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def ask(server: Address) -> list[Target]:
    return asyncio.run(query_srv(NAME, [server]))


def test_targets_come_back_whole() -> None:
    records = [srv("a.example.org", 16379, 10), srv("B.example.org", 16380, 5), srv("", 1), srv("c.example.org", 0)]
    with name_server(lambda query: response(query, records)) as server:
        assert ask(server) == [Target(10, 5, "a.example.org", 16379), Target(5, 5, "B.example.org", 16380)]


def test_a_service_is_resolved_down_to_addresses_in_order_of_priority() -> None:
    records = [srv("127.0.0.2", 7002, 2), srv("127.0.0.1", 7001, 1)]
    with name_server(lambda query: response(query, records)) as server:
        found = asyncio.run(find([Address("127.0.0.9", 7009), Service(NAME), Address("127.0.0.1", 7001)], [server]))
    assert found.addresses == (Address("127.0.0.9", 7009), Address("127.0.0.1", 7001), Address("127.0.0.2", 7002))
    assert found.failures == ()


def test_every_look_asks_anew() -> None:
    ports = iter((7001, 7002))
    with name_server(lambda query: response(query, [srv("127.0.0.1", next(ports))])) as server:
        for port in (7001, 7002):
            assert asyncio.run(find([Service(NAME)], [server])).addresses == (Address("127.0.0.1", port),)


def test_what_one_entry_lacks_does_not_spoil_the_others() -> None:
    with name_server(lambda query: response(query, [], 0x8183)) as server:
        found = asyncio.run(find([Service(NAME), Address("::1", 7001), Address("no.such.invalid", 1)], [server]))
    assert found.addresses == (Address("::1", 7001),)
    assert len(found.failures) == 2 and found.unresolved == (Service(NAME), Address("no.such.invalid", 1))
    assert found.failures[0] == f"srv:{NAME}: there is no such name"
    assert found.failures[1].startswith("no.such.invalid:1: ")


def test_a_long_answer_comes_over_tcp() -> None:
    records = [srv(f"node-{number}.a-rather-long-name.example.org", 16379) for number in range(100)]
    with name_server(lambda query: response(query, [], 0x8380), lambda query: response(query, records)) as server:
        assert len(ask(server)) == 100
    short = name_server(lambda query: response(query, [], 0x8380), lambda query: response(query, [], 0x8380))
    with short as server, pytest.raises(DnsError, match="over TCP too"):
        ask(server)
    with (
        name_server(lambda query: response(query, [], 0x8380), lambda query: b"") as server,
        pytest.raises(DnsError, match="another question"),
    ):
        ask(server)


def test_forged_and_late_answers_are_passed_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = Address(*server.getsockname())

        def serve() -> None:
            query, client = server.recvfrom(2048)
            good = response(query, [srv("good.example.org", 1)])
            other = build_query("_other._tcp.example.org", int.from_bytes(query[:2], "big"))
            evil = [srv("evil.example.org", 2)]
            forged = bytes((query[0] ^ 1,)) + response(query, evil)[1:]
            for data in (b"", b"\0" * 12, forged, response(query, evil, 0x0180), response(other, evil), good):
                server.sendto(data, client)

        thread = threading.Thread(target=serve)
        thread.start()
        assert ask(address) == [Target(0, 5, "good.example.org", 1)]
        thread.join()


def test_a_silent_server_costs_its_patience_and_the_next_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "DNS_PATIENCE_S", 0.1)
    with name_server(lambda query: None) as silent, name_server(lambda query: response(query, [srv("a", 1)])) as good:
        assert asyncio.run(query_srv(NAME, [silent, good])) == [Target(0, 5, "a", 1)]
        with pytest.raises(DnsError, match="does not answer"):
            asyncio.run(query_srv(NAME, [silent]))
    with name_server(lambda query: response(query, [], 0x8182)) as failing, pytest.raises(DnsError, match="code 2"):
        ask(failing)


def test_names_that_cannot_be_asked_for_are_refused() -> None:
    for name in ("a..b", "a" * 64, ".".join(["abcdefgh"] * 32), ""):
        with pytest.raises(DnsError):
            build_query(name, 1)
    assert build_query("a.b.", 7)[12:17] == b"\1a\1b\0"


# -- hostile answers ------------------------------------------------------------------------------
QUERY = build_query(NAME, 0x1234)
AT = len(QUERY) - 11


@pytest.mark.parametrize(
    "record",
    [
        b"", b"\0", b"\xc0", b"\xc0\x0c", b"\xc0\x0c\0\x21\0\1\0\0\0\0\xff\xff", srv("a", 1)[:-1],
        srv("a", 1, spelled=b""),
        srv("a", 1, spelled=b"\xff\xff"), srv("a", 1, spelled=b"\x40a\0"), srv("a", 1, spelled=b"\x05a"),
        srv("a", 1, spelled=b"\1a\0xx"),
        srv("a", 1, spelled=b"\3a b\0"), srv("a", 1, spelled=b"\3a\0b\0"), srv("a", 1, owner=bytes((0xC0, AT))),
        srv("a", 1, owner=struct.pack(">H", 0xC000 | AT + 1)), srv("a", 1, spelled=struct.pack(">H", 0xC000 | AT + 18)),
        srv("a", 1, spelled=(b"\x3f" + b"a" * 63) * 4 + b"\0"),
    ],
)  # fmt: skip
def test_a_malformed_record_is_an_error(record: bytes) -> None:
    with pytest.raises(DnsError):
        parse_answer(response(QUERY, [record]), QUERY)


def test_pointers_only_lead_backwards_and_end() -> None:
    chain = b"\1a\0" + b"".join(
        struct.pack(">H", 0xC000 | max(3 + 2 * (step - 1), 0) if step else 0xC000) for step in range(40)
    )
    assert read_name(chain, 3) == ("a", 5)
    with pytest.raises(DnsError, match="in a circle"):
        read_name(chain, 3 + 2 * 39)
    for data in (b"\xc0\x00", b"\1a\xc0\x00", b"\xc0\x02\xc0\x00"):
        with pytest.raises(DnsError, match="in a circle"):
            read_name(data, 0)
    assert read_name(b"\1b\0\1a\xc0\x00", 3) == ("a.b", 7)


@given(st.binary(max_size=120))
def test_no_bytes_break_the_parser(noise: bytes) -> None:
    for data in (
        noise,
        QUERY[:2] + noise,
        response(QUERY, [noise]),
        response(QUERY, [srv("a.b", 1), noise], count=65_535),
    ):
        if answers(data, QUERY):
            with suppress(DnsError, Truncated):
                assert all(target.port and target.host for target in parse_answer(data, QUERY))


def test_flipped_bits_break_nothing_either() -> None:
    draw = random.Random(7)
    good = response(QUERY, [srv("node-1.example.org", 16379), srv("x", 2, spelled=b"\1x\xc0\x0c")])
    outcomes = {True: 0, False: 0}
    for _ in range(5_000):
        data = bytearray(good)
        for _ in range(draw.randrange(1, 4)):
            data[draw.randrange(12, len(data))] = draw.randrange(256)
        if answers(bytes(data), QUERY):
            try:
                parse_answer(bytes(data), QUERY)
                outcomes[True] += 1
            except DnsError:
                outcomes[False] += 1
    assert outcomes[True] > 100 and outcomes[False] > 100


def test_no_such_name_is_said_once_and_for_all() -> None:
    asked = []

    def refuse(query: bytes) -> bytes:
        asked.append(query)
        return response(query, [], 0x8183)

    with name_server(refuse) as server, pytest.raises(NoSuchName):
        ask(server)
    assert len(asked) == 1


# -- the system's settings and this node ----------------------------------------------------------
def test_the_name_servers_are_those_of_the_system(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text(
        "# nameserver 9.9.9.9\nnameserver 10.0.0.1\nnameserver fd00::1\nnameserver nonsense\nsearch x\n"
        + "nameserver 10.0.0.3\n" * 5
    )
    assert name_servers(conf) == [Address("10.0.0.1", 53), Address("fd00::1", 53), Address("10.0.0.3", 53)]
    assert name_servers(tmp_path / "none") == [Address("127.0.0.1", 53)]


def test_addresses_of_this_machine_are_known_as_such() -> None:
    assert is_local("127.0.0.1") and is_local("127.0.0.9")
    assert not is_local("192.0.2.1") and not is_local("2001:db8::1") and not is_local("localhost")


def test_a_node_that_was_not_told_finds_its_own_address() -> None:
    assert own_address(["10.1.2.3", "::1"], 7, []) == Address("10.1.2.3", 7)
    assert own_address(["0.0.0.0"], 7, [Address("127.0.0.1", 1)]) == Address("127.0.0.1", 7)
    assert own_address(["::"], 7, [Address("::1", 1)]) == Address("::1", 7)
    assert own_address(["0.0.0.0"], 7, []).port == 7
