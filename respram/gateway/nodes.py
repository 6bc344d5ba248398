"""The nodes behind a gateway: which one is asked now, and a link to it for each user.

The first address that answers is asked until it fails, then the next; a node that is not ready is taken only where no
other answers. Users come from HTTP, so all that is kept for them is bounded: links, their age, and wrong passwords.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence

from respram.gateway.faults import Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.link import NodeLink, connect
from respram.gateway.target import Login, Target

UNREADY = (b"loading", b"joining", b"alone")  # states of a node that refuses to decide, as in commands/cluster.py
ANSWER_S = 5.0  # the longest wait for a node's reply
USERS_MAX = 64  # users' links that are kept; the least recently used one is closed
LINK_S_MAX = 300.0  # age at which a user's link is replaced: a changed password counts from then on at the latest
SPARE_MAX = 64  # links for requests that block one (WAIT, subscriptions), in use or spare
AVOID_S = 1.0  # a node that failed is tried last for this long
SIZE_S = 1.0  # age of the cached number of peers


class Nodes:
    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        self.at = 0  # index of the current target
        self._links: OrderedDict[Login | None, NodeLink] = OrderedDict()
        self._making: dict[Login | None, asyncio.Task[NodeLink]] = {}
        self._spare: dict[Login | None, list[NodeLink]] = {}
        self._spare_count = 0
        self._failed_s = [float("-inf")] * len(self.targets)
        self._peers: int | None = None
        self._peers_s = float("-inf")
        self._counting: asyncio.Task[None] | None = None

    # -- links ------------------------------------------------------------------------------------
    async def link(self, login: Login | None = None) -> NodeLink:
        """The link that requests of this user share. NodesGone, WrongLogin."""
        found = self._links.get(login)
        if found is not None and not found.ended and (login is None or found.loop.time() - found.made_s < LINK_S_MAX):
            return found
        making = self._making.get(login)
        if making is None:  # concurrent callers share one task
            making = self._making[login] = asyncio.get_running_loop().create_task(self._make(login))
            making.add_done_callback(lambda task: self._made(login, task))
        return await asyncio.shield(making)

    def _made(self, login: Login | None, task: "asyncio.Task[NodeLink]") -> None:
        self._making.pop(login, None)
        if task.cancelled() or task.exception() is not None:
            return
        self._let_go(self._links.pop(login, None))
        self._links[login] = task.result()
        while len(self._links) > USERS_MAX:
            self._let_go(self._links.popitem(last=False)[1])

    def _let_go(self, link: NodeLink | None) -> None:
        """What was sent on it is still answered; the watch of the link ends it should the node not."""
        if link is None or link.ended:
            return
        if link.in_flight:
            link.loop.call_later(ANSWER_S, link.close)
        else:
            link.close()

    async def _make(self, login: Login | None) -> NodeLink:
        now_s = asyncio.get_running_loop().time()
        count = len(self.targets)
        order = [(self.at + step) % count for step in range(count)]
        order.sort(key=lambda one: now_s - self._failed_s[one] < AVOID_S)
        last: NodeLink | None = None
        for number in order:
            try:
                link, ready = await self._open(self.targets[number], login)
            except NodesGone:
                self._failed_s[number] = asyncio.get_running_loop().time()
                continue
            if last is not None:
                last.close()
            if ready or count == 1:
                if number != self.at:
                    self.at, self._peers_s = number, float("-inf")
                return link
            last, self.at = link, number
        if last is None:
            raise NodesGone("no node answers", sent=False)
        return last

    async def _open(self, target: Target, login: Login | None) -> tuple[NodeLink, bool]:
        link = await connect(target.host, target.port, target.path, target.tls, ANSWER_S)
        login = login or target.login
        commands: list[tuple[bytes, ...]] = [(b"AUTH", login.user, login.password)] if login else []
        commands += [(b"SELECT", b"%d" % target.db)] if target.db else []
        commands += [(b"CLIENT", b"SETNAME", b"respram-gateway"), (b"RESPRAM", b"STATE")]
        try:
            *replies, state = await link.batch(commands)
        except BaseException:
            link.close()
            raise
        if login and isinstance(replies[0], Refusal):
            link.close()
            raise WrongLogin(replies[0].word)
        return link, state not in UNREADY  # a user without the right to ask, and a Redis, count as ready

    @contextlib.asynccontextmanager
    async def own(self, login: Login | None = None, *, beyond: int = 0) -> AsyncIterator[NodeLink]:
        """A link for one user alone, for what blocks it. Busy where too many are in use; `beyond` are for others than
        those who wait for a quorum.
        """
        spare = self._spare.get(login, [])
        while spare and spare[-1].ended:
            spare.pop()
        if spare:
            link = spare.pop()
        else:
            if self._spare_count >= SPARE_MAX + beyond:
                raise Busy("too many requests wait for a quorum")
            self._spare_count += 1
            try:
                link = await self._make(login)
            except BaseException:
                self._spare_count -= 1
                raise
            link.on_end = self._lost
        try:
            yield link
        finally:
            idle = not link.in_flight and link.heard is None and link.loop.time() - link.made_s < LINK_S_MAX
            if idle and not link.ended and len(self._spare) <= USERS_MAX:
                self._spare.setdefault(login, []).append(link)
            else:
                link.close()
            if not self._spare.get(login, [None]):
                del self._spare[login]

    def _lost(self) -> None:
        self._spare_count -= 1

    async def fresh(self, login: Login | None = None) -> NodeLink:
        """A link that nobody else gets, for a subscription; whoever takes it bounds how many there are."""
        return await self._make(login)

    # -- what is known of the enclave ---------------------------------------------------------------
    async def acknowledgements(self, login: Login | None = None) -> int | None:
        """How many other nodes have to hold a write until most of the enclave does; None where that cannot be known."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._peers_s >= SIZE_S and self._counting is None:
            self._counting = loop.create_task(self._count_peers(login))
        # The first caller waits; later ones use the cached number.
        if self._counting is not None and self._peers is None:
            with contextlib.suppress(NodesGone, Busy, WrongLogin):
                await asyncio.shield(self._counting)
        return None if self._peers is None else (self._peers + 1) // 2

    async def _count_peers(self, login: Login | None) -> None:
        try:
            self._peers = await self._peers_of(login)
            self._peers_s = asyncio.get_running_loop().time()
        except (NodesGone, Busy, WrongLogin):
            self._peers = None
        finally:
            self._counting = None

    async def _peers_of(self, login: Login | None) -> int | None:
        link = await self.link(login)
        reply, settings = await link.batch([(b"RESPRAM", b"PEERS"), (b"INFO", b"respram")])
        if isinstance(reply, Refusal):
            return 0 if reply.word == "ERR" else None  # a node without --join has no peers
        if not isinstance(reply, list):
            return None
        rows = [facts(row) for row in reply]
        known = info_fields(settings).get("enclave")
        return sum(known is None or row.get("enclave") == known for row in rows)

    def close(self) -> None:
        for link in [*self._links.values(), *(one for some in self._spare.values() for one in some)]:
            link.close()
        self._links.clear()
        self._spare.clear()


def facts(row: object) -> dict[str, str]:
    """A line of `name=value`, or a flat array of names and values."""
    if isinstance(row, bytes):
        return dict(word.split("=", 1) for word in spell(row).split(" ") if "=" in word)
    if not isinstance(row, list):
        return {}
    words = [spell(one) for one in row]
    return dict(zip(words[::2], words[1::2], strict=False))


def spell(one: object) -> str:
    return one.decode("utf-8", "replace") if isinstance(one, bytes) else "" if one is None else str(one)


def info_fields(reply: object) -> dict[str, str]:
    """The fields of INFO; none if the user lacks the right to it."""
    if not isinstance(reply, bytes):
        return {}
    lines = reply.decode("utf-8", "replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}
