"""The store for agents, over the Model Context Protocol: REPRAM's four tools by their names, and one more to wait for
changes.

Over stdio (`respram mcp`) everything is done with the rights of the connection string; over HTTP (`/mcp`) with those of
the request's own login. Results are structured. What does not exist is no error: forgetting is the normal end of a key
here.
"""

import asyncio
import contextlib
import logging
import re
import time
import uuid
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from respram import __version__
from respram.gateway.answers import Message, Problem, Receive, Scope, Send, problem_of
from respram.gateway.faults import BadRequest, Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.guard import Denied, Guard
from respram.gateway.names import quoted, text_of
from respram.gateway.requests import Budget, headers_of, read_body
from respram.gateway.store import Condition, Store
from respram.gateway.target import Login
from respram.gateway.watch import Hub, Silent

FAULTS = (BadRequest, Busy, NodesGone, Refusal, WrongLogin, Silent)
DATA_CHARS_MAX = 4 << 20  # of one value
REQUEST_BYTES_MAX = 6 * DATA_CHARS_MAX  # one character in JSON can take six bytes
# Bytes of a request outside of its JSON strings. A parsed structure takes many times the memory of its text.
STRUCTURE_BYTES_MAX = 64 << 10
# Strings of a request that are left out of that count. What follows the last of them counts as structure.
TEXTS_MAX = 4_096
# A JSON string; the last one may be unterminated.
TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
# Time limit of a call whose body is longer than STRUCTURE_BYTES_MAX: the body counts against --max-bodies until then.
LONG_CALL_S = 30.0
KEY_CHARS_MAX = 4_096  # of a key's name
KEYS_MAX = 1_000  # keys that one call lists
WATCH_S_MAX = 300.0  # the longest wait of one call
EVENTS_SHOWN_MAX = 200  # events that one call returns

INSTRUCTIONS = """respram is a store of short-lived keys that several agents share. Store with a time to live, retrieve
by key. Everything is forgotten on schedule: when a key's time is over its value is destroyed on all nodes and cannot be
recovered. Nothing can be deleted before, and there is no delete tool: to end a key sooner, store it again with a short
ttl_seconds. Storing a key that exists overwrites it without asking. A key that is not found was never stored or is
forgotten already; that is normal and no error. Use prefixes separated by colons (lock:build, state:job-7) so that
others can list them."""

STORE = """Store data under a key until its time to live is over; then it is destroyed on all nodes, and nothing can
bring it back. Without a key, a random UUID is made and returned: keep it, or hand it to whoever is to retrieve the
data. Choose a key where another agent has to find it by itself. A key that exists is overwritten without asking, with a
new time to live, unless only_if_absent is true (a lock: whoever stores first has it until it expires). Nothing can be
deleted before its time."""
RETRIEVE = """Retrieve the data under a key, with the seconds that it has left. found is false if the key was never
stored or is forgotten by now: that is the normal end of a key, not an error. Data that is no UTF-8 text is returned in
base64 (encoding says so)."""
EXISTS = """Ask whether a key exists and how long it will, without its data. For locks, heartbeats and signals: the
presence of the key is the message, and its expiry says that whoever wrote it stopped."""
LIST = """List the keys that exist and that you may read, in order, up to 1,000 at a time. Give a prefix such as
"state:" to see one namespace. With more true, call again with cursor set to the last key."""
WATCH = """Wait until keys that begin with a prefix are written or forgotten, and return those events: set, expire (its
deadline was changed) or expired. Returns as soon as something happens, or with no events when wait_seconds are over.
Only what happens during the call is seen: list the keys first to know what is there already."""


class Stored(BaseModel):
    key: str
    stored: bool = Field(description="False if only_if_absent was asked and the key exists.")
    ttl_seconds: int = Field(description="Seconds until it is forgotten; the node may have cut what was asked.")
    expires_at: str
    confirmed: bool = Field(description="Whether most nodes of the enclave hold it already.")


class Retrieved(BaseModel):
    found: bool
    data: str | None = None
    encoding: str = Field(default="utf-8", description="utf-8, or base64 where the bytes are no text.")
    created_at: str | None = None
    remaining_ttl_seconds: int | None = None
    expires_at: str | None = None


class Existence(BaseModel):
    exists: bool
    remaining_ttl_seconds: int | None = None
    expires_at: str | None = None


class Keys(BaseModel):
    keys: list[str]
    more: bool = Field(description="Whether there are keys behind the last one.")


class KeyChange(BaseModel):
    event: str
    key: str
    remaining_ttl_seconds: int | None = None


class Changes(BaseModel):
    events: list[KeyChange]
    lost: int = Field(default=0, description="Events that came faster than they could be told.")


Key = Annotated[str, Field(min_length=1, max_length=KEY_CHARS_MAX, description="The key, such as state:job-7.")]
Prefix = Annotated[str, Field(max_length=1_000, description='What keys begin with; "" for all.')]


