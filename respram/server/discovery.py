"""Resolves `--join`: HOST:PORT by A and AAAA records, `srv:NAME` by SRV records, anew each time.

The system's resolver knows no SRV, so `srv:` asks the name servers of resolv.conf itself: one query over UDP, over TCP
where the answer was cut short. Whatever comes back is hostile until checked: it must answer this very question, every
length is bounded by the bytes that came, and names can only point backwards. What cannot be read is DnsError, and DNS
that does not answer is no reason to stop: the other entries stand, and the next round asks again.

Only the finding of addresses lives here; when to ask and whom to dial is decided elsewhere.
"""

import asyncio
import contextlib
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from struct import Struct, error
from typing import NamedTuple

from respram.config.options import Address, Service

DNS_PORT = 53
DNS_PATIENCE_S = 2.0  # for one server's reply
DNS_ATTEMPTS = 2  # rounds over all servers
DNS_SERVERS_MAX = 3  # as in the system's resolver
DNS_UDP_BYTES_MAX = 1232  # announced by EDNS: passes every network without fragmentation
DNS_TCP_BYTES_MAX = 1 << 16  # in DNS over TCP the length has 16 bits
RECORDS_MAX = 512  # records of one answer that are read
TARGETS_MAX = 128  # SRV targets of one name that are resolved
ADDRESSES_MAX = 256  # of all entries together
NAME_BYTES_MAX = 255  # of a host name in DNS
POINTERS_MAX = 32  # compression pointers in one name
RESOLVE_S = 10.0  # for all entries together
RESOLV_CONF = Path("/etc/resolv.conf")

TYPE_SRV, TYPE_OPT, CLASS_IN = 33, 41, 1
_HEADER, _QUESTION, _RECORD, _SRV = Struct(">HHHHHH"), Struct(">HH"), Struct(">HHIH"), Struct(">HHH")
_OPT = b"\0" + _RECORD.pack(TYPE_OPT, DNS_UDP_BYTES_MAX, 0, 0)
_RESPONSE, _TRUNCATED, _RCODE = 0x8000, 0x0200, 0x000F


class DnsError(Exception):
    """No usable answer; the message names what was wrong with it, never what it held."""


class Target(NamedTuple):
    priority: int
    weight: int
    host: str
    port: int


class Found(NamedTuple):
    addresses: tuple[Address, ...]  # numeric, without duplicates, in the order of the entries
    failures: tuple[str, ...]  # one phrase for each entry without a result
    unresolved: tuple[Address | Service, ...] = ()  # the entries without a result


class Truncated(Exception):
    """The answer did not fit into a datagram."""


async def find(entries: Sequence[Address | Service], servers: Sequence[Address] | None = None) -> Found:
    """Resolves all entries to all their present addresses."""
    loop = asyncio.get_running_loop()
    found: dict[Address, None] = {}
    failures: list[str] = []
    unresolved: list[Address | Service] = []
    tasks = [loop.create_task(_entry(entry, servers)) for entry in entries]
    _, late = await asyncio.wait(tasks, timeout=RESOLVE_S) if tasks else (set(), set())
    for entry, task in zip(entries, tasks, strict=True):
        if task in late:
            task.cancel()
            failures.append(f"{entry} took more than {RESOLVE_S:g} s")
            unresolved.append(entry)
            continue
        try:
            found.update(dict.fromkeys(task.result()))
        except (OSError, DnsError, UnicodeError) as failure:  # the last one: a name that IDNA cannot encode
            failures.append(f"{entry}: {_reason(failure)}")
            unresolved.append(entry)
    await asyncio.gather(*late, return_exceptions=True)
    return Found(tuple(found)[:ADDRESSES_MAX], tuple(failures), tuple(unresolved))


async def _entry(entry: Address | Service, servers: Sequence[Address] | None) -> list[Address]:
    if isinstance(entry, Address):
        return await _numeric(entry.host, entry.port)
    found: list[Address] = []
    targets = await query_srv(entry.name, name_servers() if servers is None else servers)
    for target in sorted(targets)[:TARGETS_MAX]:
        with contextlib.suppress(OSError, UnicodeError):  # one of many names may fail; the others count
            found += await _numeric(target.host, target.port)
    if not found:
        raise DnsError("none of its targets has an address")
    return found


