"""Stores, fetches and lists values on a node, for HTTP and MCP, by commands over a link and by the node's clock.

A read asks for the remaining life before and behind the value. If the two answers differ too much, the record was
replaced meanwhile, and the read is done again as a transaction. (A transaction from the start would cost a fifth of all
requests per second.) OBJECT IDLETIME answers the number of seconds since the key was written.

**Long values take turns.** Replies on a shared link come in order, so 60 readers of 16 MB each kept a GET of five bytes
waiting for 10 s. The shared link therefore carries values of less than LONG_BYTES alone, and the beginning of a longer
one shows that it is longer. Those are read and written on links of their own, LONG_AT_ONCE at a time.
"""

import asyncio
import contextlib
import hashlib
import heapq
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from respram.gateway.faults import Busy, NodesGone, Refusal
from respram.gateway.link import NodeLink, Reply
from respram.gateway.nodes import Nodes
from respram.gateway.target import Login

SCAN_COUNT = 10_000  # keys that one SCAN visits
PASS_KEYS_MAX = 100_000  # keys of a listing in memory at once; the following ones take another scan
PASS_BYTES_MAX = 16 << 20  # of their names, likewise
SAME_MS = 50  # two TTLs of one record, requested together, may differ by this
LONG_BYTES = 64 << 10  # larger values do not use the shared link
LONG_AT_ONCE = 4  # such values transferred at the same time, each on a link of its own
LONG_WAITING_MAX = 256  # requests that wait for such a link or use one
HASHED_BYTES = 256 << 10  # tags of larger values are computed in another thread: 16 MB take 20 ms
BEGINNING = (b"0", b"%d" % (LONG_BYTES - 1))
READ = (
    b"*2\r\n$4\r\nPTTL\r\n$%%d\r\n%%b\r\n*4\r\n$8\r\nGETRANGE\r\n$%%d\r\n%%b\r\n$1\r\n0\r\n$%d\r\n%d\r\n"
    b"*3\r\n$6\r\nOBJECT\r\n$8\r\nIDLETIME\r\n$%%d\r\n%%b\r\n*2\r\n$4\r\nPTTL\r\n$%%d\r\n%%b\r\n"
) % (len(BEGINNING[1]), LONG_BYTES - 1)
NO_KEY = -2  # PTTL's reply for a missing key
TRIES = 3  # attempts of a conditional write that loses races