class Tools:
    """The tools. `login` gives the user with whose rights the present request runs."""

    def __init__(self, store: Store, hub: Hub, guard: Guard | None) -> None:
        self.store_of_keys = store
        self.hub = hub
        self.guard = guard

    def login(self, context: "Context[Any, Any]") -> Login | None:
        if self.guard is None or context.headers is None:
            return None
        login = self.guard.login({name.lower().encode(): value.encode("latin-1")
                                  for name, value in context.headers.items()})
        if isinstance(login, Denied):
            raise ToolError(login.reason)
        return login

    async def store(
        self,
        context: "Context[Any, Any]",
        data: Annotated[str, Field(max_length=DATA_CHARS_MAX, description="Any text: prose, JSON, base64.")],
        ttl_seconds: Annotated[int | None, Field(ge=1, le=10**9, description="Seconds to live; by default as the node "
                                                                             "is set, often 3600.")] = None,
        key: Annotated[str | None,
                       Field(min_length=1, max_length=KEY_CHARS_MAX, description="Omit it for a random UUID.")] = None,
        only_if_absent: Annotated[bool, Field(description="Store only if the key does not exist.")] = False,
    ) -> Stored:
        name = key or str(uuid.uuid4())
        condition = Condition(None, frozenset()) if only_if_absent else None
        with tool_errors():
            done = await self.store_of_keys.put(self.login(context), name.encode(), _bytes(data), ttl_seconds,
                                                condition)
            remaining_ms = done.remaining_ms
            if not done.written:
                (remaining_ms,) = await self.store_of_keys.lives(self.login(context), [name.encode()])
        left_s = -(-max(remaining_ms, 0) // 1000)
        return Stored(key=name, stored=done.written, ttl_seconds=left_s, expires_at=_moment(left_s),
                      confirmed=done.confirmed)

    async def retrieve(self, context: "Context[Any, Any]", key: Key) -> Retrieved:
        with tool_errors():
            record = await self.store_of_keys.fetch(self.login(context), key.encode())
        if record is None:
            return Retrieved(found=False)
        data, encoding = _readable(record.value)
        return Retrieved(
            found=True, data=data, encoding=encoding, created_at=_moment(-record.age_s),
            remaining_ttl_seconds=record.remaining_s,
            expires_at=_moment(record.remaining_s),
        )  # fmt: skip

    async def exists(self, context: "Context[Any, Any]", key: Key) -> Existence:
        with tool_errors():
            record = await self.store_of_keys.facts(self.login(context), key.encode())
        if record is None:
            return Existence(exists=False)
        return Existence(exists=True, remaining_ttl_seconds=record.remaining_s, expires_at=_moment(record.remaining_s))

    async def list_keys(
        self, context: "Context[Any, Any]", prefix: Prefix = "",
        limit: Annotated[int, Field(ge=1, le=KEYS_MAX, description="How many at most.")] = KEYS_MAX,
        cursor: Annotated[str, Field(max_length=KEY_CHARS_MAX, description="The last key of the call before.")] = "",
    ) -> Keys:  # fmt: skip
        found: list[str] = []
        with tool_errors():
            async for page in self.store_of_keys.keys(self.login(context), prefix.encode(), cursor.encode(), 0):
                found += [text for key in page if (text := text_of(key)) is not None]  # tools cannot name other keys
                if len(found) > limit:
                    break
        return Keys(keys=found[:limit], more=len(found) > limit)

    async def watch(
        self, context: "Context[Any, Any]", prefix: Prefix = "",
        wait_seconds: Annotated[float, Field(gt=0, le=WATCH_S_MAX,
                                             description="How long to wait for something to happen.")] = 30.0,
    ) -> Changes:  # fmt: skip
        with tool_errors():
            async with self.hub.watch(self.login(context), prefix.encode()) as watcher:
                events = await watcher.next(wait_seconds)
        changes = [
            KeyChange.model_validate({
                "event": one.name, "key": _spell(one.key),
                "remaining_ttl_seconds": one.ttl_ms // 1000 if one.name != "expired" else None,
            })
            for one in events if one.name != "lost"
        ]  # fmt: skip
        lost = sum(one.lost for one in events) + max(len(changes) - EVENTS_SHOWN_MAX, 0)
        return Changes(events=changes[:EVENTS_SHOWN_MAX], lost=lost)

    async def resource(self, context: "Context[Any, Any]", prefix: str) -> str:
        """One key a line, with the seconds that it has left."""
        login, begin = self.login(context), unquote_to_bytes(prefix)
        lines: list[str] = []
        with tool_errors():
            async for page in self.store_of_keys.keys(login, begin, b"", KEYS_MAX):
                lives = await self.store_of_keys.lives(login, page)
                lines += [f"{_spell(key)}\t{life // 1000} s" for key, life in zip(page, lives, strict=True)
                          if life >= 0]
        return "\n".join(lines)


def make_server(store: Store, hub: Hub, guard: Guard | None = None) -> "MCPServer[Any]":
    tools = Tools(store, hub, guard)
    server: MCPServer[Any] = MCPServer("respram", instructions=INSTRUCTIONS, version=__version__, log_level="ERROR")
    quiet()
    for name, function, title, text, changes in (
        ("repram_store", tools.store, "Store until it is forgotten", STORE, True),
        ("repram_retrieve", tools.retrieve, "Retrieve by key", RETRIEVE, False),
        ("repram_exists", tools.exists, "Ask whether a key exists", EXISTS, False),
        ("repram_list_keys", tools.list_keys, "List keys", LIST, False),
        ("repram_watch", tools.watch, "Wait for changes", WATCH, False),
    ):
        # Only an overwrite destroys data: clients may ask their user to confirm it.
        hints = ToolAnnotations(read_only_hint=not changes, destructive_hint=changes, idempotent_hint=not changes,
                                open_world_hint=False)
        server.add_tool(function, name=name, title=title, description=text, annotations=hints, structured_output=True)

    @server.resource(
        "respram://keys/{prefix}", name="keys", title="Keys that begin with a prefix", mime_type="text/plain",
        description="The keys that begin with a prefix (percent-encoded), one a line, each with the seconds until it "
                    "is forgotten.",
    )  # fmt: skip
    async def keys_with(prefix: str, context: "Context[Any, Any]") -> str:
        return await tools.resource(context, prefix)

    return server


def quiet() -> None:
    """The SDK logs whole results and arguments where something is wrong with them: values may not reach a log."""
    for name in ("mcp", "mcp.server", "mcp.shared"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False


class Agents:
    """`/mcp`: streamable HTTP without sessions, so that any gateway may answer any request."""

    def __init__(self, store: Store, hub: Hub, guard: Guard, budget: Budget) -> None:
        self._budget = budget
        self._app = make_server(store, hub, guard).streamable_http_app(
            streamable_http_path="/mcp", stateless_http=True, json_response=True,
            max_request_body_size=REQUEST_BYTES_MAX,
            # the guard has checked it
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )  # fmt: skip
        self._running: asyncio.Task[None] | None = None
        self._started: asyncio.Event = asyncio.Event()
        self._stop: asyncio.Event = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":  # without sessions there is no stream to open and nothing to delete
            raise Problem(405, "Allowed here: POST.", ((b"allow", b"POST"),))
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())
        await self._started.wait()
        inner: MutableMapping[str, Any] = {
            **scope,
            "path": "/mcp",
            "raw_path": b"/mcp",
            "root_path": "",
            "app": self._app,
        }
        body, taken = await read_body(receive, headers_of(scope), REQUEST_BYTES_MAX, self._budget)
        try:
            if len(body) > STRUCTURE_BYTES_MAX and len(TEXTS.sub(b"", body, TEXTS_MAX)) > STRUCTURE_BYTES_MAX:
                raise Problem(413, "A call may have at most 64 KiB besides its texts.", ((b"connection", b"close"),))
            # Watching takes minutes and sends little. A call with a large body must finish sooner.
            patience = LONG_CALL_S if len(body) > STRUCTURE_BYTES_MAX else None
            try:
                async with asyncio.timeout(patience):
                    await self._app(inner, _replayed(body, receive), send)
            except TimeoutError:
                raise Problem(408, "A call of more than 64 KiB took too long.", ((b"connection", b"close"),)) from None
        finally:
            self._budget.give(taken)

    async def _run(self) -> None:
        """The SDK's task group belongs to one task: it is entered and left in this one."""
        async with self._app.router.lifespan_context(self._app):
            self._started.set()
            await self._stop.wait()

    async def close(self) -> None:
        if self._running is not None:
            self._stop.set()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, and then what comes behind it: that the client has gone."""
    pieces = [body]

    async def replayed() -> Message:
        return {"type": "http.request", "body": pieces.pop(), "more_body": False} if pieces else await receive()

    return replayed


@contextlib.contextmanager
def tool_errors() -> "Any":
    try:
        yield
    except FAULTS as error:
        raise ToolError(str(problem_of(error, anonymous=True))) from None


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadRequest("data must be text without lone surrogates.") from None


def _readable(value: bytes) -> tuple[str, str]:
    import base64

    text = text_of(value)
    return (text, "utf-8") if text is not None else (base64.b64encode(value).decode(), "base64")


def _spell(key: bytes) -> str:
    text = text_of(key)
    return quoted(key) if text is None else text


def _moment(from_now_s: int) -> str:
    return datetime.fromtimestamp(int(time.time()) + from_now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