async def _numeric(host: str, port: int) -> list[Address]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Address(str(info[4][0]), port) for info in infos))


def _reason(failure: Exception) -> str:
    return str(getattr(failure, "strerror", None) or str(failure) or type(failure).__name__)


# -- SRV ------------------------------------------------------------------------------------------
def name_servers(conf: Path = RESOLV_CONF) -> list[Address]:
    """The system's name servers; the local machine if none is configured."""
    try:
        lines = conf.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    found = []
    for words in (line.split() for line in lines):
        if len(words) >= 2 and words[0] == "nameserver":
            with contextlib.suppress(ValueError):
                found.append(Address(str(ipaddress.ip_address(words[1])), DNS_PORT))
    return found[:DNS_SERVERS_MAX] or [Address("127.0.0.1", DNS_PORT)]


async def query_srv(name: str, servers: Sequence[Address]) -> list[Target]:
    """The targets of a service. Raises DnsError when no server gives a usable answer."""
    last = DnsError("no name server is known")
    for _ in range(DNS_ATTEMPTS):
        for server in servers:
            try:
                return await _ask(name, server)
            except NoSuchName:
                raise
            except (OSError, TimeoutError) as failure:
                last = DnsError(f"the name server does not answer: {_reason(failure)}")
            except DnsError as failure:
                last = failure
    raise last


async def _ask(name: str, server: Address) -> list[Target]:
    number = secrets.randbits(16)
    query = build_query(name, number)
    async with asyncio.timeout(DNS_PATIENCE_S):
        try:
            return await _ask_by_datagram(query, number, server)
        except Truncated:
            pass
    async with asyncio.timeout(DNS_PATIENCE_S):
        return await _ask_by_stream(query, number, server)


class _Datagrams(asyncio.DatagramProtocol):
    """Hands over the first answer to the question; what is none of it (a late or a forged one) is passed over."""

    def __init__(self, query: bytes, number: int) -> None:
        self.query, self.number = query, number
        self.answer: asyncio.Future[list[Target]] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.answer.done() or not answers(data, self.query):
            return
        try:
            self.answer.set_result(parse_answer(data, self.query))
        except (DnsError, Truncated) as failure:
            self.answer.set_exception(failure)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _ask_by_datagram(query: bytes, number: int, server: Address) -> list[Target]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Datagrams(query, number), remote_addr=(server.host, server.port)
    )
    try:
        transport.sendto(query)
        return await protocol.answer
    finally:
        transport.close()


async def _ask_by_stream(query: bytes, number: int, server: Address) -> list[Target]:
    reader, writer = await asyncio.open_connection(server.host, server.port, limit=DNS_TCP_BYTES_MAX)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        length = int.from_bytes(await reader.readexactly(2), "big")
        data = await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise DnsError("the answer ends too early") from None
    finally:
        writer.close()
    if not answers(data, query):
        raise DnsError("the answer is to another question")
    try:
        return parse_answer(data, query)
    except Truncated:
        raise DnsError("the answer is cut short, over TCP too") from None


class NoSuchName(DnsError):
    """The server knows for sure that there is no such name."""


def build_query(name: str, number: int) -> bytes:
    labels = name.rstrip(".").encode("ascii", "replace").split(b".")
    if not all(0 < len(label) < 64 for label in labels):
        raise DnsError("a label of the name is empty or longer than 63 characters")
    spelled = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(spelled) > NAME_BYTES_MAX:
        raise DnsError(f"the name is longer than {NAME_BYTES_MAX} bytes")
    return _HEADER.pack(number, 0x0100, 1, 0, 0, 1) + spelled + _QUESTION.pack(TYPE_SRV, CLASS_IN) + _OPT


def answers(data: bytes, query: bytes) -> bool:
    """Whether it is a response, of the same number, that repeats the question (in any case)."""
    question = query[_HEADER.size : -len(_OPT)]
    if len(data) < _HEADER.size + len(question):
        return False
    number, flags, questions, _, _, _ = _HEADER.unpack_from(data)
    same = data[_HEADER.size : _HEADER.size + len(question)].lower() == question.lower()
    return bool(number == _HEADER.unpack_from(query)[0] and flags & _RESPONSE and questions == 1 and same)


