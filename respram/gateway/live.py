"""What the live page and `respram top` are told once a second, as one look at the node that all who watch with the same
rights share.

Everything comes by commands that any client may send, so a user sees what its ACL shows; without the right to INFO the
numbers are missing and the rest is there. The next minute of forgetting is exact while the walk over the keys takes a
second's share, and an estimate from so many keys beyond. No value is read.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from respram.gateway.faults import Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.names import quoted, text_of
from respram.gateway.nodes import Nodes, facts, info_fields, spell
from respram.gateway.store import Store
from respram.gateway.target import Login, Target

EVERY_S = 1.0
MINUTE_S = 60
LOOKED_MAX = 2_000  # keys whose remaining TTL is requested within one second
VIEWERS_MAX = 200  # open live pages of all users together
SHOWN_KEYS_MAX = 100  # keys of a listing that shows TTLs

Overview = dict[str, Any]
NUMBERS = {
    "keys": "records", "stubs": "stubs", "writes": "writes", "hits": "keyspace_hits", "misses": "keyspace_misses",
    "clients": "connected_clients",
    "used_memory": "used_memory", "forgotten_values": "forgotten_values", "forgotten_bytes": "forgotten_bytes",
    "late_at_ms": "forgotten_late_last_at_ms", "late_by_ms": "forgotten_late_last_by_ms",
    "refused_deletes": "refused_deletes",
    "bootstrap_percent": "bootstrap_percent",
    "refused_others": "refused_others", "denied_auth": "acl_access_denied_auth",
}  # fmt: skip
RIGHTS = ("acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel")


class Live:
    """The live views of all users, each updated while it has watchers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0
        self._looks: dict[Login | None, Look] = {}

    @contextlib.asynccontextmanager
    async def view(self, login: Login | None) -> AsyncIterator["Look"]:
        if self.count >= VIEWERS_MAX:
            raise Busy("too many live pages are open")
        look = self._looks.get(login)
        if look is None:
            look = self._looks[login] = Look(self.store, login)
        self.count += 1
        look.viewers += 1
        try:
            await look.first()
            yield look
        finally:
            self.count -= 1
            look.viewers -= 1
            if not look.viewers:
                look.close()
                if self._looks.get(login) is look:
                    del self._looks[login]


class Look:
    def __init__(self, store: Store, login: Login | None) -> None:
        self.store = store
        self.login = login
        self.viewers = 0
        self.last: Overview | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._cursor = b"0"

    async def first(self) -> None:
        """Refusals and dead nodes are told to whoever comes first; later ones end in a state."""
        if self.last is None:
            self.last = await self.once()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def next(self) -> Overview:
        await self._changed.wait()
        assert self.last is not None
        return self.last

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                self.last = await self.once()
            except (NodesGone, Busy, WrongLogin, Refusal):
                self.last = {**(self.last or {}), "state": "gone"}
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    async def once(self) -> Overview:
        link = await self.store.nodes.link(self.login)
        state, info, rows, size = await link.batch([(b"RESPRAM", b"STATE"), (b"INFO", b"everything"),
                                                    (b"RESPRAM", b"TOPOLOGY"), (b"DBSIZE",)])
        fields = info_fields(info)
        overview: Overview = {name: _whole(fields.get(field)) for name, field in NUMBERS.items()}
        if not fields and isinstance(size, int):
            overview["keys"] = size
        overview |= {
            "at_ms": time.time_ns() // 1_000_000, "state": "ready" if isinstance(state, Refusal) else spell(state),
            "reduced": not fields,
            "denied_rights": sum(_whole(fields.get(name)) for name in RIGHTS),
            "version": fields.get("respram_version", ""),
            "engine": fields.get("engine", ""), "nodes": nodes_of(rows, fields),
            "minute": await self._minute(overview["keys"]),
        }  # fmt: skip
        return overview

    async def _minute(self, keys: int) -> Overview:
        """Of each second of the next minute how many keys end in it. The walk goes on where the last look stopped,
        while keys are many.
        """
        link = await self.store.nodes.link(self.login)
        found: list[bytes] = []
        if keys <= LOOKED_MAX:
            self._cursor = b"0"
        try:
            while len(found) < LOOKED_MAX:
                reply = await link.call(b"SCAN", self._cursor, b"COUNT", b"%d" % (LOOKED_MAX - len(found)))
                assert isinstance(reply, list)
                cursor, some = reply
                assert isinstance(cursor, bytes)
                assert isinstance(some, list)
                self._cursor = cursor
                found += [key for key in some if isinstance(key, bytes)]
                if cursor == b"0":
                    break
        except Refusal:
            found = []
        lives = await self.store.lives(self.login, found)
        seconds = [0.0] * MINUTE_S
        for life in lives:
            if 0 <= life < MINUTE_S * 1000:
                seconds[life // 1000] += 1
        looked = sum(life >= 0 for life in lives)
        scale = keys / looked if looked and keys > LOOKED_MAX else 1.0
        return {"seconds": [round(count * scale) for count in seconds], "looked": looked, "keys": max(keys, looked)}


def look_once(targets: Sequence[Target]) -> Overview:
    """One look, for callers without an event loop."""

    async def main() -> Overview:
        nodes = Nodes(targets)
        try:
            return await Look(Store(nodes, False, 1.0), None).once()
        finally:
            nodes.close()

    return asyncio.run(main())


def nodes_of(rows: object, fields: dict[str, str]) -> list[Overview]:
    """The network as TOPOLOGY has it, with the lag that the asked node has towards each peer."""
    lags: dict[str, dict[str, str]] = {}
    for name, value in fields.items():
        if name.startswith("peer") and name[4:].isdigit():
            peer = dict(part.partition("=")[::2] for part in value.split(","))
            lags[peer.get("node", "")] = peer
    nodes = []
    for row in rows if isinstance(rows, list) else ():
        one = facts(row)
        peer = lags.get(one.get("node", ""), {})
        own = one.get("node") == fields.get("node_number")
        status = one.get("status", "")  # a leaving member is not ready either
        state = peer.get("state") or ("joining" if one.get("ready") == "0" and status in ("", "alive") else status)
        nodes.append({
            "id": one.get("node", ""), "address": one.get("address", ""), "enclave": one.get("enclave", ""),
            "role": one.get("role", ""),
            "parent": one.get("parent", ""), "state": "" if own else state, "lag_ms": _whole(peer.get("lag_ms")),
            "own": own,
        })  # fmt: skip
    return nodes


async def keys_with_lives(store: Store, login: Login | None, prefix: bytes) -> Overview:
    """The first keys with a prefix, each with its remaining life and size; no value."""
    found: list[bytes] = []
    async for page in store.keys(login, prefix, b"", SHOWN_KEYS_MAX + 1):
        found += page
    shown = found[:SHOWN_KEYS_MAX]
    link = await store.nodes.link(login)
    replies = (
        await link.batch([words for key in shown for words in ((b"PTTL", key), (b"STRLEN", key))]) if shown else []
    )
    rows = []
    for key, life, size in zip(shown, replies[::2], replies[1::2], strict=True):
        if isinstance(life, int) and life >= 0:
            text = text_of(key)
            name = quoted(key) if text is None else text
            rows.append(
                {"name": name, "path": quoted(key), "ttl_ms": life, "bytes": size if isinstance(size, int) else 0}
            )
    return {"keys": rows, "more": len(found) > SHOWN_KEYS_MAX}


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0


