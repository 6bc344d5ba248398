"""The gateway as an ASGI application: checks who asks, then hands over to the handler of the path.

Stateless: what it keeps are links to nodes. `/v1/data` is answered without a framework in between, because most
requests go there; the rest are a table of paths. It can be mounted below any path of another application, FastAPI's for
one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from respram.gateway import data, listing
from respram.gateway.answers import (
    CHALLENGE,
    NO_STORE,
    Message,
    Problem,
    Receive,
    Scope,
    Send,
    problem_of,
    respond,
    send_json,
    send_problem,
)
from respram.gateway.faults import BadRequest, Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.guard import Denied, Guard, Rules
from respram.gateway.later import Face, Later
from respram.gateway.live import Live, keys_with_lives
from respram.gateway.metrics import Traffic, metrics
from respram.gateway.nodes import Nodes
from respram.gateway.openapi import document
from respram.gateway.overview import health, status, topology
from respram.gateway.page import load as load_page
from respram.gateway.page import serve as serve_page
from respram.gateway.requests import Budget, headers_of, key_of, path_of, prefix_of, query_of
from respram.gateway.store import Store
from respram.gateway.target import Login, Target
from respram.gateway.watch import Hub, Silent

FAULTS = (Problem, BadRequest, WrongLogin, Busy, NodesGone, Silent, Refusal)
DATA = b"/v1/data/"
READING = ("GET", "HEAD")
CROSS = (b"GET, HEAD, PUT, POST, OPTIONS",
         b"Authorization, Content-Type, X-TTL, If-Match, If-None-Match, Mcp-Session-Id, Mcp-Protocol-Version")

Handler = Callable[["Request"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Bounds:
    body_bytes_max: int = 16 << 20  # of one value
    bodies_bytes_max: int = 256 << 20  # of all values that are being transferred through the gateway


@dataclass(slots=True)
class Request:
    scope: Scope
    receive: Receive
    send: Send
    headers: dict[bytes, bytes]
    login: Login | None
    head: bool
    method: str


class Gateway:
    def __init__(
        self, targets: Sequence[Target], rules: Rules | None = None, bounds: Bounds | None = None, *,
        quorum: bool = True,
        write_timeout_s: float = 5.0, mcp: bool = True, page: bool = True,
    ) -> None:  # fmt: skip
        self.nodes = Nodes(targets)
        self.store = Store(self.nodes, quorum, write_timeout_s)
        self.hub = Hub(self.nodes)
        self.bounds = bounds or Bounds()
        self.budget = Budget(self.bounds.bodies_bytes_max)
        self.guard = Guard(rules or Rules())
        self._routes: dict[bytes, tuple[str, Handler]] = {
            b"/v1/data": ("POST", self._create),
            b"/v1/keys": ("GET, HEAD", self._keys),
            b"/v1/watch": ("GET", self._watch),
            b"/v1/health": ("GET, HEAD", self._health),
            b"/v1/status": ("GET, HEAD", self._status),
            b"/v1/topology": ("GET, HEAD", self._topology),
            b"/v1/metrics": ("GET, HEAD", self._metrics),
            b"/openapi.json": ("GET, HEAD", self._openapi),
        }
        self._files = load_page() if page else {}
        self.live = Live(self.store) if page else None
        if page:
            self._routes |= {b"/v1/live": ("GET", self._live), b"/v1/live/keys": ("GET, HEAD", self._live_keys)}
        self._mounted: dict[bytes, Face] = {b"/mcp": Later(self._agents, "mcp")} if mcp else {}
        self.traffic = Traffic({**self._routes, **self._files, **self._mounted})

    def _agents(self) -> Face:
        from respram.gateway.agents import Agents

        return Agents(self.store, self.hub, self.guard, self.budget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def close(self) -> None:
        for one in self._mounted.values():
            await one.close()
        self.hub.close()
        self.nodes.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    # -- one request ------------------------------------------------------------------------------
    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        method: str = scope["method"]
        path = path_of(scope)
        head = method == "HEAD"
        clock = asyncio.get_running_loop().time
        began_s = clock()
        denied = self.guard.check(headers, is_page=path == b"/" and method in READING)
        origin = headers.get(b"origin")
        if denied is None and origin is not None:
            send = self._sharing(send, origin, headers[b"host"])
        started = False

        async def counted(message: Message) -> None:
            """Counts the answer when it begins."""
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self.traffic.count(path, method, message["status"], clock() - began_s)
            await send(message)

        login: Login | Denied | None = None
        if denied is None and method != "OPTIONS" and path != b"/v1/health":
            login = self.guard.login(headers)
            if isinstance(login, Denied):
                denied, login = login, None
        if denied is not None:
            await send_problem(
                counted, Problem(denied.status, denied.reason, CHALLENGE if denied.challenge else ()), head=head
            )
            return
        assert not isinstance(login, Denied)
        address = str((scope.get("client") or ("",))[0])

        try:
            if login is not None and self.guard.is_guessing(address, began_s):
                raise Problem(429, "Too many wrong passwords came from this address.", ((b"retry-after", b"10"),))
            await self._dispatch(Request(scope, receive, counted, headers, login, head, method), path)
        except FAULTS as error:
            if isinstance(error, WrongLogin):
                self.guard.guessed(address, clock())
            if started:  # the response has begun, so it can only be cut off
                raise
            await send_problem(counted, problem_of(error, anonymous=login is None), head=head)

    async def _dispatch(self, request: Request, path: bytes) -> None:
        if path.startswith(DATA):
            await self._data(request, path[len(DATA) :])
            return
        route = self._routes.get(path)
        if route is not None:
            allowed, handler = route
            if request.method in allowed.split(", "):
                await handler(request)
            elif request.method == "OPTIONS":
                await _options(request, allowed)
            else:
                raise Problem(405, f"Allowed here: {allowed}.", ((b"allow", allowed.encode()),))
            return
        file = self._files.get(path)
        if file is not None:
            await serve_page(file, request.headers, request.send, method=request.method)
            return
        for place, app in self._mounted.items():
            if path == place or path.startswith(place + b"/"):
                await app(request.scope, request.receive, request.send)
                return
        raise Problem(404, "Not found; /openapi.json lists all paths.")

    async def _data(self, request: Request, path: bytes) -> None:
        if request.method in READING:
            key = key_of(path)
            await data.read(self.store, request.login, key, request.headers, request.send, self.budget,
                            head=request.head)
        elif request.method == "PUT":
            await data.write(
                self.store, request.login, key_of(path), request.headers, query_of(request.scope), request.receive,
                request.send,
                self.bounds.body_bytes_max, self.budget,
            )  # fmt: skip
        elif request.method == "OPTIONS":
            await _options(request, data.DATA_METHODS)
        else:
            reason = data.NO_DELETE if request.method == "DELETE" else f"Allowed here: {data.DATA_METHODS}."
            raise Problem(405, reason, ((b"allow", data.DATA_METHODS.encode()),))

    async def _create(self, request: Request) -> None:
        await data.create(
            self.store, request.login, request.headers, query_of(request.scope), request.receive, request.send,
            self.bounds.body_bytes_max, self.budget, request.scope.get("root_path", ""),
        )  # fmt: skip

    async def _keys(self, request: Request) -> None:
        await listing.list_keys(self.store, request.login, query_of(request.scope), request.send, head=request.head)

    async def _watch(self, request: Request) -> None:
        await listing.stream(self.hub, request.login, query_of(request.scope), request.receive, request.send)

    async def _live(self, request: Request) -> None:
        assert self.live is not None
        await listing.overviews(self.live, request.login, request.receive, request.send)

    async def _live_keys(self, request: Request) -> None:
        prefix = prefix_of(query_of(request.scope))
        await send_json(request.send, await keys_with_lives(self.store, request.login, prefix), head=request.head)

    async def _health(self, request: Request) -> None:
        login = self.guard.login(request.headers)
        content = await health(self.nodes, None if isinstance(login, Denied) else login,
                               detailed=not isinstance(login, Denied))
        await send_json(request.send, content, head=request.head)

    async def _status(self, request: Request) -> None:
        await send_json(request.send, await status(self.nodes, request.login), head=request.head)

    async def _topology(self, request: Request) -> None:
        await send_json(request.send, await topology(self.nodes, request.login), head=request.head)

    async def _openapi(self, request: Request) -> None:
        await send_json(request.send, document(request.scope.get("root_path", ""), self.bounds.body_bytes_max),
                        head=request.head)

    async def _metrics(self, request: Request) -> None:
        accept = request.headers.get(b"accept", b"").decode("latin-1")
        gauges = {
            "body_bytes": ("Bytes of values that are on their way.", self.budget.taken),
            "watchers": ("Readers of /v1/watch and of repram_watch.", self.hub.count),
            "pages": ("Live pages that are open.", self.live.count if self.live is not None else 0),
        }
        text, kind = await metrics(self.nodes, request.login, self.traffic, gauges, accept)
        await respond(request.send, 200, [(b"content-type", kind), NO_STORE], text, head=request.head)

    def _sharing(self, send: Send, origin: bytes, host: bytes) -> Send:
        """Tells a browser that this page, which may ask, may also read the answer."""

        async def shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                exposed = (
                    b"ETag, X-Created-At, X-Original-TTL, X-Remaining-TTL, X-TTL-Remaining, Age, Expires, Location, "
                    b"Mcp-Session-Id"
                )
                more = [
                    (b"access-control-allow-origin", origin), (b"vary", b"Origin"),
                    (b"access-control-expose-headers", exposed),
                ]  # fmt: skip
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        return shared


async def _options(request: Request, allowed: str) -> None:
    methods, names = CROSS
    await respond(
        request.send, 204,
        [(b"allow", allowed.encode() + b", OPTIONS"), (b"access-control-allow-methods", methods),
         (b"access-control-allow-headers", names), (b"access-control-max-age", b"3600")],
    )  # fmt: skip


def gateway(
    *urls: str,
    allow_hosts: Sequence[str] = (),
    allow_origins: Sequence[str] = (),
    anonymous: bool = True,
    mcp: bool = True,
    page: bool = True,
) -> Gateway:
    """An application to mount: `api.mount("/respram", gateway("redis://127.0.0.1:6379"))`."""
    from respram.gateway.target import read_url

    rules = Rules(
        frozenset(name.lower() for name in allow_hosts), frozenset(one.lower() for one in allow_origins), anonymous
    )
    return Gateway([read_url(url) for url in urls or ("redis://127.0.0.1:6379",)], rules, page=page, mcp=mcp)