@dataclass(frozen=True, slots=True)
class Record:
    value: bytes  # empty if only the metadata was requested
    length: int
    remaining_ms: int
    age_s: int

    @property
    def remaining_s(self) -> int:
        """Whole seconds that surely remain."""
        return self.remaining_ms // 1000

    @property
    def original_s(self) -> int:
        return self.age_s + -(-self.remaining_ms // 1000)


class Stored(NamedTuple):
    written: bool  # False: a condition did not hold
    remaining_ms: int
    confirmed: bool  # by the requested number of nodes
    replaced: bool  # a record existed before


class Condition(NamedTuple):
    """The conditions on the present record. Tags are made by `tag`; None: no such condition."""

    match: frozenset[str] | None = None  # If-Match; empty: any record
    none_match: frozenset[str] | None = None  # If-None-Match; empty: no record may exist


def tag(value: bytes) -> str:
    return hashlib.blake2b(value, digest_size=16).hexdigest()


async def tag_of(value: bytes) -> str:
    """Like `tag`, in a thread of its own if it takes long."""
    return tag(value) if len(value) < HASHED_BYTES else await asyncio.to_thread(tag, value)


def good(reply: Reply) -> Reply:
    if isinstance(reply, Refusal):
        raise reply
    return reply


def _number(reply: Reply) -> int:
    return reply if isinstance(reply, int) else -2


async def _whole(link: NodeLink, commands: list[tuple[bytes, ...]]) -> list[Reply]:
    """Runs commands as one transaction."""
    *queued, done = await link.batch([(b"MULTI",), *commands, (b"EXEC",)])
    for one in queued:
        good(one)
    good(done)
    assert isinstance(done, list)
    return [good(one) for one in done]


def _fits(before: Reply, behind: Reply) -> bool:
    """Whether two lives, asked for one after the other, are of one deadline."""
    return isinstance(before, int) and isinstance(behind, int) and 0 <= before - behind < SAME_MS


class Store:
    def __init__(self, nodes: Nodes, quorum: bool, write_timeout_s: float) -> None:
        self.nodes = nodes
        self.quorum = quorum  # whether writes wait for a majority of nodes by default
        self.write_timeout_s = write_timeout_s
        self._long = asyncio.Semaphore(LONG_AT_ONCE)
        self._long_waiting = 0  # requests that wait for it or hold it

    async def fetch(self, login: Login | None, key: bytes) -> Record | None:
        size = len(key)
        before, value, age, remaining = await self._once(login, READ % (size, key, size, key, size, key, size, key), 4)
        if before == remaining == NO_KEY:
            return None
        if isinstance(value, bytes) and len(value) < LONG_BYTES and not _fits(before, remaining):
            remaining, value, age = await self._read(
                login, [(b"PTTL", key), (b"GETRANGE", key, *BEGINNING), (b"OBJECT", b"IDLETIME", key)]
            )
            if remaining == NO_KEY:
                return None
        if not isinstance(value, bytes) or len(value) >= LONG_BYTES:  # also for a user who may only GET
            async with self._turn(login) as link:
                remaining, value, age = await _whole(
                    link, [(b"PTTL", key), (b"GET", key), (b"OBJECT", b"IDLETIME", key)]
                )
        if not isinstance(value, bytes):
            return None
        return Record(value, len(value), max(_number(remaining), 0), max(_number(age), 0))

    @contextlib.asynccontextmanager
    async def _turn(self, login: Login | None) -> AsyncIterator[NodeLink]:
        """A link for one long value, when it is its turn. Busy where too many wait."""
        if self._long_waiting >= LONG_WAITING_MAX:
            raise Busy("too many large values are asked for")
        self._long_waiting += 1
        try:
            async with self._long, self.nodes.own(login, beyond=LONG_AT_ONCE) as link:
                yield link
        finally:
            self._long_waiting -= 1

    async def facts(self, login: Login | None, key: bytes) -> Record | None:
        """The facts of a record, without its value."""
        remaining, length, age = await self._read(
            login, [(b"PTTL", key), (b"STRLEN", key), (b"OBJECT", b"IDLETIME", key)]
        )
        if _number(remaining) < 0:
            return None
        return Record(b"", _number(length), _number(remaining), max(_number(age), 0))

    async def _once(self, login: Login | None, data: bytes, count: int) -> list[Reply]:
        """Sends commands in one batch, and once more to another node if the first one ended meanwhile."""
        try:
            return await (await self.nodes.link(login)).packed(data, count)
        except NodesGone:
            return await (await self.nodes.link(login)).packed(data, count)

    async def _read(self, login: Login | None, commands: list[tuple[bytes, ...]]) -> list[Reply]:
        """Reads in one transaction, and once more on another node if the first one ended meanwhile."""
        try:
            return await _whole(await self.nodes.link(login), commands)
        except NodesGone:
            return await _whole(await self.nodes.link(login), commands)

    async def put(
        self,
        login: Login | None,
        key: bytes,
        value: bytes,
        ttl_s: int | None,
        condition: Condition | None = None,
        quorum: bool | None = None,
    ) -> Stored:
        life = (b"EX", b"%d" % ttl_s) if ttl_s is not None else ()
        wanted = self.quorum if quorum is None else quorum
        others = await self.nodes.acknowledgements(login)
        if not wanted or not others:
            if len(value) < LONG_BYTES and not (condition and (condition.match or condition.none_match)):
                stored = await self._put_on(await self.nodes.link(login), key, value, life, condition)
            else:  # a conditional write may have to read a long value
                async with self._turn(login) as link:
                    stored = await self._put_on(link, key, value, life, condition)
            return stored._replace(confirmed=others == 0)  # a single node is the whole enclave
        async with self.nodes.own(login) as link:
            stored = await self._put_on(link, key, value, life, condition)
            if not stored.written:
                return stored
            timeout_ms = int(self.write_timeout_s * 1000)
            (count,) = await link.batch([(b"WAIT", b"%d" % others, b"%d" % timeout_ms)], self.write_timeout_s)
            return stored._replace(confirmed=isinstance(count, int) and count >= others)

    async def _put_on(
        self, link: NodeLink, key: bytes, value: bytes, life: tuple[bytes, ...], condition: Condition | None
    ) -> Stored:
        if condition is None:
            done, remaining = await link.batch([(b"SET", key, value, *life), (b"PTTL", key)])
            good(done)
            return Stored(True, _number(remaining), False, False)
        for _ in range(TRIES):
            extra, replaced = await self._condition(link, key, condition)
            if extra is None:
                break
            done, remaining = await link.batch([(b"SET", key, value, *extra, *life), (b"PTTL", key)])
            if good(done) is not None:
                return Stored(True, _number(remaining), False, replaced)
        return Stored(False, 0, False, False)

    async def _condition(
        self, link: NodeLink, key: bytes, condition: Condition
    ) -> tuple[tuple[bytes, ...] | None, bool]:
        """SET's words for it, or None where it does not hold now; and whether there is a record."""
        match, none_match = condition
        if match is None and none_match == frozenset():
            return (b"NX",), False
        if match == frozenset() and none_match is None:
            return (b"XX",), True
        value = await link.call(b"GET", key)
        if not isinstance(value, bytes):
            return (None, False) if match is not None else ((b"NX",), False)
        own = await tag_of(value)
        holds = (not match or own in match) and (none_match is None or none_match and own not in none_match)
        return ((b"IFEQ", value) if holds else None), True

    # -- listing ----------------------------------------------------------------------------------
    async def keys(self, login: Login | None, prefix: bytes, after: bytes, limit: int) -> AsyncIterator[list[bytes]]:
        """Keys behind `after` in the order of their bytes, in chunks; 0: no limit. Each chunk is a walk over all keys.
        """
        left = limit or -1
        while left:
            most = min(left, PASS_KEYS_MAX) if left > 0 else PASS_KEYS_MAX
            chunk, more = await self._walk(login, prefix, after, most)
            if chunk:
                yield chunk
                after = chunk[-1]
            if not more:
                return
            left -= len(chunk) if left > 0 else 0

    async def _walk(self, login: Login | None, prefix: bytes, after: bytes, most: int) -> tuple[list[bytes], bool]:
        """The first `most` keys behind `after`, fewer where their names are long; and whether more may follow."""
        names: set[bytes] = set()
        size, ceiling, more = 0, None, False
        async for found in self.scan(login, prefix):
            for key in found:
                if key > after and (ceiling is None or key < ceiling) and key not in names:
                    names.add(key)
                    size += len(key)
            if len(names) > 2 * most or size > 2 * PASS_BYTES_MAX:
                names, size, ceiling, more = *_lowest(names, most), True
        lowest, _, ceiling = _lowest(names, most)
        return sorted(lowest), more or ceiling is not None

    async def scan(self, login: Login | None, prefix: bytes) -> AsyncIterator[list[bytes]]:
        """All keys that the user may read, some twice. Names are shown to nobody who may not read them."""
        link = await self.nodes.link(login)
        (user,) = await link.batch([(b"ACL", b"GETUSER", await self._whoami(link))])
        free = _sees_all(user)
        cursor = b"0"
        while True:
            reply = await link.call(b"SCAN", cursor, b"MATCH", pattern_of(prefix), b"COUNT", b"%d" % SCAN_COUNT)
            assert isinstance(reply, list)
            assert isinstance(reply[0], bytes)
            assert isinstance(reply[1], list)
            cursor, found = reply[0], [key for key in reply[1] if isinstance(key, bytes)]
            if found and not free:
                lives = await link.batch([(b"PTTL", key) for key in found])
                found = [key for key, life in zip(found, lives, strict=True) if isinstance(life, int) and life >= 0]
            yield found
            if cursor == b"0":
                return

    async def _whoami(self, link: NodeLink) -> bytes:
        (name,) = await link.batch([(b"ACL", b"WHOAMI")])
        return name if isinstance(name, bytes) else b"default"

    async def lives(self, login: Login | None, keys: list[bytes]) -> list[int]:
        """Milliseconds that each key has left; negative where it is gone, or not for this user."""
        link = await self.nodes.link(login)
        return [_number(one) for one in await link.batch([(b"PTTL", key) for key in keys])] if keys else []


def _lowest(keys: set[bytes], most: int) -> tuple[set[bytes], int, bytes | None]:
    """The lowest keys that fit into both bounds, their bytes, and the first name that is out; None where all fit."""
    ordered = heapq.nsmallest(most + 1, keys)
    size, count = 0, 0
    for key in ordered[:most]:
        if count and size + len(key) > PASS_BYTES_MAX:
            break
        size, count = size + len(key), count + 1
    return set(ordered[:count]), size, ordered[count] if count < len(ordered) else None


def _sees_all(user: Reply) -> bool:
    """Whether ACL GETUSER says that every key may be read, and nothing besides takes that back."""
    if not isinstance(user, list):
        return False
    fields = dict(zip(user[::2], user[1::2], strict=False)) if all(isinstance(one, bytes) for one in user[::2]) else {}
    return fields.get(b"keys") == b"~*"


def pattern_of(prefix: bytes) -> bytes:
    """A glob pattern for what begins so, whatever bytes it holds."""
    return b"".join(b"\\" + bytes((one,)) if one in b"*?[]\\^-" else bytes((one,)) for one in prefix) + b"*"