def parse_answer(data: bytes, query: bytes) -> list[Target]:
    """The SRV records of an answer, which `answers` has let in. Raises DnsError, NoSuchName or Truncated."""
    _, flags, _, count, _, _ = _HEADER.unpack_from(data)
    if flags & _TRUNCATED:
        raise Truncated
    rcode = flags & _RCODE
    if rcode == 3:
        raise NoSuchName("there is no such name")
    if rcode:
        raise DnsError(f"the name server refuses with code {rcode}")
    at = len(query) - len(_OPT)
    found: list[Target] = []
    try:
        for _ in range(min(count, RECORDS_MAX)):
            _, at = read_name(data, at)
            kind, class_, _, length = _RECORD.unpack_from(data, at)
            at += _RECORD.size
            end = at + length
            if end > len(data):
                raise DnsError("a record runs past the end of the answer")
            if kind == TYPE_SRV and class_ == CLASS_IN:
                target = _read_target(data, at, end)
                if target is not None:
                    found.append(target)
            at = end
    except error:
        raise DnsError("the answer ends within a record") from None
    if not found:
        raise DnsError("the name has no SRV records")
    return found


def _read_target(data: bytes, at: int, end: int) -> Target | None:
    """The target of a record; None for the root name or port 0, which mean that the service does not exist."""
    priority, weight, port = _SRV.unpack_from(data, at)
    name, after = read_name(data, at + _SRV.size)
    if after != end:
        raise DnsError("a record is not as long as it says")
    return Target(priority, weight, name, port) if name and port else None


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """A name and where it ends. A pointer must point before itself and before every one that led to it: no way
    round in circles. Labels are letters, digits, `-` and `_`: nothing else is a host."""
    labels: list[str] = []
    size, end, lowest, pointers = 0, -1, at, 0
    while True:
        if at >= len(data):
            raise DnsError("a name runs past the end of the answer")
        length = data[at]
        if length >= 0xC0:
            if at + 1 >= len(data):
                raise DnsError("a name runs past the end of the answer")
            end = at + 2 if end < 0 else end
            at = (length & 0x3F) << 8 | data[at + 1]
            pointers += 1
            if at >= lowest or pointers > POINTERS_MAX:
                raise DnsError("a compressed name points forwards or in a circle")
            lowest = at
            continue
        if length > 63:
            raise DnsError("a label of an unknown kind")
        at += 1
        if not length:
            return ".".join(labels), at if end < 0 else end
        label = data[at : at + length]
        size += length + 1
        at += length
        if at > len(data) or size > NAME_BYTES_MAX:
            raise DnsError("a name is too long or runs past the end of the answer")
        if not label.replace(b"-", b"").replace(b"_", b"").isalnum():
            raise DnsError("a name has characters that no host has")
        labels.append(label.decode("ascii"))


# -- this node ------------------------------------------------------------------------------------
def is_local(host: str) -> bool:
    """Whether it is an address of this machine. Nothing is sent for it."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (ValueError, OSError):
        return False
    return True


def own_address(bind: Sequence[str], port: int, others: Sequence[Address]) -> Address:
    """The address of a node that was given none, for its peers: the one at which it listens. If it listens at all of
    them, it is the one from which the node would reach the first of the others, or that of its host name. Nothing is
    sent for it."""
    for host in bind:
        with contextlib.suppress(ValueError):
            if not ipaddress.ip_address(host).is_unspecified:
                return Address(host, port)
    for other in others:
        with contextlib.suppress(OSError):
            family = socket.AF_INET6 if ":" in other.host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((other.host, other.port))
                return Address(probe.getsockname()[0], port)
    with contextlib.suppress(OSError):
        infos = socket.getaddrinfo(socket.gethostname(), port, type=socket.SOCK_STREAM)
        return Address(str(infos[0][4][0]), port)
    return Address("127.0.0.1", port)
